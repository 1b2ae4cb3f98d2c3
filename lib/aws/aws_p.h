/** @file
 * What the files of an AWS call share: aws.c (the call's story), aws_sign.c (what is sent),
 * aws_answer.c (what came, judged), aws_settings.c (regions, endpoints, clocks), aws_protocol.c
 * (JSON and Query).
 *
 * Thread:     the loop's, but for what says that it runs on a worker.
 */
#pragma once

#include "lib/aws/aws.h"
#include "lib/base/arena.h"
#include "lib/net/retry.h"

#define AWS_REGION 48
#define AWS_CODE 96
#define AWS_HEADERS_MAX 48
#define AWS_KEYS 8

struct aws_service { /**< What the profile says of one. */
    struct aws_service *next;
    char *name, *endpoint_url;
};

struct aws_place; /**< A bucket and its region. */

struct aws_clock { /**< Of one endpoint that is not of our time. */
    struct aws_clock *next;
    char *host;
    int64_t offset_s;
};

struct aws {
    struct loop *loop;
    struct http_client *http;
    struct credentials *credentials;
    char *endpoint_url;
    bool anonymous;
    enum aws_addressing addressing;
    int64_t retry_ms;
    struct aws_watch watch;
    const char *(*getenv)(const char *name);
    char region[AWS_REGION]; /**< "": not known yet. */
    struct aws_service *services;
    struct aws_place *places;
    struct aws_clock *clocks;
    int64_t clock_offset_s;
    char date[40];  /**< Of the last answer that had one, as it said it, */
    int64_t date_s; /**< and what that means; 0: nothing. */
    struct retry_bucket bucket;
    uint64_t random;
    struct sigv4_key keys[AWS_KEYS];
    struct sigv4_parts parts;    /**< Of the last signature, for their memory, */
    struct strbuf authorization; /**< and its header. */
    struct aws_call *spare;
    unsigned busy, spares;
};

enum aws_step {
    AWS_SETTING, /**< Region and endpoint are looked for. */
    AWS_PROVING, /**< Credentials are. */
    AWS_SENDING,
    AWS_LOCATING, /**< The bucket is asked for its region. */
    AWS_WAITING,  /**< Until the next attempt. */
    AWS_ENDING,   /**< `done` is due. */
};

struct aws_call {
    struct aws *aws;
    struct aws_call *next; /**< Among the spare. */
    aws_done_fn *done;
    void *arg;
    enum aws_step step;
    bool starting; /**< Inside aws_send(): nothing may end yet. */
    bool canceled;
    struct arena *arena; /**< Of the request's copies. */
    struct aws_request request;
    struct strbuf form;             /**< Body of a Query call. */
    char wanted_region[AWS_REGION]; /**< Of a queue's or topic's name; "": none. */
    char region[AWS_REGION];        /**< That the last attempt was signed for. */
    unsigned attempt, taken;
    bool fresh, skew_tried, region_tried, credentials_tried;
    struct http_transfer *transfer;
    struct loop_timer *timer;
    struct err err;

    /* what is sent */
    struct endpoint endpoint;
    struct strbuf url, lines;
    char payload_sha256[65]; /**< "": not hashed yet. */
    const char *headers[AWS_HEADERS_MAX];
    unsigned header_count;
};

/* ---- aws_sign.c */

/** Endpoint, URL, header lines, signature; into the call. `value` NULL: nothing is signed. */
enum rc aws_sign(struct aws_call *call, const struct credentials_value *value, struct err *err);
/** "https://host/path?query" alone, of another method on the bucket. */
enum rc aws_bucket_url(struct aws_call *call, struct strbuf *ret_url, struct err *err);

/* ---- aws_answer.c: pure */

struct aws_verdict {
    enum rc rc;
    enum retry_reason retry;
    bool skewed;  /**< Its reason may be our clock. */
    bool expired; /**< Its reason may be old credentials. */
    char code[AWS_CODE], message[200], request_id[160];
    char region[AWS_REGION]; /**< Of the bucket, if it says so; "". */
    bool elsewhere;          /**< It says that the bucket is in another region. */
    int64_t date_s;          /**< The server's clock; 0: not said. */
    int64_t after_ms;        /**< When to come again; -1: not said. */
};

/** `answer` NULL: `err` is the transport's. */
void aws_judge(const struct aws_request *request, const struct http_answer *answer,
               const struct err *err, struct aws_verdict *ret_verdict);
/** What request->check said of a good answer. */
void aws_judge_shape(enum rc rc, const struct err *err, struct aws_verdict *verdict);
/** The whole sentence; `why` may be the transport's error. */
void aws_explain(const struct aws_call *call, const struct aws_verdict *verdict, unsigned status,
                 const char *why, struct err *ret_err);
/** "Fri, 27 Nov 2026 21:32:09 GMT"; 0: it is no date. */
int64_t aws_parse_date(const char *text);

/* ---- aws_settings.c */

void aws_settings_init(struct aws *aws, const struct aws_options *options);
void aws_settings_done(struct aws *aws);
/** Nothing has to be read for a call of `service`. */
bool aws_settings_known(const struct aws *aws, const char *service);
/** What the profile says, or "" for what it does not. */
void aws_settings_learn(struct aws *aws, const char *service, const char *region,
                        const char *endpoint_url);
/** Instead of AWS's own; "": none. */
const char *aws_settings_endpoint(const struct aws *aws, const char *service);
/** NULL: not another than ours, as far as we know. */
const char *aws_bucket_region(const struct aws *aws, const char *bucket);
void aws_bucket_learn(struct aws *aws, const char *bucket, const char *region);
int64_t aws_clock_of(const struct aws *aws, const char *host);
/** True when the endpoint's clock differs enough from what we took it for to be the reason of a
 * refusal; it is corrected then. */
bool aws_clock_learn(struct aws *aws, const char *host, int64_t date_s, int64_t now_s);

/* ---- aws.c, for aws_protocol.c */

struct aws_call *aws_call_new(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                              void *arg);
void aws_call_start(struct aws_call *call);
