/** @file
 * Datatypes of libhdf5 in the layout's words, and the memory type that rows are read into.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <hdf5.h>

#include "lib/data/layout.h"

/** What an open datatype is. Never fails: what is strange is LAYOUT_OTHER. */
void h5_type_describe(hid_t type, struct layout_dtype *ret_dtype);
/** The type of native order and the same size that rows of `type` are converted into; the caller
 * closes it. RC_UNSUPPORTED, naming the type, when there is none. */
enum rc h5_type_native(hid_t type, const struct layout_dtype *dtype, hid_t *ret_type,
                       struct err *err);
