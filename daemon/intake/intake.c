/** @file
 * Batches of sightings, one after another: first a look on the read lane, which settles what is
 * known and unchanged (nearly everything, in a listing) without a write; then, for what is left,
 * one transaction on the state writer.
 *
 * One after another, because the look of a batch must see what the batch before it has recorded.
 * Those that need no look (a wish, which a look never settles) are handed to the writer as they
 * come: it keeps their order.
 */
#include "daemon/intake/intake.h"

#include <assert.h>
#include <inttypes.h>

#include "daemon/intake/intake_p.h"
#include "daemon/job/job_queue.h"
#include "daemon/metrics.h"
#include "daemon/services.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define BATCH_MAX 1000

struct batch {
    struct intake *intake;
    struct batch *next;
    struct arena *arena;
    struct sighting *sightings;
    struct intake_result *results;
    bool *open; /**< Still to be decided by the writer. */
    unsigned count, open_count;
    bool looked;
    struct intake_news news;
    intake_done_fn *done;
    void *arg;
};

struct intake {
    struct services *services;
    struct batch *first, **last;
    struct batch *waiting; /**< The first that is not under way; NULL: all are. */
    bool looking;          /**< One that needed a look is under way: nothing overtakes it. */
};

static void start_waiting(struct intake *intake);

/* ---- on the read lane */

/** Whether what is known settles it without a write. A batch with deletions is the writer's as a
 * whole: there a key may be gone and back. */
static enum rc look_at(struct db *db, struct batch *batch, unsigned i, struct err *err)
{
    const struct sighting *sighting = &batch->sightings[i];
    struct known known;
    struct db_stmt *row;

    if (intake_find(db, sighting, &known, &row, err) != RC_OK) {
        return err->rc;
    }
    if (sighting->source != SIGHTING_SUBMIT &&
        intake_decide(&known, sighting, batch->news.shared) == SAYS_NOTHING) {
        batch->results[i] = (struct intake_result){.outcome = OUTCOME_KNOWN, .job = known.job};
        batch->open[i] = false;
        batch->open_count--;
    }
    db_reset(row);
    return RC_OK;
}

static enum rc is_refused(struct db *db, const struct sighting *sighting, bool *ret_refused,
                          struct err *err)
{
    struct db_stmt *q = db_prepare(db, "SELECT 1 FROM refused WHERE bucket = ? AND key = ?", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, sighting->bucket);
    db_bind_text(q, 2, sighting->key);
    *ret_refused = db_step(q, err);
    if (db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

static enum rc batch_look(struct db *db, void *arg, struct err *err)
{
    struct batch *batch = arg;

    for (unsigned i = 0; i < batch->count; i++) {
        bool refused = false;

        if (!batch->open[i]) {
            continue;
        }
        if (batch->results[i].outcome == OUTCOME_REFUSED) {
            if (is_refused(db, &batch->sightings[i], &refused, err) != RC_OK) {
                return err->rc;
            }
            batch->open[i] = !refused;
            batch->open_count -= refused;
        } else if (look_at(db, batch, i, err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

/* ---- on the state writer */

static enum rc batch_record(struct db *db, void *arg, struct err *err)
{
    struct batch *batch = arg;

    for (unsigned i = 0; i < batch->count; i++) {
        if (!batch->open[i]) {
            continue;
        }
        const bool refused = batch->results[i].outcome == OUTCOME_REFUSED;
        const enum rc rc = refused ? intake_record_refused(db, &batch->sightings[i], &batch->news,
                                                           &batch->results[i], err)
                                   : intake_record(db, &batch->sightings[i], &batch->news,
                                                   &batch->results[i], err);

        if (rc != RC_OK) {
            return rc;
        }
    }
    return RC_OK;
}

/* ---- on the loop */

static void count_sightings(const struct batch *batch)
{
    unsigned counts[SIGHTING_SOURCE_COUNT][SIGHTING_OUTCOME_COUNT] = {{0}};

    for (unsigned i = 0; i < batch->count; i++) {
        counts[batch->sightings[i].source][batch->results[i].outcome]++;
    }
    for (unsigned s = 0; s < SIGHTING_SOURCE_COUNT; s++) {
        for (unsigned o = 0; o < SIGHTING_OUTCOME_COUNT; o++) {
            if (counts[s][o] > 0) {
                metric_add(batch->intake->services->metrics, METRIC_SIGHTINGS,
                           METRIC_LABELS(sighting_source_name(s), sighting_outcome_name(o)),
                           counts[s][o]);
            }
        }
    }
}

/** Say what was recorded, in the order in which it matters: counts first, then who must act. */
static void tell_news(struct batch *batch)
{
    struct services *services = batch->intake->services;
    const struct intake_news *news = &batch->news;

    for (unsigned i = 0; i < news->born_count; i++) {
        job_store_crash_at(services->jobs, "", job_state_name(JOB_QUEUED));
        job_observe_born(services->jobs, &news->born[i]);
    }
    for (unsigned i = 0; i < news->moved_count; i++) {
        job_store_crash_at(services->jobs, "", job_state_name(news->moved[i].to));
        job_observe(services->jobs, &news->moved[i]);
    }
    job_observe_refused(services->jobs, news->refused);
    for (unsigned i = 0; i < news->overtaken_count; i++) {
        job_queue_tell(services->queue, news->overtaken[i].job, JOB_EV_OVERTAKEN,
                       news->overtaken[i].reason, NULL, NULL);
    }
    if (news->born_count + news->moved_count > 0) {
        job_queue_poke(services->queue);
    }
}

static void log_refused(const struct batch *batch)
{
    for (unsigned i = 0; i < batch->count; i++) {
        struct err why;

        if (batch->open[i] && batch->results[i].outcome == OUTCOME_REFUSED &&
            uri_check_key(batch->sightings[i].key, &why) != RC_OK) {
            log_warn(LOG_INTAKE, "refused: %s", why.text);
        }
    }
}

static void batch_end(struct batch *batch, const struct err *err)
{
    struct intake *intake = batch->intake;

    if (err == NULL) {
        log_refused(batch);
        tell_news(batch);
        count_sightings(batch);
    }
    intake->first = batch->next;
    intake->looking = intake->looking && !batch->looked;
    if (intake->first == NULL) {
        intake->last = &intake->first;
    }
    start_waiting(intake);
    batch->done(err == NULL ? batch->results : NULL, batch->count, err, batch->arg);
    arena_free(batch->arena);
    free(batch);
}

static void on_recorded(const struct err *err, void *arg)
{
    batch_end(arg, err);
}

static void on_looked(const struct err *err, void *arg)
{
    struct batch *batch = arg;

    if (err != NULL || batch->open_count == 0) {
        batch_end(batch, err);
        return;
    }
    job_store_crash_before(batch->intake->services->jobs);
    job_store_write(batch->intake->services->jobs, batch_record, on_recorded, batch);
}

/** Whether a look may settle some of it. */
static bool needs_look(const struct batch *batch)
{
    bool settles = batch->count == 0;

    for (unsigned i = 0; i < batch->count; i++) {
        if (batch->sightings[i].gone) {
            return false;
        }
        settles = settles || batch->sightings[i].source != SIGHTING_SUBMIT || !batch->open[i] ||
                  batch->results[i].outcome == OUTCOME_REFUSED;
    }
    return settles;
}

static void start_waiting(struct intake *intake)
{
    struct job_store *jobs = intake->services->jobs;

    while (intake->waiting != NULL && !intake->looking) {
        struct batch *batch = intake->waiting;

        if (needs_look(batch)) {
            if (batch != intake->first) {
                return;
            }
            intake->looking = batch->looked = true;
            job_store_read(jobs, batch_look, on_looked, batch);
        } else {
            job_store_crash_before(jobs);
            job_store_write(jobs, batch_record, on_recorded, batch);
        }
        intake->waiting = batch->next;
    }
}

/** Into the batch's arena; what needs no database is settled at once. */
static void take_sighting(struct batch *batch, unsigned i, const struct sighting *from)
{
    struct sighting *sighting = &batch->sightings[i];
    struct err err;

    *sighting = *from;
    sighting->bucket = arena_dup(batch->arena, from->bucket);
    sighting->key = arena_dup(batch->arena, from->key);
    sighting->version = arena_dup(batch->arena, from->version != NULL ? from->version : "");
    sighting->etag = arena_dup(batch->arena, from->etag != NULL ? from->etag : "");
    sighting->sequencer = arena_dup(batch->arena, from->sequencer != NULL ? from->sequencer : "");
    batch->open[i] = true;
    if (from->gone) {
        return; /* known or not, the journal says */
    }
    const size_t len = strlen(from->key);
    const bool marker = len > 0 && from->key[len - 1] == '/';

    if (!marker && uri_check_key(from->key, &err) != RC_OK) {
        batch->results[i].outcome = OUTCOME_REFUSED;
    } else if (intake_ignores(from->key)) {
        batch->results[i].outcome = OUTCOME_IGNORED;
        batch->open[i] = false;
    }
}

void intake_sight(struct intake *intake, const struct sighting *sightings, unsigned count,
                  intake_done_fn *done, void *arg)
{
    struct batch *batch = mem_new(struct batch);

    assert(count <= BATCH_MAX);
    *batch = (struct batch){
        .intake = intake, .arena = arena_new(), .count = count, .done = done, .arg = arg};
    batch->sightings = arena_alloc(batch->arena, (count + 1) * sizeof(batch->sightings[0]));
    batch->results = arena_alloc(batch->arena, (count + 1) * sizeof(batch->results[0]));
    batch->open = arena_alloc(batch->arena, count + 1);
    batch->news.arena = batch->arena;
    batch->news.shared = intake->services->leases != NULL;
    for (unsigned i = 0; i < count; i++) {
        take_sighting(batch, i, &sightings[i]);
        batch->open_count += batch->open[i];
    }
    *intake->last = batch;
    intake->last = &batch->next;
    if (intake->waiting == NULL) {
        intake->waiting = batch;
    }
    start_waiting(intake);
}

bool intake_busy(const struct intake *intake)
{
    return intake->first != NULL;
}

struct intake *intake_new(struct services *services)
{
    struct intake *intake = mem_new(struct intake);

    intake->services = services;
    intake->last = &intake->first;
    return intake;
}

void intake_free(struct intake *intake)
{
    if (intake == NULL) {
        return;
    }
    assert(intake->first == NULL);
    free(intake);
}

/* ---- what is known, for listings */

struct known_keys {
    struct arena *arena;
    const char *bucket, *after;
    struct intake_known *known;
    unsigned count, max;
    intake_known_fn *done;
    void *arg;
};

static enum rc known_read(struct db *db, void *arg, struct err *err)
{
    struct known_keys *known = arg;
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT key, version, etag FROM (SELECT key, version, etag FROM objects"
                   "   WHERE bucket = ?1 AND key > ?2 AND live = 1 ORDER BY key LIMIT ?3)"
                   " UNION ALL SELECT key, '', '' FROM (SELECT key FROM refused"
                   "   WHERE bucket = ?1 AND key > ?2 ORDER BY key LIMIT ?3)"
                   " ORDER BY key LIMIT ?3",
                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, known->bucket);
    db_bind_text(q, 2, known->after);
    db_bind_int(q, 3, known->max);
    while (known->count < known->max && db_step(q, err)) {
        known->known[known->count++] = (struct intake_known){
            .key = arena_dup(known->arena, db_text(q, 0)),
            .version = arena_dup(known->arena, db_text(q, 1)),
            .etag = arena_dup(known->arena, db_text(q, 2)),
        };
    }
    if (known->count < known->max && db_failed(q)) {
        return err->rc;
    }
    db_reset(q);
    return RC_OK;
}

static void known_done(const struct err *err, void *arg)
{
    struct known_keys *known = arg;

    known->done(err == NULL ? known->known : NULL, err == NULL ? known->count : 0, err, known->arg);
    arena_free(known->arena);
    free(known);
}

void intake_known(struct intake *intake, const char *bucket, const char *after, unsigned max,
                  intake_known_fn *done, void *arg)
{
    struct known_keys *known = mem_new(struct known_keys);
    struct arena *arena = arena_new();

    *known = (struct known_keys){.arena = arena,
                                 .bucket = arena_dup(arena, bucket),
                                 .after = arena_dup(arena, after),
                                 .max = max,
                                 .done = done,
                                 .arg = arg};
    known->known = arena_alloc(arena, (max + 1) * sizeof(known->known[0]));
    job_store_read(intake->services->jobs, known_read, known_done, known);
}

/* ---- places, in `meta` */

struct place {
    struct intake *intake;
    char *name, *text;
    intake_place_fn *done;
    void *arg;
};

static struct place *place_new(struct intake *intake, const char *bucket)
{
    struct place *place = mem_new(struct place);

    *place = (struct place){.intake = intake, .name = str_printf("place of %s", bucket)};
    return place;
}

static void place_free(struct place *place)
{
    free(place->name);
    free(place->text);
    free(place);
}

static enum rc place_read(struct db *db, void *arg, struct err *err)
{
    struct place *place = arg;

    return job_meta_get(db, place->name, &place->text, err);
}

static void place_done(const struct err *err, void *arg)
{
    struct place *place = arg;

    place->done(place->text, err, place->arg);
    place_free(place);
}

void intake_place(struct intake *intake, const char *bucket, intake_place_fn *done, void *arg)
{
    struct place *place = place_new(intake, bucket);

    place->done = done;
    place->arg = arg;
    job_store_read(intake->services->jobs, place_read, place_done, place);
}

static enum rc place_write(struct db *db, void *arg, struct err *err)
{
    const struct place *place = arg;

    return job_meta_set(db, place->name, place->text, err);
}

static void place_written(const struct err *err, void *arg)
{
    if (err != NULL) {
        log_warn(LOG_INTAKE, "where the raw store lies could not be noted: %s", err->text);
    }
    place_free(arg);
}

void intake_place_note(struct intake *intake, const char *bucket, const char *text)
{
    struct place *place = place_new(intake, bucket);

    place->text = str_dup(text);
    job_store_write(intake->services->jobs, place_write, place_written, place);
}
