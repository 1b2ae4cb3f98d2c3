/** @file
 * Writing small HDF5 files in SEVIR's layout with libhdf5: our own data, so no jail is needed.
 *
 * Files are written under a hidden name and appear whole by rename. Datasets are contiguous, carry
 * no times and no attributes, and the superblock is the oldest: the same data gives the same bytes.
 *
 * Thread:     one.
 * Ownership:  the writer copies names; rows are borrowed for the call.
 */
#pragma once

#include "lib/data/planes.h"

struct h5_writer;

enum rc h5_writer_new(const char *path, struct h5_writer **ret_writer, struct err *err);
/** Without h5_writer_finish() nothing remains on disk. */
void h5_writer_free(struct h5_writer *writer);
SCOPED_FN(struct h5_writer, h5_writer_free)

/** Begin a dataset of numbers; h5_writer_row() fills it along axis 0. Ends the one before. */
enum rc h5_writer_begin(struct h5_writer *writer, const char *name, enum sample sample,
                        unsigned rank, const uint64_t *dims, struct err *err);
/** `count` rows from `first` on, native byte order. */
enum rc h5_writer_rows(struct h5_writer *writer, uint64_t first, uint64_t count, const void *rows,
                       struct err *err);
/** A dataset of fixed strings, each cut or padded with NUL to `width`. */
enum rc h5_writer_strings(struct h5_writer *writer, const char *name, const char *const *texts,
                          uint64_t count, size_t width, struct err *err);
/** Close, and give the file its name. `ret_bytes` is its size. */
enum rc h5_writer_finish(struct h5_writer *writer, uint64_t *ret_bytes, struct err *err);
