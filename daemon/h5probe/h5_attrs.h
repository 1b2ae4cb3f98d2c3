/** @file
 * The attributes of an open object as text.
 *
 * Thread:     the helper's only one.
 */
#pragma once

#include <hdf5.h>

#include "lib/data/layout.h"

/** At most `H5_ATTRS_MAX` of an object, in name order; what else there is is left out. The list and
 * its strings are the heap's and live as long as the process. */
#define H5_ATTRS_MAX 256

enum rc h5_attrs_read(hid_t object, const struct layout_attr **ret_attrs, uint32_t *ret_count,
                      struct err *err);
