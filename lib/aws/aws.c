/** @file
 * A call's story: settings, credentials, an attempt, its judgement; then the end, or another
 * attempt. call_run() tells it; the callbacks only note what came and go on there.
 *
 * What can be mended is mended once a call and at once: our clock, the bucket's region, old
 * credentials. What may pass is waited for, as long as attempts and the bucket of tokens allow.
 */
#include "lib/aws/aws.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

#include "lib/aws/aws_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define SPARES 8

static void call_run(struct aws_call *call);

/* ---- the way in */

struct aws *aws_new(struct loop *loop, struct work *work, struct http_client *http,
                    const struct aws_options *options)
{
    struct aws *aws = mem_new(struct aws);
    const struct credentials_options of_credentials = {
        .profile = options->profile, .region = options->region, .getenv = options->getenv};

    *aws = (struct aws){.loop = loop,
                        .http = http,
                        .anonymous = options->anonymous,
                        .addressing = options->addressing,
                        .retry_ms = options->retry_ms > 0 ? options->retry_ms : RETRY_FIRST_MS,
                        .watch = options->watch,
                        .bucket = RETRY_BUCKET_FULL,
                        .credentials = credentials_new(loop, work, http, &of_credentials)};
    aws_settings_init(aws, options);
    if (getrandom(&aws->random, sizeof(aws->random), 0) != sizeof(aws->random)) {
        aws->random = (uint64_t)now_mono_us();
    }
    aws->random |= 1;
    return aws;
}

static void call_free(struct aws_call *call)
{
    arena_free(call->arena);
    endpoint_done(&call->endpoint);
    strbuf_done(&call->url);
    strbuf_done(&call->lines);
    strbuf_done(&call->form);
    free(call);
}

void aws_free(struct aws *aws)
{
    if (aws == NULL) {
        return;
    }
    assert(aws->busy == 0);
    while (aws->spare != NULL) {
        struct aws_call *call = aws->spare;

        aws->spare = call->next;
        call_free(call);
    }
    credentials_free(aws->credentials);
    aws_settings_done(aws);
    explicit_bzero(aws->keys, sizeof(aws->keys));
    sigv4_parts_done(&aws->parts);
    strbuf_done(&aws->authorization);
    free(aws);
}

unsigned aws_busy(const struct aws *aws)
{
    return aws->busy;
}

struct credentials *aws_credentials(struct aws *aws)
{
    return aws->credentials;
}

/** xorshift64*: to spread retries, not to keep secrets. */
static uint64_t next_random(struct aws *aws)
{
    aws->random ^= aws->random >> 12;
    aws->random ^= aws->random << 25;
    aws->random ^= aws->random >> 27;
    return aws->random * 2685821657736338717ull;
}

static struct aws_call *acquire(struct aws *aws)
{
    struct aws_call *call = aws->spare;

    if (call == NULL) {
        call = mem_new(struct aws_call);
        call->aws = aws;
        call->arena = arena_new();
    } else {
        aws->spare = call->next;
        aws->spares--;
    }
    aws->busy++;
    return call;
}

static void release(struct aws_call *call)
{
    struct aws *aws = call->aws;

    aws->busy--;
    if (aws->spares >= MAX_OF(aws->busy, SPARES)) {
        call_free(call);
        return;
    }
    arena_reset(call->arena);
    strbuf_done(&call->form);
    if (call->lines.len > 0) { /* a session token is in them */
        explicit_bzero(call->lines.data, call->lines.len);
    }
    call->next = aws->spare;
    aws->spare = call;
    aws->spares++;
}

static const struct sigv4_pair *copy_pairs(struct arena *arena, const struct sigv4_pair *pairs,
                                           unsigned count)
{
    struct sigv4_pair *copies = arena_alloc(arena, count * sizeof(*copies));

    for (unsigned i = 0; i < count; i++) {
        copies[i].name = arena_dup(arena, pairs[i].name);
        copies[i].value = arena_dup(arena, pairs[i].value);
    }
    return copies;
}

static const char *copy(struct arena *arena, const char *text)
{
    return text != NULL ? arena_dup(arena, text) : NULL;
}

static void copy_request(struct aws_call *call, const struct aws_request *request)
{
    struct aws_request *kept = &call->request;

    *kept = *request;
    kept->service = arena_dup(call->arena, request->service);
    kept->operation = arena_dup(call->arena, request->operation);
    kept->method = arena_dup(call->arena, request->method);
    kept->bucket = copy(call->arena, request->bucket);
    kept->path = arena_dup(call->arena, request->path);
    kept->url = copy(call->arena, request->url);
    kept->query = copy_pairs(call->arena, request->query, request->query_count);
    kept->headers = copy_pairs(call->arena, request->headers, request->header_count);
    kept->attempts = request->attempts > 0 ? request->attempts : RETRY_ATTEMPTS;
}

struct aws_call *aws_call_new(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                              void *arg)
{
    struct aws_call *call = acquire(aws);

    copy_request(call, request);
    call->done = done;
    call->arg = arg;
    call->step = AWS_SETTING;
    call->attempt = call->taken = 0;
    call->canceled = call->fresh = false;
    call->skew_tried = call->region_tried = call->credentials_tried = false;
    call->payload_sha256[0] = call->wanted_region[0] = '\0';
    call->err.rc = RC_OK;
    if (request->url != NULL) {
        endpoint_region_of(request->url, call->wanted_region, sizeof(call->wanted_region));
    }
    return call;
}

void aws_call_start(struct aws_call *call)
{
    call->starting = true;
    call_run(call);
    call->starting = false;
}

struct aws_call *aws_send(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                          void *arg)
{
    struct aws_call *call = aws_call_new(aws, request, done, arg);

    aws_call_start(call);
    return call;
}

/* ---- the end */

static void tell(struct aws_call *call, const struct aws_verdict *verdict,
                 const struct http_answer *http, const struct err *err)
{
    const struct aws_answer answer = {.http = http,
                                      .code = verdict->code,
                                      .request_id = verdict->request_id,
                                      .attempts = call->attempt};

    loop_timer_free(call->timer);
    call->timer = NULL;
    call->step = AWS_ENDING;
    call->done(&answer, err, call->arg);
    release(call);
}

static void on_ending(void *arg)
{
    static const struct aws_verdict none = {0};
    struct aws_call *call = arg;

    if (call->canceled) {
        err_set(&call->err, RC_CANCELED, "%s was canceled", call->request.operation);
    }
    tell(call, &none, NULL, &call->err);
}

/** Without an answer to show; `call->err` says why. */
static void call_end(struct aws_call *call)
{
    call->step = AWS_ENDING;
    if (call->starting) {
        loop_defer(call->aws->loop, on_ending, call);
        return;
    }
    on_ending(call);
}

void aws_cancel(struct aws_call *call)
{
    if (call->canceled || call->step == AWS_ENDING) {
        call->canceled = true;
        return;
    }
    call->canceled = true;
    if (call->transfer != NULL) {
        http_cancel(TAKE(call->transfer));
    } else if (call->step == AWS_WAITING) {
        loop_timer_disarm(call->timer);
    } else {
        return; /* settings or credentials are on their way, and cannot be stopped */
    }
    call->step = AWS_ENDING;
    loop_defer(call->aws->loop, on_ending, call);
}

/* ---- another attempt */

static void watch_retry(const struct aws_call *call, const char *reason)
{
    const struct aws_watch *watch = &call->aws->watch;

    if (watch->retried != NULL) {
        watch->retried(call->request.service, reason, watch->arg);
    }
}

static void on_due(void *arg)
{
    struct aws_call *call = arg;

    call->step = AWS_PROVING;
    call_run(call);
}

static void again_after(struct aws_call *call, int64_t delay_ms, const char *reason)
{
    watch_retry(call, reason);
    if (call->timer == NULL) {
        call->timer = loop_timer_new(call->aws->loop, on_due, call);
    }
    call->step = AWS_WAITING;
    loop_timer_arm(call->timer, delay_ms);
}

static bool mend_clock(struct aws_call *call, const struct aws_verdict *verdict)
{
    if (!verdict->skewed || call->skew_tried || call->aws->anonymous ||
        !aws_clock_learn(call->aws, call->endpoint.host, verdict->date_s, now_wall_ms() / 1000)) {
        return false;
    }
    call->skew_tried = true;
    again_after(call, 0, "skew");
    return true;
}

static void locate(struct aws_call *call);

static bool mend_region(struct aws_call *call, const struct aws_verdict *verdict)
{
    if (!verdict->elsewhere || call->region_tried) {
        return false;
    }
    if (verdict->region[0] != '\0' && strcmp(verdict->region, call->region) != 0) {
        call->region_tried = true;
        aws_bucket_learn(call->aws, call->request.bucket, verdict->region);
        again_after(call, 0, "region");
        return true;
    }
    if (strcmp(verdict->code, "PermanentRedirect") != 0 || verdict->region[0] != '\0') {
        return false;
    }
    call->region_tried = true;
    locate(call);
    return true;
}

static bool mend_credentials(struct aws_call *call, const struct aws_verdict *verdict)
{
    if (!verdict->expired || call->credentials_tried || call->aws->anonymous) {
        return false;
    }
    call->credentials_tried = true;
    credentials_reject(call->aws->credentials);
    again_after(call, 0, "credentials");
    return true;
}

static bool retry(struct aws_call *call, const struct aws_verdict *verdict)
{
    static const char *const reasons[] = {[RETRY_TRANSIENT] = "transient",
                                          [RETRY_THROTTLE] = "throttle",
                                          [RETRY_TIMED_OUT] = "timeout"};
    unsigned taken;
    int64_t delay_ms;

    if (verdict->retry == RETRY_NONE || call->attempt >= call->request.attempts ||
        !retry_bucket_take(&call->aws->bucket, verdict->retry, &taken)) {
        return false;
    }
    call->taken = taken;
    delay_ms = retry_delay_ms(call->attempt, call->aws->retry_ms, next_random(call->aws));
    again_after(call, MAX_OF(delay_ms, verdict->after_ms), reasons[verdict->retry]);
    return true;
}

/* ---- an attempt */

static void watch_request(const struct aws_call *call, const struct http_answer *answer)
{
    const struct aws_watch *watch = &call->aws->watch;
    char code[12] = "error";

    if (watch->requested != NULL) {
        if (answer != NULL) {
            snprintf(code, sizeof(code), "%u", answer->status);
        }
        watch->requested(call->request.service, call->request.operation, code, watch->arg);
    }
}

/** Signing bears minutes of difference, and is corrected only when it is refused; who compares the
 * server's times with ours does not. */
static void note_clock(struct aws *aws, const struct http_answer *answer)
{
    const char *date = answer != NULL ? http_answer_header(answer, "date") : NULL;

    if (date == NULL) {
        return;
    }
    if (strncmp(date, aws->date, sizeof(aws->date)) != 0) { /* a second has many answers */
        snprintf(aws->date, sizeof(aws->date), "%s", date);
        aws->date_s = aws_parse_date(date);
    }
    if (aws->date_s != 0) {
        aws->clock_offset_s = aws->date_s - now_wall_ms() / 1000;
    }
}

static void on_answer(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct aws_call *call = arg;
    struct aws_verdict verdict;
    struct err wrong;

    call->transfer = NULL;
    watch_request(call, answer);
    note_clock(call->aws, answer);
    aws_judge(&call->request, answer, err, &verdict);
    if (verdict.rc == RC_OK && call->request.check != NULL) {
        aws_judge_shape(call->request.check(answer, call->arg, &wrong), &wrong, &verdict);
    }
    if (verdict.rc == RC_OK) {
        retry_bucket_refund(&call->aws->bucket, call->taken);
        tell(call, &verdict, answer, NULL);
        return;
    }
    call->fresh = answer == NULL; /* whatever was wrong with the old connection or address */
    if (mend_clock(call, &verdict) || mend_region(call, &verdict) ||
        mend_credentials(call, &verdict) || retry(call, &verdict)) {
        return;
    }
    aws_explain(call, &verdict, answer != NULL ? answer->status : 0, err != NULL ? err->text : NULL,
                &call->err);
    tell(call, &verdict, answer, &call->err);
}

static void on_progress(uint64_t sent_bytes, void *arg)
{
    struct aws_call *call = arg;

    call->request.progress(sent_bytes, call->arg);
}

static void attempt(struct aws_call *call, const struct credentials_value *value)
{
    const struct aws_request *request = &call->request;
    struct err err;

    if (aws_sign(call, value, &err) != RC_OK) {
        err_set(&call->err, err.rc, "%s: %s", request->operation, err.text);
        call_end(call);
        return;
    }
    const struct http_call http = {.method = request->method,
                                   .url = call->url.data,
                                   .headers = call->headers,
                                   .header_count = call->header_count,
                                   .body = request->body,
                                   .body_len = request->body_len,
                                   .sink = request->sink,
                                   .sink_len = request->sink_len,
                                   .body_max = request->body_max,
                                   .idle_ms = request->idle_ms,
                                   .wait_ms = request->wait_ms,
                                   .total_ms = request->total_ms,
                                   .fresh = request->fresh || call->fresh,
                                   .progress = request->progress != NULL ? on_progress : NULL};
    call->attempt++;
    call->step = AWS_SENDING;
    call->transfer = http_send(call->aws->http, &http, on_answer, call);
}

static void on_located(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct aws_call *call = arg;
    const char *region = answer != NULL ? http_answer_header(answer, "x-amz-bucket-region") : NULL;
    (void)err;

    call->transfer = NULL;
    if (region == NULL || !endpoint_is_region(region) || strcmp(region, call->region) == 0) {
        err_set(&call->err, RC_INVALID,
                "%s: bucket '%s' is not in region '%s', and does not say in which it is",
                call->request.operation, call->request.bucket, call->region);
        call_end(call);
        return;
    }
    aws_bucket_learn(call->aws, call->request.bucket, region);
    again_after(call, 0, "region");
}

/** Any answer to a HEAD of the bucket, a refusal too, names its region; so it is not signed. */
static void locate(struct aws_call *call)
{
    scoped(strbuf_done) struct strbuf url = {0};
    struct http_call http = {.method = "HEAD", .total_ms = HTTP_IDLE_MS};

    if (aws_bucket_url(call, &url, &call->err) != RC_OK) {
        call_end(call);
        return;
    }
    http.url = url.data;
    call->step = AWS_LOCATING;
    call->transfer = http_send(call->aws->http, &http, on_located, call);
}

/* ---- before it */

static void on_settings(const char *region, const char *endpoint_url, const struct err *err,
                        void *arg)
{
    struct aws_call *call = arg;

    if (err != NULL) {
        call->err = *err;
        call_end(call);
        return;
    }
    aws_settings_learn(call->aws, call->request.service, region, endpoint_url);
    call->step = AWS_PROVING;
    call_run(call);
}

static void on_credentials(const struct credentials_value *value, const struct err *err, void *arg)
{
    struct aws_call *call = arg;

    if (call->canceled) {
        call_end(call);
        return;
    }
    if (err != NULL) {
        /* Whatever they lack, it is not the fault of what the call is about. */
        const bool ours = err->rc == RC_DENIED || err->rc == RC_INVALID;

        err_set(&call->err, ours ? RC_HOST : err->rc, "%s: %s", call->request.operation, err->text);
        call_end(call);
        return;
    }
    attempt(call, value);
}

static void call_run(struct aws_call *call)
{
    struct aws *aws = call->aws;
    struct credentials_value value;

    if (call->canceled) {
        call_end(call);
        return;
    }
    switch (call->step) {
    case AWS_SETTING: /* worker: the profile's files, once a service */
        if (!aws_settings_known(aws, call->request.service)) {
            credentials_settings(aws->credentials, call->request.service, on_settings, call);
            return;
        }
        call->step = AWS_PROVING;
        __attribute__((fallthrough));

    case AWS_PROVING: /* loop: kept ones, or a refresh */
        if (aws->anonymous) {
            attempt(call, NULL);
        } else if (credentials_at_hand(aws->credentials, &value)) {
            attempt(call, &value);
        } else {
            credentials_get(aws->credentials, on_credentials, call);
        }
        return;

    case AWS_SENDING:  /* on_answer() goes on, */
    case AWS_LOCATING: /* on_located(), */
    case AWS_WAITING:  /* on_due(), */
    case AWS_ENDING:   /* on_ending() */
        return;
    }
}
