/** @file
 * Archives written and read back. What Python's zipfile makes of them is for
 * tests/flow/test_data_numpy.py.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/zipfile.h"

/** Two members and an empty one, as if `before` bytes had gone out already. */
static void make(struct strbuf *out, uint64_t before)
{
    struct zipfile_writer writer;

    zipfile_begin(&writer, out);
    writer.at = before;
    zipfile_add(&writer, "sheet.png", "0123456789", 10);
    zipfile_add(&writer, "f00.png", "abc", 3);
    zipfile_add(&writer, "empty", NULL, 0);
    zipfile_end(&writer);
}

/** `bytes` are the end of a file that has `before` bytes more. */
static enum rc open_it(const struct strbuf *bytes, uint64_t before, struct zipfile **ret_zipfile,
                       struct err *err)
{
    const uint8_t *data = (const uint8_t *)bytes->data;
    const uint64_t size = before + bytes->len;
    const size_t tail = MIN_OF(zipfile_tail_bytes(size), bytes->len);
    struct zipfile_place place;

    if (zipfile_locate(data + bytes->len - tail, tail, size, &place, err) != RC_OK) {
        return err->rc;
    }
    if (place.offset < before) {
        return err_set(err, RC_CORRUPT, "its directory is said to be in what is not at hand");
    }
    return zipfile_open(data + (place.offset - before), &place, ret_zipfile, err);
}

static void check_content(const struct zipfile *zipfile, const char *name, const struct strbuf *out,
                          uint64_t before, const char *expected)
{
    const struct zipfile_entry *entry = zipfile_find(zipfile, name);
    const uint8_t *content;
    struct err err;

    assert_non_null(entry);
    assert_int_equal(entry->size, strlen(expected));
    assert_int_equal(
        zipfile_content(entry, (const uint8_t *)out->data + (entry->from - before), &content, &err),
        RC_OK);
    assert_memory_equal(content, expected, strlen(expected));
}

static void members_are_read_back_by_their_ranges(void **state)
{
    const uint64_t before[] = {0, 100, UINT32_MAX - 45, UINT32_MAX, 5ull << 30};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(before); i++) {
        scoped(zipfile_free) struct zipfile *zipfile = NULL;
        struct strbuf out = {0};
        struct err err;

        make(&out, before[i]);
        assert_int_equal(open_it(&out, before[i], &zipfile, &err), RC_OK);
        assert_int_equal(zipfile->count, 3);
        assert_string_equal(zipfile->entries[0].name, "sheet.png");
        check_content(zipfile, "sheet.png", &out, before[i], "0123456789");
        check_content(zipfile, "f00.png", &out, before[i], "abc");
        check_content(zipfile, "empty", &out, before[i], "");
        assert_null(zipfile_find(zipfile, "f01.png"));
        assert_int_equal(zipfile->entries[1].to - zipfile->entries[1].from, 30 + 7 + 3);
        strbuf_done(&out);
    }
}

static void the_same_members_give_the_same_bytes_and_zip64_only_where_needed(void **state)
{
    struct strbuf a = {0}, b = {0}, far = {0};

    (void)state;
    make(&a, 0);
    make(&b, 0);
    make(&far, 5ull << 30);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_int_equal(a.len, 3 * (30 + 46) + 2 * (9 + 7 + 5) + 13 + 22);
    assert_int_equal(far.len, a.len + 3 * 12 + 56 + 20);
    strbuf_done(&a);
    strbuf_done(&b);
    strbuf_done(&far);
}

static void more_members_than_zip_can_count_are_counted(void **state)
{
    scoped(zipfile_free) struct zipfile *zipfile = NULL;
    struct zipfile_writer writer;
    struct strbuf out = {0};
    struct err err;

    (void)state;
    zipfile_begin(&writer, &out);
    for (unsigned i = 0; i < 70000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%u", i);
        zipfile_add(&writer, name, name, strlen(name));
    }
    zipfile_end(&writer);
    assert_int_equal(open_it(&out, 0, &zipfile, &err), RC_OK);
    assert_int_equal(zipfile->count, 70000);
    check_content(zipfile, "m69999", &out, 0, "m69999");
    strbuf_done(&out);
}

static void a_comment_behind_the_end_is_passed_over(void **state)
{
    scoped(zipfile_free) struct zipfile *zipfile = NULL;
    struct strbuf out = {0};
    struct err err;

    (void)state;
    make(&out, 0);
    out.data[out.len - 2] = 5;
    strbuf_puts(&out, "hello");
    assert_int_equal(open_it(&out, 0, &zipfile, &err), RC_OK);
    strbuf_done(&out);
}

static void a_member_that_was_changed_fails_its_checksum(void **state)
{
    scoped(zipfile_free) struct zipfile *zipfile = NULL;
    struct strbuf out = {0};
    const uint8_t *content;
    struct err err;

    (void)state;
    make(&out, 0);
    assert_int_equal(open_it(&out, 0, &zipfile, &err), RC_OK);
    out.data[30 + 9 + 4] ^= 1;
    assert_int_equal(
        zipfile_content(&zipfile->entries[0], (const uint8_t *)out.data, &content, &err),
        RC_CORRUPT);
    assert_string_equal(err.text, "ZIP archive: 'sheet.png' fails its checksum");
    out.data[26] = 99; /* the length of its name */
    assert_int_equal(
        zipfile_content(&zipfile->entries[0], (const uint8_t *)out.data, &content, &err),
        RC_CORRUPT);
    assert_non_null(strstr(err.text, "reaches into what follows"));
    strbuf_done(&out);
}

static void what_is_no_archive_or_is_cut_short_is_refused(void **state)
{
    struct strbuf out = {0}, cut = {0};
    struct zipfile *zipfile;
    struct err err;

    (void)state;
    make(&out, 0);
    for (size_t len = 0; len < out.len; len++) {
        strbuf_reset(&cut);
        strbuf_add(&cut, out.data, len);
        assert_int_equal(open_it(&cut, 0, &zipfile, &err), RC_INVALID);
        strbuf_reset(&cut);
        if (len > 0) { /* the beginning is missing: nothing lies where the directory says */
            strbuf_add(&cut, out.data + len, out.len - len);
            assert_int_not_equal(open_it(&cut, 0, &zipfile, &err), RC_OK);
        }
    }
    strbuf_done(&out);
    strbuf_done(&cut);
}

static void a_compressed_member_is_refused_by_name(void **state)
{
    scoped(zipfile_free) struct zipfile *zipfile = NULL;
    struct strbuf out = {0};
    const uint8_t *content;
    struct err err;

    (void)state;
    make(&out, 0);
    const size_t directory = 3 * 30 + 9 + 7 + 5 + 13;
    out.data[directory + 10] = 8; /* deflated */
    assert_int_equal(open_it(&out, 0, &zipfile, &err), RC_OK);
    assert_int_equal(
        zipfile_content(&zipfile->entries[0], (const uint8_t *)out.data, &content, &err),
        RC_UNSUPPORTED);
    assert_non_null(strstr(err.text, "'sheet.png' is not stored"));
    strbuf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_read_back_by_their_ranges),
        cmocka_unit_test(the_same_members_give_the_same_bytes_and_zip64_only_where_needed),
        cmocka_unit_test(more_members_than_zip_can_count_are_counted),
        cmocka_unit_test(a_comment_behind_the_end_is_passed_over),
        cmocka_unit_test(a_member_that_was_changed_fails_its_checksum),
        cmocka_unit_test(what_is_no_archive_or_is_cut_short_is_refused),
        cmocka_unit_test(a_compressed_member_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
