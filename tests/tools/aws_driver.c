/** @file
 * AWS calls from the command line, for the flow tests and for measuring:
 *
 *     aws_driver call SERVICE OPERATION METHOD BUCKET|- PATH [?NAME=VALUE|NAME:VALUE|@BODY]...
 *     aws_driver json SERVICE VERSION TARGET URL|- BODY
 *     aws_driver query SERVICE VERSION ACTION [NAME=VALUE]...
 *     aws_driver bench PUT|GET BUCKET COUNT IN_FLIGHT BYTES
 *
 * A call prints "STATUS CODE ATTEMPTS REQUEST_ID" and the body; an error goes to stderr, exit
 * status 1. In front may stand --anonymous, --virtual, --profile NAME. A bench prints requests a
 * second and the CPU time of one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/aws/aws.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define PAIRS_MAX 16

struct driver {
    struct loop *loop;
    struct work *work;
    struct http_client *http;
    struct aws *aws;
    bool failed;
    /* bench */
    const char *method, *bucket;
    unsigned count, begun, ended, bad;
    size_t bytes;
    char *body;
};

struct slot { /**< Of a bench: one request at a time. */
    struct driver *driver;
    char *sink;
};

static void on_done(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct driver *driver = arg;

    if (answer->http != NULL) {
        printf("%u %s %u %s\n", answer->http->status, answer->code[0] != '\0' ? answer->code : "-",
               answer->attempts, answer->request_id);
        fwrite(answer->http->body, 1, answer->http->body_len, stdout);
    }
    if (err != NULL) {
        fprintf(stderr, "%s: %s\n", rc_name(err->rc), err->text);
        driver->failed = true;
    }
}

/** "?name=value" is of the query, "name:value" a header, "@text" the body. */
static void add_word(char *word, struct aws_request *request, struct sigv4_pair *query,
                     struct sigv4_pair *headers)
{
    char *at = strchr(word, word[0] == '?' ? '=' : ':');

    if (word[0] == '@') {
        request->body = word + 1;
        request->body_len = strlen(word + 1);
    } else if (at == NULL || request->query_count == PAIRS_MAX ||
               request->header_count == PAIRS_MAX) {
        fprintf(stderr, "'%s' is no ?name=value, name:value or @body\n", word);
        exit(2);
    } else if (word[0] == '?') {
        *at = '\0';
        query[request->query_count++] = (struct sigv4_pair){word + 1, at + 1};
    } else {
        *at = '\0';
        headers[request->header_count++] = (struct sigv4_pair){word, at + 1};
    }
}

static void call(struct driver *driver, char **words, int count)
{
    struct sigv4_pair query[PAIRS_MAX], headers[PAIRS_MAX];
    struct aws_request request = {.service = words[0],
                                  .operation = words[1],
                                  .method = words[2],
                                  .bucket = strcmp(words[3], "-") != 0 ? words[3] : NULL,
                                  .path = words[4],
                                  .query = query,
                                  .headers = headers};

    request.in_body = strcmp(request.operation, "CopyObject") == 0;
    for (int i = 5; i < count; i++) {
        add_word(words[i], &request, query, headers);
    }
    aws_send(driver->aws, &request, on_done, driver);
    loop_run(driver->loop);
}

static void json(struct driver *driver, char **words)
{
    aws_send_json(driver->aws, words[0], words[1], words[2],
                  strcmp(words[3], "-") != 0 ? words[3] : NULL, words[4], 0, on_done, driver);
    loop_run(driver->loop);
}

static void query(struct driver *driver, char **words, int count)
{
    struct sigv4_pair pairs[PAIRS_MAX];
    unsigned pair_count = 0;

    for (int i = 3; i < count && pair_count < PAIRS_MAX; i++) {
        char *at = strchr(words[i], '=');

        if (at == NULL) {
            fprintf(stderr, "'%s' is no name=value\n", words[i]);
            exit(2);
        }
        *at = '\0';
        pairs[pair_count++] = (struct sigv4_pair){words[i], at + 1};
    }
    aws_send_query(driver->aws, words[0], words[1], words[2], pairs, pair_count, on_done, driver);
    loop_run(driver->loop);
}

/* ---- bench */

static void next(struct slot *slot);

static void on_ended(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct slot *slot = arg;
    struct driver *driver = slot->driver;

    driver->ended++;
    if (err != NULL || (slot->sink != NULL && answer->http->sunk != driver->bytes)) {
        if (driver->bad++ == 0) {
            fprintf(stderr, "%s\n", err != NULL ? err->text : "wrong length");
        }
    }
    next(slot);
}

static void next(struct slot *slot)
{
    struct driver *driver = slot->driver;
    const bool put = strcmp(driver->method, "PUT") == 0;
    char path[32];

    if (driver->begun == driver->count) {
        return;
    }
    snprintf(path, sizeof(path), "/bench/%08u", driver->begun++);
    const struct aws_request request = {.service = "s3",
                                        .operation = put ? "PutObject" : "GetObject",
                                        .method = driver->method,
                                        .bucket = driver->bucket,
                                        .path = path,
                                        .body = put ? driver->body : NULL,
                                        .body_len = put ? driver->bytes : 0,
                                        .sink = slot->sink,
                                        .sink_len = slot->sink != NULL ? driver->bytes : 0};
    aws_send(driver->aws, &request, on_ended, slot);
}

static double cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void bench(struct driver *driver, char **words)
{
    const unsigned in_flight = (unsigned)strtoul(words[3], NULL, 10);
    struct slot *slots = mem_resize(NULL, in_flight, sizeof(*slots));
    double cpu, wall;

    driver->method = words[0];
    driver->bucket = words[1];
    driver->count = (unsigned)strtoul(words[2], NULL, 10);
    driver->bytes = strtoul(words[4], NULL, 10);
    driver->body = mem_zeroed(driver->bytes + 1);
    for (size_t i = 0; i < driver->bytes; i++) {
        driver->body[i] = (char)(i * 131);
    }
    for (unsigned i = 0; i < in_flight; i++) {
        slots[i] = (struct slot){
            driver, strcmp(words[0], "GET") == 0 ? mem_zeroed(driver->bytes + 1) : NULL};
    }
    cpu = cpu_us();
    wall = (double)now_mono_us();
    for (unsigned i = 0; i < in_flight; i++) {
        next(&slots[i]);
    }
    loop_run(driver->loop);
    wall = (double)now_mono_us() - wall;
    cpu = cpu_us() - cpu;
    printf("%s %u of %zu bytes, %u in flight: %.0f/s, %.1f us CPU each, %u bad\n", words[0],
           driver->ended, driver->bytes, in_flight, driver->ended / wall * 1e6, cpu / driver->ended,
           driver->bad);
    driver->failed = driver->bad > 0 || driver->ended != driver->count;
    for (unsigned i = 0; i < in_flight; i++) {
        free(slots[i].sink);
    }
    free(slots);
    free(driver->body);
}

/* ---- */

static void run(struct driver *driver, char **words, int count)
{
    if (count > 5 && strcmp(words[0], "call") == 0) {
        call(driver, words + 1, count - 1);
    } else if (count == 6 && strcmp(words[0], "json") == 0) {
        json(driver, words + 1);
    } else if (count > 3 && strcmp(words[0], "query") == 0) {
        query(driver, words + 1, count - 1);
    } else if (count == 6 && strcmp(words[0], "bench") == 0) {
        bench(driver, words + 1);
    } else {
        fprintf(stderr, "usage: see the top of aws_driver.c\n");
        driver->failed = true;
    }
}

int main(int argc, char **argv)
{
    static const unsigned widths[WORK_LANE_COUNT] = {1, 1, 1, 1, 1};
    struct aws_options options = {0};
    struct driver driver = {.loop = loop_new()};
    struct err err;

    for (; argc > 1 && str_starts(argv[1], "--"); argc--, argv++) {
        if (strcmp(argv[1], "--anonymous") == 0) {
            options.anonymous = true;
        } else if (strcmp(argv[1], "--virtual") == 0) {
            options.addressing = AWS_ADDRESSING_VIRTUAL;
        } else if (strcmp(argv[1], "--profile") == 0 && argc > 2) {
            options.profile = argv[2];
            argc--, argv++;
        }
    }
    driver.work = work_new(driver.loop, widths);
    if (http_client_new(driver.loop,
                        &(struct http_client_options){.ca_bundle = getenv("AWS_CA_BUNDLE")},
                        &driver.http, &err) != RC_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    driver.aws = aws_new(driver.loop, driver.work, driver.http, &options);
    run(&driver, argv + 1, argc - 1);
    aws_free(driver.aws);
    http_client_free(driver.http);
    work_free(driver.work);
    loop_free(driver.loop);
    return driver.failed ? 1 : 0;
}
