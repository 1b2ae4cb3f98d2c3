/** @file
 * The two protocols that are not S3's: JSON with a target, and a form that is answered in XML.
 */
#include <jansson.h>
#include <stdio.h>

#include "lib/aws/aws_p.h"
#include "lib/aws/xml.h"
#include "lib/base/mem.h"

/** A page of Athena's rows, or ten messages of SQS with all their escapes. */
#define JSON_BODY_MAX (16u << 20)

/** An answer is an object; of an operation that has nothing to say it may be nothing at all. */
static enum rc check_json(const struct http_answer *http, void *arg, struct err *err)
{
    json_t *root;
    bool good;
    (void)arg;

    if (http->body_len == 0) {
        return RC_OK;
    }
    root = json_loadb(http->body, http->body_len, 0, NULL);
    good = json_is_object(root);
    json_decref(root);
    return good ? RC_OK : err_set(err, RC_CORRUPT, "the answer is no JSON object");
}

/** An answer is a <...Response>. */
static enum rc check_xml(const struct http_answer *http, void *arg, struct err *err)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    (void)arg;

    if (xml_parse(http->body, http->body_len, &doc, err) != RC_OK) {
        return err->rc;
    }
    return str_ends(xml_root(doc)->name, "Response")
               ? RC_OK
               : err_set(err, RC_CORRUPT, "the answer is a '%.60s'", xml_root(doc)->name);
}

static struct aws_call *send_json(struct aws *aws, const char *service, const char *version,
                                  const char *target, const char *url, const char *body,
                                  int64_t total_ms, unsigned attempts, aws_done_fn *done, void *arg)
{
    const char *dot = strchr(target, '.');
    char type[64];
    const struct sigv4_pair headers[] = {{"Content-Type", type}, {"X-Amz-Target", target}};
    const struct aws_request request = {.service = service,
                                        .operation = dot != NULL ? dot + 1 : target,
                                        .method = "POST",
                                        .path = "/",
                                        .url = url,
                                        .headers = headers,
                                        .header_count = ARRAY_LEN(headers),
                                        .body = body,
                                        .body_len = strlen(body),
                                        .body_max = JSON_BODY_MAX,
                                        .total_ms = total_ms,
                                        .attempts = attempts,
                                        .check = check_json,
                                        .fresh = attempts == 1};

    snprintf(type, sizeof(type), "application/x-amz-json-%s", version);
    return aws_send(aws, &request, done, arg);
}

struct aws_call *aws_send_json(struct aws *aws, const char *service, const char *version,
                               const char *target, const char *url, const char *body,
                               int64_t total_ms, aws_done_fn *done, void *arg)
{
    return send_json(aws, service, version, target, url, body, total_ms, 0, done, arg);
}

struct aws_call *aws_send_json_once(struct aws *aws, const char *service, const char *version,
                                    const char *target, const char *body, int64_t total_ms,
                                    aws_done_fn *done, void *arg)
{
    return send_json(aws, service, version, target, NULL, body, total_ms, 1, done, arg);
}

/** "arn:aws:sns:eu-west-1:123456789012:topic": the topic lives there, wherever we do. */
static void region_of_arn(const char *arn, char ret_region[AWS_REGION])
{
    char region[AWS_REGION] = "";

    for (unsigned colons = 0; *arn != '\0' && colons < 3; arn++) {
        colons += *arn == ':';
    }
    snprintf(region, sizeof(region), "%.*s", (int)strcspn(arn, ":"), arn);
    if (endpoint_is_region(region)) {
        memcpy(ret_region, region, sizeof(region));
    }
}

/** As HTML's forms: a blank is '+'. */
static void add_field(struct strbuf *form, const char *name, const char *value)
{
    const size_t from = form->len;
    char *to;

    if (from > 0) {
        strbuf_putc(form, '&');
    }
    sigv4_encode(form, name, false);
    strbuf_putc(form, '=');
    sigv4_encode(form, value, false);
    to = form->data + from;
    for (const char *c = to; *c != '\0'; c++) {
        const bool blank = strncmp(c, "%20", 3) == 0;

        *to++ = blank ? '+' : *c;
        c += blank ? 2 : 0;
    }
    *to = '\0';
    form->len = (size_t)(to - form->data);
}

static void put_form(struct aws_call *call, const char *version, const char *action,
                     const struct sigv4_pair *pairs, unsigned count)
{
    add_field(&call->form, "Action", action);
    add_field(&call->form, "Version", version);
    for (unsigned i = 0; i < count; i++) {
        add_field(&call->form, pairs[i].name, pairs[i].value);
        if (strcmp(pairs[i].name, "TopicArn") == 0) {
            region_of_arn(pairs[i].value, call->wanted_region);
        }
    }
    call->request.body = call->form.data;
    call->request.body_len = call->form.len;
}

struct aws_call *aws_send_query(struct aws *aws, const char *service, const char *version,
                                const char *action, const struct sigv4_pair *pairs, unsigned count,
                                aws_done_fn *done, void *arg)
{
    static const struct sigv4_pair type = {"Content-Type",
                                           "application/x-www-form-urlencoded; charset=utf-8"};
    const struct aws_request request = {.service = service,
                                        .operation = action,
                                        .method = "POST",
                                        .path = "/",
                                        .headers = &type,
                                        .header_count = 1,
                                        .check = check_xml};
    struct aws_call *call = aws_call_new(aws, &request, done, arg);

    put_form(call, version, action, pairs, count);
    aws_call_start(call);
    return call;
}
