/** @file
 * What the host hands out, by servers that play a container's agent and EC2's metadata on loopback;
 * and how what was got is kept.
 */
#include "tests/unit/lib/aws/credentials_rig.h"

#include "lib/base/now.h"

/* The host */

static void a_container_reads_its_token_each_time(void **state)
{
    scoped(free) char *url = str_printf("%s/creds?id=1", fake_url(fake));
    char value[64];

    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
    set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("token", "first\n", 0600));
    answer(200, JSON_KEYS);
    gives("ASIA", "h0st", "t0ken", "container");
    assert_true(str_starts(fake_request(fake, 0)->head, "GET /creds?id=1 "));
    fake_header(fake_request(fake, 0), "authorization", value, sizeof(value));
    assert_string_equal(value, "first");
    file("token", "second", 0600);
    credentials_reject(credentials);
    gives("ASIA", "h0st", "t0ken", "container");
    fake_header(fake_request(fake, 1), "authorization", value, sizeof(value));
    assert_string_equal(value, "second");
    file("token", "a\nb", 0600);
    credentials_reject(credentials);
    refuses(RC_INVALID, "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile "
                        "'default': is not there; container: its token has more than one line");
}

static void a_container_that_refuses_or_is_not_ours_is_told(void **state)
{
    static const char *const before = "no credentials: environment: AWS_ACCESS_KEY_ID is not set; "
                                      "profile 'default': is not there; container: ";
    scoped(free) char *refused = str_printf("%sstatus 401", before);
    scoped(free) char *no_json = str_printf("%sits answer is no JSON object", before);
    scoped(free) char *old = str_printf("%swhat it gives expired at 2001-01-01 00:00:00", before);
    scoped(free) char *foreign =
        str_printf("%sAWS_CONTAINER_CREDENTIALS_FULL_URI: plain http to 'example.com', which is "
                   "neither loopback nor an agent of ECS or EKS",
                   before);

    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", fake_url(fake));
    answer(401, "");
    refuses(RC_DENIED, refused);
    answer(200, "s3cret");
    refuses(RC_INVALID, no_json);
    answer(200, "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"s3cret\",\"Token\":\"t\","
                "\"Expiration\":\"2001-01-01T00:00:00Z\"}");
    refuses(RC_DENIED, old);
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/");
    refuses(RC_INVALID, foreign);
}

static void the_addresses_of_agents_are_known(void **state)
{
    static const char *const good[] = {
        "http://169.254.170.23/v1", "http://[fd00:ec2::23]:80/v1", "http://[::1]/",
        "http://localhost:1/",      "https://any.host/",           "http://127.9.9.9/"};
    static const char *const bad[] = {"http://169.254.170.3/",
                                      "http://127.0.0.1.example.com/",
                                      "http://localhost@example.com/",
                                      "http://[fd00::1]/",
                                      "http://",
                                      "localhost",
                                      "http://[::1",
                                      "http:///x"};
    char *url;
    struct err err;

    set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/creds");
    assert_int_equal(container_url(env, &url, &err), RC_OK);
    assert_string_equal(url, "http://169.254.170.2/v2/creds");
    free(url);
    set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "");
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        set("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i]);
        assert_int_equal(container_url(env, &url, &err), RC_OK);
        assert_string_equal(url, good[i]);
        free(url);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        set("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i]);
        assert_int_equal(container_url(env, &url, &err), RC_INVALID);
        assert_null(url);
    }
}

static void an_instance_is_asked_by_imdsv2(void **state)
{
    const struct fake_answer answers[] = {
        {.body = "sess"}, {.body = "the-role\n"}, {.body = JSON_KEYS}};
    char value[64];

    set("AWS_EC2_METADATA_DISABLED", "false");
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_url(fake));
    script(answers, ARRAY_LEN(answers));
    gives("ASIA", "h0st", "t0ken", "EC2 metadata");
    assert_true(str_starts(fake_request(fake, 0)->head, "PUT /latest/api/token "));
    fake_header(fake_request(fake, 0), "x-aws-ec2-metadata-token-ttl-seconds", value,
                sizeof(value));
    assert_string_equal(value, "21600");
    assert_true(str_starts(fake_request(fake, 1)->head,
                           "GET /latest/meta-data/iam/security-credentials/ "));
    assert_true(str_starts(fake_request(fake, 2)->head,
                           "GET /latest/meta-data/iam/security-credentials/the-role "));
    fake_header(fake_request(fake, 2), "x-aws-ec2-metadata-token", value, sizeof(value));
    assert_string_equal(value, "sess");
}

static void an_instance_without_a_role_is_told(void **state)
{
    static const char *const before =
        "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile 'default': is not "
        "there; container: AWS_CONTAINER_CREDENTIALS_* is not set; EC2 metadata: ";
    const struct fake_answer none[] = {{.body = "sess"}, {.status = 404}},
                             ill[] = {{.body = "sess"}, {.status = 500}},
                             failed[] = {{.body = "sess"},
                                         {.body = "r"},
                                         {.body = "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}"}};
    scoped(free) char *no_role = str_printf("%sno role is attached to the instance", before);
    scoped(free) char *no_answer = str_printf("%srole: status 500", before);
    scoped(free) char *refused = str_printf("%sanswers 'AssumeRoleUnauthorizedAccess'", before);

    set("AWS_EC2_METADATA_DISABLED", "false");
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_url(fake));
    script(none, 2);
    refuses(RC_DENIED, no_role);
    script(ill, 2);
    refuses(RC_DENIED, no_answer);
    script(failed, 3);
    refuses(RC_DENIED, refused);
}

static void an_instances_old_keys_are_used_on_when_it_is_ill(void **state)
{
    const struct fake_answer answers[] = {
        {.body = "sess"},
        {.body = "r"},
        {.body = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"b\",\"Token\":\"t\","
                 "\"Expiration\":\"2001-01-01T00:00:00Z\"}"}};

    set("AWS_EC2_METADATA_DISABLED", "false");
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_url(fake));
    script(answers, 3);
    gives("A", "b", "t", "EC2 metadata");
    assert_in_range(credentials_expires_s(credentials), clock_s + 1100, clock_s + 1300);
}

/* Keeping them */

/** Keys of a container that last for `life_s`. */
static void hand_out(const char *id, int64_t life_s)
{
    static char body[300], text[NOW_TEXT];

    now_format_utc(clock_s + life_s, text);
    snprintf(body, sizeof(body),
             "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"b\",\"Token\":\"t\",\"Expiration\":"
             "\"%s\"}",
             id, text);
    answer(200, body);
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", fake_url(fake));
}

static void many_that_ask_cause_one_walk(void **state)
{
    struct outcome outcomes[5] = {0};

    hand_out("A", 3600);
    open_credentials(NULL);
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        credentials_get(credentials, on_got, &outcomes[i]);
    }
    loop_run(loop);
    for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_string_equal(outcomes[i].id, "A");
    }
    gives("A", "b", "t", "container");
    assert_int_equal(fake_asked(fake), 1);
}

static void a_quarter_of_an_hour_before_the_end_new_ones_come_behind_the_scenes(void **state)
{
    hand_out("A", 3600);
    gives("A", "b", "t", "container");
    clock_s += 3600 - 901;
    gives("A", "b", "t", "container");
    assert_int_equal(fake_asked(fake), 1);
    clock_s += 2;
    hand_out("B", 3600);
    gives("A", "b", "t", "container");
    assert_int_equal(fake_asked(fake), 1);
    gives("B", "b", "t", "container");
    assert_int_equal(fake_asked(fake), 1);
}

static void ten_minutes_before_the_end_everybody_waits(void **state)
{
    hand_out("A", 3600);
    gives("A", "b", "t", "container");
    clock_s += 3600 - 599;
    hand_out("B", 3600);
    gives("B", "b", "t", "container");
}

static void what_lives_shortly_is_not_fetched_for_every_call(void **state)
{
    hand_out("A", 600);
    gives("A", "b", "t", "container");
    gives("A", "b", "t", "container");
    assert_int_equal(fake_asked(fake), 1);
    clock_s += 600 - 99;
    hand_out("B", 600);
    gives("B", "b", "t", "container");
}

static void old_ones_serve_to_their_end_whatever_a_refresh_says(void **state)
{
    hand_out("A", 3600);
    gives("A", "b", "t", "container");
    clock_s += 3600 - 500;
    answer(403, "");
    gives("A", "b", "t", "container");
    assert_int_equal(fake_asked(fake), 1);
    gives("A", "b", "t", "container"); /* and it is not asked at once again */
    assert_int_equal(fake_asked(fake), 1);
    clock_s += 501;
    refuses(RC_DENIED, "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile "
                       "'default': is not there; container: status 403");
}

static void who_had_some_is_told_to_wait_when_the_host_does_not_answer(void **state)
{
    const struct fake_answer answers[] = {
        {.body = "sess"}, {.body = "r"}, {.body = JSON_KEYS}, {.fault = FAKE_HANG_UP}};

    set("AWS_EC2_METADATA_DISABLED", "false");
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", fake_url(fake));
    script(answers, ARRAY_LEN(answers));
    gives("ASIA", "h0st", "t0ken", "EC2 metadata");
    credentials_reject(credentials);
    assert_int_equal(get().rc, RC_NETWORK);
}

static void they_can_be_let_go_while_a_refresh_is_under_way(void **state)
{
    struct outcome outcome = {0};
    const struct fake_answer silent = {.fault = FAKE_SILENT};

    hand_out("A", 3600);
    gives("A", "b", "t", "container");
    clock_s += 3600 - 700;
    script(&silent, 1);
    credentials_get(credentials, on_got, &outcome);
    while (fake_asked(fake) == 0) {
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    }
    assert_int_equal(outcome.calls, 1);
    credentials_free(TAKE(credentials));
    loop_run(loop);
}

/* Settings */

struct told {
    unsigned calls;
    char region[40], url[80], text[480];
};

static void on_settings(const char *region, const char *endpoint_url, const struct err *err,
                        void *arg)
{
    struct told *told = arg;

    told->calls++;
    snprintf(told->region, sizeof(told->region), "%s", region);
    snprintf(told->url, sizeof(told->url), "%s", endpoint_url);
    snprintf(told->text, sizeof(told->text), "%s", err != NULL ? err->text : "");
}

static void tells(const char *service, const char *region, const char *url, const char *text)
{
    struct told told = {0};

    credentials_settings(credentials, service, on_settings, &told);
    loop_run(loop);
    assert_int_equal(told.calls, 1);
    assert_string_equal(told.region, region);
    assert_string_equal(told.url, url);
    assert_string_equal(told.text, text);
}

static void a_profiles_region_and_urls_are_told(void **state)
{
    config("[default]\nregion = r\nendpoint_url = u\nservices = local\n[services local]\n"
           "s3 =\n  endpoint_url = s\n[profile y]\n");
    open_credentials(NULL);
    tells("s3", "r", "s", "");
    tells("sqs", "r", "u", "");
    set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    tells("s3", "r", "", "");
    open_credentials("y");
    tells("s3", "", "", "");
    open_credentials("x");
    tells("s3", "", "", "profile 'x' is in neither of the shared files");
}

static void a_time_is_read_with_its_zone(void **state)
{
    int64_t s;

    assert_true(secrets_parse_time("2024-02-29T23:59:07Z", &s));
    assert_int_equal(s, 1709251147);
    assert_true(secrets_parse_time("2024-02-29T23:59:07.123456Z", &s));
    assert_int_equal(s, 1709251147);
    assert_true(secrets_parse_time("2024-03-01T01:29:07+01:30", &s));
    assert_int_equal(s, 1709251147);
    assert_true(secrets_parse_time("2024-02-29T23:59:07", &s));
    assert_false(secrets_parse_time("2024-02-30T23:59:07Z", &s));
    assert_false(secrets_parse_time("2024-02-29T23:59:07X", &s));
    assert_false(secrets_parse_time("2024-02-29T23:59:07+1:30x", &s));
    assert_false(secrets_parse_time("soon", &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_container_reads_its_token_each_time),
        TEST(a_container_that_refuses_or_is_not_ours_is_told),
        TEST(the_addresses_of_agents_are_known),
        TEST(an_instance_is_asked_by_imdsv2),
        TEST(an_instance_without_a_role_is_told),
        TEST(an_instances_old_keys_are_used_on_when_it_is_ill),
        TEST(many_that_ask_cause_one_walk),
        TEST(a_quarter_of_an_hour_before_the_end_new_ones_come_behind_the_scenes),
        TEST(ten_minutes_before_the_end_everybody_waits),
        TEST(what_lives_shortly_is_not_fetched_for_every_call),
        TEST(old_ones_serve_to_their_end_whatever_a_refresh_says),
        TEST(who_had_some_is_told_to_wait_when_the_host_does_not_answer),
        TEST(they_can_be_let_go_while_a_refresh_is_under_way),
        TEST(a_profiles_region_and_urls_are_told),
        TEST(a_time_is_read_with_its_zone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
