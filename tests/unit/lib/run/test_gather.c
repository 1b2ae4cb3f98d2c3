/** @file
 * Who is waited for, and who is not. Where a test says that nobody has gone yet, the wait is an
 * hour.
 */
#include "tests/unit.h"

#include <stdbool.h>

#include "lib/run/gather.h"

#define HOUR_MS (3600 * 1000)

struct thing {
    struct gather_point *point;
    unsigned wanted, gone, served;
    bool busy;
};

static struct loop *loop;
static struct gather *gather;
static struct thing a, b;

static void on_go(void *arg)
{
    struct thing *thing = arg;

    if (!thing->busy) {
        thing->gone++;
        thing->served += thing->wanted;
        gather_took(thing->point, thing->wanted);
        thing->wanted = 0;
    }
}

static void want(struct thing *thing)
{
    const unsigned gone = thing->gone;

    thing->wanted++;
    gather_want(thing->point);
    assert_int_equal(thing->gone, gone); /* never from inside the call */
}

/** What can be done without waiting. */
static void turn(void)
{
    for (unsigned i = 0; i < 3; i++) {
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
}

static void begin(int64_t wait_ms)
{
    loop = loop_new();
    gather = gather_new(loop, wait_ms);
    a = b = (struct thing){0};
    a.point = gather_point_new(gather, on_go, &a);
    b.point = gather_point_new(gather, on_go, &b);
}

static void end(void)
{
    gather_point_free(a.point);
    gather_point_free(b.point);
    gather_free(gather);
    loop_free(loop);
}

static void of_few_nobody_waits(void **state)
{
    (void)state;
    begin(HOUR_MS);
    for (unsigned at_work = 0; at_work < GATHER_SIBLINGS; at_work++) {
        gather_at_work(gather, at_work);
        want(&a);
        turn();
        assert_int_equal(a.gone, at_work + 1);
    }
    end();
}

static void of_many_all_are_waited_for_whatever_they_want(void **state)
{
    (void)state;
    begin(HOUR_MS);
    gather_at_work(gather, 6);
    for (unsigned i = 0; i < 3; i++) {
        want(&a);
        turn();
        want(&b);
        assert_int_equal(a.gone + b.gone, 0);
    }
    turn();
    assert_int_equal(a.gone, 1);
    assert_int_equal(b.gone, 1);
    assert_int_equal(a.served, 3);
    assert_int_equal(b.served, 3);
    end();
}

static void nobody_is_waited_for_who_has_ended(void **state)
{
    (void)state;
    begin(HOUR_MS);
    gather_at_work(gather, 7);
    for (unsigned i = 0; i < 6; i++) {
        want(&a);
    }
    turn();
    assert_int_equal(a.gone, 0);
    gather_at_work(gather, 6);
    turn();
    assert_int_equal(a.gone, 1);
    assert_int_equal(a.served, 6);
    end();
}

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    begin(1);
    gather_at_work(gather, 100);
    want(&a);
    loop_run(loop); /* ends when no timer is left */
    assert_int_equal(a.gone, 1);
    assert_int_equal(b.gone, 0);
    want(&b);
    want(&b);
    loop_run(loop);
    assert_int_equal(b.served, 2);
    assert_int_equal(a.gone, 1);
    end();
}

static void who_is_busy_goes_when_it_can(void **state)
{
    (void)state;
    begin(HOUR_MS);
    gather_at_work(gather, 1);
    a.busy = true;
    want(&a);
    turn();
    assert_int_equal(a.gone, 0);
    a.busy = false;
    gather_again(a.point);
    turn();
    assert_int_equal(a.gone, 1);
    gather_again(a.point); /* nothing is wanted */
    turn();
    assert_int_equal(a.gone, 1);
    end();
}

static void who_is_busy_does_not_cut_the_wait_of_the_next_short(void **state)
{
    (void)state;
    begin(HOUR_MS);
    gather_at_work(gather, 5);
    a.busy = true;
    want(&a);
    a.busy = false;
    gather_again(a.point); /* it has not been told to go */
    turn();
    assert_int_equal(a.gone, 0);
    for (unsigned i = 0; i < 4; i++) {
        want(&a);
    }
    turn();
    assert_int_equal(a.served, 5);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_few_nobody_waits),
        cmocka_unit_test(of_many_all_are_waited_for_whatever_they_want),
        cmocka_unit_test(nobody_is_waited_for_who_has_ended),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(who_is_busy_goes_when_it_can),
        cmocka_unit_test(who_is_busy_does_not_cut_the_wait_of_the_next_short),
    };

    return cmocka_run_group_tests_name("gather", tests, NULL, NULL);
}
