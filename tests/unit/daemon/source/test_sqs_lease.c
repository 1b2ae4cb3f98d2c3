/** @file
 * Queues as a source: leases, deletions, and how much is received.
 */
#include "tests/unit/daemon/source/queue_world.h"

/* ---- leases */

static void leases_are_extended_before_half_of_their_time(void **state)
{
    (void)state;
    conf.sources_sqs_visibility_ms = 1000;
    start();
    const struct message *message = send_put("a.h5", "e", "01");
    const int64_t began_ms = now_mono_ms();

    UNTIL(counts.extends > 0);
    assert_true(now_mono_ms() - began_ms <= 500 + 150); /* and what a busy machine adds */
    UNTIL(counts.extends >= 3);
    assert_true(metric(METRIC_SQS_EXTENSIONS, "", "") >= 2);
    assert_int_equal(status().lost, 0);
    assert_false(message->deleted);
    finish(job_of("a.h5"));
    UNTIL(message->deleted);
}

static void many_leases_are_extended_in_full_batches(void **state)
{
    (void)state;
    conf.sources_sqs_visibility_ms = 1000;
    conf.extract_jobs = 100; /* room for all */
    for (unsigned i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%u.h5", i);
        send_put(key, "e", "01");
    }
    start();
    UNTIL(status().held == 100 && counts.extends > 0);
    UNTIL(metric(METRIC_SQS_EXTENSIONS, "", "") >= 100);
    assert_true(counts.extends <= 20);
}

static void a_lost_lease_is_counted_and_the_message_forgotten(void **state)
{
    (void)state;
    conf.sources_sqs_visibility_ms = 1000;
    extend_says = SQS_STALE;
    start();
    struct message *message = send_put("a.h5", "e", "01");

    UNTIL(status().lost == 1);
    assert_int_equal(status().held, 0);
    assert_true(metric(METRIC_SQS_LEASE_LOST, "", "") == 1);
    const uint64_t job = job_of("a.h5");

    /* It comes again, while its job goes on. */
    extend_says = SQS_OK;
    message->hidden = false;
    serve();
    UNTIL(message->hidden && status().held == 1);
    finish(job);
    UNTIL(message->deleted);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs"), 1);
}

static void extensions_that_fail_are_tried_until_the_lease_is_over(void **state)
{
    (void)state;
    conf.sources_sqs_visibility_ms = 1000;
    extend_says = SQS_AGAIN;
    start();
    send_put("a.h5", "e", "01");
    UNTIL(status().lost == 1);
    assert_true(counts.extends >= 3);
}

static void at_the_wall_a_message_is_let_go_and_attached_again(void **state)
{
    (void)state;
    conf.sources_sqs_visibility_ms = 1000;
    limits.wall_ms = 1500;
    start();
    struct message *message = send_put("a.h5", "e", "01");

    UNTIL(status().held == 1);
    UNTIL(status().held == 0);
    assert_int_equal(status().lost, 0); /* it was not lost, it was over */
    assert_false(message->deleted);
    message->hidden = false;
    serve();
    UNTIL(status().held == 1 && status().received == 2);
    settle();
    finish(job_of("a.h5"));
    UNTIL(message->deleted);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs"), 1);
}

static void a_message_that_comes_while_it_is_held_has_its_newest_handle(void **state)
{
    (void)state;
    start();
    struct message *message = send_put("a.h5", "e", "01");

    settle();
    message->hidden = false; /* its time-out was shorter than we thought */
    serve();
    settle();
    assert_int_equal(message->serial, 2);
    finish(job_of("a.h5"));
    UNTIL(message->deleted); /* the old handle would be stale */
    assert_int_equal(status().lost, 0);
}

/* ---- deletions */

static void deletions_go_in_batches(void **state)
{
    (void)state;
    conf.extract_jobs = 100;
    limits.linger_ms = 200;
    for (unsigned i = 0; i < 40; i++) {
        send_body("{\"Event\":\"s3:TestEvent\"}");
    }
    start();
    UNTIL(counts.deletes == 40);
    assert_int_equal(counts.delete_calls, 4);
}

static void what_was_not_deleted_is_deleted_again(void **state)
{
    (void)state;
    delete_says[0] = SQS_AGAIN;
    delete_says[1] = SQS_REFUSED;
    delete_scripts = 2;
    delete_fails = true;
    start();
    const struct message *message = send_body("{\"Event\":\"s3:TestEvent\"}");

    UNTIL(counts.delete_calls == 3);
    assert_non_null(strstr(status().error, "deleting"));
    delete_fails = false;
    UNTIL(message->deleted);
    assert_int_equal(delete_scripts, 0);
    UNTIL(status().held == 0);
}

static void a_deletion_with_a_stale_handle_is_a_lost_lease(void **state)
{
    (void)state;
    delete_says[0] = SQS_STALE;
    delete_scripts = 1;
    start();
    struct message *message = send_body("{\"Event\":\"s3:TestEvent\"}");

    UNTIL(status().lost == 1);
    assert_false(message->deleted);
    message->hidden = false;
    serve();
    UNTIL(message->deleted);
}

/* ---- how much is received */

static void no_more_is_received_than_can_start(void **state)
{
    const unsigned slots = 2 * (4 + 4 + 3);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%u.h5", i);
        send_put(key, "e", "01");
    }
    start();
    UNTIL(job_queue_room(services.queue) == 0);
    assert_true(status().held <= slots);
    const unsigned received = (unsigned)status().received;
    finish(job_of("0.h5"));
    UNTIL(status().received == received + 1);
    UNTIL(status().held == slots);
    job_queue_pause(services.queue, true);
    finish(job_of("1.h5"));
    UNTIL(counts.deletes == 2);
    assert_int_equal(status().received, received + 1);
    job_queue_pause(services.queue, false);
    sqs_queues_wake(queues);
    UNTIL(status().received == received + 2);
}

static void what_is_known_does_not_wait_for_slots(void **state)
{
    (void)state;
    start();
    send_put("a.h5", "e", "01");
    settle();
    finish(job_of("a.h5"));
    for (unsigned i = 0; i < 3000; i++) {
        send_put("a.h5", "e", "01");
    }
    UNTIL(counts.deletes >= 3000);
    assert_int_equal(counts.polls_most, 8);
    assert_int_equal(ask_int("SELECT count(*) FROM jobs"), 1);
    UNTIL(!any_visible());
    assert_true(status().lost == 0);
}

static void an_idle_queue_has_one_long_poll(void **state)
{
    (void)state;
    start();
    settle();
    unsigned before = counts.receives;

    UNTIL(sqs_queues_idle(queues));
    assert_int_equal(counts.receives, before);
}

static void a_queue_that_fails_is_tried_again_and_says_so(void **state)
{
    (void)state;
    receive_says = RC_DENIED;
    start();
    UNTIL(counts.receives == 4);
    assert_non_null(strstr(status().error, "queue 'raw': receiving: no"));
    assert_true(sqs_queues_idle(queues)); /* nobody waits for it */
    receive_says = RC_OK;
    const struct message *message = send_body("{\"Event\":\"s3:TestEvent\"}");

    UNTIL(message->deleted);
    assert_string_equal(status().error, "");
}

static void a_pause_receives_nothing_and_keeps_what_is_held(void **state)
{
    (void)state;
    start();
    const struct message *held = send_put("a.h5", "e", "01");

    settle();
    sqs_queues_pause(queues, true);
    UNTIL(calls == NULL);
    const struct message *later = send_put("b.h5", "e", "01");

    finish(job_of("a.h5"));
    UNTIL(held->deleted);
    assert_false(later->hidden);
    sqs_queues_pause(queues, false);
    UNTIL(later->hidden);
}

static void the_end_gives_back_what_is_held_and_deletes_what_is_done(void **state)
{
    (void)state;
    limits.linger_ms = 100000; /* nothing is deleted by itself */
    start();
    for (unsigned i = 0; i < 14; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%u.h5", i);
        send_put(key, "e", "01");
    }
    const struct message *done = send_body("{\"Event\":\"s3:TestEvent\"}");

    UNTIL(status().held == 15 && job_of("13.h5") != 0 && job_store_pending(services.jobs) == 0);
    stop();
    assert_true(done->deleted);
    assert_int_equal(counts.given_back, 14);
    assert_false(messages[3].hidden);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(leases_are_extended_before_half_of_their_time),
        T(many_leases_are_extended_in_full_batches),
        T(a_lost_lease_is_counted_and_the_message_forgotten),
        T(extensions_that_fail_are_tried_until_the_lease_is_over),
        T(at_the_wall_a_message_is_let_go_and_attached_again),
        T(a_message_that_comes_while_it_is_held_has_its_newest_handle),
        T(deletions_go_in_batches),
        T(what_was_not_deleted_is_deleted_again),
        T(a_deletion_with_a_stale_handle_is_a_lost_lease),
        T(no_more_is_received_than_can_start),
        T(what_is_known_does_not_wait_for_slots),
        T(an_idle_queue_has_one_long_poll),
        T(a_queue_that_fails_is_tried_again_and_says_so),
        T(a_pause_receives_nothing_and_keeps_what_is_held),
        T(the_end_gives_back_what_is_held_and_deletes_what_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
