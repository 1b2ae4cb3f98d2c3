/** @file
 * From sightings to jobs: order, dedupe, superseding, deletion; against a real state.db.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <stdio.h>
#include <string.h>

#include "daemon/intake/intake_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

static const struct job_stage *const no_stages[] = {NULL};

/** The queue is there, but not started: jobs stay as they are made. */
static int set_up(void **state)
{
    if (fixture_set_up(state) != 0) {
        return 1;
    }
    services.queue = job_queue_new(&services, no_stages);
    services.intake = intake_new(&services);
    return 0;
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static int tear_down(void **state)
{
    bool stopped = false;

    intake_free(services.intake);
    job_queue_stop(services.queue, set_flag, &stopped);
    run_until(&stopped);
    job_queue_free(services.queue);
    return fixture_tear_down(state);
}

/** A notification. */
static struct sighting told(const char *key, const char *etag, const char *sequencer)
{
    struct sighting sighting = seen(key, etag, 1000);

    sighting.source = SIGHTING_SQS;
    sighting.sequencer = sequencer;
    return sighting;
}

static void assert_outcome(struct sighting sighting, enum sighting_outcome outcome)
{
    const struct intake_result result = sight(sighting);

    assert_string_equal(sighting_outcome_name(result.outcome), sighting_outcome_name(outcome));
}

static void assert_states(const char *states)
{
    char text[256];

    ask_text("SELECT group_concat(state, ' ') FROM (SELECT state FROM jobs ORDER BY id)", text);
    assert_string_equal(text, states);
}

static void a_new_object_is_one_job_with_a_history(void **state)
{
    const struct intake_result result = sight(seen("a.h5", "e1", 1000));
    char text[256];

    (void)state;
    assert_int_equal(result.outcome, OUTCOME_QUEUED);
    assert_int_equal(result.job, 1);
    ask_text("SELECT event || ' ' || to_state || ' ' || reason FROM transitions", text);
    assert_string_equal(text, "SIGHTED QUEUED list");
    assert_int_equal(job_store_count(services.jobs, JOB_QUEUED), 1);
    assert_true(metric_value(services.metrics, METRIC_SIGHTINGS, METRIC_LABELS("list", "queued")) ==
                1);
}

static void an_unchanged_object_is_known_and_writes_nothing(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    const int64_t before = ask_int("PRAGMA data_version"); /* moves with every foreign commit */

    for (unsigned i = 0; i < 3; i++) {
        assert_outcome(seen("a.h5", "e1", 1000), OUTCOME_KNOWN);
    }
    assert_int_equal(ask_int("PRAGMA data_version"), before);
    sight(seen("b.h5", "e1", 1000));
    assert_int_not_equal(ask_int("PRAGMA data_version"), before);
    assert_states("QUEUED QUEUED");
}

static void it_is_known_after_a_restart_too(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    change("UPDATE jobs SET state = 'DONE'");
    fixture_reopen();
    assert_outcome(seen("a.h5", "e1", 1000), OUTCOME_KNOWN);
    assert_states("DONE");
}

static void a_newer_version_supersedes_a_job_at_rest(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    assert_outcome(seen("a.h5", "e2", 2000), OUTCOME_QUEUED);
    assert_states("SUPERSEDED QUEUED");
    assert_int_equal(job_store_count(services.jobs, JOB_QUEUED), 1);
    assert_int_equal(job_store_count(services.jobs, JOB_SUPERSEDED), 1);
}

static void a_newer_version_leaves_what_was_done_as_history(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    change("UPDATE jobs SET state = 'DONE'");
    assert_outcome(seen("a.h5", "e2", 1000), OUTCOME_QUEUED);
    assert_states("DONE QUEUED");
}

static void a_job_at_work_is_marked_and_told_to_stop(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    change("UPDATE jobs SET state = 'CRAWLING'");
    assert_outcome(seen("a.h5", "e2", 2000), OUTCOME_QUEUED);
    assert_int_equal(ask_int("SELECT overtaken FROM jobs WHERE id = 1"), 1);
    assert_int_equal(ask_int("SELECT overtaken FROM jobs WHERE id = 2"), 0);
}

static void an_older_notification_changes_nothing(void **state)
{
    struct sighting late = seen("a.h5", "e1", 1000);

    (void)state;
    late.source = SIGHTING_SQS;
    sight(seen("a.h5", "e2", 2000));
    assert_outcome(late, OUTCOME_OLDER);
    assert_outcome(late, OUTCOME_OLDER);
    assert_states("QUEUED");
}

static void an_older_file_in_a_listing_is_believed_the_second_time(void **state)
{
    (void)state;
    sight(seen("a.h5", "e2", 2000));
    assert_outcome(seen("a.h5", "e1", 1000), OUTCOME_OLDER);
    assert_states("QUEUED");
    assert_outcome(seen("a.h5", "e1", 1000), OUTCOME_QUEUED);
    assert_states("SUPERSEDED QUEUED");
}

static void an_older_file_submitted_by_hand_is_believed_at_once(void **state)
{
    struct sighting by_hand = seen("a.h5", "e1", 1000);

    (void)state;
    by_hand.source = SIGHTING_SUBMIT;
    sight(seen("a.h5", "e2", 2000));
    assert_outcome(by_hand, OUTCOME_QUEUED);
}

static void sequencers_order_before_times(void **state)
{
    struct sighting newer = told("a.h5", "e2", "0055AED6DCD90281E6");
    struct sighting older = told("a.h5", "e1", "0055AED6DCD90281E5");

    (void)state;
    newer.modified_ms = 1;
    older.modified_ms = 9000;
    assert_outcome(newer, OUTCOME_QUEUED);
    assert_outcome(older, OUTCOME_OLDER);
    assert_states("QUEUED");
}

static void the_same_version_told_later_moves_its_place_in_the_order(void **state)
{
    (void)state;
    const struct intake_result first = sight(seen("a.h5", "e1", 1000)); /* a listing's */

    assert_int_equal(sight(told("a.h5", "e1", "03")).outcome, OUTCOME_KNOWN);
    assert_int_equal(sight(told("a.h5", "e1", "02")).outcome, OUTCOME_KNOWN);
    struct sighting removed = gone("a.h5"); /* between the first put and the second */
    removed.source = SIGHTING_SQS;
    removed.sequencer = "02";
    assert_int_equal(sight(removed).outcome, OUTCOME_OLDER);
    assert_int_equal(sight(told("a.h5", "e0", "02")).outcome, OUTCOME_OLDER);
    assert_true(sight(told("a.h5", "e1", "03")).job == first.job);
    removed.sequencer = "04";
    assert_int_not_equal(sight(removed).outcome, OUTCOME_OLDER);
}

static void a_listings_time_is_no_older_within_its_second(void **state)
{
    (void)state;
    struct sighting put = told("a.h5", "e1", "01");

    put.modified_ms = put.event_ms = 5700;
    sight(put);
    assert_outcome(seen("a.h5", "e2", 5000), OUTCOME_QUEUED);
    put = told("b.h5", "e1", "01");
    put.modified_ms = put.event_ms = 5700;
    sight(put);
    assert_outcome(seen("b.h5", "e2", 4000), OUTCOME_OLDER);
    assert_outcome(seen("b.h5", "e3", 5600), OUTCOME_OLDER); /* a file's time, to the millisecond */
}

/** As an emulator tells, whose sequencer is always the same. */
static struct sighting told_at(const char *etag, int64_t event_ms)
{
    struct sighting sighting = told("a.h5", etag, "00FF");

    sighting.gone = etag[0] == '\0';
    sighting.modified_ms = sighting.event_ms = event_ms;
    return sighting;
}

static void equal_sequencers_of_other_versions_leave_it_to_the_time(void **state)
{
    (void)state;
    assert_outcome(told_at("e2", 2000), OUTCOME_QUEUED);
    assert_outcome(told_at("e2", 2000), OUTCOME_KNOWN);
    assert_outcome(told_at("e1", 1000), OUTCOME_OLDER);
    assert_outcome(told_at("e3", 3000), OUTCOME_QUEUED);
    assert_outcome(told_at("e4", 3000), OUTCOME_QUEUED); /* within one second of EventBridge's */
    assert_states("SUPERSEDED SUPERSEDED QUEUED");
}

static void equal_sequencers_let_what_was_removed_come_back(void **state)
{
    (void)state;
    sight(told_at("e1", 1000));
    sight(told_at("", 2000));
    assert_int_equal(ask_int("SELECT live FROM objects"), 0);
    assert_outcome(told_at("e1", 1000), OUTCOME_KNOWN); /* the first notice, once more */
    assert_outcome(told_at("e1", 3000), OUTCOME_QUEUED);
    sight(told_at("", 4000));
    assert_outcome(told_at("e2", 5000), OUTCOME_QUEUED);
    assert_outcome(told_at("", 4000), OUTCOME_OLDER); /* again, too late */
    assert_int_equal(ask_int("SELECT live FROM objects"), 1);
}

static void an_end_may_be_that_of_what_another_daemon_has_made(void **state)
{
    static const char *const nobodys[] = {"dir/", ".hidden", "a//b.h5", "a/../b.h5"};
    struct sighting removed = gone("a.h5");

    (void)state;
    removed.source = SIGHTING_SQS;
    removed.sequencer = "02";
    assert_outcome(removed, OUTCOME_IGNORED);
    services.leases = (struct job_leases *)&services; /* only whether there are any is asked */
    assert_outcome(removed, OUTCOME_RETIRING);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE action = 'retire'"), 1);
    assert_outcome(removed, OUTCOME_IGNORED);
    removed.sequencer = "03"; /* of a life that we have not heard of */
    assert_outcome(removed, OUTCOME_RETIRING);
    removed.sequencer = "";
    assert_outcome(removed, OUTCOME_RETIRING);
    removed.source = SIGHTING_LIST;
    assert_outcome(removed, OUTCOME_IGNORED);
    for (unsigned i = 0; i < ARRAY_LEN(nobodys); i++) {
        removed = gone(nobodys[i]);
        removed.source = SIGHTING_SQS;
        assert_outcome(removed, OUTCOME_IGNORED);
    }
    services.leases = NULL;
}

static void sequencers_compare_padded_on_the_right(void **state)
{
    (void)state;
    assert_true(intake_compare_sequencers("00A", "00A0") == 0);
    assert_true(intake_compare_sequencers("00A", "00A1") < 0);
    assert_true(intake_compare_sequencers("00B", "00A1") > 0);
    assert_true(intake_compare_sequencers("00a", "00A") == 0);
    assert_true(intake_compare_sequencers("9", "A") < 0);
}

static void a_deletion_of_something_unknown_is_ignored(void **state)
{
    (void)state;
    assert_outcome(gone("a.h5"), OUTCOME_IGNORED);
    assert_int_equal(ask_int("SELECT count(*) FROM objects"), 0);
}

static void a_deletion_before_anything_was_made_needs_no_job(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    assert_outcome(gone("a.h5"), OUTCOME_IGNORED);
    assert_states("SUPERSEDED");
    assert_int_equal(ask_int("SELECT live FROM objects"), 0);
}

static void a_deletion_after_something_was_made_is_a_job_that_retires_it(void **state)
{
    char text[256];

    (void)state;
    sight(seen("a.h5", "e1", 1000));
    change("UPDATE jobs SET state = 'DONE'");
    change("UPDATE objects SET made = 1");
    assert_outcome(gone("a.h5"), OUTCOME_RETIRING);
    assert_states("DONE QUEUED");
    ask_text("SELECT action || ' ' || etag || ' ' || size FROM jobs WHERE id = 2", text);
    assert_string_equal(text, "retire e1 100");
    assert_outcome(gone("a.h5"), OUTCOME_IGNORED);
}

static void what_comes_back_is_a_new_job_even_if_it_is_the_same(void **state)
{
    (void)state;
    sight(seen("a.h5", "e1", 1000));
    change("UPDATE jobs SET state = 'DONE'");
    change("UPDATE objects SET made = 1");
    sight(gone("a.h5"));
    assert_outcome(seen("a.h5", "e1", 1000), OUTCOME_QUEUED);
    assert_states("DONE SUPERSEDED QUEUED");
    assert_int_equal(ask_int("SELECT made FROM objects"), 1);
}

static void what_comes_back_is_new_even_if_it_is_older(void **state)
{
    (void)state;
    sight(seen("a.h5", "e2", 2000));
    change("UPDATE jobs SET state = 'DONE'");
    sight(gone("a.h5"));
    assert_outcome(seen("a.h5", "e1", 1000), OUTCOME_QUEUED);
}

static void a_late_deletion_notice_does_not_retire_what_came_after(void **state)
{
    struct sighting deletion = told("a.h5", "", "01");

    (void)state;
    deletion.gone = true;
    sight(told("a.h5", "e1", "02"));
    assert_outcome(deletion, OUTCOME_OLDER);
    deletion.sequencer = "";
    deletion.event_ms = 999;
    assert_outcome(deletion, OUTCOME_OLDER);
    assert_int_equal(ask_int("SELECT live FROM objects"), 1);
}

static void a_key_that_breaks_a_rule_is_refused_once_and_counted(void **state)
{
    (void)state;
    assert_outcome(seen("a/../b.h5", "e1", 1000), OUTCOME_REFUSED);
    assert_outcome(seen("a/../b.h5", "e1", 1000), OUTCOME_REFUSED);
    assert_int_equal(job_store_refused(services.jobs), 1);
    assert_int_equal(ask_int("SELECT count(*) FROM refused"), 1);
    assert_states("");
    assert_outcome(gone("a/../b.h5"), OUTCOME_IGNORED);
    assert_int_equal(job_store_refused(services.jobs), 0);
}

static void hidden_names_and_folder_markers_are_ignored(void **state)
{
    (void)state;
    assert_outcome(seen(".hidden.h5", "e", 1), OUTCOME_IGNORED);
    assert_outcome(seen("vil/.part/a.h5", "e", 1), OUTCOME_IGNORED);
    assert_outcome(seen("vil/2019/", "e", 1), OUTCOME_IGNORED);
    assert_int_equal(ask_int("SELECT count(*) FROM objects"), 0);
}

static void a_quarantined_object_submitted_by_hand_runs_again(void **state)
{
    struct sighting by_hand = seen("a.h5", "e1", 1000);

    (void)state;
    by_hand.source = SIGHTING_SUBMIT;
    sight(seen("a.h5", "e1", 1000));
    assert_outcome(by_hand, OUTCOME_KNOWN);
    change("UPDATE jobs SET state = 'QUARANTINED', failures = 3");
    fixture_reopen();
    assert_outcome(by_hand, OUTCOME_REQUEUED);
    assert_states("QUEUED");
    assert_int_equal(ask_int("SELECT failures FROM jobs"), 0);
}

static void the_sightings_of_an_object_are_kept_and_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        char etag[16];

        snprintf(etag, sizeof(etag), "e%u", i);
        sight(seen("a.h5", etag, 1000 + i));
    }
    assert_true(ask_int("SELECT count(*) FROM sightings") <= 21);
    assert_int_equal(ask_int("SELECT max(job) FROM sightings"), 60);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs WHERE state = 'QUEUED'"), 1);
}

static void small_files_and_catalogs_stand_before_big_ones(void **state)
{
    struct sighting big = seen("a.h5", "e", 1);

    (void)state;
    big.size = (uint64_t)5 << 30;
    sight(big);
    sight(seen("b.h5", "e", 1));
    sight(seen("CATALOG.csv", "e", 1));
    char text[256];

    ask_text("SELECT group_concat(key, ' ') FROM (SELECT key FROM jobs ORDER BY order_ms)", text);
    assert_string_equal(text, "CATALOG.csv b.h5 a.h5");
    assert_int_equal(ask_int("SELECT big FROM jobs WHERE key = 'a.h5'"), 1);
}

/* ---- batches */

static bool batch_done;
static unsigned outcomes[SIGHTING_OUTCOME_COUNT];

static void on_batch(const struct intake_result *results, unsigned count, const struct err *err,
                     void *arg)
{
    (void)arg;
    assert_null(err);
    for (unsigned i = 0; i < count; i++) {
        outcomes[results[i].outcome]++;
    }
    batch_done = true;
}

static void in_one_batch_a_key_may_go_and_come_back(void **state)
{
    const struct sighting both[] = {gone("a.h5"), seen("a.h5", "e1", 1000)};

    (void)state;
    sight(seen("a.h5", "e1", 1000));
    batch_done = false;
    memset(outcomes, 0, sizeof(outcomes));
    intake_sight(services.intake, both, 2, on_batch, NULL);
    run_until(&batch_done);
    assert_int_equal(outcomes[OUTCOME_QUEUED], 1);
    assert_int_equal(ask_int("SELECT live FROM objects"), 1);
}

static void an_empty_batch_is_done_too(void **state)
{
    (void)state;
    batch_done = false;
    intake_sight(services.intake, NULL, 0, on_batch, NULL);
    assert_false(batch_done);
    run_until(&batch_done);
}

enum { MANY = 20000, BATCH = 1000 };

static void list_many(enum sighting_outcome expected)
{
    static char keys[BATCH][32];
    static struct sighting batch[BATCH];

    memset(outcomes, 0, sizeof(outcomes));
    for (unsigned first = 0; first < MANY; first += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            snprintf(keys[i], sizeof(keys[i]), "data/%08u.h5", first + i);
            batch[i] = seen(keys[i], "e1", 1000);
        }
        batch_done = false;
        intake_sight(services.intake, batch, BATCH, on_batch, NULL);
        run_until(&batch_done);
    }
    assert_int_equal(outcomes[expected], MANY);
}

static void a_second_listing_of_many_known_keys_is_quick(void **state)
{
    (void)state;
    list_many(OUTCOME_QUEUED);
    const int64_t began_ms = now_mono_ms();

    list_many(OUTCOME_KNOWN);
    const int64_t took_ms = now_mono_ms() - began_ms;

    print_message("%d known keys in %d ms\n", MANY, (int)took_ms);
    assert_true(took_ms < 10000); /* sanitizers and a busy machine; alone it is some 100 ms */
}

static char known[8][32];
static unsigned known_count;

static void on_known(const struct intake_known *found, unsigned count, const struct err *err,
                     void *arg)
{
    (void)arg;
    assert_null(err);
    known_count = count;
    for (unsigned i = 0; i < count; i++) {
        snprintf(known[i], sizeof(known[i]), "%s=%s", found[i].key, found[i].etag);
    }
    batch_done = true;
}

static void known_keys_are_those_that_are_there_in_byte_order(void **state)
{
    (void)state;
    sight(seen("b", "e", 1));
    sight(seen("a", "e", 1));
    sight(seen("c", "e", 1));
    sight(seen("bad//key", "e", 1));
    sight(gone("c"));
    batch_done = false;
    intake_known(services.intake, "/raw", "a", 8, on_known, NULL);
    run_until(&batch_done);
    assert_int_equal(known_count, 2);
    assert_string_equal(known[0], "b=e");
    assert_string_equal(known[1], "bad//key=");
}

/** A notification of a versioned bucket has a version, a listing has none. */
static void a_version_is_one_object_whoever_shows_it(void **state)
{
    (void)state;
    struct sighting versioned = told("a.h5", "e1", "01"), listed = seen("a.h5", "e1", 1000);

    versioned.version = "v1";
    assert_int_equal(sight(versioned).outcome, OUTCOME_QUEUED);
    assert_int_equal(sight(listed).outcome, OUTCOME_KNOWN);
    versioned.key = listed.key = "b.h5";
    assert_int_equal(sight(listed).outcome, OUTCOME_QUEUED);
    assert_int_equal(sight(versioned).outcome, OUTCOME_KNOWN);
    /* The same bytes put again are another version, where both say which. */
    versioned.key = "a.h5";
    versioned.version = "v2";
    versioned.sequencer = "02";
    assert_int_equal(sight(versioned).outcome, OUTCOME_QUEUED);
    /* Others are not, whether one of them has a version or not. */
    listed.key = "a.h5";
    listed.etag = "e3";
    listed.modified_ms = 99000;
    assert_int_equal(sight(listed).outcome, OUTCOME_QUEUED);
}

static void what_a_listing_may_pass_by(void **state)
{
    (void)state;
    const struct intake_known plain = {.key = "k", .version = "", .etag = "e"},
                              versioned = {.key = "k", .version = "v", .etag = "e"},
                              refused = {.key = "k", .version = "", .etag = ""};

    assert_true(intake_is_known(&plain, "", "e"));
    assert_false(intake_is_known(&plain, "", "f"));
    assert_true(intake_is_known(&plain, "v", "e"));
    assert_true(intake_is_known(&versioned, "v", "f"));
    assert_false(intake_is_known(&versioned, "w", "e"));
    assert_false(intake_is_known(&refused, "", ""));
}

enum { WISHES = 5 };

static struct intake_result came[2 * WISHES];
static unsigned came_count;

static void on_came(const struct intake_result *results, unsigned count, const struct err *err,
                    void *arg)
{
    (void)arg;
    assert_null(err);
    assert_int_equal(count, 1);
    came[came_count++] = results[0];
}

static struct sighting wish(const char *key, const char *etag)
{
    struct sighting sighting = seen(key, etag, 1000);

    sighting.source = SIGHTING_SUBMIT;
    return sighting;
}

static void sight_later(struct sighting sighting)
{
    intake_sight(services.intake, &sighting, 1, on_came, NULL);
}

static bool all_came(void *arg)
{
    return came_count == *(const unsigned *)arg;
}

/** A commit that waits for five shows that none of them waits for another. */
static void wishes_share_a_commit(void **state)
{
    struct gather *gather = gather_new(services.loop, 3600 * 1000);
    const unsigned all = WISHES;

    (void)state;
    services.gather = gather;
    fixture_reopen();
    gather_at_work(gather, WISHES);
    came_count = 0;
    for (unsigned i = 0; i < WISHES; i++) {
        char key[] = {(char)('a' + i), '\0'};

        sight_later(wish(key, "e1"));
    }
    run_until_true(all_came, (void *)(uintptr_t)&all);
    for (unsigned i = 0; i < WISHES; i++) {
        assert_int_equal(came[i].job, i + 1); /* in their order */
    }
    gather_at_work(gather, 0);
    services.gather = NULL;
    fixture_reopen();
    gather_free(gather);
}

static void wishes_and_listings_keep_their_order(void **state)
{
    static const unsigned all = 6;

    (void)state;
    came_count = 0;
    sight_later(wish("a", "e1"));
    sight_later(wish("b", "e1"));
    sight_later(seen("a", "e1", 1000)); /* sees what the first has recorded */
    sight_later(seen("b", "e2", 2000));
    sight_later(wish("a", "e3"));
    sight_later(seen("a", "e3", 1000));
    run_until_true(all_came, (void *)(uintptr_t)&all);
    static const enum sighting_outcome wanted[] = {OUTCOME_QUEUED, OUTCOME_QUEUED, OUTCOME_KNOWN,
                                                   OUTCOME_QUEUED, OUTCOME_QUEUED, OUTCOME_KNOWN};

    for (unsigned i = 0; i < all; i++) {
        assert_string_equal(sighting_outcome_name(came[i].outcome),
                            sighting_outcome_name(wanted[i]));
    }
    assert_int_equal(came[2].job, came[0].job);
    assert_int_equal(came[5].job, came[4].job);
    assert_states("SUPERSEDED SUPERSEDED QUEUED QUEUED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(a_new_object_is_one_job_with_a_history),
        T(an_unchanged_object_is_known_and_writes_nothing),
        T(it_is_known_after_a_restart_too),
        T(a_version_is_one_object_whoever_shows_it),
        T(a_newer_version_supersedes_a_job_at_rest),
        T(a_newer_version_leaves_what_was_done_as_history),
        T(a_job_at_work_is_marked_and_told_to_stop),
        T(an_older_notification_changes_nothing),
        T(an_older_file_in_a_listing_is_believed_the_second_time),
        T(an_older_file_submitted_by_hand_is_believed_at_once),
        T(sequencers_order_before_times),
        T(the_same_version_told_later_moves_its_place_in_the_order),
        T(a_listings_time_is_no_older_within_its_second),
        T(equal_sequencers_of_other_versions_leave_it_to_the_time),
        T(equal_sequencers_let_what_was_removed_come_back),
        T(an_end_may_be_that_of_what_another_daemon_has_made),
        T(sequencers_compare_padded_on_the_right),
        T(a_deletion_of_something_unknown_is_ignored),
        T(a_deletion_before_anything_was_made_needs_no_job),
        T(a_deletion_after_something_was_made_is_a_job_that_retires_it),
        T(what_comes_back_is_a_new_job_even_if_it_is_the_same),
        T(what_comes_back_is_new_even_if_it_is_older),
        T(a_late_deletion_notice_does_not_retire_what_came_after),
        T(a_key_that_breaks_a_rule_is_refused_once_and_counted),
        T(hidden_names_and_folder_markers_are_ignored),
        T(a_quarantined_object_submitted_by_hand_runs_again),
        T(the_sightings_of_an_object_are_kept_and_bounded),
        T(small_files_and_catalogs_stand_before_big_ones),
        T(in_one_batch_a_key_may_go_and_come_back),
        T(an_empty_batch_is_done_too),
        T(a_second_listing_of_many_known_keys_is_quick),
        T(known_keys_are_those_that_are_there_in_byte_order),
        T(what_a_listing_may_pass_by),
        T(wishes_share_a_commit),
        T(wishes_and_listings_keep_their_order),
#undef T
    };
    return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
