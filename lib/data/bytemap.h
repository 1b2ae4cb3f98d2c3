/** @file
 * A table of 256 bytes, applied to many. Pure.
 *
 * Tables of colours have few steps: those are added up for whole vectors, which is faster than
 * looking up byte by byte, and much faster where no code reaches the first step.
 *
 * Thread:     any.
 * Ownership:  borrows the table.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BYTEMAP_STEPS 24 /**< More of them cost more than looking up. */

struct bytemap {
    const uint8_t *table;
    bool stepped; /**< What `table` says of a byte is `first` and the `add` of every step at or
                     below it. */
    unsigned steps;
    uint8_t first, begin; /**< Of no step; where the first one is. */
    struct bytemap_step { /**< As vectors. */
        uint8_t at[32], add[32];
    } step[BYTEMAP_STEPS];
};

void bytemap_of(const uint8_t table[256], struct bytemap *ret_map);
/** `to` may be `from`. */
void bytemap_apply(const struct bytemap *map, const uint8_t *from, size_t count, uint8_t *to);
