/** @file
 * Many small allocations with one end.
 */
#include "tests/unit.h"

#include <stdalign.h>
#include <string.h>

#include "lib/base/arena.h"

static void blocks_are_zeroed_aligned_and_apart(void **state)
{
    scoped(arena_free) struct arena *arena = arena_new();
    unsigned char *before = NULL;

    for (size_t size = 0; size < 300; size++) {
        unsigned char *block = arena_alloc(arena, size);

        assert_int_equal((uintptr_t)block % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(block[i], 0);
        }
        memset(block, 0xEE, size);
        assert_ptr_not_equal(block, before);
        before = block;
    }
}

static void a_large_block_fits(void **state)
{
    scoped(arena_free) struct arena *arena = arena_new();
    char *small = arena_dup(arena, "small");
    char *large = arena_alloc(arena, 1000000);

    memset(large, 1, 1000000);
    assert_string_equal(small, "small");
    assert_true(arena_bytes(arena) >= 1000000);
}

static void strings_are_copied(void **state)
{
    scoped(arena_free) struct arena *arena = arena_new();

    assert_string_equal(arena_dup_n(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_dup(arena, ""), "");
    assert_string_equal(arena_printf(arena, "%s-%05d", "x", 42), "x-00042");
    assert_int_equal(strlen(arena_printf(arena, "%08000d", 1)), 8000);
}

static void a_reset_gives_memory_back_and_zeroes_what_it_keeps(void **state)
{
    scoped(arena_free) struct arena *arena = arena_new();
    unsigned char *block;
    size_t first;

    arena_reset(arena);
    memset(arena_alloc(arena, 100), 0xEE, 100);
    first = arena_bytes(arena);
    for (int i = 0; i < 100; i++) {
        memset(arena_alloc(arena, 1000), 0xEE, 1000);
    }
    assert_true(arena_bytes(arena) > first);
    arena_reset(arena);
    assert_int_equal(arena_bytes(arena), first);
    block = arena_alloc(arena, 4000);
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(block[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_large_block_fits),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(a_reset_gives_memory_back_and_zeroes_what_it_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
