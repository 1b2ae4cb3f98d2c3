/** @file
 * The stages, in the order of an object's way.
 */
#include "daemon/pipeline.h"

#include <stddef.h>

#include "daemon/crawl/crawl.h"
#include "daemon/etl/etl.h"
#include "daemon/publish/publish.h"

const struct job_stage *const pipeline_stages[] = {
    &crawl_stage, &etl_stage, &publish_stage, &retire_stage, NULL,
};
