#include "tests/unit/lib/aws/credentials_rig.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/now.h"

struct loop *loop;
struct work *work;
static struct http_client *http;
struct fake *fake;
struct credentials *credentials;
static char home[64];
int64_t clock_s;

/* The environment */

static struct {
    const char *name;
    char value[256];
} environment[24];

const char *env(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(environment); i++) {
        if (environment[i].name != NULL && strcmp(environment[i].name, name) == 0) {
            return environment[i].value;
        }
    }
    return NULL;
}

void set(const char *name, const char *value)
{
    size_t i = 0;

    while (environment[i].name != NULL && strcmp(environment[i].name, name) != 0) {
        i++;
        assert_true(i < ARRAY_LEN(environment));
    }
    environment[i].name = name;
    snprintf(environment[i].value, sizeof(environment[i].value), "%s", value);
}

static int64_t moved_clock(void)
{
    return clock_s;
}

const char *file(const char *name, const char *text, mode_t mode)
{
    static char path[128];
    struct err err;

    snprintf(path, sizeof(path), "%s/%s", home, name);
    if (fs_write_file(path, text, strlen(text), mode, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
    return path;
}

void config(const char *text)
{
    file(".aws/config", text, 0600);
}

void keys(const char *text)
{
    file(".aws/credentials", text, 0600);
}

int set_up(void **state)
{
    const unsigned widths[WORK_LANE_COUNT] = {1, 1, 1, 1, 1};
    struct err err;
    char dir[80];

    loop = loop_new();
    work = work_new(loop, widths);
    fake = fake_new(loop);
    if (http_client_new(loop, &(struct http_client_options){0}, &http, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
    memset(environment, 0, sizeof(environment));
    snprintf(home, sizeof(home), "/tmp/test_credentials.XXXXXX");
    assert_non_null(mkdtemp(home));
    snprintf(dir, sizeof(dir), "%s/.aws", home);
    assert_int_equal(mkdir(dir, 0700), 0);
    set("HOME", home);
    set("AWS_EC2_METADATA_DISABLED", "true");
    credentials = NULL;
    clock_s = now_wall_ms() / 1000;
    credentials_now_s = moved_clock;
    return 0;
}

static void remove_home(void)
{
    static const char *const names[] = {
        ".aws/config", ".aws/credentials", ".aws", "program", "token", "count"};
    char path[128];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, names[i]);
        (void)remove(path);
    }
    (void)rmdir(home);
}

int tear_down(void **state)
{
    credentials_free(credentials);
    http_client_free(http);
    fake_free(fake);
    loop_run(loop);
    work_free(work);
    loop_free(loop);
    remove_home();
    return 0;
}

/* Asking */

void on_got(const struct credentials_value *value, const struct err *err, void *arg)
{
    struct outcome *outcome = arg;

    outcome->calls++;
    assert_true((value == NULL) == (err != NULL));
    if (err != NULL) {
        outcome->rc = err->rc;
        snprintf(outcome->text, sizeof(outcome->text), "%s", err->text);
        assert_null(strstr(err->text, "s3cret"));
        assert_null(strchr(err->text, '\n'));
        return;
    }
    outcome->rc = RC_OK;
    outcome->expires_s = value->expires_s;
    snprintf(outcome->id, sizeof(outcome->id), "%s", value->access_key_id);
    snprintf(outcome->secret, sizeof(outcome->secret), "%s", value->secret_access_key);
    snprintf(outcome->token, sizeof(outcome->token), "%s",
             value->session_token != NULL ? value->session_token : "-");
    snprintf(outcome->source, sizeof(outcome->source), "%s", value->source);
}

void open_credentials(const char *profile)
{
    const struct credentials_options options = {
        .profile = profile, .getenv = env, .sts_endpoint_url = fake_url(fake)};

    credentials_free(credentials);
    credentials = credentials_new(loop, work, http, &options);
}

struct outcome get(void)
{
    struct outcome outcome = {0};

    if (credentials == NULL) {
        open_credentials(NULL);
    }
    credentials_get(credentials, on_got, &outcome);
    assert_int_equal(outcome.calls, 0);
    loop_run(loop);
    assert_int_equal(outcome.calls, 1);
    return outcome;
}

void gives(const char *id, const char *secret, const char *token, const char *source)
{
    const struct outcome outcome = get();

    assert_string_equal(outcome.text, "");
    assert_string_equal(outcome.id, id);
    assert_string_equal(outcome.secret, secret);
    assert_string_equal(outcome.token, token);
    assert_string_equal(outcome.source, source);
    assert_string_equal(credentials_source(credentials), source);
}

void refuses(enum rc rc, const char *text)
{
    const struct outcome outcome = get();
    scoped(strbuf_done) struct strbuf expected = {0};

    for (const char *at = text; *at != '\0';) {
        const bool is_home = str_starts(at, "HOME");

        strbuf_add(&expected, is_home ? home : at, is_home ? strlen(home) : 1);
        at += is_home ? 4 : 1;
    }
    assert_string_equal(outcome.text, strbuf_text(&expected));
    assert_int_equal(outcome.rc, rc);
}

void script(const struct fake_answer *answers, unsigned count)
{
    fake_script(fake, answers, count);
}

void answer(unsigned status, const char *body)
{
    static struct fake_answer one;

    one = (struct fake_answer){.status = status, .body = body};
    script(&one, 1);
}
