/** @file
 * Claims: a key of the processed store belongs to one object at a time.
 */
#include "tests/unit/daemon/job/fixture.h"

#include "daemon/job/job_claims.h"
#include "lib/base/mem.h"

/** One call on the state writer. */
struct call {
    uint64_t object;
    const char *const *keys;
    size_t count;
    char *taken, *owner;
    bool freed, answered;
};

static int set_up(void **state)
{
    if (fixture_set_up(state) != 0) {
        return 1;
    }
    change("INSERT INTO objects(id, bucket, key, version, etag, sequencer, size, modified_ms, live,"
           " first_ms, changed_ms) VALUES (1, '/raw', 'a/x.h5', '', 'e', '', 1, 0, 1, 0, 0),"
           " (2, '/raw', 'b/x.h5', '', 'e', '', 1, 0, 1, 0, 0)");
    return 0;
}

static enum rc run_take(struct db *db, void *arg, struct err *err)
{
    struct call *call = arg;

    return job_claims_take(db, call->object, call->keys, call->count, &call->taken, &call->owner,
                           err);
}

static enum rc run_keep(struct db *db, void *arg, struct err *err)
{
    struct call *call = arg;

    return job_claims_keep(db, call->object, call->keys, call->count, &call->freed, err);
}

static void on_called(const struct err *err, void *arg)
{
    struct call *call = arg;

    if (err != NULL) {
        fail_msg("%s", err->text);
    }
    call->answered = true;
}

/** The key that was refused, and whose it is; both NULL when all were taken. */
static struct call take(uint64_t object, const char *const *keys, size_t count)
{
    struct call call = {.object = object, .keys = keys, .count = count};

    job_store_write(services.jobs, run_take, on_called, &call);
    run_until(&call.answered);
    return call;
}

/** Whether somebody waits for what was given up. */
static bool keep(uint64_t object, const char *const *keys, size_t count)
{
    struct call call = {.object = object, .keys = keys, .count = count};

    job_store_write(services.jobs, run_keep, on_called, &call);
    run_until(&call.answered);
    return call.freed;
}

static void assert_taken(struct call call)
{
    assert_null(call.taken);
    assert_null(call.owner);
}

static void assert_refused(struct call call, const char *key, const char *owner)
{
    assert_string_equal(call.taken, key);
    assert_string_equal(call.owner, owner);
    free(call.taken);
    free(call.owner);
}

static const char *const one[] = {"frames/x.csv"};
static const char *const two[] = {"flashes/x.csv", "frames/x.csv"};

static void what_nobody_has_is_taken_as_often_as_its_owner_likes(void **state)
{
    (void)state;
    assert_taken(take(1, one, 1));
    assert_taken(take(1, two, 2));
    assert_int_equal(ask_int("SELECT count(*) FROM claims"), 2);
}

static void the_second_is_told_whose_it_is_and_gets_nothing(void **state)
{
    (void)state;
    assert_taken(take(1, one, 1));
    assert_refused(take(2, two, 2), "frames/x.csv", "a/x.h5");
    assert_int_equal(ask_int("SELECT count(*) FROM claims WHERE object = 2"), 0);
    assert_int_equal(ask_int("SELECT object FROM blocked WHERE key = 'frames/x.csv'"), 2);
}

static void pictures_are_claimed_by_the_event(void **state)
{
    static const char *const first[] = {"images/img_type=vil/id=S1/sheet.png",
                                        "images/img_type=vil/id=S1/f00.png",
                                        "images/img_type=vil/id=S2/f00.png"};
    static const char *const second[] = {"images/img_type=vil/id=S2/f01.png"};
    static const char *const other[] = {"images/img_type=vis/id=S2/f01.png"};

    (void)state;
    assert_taken(take(1, first, 3));
    assert_int_equal(ask_int("SELECT count(*) FROM claims"), 2);
    assert_refused(take(2, second, 1), "images/img_type=vil/id=S2/", "a/x.h5");
    assert_taken(take(2, other, 1));
}

static void what_is_given_up_is_told_when_somebody_waits_for_it(void **state)
{
    (void)state;
    assert_taken(take(1, two, 2));
    assert_refused(take(2, one, 1), "frames/x.csv", "a/x.h5");
    assert_false(keep(1, one, 1)); /* it was the other key that went */
    assert_true(keep(1, NULL, 0));
    assert_taken(take(2, one, 1));
    assert_int_equal(ask_int("SELECT count(*) FROM blocked"), 0);
    assert_false(keep(2, NULL, 0));
}

static void what_is_given_up_is_ones_own(void **state)
{
    (void)state;
    assert_taken(take(1, one, 1));
    assert_refused(take(2, one, 1), "frames/x.csv", "a/x.h5");
    assert_false(keep(2, NULL, 0));
    assert_int_equal(ask_int("SELECT count(*) FROM claims WHERE object = 1"), 1);
    assert_int_equal(ask_int("SELECT count(*) FROM blocked"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)
        T(what_nobody_has_is_taken_as_often_as_its_owner_likes),
        T(the_second_is_told_whose_it_is_and_gets_nothing),
        T(pictures_are_claimed_by_the_event),
        T(what_is_given_up_is_told_when_somebody_waits_for_it),
        T(what_is_given_up_is_ones_own),
#undef T
    };
    return cmocka_run_group_tests_name("job_claims", tests, NULL, NULL);
}
