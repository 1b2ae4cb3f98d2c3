/** @file
 * An arena: many small allocations with one end. A job's strings live in its arena.
 *
 * Thread:     one at a time.
 * Ownership:  everything from an arena lives until arena_free() or arena_reset().
 */
#pragma once

#include <stddef.h>

#include "lib/base/scope.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);
SCOPED_FN(struct arena, arena_free)
/** Forget everything, keep the first block. */
void arena_reset(struct arena *arena);
/** Zeroed, aligned for any type; aborts when there is no memory. */
void *arena_alloc(struct arena *arena, size_t size);
char *arena_dup(struct arena *arena, const char *text);
char *arena_dup_n(struct arena *arena, const char *bytes, size_t len);
char *arena_printf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Bytes taken from the system. */
size_t arena_bytes(const struct arena *arena);
