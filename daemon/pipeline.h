/** @file
 * The stage table: the one place that sees every stage.
 */
#pragma once

#include "daemon/job/job.h"

/** NULL-terminated. */
extern const struct job_stage *const pipeline_stages[];
