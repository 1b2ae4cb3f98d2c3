/** @file
 * The files of the dashboard, compiled in: a table that daemon/dashboard/build.py writes. Empty
 * where the dashboard was not built.
 *
 * Thread:     any; constants.
 */
#pragma once

#include <stddef.h>

struct ops_asset {
    const char *name; /**< "index.html", "assets/index-4f2a.js" */
    const char *type;
    const char *etag;           /**< With its quotes. */
    const unsigned char *bytes; /**< gzip. */
    size_t len;
    size_t raw_len; /**< Before gzip. */
};

/** `ops_asset_count` of them, by name. */
extern const struct ops_asset ops_assets[];
extern const unsigned ops_asset_count;
