/** @file
 * How S3 is reached, from the options that awscli has too.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl_run_p.h"
#include "lib/base/mem.h"

/** The value of "--PREFIXname"; NULL when it was not given, or the command has no such option. */
static const char *value_of(const struct ctl_run *run, const char *prefix, const char *name)
{
    scoped(free) char *whole = str_printf("%s%s", prefix, name);

    return run->args != NULL ? ctl_value(run->args, whole) : NULL;
}

static enum rc take_addressing(const char *text, enum aws_addressing *ret_addressing,
                               struct err *err)
{
    static const char *const names[] = {[AWS_ADDRESSING_AUTO] = "auto",
                                        [AWS_ADDRESSING_PATH] = "path",
                                        [AWS_ADDRESSING_VIRTUAL] = "virtual"};

    for (unsigned i = 0; text != NULL && i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_addressing = (enum aws_addressing)i;
            return RC_OK;
        }
    }
    return text == NULL ? RC_OK
                        : err_set(err, RC_INVALID,
                                  "'--addressing': '%.60s' is none of auto, path, virtual", text);
}

/** The host of "http://host:port/": who writes it on the command line means it, also without TLS.
 */
static char *host_of(const char *url)
{
    const char *host = url != NULL && str_starts(url, "http://") ? url + 7 : NULL;

    if (host == NULL) {
        return NULL;
    }
    return host[0] == '[' ? str_dup_n(host, strcspn(host, "]") + 1)
                          : str_dup_n(host, strcspn(host, ":/"));
}

static enum rc make_http(struct ctl_run *run, struct err *err)
{
    scoped(free) char *host = host_of(value_of(run, "", "endpoint-url"));
    scoped(free) char *other = host_of(value_of(run, "source-", "endpoint-url"));
    scoped(free) char *both =
        host != NULL && other != NULL ? str_printf("%s,%s", host, other) : NULL;
    const struct http_client_options options = {
        .allow_plain = both != NULL   ? both
                       : host != NULL ? host
                                      : other,
    };

    return run->http != NULL ? RC_OK : http_client_new(run->loop, &options, &run->http, err);
}

/** The options that have `prefix` before their names. */
static enum rc make_aws(struct ctl_run *run, const char *prefix, struct aws **ret_aws,
                        struct err *err)
{
    const char *addressing = value_of(run, prefix, "addressing");
    struct aws_options options = {
        .region = value_of(run, prefix, "region"),
        .endpoint_url = value_of(run, prefix, "endpoint-url"),
        .profile = value_of(run, prefix, "profile"),
        .anonymous = value_of(run, prefix, "no-sign-request") != NULL,
    };

    if (addressing == NULL) { /* of both ends, where they differ */
        addressing = value_of(run, "", "addressing");
    }
    if (take_addressing(addressing, &options.addressing, err) != RC_OK ||
        make_http(run, err) != RC_OK) {
        return err->rc;
    }
    *ret_aws = aws_new(run->loop, run->work, run->http, &options);
    return RC_OK;
}

enum rc ctl_run_aws(struct ctl_run *run, struct aws **ret_aws, struct err *err)
{
    if (run->aws == NULL && make_aws(run, "", &run->aws, err) != RC_OK) {
        return err->rc;
    }
    *ret_aws = run->aws;
    return RC_OK;
}

enum rc ctl_run_source(struct ctl_run *run, const char *text, struct err *err)
{
    static const char *const names[] = {"region", "endpoint-url", "profile", "no-sign-request"};
    scoped(uri_free) struct uri *uri = NULL;
    bool given = false;

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        given |= value_of(run, "source-", names[i]) != NULL;
    }
    if (!given) {
        return RC_OK;
    }
    if (ctl_run_uri(text, &uri, err) != RC_OK) {
        return err->rc;
    }
    if (uri->scheme != URI_S3) {
        return err_set(err, RC_INVALID, "--source-* options are for an S3 source, not '%.200s'",
                       text);
    }
    if (make_aws(run, "source-", &run->source_aws, err) != RC_OK) {
        return err->rc;
    }
    run->source_bucket = str_dup(uri->bucket);
    return RC_OK;
}

enum rc ctl_run_aws_of(struct ctl_run *run, const char *bucket, struct aws **ret_aws,
                       struct err *err)
{
    if (run->source_bucket != NULL && strcmp(bucket, run->source_bucket) == 0) {
        *ret_aws = run->source_aws;
        return RC_OK;
    }
    return ctl_run_aws(run, ret_aws, err);
}

const char *ctl_run_endpoint(const struct ctl_run *run, const char *bucket)
{
    static const char *const names[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"};
    const bool source =
        bucket != NULL && run->source_bucket != NULL && strcmp(bucket, run->source_bucket) == 0;
    const char *url = value_of(run, source ? "source-" : "", "endpoint-url");

    for (unsigned i = 0; url == NULL && i < ARRAY_LEN(names); i++) {
        url = getenv(names[i]);
    }
    return url != NULL ? url : "";
}
