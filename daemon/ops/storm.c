/** @file
 * /v1/storms/{id}: all that is known of one event: its rows, the frames of each, pictures, tables,
 * manifests, flashes.
 */
#include "daemon/ops/storm.h"

#include <inttypes.h>
#include <math.h>

#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/encoding.h"
#include "lib/sevir/lightning.h"

struct storm {
    struct ops_call *call;
    struct strbuf out; /**< The lane's until it is done. */
    unsigned rows;
};

enum rc storm_source(struct db *db, const char *id, enum sevir_type type, const char *file_name,
                     int64_t *ret_source, char **ret_key, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT s.id, s.key FROM sources AS s WHERE s.id ="
                   " coalesce((SELECT _source FROM frame_rows WHERE id = ?1 AND img_type = ?2"
                   "  AND file_name = ?3 LIMIT 1),"
                   " (SELECT _source FROM flash_rows WHERE id = ?1 AND ?2 = 'lght' LIMIT 1),"
                   " (SELECT l.source FROM layouts AS l JOIN sources AS o ON o.id = l.source"
                   "  WHERE o.key = ?3 OR substr(o.key, -length(?3) - 1) = '/' || ?3 LIMIT 1))",
                   err);

    *ret_source = 0;
    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, id);
    db_bind_text(q, 2, sevir_type_name(type));
    db_bind_text(q, 3, file_name);
    if (db_step(q, err)) {
        *ret_source = db_int(q, 0);
        if (ret_key != NULL) {
            *ret_key = str_dup(db_text(q, 1));
        }
        db_reset(q);
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/* ---- one row of the catalog ---- */

struct row {
    const char *id;
    enum sevir_type type;
    char *file_name;
    int64_t file_index, year, month;
    int64_t source;
    char *key; /**< Of the object; NULL: not known. */
};

/** ,"name":"key", or null when nothing of `source` was published under it. */
static enum rc add_output(struct db *db, struct strbuf *out, const char *name, int64_t source,
                          const char *key, struct err *err)
{
    struct db_stmt *q =
        db_prepare(db, "SELECT 1 FROM output_rows WHERE key = ?1 AND _source = ?2 LIMIT 1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, key);
    db_bind_int(q, 2, source);
    strbuf_printf(out, ",\"%s\":", name);
    if (db_step(q, err)) {
        strbuf_json(out, key);
        db_reset(q);
    } else {
        strbuf_puts(out, "null");
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static const char *const frame_columns[] = {"frame", "time_utc", "minute_offset", "image", "mean",
                                            "max",   "p10",      "p90",           "p99",   "a74",
                                            "a133",  "a160",     "a219",          "valid"};

static void add_cell(struct strbuf *out, struct db_stmt *q, int column)
{
    const char *name = frame_columns[column];

    if (db_is_null(q, column)) {
        strbuf_puts(out, "null");
    } else if (strcmp(name, "time_utc") == 0 || strcmp(name, "image") == 0) {
        strbuf_json(out, db_text(q, column));
    } else {
        strbuf_double(out, db_double(q, column));
    }
}

/** The frames as rows, and the folder of the first picture in `ret_folder`. */
static enum rc add_frames(struct db *db, struct strbuf *out, const struct row *row,
                          char **ret_folder, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "SELECT frame, time_utc, minute_offset, nullif(image, ''), mean, max, p10, p90, p99, a74,"
        " a133, a160, a219, valid FROM frame_rows"
        " WHERE id = ?1 AND img_type = ?2 AND file_name = ?3 AND file_index = ?4"
        " ORDER BY frame LIMIT 1000",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, row->id);
    db_bind_text(q, 2, sevir_type_name(row->type));
    db_bind_text(q, 3, row->file_name);
    db_bind_int(q, 4, row->file_index);
    strbuf_puts(out, ",\"frames\":{\"columns\":[");
    for (unsigned i = 0; i < ARRAY_LEN(frame_columns); i++) {
        strbuf_printf(out, "%s\"%s\"", i > 0 ? "," : "", frame_columns[i]);
    }
    strbuf_puts(out, "],\"rows\":[");
    for (unsigned n = 0; db_step(q, err); n++) {
        strbuf_puts(out, n > 0 ? ",\n[" : "\n[");
        for (unsigned i = 0; i < ARRAY_LEN(frame_columns); i++) {
            strbuf_puts(out, i > 0 ? "," : "");
            add_cell(out, q, (int)i);
        }
        strbuf_putc(out, ']');
        if (*ret_folder == NULL && !db_is_null(q, 3)) {
            const char *image = db_text(q, 3);

            *ret_folder = str_dup_n(image, (size_t)(str_basename(image) - image));
        }
    }
    strbuf_puts(out, "]}");
    return db_failed(q) ? err->rc : RC_OK;
}

/** Where its pictures lie and which tables it is in. */
static enum rc add_published(struct db *db, struct strbuf *out, const struct row *row,
                             const char *folder, struct err *err)
{
    scoped(free) char *own = folder != NULL && *folder != '\0'
                                 ? str_dup(folder)
                                 : naming_image_prefix(row->type, row->id, row->file_index, 0);
    scoped(free) char *sheet = str_printf("%s" NAMING_SHEET, own);
    scoped(free) char *packed = str_printf("%s" NAMING_PACKED, own);
    scoped(free) char *csv =
        row->type == SEVIR_LGHT
            ? naming_flashes_key((int)row->year, (int)row->month, row->key)
            : naming_frames_key(row->type, (int)row->year, (int)row->month, row->key);
    scoped(free) char *manifest = naming_manifest_key(row->key);

    if (add_output(db, out, "sheet", row->source, sheet, err) != RC_OK ||
        add_output(db, out, "packed", row->source, packed, err) != RC_OK ||
        add_output(db, out, "csv", row->source, csv, err) != RC_OK) {
        return err->rc;
    }
    struct db_stmt *q = db_prepare(db, "SELECT 1 FROM output_rows WHERE _source = ?1 LIMIT 1", err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, row->source);
    strbuf_puts(out, ",\"manifest\":");
    if (db_step(q, err)) {
        strbuf_json(out, manifest);
        db_reset(q);
    } else {
        strbuf_puts(out, "null");
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/** What is not in the catalog itself. */
static enum rc add_made(struct db *db, struct strbuf *out, struct row *row, struct err *err)
{
    scoped(free) char *folder = NULL;

    if (storm_source(db, row->id, row->type, row->file_name, &row->source, &row->key, err) !=
        RC_OK) {
        return err->rc;
    }
    strbuf_puts(out, ",\"object\":");
    strbuf_puts(out, row->key == NULL ? "null" : "");
    if (row->key != NULL) {
        strbuf_json(out, row->key);
    }
    if (add_frames(db, out, row, &folder, err) != RC_OK) {
        return err->rc;
    }
    if (row->key == NULL) {
        strbuf_puts(out, ",\"sheet\":null,\"packed\":null,\"csv\":null,\"manifest\":null");
        return RC_OK;
    }
    return add_published(db, out, row, folder, err);
}

static void add_real(struct strbuf *out, struct db_stmt *q, int column)
{
    if (db_is_null(q, column)) {
        strbuf_puts(out, "null");
    } else {
        strbuf_double(out, db_double(q, column));
    }
}

/** A row as the catalog has it; what was made of it needs the statement's end first. */
static void add_catalog_row(struct strbuf *out, struct db_stmt *q, struct row *row)
{
    sevir_type_parse(db_text(q, 0), &row->type);
    row->file_name = str_dup(db_text(q, 1));
    row->file_index = db_int(q, 2);
    row->year = db_int(q, 10);
    row->month = db_int(q, 11);
    strbuf_printf(out, "{\"img_type\":\"%s\",\"file_name\":", sevir_type_name(row->type));
    strbuf_json(out, row->file_name);
    strbuf_printf(out, ",\"file_index\":%" PRId64 ",\"time_utc\":", row->file_index);
    strbuf_json(out, db_text(q, 3));
    strbuf_puts(out, ",\"event_type\":");
    strbuf_json(out, db_text(q, 4));
    strbuf_puts(out, ",\"bbox\":[");
    for (int column = 5; column <= 8; column++) {
        strbuf_puts(out, column > 5 ? "," : "");
        add_real(out, q, column);
    }
    strbuf_puts(out, "],\"pct_missing\":");
    add_real(out, q, 9);
}

#define ROWS_MAX 32 /**< An event has one a type; a few have two. */

static enum rc read_rows(struct db *db, const char *id, struct strbuf texts[ROWS_MAX],
                         struct row rows[ROWS_MAX], unsigned *ret_count, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "SELECT img_type, file_name, file_index, time_utc, event_type, llcrnrlat, llcrnrlon,"
        " urcrnrlat, urcrnrlon, pct_missing, year, month FROM event_rows"
        " WHERE id = ?1 AND shown = 1 AND load IN (SELECT id FROM event_loads WHERE settled = 1)"
        " ORDER BY CASE img_type WHEN 'vis' THEN 0 WHEN 'ir069' THEN 1 WHEN 'ir107' THEN 2"
        "  WHEN 'vil' THEN 3 ELSE 4 END, load, ordinal LIMIT ?2",
        err);

    *ret_count = 0;
    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, id);
    db_bind_int(q, 2, ROWS_MAX);
    while (db_step(q, err)) {
        rows[*ret_count] = (struct row){.id = id};
        add_catalog_row(&texts[*ret_count], q, &rows[*ret_count]);
        ++*ret_count;
    }
    return db_failed(q) ? err->rc : RC_OK;
}

/** "flashes":[…] of each frame; the grid is a chart of its own. */
static enum rc add_flashes(struct db *db, struct strbuf *out, const char *id, struct err *err)
{
    unsigned counts[LIGHTNING_FRAMES] = {0};
    struct db_stmt *q = db_prepare(
        db,
        "SELECT max(0, min(48, CAST((t + 7200) / 300 AS INTEGER))), count(*) FROM flash_rows"
        " WHERE id = ?1 AND x >= 0 AND x < 48 AND y >= 0 AND y < 48 GROUP BY 1",
        err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, id);
    while (db_step(q, err)) {
        counts[db_int(q, 0)] = (unsigned)db_int(q, 1);
    }
    strbuf_puts(out, ",\"flashes\":[");
    for (unsigned i = 0; i < LIGHTNING_FRAMES; i++) {
        strbuf_printf(out, "%s%u", i > 0 ? "," : "", counts[i]);
    }
    strbuf_putc(out, ']');
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc read_storm(struct db *db, void *arg, struct err *err)
{
    struct storm *storm = arg;
    const char *id = storm->call->name;
    struct strbuf texts[ROWS_MAX] = {{0}};
    struct row rows[ROWS_MAX];
    enum rc rc = read_rows(db, id, texts, rows, &storm->rows, err);

    strbuf_puts(&storm->out, "{\"id\":");
    strbuf_json(&storm->out, id);
    strbuf_puts(&storm->out, ",\"types\":[");
    for (unsigned i = 0; i < storm->rows; i++) {
        rc = rc == RC_OK ? add_made(db, &texts[i], &rows[i], err) : rc;
        strbuf_puts(&storm->out, i > 0 ? ",\n" : "\n");
        strbuf_puts(&storm->out, strbuf_text(&texts[i]));
        strbuf_putc(&storm->out, '}');
        strbuf_done(&texts[i]);
        free(rows[i].file_name);
        free(rows[i].key);
    }
    strbuf_putc(&storm->out, ']');
    rc = rc == RC_OK ? add_flashes(db, &storm->out, id, err) : rc;
    strbuf_puts(&storm->out, "}\n");
    return rc;
}

static void on_storm(const struct err *err, void *arg)
{
    struct storm *storm = arg;
    struct ops_call *call = storm->call;

    if (err != NULL) {
        ops_problem_err(call, err);
    } else if (storm->rows == 0) {
        ops_problem(call, 404, "the catalog has no event '%.80s'", call->name);
    } else {
        ops_answer_json(call, &storm->out);
    }
    strbuf_done(&storm->out);
    free(storm);
}

void ops_get_storm(struct ops_call *call)
{
    struct storm *storm = mem_new(struct storm);

    *storm = (struct storm){.call = call};
    catalog_read(call->ops->services->catalog, read_storm, on_storm, storm);
}

/* ---- colours ---- */

static void add_stop(struct strbuf *out, enum sevir_type type, double code, bool first)
{
    const struct pngfile_rgb *rgb = &colors_of(type)->palette[colors_index(type, code)];

    strbuf_puts(out, first ? "[" : ",[");
    strbuf_double(out, code);
    strbuf_printf(out, ",\"#%02x%02x%02x\"]", rgb->r, rgb->g, rgb->b);
}

/** As contact sheets have it: VIL's boxes begin with what lies below the lowest level; counts of
 * flashes are boxes too. A continuous map is given at enough places. */
static void add_stops(struct strbuf *out, enum sevir_type type)
{
    const double *levels;
    const unsigned count = colors_levels(type, &levels);
    double low, high;

    colors_range(type, &low, &high);
    if (type == SEVIR_VIL) {
        add_stop(out, type, 0, true);
        for (unsigned i = 0; i < count; i++) {
            add_stop(out, type, levels[i] == 255 ? 254 : levels[i], false);
        }
    } else if (type == SEVIR_LGHT) {
        for (unsigned i = 0; i <= 5; i++) {
            add_stop(out, type, i, i == 0);
        }
    } else {
        for (unsigned i = 0; i <= 64; i++) {
            add_stop(out, type, low + (high - low) * i / 64, i == 0);
        }
    }
}

void ops_get_colors(struct ops_call *call)
{
    scoped(strbuf_done) struct strbuf body = {0};

    strbuf_putc(&body, '{');
    for (unsigned i = 0; i < SEVIR_TYPE_COUNT; i++) {
        const enum sevir_type type = (enum sevir_type)i;
        const struct plane_coding *coding = encoding_of(type);

        strbuf_printf(&body, "%s\n\"%s\":{\"name\":", i > 0 ? "," : "", sevir_type_name(type));
        strbuf_json(&body, encoding_name(type));
        strbuf_puts(&body, ",\"unit\":");
        strbuf_json(&body, encoding_unit(type));
        strbuf_printf(&body, ",\"boxes\":%s,\"scale\":",
                      type == SEVIR_VIL || type == SEVIR_LGHT ? "true" : "false");
        strbuf_double(&body, coding != NULL ? coding->scale : 1);
        strbuf_puts(&body, ",\"stops\":[");
        add_stops(&body, type);
        strbuf_puts(&body, "]}");
    }
    strbuf_puts(&body, "\n}\n");
    ops_answer_json(call, &body);
}
