/** @file
 * Moves as they are recorded and told; the lock; what boot puts right.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/job/job_draft.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

static struct err outcome;
static bool over, ok;
static struct job *loaded;
static unsigned also_runs;

static void on_moved(struct job *job, const struct err *err, void *arg)
{
    (void)job, (void)arg;
    ok = err == NULL;
    if (err != NULL) {
        outcome = *err;
    }
    over = true;
}

static bool move(struct job *job, enum job_event event, const struct job_note *note)
{
    over = false;
    job_move(job, event, note, on_moved, NULL);
    assert_false(over); /* never from inside the call */
    run_until(&over);
    return ok;
}

static void on_loaded(struct job *job, uint64_t newest, const struct err *err, void *arg)
{
    (void)newest, (void)arg;
    ok = err == NULL;
    loaded = job;
    over = true;
}

static struct job *load(uint64_t id)
{
    over = false;
    loaded = NULL;
    job_load(services.jobs, id, on_loaded, NULL);
    run_until(&over);
    return loaded;
}

/** One object with one job that is QUEUED. */
static int one_job(void **state)
{
    if (fixture_set_up(state) != 0) {
        return 1;
    }
    change(
        "INSERT INTO objects(id, bucket, key, version, etag, sequencer, size, modified_ms, live,"
        " job, first_ms, changed_ms) VALUES(1, '/raw', 'a.h5', '', 'e1', '', 10, 5, 1, 1, 1, 1)");
    change("INSERT INTO jobs(id, object, bucket, key, version, etag, sequencer, size, modified_ms,"
           " event_ms, action, source, state, resume, sighted_ms, entered_ms, order_ms, big)"
           " VALUES(1, 1, '/raw', 'a.h5', '', 'e1', '', 10, 5, 5, 'ingest', 'list', 'QUEUED',"
           " 'QUEUED', 5, 5, 5, 0)");
    fixture_reopen();
    return 0;
}

/* ---- whether what is published is made again */

static bool again;

static enum rc run_makes_again(struct db *state, void *arg, struct err *err)
{
    return job_makes_again(state, arg, "r2", &again, err);
}

static void on_asked(const struct err *err, void *arg)
{
    (void)arg;
    assert_null(err);
    over = true;
}

static bool makes_again(struct job *job)
{
    over = false;
    job_store_read(services.jobs, run_makes_again, on_asked, job);
    run_until(&over);
    return again;
}

static void history(const char *from, const char *to, const char *event, const char *reason)
{
    char sql[300];

    snprintf(
        sql, sizeof(sql),
        "INSERT INTO transitions(job, at_ms, from_state, to_state, event, after_ms, actor,"
        " reason, class, request_ids) VALUES(1, 5, '%s', '%s', '%s', 0, 'daemon', '%s', '', '')",
        from, to, event, reason);
    change(sql);
}

static void what_we_made_of_these_rows_is_made_again(void **state)
{
    struct job *job = load(1);

    (void)state;
    change("UPDATE jobs SET rows_digest = 'r1'");
    history("PUBLISHING", "DONE", "FINISHED", "3 outputs");
    assert_false(makes_again(job)); /* it was of other rows */
    change("UPDATE jobs SET rows_digest = 'r2'");
    assert_true(makes_again(job));
    change("UPDATE jobs SET etag = 'e0'");
    assert_false(makes_again(job));
    change("UPDATE jobs SET etag = 'e1'");
    history("DONE", "CRAWLED", "REVISED", "");
    assert_false(makes_again(job)); /* these rows are those of an attempt that came too late */
    history("PUBLISHING", "DONE", "FINISHED", "published by another daemon");
    assert_false(makes_again(job));
    job_free(job);
}

static void what_an_operator_wants_again_is_made_again(void **state)
{
    struct job *job = load(1);

    (void)state;
    history("PUBLISHING", "DONE", "FINISHED", "published by another daemon");
    history("DONE", "QUEUED", "RETRY", "asked for by an operator");
    assert_true(makes_again(job));
    history("EXTRACTING", "QUARANTINED", "REJECTED", "");
    history("QUARANTINED", "QUEUED", "RETRY", "");
    assert_true(makes_again(job)); /* it was not, yet */
    history("QUARANTINED", "CRAWLED", "REVISED", "");
    assert_false(makes_again(job)); /* the wish was for other rows */
    job_free(job);
}

static void a_move_is_in_the_row_the_history_the_counts_and_the_events(void **state)
{
    struct job *job = load(1);
    char text[256];

    (void)state;
    assert_int_equal(job_store_count(services.jobs, JOB_QUEUED), 1);
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_int_equal(job->state, JOB_CRAWLING);
    ask_text("SELECT state FROM jobs", text);
    assert_string_equal(text, "CRAWLING");
    ask_text(
        "SELECT from_state || ' ' || to_state || ' ' || event || ' ' || actor FROM transitions",
        text);
    assert_string_equal(text, "QUEUED CRAWLING STARTED daemon");
    assert_int_equal(job_store_count(services.jobs, JOB_QUEUED), 0);
    assert_int_equal(job_store_count(services.jobs, JOB_CRAWLING), 1);
    assert_true(metric_value(services.metrics, METRIC_JOBS, METRIC_LABELS("CRAWLING")) == 1);
    assert_true(metric_value(services.metrics, METRIC_TRANSITIONS,
                             METRIC_LABELS("QUEUED", "CRAWLING")) == 1);
    assert_int_equal(job_events_last(services.events), 1);
    job_free(job);
}

static void what_the_crawl_found_is_recorded_with_its_move(void **state)
{
    struct job *job = load(1);
    char text[256];

    (void)state;
    assert_true(move(job, JOB_EV_STARTED, NULL));
    snprintf(job->kind, sizeof(job->kind), "hdf5");
    snprintf(job->table, sizeof(job->table), "vil");
    assert_true(move(job, JOB_EV_FINISHED, NULL));
    assert_int_equal(job->resume, JOB_CRAWLED);
    ask_text("SELECT kind || ' ' || tbl || ' ' || resume FROM jobs", text);
    assert_string_equal(text, "hdf5 vil CRAWLED");
    assert_int_equal(ask_int("SELECT made FROM objects"), 1);
    job_free(job);
}

static void a_deferred_job_comes_back_to_the_rest_it_left(void **state)
{
    struct job *job = load(1);
    const struct job_note late = {.rc = RC_TIMEOUT, .reason = "slow", .retry_at_ms = 77};
    char text[256];

    (void)state;
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_FINISHED, NULL));
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_DEFERRED, &late));
    assert_int_equal(job->state, JOB_BACKOFF);
    assert_int_equal(job->failures, 1);
    ask_text("SELECT retry_at_ms || ' ' || class || ' ' || reason FROM jobs", text);
    assert_string_equal(text, "77 TIMEOUT slow");
    assert_true(move(job, JOB_EV_RETRY_DUE, NULL));
    assert_int_equal(job->state, JOB_CRAWLED);
    assert_int_equal(job->failures, 1);
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_FINISHED, NULL));
    assert_int_equal(job->failures, 0);
    job_free(job);
}

static void a_full_disk_uses_up_no_attempt(void **state)
{
    struct job *job = load(1);
    const struct job_note full = {.rc = RC_NO_SPACE, .reason = "full", .retry_at_ms = 1};

    (void)state;
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_DEFERRED, &full));
    assert_int_equal(job->failures, 0);
    job_free(job);
}

static void of_two_who_move_one_job_the_second_loses_and_nothing_is_told(void **state)
{
    struct job *one = load(1), *two = load(1);

    (void)state;
    assert_true(move(one, JOB_EV_STARTED, NULL));
    assert_false(move(two, JOB_EV_CANCEL, NULL));
    assert_int_equal(outcome.rc, RC_CONFLICT);
    assert_string_equal(outcome.text, "job 1 is no longer QUEUED");
    assert_int_equal(two->state, JOB_QUEUED);
    assert_int_equal(job_store_count(services.jobs, JOB_CANCELED), 0);
    assert_int_equal(ask_int("SELECT count(*) FROM transitions"), 1);
    job_free(one);
    job_free(two);
}

static void an_edge_the_table_lacks_is_a_bug_and_says_which(void **state)
{
    struct job *job = load(1);

    (void)state;
    assert_false(move(job, JOB_EV_FINISHED, NULL));
    assert_int_equal(outcome.rc, RC_BUG);
    assert_string_equal(outcome.text, "job 1: no edge from QUEUED on FINISHED");
    job_free(job);
}

static enum rc also(struct db *db, const struct job *job, void *arg, struct err *err)
{
    also_runs++;
    if (arg != NULL) {
        return err_set(err, RC_NO_SPACE, "the outbox is full");
    }
    assert_int_equal(job->id, 1);
    return db_exec(db, "INSERT INTO outbox(job, kind, body, made_ms) VALUES(1, 'x', '{}', 1)", err);
}

static void what_belongs_to_a_move_is_recorded_with_it_or_not_at_all(void **state)
{
    struct job *job = load(1);
    struct job_note note = {.also = also, .also_arg = job};

    (void)state;
    also_runs = 0;
    assert_false(move(job, JOB_EV_STARTED, &note));
    assert_int_equal(outcome.rc, RC_NO_SPACE);
    assert_int_equal(job->state, JOB_QUEUED);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'QUEUED'"), 1);
    note.also_arg = NULL;
    assert_true(move(job, JOB_EV_STARTED, &note));
    assert_int_equal(ask_int("SELECT count(*) FROM outbox"), 1);
    assert_int_equal(also_runs, 2);
    job_free(job);
}

static void done_counts_the_lag_since_the_source_had_it(void **state)
{
    struct job *job = load(1);

    (void)state;
    job->event_ms = now_wall_ms() - 60000;
    for (unsigned stage = 0; stage < 3; stage++) {
        assert_true(move(job, JOB_EV_STARTED, NULL));
        assert_true(move(job, JOB_EV_FINISHED, NULL));
    }
    assert_int_equal(job->state, JOB_DONE);
    assert_true(metric_value(services.metrics, METRIC_INGEST_LAG, METRIC_LABELS("")) == 1);
    assert_true(metric_value(services.metrics, METRIC_STAGE_DURATION, METRIC_LABELS("extract")) ==
                1);
    job_free(job);
}

static void boot_puts_every_job_at_work_back_to_the_rest_it_left(void **state)
{
    char text[256];

    (void)state;
    change("UPDATE jobs SET state = 'EXTRACTING', resume = 'CRAWLED', failures = 2");
    fixture_reopen();
    assert_int_equal(job_store_recovered(services.jobs), 1);
    ask_text("SELECT state || ' ' || failures FROM jobs", text);
    assert_string_equal(text, "CRAWLED 2");
    ask_text("SELECT event || ' ' || actor FROM transitions", text);
    assert_string_equal(text, "STOPPED boot");
    assert_int_equal(job_store_count(services.jobs, JOB_CRAWLED), 1);
    assert_int_equal(job_store_count(services.jobs, JOB_EXTRACTING), 0);
}

static void boot_supersedes_what_had_been_overtaken_at_work(void **state)
{
    char text[256];

    (void)state;
    change("UPDATE jobs SET state = 'EXTRACTING', resume = 'CRAWLED', overtaken = 1");
    fixture_reopen();
    ask_text("SELECT state FROM jobs", text);
    assert_string_equal(text, "SUPERSEDED");
}

static void a_second_daemon_is_told_the_pid_of_the_first(void **state)
{
    struct job_store *second = NULL;
    struct err err;
    char pid[32];

    (void)state;
    snprintf(pid, sizeof(pid), "pid %ld;", (long)getpid());
    assert_int_equal(job_store_open(&services, state_dir, &second, &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, pid));
    assert_null(second);
}

static void a_newer_schema_is_refused_and_unchanged(void **state)
{
    struct job_store *store = NULL;
    struct err err;

    (void)state;
    change("PRAGMA user_version = 99");
    job_store_close(services.jobs);
    services.jobs = NULL;
    assert_int_not_equal(job_store_open(&services, state_dir, &store, &err), RC_OK);
    assert_non_null(strstr(err.text, "99"));
}

static void on_oldest(const int64_t oldest_ms[JOB_STATE_COUNT], void *arg)
{
    (void)arg;
    assert_int_equal(oldest_ms[JOB_QUEUED], 5);
    assert_int_equal(oldest_ms[JOB_DONE], 0);
    over = true;
}

static void the_oldest_of_a_state_is_when_it_was_entered(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) { /* the second from memory, and later all the same */
        over = false;
        job_store_oldest(services.jobs, on_oldest, NULL);
        assert_false(over);
        run_until(&over);
    }
}

static void the_draft_comes_with_its_move_and_goes_with_the_last(void **state)
{
    struct job *job = load(1);
    struct job_note note = {.also = job_draft_record};
    char text[256];

    (void)state;
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_FINISHED, NULL));
    assert_true(move(job, JOB_EV_STARTED, NULL));
    strbuf_puts(&job->draft, "{\"manifest\": 1}");
    assert_true(move(job, JOB_EV_FINISHED, &note));
    assert_null(job->draft.data);
    ask_text("SELECT job || ' ' || CAST(bytes AS TEXT) FROM drafts", text);
    assert_string_equal(text, "1 {\"manifest\": 1}");
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_STOPPED, NULL));
    assert_int_equal(ask_int("SELECT count(*) FROM drafts"), 1);
    assert_true(move(job, JOB_EV_STARTED, NULL));
    assert_true(move(job, JOB_EV_FINISHED, NULL));
    assert_int_equal(job->state, JOB_DONE);
    assert_int_equal(ask_int("SELECT count(*) FROM drafts"), 0);
    job_free(job);
}

static void boot_keeps_the_drafts_that_jobs_need(void **state)
{
    (void)state;
    change("INSERT INTO drafts VALUES(1, 0, 'x')");
    change("UPDATE jobs SET state = 'PUBLISHING', resume = 'EXTRACTED'");
    fixture_reopen();
    assert_int_equal(ask_int("SELECT count(*) FROM drafts"), 1);
    change("UPDATE jobs SET state = 'CRAWLED', resume = 'CRAWLED'");
    fixture_reopen();
    assert_int_equal(ask_int("SELECT count(*) FROM drafts"), 0);
}

static void put_file(const char *folder, const char *name, const char *bytes, size_t len)
{
    scoped(free) char *dir = str_printf("%s/%s", state_dir, folder);
    scoped(free) char *path = str_printf("%s/%s", dir, name);
    struct err err;

    assert_int_equal(fs_mkdirs(dir, 0700, &err), RC_OK);
    assert_int_equal(fs_write_file(path, bytes, len, 0600, &err), RC_OK);
}

static bool is_there(const char *name)
{
    scoped(free) char *path = str_printf("%s/%s", state_dir, name);

    return access(path, F_OK) == 0;
}

#define NOBODYS "00000000000000000000000000000000000000000000000000000000000000ff"

/** As version 4 had left it: job 1 is to publish, and its object has a ledger. */
static void leave_files(void)
{
    char hex[DIGEST_HEX];

    digest_sha256_hex("a.h5", 4, hex);
    put_file("jobs", "1.json", "{}\n", 3);
    put_file("jobs", "2.json", "stray", 5);
    put_file("jobs", ".1.json.Ab12Cd", "cut sh", 6);
    put_file("ledgers", hex, "frames/a.csv\0images/a.png", 26); /* with its last NUL */
    put_file("ledgers", NOBODYS, "frames/b.csv", 13);
}

static void files_of_earlier_versions_are_taken_over_once(void **state)
{
    scoped(free) char *left = str_printf("%s/ledgers/" NOBODYS, state_dir);
    scoped(free) char *folder = str_printf("%s/ledgers", state_dir);
    char text[256];

    (void)state;
    change("UPDATE jobs SET state = 'EXTRACTED', resume = 'EXTRACTED'");
    change("INSERT INTO objects SELECT 2, '/older', key, version, etag, sequencer, size,"
           " modified_ms, live, made, 0, first_ms, changed_ms, doubt_etag FROM objects");
    for (unsigned boot = 0; boot < 2; boot++) { /* the second: it was killed before they went */
        leave_files();
        fixture_reopen();
        ask_text("SELECT job || ' ' || part || ' ' || hex(bytes) FROM drafts", text);
        assert_string_equal(text, "1 0 7B7D0A");
        ask_text("SELECT object || ' ' || replace(CAST(hex(bytes) AS TEXT), '00', '|')"
                 " FROM ledgers",
                 text);
        assert_string_equal(text, "1 6672616D65732F612E637376|696D616765732F612E706E67|");
        assert_int_equal(ask_int("SELECT count(*) FROM drafts"), 1);
        assert_int_equal(ask_int("SELECT count(*) FROM ledgers"), 1);
        assert_false(is_there("jobs"));
        assert_true(is_there("ledgers/" NOBODYS)); /* nobody knows whose it is */
    }
    unlink(left);
    rmdir(folder);
}

static void a_file_that_cannot_be_read_is_not_lost(void **state)
{
    scoped(free) char *path = str_printf("%s/jobs/1.json", state_dir);
    scoped(free) char *folder = str_printf("%s/jobs", state_dir);
    struct job_store *store = NULL;
    struct err err;

    (void)state;
    change("UPDATE jobs SET state = 'EXTRACTED', resume = 'EXTRACTED'");
    job_store_close(services.jobs);
    services.jobs = NULL;
    assert_int_equal(fs_mkdirs(path, 0700, &err), RC_OK); /* a directory: not even root reads it */
    assert_int_not_equal(job_store_open(&services, state_dir, &store, &err), RC_OK);
    assert_non_null(strstr(err.text, "1.json"));
    assert_int_equal(rmdir(path), 0);
    rmdir(folder);
}

/** Runs `action` in a child under the variable; true if SIGKILL ended it. */
static bool is_killed(const char *variable, const char *value)
{
    int status = 0;

    snprintf(state_dir, sizeof(state_dir), "/tmp/test_job.XXXXXX");
    assert_non_null(mkdtemp(state_dir));
    const pid_t child = fork();

    if (child == 0) {
        setenv(variable, value, 1);
        execl("/proc/self/exe", "test_job_store", state_dir, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    fixture_remove_dir();
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/** In the child: two moves. Exits 0 when it lives. */
static int crash_child(void)
{
    struct job *job;

    if (one_job(NULL) != 0) {
        return 1;
    }
    job = load(1);
    move(job, JOB_EV_STARTED, NULL);
    move(job, JOB_EV_FINISHED, NULL);
    job_free(job);
    return fixture_tear_down(NULL);
}

static void the_fault_points_kill_at_the_move_they_name(void **state)
{
    (void)state;
    assert_true(is_killed("SEVIRD_CRASH_AT", "2"));
    assert_false(is_killed("SEVIRD_CRASH_AT", "3"));
    assert_true(is_killed("SEVIRD_CRASH_AT", "CRAWLED"));
    assert_false(is_killed("SEVIRD_CRASH_AT", "EXTRACTING"));
    assert_true(is_killed("SEVIRD_CRASH_BEFORE", "1"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, one_job, fixture_tear_down)
        T(what_we_made_of_these_rows_is_made_again),
        T(what_an_operator_wants_again_is_made_again),
        T(a_move_is_in_the_row_the_history_the_counts_and_the_events),
        T(what_the_crawl_found_is_recorded_with_its_move),
        T(a_deferred_job_comes_back_to_the_rest_it_left),
        T(a_full_disk_uses_up_no_attempt),
        T(of_two_who_move_one_job_the_second_loses_and_nothing_is_told),
        T(an_edge_the_table_lacks_is_a_bug_and_says_which),
        T(what_belongs_to_a_move_is_recorded_with_it_or_not_at_all),
        T(done_counts_the_lag_since_the_source_had_it),
        T(boot_puts_every_job_at_work_back_to_the_rest_it_left),
        T(boot_supersedes_what_had_been_overtaken_at_work),
        T(a_second_daemon_is_told_the_pid_of_the_first),
        T(a_newer_schema_is_refused_and_unchanged),
        T(the_oldest_of_a_state_is_when_it_was_entered),
        T(the_draft_comes_with_its_move_and_goes_with_the_last),
        T(boot_keeps_the_drafts_that_jobs_need),
        T(files_of_earlier_versions_are_taken_over_once),
        T(a_file_that_cannot_be_read_is_not_lost),
#undef T
        cmocka_unit_test(the_fault_points_kill_at_the_move_they_name),
    };

    if (argc > 1) {
        fixture_dir = argv[1];
        return crash_child();
    }
    return cmocka_run_group_tests_name("job_store", tests, NULL, NULL);
}
