/** @file
 * The links of the environment, of profiles and of STS against real files, a real process, and a
 * server that plays STS on loopback. tests/flow/test_credentials.py compares with botocore and asks
 * moto's STS.
 */
#include "tests/unit/lib/aws/credentials_rig.h"

static void asked(unsigned index, const char *in_body)
{
    const struct fake_request *request = fake_request(fake, index);

    if (strstr(request->body, in_body) == NULL) {
        fail_msg("'%s' is not in '%s'", in_body, request->body);
    }
}

/* The environment, and files */

static void the_environment_comes_first(void **state)
{
    keys("[default]\n" KEYS);
    set("AWS_ACCESS_KEY_ID", "ENVID");
    set("AWS_SECRET_ACCESS_KEY", "envs3cret");
    gives("ENVID", "envs3cret", "-", "environment");
    set("AWS_SESSION_TOKEN", "new");
    credentials_reject(credentials);
    gives("ENVID", "envs3cret", "new", "environment");
    set("AWS_PROFILE", "default"); /* still does: nobody chose it but the environment */
    credentials_reject(credentials);
    gives("ENVID", "envs3cret", "new", "environment");
}

static void half_an_environment_is_named(void **state)
{
    set("AWS_ACCESS_KEY_ID", "ENVID");
    refuses(RC_INVALID, "no credentials: environment: AWS_ACCESS_KEY_ID is set, "
                        "AWS_SECRET_ACCESS_KEY is not");
    set("AWS_SECRET_ACCESS_KEY", "envs3cret");
    set("AWS_CREDENTIAL_EXPIRATION", "soon");
    refuses(RC_INVALID,
            "no credentials: environment: AWS_CREDENTIAL_EXPIRATION: 'soon' is no time");
    set("AWS_CREDENTIAL_EXPIRATION", "2001-02-03T04:05:06Z");
    refuses(RC_DENIED, "no credentials: environment: what it gives expired at 2001-02-03 04:05:06");
}

static void an_explicit_profile_leaves_the_environment_out(void **state)
{
    set("AWS_ACCESS_KEY_ID", "ENVID");
    set("AWS_SECRET_ACCESS_KEY", "envs3cret");
    keys("[x]\n" KEYS "aws_session_token = tok\n");
    open_credentials("x");
    gives("AKID", "s3cret", "tok", "profile 'x'");
}

static void the_credentials_file_comes_before_the_configuration(void **state)
{
    config("[default]\naws_access_key_id = C\naws_secret_access_key = c\n");
    gives("C", "c", "-", "profile 'default'");
    keys("[default]\n" KEYS);
    credentials_reject(credentials);
    gives("AKID", "s3cret", "-", "profile 'default'");
}

static void nothing_at_all_names_everything_that_was_tried(void **state)
{
    refuses(RC_DENIED, "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile "
                       "'default': is not there; container: AWS_CONTAINER_CREDENTIALS_* is not "
                       "set; EC2 metadata: AWS_EC2_METADATA_DISABLED");
}

static void a_named_profile_has_to_be_there(void **state)
{
    config("[default]\n");
    set("AWS_PROFILE", "x");
    refuses(RC_INVALID, "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profiles: 'x' "
                        "is neither in 'HOME/.aws/config' nor in 'HOME/.aws/credentials'");
}

static void half_a_profile_and_a_broken_file_are_named(void **state)
{
    open_credentials("x");
    keys("[x]\naws_access_key_id = A\n");
    refuses(RC_INVALID, "no credentials: profile 'x': aws_access_key_id without "
                        "aws_secret_access_key");
    keys("[x]\naws_access_key_id A\n");
    refuses(RC_INVALID, "no credentials: profiles: 'HOME/.aws/credentials' line 2: is neither "
                        "[section] nor 'key = value'");
}

static void other_places_for_the_files_are_taken(void **state)
{
    set("AWS_SHARED_CREDENTIALS_FILE", file("token", "[default]\n" KEYS, 0600));
    gives("AKID", "s3cret", "-", "profile 'default'");
    set("AWS_SHARED_CREDENTIALS_FILE", "~/count");
    credentials_reject(credentials);
    refuses(RC_DENIED, "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile "
                       "'default': is not there; container: AWS_CONTAINER_CREDENTIALS_* is not "
                       "set; EC2 metadata: AWS_EC2_METADATA_DISABLED");
}

static void a_profile_that_needs_a_login_says_what_to_do(void **state)
{
    config("[profile x]\nsso_session = s\nsso_account_id = 1\n");
    open_credentials("x");
    refuses(RC_DENIED, "no credentials: profile 'x': sso_session needs somebody to log in; use "
                       "credential_process = aws configure export-credentials --profile x");
}

/* credential_process */

static void run_program(const char *program)
{
    char text[256];

    snprintf(text, sizeof(text), "[profile x]\ncredential_process = '%s' \"a b\"\n",
             file("program", program, 0700));
    config(text);
    if (credentials == NULL) {
        open_credentials("x");
    }
    credentials_reject(credentials);
}

static void a_process_gives_them_without_a_shell(void **state)
{
    run_program(
        "#!/bin/sh\necho noise >&2\n"
        "printf '{\"Version\":1,\"AccessKeyId\":\"P\",\"SecretAccessKey\":\"%s\","
        "\"SessionToken\":\"$1\",\"Expiration\":\"2099-01-01T02:00:00.5+02:00\"}' \"$1\"\n");
    gives("P", "a b", "$1", "profile 'x'");
    assert_int_equal(credentials_expires_s(credentials), 4070908800);
}

static void a_process_that_fails_says_why(void **state)
{
    run_program("#!/bin/sh\necho 'no' >&2\necho '  ticket ' >&2\nexit 3\n");
    refuses(RC_DENIED, "no credentials: profile 'x': credential_process: status 3: no   ticket");
    run_program("#!/bin/sh\nkill -9 $$\n");
    refuses(RC_DENIED, "no credentials: profile 'x': credential_process: was ended by signal 9");
    run_program("#!/bin/sh\necho s3cret\n");
    refuses(RC_INVALID,
            "no credentials: profile 'x': credential_process: its answer is no JSON object");
    run_program("#!/bin/sh\necho '{\"Version\":2}'\n");
    refuses(RC_INVALID,
            "no credentials: profile 'x': credential_process: its JSON is not of Version 1");
    run_program("#!/bin/sh\necho '{\"Version\":1,\"AccessKeyId\":\"A\"}'\n");
    refuses(RC_INVALID,
            "no credentials: profile 'x': credential_process: its JSON has no SecretAccessKey");
    run_program("#!/bin/sh\nyes s3cret\n");
    refuses(RC_INVALID,
            "no credentials: profile 'x': credential_process: wrote more than 65536 bytes");
    config("[profile x]\ncredential_process = /nowhere/program\n");
    refuses(RC_INVALID, "no credentials: profile 'x': credential_process: cannot start: no such "
                        "file or directory");
    config("[profile x]\ncredential_process = 'a\n");
    refuses(RC_INVALID, "no credentials: profile 'x': credential_process: a quotation or an escape "
                        "has no end");
}

static void on_process(const char *out, size_t len, const struct err *err, void *arg)
{
    struct outcome *outcome = arg;

    outcome->calls++;
    assert_non_null(err);
    assert_null(out);
    snprintf(outcome->text, sizeof(outcome->text), "%s", err->text);
}

static void a_process_has_a_deadline_and_takes_its_children_with_it(void **state)
{
    char shell[] = "/bin/sh", option[] = "-c", script_text[] = "sleep 1000 & wait";
    char *words[] = {shell, option, script_text, NULL};
    struct outcome outcome = {0};
    struct process *process;
    struct err err;

    assert_non_null(process_run(loop, words, 50, on_process, &outcome, &err));
    loop_run(loop); /* ends only when the pipes are closed by everybody */
    assert_int_equal(outcome.calls, 1);
    assert_string_equal(outcome.text, "did not end within 60 s");
    process = process_run(loop, words, 60000, on_process, &outcome, &err);
    process_abandon(process);
    loop_run(loop);
    assert_int_equal(outcome.calls, 1);
}

/* STS */

static void a_role_is_assumed_with_the_source_profiles_keys(void **state)
{
    char value[512];

    config(
        "[profile x]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n"
        "external_id = a&b\nrole_session_name = me\nduration_seconds = 900\nregion = eu-west-1\n");
    keys("[base]\n" KEYS);
    open_credentials("x");
    answer(200, ROLE_ANSWER);
    gives("ASIA", "r0le", "t0ken", "profile 'x' as 'arn:aws:iam::1:role/r'");
    assert_int_equal(fake_asked(fake), 1);
    assert_string_equal(fake_request(fake, 0)->body,
                        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3A"
                        "role%2Fr&RoleSessionName=me&ExternalId=a%26b&DurationSeconds=900");
    fake_header(fake_request(fake, 0), "authorization", value, sizeof(value));
    assert_true(str_starts(value, "AWS4-HMAC-SHA256 Credential=AKID/"));
    assert_non_null(strstr(value, "/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;"
                                  "x-amz-date, Signature="));
}

static void a_chain_of_roles_is_assumed_from_its_end(void **state)
{
    char value[512];

    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\n"
           "source_profile = b\n");
    keys("[b]\n" KEYS);
    open_credentials("a");
    answer(200, ROLE_ANSWER);
    gives("ASIA", "r0le", "t0ken", "profile 'a' as 'A'"); /* keys go before b's own role */
    assert_int_equal(fake_asked(fake), 1);
    open_credentials("b");
    answer(200, ROLE_ANSWER);
    gives("ASIA", "r0le", "t0ken", "profile 'b' as 'B'");
    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\n"
           "source_profile = c\n[profile c]\n" KEYS);
    keys("");
    open_credentials("a");
    answer(200, ROLE_ANSWER);
    gives("ASIA", "r0le", "t0ken", "profile 'a' as 'A'");
    assert_int_equal(fake_asked(fake), 2);
    asked(0, "RoleArn=B&");
    asked(1, "RoleArn=A&");
    fake_header(fake_request(fake, 1), "x-amz-security-token", value, sizeof(value));
    assert_string_equal(value, "t0ken");
}

static void a_role_that_cannot_be_is_told_before_anybody_is_asked(void **state)
{
    answer(200, ROLE_ANSWER);
    open_credentials("a");
    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\n"
           "source_profile = a\n");
    refuses(RC_INVALID, "no credentials: profile 'b': source_profile 'a' leads back to itself");
    config("[profile a]\nrole_arn = A\nsource_profile = b\n");
    refuses(RC_INVALID, "no credentials: profile 'a': source_profile 'b' is not there");
    config("[profile a]\nrole_arn = A\n");
    refuses(RC_INVALID, "no credentials: profile 'a': role_arn with neither source_profile nor "
                        "credential_source");
    config("[profile a]\nrole_arn = A\nsource_profile = a\ncredential_source = Environment\n");
    refuses(RC_INVALID, "no credentials: profile 'a': role_arn with both source_profile and "
                        "credential_source");
    config("[profile a]\nrole_arn = A\ncredential_source = Moon\n");
    refuses(RC_INVALID, "no credentials: profile 'a': credential_source 'Moon' is none of "
                        "Environment, EcsContainer, Ec2InstanceMetadata");
    config("[profile a]\nrole_arn = A\nsource_profile = b\nmfa_serial = m\n[profile b]\n");
    refuses(RC_DENIED, "no credentials: profile 'a': mfa_serial asks for a code that nobody is "
                       "here to type; use credential_process, or a role without it");
    config("[profile a]\nrole_arn = A\nsource_profile = b\nduration_seconds = 1\n[profile b]\n");
    refuses(RC_INVALID, "no credentials: profile 'a': duration_seconds '1' is not within 900 and "
                        "43200");
    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nregion = r\n");
    refuses(RC_DENIED, "no credentials: profile 'b': has none");
    assert_int_equal(fake_asked(fake), 0);
}

static void a_role_takes_the_environments_keys_if_it_says_so(void **state)
{
    char value[512];

    set("AWS_ACCESS_KEY_ID", "ENVID");
    set("AWS_SECRET_ACCESS_KEY", "envs3cret");
    config("[profile a]\nrole_arn = A\ncredential_source = Environment\n");
    open_credentials("a");
    answer(200, ROLE_ANSWER);
    gives("ASIA", "r0le", "t0ken", "profile 'a' as 'A'");
    fake_header(fake_request(fake, 0), "authorization", value, sizeof(value));
    assert_true(str_starts(value, "AWS4-HMAC-SHA256 Credential=ENVID/"));
    set("AWS_ACCESS_KEY_ID", "");
    credentials_reject(credentials);
    refuses(RC_DENIED, "no credentials: environment: AWS_ACCESS_KEY_ID is not set");
}

static void what_sts_refuses_is_told_with_its_words(void **state)
{
    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\n" KEYS);
    open_credentials("a");
    answer(403, "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not "
                "you\nno</Message></Error></ErrorResponse>");
    refuses(RC_DENIED,
            "no credentials: profile 'a': STS refuses 'A': status 403, AccessDenied: not "
            "you\\nno");
    answer(200, "<AssumeRoleResponse/>");
    refuses(RC_INVALID, "no credentials: profile 'a': STS answered without whole credentials");
    answer(400, "no xml");
    refuses(RC_DENIED, "no credentials: profile 'a': STS refuses 'A': status 400");
}

static void an_sts_that_is_ill_is_asked_again(void **state)
{
    const struct fake_answer answers[] = {
        {.status = 503}, {.fault = FAKE_HANG_UP}, {.status = 200, .body = ROLE_ANSWER}};

    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\n" KEYS);
    open_credentials("a");
    script(answers, ARRAY_LEN(answers));
    gives("ASIA", "r0le", "t0ken", "profile 'a' as 'A'");
    assert_int_equal(fake_asked(fake), 3);
}

static void a_clock_that_is_wrong_is_set_right_once(void **state)
{
    const struct fake_answer answers[] = {
        {.status = 403,
         .headers = "Date: Mon, 01 Jan 2035 00:00:00 GMT\r\n",
         .body =
             "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>"},
        {.status = 200, .body = ROLE_ANSWER}};
    char value[64];

    config("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\n" KEYS);
    open_credentials("a");
    script(answers, ARRAY_LEN(answers));
    gives("ASIA", "r0le", "t0ken", "profile 'a' as 'A'");
    fake_header(fake_request(fake, 1), "x-amz-date", value, sizeof(value));
    assert_true(str_starts(value, "20350101T0000"));
}

static void a_token_file_assumes_a_role_unsigned(void **state)
{
    char value[64];

    set("AWS_WEB_IDENTITY_TOKEN_FILE", file("token", "  jwt.a+b \n", 0600));
    set("AWS_ROLE_ARN", "R");
    set("AWS_ROLE_SESSION_NAME", "pod");
    answer(200, "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>" STS_KEYS
                "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
    gives("ASIA", "r0le", "t0ken", "web identity");
    assert_string_equal(fake_request(fake, 0)->body,
                        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=R&"
                        "RoleSessionName=pod&WebIdentityToken=jwt.a%2Bb");
    fake_header(fake_request(fake, 0), "authorization", value, sizeof(value));
    assert_string_equal(value, "");
    set("AWS_ROLE_ARN", "");
    credentials_reject(credentials);
    refuses(RC_INVALID,
            "no credentials: environment: AWS_ACCESS_KEY_ID is not set; web identity: a "
            "token file without role_arn (or AWS_ROLE_ARN)");
    set("AWS_ROLE_ARN", "R");
    set("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token");
    refuses(RC_DENIED, "no credentials: environment: AWS_ACCESS_KEY_ID is not set; web identity: "
                       "open '/nowhere/token': No such file or directory");
}

static void a_profile_may_have_a_token_file(void **state)
{
    char text[256];

    snprintf(text, sizeof(text), "[profile w]\nrole_arn = R\nweb_identity_token_file = %s\n",
             file("token", "jwt", 0600));
    config(text);
    open_credentials("w");
    answer(200, "<A><AssumeRoleWithWebIdentityResult>" STS_KEYS
                "</AssumeRoleWithWebIdentityResult></A>");
    gives("ASIA", "r0le", "t0ken", "web identity");
    asked(0, "WebIdentityToken=jwt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_environment_comes_first),
        TEST(half_an_environment_is_named),
        TEST(an_explicit_profile_leaves_the_environment_out),
        TEST(the_credentials_file_comes_before_the_configuration),
        TEST(nothing_at_all_names_everything_that_was_tried),
        TEST(a_named_profile_has_to_be_there),
        TEST(half_a_profile_and_a_broken_file_are_named),
        TEST(other_places_for_the_files_are_taken),
        TEST(a_profile_that_needs_a_login_says_what_to_do),
        TEST(a_process_gives_them_without_a_shell),
        TEST(a_process_that_fails_says_why),
        TEST(a_process_has_a_deadline_and_takes_its_children_with_it),
        TEST(a_role_is_assumed_with_the_source_profiles_keys),
        TEST(a_chain_of_roles_is_assumed_from_its_end),
        TEST(a_role_that_cannot_be_is_told_before_anybody_is_asked),
        TEST(a_role_takes_the_environments_keys_if_it_says_so),
        TEST(what_sts_refuses_is_told_with_its_words),
        TEST(an_sts_that_is_ill_is_asked_again),
        TEST(a_clock_that_is_wrong_is_set_right_once),
        TEST(a_token_file_assumes_a_role_unsigned),
        TEST(a_profile_may_have_a_token_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
