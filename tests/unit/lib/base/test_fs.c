/** @file
 * Our own files: whole or not at all.
 */
#include "tests/unit.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/str.h"

static char dir[64];

static char *in_dir(const char *name)
{
    static char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int set_up(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/test_fs.XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int remove_one(const char *path, const struct stat *there, int type, struct FTW *at)
{
    return remove(path);
}

static int tear_down(void **state)
{
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static unsigned count_entries(void)
{
    DIR *stream = opendir(dir);
    unsigned count = 0;

    assert_non_null(stream);
    while (readdir(stream) != NULL) {
        count++;
    }
    closedir(stream);
    return count - 2;
}

static void what_is_no_file_is_not_replaced(void **state)
{
    struct err err;
    struct stat there;
    scoped(free) char *pipe = str_dup(in_dir("pipe")), *link = str_dup(in_dir("link"));

    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(symlink(pipe, link), 0);
    assert_int_equal(fs_write_file(pipe, "x", 1, 0600, &err), RC_INVALID);
    assert_int_equal(fs_write_file(link, "x", 1, 0600, &err), RC_INVALID);
    assert_int_equal(lstat(pipe, &there), 0);
    assert_true(S_ISFIFO(there.st_mode));
    assert_int_equal(count_entries(), 2);
}

static void directories_are_made_with_their_parents(void **state)
{
    struct err err;
    struct stat there;

    assert_int_equal(fs_mkdirs(in_dir("a//b/c/"), 0750, &err), RC_OK);
    assert_int_equal(stat(in_dir("a/b/c"), &there), 0);
    assert_int_equal(fs_mkdirs(in_dir("a/b/c"), 0700, &err), RC_OK);
    assert_int_equal(stat(in_dir("a/b/c"), &there), 0);
    assert_int_equal(there.st_mode & 0777, 0750);
}

static void a_file_in_the_way_is_named(void **state)
{
    struct err err;

    assert_int_equal(fs_write_file(in_dir("f"), "x", 1, 0644, &err), RC_OK);
    assert_int_equal(fs_mkdirs(in_dir("f/g"), 0755, &err), RC_NOT_FOUND);
    assert_non_null(strstr(err.text, "f/g'"));
    assert_int_equal(fs_mkdirs("", 0755, &err), RC_INVALID);
}

static void what_is_written_is_read(void **state)
{
    struct err err;
    struct stat there;
    scoped(free) char *bytes = NULL;
    size_t len = 0;

    assert_int_equal(fs_write_file(in_dir("f"), "a\0b", 3, 0640, &err), RC_OK);
    assert_int_equal(fs_write_file(in_dir("f"), "c\0de", 4, 0640, &err), RC_OK);
    assert_int_equal(fs_read_file(in_dir("f"), 4, &bytes, &len, &err), RC_OK);
    assert_int_equal(len, 4);
    assert_memory_equal(bytes, "c\0de", 5);
    assert_int_equal(stat(in_dir("f"), &there), 0);
    assert_int_equal(there.st_mode & 0777, 0640);
    assert_int_equal(count_entries(), 1); /* Nothing beside it. */
}

static void a_long_file_is_read_and_one_too_long_is_refused(void **state)
{
    struct err err;
    size_t len = 100000, got = 0;
    scoped(free) char *bytes = calloc(1, len);
    scoped(free) char *again = NULL;

    assert_int_equal(fs_write_file(in_dir("f"), bytes, len, 0600, &err), RC_OK);
    assert_int_equal(fs_read_file(in_dir("f"), len, &again, &got, &err), RC_OK);
    assert_int_equal(got, len);
    free(again);
    again = NULL;
    assert_int_equal(fs_read_file(in_dir("f"), len - 1, &again, &got, &err), RC_LIMIT);
    assert_null(again);
    assert_non_null(strstr(err.text, "longer than 99999 bytes"));
}

static void an_empty_file_is_an_empty_string(void **state)
{
    struct err err;
    scoped(free) char *bytes = NULL;

    assert_int_equal(fs_write_file(in_dir("f"), "", 0, 0600, &err), RC_OK);
    assert_int_equal(fs_read_file(in_dir("f"), 0, &bytes, NULL, &err), RC_OK);
    assert_string_equal(bytes, "");
}

static void what_is_not_there_is_not_found(void **state)
{
    struct err err;
    scoped(free) char *bytes = NULL;

    assert_int_equal(fs_read_file(in_dir("none"), 10, &bytes, NULL, &err), RC_NOT_FOUND);
    assert_int_equal(fs_write_file(in_dir("none/f"), "x", 1, 0600, &err), RC_NOT_FOUND);
    assert_null(bytes);
}

static void a_full_disk_leaves_no_trace(void **state)
{
    struct err err;
    FILE *full = fopen("/dev/full", "w");

    if (full == NULL) {
        skip();
    }
    assert_int_equal(fs_write_all(fileno(full), "x", 1, &err), RC_NO_SPACE);
    fclose(full);
}

static void a_target_that_is_a_directory_leaves_no_trace(void **state)
{
    struct err err;

    assert_int_equal(fs_mkdirs(in_dir("d"), 0755, &err), RC_OK);
    assert_int_not_equal(fs_write_file(in_dir("d"), "x", 1, 0600, &err), RC_OK);
    assert_int_equal(count_entries(), 1);
}

static void joining_puts_one_slash_between(void **state)
{
    static const struct {
        const char *dir, *name, *wanted;
    } cases[] = {{"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"a//", "/b", "a/b"}, {"/", "b", "/b"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scoped(free) char *joined = fs_join(cases[i].dir, cases[i].name);

        assert_string_equal(joined, cases[i].wanted);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void a_directory_lies_in_another_by_whatever_way(void **state)
{
    (void)state;
    char top[] = "/tmp/test_fs_lies.XXXXXX";
    struct err err;

    assert_non_null(mkdtemp(top));
    scoped(free) char *below = fs_join(top, "a/b");
    scoped(free) char *link = fs_join(top, "link");
    scoped(free) char *a = fs_join(top, "a");
    scoped(free) char *through = fs_join(link, "b");
    scoped(free) char *none = fs_join(top, "none");

    assert_int_equal(fs_mkdirs(below, 0700, &err), RC_OK);
    assert_int_equal(symlink(a, link), 0);
    assert_true(fs_lies_in(below, top));
    assert_true(fs_lies_in(below, "/"));
    assert_true(fs_lies_in("/", "/"));
    assert_true(fs_lies_in(a, link));
    assert_true(fs_lies_in(through, a));
    assert_false(fs_lies_in(a, below));
    assert_false(fs_lies_in(none, top));
    assert_false(fs_lies_in(top, none));
    unlink(link), rmdir(below), rmdir(a), rmdir(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(directories_are_made_with_their_parents),
        TEST(a_file_in_the_way_is_named),
        TEST(what_is_written_is_read),
        TEST(a_long_file_is_read_and_one_too_long_is_refused),
        TEST(an_empty_file_is_an_empty_string),
        TEST(what_is_not_there_is_not_found),
        TEST(a_full_disk_leaves_no_trace),
        TEST(a_target_that_is_a_directory_leaves_no_trace),
        TEST(what_is_no_file_is_not_replaced),
        TEST(joining_puts_one_slash_between),
        TEST(a_directory_lies_in_another_by_whatever_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
