/** @file
 * What the daemon would learn of HDF5 files: a JSON line a file, through the real helper.
 *
 *     h5_dump [--program P] [--deadline MS] [--parallel N] FILE...       layouts with chunk tables
 *     h5_dump [--program P] --rows DATASET FIRST COUNT OUT FILE          rows, as extraction has
 * them h5_dump [--program P] --libhdf5-rows DATASET FIRST COUNT OUT FILE  the same, by the helper
 *
 * With --far DISTANCE the file is as far away as a bucket: 1, or 2 where its head is known already.
 *
 * Exit status 0 whatever the files were; 2 for wrong usage.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_slab.h"
#include "tests/unit/lib/h5/memory_store.h"

#define HEAD_BYTES ((size_t)65536)

struct want {
    const char *dataset, *out;
    uint64_t first, count;
    bool by_helper;
};

struct dump {
    struct loop *loop;
    struct h5_helper *helper;
    const char *path;
    struct memory_store store;
    struct h5_object object;
    struct want want;
    struct layout *layout;
    struct h5_slab *slab;
    uint8_t *rows;
    size_t rows_len;
    bool far, head_known;
};

static void put_error(const struct dump *dump, const struct err *err)
{
    scoped(strbuf_done) struct strbuf line = {0};

    strbuf_puts(&line, "{\"file\":");
    strbuf_json(&line, dump->path);
    strbuf_printf(&line, ",\"class\":\"%s\",\"error\":", rc_name(err->rc));
    strbuf_json(&line, err->text);
    strbuf_puts(&line, "}");
    puts(strbuf_text(&line));
}

static void put_layout(const struct dump *dump, const struct layout *layout)
{
    scoped(strbuf_done) struct strbuf line = {0};

    strbuf_puts(&line, "{\"file\":");
    strbuf_json(&line, dump->path);
    strbuf_puts(&line, ",\"layout\":");
    layout_json(layout, &line);
    strbuf_puts(&line, ",\"more\":{");
    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];

        strbuf_puts(&line, i > 0 ? "," : "");
        strbuf_json(&line, dataset->name);
        strbuf_printf(&line, ":{\"plain\":%s,\"fill\":[", dataset->dtype.plain ? "true" : "false");
        for (unsigned k = 0; k < sizeof(dataset->fill); k++) {
            strbuf_printf(&line, "%s%u", k > 0 ? "," : "", dataset->fill[k]);
        }
        strbuf_puts(&line, "],\"chunks\":[");
        for (uint64_t k = 0; k < dataset->chunk_count; k++) {
            const struct layout_chunk *chunk = &dataset->chunks[k];

            strbuf_printf(&line, "%s[%" PRId64 ",%" PRIu32 ",%" PRIu32 "]", k > 0 ? "," : "",
                          (int64_t)chunk->address, chunk->size, chunk->filter_mask);
        }
        strbuf_puts(&line, "]}");
    }
    strbuf_printf(&line, "},\"asked\":{\"reads\":%u,\"trips\":%u,\"bytes\":%" PRIu64 "}}",
                  dump->store.gets, dump->store.trips, dump->store.total);
    puts(strbuf_text(&line));
}

static void save(const struct dump *dump, const uint8_t *rows, size_t len)
{
    FILE *out = fopen(dump->want.out, "wb");

    if (out == NULL || fwrite(rows, 1, len, out) != len || fclose(out) != 0) {
        perror(dump->want.out);
        exit(1);
    }
    printf("{\"rows\":%zu}\n", len);
}

static void on_fetched(const struct err *err, void *arg)
{
    struct dump *dump = arg;
    uint8_t *rows;
    struct err why;

    if (err != NULL) {
        put_error(dump, err);
    } else if (h5_slab_decode(dump->slab, &rows, &why) != RC_OK) {
        put_error(dump, &why);
    } else {
        save(dump, rows,
             (size_t)(layout_row_bytes(layout_find(dump->layout, dump->want.dataset)) *
                      dump->want.count));
    }
    h5_slab_free(dump->slab);
    layout_free(dump->layout);
}

static void on_rows(const struct err *err, void *arg)
{
    struct dump *dump = arg;

    if (err != NULL) {
        put_error(dump, err);
    } else {
        save(dump, dump->rows, dump->rows_len);
    }
    free(dump->rows);
    layout_free(dump->layout);
}

static void want_rows(struct dump *dump)
{
    const struct want *want = &dump->want;
    const struct layout_dataset *dataset = layout_find(dump->layout, want->dataset);
    struct err err;

    if (dataset == NULL) {
        err_set(&err, RC_NOT_FOUND, "no dataset '%s'", want->dataset);
    } else if (want->by_helper) {
        dump->rows_len = (size_t)(layout_row_bytes(dataset) * want->count);
        dump->rows = mem_try(1, dump->rows_len);
        h5_rows(dump->helper, &dump->object, dataset, want->first, want->count, dump->rows,
                dump->rows_len, on_rows, dump);
        return;
    } else if (h5_slab_open(dump->helper, &dump->object, dump->layout, dataset, want->first,
                            want->count, &dump->slab, &err) == RC_OK) {
        h5_slab_fetch(dump->slab, on_fetched, dump);
        return;
    }
    put_error(dump, &err);
    layout_free(dump->layout);
}

static void on_layout(struct layout *layout, const struct err *err, void *arg)
{
    struct dump *dump = arg;

    if (err != NULL) {
        put_error(dump, err);
    } else if (dump->want.dataset != NULL) {
        dump->layout = layout;
        want_rows(dump);
        return;
    } else {
        put_layout(dump, layout);
    }
    layout_free(layout);
}

static void start(struct dump *dump)
{
    const int fd = open(dump->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *bytes = NULL;

    if (fd < 0 || fstat(fd, &status) != 0) {
        perror(dump->path);
        exit(2);
    }
    if (status.st_size > 0) {
        bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    memory_store_init(&dump->store, dump->loop, bytes, (size_t)status.st_size);
    dump->object = (struct h5_object){.store = &dump->store.store,
                                      .key = "object.h5",
                                      .etag = "one",
                                      .size = (uint64_t)status.st_size};
    if (dump->far) {
        memory_store_far(&dump->store);
    }
    if (dump->head_known) {
        dump->object.head = bytes;
        dump->object.head_len = MIN_OF((size_t)status.st_size, HEAD_BYTES);
    }
    h5_layout(dump->helper, &dump->object, on_layout, dump);
}

static int usage(void)
{
    fputs(
        "usage: h5_dump [--program P] [--deadline MS] [--parallel N] [--memory BYTES]\n"
        "               [--far DISTANCE] [--rows|--libhdf5-rows DATASET FIRST COUNT OUT] FILE...\n",
        stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct h5_options options = {.parallel = 2, .deadline_ms = 30000};
    struct want want = {0};
    uint64_t number = 0, far = 0;
    int at = 1;

    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--program") == 0) {
            options.program = argv[at + 1];
        } else if (strcmp(argv[at], "--deadline") == 0 && str_to_u64(argv[at + 1], &number)) {
            options.deadline_ms = (int64_t)number;
        } else if (strcmp(argv[at], "--parallel") == 0 && str_to_u64(argv[at + 1], &number)) {
            options.parallel = (unsigned)number;
        } else if (strcmp(argv[at], "--memory") == 0 && str_to_u64(argv[at + 1], &number)) {
            options.memory_bytes = number;
        } else if (strcmp(argv[at], "--far") == 0 && str_to_u64(argv[at + 1], &far)) {
            /* noted */
        } else if (str_ends(argv[at], "rows") && at + 4 < argc) {
            want.by_helper = strcmp(argv[at], "--libhdf5-rows") == 0;
            want.dataset = argv[at + 1];
            want.out = argv[at + 4];
            if (!str_to_u64(argv[at + 2], &want.first) || !str_to_u64(argv[at + 3], &want.count)) {
                return usage();
            }
            at += 3;
        } else {
            return usage();
        }
    }
    if (at >= argc) {
        return usage();
    }

    scoped(loop_free) struct loop *loop = loop_new();
    scoped(h5_helper_free) struct h5_helper *helper = h5_helper_new(loop, &options);
    scoped(free) struct dump *dumps = mem_resize(NULL, (size_t)(argc - at), sizeof(*dumps));

    for (int i = at; i < argc; i++) {
        dumps[i - at] = (struct dump){.loop = loop,
                                      .helper = helper,
                                      .path = argv[i],
                                      .want = want,
                                      .far = far > 0,
                                      .head_known = far > 1};
        start(&dumps[i - at]);
    }
    loop_run(loop);
    return 0;
}
