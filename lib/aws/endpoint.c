#include "lib/aws/endpoint.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "lib/base/mem.h"

#define REGION_MAX 40
#define BUCKET_MAX 255 /**< Before 2018 us-east-1 had names of that length. */
#define LABEL_MAX 63

struct place { /**< A URL's parts, pointing into it. */
    bool tls;
    const char *host; /**< With its port. */
    size_t host_len;
    const char *path;
    size_t path_len;
};

void endpoint_done(struct endpoint *endpoint)
{
    strbuf_done(&endpoint->path);
}

/* Names */

bool endpoint_is_region(const char *region)
{
    size_t len = 0;

    for (; region[len] != '\0'; len++) {
        if (!isalnum((unsigned char)region[len]) && region[len] != '-') {
            return false;
        }
    }
    return len > 0 && len <= REGION_MAX;
}

const char *endpoint_suffix(const char *region)
{
    static const struct {
        const char *prefix, *suffix;
    } partitions[] = {
        {"cn-", "amazonaws.com.cn"},    {"us-iso-", "c2s.ic.gov"},
        {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
        {"eu-isoe-", "cloud.adc-e.uk"}, {"eusc-", "amazonaws.eu"},
    };

    for (unsigned i = 0; i < ARRAY_LEN(partitions); i++) {
        if (str_starts(region, partitions[i].prefix)) {
            return partitions[i].suffix;
        }
    }
    return "amazonaws.com"; /* us-gov- too */
}

/** Of a bucket: what may stand in a path at all. */
static bool is_bucket(const char *bucket)
{
    size_t len = 0;

    for (; bucket[len] != '\0'; len++) {
        if (!isalnum((unsigned char)bucket[len]) && strchr("-._", bucket[len]) == NULL) {
            return false;
        }
    }
    return len > 0 && len <= BUCKET_MAX && strcmp(bucket, ".") != 0 && strcmp(bucket, "..") != 0;
}

/** May it stand in front of a host? */
static bool is_label(const char *bucket, bool dots)
{
    const size_t len = strlen(bucket);

    for (size_t i = 0; i < len; i++) {
        const char c = bucket[i];
        const bool edge = i == 0 || i + 1 == len || bucket[i - 1] == '.' || bucket[i + 1] == '.';

        if (!islower((unsigned char)c) && !isdigit((unsigned char)c) &&
            (edge || (c != '-' && (c != '.' || !dots)))) {
            return false;
        }
    }
    return len >= 3 && len <= LABEL_MAX;
}

/* URLs */

static bool split(const char *url, struct place *ret_place)
{
    const bool tls = strncasecmp(url, "https://", 8) == 0;
    const char *host, *path;
    size_t host_len;

    if (!tls && strncasecmp(url, "http://", 7) != 0) {
        return false;
    }
    host = url + (tls ? 8 : 7);
    host_len = strcspn(host, "/?#");
    path = host + host_len;
    if (host_len == 0 || memchr(host, '@', host_len) != NULL || strpbrk(path, "?#%") != NULL) {
        return false;
    }
    for (const char *c = url; *c != '\0'; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f) {
            return false;
        }
    }
    *ret_place = (struct place){tls, host, host_len, path, strlen(path)};
    while (ret_place->path_len > 0 && path[ret_place->path_len - 1] == '/') {
        ret_place->path_len--;
    }
    return true;
}

static bool is_numeric(const struct place *place)
{
    char host[64];
    struct in_addr four;
    const char *colon = memchr(place->host, ':', place->host_len);
    const size_t len = colon != NULL ? (size_t)(colon - place->host) : place->host_len;

    if (place->host[0] == '[') {
        return true;
    }
    if (len >= sizeof(host)) {
        return false;
    }
    memcpy(host, place->host, len);
    host[len] = '\0';
    return inet_pton(AF_INET, host, &four) == 1;
}

bool endpoint_region_of(const char *url, char *ret_region, size_t size)
{
    struct place place;
    char host[ENDPOINT_HOST], *end, *dot;

    if (!split(url, &place) || place.host_len >= sizeof(host)) {
        return false;
    }
    memcpy(host, place.host, place.host_len);
    host[place.host_len] = '\0';
    end = strstr(host, ".amazonaws.com");
    if (end == NULL) {
        return false;
    }
    *end = '\0'; /* sqs.REGION, REGION.queue, vpce-0.sqs.REGION.vpce */
    if (str_ends(host, ".vpce") || str_ends(host, ".queue")) {
        *strrchr(host, '.') = '\0';
    }
    dot = strrchr(host, '.');
    dot = dot != NULL ? dot + 1 : host;
    if (!endpoint_is_region(dot) || strchr(dot, '-') == NULL) {
        return false; /* the old "queue.amazonaws.com" */
    }
    snprintf(ret_region, size, "%s", dot);
    return true;
}

/* The whole */

static bool in_host(const struct endpoint_want *want, const struct place *given)
{
    if (want->bucket == NULL || want->addressing == AWS_ADDRESSING_PATH) {
        return false;
    }
    if (given == NULL) {
        return is_label(want->bucket, false);
    }
    return want->addressing == AWS_ADDRESSING_VIRTUAL && !is_numeric(given) &&
           is_label(want->bucket, !given->tls);
}

static void put_host(const struct endpoint_want *want, const struct place *given, bool virtual,
                     char ret_host[ENDPOINT_HOST])
{
    const char *bucket = virtual ? want->bucket : "", *dot = virtual ? "." : "";

    if (given == NULL) {
        snprintf(ret_host, ENDPOINT_HOST, "%s%s%s.%s.%s", bucket, dot, want->service, want->region,
                 endpoint_suffix(want->region));
        return;
    }
    snprintf(ret_host, ENDPOINT_HOST, "%s%s%.*s", bucket, dot, (int)given->host_len, given->host);
    if (str_ends(ret_host, given->tls ? ":443" : ":80")) {
        *strrchr(ret_host, ':') = '\0';
    }
}

static enum rc check(const struct endpoint_want *want, struct err *err)
{
    if (!endpoint_is_region(want->region)) {
        return err_set(err, RC_INVALID, "'%.60s' is no name of a region", want->region);
    }
    if (want->bucket != NULL && !is_bucket(want->bucket)) {
        return err_set(err, RC_INVALID, "'%.200s' is no name of a bucket", want->bucket);
    }
    return RC_OK;
}

enum rc endpoint_find(const struct endpoint_want *want, struct endpoint *ret_endpoint,
                      struct err *err)
{
    const bool own = want->url == NULL || want->url[0] == '\0';
    struct place place = {.tls = true, .path = ""};
    bool virtual;

    if (check(want, err) != RC_OK) {
        return err->rc;
    }
    if (!own && (!split(want->url, &place) || place.host_len >= ENDPOINT_HOST - LABEL_MAX - 2)) {
        return err_set(err, RC_INVALID, "endpoint '%.200s' is no URL like https://host:port/path",
                       strchr(want->url, '@') == NULL ? want->url : "...");
    }
    virtual = in_host(want, own ? NULL : &place);
    ret_endpoint->tls = place.tls;
    put_host(want, own ? NULL : &place, virtual, ret_endpoint->host);
    strbuf_reset(&ret_endpoint->path);
    strbuf_add(&ret_endpoint->path, place.path, place.path_len);
    if (want->bucket != NULL && !virtual) {
        strbuf_putc(&ret_endpoint->path, '/');
        strbuf_puts(&ret_endpoint->path, want->bucket);
    }
    strbuf_puts(&ret_endpoint->path, want->path);
    return RC_OK;
}
