/** @file
 * libcurl's multi interface driven by libuv.
 *
 * libcurl's two callbacks, `socket_wanted` and `deadline_wanted`, only arm libuv's handles; libuv's
 * two, `on_socket_ready` and `on_deadline`, call libcurl, then http_collect(). So libcurl is never
 * called from inside itself, and users are called from http_collect() only.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/net/http_p.h"

struct watcher {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "http: %s\n", what);
        abort();
    }
}

static void act(struct http_client *client, curl_socket_t fd, int events)
{
    int running;

    curl_multi_socket_action(client->multi, fd, events, &running);
    http_collect(client);
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    const struct watcher *watcher = poll->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;

    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    act(watcher->client, watcher->fd, flags);
}

static void on_deadline(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int deadline_wanted(CURLM *multi, long ms, void *arg)
{
    struct http_client *client = arg;
    (void)multi;

    if (ms < 0) {
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

static struct watcher *watcher_new(struct http_client *client, curl_socket_t fd)
{
    struct watcher *watcher = mem_new(struct watcher);

    *watcher = (struct watcher){.client = client, .fd = fd};
    must(uv_poll_init_socket(loop_uv(client->loop), &watcher->poll, fd) == 0, "cannot poll");
    watcher->poll.data = watcher;
    curl_multi_assign(client->multi, fd, watcher); /* the one call that is made for this place */
    return watcher;
}

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *slot)
{
    struct watcher *watcher = slot;
    int events = 0;
    (void)easy;

    if (what == CURL_POLL_REMOVE) { /* libcurl may close the descriptor as soon as we return */
        if (watcher != NULL) {
            uv_poll_stop(&watcher->poll);
            uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
        }
        return 0;
    }
    if (watcher == NULL) {
        watcher = watcher_new(arg, fd);
    }
    events |= what == CURL_POLL_IN || what == CURL_POLL_INOUT ? UV_READABLE : 0;
    events |= what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? UV_WRITABLE : 0;
    must(uv_poll_start(&watcher->poll, events, on_socket_ready) == 0, "cannot poll");
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
    curl_global_cleanup();
}
