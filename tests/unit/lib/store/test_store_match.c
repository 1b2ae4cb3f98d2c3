/** @file
 * What a put into a directory may replace: nothing, or only what one has seen, and no device.
 */
#include "tests/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/store/file_put.h"
#include "lib/store/store.h"

static char root[64];
static struct loop *loop;
static struct work *work;
static struct store *store;
static struct err outcome;
static char etag[STORE_ETAG];

static void on_done(const struct err *err, void *arg)
{
    (void)arg;
    outcome = err != NULL ? *err : (struct err){.rc = RC_OK};
    loop_stop(loop);
}

static enum rc put_if(const char *key, const char *text, const char *if_match)
{
    const struct store_put put = {
        .key = key, .bytes = text, .len = strlen(text), .if_match = if_match, .ret_etag = etag};

    store_put(store, &put, 1, on_done, NULL);
    loop_run(loop);
    return outcome.rc;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    (void)state;
    struct uri *uri;
    struct err err;

    snprintf(root, sizeof(root), "/tmp/test_match.XXXXXX");
    assert_non_null(mkdtemp(root));
    loop = loop_new();
    work = work_new(loop, (unsigned[WORK_LANE_COUNT]){1, 2, 1, 1, 1});
    assert_int_equal(uri_parse(root, "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(loop, work, uri, &(struct store_options){0}, &store, &err), RC_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_put_force_named(false);
    store_free(store);
    work_free(work);
    loop_free(loop);
    nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void only_one_of_two_makes_what_must_not_be_there(void **state)
{
    (void)state;

    for (int named = 0; named < 2; named++) {
        const char *key = named ? "named/claim" : "unnamed/claim";

        file_put_force_named(named);
        assert_int_equal(put_if(key, "one", ""), RC_OK);
        assert_int_equal(put_if(key, "two", ""), RC_CONFLICT);
        assert_non_null(strstr(outcome.text, "is there already"));
    }
}

static void what_one_has_seen_is_replaced_and_nothing_else(void **state)
{
    (void)state;
    char first[STORE_ETAG], second[STORE_ETAG];

    assert_int_equal(put_if("a", "one", NULL), RC_OK);
    memcpy(first, etag, sizeof(first));
    assert_int_equal(put_if("a", "three", first), RC_OK);
    memcpy(second, etag, sizeof(second));
    assert_string_not_equal(first, second);
    assert_int_equal(put_if("a", "four", first), RC_CONFLICT);
    assert_non_null(strstr(outcome.text, "is another version by now"));
    assert_int_equal(put_if("a", "five", second), RC_OK);
    assert_int_equal(put_if("none", "six", second), RC_CONFLICT);
    assert_non_null(strstr(outcome.text, "is not there any more"));
}

static void a_put_does_not_take_a_pipe_away(void **state)
{
    (void)state;
    char pipe_path[80];
    struct stat there;

    snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", root);
    assert_int_equal(mkfifo(pipe_path, 0666), 0);
    for (int named = 0; named < 2; named++) {
        file_put_force_named(named);
        assert_int_equal(put_if("pipe", "x", NULL), RC_INVALID);
        assert_string_equal(outcome.text, "'pipe' is a device, a pipe or a socket, not a file");
        assert_int_equal(lstat(pipe_path, &there), 0);
        assert_true(S_ISFIFO(there.st_mode));
    }
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(only_one_of_two_makes_what_must_not_be_there),
        CASE(what_one_has_seen_is_replaced_and_nothing_else),
        CASE(a_put_does_not_take_a_pipe_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
