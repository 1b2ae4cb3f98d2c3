/** @file
 * An answer judged: what the service calls its error, what that means for the caller, and whether
 * another attempt can help. The lists of codes are botocore's (retries/standard.py), those that a
 * wrong clock brings are smithy-typescript's.
 */
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/aws/aws_p.h"
#include "lib/aws/xml.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define AFTER_MAX_MS RETRY_CAP_MS

enum { SKEW = 1, EXPIRED = 2 };

/* clang-format off */
static const struct known {
    const char *code;
    enum rc rc;
    enum retry_reason retry;
    unsigned flags;
} known[] = {
    {"AccessDenied", RC_DENIED, RETRY_NONE, 0},
    {"AccessDeniedException", RC_DENIED, RETRY_NONE, 0},
    {"AllAccessDisabled", RC_DENIED, RETRY_NONE, 0},
    {"AuthFailure", RC_HOST, RETRY_NONE, SKEW},
    {"AuthorizationError", RC_DENIED, RETRY_NONE, 0},
    {"IncompleteSignature", RC_HOST, RETRY_NONE, 0},
    {"InvalidSecurity", RC_DENIED, RETRY_NONE, 0},
    {"InvalidSignatureException", RC_HOST, RETRY_NONE, SKEW},
    {"MissingAuthenticationToken", RC_HOST, RETRY_NONE, 0},
    {"MissingAuthenticationTokenException", RC_HOST, RETRY_NONE, 0},
    {"OptInRequired", RC_DENIED, RETRY_NONE, 0},
    {"RequestExpired", RC_HOST, RETRY_NONE, SKEW},
    {"RequestInTheFuture", RC_HOST, RETRY_NONE, SKEW},
    {"RequestTimeTooSkewed", RC_HOST, RETRY_NONE, SKEW},
    {"SignatureDoesNotMatch", RC_HOST, RETRY_NONE, SKEW},
    {"UnauthorizedAccess", RC_DENIED, RETRY_NONE, 0},
    {"ExpiredToken", RC_HOST, RETRY_NONE, EXPIRED},
    {"ExpiredTokenException", RC_HOST, RETRY_NONE, EXPIRED},
    {"InvalidAccessKeyId", RC_HOST, RETRY_NONE, EXPIRED},
    {"InvalidClientTokenId", RC_HOST, RETRY_NONE, EXPIRED},
    {"InvalidToken", RC_HOST, RETRY_NONE, EXPIRED},
    {"TokenRefreshRequired", RC_HOST, RETRY_NONE, EXPIRED},
    {"UnrecognizedClientException", RC_HOST, RETRY_NONE, EXPIRED},

    {"AWS.SimpleQueueService.NonExistentQueue", RC_NOT_FOUND, RETRY_NONE, 0},
    {"EntityNotFoundException", RC_NOT_FOUND, RETRY_NONE, 0},
    {"NoSuchBucket", RC_NOT_FOUND, RETRY_NONE, 0},
    {"NoSuchKey", RC_NOT_FOUND, RETRY_NONE, 0},
    {"NoSuchUpload", RC_NOT_FOUND, RETRY_NONE, 0},
    {"NoSuchVersion", RC_CHANGED, RETRY_NONE, 0},
    {"NotFound", RC_NOT_FOUND, RETRY_NONE, 0},
    {"NotFoundException", RC_NOT_FOUND, RETRY_NONE, 0},
    {"QueueDoesNotExist", RC_NOT_FOUND, RETRY_NONE, 0},
    {"ResourceNotFoundException", RC_NOT_FOUND, RETRY_NONE, 0},

    {"BandwidthLimitExceeded", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"EC2ThrottledException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"LimitExceededException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"PriorRequestNotComplete", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"ProvisionedThroughputExceededException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"RequestLimitExceeded", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"RequestThrottled", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"RequestThrottledException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"SlowDown", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"ThrottledException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"Throttling", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"ThrottlingException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"TooManyRequestsException", RC_THROTTLED, RETRY_THROTTLE, 0},
    {"TransactionInProgressException", RC_THROTTLED, RETRY_THROTTLE, 0},

    {"BadDigest", RC_NETWORK, RETRY_TRANSIENT, 0}, /* we hashed it: it changed on its way */
    {"InternalError", RC_NETWORK, RETRY_TRANSIENT, 0},
    {"InternalFailure", RC_NETWORK, RETRY_TRANSIENT, 0},
    {"InternalServerError", RC_NETWORK, RETRY_TRANSIENT, 0},
    {"RequestTimeout", RC_NETWORK, RETRY_TRANSIENT, 0},
    {"RequestTimeoutException", RC_NETWORK, RETRY_TRANSIENT, 0},
    {"ServiceUnavailable", RC_NETWORK, RETRY_TRANSIENT, 0},
    {"TemporaryRedirect", RC_NETWORK, RETRY_TRANSIENT, 0}, /* a bucket's name is still young */
    {"XAmzContentSHA256Mismatch", RC_NETWORK, RETRY_TRANSIENT, 0},

    {"ConditionalRequestConflict", RC_CONFLICT, RETRY_TRANSIENT, 0},
    {"OperationAborted", RC_CONFLICT, RETRY_TRANSIENT, 0},
};
/* clang-format on */

/** KMS speaks through the others, and each spells its codes in a way of its own: "KMSDisabled"
 * (SNS), "KmsDisabled" (SQS), "KMS.DisabledException" (S3). A key that cannot be used is mended by
 * who runs this, and until then it is nobody's fault whose bytes it holds. */
static const struct known *find_kms(const char *code, unsigned status)
{
    static const struct known busy = {"KMS", RC_THROTTLED, RETRY_THROTTLE, 0};
    static const struct known unusable = {"KMS", RC_HOST, RETRY_NONE, 0};

    if (strncasecmp(code, "KMS", 3) != 0) {
        return NULL;
    }
    if (strstr(code, "Throttl") != NULL) {
        return &busy;
    }
    return status < 500 ? &unusable : NULL;
}

static const struct known *find(const char *code, unsigned status)
{
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(known[i].code, code) == 0) {
            return &known[i];
        }
    }
    return find_kms(code, status);
}

static const char *header(const struct http_answer *answer, const char *name)
{
    const char *value = http_answer_header(answer, name);

    return value != NULL ? value : "";
}

/** What comes from outside goes into messages and logs. */
static void keep(char *ret_text, size_t size, const char *text, size_t len)
{
    scoped(strbuf_done) struct strbuf shown = {0};
    scoped(free) char *part = NULL;
    size_t plain = 0;

    while (plain < MIN_OF(len, size - 1) && text[plain] >= ' ' && text[plain] <= '~') {
        ret_text[plain] = text[plain];
        plain++;
    }
    ret_text[plain] = '\0';
    if (plain == MIN_OF(len, size - 1) || text[plain] == '\0') {
        return; /* as nearly always */
    }
    part = str_dup_n(text, strnlen(text, MIN_OF(len, size)));
    strbuf_printable(&shown, part);
    snprintf(ret_text, size, "%s", strbuf_text(&shown));
}

/* ---- what the service says */

int64_t aws_parse_date(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4], iso[96];
    const char *found;
    int day, year, hour, minute, second;
    int64_t epoch_s;

    if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute,
               &second) != 6 ||
        (found = strstr(months, month)) == NULL || (found - months) % 3 != 0 || day < 0 ||
        year < 0 || hour < 0 || minute < 0 || second < 0) {
        return 0;
    }
    snprintf(iso, sizeof(iso), "%04d-%02d-%02d %02d:%02d:%02d", year,
             (int)((found - months) / 3) + 1, day, hour, minute, second);
    return now_parse_utc(iso, &epoch_s) ? epoch_s : 0;
}

static void read_ids(const struct http_answer *answer, struct aws_verdict *verdict)
{
    const char *id = header(answer, "x-amz-request-id"), *second = header(answer, "x-amz-id-2");
    char both[sizeof(verdict->request_id)];

    if (id[0] == '\0') {
        id = header(answer, "x-amzn-requestid");
    }
    if (second[0] != '\0') {
        snprintf(both, sizeof(both), "%s/%s", id, second);
        id = both;
    }
    keep(verdict->request_id, sizeof(verdict->request_id), id, SIZE_MAX);
}

static void read_headers(const struct http_answer *answer, struct aws_verdict *verdict)
{
    const char *region = header(answer, "x-amz-bucket-region");
    uint64_t after;

    verdict->date_s = aws_parse_date(header(answer, "date"));
    if (str_to_u64(header(answer, "x-amz-retry-after"), &after)) {
        verdict->after_ms = (int64_t)MIN_OF(after, (uint64_t)AFTER_MAX_MS);
    } else if (str_to_u64(header(answer, "retry-after"), &after)) {
        verdict->after_ms = (int64_t)MIN_OF(after, (uint64_t)AFTER_MAX_MS / 1000) * 1000;
    }
    if (endpoint_is_region(region)) {
        snprintf(verdict->region, sizeof(verdict->region), "%s", region);
    }
}

/** "com.amazonaws.sqs#QueueDoesNotExist", "Code:http://...", "Code;Sender": the name alone. */
static void keep_code(struct aws_verdict *verdict, const char *text)
{
    const char *hash = strchr(text, '#');

    text = hash != NULL ? hash + 1 : text;
    keep(verdict->code, sizeof(verdict->code), text, strcspn(text, ":;, "));
}

static void read_json(const struct http_answer *answer, struct aws_verdict *verdict)
{
    json_t *root = json_loadb(answer->body, answer->body_len, 0, NULL);
    const char *code = json_string_value(json_object_get(root, "__type"));
    const char *message = json_string_value(json_object_get(root, "message"));

    if (message == NULL) {
        message = json_string_value(json_object_get(root, "Message"));
    }
    if (code == NULL) {
        code = json_string_value(json_object_get(root, "code"));
    }
    keep_code(verdict, code != NULL ? code : "");
    keep(verdict->message, sizeof(verdict->message), message != NULL ? message : "", SIZE_MAX);
    json_decref(root);
}

/** "bucket.s3-eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com". */
static void region_of_endpoint(const char *host, struct aws_verdict *verdict)
{
    const char *at = strstr(host, "s3");
    char region[AWS_REGION];

    while (at != NULL && (at[2] == '.' || at[2] == '-')) {
        snprintf(region, sizeof(region), "%.*s", (int)strcspn(at + 3, "."), at + 3);
        if (endpoint_is_region(region) && strchr(region, '-') != NULL &&
            strstr(at, ".amazonaws.com") != NULL) {
            memcpy(verdict->region, region, sizeof(region));
            return;
        }
        at = strstr(at + 2, "s3");
    }
}

/** The <Error> itself, or inside the Query protocol's <ErrorResponse>, there and then in <Errors>.
 */
static const struct xml_node *find_error(const struct xml_node *root)
{
    const struct xml_node *error =
        strcmp(root->name, "Error") == 0 ? root : xml_child(root, "Error");

    return error != NULL ? error : xml_child(xml_child(root, "Errors"), "Error");
}

/** False: it tells of no error. */
static bool read_xml(const struct http_answer *answer, struct aws_verdict *verdict)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct xml_node *error;
    struct err err;

    if (xml_parse(answer->body, answer->body_len, &doc, &err) != RC_OK) {
        return false;
    }
    error = find_error(xml_root(doc));
    if (error == NULL) {
        return false;
    }
    keep_code(verdict, xml_text(error, "Code"));
    keep(verdict->message, sizeof(verdict->message), xml_text(error, "Message"), SIZE_MAX);
    if (verdict->request_id[0] == '\0') {
        const char *id = xml_text(error, "RequestId");

        keep(verdict->request_id, sizeof(verdict->request_id),
             id[0] != '\0' ? id : xml_text(xml_root(doc), "RequestId"), SIZE_MAX);
    }
    if (verdict->region[0] == '\0' && endpoint_is_region(xml_text(error, "Region"))) {
        snprintf(verdict->region, sizeof(verdict->region), "%s", xml_text(error, "Region"));
    } else if (verdict->region[0] == '\0') {
        region_of_endpoint(xml_text(error, "Endpoint"), verdict);
    }
    return true;
}

static void read_error(const struct http_answer *answer, struct aws_verdict *verdict)
{
    const char *first = answer->body + strspn(answer->body, " \t\r\n");

    if (*first == '<') {
        read_xml(answer, verdict);
    } else if (*first == '{') {
        read_json(answer, verdict);
    }
    if (verdict->code[0] == '\0') {
        keep_code(verdict, header(answer, "x-amzn-errortype"));
    }
    if (verdict->code[0] == '\0') {
        keep_code(verdict, header(answer, "x-amzn-query-error"));
    }
}

/* ---- what it means */

static bool is_read(const struct aws_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

static bool of_a_version(const struct aws_request *request)
{
    for (unsigned i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "versionId") == 0) {
            return true;
        }
    }
    return false;
}

static enum rc rc_of_status(const struct aws_request *request, unsigned status)
{
    switch (status) {
    case 401:
    case 403:
        return RC_DENIED;
    case 404:
    case 410:
        return is_read(request) && of_a_version(request) ? RC_CHANGED : RC_NOT_FOUND;
    case 408:
        return RC_NETWORK;
    case 409:
        return RC_CONFLICT;
    case 412:
        return is_read(request) ? RC_CHANGED : RC_CONFLICT;
    case 429:
        return RC_THROTTLED;
    case 501:
        return RC_UNSUPPORTED;
    default:
        return status >= 500 ? RC_NETWORK : RC_INVALID;
    }
}

static enum retry_reason retry_of_status(unsigned status)
{
    switch (status) {
    case 408:
    case 500:
    case 502:
    case 503:
    case 504:
        return RETRY_TRANSIENT;
    case 429:
        return RETRY_THROTTLE;
    default:
        return RETRY_NONE;
    }
}

/** A HEAD's answer has no body that could name its reason. 403 may be our clock; 400 is an old
 * token, or a region that mend_region() looks after, but never that the object is not there. */
static void guess(const struct aws_request *request, unsigned status, struct aws_verdict *verdict)
{
    if (status == 403) {
        verdict->skewed = true;
    } else if (status == 400 && strcmp(request->method, "HEAD") == 0) {
        verdict->expired = true;
        verdict->rc = RC_HOST;
    }
}

static void classify(const struct aws_request *request, unsigned status,
                     struct aws_verdict *verdict)
{
    const struct known *entry = find(verdict->code, status);

    verdict->rc = entry != NULL ? entry->rc : rc_of_status(request, status);
    verdict->retry = entry != NULL ? entry->retry : retry_of_status(status);
    verdict->skewed = entry != NULL && (entry->flags & SKEW) != 0;
    verdict->expired = entry != NULL && (entry->flags & EXPIRED) != 0;
    if (entry == NULL && verdict->retry == RETRY_NONE) {
        verdict->retry = retry_of_status(status);
    }
    if (verdict->code[0] == '\0') {
        guess(request, status, verdict);
    }
    verdict->elsewhere =
        request->bucket != NULL &&
        (status == 301 || status == 302 || status == 307 || status == 308 || status == 400);
}

void aws_judge_shape(enum rc rc, const struct err *err, struct aws_verdict *verdict)
{
    if (rc != RC_OK) {
        verdict->rc = RC_NETWORK;
        verdict->retry = RETRY_TRANSIENT;
        keep(verdict->message, sizeof(verdict->message), err->text, SIZE_MAX);
    }
}

/** A page for people, from somebody in between who says that he is: services of AWS, and those that
 * do as they do, name the error and the request. A HEAD's answer has no body to show; that an
 * object is not there is what it says itself in its own way, so only its refusals are looked at. */
static bool is_a_page(const struct aws_request *request, const struct http_answer *answer,
                      const struct aws_verdict *verdict)
{
    const bool head = strcmp(request->method, "HEAD") == 0;

    return answer->status < 500 && verdict->code[0] == '\0' && verdict->request_id[0] == '\0' &&
           strncasecmp(header(answer, "content-type"), "text/html", 9) == 0 &&
           (!head || answer->status == 403);
}

/** A 200 that came before the work was done may turn out to be an error. What is none by its bytes
 * is read, and judged, by the one who asked: once. */
static void judge_body(const struct aws_request *request, const struct http_answer *answer,
                       struct aws_verdict *verdict)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    struct err err;

    if (request->check != NULL && memmem(answer->body, answer->body_len, "Error", 5) == NULL) {
        return;
    }
    if (xml_parse(answer->body, answer->body_len, &doc, &err) != RC_OK) {
        aws_judge_shape(RC_CORRUPT, &err, verdict);
    } else if (strcmp(xml_root(doc)->name, "Error") == 0) {
        read_xml(answer, verdict);
        classify(request, 400, verdict);
    }
}

static void judge_transport(const struct err *err, struct aws_verdict *verdict)
{
    /* Longer than was asked for is not what the protocol promises. */
    verdict->rc = err->rc == RC_CORRUPT ? RC_NETWORK : err->rc;
    verdict->retry = verdict->rc == RC_TIMEOUT   ? RETRY_TIMED_OUT
                     : verdict->rc == RC_NETWORK ? RETRY_TRANSIENT
                                                 : RETRY_NONE;
}

void aws_judge(const struct aws_request *request, const struct http_answer *answer,
               const struct err *err, struct aws_verdict *ret_verdict)
{
    *ret_verdict = (struct aws_verdict){.rc = RC_OK, .after_ms = -1};
    if (answer == NULL) {
        judge_transport(err, ret_verdict);
        return;
    }
    read_ids(answer, ret_verdict);
    if (answer->status / 100 == 2) {
        if (request->in_body) {
            judge_body(request, answer, ret_verdict);
        }
        return;
    }
    read_headers(answer, ret_verdict);
    read_error(answer, ret_verdict);
    classify(request, answer->status, ret_verdict);
    if (is_a_page(request, answer, ret_verdict)) {
        ret_verdict->rc = RC_NETWORK;
        ret_verdict->retry = RETRY_TRANSIENT;
        ret_verdict->skewed = false;
    }
}

/* ---- in words */

static void put_resource(struct strbuf *out, const struct aws_request *request)
{
    scoped(free) char *text = NULL;

    if (request->bucket != NULL) {
        text = str_printf("s3://%.80s%.200s", request->bucket, request->path);
    } else {
        text = str_printf("%.250s", request->url != NULL ? request->url : request->service);
    }
    strbuf_putc(out, '\'');
    strbuf_printable(out, text);
    strbuf_putc(out, '\'');
}

void aws_explain(const struct aws_call *call, const struct aws_verdict *verdict, unsigned status,
                 const char *why, struct err *ret_err)
{
    scoped(strbuf_done) struct strbuf text = {0};

    put_resource(&text, &call->request);
    if (why != NULL) {
        strbuf_printf(&text, ": %.200s", why);
    } else if (verdict->code[0] != '\0') {
        strbuf_printf(&text, ": %s", verdict->code);
    } else {
        strbuf_printf(&text, ": status %u", status);
    }
    if (verdict->message[0] != '\0') {
        strbuf_printf(&text, ": %.120s", verdict->message);
    }
    if (verdict->expired || strcmp(verdict->code, "SignatureDoesNotMatch") == 0) {
        const char *source = credentials_source(aws_credentials(call->aws));

        strbuf_printf(&text, "%s%.80s", source[0] != '\0' ? ", with the key of " : "", source);
    }
    if (verdict->request_id[0] != '\0') {
        strbuf_printf(&text, ", request %s", verdict->request_id);
    }
    if (call->attempt > 1) {
        strbuf_printf(&text, ", %u attempts", call->attempt);
    }
    err_set(ret_err, verdict->rc, "%s %s", call->request.operation, strbuf_text(&text));
}
