/** @file
 * A look at a set-up from the daemon's eyes: each check is a finding, one line and how to mend it.
 *
 * Checks ask what the daemon would ask, with its configuration and credentials, and harmlessly: the
 * only thing written is a probe object in the processed store, which is removed again.
 *
 * Thread:     one; every call waits.
 */
#pragma once

#include "daemon/conf/conf.h"
#include "daemon/ctl/ctl_run.h"
#include "lib/aws/xml.h"

enum finding_kind { FINDING_OK, FINDING_WARN, FINDING_FAIL };

struct finding {
    enum finding_kind kind;
    const char *check; /**< Static: "queue.policy". */
    char *text, *mend; /**< `mend` "" where there is nothing to do. */
};

struct doctor {
    struct ctl_run *run;
    const struct conf *conf;
    struct aws *raw, *processed, *aws; /**< Made when first needed; may be NULL. */
    struct finding *findings;
    unsigned count, failed, warned;
    bool no_credentials; /**< Of what was asked for last: who cannot sign asks nothing. */
};

void doctor_done(struct doctor *doctor);
static inline void doctor_done_ptr(struct doctor *doctor)
{
    doctor_done(doctor);
}
void doctor_find(struct doctor *doctor, enum finding_kind kind, const char *check, const char *mend,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/** `mend`, unless nothing was asked at all: then what keeps us from asking. Borrowed. */
const char *doctor_mend(const struct doctor *doctor, const struct err *err, const char *mend);
/** Something that was asked could not be answered: WARN where it was only refused to us. */
void doctor_refused(struct doctor *doctor, enum finding_kind kind, const char *check,
                    const char *mend, const struct err *err);

/** What came back. */
struct doctor_answer {
    struct err err;     /**< rc RC_OK when it went well. */
    char code[96];      /**< The service's name of an error. */
    unsigned status;    /**< 0: nothing came. */
    struct strbuf body; /**< Never more than 1 MiB. */
    int64_t date_s;     /**< The server's clock; 0: not said. */
    char region[48];    /**< x-amz-bucket-region; "". */
};
void doctor_answer_done(struct doctor_answer *answer);
static inline void doctor_answer_done_ptr(struct doctor_answer *answer)
{
    doctor_answer_done(answer);
}
/** One request to S3: `query` NULL or a name without value ("notification"); `headers` as usual. */
struct doctor_s3 {
    const char *operation, *method, *bucket, *key; /**< `key` NULL: the bucket itself. */
    const struct sigv4_pair *query, *headers;
    unsigned query_count, header_count;
    const void *body;
    size_t body_len;
};
bool doctor_ask_s3(struct doctor *doctor, struct aws *aws, const struct doctor_s3 *ask,
                   struct doctor_answer *ret_answer);
bool doctor_ask_json(struct doctor *doctor, struct aws *aws, const char *service,
                     const char *version, const char *target, const char *url, json_t *request,
                     struct doctor_answer *ret_answer, json_t **ret_told);
bool doctor_ask_query(struct doctor *doctor, struct aws *aws, const char *service,
                      const char *version, const char *action, const struct sigv4_pair *pairs,
                      unsigned count, struct doctor_answer *ret_answer);

/* ---- the checks: doctor_local.c, doctor_stores.c, doctor_queues.c, doctor_managed.c */

void doctor_check_local(struct doctor *doctor);
/** Credentials, region, clock; raw and processed store. */
void doctor_check_stores(struct doctor *doctor);
void doctor_check_credentials(struct doctor *doctor, const char *check, struct aws *aws);
/** Queues, their dead-letter queues and policies, and what the bucket tells them. */
void doctor_check_queues(struct doctor *doctor);
/** Topic, database, crawler, job, workgroup. */
void doctor_check_managed(struct doctor *doctor);
