/** @file
 * SEVIR's names: image types, object ids, file names, and the keys of what we publish. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"

/** Order of SEVIR's documentation. */
#define SEVIR_TYPE_MAP(X) \
    X(VIS, "vis") X(IR069, "ir069") X(IR107, "ir107") X(VIL, "vil") X(LGHT, "lght")

enum sevir_type {
#define X(name, text) SEVIR_##name,
    SEVIR_TYPE_MAP(X)
#undef X
        SEVIR_TYPE_COUNT /* not a type */
};

const char *sevir_type_name(enum sevir_type type);
bool sevir_type_parse(const char *text, enum sevir_type *ret_type);

/** Whether the catalog's `file_name` means the object `key`: equal, or the end of it after a '/'.
 */
bool naming_file_matches(const char *key, const char *file_name);
/** An id that is safe in a key: letters, digits, '-', '_' and '.', not only dots, at most 64. */
bool naming_id_ok(const char *id);
/** Whether the id is a storm's ("S858968") or a random event's ("R19061023267550"). */
bool naming_id_is_storm(const char *id);
bool naming_id_is_random(const char *id);
/** The time that a random event's id holds, to the minute: within minutes of the catalog's own.
 * False when there is none. */
bool naming_id_time(const char *id, int64_t *ret_time_utc);

/* Keys under the processed store (design §5); the caller frees each. */
char *naming_frames_key(enum sevir_type type, int year, int month, const char *source_key);
char *naming_flashes_key(int year, int month, const char *source_key);
char *naming_catalog_key(int year, int month, const char *source_key);
char *naming_table_key(const char *table, const char *source_key);
char *naming_manifest_key(const char *source_key);
/** "images/img_type=vil/id=S797364/" of the first row of an id (`repeat` 0); with its file_index
 * for a later one ("id=S797364.12/", `repeat` 1), and should that be taken too, with its number
 * among those ("id=S797364.12.2/"). */
char *naming_image_prefix(enum sevir_type type, const char *id, int64_t file_index,
                          unsigned repeat);
/** What the folder of an event's pictures holds beside frames; the archive holds all of them. */
#define NAMING_SHEET "sheet.png"
#define NAMING_PACKED "frames.zip"
/** "f07.png"; three digits from frame 100 on. */
void naming_frame_file(unsigned frame, char ret_name[16]);
/** A table's name from a key (decision 0005): lower case letters, digits and '_', never empty. */
char *naming_table(const char *source_key);
