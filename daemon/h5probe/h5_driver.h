/** @file
 * A read-only libhdf5 file driver (API 1.10) whose file is the daemon: bytes come over the socket
 * pair, through a small cache (h5_cache.h).
 *
 * It can also record instead of read: while recording, a read of raw data only notes where it would
 * have gone. H5Dread_chunk() then tells a chunk's address and size for the price of an index
 * lookup; H5Dget_chunk_info() of 1.10 walks the whole index for each chunk.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"

/** Before the jail: libhdf5 starts, without plugins and without printing. */
enum rc h5_driver_start(struct err *err);
/** Open the one file there is, of `size` bytes. `far`: each read takes its time; `whole`: all
 * of its metadata will be wanted. A second open, as external links and virtual
 * datasets attempt, fails. The caller closes, or ends. */
enum rc h5_driver_open(uint64_t size, bool far, bool whole, hid_t *ret_file, struct err *err);

/** `rank`: of the dataset whose chunks are looked up, all of them. */
void h5_driver_record(bool on, unsigned rank);
/** The only raw read since the last call; false when there was none or more than one. */
bool h5_driver_recorded(uint64_t *ret_address, uint64_t *ret_size);

/** Turn libhdf5's error stack into an error, "what we did: what it says: why", and clear it. */
enum rc h5_driver_err(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** Whether the cause on libhdf5's error stack has this text. */
bool h5_driver_err_is(const char *text);
