/** @file
 * The statements that make the sums, shared by the migration that first fills them and by
 * catalog_facts.c. The migration is released: who changes a sum leaves it a copy of these.
 *
 * Thread:     any; constants.
 */
#pragma once

/* Strings beside macros are what clang-format takes apart. */
/* clang-format off */

/** X(type) for each, with the comma between. */
#define FACTS_TYPES(X) X("vis") "," X("ir069") "," X("ir107") "," X("vil") "," X("lght")
#define FACTS_RASTERS(X) X("vis") "," X("ir069") "," X("ir107") "," X("vil")
#define FACTS_AREAS(X) X("16") "," X("74") "," X("133") "," X("160") "," X("181") "," X("219")

#define FACTS_MAX(area) "max(a" area ")"

/** Rows of `frame_facts` from those of `frame_rows` that `where` leaves. A frame's bytes are its
 * pixels', as the file holds them. */
#define FACTS_OF_FRAMES(where) \
    "INSERT OR REPLACE INTO frame_facts (_source, id, img_type, frames, images, bytes, a16, a74," \
    " a133, a160, a181, a219)" \
    " SELECT _source, id, img_type, count(*), count(nullif(image, ''))," \
    " sum(size_x * size_y) * (CASE img_type WHEN 'vil' THEN 1 ELSE 2 END)," FACTS_AREAS( \
        FACTS_MAX) " FROM frame_rows WHERE id IS NOT NULL AND img_type IS NOT NULL" where \
                   " GROUP BY _source, id, img_type"
#define FACTS_OF_FLASHES(where) \
    "INSERT OR REPLACE INTO frame_facts (_source, id, img_type, flashes)" \
    " SELECT _source, id, 'lght', count(*) FROM flash_rows WHERE id IS NOT NULL" where \
    " GROUP BY _source, id"
/** When the area was largest; the first such frame. */
#define FACTS_OF_PEAKS(where) \
    "UPDATE frame_facts SET peak_utc = (SELECT r.time_utc FROM frame_rows AS r" \
    " WHERE r.id = frame_facts.id AND r.img_type = 'vil' AND r._source = frame_facts._source" \
    " AND r.a133 IS NOT NULL ORDER BY r.a133 DESC, r.frame LIMIT 1)" \
    " WHERE img_type = 'vil'" where

#define FACTS_ROWS(type) "sum(img_type = '" type "')"
#define FACTS_MISSING(type) "total(CASE img_type WHEN '" type "' THEN pct_missing END)"
#define FACTS_KNOWN(type) "sum(img_type = '" type "' AND pct_missing IS NOT NULL)"
#define FACTS_FRAMES(type) "sum(CASE img_type WHEN '" type "' THEN frames ELSE 0 END)"
#define FACTS_BYTES(type) "sum(CASE img_type WHEN '" type "' THEN bytes ELSE 0 END)"
#define FACTS_NAMED_FRAMES(type) FACTS_FRAMES(type) " AS frames_" type
#define FACTS_NAMED_BYTES(type) FACTS_BYTES(type) " AS bytes_" type
#define FACTS_NO_FRAMES(type) "coalesce(f.frames_" type ", 0)"
#define FACTS_NO_BYTES(type) "coalesce(f.bytes_" type ", 0)"
#define FACTS_NAMED_MAX(area) "max(a" area ") AS a" area
#define FACTS_MAX_OF(area) "f.a" area

/** Rows of `event_facts` for the ids that `where` leaves. An event's box holds the boxes of all its
 * rows. */
#define FACTS_OF_EVENTS(where) \
    "INSERT INTO event_facts SELECT e.*," \
    FACTS_RASTERS(FACTS_NO_FRAMES) "," FACTS_RASTERS(FACTS_NO_BYTES) "," \
    " coalesce(f.images, 0), coalesce(f.flashes, 0)," FACTS_AREAS(FACTS_MAX_OF) ", f.peak_utc" \
    " FROM (SELECT id, min(time_utc), substr(min(time_utc), 1, 7), max(event_type), max(storm)," \
    "  min(llcrnrlat), min(llcrnrlon), max(urcrnrlat), max(urcrnrlon), count(*)," \
    FACTS_TYPES(FACTS_ROWS) "," FACTS_TYPES(FACTS_MISSING) "," FACTS_TYPES(FACTS_KNOWN) \
    "  FROM event_rows WHERE shown = 1" \
    "  AND load IN (SELECT id FROM event_loads WHERE settled = 1)" where " GROUP BY id) AS e" \
    " LEFT JOIN (SELECT id," FACTS_RASTERS(FACTS_NAMED_FRAMES) "," \
    FACTS_RASTERS(FACTS_NAMED_BYTES) ", sum(images) AS images, sum(flashes) AS flashes," \
    FACTS_AREAS(FACTS_NAMED_MAX) ", max(peak_utc) AS peak_utc" \
    "  FROM frame_facts WHERE true" where " GROUP BY id) AS f ON f.id = e.id"

#define FACTS_INTEGER_ROWS(type) "rows_" type " BIGINT NOT NULL"
#define FACTS_REAL_MISSING(type) "missing_" type " DOUBLE NOT NULL"
#define FACTS_INTEGER_KNOWN(type) "known_" type " BIGINT NOT NULL"
#define FACTS_INTEGER_FRAMES(type) "frames_" type " BIGINT NOT NULL"
#define FACTS_INTEGER_BYTES(type) "bytes_" type " BIGINT NOT NULL"
#define FACTS_REAL_AREA(area) "a" area " DOUBLE"

#define FACTS_TABLES \
    "CREATE TABLE frame_facts (" \
    "  _source INTEGER NOT NULL, id TEXT NOT NULL, img_type TEXT NOT NULL," \
    "  frames BIGINT NOT NULL DEFAULT 0, images BIGINT NOT NULL DEFAULT 0," \
    "  bytes BIGINT NOT NULL DEFAULT 0, flashes BIGINT NOT NULL DEFAULT 0," \
    FACTS_AREAS(FACTS_REAL_AREA) ", peak_utc TIMESTAMP_TEXT," \
    "  PRIMARY KEY (_source, id, img_type)" \
    ") WITHOUT ROWID;" \
    "CREATE INDEX frame_facts_id ON frame_facts (id);" \
    "CREATE TABLE fact_changes (id TEXT PRIMARY KEY) WITHOUT ROWID;" \
    "CREATE TABLE event_facts (" \
    "  id TEXT PRIMARY KEY, time_utc TIMESTAMP_TEXT NOT NULL, month TEXT NOT NULL," \
    "  event_type TEXT, storm BIGINT NOT NULL," \
    "  lat0 DOUBLE, lon0 DOUBLE, lat1 DOUBLE, lon1 DOUBLE, \"rows\" BIGINT NOT NULL," \
    FACTS_TYPES(FACTS_INTEGER_ROWS) "," FACTS_TYPES(FACTS_REAL_MISSING) "," \
    FACTS_TYPES(FACTS_INTEGER_KNOWN) "," FACTS_RASTERS(FACTS_INTEGER_FRAMES) "," \
    FACTS_RASTERS(FACTS_INTEGER_BYTES) ", images BIGINT NOT NULL, flashes BIGINT NOT NULL," \
    FACTS_AREAS(FACTS_REAL_AREA) ", peak_utc TIMESTAMP_TEXT" \
    ") WITHOUT ROWID;" \
    "CREATE VIEW event_summary AS SELECT * FROM event_facts;"
/* clang-format on */
