/** @file
 * A state directory, a loop and the services that jobs need, for the tests of job/ and intake/.
 */
#pragma once

#include "tests/unit.h"

#include "daemon/intake/intake.h"
#include "daemon/job/job_events.h"
#include "daemon/job/job_p.h"
#include "daemon/job/job_queue.h"
#include "daemon/metrics.h"
#include "daemon/services.h"

extern struct services services;
extern struct conf conf; /**< Small retries; a test may change it. */
extern char state_dir[64];

/** The state directory to use; NULL: a new one. */
extern const char *fixture_dir;
/** `state_dir` and what is in it; what a daemon that was killed has left. */
void fixture_remove_dir(void);
/** For cmocka: everything but the queue and intake. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
/** Close state.db and open it again, as after a crash. */
void fixture_reopen(void);

/** Turn the loop until `*flag` is true; fails the test after 20 s. */
void run_until(const bool *flag);
/** Turn the loop until `condition(arg)` holds. */
void run_until_true(bool (*condition)(void *arg), void *arg);

/** Run SQL that yields one value, on the read lane. */
int64_t ask_int(const char *sql);
void ask_text(const char *sql, char ret_text[256]);
/** Run SQL on the writer. */
void change(const char *sql);

/** A sighting of an object with an etag; a listing's. */
struct sighting seen(const char *key, const char *etag, int64_t modified_ms);
struct sighting gone(const char *key);
/** One sighting through services.intake; waits for it. */
struct intake_result sight(struct sighting sighting);
/** New ones, of any moment: "000.h5", "001.h5" and so on. */
void sight_many(unsigned count);
