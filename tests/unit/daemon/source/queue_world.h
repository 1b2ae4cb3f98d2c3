/** @file
 * A queue in memory in the place of lib/aws/sqs.c, a raw store that answers heads, and the daemon's
 * side of it, for the tests of queues.
 *
 * Thread:     the loop's.
 */
#pragma once

#include "tests/unit/daemon/job/fixture.h"

#include <stdio.h>
#include <string.h>

#include "daemon/source/sqs_queue.h"
#include "lib/aws/sqs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define QUEUE "https://sqs.test/1/raw"
#define MESSAGES_MAX 4000

/* ---- a queue in memory, in the place of lib/aws/sqs.c */

static struct message {
    char id[16], *body;
    unsigned serial, receives; /**< The handle is "id/serial". */
    bool hidden, deleted;
    const char *fault; /**< It is none, for this reason; NULL: it is one. */
    bool nameless;     /**< It comes without a handle. */
} messages[MESSAGES_MAX];
static unsigned message_count;

struct aws_call {
    struct aws_call *next;
    enum { RECEIVE, DELETE, EXTEND } kind;
    unsigned max, visibility_s, count;
    char handles[SQS_BATCH][40];
    sqs_messages_fn *messages;
    sqs_batch_fn *batch;
    void *arg;
    bool canceled, running;
};

static struct aws_call *calls;
static struct counts {
    unsigned receives, polls_most, delete_calls, deletes, extends, given_back, most_asked;
    unsigned last_visibility_s;
} counts;
static enum rc receive_says;
static enum sqs_fate delete_says[8], extend_says; /**< Of the next deletions, one after another. */
static unsigned delete_scripts;
static bool delete_fails;

static inline struct message *by_handle(const char *handle, bool *ret_current)
{
    char id[16];
    unsigned serial = 0;

    assert_int_equal(sscanf(handle, "%15[^/]/%u", id, &serial), 2);
    for (unsigned i = 0; i < message_count; i++) {
        if (strcmp(messages[i].id, id) == 0) {
            *ret_current = messages[i].serial == serial;
            return &messages[i];
        }
    }
    fail_msg("handle '%s'", handle);
    return NULL;
}

static inline void call_end(struct aws_call *call)
{
    struct aws_call **link = &calls;

    while (*link != call) {
        link = &(*link)->next;
    }
    *link = call->next;
    free(call);
}

static inline void answer_receive(struct aws_call *call)
{
    struct sqs_message found[SQS_BATCH];
    char handles[SQS_BATCH][40];
    struct err err;
    unsigned count = 0;

    if (call->canceled || receive_says != RC_OK) {
        err_set(&err, call->canceled ? RC_CANCELED : receive_says, "no");
        call->messages(NULL, 0, &err, call->arg);
        call_end(call);
        return;
    }
    for (unsigned i = 0; i < message_count && count < call->max; i++) {
        struct message *message = &messages[i];

        if (!message->hidden && !message->deleted) {
            message->hidden = true;
            message->receives++;
            snprintf(handles[count], sizeof(handles[count]), "%.28s/%u", message->id,
                     ++message->serial);
            found[count] =
                (struct sqs_message){.id = message->id,
                                     .handle = handles[count],
                                     .body = message->body,
                                     .fault = message->fault != NULL ? message->fault : "",
                                     .receive_count = message->receives,
                                     .sent_ms = now_wall_ms() - 50};
            if (message->nameless) {
                handles[count][0] = '\0';
            }
            count++;
        }
    }
    call->messages(found, count, NULL, call->arg);
    call_end(call);
}

static inline bool any_visible(void)
{
    for (unsigned i = 0; i < message_count; i++) {
        if (!messages[i].hidden && !messages[i].deleted) {
            return true;
        }
    }
    return false;
}

static inline void run_receive(void *arg)
{
    struct aws_call *call = arg;

    call->running = false;
    if (call->canceled || receive_says != RC_OK || any_visible()) {
        answer_receive(call);
    } /* else it waits: see serve() */
}

static inline void run_batch(void *arg)
{
    struct aws_call *call = arg;
    enum sqs_fate fates[SQS_BATCH];
    struct err err;

    if (call->canceled || (call->kind == DELETE && delete_fails)) {
        err_set(&err, call->canceled ? RC_CANCELED : RC_NETWORK, "no");
        call->batch(NULL, 0, "", &err, call->arg);
        call_end(call);
        return;
    }
    for (unsigned i = 0; i < call->count; i++) {
        bool current = false;
        struct message *message = by_handle(call->handles[i], &current);

        fates[i] = !current || !message->hidden ? SQS_STALE : SQS_OK;
        if (call->kind == DELETE && delete_scripts > 0) {
            fates[i] = delete_says[--delete_scripts];
        } else if (call->kind == EXTEND && extend_says != SQS_OK) {
            fates[i] = extend_says;
        }
        if (fates[i] != SQS_OK) {
            continue;
        }
        if (call->kind == DELETE) {
            message->deleted = true;
            counts.deletes++;
        } else {
            message->hidden = call->visibility_s > 0;
            counts.given_back += call->visibility_s == 0;
        }
    }
    call->batch(fates, call->count, "the script", NULL, call->arg);
    call_end(call);
}

static inline struct aws_call *call_new(unsigned kind, void *arg)
{
    struct aws_call *call = mem_new(struct aws_call);

    call->kind = kind;
    call->arg = arg;
    call->next = calls;
    calls = call;
    return call;
}

static inline void defer_receive(struct aws_call *call)
{
    if (!call->running) {
        call->running = true;
        loop_defer(services.loop, run_receive, call);
    }
}

struct aws_call *sqs_receive(struct aws *aws, const char *queue_url, unsigned max, unsigned wait_s,
                             unsigned visibility_s, sqs_messages_fn *done, void *arg)
{
    struct aws_call *call = call_new(RECEIVE, arg);
    unsigned polls = 0;

    (void)aws, (void)wait_s;
    assert_string_equal(queue_url, QUEUE);
    assert_in_range(max, 1, SQS_BATCH);
    call->max = max;
    call->messages = done;
    for (const struct aws_call *other = calls; other != NULL; other = other->next) {
        polls += other->kind == RECEIVE;
    }
    counts.polls_most = MAX_OF(counts.polls_most, polls);
    counts.most_asked = MAX_OF(counts.most_asked, max);
    counts.receives++;
    counts.last_visibility_s = visibility_s;
    defer_receive(call);
    return call;
}

static inline struct aws_call *batch(unsigned kind, const char *const *handles, unsigned count,
                                     unsigned visibility_s, sqs_batch_fn *done, void *arg)
{
    struct aws_call *call = call_new(kind, arg);

    assert_in_range(count, 1, SQS_BATCH);
    call->batch = done;
    call->count = count;
    call->visibility_s = visibility_s;
    for (unsigned i = 0; i < count; i++) {
        snprintf(call->handles[i], sizeof(call->handles[i]), "%s", handles[i]);
    }
    loop_defer(services.loop, run_batch, call);
    return call;
}

struct aws_call *sqs_delete(struct aws *aws, const char *queue_url, const char *const *handles,
                            unsigned count, sqs_batch_fn *done, void *arg)
{
    (void)aws, (void)queue_url;
    counts.delete_calls++;
    return batch(DELETE, handles, count, 0, done, arg);
}

struct aws_call *sqs_extend(struct aws *aws, const char *queue_url, const char *const *handles,
                            unsigned count, unsigned visibility_s, sqs_batch_fn *done, void *arg)
{
    (void)aws, (void)queue_url;
    counts.extends += visibility_s > 0;
    return batch(EXTEND, handles, count, visibility_s, done, arg);
}

void aws_cancel(struct aws_call *call)
{
    call->canceled = true;
    if (call->kind == RECEIVE) {
        defer_receive(call);
    }
}

/* What buckets would ask of AWS, of which there are none here. */

struct aws_call *aws_send(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                          void *arg)
{
    (void)aws, (void)request, (void)done, (void)arg;
    abort();
}

int64_t aws_clock_offset_s(const struct aws *aws)
{
    (void)aws;
    return 0;
}

/** Long polls hear of what has become visible. */
static inline void serve(void)
{
    for (struct aws_call *call = calls; call != NULL && any_visible(); call = call->next) {
        if (call->kind == RECEIVE) {
            defer_receive(call);
        }
    }
}

static inline struct message *send_body(const char *body)
{
    struct message *message = &messages[message_count];

    assert_true(message_count < MESSAGES_MAX);
    *message = (struct message){.body = str_dup(body)};
    snprintf(message->id, sizeof(message->id), "m%u", message_count++);
    serve();
    return message;
}

#define RECORD                                                                                 \
    "{\"eventVersion\":\"2.6\",\"eventSource\":\"aws:s3\",\"eventTime\":\"%s\",\"eventName\":" \
    "\"%s\",\"s3\":{\"bucket\":{\"name\":\"raw\"},\"object\":{\"key\":\"%s\",\"size\":10,"     \
    "\"eTag\":\"%s\",\"sequencer\":\"%s\"}}}"

static inline struct message *send_event(const char *name, const char *key, const char *etag,
                                         const char *sequencer)
{
    scoped(free) char *body = str_printf("{\"Records\":[" RECORD "]}", "2020-01-01T00:00:00.000Z",
                                         name, key, etag, sequencer);

    return send_body(body);
}

static inline struct message *send_put(const char *key, const char *etag, const char *sequencer)
{
    return send_event("ObjectCreated:Put", key, etag, sequencer);
}

/* ---- a raw store that answers heads */

static struct object {
    const char *key, *etag;
} objects[8];
static enum rc head_says;
static bool heads_wait;
static struct head *waiting_head; /**< The last that was asked while they wait. */

struct head {
    char *key;
    store_head_fn *done;
    void *arg;
};

static inline void run_head(void *arg)
{
    struct head *head = arg;
    struct err err;
    const struct object *found = NULL;

    if (heads_wait) {
        waiting_head = head;
        return;
    }
    for (unsigned i = 0; i < ARRAY_LEN(objects); i++) {
        if (objects[i].key != NULL && strcmp(objects[i].key, head->key) == 0) {
            found = &objects[i];
        }
    }
    if (head_says != RC_OK || found == NULL) {
        err_set(&err, head_says != RC_OK ? head_says : RC_NOT_FOUND, "head '%s'", head->key);
        head->done(NULL, &err, head->arg);
    } else {
        const struct store_object object = {
            .key = head->key, .etag = found->etag, .version = "", .size = 7, .modified_ms = 9000};

        head->done(&object, NULL, head->arg);
    }
    free(head->key);
    free(head);
}

static inline void store_head_fake(struct store *store, const char *key, store_head_fn *done,
                                   void *arg)
{
    struct head *head = mem_new(struct head);

    *head = (struct head){.key = str_dup(key), .done = done, .arg = arg};
    loop_defer(store->loop, run_head, head);
}

static const struct store_ops store_ops_fake = {.head = store_head_fake};
static char bucket_name[] = "raw", no_prefix[] = "", queue_url[] = QUEUE;
static struct uri raw_uri = {.scheme = URI_S3, .bucket = bucket_name, .path = no_prefix};
static struct store raw_store = {.ops = &store_ops_fake, .uri = &raw_uri};

/* ---- the world */

static struct sqs_queues *queues;
static bool rested, over, job_queue_stopped;
static int64_t late_ms;
static struct job *loaded;
static struct sqs_limits limits;
static unsigned glue_events;
static const struct job_stage *const no_stages[] = {NULL};

static inline void on_rested(void *arg)
{
    (void)arg;
    rested = true;
}

static inline int begin(void **state)
{
    const int failed = fixture_set_up(state);

    conf.sources_sqs_queue_url = queue_url;
    conf.sources_sqs_wait_ms = 20000;
    conf.sources_sqs_visibility_ms = 120000;
    conf.sources_sqs_in_flight = 10000;
    services.raw = &raw_store;
    raw_store.loop = services.loop;
    raw_uri.path = no_prefix;
    services.budget = budget_new(1 << 20);
    services.intake = intake_new(&services);
    services.queue = job_queue_new(&services, no_stages);
    message_count = 0;
    counts = (struct counts){0};
    receive_says = head_says = RC_OK;
    extend_says = SQS_OK;
    delete_scripts = glue_events = 0;
    delete_fails = rested = heads_wait = false;
    waiting_head = NULL;
    memset(objects, 0, sizeof(objects));
    limits =
        (struct sqs_limits){.wall_ms = 40000000, .linger_ms = 1, .retry_ms = 1, .stop_ms = 5000};
    return failed;
}

static inline void start(void)
{
    queues = sqs_queues_new(&services, &limits, on_rested, NULL);
    sqs_queues_start(queues);
}

static inline void stop(void)
{
    if (queues != NULL) {
        sqs_queues_stop(queues);
        run_until(&rested);
        sqs_queues_free(TAKE(queues));
        rested = false;
    }
}

static inline void on_job_queue_stopped(void *arg)
{
    (void)arg;
    job_queue_stopped = true;
}

static inline int end(void **state)
{
    stop();
    assert_null(calls);
    job_queue_stopped = false;
    job_queue_stop(services.queue, on_job_queue_stopped, NULL);
    run_until(&job_queue_stopped);
    for (unsigned i = 0; i < message_count; i++) {
        free(messages[i].body);
    }
    intake_free(services.intake);
    job_queue_free(services.queue);
    budget_free(services.budget);
    services.raw = NULL;
    return fixture_tear_down(state);
}

static inline struct source_queue status(void)
{
    struct source_queue now;

    sqs_queues_status(queues, 0, &now);
    return now;
}

static inline void on_late(uv_timer_t *timer)
{
    *(bool *)timer->data = now_mono_ms() >= late_ms;
}

/** Also wakes the loop now and then, for conditions that only the clock makes true. */
static inline uv_timer_t *late_start(bool *late)
{
    uv_timer_t *timer = mem_new(uv_timer_t);

    *late = false;
    timer->data = late;
    uv_timer_init(loop_uv(services.loop), timer);
    uv_timer_start(timer, on_late, 100, 100);
    late_ms = now_mono_ms() + 20000;
    return timer;
}

static inline void late_closed(uv_handle_t *timer)
{
    free(timer);
}

static inline void late_stop(uv_timer_t *timer, bool late, const char *what)
{
    uv_close((uv_handle_t *)timer, late_closed);
    uv_run(loop_uv(services.loop), UV_RUN_NOWAIT);
    if (late) {
        fail_msg("20 s, and still not: %s", what);
    }
}

/** Turn the loop until the condition holds. */
#define UNTIL(condition)                                 \
    do {                                                 \
        bool late_;                                      \
        uv_timer_t *timer_ = late_start(&late_);         \
        while (!(condition) && !late_) {                 \
            uv_run(loop_uv(services.loop), UV_RUN_ONCE); \
        }                                                \
        late_stop(timer_, late_, #condition);            \
    } while (0)

static inline double metric(unsigned id, const char *a, const char *b)
{
    return metric_value(services.metrics, id, METRIC_LABELS(a, b));
}

static inline void on_loaded(struct job *job, uint64_t newest, const struct err *err, void *arg)
{
    (void)newest, (void)err, (void)arg;
    loaded = job;
    over = true;
}

static inline void on_moved(struct job *job, const struct err *err, void *arg)
{
    (void)job, (void)arg;
    assert_null(err);
    over = true;
}

static inline void move(uint64_t id, enum job_event event, enum rc rc)
{
    const struct job_note note = {.rc = rc, .retry_at_ms = 1, .reason = "the test"};

    over = false;
    job_load(services.jobs, id, on_loaded, NULL);
    run_until(&over);
    over = false;
    job_move(loaded, event, &note, on_moved, NULL);
    run_until(&over);
    job_free(TAKE(loaded));
}

static inline uint64_t job_of(const char *key)
{
    char sql[200];

    snprintf(sql, sizeof(sql), "SELECT max(id) FROM jobs WHERE key = '%s'", key);
    return (uint64_t)ask_int(sql);
}

static inline void finish(uint64_t job)
{
    for (unsigned i = 0; i < 3; i++) {
        move(job, JOB_EV_STARTED, RC_OK);
        move(job, JOB_EV_FINISHED, RC_OK);
    }
}

/** All that was sent before is decided, and deleted if it is to be: a message behind it is. */
static inline void settle(void)
{
    const struct message *last =
        send_body("{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\",\"Bucket\":\"raw\"}");

    UNTIL(last->deleted && !intake_busy(services.intake) && job_store_pending(services.jobs) == 0);
    last = send_body("{\"Event\":\"s3:TestEvent\"}");
    UNTIL(last->deleted);
}
