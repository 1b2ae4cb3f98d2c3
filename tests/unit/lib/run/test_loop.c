/** @file
 * Deferred calls, posts from threads, timers and the end of the loop.
 */
#include "tests/unit.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/now.h"
#include "lib/run/loop.h"

static struct loop *loop;
static char diary[64];

static void note(void *arg)
{
    size_t len = strlen(diary);

    assert_true(len + 1 < sizeof(diary));
    diary[len] = *(const char *)arg;
    diary[len + 1] = '\0';
}

static void *letter(const char *text)
{
    return (void *)(uintptr_t)text;
}

static int set_up(void **state)
{
    loop = loop_new();
    diary[0] = '\0';
    return 0;
}

static int tear_down(void **state)
{
    loop_free(loop);
    return 0;
}

static void an_idle_loop_ends_at_once(void **state)
{
    loop_run(loop);
}

static void defer_two_more(void *arg)
{
    note(letter("1"));
    loop_defer(loop, note, letter("3"));
    loop_defer(loop, note, letter("4"));
    note(letter("2"));
}

static void deferred_calls_run_later_in_their_order(void **state)
{
    loop_defer(loop, defer_two_more, NULL);
    loop_defer(loop, note, letter("x"));
    assert_string_equal(diary, "");
    loop_run(loop);
    assert_string_equal(diary, "12x34");
}

static void stop(void *arg)
{
    loop_stop(loop);
}

static void a_loop_runs_again_after_a_stop(void **state)
{
    struct loop_timer *far = loop_timer_new(loop, note, letter("f"));

    loop_timer_arm(far, 3600000);
    loop_defer(loop, stop, NULL);
    loop_run(loop);
    loop_defer(loop, note, letter("a"));
    loop_defer(loop, stop, NULL);
    loop_run(loop);
    assert_string_equal(diary, "a");
    loop_timer_free(far);
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
    struct loop_timer *late = loop_timer_new(loop, note, letter("l"));
    struct loop_timer *early = loop_timer_new(loop, note, letter("e"));
    struct loop_timer *never = loop_timer_new(loop, note, letter("n"));
    int64_t began_ms = now_mono_ms();

    loop_timer_arm(late, 30);
    loop_timer_arm(early, 1000);
    loop_timer_arm(early, 1); /* Replaces. */
    loop_timer_arm(never, 2);
    loop_timer_disarm(never);
    loop_run(loop);
    assert_string_equal(diary, "el");
    assert_in_range(now_mono_ms() - began_ms, 29, 900);
    loop_timer_free(late);
    loop_timer_free(early);
    loop_timer_free(never);
}

static struct loop_timer *own;

static void free_own(void *arg)
{
    note(arg);
    loop_timer_free(own);
}

static void a_timer_may_free_itself(void **state)
{
    own = loop_timer_new(loop, free_own, letter("t"));
    loop_timer_arm(own, -5);
    loop_run(loop);
    assert_string_equal(diary, "t");
}

static void a_freed_timer_does_not_fire(void **state)
{
    struct loop_timer *timer = loop_timer_new(loop, note, letter("x"));

    loop_timer_arm(timer, 0);
    loop_timer_free(timer);
    loop_timer_free(NULL);
    loop_run(loop);
    assert_string_equal(diary, "");
}

enum { POSTS = 1000, POSTERS = 3 };
static unsigned counts[POSTERS], total;

static void on_post(void *arg)
{
    unsigned *count = arg;

    (*count)++;
    if (++total == POSTS * POSTERS) {
        loop_stop(loop);
    }
}

static void *post_many(void *arg)
{
    for (int i = 0; i < POSTS; i++) {
        loop_post(loop, on_post, arg);
    }
    return NULL;
}

static void posts_from_threads_all_arrive(void **state)
{
    struct loop_timer *keep = loop_timer_new(loop, note, letter("x"));
    pthread_t threads[POSTERS];

    loop_timer_arm(keep, 3600000);
    for (int i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &counts[i]), 0);
    }
    loop_run(loop);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(counts[i], POSTS);
    }
    loop_timer_free(keep);
}

static void calls_that_never_ran_are_forgotten_by_the_end(void **state)
{
    loop_defer(loop, note, letter("x"));
    loop_post(loop, note, letter("y"));
    /* tear_down() frees the loop; LeakSanitizer would tell. */
}

static double longest;

static void on_lag(double seconds, void *arg)
{
    longest = seconds > longest ? seconds : longest;
}

static void spin(void *arg)
{
    int64_t until_ms = now_mono_ms() + 30;

    while (now_mono_ms() < until_ms) {
    }
}

static void lag_counts_callbacks_and_not_waiting(void **state)
{
    struct loop_timer *timer = loop_timer_new(loop, note, letter("t"));

    loop_watch_lag(loop, on_lag, NULL);
    loop_timer_arm(timer, 200);
    loop_run(loop);
    assert_true(longest < 0.15);
    loop_defer(loop, spin, NULL);
    loop_timer_arm(timer, 50); /* One more iteration, to be told. */
    loop_run(loop);
    assert_true(longest > 0.025);
    loop_watch_lag(loop, NULL, NULL);
    loop_timer_free(timer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_loop_ends_at_once),
        TEST(deferred_calls_run_later_in_their_order),
        TEST(a_loop_runs_again_after_a_stop),
        TEST(timers_fire_in_the_order_of_their_deadlines),
        TEST(a_timer_may_free_itself),
        TEST(a_freed_timer_does_not_fire),
        TEST(posts_from_threads_all_arrive),
        TEST(calls_that_never_ran_are_forgotten_by_the_end),
        TEST(lag_counts_callbacks_and_not_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
