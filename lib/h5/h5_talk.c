/** @file
 * One conversation with a helper: request, its reads, its answer.
 *
 * Nothing the helper says is believed: types, sizes, offsets, the number of its requests and the
 * bytes it asks for are all bounded here; the layout it answers with by layout_decode().
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_helper_p.h"

/** A helper may read a file twice over, and then some. */
#define READ_SLACK_BYTES (64ull << 20)
#define READS_MAX 1000000u

/** The conversation is over once the process is gone and the store has let go of our buffer. */
static void end_if_idle(struct h5_call *call)
{
    if (call->decided && !call->child_open && call->under_way == 0) {
        h5_talk_ended(call);
    }
}

void h5_talk_decide(struct h5_call *call, const struct err *err)
{
    if (call->decided) {
        return;
    }
    call->decided = true;
    call->err = err != NULL ? *err : (struct err){.rc = RC_OK};
    if (call->deadline != NULL) {
        loop_timer_disarm(call->deadline);
    }
    for (unsigned i = 0; i < H5_WIRE_RANGES_MAX; i++) {
        if (call->fetches[i].op != NULL) {
            store_cancel(call->store, call->fetches[i].op);
        }
    }
    h5_child_close(&call->child);
}

static void __attribute__((format(printf, 3, 4)))
refuse(struct h5_call *call, enum rc rc, const char *fmt, ...)
{
    char text[300];
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(&err, rc, "%s", text);
    h5_talk_decide(call, &err);
}

static void want_head(struct h5_call *call)
{
    h5_child_want(&call->child, &call->head, sizeof(call->head));
}

/** Room for a head and `len` bytes behind it in call->reply. */
static bool make_reply(struct h5_call *call, const struct h5_wire_head *head, size_t len)
{
    const size_t need = sizeof(*head) + len;

    if (need > call->reply_room) {
        free(call->reply);
        call->reply = mem_try(1, need);
        call->reply_room = call->reply != NULL ? need : 0;
    }
    if (call->reply != NULL) {
        memcpy(call->reply, head, sizeof(*head));
    }
    return call->reply != NULL;
}

static void send_reply(struct h5_call *call)
{
    const struct h5_wire_head *head = (const void *)call->reply;

    h5_child_write(&call->child, call->reply, sizeof(*head) + (size_t)head->len);
}

static void on_fetched(const struct err *err, void *arg)
{
    struct h5_fetch *fetch = arg;
    struct h5_call *call = fetch->call;

    call->under_way--;
    fetch->op = NULL;
    if (err != NULL) {
        h5_talk_decide(call, err);
    }
    if (call->decided) {
        end_if_idle(call);
    } else if (call->under_way == 0) {
        send_reply(call);
    }
}

/** Whether the helper may have these; `ret_bytes` is what they take together. */
static bool check_ranges(struct h5_call *call, unsigned count, size_t *ret_bytes)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct h5_wire_range *range = &call->ranges[i];

        if (range->len == 0 || range->len > H5_WIRE_READ_MAX - bytes || range->len > call->size ||
            range->offset > call->size - range->len) {
            refuse(call, RC_CRASHED,
                   "helper asked for %" PRIu64 " bytes at %" PRIu64 " of a file of %" PRIu64,
                   range->len, range->offset, call->size);
            return false;
        }
        bytes += range->len;
    }
    call->asked_count += count;
    call->asked_bytes += bytes;
    if (call->asked_count > READS_MAX || call->asked_bytes / 2 > call->size + READ_SLACK_BYTES) {
        refuse(call, RC_CRASHED,
               "helper asked for %" PRIu64 " bytes in %" PRIu64 " requests and did not find an end",
               call->asked_bytes, call->asked_count);
        return false;
    }
    *ret_bytes = (size_t)bytes;
    return true;
}

/** All of the ranges at once; the reply goes when the last of them has come. */
static void serve_ranges(struct h5_call *call, unsigned count)
{
    struct h5_wire_head answer = {.type = H5_WIRE_DATA};
    size_t bytes;

    if (!check_ranges(call, count, &bytes)) {
        return;
    }
    answer.len = bytes;
    if (!make_reply(call, &answer, bytes)) {
        refuse(call, RC_LIMIT, "no memory to answer the helper");
        return;
    }
    char *at = call->reply + sizeof(answer);

    for (unsigned i = 0; i < count; at += call->ranges[i].len, i++) {
        const struct h5_wire_range *range = &call->ranges[i];
        struct h5_fetch *fetch = &call->fetches[i];

        if (range->offset + range->len <= call->known_len) {
            memcpy(at, call->known + range->offset, (size_t)range->len);
            continue;
        }
        call->helper->bytes += range->len;
        call->under_way++;
        fetch->call = call;
        fetch->op = store_get(call->store, call->key, call->version, call->etag, range->offset,
                              (size_t)range->len, at, on_fetched, fetch);
    }
    if (call->under_way == 0) {
        send_reply(call);
    }
}

static void serve_read(struct h5_call *call)
{
    call->ranges[0] = (struct h5_wire_range){.offset = call->head.offset, .len = call->head.len};
    serve_ranges(call, 1);
}

static void want_ranges(struct h5_call *call)
{
    const uint64_t each = sizeof(call->ranges[0]);

    if (call->head.len == 0 || call->head.len > sizeof(call->ranges) ||
        call->head.len % each != 0) {
        refuse(call, RC_CRASHED, "helper announced %" PRIu64 " bytes of ranges", call->head.len);
        return;
    }
    call->in_ranges = true;
    h5_child_want(&call->child, call->ranges, (size_t)call->head.len);
}

static enum rc rc_of(uint32_t code)
{
    switch (code) {
    case H5_WIRE_CORRUPT:
        return RC_CORRUPT;
    case H5_WIRE_UNSUPPORTED:
    case H5_WIRE_LIMIT: /* RC_LIMIT would be tried again, and need as much again */
        return RC_UNSUPPORTED;
    case H5_WIRE_INVALID:
        return RC_INVALID;
    case H5_WIRE_BROKEN:
        return RC_IO;
    default:
        return RC_CRASHED;
    }
}

/** The text may come from a hijacked process: one printable line of UTF-8. */
static void got_error(struct h5_call *call)
{
    const size_t len = (size_t)call->head.len;
    const bool clean = str_is_utf8(call->body, len);

    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)call->body[i];

        if (c < 0x20 || c == 0x7f || (!clean && c > 0x7f)) {
            call->body[i] = '?';
        }
    }
    refuse(call, rc_of(call->head.code), "%s%.*s",
           call->head.code == H5_WIRE_LIMIT ? "over the helper's limits: " : "",
           (int)MIN_OF(len, 260u), call->body);
}

static void got_layout(struct h5_call *call)
{
    struct err err;

    if (layout_decode(call->body, (size_t)call->head.len, &call->layout, &err) != RC_OK) {
        h5_talk_decide(call, &err);
        return;
    }
    if (call->layout->file_size != call->size) {
        refuse(call, RC_CRASHED, "helper answered for another file");
        return;
    }
    h5_talk_decide(call, NULL);
}

static void want_body(struct h5_call *call, uint64_t limit)
{
    if (call->head.len == 0 || call->head.len > limit) {
        refuse(call, RC_CRASHED, "helper announced %" PRIu64 " bytes of an answer", call->head.len);
        return;
    }
    call->body = mem_try(1, (size_t)call->head.len);
    if (call->body == NULL) {
        refuse(call, RC_LIMIT, "no memory for the helper's answer");
        return;
    }
    h5_child_want(&call->child, call->body, (size_t)call->head.len);
}

static void want_rows(struct h5_call *call)
{
    const size_t left = call->out_len - call->rows_len;

    if (call->head.len == 0 && left == 0) {
        h5_talk_decide(call, NULL);
        return;
    }
    if (call->head.len == 0 || call->head.len > left) {
        refuse(call, RC_CRASHED, "helper sent %" PRIu64 " bytes of rows where %zu are missing",
               call->head.len, left);
        return;
    }
    call->in_rows = true;
    h5_child_want(&call->child, call->out + call->rows_len, (size_t)call->head.len);
    call->rows_len += (size_t)call->head.len;
}

static void on_got_head(struct h5_call *call)
{
    const bool rows = call->kind == H5_WIRE_WANT_ROWS;

    switch (call->head.type) {
    case H5_WIRE_READ:
        serve_read(call);
        return;
    case H5_WIRE_READ_MANY:
        want_ranges(call);
        return;
    case H5_WIRE_ERROR:
        want_body(call, H5_WIRE_TEXT_MAX);
        return;
    case H5_WIRE_LAYOUT:
        if (!rows) {
            want_body(call, H5_WIRE_LAYOUT_MAX);
            return;
        }
        break;
    case H5_WIRE_ROWS:
        if (rows) {
            want_rows(call);
            return;
        }
        break;
    default:
        break;
    }
    refuse(call, RC_CRASHED, "helper sent message %#" PRIx32 ", which makes no sense here",
           call->head.type);
}

/* The body of the message whose head came before, or a head. */
static void on_got(void *arg)
{
    struct h5_call *call = arg;

    if (call->body != NULL) {
        if (call->head.type == H5_WIRE_LAYOUT) {
            got_layout(call);
        } else {
            got_error(call);
        }
        return;
    }
    if (call->in_rows) {
        call->in_rows = false;
        want_head(call);
        return;
    }
    if (call->in_ranges) {
        call->in_ranges = false;
        serve_ranges(call, (unsigned)(call->head.len / sizeof(call->ranges[0])));
        return;
    }
    on_got_head(call);
}

static void on_written(void *arg)
{
    want_head(arg);
}

static void on_ended(void *arg)
{
    struct h5_call *call = arg;
    struct err err;

    h5_child_explain(&call->child, &err);
    h5_talk_decide(call, &err);
}

static void on_closed(void *arg)
{
    struct h5_call *call = arg;

    call->child_open = false;
    end_if_idle(call);
}

static void on_deadline(void *arg)
{
    struct h5_call *call = arg;

    refuse(call, RC_TIMEOUT, "helper not done after %.1f s",
           (double)call->helper->deadline_ms / 1e3);
}

static void send_request(struct h5_call *call)
{
    const size_t name_len = call->dataset != NULL ? strlen(call->dataset) : 0;
    const struct h5_wire_request request = {
        .version = H5_WIRE_VERSION,
        .kind = call->kind,
        .file_size = call->size,
        .memory_bytes = call->helper->memory_bytes,
        .cpu_seconds = (uint64_t)(call->helper->deadline_ms + 3999) / 4000,
        .first = call->first_row,
        .count = call->row_count,
        .bytes = call->out_len,
        .far = !store_is_near(call->store),
        .name_len = name_len,
    };
    const struct h5_wire_head head = {.type = H5_WIRE_REQUEST, .len = sizeof(request) + name_len};

    if (!make_reply(call, &head, (size_t)head.len)) {
        refuse(call, RC_LIMIT, "no memory to ask the helper");
        return;
    }
    memcpy(call->reply + sizeof(head), &request, sizeof(request));
    if (name_len > 0) {
        memcpy(call->reply + sizeof(head) + sizeof(request), call->dataset, name_len);
    }
    h5_child_write(&call->child, call->reply, sizeof(head) + (size_t)head.len);
}

void h5_talk_start(struct h5_call *call)
{
    static const struct h5_child_events events = {
        .got = on_got, .written = on_written, .ended = on_ended, .closed = on_closed};
    struct h5_helper *helper = call->helper;
    struct err err;

    call->child_open = true;
    if (h5_child_start(&call->child, helper->loop, helper->program, &events, call, &err) != RC_OK) {
        h5_talk_decide(call, &err);
        return;
    }
    call->deadline = loop_timer_new(helper->loop, on_deadline, call);
    loop_timer_arm(call->deadline, helper->deadline_ms);
    send_request(call);
}
