/** @file
 * Two servers, one table of routes: who may ask for what, and how answers look.
 */
#include "daemon/ops/ops.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/ops/kept.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

/* ---- answers ----------------------------------------------------------------------------- */

static void ops_unref(struct ops *ops)
{
    if (--ops->refs == 0) {
        kept_free(ops->kept);
        ops_copy_unref(ops->copy);
        free(ops);
    }
}

/** The servers are gone, and nothing of ours uses what is taken down next. */
static void try_finish(struct ops *ops)
{
    if (ops->done == NULL || ops->stopping > 0 || ops->waited > 0) {
        return;
    }
    loop_fn *done = ops->done;
    void *arg = ops->done_arg;

    ops->done = NULL;
    ops_unref(ops);
    done(arg);
}

void ops_call_waited(struct ops_call *call, bool waited)
{
    if (call->waited != waited) {
        call->waited = waited;
        call->ops->waited += waited ? 1 : -1u;
    }
}

void ops_call_free(struct ops_call *call)
{
    ops_call_waited(call, false);
    try_finish(call->ops);
    ops_unref(call->ops);
    free(call->name);
    free(call);
}

void ops_answer(struct ops_call *call, unsigned status, const char *type, struct strbuf *body)
{
    if (call->route != NULL && (call->route->flags & OPS_WRITES) != 0) {
        log_note(LOG_CONTROL, "%s %s by uid %u pid %d: %u", call->request->method,
                 call->route->path, (unsigned)call->request->peer_uid, (int)call->request->peer_pid,
                 status);
    }
    http_respond(call->responder, status, type, body);
    ops_call_free(call);
}

void ops_answer_json(struct ops_call *call, struct strbuf *body)
{
    ops_answer(call, 200, "application/json", body);
}

void ops_answer_done(struct ops_call *call)
{
    scoped(strbuf_done) struct strbuf body = {0};

    strbuf_puts(&body, "{\"done\":true}\n");
    ops_answer_json(call, &body);
}

static const char *title_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},           {403, "Forbidden"},       {404, "Not Found"},
        {405, "Method Not Allowed"},    {409, "Conflict"},        {421, "Misdirected Request"},
        {500, "Internal Server Error"}, {501, "Not Implemented"}, {503, "Service Unavailable"},
        {504, "Gateway Timeout"}};

    for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
        if (titles[i].status == status) {
            return titles[i].title;
        }
    }
    return "Error";
}

static void problem(struct ops_call *call, unsigned status, const char *class, const char *detail)
{
    scoped(strbuf_done) struct strbuf body = {0};

    strbuf_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":",
                  title_of(status), status);
    strbuf_json(&body, detail);
    strbuf_puts(&body, ",\"instance\":");
    strbuf_json(&body, call->request->path);
    if (class != NULL) {
        strbuf_puts(&body, ",\"class\":\"");
        for (; *class != '\0'; class ++) {
            strbuf_putc(&body, (char)tolower((unsigned char)*class));
        }
        strbuf_putc(&body, '"');
    }
    strbuf_puts(&body, "}\n");
    ops_answer(call, status, "application/problem+json", &body);
}

void ops_problem(struct ops_call *call, unsigned status, const char *fmt, ...)
{
    scoped(free) char *detail = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&detail, fmt, ap) < 0) {
        abort();
    }
    va_end(ap);
    problem(call, status, NULL, detail);
}

unsigned ops_status_of(enum rc rc)
{
    switch (rc) {
    case RC_NOT_FOUND:
        return 404;
    case RC_INVALID:
    case RC_CORRUPT:
        return 400;
    case RC_DENIED:
        return 403;
    case RC_CONFLICT:
    case RC_CHANGED:
        return 409;
    case RC_UNSUPPORTED:
        return 501;
    case RC_TIMEOUT:
        return 504;
    case RC_LIMIT:
    case RC_CANCELED:
    case RC_THROTTLED:
        return 503;
    default:
        return 500;
    }
}

void ops_problem_err(struct ops_call *call, const struct err *err)
{
    problem(call, ops_status_of(err->rc), rc_name(err->rc), err->text);
}

/* ---- values ------------------------------------------------------------------------------ */

json_t *ops_body(struct ops_call *call)
{
    json_error_t at;
    json_t *body;

    if (call->request->body_len == 0) {
        return json_object();
    }
    body = json_loadb(call->request->body, call->request->body_len, JSON_REJECT_DUPLICATES, &at);
    if (body == NULL) {
        ops_problem(call, 400, "the body is no JSON: line %d column %d: %s", at.line, at.column,
                    at.text);
    } else if (!json_is_object(body)) {
        json_decref(body);
        body = NULL;
        ops_problem(call, 400, "the body must be a JSON object");
    }
    return body;
}

bool ops_arg_number(struct ops_call *call, const char *name, uint64_t min, uint64_t max,
                    uint64_t missing, uint64_t *ret_number)
{
    const char *text = http_request_arg(call->request, name);

    *ret_number = missing;
    if (text != NULL && (!str_to_u64(text, ret_number) || *ret_number < min || *ret_number > max)) {
        ops_problem(call, 400, "'%s': '%.60s' is no whole number from %llu to %llu", name, text,
                    (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    return true;
}

bool ops_id(struct ops_call *call, uint64_t *ret_id)
{
    if (!str_to_u64(call->name, ret_id) || *ret_id == 0 || *ret_id > INT64_MAX) {
        ops_problem(call, 404, "'%.60s' is no job's number", call->name);
        return false;
    }
    return true;
}

void ops_time_json(struct strbuf *out, int64_t epoch_ms)
{
    char text[NOW_TEXT];

    if (epoch_ms == 0) {
        strbuf_puts(out, "null");
        return;
    }
    now_format_iso_ms(epoch_ms, text);
    strbuf_printf(out, "\"%s\"", text);
}

#define SMALL_BYTES (UINT64_C(1) << 20)

static void on_granted(struct budget_ticket *ticket, void *arg)
{
    (void)ticket;
    (void)arg;
}

enum rc ops_budget(struct ops *ops, struct budget_ticket *ticket, uint64_t bytes, struct err *err)
{
    struct budget *budget = ops->services->budget;

    if (bytes <= SMALL_BYTES) {
        return RC_OK;
    }
    if (budget_waiting(budget) > 0 || bytes > budget_limit(budget) ||
        budget_granted(budget) > budget_limit(budget) - bytes) {
        return err_set(err, RC_LIMIT, "the memory budget is in use; try again");
    }
    return budget_acquire(budget, ticket, bytes, on_granted, NULL,
                          err); /* at once: there is room */
}

/* ---- who may ask ------------------------------------------------------------------------- */

/** Host and port of "host:port", "[v6]:port" or "host" (then port 80). */
static bool split_host(const char *header, char ret_host[64], uint64_t *ret_port)
{
    const char *end = header[0] == '[' ? strchr(header, ']') : NULL;
    const char *colon = strchr(end != NULL ? end : header, ':');
    const char *start = end != NULL ? header + 1 : header;
    const size_t len = end != NULL     ? (size_t)(end - start)
                       : colon != NULL ? (size_t)(colon - start)
                                       : strlen(start);

    if (len == 0 || len >= 64 || (end != NULL && end[1] != '\0' && end[1] != ':')) {
        return false;
    }
    memcpy(ret_host, start, len);
    ret_host[len] = '\0';
    *ret_port = 80;
    return colon == NULL || str_to_u64(colon + 1, ret_port);
}

/** Whether a Host header names our listener. Only then did a browser mean us: a page from elsewhere
 * whose name was made to point here (DNS rebinding) still sends its own name. */
static bool names_us(const char *header, const char *address)
{
    struct conf_listen ours, theirs;
    char host[64], self[64] = "";
    scoped(free) char *literal = NULL;
    uint64_t port;
    struct err err;

    if (!split_host(header, host, &port) || conf_listen_parse(address, &ours, &err) != RC_OK ||
        port != ours.port) {
        return false;
    }
    const bool any = strcmp(ours.host, "0.0.0.0") == 0 || strcmp(ours.host, "::") == 0;
    if (strcasecmp(host, "localhost") == 0) {
        return ours.loopback || any;
    }
    literal = str_printf(strchr(host, ':') != NULL ? "[%s]:1" : "%s:1", host);
    if (conf_listen_parse(literal, &theirs, &err) == RC_OK) {
        return any || strcmp(theirs.host, ours.host) == 0;
    }
    return !ours.loopback && gethostname(self, sizeof(self) - 1) == 0 &&
           strcasecmp(host, self) == 0;
}

/** One Host header, as RFC 9112 (3.2) has it, and it names us: of two, a proxy before us might have
 * gone by the other. */
static bool is_meant(const struct http_request *request, const char *address)
{
    unsigned named = 0;

    for (unsigned i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, "Host") == 0) {
            named += names_us(request->headers[i].value, address) ? 1 : 2;
        }
    }
    return named == 1;
}

static bool may_write(const struct http_request *request)
{
    return request->has_peer && (request->peer_uid == 0 || request->peer_uid == geteuid());
}

/* ---- routing ----------------------------------------------------------------------------- */

/** Whether the path is the route's; what stands for its {part} goes into `ret_name`. */
static bool matches(const struct ops_route *route, const char *path, char **ret_name)
{
    const char *pattern = route->path;
    const char *open = strchr(pattern, '{');

    if (open == NULL) {
        return strcmp(pattern, path) == 0;
    }
    const size_t head = (size_t)(open - pattern);
    const char *rest = strchr(open, '}') + 1;

    if (strncmp(pattern, path, head) != 0) {
        return false;
    }
    const size_t len =
        (route->flags & OPS_REST) != 0 ? strlen(path + head) : strcspn(path + head, "/");
    if (len == 0 || strcmp(path + head + len, rest) != 0) {
        return false;
    }
    *ret_name = str_dup_n(path + head, len);
    return true;
}

/** The route of a request; NULL when there is none: then `ret_allow` lists the path's methods. */
static const struct ops_route *find_route(struct ops_call *call, struct strbuf *ret_allow)
{
    const char *method = call->request->method;
    const bool head = strcmp(method, "HEAD") == 0;

    for (unsigned i = 0; i < ops_route_count; i++) {
        const struct ops_route *route = &ops_routes[i];
        char *name = NULL;

        if ((call->over_tcp && (route->flags & OPS_TCP) == 0) ||
            !matches(route, call->request->path, &name)) {
            continue;
        }
        if (strcmp(route->method, head ? "GET" : method) == 0) {
            call->name = name;
            return route;
        }
        free(name);
        strbuf_printf(ret_allow, "%s%s", ret_allow->len > 0 ? ", " : "",
                      strcmp(route->method, "GET") == 0 ? "GET, HEAD" : route->method);
    }
    return NULL;
}

static bool is_reading(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static void serve(struct ops *ops, const struct http_request *request,
                  struct http_responder *responder, bool over_tcp)
{
    struct ops_call *call = mem_new(struct ops_call);
    scoped(strbuf_done) struct strbuf allow = {0};

    *call = (struct ops_call){
        .ops = ops, .request = request, .responder = responder, .over_tcp = over_tcp};
    ops->refs++;
    if (over_tcp && !is_meant(request, ops->http_address)) {
        ops_problem(call, 421, "the Host header does not name this listener, '%s'",
                    ops->http_address);
        return;
    }
    if (over_tcp && !is_reading(request->method)) {
        http_responder_header(responder, "Allow", "GET, HEAD");
        ops_problem(call, 405, "this listener only reads; use the control socket");
        return;
    }
    const struct ops_route *route = find_route(call, &allow);
    if (route == NULL && allow.len > 0) {
        http_responder_header(responder, "Allow", strbuf_text(&allow));
        ops_problem(call, 405, "'%.40s' is not for '%.100s'", request->method, request->path);
    } else if (route == NULL) {
        ops_problem(call, 404, "there is nothing at '%.200s'; GET /v1 lists what there is",
                    request->path);
    } else if ((route->flags & OPS_WRITES) != 0 && !may_write(request)) {
        ops_problem(call, 403, "only root and the daemon's own user may do this");
    } else {
        call->route = route;
        ops_call_waited(call, (route->flags & OPS_WRITES) == 0);
        route->run(call);
    }
}

static void on_control(const struct http_request *request, struct http_responder *responder,
                       void *arg)
{
    serve(arg, request, responder, false);
}

static void on_http(const struct http_request *request, struct http_responder *responder, void *arg)
{
    serve(arg, request, responder, true);
}

/* ---- life -------------------------------------------------------------------------------- */

static enum rc start_control(struct ops *ops, struct err *err)
{
    const char *path = ops->services->conf->control_socket;
    struct http_server_options options = {.handler = on_control, .arg = ops};

    options.fd = daemon_take_socket(ops->daemon, "control");
    if (options.fd < 0) {
        scoped(free) char *dir = str_dup_n(path, (size_t)(str_basename(path) - path));

        if (fs_mkdirs(dir, 0755, err) != RC_OK ||
            http_listen_unix(path, 0660, &options.fd, err) != RC_OK) {
            return err->rc;
        }
        options.unlink_path = path;
    }
    if (http_server_start(ops->services->loop, &options, &ops->control, err) != RC_OK) {
        close(options.fd);
        return err_wrap(err, "control socket");
    }
    log_info(LOG_CONTROL, "listening at '%s'", path);
    return RC_OK;
}

static enum rc start_http(struct ops *ops, struct err *err)
{
    const char *address = ops->services->conf->http_listen;
    struct http_server_options options = {.handler = on_http, .arg = ops};
    struct conf_listen listen;

    options.fd = daemon_take_socket(ops->daemon, "http");
    if (options.fd < 0) {
        if (address == NULL) {
            return RC_OK;
        }
        if (conf_listen_parse(address, &listen, err) != RC_OK ||
            http_listen_tcp(listen.host, listen.port, &options.fd, err) != RC_OK) {
            return err_wrap(err, "'http.listen'");
        }
    }
    http_listen_name(options.fd, ops->http_address, sizeof(ops->http_address));
    if (http_server_start(ops->services->loop, &options, &ops->http, err) != RC_OK) {
        close(options.fd);
        return err_wrap(err, "HTTP listener");
    }
    log_info(LOG_CONTROL, "listening at http://%s/", ops->http_address);
    return RC_OK;
}

static void on_server_stopped(void *arg)
{
    struct ops *ops = arg;

    ops->stopping--;
    try_finish(ops);
}

void ops_stop(struct ops *ops, loop_fn *done, void *arg)
{
    ops->done = done;
    ops->done_arg = arg;
    ops_events_stop(ops);
    ops_athena_stop(ops);
    ops_history_stop(TAKE(ops->history));
    ops->stopping = (ops->control != NULL ? 1 : 0) + (ops->http != NULL ? 1 : 0);
    if (ops->http != NULL) {
        http_server_stop(ops->http, on_server_stopped, ops);
    }
    if (ops->control != NULL) {
        http_server_stop(ops->control, on_server_stopped, ops);
    }
}

static void forget(void *arg)
{
    (void)arg;
}

enum rc ops_start(struct services *services, struct daemon *daemon, struct ops **ret_ops,
                  struct err *err)
{
    struct ops *ops = mem_new(struct ops);

    *ops = (struct ops){.services = services, .daemon = daemon, .kept = kept_new(), .refs = 1};
    if (start_control(ops, err) != RC_OK) {
        kept_free(ops->kept);
        free(ops);
        return err->rc;
    }
    ops->history = ops_history_start(services);
    if (start_http(ops, err) != RC_OK) {
        ops_stop(ops, forget, NULL);
        return err->rc;
    }
    *ret_ops = ops;
    return RC_OK;
}

const char *ops_http_address(const struct ops *ops)
{
    return ops->http_address;
}
