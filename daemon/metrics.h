/** @file
 * Every metric of the daemon, once: name, type, labels, help. Names without the prefix `sevird_`.
 */
#pragma once

#include "lib/base/metric.h"

#define SECONDS_BUCKETS 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800
#define LAG_BUCKETS 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1

/* clang-format off */
/** X(ID, "name", "help", [which buckets,] labels...) */
#define METRIC_MAP(COUNTER, GAUGE, HISTOGRAM)                                                        \
    GAUGE(BUILD_INFO, "build_info", "Version of the running daemon; the value is always 1.", "version") \
    GAUGE(JOBS, "jobs", "Jobs by state.", "state")                                                   \
    COUNTER(TRANSITIONS, "transitions_total", "Moves of jobs between states.", "from", "to")         \
    HISTOGRAM(STAGE_DURATION, "stage_duration_seconds", "Time a job spent in a stage.", SECONDS, "stage") \
    COUNTER(SIGHTINGS, "sightings_total", "Sightings of objects, by source and what became of them.", "source", "outcome") \
    GAUGE(OLDEST_JOB_AGE, "oldest_job_age_seconds", "Age of the job that has been longest in a state.", "state") \
    HISTOGRAM(INGEST_LAG, "ingest_lag_seconds", "From the object's own time to DONE.", SECONDS) \
    COUNTER(EXTRACT_EVENTS, "extract_events_total", "Events extracted.", "img_type")                 \
    COUNTER(EXTRACT_FRAMES, "extract_frames_total", "Frames extracted.", "img_type")                 \
    COUNTER(FETCH_BYTES, "fetch_bytes_total", "Bytes read from the raw store for extraction.")       \
    COUNTER(FETCH_NEEDED_BYTES, "fetch_needed_bytes_total", "Bytes that belong to the selected events: the least a fetch could read.") \
    COUNTER(PUT_BYTES, "put_bytes_total", "Bytes written to the processed store.")                   \
    COUNTER(PUT_OBJECTS, "put_objects_total", "Objects written to the processed store.")             \
    GAUGE(MEMORY_BUDGET, "memory_budget_bytes", "The memory budget: limit, granted, waiting.", "kind") \
    COUNTER(WORKER_BUSY, "worker_busy_seconds_total", "Time that workers were at work.")             \
    COUNTER(AWS_REQUESTS, "aws_requests_total", "Requests to AWS services, by status code.", "service", "operation", "code") \
    COUNTER(AWS_RETRIES, "aws_retries_total", "Requests repeated, by reason.", "service", "reason")  \
    COUNTER(SQS_EXTENSIONS, "sqs_visibility_extensions_total", "Visibility time-outs extended.")     \
    COUNTER(SQS_LEASE_LOST, "sqs_lease_lost_total", "Messages whose lease was lost.")                \
    GAUGE(SQS_HELD, "sqs_held_messages", "Messages received and not deleted yet.")                   \
    COUNTER(SQS_MESSAGES, "sqs_messages_total", "Messages received, by the form they came in and what they are.", "form", "kind") \
    HISTOGRAM(SQS_LAG, "sqs_lag_seconds", "From the sending of a message to its first receive.", SECONDS) \
    GAUGE(OUTBOX, "outbox_messages", "Notifications that were not sent yet.")                        \
    COUNTER(NOTIFICATIONS, "notifications_total", "Notifications handed to SNS, by outcome.", "outcome") \
    COUNTER(ATHENA_QUERIES, "athena_queries_total", "Queries that Athena was asked, by how they ended.", "outcome") \
    COUNTER(ATHENA_SCANNED, "athena_scanned_bytes_total", "Bytes that Athena scanned for queries.")   \
    COUNTER(GLUE_RUNS, "glue_runs_total", "Runs of Glue that have ended, by kind (crawl, job) and how.", "kind", "state") \
    GAUGE(GLUE_OPEN_RUNS, "glue_open_runs", "Runs of Glue that are not over.", "kind") \
    GAUGE(GLUE_GATHERED, "glue_gathered_jobs", "Jobs that wait for the next run of Glue.", "kind") \
    COUNTER(GLUE_DPU_SECONDS, "glue_dpu_seconds_total", "DPU seconds that Glue has billed for runs of the job.") \
    COUNTER(RECONCILE_MISSING, "reconcile_missing_total", "Objects that only a reconciliation found.") \
    HISTOGRAM(LOOP_LAG, "loop_lag_seconds", "Time that one iteration held the event loop.", LAG) \
    COUNTER(QUARANTINED, "quarantined_total", "Jobs quarantined, by error class.", "class")
/* clang-format on */

enum metric_id {
#define X(id, ...) METRIC_##id,
    METRIC_MAP(X, X, X)
#undef X
        METRIC_COUNT
};

/** In the order of enum metric_id; daemon/metrics.c. */
extern const struct metric_family metric_families[METRIC_COUNT];
