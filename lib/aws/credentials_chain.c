/** @file
 * The walk: each link in botocore's order, until one has credentials or one that should have them
 * has none. What each said is kept for the one line that an operator gets.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

static void run_link(struct chain *chain);

const char *chain_env(const struct chain *chain, const char *name)
{
    const char *value = chain->getenv(name);

    return value != NULL && *value != '\0' ? value : NULL;
}

const char *chain_setting(const struct chain *chain, const char *env, const char *key)
{
    const char *value = chain_env(chain, env);

    return value != NULL || chain->files == NULL ? value
                                                 : profile_get(chain->files, chain->chosen, key);
}

/* The end */

static void free_chain(struct chain *chain)
{
    files_abandon(chain->task);
    process_abandon(chain->process);
    if (chain->transfer != NULL) {
        http_cancel(chain->transfer);
    }
    loop_timer_free(chain->timer);
    profile_files_free(chain->files);
    secrets_wipe(&chain->signing);
    secret_free(chain->token);
    secret_free(strbuf_take(&chain->body));
    strbuf_done(&chain->tried);
    free(chain->chosen);
    free(chain->url);
    free(chain->role_arn);
    free(chain->session_name);
    free(chain);
}

void chain_abandon(struct chain *chain)
{
    if (chain != NULL) {
        free_chain(chain);
    }
}

static void tried(struct chain *chain, const char *source, const char *why)
{
    strbuf_printf(&chain->tried, "%s%s: %s", chain->tried.len > 0 ? "; " : "", source, why);
}

/** As it is named to an operator. */
static void source_name(const struct chain *chain, char *ret_name, size_t size)
{
    switch (chain->at) {
    case LINK_ENVIRONMENT:
        snprintf(ret_name, size, "environment");
        return;
    case LINK_FILES:
        snprintf(ret_name, size, "profiles");
        return;
    case LINK_WEB_IDENTITY:
        snprintf(ret_name, size, "web identity");
        return;
    case LINK_CONTAINER:
        snprintf(ret_name, size, "container");
        return;
    case LINK_METADATA:
        snprintf(ret_name, size, "EC2 metadata");
        return;
    default:
        snprintf(ret_name, size, "profile '%.100s'", chain->profile);
    }
}

/** A token file that is not there is no object that is not there: whoever asked for one must not
 * take the one for the other. */
static enum rc class_of(enum rc rc)
{
    switch (rc) {
    case RC_NOT_FOUND:
    case RC_UNSUPPORTED:
        return RC_DENIED;
    case RC_CORRUPT:
        return RC_INVALID;
    default:
        return rc;
    }
}

void chain_fail(struct chain *chain, const struct err *err)
{
    char name[128];
    struct err all;

    source_name(chain, name, sizeof(name));
    tried(chain, name, err->text);
    err_set(&all, class_of(err->rc), "no credentials: %s", strbuf_text(&chain->tried));
    chain->done(NULL, &all, chain->arg);
    free_chain(chain);
}

static void end_without(struct chain *chain)
{
    struct err err;

    err_set(&err, chain->patient && chain->unreachable != RC_OK ? chain->unreachable : RC_DENIED,
            "no credentials: %s", strbuf_text(&chain->tried));
    chain->done(NULL, &err, chain->arg);
    free_chain(chain);
}

void chain_go(struct chain *chain)
{
    run_link(chain);
}

void chain_none(struct chain *chain, const char *why)
{
    char name[128];

    if (why != NULL) {
        source_name(chain, name, sizeof(name));
        tried(chain, name, why);
    }
    if (chain->at == chain->last) {
        end_without(chain);
        return;
    }
    chain->at++;
    run_link(chain);
}

/** STS gives no role for less; others may hand out what they kept too long. */
static bool has_expired(const struct secrets *secrets, struct err *err)
{
    char when[NOW_TEXT];

    if (secrets->expires_s == 0 || secrets->expires_s * 1000 > now_wall_ms()) {
        return false;
    }
    now_format_utc(secrets->expires_s, when);
    err_set(err, RC_DENIED, "what it gives expired at %s", when);
    return true;
}

void chain_found(struct chain *chain, struct secrets *secrets, const char *source)
{
    struct err err;

    if (has_expired(secrets, &err)) {
        secrets_wipe(secrets);
        chain_fail(chain, &err);
        return;
    }
    free(secrets->source);
    secrets->source = str_dup(source);
    if (chain->role_count > 0) {
        secrets_wipe(&chain->signing);
        chain->signing = *secrets;
        chain->at = LINK_ROLES;
        chain->attempt = 0;
        sts_assume(chain);
        return;
    }
    chain->done(secrets, NULL, chain->arg);
    secrets_wipe(secrets); /* what was not taken */
    free_chain(chain);
}

/* What links share */

void chain_send(struct chain *chain, const struct http_call *call, http_done_fn *done)
{
    chain->transfer = http_send(chain->http, call, done, chain);
}

bool chain_retry(struct chain *chain, loop_fn *again)
{
    if (++chain->attempt >= ATTEMPTS) {
        return false;
    }
    loop_timer_free(chain->timer);
    chain->timer = loop_timer_new(chain->loop, again, chain);
    loop_timer_arm(chain->timer, ATTEMPT_WAIT_MS * chain->attempt);
    return true;
}

/* The links that ask nobody */

static void link_environment(struct chain *chain)
{
    const char *id = chain_env(chain, "AWS_ACCESS_KEY_ID");
    const char *secret = chain_env(chain, "AWS_SECRET_ACCESS_KEY");
    const char *token = chain_env(chain, "AWS_SECURITY_TOKEN");
    const char *expires = chain_env(chain, "AWS_CREDENTIAL_EXPIRATION");
    struct secrets found = {0};
    struct err err;

    if (id == NULL) {
        chain_none(chain, "AWS_ACCESS_KEY_ID is not set");
        return;
    }
    if (secret == NULL) {
        err_set(&err, RC_INVALID, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
        chain_fail(chain, &err);
        return;
    }
    if (expires != NULL && !secrets_parse_time(expires, &found.expires_s)) {
        err_set(&err, RC_INVALID, "AWS_CREDENTIAL_EXPIRATION: '%.40s' is no time", expires);
        chain_fail(chain, &err);
        return;
    }
    token = token != NULL ? token : chain_env(chain, "AWS_SESSION_TOKEN");
    found.access_key_id = str_dup(id);
    found.secret_access_key = str_dup(secret);
    found.session_token = token != NULL ? str_dup(token) : NULL;
    chain_found(chain, &found, "environment");
}

static void on_files(struct profile_files *files, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    struct err none;

    chain->task = NULL;
    if (err != NULL) {
        chain_fail(chain, err);
        return;
    }
    chain->files = files;
    if (chain->named_profile && !profile_exists(files, chain->chosen)) {
        scoped(free) char *config = credentials_path(chain->getenv, PROFILE_CONFIG);
        scoped(free) char *keys = credentials_path(chain->getenv, PROFILE_CREDENTIALS);

        err_set(&none, RC_INVALID, "'%s' is neither in '%s' nor in '%s'", chain->chosen,
                config != NULL ? config : "~/.aws/config",
                keys != NULL ? keys : "~/.aws/credentials");
        chain_fail(chain, &none);
        return;
    }
    chain_none(chain, NULL);
}

static void link_files(struct chain *chain)
{
    chain->task = files_read(chain->work, chain->getenv, on_files, chain);
}

static void link_sso(struct chain *chain)
{
    static const char *const keys[] = {"sso_session", "sso_account_id", "login_session"};
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (profile_get(chain->files, chain->profile, keys[i]) != NULL &&
            profile_get(chain->files, chain->profile, "aws_access_key_id") == NULL &&
            profile_get(chain->files, chain->profile, "credential_process") == NULL) {
            err_set(&err, RC_UNSUPPORTED,
                    "%s needs somebody to log in; use credential_process = aws configure "
                    "export-credentials --profile %s",
                    keys[i], chain->profile);
            chain_fail(chain, &err);
            return;
        }
    }
    chain_none(chain, NULL);
}

static void from_file(struct chain *chain, enum profile_source source, const char *otherwise)
{
    const char *id = profile_get_from(chain->files, source, chain->profile, "aws_access_key_id");
    const char *secret =
        profile_get_from(chain->files, source, chain->profile, "aws_secret_access_key");
    const char *token =
        profile_get_from(chain->files, source, chain->profile, "aws_security_token");
    struct secrets found = {0};
    char name[128];
    struct err err;

    if (id == NULL) {
        chain_none(chain, otherwise);
        return;
    }
    if (secret == NULL || *secret == '\0' || *id == '\0') {
        err_set(&err, RC_INVALID, "%s",
                *id == '\0' ? "aws_access_key_id is empty"
                            : "aws_access_key_id without aws_secret_access_key");
        chain_fail(chain, &err);
        return;
    }
    if (token == NULL) {
        token = profile_get_from(chain->files, source, chain->profile, "aws_session_token");
    }
    found.access_key_id = str_dup(id);
    found.secret_access_key = str_dup(secret);
    found.session_token = token != NULL && *token != '\0' ? str_dup(token) : NULL;
    source_name(chain, name, sizeof(name));
    chain_found(chain, &found, name);
}

static void link_shared_file(struct chain *chain)
{
    from_file(chain, PROFILE_CREDENTIALS, NULL);
}

static void link_config_file(struct chain *chain)
{
    from_file(chain, PROFILE_CONFIG,
              profile_exists(chain->files, chain->profile) ? "has none" : "is not there");
}

static void on_process(const char *out, size_t len, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    struct secrets found = {0};
    struct err why;
    char name[128];

    chain->process = NULL;
    if (err != NULL) {
        why = *err;
    } else if (secrets_from_json(out, len, "SessionToken", 1, &found, &why) == RC_OK) {
        source_name(chain, name, sizeof(name));
        chain_found(chain, &found, name);
        return;
    }
    err_wrap(&why, "credential_process");
    chain_fail(chain, &why);
}

static void link_process(struct chain *chain)
{
    const char *command = profile_get(chain->files, chain->profile, "credential_process");
    scoped(free) char *copy = command != NULL ? str_dup(command) : NULL;
    char *words[PROFILE_WORDS_MAX + 1];
    unsigned count = 0;
    struct err err;

    if (command == NULL) {
        chain_none(chain, NULL);
        return;
    }
    if (profile_split(copy, words, &count, &err) == RC_OK && count == 0) {
        err_set(&err, RC_INVALID, "is empty");
    }
    if (count > 0) {
        chain->process = process_run(chain->loop, words, PROCESS_MS, on_process, chain, &err);
    }
    if (chain->process == NULL) {
        err_wrap(&err, "credential_process");
        chain_fail(chain, &err);
    }
}

/* The way */

static void run_link(struct chain *chain)
{
    static void (*const links[LINK_COUNT])(struct chain *) = {
        [LINK_ENVIRONMENT] = link_environment,
        [LINK_FILES] = link_files,
        [LINK_ROLES] = link_roles,
        [LINK_WEB_IDENTITY] = link_web_identity,
        [LINK_SSO] = link_sso,
        [LINK_SHARED_FILE] = link_shared_file,
        [LINK_PROCESS] = link_process,
        [LINK_CONFIG_FILE] = link_config_file,
        [LINK_CONTAINER] = link_container,
        [LINK_METADATA] = link_metadata,
    };

    chain->attempt = 0;
    links[chain->at](chain);
}

static void begin(void *arg)
{
    run_link(arg);
}

struct chain *chain_start(const struct chain *given, const char *chosen)
{
    struct chain *chain = mem_new(struct chain);

    *chain = *given;
    chain->chosen = str_dup(chosen);
    chain->profile = chain->chosen;
    chain->at = given->explicit_profile ? LINK_FILES : LINK_ENVIRONMENT;
    chain->last = LINK_METADATA;
    chain->timer = loop_timer_new(chain->loop, begin, chain);
    loop_timer_arm(chain->timer, 0);
    return chain;
}
