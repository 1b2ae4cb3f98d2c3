/** @file
 * Private to the daemon's own files: daemon.c makes and takes down, daemon_ask.c answers the
 * servers, daemon_notify.c talks to systemd.
 */
#pragma once

#include "daemon/daemon.h"
#include "daemon/ops/ops.h"
#include "daemon/publish/outbox.h"
#include "daemon/source/source.h"
#include "lib/run/signals.h"

struct daemon_cloudwatch;
struct daemon_notify;
struct glue_engine;

struct daemon {
    struct services services;
    char *config_path;
    /** Every configuration there was: a stage may still use the one it started under, and a reload
     * is rare and small. The last is in force. */
    struct conf **confs;
    unsigned conf_count;

    struct source *source;
    struct outbox *outbox;    /**< NULL: nobody is notified. */
    struct glue_engine *glue; /**< NULL: all engines are local. */
    struct ops *ops;
    struct signals *signals;
    struct daemon_notify *notify;
    struct daemon_cloudwatch *cloudwatch; /**< NULL: nothing is pushed. */
    /** Twice a second while there is work: is the drain over, does the writer answer, may memory be
     * handed back. */
    struct daemon_pulse {
        struct loop_timer *timer;
        struct job_events_listener *listener; /**< Whatever happens starts it again. */
        bool due;                             /**< The timer is armed. */
        bool probe;                           /**< Ask the writer, also at rest. */
    } * pulse;
    struct loop_timer *deadline; /**< Of the stop. */

    enum daemon_phase phase;
    /** Each waits for the one before. */
    enum { STOP_SOURCE, STOP_SERVERS, STOP_QUEUE, STOP_OUTBOX, STOP_LANES, STOP_DONE } stop_step;
    int64_t started_ms, reloaded_ms;
    char *error; /**< Of the last reload or start of a service that failed. */
    int64_t error_ms;

    struct daemon_reconciled reconciled; /**< The last, */
    int64_t reconciled_ms;               /**< at that time; 0: none. */

    bool writer_asked;       /**< A probe of the state writer is under way, */
    int64_t writer_asked_ms; /**< since then (monotonic). */
    bool writer_failed;
    uint64_t moves_given_back; /**< Moves of jobs when free memory was last handed back. */
};

/** Take over as the configuration in force. */
void daemon_use_conf(struct daemon *daemon, struct conf *conf);
void daemon_set_error(struct daemon *daemon, const char *text);
void daemon_set_phase(struct daemon *daemon, enum daemon_phase phase);

/** The HTTP client and the accesses that the configuration needs. */
enum rc daemon_open_aws(struct services *services, struct err *err);
/** No request is under way. */
bool daemon_aws_is_quiet(const struct services *services);
void daemon_close_aws(struct services *services);

/** Both stores, and that they, and the state directory, do not get into each other's way. */
enum rc daemon_open_stores(struct services *services, struct err *err);
/** Ask the remote ones for a first key, by turning the loop: a bucket that is not there, or may not
 * be listed, ends the start. */
enum rc daemon_look_at_stores(struct services *services, struct err *err);

/** A bucket may be published to by other daemons as well: then objects are claimed. */
void daemon_share_processed(struct services *services);

/** Push key metrics to CloudWatch from now on; NULL where the configuration does not want it, which
 * the calls below take. */
struct daemon_cloudwatch *daemon_cloudwatch_start(struct services *services);
/** No more pushes; one may be under way. */
void daemon_cloudwatch_quiet(struct daemon_cloudwatch *cloudwatch);
/** Requires: none is. */
void daemon_cloudwatch_stop(struct daemon_cloudwatch *cloudwatch);

/** NULL, and every call below does nothing, when systemd did not start us. */
struct daemon_notify *daemon_notify_start(struct services *services);
void daemon_notify_stop(struct daemon_notify *notify);
void daemon_notify_ready(struct daemon_notify *notify);
void daemon_notify_reloading(struct daemon_notify *notify);
void daemon_notify_stopping(struct daemon_notify *notify);
