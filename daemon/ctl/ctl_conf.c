/** @file
 * Access to AWS by a configuration; daemon/daemon_aws.c makes the daemon's own.
 */
#include "daemon/ctl/ctl_conf.h"

#include "daemon/ctl/ctl_run_p.h"
#include "lib/base/mem.h"

enum rc ctl_conf_load(const struct ctl_args *args, struct conf **ret_conf, struct err *err)
{
    const char *path = ctl_value(args, "config");

    return conf_load(path != NULL ? path : CTL_CONFIG, ret_conf, err);
}

static struct aws_options options_of(const struct conf *conf, enum ctl_access which,
                                     const char **ret_addressing)
{
    switch (which) {
    case CTL_ACCESS_RAW:
        *ret_addressing = conf->raw_aws_addressing;
        return (struct aws_options){.region = conf->raw_aws_region,
                                    .endpoint_url = conf->raw_aws_endpoint_url,
                                    .profile = conf->raw_aws_profile,
                                    .anonymous = conf->raw_aws_anonymous};
    case CTL_ACCESS_PROCESSED:
        *ret_addressing = conf->processed_aws_addressing;
        return (struct aws_options){.region = conf->processed_aws_region,
                                    .endpoint_url = conf->processed_aws_endpoint_url,
                                    .profile = conf->processed_aws_profile,
                                    .anonymous = conf->processed_aws_anonymous};
    case CTL_ACCESS_GENERAL:
        break;
    }
    *ret_addressing = conf->aws_addressing;
    return (struct aws_options){.region = conf->aws_region,
                                .endpoint_url = conf->aws_endpoint_url,
                                .profile = conf->aws_profile,
                                .anonymous = conf->aws_anonymous};
}

enum rc ctl_conf_aws(struct ctl_run *run, const struct conf *conf, enum ctl_access which,
                     struct aws **ret_aws, struct err *err)
{
    const struct http_client_options http = {.ca_bundle = conf->aws_ca_bundle,
                                             .proxy = conf->aws_proxy,
                                             .allow_plain = conf->aws_allow_plain_http,
                                             .host_connections = conf->aws_max_connections,
                                             .idle_ms = conf->aws_timeout_ms};
    const char *addressing;
    struct aws_options options = options_of(conf, which, &addressing);

    if (run->http == NULL && http_client_new(run->loop, &http, &run->http, err) != RC_OK) {
        return err_wrap(err, "aws");
    }
    options.addressing = strcmp(addressing, "path") == 0      ? AWS_ADDRESSING_PATH
                         : strcmp(addressing, "virtual") == 0 ? AWS_ADDRESSING_VIRTUAL
                                                              : AWS_ADDRESSING_AUTO;
    options.retry_ms = conf->aws_retry_ms;
    *ret_aws = aws_new(run->loop, run->work, run->http, &options);
    return RC_OK;
}

enum rc ctl_conf_source(struct ctl_run *run, const struct conf *conf, struct err *err)
{
    scoped(uri_free) struct uri *uri = NULL;

    if (ctl_run_uri(conf->raw_uri, &uri, err) != RC_OK) {
        return err->rc;
    }
    if (uri->scheme != URI_S3) {
        return RC_OK;
    }
    if (ctl_conf_aws(run, conf, CTL_ACCESS_RAW, &run->source_aws, err) != RC_OK) {
        return err->rc;
    }
    run->source_bucket = str_dup(uri->bucket);
    return RC_OK;
}
