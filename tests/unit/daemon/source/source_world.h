/** @file
 * A world for tests of the sources: a real directory, and an intake that only keeps a list.
 */
#pragma once

#include "tests/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/metrics.h"
#include "daemon/services.h"
#include "daemon/source/file_watch.h"
#include "daemon/source/settle.h"
#include "daemon/source/source.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

/** Catches what would never come; ten thousand files under TSan on a busy machine do come. */
#define DEADLINE_MS 60000

/* ---- an intake that remembers etags ---- */

struct intake {
    struct loop *loop;
};

struct known {
    char *key, *etag;
    bool live;
    unsigned sighted; /**< How often a new version was. */
    enum sighting_source source;
};

static struct known *known;
static unsigned known_count, batches;
static enum rc intake_says;
static int64_t first_sighted_ms;

struct answer {
    struct loop *loop;
    struct intake_result results[1000];
    unsigned count;
    struct err err;
    intake_done_fn *done;
    void *arg;
};

static inline struct known *find(const char *key)
{
    for (unsigned i = 0; i < known_count; i++) {
        if (strcmp(known[i].key, key) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static inline struct known *find_or_add(const char *key)
{
    struct known *item = find(key);
    unsigned at = known_count;

    if (item != NULL) {
        return item;
    }
    known = mem_resize(known, known_count + 1, sizeof(known[0]));
    while (at > 0 && strcmp(known[at - 1].key, key) > 0) {
        known[at] = known[at - 1];
        at--;
    }
    known_count++;
    known[at] = (struct known){.key = str_dup(key), .etag = str_dup("")};
    return &known[at];
}

static inline enum sighting_outcome record(const struct sighting *sighting)
{
    struct known *item = find(sighting->key);

    if (sighting->gone) {
        if (item == NULL || !item->live) {
            return OUTCOME_IGNORED;
        }
        item->live = false;
        item->source = sighting->source;
        return OUTCOME_RETIRING;
    }
    if (item != NULL && item->live && strcmp(item->etag, sighting->etag) == 0) {
        return OUTCOME_KNOWN;
    }
    item = find_or_add(sighting->key);
    free(item->etag);
    item->etag = str_dup(sighting->etag);
    item->live = true;
    item->sighted++;
    item->source = sighting->source;
    if (first_sighted_ms == 0) {
        first_sighted_ms = now_mono_ms();
    }
    return OUTCOME_QUEUED;
}

static inline void on_answer(void *arg)
{
    struct answer *answer = arg;
    bool bad = answer->err.rc != RC_OK;

    answer->done(bad ? NULL : answer->results, bad ? 0 : answer->count, bad ? &answer->err : NULL,
                 answer->arg);
    free(answer);
}

void intake_sight(struct intake *intake, const struct sighting *sightings, unsigned count,
                  intake_done_fn *done, void *arg)
{
    struct answer *answer = mem_new(struct answer);

    assert_in_range(count, 1, 1000);
    answer->done = done;
    answer->arg = arg;
    answer->count = count;
    batches++;
    if (intake_says != RC_OK) {
        err_set(&answer->err, intake_says, "scripted");
    }
    for (unsigned i = 0; i < count && intake_says == RC_OK; i++) {
        answer->results[i].outcome = record(&sightings[i]);
    }
    loop_defer(intake->loop, on_answer, answer);
}

struct known_answer {
    struct intake_known known[1000];
    unsigned count;
    intake_known_fn *done;
    void *arg;
};

static inline void on_known_answer(void *arg)
{
    struct known_answer *answer = arg;

    answer->done(answer->known, answer->count, NULL, answer->arg);
    free(answer);
}

void intake_known(struct intake *intake, const char *bucket, const char *after, unsigned max,
                  intake_known_fn *done, void *arg)
{
    struct known_answer *answer = mem_new(struct known_answer);

    (void)bucket;
    answer->done = done;
    answer->arg = arg;
    /* Small pages, so that the merge has to ask often. */
    for (unsigned i = 0; i < known_count && answer->count < MIN_OF(max, 3u); i++) {
        if (known[i].live && strcmp(known[i].key, after) > 0) {
            answer->known[answer->count++] =
                (struct intake_known){.key = known[i].key, .version = "", .etag = known[i].etag};
        }
    }
    loop_defer(intake->loop, on_known_answer, answer);
}

static char place_noted[64];

struct place_answer {
    intake_place_fn *done;
    void *arg;
};

static inline void on_place_answer(void *arg)
{
    struct place_answer *answer = arg;

    answer->done(place_noted, NULL, answer->arg);
    free(answer);
}

void intake_place(struct intake *intake, const char *bucket, intake_place_fn *done, void *arg)
{
    struct place_answer *answer = mem_new(struct place_answer);

    (void)bucket;
    *answer = (struct place_answer){.done = done, .arg = arg};
    loop_defer(intake->loop, on_place_answer, answer);
}

void intake_place_note(struct intake *intake, const char *bucket, const char *place)
{
    (void)intake, (void)bucket;
    snprintf(place_noted, sizeof(place_noted), "%s", place);
}

/* ---- a world ---- */

static char root[64];
static struct conf conf;
static struct intake intake;
static struct services services;
static struct source *source;
static struct store_ops ops; /**< Of the raw store, for a test to bend. */
static const struct store_ops *real_ops;
static bool stopped;
static struct loop_timer *heartbeat; /**< UNTIL() looks at its condition at least this often. */

static inline void on_heartbeat(void *arg)
{
    (void)arg;
    loop_timer_arm(heartbeat, 10);
}

static inline void run_once(void)
{
    uv_run(loop_uv(services.loop), UV_RUN_ONCE);
}

#define UNTIL(condition)                                                    \
    do {                                                                    \
        for (int64_t until_ = now_mono_ms() + DEADLINE_MS; !(condition);) { \
            assert_true(now_mono_ms() < until_);                            \
            run_once();                                                     \
        }                                                                   \
    } while (0)

static inline char *path_of(const char *key)
{
    return str_printf("%s/%s", root, key);
}

static inline void make(const char *key, const char *text)
{
    scoped(free) char *path = path_of(key);
    FILE *file;

    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/** As `make`, changed `age_s` ago. */
static inline void make_aged(const char *key, int64_t age_s)
{
    scoped(free) char *path = path_of(key);
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};

    make(key, "x");
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static inline void drop_file(const char *key)
{
    scoped(free) char *path = path_of(key);

    assert_int_equal(remove(path), 0);
}

static inline void move(const char *from, const char *to)
{
    scoped(free) char *from_path = path_of(from), *to_path = path_of(to);

    assert_int_equal(rename(from_path, to_path), 0);
}

static inline bool is_live(const char *key)
{
    const struct known *item = find(key);

    return item != NULL && item->live;
}

static inline unsigned live_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < known_count; i++) {
        count += known[i].live;
    }
    return count;
}

static inline struct source_status status(void)
{
    struct source_status now;

    source_status(source, &now);
    return now;
}

/** One more complete listing, and what settles after it. */
static inline void list_again(void)
{
    uint64_t before = status().listings;

    source_list(source);
    UNTIL(status().listings > before && source_idle(source));
}

static inline void start(void)
{
    source = source_start(&services);
    assert_false(source_idle(source));
}

static inline void start_and_settle(void)
{
    start();
    UNTIL(source_idle(source));
}

static inline void on_stopped(void *arg)
{
    (void)arg;
    stopped = true;
    source = NULL;
}

static inline int setup(void **state)
{
    (void)state;
    struct uri *uri;
    struct err err;

    snprintf(root, sizeof(root), "/tmp/test_source.XXXXXX");
    assert_non_null(mkdtemp(root));
    log_set_level(LOG_ERROR);
    conf = (struct conf){0};
    services = (struct services){.conf = &conf, .intake = &intake};
    services.loop = loop_new();
    services.work = work_new(services.loop, (unsigned[WORK_LANE_COUNT]){1, 2, 1, 1, 1});
    services.metrics = metric_registry_new("sevird_", metric_families, METRIC_COUNT);
    intake.loop = services.loop;
    heartbeat = loop_timer_new(services.loop, on_heartbeat, NULL);
    on_heartbeat(NULL);
    assert_int_equal(uri_parse(root, "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(services.loop, services.work, uri, &(struct store_options){0},
                                &services.raw, &err),
                     RC_OK);
    real_ops = services.raw->ops;
    ops = *real_ops;
    services.raw->ops = &ops;
    intake_says = RC_OK;
    place_noted[0] = '\0';
    batches = 0;
    first_sighted_ms = 0;
    stopped = false;
    return 0;
}

static inline int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline int teardown(void **state)
{
    (void)state;
    if (source != NULL) {
        source_stop(source, on_stopped, NULL);
        UNTIL(stopped);
    }
    for (unsigned i = 0; i < known_count; i++) {
        free(known[i].key);
        free(known[i].etag);
    }
    free(known);
    loop_timer_free(heartbeat);
    known = NULL;
    known_count = 0;
    store_free(services.raw);
    metric_registry_free(services.metrics);
    work_free(services.work);
    loop_free(services.loop);
    nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static inline void start_watching(void)
{
    conf.sources_watch = true;
    start_and_settle();
    assert_true(status().watching);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
