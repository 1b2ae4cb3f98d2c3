/** @file
 * Listing, settling, and the sources as a whole.
 */
#include "tests/unit/daemon/source/source_world.h"

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
    assert_int_equal(batches, before); /* the intake is not asked about what has not changed */
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

static int64_t modified_of(const char *key)
{
    scoped(free) char *path = path_of(key);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mtim.tv_sec * INT64_C(1000) + st.st_mtim.tv_nsec / 1000000;
}

static void a_young_object_is_taken_when_it_has_been_unchanged(void **state)
{
    (void)state;
    int64_t modified_ms;

    conf.sources_settle_ms = 300;
    make("young", "x");
    modified_ms = modified_of("young"); /* by the file's clock, which is coarser than ours */
    make_aged("old", 100);
    start();
    UNTIL(is_live("old"));
    assert_false(is_live("young"));
    assert_false(source_idle(source));
    UNTIL(is_live("young"));
    assert_true(now_wall_ms() - modified_ms >= 300);
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

/** Another directory takes the place of the root. */
static void exchange(const char *aside)
{
    assert_int_equal(rename(root, aside), 0);
    assert_int_equal(mkdir(root, 0777), 0);
}

static void a_file_system_that_is_not_mounted_deletes_nothing(void **state)
{
    (void)state;
    scoped(free) char *aside = str_printf("%s.aside", root);

    make_aged("a", 100), make_aged("b", 100);
    start_and_settle();
    exchange(aside);
    source_list(source);
    UNTIL(status().error[0] != '\0');
    assert_non_null(strstr(status().error, "not mounted"));
    assert_int_equal(live_count(), 2);

    make_aged("c", 100); /* what is put there meanwhile does not make it the right one */
    source_list(source);
    UNTIL(is_live("c"));
    source_list(source);
    UNTIL(!status().listing);
    assert_int_equal(live_count(), 3);
    assert_int_equal(place_noted[0], '?');

    drop_file("c");
    assert_int_equal(rmdir(root), 0);
    assert_int_equal(rename(aside, root), 0);
    list_again();
    assert_string_equal(status().error, "");
    assert_int_equal(live_count(), 2);
    assert_true(is_live("a") && is_live("b"));
}

static void it_is_believed_when_an_operator_says_so(void **state)
{
    (void)state;
    scoped(free) char *aside = str_printf("%s.aside", root);

    make_aged("a", 100);
    start_and_settle();
    exchange(aside);
    reconciled = -1;
    source_reconcile(source, on_reconciled, NULL);
    UNTIL(reconciled != -1);
    assert_int_equal(reconciled, RC_OK);
    assert_int_equal(live_count(), 0);
    list_again();
    assert_string_equal(status().error, "");
    nftw(aside, drop, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_place_that_was_noted_by_an_earlier_daemon_counts(void **state)
{
    (void)state;
    make_aged("a", 100);
    start_and_settle();
    drop_file("a");
    source_stop(source, on_stopped, NULL);
    UNTIL(stopped);
    stopped = false;
    snprintf(place_noted, sizeof(place_noted), "another");
    start();
    UNTIL(status().error[0] != '\0');
    assert_true(is_live("a"));
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
        CASE(a_reconciliation_counts_what_was_missed),
        CASE(a_file_system_that_is_not_mounted_deletes_nothing),
        CASE(it_is_believed_when_an_operator_says_so),
        CASE(a_place_that_was_noted_by_an_earlier_daemon_counts),
        CASE(one_reconciliation_at_a_time),
        CASE(while_paused_nothing_is_sighted),
        CASE(stopping_ends_what_is_under_way),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
