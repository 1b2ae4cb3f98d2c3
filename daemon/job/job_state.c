/** @file
 * The job state table, and the names of what is in it.
 */
#include "daemon/job/job_state.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/mem.h"

/* clang-format off */
/** The five edges every stage has. */
#define STAGE(rest, stage, next)                          \
    {JOB_##rest, JOB_EV_STARTED, JOB_##stage},            \
    {JOB_##stage, JOB_EV_FINISHED, JOB_##next},           \
    {JOB_##stage, JOB_EV_DEFERRED, JOB_BACKOFF},          \
    {JOB_##stage, JOB_EV_REJECTED, JOB_QUARANTINED},      \
    {JOB_##stage, JOB_EV_STOPPED, JOB_RESUME}
/* clang-format on */

const struct job_edge job_edges[] = {
    STAGE(QUEUED, CRAWLING, CRAWLED),
    STAGE(CRAWLED, EXTRACTING, EXTRACTED),
    STAGE(EXTRACTED, PUBLISHING, DONE),
    STAGE(QUEUED, RETIRING, RETIRED),

    {JOB_EXTRACTING, JOB_EV_HELD, JOB_WAITING},
    {JOB_EXTRACTING, JOB_EV_EXCLUDED, JOB_SKIPPED},
    {JOB_EXTRACTING, JOB_EV_LOST, JOB_QUEUED}, /* the catalog was taken away: crawl again */
    {JOB_PUBLISHING, JOB_EV_LOST, JOB_QUEUED}, /* the draft was */
    {JOB_WAITING, JOB_EV_RELEASED, JOB_CRAWLED},
    {JOB_BACKOFF, JOB_EV_RETRY_DUE, JOB_RESUME},

    /* The crawl still holds for this version of the object; only what was selected has changed. */
    {JOB_DONE, JOB_EV_REVISED, JOB_CRAWLED},
    {JOB_SKIPPED, JOB_EV_REVISED, JOB_CRAWLED},
    {JOB_QUARANTINED, JOB_EV_REVISED, JOB_CRAWLED}, /* rows that did not fit its file, say */

    /* Only at rest: a stage is stopped first. What was DONE stays so, it is history. A quarantined
     * one goes, for there is nothing left that an operator could do about it. */
    {JOB_QUEUED, JOB_EV_OVERTAKEN, JOB_SUPERSEDED},
    {JOB_CRAWLED, JOB_EV_OVERTAKEN, JOB_SUPERSEDED},
    {JOB_WAITING, JOB_EV_OVERTAKEN, JOB_SUPERSEDED},
    {JOB_EXTRACTED, JOB_EV_OVERTAKEN, JOB_SUPERSEDED},
    {JOB_BACKOFF, JOB_EV_OVERTAKEN, JOB_SUPERSEDED},
    {JOB_QUARANTINED, JOB_EV_OVERTAKEN, JOB_SUPERSEDED},

    {JOB_QUEUED, JOB_EV_CANCEL, JOB_CANCELED},
    {JOB_CRAWLED, JOB_EV_CANCEL, JOB_CANCELED},
    {JOB_WAITING, JOB_EV_CANCEL, JOB_CANCELED},
    {JOB_EXTRACTED, JOB_EV_CANCEL, JOB_CANCELED},
    {JOB_BACKOFF, JOB_EV_CANCEL, JOB_CANCELED},
    {JOB_QUARANTINED, JOB_EV_CANCEL, JOB_CANCELED},

    {JOB_WAITING, JOB_EV_RETRY, JOB_QUEUED},
    {JOB_BACKOFF, JOB_EV_RETRY, JOB_QUEUED},
    {JOB_DONE, JOB_EV_RETRY, JOB_QUEUED},
    {JOB_SKIPPED, JOB_EV_RETRY, JOB_QUEUED},
    {JOB_QUARANTINED, JOB_EV_RETRY, JOB_QUEUED},
    {JOB_CANCELED, JOB_EV_RETRY, JOB_QUEUED},
};
const unsigned job_edge_count = ARRAY_LEN(job_edges);

static const struct {
    const char *name, *text;
    enum job_kind kind;
} states[JOB_STATE_COUNT] = {
#define X(n, k, t) [JOB_##n] = {.name = #n, .text = t, .kind = JOB_KIND_##k},
    JOB_STATE_MAP(X)
#undef X
};

static const struct {
    const char *name, *text;
} events[JOB_EVENT_COUNT] = {
#define X(n, t) [JOB_EV_##n] = {.name = #n, .text = t},
    JOB_EVENT_MAP(X)
#undef X
};

const struct job_edge *job_edge_find(enum job_state from, enum job_event on, enum job_action action)
{
    for (unsigned i = 0; i < job_edge_count; i++) {
        const struct job_edge *edge = &job_edges[i];

        if (edge->from != from || edge->on != on) {
            continue;
        }
        /* QUEUED is the one rest that two stages leave; the action says which. */
        if (from == JOB_QUEUED && on == JOB_EV_STARTED &&
            (edge->to == JOB_RETIRING) != (action == JOB_RETIRE)) {
            continue;
        }
        return edge;
    }
    return NULL;
}

const char *job_state_name(enum job_state state)
{
    return states[state].name;
}

const char *job_state_text(enum job_state state)
{
    return states[state].text;
}

bool job_state_parse(const char *name, enum job_state *ret_state)
{
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        if (strcmp(states[s].name, name) == 0) {
            *ret_state = s;
            return true;
        }
    }
    return false;
}

enum job_kind job_state_kind(enum job_state state)
{
    return states[state].kind;
}

const char *job_event_name(enum job_event event)
{
    return events[event].name;
}

const char *job_event_text(enum job_event event)
{
    return events[event].text;
}
