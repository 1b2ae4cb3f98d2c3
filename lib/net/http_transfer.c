/** @file
 * One transfer: libcurl's easy handle, what it sends, what it receives, and the verdict.
 *
 * Handles and the memory around them are used again and again: a request of 50 kB costs some 30 us,
 * of which building everything anew would be a third. So what is the same for all calls is set when
 * a handle is made, the rest by http_transfer_set(), which must leave nothing of the call before.
 *
 * A small body travels in the same segment as the headers (libcurl's POSTFIELDS, whatever the
 * method); a large one is read piece by piece, which also shows how far it is.
 *
 * libcurl takes a URL apart and puts it together again in each transfer, piece by piece. So where
 * no proxy must be told of it, the origin is taken apart once, and path and query go as they are.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/net/http_p.h"

#define INLINE_BODY ((64u << 10) - 1) /**< As libcurl's MAX_INITIAL_POST_SIZE. */
#define RECEIVE_BYTES (64L << 10)
#define KEPT_BETWEEN (256u << 10) /**< A longer body's memory is let go. */

/* ---- libcurl asks */

static void moved(struct http_transfer *transfer)
{
    transfer->moved_ms = now_mono_ms();
}

static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct http_transfer *transfer = arg;
    (void)remote_ip, (void)local_ip, (void)remote_port, (void)local_port;

    moved(transfer);
    transfer->moving = true;
    http_watch(transfer);
    return CURL_PREREQFUNC_OK;
}

/** libcurl's own would not close it in a child, and does not say which limit was met. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_transfer *transfer = arg;
    const int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    (void)purpose;

    if (fd < 0) {
        transfer->socket_errno = errno;
        return CURL_SOCKET_BAD;
    }
    http_loop_open(transfer->client, fd);
    return fd;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = arg;
    const size_t n = MIN_OF(size * count, transfer->body_len - transfer->body_taken);

    moved(transfer);
    memcpy(buffer, transfer->body + transfer->body_taken, n);
    transfer->body_taken += n;
    if (transfer->progress != NULL && !transfer->progressed) {
        transfer->progressed = true;
        transfer->next_progress = transfer->client->progressing;
        transfer->client->progressing = transfer;
    }
    return n;
}

/** A kept connection was found dead: from the start again. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
    struct http_transfer *transfer = arg;

    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->body_len) {
        return CURL_SEEKFUNC_FAIL;
    }
    transfer->body_taken = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/** "HTTP/1.1 200 OK", "HTTP/2 200"; 0 for what is none. */
static unsigned parse_status(const char *line, size_t len)
{
    const char *blank = len > 5 && memcmp(line, "HTTP/", 5) == 0 ? memchr(line, ' ', len) : NULL;
    unsigned status = 0;

    if (blank == NULL || line + len - blank < 4) {
        return 0;
    }
    for (const char *digit = blank + 1; digit < blank + 4; digit++) {
        if (!isdigit((unsigned char)*digit)) {
            return 0;
        }
        status = status * 10 + (unsigned)(*digit - '0');
    }
    return status;
}

static void head_clear(struct http_transfer *transfer)
{
    strbuf_reset(&transfer->head);
    transfer->header_count = 0;
}

static void head_add(struct http_transfer *transfer, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    const char *value, *end = line + len;
    const size_t from = transfer->head.len;

    if (colon == NULL || colon == line) {
        return; /* the blank line at the end */
    }
    value = colon + 1;
    while (value < end && isspace((unsigned char)*value)) {
        value++;
    }
    while (end > value && isspace((unsigned char)end[-1])) {
        end--;
    }
    strbuf_add(&transfer->head, line, (size_t)(colon - line));
    for (char *c = transfer->head.data + from; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    strbuf_putc(&transfer->head, '\0');
    strbuf_add(&transfer->head, value, strnlen(value, (size_t)(end - value)));
    strbuf_putc(&transfer->head, '\0');
    transfer->header_count++;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = arg;
    const size_t len = size * count;
    const unsigned status = parse_status(line, len);

    moved(transfer);
    if (status != 0) { /* of an interim answer, or the final one after it */
        head_clear(transfer);
        transfer->status = status;
        return len;
    }
    if (transfer->header_count >= HTTP_HEADERS_MAX || transfer->head.len + len > HTTP_HEAD_BYTES ||
        memchr(line, '\0', len) != NULL) {
        err_set(&transfer->fault, RC_CORRUPT, "the answer's headers are too many or too long");
        return 0;
    }
    head_add(transfer, line, len);
    return len;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *arg)
{
    struct http_transfer *transfer = arg;
    const size_t len = size * count;

    moved(transfer);
    if (transfer->sink != NULL && transfer->status / 100 == 2) {
        if (len > transfer->sink_len - transfer->sunk) {
            err_set(&transfer->fault, RC_CORRUPT, "the body is longer than the %zu bytes asked for",
                    transfer->sink_len);
            return 0;
        }
        memcpy(transfer->sink + transfer->sunk, bytes, len);
        transfer->sunk += len;
        return len;
    }
    if (len > transfer->body_max - transfer->kept.len) {
        err_set(&transfer->fault, RC_CORRUPT, "the body is longer than %zu bytes",
                transfer->body_max);
        return 0;
    }
    strbuf_add(&transfer->kept, bytes, len);
    return len;
}

/* ---- a handle */

static void set_callbacks(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->why);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    /* A connection outlives the transfer that opened it. */
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, http_loop_close);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer->client);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

struct http_transfer *http_transfer_new(struct http_client *client)
{
    struct http_transfer *transfer = mem_new(struct http_transfer);
    CURL *easy = curl_easy_init();

    if (easy == NULL) {
        abort();
    }
    transfer->client = client;
    transfer->easy = easy;
    set_callbacks(transfer);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    /* Else an end during a look-up would wait for the look-up's thread. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT,
                     client->user_agent != NULL ? client->user_agent : "sevird/" SEVIRD_VERSION);
    if (client->ca_bundle != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_bundle);
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, client->ca_bundle);
    }
    curl_easy_setopt(easy, CURLOPT_PROXY, client->any_proxy ? client->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, client->any_proxy ? NULL : "*");
    transfer->direct = !client->any_proxy;
    return transfer;
}

void http_transfer_free(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_url_cleanup(transfer->root);
    strbuf_done(&transfer->text);
    strbuf_done(&transfer->head);
    strbuf_done(&transfer->kept);
    free(transfer->lines);
    free(transfer->headers);
    free(transfer);
}

void http_transfer_clear(struct http_transfer *transfer)
{
    head_clear(transfer);
    strbuf_reset(&transfer->text);
    strbuf_reset(&transfer->kept);
    if (transfer->kept.cap > KEPT_BETWEEN) {
        strbuf_done(&transfer->kept);
    }
    transfer->body = NULL;
    transfer->sink = NULL;
    transfer->body_len = transfer->body_taken = transfer->sink_len = transfer->sunk = 0;
    transfer->status = 0;
    transfer->progressed = transfer->moving = false;
    transfer->socket_errno = 0;
    transfer->fault.rc = RC_OK;
    transfer->why[0] = '\0';
}

/* ---- what is sent */

static void set_custom(struct http_transfer *transfer, const char *method)
{
    if (strcmp(transfer->custom, method) != 0) {
        snprintf(transfer->custom, sizeof(transfer->custom), "%s", method);
        curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, method[0] != '\0' ? method : NULL);
    }
}

static bool is_upload(const struct http_call *call)
{
    return strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0;
}

static bool has_body(const struct http_call *call)
{
    return call->body_len > 0 || is_upload(call);
}

/** It goes out in the same segment as its headers. */
static bool is_inline(const struct http_call *call)
{
    return call->body_len <= INLINE_BODY && call->progress == NULL;
}

static void set_method(struct http_transfer *transfer, const struct http_call *call)
{
    CURL *easy = transfer->easy;
    const bool put = strcmp(call->method, "PUT") == 0, post = strcmp(call->method, "POST") == 0;

    curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* undoes what the others set */
    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        set_custom(transfer, "");
    } else if (!has_body(call)) {
        set_custom(transfer, strcmp(call->method, "GET") == 0 ? "" : call->method);
    } else if (is_inline(call)) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body_len > 0 ? call->body : "");
        set_custom(transfer, post ? "" : call->method);
    } else {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body_len);
        set_custom(transfer, put ? "" : call->method);
    }
}

static bool is_header(const char *line, const char *name)
{
    const size_t len = strlen(name);

    return strncasecmp(line, name, len) == 0 && (line[len] == ':' || line[len] == ';');
}

/** What libcurl looks for among the lines that it is given, to leave its own out or to do as they
 * say. */
static bool is_known_to_curl(const char *line)
{
    static const char *const names[] = {
        "accept", "accept-encoding", "connection", "content-length", "content-type",
        "cookie", "expect",          "host",       "range",          "referer",
        "te",     "user-agent",      "upgrade",    "trailer",        "transfer-encoding",
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if ((line[0] | 0x20) == names[i][0] && is_header(line, names[i])) {
            return true;
        }
    }
    return false;
}

/** The line that libcurl would make of the URL itself, and at less cost. */
static bool is_host_of(const char *line, const char *url)
{
    const char *host = line + strlen("host:"), *authority = strstr(url, "://"), *port;
    size_t len;

    if (!is_header(line, "host") || authority == NULL) {
        return false;
    }
    host += strspn(host, " ");
    authority += 3;
    len = strcspn(authority, "/?#");
    port = memchr(authority, ':', len);
    return strlen(host) == len && memcmp(host, authority, len) == 0 && authority[0] != '[' &&
           (port == NULL || (port[1] > '0' && port[1] <= '9'));
}

static void end_line(struct http_transfer *transfer)
{
    strbuf_putc(&transfer->text, '\0');
    transfer->line_count++;
}

/** "Name;" is how libcurl is told of an empty header, which goes out as "Name:". */
static bool is_empty(const char *line)
{
    const char *end = strpbrk(line, ":;");

    return end != NULL && strcmp(end, ";") == 0;
}

/** libcurl compares each line that it is given with a score of names, and sends it as it is. So
 * what it need not know is told as one line. */
static void add_unknown(struct http_transfer *transfer, const struct http_call *call)
{
    struct strbuf *text = &transfer->text;
    const size_t from = text->len;
    const char *last = NULL;
    unsigned count = 0;

    for (unsigned i = 0; i < call->header_count; i++) {
        const char *line = call->headers[i];

        if (!is_known_to_curl(line)) {
            strbuf_puts(text, count++ > 0 ? "\r\n" : "");
            strbuf_add(text, line, strlen(line) - is_empty(line));
            strbuf_puts(text, is_empty(line) ? ":" : "");
            last = line;
        }
    }
    if (count == 1 && is_empty(last)) { /* libcurl would leave "Name:" out */
        text->data[text->len - 1] = ';';
    }
    if (text->len > from) {
        end_line(transfer);
    }
}

static void add_lines(struct http_transfer *transfer, const struct http_call *call)
{
    add_unknown(transfer, call);
    for (unsigned i = 0; i < call->header_count; i++) {
        const char *line = call->headers[i];

        if (is_known_to_curl(line) && !is_host_of(line, call->url)) {
            strbuf_puts(&transfer->text, line);
            end_line(transfer);
        }
    }
}

/** URL and lines into `text`, and libcurl's list over it: one block instead of two a line. */
static enum rc set_text(struct http_transfer *transfer, const struct http_call *call,
                        struct err *err)
{
    bool typed = false;
    char *text;

    strbuf_add(&transfer->text, call->url, strlen(call->url) + 1);
    for (unsigned i = 0; i < call->header_count; i++) {
        if (strpbrk(call->headers[i], "\r\n") != NULL) {
            return err_set(err, RC_INVALID, "a header of two lines");
        }
        typed = typed || is_header(call->headers[i], "content-type");
    }
    transfer->line_count = 0;
    add_lines(transfer, call);
    if (has_body(call) && !is_inline(call)) {
        strbuf_puts(&transfer->text, "Expect:");
        end_line(transfer);
    } else if (has_body(call) && !typed) {
        strbuf_puts(&transfer->text, "Content-Type:");
        end_line(transfer);
    }
    if (transfer->line_count > transfer->line_cap) {
        transfer->line_cap = transfer->line_count;
        transfer->lines = mem_resize(transfer->lines, transfer->line_cap, sizeof(*transfer->lines));
    }
    text = transfer->text.data;
    transfer->url = text;
    for (unsigned i = 0; i < transfer->line_count; i++) {
        text += strlen(text) + 1;
        transfer->lines[i] = (struct curl_slist){text, &transfer->lines[i + 1]};
    }
    if (transfer->line_count > 0) {
        transfer->lines[transfer->line_count - 1].next = NULL;
    }
    return RC_OK;
}

static void set_times(struct http_transfer *transfer, const struct http_call *call)
{
    transfer->connect_ms = call->connect_ms > 0 ? call->connect_ms : HTTP_CONNECT_MS;
    transfer->idle_ms =
        (call->idle_ms > 0 ? call->idle_ms : transfer->client->idle_ms) + call->wait_ms;
    transfer->total_ms = call->total_ms;
    transfer->began_ms = transfer->moved_ms = now_mono_ms();
}

/** What goes to this host goes through no other. */
static void set_proxy(struct http_transfer *transfer)
{
    const struct http_client *client = transfer->client;
    const bool direct = transfer->place.loopback || !client->any_proxy;

    if (direct != transfer->direct) {
        curl_easy_setopt(transfer->easy, CURLOPT_PROXY, direct ? "" : client->proxy);
        curl_easy_setopt(transfer->easy, CURLOPT_NOPROXY, direct ? "*" : NULL);
        transfer->direct = direct;
    }
}

/** The origin as libcurl reads it; NULL: it refuses to, or loses what stands behind a '%'. */
static CURLU *root_of(const struct http_place *place)
{
    CURLU *root = curl_url();

    if (strchr(place->origin, '%') != NULL ||
        curl_url_set(root, CURLUPART_URL, place->origin, 0) != CURLUE_OK) {
        curl_url_cleanup(TAKE(root));
    }
    return root;
}

/** Whether it may go out as it is: libcurl drops fragments, and encodes what is not ASCII. */
static bool is_target(const char *target)
{
    const char *c = target;

    while (*c != '\0' && *c != '#' && (unsigned char)*c < 0x80) {
        c++;
    }
    return target[0] == '/' && *c == '\0';
}

static enum rc set_url(struct http_transfer *transfer, struct err *err)
{
    CURL *easy = transfer->easy;
    struct http_place *place = &transfer->place;
    const char *target = transfer->url + strlen(place->origin);
    CURLcode code;

    if (place->is_new) {
        curl_url_cleanup(transfer->root);
        transfer->root = root_of(place);
        transfer->rooted = place->is_new = false;
    }
    if (transfer->root != NULL && transfer->direct && is_target(target)) {
        if (!transfer->rooted) { /* the URL of a call before would be asked for again */
            curl_easy_setopt(easy, CURLOPT_URL, NULL);
            curl_easy_setopt(easy, CURLOPT_CURLU, transfer->root);
        }
        transfer->rooted = true;
        code = curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, target);
    } else { /* a proxy is told the whole of it; what is wrong with it libcurl says */
        transfer->rooted = false;
        curl_easy_setopt(easy, CURLOPT_CURLU, NULL);
        curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, NULL);
        code = curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    }
    return code == CURLE_OK ? RC_OK
                            : err_set(err, RC_INVALID, "%s: a URL of %zu bytes", place->origin,
                                      strlen(transfer->url));
}

enum rc http_transfer_set(struct http_transfer *transfer, const struct http_call *call,
                          struct err *err)
{
    const struct http_client *client = transfer->client;
    CURL *easy = transfer->easy;

    transfer->progress = call->progress;
    transfer->body = call->body;
    transfer->body_len = call->body_len;
    transfer->sink = call->sink;
    transfer->sink_len = call->sink_len;
    transfer->body_max = call->body_max > 0 ? call->body_max : HTTP_BODY_MAX;
    set_times(transfer, call);
    if (strlen(call->method) >= sizeof(transfer->custom)) {
        return err_set(err, RC_INVALID, "'%.40s' is no method", call->method);
    }
    if (http_url_check(call->url, client->allow_plain, &transfer->place, err) != RC_OK ||
        set_text(transfer, call, err) != RC_OK) {
        return err->rc;
    }
    set_proxy(transfer);
    if (set_url(transfer, err) != RC_OK) {
        return err->rc;
    }
    set_method(transfer, call);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->line_count > 0 ? transfer->lines : NULL);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)transfer->connect_ms);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, call->fresh ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, call->fresh ? 0L : 60L);
    return RC_OK;
}

/* ---- the verdict */

static enum rc judge_code(const struct http_transfer *transfer, CURLcode result)
{
    switch (result) {
    case CURLE_OPERATION_TIMEDOUT:
        return RC_TIMEOUT;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
        return RC_INVALID;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY:
        return RC_HOST;
    default:
        return transfer->socket_errno == EMFILE || transfer->socket_errno == ENFILE ? RC_HOST
                                                                                    : RC_NETWORK;
    }
}

enum rc http_transfer_judge(struct http_transfer *transfer, CURLcode result, struct err *err)
{
    char origin[HTTP_ORIGIN_MAX], why[CURL_ERROR_SIZE];

    if (result == CURLE_OK) {
        return RC_OK;
    }
    http_url_origin(transfer->url, origin, sizeof(origin));
    if (transfer->fault.rc != RC_OK) {
        return err_set(err, transfer->fault.rc, "%s: %s", origin, transfer->fault.text);
    }
    if (transfer->socket_errno != 0) {
        return err_set(err, judge_code(transfer, result), "%s: cannot open a socket: %s", origin,
                       strerror(transfer->socket_errno));
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        return err_set(err, RC_TIMEOUT, "%s: no connection within %" PRId64 " ms", origin,
                       transfer->connect_ms);
    }
    snprintf(why, sizeof(why), "%s",
             transfer->why[0] != '\0' ? transfer->why : curl_easy_strerror(result));
    if (isupper((unsigned char)why[0]) && islower((unsigned char)why[1])) {
        why[0] = (char)tolower((unsigned char)why[0]);
    }
    return err_set(err, judge_code(transfer, result), "%s: %s", origin, why);
}

void http_transfer_answer(struct http_transfer *transfer, struct http_answer *ret_answer)
{
    const char *text = strbuf_text(&transfer->head);

    if (transfer->header_count > transfer->header_cap) {
        transfer->header_cap = transfer->header_count;
        transfer->headers =
            mem_resize(transfer->headers, transfer->header_cap, sizeof(*transfer->headers));
    }
    for (unsigned i = 0; i < transfer->header_count; i++) {
        transfer->headers[i].name = text;
        text += strlen(text) + 1;
        transfer->headers[i].value = text;
        text += strlen(text) + 1;
    }
    *ret_answer = (struct http_answer){
        .status = transfer->status,
        .headers = transfer->headers,
        .header_count = transfer->header_count,
        .body = strbuf_text(&transfer->kept),
        .body_len = transfer->kept.len,
        .sunk = transfer->sunk,
        .took_ms = now_mono_ms() - transfer->began_ms,
    };
}
