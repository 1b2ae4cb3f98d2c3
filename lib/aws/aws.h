/** @file
 * One call to an AWS service: find the endpoint, sign, send, judge the answer, try again.
 *
 * An `aws` is one way of access (region, endpoint, credentials, addressing); calls of any service
 * go through it. It corrects a skewed clock (the offset is kept an endpoint), follows S3's regions
 * (kept a bucket), asks for new credentials when the old ones are refused as expired, and retries
 * as the SDKs do (lib/net/retry.h) within one token bucket.
 *
 * The code that `err` carries, for every service:
 *
 *     RC_NOT_FOUND   404 and the services' names for it: NoSuchKey, QueueDoesNotExist...
 *     RC_DENIED      403, AccessDenied
 *     RC_HOST        credentials are missing, bad or expired, our clock is wrong, or a key of KMS
 *                    cannot be used
 *     RC_CHANGED     412 of an If-Match on a read; 404 of a version that was there
 *     RC_CONFLICT    412 of a conditional write, 409
 *     RC_THROTTLED   SlowDown, ThrottlingException...; retries are used up
 *     RC_NETWORK     5xx and http.h's, also RC_TIMEOUT; an answer that is not what the protocol
 *                    promises, or is a page for people; retries are used up
 *     RC_INVALID     another 4xx
 *
 * Its text has operation, resource, the service's code and message, and the request id.
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once. aws_cancel() asks; `done` then says RC_CANCELED.
 * Ownership:  names, paths, pairs are copied; `body` and `sink` are borrowed until `done` has run.
 *             What `done` is given is borrowed for the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/aws/credentials.h"
#include "lib/aws/endpoint.h"
#include "lib/aws/sigv4.h"
#include "lib/base/rc.h"
#include "lib/net/http.h"
#include "lib/run/work.h"

struct aws;
struct aws_call;

/** Told of each answer and each retry: what the metrics count. `code`: the HTTP status, or "error".
 */
struct aws_watch {
    void (*requested)(const char *service, const char *operation, const char *code, void *arg);
    void (*retried)(const char *service, const char *reason, void *arg);
    void *arg;
};

struct aws_options {
    const char *region;       /**< NULL: environment, profile, else us-east-1. */
    const char *endpoint_url; /**< NULL: environment (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL),
                               * profile, else the service's own. */
    const char *profile;      /**< NULL: AWS_PROFILE, or "default". */
    bool anonymous;           /**< Nothing is signed. */
    enum aws_addressing addressing;
    int64_t retry_ms;       /**< The longest pause before a first repetition; 0: RETRY_FIRST_MS. */
    struct aws_watch watch; /**< Functions may be NULL. */
    const char *(*getenv)(const char *name); /**< NULL: the process's. Tests. */
};

struct aws *aws_new(struct loop *loop, struct work *work, struct http_client *http,
                    const struct aws_options *options);
/** Requires: no call under way. */
void aws_free(struct aws *aws);
SCOPED_FN(struct aws, aws_free)

struct aws_request {
    const char *service;   /**< Endpoint prefix and signing name: "s3", "sqs", "sns", "sts", "glue",
                            *   "athena", "monitoring". */
    const char *operation; /**< "GetObject": for metrics and messages. */
    const char *method;
    const char *bucket; /**< S3 only: into the host or the path, by the addressing. NULL: none. */
    const char *path;   /**< Decoded, begins with '/'; for S3 "/" and the key. */
    const char *url; /**< SQS: the queue's own URL, whose host is asked instead of the endpoint (and
                      *   whose region signs, where it names one); NULL. */
    const struct sigv4_pair *query, *headers;
    unsigned query_count, header_count;
    const void *body;
    size_t body_len;
    void *sink; /**< As in http.h. */
    size_t sink_len, body_max;
    int64_t idle_ms, wait_ms, total_ms; /**< As in http.h; of one attempt. */
    unsigned attempts;                  /**< 0: RETRY_ATTEMPTS; 1: never again. */
    bool fresh;   /**< On a new connection. On one that was used before, libcurl itself sends again
                   *   what was answered by nothing. */
    bool in_body; /**< A 200 may hold an <Error>: CopyObject, UploadPartCopy,
                   *   CompleteMultipartUpload. */
    /** Whether an answer of 2xx is what the protocol promises (NULL: whatever it is); `arg` is that
     * of `done`. What is not has been sent by somebody else, as a proxy's page of its own, and says
     * nothing of what was asked for: it is asked again, and is RC_NETWORK in the end. */
    enum rc (*check)(const struct http_answer *http, void *arg, struct err *err);
    void (*progress)(uint64_t sent_bytes, void *arg);
};

struct aws_answer {
    const struct http_answer *http; /**< NULL when none came. */
    const char *code;               /**< The service's name of an error, "" if none: "NoSuchKey". */
    const char *request_id;         /**< "" if none. With S3's second id behind a slash. */
    unsigned attempts;
};

/** `answer` is not NULL, also with an error. */
typedef void aws_done_fn(const struct aws_answer *answer, const struct err *err, void *arg);

struct aws_call *aws_send(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                          void *arg);
void aws_cancel(struct aws_call *call);
/** Calls under way. */
unsigned aws_busy(const struct aws *aws);

/** The effective region, once it is known ("" before the first call). */
const char *aws_region(const struct aws *aws);
struct credentials *aws_credentials(struct aws *aws);
/** Server minus our clock, as the last answer's date has shown, in seconds. */
int64_t aws_clock_offset_s(const struct aws *aws);

/** A JSON-protocol call (SQS 1.0; Glue, Athena, EventBridge, Logs 1.1): POST / with X-Amz-Target.
 * `target`: "AmazonSQS.ReceiveMessage"; the operation is what follows the dot. `body` is borrowed
 * until `done`. `url`: as in aws_request, may be NULL. */
struct aws_call *aws_send_json(struct aws *aws, const char *service, const char *version,
                               const char *target, const char *url, const char *body,
                               int64_t total_ms, aws_done_fn *done, void *arg);
/** The same for what must not happen twice: an attempt that failed is not repeated. */
struct aws_call *aws_send_json_once(struct aws *aws, const char *service, const char *version,
                                    const char *target, const char *body, int64_t total_ms,
                                    aws_done_fn *done, void *arg);
/** A Query-protocol call (SNS, STS): a form of `pairs`, answered in XML. */
struct aws_call *aws_send_query(struct aws *aws, const char *service, const char *version,
                                const char *action, const struct sigv4_pair *pairs, unsigned count,
                                aws_done_fn *done, void *arg);
