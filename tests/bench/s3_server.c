/** @file
 * A server for benchmarks of S3 and SQS clients that is quicker than any of them: one thread,
 * epoll, nothing stored but sizes, nothing checked. Bodies are read and dropped; objects are zeros.
 *
 *     s3_server [PORT]          prints its port; serves 127.0.0.1 until its standard input ends
 *
 * A bucket "gen-N" lists N keys without having been filled. Every receive of SQS gives as many
 * messages as it asks for, if that has come with its head, else ten, and every deletion of them
 * goes well; a queue "gen-N-M" tells M times of the objects of gen-N, one after the other and all
 * over again, and then has nothing more: that poll is not answered. ETags look like those of
 * multipart uploads, which nobody takes for MD5.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define HEAD_MAX 16384
#define PAGE 1000
#define ZEROS (1u << 20)
#define SLOTS (1u << 21)
#define ETAG "0123456789abcdef0123456789abcdef-1"
#define DATE "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"

struct object {
    char *name; /* bucket/key */
    uint64_t size;
};

struct conn {
    int fd;
    char head[HEAD_MAX];
    size_t have;        /* of a head, and what follows it */
    uint64_t body_left; /* of the request, to be dropped */
    bool answering;     /* `out` and `zeros_left` are to be sent */
    struct strbuf out;
    size_t sent;
    uint64_t zeros_left;
};

struct request {
    const char *method, *target, *headers;
    const char *body; /* what of it has come with the head */
    char bucket[256], key[1100], query[2048];
    uint64_t length;
};

static char zeros[ZEROS];
static char drain[ZEROS];
static struct object table[SLOTS];
static struct object *sorted[SLOTS];
static size_t object_count;
static bool is_sorted;
static uint64_t uploaded; /* of the parts so far: one upload at a time is enough */

/* ---- objects */

static struct object *find(const char *name, bool add)
{
    uint64_t hash = 1469598103934665603u;

    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * 1099511628211u;
    }
    for (size_t slot = hash % SLOTS;; slot = (slot + 1) % SLOTS) {
        if (table[slot].name == NULL) {
            if (!add || object_count == SLOTS / 2) {
                return NULL;
            }
            table[slot].name = str_dup(name);
            sorted[object_count++] = &table[slot];
            is_sorted = false;
            return &table[slot];
        }
        if (strcmp(table[slot].name, name) == 0) {
            return &table[slot];
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct object *const *)a)->name, (*(struct object *const *)b)->name);
}

/* How many keys a "gen-N" bucket has; 0 for another. */
static uint64_t generated(const char *bucket)
{
    return strncmp(bucket, "gen-", 4) == 0 ? strtoull(bucket + 4, NULL, 10) : 0;
}

static bool object_size(const struct request *request, uint64_t *ret_size)
{
    char name[sizeof(request->bucket) + sizeof(request->key) + 1];
    const struct object *object;

    if (generated(request->bucket) > 0) {
        *ret_size = 1024;
        return true;
    }
    snprintf(name, sizeof(name), "%s/%s", request->bucket, request->key);
    object = find(name, false);
    *ret_size = object != NULL ? object->size : 0;
    return object != NULL && object->size != UINT64_MAX;
}

/* ---- requests */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static void decode(char *to, size_t size, const char *from, size_t len)
{
    size_t at = 0;

    for (size_t i = 0; i < len && at + 1 < size; i++) {
        if (from[i] == '%' && i + 2 < len) {
            to[at++] = (char)(hex(from[i + 1]) << 4 | hex(from[i + 2]));
            i += 2;
        } else {
            to[at++] = from[i];
        }
    }
    to[at] = '\0';
}

static const char *header(const struct request *request, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = request->headers; line != NULL; line = strstr(line, "\r\n")) {
        line += line == request->headers ? 0 : 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            line += len + 1;
            return line + strspn(line, " ");
        }
        if (*line == '\0') {
            break;
        }
    }
    return NULL;
}

/* The value of a query parameter, decoded; NULL if there is none. */
static const char *parameter(const struct request *request, const char *name, char *value,
                             size_t size)
{
    size_t len = strlen(name);

    for (const char *at = request->query; at != NULL && *at != '\0'; at = strchr(at, '&')) {
        at += *at == '&';
        if (strncmp(at, name, len) == 0 && (at[len] == '=' || at[len] == '&' || at[len] == '\0')) {
            const char *text = at + len + (at[len] == '=');
            decode(value, size, text, strcspn(text, "&"));
            return value;
        }
    }
    return NULL;
}

static void parse(char *head, struct request *request)
{
    char *space = strchr(head, ' '), *end = strstr(head, "\r\n"), *target, *question;
    const char *slash, *told;

    *request = (struct request){.method = head, .headers = end + 2};
    *space = '\0';
    target = space + 1;
    request->target = target;
    *strchr(target, ' ') = '\0';
    question = strchr(target, '?');
    if (question != NULL) {
        *question = '\0';
        snprintf(request->query, sizeof(request->query), "%s", question + 1);
    }
    slash = strchr(target + 1, '/');
    decode(request->bucket, sizeof(request->bucket), target + 1,
           slash != NULL ? (size_t)(slash - target - 1) : strlen(target + 1));
    if (slash != NULL) {
        decode(request->key, sizeof(request->key), slash + 1, strlen(slash + 1));
    }
    told = header(request, "content-length");
    request->length = told != NULL ? strtoull(told, NULL, 10) : 0;
}

/* ---- answers */

static void answer(struct conn *conn, const char *status, const char *headers, const char *body)
{
    strbuf_printf(&conn->out, "HTTP/1.1 %s\r\n" DATE "%sContent-Length: %zu\r\n\r\n%s", status,
                  headers, strlen(body), body);
}

static void answer_size(struct conn *conn, const char *status, const char *extra, uint64_t size,
                        bool with_body)
{
    strbuf_printf(&conn->out,
                  "HTTP/1.1 %s\r\n" DATE "ETag: \"" ETAG "\"\r\nAccept-Ranges: bytes\r\n"
                  "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: a/b\r\n"
                  "%sContent-Length: %llu\r\n\r\n",
                  status, extra, (unsigned long long)size);
    conn->zeros_left = with_body ? size : 0;
}

static void not_found(struct conn *conn, bool with_body)
{
    answer(conn, "404 Not Found", "Content-Type: application/xml\r\n",
           with_body ? "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>" : "");
}

static void get(struct conn *conn, const struct request *request, bool with_body)
{
    const char *range = header(request, "range");
    unsigned long long first, last;
    uint64_t size;
    char extra[128];

    if (request->key[0] == '\0') {
        answer(conn, "200 OK", "x-amz-bucket-region: us-east-1\r\n", "");
        return;
    }
    if (!object_size(request, &size)) {
        not_found(conn, with_body);
        return;
    }
    if (range != NULL && sscanf(range, "bytes=%llu-%llu", &first, &last) == 2 && first < size) {
        last = last < size ? last : size - 1;
        snprintf(extra, sizeof(extra), "Content-Range: bytes %llu-%llu/%llu\r\n", first, last,
                 (unsigned long long)size);
        answer_size(conn, "206 Partial Content", extra, last - first + 1, with_body);
        return;
    }
    answer_size(conn, "200 OK", "", size, with_body);
}

static void put(struct conn *conn, const struct request *request)
{
    const char *from = header(request, "x-amz-copy-source");
    const char *decoded = header(request, "x-amz-decoded-content-length");
    char name[sizeof(request->bucket) + sizeof(request->key) + 1], value[64];
    uint64_t size = decoded != NULL ? strtoull(decoded, NULL, 10) : request->length;
    struct object *object;

    if (from != NULL) {
        decode(name, sizeof(name), from + (*from == '/'), strcspn(from + (*from == '/'), "\r?"));
        object = find(name, false);
        size = object != NULL ? object->size : 0;
    }
    if (parameter(request, "partNumber", value, sizeof(value)) != NULL) {
        uploaded += size;
    } else if (request->key[0] != '\0') {
        snprintf(name, sizeof(name), "%s/%s", request->bucket, request->key);
        object = find(name, true);
        if (object == NULL) {
            answer(conn, "507 Insufficient Storage", "", "");
            return;
        }
        object->size = size;
    }
    if (from != NULL) {
        answer(conn, "200 OK", "Content-Type: application/xml\r\n",
               "<CopyObjectResult><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
               "<ETag>\"" ETAG "\"</ETag></CopyObjectResult>");
    } else {
        answer(conn, "200 OK", "ETag: \"" ETAG "\"\r\n", "");
    }
}

static void post(struct conn *conn, const struct request *request)
{
    char name[sizeof(request->bucket) + sizeof(request->key) + 1], value[64];
    struct object *object;

    if (parameter(request, "uploads", value, sizeof(value)) != NULL) {
        uploaded = 0;
        answer(conn, "200 OK", "Content-Type: application/xml\r\n",
               "<InitiateMultipartUploadResult><UploadId>one</UploadId>"
               "</InitiateMultipartUploadResult>");
        return;
    }
    if (parameter(request, "uploadId", value, sizeof(value)) == NULL) {
        answer(conn, "200 OK", "Content-Type: application/xml\r\n", "<DeleteResult/>");
        return;
    }
    snprintf(name, sizeof(name), "%s/%s", request->bucket, request->key);
    object = find(name, true);
    if (object != NULL) {
        object->size = uploaded;
    }
    answer(conn, "200 OK", "Content-Type: application/xml\r\n",
           "<CompleteMultipartUploadResult><ETag>\"" ETAG "\"</ETag>"
           "</CompleteMultipartUploadResult>");
}

static void list_item(struct strbuf *xml, const char *key, uint64_t size)
{
    strbuf_printf(xml,
                  "<Contents><Key>%s</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                  "<ETag>\"" ETAG "\"</ETag><Size>%llu</Size><StorageClass>STANDARD</StorageClass>"
                  "</Contents>",
                  key, (unsigned long long)size);
}

/* From index `at` on; returns the index of the next page, 0 if there is none. */
static uint64_t list_generated(struct strbuf *xml, const struct request *request, uint64_t at,
                               unsigned most)
{
    uint64_t count = generated(request->bucket);
    char key[32], after[1100];

    if (at == 0 &&
        (parameter(request, "start-after", after, sizeof(after)) != NULL ||
         parameter(request, "marker", after, sizeof(after)) != NULL) &&
        after[0] != '\0') {
        at = strtoull(after + (after[0] == 'k'), NULL, 10) + 1;
    }
    for (unsigned i = 0; i < most && at < count; i++, at++) {
        snprintf(key, sizeof(key), "k%08llu", (unsigned long long)at);
        list_item(xml, key, 1024);
    }
    return at < count ? at : 0;
}

static uint64_t list_stored(struct strbuf *xml, const struct request *request, uint64_t at,
                            unsigned most)
{
    char start[sizeof(request->bucket) + sizeof(request->key) + 1], prefix[1100] = "", after[1100];
    bool has_after = parameter(request, "start-after", after, sizeof(after)) != NULL ||
                     parameter(request, "marker", after, sizeof(after)) != NULL;
    size_t bucket_len = strlen(request->bucket) + 1;

    if (!is_sorted) {
        qsort(sorted, object_count, sizeof(sorted[0]), by_name);
        is_sorted = true;
    }
    parameter(request, "prefix", prefix, sizeof(prefix));
    snprintf(start, sizeof(start), "%s/%s", request->bucket, prefix);
    if (at == 0) {
        size_t low = 0, high = object_count;
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (strcmp(sorted[middle]->name, start) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        at = low;
    }
    for (unsigned i = 0; at < object_count; at++) {
        const struct object *object = sorted[at];
        if (strncmp(object->name, start, strlen(start)) != 0) {
            return 0;
        }
        if (object->size == UINT64_MAX ||
            (has_after && strcmp(object->name + bucket_len, after) <= 0)) {
            continue;
        }
        if (i++ == most) {
            return at;
        }
        list_item(xml, object->name + bucket_len, object->size);
    }
    return 0;
}

static void list(struct conn *conn, const struct request *request)
{
    scoped(strbuf_done) struct strbuf xml = {0};
    scoped(strbuf_done) struct strbuf items = {0};
    char value[64];
    uint64_t at = 0, next;
    unsigned most = PAGE;

    if (parameter(request, "location", value, sizeof(value)) != NULL) {
        answer(conn, "200 OK", "Content-Type: application/xml\r\n", "<LocationConstraint/>");
        return;
    }
    if (parameter(request, "uploads", value, sizeof(value)) != NULL) {
        answer(conn, "200 OK", "Content-Type: application/xml\r\n",
               "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>"
               "</ListMultipartUploadsResult>");
        return;
    }
    if (parameter(request, "continuation-token", value, sizeof(value)) != NULL) {
        at = strtoull(value, NULL, 10);
    }
    if (parameter(request, "max-keys", value, sizeof(value)) != NULL) {
        most = (unsigned)strtoul(value, NULL, 10);
        most = most < PAGE ? most : PAGE;
    }
    next = generated(request->bucket) > 0 ? list_generated(&items, request, at, most)
                                          : list_stored(&items, request, at, most);
    strbuf_printf(&xml, "<ListBucketResult><Name>%s</Name><IsTruncated>%s</IsTruncated>",
                  request->bucket, next != 0 ? "true" : "false");
    if (next != 0) {
        strbuf_printf(&xml, "<NextContinuationToken>%llu</NextContinuationToken>",
                      (unsigned long long)next);
    }
    strbuf_printf(&xml, "%s</ListBucketResult>", strbuf_text(&items));
    answer(conn, "200 OK", "Content-Type: application/xml\r\n", strbuf_text(&xml));
}

/* As many as are asked for, or are left; false when none is. */
static bool sqs_messages(struct strbuf *json, const struct request *request)
{
    static uint64_t serial, told;
    static const char asked[] = "\"MaxNumberOfMessages\":";
    const char *queue = request->key, *found = strstr(request->body, asked);
    unsigned long long keys = 0, most = 0, last = 10;

    sscanf(queue, "gen-%llu-%llu", &keys, &most);
    if (found != NULL) {
        last = strtoull(found + strlen(asked), NULL, 10);
    }
    if (keys > 0 && told >= most) {
        return false;
    }
    last = keys > 0 && most - told < last ? most - told : last;
    strbuf_puts(json, "{\"Messages\":[");
    for (unsigned i = 0; i < last; i++, serial++, told++) {
        const unsigned long long n = keys > 0 ? told % keys : serial;

        strbuf_printf(
            json,
            "%s{\"MessageId\":\"m%llu\",\"ReceiptHandle\":\"h%llu\",\"Body\":\"{\\\"Records\\\":"
            "[{\\\"eventVersion\\\":\\\"2.1\\\",\\\"eventSource\\\":\\\"aws:s3\\\","
            "\\\"eventName\\\":\\\"ObjectCreated:Put\\\",\\\"s3\\\":{\\\"bucket\\\":{"
            "\\\"name\\\":\\\"%.*s\\\"},\\\"object\\\":{\\\"key\\\":\\\"k%08llu\\\",\\\"size\\\":"
            "1024,\\\"eTag\\\":\\\"" ETAG "\\\",\\\"sequencer\\\":\\\"%016llX\\\"}}}]}\","
            "\"Attributes\":{\"ApproximateReceiveCount\":\"1\",\"SentTimestamp\":"
            "\"1767225600000\",\"ApproximateFirstReceiveTimestamp\":\"1767225600000\"}}",
            i > 0 ? "," : "", (unsigned long long)serial, (unsigned long long)serial,
            keys > 0 ? (int)(strrchr(queue, '-') - queue) : 3, keys > 0 ? queue : "raw", n, n);
    }
    strbuf_puts(json, "]}");
    return true;
}

static void sqs(struct conn *conn, const char *target, const struct request *request)
{
    scoped(strbuf_done) struct strbuf json = {0};

    if (strstr(target, "ReceiveMessage") == NULL) {
        answer(conn, "200 OK", "Content-Type: application/x-amz-json-1.0\r\n",
               "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"},{\"Id\":\"3\"},"
               "{\"Id\":\"4\"},{\"Id\":\"5\"},{\"Id\":\"6\"},{\"Id\":\"7\"},{\"Id\":\"8\"},"
               "{\"Id\":\"9\"}]}");
        return;
    }
    if (!sqs_messages(&json, request)) {
        return;
    }
    answer(conn, "200 OK", "Content-Type: application/x-amz-json-1.0\r\n", strbuf_text(&json));
}

static void respond(struct conn *conn, const struct request *request)
{
    const char *target = header(request, "x-amz-target");
    struct object *object;
    char name[sizeof(request->bucket) + sizeof(request->key) + 1];

    conn->answering = true;
    conn->sent = 0;
    strbuf_reset(&conn->out);
    if (target != NULL) {
        sqs(conn, target, request);
    } else if (strcmp(request->method, "GET") == 0) {
        (request->key[0] == '\0' ? list(conn, request) : get(conn, request, true));
    } else if (strcmp(request->method, "HEAD") == 0) {
        get(conn, request, false);
    } else if (strcmp(request->method, "PUT") == 0) {
        put(conn, request);
    } else if (strcmp(request->method, "POST") == 0) {
        post(conn, request);
    } else {
        snprintf(name, sizeof(name), "%s/%s", request->bucket, request->key);
        object = find(name, false);
        if (object != NULL) {
            object->size = UINT64_MAX;
        }
        answer(conn, "204 No Content", "", "");
    }
}

/* ---- connections */

/* False when the connection is over. */
static bool send_out(struct conn *conn)
{
    while (conn->answering) {
        size_t head = conn->out.len - conn->sent;
        size_t body = conn->zeros_left < ZEROS ? (size_t)conn->zeros_left : ZEROS;
        struct iovec parts[2] = {{conn->out.data + conn->sent, head}, {zeros, body}};
        ssize_t wrote = writev(conn->fd, parts, 2);

        if (wrote < 0) {
            return errno == EAGAIN;
        }
        head = head < (size_t)wrote ? head : (size_t)wrote;
        conn->sent += head;
        conn->zeros_left -= (uint64_t)wrote - head;
        conn->answering = conn->sent < conn->out.len || conn->zeros_left > 0;
    }
    return true;
}

/* Begins the request whose head is complete; false when it is none. */
static bool begin(struct conn *conn, size_t head_len)
{
    struct request request;
    size_t extra = conn->have - head_len;
    const char *told;

    conn->head[head_len - 2] = '\0';
    parse(conn->head, &request);
    request.body = conn->head + head_len;
    told = header(&request, "expect");
    if (told != NULL && write(conn->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) != 25) {
        return false;
    }
    conn->body_left = request.length;
    respond(conn, &request);
    if (extra > conn->body_left) {
        memmove(conn->head, conn->head + head_len + conn->body_left, extra - conn->body_left);
        conn->have = extra - conn->body_left;
        conn->body_left = 0;
    } else {
        conn->body_left -= extra;
        conn->have = 0;
    }
    return true;
}

static bool serve(struct conn *conn)
{
    for (;;) {
        ssize_t got;
        char *end;

        if (conn->body_left > 0) {
            got = read(conn->fd, drain, conn->body_left < ZEROS ? conn->body_left : ZEROS);
            if (got <= 0) {
                return got < 0 && errno == EAGAIN;
            }
            conn->body_left -= (uint64_t)got;
            continue;
        }
        if (conn->answering) {
            if (!send_out(conn)) {
                return false;
            }
            if (conn->answering) {
                return true;
            }
        }
        conn->head[conn->have] = '\0';
        end = strstr(conn->head, "\r\n\r\n");
        if (end != NULL) {
            if (!begin(conn, (size_t)(end - conn->head) + 4)) {
                return false;
            }
            continue;
        }
        if (conn->have == HEAD_MAX - 1) {
            return false;
        }
        got = read(conn->fd, conn->head + conn->have, HEAD_MAX - 1 - conn->have);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN;
        }
        conn->have += (size_t)got;
    }
}

static void accept_all(int listener, int poll_fd)
{
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *conn = mem_new(struct conn);

        conn->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd,
                  &(struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn});
    }
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
        perror("s3_server");
        exit(1);
    }
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    int listener = listen_on(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];

    epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN});
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO,
              &(struct epoll_event){.events = EPOLLIN, .data.ptr = zeros});
    for (;;) {
        int count = epoll_wait(poll_fd, events, 256, -1);

        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;

            if (conn == NULL) {
                accept_all(listener, poll_fd);
            } else if ((char *)conn == zeros) {
                return 0;
            } else if (!serve(conn)) {
                close(conn->fd);
                strbuf_done(&conn->out);
                free(conn);
            }
        }
    }
}
