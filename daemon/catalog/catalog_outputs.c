/** @file
 * What was made of an object: one row an output.
 */
#include "daemon/catalog/catalog_outputs.h"

#include "daemon/catalog/catalog_facts.h"
#include "daemon/catalog/catalog_p.h"
#include "lib/base/mem.h"

/* clang-format off */
const struct catalog_column catalog_frames_columns[] = {
    {"id", "string", "of the event"},
    {"img_type", "string", "vis, ir069, ir107 or vil"},
    {"frame", "bigint", "from 0"},
    {"time_utc", "timestamp", "of the frame"},
    {"minute_offset", "bigint", "from the event's time"},
    {"file_name", "string", "as CATALOG.csv has it"},
    {"file_index", "bigint", "row in the file"},
    {"size_y", "bigint", "pixels"},
    {"size_x", "bigint", "pixels"},
    {"valid", "double", "fraction of pixels that are not missing"},
    {"min", "double", "of the valid pixels, as all that follow"},
    {"max", "double", NULL},
    {"mean", "double", NULL},
    {"std", "double", "of the population"},
    {"p01", "double", "percentile 1, linear"},
    {"p10", "double", NULL},
    {"p25", "double", NULL},
    {"p50", "double", "median"},
    {"p75", "double", NULL},
    {"p90", "double", NULL},
    {"p99", "double", NULL},
    {"a16", "double", "fraction at or above VIL code 16; vil only"},
    {"a74", "double", NULL},
    {"a133", "double", NULL},
    {"a160", "double", NULL},
    {"a181", "double", NULL},
    {"a219", "double", NULL},
    {"image", "string", "key of the picture; behind a # its name in a ZIP archive"},
};
const unsigned catalog_frames_column_count = ARRAY_LEN(catalog_frames_columns);

const struct catalog_column catalog_flashes_columns[] = {
    {"id", "string", "of the event"},
    {"time_utc", "timestamp", "of the flash"},
    {"t", "double", "seconds from the event's time"},
    {"lat", "double", "degrees north"},
    {"lon", "double", "degrees east"},
    {"x", "double", "column in the 48 x 48 grid"},
    {"y", "double", "row in the grid, from the south"},
};
const unsigned catalog_flashes_column_count = ARRAY_LEN(catalog_flashes_columns);
/* clang-format on */

enum rc catalog_output_add(struct db *db, int64_t source, uint64_t job,
                           const struct catalog_output *output, struct err *err)
{
    struct db_stmt *q = db_prepare(db,
                                   "INSERT INTO output_rows (_source, job, key, bytes, sha256, "
                                   "kind) VALUES (?, ?, ?, ?, ?, ?)",
                                   err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, source);
    db_bind_int(q, 2, (int64_t)job);
    db_bind_text(q, 3, output->key);
    db_bind_int(q, 4, (int64_t)output->bytes);
    db_bind_text(q, 5, output->sha256);
    db_bind_text(q, 6, output->kind);
    return db_run(q, err);
}

enum rc catalog_outputs_clear(struct db *db, int64_t source, struct err *err)
{
    static const char *const clear[] = {
        "DELETE FROM output_rows WHERE _source = ?",
        "DELETE FROM frame_rows WHERE _source = ?",
        "DELETE FROM flash_rows WHERE _source = ?",
    };

    for (unsigned i = 0; i < ARRAY_LEN(clear); i++) {
        struct db_stmt *q = db_prepare(db, clear[i], err);

        if (q == NULL) {
            return err->rc;
        }
        db_bind_int(q, 1, source);
        if (db_run(q, err) != RC_OK) {
            return err->rc;
        }
    }
    if (catalog_facts_cleared(db, source, err) != RC_OK) {
        return err->rc;
    }
    return catalog_rows_clear(db, source, err);
}
