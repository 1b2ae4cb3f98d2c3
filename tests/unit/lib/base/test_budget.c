/** @file
 * Bytes are granted in the order of asking, and never more than there are.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/base/budget.h"
#include "lib/base/mem.h"

static char diary[64]; /**< The tickets in the order of their grants. */
static struct budget *under_test;
static uint64_t most;

static void on_granted(struct budget_ticket *ticket, void *arg)
{
    size_t len = strlen(diary);

    assert_int_equal(ticket->state, BUDGET_GRANTED);
    if (len + 1 >= sizeof(diary)) {
        len = 0;
    }
    diary[len] = *(const char *)arg;
    diary[len + 1] = '\0';
    most = MAX_OF(most, budget_granted(under_test));
}

static void ask(struct budget_ticket *ticket, uint64_t bytes, const char *name)
{
    struct err err;

    assert_int_equal(
        budget_acquire(under_test, ticket, bytes, on_granted, (void *)(uintptr_t)name, &err),
        RC_OK);
}

static int set_up(void **state)
{
    under_test = budget_new(100);
    diary[0] = '\0';
    most = 0;
    return 0;
}

static int tear_down(void **state)
{
    budget_free(under_test); /* Asserts that nothing is out. */
    return 0;
}

static void what_fits_is_granted_at_once(void **state)
{
    struct budget_ticket a = {0}, b = {0};

    ask(&a, 60, "a");
    ask(&b, 40, "b");
    assert_string_equal(diary, "ab");
    assert_int_equal(budget_granted(under_test), 100);
    budget_release(under_test, &a);
    budget_release(under_test, &b);
    assert_int_equal(budget_granted(under_test), 0);
}

static void a_small_one_does_not_pass_a_large_one_in_line(void **state)
{
    struct budget_ticket a = {0}, large = {0}, small = {0};

    ask(&a, 60, "a");
    ask(&large, 80, "L");
    ask(&small, 10, "s");
    assert_string_equal(diary, "a");
    assert_int_equal(budget_waiting(under_test), 90);
    budget_release(under_test, &a);
    assert_string_equal(diary, "aLs");
    budget_release(under_test, &large);
    budget_release(under_test, &small);
}

static void leaving_the_line_lets_the_next_one_in(void **state)
{
    struct budget_ticket a = {0}, large = {0}, small = {0};

    ask(&a, 60, "a");
    ask(&large, 80, "L");
    ask(&small, 10, "s");
    budget_release(under_test, &large);
    assert_string_equal(diary, "as");
    assert_int_equal(budget_waiting(under_test), 0);
    budget_release(under_test, &a);
    budget_release(under_test, &small);
    budget_release(under_test, &small); /* Idle by now: nothing. */
    assert_int_equal(budget_granted(under_test), 0);
}

static void a_whale_is_granted_when_it_is_alone(void **state)
{
    struct budget_ticket a = {0}, whale = {0}, b = {0};

    ask(&a, 1, "a");
    ask(&whale, 400, "W");
    ask(&b, 1, "b");
    assert_string_equal(diary, "a");
    budget_release(under_test, &a);
    assert_string_equal(diary, "aW");
    budget_release(under_test, &whale);
    assert_string_equal(diary, "aWb");
    budget_release(under_test, &b);
}

static void more_than_a_whale_is_refused_with_both_numbers(void **state)
{
    struct budget_ticket ticket = {0};
    struct err err;

    assert_int_equal(budget_acquire(under_test, &ticket, 401, on_granted, NULL, &err), RC_LIMIT);
    assert_non_null(strstr(err.text, "401"));
    assert_non_null(strstr(err.text, "100"));
    assert_int_equal(ticket.state, BUDGET_IDLE);
    assert_int_equal(budget_acquire(under_test, &ticket, UINT64_MAX, on_granted, NULL, &err),
                     RC_LIMIT);
    assert_string_equal(diary, "");
}

static void giving_a_part_back_lets_the_next_one_in(void **state)
{
    struct budget_ticket a = {0}, b = {0};

    ask(&a, 100, "a");
    ask(&b, 30, "b");
    budget_shrink(under_test, &a, 20);
    assert_string_equal(diary, "a");
    budget_shrink(under_test, &a, 10);
    assert_string_equal(diary, "ab");
    budget_release(under_test, &a);
    budget_release(under_test, &b);
}

static void a_new_limit_counts_from_now(void **state)
{
    struct budget_ticket a = {0}, b = {0};

    ask(&a, 100, "a");
    budget_set_limit(under_test, 50);
    assert_int_equal(budget_granted(under_test), 100);
    ask(&b, 50, "b");
    assert_string_equal(diary, "a");
    budget_set_limit(under_test, 150);
    assert_string_equal(diary, "ab");
    budget_release(under_test, &a);
    budget_release(under_test, &b);
}

static struct budget_ticket chain[10];

static void on_chain(struct budget_ticket *ticket, void *arg)
{
    struct err err;
    size_t i = (size_t)(ticket - chain);

    /* Re-enters: gives back inside its own grant, then asks for the next. */
    budget_release(under_test, ticket);
    if (i + 1 < ARRAY_LEN(chain)) {
        budget_acquire(under_test, &chain[i + 1], 100, on_chain, NULL, &err);
    }
}

static void a_callback_may_release_and_ask_again(void **state)
{
    struct err err;

    assert_int_equal(budget_acquire(under_test, &chain[0], 100, on_chain, NULL, &err), RC_OK);
    assert_int_equal(budget_granted(under_test), 0);
    assert_int_equal(budget_waiting(under_test), 0);
}

static void a_thousand_random_moves_never_grant_too_much(void **state)
{
    struct budget_ticket tickets[20] = {0};
    unsigned seed = 12345;

    for (int i = 0; i < 5000; i++) {
        struct budget_ticket *ticket;

        seed = seed * 1103515245u + 12345u;
        ticket = &tickets[seed / 65536 % ARRAY_LEN(tickets)];
        if (ticket->state == BUDGET_IDLE) {
            ask(ticket, seed / 1024 % 100 + 1, "");
        } else {
            budget_release(under_test, ticket);
        }
        assert_true(budget_granted(under_test) <= 100);
    }
    for (size_t i = 0; i < ARRAY_LEN(tickets); i++) {
        budget_release(under_test, &tickets[i]);
    }
    assert_true(most <= 100 && most > 50);
    assert_int_equal(budget_granted(under_test), 0);
    assert_int_equal(budget_waiting(under_test), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_fits_is_granted_at_once),
        TEST(a_small_one_does_not_pass_a_large_one_in_line),
        TEST(leaving_the_line_lets_the_next_one_in),
        TEST(a_whale_is_granted_when_it_is_alone),
        TEST(more_than_a_whale_is_refused_with_both_numbers),
        TEST(giving_a_part_back_lets_the_next_one_in),
        TEST(a_new_limit_counts_from_now),
        TEST(a_callback_may_release_and_ask_again),
        TEST(a_thousand_random_moves_never_grant_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
