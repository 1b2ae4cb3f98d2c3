/** @file
 * A read-only libhdf5 file driver whose file is the daemon.
 */
#include "daemon/h5probe/h5_driver.h"

#include <endian.h>
#include <string.h>

#include "daemon/h5probe/h5_cache.h"
#include "daemon/h5probe/probe_io.h"
#include "lib/base/mem.h"

/** Raw data larger than this goes past the cache: nobody reads it twice. */
#define DIRECT_BYTES (2 * H5_CACHE_BLOCK)

struct file {
    H5FD_t h5; /* first: libhdf5 sees only this */
    haddr_t eoa;
};

static struct {
    uint64_t size;
    bool open, far, whole;
    unsigned address_bytes; /**< The file's own measure; 0 until it is open. */
    bool recording;
    unsigned rank; /**< Of what is recorded. */
    unsigned recorded;
    uint64_t recorded_address, recorded_size;
} the;

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

/* A B-tree of version 1: "TREE", its type, level, entries, two siblings; then keys and children in
 * turn. */
#define TREE_HEAD 24u
#define TREE_GROUP 0
#define TREE_CHUNKS 1
#define AHEAD_BYTES ((size_t)1 << 20)
/** On either side of a group's names: libhdf5 makes room for 2 KiB of metadata at once, and what
 * the names lead to lies beside them. */
#define GROUP_AROUND 2048u

static uint64_t little_endian(const uint8_t *at)
{
    uint64_t number;

    memcpy(&number, at, sizeof(number));
    return le64toh(number);
}

/** What is wanted with the child at `address`; false where that cannot be. */
static bool child_range(const uint8_t *node, size_t len, uint64_t address,
                        struct h5_wire_range *ret_range)
{
    const uint64_t around = node[4] == TREE_GROUP ? GROUP_AROUND : 0;
    const uint64_t least = around > 0 ? 1 : len, most = around > 0 ? around : len;

    if (address >= the.size || least > the.size - address) {
        return false;
    }
    ret_range->offset = address - MIN_OF(address, around);
    ret_range->len = address - ret_range->offset + MIN_OF(most, the.size - address);
    return true;
}

/** Whether all that is below this node will be wanted, and in what steps it names its children. */
static bool is_walked(const uint8_t *node, size_t len, size_t *ret_key)
{
    if (len < TREE_HEAD || memcmp(node, "TREE", 4) != 0) {
        return false;
    }
    if (node[4] == TREE_GROUP) {
        *ret_key = 8; /* where its first name is */
        return the.whole;
    }
    *ret_key = 8 + 8 * ((size_t)the.rank + 1); /* size, filter mask, offset a dimension */
    return the.recording && node[4] == TREE_CHUNKS && node[5] > 0;
}

/** From far away the children come together. What such a node says is the file's word: each address
 * is checked, and all together are few. */
static void bring_children(uint64_t base, const uint8_t *node, size_t len)
{
    struct h5_wire_range ranges[H5_WIRE_RANGES_MAX];
    unsigned count = 0;
    size_t key, bytes = 0;

    if (!is_walked(node, len, &key)) {
        return;
    }
    const unsigned entries = node[6] | (unsigned)node[7] << 8;
    size_t at = TREE_HEAD + key;

    for (unsigned i = 0; i < entries && at + 8 <= len; i++, at += 8 + key) {
        uint64_t address;

        if (count == H5_WIRE_RANGES_MAX ||
            __builtin_add_overflow(base, little_endian(node + at), &address) ||
            !child_range(node, len, address, &ranges[count]) ||
            (bytes += (size_t)ranges[count].len) > AHEAD_BYTES) {
            break;
        }
        count++;
    }
    h5_cache_ahead(ranges, count);
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
    if (!h5_cache_read(address, inside, buffer)) {
        return -1;
    }
    if (the.far && the.address_bytes == 8 && inside == len) {
        bring_children(h5->base_addr, buffer, inside);
    }
    return 0;
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

/** How wide addresses are in this file. */
static unsigned address_bytes_of(hid_t file)
{
    const hid_t plist = H5Fget_create_plist(file);
    size_t address = 0, size = 0;

    if (plist < 0 || H5Pget_sizes(plist, &address, &size) < 0) {
        H5Eclear2(H5E_DEFAULT);
        return 0;
    }
    H5Pclose(plist);
    return (unsigned)address;
}

enum rc h5_driver_open(uint64_t size, bool far, bool whole, hid_t *ret_file, struct err *err)
{
    hid_t file;

    the.size = size;
    the.far = far;
    the.whole = whole;
    h5_cache_start(size, far);
    /* An absolute name: for a relative one libhdf5 would ask for the working directory. */
    file = H5Fopen("/object", H5F_ACC_RDONLY, driver_access);
    if (file < 0) {
        return h5_driver_err(err, "open");
    }
    the.address_bytes = address_bytes_of(file);
    *ret_file = file;
    return RC_OK;
}

void h5_driver_record(bool on, unsigned rank)
{
    the.recording = on;
    the.rank = rank;
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
