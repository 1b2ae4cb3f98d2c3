/** @file
 * What the checks of `doctor` share: findings, and questions that wait for their answers.
 */
#include "daemon/ctl/ctl_doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"

#define PATIENCE_MS 20000

void doctor_done(struct doctor *doctor)
{
    for (unsigned i = 0; i < doctor->count; i++) {
        free(doctor->findings[i].text);
        free(doctor->findings[i].mend);
    }
    free(doctor->findings);
    aws_free(doctor->aws);
    aws_free(doctor->processed);
    aws_free(doctor->raw);
}

void doctor_find(struct doctor *doctor, enum finding_kind kind, const char *check, const char *mend,
                 const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    va_end(ap);
    doctor->findings = mem_resize(doctor->findings, doctor->count + 1, sizeof(*doctor->findings));
    doctor->findings[doctor->count++] =
        (struct finding){.kind = kind, .check = check, .text = text, .mend = str_dup(mend)};
    doctor->failed += kind == FINDING_FAIL;
    doctor->warned += kind == FINDING_WARN;
}

const char *doctor_mend(const struct doctor *doctor, const struct err *err, const char *mend)
{
    if (err->rc == RC_NETWORK || err->rc == RC_TIMEOUT) {
        return "see whether aws.endpoint_url, aws.region and the network are right";
    }
    if (err->rc == RC_HOST && strcasestr(err->text, "KMS") != NULL) {
        return "enable the key of KMS, and allow kms:Decrypt and kms:GenerateDataKey with it";
    }
    return doctor->no_credentials || err->rc == RC_HOST
               ? "give credentials that are in force; see the line of credentials"
               : mend;
}

void doctor_refused(struct doctor *doctor, enum finding_kind kind, const char *check,
                    const char *mend, const struct err *err)
{
    doctor_find(doctor, err->rc == RC_DENIED ? FINDING_WARN : kind, check,
                doctor_mend(doctor, err, mend), "%s", err->text);
}

/* ---- questions ---- */

struct question {
    struct loop *loop;
    struct doctor_answer *answer;
    bool over;
};

void doctor_answer_done(struct doctor_answer *answer)
{
    strbuf_done(&answer->body);
}

static const char *header_of(const struct aws_answer *answer, const char *name)
{
    const char *value = answer->http != NULL ? http_answer_header(answer->http, name) : NULL;

    return value != NULL ? value : "";
}

/** "Fri, 27 Nov 2026 21:32:09 GMT" */
static int64_t date_of(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    return end != NULL && *end == '\0' ? (int64_t)timegm(&tm) : 0;
}

static void on_answer(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct question *question = arg;
    struct doctor_answer *told = question->answer;

    if (err != NULL) {
        told->err = *err;
    }
    snprintf(told->code, sizeof(told->code), "%s", answer->code);
    if (answer->http != NULL) {
        told->status = answer->http->status;
        strbuf_add(&told->body, answer->http->body, answer->http->body_len);
    }
    told->date_s = date_of(header_of(answer, "date"));
    snprintf(told->region, sizeof(told->region), "%s", header_of(answer, "x-amz-bucket-region"));
    question->over = true;
    loop_stop(question->loop);
}

static bool wait_for(struct question *question)
{
    while (!question->over) {
        loop_run(question->loop);
    }
    return question->answer->err.rc == RC_OK;
}

bool doctor_ask_s3(struct doctor *doctor, struct aws *aws, const struct doctor_s3 *ask,
                   struct doctor_answer *ret_answer)
{
    scoped(free) char *path = str_printf("/%s", ask->key != NULL ? ask->key : "");
    const struct aws_request request = {
        .service = "s3",
        .operation = ask->operation,
        .method = ask->method,
        .bucket = ask->bucket,
        .path = path,
        .query = ask->query,
        .query_count = ask->query_count,
        .headers = ask->headers,
        .header_count = ask->header_count,
        .body = ask->body,
        .body_len = ask->body_len,
        .total_ms = PATIENCE_MS,
        .attempts = 2,
    };
    struct question question = {ctl_run_loop(doctor->run), ret_answer, false};

    *ret_answer = (struct doctor_answer){0};
    aws_send(aws, &request, on_answer, &question);
    return wait_for(&question);
}

bool doctor_ask_json(struct doctor *doctor, struct aws *aws, const char *service,
                     const char *version, const char *target, const char *url, json_t *request,
                     struct doctor_answer *ret_answer, json_t **ret_told)
{
    struct question question = {ctl_run_loop(doctor->run), ret_answer, false};
    scoped(free) char *body = json_dumps(request, JSON_COMPACT);

    json_decref(request);
    *ret_told = NULL;
    *ret_answer = (struct doctor_answer){0};
    aws_send_json(aws, service, version, target, url, body, PATIENCE_MS, on_answer, &question);
    if (!wait_for(&question)) {
        return false;
    }
    *ret_told = json_loadb(strbuf_text(&ret_answer->body), ret_answer->body.len, 0, NULL);
    if (!json_is_object(*ret_told)) {
        json_decref(*ret_told);
        *ret_told = NULL;
        err_set(&ret_answer->err, RC_CORRUPT, "%s: the answer is no JSON object", target);
        return false;
    }
    return true;
}

bool doctor_ask_query(struct doctor *doctor, struct aws *aws, const char *service,
                      const char *version, const char *action, const struct sigv4_pair *pairs,
                      unsigned count, struct doctor_answer *ret_answer)
{
    struct question question = {ctl_run_loop(doctor->run), ret_answer, false};

    *ret_answer = (struct doctor_answer){0};
    aws_send_query(aws, service, version, action, pairs, count, on_answer, &question);
    return wait_for(&question);
}
