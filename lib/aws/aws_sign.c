/** @file
 * What a call sends: its endpoint, its URL, its header lines with the signature among them.
 *
 * S3 wants the body's hash in a header. It may be left out (UNSIGNED-PAYLOAD) where nobody can get
 * in between, and hashing 50 kB costs more than all the rest of the request: over TLS, whose
 * connection vouches for the bytes, and to this very host, when a checksum among the signed headers
 * finds what went wrong by itself.
 */
#include <assert.h>
#include <stdio.h>
#include <strings.h>

#include "lib/aws/aws_p.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define OWN_HEADERS 5 /**< host, date, payload, token; authorization. */

static bool is_s3(const struct aws_call *call)
{
    return strcmp(call->request.service, "s3") == 0;
}

static void choose_region(struct aws_call *call)
{
    const struct aws *aws = call->aws;
    const char *bucket = call->request.bucket;
    const char *region = bucket != NULL ? aws_bucket_region(aws, bucket) : NULL;

    if (call->wanted_region[0] != '\0') {
        region = call->wanted_region;
    }
    snprintf(call->region, sizeof(call->region), "%s", region != NULL ? region : aws->region);
}

static enum rc find_endpoint(struct aws_call *call, const char *path, struct err *err)
{
    const struct aws_request *request = &call->request;
    scoped(free) char *origin = NULL;
    struct endpoint_want want = {.service = request->service,
                                 .region = call->region,
                                 .bucket = request->bucket,
                                 .path = path,
                                 .addressing = call->aws->addressing};

    want.url = aws_settings_endpoint(call->aws, request->service);
    if (request->url != NULL) {
        const char *rest = strstr(request->url, "://");

        if (rest == NULL) {
            return err_set(err, RC_INVALID, "'%.200s' is no URL", request->url);
        }
        origin =
            str_dup_n(request->url, (size_t)(rest + 3 - request->url) + strcspn(rest + 3, "/?#"));
        want.url = origin;
    }
    return endpoint_find(&want, &call->endpoint, err);
}

static void put_url(const struct aws_call *call, const struct sigv4_pair *query, unsigned count,
                    struct strbuf *url)
{
    strbuf_reset(url);
    strbuf_puts(url, call->endpoint.tls ? "https://" : "http://");
    strbuf_puts(url, call->endpoint.host);
    sigv4_encode(url, call->endpoint.path.data, true);
    if (count > 0) {
        strbuf_putc(url, '?');
        sigv4_query(url, query, count);
    }
}

static bool has_checksum(const struct aws_request *request)
{
    for (unsigned i = 0; i < request->header_count; i++) {
        const char *name = request->headers[i].name;

        if (strncasecmp(name, "x-amz-checksum-", 15) == 0 || strcasecmp(name, "content-md5") == 0) {
            return true;
        }
    }
    return false;
}

static const char *payload(struct aws_call *call)
{
    const struct aws_request *request = &call->request;

    if (request->body_len == 0) {
        return SIGV4_EMPTY_SHA256;
    }
    if (is_s3(call) &&
        (call->endpoint.tls || (has_checksum(request) && http_is_loopback(call->endpoint.host)))) {
        return SIGV4_UNSIGNED_PAYLOAD;
    }
    if (call->payload_sha256[0] == '\0') {
        digest_sha256_hex(request->body, request->body_len, call->payload_sha256);
    }
    return call->payload_sha256;
}

/** The kept key of this region and service: a daemon has few of them. */
static struct sigv4_key *kept_key(struct aws_call *call)
{
    uint32_t hash = 2166136261u;

    for (const char *c = call->region; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    for (const char *c = call->request.service; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    return &call->aws->keys[hash % AWS_KEYS];
}

static void add_line(struct strbuf *lines, const char *name, const char *value)
{
    strbuf_puts(lines, name);
    strbuf_puts(lines, value[0] != '\0' ? ": " : ";"); /* libcurl leaves a bare "Name:" out */
    strbuf_puts(lines, value);
    strbuf_putc(lines, '\0');
}

/** All lines stand in one buffer, which grows: so pointers come last. */
static void point_at_lines(struct aws_call *call, unsigned count)
{
    const char *line = call->lines.data;

    call->header_count = count;
    for (unsigned i = 0; i < count; i++) {
        call->headers[i] = line;
        line += strlen(line) + 1;
    }
}

static void put_authorization(struct aws_call *call, const struct credentials_value *value,
                              const struct sigv4_pair *headers, unsigned count, int64_t time_s)
{
    const struct aws_request *request = &call->request;
    const struct sigv4_request to_sign = {.method = request->method,
                                          .path = call->endpoint.path.data,
                                          .query = request->query,
                                          .query_count = request->query_count,
                                          .headers = headers,
                                          .header_count = count,
                                          .payload_sha256 = payload(call)};
    const struct sigv4_scope scope = {.access_key_id = value->access_key_id,
                                      .secret_access_key = value->secret_access_key,
                                      .session_token = value->session_token,
                                      .region = call->region,
                                      .service = request->service,
                                      .time_s = time_s,
                                      .s3_path = is_s3(call)};
    struct aws *aws = call->aws;

    sigv4_authorization(&to_sign, &scope, kept_key(call), &aws->parts, &aws->authorization);
    add_line(&call->lines, "Authorization", strbuf_text(&aws->authorization));
    if (value->session_token != NULL) {
        explicit_bzero(aws->parts.canonical_request.data, aws->parts.canonical_request.len);
    }
}

static void put_headers(struct aws_call *call, const struct credentials_value *value)
{
    const struct aws_request *request = &call->request;
    const int64_t time_s = now_wall_ms() / 1000 + aws_clock_of(call->aws, call->endpoint.host);
    struct sigv4_pair headers[AWS_HEADERS_MAX];
    unsigned count = 0;
    char date[SIGV4_DATE];

    headers[count++] = (struct sigv4_pair){"Host", call->endpoint.host};
    for (unsigned i = 0; i < request->header_count; i++) {
        headers[count++] = request->headers[i];
    }
    if (value != NULL) {
        sigv4_date(time_s, date);
        headers[count++] = (struct sigv4_pair){"x-amz-date", date};
        if (is_s3(call)) {
            headers[count++] = (struct sigv4_pair){"x-amz-content-sha256", payload(call)};
        }
        if (value->session_token != NULL) {
            headers[count++] = (struct sigv4_pair){"x-amz-security-token", value->session_token};
        }
    }
    strbuf_reset(&call->lines);
    for (unsigned i = 0; i < count; i++) {
        add_line(&call->lines, headers[i].name, headers[i].value);
    }
    if (value != NULL) {
        put_authorization(call, value, headers, count, time_s);
    }
    point_at_lines(call, count + (value != NULL));
}

enum rc aws_sign(struct aws_call *call, const struct credentials_value *value, struct err *err)
{
    assert(call->request.header_count + OWN_HEADERS <= AWS_HEADERS_MAX);
    choose_region(call);
    if (find_endpoint(call, call->request.path, err) != RC_OK) {
        return err->rc;
    }
    put_url(call, call->request.query, call->request.query_count, &call->url);
    put_headers(call, value);
    return RC_OK;
}

enum rc aws_bucket_url(struct aws_call *call, struct strbuf *ret_url, struct err *err)
{
    if (find_endpoint(call, "/", err) != RC_OK) {
        return err->rc;
    }
    put_url(call, NULL, 0, ret_url);
    return RC_OK;
}
