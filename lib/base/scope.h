/** @file
 * Scope-bound ownership: a local that owns something says so where it is declared.
 *
 *     scoped(free) char *name = str_dup("x");      // free() at the end of the block
 *     return TAKE(name);                           // ... unless handed over
 */
#pragma once

#include <stdlib.h>

/** The end of the scope is a use, also for clang. */
#define scoped(destroy) __attribute__((cleanup(destroy##_ptr), unused))

/** Define the adapter that lets `scoped(fn)` call `fn(T *)` at the end of the block. */
#define SCOPED_FN(T, fn)                  \
    static inline void fn##_ptr(T **slot) \
    {                                     \
        if (*slot != NULL) {              \
            fn(*slot);                    \
        }                                 \
    }

static inline void free_ptr(void *slot)
{
    free(*(void **)slot);
}

/** Hand the value over: evaluates to it and leaves NULL behind, so the scope no longer owns it. */
#define TAKE(ptr)                       \
    ({                                  \
        __typeof__(ptr) taken_ = (ptr); \
        (ptr) = NULL;                   \
        taken_;                         \
    })
