/** @file
 * Who is served by which sync. The program's own syncfs() stands in for the kernel's: it counts,
 * and waits to be let go.
 */
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/store/file_sync.h"

enum { ASKERS = 8 };

struct asked {
    unsigned told, syncs_then;
    enum rc rc;
};

static struct loop *loop;
static struct work *work;
static struct file_sync *sync_;
static struct file_root *root;
static struct asked asked[ASKERS];
static unsigned asked_count;
static atomic_uint syncs;
static atomic_int fails, last_fd;
static sem_t go;
static loop_fn *when_running; /**< Called on the loop, once, when a sync has begun. */

static void on_running(void *arg)
{
    loop_fn *fn = TAKE(when_running);

    if (fn != NULL) {
        fn(arg);
    }
    sem_post(&go);
}

int syncfs(int fd)
{
    atomic_store(&last_fd, fd);
    atomic_fetch_add(&syncs, 1);
    loop_post(loop, on_running, NULL);
    while (sem_wait(&go) != 0) {
    }
    if (atomic_exchange(&fails, 0) != 0) {
        errno = EIO;
        return -1;
    }
    return 0;
}

static void on_synced(const struct err *err, void *arg)
{
    struct asked *one = arg;

    one->told++;
    one->syncs_then = atomic_load(&syncs);
    one->rc = err != NULL ? err->rc : RC_OK;
}

static void ask(struct file_root *of)
{
    file_sync_ask(sync_, of, on_synced, &asked[asked_count++]);
}

static int set_up(void **state)
{
    static const unsigned widths[WORK_LANE_COUNT] = {1, 4, 1, 1, 1};

    (void)state;
    loop = loop_new();
    work = work_new(loop, widths);
    root = file_root_open("/");
    sync_ = file_sync_new(loop, work, NULL, "/");
    sem_init(&go, 0, 0);
    atomic_store(&syncs, 0);
    asked_count = 0;
    memset(asked, 0, sizeof(asked));
    return root == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    file_sync_free(sync_);
    file_root_unref(root);
    work_free(work);
    loop_free(loop);
    sem_destroy(&go);
    return 0;
}

static void who_asks_at_once_is_served_by_one(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ASKERS; i++) {
        ask(root);
    }
    assert_int_equal(asked[0].told, 0); /* always later */
    loop_run(loop);
    assert_int_equal(atomic_load(&syncs), 1);
    assert_int_equal(atomic_load(&last_fd), root->fd);
    for (unsigned i = 0; i < ASKERS; i++) {
        assert_int_equal(asked[i].told, 1);
        assert_int_equal(asked[i].rc, RC_OK);
    }
}

static void ask_three(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < 3; i++) {
        ask(root);
    }
}

static void who_asks_while_one_runs_is_served_by_the_next(void **state)
{
    (void)state;
    when_running = ask_three;
    ask(root);
    loop_run(loop);
    assert_int_equal(atomic_load(&syncs), 2);
    assert_int_equal(asked[0].syncs_then, 1);
    for (unsigned i = 1; i < 4; i++) {
        assert_int_equal(asked[i].told, 1);
        assert_int_equal(asked[i].syncs_then, 2); /* the first may not have covered it */
    }
}

static void a_failure_is_told_to_all_of_it_and_to_no_other(void **state)
{
    (void)state;
    atomic_store(&fails, 1);
    when_running = ask_three;
    ask(root);
    ask(root);
    loop_run(loop);
    assert_int_equal(asked[0].rc, RC_IO);
    assert_int_equal(asked[1].rc, RC_IO);
    assert_int_equal(asked[2].rc, RC_OK);
    assert_int_equal(atomic_load(&syncs), 2);
}

static void another_root_is_another_sync(void **state)
{
    struct file_root *other = file_root_open("/tmp");

    (void)state;
    assert_non_null(other);
    ask(root);
    ask(other);
    file_root_unref(other); /* it is held as long as it is needed */
    loop_run(loop);
    assert_int_equal(atomic_load(&syncs), 2);
    assert_int_equal(asked[0].syncs_then, 1);
    assert_int_equal(asked[1].syncs_then, 2);
    assert_int_equal(asked[1].rc, RC_OK);
}

static void a_sync_waits_for_company(void **state)
{
    struct gather *gather = gather_new(loop, 3600 * 1000);

    (void)state;
    file_sync_free(sync_);
    sync_ = file_sync_new(loop, work, gather, "/");
    gather_at_work(gather, 5);
    for (unsigned i = 0; i < 4; i++) {
        ask(root);
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
        assert_int_equal(work_running(work, WORK_FILE), 0);
    }
    when_running = ask_three;
    ask(root);
    while (asked[4].told == 0) {
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    }
    assert_int_equal(atomic_load(&syncs), 1);
    assert_int_equal(asked[0].told, 1);
    assert_int_equal(asked[5].told, 0); /* who came meanwhile waits as well */
    gather_at_work(gather, 3);
    loop_run(loop);
    assert_int_equal(atomic_load(&syncs), 2);
    assert_int_equal(asked[7].told, 1);
    file_sync_free(TAKE(sync_));
    gather_free(gather);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(who_asks_at_once_is_served_by_one),
        CASE(who_asks_while_one_runs_is_served_by_the_next),
        CASE(a_failure_is_told_to_all_of_it_and_to_no_other),
        CASE(another_root_is_another_sync),
        CASE(a_sync_waits_for_company),
    };

    return cmocka_run_group_tests_name("file_sync", tests, NULL, NULL);
}
