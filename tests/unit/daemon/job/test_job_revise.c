/** @file
 * When the catalog or the selection changes, against a real state.db and a real catalog.db.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <stdio.h>
#include <string.h>

#include "daemon/catalog/catalog_events.h"
#include "daemon/job/job_digest.h"
#include "lib/base/mem.h"

static unsigned extracted;
static bool rows_come_meanwhile; /**< The catalog gets its rows while an extraction is at work. */

struct act {
    struct job *job;
    job_stage_done_fn *done;
    void *arg;
};

static struct act *pending; /**< The extraction that waits for them. */

/* ---- the catalog */

static bool written;
static char digest[DIGEST_HEX];

static void on_written(const struct err *err, void *arg)
{
    (void)arg;
    if (err != NULL) {
        fail_msg("%s", err->text);
    }
    written = true;
}

static enum rc add_rows(struct db *db, void *arg, struct err *err)
{
    const struct catalog_row row = {.id = "S1",
                                    .file_name = arg,
                                    .img_type = SEVIR_VIL,
                                    .time_utc = 1546300800,
                                    .episode_id = "",
                                    .event_id = "",
                                    .event_type = "",
                                    .proj = ""};
    int64_t source, load;

    if (catalog_source(db, "/raw", "CATALOG.csv", &source, err) != RC_OK ||
        catalog_events_begin(db, source, &load, err) != RC_OK ||
        catalog_events_add(db, load, 0, &row, err) != RC_OK) {
        return err->rc;
    }
    return catalog_events_settle(db, load, err);
}

static enum rc read_digest(struct db *db, void *arg, struct err *err)
{
    return catalog_events_digest(db, arg, digest, err);
}

static void load_rows_of(const char *file)
{
    written = false;
    catalog_write(services.catalog, add_rows, on_written, (void *)file);
    run_until(&written);
}

/** The digest that an extraction of `key` would record now. */
static void digest_now(const char *key, char ret_hex[DIGEST_HEX])
{
    written = false;
    catalog_read(services.catalog, read_digest, on_written, (void *)key);
    run_until(&written);
    job_rows_digest(digest, &conf.select, ret_hex);
}

/* ---- stages */

static void act_end(void *arg)
{
    struct act *act = arg;
    char hex[DIGEST_HEX]; /* of a file without rows; those with rows run but once here */
    const struct job_note note = {.rows_digest = hex};
    const bool wants_rows = act->job->state == JOB_EXTRACTING && rows_come_meanwhile;

    job_rows_digest("", &conf.select, hex);
    rows_come_meanwhile = rows_come_meanwhile && !wants_rows;
    act->done(act->job, wants_rows ? JOB_EV_HELD : JOB_EV_FINISHED, &note, act->arg);
    free(act);
}

static void on_rows_came(const struct err *err, void *arg)
{
    (void)arg;
    assert_null(err);
    job_queue_catalog_changed(services.queue);
    loop_defer(services.loop, act_end, pending);
}

static void act_start(struct services *s, struct job *job, job_stage_done_fn *done, void *arg)
{
    struct act *act = mem_new(struct act);

    (void)s;
    *act = (struct act){.job = job, .done = done, .arg = arg};
    snprintf(job->kind, sizeof(job->kind), "hdf5");
    extracted += job->state == JOB_EXTRACTING;
    if (job->state == JOB_EXTRACTING && rows_come_meanwhile) {
        pending = act;
        catalog_write(services.catalog, add_rows, on_rows_came, (void *)"vil/a.h5");
        return;
    }
    loop_defer(services.loop, act_end, act);
}

static void act_stop(struct job *job)
{
    (void)job;
}

static const struct job_stage crawl = {"crawl", JOB_CRAWLING, act_start, act_stop};
static const struct job_stage extract = {"extract", JOB_EXTRACTING, act_start, act_stop};
static const struct job_stage publish = {"publish", JOB_PUBLISHING, act_start, act_stop};
static const struct job_stage *const stages[] = {&crawl, &extract, &publish, NULL};

static int set_up(void **state)
{
    struct err err;

    if (fixture_set_up(state) != 0 ||
        catalog_open(services.loop, services.work, state_dir, job_store_path(services.jobs), 10000,
                     &services.catalog, &err) != RC_OK) {
        return 1;
    }
    extracted = 0;
    rows_come_meanwhile = false;
    services.queue = job_queue_new(&services, stages);
    services.intake = intake_new(&services);
    return 0;
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static bool catalog_is_quiet(void *arg)
{
    (void)arg;
    return catalog_pending(services.catalog) == 0;
}

static int tear_down(void **state)
{
    bool stopped = false;

    intake_free(services.intake);
    job_queue_stop(services.queue, set_flag, &stopped);
    run_until(&stopped);
    job_queue_free(services.queue);
    run_until_true(catalog_is_quiet, NULL);
    catalog_close(services.catalog);
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

/** A job that has ended in `state` with the digest given. */
static void ended(const char *state, const char *rows_digest)
{
    char sql[256];

    sight(seen("vil/a.h5", "e1", 1000));
    snprintf(sql, sizeof(sql),
             "UPDATE jobs SET state = '%s', resume = 'CRAWLED', kind = 'hdf5', rows_digest = '%s'",
             state, rows_digest);
    change(sql);
    fixture_reopen();
}

static void assert_last(const char *event, const char *state)
{
    char sql[128], text[256];

    snprintf(sql, sizeof(sql), "SELECT state FROM jobs WHERE id = 1");
    ask_text(sql, text);
    assert_string_equal(text, state);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM transitions WHERE event = '%s'", event);
    assert_int_equal(ask_int(sql), 1);
}

static void a_waiting_job_is_released_when_its_rows_come(void **state)
{
    (void)state;
    ended("WAITING", "");
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
    load_rows_of("vil/a.h5");
    job_queue_catalog_changed(services.queue);
    run_until_idle();
    assert_last("RELEASED", "DONE");
}

static void a_waiting_job_whose_rows_came_while_we_were_away_is_released_at_boot(void **state)
{
    (void)state;
    ended("WAITING", "");
    load_rows_of("vil/a.h5");
    job_queue_start(services.queue);
    run_until_idle();
    assert_last("RELEASED", "DONE");
}

static void rows_of_other_files_release_nobody(void **state)
{
    (void)state;
    ended("WAITING", "");
    load_rows_of("vil/b.h5");
    job_queue_start(services.queue);
    job_queue_catalog_changed(services.queue);
    run_until_idle();
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'WAITING'"), 1);
}

static void a_done_job_runs_again_only_when_what_it_used_has_changed(void **state)
{
    char hex[DIGEST_HEX];

    (void)state;
    load_rows_of("vil/a.h5");
    digest_now("vil/a.h5", hex);
    ended("DONE", hex);
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
    conf.select.limit = 7;
    job_queue_catalog_changed(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 1);
    assert_last("REVISED", "DONE");
}

static void a_skipped_job_runs_again_when_the_selection_wants_it(void **state)
{
    (void)state;
    ended("SKIPPED", "what another selection gave");
    job_queue_start(services.queue);
    run_until_idle();
    assert_last("REVISED", "DONE");
}

static void a_job_quarantined_in_extraction_runs_again_when_its_rows_change(void **state)
{
    (void)state;
    ended("QUARANTINED", "what other rows gave");
    job_queue_start(services.queue);
    run_until_idle();
    assert_last("REVISED", "DONE");
}

static void a_job_quarantined_in_its_crawl_is_left_alone(void **state)
{
    (void)state;
    ended("QUARANTINED", "what other rows gave");
    change("UPDATE jobs SET resume = 'QUEUED'");
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
}

static void a_job_without_a_digest_has_nothing_to_compare(void **state)
{
    (void)state;
    ended("DONE", "");
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
}

static void an_older_job_of_an_object_is_left_alone(void **state)
{
    (void)state;
    ended("DONE", "old");
    sight(seen("vil/a.h5", "e2", 2000));
    change("UPDATE jobs SET state = 'DONE', kind = 'hdf5' WHERE id = 2");
    fixture_reopen();
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
}

static void rows_that_come_while_it_is_found_to_lack_them_are_not_missed(void **state)
{
    (void)state;
    rows_come_meanwhile = true;
    job_queue_start(services.queue);
    run_until_idle();
    sight(seen("vil/a.h5", "e1", 1000));
    run_until_idle();
    assert_last("HELD", "DONE");
    assert_last("RELEASED", "DONE");
}

/** `vil/a.h5` was refused a key that `vil/b.h5` has. */
static void refused_a_key(void)
{
    ended("QUARANTINED", "");
    change("INSERT INTO objects(id, bucket, key, version, etag, sequencer, size, modified_ms, live,"
           " first_ms, changed_ms) VALUES (2, '/raw', 'vil/b.h5', '', 'e', '', 1, 0, 1, 0, 0)");
    change("UPDATE jobs SET class = 'CONFLICT'");
    change("INSERT INTO claims(key, object) VALUES ('frames/a.csv', 2)");
    change("INSERT INTO blocked(key, object) VALUES ('frames/a.csv', 1)");
}

static void a_job_that_was_refused_a_key_runs_again_when_the_key_is_free(void **state)
{
    (void)state;
    refused_a_key();
    job_queue_start(services.queue);
    job_queue_claims_freed(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
    change("DELETE FROM claims");
    job_queue_claims_freed(services.queue);
    run_until_idle();
    assert_last("REVISED", "DONE");
}

static void a_key_that_became_free_while_we_were_away_is_noticed_at_boot(void **state)
{
    (void)state;
    refused_a_key();
    change("DELETE FROM claims");
    job_queue_start(services.queue);
    run_until_idle();
    assert_last("REVISED", "DONE");
}

static void a_job_quarantined_for_something_else_is_not_run_for_a_key(void **state)
{
    (void)state;
    refused_a_key();
    change("DELETE FROM claims");
    change("UPDATE jobs SET class = 'CORRUPT'");
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 0);
}

static void many_are_compared_in_bounded_batches(void **state)
{
    (void)state;
    sight_many(600);
    change("UPDATE jobs SET state = 'DONE', resume = 'CRAWLED', kind = 'hdf5', rows_digest = 'x'");
    fixture_reopen();
    job_queue_start(services.queue);
    run_until_idle();
    assert_int_equal(extracted, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(a_waiting_job_is_released_when_its_rows_come),
        T(a_waiting_job_whose_rows_came_while_we_were_away_is_released_at_boot),
        T(rows_of_other_files_release_nobody),
        T(a_done_job_runs_again_only_when_what_it_used_has_changed),
        T(a_skipped_job_runs_again_when_the_selection_wants_it),
        T(a_job_quarantined_in_extraction_runs_again_when_its_rows_change),
        T(a_job_quarantined_in_its_crawl_is_left_alone),
        T(a_job_without_a_digest_has_nothing_to_compare),
        T(an_older_job_of_an_object_is_left_alone),
        T(rows_that_come_while_it_is_found_to_lack_them_are_not_missed),
        T(a_job_that_was_refused_a_key_runs_again_when_the_key_is_free),
        T(a_key_that_became_free_while_we_were_away_is_noticed_at_boot),
        T(a_job_quarantined_for_something_else_is_not_run_for_a_key),
        T(many_are_compared_in_bounded_batches),
#undef T
    };
    return cmocka_run_group_tests_name("job_revise", tests, NULL, NULL);
}
