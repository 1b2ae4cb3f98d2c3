/** @file
 * Access to AWS: one HTTP client, and an `aws` for each of the three that may differ. Nothing is
 * made that nothing needs.
 */
#include <string.h>

#include "daemon/daemon_p.h"
#include "daemon/metrics.h"
#include "lib/aws/aws.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

/* ---- what the metrics count */

static void on_requested(const char *service, const char *operation, const char *code, void *arg)
{
    struct services *services = arg;

    metric_add(services->metrics, METRIC_AWS_REQUESTS, METRIC_LABELS(service, operation, code), 1);
}

static void on_retried(const char *service, const char *reason, void *arg)
{
    struct services *services = arg;

    metric_add(services->metrics, METRIC_AWS_RETRIES, METRIC_LABELS(service, reason), 1);
}

/* ---- making them */

static bool needs_aws(const struct conf *conf)
{
    return conf->sources_sqs_queue_url != NULL || conf->notify_sns_topic_arn != NULL ||
           conf->cloudwatch_push || conf->athena_workgroup != NULL ||
           conf->athena_output_location != NULL || strcmp(conf->crawl_engine, "glue") == 0 ||
           strcmp(conf->extract_engine, "glue") == 0 || strcmp(conf->catalog_engine, "glue") == 0;
}

static enum aws_addressing addressing_of(const char *text)
{
    return strcmp(text, "path") == 0      ? AWS_ADDRESSING_PATH
           : strcmp(text, "virtual") == 0 ? AWS_ADDRESSING_VIRTUAL
                                          : AWS_ADDRESSING_AUTO;
}

static struct aws *make(struct services *services, struct aws_options options,
                        const char *addressing)
{
    options.addressing = addressing_of(addressing);
    options.retry_ms = services->conf->aws_retry_ms;
    options.watch = (struct aws_watch){on_requested, on_retried, services};
    return aws_new(services->loop, services->work, services->http, &options);
}

enum rc daemon_open_aws(struct services *services, struct err *err)
{
    const struct conf *conf = services->conf;
    const bool raw = str_starts(conf->raw_uri, "s3://");
    const bool processed = str_starts(conf->processed_uri, "s3://");
    const struct http_client_options http = {.ca_bundle = conf->aws_ca_bundle,
                                             .proxy = conf->aws_proxy,
                                             .allow_plain = conf->aws_allow_plain_http,
                                             .host_connections = conf->aws_max_connections,
                                             .idle_ms = conf->aws_timeout_ms};

    if (!raw && !processed && !needs_aws(conf)) {
        return RC_OK;
    }
    if (http_client_new(services->loop, &http, &services->http, err) != RC_OK) {
        return err_wrap(err, "aws");
    }
    if (needs_aws(conf)) {
        services->aws = make(services,
                             (struct aws_options){.region = conf->aws_region,
                                                  .endpoint_url = conf->aws_endpoint_url,
                                                  .profile = conf->aws_profile,
                                                  .anonymous = conf->aws_anonymous},
                             conf->aws_addressing);
    }
    if (raw) {
        services->raw_aws = make(services,
                                 (struct aws_options){.region = conf->raw_aws_region,
                                                      .endpoint_url = conf->raw_aws_endpoint_url,
                                                      .profile = conf->raw_aws_profile,
                                                      .anonymous = conf->raw_aws_anonymous},
                                 conf->raw_aws_addressing);
    }
    if (processed) {
        services->processed_aws =
            make(services,
                 (struct aws_options){.region = conf->processed_aws_region,
                                      .endpoint_url = conf->processed_aws_endpoint_url,
                                      .profile = conf->processed_aws_profile,
                                      .anonymous = conf->processed_aws_anonymous},
                 conf->processed_aws_addressing);
    }
    return RC_OK;
}

bool daemon_aws_is_quiet(const struct services *services)
{
    const struct aws *all[] = {services->aws, services->raw_aws, services->processed_aws};

    for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
        if (all[i] != NULL && aws_busy(all[i]) > 0) {
            return false;
        }
    }
    return true;
}

void daemon_close_aws(struct services *services)
{
    aws_free(services->processed_aws);
    aws_free(services->raw_aws);
    aws_free(services->aws);
    http_client_free(services->http);
}

/* ---- the first look: what cannot work is told at the start */

struct look {
    struct loop *loop;
    struct err err;
};

static void on_looked(const struct store_object *objects, unsigned count, bool more,
                      const struct err *err, void *arg)
{
    struct look *look = arg;

    (void)objects, (void)count, (void)more;
    if (err != NULL) {
        look->err = *err;
    }
    loop_stop(look->loop);
}

/** Whether the error may be gone by itself: then the source says so again and again, and goes on.
 * Credentials that are missing or wrong are better told at once. */
static bool may_pass(enum rc rc)
{
    return rc_retry_class(rc) == RETRY_BACKOFF && rc != RC_HOST;
}

static enum rc look_at(struct services *services, const char *name, struct store *store,
                       const char *uri, struct err *err)
{
    struct look look = {.loop = services->loop};

    if (store->uri->scheme != URI_S3) {
        return RC_OK;
    }
    store_list(store, "", "", 1, on_looked, &look);
    loop_run(services->loop);
    if (look.err.rc == RC_OK) {
        return RC_OK;
    }
    if (may_pass(look.err.rc)) {
        log_warn(LOG_DAEMON, "%s store '%s' does not answer yet: %s", name, uri, look.err.text);
        return RC_OK;
    }
    *err = look.err;
    return err_wrap(err, "%s store '%s'", name, uri);
}

enum rc daemon_look_at_stores(struct services *services, struct err *err)
{
    const struct conf *conf = services->conf;

    if (look_at(services, "raw", services->raw, conf->raw_uri, err) != RC_OK ||
        look_at(services, "processed", services->processed, conf->processed_uri, err) != RC_OK) {
        return err->rc;
    }
    return RC_OK;
}
