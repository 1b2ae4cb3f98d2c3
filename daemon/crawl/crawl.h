/** @file
 * Finding out what an object is: HDF5, CSV, SEVIR's catalog, or something else; its schema and its
 * layout; and its table in the data catalog.
 *
 * Afterwards job->kind is "hdf5", "csv", "catalog" or "other", and job->table the table's name. An
 * object of kind "other" (neither HDF5 nor CSV, or nothing at all) is no failure: extraction skips
 * it.
 *
 * Thread:     the loop's. Bytes are looked at by workers, HDF5 by the jailed helper.
 */
#pragma once

#include "daemon/job/job.h"

extern const struct job_stage crawl_stage;
