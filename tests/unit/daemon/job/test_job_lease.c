/** @file
 * Claims of two daemons on the objects of one store. The store is a directory, which keeps the same
 * promises about conditional puts; both daemons live in this process.
 */
#include "tests/unit/daemon/job/fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/job_lease.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

static char root[64];
static struct job_leases *one, *two;
static bool answered, lost;
static struct job_lease_answer last;
static struct err failure;
static char robber[JOB_LEASE_WHO];
static struct job job = {
    .object = {.key = "data/a b.h5", .etag = "e1", .version = "", .sequencer = ""}};

static struct store_ops bent_ops; /**< The store's, some of them replaced. */
static const struct store_ops *real_ops;

static void on_answer(const struct job_lease_answer *answer, const struct err *err, void *arg)
{
    (void)arg;
    assert_false(answered);
    last = *answer;
    failure = err != NULL ? *err : (struct err){.rc = RC_OK};
    answered = true;
}

static void on_lost(const char *who, void *arg)
{
    (void)arg;
    assert_false(lost);
    snprintf(robber, sizeof(robber), "%s", who);
    lost = true;
}

static enum job_lease_outcome take(struct job_leases *leases)
{
    answered = false;
    job_lease_take(leases, &job, on_lost, on_answer, NULL);
    run_until(&answered);
    return last.outcome;
}

static bool both_rest(void *arg)
{
    (void)arg;
    return !job_leases_busy(one) && !job_leases_busy(two);
}

static void on_gone(void *arg)
{
    *(bool *)arg = true;
}

static void give_up(struct job_leases *leases)
{
    bool gone = false;

    job_lease_give_up(leases, job.object.key, on_gone, &gone);
    run_until(&gone);
    assert_true(both_rest(NULL));
}

static bool claim_is_there(void)
{
    scoped(free) char *path = str_printf("%s/_claims/data/a b.h5.json", root);

    return access(path, F_OK) == 0;
}

/** As if the claim had been written so long ago. */
static void age_claim(int64_t ms)
{
    scoped(free) char *path = str_printf("%s/_claims/data/a b.h5.json", root);
    const int64_t then_ms = now_wall_ms() - ms;
    const struct timespec times[2] = {
        {.tv_sec = then_ms / 1000, .tv_nsec = then_ms % 1000 * 1000000},
        {.tv_sec = then_ms / 1000, .tv_nsec = then_ms % 1000 * 1000000}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void write_claim(const char *text)
{
    scoped(free) char *dir = str_printf("%s/_claims/data", root);
    scoped(free) char *path = str_printf("%s/a b.h5.json", dir);
    struct err err;

    assert_int_equal(fs_mkdirs(dir, 0700, &err), RC_OK);
    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, &err), RC_OK);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int set_up(void **state)
{
    struct uri *uri;
    struct err err;

    if (fixture_set_up(state) != 0) {
        return 1;
    }
    snprintf(root, sizeof(root), "/tmp/test_lease.XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(uri_parse(root, "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(services.loop, services.work, uri, &(struct store_options){0},
                                &services.processed, &err),
                     RC_OK);
    real_ops = services.processed->ops;
    bent_ops = *real_ops;
    services.processed->ops = &bent_ops;
    conf.processed_lease_ms = 60000;
    one = job_leases_new(&services, "id-one", "host-one");
    two = job_leases_new(&services, "id-two", "host-two");
    lost = false;
    return 0;
}

static int tear_down(void **state)
{
    run_until_true(both_rest, NULL);
    job_leases_free(one);
    job_leases_free(two);
    store_free(services.processed);
    services.processed = NULL;
    nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
    return fixture_tear_down(state);
}

/* ---- */

static void of_two_who_ask_one_gets_it_and_the_other_is_told_who(void **state)
{
    (void)state;

    assert_int_equal(take(one), LEASE_TAKEN);
    assert_true(claim_is_there());
    const int64_t before_ms = now_wall_ms();

    assert_int_equal(take(two), LEASE_HELD);
    assert_string_equal(last.who, "host-one");
    assert_true(last.again_ms >= before_ms + 500 && last.again_ms <= now_wall_ms() + 60000);
    assert_int_equal(job_leases_held(one), 1);
    assert_int_equal(job_leases_held(two), 0);
    give_up(one);
    assert_false(claim_is_there());
    assert_int_equal(take(two), LEASE_TAKEN);
    assert_false(lost);
}

static void who_has_it_keeps_it(void **state)
{
    (void)state;

    assert_int_equal(take(one), LEASE_TAKEN);
    job_lease_rest(one, job.object.key);
    assert_int_equal(take(one), LEASE_KEPT);
    assert_int_equal(job_leases_held(one), 1);
}

static void after_a_restart_it_is_still_ours(void **state)
{
    (void)state;

    assert_int_equal(take(one), LEASE_TAKEN);
    run_until_true(both_rest, NULL);
    job_leases_free(one);
    one = job_leases_new(&services, "id-one", "host-one");
    assert_int_equal(take(one), LEASE_KEPT);
    /* But not when somebody had it in between. */
    run_until_true(both_rest, NULL);
    age_claim(80000);
    assert_int_equal(take(two), LEASE_TAKEN);
    give_up(two);
    job_leases_free(one);
    one = job_leases_new(&services, "id-one", "host-one");
    assert_int_equal(take(one), LEASE_TAKEN);
}

static void what_is_given_up_while_it_is_taken_is_given_up(void **state)
{
    (void)state;

    answered = false;
    job_lease_take(one, &job, on_lost, on_answer, NULL);
    job_lease_give_up(one, job.object.key, NULL, NULL);
    run_until(&answered);
    run_until_true(both_rest, NULL);
    assert_false(claim_is_there());
    assert_int_equal(job_leases_held(one), 0);
    /* And what is taken while it is given up is had again. */
    assert_int_equal(take(one), LEASE_TAKEN);
    job_lease_give_up(one, job.object.key, NULL, NULL);
    assert_int_equal(take(one), LEASE_TAKEN);
    run_until_true(both_rest, NULL);
    assert_true(claim_is_there());
}

static void a_claim_that_is_not_renewed_is_a_dead_daemons(void **state)
{
    (void)state;

    assert_int_equal(take(one), LEASE_TAKEN);
    run_until_true(both_rest, NULL);
    age_claim(60500); /* some time is left for clocks that differ */
    assert_int_equal(take(two), LEASE_HELD);
    age_claim(72000);
    assert_int_equal(take(two), LEASE_TAKEN);
}

static void a_claim_is_renewed_in_time_and_changes_with_it(void **state)
{
    (void)state;
    char before[256], after[256];
    scoped(free) char *path = str_printf("%s/_claims/data/a b.h5.json", root);
    FILE *file;

    conf.processed_lease_ms = 1500;
    assert_int_equal(take(one), LEASE_TAKEN);
    file = fopen(path, "r");
    assert_non_null(fgets(before, sizeof(before), file));
    fclose(file);
    age_claim(10000); /* a beat makes it new */
    do {
        uv_run(loop_uv(services.loop), UV_RUN_ONCE);
        file = fopen(path, "r");
        assert_non_null(fgets(after, sizeof(after), file));
        fclose(file);
    } while (strcmp(before, after) == 0 && !lost);
    /* Its etag is not what we wrote (its time was set back): but the claim says that it is ours. */
    assert_false(lost);
    assert_non_null(strstr(after, "id-one"));
    assert_null(strstr(after, "\"beat\": 1,"));
}

static void who_was_robbed_is_told(void **state)
{
    (void)state;

    conf.processed_lease_ms = 1500;
    assert_int_equal(take(one), LEASE_TAKEN);
    write_claim("{\"claim\": 1, \"owner\": \"id-two\", \"who\": \"host-two\", \"since_ms\": 5}");
    run_until(&lost);
    assert_string_equal(robber, "host-two");
    assert_int_equal(job_leases_held(one), 0);
}

static void refuse_put(struct store *store, const struct store_put *puts, unsigned count,
                       store_done_fn *done, void *arg)
{
    static const struct store_put nowhere = {.key = "_claims", .bytes = "", .len = 0};

    (void)puts;
    real_ops->put(store, &nowhere, count, done, arg); /* a folder lies there: RC_INVALID */
}

static void who_cannot_renew_it_in_time_has_lost_it(void **state)
{
    (void)state;

    conf.processed_lease_ms = 200;
    assert_int_equal(take(one), LEASE_TAKEN);
    bent_ops.put = refuse_put;
    run_until(&lost);
    assert_string_equal(robber, "");
    assert_true(claim_is_there()); /* it may be another's by now */
}

static void a_claim_that_nobody_can_read_is_somebodys_until_it_is_old(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "{\"owner\": 5, \"lease_ms\": -1}"};

    for (unsigned i = 0; i < ARRAY_LEN(texts); i++) {
        write_claim(texts[i]);
        assert_int_equal(take(one), LEASE_HELD);
        assert_string_equal(last.who, "?");
        age_claim(72000);
        assert_int_equal(take(one), LEASE_TAKEN);
        give_up(one);
    }
}

static void a_store_that_fails_is_told_as_it_is(void **state)
{
    (void)state;
    scoped(free) char *path = str_printf("%s/_claims", root);
    FILE *file = fopen(path, "w");

    fclose(file); /* a file where the folder would be */
    assert_int_equal(take(one), LEASE_FAILED);
    assert_int_not_equal(failure.rc, RC_OK);
    assert_int_equal(job_leases_held(one), 0);
}

static void what_is_taken_anew_while_it_goes_is_nobodys_work_yet(void **state)
{
    (void)state;
    assert_int_equal(take(one), LEASE_TAKEN);
    job_lease_set_foreign(one, job.object.key);
    job_lease_give_up(one, job.object.key, NULL, NULL);
    assert_int_equal(take(one), LEASE_TAKEN); /* by the next version's job */
    assert_false(job_lease_is_foreign(one, job.object.key));
    assert_true(claim_is_there());
    give_up(one);
}

static void sweep(struct job_leases *leases)
{
    job_leases_sweep(leases);
    assert_true(job_leases_busy(leases));
    run_until_true(both_rest, NULL);
    assert_int_equal(job_leases_held(leases), 0);
}

static void what_a_dead_daemon_left_is_swept_and_nothing_else(void **state)
{
    (void)state;

    sweep(two); /* nothing is there yet */
    assert_int_equal(take(one), LEASE_TAKEN);
    sweep(two);
    assert_true(claim_is_there());
    age_claim(65000); /* too old by itself, but not by clocks that differ */
    sweep(two);
    assert_true(claim_is_there());
    age_claim(80000);
    job_leases_free(one); /* it died */
    one = job_leases_new(&services, "id-one", "host-one");
    sweep(one); /* its own: a job of it will ask */
    assert_true(claim_is_there());
    sweep(two);
    assert_false(claim_is_there());
}

static void who_wants_a_claim_that_is_being_swept_gets_it(void **state)
{
    (void)state;

    for (unsigned turns = 0; turns < 60; turns++) { /* wherever the sweep is by then */
        write_claim("{\"owner\": \"id-dead\", \"who\": \"dead\", \"lease_ms\": 1000}");
        age_claim(80000);
        job_leases_sweep(two);
        for (unsigned i = 0; i < turns; i++) {
            uv_run(loop_uv(services.loop), UV_RUN_NOWAIT);
        }
        assert_int_equal(take(two), LEASE_TAKEN);
        run_until_true(both_rest, NULL);
        assert_true(claim_is_there());
        assert_int_equal(job_leases_held(two), 1);
        give_up(two);
        assert_false(claim_is_there());
    }
}

static void a_sweep_is_over_soon_when_all_is_to_end(void **state)
{
    (void)state;

    write_claim("{\"owner\": \"id-dead\", \"who\": \"dead\", \"lease_ms\": 1000}");
    age_claim(80000);
    job_leases_sweep(one);
    job_leases_sweep(one); /* once more, after it */
    job_leases_quiet(one);
    run_until_true(both_rest, NULL);
    assert_true(claim_is_there());
    job_leases_sweep(one);
    assert_false(job_leases_busy(one));
}

static void the_keys_of_claims_fit(void **state)
{
    (void)state;
    char longest[1025];
    struct err err;
    scoped(free) char *plain = job_lease_key("a/b.h5");

    memset(longest, 'x', 1024);
    longest[1024] = '\0';
    scoped(free) char *hashed = job_lease_key(longest);

    assert_string_equal(plain, "_claims/a/b.h5.json");
    assert_int_equal(uri_check_key(hashed, &err), RC_OK);
    assert_int_equal(strlen(hashed), 8 + 64 + 5);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(of_two_who_ask_one_gets_it_and_the_other_is_told_who),
        CASE(who_has_it_keeps_it),
        CASE(after_a_restart_it_is_still_ours),
        CASE(what_is_given_up_while_it_is_taken_is_given_up),
        CASE(a_claim_that_is_not_renewed_is_a_dead_daemons),
        CASE(a_claim_is_renewed_in_time_and_changes_with_it),
        CASE(who_was_robbed_is_told),
        CASE(who_cannot_renew_it_in_time_has_lost_it),
        CASE(a_claim_that_nobody_can_read_is_somebodys_until_it_is_old),
        CASE(a_store_that_fails_is_told_as_it_is),
        CASE(what_is_taken_anew_while_it_goes_is_nobodys_work_yet),
        CASE(what_a_dead_daemon_left_is_swept_and_nothing_else),
        CASE(who_wants_a_claim_that_is_being_swept_gets_it),
        CASE(a_sweep_is_over_soon_when_all_is_to_end),
        CASE(the_keys_of_claims_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
