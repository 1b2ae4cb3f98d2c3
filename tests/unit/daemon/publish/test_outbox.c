/** @file
 * The outbox, with a topic in memory: what is written with a move, sent, tried again, removed.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/publish/outbox.h"
#include "lib/aws/sns.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define TOPIC "arn:aws:sns:us-east-1:123456789012:done"

/* ---- a topic in memory, in the place of lib/aws/sns.c */

static struct published {
    char *message, subject[120], unique[80], attributes[200];
} published[600];
static unsigned published_count, publish_calls, under_way, most_under_way;
static enum rc sns_says;
static bool sns_hangs;

struct aws_call {
    struct aws_call *next;
    struct published what;
    sns_done_fn *done;
    void *arg;
    bool canceled, hangs, due;
};
static struct aws_call *hanging;

static void run_publish(void *arg)
{
    struct aws_call *call = arg;
    struct err err;

    call->due = false;
    if (call->hangs && !call->canceled) {
        return;
    }
    under_way--;
    if (call->canceled || sns_says != RC_OK) {
        err_set(&err, call->canceled ? RC_CANCELED : sns_says, "the topic says no");
        free(call->what.message);
        call->done(NULL, &err, call->arg);
    } else {
        assert_true(published_count < ARRAY_LEN(published));
        published[published_count++] = call->what;
        call->done("m", NULL, call->arg);
    }
    free(call);
}

bool sns_is_fifo(const char *topic_arn)
{
    return strcmp(topic_arn, TOPIC) != 0;
}

struct aws_call *sns_publish(struct aws *aws, const char *topic_arn, const char *subject,
                             const char *message, const char *unique,
                             const struct sigv4_pair *attributes, unsigned attribute_count,
                             sns_done_fn *done, void *arg)
{
    struct aws_call *call = mem_new(struct aws_call);
    size_t len = 0;

    (void)aws;
    assert_string_equal(topic_arn, conf.notify_sns_topic_arn);
    assert_true(strlen(message) <= SNS_MESSAGE_MAX);
    call->what.message = str_dup(message);
    snprintf(call->what.subject, sizeof(call->what.subject), "%s", subject);
    snprintf(call->what.unique, sizeof(call->what.unique), "%s", unique);
    for (unsigned i = 0; i < attribute_count; i++) {
        assert_true(attributes[i].value[0] != '\0');
        len += (size_t)snprintf(call->what.attributes + len, sizeof(call->what.attributes) - len,
                                "%s=%s ", attributes[i].name, attributes[i].value);
    }
    call->done = done;
    call->arg = arg;
    call->hangs = sns_hangs;
    if (sns_hangs) {
        hanging = call;
    }
    publish_calls++;
    under_way++;
    most_under_way = MAX_OF(most_under_way, under_way);
    call->due = true;
    loop_defer(services.loop, run_publish, call);
    return call;
}

void aws_cancel(struct aws_call *call)
{
    call->canceled = true;
    if (call->hangs && !call->due) {
        loop_defer(services.loop, run_publish, call);
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

/* ---- the world */

static char raw_bucket[] = "raw", raw_path[] = "in", out_bucket[] = "out", out_path[] = "";
static struct uri raw_uri = {.scheme = URI_S3, .bucket = raw_bucket, .path = raw_path};
static struct uri out_uri = {.scheme = URI_S3, .bucket = out_bucket, .path = out_path};
static struct store raw_store = {.uri = &raw_uri}, out_store = {.uri = &out_uri};
static char topic[] = TOPIC, fifo_topic[] = TOPIC ".fifo",
            all_ends[] = "done\nquarantined\nretired", bad_ends[] = "quarantined";
static const struct job_stage *const no_stages[] = {NULL};
static struct outbox *outbox;
static struct job *loaded;
static bool over;

static int begin(void **state)
{
    const int failed = fixture_set_up(state);

    conf.notify_sns_topic_arn = topic;
    conf.notify_on = all_ends;
    conf.notify_digest_ms = 0;
    services.raw = &raw_store;
    services.processed = &out_store;
    services.intake = intake_new(&services);
    services.queue = job_queue_new(&services, no_stages);
    published_count = publish_calls = under_way = most_under_way = 0;
    sns_says = RC_OK;
    sns_hangs = false;
    return failed;
}

static void on_stopped(void *arg)
{
    (void)arg;
    over = true;
}

static void stop(void)
{
    if (outbox != NULL) {
        over = false;
        outbox_stop(TAKE(outbox), on_stopped, NULL);
        run_until(&over);
    }
}

static int end(void **state)
{
    stop();
    for (unsigned i = 0; i < published_count; i++) {
        free(published[i].message);
    }
    over = false;
    job_queue_stop(services.queue, on_stopped, NULL);
    run_until(&over);
    intake_free(services.intake);
    job_queue_free(services.queue);
    services.raw = services.processed = NULL;
    return fixture_tear_down(state);
}

static void on_loaded(struct job *job, uint64_t newest, const struct err *err, void *arg)
{
    (void)newest, (void)err, (void)arg;
    loaded = job;
    over = true;
}

static void on_moved(struct job *job, const struct err *err, void *arg)
{
    (void)job, (void)arg;
    assert_null(err);
    over = true;
}

static void move(enum job_event event, enum rc rc, const char *reason)
{
    const struct job_note note = {.rc = rc, .reason = reason};

    over = false;
    job_move(loaded, event, &note, on_moved, NULL);
    run_until(&over);
}

static void finish(const char *key)
{
    const uint64_t id = sight(seen(key, "e1", 1557685800123)).job;

    over = false;
    job_load(services.jobs, id, on_loaded, NULL);
    run_until(&over);
    for (unsigned i = 0; i < 2; i++) {
        move(JOB_EV_STARTED, RC_OK, NULL);
        move(JOB_EV_FINISHED, RC_OK, NULL);
    }
    move(JOB_EV_STARTED, RC_OK, NULL);
    loaded->outputs = 52;
    move(JOB_EV_FINISHED, RC_OK, "52 outputs");
    job_free(TAKE(loaded));
}

static void fail_job(const char *key)
{
    const uint64_t id = sight(seen(key, "e1", 1000)).job;

    over = false;
    job_load(services.jobs, id, on_loaded, NULL);
    run_until(&over);
    move(JOB_EV_STARTED, RC_OK, NULL);
    move(JOB_EV_REJECTED, RC_CORRUPT, "a \"bad\" file");
    job_free(TAKE(loaded));
}

static bool sent_enough(void *arg)
{
    return published_count >= *(const unsigned *)arg && job_store_pending(services.jobs) == 0;
}

static void wait_for(unsigned count)
{
    run_until_true(sent_enough, &count);
}

static bool all_marked(void *arg)
{
    struct outbox_status status;

    (void)arg;
    outbox_status(outbox, &status);
    return status.unsent == 0 && job_store_pending(services.jobs) == 0;
}

static bool said(void *arg)
{
    struct outbox_status status;

    (void)arg;
    outbox_status(outbox, &status);
    return status.error[0] != '\0' && job_store_pending(services.jobs) == 0;
}

static void assert_member(const char *message, const char *name, const char *expected)
{
    json_t *root = json_loads(message, 0, NULL);
    assert_non_null(root);
    char *text = json_dumps(json_object_get(root, name), JSON_COMPACT | JSON_ENCODE_ANY);

    assert_string_equal(text != NULL ? text : "none", expected);
    free(text);
    json_decref(root);
}

/* ---- tests */

static void a_done_object_is_told_with_what_was_made_of_it(void **state)
{
    (void)state;
    outbox = outbox_start(&services);
    finish("vil/a b.h5");
    wait_for(1);
    const char *message = published[0].message;

    assert_member(message, "version", "1");
    assert_member(message, "event", "\"done\"");
    assert_member(message, "job", "1");
    assert_member(message, "source", "\"s3://raw/in/vil/a b.h5\"");
    assert_member(message, "key", "\"vil/a b.h5\"");
    assert_member(message, "etag", "\"e1\"");
    assert_member(message, "manifest", "\"s3://out/_manifests/vil/a b.h5.json\"");
    assert_member(message, "outputs", "52");
    assert_member(message, "reason", "\"52 outputs\"");
    assert_member(message, "event_time", "\"2019-05-12T18:30:00.123Z\"");
    assert_string_equal(published[0].subject, "sevird: done a b.h5");
    assert_string_equal(published[0].attributes, "event=done ");
    run_until_true(all_marked, NULL);
    assert_int_equal(ask_int("SELECT count(*) FROM outbox WHERE sent_ms IS NOT NULL"), 1);
}

static void a_quarantined_one_is_told_with_its_class(void **state)
{
    (void)state;
    outbox = outbox_start(&services);
    fail_job("bad.h5");
    wait_for(1);
    assert_member(published[0].message, "event", "\"quarantined\"");
    assert_member(published[0].message, "class", "\"CORRUPT\"");
    assert_member(published[0].message, "reason", "\"a \\\"bad\\\" file\"");
    assert_member(published[0].message, "manifest", "none");
    assert_string_equal(published[0].attributes, "event=quarantined class=CORRUPT ");
}

static void only_the_ends_that_are_asked_for_are_told(void **state)
{
    (void)state;
    conf.notify_on = bad_ends;
    outbox = outbox_start(&services);
    finish("a.h5");
    fail_job("b.h5");
    wait_for(1);
    assert_int_equal(ask_int("SELECT count(*) FROM outbox"), 1);
    assert_member(published[0].message, "key", "\"b.h5\"");
}

static void while_the_topic_is_down_all_is_kept_and_sent_later_in_order(void **state)
{
    (void)state;
    sns_says = RC_NETWORK;
    outbox = outbox_start(&services);
    finish("1.h5");
    finish("2.h5");
    run_until_true(said, NULL);
    assert_int_equal(ask_int("SELECT count(*) FROM outbox WHERE sent_ms IS NULL"), 2);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'DONE'"), 2);
    sns_says = RC_OK;
    wait_for(2);
    run_until_true(all_marked, NULL);
    assert_member(published[0].message, "key", "\"1.h5\"");
    assert_member(published[1].message, "key", "\"2.h5\"");
    assert_true(ask_int("SELECT max(failures) FROM outbox") >= 1);
}

static void what_the_last_daemon_had_not_sent_is_sent_by_the_next(void **state)
{
    (void)state;
    sns_hangs = true;
    outbox = outbox_start(&services);
    finish("1.h5");
    while (hanging == NULL) {
        uv_run(loop_uv(services.loop), UV_RUN_ONCE);
    }
    hanging = NULL;
    stop();
    assert_int_equal(published_count, 0);
    sns_hangs = false;
    outbox = outbox_start(&services);
    wait_for(1);
    assert_member(published[0].message, "key", "\"1.h5\"");
}

static void what_the_topic_refuses_for_good_is_in_nobodys_way(void **state)
{
    (void)state;
    char text[256];

    sns_says = RC_INVALID;
    outbox = outbox_start(&services);
    finish("1.h5");
    run_until_true(said, NULL);
    run_until_true(all_marked, NULL);
    sns_says = RC_OK;
    finish("2.h5");
    wait_for(1);
    assert_member(published[0].message, "key", "\"2.h5\"");
    ask_text("SELECT error FROM outbox WHERE job = 1", text);
    assert_string_equal(text, "the topic says no");
}

static bool looks(void *arg)
{
    (void)arg;
    return job_store_pending(services.jobs) > 0;
}

static void after_trouble_that_left_nothing_to_send_news_are_sent(void **state)
{
    (void)state;
    finish("1.h5");
    change("ALTER TABLE outbox RENAME TO away");
    outbox = outbox_start(&services);
    run_until_true(said, NULL);
    change("ALTER TABLE away RENAME TO outbox");
    run_until_true(looks, NULL);
    run_until_true(all_marked, NULL); /* and there was nothing */
    finish("2.h5");
    wait_for(1);
    assert_member(published[0].message, "key", "\"2.h5\"");
}

static void a_digest_tells_all_that_has_gathered(void **state)
{
    (void)state;
    conf.notify_digest_ms = 300;
    outbox = outbox_start(&services);
    finish("1.h5");
    finish("2.h5");
    fail_job("3.h5");
    wait_for(1);
    run_until_true(all_marked, NULL);
    assert_int_equal(published_count, 1);
    assert_member(published[0].message, "event", "\"digest\"");
    assert_member(published[0].message, "counts", "{\"done\":2,\"quarantined\":1,\"retired\":0}");
    assert_string_equal(published[0].subject, "sevird: 3 objects");
    finish("4.h5");
    wait_for(2);
    assert_member(published[1].message, "counts", "{\"done\":1,\"quarantined\":0,\"retired\":0}");
}

/** Rows as they would be after many moves. */
static void fill_outbox(unsigned count, unsigned reason_len)
{
    char sql[600];

    finish("seed.h5");
    change("DELETE FROM outbox");
    snprintf(sql, sizeof(sql),
             "INSERT INTO outbox(job, kind, body, made_ms) WITH RECURSIVE n(i) AS (SELECT 1 UNION"
             " ALL SELECT i + 1 FROM n WHERE i < %u) SELECT 1, 'done',"
             " '{\"n\":' || i || ',\"x\":\"' || printf('%%.*c', %u, 'x') || '\"}', 0 FROM n",
             count, reason_len);
    change(sql);
}

static void a_digest_stays_within_what_sns_takes(void **state)
{
    (void)state;
    fill_outbox(400, 2000);
    conf.notify_digest_ms = 100;
    outbox = outbox_start(&services);
    run_until_true(all_marked, NULL);
    assert_in_range(published_count, 4, 6);
    json_t *first = json_loads(published[0].message, 0, NULL);

    assert_non_null(first);
    assert_true(json_array_size(json_object_get(first, "events")) > 100);
    json_decref(first);
    assert_int_equal(ask_int("SELECT count(*) FROM outbox WHERE sent_ms IS NULL"), 0);
}

static void a_backlog_is_sent_a_few_at_a_time(void **state)
{
    (void)state;
    fill_outbox(500, 10);
    outbox = outbox_start(&services);
    wait_for(500);
    run_until_true(all_marked, NULL);
    assert_int_equal(published_count, 500);
    assert_int_equal(most_under_way, 8);
}

static void a_fifo_topic_is_sent_one_at_a_time_and_in_order(void **state)
{
    (void)state;
    conf.notify_sns_topic_arn = fifo_topic;
    fill_outbox(20, 10);
    outbox = outbox_start(&services);
    wait_for(20);
    run_until_true(all_marked, NULL);
    assert_int_equal(most_under_way, 1);
    assert_member(published[0].message, "n", "1");
    assert_member(published[19].message, "n", "20");
    assert_string_not_equal(published[0].unique, published[1].unique);
}

/** Also a digest, whose own time is another then. */
static void what_is_sent_again_is_known_by_its_id(void **state)
{
    (void)state;
    conf.notify_digest_ms = 1;
    fill_outbox(3, 10);
    outbox = outbox_start(&services);
    wait_for(1);
    run_until_true(all_marked, NULL);
    change("UPDATE outbox SET sent_ms = NULL");
    stop();
    outbox = outbox_start(&services);
    wait_for(2);
    run_until_true(all_marked, NULL);
    assert_string_not_equal(published[0].unique, "");
    assert_string_equal(published[0].unique, published[1].unique);
}

static void what_was_sent_is_removed_after_a_week(void **state)
{
    (void)state;
    fill_outbox(3, 10);
    change("UPDATE outbox SET sent_ms = 1 WHERE id % 3 <> 0");
    outbox = outbox_start(&services);
    wait_for(1);
    run_until_true(all_marked, NULL);
    assert_int_equal(ask_int("SELECT count(*) FROM outbox"), 1);
}

static void without_a_topic_there_is_no_outbox(void **state)
{
    (void)state;
    conf.notify_sns_topic_arn = NULL;
    assert_null(outbox_start(&services));
    finish("1.h5");
    assert_int_equal(ask_int("SELECT count(*) FROM outbox"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_done_object_is_told_with_what_was_made_of_it),
        T(a_quarantined_one_is_told_with_its_class),
        T(only_the_ends_that_are_asked_for_are_told),
        T(while_the_topic_is_down_all_is_kept_and_sent_later_in_order),
        T(what_the_last_daemon_had_not_sent_is_sent_by_the_next),
        T(what_the_topic_refuses_for_good_is_in_nobodys_way),
        T(after_trouble_that_left_nothing_to_send_news_are_sent),
        T(a_digest_tells_all_that_has_gathered),
        T(a_digest_stays_within_what_sns_takes),
        T(a_backlog_is_sent_a_few_at_a_time),
        T(a_fifo_topic_is_sent_one_at_a_time_and_in_order),
        T(what_is_sent_again_is_known_by_its_id),
        T(what_was_sent_is_removed_after_a_week),
        T(without_a_topic_there_is_no_outbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
