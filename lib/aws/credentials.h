/** @file
 * Where credentials come from, in botocore's order: environment; profile with role_arn
 * (source_profile or credential_source, by AssumeRole); web identity; shared credentials file;
 * credential_process; configuration file; container; EC2's metadata (IMDSv2). A profile that was
 * chosen by name leaves the environment's keys out.
 *
 * Kept, and refreshed on the loop without blocking it: 15 minutes before expiry in the background
 * while the old ones serve, 10 minutes before it everybody waits. Files are read, and processes
 * run, off the loop. Secrets are wiped when they are let go and are in no message.
 *
 * Errors name every source that was tried and what it said, in one line:
 *
 *     RC_DENIED    none has any, or one that was chosen refuses; "no credentials: environment: ...;
 *                  profile 'x': ...; container: ...; EC2 metadata: ..."
 *     RC_INVALID   a file or a process says something that is no credentials
 *     RC_NETWORK, RC_TIMEOUT   the endpoint that has them does not answer
 *
 * Thread:     the loop's.
 * Completion: `done` later, exactly once.
 * Ownership:  what `done` is given is borrowed for the call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/net/http.h"
#include "lib/run/work.h"

struct credentials;

struct credentials_value {
    const char *access_key_id, *secret_access_key;
    const char *session_token; /**< NULL: none. */
    int64_t expires_s;         /**< Wall clock; 0: they do not. */
    const char *source;        /**< "environment", "profile 'x'", "web identity", "container",
                                *   "EC2 metadata", ...: for people. */
};

struct credentials_options {
    const char *profile;                     /**< NULL: AWS_PROFILE, or "default". */
    const char *region;                      /**< For STS; NULL: as the profile says. */
    const char *(*getenv)(const char *name); /**< NULL: the process's. Tests. */
    const char *sts_endpoint_url;            /**< NULL: the public one, or AWS_ENDPOINT_URL_STS. */
};

typedef void credentials_done_fn(const struct credentials_value *value, const struct err *err,
                                 void *arg);

/** Nothing is read before the first credentials_get(). */
struct credentials *credentials_new(struct loop *loop, struct work *work, struct http_client *http,
                                    const struct credentials_options *options);
/** Requires: no get and no settings under way; a refresh in the background is given up, and what it
 * read or ran ends on the loop. */
void credentials_free(struct credentials *credentials);
SCOPED_FN(struct credentials, credentials_free)
void credentials_get(struct credentials *credentials, credentials_done_fn *done, void *arg);
/** Those that are kept, if they serve and need not be refreshed yet: most calls need not ask.
 * False: they are to be got. The strings are borrowed until the loop goes on. */
bool credentials_at_hand(const struct credentials *credentials,
                         struct credentials_value *ret_value);

/** "" where the profile says nothing. A file that is not there says nothing. */
typedef void credentials_settings_fn(const char *region, const char *endpoint_url,
                                     const struct err *err, void *arg);
/** What the chosen profile says beside credentials: its region, and the endpoint_url of `service`
 * ("s3", "sqs", ...) in its [services x] section, else its own. Asks nobody but the files, so it
 * serves anonymous access too. RC_INVALID: a profile that was chosen by name is in neither file, or
 * a file that is no profile file. `done` later, exactly once. */
void credentials_settings(struct credentials *credentials, const char *service,
                          credentials_settings_fn *done, void *arg);
/** The service said that they are expired or unknown: do not use the kept ones again. */
void credentials_reject(struct credentials *credentials);
/** Of those kept now: when they expire (0: never, or none are kept), and their source ("" if none).
 */
int64_t credentials_expires_s(const struct credentials *credentials);
const char *credentials_source(const struct credentials *credentials);
