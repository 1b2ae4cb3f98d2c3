/** @file
 * Members of JSON from outside: what has another type than it should have is not there.
 */
#include "tests/unit.h"

#include "lib/data/json_read.h"

#define HEX "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"

static json_t *read(const char *text)
{
    json_t *object = json_loads(text, JSON_ALLOW_NUL, NULL);

    assert_non_null(object);
    return object;
}

static void texts_are_texts_without_a_nul(void **state)
{
    json_t *object = read("{\"a\":\"x\",\"b\":1,\"c\":\"x\\u0000y\",\"d\":null,\"e\":\"\"}");

    (void)state;
    assert_string_equal(json_read_text(object, "a"), "x");
    assert_string_equal(json_read_text(object, "e"), "");
    for (const char *name = "bcdz"; *name != '\0'; name++) {
        assert_null(json_read_text(object, (const char[]){*name, '\0'}));
    }
    assert_null(json_read_text(NULL, "a"));
    json_decref(object);
}

static void numbers_are_whole_and_not_negative(void **state)
{
    json_t *object =
        read("{\"a\":9223372036854775807,\"b\":-1,\"c\":1.0,\"d\":\"1\",\"e\":true,\"f\":0}");
    uint64_t value = 7;

    (void)state;
    assert_true(json_read_u64(object, "a", &value));
    assert_int_equal(value, INT64_MAX);
    assert_true(json_read_u64(object, "f", &value));
    assert_int_equal(value, 0);
    for (const char *name = "bcde"; *name != '\0'; name++) {
        assert_false(json_read_u64(object, (const char[]){*name, '\0'}, &value));
        assert_false(json_read_count(object, (const char[]){*name, '\0'}, &value));
    }
    value = 7;
    assert_false(json_read_u64(object, "z", &value));
    assert_true(json_read_count(object, "z", &value));
    assert_int_equal(value, 0);
    json_decref(object);
}

static void flags_are_true_false_or_not_there(void **state)
{
    json_t *object = read("{\"a\":true,\"b\":false,\"c\":1,\"d\":null}");
    int flag = 7;

    (void)state;
    assert_true(json_read_flag(object, "a", &flag));
    assert_int_equal(flag, 1);
    assert_true(json_read_flag(object, "b", &flag));
    assert_int_equal(flag, 0);
    assert_true(json_read_flag(object, "z", &flag));
    assert_int_equal(flag, -1);
    assert_false(json_read_flag(object, "c", &flag));
    assert_false(json_read_flag(object, "d", &flag));
    json_decref(object);
}

static void digests_are_64_small_hex_digits(void **state)
{
    json_t *object = read("{\"a\":\"" HEX "\",\"b\":\"" HEX "0\",\"c\":\"0F\",\"d\":1}");
    uint8_t sha256[DIGEST_BYTES];
    char hex[DIGEST_HEX];

    (void)state;
    assert_true(json_read_sha256(object, "a", sha256));
    digest_hex(sha256, hex);
    assert_string_equal(hex, HEX);
    assert_false(json_read_sha256(object, "b", sha256));
    assert_false(json_read_sha256(object, "c", sha256));
    assert_false(json_read_sha256(object, "d", sha256));
    assert_false(json_read_sha256(object, "z", sha256));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_texts_without_a_nul),
        cmocka_unit_test(numbers_are_whole_and_not_negative),
        cmocka_unit_test(flags_are_true_false_or_not_there),
        cmocka_unit_test(digests_are_64_small_hex_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
