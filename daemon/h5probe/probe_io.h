/** @file
 * The helper's end of the socket pair: bytes of the file in, answers out.
 *
 * The daemon is trusted and everything blocks. A socket that fails means that the daemon has no use
 * for us any more: the process ends at once, so nothing here returns an error.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <stddef.h>

#include "lib/base/rc.h"
#include "lib/h5/h5_wire.h"

struct probe_request {
    struct h5_wire_request wire;
    char name[H5_WIRE_NAME_MAX + 1]; /**< "" for a layout. */
};

/** RC_INVALID for a request that this helper does not understand. */
enum rc probe_io_request(struct probe_request *ret_request, struct err *err);
/** `len` bytes of the file from `offset`, both within it. Asks in pieces where it must. */
void probe_io_fetch(uint64_t offset, size_t len, void *buffer);
/** Several ranges in one go: `ranges[i]` into `buffers[i]`. All within the file, at most
 * H5_WIRE_RANGES_MAX of H5_WIRE_READ_MAX bytes together. */
void probe_io_fetch_many(const struct h5_wire_range *ranges, uint8_t *const *buffers,
                         unsigned count);
/** An answer's head: `len` bytes are to follow by probe_io_bytes(). */
void probe_io_answer(enum h5_wire_type type, uint64_t len);
void probe_io_bytes(const void *bytes, size_t len);
/** The answer is this error; the code tells which class. */
void probe_io_error(const struct err *err);
