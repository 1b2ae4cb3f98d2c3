/** @file
 * What an extraction depended on beside the object's own bytes: its rows of the catalog and the
 * selection. Extraction records it with its last move; the queue compares it when either changes.
 * Pure.
 */
#pragma once

#include "lib/base/digest.h"
#include "lib/sevir/selection.h"

/** SHA-256 over the selection's canonical JSON and `events_digest_hex` (catalog_events_digest(); ""
 * for an object that has no rows of its own, such as a CATALOG.csv). */
void job_rows_digest(const char *events_digest_hex, const struct selection *selection,
                     char ret_hex[DIGEST_HEX]);
