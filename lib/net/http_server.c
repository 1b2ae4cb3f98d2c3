/** @file
 * libmicrohttpd on the loop.
 *
 * libmicrohttpd keeps all its sockets in one epoll descriptor; we poll that one, call MHD_run()
 * when it is ready or when its own deadline has come, and that is all the threads there are. While
 * a request waits for its answer, or a stream for something to say, its connection is *suspended*:
 * libmicrohttpd does not look at it until we resume it.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/net/http_server_p.h"

#define CONNECTION_BYTES (32u << 10) /**< libmicrohttpd's, for a request's line and headers. */

/* ---- exchanges --------------------------------------------------------------------------- */

static void pairs_free(struct http_pair *pairs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free((char *)(uintptr_t)pairs[i].name);
        free((char *)(uintptr_t)pairs[i].value);
    }
}

void http_exchange_unref(struct exchange *exchange)
{
    if (--exchange->refs > 0) {
        return;
    }
    if (exchange->server != NULL) {
        if (exchange->prev != NULL) {
            exchange->prev->next = exchange->next;
        } else {
            exchange->server->exchanges = exchange->next;
        }
        if (exchange->next != NULL) {
            exchange->next->prev = exchange->prev;
        }
    }
    if (exchange->response != NULL) {
        MHD_destroy_response(exchange->response);
    }
    pairs_free(exchange->args, exchange->arg_count);
    pairs_free(exchange->headers, exchange->header_count);
    pairs_free(exchange->extra, exchange->extra_count);
    strbuf_done(&exchange->body);
    strbuf_done(&exchange->kept);
    free(exchange->method);
    free(exchange->path);
    free(exchange);
}

static struct exchange *exchange_new(struct http_server *server, struct MHD_Connection *client,
                                     const char *method, const char *path)
{
    struct exchange *exchange = mem_new(struct exchange);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(client, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    *exchange = (struct exchange){.responder = {exchange},
                                  .stream = {exchange},
                                  .server = server,
                                  .client = client,
                                  .connection = info != NULL ? info->socket_context : NULL,
                                  .refs = 1,
                                  .method = str_dup(method),
                                  .path = str_dup(path),
                                  .next = server->exchanges};
    if (server->exchanges != NULL) {
        server->exchanges->prev = exchange;
    }
    server->exchanges = exchange;
    return exchange;
}

void http_exchange_patience(struct exchange *exchange, int64_t ms)
{
    if (exchange->connection != NULL) {
        exchange->connection->deadline_ms = ms > 0 ? now_mono_ms() + ms : 0;
    }
}

/* ---- driving libmicrohttpd ---------------------------------------------------------------- */

static void run(struct http_server *server);

static void on_deadline(uv_timer_t *timer)
{
    run(timer->data);
}

/** A request that does not fit into its memory libmicrohttpd gives up without a word to us, and
 * closes in its next run. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct http_server *server = poll->data;
    (void)status;
    (void)events;

    server->heard = false;
    run(server);
    if (!server->heard && !server->stopping) {
        uv_timer_start(&server->deadline, on_deadline, 0, 0);
    }
}

static void run(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG ms;

    server->running = true;
    server->has_room = false;
    MHD_run(server->mhd);
    server->running = false;
    if (server->stopping) {
        return;
    }
    if (server->has_room) { /* it looks at its listener again at the beginning of a run only */
        uv_timer_start(&server->deadline, on_deadline, 0, 0);
    } else if (MHD_get_timeout(server->mhd, &ms) == MHD_YES) {
        uv_timer_start(&server->deadline, on_deadline, ms, 0);
    } else {
        uv_timer_stop(&server->deadline);
    }
}

void http_exchange_resume(struct exchange *exchange)
{
    if (exchange->suspended && exchange->client != NULL) {
        exchange->suspended = false;
        MHD_resume_connection(exchange->client);
        if (!exchange->server->running) {
            uv_timer_start(&exchange->server->deadline, on_deadline, 0, 0);
        }
    }
}

void http_exchange_suspend(struct exchange *exchange)
{
    exchange->suspended = true;
    MHD_suspend_connection(exchange->client);
}

/** Cut the connections whose peer has had its time. */
static void sweep(void *arg)
{
    struct http_server *server = arg;
    const int64_t now_ms = now_mono_ms();

    for (struct connection *c = server->connections; c != NULL; c = c->next) {
        if (c->deadline_ms != 0 && c->deadline_ms <= now_ms) {
            shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd notices, and closes it */
            c->deadline_ms = 0;
        }
    }
    if (server->connections != NULL && !server->stopping) {
        loop_timer_arm(server->sweep, MAX_OF(server->patience_ms / 8, 10));
    }
}

static void on_connection(void *arg, struct MHD_Connection *client, void **slot,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = arg;
    struct connection *connection = *slot;

    server->heard = true;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        connection = mem_new(struct connection);
        connection->fd =
            MHD_get_connection_info(client, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        connection->deadline_ms = now_mono_ms() + server->patience_ms;
        connection->next = server->connections;
        if (connection->next != NULL) {
            connection->next->prev = connection;
        } else if (!server->stopping) {
            loop_timer_arm(server->sweep, MAX_OF(server->patience_ms / 8, 10));
        }
        server->connections = connection;
        *slot = connection;
        return;
    }
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        server->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    }
    free(connection);
    *slot = NULL;
    server->has_room = true;
    if (server->connections == NULL) {
        loop_timer_disarm(server->sweep); /* an idle server wakes nobody */
    }
}

/* ---- the request ------------------------------------------------------------------------- */

struct pair_sink {
    struct http_pair *pairs;
    unsigned *count;
};

static enum MHD_Result keep_pair(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct pair_sink *sink = arg;
    (void)kind;

    if (*sink->count == HTTP_PAIRS_MAX) {
        return MHD_NO;
    }
    sink->pairs[*sink->count] =
        (struct http_pair){str_dup(name), str_dup(value != NULL ? value : "")};
    ++*sink->count;
    return MHD_YES;
}

static void read_peer(struct exchange *exchange, struct http_request *request)
{
    struct ucred peer;
    struct sockaddr_storage address;
    socklen_t len = sizeof(address), peer_len = sizeof(peer);

    if (exchange->connection == NULL ||
        getsockname(exchange->connection->fd, (struct sockaddr *)&address, &len) != 0 ||
        address.ss_family != AF_UNIX ||
        getsockopt(exchange->connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) != 0) {
        return;
    }
    request->has_peer = true;
    request->peer_uid = peer.uid;
    request->peer_gid = peer.gid;
    request->peer_pid = peer.pid;
}

/** Deferred: outside of MHD_run(). */
static void dispatch(void *arg)
{
    struct exchange *exchange = arg;
    struct http_request *request = &exchange->request;

    if (exchange->client == NULL || exchange->server == NULL || exchange->server->stopping) {
        http_exchange_unref(exchange); /* nobody is there to be answered */
        return;
    }
    *request = (struct http_request){.method = exchange->method,
                                     .path = exchange->path,
                                     .args = exchange->args,
                                     .headers = exchange->headers,
                                     .arg_count = exchange->arg_count,
                                     .header_count = exchange->header_count,
                                     .body = strbuf_text(&exchange->body),
                                     .body_len = exchange->body.len};
    read_peer(exchange, request);
    exchange->server->handler(request, &exchange->responder, exchange->server->arg);
}

#define PROBLEM(code, title, detail)                                                             \
    "{\"type\":\"about:blank\",\"title\":\"" title "\",\"status\":" code ",\"detail\":\"" detail \
    "\"}"
static const char large[] = PROBLEM("413", "Content Too Large", "a request's body may be 1 MiB");
/** What is beyond could not be kept, and must not be as if it had not been said. */
static const char many[] = PROBLEM("431", "Request Header Fields Too Large",
                                   "a request may have 64 arguments and 64 headers");
static const char stops[] = PROBLEM("503", "Service Unavailable", "the daemon is stopping");

static enum MHD_Result refuse(struct exchange *exchange, unsigned status, const char *problem)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(problem), (void *)(uintptr_t)problem, MHD_RESPMEM_PERSISTENT);

    if (exchange->step == READING) {
        exchange->step = ANSWERED;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/problem+json");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    const enum MHD_Result result = MHD_queue_response(exchange->client, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result begin(struct http_server *server, struct MHD_Connection *client,
                             const char *path, const char *method, void **slot)
{
    const char *length =
        MHD_lookup_connection_value(client, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    struct exchange *exchange = exchange_new(server, client, method, path);
    uint64_t bytes;

    *slot = exchange;
    exchange->too_large =
        length != NULL && (!str_to_u64(length, &bytes) || bytes > HTTP_SERVER_BODY);
    if (exchange->too_large &&
        MHD_lookup_connection_value(client, MHD_HEADER_KIND, MHD_HTTP_HEADER_EXPECT) != NULL) {
        return refuse(exchange, 413, large); /* it waits for leave to send it */
    }
    return MHD_YES; /* who does not ask gets to hear of it when all was sent, and not kept */
}

/** The whole request is here. */
static enum MHD_Result hand_over(struct exchange *exchange)
{
    struct pair_sink args = {exchange->args, &exchange->arg_count};
    struct pair_sink headers = {exchange->headers, &exchange->header_count};

    if (exchange->too_large) {
        return refuse(exchange, 413, large);
    }
    if (exchange->server->stopping) {
        return refuse(exchange, 503, stops);
    }
    if (MHD_get_connection_values(exchange->client, MHD_GET_ARGUMENT_KIND, NULL, NULL) >
            HTTP_PAIRS_MAX ||
        MHD_get_connection_values(exchange->client, MHD_HEADER_KIND, NULL, NULL) > HTTP_PAIRS_MAX) {
        return refuse(exchange, 431, many);
    }
    MHD_get_connection_values(exchange->client, MHD_GET_ARGUMENT_KIND, keep_pair, &args);
    MHD_get_connection_values(exchange->client, MHD_HEADER_KIND, keep_pair, &headers);
    exchange->step = HANDLING;
    http_exchange_patience(exchange, 0);
    exchange->refs++; /* the handler's */
    http_exchange_suspend(exchange);
    loop_defer(exchange->server->loop, dispatch, exchange);
    return MHD_YES;
}

static enum MHD_Result queue_answer(struct exchange *exchange)
{
    const enum MHD_Result result =
        MHD_queue_response(exchange->client, exchange->status, exchange->response);

    MHD_destroy_response(exchange->response); /* libmicrohttpd has its own reference */
    exchange->response = NULL;
    if (exchange->step == ANSWERED) {
        http_exchange_patience(exchange, 2 * exchange->server->patience_ms);
    }
    return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *client, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **slot)
{
    struct http_server *server = arg;
    struct exchange *exchange = *slot;
    (void)version;

    server->heard = true;
    if (exchange == NULL) {
        return begin(server, client, path, method, slot);
    }
    if (*data_len > 0) {
        exchange->too_large = exchange->too_large || exchange->step != READING ||
                              *data_len > HTTP_SERVER_BODY - exchange->body.len;
        if (!exchange->too_large) {
            strbuf_add(&exchange->body, data, *data_len);
        }
        *data_len = 0;
        return MHD_YES;
    }
    switch (exchange->step) {
    case READING:
        return hand_over(exchange);
    case HANDLING: /* resumed before it was answered: we are stopping */
        return refuse(exchange, 503, stops);
    case ANSWERED:
    case STREAMING:
        return exchange->response != NULL ? queue_answer(exchange) : MHD_NO;
    }
    return MHD_NO;
}

/* ---- the end of a request ---------------------------------------------------------------- */

static void server_unref(struct http_server *server)
{
    if (--server->refs > 0) {
        return;
    }
    loop_fn *done = server->done;
    void *arg = server->done_arg;

    free(server->unlink_path);
    free(server);
    done(arg);
}

/** Deferred: the handler is told, unless it has ended the stream meanwhile. */
static void tell_gone(void *arg)
{
    struct exchange *exchange = arg;
    struct http_server *teller = exchange->teller;

    if (!exchange->released) {
        exchange->released = true;
        exchange->gone(exchange->gone_arg);
        http_exchange_unref(exchange); /* the handler's */
    }
    http_exchange_unref(exchange); /* ours */
    server_unref(teller);
}

static void on_over(void *arg, struct MHD_Connection *client, void **slot,
                    enum MHD_RequestTerminationCode why)
{
    struct http_server *server = arg;
    struct exchange *exchange = *slot;
    (void)client;
    (void)why;

    if (exchange == NULL) {
        return;
    }
    *slot = NULL;
    http_exchange_unwatch(exchange);
    exchange->client = NULL;
    http_exchange_patience(exchange,
                           server->patience_ms); /* for the next request on the connection */
    exchange->connection = NULL;
    if (exchange->step == STREAMING) {
        server->streams--;
        if (!exchange->released) {
            exchange->refs++;
            exchange->teller = server;
            server->refs++;
            loop_defer(server->loop, tell_gone, exchange);
        }
    }
    http_exchange_unref(exchange); /* libmicrohttpd's */
}

/* ---- life -------------------------------------------------------------------------------- */

enum rc http_server_start(struct loop *loop, const struct http_server_options *options,
                          struct http_server **ret_server, struct err *err)
{
    struct http_server *server = mem_new(struct http_server);
    const union MHD_DaemonInfo *info;

    *server = (struct http_server){
        .loop = loop,
        .handler = options->handler,
        .arg = options->arg,
        .patience_ms = options->patience_ms > 0 ? options->patience_ms : HTTP_SERVER_PATIENCE_MS};
    server->mhd =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request,
                         server, MHD_OPTION_LISTEN_SOCKET, options->fd, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)HTTP_SERVER_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)(server->patience_ms / 1000 + 1), MHD_OPTION_NOTIFY_COMPLETED,
                         on_over, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                         MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    info = server->mhd != NULL ? MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (info == NULL || uv_poll_init(loop_uv(loop), &server->ready, info->epoll_fd) != 0) {
        if (server->mhd != NULL) {
            MHD_quiesce_daemon(server->mhd); /* the socket stays the caller's */
            MHD_stop_daemon(server->mhd);
        }
        free(server);
        return err_set(err, RC_IO, "libmicrohttpd did not start");
    }
    server->unlink_path = options->unlink_path != NULL ? str_dup(options->unlink_path) : NULL;
    server->sweep = loop_timer_new(loop, sweep, server);
    uv_timer_init(loop_uv(loop), &server->deadline);
    server->ready.data = server->deadline.data = server;
    server->refs = 2;
    uv_poll_start(&server->ready, UV_READABLE, on_ready);
    *ret_server = server;
    return RC_OK;
}

static void on_server_closed(uv_handle_t *handle)
{
    server_unref(handle->data);
}

void http_server_stop(struct http_server *server, loop_fn *done, void *arg)
{
    server->stopping = true;
    server->done = done;
    server->done_arg = arg;
    if (server->unlink_path != NULL) {
        unlink(server->unlink_path);
    }
    const MHD_socket fd = MHD_quiesce_daemon(server->mhd);
    if (fd != MHD_INVALID_SOCKET) {
        close(fd);
    }

    /* libmicrohttpd does not stop while connections are suspended. */
    for (struct exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        exchange->ended = true;
        http_exchange_resume(exchange);
    }
    run(server);
    run(server); /* the first resumed, the second writes */
    uv_poll_stop(&server->ready);
    uv_timer_stop(&server->deadline);
    MHD_stop_daemon(server->mhd);
    for (struct exchange *exchange = server->exchanges; exchange != NULL;
         exchange = exchange->next) {
        exchange->server = NULL;
    }
    loop_timer_free(server->sweep);
    uv_close((uv_handle_t *)&server->ready, on_server_closed);
    uv_close((uv_handle_t *)&server->deadline, on_server_closed);
}
