/** @file
 * What the daemon and `sevird-h5probe` say to each other over their socket pair.
 *
 *     daemon                        helper
 *     H5_WIRE_REQUEST + name   →
 *                              ←    H5_WIRE_READ   (offset, len)       as often as it needs, or
 *                                   H5_WIRE_READ_MANY + ranges         several, together
 *     H5_WIRE_DATA + len bytes →
 *                              ←    H5_WIRE_LAYOUT + layout_encode()   once, or
 *                                   H5_WIRE_ROWS   + decoded rows      pieces, then an empty one,
 * or H5_WIRE_ERROR  + text              and it exits
 *
 * One message is a head and `len` bytes. Both ends are built together and run on one machine, so
 * integers are native; `version` in the request catches an old helper left beside a new daemon. The
 * helper trusts the daemon. The daemon trusts nothing: a crafted file may speak through the helper.
 */
#pragma once

#include <stdint.h>

#define H5_WIRE_VERSION 2
#define H5_WIRE_FD 3 /**< Where the helper finds its end. */

#define H5_WIRE_NAME_MAX 1024          /**< Bytes of a dataset's path. */
#define H5_WIRE_TEXT_MAX 400           /**< Bytes of an error's text. */
#define H5_WIRE_READ_MAX (4u << 20)    /**< Bytes one READ, or one READ_MANY, may ask for. */
#define H5_WIRE_RANGES_MAX 64          /**< Ranges of one READ_MANY. */
#define H5_WIRE_LAYOUT_MAX (64u << 20) /**< Bytes of an encoded layout. */
#define H5_WIRE_CHUNKS_MAX (2u << 20)  /**< Chunks of all datasets of a file together. */
#define H5_WIRE_MEMORY_MIN \
    (128ull << 20) /**< Less address space than this and libhdf5 cannot start. */

enum h5_wire_type {
    H5_WIRE_REQUEST = 0x48350001,
    H5_WIRE_DATA,
    H5_WIRE_READ,
    H5_WIRE_LAYOUT,
    H5_WIRE_ROWS,
    H5_WIRE_ERROR,
    H5_WIRE_READ_MANY,
};

enum h5_wire_kind { H5_WIRE_WANT_LAYOUT = 1, H5_WIRE_WANT_ROWS };

/** Why the helper has no answer; `code` of H5_WIRE_ERROR. */
enum h5_wire_error {
    H5_WIRE_CORRUPT = 1, /**< libhdf5 refused the file's content. */
    H5_WIRE_UNSUPPORTED, /**< A filter, a type, a storage that nothing here reads. */
    H5_WIRE_INVALID,     /**< Not HDF5, or no such dataset or rows. */
    H5_WIRE_LIMIT,       /**< Needs more memory, datasets or chunks than are allowed. */
    H5_WIRE_BROKEN,      /**< The helper itself could not start working. */
};

struct h5_wire_head {
    uint32_t type;   /**< enum h5_wire_type */
    uint32_t code;   /**< ERROR: enum h5_wire_error; else 0. */
    uint64_t offset; /**< READ: where in the file; else 0. */
    uint64_t len;    /**< READ: bytes wanted; else bytes that follow. */
};

/** What follows the head of H5_WIRE_REQUEST, itself followed by `name_len` bytes. */
struct h5_wire_request {
    uint32_t version, kind;
    uint64_t file_size;
    uint64_t memory_bytes; /**< RLIMIT_AS. */
    uint64_t cpu_seconds;  /**< RLIMIT_CPU. */
    uint64_t first, count; /**< ROWS. */
    uint64_t bytes;        /**< ROWS: what they take, decoded, by the layout. */
    uint64_t far;          /**< Not 0: a read takes its time, and its bytes are counted. */
    uint64_t name_len;     /**< ROWS: the dataset's path. */
};

/** H5_WIRE_READ_MANY is followed by `len` bytes of these; its answer has their bytes in this order.
 */
struct h5_wire_range {
    uint64_t offset, len;
};

_Static_assert(sizeof(struct h5_wire_head) == 24, "no padding on the wire");
_Static_assert(sizeof(struct h5_wire_request) == 72, "no padding on the wire");
