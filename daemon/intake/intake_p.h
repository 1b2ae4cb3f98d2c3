/** @file
 * Private to daemon/intake/: what is known of an object, what a sighting of it means, and how that
 * is recorded. intake.c carries batches between the threads.
 */
#pragma once

#include "daemon/intake/intake.h"
#include "daemon/job/job_p.h"

/** The row of `objects`; `id` 0: there is none. Strings are the statement's until its next step. */
struct known {
    uint64_t id, job;
    bool live, made;
    const char *version, *etag, *sequencer, *doubt_etag;
    int64_t modified_ms;
    uint64_t size;
};

/** What a sighting means, given what is known. */
enum verdict {
    SAYS_NOTHING, /**< KNOWN: nothing to record. */
    SAYS_LATER,   /**< KNOWN too, but told with a later sequencer: its order is recorded. */
    SAYS_NEW,     /**< A version to work on. */
    SAYS_GONE,    /**< The object is no longer there. */
    SAYS_OLDER,   /**< Than what is known. */
    SAYS_DOUBT, /**< Older too, but from a look at the store: remembered, believed the second time.
                 */
    SAYS_UNKNOWN, /**< Gone, of something that nobody can have made anything of. */
};

/** Pure. `shared`: other daemons publish to the same store. */
enum verdict intake_decide(const struct known *known, const struct sighting *sighting, bool shared);
/** Pure: whether an end that is told may be that of something which another daemon has made. */
bool intake_may_be_anothers(const struct sighting *sighting, bool shared);
/** Pure: by AWS's rule for one key: the shorter is padded on the right with zeros. <0, 0, >0. */
int intake_compare_sequencers(const char *a, const char *b);
/** Pure: whether the key is none of ours: hidden, or a folder's marker. */
bool intake_ignores(const char *key);

/** What a batch has done, to be told when it is durable. Filled on the writer, in the batch's
 * arena. */
struct intake_news {
    struct arena *arena;
    bool shared; /**< Other daemons publish to the same store; set before the deciding. */
    struct job_born *born;
    unsigned born_count;
    struct job_moved *moved;
    unsigned moved_count;
    struct intake_overtaken {
        uint64_t job;
        const char *reason;
    } * overtaken; /**< Jobs at work that must be stopped. */
    unsigned overtaken_count;
    int64_t refused; /**< Change of the number of refused keys. */
};

/** On a lane: the row of the sighting's object. The statement stays open until `*ret_row` is reset.
 */
enum rc intake_find(struct db *db, const struct sighting *sighting, struct known *ret_known,
                    struct db_stmt **ret_row, struct err *err);
/** On the writer: decide one sighting and record what follows. */
enum rc intake_record(struct db *db, const struct sighting *sighting, struct intake_news *news,
                      struct intake_result *ret_result, struct err *err);
/** On the writer: a key that breaks a rule. */
enum rc intake_record_refused(struct db *db, const struct sighting *sighting,
                              struct intake_news *news, struct intake_result *ret_result,
                              struct err *err);
