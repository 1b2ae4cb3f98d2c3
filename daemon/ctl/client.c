/** @file
 * The daemon's control socket, by libcurl.
 */
#include "daemon/ctl/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/mem.h"

#define ANSWER_MAX (64u << 20)
#define TICK_MS 200

struct call {
    const struct ctl *ctl;
    CURL *easy;
    struct curl_slist *headers;
    char *url, *payload;
    struct strbuf bytes;
    bool too_large;
};

static void call_done(struct call *call)
{
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    strbuf_done(&call->bytes);
    free(call->url);
    free(call->payload);
}

static void call_done_ptr(struct call *call)
{
    call_done(call);
}

static size_t keep(char *data, size_t size, size_t count, void *arg)
{
    struct call *call = arg;

    if (call->bytes.len + size * count > ANSWER_MAX) {
        call->too_large = true;
        return 0;
    }
    strbuf_add(&call->bytes, data, size * count);
    return size * count;
}

static void call_init(struct call *call, const struct ctl *ctl, const char *method,
                      const char *path, json_t *body)
{
    *call = (struct call){.ctl = ctl, .easy = curl_easy_init()};
    if (call->easy == NULL) {
        abort();
    }
    call->url = str_printf("http://localhost%s", path);
    curl_easy_setopt(call->easy, CURLOPT_URL, call->url);
    curl_easy_setopt(call->easy, CURLOPT_UNIX_SOCKET_PATH, ctl->socket);
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(call->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(call->easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    if (strcmp(method, "POST") == 0) {
        call->payload = body != NULL ? json_dumps(body, JSON_COMPACT) : str_dup("{}");
        call->headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->payload);
    }
    json_decref(body);
}

/** Nobody is there; the hint depends on what is. */
static enum ctl_exit no_daemon(const struct call *call)
{
    long number = 0;

    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &number);
    const char *why = number != 0 ? strerror((int)number) : "cannot connect";
    const char *hint = number == EACCES || number == EPERM
                           ? "root, the daemon's user and its group may connect"
                           : "start it (systemctl start sevird), or name its socket by --socket";

    ctl_fail("no daemon at '%s': %s; %s", call->ctl->socket, why, hint);
    return CTL_NO_DAEMON;
}

static enum ctl_exit tell_code(const struct call *call, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return CTL_DONE;
    case CURLE_COULDNT_CONNECT:
        return no_daemon(call);
    case CURLE_OPERATION_TIMEDOUT:
        ctl_fail("the daemon at '%s' did not answer in time", call->ctl->socket);
        return CTL_TIMED_OUT;
    default:
        return ctl_fail("the daemon at '%s': %s", call->ctl->socket,
                        call->too_large ? "its answer is too long" : curl_easy_strerror(code));
    }
}

/** The `detail` of a problem document, or the status. */
static enum ctl_exit tell_problem(const struct call *call, long status)
{
    json_t *problem = json_loadb(strbuf_text(&call->bytes), call->bytes.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *class = json_string_value(json_object_get(problem, "class"));
    const bool late = class != NULL && strcmp(class, "timeout") == 0;

    if (detail != NULL) {
        ctl_fail("%s", detail);
    } else {
        ctl_fail("the daemon answered with status %ld", status);
    }
    json_decref(problem);
    return late ? CTL_TIMED_OUT : CTL_FAILED;
}

static char *header_of(const struct call *call, const char *name)
{
    struct curl_header *header;

    return curl_easy_header(call->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? str_dup(header->value)
               : str_dup("");
}

enum ctl_exit client_fetch_noting(const struct ctl *ctl, const char *method, const char *path,
                                  json_t *body, int64_t timeout_ms, const char *header,
                                  char **ret_value, struct strbuf *ret_bytes)
{
    scoped(call_done) struct call call;
    long status = 0;

    call_init(&call, ctl, method, path, body);
    curl_easy_setopt(call.easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    const enum ctl_exit code = tell_code(&call, curl_easy_perform(call.easy));
    if (code != CTL_DONE) {
        return code;
    }
    curl_easy_getinfo(call.easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299) {
        return tell_problem(&call, status);
    }
    if (header != NULL) {
        *ret_value = header_of(&call, header);
    }
    *ret_bytes = call.bytes;
    call.bytes = (struct strbuf){0};
    return CTL_DONE;
}

enum ctl_exit client_fetch(const struct ctl *ctl, const char *method, const char *path,
                           json_t *body, int64_t timeout_ms, struct strbuf *ret_bytes)
{
    return client_fetch_noting(ctl, method, path, body, timeout_ms, NULL, NULL, ret_bytes);
}

enum ctl_exit client_call(const struct ctl *ctl, const char *method, const char *path, json_t *body,
                          int64_t timeout_ms, json_t **ret_answer)
{
    scoped(strbuf_done) struct strbuf bytes = {0};
    json_error_t at;
    const enum ctl_exit code = client_fetch(ctl, method, path, body, timeout_ms, &bytes);

    if (code != CTL_DONE) {
        return code;
    }
    *ret_answer = json_loadb(strbuf_text(&bytes), bytes.len, 0, &at);
    if (*ret_answer == NULL) {
        return ctl_fail("what answers at '%s' is no sevird: %s", ctl->socket, at.text);
    }
    return CTL_DONE;
}

/* ---- events ------------------------------------------------------------------------------ */

struct events {
    struct call call;
    client_event_fn *on_event;
    client_tick_fn *on_tick;
    void *arg;
    char *kind, *data;
    bool stopped;
};

static void take_line(struct events *events, const char *line)
{
    if (*line == '\0') {
        if (events->data != NULL && events->on_event != NULL && !events->stopped) {
            events->stopped = !events->on_event(events->kind != NULL ? events->kind : "message",
                                                events->data, events->arg);
        }
        free(TAKE(events->kind));
        free(TAKE(events->data));
    } else if (str_starts(line, "event: ")) {
        free(events->kind);
        events->kind = str_dup(line + 7);
    } else if (str_starts(line, "data: ")) {
        free(events->data);
        events->data = str_dup(line + 6);
    }
}

static size_t take_bytes(char *data, size_t size, size_t count, void *arg)
{
    struct events *events = arg;
    struct strbuf *held = &events->call.bytes;
    char *start, *end;
    long status = 0;

    strbuf_add(held, data, size * count);
    curl_easy_getinfo(events->call.easy, CURLINFO_RESPONSE_CODE, &status);
    if (held->len > ANSWER_MAX) {
        return 0;
    }
    if (status != 200) {
        return size * count; /* a problem document: kept whole */
    }
    for (start = held->data;
         (end = memchr(start, '\n', held->len - (size_t)(start - held->data))) != NULL &&
         !events->stopped;
         start = end + 1) {
        *end = '\0';
        take_line(events, start);
    }
    const size_t used = (size_t)(start - held->data);
    memmove(held->data, start, held->len - used);
    held->len -= used;
    return events->stopped ? 0 : size * count;
}

/** Drives the transfer, so that ticks come whether or not there are events. */
static CURLcode drive(struct events *events)
{
    CURLM *multi = curl_multi_init();
    CURLcode code = CURLE_OK;
    int running = 1, left;

    curl_multi_add_handle(multi, events->call.easy);
    while (running > 0 && !events->stopped) {
        if (curl_multi_perform(multi, &running) != CURLM_OK ||
            (running > 0 && curl_multi_poll(multi, NULL, 0, TICK_MS, NULL) != CURLM_OK)) {
            code = CURLE_RECV_ERROR;
            break;
        }
        if (events->on_tick != NULL && !events->stopped) {
            events->stopped = !events->on_tick(events->arg);
        }
    }
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    if (message != NULL) {
        code = message->data.result;
    }
    curl_multi_remove_handle(multi, events->call.easy);
    curl_multi_cleanup(multi);
    return code;
}

enum ctl_exit client_events(const struct ctl *ctl, const char *path, client_event_fn *on_event,
                            client_tick_fn *on_tick, void *arg, bool *ret_ended)
{
    struct events events = {.on_event = on_event, .on_tick = on_tick, .arg = arg};
    enum ctl_exit result = CTL_DONE;
    long status = 0;

    call_init(&events.call, ctl, "GET", path, NULL);
    curl_easy_setopt(events.call.easy, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(events.call.easy, CURLOPT_WRITEDATA, &events);
    const CURLcode code = drive(&events);
    curl_easy_getinfo(events.call.easy, CURLINFO_RESPONSE_CODE, &status);
    *ret_ended = !events.stopped;
    if (!events.stopped && status != 0 && status != 200) {
        result = tell_problem(&events.call, status);
    } else if (!events.stopped && status == 0) {
        result = tell_code(&events.call, code);
    }
    free(events.kind);
    free(events.data);
    call_done(&events.call);
    return result;
}

/* ---- words ------------------------------------------------------------------------------- */

char *client_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0);

    if (escaped == NULL) {
        abort();
    }
    char *copy = str_dup(escaped);
    curl_free(escaped);
    return copy;
}

char *client_uri(const char *word)
{
    struct stat st;

    if (word[0] != '/' && strstr(word, "://") == NULL && stat(word, &st) == 0) {
        char *absolute = realpath(word, NULL);
        if (absolute != NULL) {
            return absolute;
        }
    }
    return str_dup(word);
}
