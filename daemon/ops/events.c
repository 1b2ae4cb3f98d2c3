/** @file
 * /v1/events: the event stream as server-sent events.
 *
 * A reader that reconnects sends Last-Event-ID and misses nothing that is still kept. Ids restart
 * with the daemon, so an id that is ahead of us is one of an earlier daemon: then all that is kept
 * is sent.
 */
#include <inttypes.h>

#include "daemon/job/job_events.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

#define HEARTBEAT_MS 15000

struct events_stream {
    struct events_stream *prev, *next;
    struct ops *ops;
    struct http_stream *http;
    struct job_events_listener *listener;
    struct loop_timer *heartbeat;
};

static void stream_free(struct events_stream *stream)
{
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        stream->ops->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    if (stream->listener != NULL) {
        job_events_unlisten(stream->listener);
    }
    loop_timer_free(stream->heartbeat);
    free(stream);
}

static void on_gone(void *arg)
{
    stream_free(arg);
}

static void on_heartbeat(void *arg)
{
    struct events_stream *stream = arg;

    http_stream_send(stream->http, ":\n\n", 3);
    loop_timer_arm(stream->heartbeat, HEARTBEAT_MS);
}

static void on_event(const struct job_event_record *record, void *arg)
{
    struct events_stream *stream = arg;
    scoped(strbuf_done) struct strbuf text = {0};

    strbuf_printf(&text, "id: %" PRIu64 "\nevent: %s\ndata: ", record->id, record->kind);
    strbuf_puts(&text, record->json);
    strbuf_puts(&text, "\n\n");
    http_stream_send(stream->http, strbuf_text(&text), text.len);
}

/** The id after which to begin. False: answered. */
static bool first_id(struct ops_call *call, uint64_t *ret_after)
{
    const char *last = http_request_header(call->request, "Last-Event-ID");
    const uint64_t newest = job_events_last(call->ops->services->events);

    if (!ops_arg_number(call, "after", 0, UINT64_MAX, newest, ret_after)) {
        return false;
    }
    if (last != NULL && !str_to_u64(last, ret_after)) {
        ops_problem(call, 400, "Last-Event-ID: '%.40s' is no number", last);
        return false;
    }
    if (*ret_after > newest) {
        *ret_after = 0;
    }
    return true;
}

void ops_get_events(struct ops_call *call)
{
    struct ops *ops = call->ops;
    const char *follow = http_request_arg(call->request, "follow");
    struct events_stream *stream;
    uint64_t after;

    if (!first_id(call, &after)) {
        return;
    }
    if (strcmp(call->request->method, "HEAD") == 0) {
        ops_answer(call, 200, "text/event-stream", NULL);
        return;
    }
    const bool stays = follow == NULL || strcmp(follow, "false") != 0;
    stream = mem_new(struct events_stream);
    *stream = (struct events_stream){.ops = ops, .next = ops->streams};
    stream->http = http_respond_stream(call->responder, "text/event-stream", on_gone, stream);
    ops_call_free(call);
    if (stream->http == NULL) {
        free(stream);
        return;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream;
    }
    ops->streams = stream;
    stream->heartbeat = loop_timer_new(ops->services->loop, on_heartbeat, stream);
    loop_timer_arm(stream->heartbeat, HEARTBEAT_MS);
    http_stream_send(stream->http, "retry: 1000\n\n", 13);
    stream->listener = job_events_listen(ops->services->events, after, on_event, stream);
    if (!stays) {
        http_stream_end(stream->http);
        stream_free(stream);
    }
}

void ops_events_stop(struct ops *ops)
{
    while (ops->streams != NULL) {
        http_stream_end(ops->streams->http);
        stream_free(ops->streams);
    }
}
