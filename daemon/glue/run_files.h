/** @file
 * What a run of the job reads and writes: its plan and its result (config/aws/extract_csv.py).
 * Pure.
 *
 * A result comes from outside: sizes, counts and texts are bounded, and what is not as it should be
 * is RC_CORRUPT.
 *
 * Thread:     any.
 * Ownership:  a result owns all that is in it.
 */
#pragma once

#include <stddef.h>

#include "daemon/job/job_remote.h"
#include "lib/base/str.h"

#define RUN_RESULT_MAX ((size_t)64 << 20)
#define RUN_COLUMNS_MAX 1900

struct run_plan_object {
    const char *bucket, *key, *version, *etag, *output;
};

/** The plan as JSON. */
void run_plan_begin(struct strbuf *out, const char *token, const char *result_uri);
void run_plan_add(struct strbuf *out, const struct run_plan_object *object, bool first);
void run_plan_end(struct strbuf *out);

struct run_result;

enum rc run_result_parse(const void *bytes, size_t len, const char *token,
                         struct run_result **ret_result, struct err *err);
void run_result_free(struct run_result *result);
SCOPED_FN(struct run_result, run_result_free)

/** What it says of an object: RC_OK with `ret_made` (borrowed), the class and text of its failure,
 * or RC_NETWORK (it is tried again) when it says nothing of it. `err` is without context. */
enum rc run_result_find(const struct run_result *result, const char *key, const char *etag,
                        const struct job_remote_made **ret_made, struct err *err);
