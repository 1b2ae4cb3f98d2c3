#include "lib/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

enum { BLOCK_BYTES = 4096 };

struct block {
    struct block *next;
    size_t cap, used;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /**< Newest first; the last one is kept by arena_reset(). */
    size_t bytes;
};

static struct block *block_new(struct arena *arena, size_t at_least)
{
    size_t cap = MAX_OF(at_least, (size_t)BLOCK_BYTES - sizeof(struct block)), size;
    struct block *block;

    if (__builtin_add_overflow(cap, sizeof(struct block), &size)) {
        abort();
    }
    block = mem_zeroed(size);
    block->cap = cap;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->bytes += size;
    return block;
}

struct arena *arena_new(void)
{
    return mem_new(struct arena);
}

static void free_blocks(struct arena *arena, const struct block *keep)
{
    while (arena->blocks != keep) {
        struct block *block = arena->blocks;

        arena->blocks = block->next;
        arena->bytes -= sizeof(*block) + block->cap;
        free(block);
    }
}

void arena_free(struct arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_blocks(arena, NULL);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    struct block *first = arena->blocks;

    if (first == NULL) {
        return;
    }
    while (first->next != NULL) {
        first = first->next;
    }
    free_blocks(arena, first);
    memset(first->bytes, 0, first->used); /* arena_alloc() promises zeros. */
    first->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct block *block = arena->blocks;
    size_t padded;
    void *found;

    if (__builtin_add_overflow(size, alignof(max_align_t) - 1, &padded)) {
        abort();
    }
    padded = MAX_OF(padded - padded % alignof(max_align_t), alignof(max_align_t));
    if (block == NULL || block->cap - block->used < padded) {
        block = block_new(arena, padded);
    }
    found = block->bytes + block->used;
    block->used += padded;
    return found;
}

char *arena_dup_n(struct arena *arena, const char *bytes, size_t len)
{
    char *copy = arena_alloc(arena, len < SIZE_MAX ? len + 1 : len);

    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

char *arena_dup(struct arena *arena, const char *text)
{
    return arena_dup_n(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    scoped(free) char *text = NULL;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0) {
        abort();
    }
    return arena_dup_n(arena, text, (size_t)len);
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}
