/** @file
 * Answers: whole ones, and streams that grow while somebody reads them.
 *
 * While a stream has nothing to say its connection is suspended, and its reader may go away
 * unnoticed by libmicrohttpd: its socket is watched for that.
 */
#include <assert.h>
#include <strings.h>
#include <sys/socket.h>

#include "lib/base/mem.h"
#include "lib/net/http_server_p.h"

/* ---- streams ----------------------------------------------------------------------------- */

static void on_watch_closed(uv_handle_t *handle)
{
    http_exchange_unref(handle->data);
}

void http_exchange_unwatch(struct exchange *exchange)
{
    if (exchange->watching) {
        exchange->watching = false;
        uv_poll_stop(&exchange->watch);
        uv_close((uv_handle_t *)&exchange->watch, on_watch_closed);
    }
}

static void on_reader_left(uv_poll_t *watch, int status, int events)
{
    struct exchange *exchange = watch->data;

    if (status >= 0 && (events & UV_DISCONNECT) == 0) {
        return;
    }
    uv_poll_stop(watch);
    if (exchange->step == HANDLING) { /* libmicrohttpd looks at it again when it is answered */
        exchange->gone(exchange->gone_arg);
    } else {
        exchange->cut = true;
        http_exchange_resume(exchange);
    }
}

static void watch_start(struct exchange *exchange)
{
    if (exchange->connection == NULL ||
        uv_poll_init(loop_uv(exchange->server->loop), &exchange->watch, exchange->connection->fd) !=
            0) {
        return; /* it is noticed by the next write instead */
    }
    exchange->watch.data = exchange;
    exchange->watching = true;
    exchange->refs++;
    uv_poll_start(&exchange->watch, UV_DISCONNECT, on_reader_left);
}

/** libmicrohttpd has room for `max` bytes of the stream. */
static ssize_t on_stream_room(void *arg, uint64_t position, char *room, size_t max)
{
    struct exchange *exchange = arg;
    const size_t len = MIN_OF(max, exchange->kept.len - exchange->taken);
    (void)position;

    if (exchange->cut) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (len > 0) {
        memcpy(room, exchange->kept.data + exchange->taken, len);
        exchange->taken += len;
        if (exchange->taken == exchange->kept.len) {
            strbuf_reset(&exchange->kept);
            exchange->taken = 0;
        }
        return (ssize_t)len;
    }
    if (exchange->ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    http_exchange_suspend(exchange);
    return 0;
}

void http_stream_send(struct http_stream *stream, const void *bytes, size_t len)
{
    struct exchange *exchange = stream->exchange;

    assert(exchange->step == STREAMING && !exchange->released);
    if (exchange->cut || exchange->client == NULL) {
        return; /* `gone` is on its way */
    }
    if (exchange->kept.len - exchange->taken + len > HTTP_SERVER_STREAM_KEPT) {
        exchange->cut = true;
        if (!exchange->suspended && exchange->connection != NULL) {
            shutdown(exchange->connection->fd, SHUT_RDWR); /* it is blocked in a write */
        }
    } else {
        if (exchange->taken >
            0) { /* so that a reader who is always a little late costs no memory */
            memmove(exchange->kept.data, exchange->kept.data + exchange->taken,
                    exchange->kept.len - exchange->taken);
            exchange->kept.len -= exchange->taken;
            exchange->taken = 0;
        }
        strbuf_add(&exchange->kept, bytes, len);
    }
    http_exchange_resume(exchange);
}

void http_stream_end(struct http_stream *stream)
{
    struct exchange *exchange = stream->exchange;

    assert(exchange->step == STREAMING && !exchange->released);
    exchange->ended = exchange->released = true;
    if (exchange->server != NULL) {
        http_exchange_patience(exchange, 2 * exchange->server->patience_ms);
        http_exchange_resume(exchange);
    }
    http_exchange_unref(exchange);
}

/* ---- answers ----------------------------------------------------------------------------- */

void http_responder_header(struct http_responder *responder, const char *name, const char *value)
{
    struct exchange *exchange = responder->exchange;

    assert(exchange->extra_count < ARRAY_LEN(exchange->extra));
    exchange->extra[exchange->extra_count++] = (struct http_pair){str_dup(name), str_dup(value)};
}

/** Nothing is kept by caches unless the handler has said so. */
static void add_headers(struct exchange *exchange, const char *type)
{
    bool cached = false;

    MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(exchange->response, "X-Content-Type-Options", "nosniff");
    for (unsigned i = 0; i < exchange->extra_count; i++) {
        const struct http_pair *extra = &exchange->extra[i];

        MHD_add_response_header(exchange->response, extra->name, extra->value);
        cached = cached || strcasecmp(extra->name, MHD_HTTP_HEADER_CACHE_CONTROL) == 0;
    }
    if (!cached) {
        MHD_add_response_header(exchange->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    }
}

static bool is_heard(const struct exchange *exchange)
{
    return exchange->client != NULL && exchange->server != NULL && !exchange->server->stopping;
}

void http_responder_watch(struct http_responder *responder, loop_fn *gone, void *arg)
{
    struct exchange *exchange = responder->exchange;

    assert(exchange->step == HANDLING && !exchange->watching);
    if (is_heard(exchange)) {
        exchange->gone = gone;
        exchange->gone_arg = arg;
        watch_start(exchange);
    }
}

void http_respond(struct http_responder *responder, unsigned status, const char *type,
                  struct strbuf *body)
{
    struct exchange *exchange = responder->exchange;
    const size_t len = body != NULL ? body->len : 0;
    char *bytes = body != NULL ? strbuf_take(body) : str_dup("");

    assert(exchange->step == HANDLING);
    http_exchange_unwatch(exchange);
    if (is_heard(exchange)) {
        exchange->response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
        exchange->status = status;
        add_headers(exchange, type);
        exchange->step = ANSWERED;
        http_exchange_resume(exchange);
    } else {
        free(bytes);
    }
    http_exchange_unref(exchange);
}

struct http_stream *http_respond_stream(struct http_responder *responder, const char *type,
                                        http_stream_gone_fn *gone, void *arg)
{
    struct exchange *exchange = responder->exchange;

    assert(exchange->step == HANDLING);
    if (!is_heard(exchange) || exchange->server->streams >= HTTP_SERVER_STREAMS) {
        scoped(strbuf_done) struct strbuf body = {0};

        strbuf_puts(&body, "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":"
                           "503,\"detail\":\"too many event streams are open\"}");
        http_respond(responder, 503, "application/problem+json", &body);
        return NULL;
    }
    exchange->server->streams++;
    exchange->gone = gone;
    exchange->gone_arg = arg;
    exchange->response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_stream_room, exchange, NULL);
    exchange->status = 200;
    add_headers(exchange, type);
    exchange->step = STREAMING;
    watch_start(exchange);
    http_exchange_resume(exchange);
    return &exchange->stream;
}
