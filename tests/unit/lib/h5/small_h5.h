/** @file
 * A small HDF5 file for tests that cannot make one, as the runs of it that are not zeros. h5py
 * wrote it (libver v110): 'vil', uint8 (4,3,2), contiguous, 0 to 23; 'packed', int16 (4,6), the
 * same numbers, chunks (2,6), filter scaleoffset.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SMALL_H5_SIZE 2128

/* clang-format off */
static const struct {
    size_t at;
    const char *hex;
} small_h5_runs[] = {
    {0, "894844460d0a1a0a030808"},
    {20, "ffffffffffffffff500800000000000030"},
    {44,
     "036f27064f484452020078021200000000ffffffffffffffffffffffffffffffff0a020001000006"
     "0e000001000376696cb3"},
    {101, "061100000100067061636b6564bf01"},
    {123, "31"},
    {175, "3985b55b4f48445202010001013400000203010104"},
    {203, "03"},
    {211, "02"},
    {219, "04"},
    {227, "03"},
    {235, "02"},
    {243, "030c000110000000010000000000080005020001030a081200000301000800000000000018"},
    {288, "98"},
    {443, "57e4d1554f48445202010001012400000202010104"},
    {471, "06"},
    {479, "04"},
    {487, "06"},
    {495, "030c000110080000020000000000100005020001030b0b580001020106000100140002"},
    {537, "0c"},
    {545, "0200000001"},
    {557, "01"},
    {609, "081200000402000301020602030acb02"},
    {632, "4c"},
    {711, "fa58fe464641484400010e0a02"},
    {731,
     "e7020000000000002b103b10464144420001cb0200000000000018080000000000001c0000000000"
     "34080000000000001c0000000000f2313061"},
    {2049, "0102030405060708090a0b0c0d0e0f1011121314151617040000000801"},
    {2093, "f0123456789a0004000000080c"},
    {2121, "0123456789ab"},
};
/* clang-format on */

static inline uint8_t small_h5_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static inline void small_h5(uint8_t out[SMALL_H5_SIZE])
{
    memset(out, 0, SMALL_H5_SIZE);
    for (size_t i = 0; i < sizeof(small_h5_runs) / sizeof(small_h5_runs[0]); i++) {
        uint8_t *to = out + small_h5_runs[i].at;

        for (const char *hex = small_h5_runs[i].hex; *hex != '\0'; hex += 2) {
            *to++ = (uint8_t)(small_h5_digit(hex[0]) << 4 | small_h5_digit(hex[1]));
        }
    }
}
