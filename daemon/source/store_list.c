/** @file
 * Listing the raw store.
 *
 * Read listing_run() from top to bottom. Two ascending streams of keys are merged on the way: the
 * store's and the journal's. A key that only the journal has is suspected; when the listing has
 * come to its end without an error, each suspect is asked for by name before it is sighted as gone.
 */
#include "daemon/source/store_list.h"

#include <string.h>

#include "daemon/metrics.h"
#include "daemon/services.h"
#include "daemon/source/raw_place.h"
#include "lib/base/arena.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define PAGE_MAX 1000      /**< What the intake takes at once. */
#define SUSPECTS_MAX 10000 /**< More are left to the next listing. */
#define VERIFY_BATCH 256
#define RETRY_MS 30000 /**< After a listing that failed. */
#define WRITER_MS \
    3600000 /**< Who wrote nothing for an hour is not asked whether he still writes. */
#define NEVER INT64_MAX

struct store_listing {
    struct services *services;
    struct settle *settle;
    store_list_ended_fn *ended;
    void *arg;
    struct loop_timer *timer;
    bool paused;
    struct raw_place *place;

    /* what is to come */
    int64_t asked_ms; /**< Monotonic: when to list, because somebody asked; NEVER. */
    int64_t due_ms;   /**< Monotonic: when to list again by the interval; NEVER. */
    source_reconciled_fn *reconciled;
    void *reconciled_arg;

    /* the one under way */
    enum listing_step { REST, PLACE, LIST, MERGE, WRITERS, SIGHT, VERIFY, GONE, END } step;
    bool reconciling, by_name; /**< For a reconcile; because somebody asked. */
    enum sighting_source source;
    int64_t began_ms, began_mono_ms;
    int64_t writers_since_ms; /**< Objects changed since may still be written. */
    bool more, left_over;
    bool through;       /**< Came to the end of the store. */
    struct err problem; /**< The first; rc is RC_OK while all is well. */
    struct source_counts counts;
    char *after;

    /* its page */
    struct arena *strings;
    struct store_object objects[PAGE_MAX];
    unsigned count, merged;                /**< `merged`: objects the merge has passed. */
    bool unchanged[PAGE_MAX];              /**< The journal has this very version. */
    unsigned taken[PAGE_MAX], taken_count; /**< Indexes of the objects that are old enough. */
    const char *keys[PAGE_MAX];
    bool open[PAGE_MAX];
    struct sighting sightings[PAGE_MAX];

    /* the journal's side */
    struct arena *known_strings;
    struct intake_known known[PAGE_MAX];
    unsigned known_count, known_next;
    bool known_end, known_seen; /**< `known_seen`: something known of was listed. */
    char *known_after;

    /* what only the journal has */
    struct arena *suspect_strings;
    const char **suspects;
    unsigned suspect_count, suspect_next, verifying;
    unsigned gone_count;

    /* the last ones */
    bool listed;
    uint64_t listings;
    int64_t last_began_ms, last_ended_ms, last_took_ms, ended_mono_ms;
    struct source_counts last;
    bool was_left_over;
    struct err error; /**< Of the last listing; rc is RC_OK when it was complete. */
    int64_t error_ms;
};

static void listing_run(struct store_listing *listing);
static void schedule(struct store_listing *listing);

/* ---- when ---- */

static int64_t interval_ms(const struct store_listing *listing)
{
    return listing->services->conf->sources_list_interval_ms;
}

static void begin(struct store_listing *listing)
{
    listing->by_name = listing->asked_ms <= now_mono_ms() || !listing->listed;
    listing->asked_ms = listing->due_ms = NEVER;
    listing->reconciling = listing->reconciled != NULL;
    listing->source = listing->reconciling ? SIGHTING_RECONCILE : SIGHTING_LIST;
    listing->began_ms = now_wall_ms();
    listing->began_mono_ms = now_mono_ms();
    listing->writers_since_ms = listing->began_ms - WRITER_MS;
    if (listing->listed && !listing->was_left_over) {
        /* What was there before the last listing has passed it, or settles. */
        listing->writers_since_ms =
            MAX_OF(listing->writers_since_ms,
                   listing->last_began_ms - listing->services->conf->sources_settle_ms);
    }
    listing->counts = (struct source_counts){0};
    listing->problem.rc = RC_OK;
    listing->left_over = listing->through = false;
    listing->suspect_count = listing->suspect_next = listing->gone_count = 0;
    arena_reset(listing->suspect_strings);
    listing->known_count = listing->known_next = 0;
    listing->known_end = listing->known_seen = false;
    free(listing->after);
    free(listing->known_after);
    listing->after = str_dup("");
    listing->known_after = str_dup("");
    listing->step = PLACE;
    listing_run(listing);
}

static void on_timer(void *arg)
{
    struct store_listing *listing = arg;

    if (listing->step == REST && !listing->paused) {
        begin(listing);
    }
}

/** A reconcile begins at once; a listing that was asked for leaves as much time to others as the
 * last one took, so that a stream of bursts cannot keep the store busy with nothing else. */
static void schedule(struct store_listing *listing)
{
    int64_t at_ms = MIN_OF(listing->asked_ms, listing->due_ms);

    if (listing->step != REST || listing->paused) {
        loop_timer_disarm(listing->timer);
        return;
    }
    if (listing->ended_mono_ms > 0 && at_ms != NEVER) {
        at_ms = MAX_OF(at_ms, listing->ended_mono_ms + listing->last_took_ms);
    }
    if (listing->reconciled != NULL) {
        at_ms = 0;
    }
    if (at_ms == NEVER) {
        loop_timer_disarm(listing->timer);
    } else {
        loop_timer_arm(listing->timer, MAX_OF(at_ms - now_mono_ms(), (int64_t)0));
    }
}

struct store_listing *store_list_new(struct services *services, struct settle *settle,
                                     store_list_ended_fn *ended, void *arg)
{
    struct store_listing *listing = mem_new(struct store_listing);

    listing->services = services;
    listing->settle = settle;
    listing->ended = ended;
    listing->arg = arg;
    listing->place = raw_place_new(services);
    listing->timer = loop_timer_new(services->loop, on_timer, listing);
    listing->asked_ms = listing->due_ms = NEVER;
    listing->strings = arena_new();
    listing->known_strings = arena_new();
    listing->suspect_strings = arena_new();
    return listing;
}

static void answer_reconcile(struct store_listing *listing, const struct err *err)
{
    source_reconciled_fn *done = TAKE(listing->reconciled);

    if (done != NULL) {
        done(err == NULL ? &listing->counts : NULL, err, listing->reconciled_arg);
    }
}

void store_list_free(struct store_listing *listing)
{
    struct err err;

    if (listing == NULL) {
        return;
    }
    err_set(&err, RC_CANCELED, "the daemon stops");
    answer_reconcile(listing, &err);
    loop_timer_free(listing->timer);
    raw_place_free(listing->place);
    arena_free(listing->strings);
    arena_free(listing->known_strings);
    arena_free(listing->suspect_strings);
    free(listing->suspects);
    free(listing->after);
    free(listing->known_after);
    free(listing);
}

void store_list_request(struct store_listing *listing, int64_t delay_ms)
{
    listing->asked_ms = MIN_OF(listing->asked_ms, now_mono_ms() + delay_ms);
    schedule(listing);
}

/** An answer that is not worth a listing. */
struct refusal {
    struct err err;
    source_reconciled_fn *done;
    void *arg;
};

static void on_refusal(void *arg)
{
    struct refusal *refusal = arg;

    refusal->done(NULL, &refusal->err, refusal->arg);
    free(refusal);
}

static void refuse(struct store_listing *listing, source_reconciled_fn *done, void *arg, enum rc rc,
                   const char *text)
{
    struct refusal *refusal = mem_new(struct refusal);

    refusal->done = done;
    refusal->arg = arg;
    err_set(&refusal->err, rc, "%s", text);
    loop_defer(listing->services->loop, on_refusal, refusal);
}

void store_list_reconcile(struct store_listing *listing, source_reconciled_fn *done, void *arg)
{
    if (listing->paused || listing->reconciled != NULL) {
        refuse(listing, done, arg, RC_CONFLICT,
               listing->paused ? "the sources are paused, resume first"
                               : "a reconciliation is under way already");
        return;
    }
    listing->reconciled = done;
    listing->reconciled_arg = arg;
    schedule(listing);
}

void store_list_pause(struct store_listing *listing, bool paused)
{
    listing->paused = paused;
    if (paused && listing->reconciled != NULL && !(listing->step != REST && listing->reconciling)) {
        refuse(listing, TAKE(listing->reconciled), listing->reconciled_arg, RC_CANCELED,
               "the sources were paused");
    }
    schedule(listing);
}

void store_list_reload(struct store_listing *listing)
{
    if (listing->step == REST && listing->ended_mono_ms > 0) {
        listing->due_ms =
            interval_ms(listing) > 0 ? listing->ended_mono_ms + interval_ms(listing) : NEVER;
        schedule(listing);
    }
}

bool store_list_busy(const struct store_listing *listing)
{
    return listing->step != REST;
}

bool store_list_wanted(const struct store_listing *listing)
{
    return (listing->step != REST && listing->by_name) || listing->asked_ms != NEVER ||
           listing->reconciled != NULL;
}

void store_list_status(const struct store_listing *listing, struct source_status *ret_status)
{
    ret_status->listed = listing->listed;
    ret_status->listing = listing->step != REST;
    ret_status->listings = listing->listings;
    ret_status->list_began_ms = listing->last_began_ms;
    ret_status->list_ended_ms = listing->last_ended_ms;
    ret_status->last = listing->last;
    ret_status->error = listing->error.rc == RC_OK ? "" : listing->error.text;
    ret_status->error_ms = listing->error.rc == RC_OK ? 0 : listing->error_ms;
}

/* ---- pages ---- */

static void note_problem(struct store_listing *listing, const struct err *err)
{
    if (listing->problem.rc == RC_OK) {
        listing->problem = *err;
    }
}

static void fail(struct store_listing *listing, const struct err *err)
{
    note_problem(listing, err);
    listing->step = END;
    listing_run(listing);
}

static void on_page(const struct store_object *objects, unsigned count, bool more,
                    const struct err *err, void *arg)
{
    struct store_listing *listing = arg;

    if (err != NULL && objects == NULL) {
        fail(listing, err);
        return;
    }
    if (err != NULL) {
        note_problem(listing, err);
    }
    arena_reset(listing->strings);
    for (unsigned i = 0; i < count; i++) {
        listing->objects[i] = objects[i];
        listing->objects[i].key = arena_dup(listing->strings, objects[i].key);
        listing->objects[i].etag = arena_dup(listing->strings, objects[i].etag);
        listing->objects[i].version = arena_dup(listing->strings, objects[i].version);
        listing->unchanged[i] = false;
    }
    listing->count = count;
    listing->merged = 0;
    listing->more = more;
    listing->counts.listed += count;
    if (count > 0) {
        free(listing->after);
        listing->after = str_dup(objects[count - 1].key);
    }
    listing->step = MERGE;
    listing_run(listing);
}

static void on_known(const struct intake_known *known, unsigned count, const struct err *err,
                     void *arg)
{
    struct store_listing *listing = arg;

    if (err != NULL) {
        fail(listing, err);
        return;
    }
    arena_reset(listing->known_strings);
    for (unsigned i = 0; i < count; i++) {
        listing->known[i] = (struct intake_known){
            .key = arena_dup(listing->known_strings, known[i].key),
            .version = arena_dup(listing->known_strings, known[i].version),
            .etag = arena_dup(listing->known_strings, known[i].etag),
        };
    }
    listing->known_count = count;
    listing->known_next = 0;
    listing->known_end = count == 0;
    if (count > 0) {
        free(listing->known_after);
        listing->known_after = str_dup(known[count - 1].key);
    }
    listing_run(listing);
}

static void suspect(struct store_listing *listing, const char *key)
{
    if (listing->suspect_count == SUSPECTS_MAX) {
        listing->left_over = true;
        return;
    }
    if (listing->suspects == NULL) {
        listing->suspects = mem_zeroed(SUSPECTS_MAX * sizeof(listing->suspects[0]));
    }
    listing->suspects[listing->suspect_count++] = arena_dup(listing->suspect_strings, key);
}

/** Merge the page with what the journal knows. False when more of the latter must be read first. */
static bool merge(struct store_listing *listing)
{
    if (listing->problem.rc != RC_OK) {
        return true;
    }
    while (listing->merged < listing->count || !listing->more) {
        if (listing->known_next == listing->known_count) {
            return listing->known_end;
        }
        const struct intake_known *known = &listing->known[listing->known_next];
        const struct store_object *object = &listing->objects[listing->merged];
        int order = listing->merged == listing->count ? 1 : strcmp(object->key, known->key);

        if (order > 0) {
            suspect(listing, known->key);
        } else if (order == 0) {
            listing->unchanged[listing->merged] =
                intake_is_known(known, object->version, object->etag);
        }
        listing->known_seen |= order == 0;
        listing->known_next += order >= 0;
        listing->merged += order <= 0;
    }
    return true;
}

/** As if the intake had said so, which would ask the journal again for every key of a million. */
static void pass_unchanged(struct store_listing *listing, unsigned count)
{
    listing->counts.known += count;
    if (count > 0) {
        metric_add(listing->services->metrics, METRIC_SIGHTINGS,
                   METRIC_LABELS(sighting_source_name(listing->source),
                                 sighting_outcome_name(OUTCOME_KNOWN)),
                   count);
    }
}

/** Choose what is new and old enough, and of that what somebody may still be writing; the rest
 * settles. */
static unsigned choose(struct store_listing *listing)
{
    int64_t settle_ms = listing->services->conf->sources_settle_ms, now_ms = now_wall_ms();
    unsigned asked = 0, unchanged = 0;

    listing->taken_count = 0;
    for (unsigned i = 0; i < listing->count; i++) {
        const struct store_object *object = &listing->objects[i];
        int64_t wait_ms = settle_wait_ms(object->modified_ms, settle_ms, now_ms);
        bool waits = settle_has(listing->settle, object->key);

        if (!waits && listing->unchanged[i]) {
            unchanged++;
            continue;
        }
        if (!waits && wait_ms > 0) {
            waits = true;
            listing->left_over |= !settle_add(listing->settle, object, wait_ms, SIGHTING_LIST);
        }
        if (waits) {
            listing->counts.settling++;
            continue;
        }
        listing->open[listing->taken_count] = object->modified_ms >= listing->writers_since_ms;
        asked += listing->open[listing->taken_count];
        listing->taken[listing->taken_count++] = i;
    }
    pass_unchanged(listing, unchanged);
    return asked;
}

static void on_writers(const struct err *err, void *arg)
{
    struct store_listing *listing = arg;
    int64_t settle_ms = listing->services->conf->sources_settle_ms;
    unsigned kept = 0;

    for (unsigned i = 0; i < listing->taken_count; i++) {
        const struct store_object *object = &listing->objects[listing->taken[i]];

        if (err == NULL && listing->open[i]) {
            listing->counts.settling++;
            listing->left_over |= !settle_add(listing->settle, object,
                                              MAX_OF(settle_ms, (int64_t)500), SIGHTING_LIST);
        } else {
            listing->taken[kept++] = listing->taken[i];
        }
    }
    listing->taken_count = kept;
    listing->step = SIGHT;
    listing_run(listing);
}

/** Ask about all that was taken, which is simpler than about some, unless there is nothing to ask.
 */
static void ask_writers(struct store_listing *listing)
{
    unsigned asked = choose(listing);

    for (unsigned i = 0; i < listing->taken_count; i++) {
        listing->keys[i] = listing->objects[listing->taken[i]].key;
    }
    store_find_open(listing->services->raw, listing->keys, asked > 0 ? listing->taken_count : 0,
                    listing->open, on_writers, listing);
}

/** Whether a queue had the time to tell of it. What the first listing finds was there before us. */
static bool was_missed(const struct store_listing *listing, const struct sighting *sighting)
{
    const struct conf *conf = listing->services->conf;

    return conf->sources_sqs_queue_url != NULL && listing->listed &&
           now_wall_ms() - sighting->modified_ms > conf->sources_sqs_grace_ms;
}

static void count_results(struct store_listing *listing, const struct intake_result *results,
                          unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        switch (results[i].outcome) {
        case OUTCOME_QUEUED:
        case OUTCOME_REQUEUED:
            listing->counts.queued++;
            break;
        case OUTCOME_KNOWN:
        case OUTCOME_OLDER:
            listing->counts.known++;
            break;
        case OUTCOME_RETIRING:
            listing->counts.gone++;
            break;
        case OUTCOME_REFUSED:
            listing->counts.refused++;
            break;
        case OUTCOME_IGNORED:
        case SIGHTING_OUTCOME_COUNT:
            break;
        }
        if (results[i].outcome == OUTCOME_QUEUED &&
            (listing->reconciling || was_missed(listing, &listing->sightings[i]))) {
            metric_add(listing->services->metrics, METRIC_RECONCILE_MISSING, METRIC_LABELS(""), 1);
        }
    }
}

static void on_sighted(const struct intake_result *results, unsigned count, const struct err *err,
                       void *arg)
{
    struct store_listing *listing = arg;

    if (err != NULL) {
        fail(listing, err);
        return;
    }
    count_results(listing, results, count);
    listing->step = listing->step == GONE || !listing->more ? VERIFY : LIST;
    listing_run(listing);
}

/** False when the page has nothing to tell. */
static bool sight(struct store_listing *listing)
{
    for (unsigned i = 0; i < listing->taken_count; i++) {
        const struct store_object *object = &listing->objects[listing->taken[i]];

        listing->sightings[i] = (struct sighting){
            .source = listing->source,
            .bucket = store_bucket(listing->services->raw),
            .key = object->key,
            .version = object->version,
            .etag = object->etag,
            .sequencer = "",
            .size = object->size,
            .modified_ms = object->modified_ms,
        };
    }
    if (listing->taken_count > 0) {
        intake_sight(listing->services->intake, listing->sightings, listing->taken_count,
                     on_sighted, listing);
    }
    return listing->taken_count > 0;
}

/* ---- what is gone ---- */

static void on_place(const struct err *err, void *arg)
{
    struct store_listing *listing = arg;

    if (err != NULL) {
        fail(listing, err);
        return;
    }
    listing->step = LIST;
    listing_run(listing);
}

/** The listing came to its end: may what is missing be taken for deleted? */
static void check_place(struct store_listing *listing)
{
    struct err err;
    const enum raw_missing missing = listing->suspect_count == 0 ? RAW_MISSING_NONE
                                     : listing->known_seen       ? RAW_MISSING_SOME
                                                                 : RAW_MISSING_ALL;

    if (listing->problem.rc == RC_OK &&
        raw_place_check(listing->place, missing, listing->reconciling, &err) != RC_OK) {
        note_problem(listing, &err);
    }
}

struct verify_arg {
    struct store_listing *listing;
    const char *key;
};

static void on_verified(const struct store_object *object, const struct err *err, void *arg)
{
    struct verify_arg *verify = arg;
    struct store_listing *listing = verify->listing;

    (void)object;
    if (err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_INVALID)) {
        listing->sightings[listing->gone_count++] = (struct sighting){
            .source = listing->source,
            .gone = true,
            .bucket = store_bucket(listing->services->raw),
            .key = verify->key,
            .version = "",
            .etag = "",
            .sequencer = "",
            .modified_ms = now_wall_ms(),
        };
    } else if (err != NULL) {
        note_problem(listing, err);
    }
    free(verify);
    if (--listing->verifying == 0) {
        listing->step = GONE;
        listing_run(listing);
    }
}

/** False when there is nobody left to suspect. */
static bool verify(struct store_listing *listing)
{
    unsigned count = MIN_OF(listing->suspect_count - listing->suspect_next, (unsigned)VERIFY_BATCH);

    if (count == 0 || listing->problem.rc != RC_OK) {
        return false;
    }
    listing->gone_count = 0;
    listing->verifying = count;
    for (unsigned i = 0; i < count; i++) {
        struct verify_arg *arg = mem_new(struct verify_arg);

        *arg = (struct verify_arg){.listing = listing,
                                   .key = listing->suspects[listing->suspect_next++]};
        store_head(listing->services->raw, arg->key, on_verified, arg);
    }
    return true;
}

/* ---- the end ---- */

static void tell_problem(struct store_listing *listing)
{
    struct err *error = &listing->error, *problem = &listing->problem;

    if (problem->rc == RC_OK && error->rc != RC_OK) {
        log_note(LOG_SOURCE, "listing works again");
    } else if (problem->rc != RC_OK && problem->rc != RC_CANCELED &&
               (error->rc != problem->rc || strcmp(error->text, problem->text) != 0)) {
        log_warn(LOG_SOURCE, "listing is not complete, nothing is taken for deleted: %s",
                 problem->text);
    }
    if (problem->rc != RC_CANCELED) {
        if (error->rc == RC_OK) {
            listing->error_ms = now_wall_ms();
        }
        *error = *problem;
    }
}

static void tell_counts(const struct store_listing *listing)
{
    const struct source_counts *counts = &listing->counts;

    log_write(
        listing->listed && counts->queued + counts->gone == 0 ? LOG_DEBUG : LOG_INFO, LOG_SOURCE,
        NULL, __FILE__, __LINE__,
        "listed %llu objects in %lld ms: %llu new, %llu known, %llu gone, %llu settling, %llu "
        "refused",
        (unsigned long long)counts->listed, (long long)listing->last_took_ms,
        (unsigned long long)counts->queued, (unsigned long long)counts->known,
        (unsigned long long)counts->gone, (unsigned long long)counts->settling,
        (unsigned long long)counts->refused);
}

static void end(struct store_listing *listing)
{
    bool complete = listing->problem.rc == RC_OK;
    int64_t interval = interval_ms(listing);

    listing->step = REST;
    listing->ended_mono_ms = now_mono_ms();
    listing->last_took_ms = listing->ended_mono_ms - listing->began_mono_ms;
    tell_problem(listing);
    listing->listed |= listing->through;
    if (complete) {
        tell_counts(listing);
        listing->listings++;
        listing->last = listing->counts;
        listing->last_began_ms = listing->began_ms;
        listing->last_ended_ms = now_wall_ms();
        listing->was_left_over = listing->left_over;
        listing->due_ms = interval > 0 ? listing->ended_mono_ms + interval : NEVER;
        if (listing->left_over) {
            store_list_request(listing, listing->services->conf->sources_settle_ms);
        }
    } else {
        listing->due_ms = listing->ended_mono_ms +
                          (interval > 0 ? MIN_OF(interval, (int64_t)RETRY_MS) : RETRY_MS);
    }
    if (listing->reconciling) {
        answer_reconcile(listing, complete ? NULL : &listing->problem);
    }
    schedule(listing);
    listing->ended(complete, listing->arg);
}

static void cancel(struct store_listing *listing)
{
    err_set(&listing->problem, RC_CANCELED, "the listing was stopped");
    /* What was asked for is still wanted when the sources go on. */
    listing->asked_ms = MIN_OF(listing->asked_ms, listing->by_name ? now_mono_ms() : NEVER);
    listing->step = END;
}

static void listing_run(struct store_listing *listing)
{
    if (listing->paused && listing->step != END) {
        cancel(listing);
    }
    switch (listing->step) {
    case REST:
        return;

    case PLACE: /* state.db, once: where it lay */
        raw_place_load(listing->place, on_place, listing);
        return;

    case LIST:
        store_list(listing->services->raw, "", listing->after, PAGE_MAX, on_page, listing);
        return;

    case MERGE: /* on_known() comes back here */
        if (!merge(listing)) {
            intake_known(listing->services->intake, store_bucket(listing->services->raw),
                         listing->known_after, PAGE_MAX, on_known, listing);
            return;
        }
        listing->step = WRITERS;
        ask_writers(listing);
        return;

    case WRITERS: /* on_writers() goes on */
        return;

    case SIGHT:
        if (sight(listing)) {
            return;
        }
        listing->step = listing->more ? LIST : VERIFY;
        listing_run(listing);
        return;

    case VERIFY: /* on_verified() goes on when all are back */
        if (!listing->through) {
            listing->through = true;
            check_place(listing);
        }
        if (verify(listing)) {
            return;
        }
        listing->step = END;
        listing_run(listing);
        return;

    case GONE:
        if (listing->gone_count > 0 && listing->problem.rc == RC_OK) {
            intake_sight(listing->services->intake, listing->sightings, listing->gone_count,
                         on_sighted, listing);
            return;
        }
        listing->step = VERIFY;
        listing_run(listing);
        return;

    case END:
        end(listing);
        return;
    }
}
