/** @file
 * The HTTP server, spoken to through raw sockets on the same loop.
 */
#include "tests/unit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/net/http_server.h"

#define PATH "/tmp/sevird-test-http.sock"

static struct loop *loop;
static struct http_server *server;
static struct http_responder *held;
static struct http_stream *stream;
static unsigned handled, gone_count, body_len;
static uid_t peer_uid;
static bool stopped;

static void on_gone(void *arg)
{
    (void)arg;
    gone_count++;
    stream = NULL;
}

static void handler(const struct http_request *request, struct http_responder *responder, void *arg)
{
    scoped(strbuf_done) struct strbuf body = {0};
    (void)arg;

    handled++;
    peer_uid = request->has_peer ? request->peer_uid : (uid_t)-1;
    body_len = (unsigned)request->body_len;
    if (strcmp(request->path, "/later") == 0) {
        held = responder;
        return;
    }
    if (strcmp(request->path, "/watched") == 0) {
        held = responder;
        http_responder_watch(responder, on_gone, NULL);
        return;
    }
    if (strcmp(request->path, "/stream") == 0) {
        stream = http_respond_stream(responder, "text/event-stream", on_gone, NULL);
        return;
    }
    const char *q = http_request_arg(request, "q");
    strbuf_printf(&body, "%s %s q=%s h=%s", request->method, request->path, q != NULL ? q : "-",
                  http_request_header(request, "x-TEST") != NULL ? "yes" : "no");
    http_responder_header(responder, "X-More", "1");
    http_respond(responder, 200, "text/plain", &body);
}

static void start(int64_t patience_ms)
{
    struct http_server_options options = {
        .unlink_path = PATH, .handler = handler, .patience_ms = patience_ms};
    struct err err;

    loop = loop_new();
    if (http_listen_unix(PATH, 0660, &options.fd, &err) != RC_OK ||
        http_server_start(loop, &options, &server, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
    handled = gone_count = 0;
    stopped = false;
}

static void on_stopped(void *arg)
{
    (void)arg;
    stopped = true;
}

static void stop(void)
{
    http_server_stop(server, on_stopped, NULL);
    loop_run(loop);
    assert_true(stopped);
    loop_free(loop);
    assert_int_equal(access(PATH, F_OK), -1);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = PATH};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/** One turn of the loop, after waiting for it or for `fd`. */
static void turn(int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                           {.fd = uv_backend_fd(loop_uv(loop)), .events = POLLIN}};
    const int timeout = uv_backend_timeout(loop_uv(loop));

    poll(fds, 2, timeout < 0 || timeout > 50 ? 50 : timeout);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
}

/** Reads until `words` were seen, or the end; what came is in `text`. */
static bool hear(int fd, const char *words, char *text, size_t size)
{
    const int64_t deadline = now_mono_ms() + 10000;
    size_t len = strlen(text);

    while (now_mono_ms() < deadline) {
        const ssize_t n = recv(fd, text + len, size - 1 - len, 0);

        if (n > 0) {
            len += (size_t)n;
            text[len] = '\0';
        }
        if (words != NULL && strstr(text, words) != NULL) {
            return true;
        }
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return words == NULL;
        }
        turn(fd);
    }
    return false;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void a_request_is_handled_with_its_arguments_headers_and_peer(void **state)
{
    (void)state;
    char text[4096] = "";

    start(0);
    int fd = dial();
    say(fd, "GET /a%20b?q=x%26y HTTP/1.1\r\nHost: x\r\nX-Test: 1\r\n\r\n");
    assert_true(hear(fd, "GET /a b q=x&y h=yes", text, sizeof(text)));
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    assert_non_null(strstr(text, "X-More: 1"));
    assert_int_equal(peer_uid, getuid());
    text[0] = '\0'; /* the connection is kept */
    say(fd, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_true(hear(fd, "POST /c q=-", text, sizeof(text)));
    assert_int_equal(body_len, 3);
    close(fd);
    stop();
}

static void head_is_answered_without_a_body(void **state)
{
    (void)state;
    char text[4096] = "";

    start(0);
    int fd = dial();
    say(fd, "HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_true(hear(fd, NULL, text, sizeof(text)));
    assert_non_null(strstr(text, "Content-Length: 16"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    close(fd);
    stop();
}

static void an_answer_may_come_later(void **state)
{
    (void)state;
    char text[4096] = "", other[4096] = "";
    struct strbuf body = {0};

    start(0);
    int fd = dial(), second = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handled == 0) {
        turn(fd);
    }
    say(second, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hear(second, "GET /other", other, sizeof(other)));
    assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
    strbuf_puts(&body, "at last");
    http_respond(held, 202, "text/plain", &body);
    assert_true(hear(fd, "at last", text, sizeof(text)));
    close(fd);
    close(second);
    stop();
}

static void a_stop_answers_what_is_open_and_a_late_answer_is_not_heard(void **state)
{
    (void)state;
    char text[4096] = "";
    struct strbuf body = {0};

    start(0);
    int fd = dial();
    say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handled == 0) {
        turn(fd);
    }
    stop();
    strbuf_puts(&body, "too late");
    http_respond(held, 200, "text/plain", &body);
    assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "HTTP/1.1 503"));
    close(fd);
}

static void a_stream_delivers_and_ends(void **state)
{
    (void)state;
    char text[4096] = "";

    start(0);
    int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (stream == NULL) {
        turn(fd);
    }
    http_stream_send(stream, "one\n", 4);
    assert_true(hear(fd, "one\n", text, sizeof(text)));
    http_stream_send(stream, "two\n", 4);
    http_stream_end(stream);
    stream = NULL;
    assert_true(hear(fd, "two\n", text, sizeof(text)));
    assert_true(hear(fd, "\r\n0\r\n\r\n", text, sizeof(text)));
    close(fd);
    stop();
    assert_int_equal(gone_count, 0);
}

static void a_reader_who_leaves_is_noticed_though_nothing_is_sent(void **state)
{
    (void)state;

    start(0);
    int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (stream == NULL) {
        turn(fd);
    }
    for (int i = 0; i < 5; i++) {
        turn(fd); /* the headers are out, the connection is suspended */
    }
    close(fd);
    for (const int64_t end = now_mono_ms() + 10000; gone_count == 0 && now_mono_ms() < end;) {
        turn(-1);
    }
    assert_int_equal(gone_count, 1);
    stop();
}

static void a_client_who_leaves_before_the_answer_is_told_of(void **state)
{
    (void)state;
    char text[4096] = "";

    start(0);
    int fd = dial();
    say(fd, "GET /watched HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handled == 0) {
        turn(fd);
    }
    close(fd);
    for (const int64_t end = now_mono_ms() + 10000; gone_count == 0 && now_mono_ms() < end;) {
        turn(-1);
    }
    assert_int_equal(gone_count, 1);
    http_respond(held, 200, "text/plain", NULL); /* unheard */

    fd = dial(); /* who stays is answered, and on the same connection again */
    for (unsigned i = 0; i < 2; i++) {
        handled = 0;
        text[0] = '\0';
        say(fd, "GET /watched HTTP/1.1\r\nHost: x\r\n\r\n");
        while (handled == 0) {
            turn(fd);
        }
        http_respond(held, 200, "text/plain", NULL);
        assert_true(hear(fd, "\r\n\r\n", text, sizeof(text)));
        assert_non_null(strstr(text, "200 OK"));
    }
    close(fd);
    stop();
    assert_int_equal(gone_count, 1);
}

static void a_stop_is_no_client_who_leaves(void **state)
{
    (void)state;

    start(0);
    int fd = dial();
    say(fd, "GET /watched HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handled == 0) {
        turn(fd);
    }
    stop();
    http_respond(held, 200, "text/plain", NULL);
    assert_int_equal(gone_count, 0);
    close(fd);
}

static void a_reader_who_does_not_read_is_cut_and_never_kept_for(void **state)
{
    (void)state;
    static char block[8192];

    start(0);
    int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (stream == NULL) {
        turn(fd);
    }
    memset(block, 'x', sizeof(block));
    for (int i = 0; stream != NULL && i < 10000; i++) {
        http_stream_send(stream, block, sizeof(block));
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
    assert_null(stream);
    assert_int_equal(gone_count, 1);
    close(fd);
    stop();
}

static void a_stop_ends_streams_and_tells_their_owner(void **state)
{
    (void)state;
    char text[4096] = "";

    start(0);
    int fd = dial();
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (stream == NULL) {
        turn(fd);
    }
    http_stream_send(stream, "last words", 10);
    stop();
    assert_int_equal(gone_count, 1);
    assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
    assert_non_null(strstr(text, "last words"));
    close(fd);
}

static void a_large_body_is_refused_by_its_length_and_by_its_size(void **state)
{
    (void)state;
    char text[4096] = "", chunk[8300];
    int n;

    start(0);
    int fd = dial();
    say(fd, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n"
            "Expect: 100-continue\r\n\r\n");
    assert_true(hear(fd, "HTTP/1.1 413", text, sizeof(text)));
    close(fd);

    fd = dial();
    text[0] = '\0';
    say(fd, "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    n = snprintf(chunk, sizeof(chunk), "2000\r\n%08192d\r\n", 0);
    for (int i = 0; i < 129; i++) {
        for (int sent = 0; sent < n;) {
            const ssize_t put = send(fd, chunk + sent, (size_t)(n - sent), MSG_NOSIGNAL);
            sent += put > 0 ? (int)put : 0;
            turn(fd);
        }
    }
    say(fd, "0\r\n\r\n");
    assert_true(hear(fd, "HTTP/1.1 413", text, sizeof(text)));
    assert_int_equal(handled, 0);
    close(fd);
    stop();
}

/** "GET /a?&b&b..." with so many arguments, and headers. */
static void say_many(int fd, unsigned arguments, unsigned headers)
{
    struct strbuf text = {0};

    strbuf_puts(&text, "GET /a?");
    for (unsigned i = 0; i < arguments; i++) {
        strbuf_puts(&text, i > 0 ? "&b=1" : "b=1");
    }
    strbuf_puts(&text, " HTTP/1.1\r\nHost: x\r\n");
    for (unsigned i = 1; i < headers; i++) {
        strbuf_puts(&text, "X: y\r\n");
    }
    strbuf_puts(&text, "\r\n");
    say(fd, strbuf_text(&text));
    strbuf_done(&text);
}

static void more_arguments_or_headers_than_are_kept_are_refused(void **state)
{
    (void)state;
    static const unsigned many[][3] = {{64, 64, 200}, {65, 1, 431}, {400, 1, 431}, {1, 65, 431}};
    char text[4096], words[32];

    start(0);
    for (size_t i = 0; i < ARRAY_LEN(many); i++) {
        int fd = dial();
        text[0] = '\0';
        snprintf(words, sizeof(words), "HTTP/1.1 %u", many[i][2]);
        say_many(fd, many[i][0], many[i][1]);
        assert_true(hear(fd, words, text, sizeof(text)));
        close(fd);
    }
    assert_int_equal(handled, 1);
    /* More than libmicrohttpd has memory for: the end comes at once, not when patience ends. */
    int fd = dial();
    text[0] = '\0';
    say_many(fd, 2000, 1);
    assert_true(hear(fd, NULL, text, sizeof(text)));
    close(fd);
    stop();
}

static void a_peer_who_dawdles_is_cut(void **state)
{
    (void)state;
    char text[4096] = "";

    start(200);
    int fd = dial();
    say(fd, "GET /a HTTP/1.1\r\n");
    const int64_t began = now_mono_ms();
    assert_true(hear(fd, NULL, text, sizeof(text)));
    assert_in_range(now_mono_ms() - began, 150, 5000);
    assert_int_equal(handled, 0);
    close(fd);
    stop();
}

static void nonsense_is_answered_or_cut_and_the_next_request_is_served(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\x16\x03\x01\x02",
        "GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /%00%ff%zz?%00=%ff&&&== HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n: \r\n\r\n"};
    char text[4096];

    start(300);
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        int fd = dial();
        text[0] = '\0';
        say(fd, nonsense[i]);
        hear(fd, NULL, text, sizeof(text));
        close(fd);
    }
    int fd = dial();
    text[0] = '\0';
    say(fd, "GET /fine HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(hear(fd, "GET /fine", text, sizeof(text)));
    close(fd);
    stop();
}

static void connections_beyond_the_limit_wait_and_are_served_when_one_ends(void **state)
{
    (void)state;
    int fds[HTTP_SERVER_CONNECTIONS];
    char text[4096] = "";

    start(0);
    for (unsigned i = 0; i < HTTP_SERVER_CONNECTIONS; i++) {
        fds[i] = dial();
        turn(fds[i]);
    }
    int fd = dial();
    say(fd, "GET /patient HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        turn(fd);
    }
    assert_int_equal(handled, 0);
    close(fds[0]);
    assert_true(hear(fd, "GET /patient", text, sizeof(text)));
    for (unsigned i = 1; i < HTTP_SERVER_CONNECTIONS; i++) {
        close(fds[i]);
    }
    close(fd);
    stop();
}

static void a_socket_in_use_is_refused_and_a_stale_one_replaced(void **state)
{
    (void)state;
    int fd, second;
    struct err err;
    struct stat st;

    unlink(PATH);
    assert_int_equal(http_listen_unix(PATH, 0660, &fd, &err), RC_OK);
    assert_int_equal(stat(PATH, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(http_listen_unix(PATH, 0660, &second, &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, "socket '" PATH "' is in use"));
    close(fd); /* as after a crash: the name stays */
    assert_int_equal(http_listen_unix(PATH, 0660, &fd, &err), RC_OK);
    close(fd);
    unlink(PATH);

    FILE *file = fopen(PATH, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(http_listen_unix(PATH, 0660, &fd, &err), RC_INVALID);
    assert_int_equal(access(PATH, F_OK), 0); /* somebody's file is left alone */
    unlink(PATH);
    assert_int_equal(http_listen_unix("/nonexistent/x.sock", 0660, &fd, &err), RC_NOT_FOUND);
}

static void a_tcp_listener_says_where_it_listens(void **state)
{
    (void)state;
    int fd, second;
    char name[64];
    struct err err;

    assert_int_equal(http_listen_tcp("127.0.0.1", 0, &fd, &err), RC_OK);
    http_listen_name(fd, name, sizeof(name));
    assert_int_equal(strncmp(name, "127.0.0.1:", 10), 0);
    uint64_t port;
    assert_true(str_to_u64(name + 10, &port) && port > 0);
    assert_int_equal(http_listen_tcp("127.0.0.1", (uint16_t)port, &second, &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, "is in use"));
    close(fd);
    assert_int_equal(http_listen_tcp("example", 0, &fd, &err), RC_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_handled_with_its_arguments_headers_and_peer),
        cmocka_unit_test(head_is_answered_without_a_body),
        cmocka_unit_test(an_answer_may_come_later),
        cmocka_unit_test(a_stop_answers_what_is_open_and_a_late_answer_is_not_heard),
        cmocka_unit_test(a_stream_delivers_and_ends),
        cmocka_unit_test(a_reader_who_leaves_is_noticed_though_nothing_is_sent),
        cmocka_unit_test(a_client_who_leaves_before_the_answer_is_told_of),
        cmocka_unit_test(a_stop_is_no_client_who_leaves),
        cmocka_unit_test(a_reader_who_does_not_read_is_cut_and_never_kept_for),
        cmocka_unit_test(a_stop_ends_streams_and_tells_their_owner),
        cmocka_unit_test(a_large_body_is_refused_by_its_length_and_by_its_size),
        cmocka_unit_test(more_arguments_or_headers_than_are_kept_are_refused),
        cmocka_unit_test(a_peer_who_dawdles_is_cut),
        cmocka_unit_test(nonsense_is_answered_or_cut_and_the_next_request_is_served),
        cmocka_unit_test(connections_beyond_the_limit_wait_and_are_served_when_one_ends),
        cmocka_unit_test(a_socket_in_use_is_refused_and_a_stale_one_replaced),
        cmocka_unit_test(a_tcp_listener_says_where_it_listens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
