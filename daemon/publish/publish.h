/** @file
 * The publish stage: the manifest last, then partitions and rows; and its mirror, retiring what was
 * made from an object that is gone.
 *
 * Thread:     the loop's.
 * Completion: as struct job_stage.
 */
#pragma once

#include "daemon/job/job.h"

extern const struct job_stage publish_stage;
extern const struct job_stage retire_stage;
