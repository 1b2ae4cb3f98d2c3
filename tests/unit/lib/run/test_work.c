/** @file
 * Lanes: a width each, first come first served, and a `done` for every task.
 */
#include "tests/unit.h"

#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/run/work.h"

static struct loop *loop;
static struct work *work;

/** A gate that workers wait at, so that a test decides when they go on. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool open_gate;
static unsigned inside, most_inside;

static char diary[64]; /**< What `done` saw: a letter, in upper case when canceled. */

struct task {
    char name;
    unsigned runs, ends;
};

static void on_run(void *arg)
{
    struct task *task = arg;

    pthread_mutex_lock(&lock);
    task->runs++;
    inside++;
    most_inside = MAX_OF(most_inside, inside);
    pthread_cond_broadcast(&changed);
    while (!open_gate) {
        pthread_cond_wait(&changed, &lock);
    }
    inside--;
    pthread_mutex_unlock(&lock);
}

static void on_done(void *arg, bool canceled)
{
    struct task *task = arg;
    size_t len = strlen(diary);

    task->ends++;
    diary[len] = canceled ? (char)(task->name - 'a' + 'A') : task->name;
    diary[len + 1] = '\0';
}

static void set_gate(bool open)
{
    pthread_mutex_lock(&lock);
    open_gate = open;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void wait_inside(unsigned count)
{
    pthread_mutex_lock(&lock);
    while (inside < count) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static int set_up(void **state)
{
    static const unsigned widths[WORK_LANE_COUNT] = {
        [WORK_CPU] = 2, [WORK_FILE] = 2, [WORK_READ] = 1, [WORK_STATE] = 1, [WORK_CATALOG] = 1};

    loop = loop_new();
    work = work_new(loop, widths);
    diary[0] = '\0';
    most_inside = 0;
    open_gate = true;
    return 0;
}

static int tear_down(void **state)
{
    work_free(work);
    loop_free(loop);
    return 0;
}

static void every_task_runs_and_ends_once(void **state)
{
    struct task tasks[26] = {0};

    for (int i = 0; i < 26; i++) {
        tasks[i].name = (char)('a' + i);
        work_submit(work, WORK_STATE, on_run, on_done, &tasks[i]);
    }
    assert_string_equal(diary, ""); /* Always later. */
    loop_run(loop);
    assert_string_equal(diary, "abcdefghijklmnopqrstuvwxyz"); /* One wide: in order. */
    for (int i = 0; i < 26; i++) {
        assert_int_equal(tasks[i].runs, 1);
        assert_int_equal(tasks[i].ends, 1);
    }
    assert_int_equal(work_finished(work), 26);
}

static void a_lane_is_never_wider_than_its_width(void **state)
{
    struct task tasks[6] = {0};

    set_gate(false);
    for (int i = 0; i < 6; i++) {
        tasks[i].name = 'x';
        work_submit(work, WORK_CPU, on_run, on_done, &tasks[i]);
    }
    wait_inside(2);
    assert_int_equal(work_running(work, WORK_CPU), 2);
    assert_int_equal(work_queued(work, WORK_CPU), 4);
    set_gate(true);
    loop_run(loop);
    assert_int_equal(most_inside, 2);
    assert_int_equal(work_running(work, WORK_CPU), 0);
}

static void a_full_lane_does_not_hold_up_another(void **state)
{
    struct task slow[4] = {{'s'}, {'s'}, {'s'}, {'s'}}, quick = {'q'};

    set_gate(false);
    for (int i = 0; i < 4; i++) {
        work_submit(work, WORK_FILE, on_run, on_done, &slow[i]);
    }
    work_submit(work, WORK_READ, on_run, on_done, &quick);
    wait_inside(3); /* Two of the files and the read: it did not wait behind them. */
    assert_int_equal(work_running(work, WORK_READ), 1);
    set_gate(true);
    loop_run(loop);
    assert_int_equal(strlen(diary), 5);
}

static void what_has_not_begun_can_be_canceled(void **state)
{
    struct task a = {'a'}, b = {'b'}, c = {'c'};
    struct work_task *ticket_a, *ticket_b;

    set_gate(false);
    ticket_a = work_submit(work, WORK_STATE, on_run, on_done, &a);
    ticket_b = work_submit(work, WORK_STATE, on_run, on_done, &b);
    work_submit(work, WORK_STATE, on_run, on_done, &c);
    wait_inside(1);
    work_cancel(ticket_b);
    work_cancel(ticket_b);
    work_cancel(ticket_a); /* Runs already: it will end as usual. */
    assert_string_equal(diary, "");
    assert_int_equal(work_queued(work, WORK_STATE), 1);
    set_gate(true);
    loop_run(loop);
    assert_int_equal(b.runs, 0);
    assert_int_equal(b.ends, 1);
    assert_int_equal(strlen(diary), 3);
    assert_non_null(strchr(diary, 'B'));
    assert_non_null(strchr(diary, 'a'));
    assert_non_null(strchr(diary, 'c'));
}

static void submit_again(void *arg, bool canceled)
{
    struct task *task = arg;

    if (++task->ends < 50) {
        work_submit(work, WORK_CPU, on_run, submit_again, task);
    }
}

static void done_may_submit_more(void **state)
{
    struct task task = {'t'};

    work_submit(work, WORK_CPU, on_run, submit_again, &task);
    loop_run(loop);
    assert_int_equal(task.runs, 50);
}

static void time_spent_is_counted(void **state)
{
    struct task task = {'t'};

    assert_int_equal(work_busy_us(work, WORK_CPU), 0);
    assert_int_equal(work_width(work, WORK_CPU), 2);
    set_gate(false);
    work_submit(work, WORK_CPU, on_run, on_done, &task);
    wait_inside(1);
    uv_sleep(2);
    set_gate(true);
    loop_run(loop);
    assert_true(work_busy_us(work, WORK_CPU) >= 1000);
    assert_int_equal(work_busy_us(work, WORK_FILE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_task_runs_and_ends_once),
        TEST(a_lane_is_never_wider_than_its_width),
        TEST(a_full_lane_does_not_hold_up_another),
        TEST(what_has_not_begun_can_be_canceled),
        TEST(done_may_submit_more),
        TEST(time_spent_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
