/** @file
 * The ring of events and its listeners.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/job_events.h"

static uint64_t first, last;
static unsigned heard;
static struct job_events_listener *leaving;

static void on_event(const struct job_event_record *record, void *arg)
{
    (void)arg;
    first = heard == 0 ? record->id : first;
    assert_true(heard == 0 || record->id == last + 1);
    last = record->id;
    heard++;
    job_events_unlisten(leaving);
    leaving = NULL;
}

static int fresh(void **state)
{
    *state = job_events_new();
    first = last = heard = 0;
    leaving = NULL;
    return 0;
}

static int done(void **state)
{
    job_events_free(*state);
    return 0;
}

static void publish(struct job_events *events, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        job_events_publish(events, "daemon", "{}");
    }
}

static void a_listener_hears_what_is_kept_after_its_id_and_then_what_comes(void **state)
{
    struct job_events *events = *state;

    publish(events, 5);
    job_events_listen(events, 3, on_event, NULL);
    assert_int_equal(first, 4);
    assert_int_equal(heard, 2);
    publish(events, 1);
    assert_int_equal(last, 6);
    assert_int_equal(job_events_last(events), 6);
}

static void the_ring_keeps_so_many_and_no_more(void **state)
{
    struct job_events *events = *state;

    publish(events, JOB_EVENTS_KEPT + 10);
    job_events_listen(events, 0, on_event, NULL);
    assert_int_equal(heard, JOB_EVENTS_KEPT);
    assert_int_equal(first, 11);
    assert_int_equal(last, JOB_EVENTS_KEPT + 10);
}

static void an_id_from_before_a_restart_hears_all_that_is_kept(void **state)
{
    struct job_events *events = *state;

    publish(events, 3);
    job_events_listen(events, 900, on_event, NULL);
    assert_int_equal(heard, 3);
}

static void who_has_left_hears_no_more(void **state)
{
    struct job_events *events = *state;
    struct job_events_listener *listener = job_events_listen(events, 0, on_event, NULL);

    publish(events, 1);
    job_events_unlisten(listener);
    publish(events, 1);
    assert_int_equal(heard, 1);
}

static void a_listener_may_leave_while_it_is_told(void **state)
{
    struct job_events *events = *state;

    leaving = job_events_listen(events, 0, on_event, NULL);
    publish(events, 2);
    assert_int_equal(heard, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, done)
        T(a_listener_hears_what_is_kept_after_its_id_and_then_what_comes),
        T(the_ring_keeps_so_many_and_no_more),
        T(an_id_from_before_a_restart_hears_all_that_is_kept),
        T(who_has_left_hears_no_more),
        T(a_listener_may_leave_while_it_is_told),
#undef T
    };
    return cmocka_run_group_tests_name("job_events", tests, NULL, NULL);
}
