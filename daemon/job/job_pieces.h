/** @file
 * Bytes of any length as rows of state.db, a piece each: a draft or a ledger of a hundred thousand
 * outputs is megabytes, and SQLite holds each row that it writes or reads in memory as a whole.
 *
 * Thread:     a lane's, inside somebody's transaction.
 */
#pragma once

#include "lib/db/db.h"

/** The statements of one table (owner, part, bytes); literals, as db_prepare() asks. */
struct job_pieces {
    const char *measure; /**< The sum of the lengths of ?1's; NULL when there is none. */
    const char *read;    /**< Those of ?1 in order. */
    const char *insert;  /**< ?1, ?2, ?3 */
    const char *remove;  /**< Those of ?1. */
};

/** In place of what is there. No bytes at all are kept as nothing at all. */
enum rc job_pieces_put(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                       const void *bytes, size_t len, struct err *err);
/** NUL-terminated, the caller frees. RC_NOT_FOUND when there is nothing. */
enum rc job_pieces_get(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                       char **ret_bytes, size_t *ret_len, struct err *err);
/** Nothing there is no error. */
enum rc job_pieces_remove(struct db *state, const struct job_pieces *pieces, uint64_t owner,
                          struct err *err);
