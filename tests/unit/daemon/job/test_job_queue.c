/** @file
 * The queue with stages that do what a script says.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

/** What a stage answers for a key, and what it was asked. */
struct script {
    const char *key;
    enum job_state stage;
    enum rc fails;       /**< RC_OK: FINISHED. */
    unsigned times;      /**< How often it fails; then it finishes. */
    enum job_event also; /**< Instead of FINISHED, when not 0. */
    bool hangs;          /**< Until it is stopped, */
    bool deaf;           /**< and then until the test lets it go. */
    bool held;           /**< Until let_go(). */
};

static struct script scripts[8];
static unsigned script_count;
static char trace[1024]; /**< "CRAWLING a.h5;" for every start. */
static unsigned running, running_most, running_big;

/** A stage at work. */
struct act {
    struct job *job;
    job_stage_done_fn *done;
    void *arg;
    struct script *script;
    bool stop_asked;
};

static struct act *deaf_act; /**< Was asked to stop, and has not. */
static struct act *held_acts[ARRAY_LEN(scripts)];
static unsigned held_count;

static void on_script(const struct script *script)
{
    scripts[script_count++] = *script;
}

#define SCRIPT(...) on_script(&(struct script){__VA_ARGS__})

static void act_end(void *arg)
{
    struct act *act = arg;
    struct script *script = act->script;
    struct job_note note = {0};
    enum job_event event = JOB_EV_FINISHED;
    struct err err;

    if (script != NULL && act->stop_asked) {
        err_set(&err, RC_CANCELED, "asked to stop");
        event = job_failure(&err, &note);
    } else if (script != NULL && script->times > 0) {
        script->times--;
        err_set(&err, script->fails, "it said no");
        event = job_failure(&err, &note);
    } else if (script != NULL && script->also != 0) {
        event = script->also;
    }
    running--;
    running_big -= act->job->object.size >= JOB_BIG_BYTES;
    act->job->work = NULL;
    act->done(act->job, event, &note, act->arg);
    free(act);
}

static void act_start(struct services *s, struct job *job, job_stage_done_fn *done, void *arg)
{
    struct act *act = mem_new(struct act);
    const size_t len = strlen(trace);

    (void)s;
    *act = (struct act){.job = job, .done = done, .arg = arg};
    snprintf(trace + len, sizeof(trace) - len, "%s %s;", job_state_name(job->state),
             job->object.key);
    for (unsigned i = 0; i < script_count; i++) {
        if (scripts[i].stage == job->state && strcmp(scripts[i].key, job->object.key) == 0) {
            act->script = &scripts[i];
        }
    }
    job->work = act;
    running++;
    running_big += job->object.size >= JOB_BIG_BYTES;
    running_most = MAX_OF(running_most, running);
    if (act->script != NULL && act->script->held) {
        held_acts[held_count++] = act;
    } else if (act->script == NULL || !act->script->hangs) {
        loop_defer(services.loop, act_end, act);
    }
}

static void act_stop(struct job *job)
{
    struct act *act = job->work;

    act->stop_asked = true;
    if (act->script != NULL && act->script->deaf) {
        deaf_act = act;
    } else if (act->script != NULL && act->script->hangs) {
        loop_defer(services.loop, act_end, act);
    }
}

static void let_go(void)
{
    while (held_count > 0) {
        act_end(held_acts[--held_count]);
    }
}

static const struct job_stage crawl = {"crawl", JOB_CRAWLING, act_start, act_stop};
static const struct job_stage extract = {"extract", JOB_EXTRACTING, act_start, act_stop};
static const struct job_stage publish = {"publish", JOB_PUBLISHING, act_start, act_stop};
static const struct job_stage retire = {"retire", JOB_RETIRING, act_start, act_stop};
static const struct job_stage *const stages[] = {&crawl, &extract, &publish, &retire, NULL};

static int set_up(void **state)
{
    if (fixture_set_up(state) != 0) {
        return 1;
    }
    script_count = held_count = 0;
    deaf_act = NULL;
    running = running_most = running_big = 0;
    trace[0] = '\0';
    services.queue = job_queue_new(&services, stages);
    services.intake = intake_new(&services);
    return 0;
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void stop_queue(void)
{
    bool stopped = false;

    job_queue_stop(services.queue, set_flag, &stopped);
    run_until(&stopped);
    assert_int_equal(running, 0);
}

static int tear_down(void **state)
{
    intake_free(services.intake);
    if (services.queue != NULL) {
        stop_queue();
        job_queue_free(services.queue);
    }
    services.queue = NULL;
    return fixture_tear_down(state);
}

static bool is_idle(void *arg)
{
    (void)arg;
    return job_queue_idle(services.queue);
}

static void run_until_idle(void)
{
    run_until_true(is_idle, NULL);
}

static bool has_come(void *arg)
{
    return strstr(trace, arg) != NULL;
}

static void run_until_trace(const char *text)
{
    run_until_true(has_come, (void *)text);
}

static void assert_state(uint64_t id, const char *expected)
{
    char sql[96], text[256];

    snprintf(sql, sizeof(sql), "SELECT state FROM jobs WHERE id = %u", (unsigned)id);
    ask_text(sql, text);
    assert_string_equal(text, expected);
}

struct answer {
    bool over;
    struct err err;
};

static void on_answer(const struct err *err, void *arg)
{
    struct answer *answer = arg;

    answer->over = true;
    answer->err = err != NULL ? *err : (struct err){.rc = RC_OK};
}

static struct err tell(uint64_t id, enum job_event event)
{
    struct answer answer = {.over = false};

    job_queue_tell(services.queue, id, event, "a test wants it", on_answer, &answer);
    assert_false(answer.over);
    run_until(&answer.over);
    return answer.err;
}

static void sight_sized(const char *key, uint64_t size)
{
    struct sighting sighting = seen(key, "e", 1000);

    sighting.size = size;
    sight(sighting);
}

static void an_object_goes_through_every_stage_to_done(void **state)
{
    (void)state;
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    assert_string_equal(trace, "CRAWLING a.h5;EXTRACTING a.h5;PUBLISHING a.h5;");
    assert_state(1, "DONE");
    assert_int_equal(ask_int("SELECT count(*) FROM transitions"), 7);
}

static void what_is_gone_is_retired(void **state)
{
    (void)state;
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    assert_int_equal(sight(gone("a.h5")).outcome, OUTCOME_RETIRING);
    run_until_idle();
    assert_state(2, "RETIRED");
    assert_int_equal(ask_int("SELECT made FROM objects"), 0);
}

static void what_time_may_mend_is_tried_again(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .fails = RC_TIMEOUT, .times = 2);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    assert_string_equal(trace, "CRAWLING a.h5;EXTRACTING a.h5;EXTRACTING a.h5;EXTRACTING a.h5;"
                               "PUBLISHING a.h5;");
    assert_state(1, "DONE");
    assert_int_equal(ask_int("SELECT count(*) FROM transitions WHERE to_state = 'BACKOFF'"), 2);
}

static void after_the_last_attempt_it_is_quarantined_with_its_class(void **state)
{
    char text[256];

    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_CRAWLING, .fails = RC_TIMEOUT, .times = 99);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    ask_text("SELECT state || ' ' || class || ' ' || reason FROM jobs", text);
    assert_string_equal(text, "QUARANTINED TIMEOUT gave up after 3 attempts: it said no");
    assert_true(metric_value(services.metrics, METRIC_QUARANTINED, METRIC_LABELS("timeout")) == 1);
}

static void what_time_will_not_mend_is_quarantined_at_once(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_CRAWLING, .fails = RC_CORRUPT, .times = 99);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    sight(seen("b.h5", "e1", 1000));
    run_until_idle();
    assert_state(1, "QUARANTINED");
    assert_state(2, "DONE");
}

static void a_full_disk_never_quarantines(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .fails = RC_NO_SPACE, .times = 7);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    assert_state(1, "DONE");
    assert_int_equal(ask_int("SELECT count(*) FROM transitions WHERE class = 'NO_SPACE'"), 7);
}

static void a_backoff_outlives_the_daemon(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    change("UPDATE jobs SET state = 'BACKOFF', resume = 'CRAWLED', failures = 1, retry_at_ms = 1");
    fixture_reopen();
    job_queue_start(services.queue);
    run_until_idle();
    assert_string_equal(trace, "EXTRACTING a.h5;PUBLISHING a.h5;");
    assert_state(1, "DONE");
}

static void held_jobs_wait_and_excluded_ones_are_skipped(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .also = JOB_EV_HELD);
    SCRIPT(.key = "b.h5", .stage = JOB_EXTRACTING, .also = JOB_EV_EXCLUDED);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    sight(seen("b.h5", "e1", 1000));
    run_until_idle();
    assert_state(1, "WAITING");
    assert_state(2, "SKIPPED");
}

static void no_more_work_at_once_than_there_are_slots(void **state)
{
    (void)state;
    sight_many(40);
    change("UPDATE jobs SET size = 262144"); /* the least that is not tiny */
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'DONE'"), 40);
    assert_true(running_most <= 4 + 3 + 4);
}

static void of_tiny_ones_many_are_at_work_and_not_all(void **state)
{
    (void)state;
    sight_many(60);
    change("UPDATE jobs SET size = 262143, resume = 'EXTRACTED', state = 'EXTRACTED'");
    fixture_reopen();
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'DONE'"), 60);
    assert_int_equal(running_most, 32); /* of one stage */
}

static void tiny_ones_take_no_slot_from_others_nor_they_theirs(void **state)
{
    static const char *const keys[] = {"0.h5", "1.h5", "2.h5", "3.h5"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        SCRIPT(.key = keys[i], .stage = JOB_EXTRACTING, .hangs = true);
        sight_sized(keys[i], 1 << 20);
    }
    job_queue_start(services.queue);
    run_until_trace("EXTRACTING 2.h5;");
    sight_sized("tiny.h5", 100);
    run_until_trace("PUBLISHING tiny.h5;");
    assert_null(strstr(trace, "EXTRACTING 3.h5;"));
}

static void more_jobs_than_the_window_holds_are_all_done(void **state)
{
    (void)state;
    sight_many(300);
    trace[0] = '\0';
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'DONE'"), 300);
    assert_int_equal(ask_int("SELECT count(*) FROM transitions"), 300 * 7);
}

static bool four_are_held(void *arg)
{
    (void)arg;
    return held_count == 4;
}

/** A look asks for more rows than the window holds, by those that are at work. */
static void what_a_look_finds_beyond_the_window_is_not_forgotten(void **state)
{
    static const char *const keys[] = {"000.h5", "001.h5", "002.h5", "003.h5"};

    (void)state;
    sight_many(70);
    change("UPDATE jobs SET resume = 'EXTRACTED', state = 'EXTRACTED', size = 1048576");
    fixture_reopen();
    for (unsigned i = 0; i < ARRAY_LEN(keys); i++) {
        SCRIPT(.key = keys[i], .stage = JOB_PUBLISHING, .held = true);
    }
    job_queue_start(services.queue);
    run_until_true(four_are_held, NULL);
    job_queue_poke(services.queue); /* finds 66 with room for 68 */
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'EXTRACTED'"), 66);
    let_go();
    run_until_idle();
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'DONE'"), 70);
}

static void a_small_file_passes_big_ones_that_fill_the_slots(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        static const char *const keys[] = {"big0.h5", "big1.h5", "big2.h5", "big3.h5"};

        SCRIPT(.key = keys[i], .stage = JOB_EXTRACTING, .hangs = true);
        sight_sized(keys[i], (uint64_t)1 << 30);
    }
    job_queue_start(services.queue);
    run_until_trace("EXTRACTING big1.h5;");
    sight_sized("small.h5", 100);
    run_until_trace("PUBLISHING small.h5;");
    assert_null(strstr(trace, "EXTRACTING big2.h5;")); /* the last slot is not for them */
}

static void two_jobs_of_one_object_never_work_at_the_same_time(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .hangs = true);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_trace("EXTRACTING a.h5;");
    scripts[0].key = "none";
    sight(seen("a.h5", "e2", 2000));
    run_until_idle();
    assert_int_equal(running_most, 1);
    assert_state(1, "SUPERSEDED");
    assert_state(2, "DONE");
    assert_string_equal(trace, "CRAWLING a.h5;EXTRACTING a.h5;CRAWLING a.h5;EXTRACTING a.h5;"
                               "PUBLISHING a.h5;");
}

static void a_newer_version_waits_for_a_stage_that_is_slow_to_stop(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .hangs = true, .deaf = true);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_trace("EXTRACTING a.h5;");
    sight(seen("a.h5", "e2", 2000));
    sight(seen("b.h5", "e1", 1000));
    run_until_trace("PUBLISHING b.h5;");
    assert_non_null(deaf_act);
    assert_state(1, "EXTRACTING");
    assert_state(2, "QUEUED");
    scripts[0].key = "none";
    loop_defer(services.loop, act_end, deaf_act);
    run_until_idle();
    assert_state(1, "SUPERSEDED");
    assert_state(2, "DONE");
}

static void what_arrives_while_others_move_is_not_forgotten(void **state)
{
    (void)state;
    job_queue_start(services.queue);
    sight_many(150);
    run_until_idle();
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'DONE'"), 150);
}

static void a_paused_queue_starts_nothing_and_resumes(void **state)
{
    (void)state;
    job_queue_start(services.queue);
    job_queue_pause(services.queue, true);
    sight(seen("a.h5", "e1", 1000));
    ask_int("SELECT 1"); /* a few turns of the loop */
    ask_int("SELECT 1");
    assert_string_equal(trace, "");
    assert_false(job_queue_idle(services.queue));
    job_queue_pause(services.queue, false);
    run_until_idle();
    assert_state(1, "DONE");
}

static void a_stop_puts_work_back_to_its_rest(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .hangs = true);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_trace("EXTRACTING a.h5;");
    stop_queue();
    assert_state(1, "CRAWLED");
    job_queue_free(services.queue);
    services.queue = NULL;
}

static void a_job_at_work_is_stopped_and_then_canceled(void **state)
{
    char text[256];

    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_EXTRACTING, .hangs = true);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_trace("EXTRACTING a.h5;");
    assert_int_equal(tell(1, JOB_EV_CANCEL).rc, RC_OK);
    assert_state(1, "CANCELED");
    ask_text("SELECT actor || ': ' || reason FROM transitions ORDER BY id DESC LIMIT 1", text);
    assert_string_equal(text, "operator: a test wants it");
}

static void a_canceled_job_can_be_retried_from_the_start(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    job_queue_start(services.queue);
    job_queue_pause(services.queue, true);
    assert_int_equal(tell(1, JOB_EV_CANCEL).rc, RC_OK);
    assert_int_equal(tell(1, JOB_EV_RETRY).rc, RC_OK);
    job_queue_pause(services.queue, false);
    run_until_idle();
    assert_state(1, "DONE");
    assert_string_equal(trace, "CRAWLING a.h5;EXTRACTING a.h5;PUBLISHING a.h5;");
}

static void a_wish_that_does_not_apply_says_why(void **state)
{
    struct err err;

    (void)state;
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    err = tell(1, JOB_EV_CANCEL);
    assert_int_equal(err.rc, RC_INVALID);
    assert_string_equal(err.text, "job 1 is DONE; CANCEL does not apply to it");
    err = tell(99, JOB_EV_RETRY);
    assert_int_equal(err.rc, RC_NOT_FOUND);
    assert_string_equal(err.text, "there is no job 99");
}

static void only_the_newest_job_of_an_object_runs_again(void **state)
{
    struct err err;

    (void)state;
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    sight(seen("a.h5", "e2", 2000));
    run_until_idle();
    err = tell(1, JOB_EV_RETRY);
    assert_int_equal(err.rc, RC_INVALID);
    assert_string_equal(err.text, "job 1 is about an older version of 'a.h5'; its newest is job 2");
}

static void a_stage_that_stops_unasked_is_retried_and_not_started_at_once(void **state)
{
    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_CRAWLING, .fails = RC_CANCELED, .times = 1);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    assert_state(1, "DONE");
    assert_int_equal(ask_int("SELECT count(*) FROM transitions WHERE to_state = 'BACKOFF'"), 1);
}

static void an_end_that_the_table_lacks_is_quarantined_as_a_bug(void **state)
{
    char text[256];

    (void)state;
    SCRIPT(.key = "a.h5", .stage = JOB_CRAWLING, .also = JOB_EV_HELD);
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_idle();
    ask_text("SELECT state || ' ' || class || ' ' || reason FROM jobs", text);
    assert_string_equal(text, "QUARANTINED BUG the stage 'crawl' ended with HELD");
}

/* ---- a state.db that refuses */

static void an_end_that_cannot_be_recorded_is_kept_and_tried_again(void **state)
{
    (void)state;
    change("CREATE TRIGGER refuse BEFORE UPDATE ON jobs WHEN NEW.state = 'CRAWLED' BEGIN"
           " SELECT RAISE(ABORT, 'no'); END");
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    run_until_trace("CRAWLING a.h5;");
    ask_int("SELECT 1"); /* a few turns of the loop: the end has been refused */
    ask_int("SELECT 1");
    assert_state(1, "CRAWLING");
    change("DROP TRIGGER refuse");
    run_until_idle();
    assert_string_equal(trace, "CRAWLING a.h5;EXTRACTING a.h5;PUBLISHING a.h5;");
    assert_state(1, "DONE");
}

static void a_start_that_cannot_be_recorded_leaves_the_job_in_its_line(void **state)
{
    (void)state;
    change("CREATE TRIGGER refuse BEFORE UPDATE ON jobs WHEN NEW.state = 'CRAWLING' BEGIN"
           " SELECT RAISE(ABORT, 'no'); END");
    job_queue_start(services.queue);
    sight(seen("a.h5", "e1", 1000));
    ask_int("SELECT 1");
    ask_int("SELECT 1");
    assert_string_equal(trace, "");
    change("DROP TRIGGER refuse");
    run_until_idle();
    assert_state(1, "DONE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(an_object_goes_through_every_stage_to_done),
        T(what_is_gone_is_retired),
        T(what_time_may_mend_is_tried_again),
        T(after_the_last_attempt_it_is_quarantined_with_its_class),
        T(what_time_will_not_mend_is_quarantined_at_once),
        T(a_full_disk_never_quarantines),
        T(a_backoff_outlives_the_daemon),
        T(held_jobs_wait_and_excluded_ones_are_skipped),
        T(no_more_work_at_once_than_there_are_slots),
        T(of_tiny_ones_many_are_at_work_and_not_all),
        T(tiny_ones_take_no_slot_from_others_nor_they_theirs),
        T(more_jobs_than_the_window_holds_are_all_done),
        T(what_a_look_finds_beyond_the_window_is_not_forgotten),
        T(a_small_file_passes_big_ones_that_fill_the_slots),
        T(two_jobs_of_one_object_never_work_at_the_same_time),
        T(a_newer_version_waits_for_a_stage_that_is_slow_to_stop),
        T(what_arrives_while_others_move_is_not_forgotten),
        T(a_paused_queue_starts_nothing_and_resumes),
        T(a_stop_puts_work_back_to_its_rest),
        T(a_job_at_work_is_stopped_and_then_canceled),
        T(a_canceled_job_can_be_retried_from_the_start),
        T(a_wish_that_does_not_apply_says_why),
        T(only_the_newest_job_of_an_object_runs_again),
        T(a_stage_that_stops_unasked_is_retried_and_not_started_at_once),
        T(an_end_that_the_table_lacks_is_quarantined_as_a_bug),
        T(an_end_that_cannot_be_recorded_is_kept_and_tried_again),
        T(a_start_that_cannot_be_recorded_leaves_the_job_in_its_line),
#undef T
    };
    return cmocka_run_group_tests_name("job_queue", tests, NULL, NULL);
}
