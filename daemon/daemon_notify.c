/** @file
 * systemd: readiness, one line of status, the watchdog, passed sockets.
 *
 * The watchdog is fed only while there is progress: that the timer fires proves the loop; that
 * workers finish something, or have nothing to do, proves them. A disk that hangs for longer than
 * PATIENCE_MS, with work in line, stops the feeding, and systemd restarts us; the journal is on
 * disk.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/daemon_p.h"
#include "daemon/job/job_queue.h"
#include "daemon/job/job_store.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

#define PATIENCE_MS 180000
#define STATUS_EVERY_MS 2000

struct daemon_notify {
    struct services *services;
    struct loop_timer *timer;
    int64_t every_ms;
    bool watchdog;
    uint64_t finished;   /**< Tasks, when there was progress last, */
    int64_t progress_ms; /**< which was then. */
    bool complained;
};

static bool has_work(const struct work *work)
{
    for (unsigned lane = 0; lane < WORK_LANE_COUNT; lane++) {
        if (work_running(work, lane) + work_queued(work, lane) > 0) {
            return true;
        }
    }
    return false;
}

static bool makes_progress(struct daemon_notify *notify)
{
    const uint64_t finished = work_finished(notify->services->work);
    const int64_t now_ms = now_mono_ms();

    if (finished != notify->finished || !has_work(notify->services->work)) {
        notify->finished = finished;
        notify->progress_ms = now_ms;
        notify->complained = false;
        return true;
    }
    if (now_ms - notify->progress_ms < PATIENCE_MS) {
        return true;
    }
    if (!notify->complained) {
        notify->complained = true;
        log_error(LOG_DAEMON, "no worker has finished anything for %d s; the watchdog is not fed",
                  PATIENCE_MS / 1000);
    }
    return false;
}

static void tell_status(const struct services *services)
{
    sd_notifyf(0,
               "STATUS=%u at work, %" PRIu64 " queued, %" PRIu64
               " waiting for the catalog, %" PRIu64 " done, %" PRIu64 " quarantined%s",
               job_queue_working(services->queue), job_store_count(services->jobs, JOB_QUEUED),
               job_store_count(services->jobs, JOB_WAITING),
               job_store_count(services->jobs, JOB_DONE),
               job_store_count(services->jobs, JOB_QUARANTINED),
               job_queue_paused(services->queue) ? ", paused" : "");
}

static void on_timer(void *arg)
{
    struct daemon_notify *notify = arg;

    if (notify->watchdog && makes_progress(notify)) {
        sd_notify(0, "WATCHDOG=1");
    }
    tell_status(notify->services);
    loop_timer_arm(notify->timer, notify->every_ms);
}

struct daemon_notify *daemon_notify_start(struct services *services)
{
    uint64_t watchdog_us = 0;

    if (getenv("NOTIFY_SOCKET") == NULL) {
        return NULL;
    }
    struct daemon_notify *notify = mem_new(struct daemon_notify);

    *notify = (struct daemon_notify){.services = services,
                                     .watchdog = sd_watchdog_enabled(0, &watchdog_us) > 0,
                                     .every_ms = STATUS_EVERY_MS,
                                     .progress_ms = now_mono_ms()};
    if (notify->watchdog) {
        notify->every_ms = MIN_OF(notify->every_ms, MAX_OF((int64_t)watchdog_us / 2000, 1));
    }
    notify->timer = loop_timer_new(services->loop, on_timer, notify);
    loop_timer_arm(notify->timer, notify->every_ms);
    return notify;
}

void daemon_notify_stop(struct daemon_notify *notify)
{
    if (notify != NULL) {
        loop_timer_free(notify->timer);
        free(notify);
    }
}

void daemon_notify_ready(struct daemon_notify *notify)
{
    if (notify != NULL) {
        sd_notify(0, "READY=1");
    }
}

void daemon_notify_reloading(struct daemon_notify *notify)
{
    if (notify != NULL) {
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, now_mono_us());
    }
}

void daemon_notify_stopping(struct daemon_notify *notify)
{
    if (notify != NULL) {
        sd_notify(0, "STOPPING=1");
    }
}

int daemon_take_socket(struct daemon *daemon, const char *name)
{
    char **names = NULL;
    const int count = sd_listen_fds_with_names(0, &names);
    int found = -1;

    (void)daemon;
    for (int i = 0; i < count; i++) {
        if (found < 0 && strcmp(names[i], name) == 0) {
            found = SD_LISTEN_FDS_START + i;
        }
        free(names[i]);
    }
    free(names);
    return found;
}

#else

struct daemon_notify *daemon_notify_start(struct services *services)
{
    (void)services;
    return NULL;
}

void daemon_notify_stop(struct daemon_notify *notify)
{
    (void)notify;
}

void daemon_notify_ready(struct daemon_notify *notify)
{
    (void)notify;
}

void daemon_notify_reloading(struct daemon_notify *notify)
{
    (void)notify;
}

void daemon_notify_stopping(struct daemon_notify *notify)
{
    (void)notify;
}

int daemon_take_socket(struct daemon *daemon, const char *name)
{
    (void)daemon, (void)name;
    return -1;
}

#endif
