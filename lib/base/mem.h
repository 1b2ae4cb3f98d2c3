/** @file
 * Small memory of fixed size: either it is there or the process is not.
 *
 * State is on disk and systemd restarts us, so unwinding from a failed 200-byte allocation would be
 * code nobody ever runs. Anything whose size comes from data asks lib/base/budget.h first, and
 * allocates with mem_try(), which may answer NULL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline void *mem_zeroed(size_t size)
{
    void *block = calloc(1, size);

    if (block == NULL) {
        abort();
    }
    return block;
}

#define mem_new(T) ((T *)mem_zeroed(sizeof(T)))

/** Grow or shrink; aborts when there is none. For tables of our own making, not for data. */
static inline void *mem_resize(void *block, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) ||
        (block = realloc(block, bytes > 0 ? bytes : 1)) == NULL) {
        abort();
    }
    return block;
}

/** Uninitialised memory for data; NULL when there is none or `count * size` overflows. */
static inline void *mem_try(size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    return malloc(bytes > 0 ? bytes : 1);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
