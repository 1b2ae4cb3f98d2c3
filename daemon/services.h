/** @file
 * What every stage may use, made by daemon/daemon.c in order and taken down in reverse.
 *
 * Thread:     the loop's.
 * Ownership:  daemon/daemon.c owns everything here; stages borrow.
 */
#pragma once

#include "daemon/conf/conf.h"
#include "lib/base/budget.h"
#include "lib/base/metric.h"
#include "lib/h5/h5_helper.h"
#include "lib/run/gather.h"
#include "lib/run/loop.h"
#include "lib/run/work.h"
#include "lib/store/store.h"

struct aws;
struct catalog;
struct http_client;
struct job_store;
struct job_leases;
struct job_queue;
struct job_events;
struct intake;
struct job_remote;

struct services {
    const struct conf *conf; /**< Replaced as a whole by a reload; do not keep parts across one. */
    struct loop *loop;
    struct work *work;
    struct gather *gather; /**< Of commits and syncs; the queue says who is at work. */
    struct budget *budget;
    struct metric_registry *metrics;
    struct http_client *http; /**< One for all that is asked of others. */
    /** Access as `raw.aws`, `processed.aws` and `aws` say; NULL where nothing needs it. */
    struct aws *raw_aws, *processed_aws, *aws;
    struct store *raw, *processed;
    struct h5_helper *h5;
    struct catalog *catalog;
    struct job_store *jobs;
    struct job_leases *leases; /**< NULL where the processed store is nobody else's. */
    struct job_queue *queue;
    struct job_events *events;
    struct intake *intake;
    struct job_remote *remote; /**< Who crawls or extracts elsewhere; NULL: nobody. */
};
