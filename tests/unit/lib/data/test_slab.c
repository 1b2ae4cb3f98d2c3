/** @file
 * Files are made here, chunk by chunk, with zlib and with filters written the naive way; what comes
 * out of a slab is compared with the array that went in. Buffers are of exactly the size that was
 * planned, so that a sanitizer sees every step beyond them.
 */
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/data/chunk.h"
#include "lib/data/slab.h"

#define FILE_MAX ((size_t)1 << 20)

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((seed >> 33) % below);
}

/* Filters, applied */

static uint32_t naive_fletcher32(const uint8_t *bytes, size_t len)
{
    uint32_t sum1 = 0, sum2 = 0;

    for (size_t i = 0; i < len; i += 2) {
        sum1 += (uint32_t)bytes[i] << 8 | (i + 1 < len ? bytes[i + 1] : 0);
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16);
        sum2 += sum1;
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16);
    }
    return sum2 << 16 | sum1;
}

static size_t apply(int filter, uint8_t *bytes, size_t len, size_t size, bool old_checksum)
{
    static uint8_t work[FILE_MAX];
    uLongf room = sizeof(work);
    size_t count = len / size;
    uint32_t sum;

    switch (filter) {
    case 1:
        assert_int_equal(compress2(work, &room, bytes, len, 4), Z_OK);
        memcpy(bytes, work, room);
        return room;
    case 2:
        memcpy(work, bytes, len);
        for (size_t i = 0; i < count; i++) {
            for (size_t b = 0; b < size; b++) {
                bytes[b * count + i] = work[i * size + b];
            }
        }
        return len;
    default:
        sum = naive_fletcher32(bytes, len);
        for (unsigned i = 0; i < 4; i++) {
            bytes[len + (old_checksum ? i ^ 1 : i)] = (uint8_t)(sum >> (8 * i));
        }
        return len + 4;
    }
}

/* Files */

/** A dataset, the array it holds, and the file around it. */
struct made {
    struct layout_dataset dataset;
    struct layout_chunk chunks[4096];
    uint8_t array[65536]; /**< As stored: not yet in native order. */
    uint64_t elements, row_bytes;
    uint8_t file[FILE_MAX];
    size_t file_size;
};

static struct made made;

static void shape_it(unsigned rank, bool chunked)
{
    static const char *const names[] = {"", "deflate", "shuffle", "fletcher32"};
    struct layout_dataset *dataset = &made.dataset;
    uint32_t size = 1u << draw(4);

    memset(&made, 0, sizeof(made) - sizeof(made.file) - sizeof(made.file_size));
    *dataset =
        (struct layout_dataset){.name = "vil",
                                .dtype = {LAYOUT_INTEGER, size, false, draw(2) == 0, true, "x"},
                                .rank = rank,
                                .storage = chunked ? LAYOUT_CHUNKED : LAYOUT_CONTIGUOUS,
                                .chunks = made.chunks};
    made.elements = 1;
    for (unsigned axis = 0; axis < rank; axis++) {
        dataset->dims[axis] = draw(12) == 0 ? 0 : 1 + draw(rank > 2 ? 6 : 20);
        dataset->chunk_dims[axis] =
            draw(3) == 0 && dataset->dims[axis] > 0 ? dataset->dims[axis] : 1 + draw(5);
        made.elements *= dataset->dims[axis];
    }
    for (unsigned i = 0; i < 8; i++) {
        dataset->fill[i] = (uint8_t)draw(256);
    }
    dataset->filter_count = chunked ? draw(4) : 0;
    for (unsigned i = 0; i < dataset->filter_count; i++) {
        dataset->filters[i].id = (int32_t)(1 + draw(3));
        memcpy(dataset->filters[i].name, names[dataset->filters[i].id], 8);
    }
    made.row_bytes = layout_row_bytes(dataset);
    for (uint64_t i = 0; i < made.elements * size; i++) {
        made.array[i] = (uint8_t)(draw(3) == 0 ? draw(256) : i / 7);
    }
}

/** The bytes of one chunk, with garbage where it reaches over the edge; and, of a chunk that is not
 * to be written, the fill value in the array. */
static size_t cut_chunk(uint64_t index, bool unallocated, uint8_t *bytes)
{
    const struct layout_dataset *dataset = &made.dataset;
    uint64_t place[LAYOUT_RANK_MAX], count = 1;

    for (unsigned axis = dataset->rank; axis-- > 0;) {
        uint64_t cells =
            (dataset->dims[axis] + dataset->chunk_dims[axis] - 1) / dataset->chunk_dims[axis];

        place[axis] = index % cells * dataset->chunk_dims[axis];
        index /= cells;
        count *= dataset->chunk_dims[axis];
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t rest = i, at = 0, stride = 1;
        uint32_t size = dataset->dtype.size;
        bool inside = true;

        for (unsigned axis = dataset->rank; axis-- > 0;) {
            uint64_t here = place[axis] + rest % dataset->chunk_dims[axis];

            rest /= dataset->chunk_dims[axis];
            inside = inside && here < dataset->dims[axis];
            at += here * stride;
            stride *= dataset->dims[axis];
        }
        if (inside && unallocated) {
            memcpy(made.array + at * size, dataset->fill, size);
        } else if (inside) {
            memcpy(bytes + i * size, made.array + at * size, size);
        } else {
            memset(bytes + i * size, 0xEE, size);
        }
    }
    return count * dataset->dtype.size;
}

static void write_chunks(void)
{
    struct layout_dataset *dataset = &made.dataset;
    static uint8_t bytes[FILE_MAX];
    static unsigned order[4096];

    dataset->chunk_count = 1;
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        dataset->chunk_count *=
            (dataset->dims[axis] + dataset->chunk_dims[axis] - 1) / dataset->chunk_dims[axis];
    }
    assert_true(dataset->chunk_count <= ARRAY_LEN(made.chunks));
    for (unsigned i = 0; i < dataset->chunk_count; i++) { /* files are written in any order */
        unsigned other = draw(i + 1);

        order[i] = order[other];
        order[other] = i;
    }
    for (unsigned i = 0; i < dataset->chunk_count; i++) {
        struct layout_chunk *chunk = &made.chunks[order[i]];
        bool unallocated = draw(8) == 0;
        size_t len = cut_chunk(order[i], unallocated, bytes);

        if (unallocated) {
            *chunk = (struct layout_chunk){.address = LAYOUT_UNALLOCATED};
            continue;
        }
        chunk->filter_mask = draw(4) == 0 ? draw(8) : 0;
        for (unsigned f = 0; f < dataset->filter_count; f++) {
            if ((chunk->filter_mask >> f & 1) == 0) {
                len = apply(dataset->filters[f].id, bytes, len, dataset->dtype.size, draw(4) == 0);
            }
        }
        made.file_size += draw(3) == 0 ? draw(50) : 0;
        assert_true(made.file_size + len <= FILE_MAX);
        chunk->address = made.file_size;
        chunk->size = (uint32_t)len;
        memcpy(made.file + made.file_size, bytes, len);
        made.file_size += len;
    }
}

static void write_contiguous(void)
{
    struct layout_dataset *dataset = &made.dataset;
    uint64_t len = made.elements * dataset->dtype.size;

    if (draw(8) == 0) {
        dataset->address = LAYOUT_UNALLOCATED;
        for (uint64_t i = 0; i < made.elements; i++) {
            memcpy(made.array + i * dataset->dtype.size, dataset->fill, dataset->dtype.size);
        }
        return;
    }
    dataset->address = made.file_size;
    dataset->size = len;
    memcpy(made.file + made.file_size, made.array, len);
    made.file_size += len;
}

static void make(unsigned rank, bool chunked)
{
    shape_it(rank, chunked);
    made.file_size = draw(100);
    if (chunked) {
        write_chunks();
    } else {
        write_contiguous();
    }
}

/** Plan, fetch, decode. `ret_rows` is what malloc() gave. */
static enum rc read_rows(uint64_t first, uint64_t count, bool by_frames, uint64_t gap,
                         uint8_t **ret_rows, struct err *err)
{
    scoped(slab_plan_free) struct slab_plan *plan = NULL;
    enum rc rc = slab_plan(&made.dataset, made.file_size, first, count, gap, &plan, err);
    uint8_t *fetched, *scratch, *rows;
    uint64_t at = 0, end = 0;

    if (rc != RC_OK) {
        return rc;
    }
    if (by_frames) {
        slab_by_frames(plan);
    }
    fetched = malloc(plan->fetch_bytes + 1);
    scratch = malloc(plan->scratch_bytes + 1);
    rows = malloc(plan->decoded_bytes + 1);
    assert_int_equal(plan->decoded_bytes, count * made.row_bytes);
    for (size_t i = 0; i < plan->range_count; i++) {
        const struct slab_range *range = &plan->ranges[i];

        assert_int_equal(range->at, at);
        assert_true(range->len > 0);
        assert_true(i == 0 || range->offset > end + gap);
        end = range->offset + range->len;
        assert_true(end <= made.file_size);
        memcpy(fetched + at, made.file + range->offset, range->len);
        at += range->len;
    }
    assert_int_equal(plan->fetch_bytes, at);
    assert_true(plan->needed_bytes <= at);
    rc = slab_decode(plan, fetched, rows, scratch, err);
    if (rc == RC_OK && slab_is_verbatim(plan)) {
        assert_memory_equal(fetched, rows, plan->decoded_bytes);
    }
    free(fetched);
    free(scratch);
    if (rc == RC_OK) {
        *ret_rows = rows;
    } else {
        free(rows);
    }
    return rc;
}

/** [row][H][W][T] to [row][T][H][W], one by one. */
static void turn_rows(uint8_t *rows, uint64_t count)
{
    const uint64_t *dims = made.dataset.dims, size = made.dataset.dtype.size;
    const uint64_t pixels = dims[1] * dims[2], frames = dims[3];
    uint8_t *turned = malloc(count * made.row_bytes + 1);

    for (uint64_t i = 0; i < count * pixels * frames; i++) {
        const uint64_t row = i / (pixels * frames), pixel = i / frames % pixels, frame = i % frames;

        memcpy(turned + ((row * frames + frame) * pixels + pixel) * size, rows + i * size, size);
    }
    memcpy(rows, turned, count * made.row_bytes);
    free(turned);
}

static void compare_rows(uint64_t first, uint64_t count, bool by_frames)
{
    uint64_t size = made.dataset.dtype.size;
    uint8_t *rows = NULL, *expected = malloc(count * made.row_bytes + 1);
    struct err err = {0};

    memcpy(expected, made.array + first * made.row_bytes, count * made.row_bytes);
    for (uint64_t i = 0; made.dataset.dtype.big_endian && i < count * made.row_bytes / size; i++) {
        for (uint64_t b = 0; b < size / 2; b++) {
            uint8_t one = expected[i * size + b];

            expected[i * size + b] = expected[i * size + size - 1 - b];
            expected[i * size + size - 1 - b] = one;
        }
    }
    if (by_frames) {
        turn_rows(expected, count);
    }
    if (read_rows(first, count, by_frames, draw(3) == 0 ? draw(200) : 0, &rows, &err) != RC_OK) {
        fail_msg("rows %lu+%lu: %s", (unsigned long)first, (unsigned long)count, err.text);
    }
    assert_memory_equal(rows, expected, count * made.row_bytes);
    free(rows);
    free(expected);
}

/* Tests */

static void any_rows_of_any_chunked_dataset_come_back(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 1500; round++) {
        uint64_t rows, first;

        seed = round;
        make(1 + draw(4), true);
        rows = made.dataset.dims[0];
        compare_rows(0, rows, false);
        first = draw((unsigned)rows + 1);
        compare_rows(first, draw((unsigned)(rows - first) + 1), false);
    }
}

static void rasters_come_frame_after_frame_if_asked(void **state)
{
    unsigned preferred = 0;

    (void)state;
    for (unsigned round = 0; round < 3000; round++) {
        uint64_t rows, first;

        seed = round;
        make(4, draw(8) != 0);
        if (draw(4) == 0 && made.dataset.storage == LAYOUT_CHUNKED) {
            /* Chunks of single frames, which are decoded to where they belong. */
            made.dataset.chunk_dims[0] = made.dataset.chunk_dims[3] = 1;
            made.dataset.chunk_dims[1] = MAX_OF(made.dataset.dims[1], 1);
            made.dataset.chunk_dims[2] = MAX_OF(made.dataset.dims[2], 1);
            made.file_size = 0;
            write_chunks();
        }
        preferred += slab_prefers_frames(&made.dataset);
        rows = made.dataset.dims[0];
        compare_rows(0, rows, true);
        first = draw((unsigned)rows + 1);
        compare_rows(first, draw((unsigned)(rows - first) + 1), true);
    }
    assert_in_range(preferred, 1000, 2900);
}

static void any_rows_of_any_contiguous_dataset_come_back(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        uint64_t rows, first;

        seed = round;
        make(1 + draw(4), false);
        rows = made.dataset.dims[0];
        first = draw((unsigned)rows + 1);
        compare_rows(first, draw((unsigned)(rows - first) + 1), false);
    }
}

static void a_flipped_bit_of_a_stored_chunk_is_harmless_or_names_the_chunk(void **state)
{
    (void)state;
    unsigned corrupt = 0;

    for (unsigned round = 0; round < 600; round++) {
        uint8_t *rows = NULL;
        struct err err;
        enum rc rc;

        seed = round;
        make(1 + draw(3), true);
        if (made.file_size == 0) {
            continue;
        }
        made.file[draw((unsigned)made.file_size)] ^= (uint8_t)(1 << draw(8));
        rc = read_rows(0, made.dataset.dims[0], false, 0, &rows, &err);
        if (rc != RC_OK) {
            assert_int_equal(rc, RC_CORRUPT);
            assert_true(str_starts(err.text, "dataset 'vil' chunk "));
            corrupt++;
        }
        free(rows);
    }
    assert_true(corrupt > 100);
}

/** uint8 (8, 6), chunks of (4, 3), deflated. */
static void make_small(void)
{
    struct layout_dataset *dataset = &made.dataset;

    memset(&made, 0, sizeof(made));
    *dataset = (struct layout_dataset){.name = "vil",
                                       .dtype = {LAYOUT_INTEGER, 1, false, false, true, "uint8"},
                                       .rank = 2,
                                       .dims = {8, 6},
                                       .storage = LAYOUT_CHUNKED,
                                       .chunk_dims = {4, 3},
                                       .filter_count = 1,
                                       .filters = {{1, "deflate"}},
                                       .chunks = made.chunks};
    made.elements = 48;
    made.row_bytes = 6;
    seed = 3;
    do {
        made.file_size = 0;
        write_chunks();
    } while (made.chunks[0].address == LAYOUT_UNALLOCATED || made.chunks[0].filter_mask != 0 ||
             made.chunks[3].address == LAYOUT_UNALLOCATED || made.chunks[3].filter_mask != 0);
}

static void fails_with(uint64_t first, uint64_t count, enum rc rc, const char *text)
{
    struct err err = {0};
    uint8_t *rows = NULL;

    assert_int_equal(read_rows(first, count, false, 0, &rows, &err), rc);
    assert_string_equal(err.text, text);
}

static void errors_name_dataset_and_chunk(void **state)
{
    (void)state;
    make_small();
    made.chunks[3].address = UINT64_MAX - 3;
    made.chunks[3].size = 20;
    made.file_size = 400;
    fails_with(4, 4, RC_CORRUPT,
               "dataset 'vil' chunk 3 (1,1): its 20 bytes at 18446744073709551612 lie beyond the "
               "end of the file (400 bytes)");
    make_small();
    made.chunks[3].size -= 1;
    fails_with(7, 1, RC_CORRUPT, "dataset 'vil' chunk 3 (1,1): its 10 bytes are not a zlib stream");
    make_small();
    made.chunks[3].size = 0;
    fails_with(7, 1, RC_CORRUPT, "dataset 'vil' chunk 3 (1,1): stores nothing");
    make_small();
    made.chunks[3].filter_mask = 1;
    fails_with(7, 1, RC_CORRUPT, "dataset 'vil' chunk 3 (1,1): stores 11 bytes, not 12");
    fails_with(7, 2, RC_INVALID, "dataset 'vil' has 8 rows, not 2 from 7");
    fails_with(UINT64_MAX, 2, RC_INVALID,
               "dataset 'vil' has 8 rows, not 2 from 18446744073709551615");
}

static void a_chunk_that_inflates_to_another_size_is_corrupt(void **state)
{
    (void)state;
    make_small();
    made.dataset.dims[0] = 4; /* chunks 0 and 1 remain, at first in their own size */
    made.dataset.chunk_count = 2;
    made.dataset.chunk_dims[0] = 5;
    fails_with(0, 1, RC_CORRUPT, "dataset 'vil' chunk 0 (0,0): decodes to 12 bytes, not 15");
    made.dataset.chunk_dims[0] = 4;
    made.dataset.chunk_dims[1] = 2;
    made.dataset.dims[1] = made.row_bytes = 4;
    fails_with(0, 1, RC_CORRUPT, "dataset 'vil' chunk 0 (0,0): inflates to more than its 8 bytes");
}

static void a_contiguous_dataset_lies_within_its_file(void **state)
{
    (void)state;
    make_small();
    made.dataset.storage = LAYOUT_CONTIGUOUS;
    made.dataset.address = 100;
    made.dataset.size = 48;
    made.file_size = 147;
    fails_with(7, 1, RC_CORRUPT,
               "dataset 'vil': rows 7 to 7 lie beyond the end of the file (147 bytes)");
    made.dataset.size = 47;
    fails_with(7, 1, RC_CORRUPT, "dataset 'vil': stores 47 bytes, too few for its shape");
    made.dataset.size = 48;
    made.dataset.address = UINT64_MAX - 10;
    fails_with(7, 1, RC_CORRUPT,
               "dataset 'vil': rows 7 to 7 lie beyond the end of the file (147 bytes)");
}

static void a_claim_of_a_terabyte_costs_a_plan_nothing(void **state)
{
    (void)state;
    struct layout_dataset huge = {.name = "vil",
                                  .dtype = {LAYOUT_INTEGER, 1, false, false, true, "uint8"},
                                  .rank = 2,
                                  .dims = {4, (uint64_t)1 << 40},
                                  .storage = LAYOUT_CONTIGUOUS,
                                  .address = 2048,
                                  .size = (uint64_t)4 << 40};
    struct slab_plan *plan = NULL;
    struct err err;

    assert_int_equal(slab_plan(&huge, 5000, 0, 1, 0, &plan, &err), RC_CORRUPT);
    assert_null(plan);
    huge.dims[0] = huge.dims[1] = (uint64_t)1 << 40;
    assert_int_equal(slab_plan(&huge, 5000, 0, 1, 0, &plan, &err), RC_CORRUPT);
    assert_string_equal(err.text, "dataset 'vil': its shape overflows");
}

static void what_workers_cannot_decode_is_left_to_the_helper(void **state)
{
    (void)state;
    make_small();
    made.dataset.filters[0] = (struct layout_filter){6, "scaleoffset"};
    fails_with(0, 1, RC_UNSUPPORTED, "dataset 'vil': filter 'scaleoffset' (6)");
    make_small();
    made.dataset.dtype = (struct layout_dtype){LAYOUT_STRING, 10, false, false, true, "S10"};
    made.row_bytes = 60;
    for (unsigned i = 0; i < 4; i++) {
        made.chunks[i].address = LAYOUT_UNALLOCATED;
    }
    fails_with(0, 1, RC_UNSUPPORTED, "dataset 'vil': fill value of type 'S10'");
}

static void neighbouring_chunks_are_one_request_and_overlapping_ones_are_fetched_once(void **state)
{
    (void)state;
    scoped(slab_plan_free) struct slab_plan *plan = NULL, *near = NULL;
    struct err err;

    make_small();
    made.file_size = 1000;
    for (unsigned i = 0; i < 4; i++) {
        made.chunks[i] = (struct layout_chunk){.address = 100 + 20 * i, .size = 10};
    }
    assert_int_equal(slab_plan(&made.dataset, 1000, 0, 8, 9, &plan, &err), RC_OK);
    assert_int_equal(plan->range_count, 4);
    assert_int_equal(plan->needed_bytes, 40);
    assert_int_equal(slab_plan(&made.dataset, 1000, 0, 8, 10, &near, &err), RC_OK);
    assert_int_equal(near->range_count, 1);
    assert_int_equal(near->fetch_bytes, 70);
    assert_int_equal(near->needed_bytes, 40);
    for (unsigned i = 0; i < 4; i++) {
        made.chunks[i] = (struct layout_chunk){.address = 100 - i, .size = 500};
    }
    slab_plan_free(plan);
    assert_int_equal(slab_plan(&made.dataset, 1000, 0, 8, 0, &plan, &err), RC_OK);
    assert_int_equal(plan->range_count, 1);
    assert_int_equal(plan->fetch_bytes, 503);
    assert_int_equal(plan->needed_bytes, 503);
}

static void the_group_is_the_rows_of_a_chunk(void **state)
{
    (void)state;
    make_small();
    assert_int_equal(slab_group(&made.dataset), 4);
    made.dataset.storage = LAYOUT_CONTIGUOUS;
    assert_int_equal(slab_group(&made.dataset), 1);
}

static void unshuffling_is_the_inverse_of_shuffling_for_any_element(void **state)
{
    (void)state;
    static uint8_t bytes[5000], plain[5000], back[5000];

    for (size_t size = 1; size <= 17; size++) {
        for (size_t len = 0; len < sizeof(bytes); len += 1 + len / 3) {
            for (size_t i = 0; i < len; i++) {
                plain[i] = bytes[i] = (uint8_t)draw(256);
            }
            (void)apply(2, bytes, len, size, false);
            chunk_unshuffle(bytes, back, len, size);
            assert_memory_equal(back, plain, len);
        }
    }
}

static void fletcher32_agrees_with_the_slow_way_at_every_length(void **state)
{
    (void)state;
    static uint8_t bytes[3000];

    memset(bytes, 0xFF, sizeof(bytes));
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        uint32_t fast = chunk_fletcher32(bytes, len), slow = naive_fletcher32(bytes, len);

        assert_int_equal((fast >> 16) % 65535, (slow >> 16) % 65535);
        assert_int_equal((fast & 65535) % 65535, (slow & 65535) % 65535);
        bytes[len % sizeof(bytes)] = (uint8_t)draw(256);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_rows_of_any_chunked_dataset_come_back),
        cmocka_unit_test(rasters_come_frame_after_frame_if_asked),
        cmocka_unit_test(any_rows_of_any_contiguous_dataset_come_back),
        cmocka_unit_test(a_flipped_bit_of_a_stored_chunk_is_harmless_or_names_the_chunk),
        cmocka_unit_test(errors_name_dataset_and_chunk),
        cmocka_unit_test(a_chunk_that_inflates_to_another_size_is_corrupt),
        cmocka_unit_test(a_contiguous_dataset_lies_within_its_file),
        cmocka_unit_test(a_claim_of_a_terabyte_costs_a_plan_nothing),
        cmocka_unit_test(what_workers_cannot_decode_is_left_to_the_helper),
        cmocka_unit_test(neighbouring_chunks_are_one_request_and_overlapping_ones_are_fetched_once),
        cmocka_unit_test(the_group_is_the_rows_of_a_chunk),
        cmocka_unit_test(unshuffling_is_the_inverse_of_shuffling_for_any_element),
        cmocka_unit_test(fletcher32_agrees_with_the_slow_way_at_every_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
