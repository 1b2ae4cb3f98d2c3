/** @file
 * Result codes and error context.
 *
 * A code says what the caller should DO, not which library complained: the set is small and each
 * code carries its retry class, so the job machine never has to interpret text. What went wrong,
 * and where, is prose and lives in `struct err`.
 *
 * Thread:     any. Nothing here is shared.
 * Ownership:  the caller owns its `struct err`; nothing in it points anywhere.
 */
#pragma once

/* clang-format off */
#define RC_MAP(X)                                                            \
    X(OK,          RETRY_NEVER,   "success")                                 \
    X(NETWORK,     RETRY_BACKOFF, "network failure")                         \
    X(THROTTLED,   RETRY_BACKOFF, "remote asked us to slow")                 \
    X(TIMEOUT,     RETRY_BACKOFF, "deadline passed")                         \
    X(LIMIT,       RETRY_BACKOFF, "local budget exhausted")                  \
    X(IO,          RETRY_BACKOFF, "local input or output failed")            \
    X(NO_SPACE,    RETRY_BACKOFF, "no space left")                           \
    X(HOST,        RETRY_BACKOFF, "this host is at fault, not the input")    \
    X(CHANGED,     RETRY_BACKOFF, "object changed while it was being read")  \
    X(CONFLICT,    RETRY_BACKOFF, "somebody else was first")                 \
    X(DENIED,      RETRY_NEVER,   "permission refused")                      \
    X(NOT_FOUND,   RETRY_NEVER,   "no such thing")                           \
    X(INVALID,     RETRY_NEVER,   "input breaks its rules")                  \
    X(CORRUPT,     RETRY_NEVER,   "data failed its check")                   \
    X(UNSUPPORTED, RETRY_NEVER,   "valid, but nothing here can read it")     \
    X(CRASHED,     RETRY_NEVER,   "input killed the helper that read it")    \
    X(CANCELED,    RETRY_NEVER,   "asked to stop")                           \
    X(BUG,         RETRY_NEVER,   "internal contract broken")
/* clang-format on */

enum retry_class { RETRY_NEVER, RETRY_BACKOFF };

enum rc {
#define X(name, retry, text) RC_##name,
    RC_MAP(X)
#undef X
        RC_COUNT /* not a code */
};

/** Caller-owned error context; meaningful only after a call returned something but RC_OK. */
struct err {
    enum rc rc;
    char text[480]; /**< "outer: inner: cause", never empty once set, no trailing period. */
};

/** Start a new error. Returns `rc`, so that `return err_set(...)` reads as one thought. */
enum rc err_set(struct err *err, enum rc rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** As err_set(), choosing the code from `error_number` (errno) and ending in its text. */
enum rc err_errno(struct err *err, int error_number, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Put context in front of an error that came from below. Returns the code it already had. */
enum rc err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** "NETWORK"; the value of the label `class` in sevird_quarantined_total, in lower case. */
const char *rc_name(enum rc rc);
/** "network failure". */
const char *rc_text(enum rc rc);
enum retry_class rc_retry_class(enum rc rc);
