/** @file
 * One row of SEVIR's CATALOG.csv: recognised by its columns, checked field by field. Pure.
 *
 * A catalog that a spreadsheet has mangled (times without seconds, "#NAME?" for the projection,
 * numbers in scientific notation) is refused with RC_INVALID and "line L column 'C': why".
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/rc.h"
#include "lib/base/str.h"
#include "lib/data/csv.h"
#include "lib/sevir/naming.h"

#define CATALOG_COLUMNS 21
#define CATALOG_FRAMES_MAX 1024

struct catalog_row {
    const char *id, *file_name;
    int64_t file_index;
    enum sevir_type img_type;
    int64_t time_utc;     /**< Seconds since 1970. */
    unsigned frame_count; /**< Number of minute offsets; 0 for lght. */
    const int16_t *minute_offsets;
    const char *episode_id, *event_id; /**< As text ("138793"), "" for random events. */
    const char *event_type;            /**< "" for random events. */
    double llcrnrlat, llcrnrlon, urcrnrlat, urcrnrlon;
    const char *proj; /**< Trailing space removed. */
    int64_t size_x, size_y;
    double height_m, width_m;
    double data_min, data_max; /**< NaN where empty. */
    double pct_missing;        /**< A fraction, NaN where empty. */
};

/** Positions of the 21 columns in a header; columns may be in any order, others may be among them.
 */
struct catalog_header {
    unsigned columns;              /**< Of the header. */
    int position[CATALOG_COLUMNS]; /**< By the order of CATALOG.csv. */
};

extern const char *const catalog_columns[CATALOG_COLUMNS];

/** Whether a header is a SEVIR catalog's: it has id, file_name, file_index, img_type and time_utc.
 * A catalog that lacks one of the other columns is still one: catalog_header_check() then says so.
 */
bool catalog_header_recognise(const struct csv_row *header);
enum rc catalog_header_check(const struct csv_row *header, struct catalog_header *ret_header,
                             struct err *err);
/** Strings go into `arena`. */
enum rc catalog_row_parse(const struct catalog_header *header, const struct csv_row *row,
                          struct arena *arena, struct catalog_row *ret_row, struct err *err);
/** The row as catalog/year=…/month=…/CATALOG.csv has it: typed and cleaned, with its newline. */
void catalog_row_write(const struct catalog_row *row, struct strbuf *out);
/** The header line that goes with it. */
void catalog_row_write_header(struct strbuf *out);
/** Storm event ids begin with 'S', random ones with 'R'. */
bool catalog_row_is_storm(const struct catalog_row *row);
/** A copy whose strings live in `arena`. */
struct catalog_row catalog_row_copy(const struct catalog_row *row, struct arena *arena);
