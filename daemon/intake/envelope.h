/** @file
 * What a message of a queue says: S3's own notification, the same inside SNS's (once or more), or
 * EventBridge's event, told apart by what they look like. Pure.
 *
 * A body is anybody's text: its size, depth and number of records are bounded, names are looked for
 * where they belong and nowhere else, and fields that are not known are passed over. What cannot be
 * read is never an error of the caller: it is ENVELOPE_UNKNOWN with a reason in one line, or, where
 * only some records of a message cannot be, ENVELOPE_EVENTS with a reason beside the events.
 *
 * Thread:     any.
 * Ownership:  an envelope owns all its strings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/scope.h"

#define ENVELOPE_BODY_MAX ((size_t)1 << 20) /**< SQS takes no longer ones. */
#define ENVELOPE_DEPTH_MAX 32
#define ENVELOPE_RECORDS_MAX 1000
#define ENVELOPE_WRAPS_MAX 3 /**< SNS in SNS in SNS. */

enum envelope_kind {
    ENVELOPE_EVENTS,  /**< Of objects: `events`. */
    ENVELOPE_TEST,    /**< s3:TestEvent: a notification was configured. */
    ENVELOPE_GLUE,    /**< A crawler or a job of Glue changed its state: `glue`. */
    ENVELOPE_UNKNOWN, /**< `reason`. */
};

enum envelope_what {
    ENVELOPE_CREATED,
    ENVELOPE_REMOVED,
    ENVELOPE_OTHER, /**< Tags, restores, transitions...: nothing that concerns the bytes. */
};

/** "Of object K of bucket B this happened". Strings are "" where the event does not say. */
struct envelope_event {
    enum envelope_what what;
    const char *name; /**< "ObjectCreated:Put", "Object Created": for messages. */
    const char *bucket;
    const char *key; /**< Decoded once, if the form encodes it. */
    /** EventBridge does not say whether its keys are encoded: what this one is if they are, ""
     * where that makes no difference. */
    const char *alternative;
    const char *etag; /**< Without quotes. */
    const char *version;
    const char *sequencer; /**< Hex digits, or "". */
    bool one_version; /**< REMOVED: that version alone, and another may be the current one now. */
    uint64_t size;    /**< 0: perhaps, or it does not say. */
    int64_t event_ms; /**< 0: it does not say. */
};

enum envelope_glue_kind { ENVELOPE_GLUE_CRAWLER, ENVELOPE_GLUE_JOB };

/** Best effort by Glue's own word: a hint to look, never a proof. */
struct envelope_glue {
    enum envelope_glue_kind kind;
    const char *name;   /**< Of the crawler or the job. */
    const char *state;  /**< "Started", "Succeeded", "Failed"; a job's "SUCCEEDED", "TIMEOUT"... */
    const char *run_id; /**< Of a job's run. */
    const char *message;
    int64_t event_ms;
};

struct envelope {
    enum envelope_kind kind;
    const char *form; /**< "s3", "eventbridge"; "sns+s3", ...: for messages and counts. Static. */
    struct envelope_event *events;
    unsigned count;
    struct envelope_glue glue;
    const char *reason; /**< "" where all was read. One printable line. */
    struct arena *arena;
};

/** Never fails: see `kind`. */
void envelope_read(const char *body, size_t len, struct envelope *ret_envelope);
/** Of what is no message at all, for a reason that is known: UNKNOWN. */
void envelope_refuse(const char *reason, struct envelope *ret_envelope);
void envelope_done(struct envelope *envelope);
static inline void envelope_done_ptr(struct envelope *envelope)
{
    envelope_done(envelope);
}

/** '+' and %XX decoded once, by S3's rule for the keys of its notifications; what is no escape
 * stays. False when a NUL byte would be in it. `out` has room for `in` and its NUL. */
bool envelope_decode_key(const char *in, char *out);
/** "2021-11-12T00:00:00.000Z" with or without fraction and zone (UTC); 0 when it is none. */
int64_t envelope_time_ms(const char *text);
