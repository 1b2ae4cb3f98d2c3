/** @file
 * HTTP transfers on the event loop: libcurl's multi interface driven by libuv.
 *
 * A client keeps its connections alive and shares them between transfers: HTTP/2 where the server
 * speaks it over TLS, else HTTP/1.1, at most `host_connections` to one host; what is over that
 * waits in line. Certificates are always verified. Plain http goes to loopback and the
 * metadata services' addresses only, unless `allow_plain` names the host; what goes there goes
 * through no proxy. Redirects are answers:
 * nothing is followed. A transfer is never repeated here (lib/net/retry.h says when one should be),
 * but for the one that finds a kept connection already ended: it goes out again on a new one.
 *
 * Errors are those of the transport; any status is a success here:
 *
 *     RC_NETWORK   no address, refused, reset, TLS failed, or the answer was cut short
 *     RC_TIMEOUT   one of the three time-outs
 *     RC_INVALID   the URL, or plain http to a host that may not have it
 *     RC_CORRUPT   the body is longer than `sink_len` or `body_max`, or the headers than 64 kB
 *     RC_HOST      no descriptors, or the CA bundle cannot be read
 *     RC_CANCELED  http_cancel(), or the client's end
 *
 * Thread:     the loop's. Nothing here may be called from a worker.
 * Completion: `done` always runs later, from the loop, never from inside http_send(); exactly once
 *             per transfer, and not after http_cancel() has returned.
 * Ownership:  the client owns every transfer; the handle a caller holds is a claim ticket that is
 *             void from the moment `done` is called. Method, URL and header lines are copied;
 * `body` and `sink` are borrowed until `done` has begun or http_cancel() has returned. What `done`
 * is given is borrowed for the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/run/loop.h"

#define HTTP_HOST_CONNECTIONS 256
#define HTTP_CONNECT_MS 10000
#define HTTP_IDLE_MS 30000
#define HTTP_BODY_MAX (1u << 20)

struct http_client;
struct http_transfer;

struct http_client_options {
    const char *ca_bundle;   /**< PEM file; NULL: the system's. */
    const char *proxy;       /**< NULL: the usual environment variables; "": none. */
    const char *user_agent;  /**< NULL: "sevird/VERSION". */
    const char *allow_plain; /**< Hosts that may be spoken to without TLS, separated by commas; "*"
                              *   for all; NULL: those above only. */
    unsigned host_connections; /**< 0: HTTP_HOST_CONNECTIONS. */
    int64_t idle_ms;           /**< Of calls that say none; 0: HTTP_IDLE_MS. */
};

/** What to send, and where to put what comes back. */
struct http_call {
    const char *method; /**< "GET" */
    const char *url;    /**< As it goes over the wire: already encoded, never normalised here. */
    const char *const *headers; /**< "Name: value"; a "Name;" sends an empty one. */
    unsigned header_count;
    const void *body; /**< NULL with `body_len` 0: none. */
    size_t body_len;
    void *sink; /**< Of a 2xx answer the body goes here, at most `sink_len`; NULL: kept, as all. */
    size_t sink_len;
    size_t body_max;    /**< Longest body that is kept; 0: HTTP_BODY_MAX. */
    int64_t connect_ms; /**< 0: HTTP_CONNECT_MS. */
    int64_t idle_ms;    /**< No byte in either direction for this long; 0: the client's. */
    int64_t wait_ms;    /**< The server may be silent for so much longer: a long poll. */
    int64_t total_ms;   /**< 0: no limit. */
    bool fresh; /**< On a new connection with a fresh look-up of the name: after a failure. */
    /** May be NULL. Bytes of the body that libcurl has taken so far; on the loop. */
    void (*progress)(uint64_t sent_bytes, void *arg);
};

struct http_header {
    const char *name; /**< Lower case. */
    const char *value;
};

struct http_answer {
    unsigned status;
    const struct http_header *headers; /**< Of the final answer, in their order. */
    unsigned header_count;
    const char *body; /**< What was kept, NUL-terminated after `body_len` bytes; never NULL. */
    size_t body_len;
    size_t sunk; /**< Bytes in the sink. */
    int64_t took_ms;
};

/** `answer` is NULL on error. */
typedef void http_done_fn(const struct http_answer *answer, const struct err *err, void *arg);

enum rc http_client_new(struct loop *loop, const struct http_client_options *options,
                        struct http_client **ret_client, struct err *err);
/** Cancels what is under way (its `done` runs with RC_CANCELED, from inside). Not from a `done`. */
void http_client_free(struct http_client *client);
SCOPED_FN(struct http_client, http_client_free)

struct http_transfer *http_send(struct http_client *client, const struct http_call *call,
                                http_done_fn *done, void *arg);
/** At once: `done` will not run. */
void http_cancel(struct http_transfer *transfer);
/** NULL when there is none. `name` in lower case. */
const char *http_answer_header(const struct http_answer *answer, const char *name);
/** "127.0.0.1:9000", "localhost", "[::1]:80": what is sent there does not leave this host. */
bool http_is_loopback(const char *authority);
/** Transfers under way or in line. */
unsigned http_client_busy(const struct http_client *client);
