/** @file
 * Lists a file store to its end, twice, and prints how long that took and how much memory.
 *
 *     list_store DIR [PAGE]
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/base/now.h"
#include "lib/base/str.h"
#include "lib/store/store.h"

static struct loop *loop;
static struct store *store;
static unsigned page = 1000;
static unsigned long long keys, pages;
static char *after;
static int failed;

static void on_page(const struct store_object *objects, unsigned count, bool more,
                    const struct err *err, void *arg)
{
    (void)arg;
    if (err != NULL) {
        fprintf(stderr, "list_store: %s\n", err->text);
        failed = 1;
        loop_stop(loop);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(objects[i].key, i > 0 ? objects[i - 1].key : after) <= 0) {
            fprintf(stderr, "list_store: '%s' is out of order\n", objects[i].key);
            failed = 1;
        }
    }
    keys += count;
    pages++;
    if (count > 0) {
        free(after);
        after = str_dup(objects[count - 1].key);
    }
    if (more) {
        store_list(store, "", after, page, on_page, NULL);
    } else {
        loop_stop(loop);
    }
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct work *work;
    struct uri *uri;
    struct err err;

    if (argc < 2) {
        fprintf(stderr, "usage: list_store DIR [PAGE]\n");
        return 2;
    }
    if (argc > 2) {
        page = (unsigned)strtoul(argv[2], NULL, 10);
    }
    loop = loop_new();
    work = work_new(loop, (unsigned[WORK_LANE_COUNT]){1, 2, 1, 1, 1});
    if (uri_parse(argv[1], "/", &uri, &err) != RC_OK ||
        store_open(loop, work, uri, &(struct store_options){0}, &store, &err) != RC_OK) {
        fprintf(stderr, "list_store: %s\n", err.text);
        return 1;
    }
    for (int round = 0; round < 2; round++) {
        int64_t began_ms = now_mono_ms();
        struct rusage used;

        keys = pages = 0;
        after = str_dup("");
        store_list(store, "", "", page, on_page, NULL);
        loop_run(loop);
        free(after);
        getrusage(RUSAGE_SELF, &used);
        printf(
            "%llu keys in %llu pages, %.2f s; so far %.2f s of user, %.2f s of system time, peak "
            "RSS %.1f MiB\n",
            keys, pages, (double)(now_mono_ms() - began_ms) / 1000, seconds(used.ru_utime),
            seconds(used.ru_stime), (double)used.ru_maxrss / 1024);
    }
    store_free(store);
    work_free(work);
    loop_free(loop);
    return failed;
}
