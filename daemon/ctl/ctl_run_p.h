/** @file
 * A run from inside; shared by ctl_run.c and ctl_aws.c alone.
 *
 * Thread:     one.
 */
#pragma once

#include "daemon/ctl/ctl_run.h"

struct ctl_run {
    const struct ctl *ctl;
    const struct ctl_args *args; /**< May be NULL. */
    struct loop *loop;
    struct work *work;
    struct h5_helper *helper; /**< These three once they were asked for. */
    struct http_client *http;
    struct aws *aws;
    char *source_bucket; /**< NULL: the source is no other S3. */
    struct aws *source_aws;
};
