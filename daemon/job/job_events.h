/** @file
 * The event stream: what the log and `/v1/events` say about jobs, as JSON objects with ids.
 *
 * A ring keeps the last JOB_EVENTS_KEPT events, so that a reader who reconnects with Last-Event-ID
 * misses nothing recent.
 *
 * Thread:     the loop's. Listeners run inside job_events_publish() and must not publish.
 */
#pragma once

#include <stdint.h>

#include "lib/base/scope.h"

#define JOB_EVENTS_KEPT 1024

struct job_events;
struct job_events_listener;

struct job_event_record {
    uint64_t id;      /**< Ascending from 1; restarts with the daemon. */
    const char *kind; /**< Static: "transition", "sighting", "source", "daemon". */
    const char *json; /**< One object on one line. */
};

typedef void job_events_fn(const struct job_event_record *record, void *arg);

struct job_events *job_events_new(void);
void job_events_free(struct job_events *events);
SCOPED_FN(struct job_events, job_events_free)
void job_events_publish(struct job_events *events, const char *kind, const char *json);
/** `fn` is told every event after `after_id` that is still kept, at once, then each new one. */
struct job_events_listener *job_events_listen(struct job_events *events, uint64_t after_id,
                                              job_events_fn *fn, void *arg);
void job_events_unlisten(struct job_events_listener *listener);
uint64_t job_events_last(const struct job_events *events);
