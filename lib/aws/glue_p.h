/** @file
 * Private to the files of lib/aws/glue*.c: one JSON call of Glue's, and what its answers have.
 *
 * Thread:     the loop's.
 */
#pragma once

#include <jansson.h>

#include "lib/aws/glue.h"

/** One call on its way. `given` is whatever the caller's `done` is, called by `answered`. */
struct glue_call {
    void (*answered)(struct glue_call *call, const json_t *answer, const struct err *err);
    void (*given)(void);
    void *arg;
    const char *what; /**< "crawler", "job", ...; static. */
    char *name;       /**< Of the thing, for messages. */
    char *body;
    unsigned attempts; /**< 1: never again, whatever the answer; 0: as the SDKs do. */
};

/** Sends `request` (taken over) as AWSGlue.`operation`; `answered` is called once with an object or
 * an error, then the call is freed. */
struct aws_call *glue_send(struct aws *aws, const char *operation, json_t *request,
                           const struct glue_call *call);

/** "" when it is not there or no string. */
const char *glue_string(const json_t *object, const char *name);
/** Glue's times are seconds since 1970 with a fraction; 0 when there is none. */
int64_t glue_time_ms(const json_t *object, const char *name);
