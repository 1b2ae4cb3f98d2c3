/** @file
 * Private to daemon/glue/: glue_engine.c has the face, who waits and who is answered; glue_gather.c
 * decides when a run begins; engine_run.c has what every run does; crawler_run.c and job_runner.c
 * each tell the story of one kind.
 *
 * Thread:     the loop's.
 */
#pragma once

#include "daemon/glue/glue_engine.h"
#include "daemon/glue/run_files.h"
#include "daemon/job/job_runs.h"
#include "daemon/job/job_watch.h"
#include "lib/aws/glue.h"

#define RUN_TOKEN 33
#define RUN_POLL_MAX_MS 60000
#define RUN_AGAIN_MS 2000 /* After what state.db refused. */

enum glue_kind { GLUE_CRAWLS, GLUE_JOBS, GLUE_KINDS };

struct glue_engine;
struct engine_run;

/** A job that waits: for a run to begin, or for its run to end. */
struct glue_wait {
    struct glue_wait *next;
    struct glue_lane *lane;
    struct engine_run *run; /**< NULL: it is gathered. */
    uint64_t job;
    char *key, *version, *etag; /**< Of the object; `key` in the store. */
    char *output;               /**< An extraction's. */
    int64_t joined_ms;          /**< Monotonic. */
    bool answering, left;       /**< Its `done` is due; it says RC_CANCELED. */
    job_remote_done_fn *done;
    void *arg;
};

/** All of a kind. */
struct glue_lane {
    struct glue_engine *engine;
    enum glue_kind kind;
    const char *kind_name; /**< "crawl", "job". */
    void (*advance)(struct engine_run *run);
    struct glue_wait *waits; /**< In the order of joining. */
    struct engine_run *runs;
    struct loop_timer *timer; /**< When what has gathered is due. */
};

/** A run, from its gathering until every job of it has moved. */
struct engine_run {
    struct engine_run *next;
    struct glue_lane *lane;
    int64_t id; /**< On record; 0: not yet. */
    char *name, *remote_id, *error, *log_url;
    char token[RUN_TOKEN];
    const char *state; /**< As recorded; static. */
    const char *seen;  /**< As Glue said when it was last looked at; static, NULL: not yet. */
    int64_t after_ms, began_ms, ended_ms;
    double dpu_seconds;

    /** READY: a crawler must be. PUT_PLAN, FIND, RESULT: a job's. OVER: its jobs are answered.
     * STOP: nobody waits for it any more. */
    enum run_step {
        RUN_READY,
        RUN_RECORD,
        RUN_PUT_PLAN,
        RUN_FIND,
        RUN_START,
        RUN_FOLLOW,
        RUN_MEASURE,
        RUN_RESULT,
        RUN_OVER,
        RUN_STOP,
        RUN_CLOSE,
        RUN_GONE
    } step;
    uint64_t *jobs; /**< That have not moved by it. */
    unsigned job_count;
    bool asking;       /**< An answer is under way, which comes back to engine_run_again(). */
    bool hurry;        /**< Look again at once: an event has come meanwhile. */
    bool acknowledged; /**< The start was answered with yes. */
    unsigned blind;    /**< Looks that showed nothing of a crawl that was acknowledged. */
    bool complained;
    struct loop_timer *timer;
    int64_t poll_ms; /**< 0: the first one. */

    struct err outcome; /**< From OVER on. */
    char *plan_key, *result_key;
    struct strbuf text; /**< The plan; "" in a run of the last daemon's. */
    struct store_put put;
    char *bytes; /**< Of the result. */
    size_t bytes_len;
    struct err parsed;
    const char *keys[2]; /**< To be removed. */
    struct run_result *result;
};

struct glue_sync;

struct glue_engine {
    struct job_remote remote;
    struct glue_sync *sync;
    struct services *services;
    struct glue_lane lanes[GLUE_KINDS];
    struct job_watch *watch;
    bool loaded, stopping;
    struct loop_timer *load_again;
};

/* glue_engine.c */
/** Its waiting jobs get the outcome, later. */
void glue_answer_run(struct engine_run *run);

/* glue_gather.c */
/** Begin a run if one is due and may begin. */
void glue_gather(struct glue_lane *lane);
/** Take what has gathered into a run that is not on record yet. */
void glue_gather_into(struct engine_run *run);
/** Jobs that wait for a run to begin. */
unsigned glue_gathered(const struct glue_lane *lane);

/* engine_run.c */
struct engine_run *engine_run_new(struct glue_lane *lane, const char *name);
void engine_run_free(struct engine_run *run);
/** What a run of the last daemon's was. */
void engine_run_resume(struct glue_lane *lane, const struct job_run_open *open);
struct engine_run *engine_run_of(const struct glue_lane *lane, uint64_t job);
void engine_run_add_job(struct engine_run *run, uint64_t job);
/** The job has moved by it, or does not wait for it any more. */
void engine_run_settle(struct engine_run *run, uint64_t job);
/** Go on, from a callback or from nothing. May free the run. */
void engine_run_go(struct engine_run *run);
/** What was asked is answered; `step` is where it goes on. May free the run. */
void engine_run_then(struct engine_run *run, enum run_step step);
/** Come back in a while, longer each time; sooner when an event comes. */
void engine_run_wait(struct engine_run *run);
/** Write the row (make it, if there is none), then go on with `step`; a row that could not be made
 * is tried again. */
void engine_run_record(struct engine_run *run, const char *state, enum run_step step);
/** It is over; `err` NULL: well. */
void engine_run_over(struct engine_run *run, const char *state, const struct err *err);
/** A request has failed: over, if no time will mend it; else back to `step` after a while. */
void engine_run_failed(struct engine_run *run, enum run_step step, const struct err *err);
/** Its start is being asked for: what it waited before, for room or for others, is not its time. */
void engine_run_begins(struct engine_run *run);
/** It has taken longer than it may. */
bool engine_run_is_late(const struct engine_run *run);
/** A link to its log in CloudWatch's console; `stream` NULL: to the group. */
void engine_run_set_log(struct engine_run *run, const char *group, const char *stream);
/** It is not known to be over. */
bool engine_run_is_open(const struct engine_run *run);

/* catalog_sync.c */
struct glue_sync *glue_sync_new(struct glue_engine *engine);
void glue_sync_free(struct glue_sync *sync);
void glue_sync_ask(struct glue_sync *sync, job_remote_told_fn *done, void *arg);

/* the stories */
/** The key as the bucket knows it; the caller frees. */
char *glue_key_in_bucket(const struct store *store, const char *key);
void crawler_run_advance(struct engine_run *run);
/** Of what Glue says of a crawl that failed. */
enum rc crawler_run_class(const char *text);
void job_runner_advance(struct engine_run *run);
