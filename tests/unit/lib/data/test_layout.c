/** @file
 * A layout comes from a process that a crafted file may have taken over: most of this is lies.
 */
#include "tests/unit.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/layout.h"

static const struct layout_attr attrs[] = {{"units", "object", "kg m-2"},
                                           {"scale", "float64", "1"}};
static const struct layout_chunk chunks[] = {
    {4096, 100, 0}, {LAYOUT_UNALLOCATED, 0, 0}, {9000, 4294967295u, 5}, {8000, 7, 0}};

/** Two datasets, not in order of their names. */
struct sample {
    struct layout_dataset datasets[2];
    struct layout layout;
};

static void make_sample(struct sample *sample)
{
    *sample =
        (struct sample){.datasets = {{.name = "vil",
                                      .dtype = {LAYOUT_INTEGER, 1, false, false, true, "uint8"},
                                      .rank = 4,
                                      .dims = {7, 384, 384, 49},
                                      .storage = LAYOUT_CHUNKED,
                                      .address = 77,
                                      .size = 1000,
                                      .chunk_dims = {2, 384, 384, 49},
                                      .filter_count = 2,
                                      .filters = {{2, "shuffle"}, {1, "deflate"}},
                                      .chunk_count = 4,
                                      .chunks = chunks,
                                      .fill = {1, 2, 3, 4, 5, 6, 7, 8},
                                      .attr_count = 2,
                                      .attrs = attrs},
                                     {.name = "a/id",
                                      .dtype = {LAYOUT_STRING, 10, false, false, true, "S10"},
                                      .rank = 1,
                                      .dims = {7},
                                      .storage = LAYOUT_CONTIGUOUS,
                                      .address = 2048,
                                      .size = 70}},
                        .layout = {.file_size = 123456,
                                   .dataset_count = 2,
                                   .attr_count = 1,
                                   .attrs = attrs,
                                   .skipped = 3}};
    sample->layout.datasets = sample->datasets;
}

static void encode(const struct layout *layout, struct strbuf *out)
{
    strbuf_reset(out);
    layout_encode(layout, out);
}

/** Encodes, decodes from a block of exactly that size, and answers how it went. */
static enum rc round_trip(const struct layout *layout, struct layout **ret_layout, struct err *err)
{
    scoped(strbuf_done) struct strbuf bytes = {0};
    enum rc rc;
    char *copy;

    encode(layout, &bytes);
    copy = malloc(bytes.len);
    memcpy(copy, bytes.data, bytes.len);
    rc = layout_decode(copy, bytes.len, ret_layout, err);
    free(copy);
    return rc;
}

static void refused(const struct layout *layout, const char *words)
{
    struct layout *decoded = NULL;
    struct err err;

    assert_int_equal(round_trip(layout, &decoded, &err), RC_CORRUPT);
    assert_null(decoded);
    if (strstr(err.text, words) == NULL) {
        fail_msg("'%s' lacks '%s'", err.text, words);
    }
}

static void a_layout_reads_back_as_it_was_written(void **state)
{
    (void)state;
    scoped(layout_free) struct layout *layout = NULL;
    scoped(strbuf_done) struct strbuf one = {0}, two = {0};
    const struct layout_dataset *vil;
    struct sample sample;
    struct err err;

    make_sample(&sample);
    assert_int_equal(round_trip(&sample.layout, &layout, &err), RC_OK);
    assert_int_equal(layout->file_size, 123456);
    assert_int_equal(layout->skipped, 3);
    assert_string_equal(layout->attrs[0].value, "kg m-2");
    assert_string_equal(layout->datasets[0].name, "a/id");
    vil = layout_find(layout, "vil");
    assert_non_null(vil);
    assert_null(layout_find(layout, "vi"));
    assert_int_equal(vil->dims[3], 49);
    assert_int_equal(vil->chunk_count, 4);
    assert_memory_equal(vil->chunks, chunks, sizeof(chunks));
    assert_memory_equal(vil->fill, sample.datasets[0].fill, 8);
    assert_string_equal(vil->filters[1].name, "deflate");
    assert_string_equal(vil->attrs[1].name, "scale");
    encode(&sample.layout, &one);
    encode(layout, &two);
    assert_int_equal(one.len, two.len);
    assert_memory_equal(one.data, two.data, one.len);
}

static void cut_anywhere_it_is_refused(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf bytes = {0};
    struct layout *layout = NULL;
    struct sample sample;
    struct err err;

    make_sample(&sample);
    encode(&sample.layout, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        char *copy = malloc(len + 1);

        memcpy(copy, bytes.data, len);
        assert_int_equal(layout_decode(copy, len, &layout, &err), RC_CORRUPT);
        free(copy);
    }
    strbuf_putc(&bytes, 0);
    assert_int_equal(layout_decode(bytes.data, bytes.len, &layout, &err), RC_CORRUPT);
}

static void with_any_bit_turned_it_is_refused_or_still_consistent(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf bytes = {0};
    struct sample sample;
    unsigned accepted = 0;

    make_sample(&sample);
    encode(&sample.layout, &bytes);
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        scoped(layout_free) struct layout *layout = NULL;
        scoped(strbuf_done) struct strbuf again = {0};
        struct err err;

        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
        if (layout_decode(bytes.data, bytes.len, &layout, &err) == RC_OK) {
            accepted++;
            layout_json(layout, &again);
            strbuf_reset(&again);
            layout_encode(layout, &again);
            if (again.len != bytes.len) { /* a varint may have been longer than it need be */
                assert_true(again.len < bytes.len);
            }
        }
        bytes.data[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_true(accepted > 0);
}

static void a_count_without_the_bytes_for_it_asks_for_no_memory(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf bytes = {0};
    struct layout nothing = {.file_size = 1}, *layout = NULL;
    struct err err;

    encode(&nothing, &bytes);
    bytes.data[bytes.len - 3] = 2; /* the number of datasets comes last: 512 */
    assert_int_equal(layout_decode(bytes.data, bytes.len, &layout, &err), RC_CORRUPT);
    assert_non_null(strstr(err.text, "datasets"));
}

static void names_that_would_hurt_a_terminal_or_a_path_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",      "/vil", "a//b", "a/",       "a/../b",       "..",
                                      "a\x1b", "a\n",  "\xff", "\xc2\x9b", "\xed\xa0\x80", "."};
    static const char *const good[] = {"vil", "a/b", "..a", "größe", "id 7"};
    char longest[LAYOUT_NAME_MAX + 2];
    struct sample sample;

    make_sample(&sample);
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(layout_name_ok(bad[i], strlen(bad[i])));
        sample.datasets[1].name = bad[i];
        refused(&sample.layout, "name");
    }
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(layout_name_ok(good[i], strlen(good[i])));
    }
    assert_false(layout_name_ok("a\0b", 3));
    memset(longest, 'x', sizeof(longest));
    assert_true(layout_name_ok(longest, LAYOUT_NAME_MAX));
    assert_false(layout_name_ok(longest, LAYOUT_NAME_MAX + 1));
}

static void a_name_occurs_once(void **state)
{
    (void)state;
    struct sample sample;

    make_sample(&sample);
    sample.datasets[1].name = "vil";
    refused(&sample.layout, "dataset 'vil': out of order or twice");
}

static void shapes_and_chunks_that_overflow_are_refused(void **state)
{
    (void)state;
    struct sample sample;

    make_sample(&sample);
    sample.datasets[1].dims[0] = UINT64_MAX / 9;
    refused(&sample.layout, "dataset 'a/id': shape overflows");
    make_sample(&sample);
    sample.datasets[0].chunk_dims[0] = UINT64_MAX / 2;
    refused(&sample.layout, "over 4 GiB");
    make_sample(&sample);
    sample.datasets[0].chunk_dims[2] = 0;
    refused(&sample.layout, "a chunk is empty");
}

static void a_chunk_table_matches_its_shape_or_was_left_out(void **state)
{
    (void)state;
    scoped(layout_free) struct layout *layout = NULL;
    struct sample sample;
    struct err err;

    make_sample(&sample);
    sample.datasets[0].chunk_count = 3;
    refused(&sample.layout, "dataset 'vil': 3 chunks do not match its shape");
    sample.datasets[0].chunk_count = 0;
    assert_int_equal(round_trip(&sample.layout, &layout, &err), RC_OK);
    assert_int_equal(layout_direct(layout_find(layout, "vil"), &err), RC_UNSUPPORTED);
    assert_non_null(strstr(err.text, "left out"));
}

static void texts_of_attributes_are_cleaned_and_cut_between_characters(void **state)
{
    (void)state;
    scoped(layout_free) struct layout *layout = NULL;
    char value[400] = "red\x1b[31m \xff two\nlines ";
    struct layout_attr attr = {"n\x07", "object", value};
    struct layout one = {.attr_count = 1, .attrs = &attr};
    struct err err;

    for (size_t at = strlen(value); at + 3 < sizeof(value); at += 2) {
        memcpy(value + at, "ö", 3);
    }
    assert_int_equal(round_trip(&one, &layout, &err), RC_OK);
    assert_string_equal(layout->attrs[0].name, "n\uFFFD");
    assert_true(str_starts(layout->attrs[0].value, "red\uFFFD[31m \uFFFD two\nlines öö"));
    assert_true(strlen(layout->attrs[0].value) <= LAYOUT_VALUE_MAX);
    assert_true(str_is_utf8(layout->attrs[0].value, strlen(layout->attrs[0].value)));
}

static void what_workers_cannot_decode_is_named(void **state)
{
    (void)state;
    struct sample sample;
    struct layout_dataset *vil = &sample.datasets[0];
    struct err err;

    make_sample(&sample);
    assert_int_equal(layout_direct(vil, &err), RC_OK);
    assert_int_equal(layout_direct(&sample.datasets[1], &err), RC_OK);
    vil->filters[1] = (struct layout_filter){4, "szip"};
    assert_int_equal(layout_direct(vil, &err), RC_UNSUPPORTED);
    assert_string_equal(err.text, "filter 'szip' (4)");
    vil->filters[1] = (struct layout_filter){32008, "bitshuffle"};
    assert_int_equal(layout_direct(vil, &err), RC_UNSUPPORTED);
    assert_string_equal(err.text, "filter 'bitshuffle' (32008)");
    make_sample(&sample);
    vil->storage = LAYOUT_COMPACT;
    assert_int_equal(layout_direct(vil, &err), RC_UNSUPPORTED);
    assert_string_equal(err.text, "compact storage");
    make_sample(&sample);
    vil->dtype = (struct layout_dtype){LAYOUT_OTHER, 8, false, false, false, "object"};
    assert_int_equal(layout_direct(vil, &err), RC_UNSUPPORTED);
    assert_string_equal(err.text, "type 'object'");
}

static void sizes_overflow_to_zero(void **state)
{
    (void)state;
    struct sample sample;
    struct layout_dataset *vil = &sample.datasets[0];

    make_sample(&sample);
    assert_int_equal(layout_row_bytes(vil), 7225344);
    assert_int_equal(layout_elements(vil), 7 * 7225344);
    vil->dims[1] = vil->dims[2] = (uint64_t)1 << 40;
    assert_int_equal(layout_row_bytes(vil), 0);
    assert_int_equal(layout_elements(vil), 0);
    vil->rank = 0;
    assert_int_equal(layout_row_bytes(vil), 0);
    assert_int_equal(layout_elements(vil), 1);
}

static void it_describes_itself_to_people_and_to_programs(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};
    struct sample sample;
    json_t *root, *vil;

    make_sample(&sample);
    layout_describe(&sample.datasets[0], &text);
    assert_string_equal(text.data, "chunked 2x384x384x49 filters shuffle,deflate");
    strbuf_reset(&text);
    layout_describe(&sample.datasets[1], &text);
    assert_string_equal(text.data, "contiguous at 2048");
    strbuf_reset(&text);
    layout_json(&sample.layout, &text);
    root = json_loads(text.data, 0, NULL);
    assert_non_null(root);
    vil = json_array_get(json_object_get(root, "datasets"), 0);
    assert_string_equal(json_string_value(json_object_get(vil, "name")), "vil");
    assert_int_equal(json_array_size(json_object_get(vil, "shape")), 4);
    assert_int_equal(json_integer_value(json_object_get(vil, "chunk_count")), 4);
    assert_true(json_is_true(json_object_get(vil, "direct")));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layout_reads_back_as_it_was_written),
        cmocka_unit_test(cut_anywhere_it_is_refused),
        cmocka_unit_test(with_any_bit_turned_it_is_refused_or_still_consistent),
        cmocka_unit_test(a_count_without_the_bytes_for_it_asks_for_no_memory),
        cmocka_unit_test(names_that_would_hurt_a_terminal_or_a_path_are_refused),
        cmocka_unit_test(a_name_occurs_once),
        cmocka_unit_test(shapes_and_chunks_that_overflow_are_refused),
        cmocka_unit_test(a_chunk_table_matches_its_shape_or_was_left_out),
        cmocka_unit_test(texts_of_attributes_are_cleaned_and_cut_between_characters),
        cmocka_unit_test(what_workers_cannot_decode_is_named),
        cmocka_unit_test(sizes_overflow_to_zero),
        cmocka_unit_test(it_describes_itself_to_people_and_to_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
