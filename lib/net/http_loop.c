/** @file
 * libcurl's multi interface driven by libuv.
 *
 * libcurl's two callbacks, `socket_wanted` and `deadline_wanted`, only arm libuv's handles; libuv's
 * two, `on_socket_ready` and `on_deadline`, call libcurl, then http_collect(). So libcurl is never
 * called from inside itself, and users are called from http_collect() only.
 *
 * libcurl gives a socket up after each transfer and wants it again for the next one, which told to
 * the kernel would be five system calls a request. So a watcher stays with the descriptor from its
 * opening to its closing, both of which are ours, and what libcurl does not want any more is only
 * disarmed when it happens. The descriptors that libcurl opens by itself (it wakes itself by them
 * after a look-up) it also closes by itself: they are watched for as long as it says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/http_p.h"

/** What libcurl wants at once while it is being called from here is done so often before the loop
 * has its turn again. */
#define ROUNDS_MAX 8

struct watcher {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
    int wanted; /**< By libcurl, of UV_READABLE and UV_WRITABLE. */
    int armed;  /**< With libuv: may be more, until it happens. */
};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "http: %s\n", what);
        abort();
    }
}

static void act_once(struct http_client *client, curl_socket_t fd, int events)
{
    int running;

    client->due_now = false;
    curl_multi_socket_action(client->multi, fd, events, &running);
    http_collect(client);
}

/** A transfer that an ended one made room for, or that its user sent in return, begins at once
 * instead of after another turn of the loop. */
static void act(struct http_client *client, curl_socket_t fd, int events)
{
    client->acting = true;
    act_once(client, fd, events);
    for (unsigned i = 0; i < ROUNDS_MAX && client->due_now; i++) {
        act_once(client, CURL_SOCKET_TIMEOUT, 0);
    }
    client->acting = false;
    if (client->due_now) {
        loop_timer_arm(client->deadline, 0);
    }
}

static void watch(struct watcher *watcher, int events);

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct watcher *watcher = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;

    if (status >= 0 && (events & watcher->wanted) == 0) {
        watch(watcher, watcher->wanted);
        return;
    }
    events &= watcher->wanted;
    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    act(watcher->client, watcher->fd, flags);
}

static void watch(struct watcher *watcher, int events)
{
    watcher->armed = events;
    if (events == 0) {
        uv_poll_stop(&watcher->poll);
    } else {
        must(uv_poll_start(&watcher->poll, events, on_socket_ready) == 0, "cannot poll");
    }
}

static void on_deadline(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int deadline_wanted(CURLM *multi, long ms, void *arg)
{
    struct http_client *client = arg;
    (void)multi;

    client->due_now = ms == 0 && client->acting;
    if (ms < 0 || client->due_now) {
        loop_timer_disarm(client->deadline);
    } else { /* 0 too: acting at once would be acting from inside libcurl */
        loop_timer_arm(client->deadline, ms);
    }
    return 0;
}

static void on_watcher_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void watcher_free(struct watcher *watcher)
{
    uv_poll_stop(&watcher->poll);
    uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
}

static struct watcher *watcher_new(struct http_client *client, curl_socket_t fd)
{
    struct watcher *watcher = mem_new(struct watcher);

    *watcher = (struct watcher){.client = client, .fd = fd};
    must(uv_poll_init_socket(loop_uv(client->loop), &watcher->poll, fd) == 0, "cannot poll");
    watcher->poll.data = watcher;
    return watcher;
}

/** Where the watcher of one of our own descriptors is. */
static struct watcher **slot_of(struct http_client *client, curl_socket_t fd)
{
    const size_t at = (size_t)fd;

    if (at >= client->watcher_cap) {
        const size_t cap = MAX_OF(client->watcher_cap * 2, at + 16);

        client->watchers = mem_resize(client->watchers, cap, sizeof(struct watcher *));
        while (client->watcher_cap < cap) {
            client->watchers[client->watcher_cap++] = NULL;
        }
    }
    return &client->watchers[at];
}

void http_loop_open(struct http_client *client, int fd)
{
    struct watcher **slot = slot_of(client, fd);

    must(*slot == NULL, "a descriptor was closed behind our back");
    *slot = watcher_new(client, fd);
    uv_unref((uv_handle_t *)&(*slot)->poll);
}

int http_loop_close(void *arg, curl_socket_t fd)
{
    struct http_client *client = arg;
    struct watcher **slot = slot_of(client, fd);

    if (*slot != NULL) {
        watcher_free(TAKE(*slot));
    }
    return close(fd);
}

/** One of libcurl's own. */
static void foreign_wanted(struct http_client *client, curl_socket_t fd, int events,
                           struct watcher *watcher)
{
    if (events == 0) { /* libcurl may close the descriptor as soon as we return */
        if (watcher != NULL) {
            watcher_free(watcher);
        }
        return;
    }
    if (watcher == NULL) {
        watcher = watcher_new(client, fd);
        curl_multi_assign(client->multi, fd, watcher); /* the one call made for this place */
    }
    watcher->wanted = events;
    watch(watcher, events);
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct http_client *client = arg;
    struct watcher *watcher = *slot_of(client, fd);
    int events = 0;
    (void)easy;

    events |= what == CURL_POLL_IN || what == CURL_POLL_INOUT ? UV_READABLE : 0;
    events |= what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? UV_WRITABLE : 0;
    if (watcher == NULL) {
        foreign_wanted(client, fd, events, known);
        return 0;
    }
    if ((events != 0) != (watcher->wanted != 0)) { /* only what is wanted keeps the loop going */
        (events != 0 ? uv_ref : uv_unref)((uv_handle_t *)&watcher->poll);
    }
    watcher->wanted = events;
    if ((events & ~watcher->armed) != 0) {
        watch(watcher, events);
    }
    return 0;
}

enum rc http_loop_start(struct http_client *client, unsigned host_connections, struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(err, RC_HOST, "libcurl does not start");
    }
    client->multi = curl_multi_init();
    if (client->multi == NULL) {
        curl_global_cleanup();
        return err_set(err, RC_HOST, "libcurl does not start");
    }
    client->deadline = loop_timer_new(client->loop, on_deadline, client);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, deadline_wanted);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)host_connections);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)host_connections * 2);
    return RC_OK;
}

void http_loop_stop(struct http_client *client)
{
    if (client->multi == NULL) {
        return;
    }
    curl_multi_cleanup(client->multi);
    loop_timer_free(client->deadline);
    free(client->watchers);
    curl_global_cleanup();
}
