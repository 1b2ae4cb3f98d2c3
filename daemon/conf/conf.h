/** @file
 * The configuration: JSON in, one immutable struct out. Every option is declared once, in
 * options.def: parser, defaults, help, the JSON Schema and docs/configuration.md derive from it.
 *
 * Thread:     any; a configuration is immutable.
 * Ownership:  conf_free() frees everything.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"
#include "lib/base/str.h"
#include "lib/sevir/selection.h"

enum conf_images { IMAGES_NONE, IMAGES_SHEET, IMAGES_FRAMES, IMAGES_PACKED };
/** "none", "sheet", "frames", "packed". */
const char *conf_images_name(enum conf_images images);

/** Field names are the option's path with '_' for '.', and the unit where there is one. */
struct conf {
    char *state_dir;
    char *raw_uri, *processed_uri;
    int64_t sources_list_interval_ms; /**< 0: no listing but the first. */
    bool sources_watch;
    int64_t sources_settle_ms;   /**< How long an object must be unchanged before it is taken. */
    char *sources_sqs_queue_url; /**< A list (conf_next_item()); NULL: none. */
    int64_t sources_sqs_wait_ms, sources_sqs_visibility_ms, sources_sqs_grace_ms;
    unsigned sources_sqs_in_flight;
    struct selection select;
    bool select_present;
    char *crawl_engine, *extract_engine; /**< "local" */
    int64_t crawl_deadline_ms;           /**< Of the helper, for one file. */
    uint64_t crawl_memory_bytes;         /**< Of the helper (RLIMIT_AS). */
    enum conf_images extract_images;
    unsigned extract_workers;      /**< Resolved: never 0. */
    uint64_t extract_memory_bytes; /**< The budget. */
    unsigned extract_jobs;         /**< Jobs in EXTRACTING at once. */
    unsigned retry_attempts;
    int64_t retry_base_ms, retry_cap_ms;
    char *aws_region, *aws_endpoint_url, *aws_profile, *aws_addressing;
    bool aws_anonymous;
    /* Of one store alone; already the general ones where the file says nothing. */
    char *raw_aws_region, *raw_aws_endpoint_url, *raw_aws_profile, *raw_aws_addressing;
    bool raw_aws_anonymous;
    char *processed_aws_region, *processed_aws_endpoint_url, *processed_aws_profile;
    char *processed_aws_addressing;
    bool processed_aws_anonymous, processed_shared;
    char *glue_crawler, *glue_job; /**< NULL: none. */
    char *glue_database, *catalog_engine;
    bool catalog_projection;
    unsigned glue_max_concurrent_runs, glue_max_objects;
    int64_t glue_quiet_ms, glue_max_wait_ms, glue_run_timeout_ms, glue_poll_ms;

    char *notify_sns_topic_arn; /**< NULL: none. */
    char *notify_on;            /**< A list: "done", "quarantined", "retired". */
    int64_t notify_digest_ms;
    int64_t processed_lease_ms; /**< Of a claim on an object, where daemons share a store. */
    char *aws_ca_bundle, *aws_proxy, *aws_allow_plain_http; /**< NULL: see lib/net/http.h. */
    unsigned aws_max_connections;
    int64_t aws_timeout_ms, aws_retry_ms;
    char *control_socket;
    char *http_listen; /**< "127.0.0.1:9464"; NULL: no listener. */
    bool http_allow_remote;
    char *athena_workgroup, *athena_output_location,
        *athena_database; /**< NULL: see options.def. */
    int64_t athena_limit_ms;
    double athena_price_per_tb;
    bool cloudwatch_push;
    char *cloudwatch_namespace, *cloudwatch_instance; /**< `instance` NULL: the host's name. */
    int64_t cloudwatch_interval_ms;
    char *log_level;
    int64_t query_limit_ms;
};

/** RC_INVALID names file, line where JSON says it, path of the key, and the nearest known key;
 * RC_UNSUPPORTED an option that this build refuses. */
enum rc conf_load(const char *path, struct conf **ret_conf, struct err *err);
enum rc conf_parse(const char *json, size_t len, const char *name, struct conf **ret_conf,
                   struct err *err);
void conf_free(struct conf *conf);
SCOPED_FN(struct conf, conf_free)

/** The items of an option that is a list, one after the other: begin with `*cursor` as the option's
 * value (NULL: empty). False at the end. The caller frees the item. */
bool conf_next_item(const char **cursor, char **ret_item);
bool conf_list_has(const char *list, const char *item);

/** `http.listen`, taken apart. */
struct conf_listen {
    int family;    /**< AF_INET or AF_INET6. */
    char host[48]; /**< Numeric. */
    uint16_t port; /**< 0: the system chooses. */
    bool loopback;
};
enum rc conf_listen_parse(const char *text, struct conf_listen *ret_listen, struct err *err);

/** The whole effective configuration as JSON (--print-config, /v1/config); secrets are not in it.
 */
void conf_print(const struct conf *conf, struct strbuf *out);
/** JSON Schema (config/sevird.schema.json) and the reference (docs/configuration.md). */
void conf_write_schema(struct strbuf *out);
void conf_write_reference(struct strbuf *out);
/** The man page sevird.json(5). */
void conf_write_man(struct strbuf *out);
/** The first option that differs and needs a restart to change, a static name; NULL: none. */
const char *conf_needs_restart(const struct conf *before, const struct conf *after);
