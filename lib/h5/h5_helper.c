/** @file
 * Calls of the jailed helper: their line, and how they end.
 */
#include "lib/h5/h5_helper.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_helper_p.h"
#include "lib/h5/h5_program.h"

#define DEADLINE_MS 60000
#define MEMORY_BYTES (512ull << 20)

/** A helper that dies while we write to it must not take us along. */
static void ignore_broken_pipes(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &now, NULL);
    }
}

struct h5_helper *h5_helper_new(struct loop *loop, const struct h5_options *options)
{
    struct h5_helper *helper = mem_new(struct h5_helper);
    const uint64_t memory_bytes = options->memory_bytes > 0 ? options->memory_bytes : MEMORY_BYTES;

    ignore_broken_pipes();
    helper->loop = loop;
    helper->program = options->program != NULL ? str_dup(options->program) : h5_program_find();
    helper->parallel = MAX_OF(1u, options->parallel);
    helper->deadline_ms = options->deadline_ms > 0 ? options->deadline_ms : DEADLINE_MS;
    helper->memory_bytes = MAX_OF(memory_bytes, H5_WIRE_MEMORY_MIN);
    helper->last = &helper->first;
    return helper;
}

void h5_helper_free(struct h5_helper *helper)
{
    if (helper == NULL) {
        return;
    }
    assert(helper->running == 0 && helper->first == NULL);
    free(helper->program);
    free(helper);
}

uint64_t h5_helper_bytes(const struct h5_helper *helper)
{
    return helper->bytes;
}

static void call_free(struct h5_call *call)
{
    loop_timer_free(call->deadline);
    free(call->key);
    free(call->version);
    free(call->etag);
    free(call->dataset);
    free(call->reply);
    free(call->body);
    free(call);
}

/** Only while the call is running or has never been in line. */
static void finish(struct h5_call *call)
{
    const struct err *err = call->err.rc != RC_OK ? &call->err : NULL;

    if (call->kind == H5_WIRE_WANT_LAYOUT) {
        call->layout_done(err == NULL ? TAKE(call->layout) : NULL, err, call->arg);
    } else {
        call->rows_done(err, call->arg);
    }
    layout_free(call->layout);
    call_free(call);
}

static void start_next(struct h5_helper *helper)
{
    while (helper->first != NULL && helper->running < helper->parallel) {
        struct h5_call *call = helper->first;

        helper->first = call->next;
        if (helper->first == NULL) {
            helper->last = &helper->first;
        }
        helper->running++;
        call->state = H5_CALL_RUNNING;
        h5_talk_start(call);
    }
}

void h5_talk_ended(struct h5_call *call)
{
    call->helper->running--;
    start_next(call->helper); /* before `done`, which may free the helper */
    finish(call);
}

static void finish_deferred(void *arg)
{
    finish(arg);
}

static struct h5_call *call_new(struct h5_helper *helper, const struct h5_object *object,
                                enum h5_wire_kind kind, void *arg)
{
    struct h5_call *call = mem_new(struct h5_call);

    call->helper = helper;
    call->kind = kind;
    call->store = object->store;
    call->key = str_dup(object->key);
    call->version = object->version != NULL ? str_dup(object->version) : NULL;
    call->etag = object->etag != NULL ? str_dup(object->etag) : NULL;
    call->size = object->size;
    call->known = object->head;
    call->known_len = object->head_len;
    call->arg = arg;
    return call;
}

static struct h5_call *enqueue(struct h5_call *call)
{
    struct h5_helper *helper = call->helper;

    *helper->last = call;
    helper->last = &call->next;
    start_next(helper);
    return call;
}

struct h5_call *h5_layout(struct h5_helper *helper, const struct h5_object *object,
                          h5_layout_fn *done, void *arg)
{
    struct h5_call *call = call_new(helper, object, H5_WIRE_WANT_LAYOUT, arg);

    call->layout_done = done;
    return enqueue(call);
}

struct h5_call *h5_rows(struct h5_helper *helper, const struct h5_object *object,
                        const struct layout_dataset *dataset, uint64_t first, uint64_t count,
                        void *out, size_t len, h5_rows_fn *done, void *arg)
{
    struct h5_call *call = call_new(helper, object, H5_WIRE_WANT_ROWS, arg);
    uint64_t bytes;

    call->dataset = str_dup(dataset->name);
    call->first_row = first;
    call->row_count = count;
    call->out = out;
    call->out_len = len;
    call->rows_done = done;
    if (strlen(dataset->name) > H5_WIRE_NAME_MAX ||
        __builtin_mul_overflow(layout_row_bytes(dataset), count, &bytes) || bytes != len) {
        call->decided = true;
        err_set(&call->err, RC_INVALID, "dataset '%.80s': these rows do not take %zu bytes",
                dataset->name, len);
        loop_defer(helper->loop, finish_deferred, call);
        return call;
    }
    return enqueue(call);
}

static void leave_line(struct h5_call *call)
{
    struct h5_helper *helper = call->helper;
    struct h5_call **slot = &helper->first;

    while (*slot != call) {
        slot = &(*slot)->next;
    }
    *slot = call->next;
    if (helper->last == &call->next) {
        helper->last = slot;
    }
}

void h5_cancel(struct h5_call *call)
{
    struct err err;

    if (call->decided) {
        return; /* its end is already on the way */
    }
    err_set(&err, RC_CANCELED, "canceled");
    if (call->state == H5_CALL_RUNNING) {
        h5_talk_decide(call, &err);
        return;
    }
    leave_line(call);
    call->decided = true;
    call->err = err;
    loop_defer(call->helper->loop, finish_deferred, call);
}
