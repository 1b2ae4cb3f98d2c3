/** @file
 * Rows of a dataset from a store to memory.
 */
#include "tests/unit.h"

#include <stdlib.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_slab.h"
#include "tests/unit/lib/h5/memory_store.h"
#include "tests/unit/lib/h5/small_h5.h"

#define ROW_BYTES (5u << 20)
#define ROWS 8u
#define DATA_AT 2048u
#define FILE_BYTES (DATA_AT + ROWS * ROW_BYTES)

struct bench {
    struct loop *loop;
    struct h5_helper *helper;
    struct memory_store store;
    struct h5_object object;
    uint8_t *bytes;
    struct layout layout;
    struct layout_dataset dataset;
    struct h5_slab *slab;
    unsigned ends;
    struct err err;
};

static struct bench bench;

/** A file that is one contiguous dataset of large rows. */
static int open_bench(void **state)
{
    bench = (struct bench){.loop = loop_new(), .bytes = mem_zeroed(FILE_BYTES)};
    bench.helper = h5_helper_new(bench.loop, &(struct h5_options){.parallel = 1});
    for (size_t i = DATA_AT; i < FILE_BYTES; i++) {
        bench.bytes[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    memory_store_init(&bench.store, bench.loop, bench.bytes, FILE_BYTES);
    bench.object = (struct h5_object){
        .store = &bench.store.store, .key = "a.h5", .etag = "one", .size = FILE_BYTES};
    bench.dataset = (struct layout_dataset){
        .name = "vil",
        .dtype = {.class_ = LAYOUT_INTEGER, .size = 1, .plain = true, .text = "uint8"},
        .rank = 2,
        .dims = {ROWS, ROW_BYTES},
        .storage = LAYOUT_CONTIGUOUS,
        .address = DATA_AT,
        .size = (uint64_t)ROWS * ROW_BYTES,
    };
    bench.layout =
        (struct layout){.file_size = FILE_BYTES, .dataset_count = 1, .datasets = &bench.dataset};
    return 0;
}

static int close_bench(void **state)
{
    h5_slab_free(bench.slab);
    h5_helper_free(bench.helper);
    loop_free(bench.loop);
    free(bench.bytes);
    return bench.store.busy == 0 ? 0 : -1;
}

static void on_done(const struct err *err, void *arg)
{
    bench.ends++;
    bench.err = err != NULL ? *err : (struct err){.rc = RC_OK};
}

static enum rc open_rows(uint64_t first, uint64_t count)
{
    return h5_slab_open(bench.helper, &bench.object, &bench.layout, &bench.dataset, first, count,
                        &bench.slab, &bench.err);
}

static enum rc fetch(void)
{
    bench.ends = 0;
    h5_slab_fetch(bench.slab, on_done, NULL);
    assert_int_equal(bench.ends, 0);
    loop_run(bench.loop);
    assert_int_equal(bench.ends, 1);
    return bench.err.rc;
}

static void large_ranges_come_in_pieces_and_a_few_at_a_time(void **state)
{
    uint8_t *rows;

    assert_int_equal(open_rows(1, 7), RC_OK);
    assert_int_equal(h5_slab_fetch_bytes(bench.slab), 7 * ROW_BYTES);
    assert_int_equal(h5_slab_needed_bytes(bench.slab), 7 * ROW_BYTES);
    assert_int_equal(fetch(), RC_OK);
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_OK);
    assert_memory_equal(rows, bench.bytes + DATA_AT + ROW_BYTES, 7 * ROW_BYTES);
    assert_int_equal(bench.store.gets, 9);
    assert_int_equal(bench.store.peak, 8);
    assert_int_equal(bench.store.longest, (7 * ROW_BYTES + 8) / 9);
}

static void from_far_away_the_pieces_are_small_and_alike(void **state)
{
    uint8_t *rows;

    memory_store_far(&bench.store);
    bench.dataset.dims[1] = bench.dataset.size = 7225344; /* an event of radar */
    bench.dataset.dims[0] = 1;
    assert_int_equal(open_rows(0, 1), RC_OK);
    assert_int_equal(fetch(), RC_OK);
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_OK);
    assert_memory_equal(rows, bench.bytes + DATA_AT, 7225344);
    assert_int_equal(bench.store.gets, 6);
    assert_int_equal(bench.store.longest, 7225344 / 6);
}

static void rows_as_they_lie_in_the_file_are_not_copied(void **state)
{
    assert_int_equal(open_rows(0, 2), RC_OK);
    assert_int_equal(h5_slab_bytes(bench.slab), 2 * ROW_BYTES);
    assert_int_equal(fetch(), RC_OK);
}

static void frames_are_asked_for_where_rows_are_a_raster(void **state)
{
    enum { PIXELS = 6, FRAMES = 7 };
    uint8_t *rows;

    bench.dataset.rank = 4;
    memcpy(bench.dataset.dims, (uint64_t[]){3, 2, 3, FRAMES}, 4 * sizeof(uint64_t));
    bench.dataset.size = 3 * PIXELS * FRAMES;
    assert_int_equal(open_rows(1, 2), RC_OK);
    h5_slab_by_frames(bench.slab);
    assert_int_equal(h5_slab_bytes(bench.slab), 2 * 2 * PIXELS * FRAMES); /* fetched, and turned */
    assert_int_equal(fetch(), RC_OK);
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_OK);
    for (unsigned i = 0; i < 2 * PIXELS * FRAMES; i++) {
        const unsigned row = i / (PIXELS * FRAMES), pixel = i / FRAMES % PIXELS, frame = i % FRAMES;

        assert_int_equal(rows[(row * FRAMES + frame) * PIXELS + pixel],
                         bench.bytes[DATA_AT + PIXELS * FRAMES + i]);
    }
}

static void the_first_failure_is_told_once_and_stops_the_rest(void **state)
{
    uint8_t *rows;

    bench.store.fail_with = RC_NETWORK;
    bench.store.fail_at = 3;
    assert_int_equal(open_rows(0, 8), RC_OK);
    assert_int_equal(fetch(), RC_NETWORK);
    assert_int_equal(bench.store.gets, 8 + 2); /* two came before it and made room for two more */
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_BUG);
}

static void a_slab_can_be_fetched_again_after_a_failure(void **state)
{
    uint8_t *rows;

    bench.store.fail_with = RC_NETWORK;
    assert_int_equal(open_rows(2, 1), RC_OK);
    assert_int_equal(fetch(), RC_NETWORK);
    bench.store.fail_with = RC_OK;
    assert_int_equal(fetch(), RC_OK);
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_OK);
    assert_memory_equal(rows, bench.bytes + DATA_AT + 2 * ROW_BYTES, ROW_BYTES);
}

static void cancel(void *arg)
{
    h5_slab_cancel(bench.slab);
}

static void canceling_ends_the_fetch_once(void **state)
{
    bench.store.hold = true;
    assert_int_equal(open_rows(0, 8), RC_OK);
    loop_defer(bench.loop, cancel, NULL);
    assert_int_equal(fetch(), RC_CANCELED);
    assert_int_equal(bench.store.gets, 8);
}

static void an_object_that_changed_is_not_read(void **state)
{
    bench.store.etag = "two";
    assert_int_equal(open_rows(0, 1), RC_OK);
    assert_int_equal(fetch(), RC_CHANGED);
}

static void data_never_written_is_not_fetched(void **state)
{
    uint8_t *rows;

    bench.dataset.address = LAYOUT_UNALLOCATED;
    bench.dataset.fill[0] = 9;
    assert_int_equal(open_rows(0, 1), RC_OK);
    assert_int_equal(fetch(), RC_OK);
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_OK);
    assert_int_equal(rows[0], 9);
    assert_int_equal(rows[ROW_BYTES - 1], 9);
    assert_int_equal(bench.store.gets, 0);
}

static void rows_that_are_not_there_are_refused(void **state)
{
    assert_int_equal(open_rows(7, 2), RC_INVALID);
    bench.dataset.dtype.plain = false; /* the helper's kind */
    assert_int_equal(open_rows(7, 2), RC_INVALID);
    assert_int_equal(open_rows(UINT64_MAX, 2), RC_INVALID);
}

static void data_beyond_the_end_of_the_file_are_corrupt(void **state)
{
    bench.dataset.address = DATA_AT + 1;
    assert_int_equal(open_rows(7, 1), RC_CORRUPT);
}

static void what_nobody_can_read_is_named(void **state)
{
    bench.dataset.storage = LAYOUT_VIRTUAL;
    assert_int_equal(open_rows(0, 1), RC_UNSUPPORTED);
    bench.dataset.storage = LAYOUT_CONTIGUOUS;
    bench.dataset.dtype.class_ = LAYOUT_OTHER;
    assert_int_equal(open_rows(0, 1), RC_UNSUPPORTED);
}

static void on_layout(struct layout *layout, const struct err *err, void *arg)
{
    *(struct layout **)arg = layout;
}

static void what_workers_cannot_decode_comes_from_the_helper(void **state)
{
    struct layout *layout = NULL;
    uint8_t *rows;
    int16_t number;

    small_h5(bench.bytes);
    bench.store.len = SMALL_H5_SIZE;
    bench.object.size = SMALL_H5_SIZE;
    h5_layout(bench.helper, &bench.object, on_layout, &layout);
    loop_run(bench.loop);
    assert_non_null(layout);
    assert_int_equal(h5_slab_open(bench.helper, &bench.object, layout,
                                  layout_find(layout, "packed"), 2, 2, &bench.slab, &bench.err),
                     RC_OK);
    assert_int_equal(h5_slab_bytes(bench.slab), 24);
    assert_int_equal(fetch(), RC_OK);
    assert_int_equal(h5_slab_decode(bench.slab, &rows, &bench.err), RC_OK);
    memcpy(&number, rows + 22, sizeof(number));
    assert_int_equal(number, 23);
    layout_free(layout);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_bench, close_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(large_ranges_come_in_pieces_and_a_few_at_a_time),
        TEST(from_far_away_the_pieces_are_small_and_alike),
        TEST(rows_as_they_lie_in_the_file_are_not_copied),
        TEST(frames_are_asked_for_where_rows_are_a_raster),
        TEST(the_first_failure_is_told_once_and_stops_the_rest),
        TEST(a_slab_can_be_fetched_again_after_a_failure),
        TEST(canceling_ends_the_fetch_once),
        TEST(an_object_that_changed_is_not_read),
        TEST(data_never_written_is_not_fetched),
        TEST(rows_that_are_not_there_are_refused),
        TEST(data_beyond_the_end_of_the_file_are_corrupt),
        TEST(what_nobody_can_read_is_named),
        TEST(what_workers_cannot_decode_comes_from_the_helper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
