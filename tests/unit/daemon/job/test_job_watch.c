/** @file
 * Watchers and the recorder: who is told of moves, when, and with what.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <string.h>

#include "lib/base/mem.h"

static struct heard {
    uint64_t job;
    enum job_state from, to;
    enum rc rc;
    char key[32], reason[64];
} heard[16];
static unsigned heard_count, others;
static struct job_watch *watch, *other;
static struct job *loaded;
static bool over, ok;
static enum rc recorder_says;
static unsigned recorded;

static void on_news(const struct job_news *news, void *arg)
{
    struct heard *entry = &heard[heard_count++];

    (void)arg;
    *entry = (struct heard){.job = news->job, .from = news->from, .to = news->to, .rc = news->rc};
    snprintf(entry->key, sizeof(entry->key), "%s", news->key);
    snprintf(entry->reason, sizeof(entry->reason), "%s", news->reason);
}

static void on_news_leave(const struct job_news *news, void *arg)
{
    (void)news, (void)arg;
    others++;
    job_watch_stop(TAKE(other));
}

static void on_moved(struct job *job, const struct err *err, void *arg)
{
    (void)job, (void)arg;
    ok = err == NULL;
    over = true;
}

static bool move(enum job_event event, const struct job_note *note)
{
    over = false;
    job_move(loaded, event, note, on_moved, NULL);
    run_until(&over);
    return ok;
}

static void on_loaded(struct job *job, uint64_t newest, const struct err *err, void *arg)
{
    (void)newest, (void)err, (void)arg;
    loaded = job;
    over = true;
}

static void load(uint64_t id)
{
    over = false;
    job_load(services.jobs, id, on_loaded, NULL);
    run_until(&over);
    assert_non_null(loaded);
}

static enum rc record(struct db *db, const struct job_news *news, void *arg, struct err *err)
{
    (void)arg;
    recorded++;
    if (recorder_says != RC_OK) {
        return err_set(err, recorder_says, "the recorder refuses");
    }
    struct db_stmt *q =
        db_prepare(db, "INSERT INTO outbox(job, kind, body, made_ms) VALUES(?, ?, '', 0)", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, (int64_t)news->job);
    db_bind_text(q, 2, job_state_name(news->to));
    return db_run(q, err);
}

static void on_stopped(void *arg)
{
    (void)arg;
    over = true;
}

static const struct job_stage *const no_stages[] = {NULL};

static int begin(void **state)
{
    const int failed = fixture_set_up(state);

    services.intake = intake_new(&services);
    services.queue = job_queue_new(&services, no_stages);
    heard_count = others = recorded = 0;
    recorder_says = RC_OK;
    watch = job_watch_start(services.jobs, on_news, NULL);
    return failed;
}

static int end(void **state)
{
    over = false;
    job_queue_stop(services.queue, on_stopped, NULL);
    run_until(&over);
    job_watch_stop(TAKE(watch));
    job_free(TAKE(loaded));
    intake_free(services.intake);
    job_queue_free(services.queue);
    return fixture_tear_down(state);
}

static void a_watcher_hears_of_births_and_moves_after_they_are_durable(void **state)
{
    const struct job_note why = {.rc = RC_CORRUPT, .reason = "a bad file"};

    (void)state;
    load(sight(seen("a.h5", "1", 1000)).job);
    assert_int_equal(heard_count, 1);
    assert_int_equal(heard[0].from, JOB_STATE_COUNT);
    assert_int_equal(heard[0].to, JOB_QUEUED);
    assert_string_equal(heard[0].key, "a.h5");
    assert_true(move(JOB_EV_STARTED, NULL));
    assert_true(move(JOB_EV_REJECTED, &why));
    assert_int_equal(heard_count, 3);
    assert_int_equal(heard[2].from, JOB_CRAWLING);
    assert_int_equal(heard[2].to, JOB_QUARANTINED);
    assert_int_equal(heard[2].rc, RC_CORRUPT);
    assert_string_equal(heard[2].reason, "a bad file");
    assert_true(heard[2].job == loaded->id);
}

static void a_watcher_hears_what_intake_supersedes(void **state)
{
    (void)state;
    const uint64_t job = sight(seen("a.h5", "1", 1000)).job;

    sight(seen("a.h5", "2", 2000));
    assert_int_equal(heard_count, 3);
    assert_true(heard[2].job == job);
    assert_int_equal(heard[2].to, JOB_SUPERSEDED);
}

static void a_watcher_may_leave_from_inside(void **state)
{
    (void)state;
    other = job_watch_start(services.jobs, on_news_leave, NULL);
    sight(seen("a.h5", "1", 1000));
    sight(seen("b.h5", "1", 1000));
    assert_int_equal(others, 1);
    assert_int_equal(heard_count, 2);
}

static void what_a_recorder_writes_is_there_with_the_move_or_not_at_all(void **state)
{
    (void)state;
    load(sight(seen("a.h5", "1", 1000)).job);
    job_store_set_recorder(services.jobs, record, NULL);
    assert_true(move(JOB_EV_STARTED, NULL));
    assert_int_equal(ask_int("SELECT count(*) FROM outbox WHERE kind = 'CRAWLING'"), 1);
    recorder_says = RC_NO_SPACE;
    assert_false(move(JOB_EV_FINISHED, NULL));
    assert_int_equal(loaded->state, JOB_CRAWLING);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'CRAWLING'"), 1);
    assert_int_equal(ask_int("SELECT count(*) FROM outbox"), 1);
    assert_int_equal(recorded, 2);
    assert_int_equal(heard_count, 2);
}

static void room_is_twice_the_slots_less_what_stands_in_line(void **state)
{
    (void)state;
    assert_int_equal(job_queue_room(services.queue), 2 * (4 + 4 + 3));
    load(sight(seen("a.h5", "1", 1000)).job);
    assert_int_equal(job_queue_room(services.queue), 21);
    assert_true(move(JOB_EV_STARTED, NULL));
    assert_int_equal(job_queue_room(services.queue), 21);
    assert_true(move(JOB_EV_DEFERRED, &(struct job_note){.retry_at_ms = 1}));
    assert_int_equal(job_queue_room(services.queue), 22); /* BACKOFF waits outside */
    job_queue_pause(services.queue, true);
    assert_int_equal(job_queue_room(services.queue), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_watcher_hears_of_births_and_moves_after_they_are_durable),
        T(a_watcher_hears_what_intake_supersedes),
        T(a_watcher_may_leave_from_inside),
        T(what_a_recorder_writes_is_there_with_the_move_or_not_at_all),
        T(room_is_twice_the_slots_less_what_stands_in_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
