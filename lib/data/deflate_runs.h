/** @file
 * A zlib stream of scanlines: runs of one byte and Huffman's codes, nothing else of deflate. Pure.
 *
 * Packed and filtered scanlines of weather hold long runs and, between them, noise in which longer
 * matches hardly ever pay: not looking for them makes this several times as fast as a general
 * compressor, at about the same size (docs/decisions/0021-own-deflate-writer.md).
 *
 * Thread:     any; workers. An encoder serves one call at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/scope.h"

struct deflate_runs;

struct deflate_runs *deflate_runs_new(void);
void deflate_runs_free(struct deflate_runs *encoder);
SCOPED_FN(struct deflate_runs, deflate_runs_free)

/** Room that the stream of `len` bytes needs at most. */
size_t deflate_runs_bound(size_t len);
#define DEFLATE_RUNS_SLACK 3 /**< Bytes behind the last that are read too, whatever they are. */

/** `to` has room for deflate_runs_bound(len); answers the stream's length. The same bytes make the
 * same stream on every machine. */
size_t deflate_runs(struct deflate_runs *encoder, const uint8_t *from, size_t len, uint8_t *to);
