/** @file
 * What a request costs on this machine whoever makes it: the floor that s3.sh's table shows ours
 * beside.
 *
 *     s3_floor PORT raw|curl COUNT SIZE IN_FLIGHT           puts to 127.0.0.1:PORT
 *     s3_floor PORT curl-get|curl-copy COUNT SIZE IN_FLIGHT gets of what s3_load put, and copies
 *     s3_floor - sha256 COUNT SIZE                          OpenSSL's SHA-256 of so many bytes
 *
 * `raw` writes head and body of a PUT by one writev() and takes the answer by one read(), over
 * epoll. `curl` is libcurl's multi interface over epoll, its handles used again and again. Nothing
 * is signed, nothing is kept, nothing is checked but the status. It prints as s3_load does: how
 * many, the seconds that took, the CPU time in microseconds a piece, of it in user mode.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

#define EVENTS 64
#define TYPE "application/octet-stream"

static struct {
    unsigned port;
    unsigned long begun, done, count;
    size_t size;
    char *bytes;
    enum { PUT, GET, COPY } what;
    int poll_fd;
    CURLM *multi;
    long due_ms; /* libcurl's timer; -1: none */
} load;

static void must(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "s3_floor: %s\n", what);
        exit(1);
    }
}

/* ---- over the socket itself */

struct conn {
    int fd;
    char head[256];
    size_t head_len, sent;
};

static void conn_send(struct conn *conn)
{
    const size_t total = conn->head_len + load.size;

    while (conn->sent < total) {
        const size_t at = MIN_OF(conn->sent, conn->head_len), from = conn->sent - at;
        const struct iovec parts[] = {{conn->head + at, conn->head_len - at},
                                      {load.bytes + from, load.size - from}};
        const ssize_t wrote = writev(conn->fd, parts, 2);

        if (wrote < 0) {
            return; /* the edge of EPOLLOUT goes on */
        }
        conn->sent += (size_t)wrote;
    }
}

static void conn_begin(struct conn *conn)
{
    conn->sent = 0;
    conn->head_len = (size_t)snprintf(conn->head, sizeof(conn->head),
                                      "PUT /bucket/k%08lu HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
                                      "Content-Type: " TYPE "\r\nContent-Length: %zu\r\n\r\n",
                                      load.begun++, load.port, load.size);
    conn_send(conn);
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "cannot connect");
    setsockopt(fd, SOL_TCP, TCP_NODELAY, &one, sizeof(one));
    must(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "cannot go on");
    return fd;
}

static void conn_ready(struct conn *conn, uint32_t events)
{
    char answer[4096];
    ssize_t got;

    if ((events & EPOLLOUT) != 0) {
        conn_send(conn);
    }
    if ((events & EPOLLIN) == 0 || (got = read(conn->fd, answer, sizeof(answer))) < 0) {
        return;
    }
    must(got > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0, "an answer that is no 200");
    load.done++;
    if (load.begun < load.count) {
        conn_begin(conn);
    }
}

static void run_raw(unsigned in_flight)
{
    struct conn *conns = mem_zeroed(in_flight * sizeof(*conns));
    struct epoll_event events[EVENTS];

    for (unsigned i = 0; i < in_flight; i++) {
        conns[i].fd = connect_to(load.port);
        epoll_ctl(
            load.poll_fd, EPOLL_CTL_ADD, conns[i].fd,
            &(struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &conns[i]});
        conn_begin(&conns[i]);
    }
    while (load.done < load.count) {
        const int count = epoll_wait(load.poll_fd, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            conn_ready(events[i].data.ptr, events[i].events);
        }
    }
}

/* ---- over libcurl */

static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct epoll_event event = {.data.fd = fd};
    (void)easy, (void)arg;

    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(load.poll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events |= (what & CURL_POLL_IN) != 0 ? EPOLLIN : 0;
    event.events |= (what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0;
    epoll_ctl(load.poll_fd, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(load.multi, fd, &load);
    return 0;
}

static int deadline_wanted(CURLM *multi, long ms, void *arg)
{
    (void)multi, (void)arg;
    load.due_ms = ms;
    return 0;
}

static size_t drop(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes, (void)arg;
    return size * count;
}

/** A handle, and the lines that go out with its request. */
struct easy {
    CURL *curl;
    char source[64];
    struct curl_slist lines[3];
};

static void easy_begin(struct easy *easy)
{
    const char *bucket = load.what == COPY ? "bucket-copy" : "bucket";
    char url[64];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u/%s/k%08lu", load.port, bucket, load.begun);
    snprintf(easy->source, sizeof(easy->source), "x-amz-copy-source: /bucket/k%08lu", load.begun++);
    curl_easy_setopt(easy->curl, CURLOPT_URL, url);
    must(curl_multi_add_handle(load.multi, easy->curl) == CURLM_OK, "libcurl takes no more");
}

static struct easy *easy_new(void)
{
    struct easy *easy = mem_new(struct easy);
    CURL *curl = curl_easy_init();

    must(curl != NULL, "libcurl does not start");
    easy->curl = curl;
    easy->lines[0] = (struct curl_slist){(char *)(uintptr_t) "Expect:", &easy->lines[1]};
    easy->lines[1] = (struct curl_slist){(char *)(uintptr_t) "Content-Type: " TYPE, NULL};
    if (load.what == COPY) {
        easy->lines[1].next = &easy->lines[2];
        easy->lines[2] = (struct curl_slist){easy->source, NULL};
    }
    curl_easy_setopt(curl, CURLOPT_PRIVATE, easy);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 128L << 10);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    if (load.what != GET) {
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "PUT");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, load.what == PUT ? (long)load.size : 0L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, load.bytes);
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, easy->lines);
    }
    return easy;
}

static void collect(void)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(load.multi, &left)) != NULL) {
        CURL *curl = message->easy_handle;
        struct easy *easy;
        long status = 0;

        must(message->data.result == CURLE_OK, curl_easy_strerror(message->data.result));
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(curl, CURLINFO_PRIVATE, &easy);
        must(status == 200, "an answer that is no 200");
        curl_multi_remove_handle(load.multi, curl);
        load.done++;
        if (load.begun < load.count) {
            easy_begin(easy);
        }
    }
}

static void run_curl(unsigned in_flight)
{
    struct epoll_event events[EVENTS];
    int running;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    load.multi = curl_multi_init();
    curl_multi_setopt(load.multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(load.multi, CURLMOPT_TIMERFUNCTION, deadline_wanted);
    for (unsigned i = 0; i < in_flight; i++) {
        easy_begin(easy_new());
    }
    while (load.done < load.count) {
        const int count =
            load.due_ms == 0 ? 0 : epoll_wait(load.poll_fd, events, EVENTS, (int)load.due_ms);

        if (count == 0) {
            load.due_ms = -1;
            curl_multi_socket_action(load.multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        for (int i = 0; i < count; i++) {
            const int what = ((events[i].events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                             ((events[i].events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0);

            curl_multi_socket_action(load.multi, events[i].data.fd, what, &running);
        }
        collect();
    }
}

/* ---- the hash alone */

static void run_sha256(void)
{
    EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
    unsigned char sum[EVP_MAX_MD_SIZE];

    for (; load.done < load.count; load.done++) {
        must(EVP_Digest(load.bytes, load.size, sum, NULL, md, NULL) == 1, "no SHA-256");
    }
    EVP_MD_free(md);
}

static double micros(struct timeval time)
{
    return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

int main(int argc, char **argv)
{
    const int64_t began_ms = now_mono_ms();
    struct rusage before, used;

    getrusage(RUSAGE_SELF, &before);
    must(argc >= 5, "usage: s3_floor PORT raw|curl|curl-get|curl-copy|sha256 COUNT SIZE IN_FLIGHT");
    load.port = (unsigned)strtoul(argv[1], NULL, 10);
    load.count = strtoul(argv[3], NULL, 10);
    load.size = strtoul(argv[4], NULL, 10);
    load.bytes = mem_zeroed(load.size);
    load.poll_fd = epoll_create1(EPOLL_CLOEXEC);
    load.due_ms = -1;
    if (strcmp(argv[2], "sha256") == 0) {
        run_sha256();
    } else if (argc > 5 && strcmp(argv[2], "raw") == 0) {
        run_raw((unsigned)strtoul(argv[5], NULL, 10));
    } else if (argc > 5 && strncmp(argv[2], "curl", 4) == 0) {
        load.what = strcmp(argv[2], "curl-get") == 0    ? GET
                    : strcmp(argv[2], "curl-copy") == 0 ? COPY
                                                        : PUT;
        run_curl((unsigned)strtoul(argv[5], NULL, 10));
    } else {
        must(false, "raw, curl, curl-get, curl-copy or sha256?");
    }
    getrusage(RUSAGE_SELF, &used);
    printf("%lu %.6f %.2f %.2f\n", load.done, (double)(now_mono_ms() - began_ms) / 1000,
           (micros(used.ru_utime) + micros(used.ru_stime) - micros(before.ru_utime) -
            micros(before.ru_stime)) /
               (double)load.done,
           (micros(used.ru_utime) - micros(before.ru_utime)) / (double)load.done);
    return 0;
}
