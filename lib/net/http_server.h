/** @file
 * An HTTP/1.1 server on the event loop: libmicrohttpd's epoll descriptor, polled by libuv.
 *
 * One server is one listening socket (TCP or unix). A request is read whole (its body is bounded),
 * then given to the handler with a responder, through which it is answered at once or later. An
 * answer may be a stream; what its reader does not take is kept up to a bound, then the stream is
 * cut.
 *
 * Limits: HTTP_SERVER_CONNECTIONS at once, HTTP_SERVER_STREAMS of them streams; a body of
 * HTTP_SERVER_BODY bytes; 64 arguments and 64 headers; HTTP_SERVER_PATIENCE_MS to send a request,
 * and twice that to take its answer.
 *
 * Thread:     the loop's.
 * Completion: the handler runs from the loop, never from inside libmicrohttpd; a stream's `gone`
 * too. Ownership:  a request is borrowed until it is answered. A responder is void once
 * http_respond() or http_respond_stream() was called, one of which must be, exactly once. A stream
 * is void once http_stream_end() was called or `gone` has run, whichever is first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/base/rc.h"
#include "lib/base/str.h"
#include "lib/run/loop.h"

#define HTTP_SERVER_CONNECTIONS 64
#define HTTP_SERVER_STREAMS 16
#define HTTP_SERVER_BODY (1u << 20)
#define HTTP_SERVER_STREAM_KEPT (2u << 20)
#define HTTP_SERVER_PATIENCE_MS 30000

struct http_server;
struct http_responder;
struct http_stream;

struct http_pair {
    const char *name, *value;
};

struct http_request {
    const char *method; /**< "GET" */
    const char *path;   /**< Decoded, without the query. */
    const struct http_pair *args, *headers;
    unsigned arg_count, header_count;
    const char *body; /**< NUL-terminated after `body_len` bytes. */
    size_t body_len;
    bool has_peer; /**< Through a unix socket: who the peer was when it connected. */
    uid_t peer_uid;
    gid_t peer_gid;
    pid_t peer_pid;
};

/** NULL when it is not there; the first when it is there twice. */
const char *http_request_arg(const struct http_request *request, const char *name);
/** Names are compared without regard to case. */
const char *http_request_header(const struct http_request *request, const char *name);

typedef void http_handler_fn(const struct http_request *request, struct http_responder *responder,
                             void *arg);

struct http_server_options {
    int fd;                  /**< Listening; owned by the server from a successful start on. */
    const char *unlink_path; /**< Removed at the stop; NULL: nothing. Copied. */
    http_handler_fn *handler;
    void *arg;
    int64_t patience_ms; /**< 0: HTTP_SERVER_PATIENCE_MS. */
};

/** Binds a unix socket of mode `mode`. A socket that nobody listens on any more is removed first;
 * one that is in use is RC_CONFLICT "socket '…' is in use", anything else in its place RC_INVALID.
 */
enum rc http_listen_unix(const char *path, mode_t mode, int *ret_fd, struct err *err);
/** `host` is numeric. */
enum rc http_listen_tcp(const char *host, uint16_t port, int *ret_fd, struct err *err);
/** "127.0.0.1:9464", "[::1]:9464", or the path of a unix socket. */
void http_listen_name(int fd, char *ret_name, size_t size);

enum rc http_server_start(struct loop *loop, const struct http_server_options *options,
                          struct http_server **ret_server, struct err *err);
/** Answers what is open with 503, ends streams, closes. Handlers that have yet to answer may still
 * do so: it is not heard. `done` runs later; then the server is gone. */
void http_server_stop(struct http_server *server, loop_fn *done, void *arg);

/** A header of the coming answer; both are copied. */
void http_responder_header(struct http_responder *responder, const char *name, const char *value);
/** `gone` runs, at most once, when the client goes away before it was answered: what it asked for
 * may be given up. The answer is due all the same, and unheard. */
void http_responder_watch(struct http_responder *responder, loop_fn *gone, void *arg);
/** The content of `body` is taken; NULL: empty. For HEAD the body is measured and not sent. */
void http_respond(struct http_responder *responder, unsigned status, const char *type,
                  struct strbuf *body);

/** The reader went away, or was too slow and was cut. */
typedef void http_stream_gone_fn(void *arg);
/** Begins a stream with status 200. NULL when there are too many: the request was answered 503. */
struct http_stream *http_respond_stream(struct http_responder *responder, const char *type,
                                        http_stream_gone_fn *gone, void *arg);
/** Copied. When too much is kept already the stream is cut, and `gone` runs later. */
void http_stream_send(struct http_stream *stream, const void *bytes, size_t len);
/** What was sent is still delivered if the reader takes it in time. */
void http_stream_end(struct http_stream *stream);
