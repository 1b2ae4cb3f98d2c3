/** @file
 * The order of keys, and what a listing does while its store changes.
 */
#include "tests/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/store/file_list.h"

static char root[64];
static int root_fd;
static struct file_list *list;
static struct strbuf shown;
static struct err err;

static void make(const char *key)
{
    scoped(free) char *path = str_printf("%s/%s", root, key);
    int fd;

    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT, 0666);
    assert_true(fd >= 0);
    close(fd);
}

/** One page's keys, each with ' ', and "…" when more follow. */
static const char *page(const char *prefix, const char *after, unsigned max)
{
    struct file_list_page got;

    strbuf_reset(&shown);
    assert_int_equal(file_list_page(list, root_fd, prefix, after, max, &got, &err), RC_OK);
    for (unsigned i = 0; i < got.count; i++) {
        strbuf_printf(&shown, "%s ", got.objects[i].key);
    }
    strbuf_puts(&shown, got.more ? "…" : "");
    assert_false(got.partial);
    file_list_page_done(&got);
    return strbuf_text(&shown);
}

/** All keys in pages of `max`, each checked to come after the one before; how many there are. */
static unsigned walk(const char *prefix, unsigned max)
{
    scoped(free) char *after = str_dup("");
    unsigned count = 0;
    bool more = true;

    while (more) {
        struct file_list_page got;

        assert_int_equal(file_list_page(list, root_fd, prefix, after, max, &got, &err), RC_OK);
        for (unsigned i = 0; i < got.count; i++) {
            assert_true(strcmp(got.objects[i].key, after) > 0);
            free(after);
            after = str_dup(got.objects[i].key);
        }
        count += got.count;
        more = got.more;
        assert_true(got.count == max || !more);
        file_list_page_done(&got);
    }
    return count;
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/test_list.XXXXXX");
    assert_non_null(mkdtemp(root));
    root_fd = open(root, O_RDONLY | O_DIRECTORY);
    list = file_list_new();
    return 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    file_list_free(list);
    strbuf_done(&shown);
    close(root_fd);
    nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void keys_ascend_as_whole_strings(void **state)
{
    (void)state;
    make("a/b"), make("ab"), make("a-b"), make("a/a/z"), make("a0"), make("\xc3\xa4"), make("B");
    assert_string_equal(page("", "", 10), "B a-b a/a/z a/b a0 ab \xc3\xa4 ");
    for (unsigned max = 1; max < 9; max++) {
        assert_int_equal(walk("", max), 7);
    }
}

static void a_page_goes_on_after_any_key_even_one_that_is_not_there(void **state)
{
    (void)state;
    make("a/b"), make("a/c/1"), make("a/c/2"), make("d");
    assert_string_equal(page("", "a", 10), "a/b a/c/1 a/c/2 d ");
    assert_string_equal(page("", "a/b", 10), "a/c/1 a/c/2 d ");
    assert_string_equal(page("", "a/c", 10), "a/c/1 a/c/2 d ");
    assert_string_equal(page("", "a/c/1", 10), "a/c/2 d ");
    assert_string_equal(page("", "a/c/1x", 10), "a/c/2 d ");
    assert_string_equal(page("", "a/c/zzz", 10), "d ");
    assert_string_equal(page("", "a/c/1/deeper", 10), "a/c/2 d ");
    assert_string_equal(page("", "d", 10), "");
    assert_string_equal(page("", "\xff", 10), "");
    assert_string_equal(page("", "a/", 2), "a/b a/c/1 …");
}

static void a_prefix_need_not_end_at_a_slash(void **state)
{
    (void)state;
    make("data/vil/1"), make("data/vis/1"), make("data/ir"), make("database");
    assert_string_equal(page("data", "", 10), "data/ir data/vil/1 data/vis/1 database ");
    assert_string_equal(page("data/", "", 10), "data/ir data/vil/1 data/vis/1 ");
    assert_string_equal(page("data/vi", "", 10), "data/vil/1 data/vis/1 ");
    assert_string_equal(page("data/vi", "data/vil/1", 10), "data/vis/1 ");
    assert_string_equal(page("data/vi", "data/w", 10), "");
    assert_string_equal(page("data/vi", "a", 10), "data/vil/1 data/vis/1 ");
    assert_string_equal(page("data/vil/1", "", 10), "data/vil/1 ");
    assert_string_equal(page("data/vil/1/", "", 10), "");
    assert_string_equal(page("nothing/", "", 10), "");
    assert_string_equal(page("../", "", 10), "");
    assert_string_equal(page("/", "", 10), "");
}

static void more_is_said_only_when_more_follows(void **state)
{
    (void)state;
    make("a"), make("b");
    mkdir(root, 0777);
    scoped(free) char *empty = str_printf("%s/empty", root);
    mkdir(empty, 0777);
    assert_string_equal(page("", "", 1), "a …");
    assert_string_equal(page("", "a", 1), "b "); /* an empty directory is nothing */
    assert_string_equal(page("", "", 2), "a b ");
}

static void a_directory_larger_than_the_window_is_listed_all_the_same(void **state)
{
    (void)state;
    char key[64];

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), i % 7 == 0 ? "big/%u/x" : "big/%u", i * 7919u % 3000u);
        make(key);
    }
    make("a"), make("z");
    assert_int_equal(walk("", 100), 3002);
    file_list_set_window(list, 1); /* the least there is: 16 KiB a level */
    assert_int_equal(walk("", 100), 3002);
    assert_int_equal(walk("", 7), 3002);
    assert_true(file_list_bytes(list) < 200000);
    assert_int_equal(walk("big/1", 10), 1111);
}

static void what_is_put_or_removed_between_pages_is_seen(void **state)
{
    (void)state;
    scoped(free) char *gone = str_printf("%s/d/5", root);

    make("d/1"), make("d/3"), make("d/5"), make("e");
    assert_string_equal(page("", "", 1), "d/1 …");
    make("d/2"), make("d/0");
    assert_string_equal(page("", "d/1", 1), "d/2 …");
    unlink(gone);
    make("dd");
    assert_string_equal(page("", "d/2", 9), "d/3 dd e ");
}

static void a_directory_that_moves_away_between_pages_ends_its_keys(void **state)
{
    (void)state;
    scoped(free) char *from = str_printf("%s/m", root);
    scoped(free) char *to = str_printf("%s/z", root);

    make("a"), make("m/1"), make("m/2"), make("n");
    assert_string_equal(page("", "", 2), "a m/1 …");
    assert_int_equal(rename(from, to), 0);
    assert_string_equal(page("", "m/1", 9), "n z/1 z/2 ");
}

static void a_tree_deeper_than_descriptors_are_kept_is_walked(void **state)
{
    (void)state;
    char key[400] = "";
    unsigned made = 0;

    for (unsigned depth = 0; depth < 100; depth++) {
        size_t len = strlen(key);

        snprintf(key + len, sizeof(key) - len, "d/");
        if (depth % 3 == 0) {
            char leaf[420];

            snprintf(leaf, sizeof(leaf), "%sa", key);
            make(leaf);
            snprintf(leaf, sizeof(leaf), "%sz", key);
            make(leaf);
            made += 2;
        }
    }
    assert_int_equal(walk("", 1000), made);
    assert_int_equal(walk("", 3), made);
}

static void keys_longer_than_a_path_are_no_objects(void **state)
{
    (void)state;
    char name[201];
    int dir = dup(root_fd);

    memset(name, 'n', 200);
    name[200] = '\0';
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(mkdirat(dir, name, 0777), 0);
        int next = openat(dir, name, O_RDONLY | O_DIRECTORY);
        int fd = openat(next, "f", O_WRONLY | O_CREAT, 0666);

        close(fd);
        close(dir);
        dir = next;
    }
    close(dir);
    /* 20 levels of 201 bytes and "f" are 4,021 bytes; the next would be 4,222. */
    assert_int_equal(walk("", 10), 20);
    for (unsigned i = 30; i-- > 0;) { /* nftw cannot reach that deep */
        dir = dup(root_fd);
        for (unsigned k = 0; k < i; k++) {
            int next = openat(dir, name, O_RDONLY | O_DIRECTORY);

            close(dir);
            dir = next;
        }
        int last = openat(dir, name, O_RDONLY | O_DIRECTORY);

        unlinkat(last, "f", 0);
        close(last);
        unlinkat(dir, name, AT_REMOVEDIR);
        close(dir);
    }
}

static void two_listings_that_take_turns_do_not_mix(void **state)
{
    (void)state;
    make("a/1"), make("a/2"), make("b/1"), make("b/2");
    assert_string_equal(page("a/", "", 1), "a/1 …");
    assert_string_equal(page("b/", "", 1), "b/1 …");
    assert_string_equal(page("a/", "a/1", 1), "a/2 ");
    assert_string_equal(page("b/", "b/1", 1), "b/2 ");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(keys_ascend_as_whole_strings),
        CASE(a_page_goes_on_after_any_key_even_one_that_is_not_there),
        CASE(a_prefix_need_not_end_at_a_slash),
        CASE(more_is_said_only_when_more_follows),
        CASE(a_directory_larger_than_the_window_is_listed_all_the_same),
        CASE(what_is_put_or_removed_between_pages_is_seen),
        CASE(a_directory_that_moves_away_between_pages_ends_its_keys),
        CASE(a_tree_deeper_than_descriptors_are_kept_is_walked),
        CASE(keys_longer_than_a_path_are_no_objects),
        CASE(two_listings_that_take_turns_do_not_mix),
    };
    return cmocka_run_group_tests_name("file_list", tests, NULL, NULL);
}
