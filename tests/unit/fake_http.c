#include "tests/unit/fake_http.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <utlist.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit.h"

#define REQUESTS_MAX 4096

struct peer {
    uv_tcp_t tcp;
    uv_timer_t trickle;
    unsigned open_handles;
    struct peer *prev, *next;
    struct fake *fake;
    unsigned number;
    struct strbuf in;
    struct strbuf trickling;
    size_t trickled;
    bool gone;
};

struct fake {
    struct loop *loop;
    uv_tcp_t listener;
    char url[64];
    struct peer *peers;
    unsigned accepted, open, most;
    const struct fake_answer *answers;
    unsigned answer_count;
    struct fake_request requests[REQUESTS_MAX];
    unsigned asked;
    unsigned refs;
};

struct sending {
    uv_write_t write;
    char *bytes;
    struct peer *peer;
    enum fake_fault fault;
};

/** Each open connection and the listener hold it. */
static void fake_unref(struct fake *fake)
{
    if (--fake->refs == 0) {
        free(fake);
    }
}

static void on_peer_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;

    if (--peer->open_handles > 0) {
        return;
    }
    peer->fake->open--;
    DL_DELETE(peer->fake->peers, peer);
    fake_unref(peer->fake);
    strbuf_done(&peer->in);
    strbuf_done(&peer->trickling);
    free(peer);
}

static void hang_up(struct peer *peer, bool reset)
{
    if (peer->gone) {
        return;
    }
    peer->gone = true;
    uv_close((uv_handle_t *)&peer->trickle, on_peer_closed);
    if (reset) {
        assert_int_equal(uv_tcp_close_reset(&peer->tcp, on_peer_closed), 0);
    } else {
        uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
    }
}

static void on_sent(uv_write_t *write, int status)
{
    struct sending *sending = write->data;
    (void)status;

    switch (sending->fault) {
    case FAKE_CLOSE:
    case FAKE_DROP:
    case FAKE_SHORT:
        hang_up(sending->peer, false);
        break;
    case FAKE_RESET:
        hang_up(sending->peer, true);
        break;
    default:
        break;
    }
    free(sending->bytes);
    free(sending);
}

static void put(struct peer *peer, struct strbuf *text, enum fake_fault fault)
{
    struct sending *sending = mem_new(struct sending);
    uv_buf_t buffer = {.len = text->len};

    sending->bytes = buffer.base = strbuf_take(text);
    sending->peer = peer;
    sending->fault = fault;
    sending->write.data = sending;
    assert_int_equal(uv_write(&sending->write, (uv_stream_t *)&peer->tcp, &buffer, 1, on_sent), 0);
}

static void on_trickle(uv_timer_t *timer)
{
    struct peer *peer = timer->data;
    scoped(strbuf_done) struct strbuf one = {0};

    if (peer->trickled == peer->trickling.len) {
        uv_timer_stop(timer);
        return;
    }
    strbuf_putc(&one, peer->trickling.data[peer->trickled++]);
    put(peer, &one, FAKE_NONE);
}

static void answer(struct peer *peer, const struct fake_answer *answer, bool is_head)
{
    const char *body = answer->body != NULL ? answer->body : "";
    const bool cut =
        answer->fault == FAKE_RESET || answer->fault == FAKE_SHORT || answer->fault == FAKE_STALL;
    scoped(strbuf_done) struct strbuf text = {0};

    if (answer->fault == FAKE_SILENT) {
        return;
    }
    if (answer->fault == FAKE_HANG_UP) {
        hang_up(peer, false);
        return;
    }
    strbuf_printf(&text, "HTTP/1.1 %u Whatever\r\n%s", answer->status > 0 ? answer->status : 200,
                  answer->headers != NULL ? answer->headers : "");
    if (answer->status != 304 && answer->status != 204) {
        strbuf_printf(&text, "Content-Length: %zu\r\n",
                      answer->length > 0 ? answer->length : strlen(body));
    }
    strbuf_printf(&text, "%s\r\n", answer->fault == FAKE_CLOSE ? "Connection: close\r\n" : "");
    if (answer->fault == FAKE_TRICKLE) {
        strbuf_puts(&peer->trickling, body);
        uv_timer_start(&peer->trickle, on_trickle, answer->at, answer->at);
    } else if (!is_head) {
        strbuf_add(&text, body, cut ? answer->at : strlen(body));
    }
    put(peer, &text, answer->fault);
}

static size_t content_length(const struct fake_request *request)
{
    char value[32];
    uint64_t length = 0;

    fake_header(request, "content-length", value, sizeof(value));
    if (value[0] != '\0') {
        assert_true(str_to_u64(value, &length));
    }
    return (size_t)length;
}

static const struct fake_answer *next_answer(const struct fake *fake)
{
    assert_true(fake->answer_count > 0);
    return &fake->answers[MIN_OF(fake->asked + 1, fake->answer_count) - 1];
}

/** One request out of what came; false: it is not whole yet. */
static bool take(struct peer *peer)
{
    struct fake *fake = peer->fake;
    const char *end = peer->in.len > 0 ? strstr(peer->in.data, "\r\n\r\n") : NULL;
    struct fake_request request = {.connection = peer->number};
    size_t head_len, whole;

    if (end == NULL || peer->gone) {
        return false;
    }
    head_len = (size_t)(end - peer->in.data) + 2;
    request.head = str_dup_n(peer->in.data, head_len);
    request.body_len = content_length(&request);
    if (next_answer(fake)->fault == FAKE_EARLY) {
        uv_read_stop((uv_stream_t *)&peer->tcp);
        request.body_len = MIN_OF(request.body_len, peer->in.len - head_len - 2);
    }
    whole = head_len + 2 + request.body_len;
    if (peer->in.len < whole) {
        free(request.head);
        return false;
    }
    request.body = str_dup_n(peer->in.data + head_len + 2, request.body_len);
    memmove(peer->in.data, peer->in.data + whole, peer->in.len - whole + 1);
    peer->in.len -= whole;
    assert_true(fake->asked < REQUESTS_MAX);
    const struct fake_answer *next = next_answer(fake);
    fake->requests[fake->asked++] = request;
    answer(peer, next, str_starts(request.head, "HEAD "));
    return true;
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct peer *peer = stream->data;

    if (n > 0) {
        strbuf_add(&peer->in, buffer->base, (size_t)n);
    }
    free(buffer->base);
    if (n < 0) {
        hang_up(peer, false);
        return;
    }
    while (take(peer)) {
    }
}

static void on_room(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buffer)
{
    (void)handle;
    *ret_buffer = uv_buf_init(mem_zeroed(wanted), (unsigned)wanted);
}

static void on_peer(uv_stream_t *listener, int status)
{
    struct fake *fake = listener->data;
    struct peer *peer = mem_new(struct peer);

    assert_int_equal(status, 0);
    *peer = (struct peer){.fake = fake, .number = ++fake->accepted, .open_handles = 2};
    uv_tcp_init(loop_uv(fake->loop), &peer->tcp);
    uv_timer_init(loop_uv(fake->loop), &peer->trickle);
    peer->tcp.data = peer->trickle.data = peer;
    /* What waits for a client that keeps its connection is to keep no test running. */
    uv_unref((uv_handle_t *)&peer->tcp);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&peer->tcp), 0);
    uv_read_start((uv_stream_t *)&peer->tcp, on_room, on_bytes);
    DL_APPEND(fake->peers, peer);
    fake->refs++;
    fake->open++;
    fake->most = MAX_OF(fake->most, fake->open);
}

struct fake *fake_new(struct loop *loop)
{
    struct fake *fake = mem_new(struct fake);
    struct sockaddr_in address;
    int size = sizeof(address);

    fake->loop = loop;
    fake->refs = 1;
    fake->listener.data = fake;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop_uv(loop), &fake->listener);
    assert_int_equal(uv_tcp_bind(&fake->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&fake->listener, 512, on_peer), 0);
    uv_unref((uv_handle_t *)&fake->listener);
    uv_tcp_getsockname(&fake->listener, (struct sockaddr *)&address, &size);
    snprintf(fake->url, sizeof(fake->url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    return fake;
}

static void forget(struct fake *fake)
{
    for (unsigned i = 0; i < fake->asked; i++) {
        free(fake->requests[i].head);
        free(fake->requests[i].body);
    }
    fake->asked = 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    fake_unref(handle->data);
}

void fake_free(struct fake *fake)
{
    struct peer *peer, *next;

    forget(fake);
    DL_FOREACH_SAFE(fake->peers, peer, next)
    {
        hang_up(peer, false);
    }
    uv_close((uv_handle_t *)&fake->listener, on_listener_closed);
}

const char *fake_url(const struct fake *fake)
{
    return fake->url;
}

void fake_script(struct fake *fake, const struct fake_answer *answers, unsigned count)
{
    forget(fake);
    fake->answers = answers;
    fake->answer_count = count;
}

unsigned fake_asked(const struct fake *fake)
{
    return fake->asked;
}

const struct fake_request *fake_request(const struct fake *fake, unsigned index)
{
    assert_true(index < fake->asked);
    return &fake->requests[index];
}

void fake_header(const struct fake_request *request, const char *name, char *ret_value, size_t size)
{
    const size_t len = strlen(name);

    ret_value[0] = '\0';
    for (const char *line = strstr(request->head, "\r\n"); line != NULL && line[2] != '\0';
         line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            const char *value = line + len + 1 + strspn(line + len + 1, " ");

            snprintf(ret_value, size, "%.*s", (int)strcspn(value, "\r"), value);
            return;
        }
    }
}

unsigned fake_connections(const struct fake *fake)
{
    return fake->accepted;
}

unsigned fake_open(const struct fake *fake, unsigned *ret_most)
{
    *ret_most = fake->most;
    return fake->open;
}
