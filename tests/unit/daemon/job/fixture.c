/** @file
 * What the tests of jobs stand on.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"

struct services services;
struct conf conf;
char state_dir[64];
const char *fixture_dir;

static const char *question;
static char answer[256];
static bool answered, expired;

void fixture_remove_dir(void)
{
    static const char *const names[] = {"state.db",   "state.db-wal",   "state.db-shm",  "lock",
                                        "catalog.db", "catalog.db-wal", "catalog.db-shm"};
    char path[96];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", state_dir, names[i]);
        unlink(path);
    }
    rmdir(state_dir);
}

static void open_store(void)
{
    struct err err = {0};

    if (job_store_open(&services, state_dir, &services.jobs, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
}

int fixture_set_up(void **state)
{
    static const unsigned widths[WORK_LANE_COUNT] = {1, 1, 2, 1, 1};

    (void)state;
    log_start(LOG_ERROR);
    if (fixture_dir != NULL) {
        snprintf(state_dir, sizeof(state_dir), "%s", fixture_dir);
    } else {
        snprintf(state_dir, sizeof(state_dir), "/tmp/test_job.XXXXXX");
        if (mkdtemp(state_dir) == NULL) {
            return 1;
        }
    }
    conf = (struct conf){.state_dir = state_dir,
                         .extract_jobs = 3,
                         .retry_attempts = 3,
                         .retry_base_ms = 1,
                         .retry_cap_ms = 4};
    services = (struct services){.conf = &conf};
    services.loop = loop_new();
    services.work = work_new(services.loop, widths);
    services.metrics = metric_registry_new("sevird_", metric_families, METRIC_COUNT);
    services.events = job_events_new();
    open_store();
    return 0;
}

static bool lanes_are_quiet(void *arg)
{
    unsigned busy = 0;

    (void)arg;
    for (unsigned lane = 0; lane < WORK_LANE_COUNT; lane++) {
        busy += work_running(services.work, lane) + work_queued(services.work, lane);
    }
    return busy == 0;
}

int fixture_tear_down(void **state)
{
    (void)state;
    run_until_true(lanes_are_quiet, NULL);
    job_store_close(services.jobs);
    job_events_free(services.events);
    metric_registry_free(services.metrics);
    work_free(services.work);
    loop_free(services.loop);
    fixture_remove_dir();
    return 0;
}

void fixture_reopen(void)
{
    job_store_close(services.jobs);
    open_store();
}

static void on_expired(uv_timer_t *timer)
{
    (void)timer;
    expired = true;
}

void run_until_true(bool (*condition)(void *arg), void *arg)
{
    uv_timer_t timer;

    expired = false;
    uv_timer_init(loop_uv(services.loop), &timer);
    uv_timer_start(&timer, on_expired, 20000, 0);
    while (!condition(arg) && !expired) {
        uv_run(loop_uv(services.loop), UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop_uv(services.loop), UV_RUN_NOWAIT);
    if (expired) {
        fail_msg("nothing happened for 20 s");
    }
}

static bool is_set(void *arg)
{
    return *(const bool *)arg;
}

void run_until(const bool *flag)
{
    run_until_true(is_set, (void *)flag);
}

static enum rc run_question(struct db *db, void *arg, struct err *err)
{
    sqlite3_stmt *stmt = NULL;

    (void)arg;
    (void)err;
    assert_int_equal(sqlite3_prepare_v2(db_handle(db), question, -1, &stmt, NULL), SQLITE_OK);
    answer[0] = '\0';
    if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL) {
        snprintf(answer, sizeof(answer), "%s", (const char *)sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
    return RC_OK;
}

static void on_answer(const struct err *err, void *arg)
{
    (void)arg;
    if (err != NULL) {
        fail_msg("%s", err->text);
    }
    answered = true;
}

void ask_text(const char *sql, char ret_text[256])
{
    question = sql;
    answered = false;
    job_store_read(services.jobs, run_question, on_answer, NULL);
    run_until(&answered);
    memcpy(ret_text, answer, sizeof(answer));
}

int64_t ask_int(const char *sql)
{
    char text[256];

    ask_text(sql, text);
    return strtoll(text, NULL, 10);
}

void change(const char *sql)
{
    question = sql;
    answered = false;
    job_store_write(services.jobs, run_question, on_answer, NULL);
    run_until(&answered);
}

struct sighting seen(const char *key, const char *etag, int64_t modified_ms)
{
    return (struct sighting){.source = SIGHTING_LIST,
                             .bucket = "/raw",
                             .key = key,
                             .version = "",
                             .etag = etag,
                             .sequencer = "",
                             .size = 100,
                             .modified_ms = modified_ms};
}

struct sighting gone(const char *key)
{
    struct sighting sighting = seen(key, "", 0);

    sighting.gone = true;
    return sighting;
}

static void on_sighted(const struct intake_result *results, unsigned count, const struct err *err,
                       void *arg)
{
    (void)count;
    if (err != NULL) {
        fail_msg("%s", err->text);
    }
    *(struct intake_result *)arg = results[0];
    answered = true;
}

struct intake_result sight(struct sighting sighting)
{
    struct intake_result result = {.outcome = SIGHTING_OUTCOME_COUNT};

    answered = false;
    intake_sight(services.intake, &sighting, 1, on_sighted, &result);
    run_until(&answered);
    return result;
}

void sight_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char key[24];

        snprintf(key, sizeof(key), "%03u.h5", i);
        sight(seen(key, "e1", 1000));
    }
}
