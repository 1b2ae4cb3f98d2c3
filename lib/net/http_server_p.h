/** @file
 * What the two halves of the server share: http_server.c drives libmicrohttpd and takes requests,
 * http_server_answer.c answers them and keeps streams.
 *
 * An `exchange` is one request and its answer. It is counted: libmicrohttpd holds it until the
 * request is over, the handler until it has answered (or ended its stream), libuv while the watch
 * is open. So each may let go first.
 *
 * Thread:     the loop's.
 */
#pragma once

#include <microhttpd.h>

#include "lib/net/http_server.h"

#define HTTP_PAIRS_MAX 64

struct connection { /**< One accepted socket; lives as long as it. */
    struct connection *prev, *next;
    int fd;
    int64_t deadline_ms; /**< Monotonic; 0: none, we are the ones who take time. */
};

enum exchange_step {
    READING,   /**< The request comes in. */
    HANDLING,  /**< The handler has it. */
    ANSWERED,  /**< `response` is ready, or on its way out. */
    STREAMING, /**< The same, but it grows. */
};

struct http_responder { /**< An exchange, as the handler sees it before the answer. */
    struct exchange *exchange;
};

struct http_stream { /**< The same after it. */
    struct exchange *exchange;
};

struct exchange {
    struct http_responder responder;
    struct http_stream stream;
    struct exchange *prev, *next;
    struct http_server *server;    /**< NULL when it has stopped. */
    struct MHD_Connection *client; /**< NULL when the request is over. */
    struct connection *connection;
    unsigned refs;
    enum exchange_step step;
    bool suspended, too_large;
    char *method, *path;
    struct strbuf body;
    struct http_pair args[HTTP_PAIRS_MAX], headers[HTTP_PAIRS_MAX];
    unsigned arg_count, header_count;
    struct http_request request; /**< What the handler is shown of the above. */
    /* the answer */
    unsigned status;
    struct MHD_Response *response;
    struct http_pair extra[8];
    unsigned extra_count;
    /* a stream */
    struct strbuf kept;
    size_t taken; /**< Of `kept`. */
    bool ended, cut, released;
    http_stream_gone_fn *gone; /**< Or, while it is handled, of http_responder_watch(). */
    void *gone_arg;
    struct http_server *teller; /**< Waits for `gone`. */
    uv_poll_t watch;
    bool watching;
};

struct http_server {
    struct loop *loop;
    struct MHD_Daemon *mhd;
    http_handler_fn *handler;
    void *arg;
    int64_t patience_ms;
    char *unlink_path;
    uv_poll_t ready;
    uv_timer_t deadline;
    struct loop_timer *sweep;
    struct connection *connections;
    struct exchange *exchanges;
    unsigned streams;
    bool running;  /**< Inside MHD_run(). */
    bool has_room; /**< A connection ended: one that waits to be accepted may come in. */
    bool heard;    /**< MHD_run() has told us of something. */
    bool stopping;
    unsigned refs; /**< Two handles, and every `gone` on its way: after these, `done`. */
    loop_fn *done;
    void *done_arg;
};

void http_exchange_unref(struct exchange *exchange);
/** How long its peer may take from now on; 0: it is we who take time. */
void http_exchange_patience(struct exchange *exchange, int64_t ms);
/** Let libmicrohttpd look at a connection again; inside MHD_run() it does so itself. */
void http_exchange_resume(struct exchange *exchange);
void http_exchange_suspend(struct exchange *exchange);
/** Look no longer whether its reader leaves. */
void http_exchange_unwatch(struct exchange *exchange);
