/** @file
 * What /v1/storms/{id} and its films share: one row of the catalog, and the object that holds it.
 *
 * Thread:     a read lane's, inside catalog_read().
 */
#pragma once

#include "daemon/catalog/catalog.h"
#include "lib/sevir/naming.h"

/** The object of the raw store in which `file_name`'s rows lie: the one whose frames or flashes of
 * the event are known, else one with a layout whose key ends so. 0: none is known. `ret_key` (may
 * be NULL) is the caller's to free. */
enum rc storm_source(struct db *db, const char *id, enum sevir_type type, const char *file_name,
                     int64_t *ret_source, char **ret_key, struct err *err);
