/** @file
 * Animations, by their chunks. What viewers make of them is for tests/flow/test_tools.py.
 */
#include "tests/unit.h"

#include <libdeflate.h>
#include <string.h>

#include "lib/data/apng.h"
#include "lib/data/pngfile.h"

static const struct pngfile_rgb palette[] = {{0, 0, 0}, {255, 0, 0}};

static void make(struct strbuf *out, uint8_t pixel, uint32_t width, unsigned colors)
{
    const uint8_t pixels[] = {pixel, 0, 1, pixel};
    struct err err;

    assert_int_equal(
        pngfile_indexed(pixels, width, 4 / width, false, palette, colors, NULL, 0, out, &err),
        RC_OK);
}

static uint32_t number_at(const struct strbuf *bytes, size_t at)
{
    const uint8_t *b = (const uint8_t *)bytes->data + at;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/** "IHDR acTL ..."; every checksum must hold, and the sequence numbers must count. */
static void list_chunks(const struct strbuf *bytes, struct strbuf *names)
{
    uint32_t sequence = 0;

    for (size_t at = 8; at < bytes->len;) {
        const uint32_t len = number_at(bytes, at);
        const char *name = bytes->data + at + 4;

        assert_true(at + 12 + len <= bytes->len);
        assert_int_equal(number_at(bytes, at + 8 + len), libdeflate_crc32(0, name, 4 + len));
        if (strncmp(name, "fcTL", 4) == 0 || strncmp(name, "fdAT", 4) == 0) {
            assert_int_equal(number_at(bytes, at + 8), sequence++);
        }
        strbuf_printf(names, "%.4s ", name);
        at += 12 + len;
    }
}

static void frames_become_one_file_with_chunks_in_their_order(void **state)
{
    struct strbuf a = {0}, b = {0}, out = {0}, names = {0};
    struct apng apng;
    struct err err;

    (void)state;
    make(&a, 0, 2, 2);
    make(&b, 1, 2, 2);
    apng_begin(&apng, 3, 250, 7, &out);
    assert_int_equal(apng_add(&apng, a.data, a.len, &err), RC_OK);
    assert_int_equal(apng_add(&apng, b.data, b.len, &err), RC_OK);
    assert_int_equal(apng_add(&apng, a.data, a.len, &err), RC_OK);
    apng_end(&apng);
    list_chunks(&out, &names);
    assert_string_equal(strbuf_text(&names), "IHDR acTL PLTE fcTL IDAT fcTL fdAT fcTL fdAT IEND ");
    assert_int_equal(number_at(&out, 8 + 25 + 8), 3);     /* frames */
    assert_int_equal(number_at(&out, 8 + 25 + 8 + 4), 7); /* loops */
    strbuf_done(&a);
    strbuf_done(&b);
    strbuf_done(&out);
    strbuf_done(&names);
}

static void a_frame_unlike_the_first_is_refused_and_leaves_nothing(void **state)
{
    struct strbuf a = {0}, wide = {0}, few = {0}, out = {0};
    struct apng apng;
    struct err err;

    (void)state;
    make(&a, 0, 2, 2);
    make(&wide, 0, 4, 2);
    make(&few, 1, 2, 2);
    few.data[8 + 25 + 8] ^= 1; /* a colour */
    apng_begin(&apng, 2, 100, 0, &out);
    assert_int_equal(apng_add(&apng, a.data, a.len, &err), RC_OK);
    const size_t before = out.len;
    assert_int_equal(apng_add(&apng, wide.data, wide.len, &err), RC_INVALID);
    assert_int_equal(apng_add(&apng, few.data, few.len, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "frame 1 has another size, depth or palette"));
    assert_int_equal(out.len, before);
    strbuf_done(&a);
    strbuf_done(&wide);
    strbuf_done(&few);
    strbuf_done(&out);
}

static void what_is_no_whole_png_is_refused(void **state)
{
    struct strbuf a = {0}, out = {0};
    struct apng apng;
    struct err err;

    (void)state;
    make(&a, 0, 2, 2);
    for (size_t len = 0; len < a.len; len++) {
        apng_begin(&apng, 1, 100, 0, &out);
        assert_int_equal(apng_add(&apng, a.data, len, &err), RC_INVALID);
        assert_int_equal(out.len, 0);
    }
    strbuf_done(&a);
    strbuf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_become_one_file_with_chunks_in_their_order),
        cmocka_unit_test(a_frame_unlike_the_first_is_refused_and_leaves_nothing),
        cmocka_unit_test(what_is_no_whole_png_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
