/** @file
 * Rules that span options, and what this build refuses. Each refusal is one line that names the
 * key.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "daemon/conf/conf_p.h"
#include "lib/base/mem.h"
#include "lib/store/uri.h"

static enum rc check_absolute(const char *key, const char *path, struct err *err)
{
    if (path[0] != '/') {
        return err_set(err, RC_INVALID, "'%s': '%.200s' is not an absolute path", key, path);
    }
    return RC_OK;
}

/** Whether `inner` is `outer` or lies below it; both without a slash at the end. */
static bool lies_within(const char *inner, const char *outer)
{
    const size_t len = strlen(outer);

    return strcmp(outer, "/") == 0 ||
           (strncmp(inner, outer, len) == 0 && (inner[len] == '/' || inner[len] == '\0'));
}

static enum rc check_store(const char *key, const char *text, struct uri **ret_uri, struct err *err)
{
    if (!str_starts(text, "file://") && !str_starts(text, "s3://") && text[0] != '/') {
        return err_set(err, RC_INVALID,
                       "'%s': '%.200s' is none of file:///DIRECTORY, an absolute path, and "
                       "s3://BUCKET/PREFIX",
                       key, text);
    }
    if (uri_parse(text, "/", ret_uri, err) != RC_OK) {
        return err_wrap(err, "'%s'", key);
    }
    return RC_OK;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/** Two prefixes of one bucket, the one below the other. Slashes at their ends do not count. */
static bool prefixes_overlap(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);

    a_len -= a_len > 0 && a[a_len - 1] == '/';
    b_len -= b_len > 0 && b[b_len - 1] == '/';
    const size_t len = MIN_OF(a_len, b_len);

    return strncmp(a, b, len) == 0 &&
           (len == 0 || a_len == b_len || (a_len > len ? a : b)[len] == '/');
}

static bool stores_overlap(const struct conf *conf, const struct uri *raw,
                           const struct uri *processed)
{
    if (raw->scheme != processed->scheme) {
        return false;
    }
    if (raw->scheme == URI_S3) {
        return strcmp(raw->bucket, processed->bucket) == 0 &&
               same_text(conf->raw_aws_endpoint_url, conf->processed_aws_endpoint_url) &&
               prefixes_overlap(raw->path, processed->path);
    }
    return lies_within(processed->path, raw->path) || lies_within(raw->path, processed->path);
}

/** Outputs listed as inputs, or our own databases taken for objects, would never end. */
static enum rc check_paths(const struct conf *conf, struct err *err)
{
    scoped(uri_free) struct uri *raw = NULL, *processed = NULL, *state = NULL;

    if (check_absolute("state_dir", conf->state_dir, err) != RC_OK ||
        check_store("raw.uri", conf->raw_uri, &raw, err) != RC_OK ||
        check_store("processed.uri", conf->processed_uri, &processed, err) != RC_OK ||
        uri_parse(conf->state_dir, "/", &state, err) != RC_OK) {
        return err->rc;
    }
    if (stores_overlap(conf, raw, processed)) {
        return err_set(err, RC_INVALID,
                       "'processed.uri' and 'raw.uri' overlap: outputs would be taken for inputs");
    }
    if (raw->scheme == URI_FILE && lies_within(state->path, raw->path)) {
        return err_set(
            err, RC_INVALID,
            "'state_dir' lies inside 'raw.uri': our own files would be taken for inputs");
    }
    return RC_OK;
}

/** A queue tells of a bucket. */
static enum rc check_queues(const struct conf *conf, struct err *err)
{
    const char *cursor = conf->sources_sqs_queue_url;
    char *item;

    while (conf_next_item(&cursor, &item)) {
        scoped(free) char *url = item;

        if ((!str_starts(url, "https://") && !str_starts(url, "http://")) ||
            strpbrk(url, "@ ?#") != NULL) {
            return err_set(err, RC_INVALID,
                           "'sources.sqs.queue_url': '%.200s' is no https://HOST/ACCOUNT/NAME",
                           url);
        }
    }
    if (conf->sources_sqs_queue_url != NULL && !str_starts(conf->raw_uri, "s3://")) {
        return err_set(err, RC_INVALID,
                       "'sources.sqs.queue_url': a queue tells of a bucket, but 'raw.uri' is "
                       "'%.200s'",
                       conf->raw_uri);
    }
    return RC_OK;
}

static enum rc check_athena(const struct conf *conf, struct err *err)
{
    if (conf->athena_output_location != NULL &&
        !str_starts(conf->athena_output_location, "s3://")) {
        return err_set(err, RC_INVALID,
                       "'athena.output_location': '%.200s' is no s3://BUCKET/PREFIX/",
                       conf->athena_output_location);
    }
    return RC_OK;
}

static enum rc check_topic(const struct conf *conf, struct err *err)
{
    const char *arn = conf->notify_sns_topic_arn;

    if (arn != NULL && (!str_starts(arn, "arn:") || strstr(arn, ":sns:") == NULL)) {
        return err_set(err, RC_INVALID,
                       "'notify.sns_topic_arn': '%.200s' is no arn:aws:sns:REGION:ACCOUNT:NAME",
                       arn);
    }
    return RC_OK;
}

/** Glue works on buckets, and by names that somebody has given. */
static enum rc check_engine(const char *option, const char *engine, const char *name_option,
                            const char *name, const char *store_option, const char *store,
                            struct err *err)
{
    if (strcmp(engine, "glue") != 0) {
        return RC_OK;
    }
    if (name == NULL || name[0] == '\0') {
        return err_set(err, RC_INVALID, "'%s' is 'glue', but '%s' names none", option, name_option);
    }
    if (!str_starts(store, "s3://")) {
        return err_set(err, RC_INVALID, "'%s' is 'glue', but '%s' is '%.200s', no bucket", option,
                       store_option, store);
    }
    return RC_OK;
}

static enum rc check_engines(const struct conf *conf, struct err *err)
{
    if (strcmp(conf->catalog_engine, "glue") == 0 && !str_starts(conf->processed_uri, "s3://")) {
        return err_set(err, RC_INVALID,
                       "'catalog.engine' is 'glue', but 'processed.uri' is '%.200s', no bucket",
                       conf->processed_uri);
    }
    if (check_engine("crawl.engine", conf->crawl_engine, "glue.crawler", conf->glue_crawler,
                     "raw.uri", conf->raw_uri, err) != RC_OK ||
        check_engine("extract.engine", conf->extract_engine, "glue.job", conf->glue_job, "raw.uri",
                     conf->raw_uri, err) != RC_OK ||
        check_engine("extract.engine", conf->extract_engine, "glue.job", conf->glue_job,
                     "processed.uri", conf->processed_uri, err) != RC_OK) {
        return err->rc;
    }
    return RC_OK;
}

static enum rc check_endpoint(const char *key, const char *url, struct err *err)
{
    if (url != NULL && ((!str_starts(url, "http://") && !str_starts(url, "https://")) ||
                        strpbrk(url, "@ ") != NULL)) {
        return err_set(err, RC_INVALID,
                       "'%s': expected http[s]://host[:port], without a user or password", key);
    }
    return RC_OK;
}

/** The configuration is shown to who asks for it; the environment is not. */
static enum rc check_proxy(const struct conf *conf, struct err *err)
{
    if (conf->aws_proxy != NULL && strchr(conf->aws_proxy, '@') != NULL) {
        return err_set(err, RC_INVALID,
                       "'aws.proxy': expected http://host:port, without a user or password: they "
                       "belong into the environment (HTTPS_PROXY)");
    }
    return RC_OK;
}

enum rc conf_listen_parse(const char *text, struct conf_listen *ret_listen, struct err *err)
{
    const char *colon = strrchr(text, ':');
    struct conf_listen listen = {0};
    uint64_t port;

    if (colon == NULL || !str_to_u64(colon + 1, &port) || port > 65535) {
        return err_set(err, RC_INVALID, "'%.80s' is no ADDRESS:PORT, as '127.0.0.1:9464'", text);
    }
    const size_t len = (size_t)(colon - text);
    const bool bracketed = len >= 2 && text[0] == '[' && colon[-1] == ']';

    snprintf(listen.host, sizeof(listen.host), "%.*s", (int)(bracketed ? len - 2 : len),
             text + (bracketed ? 1 : 0));
    listen.port = (uint16_t)port;
    if (strcmp(listen.host, "localhost") == 0) {
        strncpy(listen.host, "127.0.0.1", sizeof(listen.host));
    }

    struct in_addr v4;
    struct in6_addr v6;
    if (bracketed && inet_pton(AF_INET6, listen.host, &v6) == 1) {
        listen.family = AF_INET6;
        listen.loopback = IN6_IS_ADDR_LOOPBACK(&v6);
    } else if (!bracketed && inet_pton(AF_INET, listen.host, &v4) == 1) {
        listen.family = AF_INET;
        listen.loopback = (ntohl(v4.s_addr) >> 24) == 127;
    } else {
        return err_set(err, RC_INVALID,
                       "'%.80s': the address must be numeric, as '127.0.0.1:9464' or '[::1]:9464'",
                       text);
    }
    *ret_listen = listen;
    return RC_OK;
}

static enum rc check_servers(const struct conf *conf, struct err *err)
{
    struct conf_listen listen;

    if (check_absolute("control.socket", conf->control_socket, err) != RC_OK) {
        return err->rc;
    }
    if (strlen(conf->control_socket) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        return err_set(err, RC_INVALID, "'control.socket': longer than %zu bytes",
                       sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    }
    if (conf->http_listen == NULL) {
        return RC_OK;
    }
    if (conf_listen_parse(conf->http_listen, &listen, err) != RC_OK) {
        return err_wrap(err, "'http.listen'");
    }
    if (!listen.loopback && !conf->http_allow_remote) {
        return err_set(err, RC_INVALID,
                       "'http.listen': '%.80s' is reachable from other machines, which nobody "
                       "guards; set 'http.allow_remote' if that is meant",
                       conf->http_listen);
    }
    return RC_OK;
}

enum rc conf_check(const struct conf *conf, struct err *err)
{
    if (check_paths(conf, err) != RC_OK ||
        check_endpoint("aws.endpoint_url", conf->aws_endpoint_url, err) != RC_OK ||
        check_endpoint("raw.aws.endpoint_url", conf->raw_aws_endpoint_url, err) != RC_OK ||
        check_endpoint("processed.aws.endpoint_url", conf->processed_aws_endpoint_url, err) !=
            RC_OK ||
        check_proxy(conf, err) != RC_OK || check_queues(conf, err) != RC_OK ||
        check_topic(conf, err) != RC_OK || check_athena(conf, err) != RC_OK ||
        check_engines(conf, err) != RC_OK || check_servers(conf, err) != RC_OK) {
        return err->rc;
    }
    if (conf->retry_base_ms > conf->retry_cap_ms) {
        return err_set(err, RC_INVALID, "'retry.base' is longer than 'retry.cap'");
    }
    return RC_OK;
}
