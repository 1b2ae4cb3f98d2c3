/** @file
 * In the place of lib/aws/aws.c: what was sent is kept, and the test answers it.
 */
#pragma once

#include "lib/aws/aws.h"

/** The last call that was sent. */
extern struct fake_call {
    char service[16], operation[64], url[256], version[16];
    char *body;
    char pairs[64][2][512];
    unsigned pair_count;
    size_t body_max;
    int64_t total_ms;
    bool once;
    enum rc (*check)(const struct http_answer *http, void *arg, struct err *err);
    aws_done_fn *done;
    void *arg;
} fake_call;

/** Answer it with a body (may be NULL: no answer) or an error, from inside. */
void fake_answer(unsigned status, const char *body, const char *code, const struct err *err);
void fake_done(void);
