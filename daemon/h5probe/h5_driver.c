/** @file
 * A read-only libhdf5 file driver whose file is the daemon.
 */
#include "daemon/h5probe/h5_driver.h"

#include <string.h>

#include "daemon/h5probe/probe_io.h"
#include "lib/base/mem.h"

/** One request brings this much; metadata comes in clusters. */
#define BLOCK_BYTES 65536u
/** Cached blocks: an index scattered through the data has its upper nodes here. */
#define BLOCKS 64u
/** Raw data larger than this goes past the cache: nobody reads it twice. */
#define DIRECT_BYTES (2 * BLOCK_BYTES)

struct block {
    uint64_t number; /**< Offset in the file / BLOCK_BYTES. */
    uint64_t used;   /**< Tick of the last use; 0 when empty. */
    uint8_t *bytes;
};

struct file {
    H5FD_t h5; /* first: libhdf5 sees only this */
    haddr_t eoa;
};

static struct {
    uint64_t size;
    bool open;
    uint64_t tick;
    struct block blocks[BLOCKS];
    bool recording;
    unsigned recorded;
    uint64_t recorded_address, recorded_size;
} the;

static struct block *block_of(uint64_t number)
{
    struct block *oldest = &the.blocks[0];

    the.tick++;
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct block *block = &the.blocks[i];

        if (block->used != 0 && block->number == number) {
            block->used = the.tick;
            return block;
        }
        if (block->used < oldest->used) {
            oldest = block;
        }
    }
    if (oldest->bytes == NULL && (oldest->bytes = mem_try(1, BLOCK_BYTES)) == NULL) {
        return NULL;
    }
    const uint64_t start = number * BLOCK_BYTES;
    probe_io_fetch(start, (size_t)MIN_OF((uint64_t)BLOCK_BYTES, the.size - start), oldest->bytes);
    oldest->number = number;
    oldest->used = the.tick;
    return oldest;
}

static bool read_cached(uint64_t offset, size_t len, uint8_t *out)
{
    while (len > 0) {
        const struct block *block = block_of(offset / BLOCK_BYTES);
        const size_t skip = (size_t)(offset % BLOCK_BYTES);
        const size_t part = MIN_OF(len, BLOCK_BYTES - skip);

        if (block == NULL) {
            return false;
        }
        memcpy(out, block->bytes + skip, part);
        out += part;
        offset += part;
        len -= part;
    }
    return true;
}

static H5FD_t *driver_open(const char *name, unsigned flags, hid_t fapl, haddr_t max_address)
{
    struct file *file;

    if (the.open || (flags & H5F_ACC_RDWR) != 0) {
        return NULL;
    }
    file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return NULL;
    }
    the.open = true;
    return &file->h5;
}

static herr_t driver_close(H5FD_t *h5)
{
    the.open = false;
    free(h5);
    return 0;
}

static herr_t driver_query(const H5FD_t *h5, unsigned long *flags)
{
    *flags = 0;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *h5, H5FD_mem_t type)
{
    return ((const struct file *)h5)->eoa;
}

static herr_t driver_set_eoa(H5FD_t *h5, H5FD_mem_t type, haddr_t address)
{
    ((struct file *)h5)->eoa = address;
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *h5, H5FD_mem_t type)
{
    return the.size;
}

static herr_t driver_read(H5FD_t *h5, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t len,
                          void *buffer)
{
    size_t inside;

    if (the.recording && type == H5FD_MEM_DRAW) {
        the.recorded++;
        the.recorded_address = address;
        the.recorded_size = len;
        return 0;
    }
    /* Like libhdf5's own drivers: what lies beyond the end reads as zeros. */
    inside = address >= the.size ? 0 : (size_t)MIN_OF((uint64_t)len, the.size - address);
    memset((uint8_t *)buffer + inside, 0, len - inside);
    if (type == H5FD_MEM_DRAW && inside > DIRECT_BYTES) {
        probe_io_fetch(address, inside, buffer);
        return 0;
    }
    return read_cached(address, inside, buffer) ? 0 : -1;
}

static herr_t driver_write(H5FD_t *h5, H5FD_mem_t type, hid_t dxpl, haddr_t address, size_t len,
                           const void *buffer)
{
    return -1;
}

static const H5FD_class_t driver_class = {
    .name = "sevird",
    .maxaddr = ((haddr_t)1 << 62) - 1,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static hid_t driver_access = H5I_INVALID_HID; /**< Property list that names the driver. */

enum rc h5_driver_start(struct err *err)
{
    hid_t driver;

    if (H5open() < 0 || H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 || H5PLset_loading_state(0) < 0) {
        return err_set(err, RC_BUG, "libhdf5 does not start");
    }
    driver = H5FDregister(&driver_class);
    driver_access = H5Pcreate(H5P_FILE_ACCESS);
    if (driver < 0 || driver_access < 0 || H5Pset_driver(driver_access, driver, NULL) < 0) {
        return err_set(err, RC_BUG, "libhdf5 does not take our file driver");
    }
    return RC_OK;
}

enum rc h5_driver_open(uint64_t size, hid_t *ret_file, struct err *err)
{
    hid_t file;

    the.size = size;
    /* An absolute name: for a relative one libhdf5 would ask for the working directory. */
    file = H5Fopen("/object", H5F_ACC_RDONLY, driver_access);
    if (file < 0) {
        return h5_driver_err(err, "open");
    }
    *ret_file = file;
    return RC_OK;
}

void h5_driver_record(bool on)
{
    the.recording = on;
    the.recorded = 0;
}

bool h5_driver_recorded(uint64_t *ret_address, uint64_t *ret_size)
{
    const unsigned count = the.recorded;

    the.recorded = 0;
    if (count != 1) {
        return false;
    }
    *ret_address = the.recorded_address;
    *ret_size = the.recorded_size;
    return true;
}
