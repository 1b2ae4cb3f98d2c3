/** @file
 * Watching: what is noticed without a listing, and what falls back to one.
 */
#include "tests/unit/daemon/source/source_world.h"

/* ---- watching ---- */

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

    make_aged("a", 100), make_aged("both", 100);
    start_watching();
    snprintf(aside, sizeof(aside), "%s.aside", root);
    assert_int_equal(rename(root, aside), 0);
    UNTIL(!status().watching && status().error[0] != '\0');
    assert_true(is_live("a"));
    assert_int_equal(mkdir(root, 0777), 0);
    make_aged("b", 100), make_aged("both", 100);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_file_is_seen_without_a_listing),
        CASE(what_a_store_puts_is_seen_though_it_appears_by_a_link),
        CASE(a_tree_that_is_made_at_once_is_seen_whole),
        CASE(a_directory_that_moves_takes_its_keys_along),
        CASE(a_removed_directory_is_forgotten_and_may_come_back),
        CASE(a_burst_falls_back_to_a_listing),
        CASE(an_overflow_of_the_kernels_queue_falls_back_to_a_listing),
        CASE(a_root_that_is_replaced_is_watched_again),
    };
    return cmocka_run_group_tests_name("file_watch", tests, NULL, NULL);
}
