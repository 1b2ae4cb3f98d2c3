/** @file
 * The table is the design, so the first tests read the table and not the code.
 */
#include "tests/unit.h"

#include <string.h>

#include "daemon/job/job_state.h"

static unsigned edges_from(enum job_state from)
{
    unsigned count = 0;

    for (unsigned i = 0; i < job_edge_count; i++) {
        count += job_edges[i].from == from;
    }
    return count;
}

static void only_retired_and_superseded_have_no_way_out(void **state)
{
    (void)state;
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        assert_int_equal(edges_from(s) == 0, s == JOB_RETIRED || s == JOB_SUPERSEDED);
    }
}

static void every_state_but_the_first_can_be_reached(void **state)
{
    (void)state;
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        unsigned ways = 0;

        for (unsigned i = 0; i < job_edge_count; i++) {
            ways += job_edges[i].to == s;
        }
        assert_true(ways > 0); /* QUEUED too: by RETRY */
    }
}

static void no_two_edges_share_a_state_and_an_event_but_the_two_beginnings(void **state)
{
    (void)state;
    for (unsigned a = 0; a < job_edge_count; a++) {
        for (unsigned b = a + 1; b < job_edge_count; b++) {
            const bool same =
                job_edges[a].from == job_edges[b].from && job_edges[a].on == job_edges[b].on;

            assert_int_equal(same, same && job_edges[a].from == JOB_QUEUED &&
                                       job_edges[a].on == JOB_EV_STARTED);
        }
    }
}

static void every_stage_can_be_stopped_deferred_rejected_and_finished(void **state)
{
    static const enum job_event must[] = {JOB_EV_FINISHED, JOB_EV_DEFERRED, JOB_EV_REJECTED,
                                          JOB_EV_STOPPED};

    (void)state;
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        if (job_state_kind(s) != JOB_KIND_STAGE) {
            continue;
        }
        for (unsigned e = 0; e < sizeof(must) / sizeof(must[0]); e++) {
            assert_non_null(job_edge_find(s, must[e], JOB_INGEST));
        }
        assert_int_equal(job_edge_find(s, JOB_EV_STOPPED, JOB_INGEST)->to, JOB_RESUME);
        assert_int_equal(job_edge_find(s, JOB_EV_DEFERRED, JOB_INGEST)->to, JOB_BACKOFF);
        assert_int_equal(job_edge_find(s, JOB_EV_REJECTED, JOB_INGEST)->to, JOB_QUARANTINED);
    }
}

static void nothing_is_canceled_or_overtaken_while_it_works(void **state)
{
    (void)state;
    for (unsigned i = 0; i < job_edge_count; i++) {
        if (job_edges[i].on == JOB_EV_CANCEL || job_edges[i].on == JOB_EV_OVERTAKEN) {
            assert_int_not_equal(job_state_kind(job_edges[i].from), JOB_KIND_STAGE);
        }
    }
}

static void a_stage_is_entered_only_by_started_and_left_for_no_other_stage(void **state)
{
    (void)state;
    for (unsigned i = 0; i < job_edge_count; i++) {
        const struct job_edge *edge = &job_edges[i];
        const bool into_stage =
            edge->to != JOB_RESUME && job_state_kind(edge->to) == JOB_KIND_STAGE;

        assert_int_equal(into_stage, edge->on == JOB_EV_STARTED);
        assert_false(into_stage && job_state_kind(edge->from) == JOB_KIND_STAGE);
    }
}

static void the_names_keep_their_grammar(void **state)
{
    (void)state;
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        const char *name = job_state_name(s);
        const size_t len = strlen(name);
        const bool ing = len > 3 && strcmp(name + len - 3, "ING") == 0;

        assert_int_equal(ing, job_state_kind(s) == JOB_KIND_STAGE || s == JOB_WAITING);
    }
}

static void the_action_decides_what_a_queued_job_starts_with(void **state)
{
    (void)state;
    assert_int_equal(job_edge_find(JOB_QUEUED, JOB_EV_STARTED, JOB_INGEST)->to, JOB_CRAWLING);
    assert_int_equal(job_edge_find(JOB_QUEUED, JOB_EV_STARTED, JOB_RETIRE)->to, JOB_RETIRING);
    assert_null(job_edge_find(JOB_DONE, JOB_EV_STARTED, JOB_INGEST));
}

static void names_read_back_to_their_states(void **state)
{
    enum job_state read;

    (void)state;
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        assert_true(job_state_parse(job_state_name(s), &read));
        assert_int_equal(read, s);
    }
    assert_false(job_state_parse("queued", &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_retired_and_superseded_have_no_way_out),
        cmocka_unit_test(every_state_but_the_first_can_be_reached),
        cmocka_unit_test(no_two_edges_share_a_state_and_an_event_but_the_two_beginnings),
        cmocka_unit_test(every_stage_can_be_stopped_deferred_rejected_and_finished),
        cmocka_unit_test(nothing_is_canceled_or_overtaken_while_it_works),
        cmocka_unit_test(a_stage_is_entered_only_by_started_and_left_for_no_other_stage),
        cmocka_unit_test(the_names_keep_their_grammar),
        cmocka_unit_test(the_action_decides_what_a_queued_job_starts_with),
        cmocka_unit_test(names_read_back_to_their_states),
    };
    return cmocka_run_group_tests_name("job_state", tests, NULL, NULL);
}
