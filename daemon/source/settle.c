/** @file
 * Objects on their way to the intake.
 *
 * Everything due is taken through one batch at a time: heads, the question who is still writing,
 * the intake. Read settle_run() from top to bottom.
 */
#include "daemon/source/settle.h"

#include <string.h>
#include <uthash.h>

#include "daemon/services.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define TICK_MS 20        /**< What happens together is looked at together. */
#define RETRY_MS 1000     /**< When the intake, or a writer, was in the way. */
#define LEFT_OVER_MS 1000 /**< An object that cannot be asked about: the listing will say why. */

struct entry {
    char *key;
    char *etag; /**< As last seen; "" before the first look. */
    uint64_t size;
    int64_t modified_ms;
    int64_t ripe_ms; /**< Monotonic: unchanged until then, it is taken. */
    int64_t due_ms;  /**< Monotonic: when to look. */
    enum sighting_source source;
    bool again; /**< Something happened while it was looked at. */
    UT_hash_handle hh;
};

struct look {
    struct entry *entry;
    enum { WAIT, TAKE, GONE, LEAVE } fate;
};

struct settle {
    struct services *services;
    settle_left_over_fn *left_over;
    void (*rested)(void *arg);
    void *arg, *rested_arg;
    struct entry *entries; /**< By key. */
    struct loop_timer *timer;
    bool paused;

    /* the batch under way */
    enum settle_step { REST, HEADS, WRITERS, SIGHT, FINISH } step;
    struct look looks[SETTLE_BATCH];
    unsigned count, heads;
    const char *keys[SETTLE_BATCH];
    bool open[SETTLE_BATCH];
    unsigned asked[SETTLE_BATCH], asked_count; /**< Index into looks of keys[i], sightings. */
    bool unheard;                              /**< The intake refused the batch. */
};

static void settle_run(struct settle *settle);

static void on_timer(void *arg)
{
    settle_run(arg);
}

struct settle *settle_new(struct services *services, settle_left_over_fn *left_over, void *arg)
{
    struct settle *settle = mem_new(struct settle);

    settle->services = services;
    settle->left_over = left_over;
    settle->arg = arg;
    settle->timer = loop_timer_new(services->loop, on_timer, settle);
    return settle;
}

static void drop(struct settle *settle, struct entry *entry)
{
    HASH_DEL(settle->entries, entry);
    free(entry->key);
    free(entry->etag);
    free(entry);
}

void settle_free(struct settle *settle)
{
    struct entry *entry, *next;

    if (settle == NULL) {
        return;
    }
    HASH_ITER(hh, settle->entries, entry, next)
    {
        drop(settle, entry);
    }
    loop_timer_free(settle->timer);
    free(settle);
}

int64_t settle_wait_ms(int64_t modified_ms, int64_t settle_ms, int64_t now_ms)
{
    if (modified_ms > now_ms) {
        return settle_ms;
    }
    /* No sum that could overflow: a time may be anything, settle_ms is at least 0. */
    uint64_t age_ms = (uint64_t)now_ms - (uint64_t)modified_ms;

    return age_ms >= (uint64_t)settle_ms ? 0 : settle_ms - (int64_t)age_ms;
}

static struct entry *find(const struct settle *settle, const char *key)
{
    struct entry *entry;

    HASH_FIND_STR(settle->entries, key, entry);
    return entry;
}

static struct entry *add(struct settle *settle, const char *key, const char *etag,
                         enum sighting_source source)
{
    struct entry *entry = mem_new(struct entry);

    entry->key = str_dup(key);
    entry->etag = str_dup(etag);
    entry->source = source;
    HASH_ADD_KEYPTR(hh, settle->entries, entry->key, strlen(entry->key), entry);
    return entry;
}

static void arm(struct settle *settle)
{
    int64_t first_ms = INT64_MAX;

    if (settle->step != REST || settle->paused) {
        return;
    }
    for (struct entry *entry = settle->entries; entry != NULL; entry = entry->hh.next) {
        first_ms = MIN_OF(first_ms, entry->due_ms);
    }
    if (first_ms == INT64_MAX) {
        loop_timer_disarm(settle->timer);
    } else {
        loop_timer_arm(settle->timer, MAX_OF(first_ms - now_mono_ms(), (int64_t)TICK_MS));
    }
}

/** For one entry more: the timer need not go through all of them. */
static void arm_for(struct settle *settle, const struct entry *entry)
{
    if (HASH_COUNT(settle->entries) == 1 || entry->due_ms <= now_mono_ms()) {
        arm(settle);
    }
}

void settle_look(struct settle *settle, const char *key, enum sighting_source source)
{
    struct entry *entry = find(settle, key);

    if (entry != NULL) {
        entry->again = true; /* matters only while it is looked at */
        return;
    }
    if (HASH_COUNT(settle->entries) >= SETTLE_MAX) {
        settle->left_over(settle->services->conf->sources_settle_ms, settle->arg);
        return;
    }
    entry = add(settle, key, "", source);
    entry->due_ms = now_mono_ms();
    if (HASH_COUNT(settle->entries) == 1) {
        arm(settle);
    } else if (settle->step == REST && !settle->paused) {
        loop_timer_arm(settle->timer, TICK_MS);
    }
}

/** Monotonic, for a wait by the wall's clock: each is cut to the millisecond in its own phase, so
 * that a wait may else end one too early. */
static int64_t moment_in(int64_t wait_ms)
{
    return now_mono_ms() + wait_ms + (wait_ms > 0);
}

bool settle_add(struct settle *settle, const struct store_object *object, int64_t wait_ms,
                enum sighting_source source)
{
    struct entry *entry = find(settle, object->key);

    if (entry != NULL) {
        return true;
    }
    if (HASH_COUNT(settle->entries) >= SETTLE_MAX) {
        return false;
    }
    entry = add(settle, object->key, object->etag, source);
    entry->ripe_ms = entry->due_ms = moment_in(wait_ms);
    arm_for(settle, entry);
    return true;
}

bool settle_has(const struct settle *settle, const char *key)
{
    return settle->entries != NULL && find(settle, key) != NULL;
}

unsigned settle_count(const struct settle *settle)
{
    return HASH_COUNT(settle->entries);
}

void settle_pause(struct settle *settle, bool paused)
{
    settle->paused = paused;
    if (paused) {
        loop_timer_disarm(settle->timer);
    } else {
        arm(settle);
    }
}

bool settle_busy(const struct settle *settle)
{
    return settle->step != REST;
}

void settle_on_rest(struct settle *settle, void (*rested)(void *arg), void *arg)
{
    settle->rested = rested;
    settle->rested_arg = arg;
}

/* ---- the batch ---- */

static void gather(struct settle *settle)
{
    int64_t now_ms = now_mono_ms();

    settle->count = 0;
    for (struct entry *entry = settle->entries; entry != NULL && settle->count < SETTLE_BATCH;
         entry = entry->hh.next) {
        if (entry->due_ms <= now_ms) {
            entry->again = false;
            settle->looks[settle->count++] = (struct look){.entry = entry, .fate = WAIT};
        }
    }
}

/** What a look at the object says: take it, or wait until it has been like this for long enough. */
static void judge(struct settle *settle, struct look *look, const struct store_object *object)
{
    struct entry *entry = look->entry;

    if (strcmp(entry->etag, object->etag) != 0) {
        free(entry->etag);
        entry->etag = str_dup(object->etag);
        entry->ripe_ms = moment_in(settle_wait_ms(
            object->modified_ms, settle->services->conf->sources_settle_ms, now_wall_ms()));
    }
    entry->size = object->size;
    entry->modified_ms = object->modified_ms;
    entry->due_ms = entry->ripe_ms;
    look->fate = entry->ripe_ms <= now_mono_ms() ? TAKE : WAIT;
}

/** Heads come back in any order; each is told which look it is for by its key. */
struct head_arg {
    struct settle *settle;
    unsigned index;
};

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct head_arg *head = arg;
    struct settle *settle = head->settle;
    struct look *look = &settle->looks[head->index];

    free(head);
    if (err == NULL) {
        judge(settle, look, object);
    } else {
        /* A directory or a link out in its place: the object is gone, too. */
        look->fate = err->rc == RC_NOT_FOUND || err->rc == RC_INVALID ? GONE : LEAVE;
    }
    if (--settle->heads == 0) {
        settle->step = WRITERS;
        settle_run(settle);
    }
}

static void on_writers(const struct err *err, void *arg)
{
    struct settle *settle = arg;

    for (unsigned i = 0; i < settle->asked_count && err == NULL; i++) {
        struct look *look = &settle->looks[settle->asked[i]];

        if (settle->open[i]) {
            look->fate = WAIT;
            look->entry->due_ms = look->entry->ripe_ms =
                now_mono_ms() +
                MAX_OF(settle->services->conf->sources_settle_ms, (int64_t)RETRY_MS / 2);
        }
    }
    settle->step = SIGHT;
    settle_run(settle);
}

static void on_sighted(const struct intake_result *results, unsigned count, const struct err *err,
                       void *arg)
{
    struct settle *settle = arg;

    (void)results, (void)count;
    settle->unheard = err != NULL;
    if (err != NULL) {
        log_warn(LOG_SOURCE, "objects that have settled: %s", err->text);
    }
    settle->step = FINISH;
    settle_run(settle);
}

static void ask_heads(struct settle *settle)
{
    settle->heads = settle->count;
    for (unsigned i = 0; i < settle->count; i++) {
        struct head_arg *head = mem_new(struct head_arg);

        *head = (struct head_arg){.settle = settle, .index = i};
        store_head(settle->services->raw, settle->looks[i].entry->key, on_head, head);
    }
}

static void ask_writers(struct settle *settle)
{
    settle->asked_count = 0;
    for (unsigned i = 0; i < settle->count; i++) {
        if (settle->looks[i].fate == TAKE) {
            settle->asked[settle->asked_count] = i;
            settle->keys[settle->asked_count++] = settle->looks[i].entry->key;
        }
    }
    store_find_open(settle->services->raw, settle->keys, settle->asked_count, settle->open,
                    on_writers, settle);
}

/** False when there is nothing to tell. */
static bool sight(struct settle *settle)
{
    struct sighting sightings[SETTLE_BATCH];
    unsigned count = 0;

    settle->unheard = false;
    for (unsigned i = 0; i < settle->count; i++) {
        const struct look *look = &settle->looks[i];
        const struct entry *entry = look->entry;

        if (look->fate == TAKE || look->fate == GONE) {
            bool gone = look->fate == GONE;

            sightings[count++] = (struct sighting){
                .source = entry->source,
                .gone = gone,
                .bucket = store_bucket(settle->services->raw),
                .key = entry->key,
                .version = "",
                .etag = gone ? "" : entry->etag,
                .sequencer = "",
                .size = gone ? 0 : entry->size,
                .modified_ms = gone ? now_wall_ms() : entry->modified_ms,
            };
        }
    }
    if (count > 0) {
        intake_sight(settle->services->intake, sightings, count, on_sighted, settle);
    }
    return count > 0;
}

static void finish(struct settle *settle)
{
    bool left = false;

    for (unsigned i = 0; i < settle->count; i++) {
        struct look *look = &settle->looks[i];

        if (look->entry->again) {
            look->entry->due_ms = now_mono_ms();
        } else if (look->fate == LEAVE) {
            left = true;
            drop(settle, look->entry);
        } else if (look->fate != WAIT && settle->unheard) {
            look->entry->due_ms = now_mono_ms() + RETRY_MS;
        } else if (look->fate != WAIT) {
            drop(settle, look->entry);
        }
    }
    settle->step = REST;
    if (left) {
        settle->left_over(LEFT_OVER_MS, settle->arg);
    }
    if (settle->paused && settle->rested != NULL) {
        settle->rested(settle->rested_arg);
        return;
    }
    arm(settle);
}

static void settle_run(struct settle *settle)
{
    switch (settle->step) {
    case REST:
        gather(settle);
        if (settle->count == 0) {
            arm(settle);
            return;
        }
        settle->step = HEADS;
        ask_heads(settle);
        return;

    case HEADS: /* on_head() goes on when all are back */
        return;

    case WRITERS:
        ask_writers(settle);
        return;

    case SIGHT:
        if (sight(settle)) {
            return;
        }
        settle->step = FINISH;
        finish(settle);
        return;

    case FINISH:
        finish(settle);
        return;
    }
}
