/** @file
 * Loads of CATALOG.csv, and the way from an HDF5 file to its rows.
 */
#include "daemon/catalog/catalog_events.h"

#include <stdlib.h>

#include "daemon/catalog/catalog_facts.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

/** Run a statement that has one parameter. */
static enum rc run_with(struct db *db, const char *sql, int64_t value, struct err *err)
{
    struct db_stmt *q = db_prepare(db, sql, err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_int(q, 1, value);
    return db_run(q, err);
}

enum rc catalog_events_begin(struct db *db, int64_t source, int64_t *ret_load, struct err *err)
{
    if (run_with(db,
                 "DELETE FROM event_rows WHERE load IN "
                 "(SELECT id FROM event_loads WHERE source = ? AND settled = 0)",
                 source, err) != RC_OK ||
        run_with(db, "DELETE FROM event_loads WHERE source = ? AND settled = 0", source, err) !=
            RC_OK ||
        run_with(db, "INSERT INTO event_loads (source) VALUES (?)", source, err) != RC_OK) {
        return err->rc;
    }
    *ret_load = db_last_id(db);
    return RC_OK;
}

static void bind_optional(struct db_stmt *q, int index, const char *text)
{
    db_bind_text(q, index, text != NULL && text[0] != '\0' ? text : NULL);
}

static void bind_offsets(struct db_stmt *q, int index, const struct catalog_row *row)
{
    scoped(strbuf_done) struct strbuf text = {0};

    for (unsigned i = 0; i < row->frame_count; i++) {
        strbuf_printf(&text, i == 0 ? "%d" : ":%d", row->minute_offsets[i]);
    }
    bind_optional(q, index, text.data);
}

enum rc catalog_events_add(struct db *db, int64_t load, uint64_t ordinal,
                           const struct catalog_row *row, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "INSERT INTO event_rows (load, ordinal, file_base, id, file_name, file_index, img_type,"
        " time_utc, minute_offsets, episode_id, event_id, event_type, llcrnrlat, llcrnrlon,"
        " urcrnrlat, urcrnrlon, proj, size_x, size_y, height_m, width_m, data_min, data_max,"
        " pct_missing, year, month, storm)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        err);
    char time[NOW_TEXT];
    int year, month, at = 0;

    if (q == NULL) {
        return err->rc;
    }
    now_format_utc(row->time_utc, time);
    now_civil(row->time_utc, &year, &month, NULL);
    db_bind_int(q, ++at, load);
    db_bind_int(q, ++at, (int64_t)ordinal);
    db_bind_text(q, ++at, str_basename(row->file_name));
    db_bind_text(q, ++at, row->id);
    db_bind_text(q, ++at, row->file_name);
    db_bind_int(q, ++at, row->file_index);
    db_bind_text(q, ++at, sevir_type_name(row->img_type));
    db_bind_text(q, ++at, time);
    bind_offsets(q, ++at, row);
    bind_optional(q, ++at, row->episode_id);
    bind_optional(q, ++at, row->event_id);
    bind_optional(q, ++at, row->event_type);
    db_bind_double(q, ++at, row->llcrnrlat);
    db_bind_double(q, ++at, row->llcrnrlon);
    db_bind_double(q, ++at, row->urcrnrlat);
    db_bind_double(q, ++at, row->urcrnrlon);
    bind_optional(q, ++at, row->proj);
    db_bind_int(q, ++at, row->size_x);
    db_bind_int(q, ++at, row->size_y);
    db_bind_double(q, ++at, row->height_m);
    db_bind_double(q, ++at, row->width_m);
    db_bind_double(q, ++at, row->data_min);
    db_bind_double(q, ++at, row->data_max);
    db_bind_double(q, ++at, row->pct_missing);
    db_bind_int(q, ++at, year);
    db_bind_int(q, ++at, month);
    db_bind_int(q, ++at, catalog_row_is_storm(row));
    return db_run(q, err);
}

/** Of the rows that mean the same event in the same file, the newest load's first one shows. */
static enum rc settle_shown(struct db *db, struct err *err)
{
    struct db_stmt *q = db_prepare(
        db,
        "UPDATE event_rows SET shown = 1 - shown WHERE rowid IN ("
        " SELECT ranked.id FROM ("
        "  SELECT rowid AS id, shown, row_number() OVER ("
        "   PARTITION BY file_name, file_index, img_type, id ORDER BY load DESC, ordinal) AS place"
        "  FROM event_rows WHERE load IN (SELECT id FROM event_loads WHERE settled = 1)"
        " ) AS ranked WHERE ranked.shown <> (ranked.place = 1))",
        err);

    return q == NULL ? err->rc : db_run(q, err);
}

enum rc catalog_events_settle(struct db *db, int64_t load, struct err *err)
{
    if (run_with(db,
                 "DELETE FROM event_rows WHERE load IN (SELECT old.id FROM event_loads AS old"
                 " JOIN event_loads AS new ON new.source = old.source AND new.id <> old.id"
                 " WHERE new.id = ?)",
                 load, err) != RC_OK ||
        run_with(db,
                 "DELETE FROM event_loads WHERE id <> ?1"
                 " AND source = (SELECT source FROM event_loads WHERE id = ?1)",
                 load, err) != RC_OK ||
        run_with(db, "UPDATE event_loads SET settled = 1 WHERE id = ?", load, err) != RC_OK) {
        return err->rc;
    }
    return settle_shown(db, err) == RC_OK ? catalog_facts_events(db, err) : err->rc;
}

enum rc catalog_events_abandon(struct db *db, int64_t load, struct err *err)
{
    if (run_with(db,
                 "DELETE FROM event_rows WHERE load IN"
                 " (SELECT id FROM event_loads WHERE id = ? AND settled = 0)",
                 load, err) != RC_OK) {
        return err->rc;
    }
    return run_with(db, "DELETE FROM event_loads WHERE id = ? AND settled = 0", load, err);
}

enum rc catalog_events_clear(struct db *db, int64_t source, bool *ret_any, struct err *err)
{
    bool any;

    if (run_with(db,
                 "DELETE FROM event_rows WHERE load IN"
                 " (SELECT id FROM event_loads WHERE source = ?)",
                 source, err) != RC_OK ||
        run_with(db, "DELETE FROM event_loads WHERE source = ?", source, err) != RC_OK) {
        return err->rc;
    }
    /* Most objects never had rows of a catalog: do not look at all of them for nothing. */
    any = db_changes(db) > 0;
    if (any && (settle_shown(db, err) != RC_OK || catalog_facts_events(db, err) != RC_OK)) {
        return err->rc;
    }
    if (ret_any != NULL) {
        *ret_any = any;
    }
    return RC_OK;
}

#define ROW_COLUMNS                                                                            \
    "id, file_name, file_index, img_type, time_utc, minute_offsets, episode_id, event_id,"     \
    " event_type, llcrnrlat, llcrnrlon, urcrnrlat, urcrnrlon, proj, size_x, size_y, height_m," \
    " width_m, data_min, data_max, pct_missing"
#define ROW_IS_SHOWN "shown = 1 AND load IN (SELECT id FROM event_loads WHERE settled = 1)"
#define ROW_ORDER " ORDER BY file_index, load, ordinal"

struct row_list {
    struct arena *arena;
    struct catalog_row *rows;
    size_t count, room;
};

static enum rc read_offsets(struct db_stmt *q, int column, struct arena *arena,
                            struct catalog_row *row, struct err *err)
{
    const char *text = db_text(q, column);
    unsigned count = text[0] != '\0' ? 1 : 0;
    int16_t *offsets;

    for (const char *p = text; *p != '\0'; p++) {
        count += *p == ':';
    }
    if (count > CATALOG_FRAMES_MAX) {
        return err_set(err, RC_CORRUPT, "catalog: event '%s' has %u minute offsets", row->id,
                       count);
    }
    offsets = arena_alloc(arena, count * sizeof(*offsets));
    for (unsigned i = 0; i < count; i++) {
        char *end;

        offsets[i] = (int16_t)strtol(text, &end, 10);
        text = *end == ':' ? end + 1 : end;
    }
    row->minute_offsets = offsets;
    row->frame_count = count;
    return RC_OK;
}

static enum rc read_row(struct db_stmt *q, struct arena *arena, struct catalog_row *row,
                        struct err *err)
{
    row->id = arena_dup(arena, db_text(q, 0));
    row->file_name = arena_dup(arena, db_text(q, 1));
    row->file_index = db_int(q, 2);
    if (!sevir_type_parse(db_text(q, 3), &row->img_type) ||
        !now_parse_utc(db_text(q, 4), &row->time_utc)) {
        return err_set(err, RC_CORRUPT, "catalog: event '%s' has no type or time", row->id);
    }
    row->episode_id = arena_dup(arena, db_text(q, 6));
    row->event_id = arena_dup(arena, db_text(q, 7));
    row->event_type = arena_dup(arena, db_text(q, 8));
    row->llcrnrlat = db_double(q, 9);
    row->llcrnrlon = db_double(q, 10);
    row->urcrnrlat = db_double(q, 11);
    row->urcrnrlon = db_double(q, 12);
    row->proj = arena_dup(arena, db_text(q, 13));
    row->size_x = db_int(q, 14);
    row->size_y = db_int(q, 15);
    row->height_m = db_double(q, 16);
    row->width_m = db_double(q, 17);
    row->data_min = db_double(q, 18);
    row->data_max = db_double(q, 19);
    row->pct_missing = db_double(q, 20);
    return read_offsets(q, 5, arena, row, err);
}

/** Append what a statement with one text parameter gives. */
static enum rc read_rows(struct db *db, const char *sql, const char *name, struct row_list *list,
                         struct err *err)
{
    struct db_stmt *q = db_prepare(db, sql, err);

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, name);
    while (db_step(q, err)) {
        if (list->count == list->room) {
            list->room = MAX_OF(list->room * 2, 64);
            list->rows = mem_resize(list->rows, list->room, sizeof(*list->rows));
        }
        list->rows[list->count] = (struct catalog_row){0};
        if (read_row(q, list->arena, &list->rows[list->count], err) != RC_OK) {
            db_reset(q);
            return err->rc;
        }
        list->count++;
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc find_rows(struct db *db, const char *key, struct row_list *list, struct err *err)
{
    for (const char *name = key; name != NULL && list->count == 0;) {
        const char *slash = strchr(name, '/');

        if (read_rows(db,
                      "SELECT " ROW_COLUMNS
                      " FROM event_rows WHERE file_name = ? AND " ROW_IS_SHOWN ROW_ORDER,
                      name, list, err) != RC_OK) {
            return err->rc;
        }
        name = slash != NULL ? slash + 1 : NULL;
    }
    if (list->count > 0) {
        return RC_OK;
    }
    return read_rows(db,
                     "SELECT " ROW_COLUMNS " FROM event_rows WHERE file_base = ?1 AND " ROW_IS_SHOWN
                     " AND 1 = (SELECT count(DISTINCT file_name) FROM event_rows"
                     "  WHERE file_base = ?1 AND " ROW_IS_SHOWN ")" ROW_ORDER,
                     str_basename(key), list, err);
}

enum rc catalog_events_of_file(struct db *db, const char *key, struct arena *arena,
                               struct catalog_row **ret_rows, size_t *ret_count, struct err *err)
{
    struct row_list list = {.arena = arena};
    struct catalog_row *rows;

    if (find_rows(db, key, &list, err) != RC_OK) {
        free(list.rows);
        return err->rc;
    }
    rows = arena_alloc(arena, MAX_OF(list.count, 1) * sizeof(*rows));
    if (list.count > 0) {
        memcpy(rows, list.rows, list.count * sizeof(*rows));
    }
    free(list.rows);
    *ret_rows = rows;
    *ret_count = list.count;
    return RC_OK;
}

enum rc catalog_events_digest(struct db *db, const char *key, char ret_hex[65], struct err *err)
{
    scoped(arena_free) struct arena *arena = arena_new();
    scoped(digest_free) struct digest *digest = digest_new();
    scoped(strbuf_done) struct strbuf line = {0};
    struct catalog_row *rows;
    uint8_t sha256[DIGEST_BYTES];
    size_t count;

    if (catalog_events_of_file(db, key, arena, &rows, &count, err) != RC_OK) {
        return err->rc;
    }
    if (count == 0) {
        ret_hex[0] = '\0';
        return RC_OK;
    }
    for (size_t i = 0; i < count; i++) {
        strbuf_reset(&line);
        catalog_row_write(&rows[i], &line);
        digest_add(digest, line.data, line.len);
    }
    digest_end(digest, sha256);
    digest_hex(sha256, ret_hex);
    return RC_OK;
}

enum rc catalog_events_each(struct db *db, int64_t source, catalog_event_fn *fn, void *arg,
                            struct err *err)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct db_stmt *q =
        source == 0 ? db_prepare(db,
                                 "SELECT " ROW_COLUMNS " FROM event_rows WHERE " ROW_IS_SHOWN
                                 " ORDER BY load, ordinal",
                                 err)
                    : db_prepare(db,
                                 "SELECT " ROW_COLUMNS " FROM event_rows WHERE load IN"
                                 " (SELECT id FROM event_loads WHERE settled = 1 AND source = ?)"
                                 " ORDER BY load, ordinal",
                                 err);

    if (q == NULL) {
        return err->rc;
    }
    if (source != 0) {
        db_bind_int(q, 1, source);
    }
    while (db_step(q, err)) {
        struct catalog_row row = {0};

        arena_reset(arena);
        if (read_row(q, arena, &row, err) != RC_OK || fn(&row, arg, err) != RC_OK) {
            db_reset(q);
            return err->rc;
        }
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc count_repeats(struct db *db, const struct catalog_row *row, unsigned *ret_repeat,
                             struct err *err)
{
    struct db_stmt *q =
        db_prepare(db,
                   "SELECT file_name, file_index FROM event_rows"
                   " WHERE id = ? AND img_type = ? AND " ROW_IS_SHOWN " ORDER BY load, ordinal",
                   err);
    unsigned repeat = 0;

    if (q == NULL) {
        return err->rc;
    }
    db_bind_text(q, 1, row->id);
    db_bind_text(q, 2, sevir_type_name(row->img_type));
    for (bool first = true; db_step(q, err); first = false) {
        const bool same_index = db_int(q, 1) == row->file_index;

        repeat += !first && same_index;
        if (same_index && strcmp(db_text(q, 0), row->file_name) == 0) {
            db_reset(q);
            break;
        }
    }
    *ret_repeat = repeat;
    return db_failed(q) ? err->rc : RC_OK;
}

enum rc catalog_events_repeats(struct db *db, const struct catalog_row *rows, size_t count,
                               unsigned *ret_repeats, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (count_repeats(db, &rows[i], &ret_repeats[i], err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}
