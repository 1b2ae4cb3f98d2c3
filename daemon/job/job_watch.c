/** @file
 * Who is told of jobs.
 */
#include "daemon/job/job_watch.h"

#include "daemon/job/job_p.h"
#include "lib/base/mem.h"

struct job_watch {
    struct job_watchers *watchers;
    struct job_watch *next;
    job_watch_fn *fn;
    void *arg;
    bool gone; /**< Stopped while the list was being walked. */
};

struct job_watch *job_watch_start(struct job_store *store, job_watch_fn *fn, void *arg)
{
    struct job_watchers *watchers = job_store_watchers(store);
    struct job_watch *watch = mem_new(struct job_watch);

    *watch =
        (struct job_watch){.watchers = watchers, .next = watchers->first, .fn = fn, .arg = arg};
    watchers->first = watch;
    return watch;
}

static void sweep(struct job_watchers *watchers)
{
    struct job_watch **link = &watchers->first;

    while (*link != NULL) {
        struct job_watch *watch = *link;

        if (watch->gone) {
            *link = watch->next;
            free(watch);
        } else {
            link = &watch->next;
        }
    }
}

void job_watch_stop(struct job_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    struct job_watchers *watchers = watch->watchers;

    watch->gone = true;
    if (watchers->walking == 0) {
        sweep(watchers);
    }
}

void job_watch_tell(struct job_watchers *watchers, const struct job_news *news)
{
    watchers->walking++;
    for (struct job_watch *watch = watchers->first; watch != NULL; watch = watch->next) {
        if (!watch->gone) {
            watch->fn(news, watch->arg);
        }
    }
    if (--watchers->walking == 0) {
        sweep(watchers);
    }
}

void job_watchers_done(struct job_watchers *watchers)
{
    for (struct job_watch *watch = watchers->first; watch != NULL; watch = watch->next) {
        watch->gone = true;
    }
    sweep(watchers);
}

void job_store_set_recorder(struct job_store *store, job_record_fn *fn, void *arg)
{
    struct job_watchers *watchers = job_store_watchers(store);

    watchers->record = fn;
    watchers->record_arg = arg;
}

enum rc job_watch_record(struct db *db, struct job_store *store, const struct job_news *news,
                         struct err *err)
{
    const struct job_watchers *watchers = job_store_watchers(store);

    return watchers->record != NULL ? watchers->record(db, news, watchers->record_arg, err) : RC_OK;
}
