/** @file
 * The sources against a real directory and an intake that only keeps a list.
 */
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

#define DEADLINE_MS 20000

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

static struct known *find(const char *key)
{
    for (unsigned i = 0; i < known_count; i++) {
        if (strcmp(known[i].key, key) == 0) {
            return &known[i];
        }
    }
    return NULL;
}

static struct known *find_or_add(const char *key)
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

static enum sighting_outcome record(const struct sighting *sighting)
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

static void on_answer(void *arg)
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
    const char *keys[1000];
    unsigned count;
    intake_known_fn *done;
    void *arg;
};

static void on_known_answer(void *arg)
{
    struct known_answer *answer = arg;

    answer->done(answer->keys, answer->count, NULL, answer->arg);
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
            answer->keys[answer->count++] = known[i].key;
        }
    }
    loop_defer(intake->loop, on_known_answer, answer);
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

static void on_heartbeat(void *arg)
{
    (void)arg;
    loop_timer_arm(heartbeat, 10);
}

static void run_once(void)
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

static char *path_of(const char *key)
{
    return str_printf("%s/%s", root, key);
}

static void make(const char *key, const char *text)
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
static void make_aged(const char *key, int64_t age_s)
{
    scoped(free) char *path = path_of(key);
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};

    make(key, "x");
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void drop_file(const char *key)
{
    scoped(free) char *path = path_of(key);

    assert_int_equal(remove(path), 0);
}

static void move(const char *from, const char *to)
{
    scoped(free) char *from_path = path_of(from), *to_path = path_of(to);

    assert_int_equal(rename(from_path, to_path), 0);
}

static bool is_live(const char *key)
{
    const struct known *item = find(key);

    return item != NULL && item->live;
}

static unsigned live_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < known_count; i++) {
        count += known[i].live;
    }
    return count;
}

static struct source_status status(void)
{
    struct source_status now;

    source_status(source, &now);
    return now;
}

/** One more complete listing, and what settles after it. */
static void list_again(void)
{
    uint64_t before = status().listings;

    source_list(source);
    UNTIL(status().listings > before && source_idle(source));
}

static void start(void)
{
    source = source_start(&services);
    assert_false(source_idle(source));
}

static void start_and_settle(void)
{
    start();
    UNTIL(source_idle(source));
}

static void on_stopped(void *arg)
{
    (void)arg;
    stopped = true;
    source = NULL;
}

static int setup(void **state)
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
    assert_int_equal(store_open(services.loop, services.work, uri, false, &services.raw, &err),
                     RC_OK);
    real_ops = services.raw->ops;
    ops = *real_ops;
    services.raw->ops = &ops;
    intake_says = RC_OK;
    batches = 0;
    first_sighted_ms = 0;
    stopped = false;
    return 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int teardown(void **state)
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

/* ---- listing ---- */

static void the_first_listing_sights_what_is_there(void **state)
{
    (void)state;
    char key[32];

    for (unsigned i = 0; i < 2500; i++) { /* more than two pages */
        snprintf(key, sizeof(key), "d%u/%u", i % 9, i);
        make_aged(key, 100);
    }
    make_aged("a\nb", 100);
    make_aged("\xff\xfe", 100); /* breaks a rule: the intake says so, not we */
    make_aged(".hidden", 100);
    start_and_settle();
    assert_int_equal(live_count(), 2502);
    assert_true(is_live("\xff\xfe"));
    assert_int_equal(status().last.listed, 2502);
    assert_int_equal(status().last.queued, 2502);
    assert_int_equal(find("d1/1")->source, SIGHTING_LIST);

    unsigned before = batches;
    list_again();
    assert_int_equal(batches, before + 3);
    assert_int_equal(status().last.known, 2502);
    assert_int_equal(status().last.queued, 0);
}

static void the_interval_lists_again(void **state)
{
    (void)state;
    conf.sources_list_interval_ms = 20;
    start_and_settle();
    make_aged("new", 100);
    UNTIL(is_live("new"));
    conf.sources_list_interval_ms = 0;
    source_reload(source);
    UNTIL(!status().listing);
    uint64_t listings = status().listings;
    make_aged("unseen", 100);
    source_reload(source);
    run_once();
    assert_int_equal(status().listings, listings);
}

static void what_is_deleted_is_gone_and_nothing_else(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b/1", "b/2", "b/3", "c", "d/1", "d-", "z"};

    for (unsigned i = 0; i < 8; i++) {
        make_aged(keys[i], 100);
    }
    start_and_settle();
    drop_file("a"), drop_file("b/2"), drop_file("d/1"), drop_file("z");
    list_again();
    assert_int_equal(live_count(), 4);
    assert_true(is_live("b/1") && is_live("b/3") && is_live("c") && is_live("d-"));
    assert_int_equal(status().last.gone, 4);
    drop_file("b/1"), drop_file("b/3"), drop_file("c"), drop_file("d-");
    list_again();
    assert_int_equal(live_count(), 0);
}

static void a_missing_root_is_an_error_and_deletes_nothing(void **state)
{
    (void)state;
    char aside[80];

    make_aged("a", 100);
    start_and_settle();
    snprintf(aside, sizeof(aside), "%s.aside", root);
    assert_int_equal(rename(root, aside), 0);
    source_list(source);
    UNTIL(status().error[0] != '\0');
    assert_non_null(strstr(status().error, root));
    assert_true(status().error_ms > 0);
    assert_true(is_live("a"));
    assert_int_equal(rename(aside, root), 0);
    list_again();
    assert_string_equal(status().error, "");
    assert_true(is_live("a"));
}

static store_list_fn *partial_done;

static void on_partial(const struct store_object *objects, unsigned count, bool more,
                       const struct err *err, void *arg)
{
    struct err partial;

    (void)err;
    err_set(&partial, RC_DENIED, "list 'closed/': Permission denied");
    partial_done(objects, count, more, more ? NULL : &partial, arg);
}

static void list_partly(struct store *store, const char *prefix, const char *after, unsigned max,
                        store_list_fn *done, void *arg)
{
    partial_done = done;
    real_ops->list(store, prefix, after, max, on_partial, arg);
}

static void a_listing_with_an_error_sights_what_it_saw_and_deletes_nothing(void **state)
{
    (void)state;
    make_aged("a", 100), make_aged("b", 100);
    start_and_settle();
    ops.list = list_partly;
    drop_file("a");
    make_aged("c", 100);
    source_list(source);
    UNTIL(is_live("c") && !status().listing && status().error[0] != '\0');
    assert_non_null(strstr(status().error, "closed/"));
    assert_true(is_live("a"));
    ops.list = real_ops->list;
    list_again();
    assert_false(is_live("a"));
}

static void an_error_on_the_last_page_saves_what_the_first_one_missed(void **state)
{
    (void)state;
    char key[32];

    for (unsigned i = 0; i < 1500; i++) {
        snprintf(key, sizeof(key), "%04u", i);
        make_aged(key, 100);
    }
    start_and_settle();
    ops.list = list_partly;
    drop_file("0007");
    source_list(source);
    UNTIL(status().error[0] != '\0' && !status().listing);
    assert_true(is_live("0007"));
    ops.list = real_ops->list;
    list_again();
    assert_false(is_live("0007"));
}

struct head_failure {
    struct store *store;
    store_head_fn *done;
    void *arg;
};

static void on_head_failure(void *arg)
{
    struct head_failure *failure = arg;
    struct err err;

    err_set(&err, RC_IO, "scripted");
    failure->done(NULL, &err, failure->arg);
    free(failure);
}

static void head_fails(struct store *store, const char *key, store_head_fn *done, void *arg)
{
    struct head_failure *failure = mem_new(struct head_failure);

    (void)key;
    *failure = (struct head_failure){store, done, arg};
    loop_defer(store->loop, on_head_failure, failure);
}

static void what_cannot_be_verified_is_not_gone(void **state)
{
    (void)state;
    make_aged("a", 100);
    start_and_settle();
    drop_file("a");
    ops.head = head_fails;
    source_list(source);
    UNTIL(status().error[0] != '\0');
    assert_true(is_live("a"));
    ops.head = real_ops->head;
    list_again();
    assert_false(is_live("a"));
}

static void when_the_intake_fails_the_listing_says_so_and_comes_again(void **state)
{
    (void)state;
    make_aged("a", 100);
    intake_says = RC_NO_SPACE;
    conf.sources_list_interval_ms = 50;
    start();
    UNTIL(status().error[0] != '\0');
    assert_non_null(strstr(status().error, "scripted"));
    assert_false(status().listed);
    intake_says = RC_OK;
    UNTIL(is_live("a") && source_idle(source));
    assert_string_equal(status().error, "");
}

static void a_request_during_a_listing_makes_one_more(void **state)
{
    (void)state;
    make_aged("a", 100);
    start();
    UNTIL(status().listing);
    source_list(source), source_list(source);
    UNTIL(source_idle(source));
    assert_int_equal(status().listings, 2);
}

/* ---- settling ---- */

static void the_wait_is_bounded_whatever_the_time_says(void **state)
{
    (void)state;
    assert_int_equal(settle_wait_ms(1000, 500, 1000), 500);
    assert_int_equal(settle_wait_ms(1000, 500, 1499), 1);
    assert_int_equal(settle_wait_ms(1000, 500, 1500), 0);
    assert_int_equal(settle_wait_ms(99999999, 500, 1000), 500);
    assert_int_equal(settle_wait_ms(INT64_MAX, 500, 1000), 500);
    assert_int_equal(settle_wait_ms(INT64_MIN, 500, 1000), 0);
    assert_int_equal(settle_wait_ms(1000, 0, 1000), 0);
    assert_int_equal(settle_wait_ms(2000, 0, 1000), 0);
}

static void a_young_object_is_taken_when_it_has_been_unchanged(void **state)
{
    (void)state;
    int64_t began_ms = now_mono_ms();

    conf.sources_settle_ms = 300;
    make("young", "x");
    make_aged("old", 100);
    start();
    UNTIL(is_live("old"));
    assert_false(is_live("young"));
    assert_false(source_idle(source));
    UNTIL(is_live("young"));
    assert_true(now_mono_ms() - began_ms >= 300);
    UNTIL(source_idle(source));
    assert_int_equal(find("young")->sighted, 1);
}

static void an_object_that_keeps_changing_is_taken_once_it_does_not(void **state)
{
    (void)state;
    int64_t last_ms = 0;

    conf.sources_settle_ms = 400;
    make("k", "0");
    start();
    UNTIL(status().settling == 1);
    for (unsigned i = 1; i < 5; i++) {
        int64_t next_ms = now_mono_ms() + 150;
        char text[8];

        UNTIL(now_mono_ms() >= next_ms);
        snprintf(text, sizeof(text), "%u", i);
        make("k", text);
        last_ms = now_mono_ms();
    }
    UNTIL(is_live("k"));
    assert_true(now_mono_ms() - last_ms >= 390);
    assert_int_equal(find("k")->sighted, 1);
}

static void a_time_in_the_future_does_not_delay_for_ever(void **state)
{
    (void)state;
    conf.sources_settle_ms = 100;
    make_aged("k", -86400);
    start_and_settle();
    assert_true(is_live("k"));
}

static void an_object_that_is_open_for_writing_is_not_taken(void **state)
{
    (void)state;
    scoped(free) char *path = path_of("k");

    make_aged("k", 100);
    int fd = open(path, O_WRONLY);
    start();
    UNTIL(status().listed && status().settling == 1);
    int64_t later_ms = now_mono_ms() + 700; /* past the first look again */
    UNTIL(now_mono_ms() > later_ms);
    assert_false(is_live("k"));
    close(fd);
    UNTIL(is_live("k"));
}

static void what_vanishes_while_it_settles_is_forgotten(void **state)
{
    (void)state;
    conf.sources_settle_ms = 100;
    make("k", "x");
    start();
    UNTIL(status().settling == 1);
    drop_file("k");
    UNTIL(source_idle(source));
    assert_null(find("k"));
}

static void what_does_not_fit_settles_by_a_later_listing(void **state)
{
    (void)state;
    char key[32];

    conf.sources_settle_ms = 1500;
    for (unsigned i = 0; i < SETTLE_MAX + 50; i++) {
        snprintf(key, sizeof(key), "%u/%u", i % 10, i);
        make(key, "");
    }
    start_and_settle();
    assert_int_equal(live_count(), SETTLE_MAX + 50);
}

/* ---- watching ---- */

static void start_watching(void)
{
    conf.sources_watch = true;
    start_and_settle();
    assert_true(status().watching);
}

static void a_new_file_is_seen_without_a_listing(void **state)
{
    (void)state;
    make_aged("d/old", 100);
    start_watching();
    uint64_t listings = status().listings;

    make("new", "x");
    assert_false(source_idle(source)); /* even before the loop has looked */
    UNTIL(is_live("new"));
    assert_int_equal(find("new")->source, SIGHTING_WATCH);
    make("d/new", "x");
    UNTIL(is_live("d/new"));
    drop_file("d/old");
    UNTIL(!is_live("d/old"));
    move("new", "d/moved");
    UNTIL(!is_live("new") && is_live("d/moved"));
    make("d/new", "other");
    UNTIL(find("d/new")->sighted == 2);
    make(".hidden", "x");
    UNTIL(source_idle(source));
    assert_null(find(".hidden"));
    assert_int_equal(status().listings, listings);
}

static bool put_done;

static void on_put(const struct err *err, void *arg)
{
    (void)arg;
    assert_null(err);
    put_done = true;
}

static void what_a_store_puts_is_seen_though_it_appears_by_a_link(void **state)
{
    (void)state;
    put_done = false;
    start_watching();
    store_put(services.raw, &(struct store_put){.key = "p", .bytes = "x", .len = 1}, 1, on_put,
              NULL);
    UNTIL(put_done);
    UNTIL(is_live("p"));
    put_done = false;
    store_put(services.raw, &(struct store_put){.key = "p", .bytes = "y", .len = 1}, 1, on_put,
              NULL);
    UNTIL(put_done && find("p")->sighted == 2);
}

static void a_tree_that_is_made_at_once_is_seen_whole(void **state)
{
    (void)state;
    char key[64];

    start_watching();
    for (unsigned i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "t/%u/%u/f", i % 5, i);
        make(key, "x");
        if (i % 50 == 0) {
            run_once();
        }
    }
    UNTIL(live_count() == 200);
    UNTIL(source_idle(source));
    make("t/1/1/late", "x");
    uint64_t listings = status().listings;
    UNTIL(is_live("t/1/1/late"));
    assert_int_equal(status().listings, listings);
    assert_int_equal(status().watches, 207);
}

static void a_directory_that_moves_takes_its_keys_along(void **state)
{
    (void)state;
    scoped(free) char *b = path_of("b");
    char aside[80];

    make_aged("a/x/1", 100), make_aged("a/x/2", 100);
    start_watching();
    move("a/x", "b");
    UNTIL(is_live("b/1") && is_live("b/2") && !is_live("a/x/1") && !is_live("a/x/2"));
    UNTIL(source_idle(source));
    make("b/3", "x");
    UNTIL(is_live("b/3"));
    assert_null(find("a/x/3"));
    assert_int_equal(status().watches, 3); /* the root, a and b */
    snprintf(aside, sizeof(aside), "%s.aside", root);
    assert_int_equal(rename(b, aside), 0);
    UNTIL(!is_live("b/1") && source_idle(source));
    assert_int_equal(status().watches, 2);
    nftw(aside, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_removed_directory_is_forgotten_and_may_come_back(void **state)
{
    (void)state;
    make_aged("a/1", 100);
    start_watching();
    drop_file("a/1");
    drop_file("a");
    make("a/2", "x");
    UNTIL(!is_live("a/1") && is_live("a/2") && source_idle(source));
    make("a/3", "x");
    UNTIL(is_live("a/3"));
    assert_int_equal(status().watches, 2);
}

static void a_burst_falls_back_to_a_listing(void **state)
{
    (void)state;
    char key[32];

    start_watching();
    uint64_t listings = status().listings;

    for (unsigned i = 0; i < 3 * FILE_WATCH_BURST; i++) {
        snprintf(key, sizeof(key), "%u", i);
        make(key, "x");
    }
    UNTIL(live_count() == 3 * FILE_WATCH_BURST && source_idle(source));
    assert_true(status().overflows > 0);
    assert_true(status().listings > listings);
}

static void an_overflow_of_the_kernels_queue_falls_back_to_a_listing(void **state)
{
    (void)state;
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    unsigned queue = 0;
    char key[32];

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%u", &queue), 1);
    fclose(file);
    if (queue > 20000) {
        skip();
    }
    make_aged("k", 100);
    start_watching();
    /* Equal events in a row are merged, so two names take turns. */
    for (unsigned i = 0; i < queue; i++) {
        snprintf(key, sizeof(key), "n%u", i % 2);
        make(key, "");
    }
    make("after", "x");
    UNTIL(is_live("after") && source_idle(source));
    assert_true(status().overflows > 0);
}

static void a_root_that_is_replaced_is_watched_again(void **state)
{
    (void)state;
    char aside[80];

    make_aged("a", 100);
    start_watching();
    snprintf(aside, sizeof(aside), "%s.aside", root);
    assert_int_equal(rename(root, aside), 0);
    UNTIL(!status().watching && status().error[0] != '\0');
    assert_true(is_live("a"));
    assert_int_equal(mkdir(root, 0777), 0);
    make_aged("b", 100);
    source_list(source);
    UNTIL(status().watching && is_live("b") && source_idle(source));
    assert_false(is_live("a")); /* another directory, and a whole one */
    assert_string_equal(status().error, "");
    make("c", "x");
    uint64_t listings = status().listings;
    UNTIL(is_live("c"));
    assert_int_equal(status().listings, listings);
    nftw(aside, drop, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- reconcile, pause, stop ---- */

static struct source_counts counts;
static int reconciled;

static void on_reconciled(const struct source_counts *found, const struct err *err, void *arg)
{
    (void)arg;
    reconciled = err == NULL ? RC_OK : (int)err->rc;
    if (found != NULL) {
        counts = *found;
    }
}

static void a_reconciliation_counts_what_was_missed(void **state)
{
    (void)state;
    make_aged("a", 100), make_aged("b", 100);
    start_and_settle();
    make_aged("missed", 100);
    drop_file("b");
    reconciled = -1;
    source_reconcile(source, on_reconciled, NULL);
    assert_int_equal(reconciled, -1);
    UNTIL(reconciled != -1);
    assert_int_equal(reconciled, RC_OK);
    assert_int_equal(counts.listed, 2);
    assert_int_equal(counts.known, 1);
    assert_int_equal(counts.queued, 1);
    assert_int_equal(counts.gone, 1);
    assert_int_equal(find("missed")->source, SIGHTING_RECONCILE);
    assert_true(metric_value(services.metrics, METRIC_RECONCILE_MISSING, METRIC_LABELS("")) == 1);
}

static void one_reconciliation_at_a_time(void **state)
{
    (void)state;
    start_and_settle();
    reconciled = -1;
    source_reconcile(source, on_reconciled, NULL);
    source_reconcile(source, on_reconciled, NULL);
    UNTIL(reconciled != -1);
    assert_int_equal(reconciled, RC_CONFLICT);
    reconciled = -1;
    UNTIL(reconciled != -1);
    assert_int_equal(reconciled, RC_OK);
}

static void while_paused_nothing_is_sighted(void **state)
{
    (void)state;
    start_watching();
    source_pause(source, true);
    make("k", "x");
    source_list(source);
    reconciled = -1;
    source_reconcile(source, on_reconciled, NULL);
    UNTIL(reconciled != -1);
    assert_int_equal(reconciled, RC_CONFLICT);
    assert_null(find("k"));
    source_pause(source, false);
    UNTIL(is_live("k") && source_idle(source));
}

static void stopping_ends_what_is_under_way(void **state)
{
    (void)state;
    char key[32];

    conf.sources_watch = true;
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "d%u/%u", i % 50, i);
        make_aged(key, 100);
    }
    start(); /* the first walk is on its way */
    source_stop(source, on_stopped, NULL);
    UNTIL(stopped);
    stopped = false;

    start();
    UNTIL(live_count() > 0); /* in the middle of the listing */
    reconciled = -1;
    source_reconcile(source, on_reconciled, NULL);
    source_stop(source, on_stopped, NULL);
    UNTIL(stopped);
    assert_int_equal(reconciled, RC_CANCELED);
    assert_true(live_count() < 3000);
    stopped = false;

    conf.sources_settle_ms = 60000;
    make("young", "x");
    start();
    UNTIL(status().settling == 1);
    source_stop(source, on_stopped, NULL);
    UNTIL(stopped);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_first_listing_sights_what_is_there),
        CASE(the_interval_lists_again),
        CASE(what_is_deleted_is_gone_and_nothing_else),
        CASE(a_missing_root_is_an_error_and_deletes_nothing),
        CASE(a_listing_with_an_error_sights_what_it_saw_and_deletes_nothing),
        CASE(an_error_on_the_last_page_saves_what_the_first_one_missed),
        CASE(what_cannot_be_verified_is_not_gone),
        CASE(when_the_intake_fails_the_listing_says_so_and_comes_again),
        CASE(a_request_during_a_listing_makes_one_more),
        cmocka_unit_test(the_wait_is_bounded_whatever_the_time_says),
        CASE(a_young_object_is_taken_when_it_has_been_unchanged),
        CASE(an_object_that_keeps_changing_is_taken_once_it_does_not),
        CASE(a_time_in_the_future_does_not_delay_for_ever),
        CASE(an_object_that_is_open_for_writing_is_not_taken),
        CASE(what_vanishes_while_it_settles_is_forgotten),
        CASE(what_does_not_fit_settles_by_a_later_listing),
        CASE(a_new_file_is_seen_without_a_listing),
        CASE(what_a_store_puts_is_seen_though_it_appears_by_a_link),
        CASE(a_tree_that_is_made_at_once_is_seen_whole),
        CASE(a_directory_that_moves_takes_its_keys_along),
        CASE(a_removed_directory_is_forgotten_and_may_come_back),
        CASE(a_burst_falls_back_to_a_listing),
        CASE(an_overflow_of_the_kernels_queue_falls_back_to_a_listing),
        CASE(a_root_that_is_replaced_is_watched_again),
        CASE(a_reconciliation_counts_what_was_missed),
        CASE(one_reconciliation_at_a_time),
        CASE(while_paused_nothing_is_sighted),
        CASE(stopping_ends_what_is_under_way),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
