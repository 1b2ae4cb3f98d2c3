/** @file
 * SHA-256 against the vectors of FIPS 180.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/base/digest.h"

static void known_texts_have_known_digests(void **state)
{
    char hex[DIGEST_HEX];

    digest_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void pieces_digest_as_the_whole(void **state)
{
    scoped(digest_free) struct digest *digest = digest_new();
    uint8_t whole[DIGEST_BYTES], pieces[DIGEST_BYTES];
    char text[1000];

    memset(text, 'q', sizeof(text));
    digest_sha256(text, sizeof(text), whole);
    for (size_t at = 0, step = 1; at < sizeof(text); at += step, step = step * 2) {
        step = at + step > sizeof(text) ? sizeof(text) - at : step;
        digest_add(digest, text + at, step);
    }
    digest_end(digest, pieces);
    assert_memory_equal(whole, pieces, DIGEST_BYTES);
}

static void hex_is_read_back_and_nothing_else_is(void **state)
{
    uint8_t sha256[DIGEST_BYTES], read[DIGEST_BYTES];
    char hex[DIGEST_HEX];

    (void)state;
    digest_sha256("abc", 3, sha256);
    digest_hex(sha256, hex);
    assert_true(digest_parse(hex, read));
    assert_memory_equal(sha256, read, DIGEST_BYTES);
    assert_false(digest_parse(NULL, read));
    assert_false(digest_parse("", read));
    assert_false(digest_parse(hex + 1, read));
    hex[63] = 'A';
    assert_false(digest_parse(hex, read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_known_digests),
        cmocka_unit_test(pieces_digest_as_the_whole),
        cmocka_unit_test(hex_is_read_back_and_nothing_else_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
