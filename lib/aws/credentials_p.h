/** @file
 * One walk along the chain of sources, shared by the files of credentials_*.c. Every link ends in
 * exactly one of chain_found(), chain_none() and chain_fail().
 *
 * Thread:     the loop's, but for what says that it runs on a worker.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/aws/credentials.h"
#include "lib/aws/profile.h"
#include "lib/aws/sigv4.h"
#include "lib/base/str.h"

#define ROLES_MAX 8            /* of source_profile after source_profile */
#define PROCESS_MS 60000       /* of a credential_process */
#define PROCESS_OUT_MAX 65536u /* of what it may write */
#define METADATA_CONNECT_MS 1000
#define METADATA_MS 2000
#define ATTEMPTS 3
#define ATTEMPT_WAIT_MS 1000

/** By which what is kept grows old; tests move it. */
extern int64_t (*credentials_now_s)(void);

/* ---- credentials_secrets.c: keys, and their end */

struct secrets {
    char *access_key_id, *secret_access_key, *session_token; /**< The last may be NULL. */
    int64_t expires_s;                                       /**< 0: they do not. */
    char *source;
};

void secrets_wipe(struct secrets *secrets);
/** Wiped before it is freed; may be NULL. */
void secret_free(char *secret);
/** {"AccessKeyId", "SecretAccessKey", `token_key`, "Expiration"}; what `version` asks for is in
 * "Version". RC_INVALID, and nothing of it is quoted. */
enum rc secrets_from_json(const char *bytes, size_t len, const char *token_key, int version,
                          struct secrets *ret_secrets, struct err *err);
/** "2026-01-02T03:04:05Z", with or without fraction; or "+00:00" and the like. */
bool secrets_parse_time(const char *text, int64_t *ret_s);

/* ---- credentials_files.c: profiles and tokens, read off the loop */

/** Where the shared files are; NULL when nobody says where home is. */
char *credentials_path(const char *(*get)(const char *name), enum profile_source source);

struct files_task;
/** `files` is the callee's; on error NULL. A file that is not there is an empty one. */
typedef void files_done_fn(struct profile_files *files, const struct err *err, void *arg);
struct files_task *files_read(struct work *work, const char *(*get)(const char *name),
                              files_done_fn *done, void *arg);
/** `text` (the callee's; secret_free) without blanks at its ends; on error NULL. */
typedef void token_done_fn(char *text, const struct err *err, void *arg);
struct files_task *token_read(struct work *work, const char *path, token_done_fn *done, void *arg);
/** `done` will not run. */
void files_abandon(struct files_task *task);

/* ---- credentials_process.c */

struct process;
/** `out` is wiped afterwards; the error has the status and the first of what it said. */
typedef void process_done_fn(const char *out, size_t len, const struct err *err, void *arg);
/** `words` ends with NULL and is copied by the kernel. NULL when it cannot start. */
struct process *process_run(struct loop *loop, char *const *words, int64_t deadline_ms,
                            process_done_fn *done, void *arg, struct err *err);
/** Killed; `done` will not run. */
void process_abandon(struct process *process);

/* ---- credentials_chain.c */

struct role {
    const char *profile, *arn, *external_id, *session_name;
    unsigned duration_s; /**< 0: as STS has it. */
};

enum link {
    LINK_ENVIRONMENT,
    LINK_FILES,
    LINK_ROLES,
    LINK_WEB_IDENTITY,
    LINK_SSO,
    LINK_SHARED_FILE,
    LINK_PROCESS,
    LINK_CONFIG_FILE,
    LINK_CONTAINER,
    LINK_METADATA,
    LINK_COUNT
};

typedef void chain_done_fn(struct secrets *found, const struct err *err, void *arg);

struct chain {
    /* given */
    struct loop *loop;
    struct work *work;
    struct http_client *http;
    const char *(*getenv)(const char *name);
    const char *region, *sts_endpoint_url; /**< NULL: as the environment or the profile says. */
    bool explicit_profile;                 /**< Named by who uses us, not by the environment. */
    bool named_profile;                    /**< By either: it has to be there. */
    bool patient; /**< There were some: who does not answer now may do so later. */
    chain_done_fn *done;
    void *arg;

    /* the way */
    enum link at, last; /**< `last`: the link behind which there is no other. */
    char *chosen;
    const char *profile; /**< That the profile's links look at. */
    struct profile_files *files;
    struct role roles[ROLES_MAX]; /**< Still to be assumed, the last first. */
    unsigned role_count;
    struct secrets signing; /**< For the role that is being assumed. */
    struct strbuf tried;
    enum rc unreachable; /**< RC_OK, or why the last link did not answer. */

    /* of a link */
    struct files_task *task;
    struct process *process;
    struct http_transfer *transfer;
    struct loop_timer *timer;
    unsigned attempt;
    int64_t offset_s; /**< Server's clock minus ours. */
    char *url, *token, *role_arn, *session_name;
    struct strbuf body;
};

/** The strings of `given` are borrowed; `chosen` is copied. `done` later. */
struct chain *chain_start(const struct chain *given, const char *chosen);
/** At once: `done` will not run. */
void chain_abandon(struct chain *chain);

/** Takes what it is given and wipes the rest. */
void chain_found(struct chain *chain, struct secrets *secrets, const char *source);
/** On to the next; `why` NULL when the links of a profile have one answer together. */
void chain_none(struct chain *chain, const char *why);
/** On with the link that it stands at. */
void chain_go(struct chain *chain);
/** This link should have had some: nothing behind it is asked. */
void chain_fail(struct chain *chain, const struct err *err);
/** NULL for what is not set, and for what is set to nothing. */
const char *chain_env(const struct chain *chain, const char *name);
/** The environment's, else the profile's; NULL. */
const char *chain_setting(const struct chain *chain, const char *env, const char *key);
void chain_send(struct chain *chain, const struct http_call *call, http_done_fn *done);
/** `again` after a while, true; false when that was the last attempt. */
bool chain_retry(struct chain *chain, loop_fn *again);

/* ---- the links that ask somebody */

void link_roles(struct chain *chain);        /* credentials_roles.c */
void link_web_identity(struct chain *chain); /* credentials_sts.c */
void sts_assume(struct chain *chain);        /* the last of `roles`, signed with `signing` */
void link_container(struct chain *chain);    /* credentials_metadata.c */
void link_metadata(struct chain *chain);
/** What AWS_CONTAINER_CREDENTIALS_* ask for; NULL without error when neither is set. */
enum rc container_url(const char *(*get)(const char *name), char **ret_url, struct err *err);
