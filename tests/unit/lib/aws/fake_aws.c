/** @file
 * A fake of lib/aws/aws.c.
 */
#include "tests/unit/lib/aws/fake_aws.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct fake_call fake_call;
static char ticket;

static void note(const char *service, const char *operation, const char *url, const char *body,
                 aws_done_fn *done, void *arg)
{
    free(fake_call.body);
    fake_call = (struct fake_call){.done = done, .arg = arg};
    snprintf(fake_call.service, sizeof(fake_call.service), "%s", service);
    snprintf(fake_call.operation, sizeof(fake_call.operation), "%s", operation);
    snprintf(fake_call.url, sizeof(fake_call.url), "%s", url != NULL ? url : "");
    fake_call.body = body != NULL ? str_dup(body) : NULL;
}

struct aws_call *aws_send(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                          void *arg)
{
    scoped(free) char *body = str_dup_n(request->body, request->body_len);

    (void)aws;
    note(request->service, request->operation, request->url, body, done, arg);
    fake_call.body_max = request->body_max;
    fake_call.total_ms = request->total_ms;
    fake_call.check = request->check;
    return (struct aws_call *)&ticket;
}

struct aws_call *aws_send_json(struct aws *aws, const char *service, const char *version,
                               const char *target, const char *url, const char *body,
                               int64_t total_ms, aws_done_fn *done, void *arg)
{
    (void)aws;
    note(service, strchr(target, '.') + 1, url, body, done, arg);
    snprintf(fake_call.version, sizeof(fake_call.version), "%s", version);
    fake_call.total_ms = total_ms;
    return (struct aws_call *)&ticket;
}

struct aws_call *aws_send_json_once(struct aws *aws, const char *service, const char *version,
                                    const char *target, const char *body, int64_t total_ms,
                                    aws_done_fn *done, void *arg)
{
    struct aws_call *call =
        aws_send_json(aws, service, version, target, NULL, body, total_ms, done, arg);

    fake_call.once = true;
    return call;
}

struct aws_call *aws_send_query(struct aws *aws, const char *service, const char *version,
                                const char *action, const struct sigv4_pair *pairs, unsigned count,
                                aws_done_fn *done, void *arg)
{
    (void)aws;
    note(service, action, NULL, NULL, done, arg);
    snprintf(fake_call.version, sizeof(fake_call.version), "%s", version);
    for (unsigned i = 0; i < count && i < ARRAY_LEN(fake_call.pairs); i++) {
        snprintf(fake_call.pairs[i][0], sizeof(fake_call.pairs[i][0]), "%s", pairs[i].name);
        snprintf(fake_call.pairs[i][1], sizeof(fake_call.pairs[i][1]), "%s", pairs[i].value);
    }
    fake_call.pair_count = count;
    return (struct aws_call *)&ticket;
}

void aws_cancel(struct aws_call *call)
{
    (void)call;
}

void fake_answer(unsigned status, const char *body, const char *code, const struct err *err)
{
    const struct http_answer http = {
        .status = status, .body = body, .body_len = body != NULL ? strlen(body) : 0};
    const struct aws_answer answer = {.http = body != NULL ? &http : NULL,
                                      .code = code,
                                      .request_id = "request-1",
                                      .attempts = 1};
    aws_done_fn *done = TAKE(fake_call.done);
    struct err wrong;

    if (err == NULL && fake_call.check != NULL && answer.http != NULL &&
        fake_call.check(&http, fake_call.arg, &wrong) != RC_OK) {
        wrong.rc = RC_NETWORK; /* as often as it was asked again */
        err = &wrong;
    }
    done(&answer, err, fake_call.arg);
}

void fake_done(void)
{
    free(fake_call.body);
    fake_call = (struct fake_call){0};
}
