/** @file
 * One call to Glue, and crawlers.
 */
#include "lib/aws/glue.h"

#include <string.h>

#include "lib/aws/glue_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define CALL_MS 60000

/** Glue's own names for what aws.h cannot know: most are a plain 400. */
static enum rc rc_of_code(const char *code, enum rc otherwise)
{
    static const struct {
        const char *code;
        enum rc rc;
    } known[] = {
        {"CrawlerRunningException", RC_CONFLICT},
        {"CrawlerStoppingException", RC_CONFLICT},
        {"CrawlerNotRunningException", RC_CONFLICT},
        {"AlreadyExistsException", RC_CONFLICT},
        {"ConcurrentModificationException", RC_CONFLICT},
        {"VersionMismatchException", RC_CONFLICT},
        {"ConcurrentRunsExceededException", RC_THROTTLED},
        {"ResourceNumberLimitExceededException", RC_THROTTLED},
        {"OperationTimeoutException", RC_TIMEOUT},
        {"InternalServiceException", RC_NETWORK},
        {"EntityNotFoundException", RC_NOT_FOUND},
        {"AccessDeniedException", RC_DENIED},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(code, known[i].code) == 0) {
            return known[i].rc;
        }
    }
    return otherwise;
}

static void call_free(struct glue_call *call)
{
    free(call->name);
    free(call->body);
    free(call);
}

static void on_answer(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct glue_call *call = arg;
    json_t *object = NULL;
    struct err why;

    if (err != NULL) {
        why = *err;
        why.rc = rc_of_code(answer->code, err->rc);
        err = &why;
    } else {
        object = json_loadb(answer->http->body, answer->http->body_len, 0, NULL);
        if (!json_is_object(object)) {
            err_set(&why, RC_CORRUPT, "Glue's answer about %s '%.200s' is no JSON object",
                    call->what, call->name);
            err = &why;
        }
    }
    call->answered(call, err == NULL ? object : NULL, err);
    json_decref(object);
    call_free(call);
}

struct aws_call *glue_send(struct aws *aws, const char *operation, json_t *request,
                           const struct glue_call *call)
{
    struct glue_call *kept = mem_new(struct glue_call);
    scoped(free) char *target = str_printf("AWSGlue.%s", operation);

    *kept = *call;
    kept->name = str_dup(call->name);
    /* A name that is not UTF-8 makes no JSON; the service refuses the empty request with its words.
     */
    kept->body = request != NULL ? json_dumps(request, JSON_COMPACT) : str_dup("{}");
    json_decref(request);
    if (call->attempts == 1) {
        return aws_send_json_once(aws, "glue", "1.1", target, kept->body, CALL_MS, on_answer, kept);
    }
    return aws_send_json(aws, "glue", "1.1", target, NULL, kept->body, CALL_MS, on_answer, kept);
}

const char *glue_string(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

int64_t glue_time_ms(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    const double seconds = json_number_value(value);

    return seconds > 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
}

/* ---- crawlers ---- */

static bool parse_state(const char *text, enum glue_crawler_state *ret_state)
{
    static const char *const names[] = {"READY", "RUNNING", "STOPPING"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_state = i;
            return true;
        }
    }
    return false;
}

/** An emulator's "COMPLETED" is a success too. */
static enum glue_crawl_status parse_status(const char *text)
{
    if (strcmp(text, "SUCCEEDED") == 0 || strcmp(text, "COMPLETED") == 0) {
        return GLUE_CRAWL_SUCCEEDED;
    }
    if (strcmp(text, "CANCELLED") == 0 || strcmp(text, "STOPPED") == 0) {
        return GLUE_CRAWL_CANCELLED;
    }
    return text[0] != '\0' ? GLUE_CRAWL_FAILED : GLUE_CRAWL_NONE;
}

static void on_crawler(struct glue_call *call, const json_t *answer, const struct err *err)
{
    glue_crawler_fn *done = (glue_crawler_fn *)call->given;
    const json_t *found = json_object_get(answer, "Crawler");
    const json_t *last = json_object_get(found, "LastCrawl");
    struct glue_crawler crawler = {0};
    struct err why;

    if (err == NULL && !parse_state(glue_string(found, "State"), &crawler.state)) {
        err_set(&why, RC_CORRUPT, "crawler '%.200s' has the unknown state '%.40s'", call->name,
                glue_string(found, "State"));
        err = &why;
    }
    if (err != NULL) {
        done(NULL, err, call->arg);
        return;
    }
    crawler.last_status = parse_status(glue_string(last, "Status"));
    crawler.last_started_ms = glue_time_ms(last, "StartTime");
    crawler.last_error = glue_string(last, "ErrorMessage");
    crawler.log_group = glue_string(last, "LogGroup");
    crawler.log_stream = glue_string(last, "LogStream");
    crawler.database = glue_string(found, "DatabaseName");
    crawler.table_prefix = glue_string(found, "TablePrefix");
    done(&crawler, NULL, call->arg);
}

static void on_done(struct glue_call *call, const json_t *answer, const struct err *err)
{
    (void)answer;
    ((glue_done_fn *)call->given)(err, call->arg);
}

static struct aws_call *crawler_call(struct aws *aws, const char *operation, const char *name,
                                     void (*answered)(struct glue_call *, const json_t *,
                                                      const struct err *),
                                     void (*done)(void), void *arg)
{
    const struct glue_call call = {
        .answered = answered, .given = done, .arg = arg, .what = "crawler", .name = (char *)name};

    return glue_send(aws, operation, json_pack("{s:s}", "Name", name), &call);
}

struct aws_call *glue_crawler_get(struct aws *aws, const char *name, glue_crawler_fn *done,
                                  void *arg)
{
    return crawler_call(aws, "GetCrawler", name, on_crawler, (void (*)(void))done, arg);
}

struct aws_call *glue_crawler_start(struct aws *aws, const char *name, glue_done_fn *done,
                                    void *arg)
{
    return crawler_call(aws, "StartCrawler", name, on_done, (void (*)(void))done, arg);
}

struct aws_call *glue_crawler_stop(struct aws *aws, const char *name, glue_done_fn *done, void *arg)
{
    return crawler_call(aws, "StopCrawler", name, on_done, (void (*)(void))done, arg);
}
