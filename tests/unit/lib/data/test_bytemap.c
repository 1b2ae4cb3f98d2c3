/** @file
 * Every way through a table says what looking up byte by byte says.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/data/bytemap.h"

static uint32_t seed = 1;

static unsigned random_below(unsigned limit)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % limit;
}

static void check(const uint8_t *table, size_t count, unsigned codes)
{
    uint8_t from[700], to[700];
    struct bytemap map;

    bytemap_of(table, &map);
    for (size_t i = 0; i < count; i++) {
        from[i] = (uint8_t)(random_below(3) > 0 ? 0 : random_below(codes));
    }
    memset(to, 0xAA, sizeof(to));
    bytemap_apply(&map, from, count, to);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(to[i], table[from[i]]);
    }
    assert_true(count == sizeof(to) || to[count] == 0xAA);
    bytemap_apply(&map, from, count, from);
    assert_memory_equal(from, to, count);
}

static void tables_of_few_steps_and_of_many(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 200; steps++) {
        uint8_t table[256];

        memset(table, (int)random_below(256), sizeof(table));
        for (unsigned i = 0; i < steps; i++) {
            const unsigned at = i == 0 ? 255 : i == 1 ? 1 : random_below(256);

            memset(table + at, (int)random_below(256), 256 - at);
        }
        for (size_t count = 0; count <= 700; count += 1 + random_below(70)) {
            check(table, count, steps % 3 == 0 ? 2 : 256);
        }
    }
}

static void few_steps_are_found(void **state)
{
    uint8_t table[256] = {0};
    struct bytemap map;

    (void)state;
    for (unsigned i = 1; i <= BYTEMAP_STEPS; i++) {
        memset(table + 10 * i, (int)i, 256 - 10 * i);
    }
    bytemap_of(table, &map);
    assert_true(map.stepped);
    assert_int_equal(map.steps, BYTEMAP_STEPS);
    table[255]++;
    bytemap_of(table, &map);
    assert_false(map.stepped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_of_few_steps_and_of_many),
        cmocka_unit_test(few_steps_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
