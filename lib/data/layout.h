/** @file
 * The layout of an HDF5 file: its datasets, their types and shapes, and where their bytes lie.
 *
 * The jailed helper produces it, the catalog keeps it, workers read data by it without libhdf5.
 * Its encoded form comes from a process that a crafted file may have taken over, so
 * layout_decode() believes nothing: every count, size and product is checked against its bound.
 *
 * Thread:     any; a layout is immutable once made.
 * Ownership:  one block of memory a layout; layout_free() frees all of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"
#include "lib/base/str.h"

#define LAYOUT_RANK_MAX 8
#define LAYOUT_FILTERS_MAX 8
#define LAYOUT_DATASETS_MAX 200000
#define LAYOUT_CHUNKS_MAX 4194304 /**< Of all datasets together; beyond, tables are left out. */
#define LAYOUT_NAME_MAX 1024
#define LAYOUT_VALUE_MAX 256 /**< Bytes of an attribute's text. */
#define LAYOUT_UNALLOCATED \
    UINT64_MAX /**< Address of a chunk or dataset never written: fill value. */

enum layout_class { LAYOUT_INTEGER, LAYOUT_FLOAT, LAYOUT_STRING, LAYOUT_OTHER };
enum layout_storage { LAYOUT_COMPACT, LAYOUT_CONTIGUOUS, LAYOUT_CHUNKED, LAYOUT_VIRTUAL };

struct layout_dtype {
    enum layout_class class_;
    uint32_t size; /**< Bytes an element; 0 for variable length. */
    bool is_signed, big_endian;
    bool plain;    /**< IEEE or two's complement using every bit: workers can read it. */
    char text[32]; /**< numpy's spelling: "uint8", "int16", "float32", ">i2", "S10", "object". */
};

struct layout_filter {
    int32_t
        id; /**< H5Z_FILTER_DEFLATE 1, SHUFFLE 2, FLETCHER32 3, SZIP 4, NBIT 5, SCALEOFFSET 6... */
    char name[32];
};

struct layout_chunk {
    uint64_t address;     /**< In the file, or LAYOUT_UNALLOCATED. */
    uint32_t size;        /**< Stored bytes. */
    uint32_t filter_mask; /**< Bit i set: filter i was skipped for this chunk. */
};

struct layout_attr {
    const char *name;
    const char *dtype;
    const char *value; /**< As text, cut at 256 bytes. */
};

struct layout_dataset {
    const char *name; /**< Path below the root group, without the leading slash: "vil", "a/b". */
    struct layout_dtype dtype;
    uint32_t rank; /**< 0: scalar. */
    uint64_t dims[LAYOUT_RANK_MAX];
    enum layout_storage storage;
    uint64_t address,
        size; /**< Contiguous: where and how much; `size` is storage in use for all. */
    uint64_t chunk_dims[LAYOUT_RANK_MAX];
    uint32_t filter_count;
    struct layout_filter filters[LAYOUT_FILTERS_MAX];
    /** Cells of the chunk grid, in C order. 0 unless chunked, and where the table was left out
     * (too large, or of no use because of a filter): then layout_direct() refuses. */
    uint64_t chunk_count;
    const struct layout_chunk *chunks;
    uint8_t fill[8]; /**< One element as stored in the file; zeros when it defines none. */
    uint32_t attr_count;
    const struct layout_attr *attrs;
};

struct layout {
    uint64_t file_size;
    uint32_t dataset_count;
    const struct layout_dataset *datasets; /**< By name, in byte order. */
    uint32_t attr_count;                   /**< Of the root group. */
    const struct layout_attr *attrs;
    uint32_t skipped; /**< Links that lead nowhere readable (external, dangling, cyclic). */
};

void layout_free(struct layout *layout);
SCOPED_FN(struct layout, layout_free)

/** What a dataset may be called: UTF-8 of 1 to LAYOUT_NAME_MAX bytes without control characters,
 * no empty, '.' or '..' component. Links of other names are counted as skipped. */
bool layout_name_ok(const char *name, size_t len);
/** Datasets may come in any order; their names are layout_name_ok() and differ. Texts of attributes
 * and filters are cleaned and cut on the way: what is not text becomes U+FFFD. */
void layout_encode(const struct layout *layout, struct strbuf *out);
/** RC_CORRUPT, naming the field, for anything inconsistent. */
enum rc layout_decode(const void *bytes, size_t len, struct layout **ret_layout, struct err *err);

/** NULL when there is none of that name. */
const struct layout_dataset *layout_find(const struct layout *layout, const char *name);
/** Elements; 0 on overflow. */
uint64_t layout_elements(const struct layout_dataset *dataset);
/** Bytes of one row (one step along axis 0); 0 on overflow or for a scalar. */
uint64_t layout_row_bytes(const struct layout_dataset *dataset);
/** Whether workers can decode it from bytes alone. RC_UNSUPPORTED names what is in the way
 * ("filter 'szip' (4)"): then the helper does it. */
enum rc layout_direct(const struct layout_dataset *dataset, struct err *err);
/** "contiguous at 2048", "chunked 1x384x384x49 filters shuffle,deflate". */
void layout_describe(const struct layout_dataset *dataset, struct strbuf *out);
/** The whole layout as JSON, without chunk tables: what `inspect --json` and the API show. */
void layout_json(const struct layout *layout, struct strbuf *out);
