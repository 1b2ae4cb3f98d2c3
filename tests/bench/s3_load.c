/** @file
 * Our own S3 and SQS client at full speed, for tests/bench/s3.sh:
 *
 *     s3_load ENDPOINT put|get|head|copy COUNT SIZE IN_FLIGHT BUCKET
 *     s3_load ENDPOINT list BUCKET
 *     s3_load ENDPOINT receive COUNT IN_FLIGHT            messages taken and deleted, ten at a time
 *
 * It prints what it did, the seconds that took from main() on, its CPU time since then in
 * microseconds a piece, its largest size in kB, and that part of the CPU time that was spent in
 * user mode. Objects are k00000000 and so on; copies go from BUCKET to BUCKET-copy.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/aws/s3.h"
#include "lib/aws/sqs.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

enum what { PUT, GET, HEAD, COPY, LIST, RECEIVE };

static struct {
    struct loop *loop;
    struct aws *aws;
    enum what what;
    const char *bucket;
    char *copies, *queue;
    unsigned long begun, done, count;
    size_t size;
    char *bytes; /* what is put */
    char *next;  /* of a listing */
} load;

struct slot {
    char *buffer;
    char key[32];
};

static void run(struct slot *slot);

static void check(const struct err *err)
{
    if (err != NULL) {
        fprintf(stderr, "s3_load: %s\n", err->text);
        exit(1);
    }
}

static void one_more(struct slot *slot, const struct err *err, unsigned long pieces)
{
    check(err);
    load.done += pieces;
    if (load.done >= load.count) {
        loop_stop(load.loop);
    } else {
        run(slot);
    }
}

static void on_put(const char *etag, const char *version, const struct err *err, void *arg)
{
    (void)etag, (void)version;
    one_more(arg, err, 1);
}

static void on_done(const struct err *err, void *arg)
{
    one_more(arg, err, 1);
}

static void on_head(const struct s3_object *object, const struct err *err, void *arg)
{
    (void)object;
    one_more(arg, err, 1);
}

static void on_page(const struct s3_object *objects, unsigned count, const char *next,
                    const struct err *err, void *arg)
{
    (void)objects;
    check(err);
    load.done += count;
    free(load.next);
    load.next = str_dup(next);
    if (next[0] == '\0') {
        loop_stop(load.loop);
    } else {
        run(arg);
    }
}

static void on_deleted(const enum sqs_fate *fates, unsigned count, const char *why,
                       const struct err *err, void *arg)
{
    check(err);
    for (unsigned i = 0; i < count; i++) {
        if (fates[i] != SQS_OK) {
            fprintf(stderr, "s3_load: %s\n", why);
            exit(1);
        }
    }
    one_more(arg, NULL, count);
}

static void on_messages(const struct sqs_message *messages, unsigned count, const struct err *err,
                        void *arg)
{
    const char *handles[SQS_BATCH];

    check(err);
    for (unsigned i = 0; i < count; i++) {
        handles[i] = messages[i].handle;
    }
    sqs_delete(load.aws, load.queue, handles, count, on_deleted, arg);
}

static void run(struct slot *slot)
{
    struct s3_put put = {.key = slot->key, .bytes = load.bytes, .len = load.size};

    if (load.what == LIST) {
        s3_list(load.aws, load.bucket, "", "", load.next, S3_LIST_MAX, on_page, slot);
        return;
    }
    if (load.what == RECEIVE) {
        sqs_receive(load.aws, load.queue, SQS_BATCH, 1, 30, on_messages, slot);
        return;
    }
    if (load.begun == load.count) {
        return;
    }
    snprintf(slot->key, sizeof(slot->key), "k%08lu", load.begun++);
    switch (load.what) {
    case PUT:
        s3_put(load.aws, load.bucket, &put, on_put, slot);
        break;
    case GET:
        s3_get(load.aws, load.bucket, slot->key, NULL, NULL, 0, load.size, slot->buffer, on_done,
               slot);
        break;
    case HEAD:
        s3_head(load.aws, load.bucket, slot->key, NULL, on_head, slot);
        break;
    default:
        s3_copy(load.aws, load.copies, &put, load.bucket, slot->key, NULL, NULL, on_put, slot);
        break;
    }
}

static enum what parse(const char *word)
{
    static const char *const words[] = {"put", "get", "head", "copy", "list", "receive"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i]) == 0) {
            return (enum what)i;
        }
    }
    fprintf(stderr, "s3_load: '%s' is no operation\n", word);
    exit(2);
}

static unsigned options(int argc, char **argv)
{
    bool is_listing, is_queue;

    if (argc < 4) {
        fprintf(stderr, "usage: s3_load ENDPOINT OPERATION ...\n");
        exit(2);
    }
    load.what = parse(argv[2]);
    is_listing = load.what == LIST;
    is_queue = load.what == RECEIVE;
    if (argc != (is_listing ? 4 : is_queue ? 5 : 7)) {
        fprintf(stderr, "usage: s3_load ENDPOINT OPERATION ...\n");
        exit(2);
    }
    load.bucket = argv[is_listing ? 3 : 6 < argc ? 6 : 3];
    load.count = is_listing ? (unsigned long)-1 : strtoul(argv[3], NULL, 10);
    load.size = is_listing || is_queue ? 1 : strtoul(argv[4], NULL, 10);
    load.bytes = mem_zeroed(load.size);
    load.next = str_dup("");
    load.copies = str_printf("%s-copy", load.bucket);
    load.queue = str_printf("%s/123456789012/queue", argv[1]);
    return is_listing ? 1 : (unsigned)strtoul(argv[is_queue ? 4 : 5], NULL, 10);
}

static double micros(struct timeval time)
{
    return (double)time.tv_sec * 1e6 + (double)time.tv_usec;
}

int main(int argc, char **argv)
{
    int64_t began_ms = now_mono_ms();
    unsigned in_flight = options(argc, argv);
    struct slot *slots = mem_zeroed(in_flight * sizeof(*slots));
    struct aws_options access = {.region = "us-east-1", .endpoint_url = argv[1]};
    struct http_client *http;
    struct rusage before, used;
    struct err err;
    double user_us, system_us;

    getrusage(RUSAGE_SELF, &before);
    load.loop = loop_new();
    struct work *work = work_new(load.loop, (unsigned[WORK_LANE_COUNT]){1, 1, 1, 1, 1});
    if (http_client_new(load.loop, &(struct http_client_options){0}, &http, &err) != RC_OK) {
        check(&err);
    }
    load.aws = aws_new(load.loop, work, http, &access);
    for (unsigned i = 0; i < in_flight; i++) {
        slots[i].buffer = load.what == GET ? mem_zeroed(load.size) : NULL;
        run(&slots[i]);
    }
    loop_run(load.loop);
    getrusage(RUSAGE_SELF, &used);
    user_us = micros(used.ru_utime) - micros(before.ru_utime);
    system_us = micros(used.ru_stime) - micros(before.ru_stime);
    printf("%lu %.6f %.2f %ld %.2f\n", load.done, (double)(now_mono_ms() - began_ms) / 1000,
           (user_us + system_us) / (double)load.done, used.ru_maxrss, user_us / (double)load.done);
    return 0; /* what is under way ends with the process */
}
