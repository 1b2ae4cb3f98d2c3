/** @file
 * The ring, and who listens to it.
 */
#include "daemon/job/job_events.h"

#include <stdbool.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct job_events_listener {
    struct job_events *events;
    struct job_events_listener *next;
    job_events_fn *fn;
    void *arg;
    bool gone; /**< Asked to leave while the list was being walked. */
};

struct job_events {
    struct job_event_record ring[JOB_EVENTS_KEPT]; /**< Record `id` lies at id % JOB_EVENTS_KEPT. */
    uint64_t last;
    struct job_events_listener *listeners;
    unsigned walking;
};

struct job_events *job_events_new(void)
{
    return mem_new(struct job_events);
}

void job_events_free(struct job_events *events)
{
    if (events == NULL) {
        return;
    }
    for (unsigned i = 0; i < JOB_EVENTS_KEPT; i++) {
        free((char *)events->ring[i].json);
    }
    while (events->listeners != NULL) {
        struct job_events_listener *listener = events->listeners;

        events->listeners = listener->next;
        free(listener);
    }
    free(events);
}

/** Free who left during a walk. */
static void sweep(struct job_events *events)
{
    struct job_events_listener **link = &events->listeners;

    while (*link != NULL) {
        struct job_events_listener *listener = *link;

        if (listener->gone) {
            *link = listener->next;
            free(listener);
        } else {
            link = &listener->next;
        }
    }
}

void job_events_publish(struct job_events *events, const char *kind, const char *json)
{
    struct job_event_record *record = &events->ring[(events->last + 1) % JOB_EVENTS_KEPT];

    free((char *)record->json);
    *record = (struct job_event_record){.id = ++events->last, .kind = kind, .json = str_dup(json)};
    events->walking++;
    for (struct job_events_listener *listener = events->listeners; listener != NULL;
         listener = listener->next) {
        if (!listener->gone) {
            listener->fn(record, listener->arg);
        }
    }
    if (--events->walking == 0) {
        sweep(events);
    }
}

struct job_events_listener *job_events_listen(struct job_events *events, uint64_t after_id,
                                              job_events_fn *fn, void *arg)
{
    struct job_events_listener *listener = mem_new(struct job_events_listener);
    const uint64_t oldest = events->last > JOB_EVENTS_KEPT ? events->last - JOB_EVENTS_KEPT + 1 : 1;

    *listener = (struct job_events_listener){
        .events = events, .next = events->listeners, .fn = fn, .arg = arg};
    events->listeners = listener;
    /* An id from before a restart is higher than ours: then all that is kept is news. */
    for (uint64_t id = after_id > events->last ? oldest : MAX_OF(oldest, after_id + 1);
         id <= events->last; id++) {
        fn(&events->ring[id % JOB_EVENTS_KEPT], arg);
    }
    return listener;
}

void job_events_unlisten(struct job_events_listener *listener)
{
    if (listener == NULL) {
        return;
    }
    struct job_events *events = listener->events;

    listener->gone = true;
    if (events->walking == 0) {
        sweep(events);
    }
}

uint64_t job_events_last(const struct job_events *events)
{
    return events->last;
}
