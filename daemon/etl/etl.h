/** @file
 * The extract stage, local engine: from what the crawl found to outputs in the processed store.
 *
 * Thread:     the loop's.
 * Completion: as struct job_stage. HELD when a SEVIR file's rows are not in the catalog yet,
 * EXCLUDED when the selection wants nothing of it.
 */
#pragma once

#include "daemon/job/job.h"

extern const struct job_stage etl_stage;
