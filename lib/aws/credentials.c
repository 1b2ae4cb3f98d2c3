/** @file
 * Keeping credentials: who asks is served from what is kept, and one walk along the chain at a time
 * fetches new ones. Old ones serve as long as they last, whatever became of the walk.
 */
#include "lib/aws/credentials.h"

#include <stdlib.h>
#include <string.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define ADVISORY_S 900
#define MANDATORY_S 600
#define AGAIN_MS 60000 /* after a refresh that failed while the old ones last */

struct waiter {
    credentials_done_fn *done;
    void *arg;
    struct waiter *next;
};

struct credentials {
    struct loop *loop;
    struct work *work;
    struct http_client *http;
    const char *(*getenv)(const char *name);
    char *profile, *region, *sts_endpoint_url; /* NULL: not given */

    struct secrets kept; /* none while access_key_id is NULL */
    int64_t kept_since_s, again_ms;
    bool rejected;

    struct waiter *first, **last;
    struct loop_timer *soon; /* for answers that are there already */
    struct chain *chain;     /* NULL: nothing under way */
};

static void pump(void *arg);

static const char *process_env(const char *name)
{
    return getenv(name);
}

static char *copy_or_null(const char *text)
{
    return text != NULL && *text != '\0' ? str_dup(text) : NULL;
}

struct credentials *credentials_new(struct loop *loop, struct work *work, struct http_client *http,
                                    const struct credentials_options *options)
{
    struct credentials *credentials = mem_new(struct credentials);

    *credentials = (struct credentials){
        .loop = loop,
        .work = work,
        .http = http,
        .getenv = options->getenv != NULL ? options->getenv : process_env,
        .profile = copy_or_null(options->profile),
        .region = copy_or_null(options->region),
        .sts_endpoint_url = copy_or_null(options->sts_endpoint_url),
    };
    credentials->last = &credentials->first;
    credentials->soon = loop_timer_new(loop, pump, credentials);
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    if (credentials == NULL) {
        return;
    }
    chain_abandon(credentials->chain);
    loop_timer_free(credentials->soon);
    secrets_wipe(&credentials->kept);
    free(credentials->profile);
    free(credentials->region);
    free(credentials->sts_endpoint_url);
    free(credentials);
}

/* How long they last */

static int64_t wall_s(void)
{
    return now_wall_ms() / 1000;
}

int64_t (*credentials_now_s)(void) = wall_s;

static bool can_serve(const struct credentials *credentials)
{
    const struct secrets *kept = &credentials->kept;

    return kept->access_key_id != NULL && !credentials->rejected &&
           (kept->expires_s == 0 || credentials_now_s() < kept->expires_s);
}

/** Whether less than `window_s` is left; what lives shorter than four windows has shorter ones, or
 * it would be fetched anew for every call. */
static bool ends_within(const struct credentials *credentials, int64_t window_s, int64_t share)
{
    const struct secrets *kept = &credentials->kept;
    const int64_t life_s = kept->expires_s - credentials->kept_since_s;

    return kept->expires_s != 0 &&
           credentials_now_s() >= kept->expires_s - MIN_OF(window_s, life_s / share);
}

/* Answering */

static struct credentials_value value_of(const struct secrets *kept)
{
    return (struct credentials_value){
        .access_key_id = kept->access_key_id,
        .secret_access_key = kept->secret_access_key,
        .session_token = kept->session_token,
        .expires_s = kept->expires_s,
        .source = kept->source,
    };
}

static void answer_all(struct credentials *credentials, const struct err *err)
{
    const struct credentials_value value = value_of(&credentials->kept);
    struct waiter *waiter = credentials->first;

    credentials->first = NULL;
    credentials->last = &credentials->first;
    while (waiter != NULL) { /* the last may end us */
        struct waiter *next = waiter->next;

        waiter->done(err == NULL ? &value : NULL, err, waiter->arg);
        free(waiter);
        waiter = next;
    }
}

static void on_chain(struct secrets *found, const struct err *err, void *arg)
{
    struct credentials *credentials = arg;

    credentials->chain = NULL;
    if (err == NULL) {
        secrets_wipe(&credentials->kept);
        credentials->kept = *found;
        *found = (struct secrets){0};
        credentials->kept_since_s = credentials_now_s();
        credentials->rejected = false;
        credentials->again_ms = 0;
        answer_all(credentials, NULL);
        return;
    }
    credentials->again_ms = now_mono_ms() + AGAIN_MS;
    if (can_serve(credentials)) {
        answer_all(credentials, NULL);
        return;
    }
    answer_all(credentials, err);
}

/** AWS_DEFAULT_PROFILE goes before, as in botocore. */
static const char *profile_name(const struct credentials *credentials, bool *ret_named)
{
    const char *name = credentials->profile;

    name = name != NULL ? name : credentials->getenv("AWS_DEFAULT_PROFILE");
    name = name != NULL && *name != '\0' ? name : credentials->getenv("AWS_PROFILE");
    *ret_named = name != NULL && *name != '\0';
    return *ret_named ? name : "default";
}

static void start_chain(struct credentials *credentials)
{
    struct chain given = {
        .loop = credentials->loop,
        .work = credentials->work,
        .http = credentials->http,
        .getenv = credentials->getenv,
        .region = credentials->region,
        .sts_endpoint_url = credentials->sts_endpoint_url,
        .explicit_profile = credentials->profile != NULL,
        .patient = credentials->kept.access_key_id != NULL,
        .done = on_chain,
        .arg = credentials,
    };
    const char *name = profile_name(credentials, &given.named_profile);

    credentials->chain = chain_start(&given, name);
}

static void pump(void *arg)
{
    struct credentials *credentials = arg;
    const bool may_try = now_mono_ms() >= credentials->again_ms;

    if (credentials->first == NULL) { /* answered by an earlier turn */
        return;
    }
    if (!can_serve(credentials) ||
        (ends_within(credentials, MANDATORY_S, 6) && (may_try || credentials->chain != NULL))) {
        if (credentials->chain == NULL) {
            start_chain(credentials);
        }
        return;
    }
    if (ends_within(credentials, ADVISORY_S, 4) && credentials->chain == NULL && may_try) {
        start_chain(credentials);
    }
    answer_all(credentials, NULL);
}

void credentials_get(struct credentials *credentials, credentials_done_fn *done, void *arg)
{
    struct waiter *waiter = mem_new(struct waiter);

    *waiter = (struct waiter){.done = done, .arg = arg};
    *credentials->last = waiter;
    credentials->last = &waiter->next;
    loop_timer_arm(credentials->soon, 0);
}

bool credentials_at_hand(const struct credentials *credentials, struct credentials_value *ret_value)
{
    if (!can_serve(credentials) || ends_within(credentials, ADVISORY_S, 4)) {
        return false;
    }
    *ret_value = value_of(&credentials->kept);
    return true;
}

void credentials_reject(struct credentials *credentials)
{
    credentials->rejected = true;
}

int64_t credentials_expires_s(const struct credentials *credentials)
{
    return credentials->kept.expires_s;
}

const char *credentials_source(const struct credentials *credentials)
{
    return credentials->kept.source != NULL ? credentials->kept.source : "";
}

/* What profiles say beside them */

struct settings {
    struct credentials *credentials;
    char *service;
    credentials_settings_fn *done;
    void *arg;
};

static bool ignores_urls(const struct credentials *credentials, const struct profile_files *files,
                         const char *profile)
{
    const char *set = credentials->getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");

    if (set == NULL || *set == '\0') {
        set = profile_get(files, profile, "ignore_configured_endpoint_urls");
    }
    return set != NULL && strcmp(set, "true") == 0;
}

static void tell_settings(const struct settings *settings, const struct profile_files *files)
{
    const struct credentials *credentials = settings->credentials;
    const char *region, *url = NULL, *services;
    struct err err;
    bool named;
    const char *profile = profile_name(credentials, &named);

    if (named && !profile_exists(files, profile)) {
        err_set(&err, RC_INVALID, "profile '%.100s' is in neither of the shared files", profile);
        settings->done("", "", &err, settings->arg);
        return;
    }
    region = profile_get(files, profile, "region");
    services = profile_get(files, profile, "services");
    if (!ignores_urls(credentials, files, profile)) {
        url = services != NULL
                  ? profile_get_service(files, services, settings->service, "endpoint_url")
                  : NULL;
        url = url != NULL ? url : profile_get(files, profile, "endpoint_url");
    }
    settings->done(region != NULL ? region : "", url != NULL ? url : "", NULL, settings->arg);
}

static void on_settings(struct profile_files *files, const struct err *err, void *arg)
{
    struct settings *settings = arg;

    if (err != NULL) {
        settings->done("", "", err, settings->arg);
    } else {
        tell_settings(settings, files);
    }
    profile_files_free(files);
    free(settings->service);
    free(settings);
}

void credentials_settings(struct credentials *credentials, const char *service,
                          credentials_settings_fn *done, void *arg)
{
    struct settings *settings = mem_new(struct settings);

    *settings = (struct settings){
        .credentials = credentials, .service = str_dup(service), .done = done, .arg = arg};
    (void)files_read(credentials->work, credentials->getenv, on_settings, settings);
}
