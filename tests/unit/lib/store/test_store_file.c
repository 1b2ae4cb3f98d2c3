/** @file
 * A directory that behaves like a bucket.
 */
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/store/file_path.h"
#include "lib/store/file_put.h"
#include "lib/store/store.h"

static char dir[64]; /**< Holds the root and what lies outside it. */
static char root[80];
static const struct store_options make = {.create = true}, leave = {0};
static struct loop *loop;
static struct work *work;
static struct store *store;
static bool answered, more;
static struct err outcome;
static struct strbuf shown; /**< Keys of a page, each with a '\n'; or etag of a head. */
static uint64_t object_size, progress_bytes;

static void until_answered(void)
{
    if (!answered) {
        loop_run(loop);
    }
    assert_true(answered);
    answered = false;
}

static void note(const struct err *err)
{
    assert_false(answered);
    answered = true;
    outcome = err != NULL ? *err : (struct err){.rc = RC_OK};
    loop_stop(loop);
}

static void on_done(const struct err *err, void *arg)
{
    (void)arg;
    note(err);
}

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    (void)arg;
    strbuf_reset(&shown);
    if (object != NULL) {
        strbuf_puts(&shown, object->etag);
        object_size = object->size;
    }
    note(err);
}

static void on_list(const struct store_object *objects, unsigned count, bool more_follow,
                    const struct err *err, void *arg)
{
    (void)arg;
    strbuf_reset(&shown);
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(&shown, "%s\n", objects[i].key);
    }
    more = more_follow;
    note(err);
}

static void on_progress(uint64_t bytes, void *arg)
{
    (void)arg;
    assert_false(answered);
    assert_true(bytes >= progress_bytes);
    progress_bytes = bytes;
}

static enum rc put(const char *key, const char *text)
{
    store_put(store, &(struct store_put){.key = key, .bytes = text, .len = strlen(text)}, 1,
              on_done, NULL);
    until_answered();
    return outcome.rc;
}

static enum rc head(const char *key)
{
    store_head(store, key, on_head, NULL);
    until_answered();
    return outcome.rc;
}

static enum rc get(const char *key, const char *etag, uint64_t offset, size_t len, char *buffer)
{
    store_get(store, key, NULL, etag, offset, len, buffer, on_done, NULL);
    until_answered();
    return outcome.rc;
}

static const char *list(const char *prefix, const char *after, unsigned max)
{
    store_list(store, prefix, after, max, on_list, NULL);
    until_answered();
    return outcome.rc == RC_OK ? strbuf_text(&shown) : rc_name(outcome.rc);
}

static enum rc remove_key(const char *key)
{
    store_remove(store, &key, 1, on_done, NULL);
    until_answered();
    return outcome.rc;
}

/** A file of the file system below `dir`, past the store. */
static void write_file(const char *name, const char *text)
{
    scoped(free) char *path = str_printf("%s/%s", dir, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static bool exists(const char *name)
{
    scoped(free) char *path = str_printf("%s/%s", dir, name);
    struct stat st;

    return lstat(path, &st) == 0;
}

static void make_link(const char *target, const char *name)
{
    scoped(free) char *path = str_printf("%s/%s", root, name);

    assert_int_equal(symlink(target, path), 0);
}

static void make_dir(const char *name)
{
    scoped(free) char *path = str_printf("%s/%s", root, name);

    assert_int_equal(mkdir(path, 0777), 0);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int temps;

static int count_temp(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    temps += strstr(path, ".tmp") != NULL;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    struct uri *uri;
    struct err err;

    snprintf(dir, sizeof(dir), "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(root, sizeof(root), "%s/root", dir);
    loop = loop_new();
    work = work_new(loop, (unsigned[WORK_LANE_COUNT]){1, 2, 1, 1, 1});
    assert_int_equal(uri_parse(root, "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(loop, work, uri, &make, &store, &err), RC_OK);
    progress_bytes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temps = 0;
    nftw(dir, count_temp, 16, FTW_PHYS);
    assert_int_equal(temps, 0); /* no test leaves a temporary name behind */
    file_path_force_walk(false);
    file_put_force_named(false);
    store_free(store);
    work_free(work);
    loop_free(loop);
    strbuf_done(&shown);
    nftw(dir, drop, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void what_was_put_is_got(void **state)
{
    (void)state;
    char buffer[16] = {0};

    assert_int_equal(put("a/b/c.txt", "hello world"), RC_OK);
    assert_int_equal(get("a/b/c.txt", NULL, 0, 11, buffer), RC_OK);
    assert_string_equal(buffer, "hello world");
    assert_int_equal(get("a/b/c.txt", NULL, 6, 3, buffer), RC_OK);
    assert_memory_equal(buffer, "wor", 3);
    assert_int_equal(head("a/b/c.txt"), RC_OK);
    assert_int_equal(object_size, 11);
    assert_int_equal(put("empty", ""), RC_OK);
    assert_int_equal(get("empty", NULL, 0, 0, buffer), RC_OK);
}

static void one_put_task_takes_many_objects(void **state)
{
    (void)state;
    const struct store_put puts[] = {
        {"x/1", "a", 1, NULL}, {"x/2", "b", 1, NULL}, {"y", "c", 1, NULL}};

    store_put(store, puts, 3, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(list("", "", 10), "x/1\nx/2\ny\n");
}

static void a_put_replaces_and_the_etag_changes(void **state)
{
    (void)state;
    scoped(free) char *before = NULL;
    char buffer[8] = {0};

    assert_int_equal(put("k", "one"), RC_OK);
    assert_int_equal(head("k"), RC_OK);
    before = str_dup(strbuf_text(&shown));
    assert_int_equal(get("k", before, 0, 3, buffer), RC_OK);
    assert_int_equal(head("k"), RC_OK);
    assert_string_equal(strbuf_text(&shown), before);

    assert_int_equal(put("k", "two"), RC_OK);
    assert_int_equal(head("k"), RC_OK);
    assert_string_not_equal(strbuf_text(&shown), before);
    assert_int_equal(get("k", before, 0, 3, buffer), RC_CHANGED);
    assert_non_null(strstr(outcome.text, "'k'"));
    assert_int_equal(get("k", strbuf_text(&shown), 0, 3, buffer), RC_OK);
    assert_string_equal(buffer, "two");
}

static void a_range_past_the_end_is_corrupt(void **state)
{
    (void)state;
    char buffer[8];

    assert_int_equal(put("k", "four"), RC_OK);
    assert_int_equal(get("k", NULL, 0, 5, buffer), RC_CORRUPT);
    assert_int_equal(get("k", NULL, 4, 1, buffer), RC_CORRUPT);
    assert_int_equal(get("k", NULL, UINT64_MAX, 5, buffer), RC_CORRUPT);
    assert_int_equal(get("k", NULL, UINT64_MAX - 3, 5, buffer), RC_CORRUPT);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    char buffer[8];

    assert_int_equal(head("no"), RC_NOT_FOUND);
    assert_int_equal(get("no/such", NULL, 0, 1, buffer), RC_NOT_FOUND);
    assert_int_equal(put("file", "x"), RC_OK);
    assert_int_equal(head("file/below"), RC_NOT_FOUND);
    assert_int_equal(remove_key("no"), RC_OK);
    assert_int_equal(remove_key("file/below"), RC_OK);
    assert_int_equal(head("file"), RC_OK);
}

static void keys_that_lead_out_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"../outside", "a/../../outside", "/etc/passwd", "..", "",
                                      "a//b"};
    char buffer[8];

    write_file("outside", "secret");
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(put(bad[i], "x"), RC_INVALID);
        assert_int_equal(head(bad[i]), RC_INVALID);
        assert_int_equal(get(bad[i], NULL, 0, 1, buffer), RC_INVALID);
        assert_int_equal(remove_key(bad[i]), RC_INVALID);
    }
    assert_true(exists("outside"));
}

static void check_links(void)
{
    char buffer[8];

    assert_int_equal(head("out"), RC_INVALID);
    assert_int_equal(get("out", NULL, 0, 1, buffer), RC_INVALID);
    assert_int_equal(get("absolute", NULL, 0, 1, buffer), RC_INVALID);
    assert_int_not_equal(get("up/outside", NULL, 0, 1, buffer), RC_OK);
    assert_int_not_equal(put("up/new", "x"), RC_OK);
    assert_false(exists("new"));
    assert_int_equal(remove_key("out"), RC_OK);
    assert_true(exists("outside"));
    /* A put takes the link's place and leaves its target alone. */
    assert_int_equal(put("absolute", "mine"), RC_OK);
    assert_int_equal(get("absolute", NULL, 0, 4, buffer), RC_OK);
    assert_memory_equal(buffer, "mine", 4);
}

static void make_links(void)
{
    write_file("outside", "secret");
    make_link("../outside", "out");
    make_link("/etc/passwd", "absolute");
    make_link("..", "up");
    make_link("self", "self");
}

static void links_that_lead_out_are_refused(void **state)
{
    (void)state;
    make_links();
    assert_string_equal(list("", "", 10), "");
    assert_string_equal(list("up/", "", 10), "");
    check_links();
}

static void links_are_refused_where_the_kernel_cannot_resolve_beneath(void **state)
{
    (void)state;
    file_path_force_walk(true);
    make_links();
    assert_string_equal(list("", "", 10), "");
    check_links();
    assert_int_equal(put("d/e/f", "x"), RC_OK);
    assert_string_equal(list("", "", 10), "absolute\nd/e/f\n");
    assert_int_equal(remove_key("d/e/f"), RC_OK);
    assert_false(exists("root/d"));
}

static void a_link_to_a_file_inside_is_an_object(void **state)
{
    (void)state;
    char buffer[8];

    assert_int_equal(put("d/real", "x"), RC_OK);
    make_link("d/real", "alias");
    make_link("d", "dir-alias");
    assert_string_equal(list("", "", 10), "alias\nd/real\n");
    assert_int_equal(get("alias", NULL, 0, 1, buffer), RC_OK);
}

static void directories_pipes_and_hidden_names_are_no_objects(void **state)
{
    (void)state;
    scoped(free) char *pipe_path = str_printf("%s/pipe", root);
    char buffer[8];

    make_dir("d");
    assert_int_equal(mkfifo(pipe_path, 0666), 0);
    write_file("root/.hidden", "x");
    make_dir(".git");
    write_file("root/.git/config", "x");
    assert_string_equal(list("", "", 10), "");
    assert_string_equal(list(".git/", "", 10), "");
    assert_string_equal(list(".h", "", 10), "");
    assert_int_equal(head("d"), RC_INVALID);
    assert_non_null(strstr(outcome.text, "'d' is a directory"));
    assert_int_equal(get("pipe", NULL, 0, 1, buffer), RC_INVALID);
    assert_int_equal(head(".hidden"), RC_NOT_FOUND);
    assert_int_equal(get(".git/config", NULL, 0, 1, buffer), RC_NOT_FOUND);
    assert_int_equal(put(".x", "x"), RC_INVALID);
    assert_int_equal(put("a/.x/b", "x"), RC_INVALID);
}

static void a_put_over_a_directory_or_below_a_file_names_the_key(void **state)
{
    (void)state;
    assert_int_equal(put("d/file", "x"), RC_OK);
    assert_int_equal(put("d", "x"), RC_INVALID);
    assert_string_equal(outcome.text, "put 'd': there is a directory of that name");
    assert_int_equal(put("d/file/below", "x"), RC_INVALID);
    assert_string_equal(outcome.text, "put 'd/file/below': a part of the key is a file");
    assert_int_equal(put("d/file/far/below", "x"), RC_INVALID);
}

static void removing_prunes_empty_directories_but_not_others(void **state)
{
    (void)state;
    assert_int_equal(put("a/b/c/1", "x"), RC_OK);
    assert_int_equal(put("a/b/2", "x"), RC_OK);
    assert_int_equal(remove_key("a/b/c/1"), RC_OK);
    assert_false(exists("root/a/b/c"));
    assert_true(exists("root/a/b/2"));
    assert_int_equal(remove_key("a/b/2"), RC_OK);
    assert_false(exists("root/a"));
    assert_true(exists("root"));

    static const char *const keys[] = {"x/1", "x/2", "y/1", "missing", "z"};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(i == 3 ? RC_OK : put(keys[i], "x"), RC_OK);
    }
    store_remove(store, keys, 5, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_false(exists("root/x"));
    assert_string_equal(list("", "", 10), "");
}

static void removing_a_directory_of_that_name_removes_nothing(void **state)
{
    (void)state;
    assert_int_equal(put("d/1", "x"), RC_OK);
    assert_int_equal(remove_key("d"), RC_OK);
    assert_int_equal(head("d/1"), RC_OK);
}

static void hostile_names_are_listed_as_they_are(void **state)
{
    (void)state;
    static const char *const names[] = {"root/a\nb", "root/\xff\xfe", "root/ ", "root/-rf",
                                        "root/~"};
    char long_name[300] = "root/";
    char buffer[8];

    for (unsigned i = 0; i < 5; i++) {
        write_file(names[i], "x");
    }
    memset(long_name + 5, 'l', 255);
    write_file(long_name, "x");
    assert_non_null(strstr(list("", "", 10), "a\nb\n"));
    assert_non_null(strstr(list("", "", 10), "\n~\n\xff\xfe\n"));
    assert_non_null(strstr(list("", "", 10), long_name + 5));
    /* What is there can be read, even where we would not write such a name. */
    assert_int_equal(get("\xff\xfe", NULL, 0, 1, buffer), RC_OK);
    assert_int_equal(put("\xff\xfe", "x"), RC_INVALID);
    assert_int_equal(put(long_name + 4, "x"), RC_INVALID);
    memset(long_name + 5, 'l', 256);
    assert_int_equal(put(long_name + 5, "x"), RC_INVALID);
    assert_non_null(strstr(outcome.text, "too long"));
}

static void a_removed_root_is_an_error_and_not_an_empty_store(void **state)
{
    (void)state;
    scoped(free) char *aside = str_printf("%s/aside", dir);
    char buffer[8];

    assert_int_equal(put("d/k", "x"), RC_OK);
    assert_int_equal(rename(root, aside), 0);
    assert_string_equal(list("", "", 10), "IO");
    assert_string_equal(list("d/", "", 10), "IO");

    assert_int_equal(mkdir(root, 0777), 0);
    assert_string_equal(list("", "", 10), ""); /* another directory by now, and a real one */
    assert_int_equal(put("new", "x"), RC_OK);
    assert_true(exists("root/new"));
    assert_int_equal(remove_key("new"), RC_OK);

    assert_int_equal(rmdir(root), 0);
    assert_int_equal(head("k"), RC_IO);
    assert_int_equal(get("k", NULL, 0, 1, buffer), RC_IO);
    assert_int_equal(put("k", "x"), RC_HOST);
    assert_int_equal(put("d/k", "x"), RC_HOST);
    assert_int_equal(remove_key("k"), RC_HOST);
}

static void a_write_goes_to_the_directory_that_has_the_name_now(void **state)
{
    (void)state;
    scoped(free) char *aside = str_printf("%s/aside", dir);
    scoped(free) char *before = str_dup(store_place(store));

    assert_int_equal(put("k", "x"), RC_OK);
    assert_string_equal(store_place(store), before);
    assert_int_equal(rename(root, aside), 0);
    assert_int_equal(mkdir(root, 0777), 0);
    assert_int_equal(put("d/new", "x"), RC_OK);
    assert_true(exists("root/d/new"));
    assert_string_not_equal(store_place(store), before);
    assert_int_equal(head("k"), RC_NOT_FOUND);
    assert_int_equal(remove_key("d/new"), RC_OK);
    assert_false(exists("root/d/new"));
}

static void a_file_is_put_and_its_progress_told(void **state)
{
    (void)state;
    scoped(free) char *path = str_printf("%s/local", dir);
    scoped(free) char *text = mem_zeroed(3000001);

    memset(text, 'x', 3000000);
    write_file("local", text);
    store_put_file(store, "up/loaded", path, on_done, on_progress, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(progress_bytes, 3000000);
    assert_int_equal(head("up/loaded"), RC_OK);
    assert_int_equal(object_size, 3000000);

    store_put_file(store, "k", "/no/such/file", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_NOT_FOUND);
    assert_non_null(strstr(outcome.text, "/no/such/file"));
    store_put_file(store, "k", dir, on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_INVALID);
    store_put_file(store, "k", "/proc/version", on_done, NULL, NULL); /* nothing to splice */
    until_answered();
    assert_int_equal(outcome.rc, RC_CHANGED);
    assert_int_equal(head("k"), RC_NOT_FOUND);
}

static void without_unnamed_files_a_put_is_whole_all_the_same(void **state)
{
    (void)state;
    char buffer[8] = {0};

    file_put_force_named(true);
    assert_int_equal(put("d/k", "one"), RC_OK);
    assert_int_equal(put("d/k", "two"), RC_OK);
    assert_int_equal(get("d/k", NULL, 0, 3, buffer), RC_OK);
    assert_string_equal(buffer, "two");
    assert_int_equal(put("d", "x"), RC_INVALID);
    store_put_file(store, "k", "/proc/version", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_CHANGED);
    assert_string_equal(list("", "", 10), "d/k\n");
}

static void a_copy_goes_within_and_between_stores(void **state)
{
    (void)state;
    scoped(free) char *other_path = str_printf("%s/other", dir);
    struct store *other;
    struct uri *uri;
    struct err err;
    char buffer[8] = {0};

    assert_int_equal(uri_parse(other_path, "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(loop, work, uri, &make, &other, &err), RC_OK);
    assert_int_equal(put("from", "text"), RC_OK);
    store_copy(store, "from", store, "to/here", on_done, on_progress, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(progress_bytes, 4);
    assert_int_equal(get("to/here", NULL, 0, 4, buffer), RC_OK);
    assert_string_equal(buffer, "text");
    store_copy(store, "from", other, "there", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_true(exists("other/there"));
    store_copy(store, "missing", other, "there", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_NOT_FOUND);
    store_copy(store, "from", other, "../there", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_INVALID);
    store_free(other);
}

static void a_get_that_is_canceled_is_answered_once(void **state)
{
    (void)state;
    scoped(free) char *path = str_printf("%s/root/big", dir);
    size_t len = 64u << 20;
    scoped(free) char *buffer = malloc(len);
    int fd = open(path, O_WRONLY | O_CREAT, 0666);

    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    close(fd);
    store_cancel(store, store_get(store, "big", NULL, NULL, 0, len, buffer, on_done, NULL));
    assert_false(answered);
    until_answered();
    assert_int_equal(outcome.rc, RC_CANCELED);
    store_cancel(store, store_get(store, "../x", NULL, NULL, 0, len, buffer, on_done, NULL));
    until_answered();
    assert_int_equal(outcome.rc, RC_INVALID);
}

static void a_file_that_is_open_for_writing_is_found(void **state)
{
    (void)state;
    scoped(free) char *path = str_printf("%s/b", root);
    static const char *const keys[] = {"a", "b", "missing", "../x"};
    bool open_now[4] = {true, false, true, true};

    assert_int_equal(put("a", "x"), RC_OK);
    assert_int_equal(put("b", "x"), RC_OK);
    int reader = open(path, O_RDONLY);
    store_find_open(store, keys, 4, open_now, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_false(open_now[0] || open_now[1] || open_now[2] || open_now[3]);

    int writer = open(path, O_WRONLY);
    store_find_open(store, keys, 2, open_now, on_done, NULL);
    until_answered();
    assert_false(open_now[0]);
    assert_true(open_now[1]);
    close(writer);
    store_find_open(store, keys, 2, open_now, on_done, NULL);
    until_answered();
    assert_false(open_now[1]);
    close(reader);
    store_find_open(store, keys, 0, open_now, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
}

static void sync_says_when_all_is_durable(void **state)
{
    (void)state;
    assert_int_equal(put("k", "x"), RC_OK);
    store_sync(store, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
}

static void a_full_disk_names_the_key_and_leaves_nothing(void **state)
{
    (void)state;
    static char text[300001];
    char mount_path[512]; /* nothing on the heap: skip() never comes back to free it */

    assert_true(snprintf(mount_path, sizeof(mount_path), "%s/full", root) <
                (int)sizeof(mount_path));
    make_dir("full");
    if (mount("tmpfs", mount_path, "tmpfs", 0, "size=64k") != 0) {
        skip(); /* only root may mount */
    }
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(put("full/k", "small"), RC_OK);
    assert_int_equal(put("full/k", text), RC_NO_SPACE);
    assert_non_null(strstr(outcome.text, "'full/k'"));
    assert_int_equal(head("full/k"), RC_OK);
    assert_int_equal(object_size, 5);
    assert_string_equal(list("full/", "", 10), "full/k\n");
    assert_int_equal(umount(mount_path), 0);
}

static void no_descriptors_left_is_the_hosts_fault_and_names_the_key(void **state)
{
    (void)state;
    struct rlimit had, none;
    char buffer[8];

    assert_int_equal(put("k", "x"), RC_OK);
    getrlimit(RLIMIT_NOFILE, &had);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = had.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    enum rc got = get("k", NULL, 0, 1, buffer);
    bool got_named = strstr(outcome.text, "'k'") != NULL;
    enum rc was_put = put("d/new", "x");
    bool put_named = strstr(outcome.text, "'d/new'") != NULL;
    setrlimit(RLIMIT_NOFILE, &had);
    assert_int_equal(got, RC_HOST);
    assert_true(got_named);
    assert_int_equal(was_put, RC_HOST);
    assert_true(put_named);
}

/** In a child without root's powers: 0 when all went as it should. */
static int look_without_permission(void)
{
    char buffer[8];

    if (setgid(65534) != 0 || setuid(65534) != 0) {
        return 1;
    }
    struct uri *uri;
    struct err err;
    struct loop *own_loop = loop_new();

    /* The parent's threads do not exist here: a lane of one's own. */
    loop = own_loop;
    work = work_new(loop, (unsigned[WORK_LANE_COUNT]){1, 1, 1, 1, 1});
    if (uri_parse(root, "/", &uri, &err) != RC_OK ||
        store_open(loop, work, uri, &leave, &store, &err) != RC_OK) {
        return 2;
    }
    if (get("closed", NULL, 0, 1, buffer) != RC_DENIED ||
        strstr(outcome.text, "'closed'") == NULL) {
        return 3;
    }
    if (put("k", "x") != RC_HOST || strstr(outcome.text, "'k'") == NULL) {
        return 4;
    }
    if (remove_key("open") != RC_HOST) {
        return 5;
    }
    /* A closed directory is a problem of the page, and does not hide the rest. */
    if (strcmp(list("", "", 10), "DENIED") != 0 || strstr(outcome.text, "'locked/'") == NULL ||
        strcmp(strbuf_text(&shown), "closed\nopen\n") != 0) {
        return 6;
    }
    store_free(store);
    work_free(work);
    loop_free(loop);
    return 0;
}

static void no_permission_names_the_key(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* before anything is on the heap */
    }
    scoped(free) char *closed = str_printf("%s/closed", root);
    scoped(free) char *locked = str_printf("%s/locked", root);
    int status = -1;

    assert_int_equal(put("closed", "x"), RC_OK);
    assert_int_equal(put("open", "x"), RC_OK);
    assert_int_equal(put("locked/k", "x"), RC_OK);
    chmod(closed, 0600);
    chmod(locked, 0700);
    chmod(root, 0755);
    chmod(dir, 0755);

    /* libuv's pool does not outlive a fork, so the child is this program anew. */
    pid_t child = fork();

    if (child == 0) {
        setenv("TEST_STORE_ROOT", root, 1);
        execl("/proc/self/exe", "test_store_file", NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_store_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum rc rc;
    } cases[] = {
        {"root/none", RC_NOT_FOUND}, {"file", RC_INVALID}, {"s3://bucket/x", RC_UNSUPPORTED}};
    struct store *opened = NULL;

    write_file("file", "x");
    for (unsigned i = 0; i < 3; i++) {
        struct uri *uri;
        struct err err;

        assert_int_equal(uri_parse(cases[i].text, dir, &uri, &err), RC_OK);
        assert_int_equal(store_open(loop, work, uri, &leave, &opened, &err), cases[i].rc);
        assert_null(opened);
    }
    assert_string_equal(store_bucket(store), root);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_is_got),
        CASE(one_put_task_takes_many_objects),
        CASE(a_put_replaces_and_the_etag_changes),
        CASE(a_range_past_the_end_is_corrupt),
        CASE(what_is_not_there_is_not_found),
        CASE(keys_that_lead_out_are_refused),
        CASE(links_that_lead_out_are_refused),
        CASE(links_are_refused_where_the_kernel_cannot_resolve_beneath),
        CASE(a_link_to_a_file_inside_is_an_object),
        CASE(directories_pipes_and_hidden_names_are_no_objects),
        CASE(a_put_over_a_directory_or_below_a_file_names_the_key),
        CASE(removing_prunes_empty_directories_but_not_others),
        CASE(removing_a_directory_of_that_name_removes_nothing),
        CASE(hostile_names_are_listed_as_they_are),
        CASE(a_removed_root_is_an_error_and_not_an_empty_store),
        CASE(a_write_goes_to_the_directory_that_has_the_name_now),
        CASE(a_file_is_put_and_its_progress_told),
        CASE(without_unnamed_files_a_put_is_whole_all_the_same),
        CASE(a_copy_goes_within_and_between_stores),
        CASE(a_get_that_is_canceled_is_answered_once),
        CASE(a_file_that_is_open_for_writing_is_found),
        CASE(sync_says_when_all_is_durable),
        CASE(a_full_disk_names_the_key_and_leaves_nothing),
        CASE(no_descriptors_left_is_the_hosts_fault_and_names_the_key),
        CASE(no_permission_names_the_key),
        CASE(a_store_that_cannot_be_opened_says_why),
    };
    const char *child_root = getenv("TEST_STORE_ROOT");

    if (child_root != NULL) {
        snprintf(root, sizeof(root), "%s", child_root);
        return look_without_permission();
    }
    return cmocka_run_group_tests_name("store_file", tests, NULL, NULL);
}
