/** @file
 * Queues as a source: what becomes of a message.
 */
#include "tests/unit/daemon/source/queue_world.h"

#include <pthread.h>

#include "daemon/job/job_store.h"

/* ---- what becomes of a message */

static void a_message_is_deleted_when_its_job_is_done_and_not_before(void **state)
{
    (void)state;
    start();
    const struct message *message = send_put("a.h5", "e1", "01");

    settle();
    const uint64_t job = job_of("a.h5");
    assert_int_not_equal(job, 0);
    move(job, JOB_EV_STARTED, RC_OK);
    move(job, JOB_EV_FINISHED, RC_OK);
    settle();
    assert_false(message->deleted);
    assert_int_equal(status().held, 1);
    move(job, JOB_EV_STARTED, RC_OK);
    move(job, JOB_EV_FINISHED, RC_OK);
    move(job, JOB_EV_STARTED, RC_OK);
    move(job, JOB_EV_FINISHED, RC_OK);
    UNTIL(message->deleted);
    assert_int_equal(counts.last_visibility_s, 120);
    assert_true(metric(METRIC_SIGHTINGS, "sqs", "queued") == 1);
    assert_true(metric(METRIC_SQS_MESSAGES, "s3", "events") == 1);
    UNTIL(status().held == 0);
}

static void each_end_of_a_job_ends_its_message(void **state)
{
    (void)state;
    start();
    const struct message *quarantined = send_put("q.h5", "e", "01");
    const struct message *skipped = send_put("s.h5", "e", "01");
    const struct message *superseded = send_put("v.h5", "e", "01");
    const struct message *backing_off = send_put("b.h5", "e", "01");

    settle();
    move(job_of("q.h5"), JOB_EV_STARTED, RC_OK);
    move(job_of("q.h5"), JOB_EV_REJECTED, RC_CORRUPT);
    move(job_of("b.h5"), JOB_EV_STARTED, RC_OK);
    move(job_of("b.h5"), JOB_EV_DEFERRED, RC_TIMEOUT);
    move(job_of("s.h5"), JOB_EV_STARTED, RC_OK);
    move(job_of("s.h5"), JOB_EV_FINISHED, RC_OK);
    move(job_of("s.h5"), JOB_EV_STARTED, RC_OK);
    move(job_of("s.h5"), JOB_EV_EXCLUDED, RC_OK);
    const struct message *newer = send_put("v.h5", "e2", "02");

    settle();
    assert_true(quarantined->deleted);
    assert_true(skipped->deleted);
    assert_true(superseded->deleted);
    assert_false(newer->deleted);
    assert_false(backing_off->deleted);
}

static void a_message_of_several_records_waits_for_all_their_jobs(void **state)
{
    scoped(free) char *body = str_printf(
        "{\"Records\":[" RECORD "," RECORD "," RECORD "]}", "2020-01-01T00:00:00Z",
        "ObjectCreated:Put", "a.h5", "e", "01", "2020-01-01T00:00:00Z", "ObjectCreated:Put", "b.h5",
        "e", "01", "2020-01-01T00:00:00Z", "ObjectTagging:Put", "c.h5", "e", "01");

    (void)state;
    start();
    const struct message *message = send_body(body);

    settle();
    finish(job_of("a.h5"));
    settle();
    assert_false(message->deleted);
    finish(job_of("b.h5"));
    UNTIL(message->deleted);
    assert_int_equal(job_of("c.h5"), 0);
    assert_int_equal(status().ignored, 1);
}

static void two_versions_in_one_batch_end_both_messages(void **state)
{
    const struct message *first = send_put("a.h5", "e1", "01");
    const struct message *second = send_put("a.h5", "e2", "02");

    (void)state;
    start();
    UNTIL(first->deleted); /* superseded before anybody could wait for it */
    assert_false(second->deleted);
    finish(job_of("a.h5"));
    UNTIL(second->deleted);
}

static void what_is_known_and_done_is_deleted_at_once(void **state)
{
    (void)state;
    start();
    const struct message *first = send_put("a.h5", "e", "01");

    settle();
    finish(job_of("a.h5"));
    UNTIL(first->deleted);
    const uint64_t job = job_of("a.h5");
    const struct message *again = send_put("a.h5", "e", "01");
    const struct message *older = send_put("a.h5", "e0", "00");

    UNTIL(again->deleted && older->deleted);
    assert_true(job_of("a.h5") == job);
    assert_true(metric(METRIC_SIGHTINGS, "sqs", "known") == 1);
    assert_true(metric(METRIC_SIGHTINGS, "sqs", "older") == 1);
}

static void after_a_restart_a_message_is_attached_to_the_job_that_is_known(void **state)
{
    (void)state;
    start();
    struct message *message = send_put("a.h5", "e", "01");

    settle();
    const uint64_t job = job_of("a.h5");
    stop(); /* gives it back */
    assert_false(message->hidden);
    start();
    settle();
    assert_true(job_of("a.h5") == job);
    assert_int_equal(message->receives, 2);
    assert_false(message->deleted);
    finish(job);
    UNTIL(message->deleted);
}

static void removed_then_created_is_ordered_by_the_sequencer(void **state)
{
    (void)state;
    start();
    const struct message *put = send_put("a.h5", "e1", "01");

    settle();
    finish(job_of("a.h5"));
    UNTIL(put->deleted);
    /* The object was removed (02) and made again (03); the news come the other way round. */
    const struct message *again = send_put("a.h5", "e1", "03");
    const struct message *removed = send_event("ObjectRemoved:Delete", "a.h5", "", "02");

    settle();
    assert_true(removed->deleted);
    assert_true(again->deleted);
    assert_int_equal(ask_int("SELECT live FROM objects WHERE key = 'a.h5'"), 1);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE action = 'retire'"), 0);
    const struct message *last = send_event("ObjectRemoved:Delete", "a.h5", "", "04");

    settle();
    assert_false(last->deleted); /* its job retires what was made */
    const uint64_t retire = job_of("a.h5");
    move(retire, JOB_EV_STARTED, RC_OK);
    move(retire, JOB_EV_FINISHED, RC_OK);
    UNTIL(last->deleted);
}

static void what_does_not_concern_us_is_acknowledged_and_counted(void **state)
{
    (void)state;
    static char prefix[] = "data/2019";

    raw_uri.path = prefix;
    start();
    const struct message *outside = send_put("data/2018/a.h5", "e", "01");
    const struct message *beside = send_put("data/2019x/a.h5", "e", "01");
    const struct message *inside = send_put("data/2019/a.h5", "e", "01");
    const struct message *other = send_body(
        "{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\",\"s3\":{"
        "\"bucket\":{\"name\":\"other\"},\"object\":{\"key\":\"data/2019/b.h5\"}}}]}");

    settle();
    assert_true(outside->deleted && beside->deleted && other->deleted);
    assert_false(inside->deleted);
    assert_int_not_equal(job_of("a.h5"), 0);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs"), 1);
    assert_int_equal(status().ignored, 3);
    assert_true(metric(METRIC_SIGHTINGS, "sqs", "ignored") == 3);
}

static void what_cannot_be_read_is_kept_before_it_is_deleted(void **state)
{
    char text[256];

    (void)state;
    start();
    const struct message *message = send_body("hello");

    settle();
    assert_true(message->deleted);
    ask_text("SELECT queue || ' ' || message || ' ' || body || ' ' || receives FROM unread", text);
    assert_string_equal(text, QUEUE " m0 hello 1");
    ask_text("SELECT reason FROM unread", text);
    assert_non_null(strstr(text, "no JSON"));
    assert_int_equal(status().unread, 1);
}

/** The queue itself gave what is no message; what it would have said is not looked at. */
static void what_is_no_message_is_kept_and_the_others_are_taken(void **state)
{
    char text[256];

    (void)state;
    struct message *bad = send_put("a.h5", "e", "01"), *nameless = send_body("{}");
    const struct message *good = send_put("b.h5", "e", "01");

    bad->fault = nameless->fault = "it has no id";
    nameless->nameless = true;
    start();
    settle();
    assert_true(bad->deleted);
    assert_false(nameless->deleted); /* it cannot be: it comes again when its time is over */
    assert_int_equal(ask_int("SELECT count(*) FROM unread WHERE reason = 'it has no id'"), 2);
    ask_text("SELECT message FROM unread WHERE body = '{}'", text);
    assert_string_equal(text, nameless->id);
    assert_int_equal(status().held, 1);
    finish(job_of("b.h5"));
    UNTIL(good->deleted && status().held == 0);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs"), 1);
    nameless->hidden = false; /* again: known, and no second one */
    serve();
    UNTIL(nameless->receives == 2 && status().held == 0);
    assert_int_equal(ask_int("SELECT count(*) FROM unread"), 2);
}

static void what_cannot_be_kept_is_left_in_the_queue(void **state)
{
    (void)state;
    change("DROP TABLE unread");
    start();
    const struct message *message = send_body("hello");

    UNTIL(message->hidden && status().held == 0 && status().error[0] != '\0');
    settle();
    assert_false(message->deleted);
}

static void of_a_message_that_is_half_readable_the_rest_is_done(void **state)
{
    scoped(free) char *body =
        str_printf("{\"Records\":[" RECORD ",{\"eventSource\":\"aws:ses\"}]}",
                   "2020-01-01T00:00:00Z", "ObjectCreated:Put", "a.h5", "e", "01");

    (void)state;
    start();
    const struct message *message = send_body(body);

    settle();
    assert_false(message->deleted);
    assert_int_equal(ask_int("SELECT count(*) FROM unread"), 1);
    finish(job_of("a.h5"));
    UNTIL(message->deleted);
}

static void on_glue(const struct envelope_glue *event, void *arg)
{
    (void)arg;
    assert_string_equal(event->name, "sevir");
    glue_events++;
}

static void glues_events_are_given_to_who_asked(void **state)
{
    const char *body = "{\"source\":\"aws.glue\",\"detail-type\":\"Glue Crawler State Change\","
                       "\"detail\":{\"crawlerName\":\"sevir\",\"state\":\"Succeeded\"}}";

    (void)state;
    start();
    const struct message *unheard = send_body(body);

    UNTIL(unheard->deleted);
    sqs_queues_on_glue(queues, on_glue, NULL);
    const struct message *heard = send_body(body);

    UNTIL(heard->deleted);
    assert_int_equal(glue_events, 1);
}

/* ---- asking the store */

static struct message *send_bridge(const char *type, const char *key, const char *more)
{
    scoped(free) char *body = str_printf(
        "{\"source\":\"aws.s3\",\"detail-type\":\"%s\",\"time\":\"2020-01-01T00:00:00Z\","
        "\"detail\":{\"bucket\":{\"name\":\"raw\"},\"object\":{\"key\":\"%s\"%s}}}",
        type, key, more);

    return send_body(body);
}

static void the_first_key_that_differs_tells_how_eventbridge_writes_keys(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a b.h5", "e"};
    send_bridge("Object Created", "a+b.h5", ",\"size\":7,\"etag\":\"e\"");
    settle();
    assert_int_not_equal(job_of("a b.h5"), 0);
    assert_int_equal(job_of("a+b.h5"), 0);
    head_says = RC_NETWORK; /* not asked any more */
    send_bridge("Object Created", "c%20d.h5", ",\"size\":7,\"etag\":\"e\"");
    settle();
    assert_int_not_equal(job_of("c d.h5"), 0);
}

static void a_raw_key_of_eventbridge_is_found_as_it_is(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a+b.h5", "e"};
    send_bridge("Object Created", "a+b.h5", ",\"size\":7,\"etag\":\"e\"");
    settle();
    assert_int_not_equal(job_of("a+b.h5"), 0);
    const struct message *gone =
        send_bridge("Object Created", "x+y.h5", ",\"size\":7,\"etag\":\"e\"");

    settle();
    assert_int_not_equal(job_of("x+y.h5"), 0);
    assert_false(gone->deleted);
}

static void a_removal_does_not_tell_how_keys_are_written(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"run+1.csv", "e"}; /* put again before we look */
    send_bridge("Object Deleted", "run+1.csv", "");
    settle();
    send_bridge("Object Created", "run+1.csv", ",\"size\":7,\"etag\":\"e\"");
    settle();
    assert_int_not_equal(job_of("run+1.csv"), 0);
    assert_int_equal(job_of("run 1.csv"), 0);
}

/** Which of the two was removed is not known, but one is there. */
static void a_removal_retires_nothing_that_is_there(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"run+1.csv", "e"};
    objects[1] = (struct object){"run 1.csv", "e"};
    send_put("run%2B1.csv", "e", "01");
    send_put("run+1.csv", "e", "01");
    settle();
    assert_int_equal(ask_int("SELECT sum(live) FROM objects"), 2);
    send_bridge("Object Deleted", "run+1.csv", ",\"sequencer\":\"02\"");
    settle();
    assert_int_equal(ask_int("SELECT sum(live) FROM objects"), 2);
    objects[1].key = NULL;
    send_bridge("Object Deleted", "run+1.csv", ",\"sequencer\":\"03\"");
    settle();
    assert_int_equal(ask_int("SELECT live FROM objects WHERE key = 'run+1.csv'"), 1);
    assert_int_equal(ask_int("SELECT live FROM objects WHERE key = 'run 1.csv'"), 0);
}

static void another_version_under_the_key_does_not_tell_either(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a+b.h5", "other"}; /* the event is of "a b.h5" */
    send_bridge("Object Created", "a+b.h5", ",\"size\":7,\"etag\":\"e\"");
    settle();
    objects[1] = (struct object){"c d.h5", "e"};
    send_bridge("Object Created", "c+d.h5", ",\"size\":7,\"etag\":\"e\"");
    settle();
    assert_int_not_equal(job_of("c d.h5"), 0);
}

static void a_key_that_is_known_to_be_encoded_stays_decoded(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a b.h5", "e"};
    send_bridge("Object Created", "a+b.h5", ",\"size\":7,\"etag\":\"e\"");
    settle();
    objects[1] = (struct object){"c d.h5", "e"};
    send_bridge("Object Created", "c+d.h5", ""); /* without an etag: it is looked at */
    settle();
    assert_int_not_equal(job_of("c d.h5"), 0);
    assert_int_equal(job_of("c+d.h5"), 0);
}

static void the_removal_of_an_old_version_retires_nothing(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a.h5", "e"};
    const struct message *put = send_put("a.h5", "e", "01");

    settle();
    finish(job_of("a.h5"));
    UNTIL(put->deleted);
    const struct message *old = send_bridge(
        "Object Deleted", "a.h5",
        ",\"version-id\":\"v0\",\"sequencer\":\"02\"},\"deletion-type\":\"x\",\"y\":{\"z\":1");

    UNTIL(old->deleted);
    assert_int_equal(ask_int("SELECT live FROM objects"), 1);
    objects[0].key = NULL;
    send_bridge("Object Deleted", "a.h5",
                ",\"version-id\":\"v1\",\"sequencer\":\"03\"},\"y\":{\"z\":1");
    settle();
    assert_int_equal(ask_int("SELECT live FROM objects"), 0);
}

static void a_size_that_is_not_told_is_looked_up(void **state)
{
    static const char *const sizes[] = {"", ",\"size\":0", ",\"size\":\"7\"", ",\"size\":7.5"};

    (void)state;
    start();
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        static char keys[ARRAY_LEN(sizes)][8];
        scoped(free) char *more = str_printf(",\"etag\":\"e\"%s", sizes[i]);

        snprintf(keys[i], sizeof(keys[i]), "%u.h5", i);
        objects[i] = (struct object){keys[i], "e"};
        send_bridge("Object Created", keys[i], more);
    }
    settle();
    assert_int_equal(ask_int("SELECT count(*) FROM objects WHERE size = 7"), ARRAY_LEN(sizes));
    /* The rest is as it was told. */
    assert_int_equal(ask_int("SELECT min(modified_ms) FROM objects"), 1577836800000);
}

static void without_a_size_an_overwritten_version_is_the_one_that_is_there(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a.h5", "later"};
    send_bridge("Object Created", "a.h5", ",\"etag\":\"e\"");
    settle();
    assert_int_equal(ask_int("SELECT size FROM objects WHERE etag = 'later'"), 7);
}

static void a_store_that_does_not_answer_leaves_the_message_in_the_queue(void **state)
{
    (void)state;
    start();
    head_says = RC_NETWORK;
    const struct message *message = send_bridge("Object Created", "a+b.h5", "");

    UNTIL(message->hidden && status().held == 0);
    assert_false(message->deleted);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs"), 0);
}

/* ---- a stop before the intake was told */

static void end_of_the_stop(void)
{
    run_until(&rested);
    sqs_queues_free(TAKE(queues));
    rested = false;
}

static void what_the_store_is_asked_about_at_the_stop_is_given_back(void **state)
{
    (void)state;
    start();
    objects[0] = (struct object){"a b.h5", "e"};
    heads_wait = true;
    const struct message *message = send_bridge("Object Created", "a+b.h5", ",\"etag\":\"e\"");

    UNTIL(waiting_head != NULL);
    sqs_queues_stop(queues);
    heads_wait = false;
    run_head(waiting_head);
    end_of_the_stop();
    assert_false(message->deleted);
    assert_false(message->hidden);
    start();
    settle();
    assert_int_not_equal(job_of("a b.h5"), 0);
}

static void what_is_looked_up_longer_than_the_stop_waits_is_given_back(void **state)
{
    (void)state;
    limits.stop_ms = 20;
    limits.linger_ms = 100000; /* the deletion is left to the stop */
    start();
    objects[0] = (struct object){"a b.h5", "e"};
    const struct message *done = send_body("{\"Event\":\"s3:TestEvent\"}");
    const struct message *waits = send_put("a.h5", "e", "01");

    UNTIL(status().held == 2 && job_of("a.h5") != 0 && job_store_pending(services.jobs) == 0);
    heads_wait = true;
    const struct message *asked = send_bridge("Object Created", "a+b.h5", ",\"etag\":\"e\"");

    UNTIL(waiting_head != NULL);
    sqs_queues_stop(queues);
    const int64_t stopped_ms = now_mono_ms();

    UNTIL(now_mono_ms() > stopped_ms + 2 * limits.stop_ms);
    heads_wait = false;
    run_head(waiting_head);
    end_of_the_stop();
    assert_true(done->deleted);
    assert_false(waits->hidden);
    assert_false(asked->hidden);
}

static pthread_mutex_t writer = PTHREAD_MUTEX_INITIALIZER;

static enum rc wait_for_the_test(struct db *db, void *arg, struct err *err)
{
    (void)db, (void)arg, (void)err;
    pthread_mutex_lock(&writer);
    pthread_mutex_unlock(&writer);
    return RC_OK;
}

static void on_waited(const struct err *err, void *arg)
{
    (void)arg;
    assert_null(err);
}

static void what_stands_in_line_at_the_stop_is_given_back(void **state)
{
    (void)state;
    pthread_mutex_lock(&writer);
    job_store_write(services.jobs, wait_for_the_test, on_waited, NULL);
    start();
    const struct message *first = send_put("a.h5", "e", "01");

    UNTIL(intake_busy(services.intake));
    const struct message *second = send_put("b.h5", "e", "01");

    UNTIL(second->hidden); /* behind the first, which is being written */
    sqs_queues_stop(queues);
    pthread_mutex_unlock(&writer);
    end_of_the_stop();
    assert_false(first->deleted || first->hidden);
    assert_false(second->deleted || second->hidden);
    start();
    settle();
    assert_int_not_equal(job_of("b.h5"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_message_is_deleted_when_its_job_is_done_and_not_before),
        T(each_end_of_a_job_ends_its_message),
        T(a_message_of_several_records_waits_for_all_their_jobs),
        T(two_versions_in_one_batch_end_both_messages),
        T(what_is_known_and_done_is_deleted_at_once),
        T(after_a_restart_a_message_is_attached_to_the_job_that_is_known),
        T(removed_then_created_is_ordered_by_the_sequencer),
        T(what_does_not_concern_us_is_acknowledged_and_counted),
        T(what_cannot_be_read_is_kept_before_it_is_deleted),
        T(what_is_no_message_is_kept_and_the_others_are_taken),
        T(what_cannot_be_kept_is_left_in_the_queue),
        T(of_a_message_that_is_half_readable_the_rest_is_done),
        T(glues_events_are_given_to_who_asked),
        T(the_first_key_that_differs_tells_how_eventbridge_writes_keys),
        T(a_raw_key_of_eventbridge_is_found_as_it_is),
        T(a_removal_does_not_tell_how_keys_are_written),
        T(a_removal_retires_nothing_that_is_there),
        T(another_version_under_the_key_does_not_tell_either),
        T(a_key_that_is_known_to_be_encoded_stays_decoded),
        T(the_removal_of_an_old_version_retires_nothing),
        T(a_size_that_is_not_told_is_looked_up),
        T(without_a_size_an_overwritten_version_is_the_one_that_is_there),
        T(a_store_that_does_not_answer_leaves_the_message_in_the_queue),
        T(what_the_store_is_asked_about_at_the_stop_is_given_back),
        T(what_is_looked_up_longer_than_the_stop_waits_is_given_back),
        T(what_stands_in_line_at_the_stop_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
