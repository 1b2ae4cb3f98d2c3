/** @file
 * What the parts of the HTTP client share: http.c (the client and its story), http_loop.c (libcurl
 * and libuv), http_transfer.c (one transfer: what is sent, what comes), http_url.c (who may be
 * spoken to without TLS).
 *
 * Thread:     the loop's, but for what says that it runs on a worker.
 */
#pragma once

#include <curl/curl.h>

#include "lib/base/str.h"
#include "lib/net/http.h"

struct watcher;

#define HTTP_ORIGIN_MAX 300
#define HTTP_HEADERS_MAX 256
#define HTTP_HEAD_BYTES (64u << 10)

/** Where URLs lead that have passed http_url_check(). */
struct http_place {
    char origin[HTTP_ORIGIN_MAX]; /**< "https://host:port"; "": none has. */
    bool loopback;                /**< It is this host, or what its hypervisor answers. */
    bool is_new;                  /**< Set with each other origin, for who acts on it to clear. */
};

struct http_transfer {
    struct http_client *client;
    CURL *easy;
    struct http_transfer *prev, *next;
    struct http_transfer **list; /**< The client's list that it is in. */
    bool added;                  /**< To the multi handle. */
    http_done_fn *done;
    void *arg;

    /* what is sent */
    struct strbuf text; /**< URL and header lines. */
    const char *url;
    struct curl_slist *lines;
    unsigned line_count, line_cap;
    const char *body;
    size_t body_len, body_taken;
    void (*progress)(uint64_t sent_bytes, void *arg);
    struct http_transfer *next_progress;
    bool progressed;
    char custom[16];         /**< CURLOPT_CUSTOMREQUEST as it is set now. */
    bool direct;             /**< CURLOPT_PROXY likewise. */
    struct http_place place; /**< Of this call and the last. */
    CURLU *root;             /**< "https://host:port/", as libcurl reads it. */
    bool rooted;             /**< CURLOPT_CURLU is `root`. */

    /* what comes */
    unsigned status;
    struct strbuf head; /**< "name\0value\0" of each header. */
    struct http_header *headers;
    unsigned header_count, header_cap;
    char *sink;
    size_t sink_len, sunk;
    struct strbuf kept;
    size_t body_max;

    /* when */
    int64_t connect_ms, idle_ms, total_ms;
    int64_t began_ms, moved_ms;
    bool moving; /**< It has its connection. */

    struct err fault; /**< Why we stopped it ourselves; RC_OK: we did not. */
    int socket_errno;
    char why[CURL_ERROR_SIZE];
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    char *ca_bundle, *proxy, *user_agent, *allow_plain;
    int64_t idle_ms;
    bool any_proxy;              /**< Some transfer may go through one. */
    struct loop_timer *deadline; /**< libcurl's. */
    bool acting;                 /**< libcurl is being called by http_loop.c, */
    bool due_now;                /**< and wants to be called once more at once. */
    struct watcher **watchers;   /**< Of the sockets that are ours, by descriptor. */
    size_t watcher_cap;
    struct loop_timer *watch; /**< Ours: idle and total time-outs. */
    int64_t watch_due_ms;     /**< INT64_MAX: not armed. */
    struct loop_timer *failed_due;
    struct http_transfer *running, *late, *failed, *spare;
    unsigned busy, spares;
    struct http_transfer *progressing;
};

/* ---- http_url.c: pure */

/** RC_INVALID for another scheme than http and https, a user in it, control characters or blanks,
 * and for plain http to a host that is neither loopback nor in `allow_plain`. A URL of the origin
 * that `place` tells of already is not taken apart again. */
enum rc http_url_check(const char *url, const char *allow_plain, struct http_place *place,
                       struct err *err);
/** "https://host:port", for messages: what follows may hold a signature. */
void http_url_origin(const char *url, char *ret_origin, size_t size);

/* ---- http_transfer.c */

struct http_transfer *http_transfer_new(struct http_client *client);
void http_transfer_free(struct http_transfer *transfer);
/** All that differs from call to call. */
enum rc http_transfer_set(struct http_transfer *transfer, const struct http_call *call,
                          struct err *err);
/** Forget what the last call left. */
void http_transfer_clear(struct http_transfer *transfer);
/** libcurl's verdict and ours. */
enum rc http_transfer_judge(struct http_transfer *transfer, CURLcode result, struct err *err);
void http_transfer_answer(struct http_transfer *transfer, struct http_answer *ret_answer);

/* ---- http_loop.c */

enum rc http_loop_start(struct http_client *client, unsigned host_connections, struct err *err);
void http_loop_stop(struct http_client *client);
/** A socket is libcurl's from now on, until http_loop_close(), its CURLOPT_CLOSESOCKETFUNCTION. */
void http_loop_open(struct http_client *client, int fd);
int http_loop_close(void *client, curl_socket_t fd);

/* ---- http.c */

/** Some transfers may have ended; from http_loop.c, never from inside libcurl. */
void http_collect(struct http_client *client);
/** A deadline of `transfer` is known that may be the next. */
void http_watch(struct http_transfer *transfer);
