/** @file
 * Parts of the file that the helper keeps: blocks, of which pages are there or not.
 */
#include "daemon/h5probe/h5_cache.h"

#include <string.h>

#include "daemon/h5probe/probe_io.h"
#include "lib/base/mem.h"

#define PAGE 1024u
#define PAGES (H5_CACHE_BLOCK / PAGE)
#define ALL_PAGES UINT64_MAX
#define LITTLE_PAGES 8u /**< What a miss far away brings at least; of those */
#define AROUND_PAGES 2u /**< on either side: libhdf5 makes room for 2 KiB of metadata at once. */
#define GAP_PAGES 16u   /**< Bringing these too is cheaper than one more range. */
/* Where little is too little, in whole blocks at once: */
#define SMALL_FILE (4u << 20) /**< nothing is far apart; */
#define CLUSTER_PAGES 8u      /**< more than so many pages of a block were read, on average; */
#define AGAIN_SHARE 4u        /**< one in so many blocks missed again. */
/** Cached blocks: an index scattered through the data has its upper nodes here, and from far away
 * the children of some of them. */
#define NEAR_BLOCKS 64u
#define FAR_BLOCKS 256u

_Static_assert(PAGES == 64, "a bit a page");

struct block {
    uint64_t number;  /**< Offset in the file / H5_CACHE_BLOCK. */
    uint64_t used;    /**< Tick of the last use; 0 when empty. */
    uint64_t present; /**< A bit a page. */
    uint64_t read;    /**< The pages that somebody wanted. */
    uint8_t *bytes;
};

static struct {
    uint64_t size, tick;
    bool far;
    unsigned block_count;
    struct block blocks[FAR_BLOCKS];
    uint64_t missed_again;            /**< Times that a little of a block was not enough. */
    uint64_t blocks_read, pages_read; /**< Blocks that somebody read of, and how many pages. */
} the;

void h5_cache_start(uint64_t file_size, bool far)
{
    the.size = file_size;
    the.far = far;
    the.block_count = far ? FAR_BLOCKS : NEAR_BLOCKS;
}

/** Bits of the pages `first` to `last`. */
static uint64_t pages_of(unsigned first, unsigned last)
{
    return ALL_PAGES >> (PAGES - 1 - (last - first)) << first;
}

/** The block of that number, perhaps with none of its pages; NULL when there is no memory. */
static struct block *block_of(uint64_t number)
{
    struct block *oldest = &the.blocks[0];

    the.tick++;
    for (unsigned i = 0; i < the.block_count; i++) {
        struct block *block = &the.blocks[i];

        if (block->used != 0 && block->number == number) {
            block->used = the.tick;
            return block;
        }
        if (block->used < oldest->used) {
            oldest = block;
        }
    }
    if (oldest->bytes == NULL && (oldest->bytes = mem_try(1, H5_CACHE_BLOCK)) == NULL) {
        return NULL;
    }
    oldest->number = number;
    oldest->used = the.tick;
    oldest->present = oldest->read = 0;
    return oldest;
}

/** The bytes of these pages, as far as the file goes. */
static struct h5_wire_range range_of(const struct block *block, unsigned first, unsigned last)
{
    const uint64_t offset = block->number * H5_CACHE_BLOCK + (uint64_t)first * PAGE;
    const uint64_t len = (uint64_t)(last - first + 1) * PAGE;

    return (struct h5_wire_range){.offset = offset, .len = MIN_OF(len, the.size - offset)};
}

/** Whether whole blocks are wanted: so it is where metadata turned out to lie in clusters. */
static bool is_dense(void)
{
    return !the.far || the.size <= SMALL_FILE || the.pages_read > CLUSTER_PAGES * the.blocks_read ||
           AGAIN_SHARE * the.missed_again > MAX_OF(the.blocks_read, AGAIN_SHARE);
}

/** Some of these pages are missing: bring them, and what is likely to be wanted with them. */
static void fill(struct block *block, unsigned first, unsigned last)
{
    if (is_dense() || block->number == 0 || block->present != 0) {
        first = 0;
        last = PAGES - 1;
    } else {
        first -= MIN_OF(first, AROUND_PAGES);
        last = MIN_OF(PAGES - 1, MAX_OF(last + AROUND_PAGES, first + LITTLE_PAGES - 1));
    }
    const uint64_t missing = pages_of(first, last) & ~block->present;

    first = (unsigned)__builtin_ctzll(missing);
    last = PAGES - 1 - (unsigned)__builtin_clzll(missing);

    const struct h5_wire_range range = range_of(block, first, last);

    probe_io_fetch(range.offset, (size_t)range.len, block->bytes + (size_t)first * PAGE);
    block->present |= pages_of(first, last);
}

static void note_read(struct block *block, uint64_t pages)
{
    if (block->number > 0) { /* the head is always one */
        the.blocks_read += block->read == 0;
        the.pages_read += (unsigned)__builtin_popcountll(pages & ~block->read);
    }
    block->read |= pages;
}

bool h5_cache_read(uint64_t offset, size_t len, uint8_t *out)
{
    while (len > 0) {
        struct block *block = block_of(offset / H5_CACHE_BLOCK);
        const size_t skip = (size_t)(offset % H5_CACHE_BLOCK);
        const size_t part = MIN_OF(len, H5_CACHE_BLOCK - skip);
        const unsigned first = (unsigned)(skip / PAGE), last = (unsigned)((skip + part - 1) / PAGE);

        if (block == NULL) {
            return false;
        }
        if ((pages_of(first, last) & ~block->present) != 0) {
            the.missed_again += block->read != 0;
            fill(block, first, last);
        }
        note_read(block, pages_of(first, last));
        memcpy(out, block->bytes + skip, part);
        out += part;
        offset += part;
        len -= part;
    }
    return true;
}

/** What is being gathered for one request. */
struct gathering {
    struct h5_wire_range ranges[H5_WIRE_RANGES_MAX];
    uint8_t *buffers[H5_WIRE_RANGES_MAX];
    unsigned count;
    const struct block *block; /**< Of the latest. */
    unsigned first, last;      /**< Its pages. */
};

/** Once more at the latest if it lies close by, else at the end. */
static void gather(struct gathering *gathering, struct block *block, unsigned first, unsigned last)
{
    const uint64_t wanted = is_dense() ? ALL_PAGES : pages_of(first, last);
    const uint64_t missing = wanted & ~block->present;
    unsigned at = gathering->count;

    if ((pages_of(first, last) & missing) == 0) {
        return;
    }
    first = (unsigned)__builtin_ctzll(missing);
    last = PAGES - 1 - (unsigned)__builtin_clzll(missing);
    if (gathering->block == block && first <= gathering->last + GAP_PAGES) {
        at--;
        first = gathering->first;
    } else if (at == H5_WIRE_RANGES_MAX) {
        return;
    }
    gathering->ranges[at] = range_of(block, first, last);
    gathering->buffers[at] = block->bytes + (size_t)first * PAGE;
    gathering->count = at + 1;
    gathering->block = block;
    gathering->first = first;
    gathering->last = last;
    block->present |= pages_of(first, last);
}

static void gather_range(struct gathering *gathering, const struct h5_wire_range *range)
{
    const uint64_t end = range->offset + range->len;

    for (uint64_t offset = range->offset, part; offset < end; offset += part) {
        struct block *block = block_of(offset / H5_CACHE_BLOCK);
        const uint64_t skip = offset % H5_CACHE_BLOCK;

        if (block == NULL) {
            return;
        }
        part = MIN_OF(end - offset, H5_CACHE_BLOCK - skip);
        gather(gathering, block, (unsigned)(skip / PAGE), (unsigned)((skip + part - 1) / PAGE));
    }
}

/** By offset. qsort() would ask the system how much memory there is, which the jail forbids. */
static void sort_ranges(struct h5_wire_range *ranges, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        const struct h5_wire_range one = ranges[i];
        unsigned at = i;

        for (; at > 0 && ranges[at - 1].offset > one.offset; at--) {
            ranges[at] = ranges[at - 1];
        }
        ranges[at] = one;
    }
}

void h5_cache_ahead(struct h5_wire_range *ranges, unsigned count)
{
    struct gathering gathering = {.count = 0};

    sort_ranges(ranges, count);
    for (unsigned i = 0; i < count; i++) {
        gather_range(&gathering, &ranges[i]);
    }
    if (gathering.count > 0) {
        probe_io_fetch_many(gathering.ranges, gathering.buffers, gathering.count);
    }
}
