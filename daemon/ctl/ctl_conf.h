/** @file
 * A run that reaches what a configuration names, as the daemon would.
 *
 * Thread:     one.
 * Ownership:  an access is freed before the run.
 */
#pragma once

#include "daemon/conf/conf.h"
#include "daemon/ctl/ctl_run.h"

#define CTL_CONFIG "/etc/sevird/sevird.json"

enum ctl_access { CTL_ACCESS_RAW, CTL_ACCESS_PROCESSED, CTL_ACCESS_GENERAL };

/** --config FILE, else CTL_CONFIG. */
enum rc ctl_conf_load(const struct ctl_args *args, struct conf **ret_conf, struct err *err);
/** Before anything else is asked of the run's HTTP client. The caller frees. */
enum rc ctl_conf_aws(struct ctl_run *run, const struct conf *conf, enum ctl_access which,
                     struct aws **ret_aws, struct err *err);
/** What the run reads from the raw store's bucket is read as the daemon would read it. */
enum rc ctl_conf_source(struct ctl_run *run, const struct conf *conf, struct err *err);
