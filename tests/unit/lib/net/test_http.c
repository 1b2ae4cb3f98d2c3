/** @file
 * The HTTP client against a server that plays scripts. A run of the loop ends when nothing is left
 * that could wake it, so each test also shows that an idle client waits for nothing.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/net/http_p.h"
#include "tests/unit/fake_http.h"

struct outcome {
    unsigned calls;
    enum rc rc;
    unsigned status;
    size_t sunk, body_len;
    char text[480], body[64], etag[64];
};

static struct loop *loop;
static struct fake *fake;
static struct http_client *client;

static struct http_transfer *other;
static struct outcome other_outcome;

static void on_done(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct outcome *outcome = arg;

    outcome->calls++;
    outcome->rc = err != NULL ? err->rc : RC_OK;
    assert_true((answer == NULL) == (err != NULL));
    if (err != NULL) {
        snprintf(outcome->text, sizeof(outcome->text), "%s", err->text);
        return;
    }
    const char *etag = http_answer_header(answer, "etag");
    outcome->status = answer->status;
    outcome->sunk = answer->sunk;
    outcome->body_len = answer->body_len;
    assert_int_equal(answer->body[answer->body_len], '\0');
    snprintf(outcome->body, sizeof(outcome->body), "%s", answer->body);
    snprintf(outcome->etag, sizeof(outcome->etag), "%s", etag != NULL ? etag : "-");
}

static void open_client(struct http_client_options options)
{
    struct err err;

    if (http_client_new(loop, &options, &client, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
}

static int set_up(void **state)
{
    (void)state;
    loop = loop_new();
    fake = fake_new(loop);
    open_client((struct http_client_options){0});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_client_free(client);
    fake_free(fake);
    loop_free(loop);
    return 0;
}

/** `call` with its path made a URL of the fake. */
static struct http_transfer *ask(struct http_call call, struct outcome *outcome)
{
    scoped(free) char *url = str_printf("%s%s", fake_url(fake), call.url);

    call.url = url;
    return http_send(client, &call, on_done, outcome);
}

static void get(struct http_call call, struct outcome *ret_outcome)
{
    *ret_outcome = (struct outcome){0};
    ask(call, ret_outcome);
    assert_int_equal(ret_outcome->calls, 0); /* later, from the loop */
    loop_run(loop);
    assert_int_equal(ret_outcome->calls, 1);
    assert_int_equal(http_client_busy(client), 0);
}

#define PLAY(...)                                             \
    static const struct fake_answer script[] = {__VA_ARGS__}; \
    fake_script(fake, script, ARRAY_LEN(script))

static void an_answer_has_status_headers_and_body(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 404, .headers = "ETag:   \"x y\" \r\nEmpty:\r\n", .body = "gone"});

    get((struct http_call){.method = "GET", .url = "/a?b=c"}, &outcome);
    assert_int_equal(outcome.status, 404);
    assert_string_equal(outcome.body, "gone");
    assert_string_equal(outcome.etag, "\"x y\"");
    assert_true(str_starts(fake_request(fake, 0)->head, "GET /a?b=c HTTP/1.1\r\n"));
}

static void a_connection_is_kept_and_used_again(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.body = "1"});

    for (unsigned i = 0; i < 5; i++) {
        get((struct http_call){.method = "GET", .url = "/"}, &outcome);
        assert_int_equal(outcome.rc, RC_OK);
    }
    assert_int_equal(fake_connections(fake), 1);
}

static void a_path_goes_out_as_it_is(void **state)
{
    static const struct {
        const char *path, *target;
    } cases[] = {{"/", "/"},
                 {"/a/../b//c/.", "/a/../b//c/."},
                 {"/%2e%2E/%C3%BC?a=%20&b", "/%2e%2E/%C3%BC?a=%20&b"},
                 {"?q=1", "/?q=1"}, /* from here on libcurl takes it apart */
                 {"/x#y", "/x"},
                 {"/\xc3\xbc", "/%c3%bc"},
                 {"/x?", "/x?"}};
    struct outcome outcome = {0};
    PLAY({.body = "1"}, {.body = "2"}, {.body = "3"}, {.body = "4"}, {.body = "5"}, {.body = "6"},
         {.body = "7"});

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *line = str_printf("GET %s HTTP/1.1\r\n", cases[i].target);

        get((struct http_call){.method = "GET", .url = cases[i].path}, &outcome);
        assert_int_equal(outcome.rc, RC_OK);
        assert_true(str_starts(fake_request(fake, i)->head, line));
    }
}

static uint64_t told_bytes;
static unsigned told;

static void on_progress(uint64_t sent_bytes, void *arg)
{
    (void)arg;
    assert_true(sent_bytes >= told_bytes);
    told_bytes = sent_bytes;
    told++;
}

static void send_body(const char *method, size_t len, bool progress)
{
    scoped(free) char *body = mem_zeroed(len + 1);
    struct outcome outcome;
    char value[64];
    PLAY({.status = 200});

    for (size_t i = 0; i < len; i++) {
        body[i] = (char)(i * 131 + i / 251);
    }
    get((struct http_call){.method = method,
                           .url = "/put",
                           .body = len > 0 ? body : NULL,
                           .body_len = len,
                           .progress = progress ? on_progress : NULL},
        &outcome);
    assert_int_equal(outcome.rc, RC_OK);
    const struct fake_request *request = fake_request(fake, 0);
    assert_true(str_starts(request->head, method));
    assert_int_equal(request->body_len, len);
    assert_memory_equal(request->body, body, len);
    fake_header(request, "expect", value, sizeof(value));
    assert_string_equal(value, "");
    fake_header(request, "content-type", value, sizeof(value));
    assert_string_equal(value, "");
    fake_header(request, "transfer-encoding", value, sizeof(value));
    assert_string_equal(value, "");
    fake_header(request, "content-length", value, sizeof(value));
    scoped(free) char *wanted = str_printf("%zu", len);
    assert_string_equal(value, wanted);
}

static void a_body_of_any_size_arrives_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 50000, 65535, 65536, 65537, 3u << 20, 0};

    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        send_body("PUT", sizes[i], false);
        send_body("POST", sizes[i], false);
        send_body("PATCH", sizes[i] + 1, false);
    }
    assert_int_equal(fake_connections(fake), 1);
}

static void progress_is_told_while_a_body_is_sent(void **state)
{
    (void)state;
    told = 0;
    told_bytes = 0;
    send_body("PUT", 3u << 20, true);
    assert_true(told > 1);
    assert_int_equal(told_bytes, 3u << 20);
}

static void nothing_of_one_call_is_left_in_the_next(void **state)
{
    (void)state;
    static const char *const headers[] = {"X-One: 1"};
    struct outcome outcome;
    char sink[8], value[16];
    PLAY({.body = "body"});

    get((struct http_call){.method = "DELETE",
                           .url = "/a",
                           .headers = headers,
                           .header_count = 1,
                           .sink = sink,
                           .sink_len = sizeof(sink)},
        &outcome);
    assert_int_equal(outcome.sunk, 4);
    get((struct http_call){.method = "HEAD", .url = "/b"}, &outcome);
    assert_int_equal(outcome.body_len, 0);
    get((struct http_call){.method = "PUT", .url = "/c", .body = "x", .body_len = 1}, &outcome);
    get((struct http_call){.method = "GET", .url = "/d"}, &outcome);
    assert_int_equal(outcome.sunk, 0);
    assert_string_equal(outcome.body, "body");
    assert_true(str_starts(fake_request(fake, 0)->head, "DELETE /a HTTP"));
    assert_true(str_starts(fake_request(fake, 1)->head, "HEAD /b HTTP"));
    assert_true(str_starts(fake_request(fake, 2)->head, "PUT /c HTTP"));
    assert_true(str_starts(fake_request(fake, 3)->head, "GET /d HTTP"));
    fake_header(fake_request(fake, 0), "x-one", value, sizeof(value));
    assert_string_equal(value, "1");
    fake_header(fake_request(fake, 3), "x-one", value, sizeof(value));
    assert_string_equal(value, "");
    assert_int_equal(fake_request(fake, 3)->body_len, 0);
}

static void a_header_may_be_empty_but_not_two_lines(void **state)
{
    (void)state;
    static const char *const empty[] = {"X-None;"}, *const two[] = {"X-A: 1\r\nX-B: 2"};
    struct outcome outcome;
    PLAY({.status = 200});

    get((struct http_call){.method = "GET", .url = "/", .headers = empty, .header_count = 1},
        &outcome);
    assert_non_null(strstr(fake_request(fake, 0)->head, "X-None:\r\n"));
    get((struct http_call){.method = "GET", .url = "/", .headers = two, .header_count = 1},
        &outcome);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_int_equal(fake_asked(fake), 1);
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    while ((text = strcasestr(text, part)) != NULL) {
        text += strlen(part);
        count++;
    }
    return count;
}

/** Whether libcurl is told of it, or takes it for a part of another line, or makes it itself. */
static void each_header_goes_out_once_and_as_it_is(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "PUT", "POST"};
    const char *headers[] = {"X-Amz-Date: now",   NULL,          "X-Empty;",
                             "Content-Type: a/b", "Accept: c/d", "Authorization: e; f: g",
                             "User-Agent: h"};
    static const char *const expected[] = {"X-Amz-Date: now\r\n",        "\r\nX-Empty:\r\n",
                                           "Content-Type: a/b\r\n",      "Accept: c/d\r\n",
                                           "Authorization: e; f: g\r\n", "User-Agent: h\r\n"};
    struct outcome outcome;
    PLAY({.body = ""});

    for (unsigned i = 0; i < 2 * ARRAY_LEN(methods); i++) {
        scoped(free) char *host = str_printf(
            "Host: %s", i % 2 == 0 ? strrchr(fake_url(fake), '/') + 1 : "another.example");

        headers[1] = host;
        get((struct http_call){.method = methods[i / 2],
                               .url = "/",
                               .headers = headers,
                               .header_count = ARRAY_LEN(headers),
                               .body = i > 1 ? "body" : NULL,
                               .body_len = i > 1 ? 4 : 0},
            &outcome);
        assert_int_equal(outcome.rc, RC_OK);
        for (unsigned j = 0; j < ARRAY_LEN(expected); j++) {
            assert_int_equal(count_of(fake_request(fake, i)->head, expected[j]), 1);
        }
        assert_int_equal(count_of(fake_request(fake, i)->head, host), 1);
        assert_int_equal(count_of(fake_request(fake, i)->head, "\nhost:"), 1);
        assert_int_equal(count_of(fake_request(fake, i)->head, "\ncontent-type:"), 1);
    }
}

static void a_sink_takes_what_is_wanted_and_no_error_s_body(void **state)
{
    (void)state;
    char sink[4] = "....";
    struct http_call call = {.method = "GET", .url = "/", .sink = sink, .sink_len = 4};
    struct outcome outcome;
    PLAY({.status = 206, .body = "abcd"}, {.status = 503, .body = "<Error>"}, {.body = "abcde"});

    get(call, &outcome);
    assert_int_equal(outcome.sunk, 4);
    assert_memory_equal(sink, "abcd", 4);
    assert_string_equal(outcome.body, "");
    get(call, &outcome);
    assert_int_equal(outcome.sunk, 0);
    assert_memory_equal(sink, "abcd", 4);
    assert_string_equal(outcome.body, "<Error>");
    get(call, &outcome);
    assert_int_equal(outcome.rc, RC_CORRUPT);
    assert_non_null(strstr(outcome.text, "longer than the 4 bytes"));
}

static void a_body_over_its_limit_is_refused(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.body = "12345"});

    get((struct http_call){.method = "GET", .url = "/", .body_max = 5}, &outcome);
    assert_int_equal(outcome.rc, RC_OK);
    get((struct http_call){.method = "GET", .url = "/", .body_max = 4}, &outcome);
    assert_int_equal(outcome.rc, RC_CORRUPT);
}

static void too_many_headers_are_refused(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf headers = {0};
    struct outcome outcome;

    for (unsigned i = 0; i < HTTP_HEADERS_MAX + 1; i++) {
        strbuf_printf(&headers, "X-%u: 1\r\n", i);
    }
    const struct fake_answer script[] = {{.headers = headers.data}};
    fake_script(fake, script, 1);
    get((struct http_call){.method = "GET", .url = "/"}, &outcome);
    assert_int_equal(outcome.rc, RC_CORRUPT);
}

static void a_connection_that_breaks_is_a_network_failure(void **state)
{
    (void)state;
    char sink[10];
    struct outcome outcome;
    PLAY({.fault = FAKE_HANG_UP}, {.fault = FAKE_RESET, .body = "0123456789", .at = 3},
         {.fault = FAKE_SHORT, .body = "0123456789", .at = 9}, {.fault = FAKE_RESET},
         {.fault = FAKE_SHORT, .length = 10});

    for (unsigned i = 0; i < ARRAY_LEN(script); i++) {
        get((struct http_call){.method = "GET", .url = "/", .sink = sink, .sink_len = 10},
            &outcome);
        if (i == 3) { /* a reset behind an empty body: it was whole */
            continue;
        }
        assert_int_equal(outcome.rc, RC_NETWORK);
        assert_true(str_starts(outcome.text, "http://127.0.0.1:"));
    }
}

static void a_host_that_is_not_there_is_a_network_failure(void **state)
{
    (void)state;
    struct outcome outcome = {0};

    http_send(client, &(struct http_call){.method = "GET", .url = "http://127.0.0.1:1/"}, on_done,
              &outcome);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_NETWORK);
    assert_true(str_starts(outcome.text, "http://127.0.0.1:1: "));
}

static void silence_is_a_time_out_wherever_it_begins(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.fault = FAKE_SILENT}, {.fault = FAKE_STALL, .body = "0123456789", .at = 5});

    for (unsigned i = 0; i < 2; i++) {
        get((struct http_call){.method = "GET", .url = "/", .idle_ms = 60}, &outcome);
        assert_int_equal(outcome.rc, RC_TIMEOUT);
        assert_non_null(strstr(outcome.text, "nothing moved for 60 ms"));
    }
    get((struct http_call){.method = "GET", .url = "/", .idle_ms = 60, .wait_ms = 50}, &outcome);
    assert_non_null(strstr(outcome.text, "nothing moved for 110 ms"));
}

static void a_slow_answer_is_waited_for_up_to_the_total_time(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.fault = FAKE_TRICKLE, .body = "0123456789", .at = 20});

    get((struct http_call){.method = "GET", .url = "/", .idle_ms = 150}, &outcome);
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(outcome.body, "0123456789");
    get((struct http_call){.method = "GET", .url = "/", .idle_ms = 150, .total_ms = 100}, &outcome);
    assert_int_equal(outcome.rc, RC_TIMEOUT);
    assert_non_null(strstr(outcome.text, "not done within 100 ms"));
}

static void a_refusal_is_heard_while_a_body_is_still_sent(void **state)
{
    (void)state;
    const size_t len = 64u << 20; /* more than all buffers between us */
    scoped(free) char *body = mem_zeroed(len);
    struct outcome outcome;
    PLAY({.status = 403, .body = "no", .fault = FAKE_EARLY});

    get(
        (struct http_call){
            .method = "PUT", .url = "/", .body = body, .body_len = len, .idle_ms = 5000},
        &outcome);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(outcome.status, 403);
    assert_true(fake_request(fake, 0)->body_len < len);
}

static void on_progress_cancel(uint64_t sent_bytes, void *arg)
{
    (void)sent_bytes, (void)arg;
    if (other != NULL) {
        http_cancel(other);
        other = NULL;
    }
}

static void what_tells_its_progress_can_be_canceled_there(void **state)
{
    (void)state;
    const size_t len = 4u << 20;
    scoped(free) char *body = mem_zeroed(len);
    scoped(free) char *url = str_printf("%s/", fake_url(fake));
    struct outcome outcome = {0};
    PLAY({.status = 200});

    other = http_send(client,
                      &(struct http_call){.method = "PUT",
                                          .url = url,
                                          .body = body,
                                          .body_len = len,
                                          .progress = on_progress_cancel},
                      on_done, &outcome);
    loop_run(loop);
    assert_null(other);
    assert_int_equal(outcome.calls, 0);
    assert_int_equal(http_client_busy(client), 0);
}

static void a_redirect_is_an_answer(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 307, .headers = "Location: /elsewhere\r\n"});

    get((struct http_call){.method = "GET", .url = "/"}, &outcome);
    assert_int_equal(outcome.status, 307);
    assert_int_equal(fake_asked(fake), 1);
}

static void a_dead_connection_that_was_kept_costs_no_failure(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.fault = FAKE_DROP, .body = "x"}, {.fault = FAKE_CLOSE, .body = "y"}, {.body = "z"});

    for (unsigned i = 0; i < 3; i++) {
        get((struct http_call){.method = "PUT", .url = "/", .body = "body", .body_len = 4},
            &outcome);
        assert_int_equal(outcome.rc, RC_OK);
    }
    assert_int_equal(fake_connections(fake), 3);
}

static void a_url_that_was_refused_leaves_nothing_in_the_handle(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    PLAY({.body = "x"}, {.fault = FAKE_HANG_UP}, {.body = "z"});

    http_send(client, &(struct http_call){.method = "GET", .url = "http://127.0.0.1:99999/"},
              on_done, &outcome);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_INVALID);
    for (unsigned i = 0; i < 2; i++) { /* the second is asked again, of the handle's URL */
        get((struct http_call){.method = "GET", .url = "/"}, &outcome);
        assert_int_equal(outcome.rc, RC_OK);
    }
    assert_string_equal(outcome.body, "z");
}

static void fresh_is_on_a_new_connection(void **state)
{
    (void)state;
    struct outcome outcome;
    PLAY({.status = 200});

    get((struct http_call){.method = "GET", .url = "/"}, &outcome);
    get((struct http_call){.method = "GET", .url = "/", .fresh = true}, &outcome);
    get((struct http_call){.method = "GET", .url = "/"}, &outcome);
    assert_int_equal(fake_connections(fake), 2);
}

static void connections_to_a_host_are_bounded_and_the_rest_waits(void **state)
{
    (void)state;
    static struct outcome outcomes[40];
    unsigned most;
    PLAY({.fault = FAKE_TRICKLE, .body = "ab", .at = 2});

    http_client_free(client);
    open_client((struct http_client_options){.host_connections = 3});
    memset(outcomes, 0, sizeof(outcomes));
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++) {
        ask((struct http_call){.method = "GET", .url = "/"}, &outcomes[i]);
    }
    assert_int_equal(http_client_busy(client), ARRAY_LEN(outcomes));
    loop_run(loop);
    for (unsigned i = 0; i < ARRAY_LEN(outcomes); i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].rc, RC_OK);
    }
    fake_open(fake, &most);
    assert_int_equal(most, 3);
}

static void what_is_canceled_is_not_heard_of_again(void **state)
{
    (void)state;
    struct outcome at_once = {0}, refused = {0}, queued = {0}, kept = {0};
    struct http_transfer *transfer;
    PLAY({.body = "x"});

    http_client_free(client);
    open_client((struct http_client_options){.host_connections = 1});
    ask((struct http_call){.method = "GET", .url = "/"}, &kept);
    transfer = ask((struct http_call){.method = "GET", .url = "/"}, &queued);
    http_cancel(ask((struct http_call){.method = "GET", .url = "/"}, &at_once));
    http_cancel(ask((struct http_call){.method = "GET", .url = "/ "}, &refused));
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    http_cancel(transfer);
    loop_run(loop);
    assert_int_equal(kept.calls, 1);
    assert_int_equal(at_once.calls + refused.calls + queued.calls, 0);
    assert_int_equal(http_client_busy(client), 0);
}

static void on_done_cancel_other(const struct http_answer *answer, const struct err *err, void *arg)
{
    on_done(answer, err, arg);
    if (other != NULL) {
        http_cancel(other);
        other = NULL;
    }
    if (((struct outcome *)arg)->calls < 3) {
        scoped(free) char *url = str_printf("%s/again", fake_url(fake));

        http_send(client, &(struct http_call){.method = "GET", .url = url}, on_done_cancel_other,
                  arg);
    }
}

static void an_end_may_end_another_and_begin_the_next(void **state)
{
    (void)state;
    scoped(free) char *url = str_printf("%s/", fake_url(fake));
    struct outcome outcome = {0};
    PLAY({.status = 200});

    other_outcome = (struct outcome){0};
    http_send(client, &(struct http_call){.method = "GET", .url = url}, on_done_cancel_other,
              &outcome);
    other = http_send(client, &(struct http_call){.method = "GET", .url = url, .idle_ms = 9},
                      on_done, &other_outcome);
    loop_run(loop);
    assert_int_equal(outcome.calls, 3);
    assert_true(other_outcome.calls <= 1);
}

static void the_client_s_end_is_told_to_all(void **state)
{
    (void)state;
    struct outcome outcomes[3] = {0};
    PLAY({.fault = FAKE_SILENT});

    ask((struct http_call){.method = "GET", .url = "/"}, &outcomes[0]);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    ask((struct http_call){.method = "GET", .url = "/"}, &outcomes[1]);
    ask((struct http_call){.method = "GET", .url = "/ "}, &outcomes[2]);
    http_client_free(client);
    client = NULL;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].rc, RC_CANCELED);
    }
}

static void a_url_that_is_refused_fails_later_like_any(void **state)
{
    (void)state;
    struct outcome outcome = {0};

    http_send(client, &(struct http_call){.method = "GET", .url = "http://example.com/"}, on_done,
              &outcome);
    assert_int_equal(outcome.calls, 0);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_non_null(strstr(outcome.text, "example.com"));
}

static void a_proxy_is_asked_for_others_and_never_for_loopback(void **state)
{
    (void)state;
    struct outcome outcome = {0};
    PLAY({.body = "by proxy"}, {.body = "direct"}, {.body = "by proxy again"});

    http_client_free(client);
    open_client((struct http_client_options){.proxy = fake_url(fake), .allow_plain = "a.invalid"});
    http_send(client, &(struct http_call){.method = "GET", .url = "http://a.invalid/x"}, on_done,
              &outcome);
    loop_run(loop);
    assert_string_equal(outcome.body, "by proxy");
    assert_true(str_starts(fake_request(fake, 0)->head, "GET http://a.invalid/x HTTP/1.1\r\n"));
    get((struct http_call){.method = "GET", .url = "/y"}, &outcome);
    assert_true(str_starts(fake_request(fake, 1)->head, "GET /y HTTP/1.1\r\n"));
    http_send(client, &(struct http_call){.method = "GET", .url = "http://a.invalid/z"}, on_done,
              &outcome);
    loop_run(loop);
    assert_string_equal(outcome.body, "by proxy again");
    assert_true(str_starts(fake_request(fake, 2)->head, "GET http://a.invalid/z HTTP/1.1\r\n"));
}

static void a_bundle_that_cannot_be_read_is_this_host_s_fault(void **state)
{
    (void)state;
    struct http_client *none = NULL;
    struct err err;

    assert_int_equal(
        http_client_new(loop, &(struct http_client_options){.ca_bundle = "/nowhere"}, &none, &err),
        RC_HOST);
    assert_null(none);
    assert_non_null(strstr(err.text, "/nowhere"));
}

static void no_descriptors_is_this_host_s_fault(void **state)
{
    (void)state;
    struct rlimit limit, none;
    struct outcome outcome = {0};
    int fds[1024], count = 0, last;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    while ((last = dup(0)) >= 0 && count < 900) {
        fds[count++] = last;
        none = (struct rlimit){.rlim_cur = (rlim_t)last + 1, .rlim_max = limit.rlim_max};
        if (count == 20) {
            assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        }
    }
    ask((struct http_call){.method = "GET", .url = "/"}, &outcome);
    loop_run(loop);
    while (count > 0) {
        close(fds[--count]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(outcome.rc, RC_HOST);
    assert_non_null(strstr(outcome.text, "Too many open files"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_has_status_headers_and_body),
        TEST(a_connection_is_kept_and_used_again),
        TEST(a_path_goes_out_as_it_is),
        TEST(a_body_of_any_size_arrives_whole),
        TEST(progress_is_told_while_a_body_is_sent),
        TEST(nothing_of_one_call_is_left_in_the_next),
        TEST(a_header_may_be_empty_but_not_two_lines),
        TEST(each_header_goes_out_once_and_as_it_is),
        TEST(a_sink_takes_what_is_wanted_and_no_error_s_body),
        TEST(a_body_over_its_limit_is_refused),
        TEST(too_many_headers_are_refused),
        TEST(a_connection_that_breaks_is_a_network_failure),
        TEST(a_host_that_is_not_there_is_a_network_failure),
        TEST(silence_is_a_time_out_wherever_it_begins),
        TEST(a_slow_answer_is_waited_for_up_to_the_total_time),
        TEST(a_refusal_is_heard_while_a_body_is_still_sent),
        TEST(what_tells_its_progress_can_be_canceled_there),
        TEST(a_redirect_is_an_answer),
        TEST(a_dead_connection_that_was_kept_costs_no_failure),
        TEST(a_url_that_was_refused_leaves_nothing_in_the_handle),
        TEST(fresh_is_on_a_new_connection),
        TEST(connections_to_a_host_are_bounded_and_the_rest_waits),
        TEST(what_is_canceled_is_not_heard_of_again),
        TEST(an_end_may_end_another_and_begin_the_next),
        TEST(the_client_s_end_is_told_to_all),
        TEST(a_url_that_is_refused_fails_later_like_any),
        TEST(a_proxy_is_asked_for_others_and_never_for_loopback),
        TEST(a_bundle_that_cannot_be_read_is_this_host_s_fault),
        TEST(no_descriptors_is_this_host_s_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
