#include "tests/unit/lib/aws/fake_credentials.h"

#include "lib/base/mem.h"
#include "lib/base/str.h"

struct fake_credentials fake_credentials;

struct credentials {
    struct loop *loop;
};

struct get {
    credentials_done_fn *done;
    credentials_settings_fn *done_settings;
    void *arg;
};

struct credentials *credentials_new(struct loop *loop, struct work *work, struct http_client *http,
                                    const struct credentials_options *options)
{
    struct credentials *credentials = mem_new(struct credentials);
    (void)work, (void)http, (void)options;

    credentials->loop = loop;
    return credentials;
}

void credentials_free(struct credentials *credentials)
{
    free(credentials);
}

static void on_due(void *arg)
{
    scoped(free) struct get *get = arg;
    struct err err;

    if (fake_credentials.error != NULL) {
        err_set(&err, RC_DENIED, "%s", fake_credentials.error);
        get->done(NULL, &err, get->arg);
        return;
    }
    const struct credentials_value value = {
        .access_key_id = fake_credentials.key_ids[fake_credentials.rejected],
        .secret_access_key = "secret",
        .session_token = fake_credentials.token,
        .source = "a test",
    };
    get->done(&value, NULL, get->arg);
}

static struct get *get_new(void *arg)
{
    struct get *get = mem_new(struct get);

    get->arg = arg;
    return get;
}

void credentials_get(struct credentials *credentials, credentials_done_fn *done, void *arg)
{
    struct get *get = get_new(arg);

    get->done = done;
    fake_credentials.asked++;
    loop_defer(credentials->loop, on_due, get);
}

/** So that asking stays in sight. */
bool credentials_at_hand(const struct credentials *credentials, struct credentials_value *ret_value)
{
    (void)credentials, (void)ret_value;
    return false;
}

static void on_settings_due(void *arg)
{
    scoped(free) struct get *get = arg;
    struct err err;

    if (fake_credentials.settings_error != NULL) {
        err_set(&err, RC_INVALID, "%s", fake_credentials.settings_error);
        get->done_settings("", "", &err, get->arg);
        return;
    }
    get->done_settings(fake_credentials.region != NULL ? fake_credentials.region : "",
                       fake_credentials.endpoint_url != NULL ? fake_credentials.endpoint_url : "",
                       NULL, get->arg);
}

void credentials_settings(struct credentials *credentials, const char *service,
                          credentials_settings_fn *done, void *arg)
{
    struct get *get = get_new(arg);
    (void)service;

    get->done_settings = done;
    fake_credentials.settings_asked++;
    loop_defer(credentials->loop, on_settings_due, get);
}

void credentials_reject(struct credentials *credentials)
{
    (void)credentials;
    if (fake_credentials.key_ids[fake_credentials.rejected + 1] != NULL) {
        fake_credentials.rejected++;
    }
}

int64_t credentials_expires_s(const struct credentials *credentials)
{
    (void)credentials;
    return 0;
}

const char *credentials_source(const struct credentials *credentials)
{
    (void)credentials;
    return "a test";
}
