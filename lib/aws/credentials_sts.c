/** @file
 * The two calls of STS that give credentials: AssumeRole, signed with others', and
 * AssumeRoleWithWebIdentity, which a token signs. They do not go through lib/aws/aws.h, which needs
 * credentials itself.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/aws/credentials_p.h"
#include "lib/aws/xml.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define STS_MS 20000
#define SKEW_S 240 /* STS takes five minutes; what is less is not the reason */

static void send_call(void *arg);

static void add_field(struct strbuf *form, const char *name, const char *value)
{
    if (value == NULL) {
        return;
    }
    strbuf_puts(form, form->len > 0 ? "&" : "");
    strbuf_puts(form, name);
    strbuf_putc(form, '=');
    sigv4_encode(form, value, false);
}

static const char *region_of(const struct chain *chain)
{
    const char *region = chain->region;

    region = region != NULL ? region : chain_env(chain, "AWS_REGION");
    region = region != NULL ? region : chain_setting(chain, "AWS_DEFAULT_REGION", "region");
    return region != NULL ? region : "us-east-1";
}

/** With its path, if only "/". */
static char *endpoint_of(const struct chain *chain)
{
    const char *services = profile_get(chain->files, chain->chosen, "services");
    const char *set = chain->sts_endpoint_url, *region = region_of(chain);
    const char *ignore = chain_setting(chain, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
                                       "ignore_configured_endpoint_urls");

    if (set == NULL && (ignore == NULL || strcmp(ignore, "true") != 0)) {
        set = chain_env(chain, "AWS_ENDPOINT_URL_STS");
        set = set != NULL ? set : chain_env(chain, "AWS_ENDPOINT_URL");
        if (set == NULL && services != NULL) {
            set = profile_get_service(chain->files, services, "sts", "endpoint_url");
        }
        set = set != NULL ? set : profile_get(chain->files, chain->chosen, "endpoint_url");
    }
    if (set != NULL) {
        const char *rest = strstr(set, "://");

        return str_printf("%s%s", set, rest != NULL && strchr(rest + 3, '/') != NULL ? "" : "/");
    }
    return str_printf("https://sts.%s.amazonaws.com%s/", region,
                      str_starts(region, "cn-") ? ".cn" : "");
}

/* Sending */

/** As curl sends it: without the scheme's own port. */
static char *host_of(const char *url)
{
    const char *host = strstr(url, "://");
    char *made;

    host = host != NULL ? host + 3 : url;
    made = str_dup_n(host, strcspn(host, "/?#"));
    if (str_ends(made, str_starts(url, "https:") ? ":443" : ":80")) {
        *strrchr(made, ':') = '\0';
    }
    return made;
}

static const char *path_of(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = strchr(host != NULL ? host + 3 : url, '/');

    return path != NULL ? path : "/";
}

static void add_line(struct strbuf *line, const char *name, const char *value)
{
    strbuf_printf(line, "%s: %s", name, value);
}

#define HEADERS 4

/** Sign the form with `signing`; without keys there, only its type is named. Answers their number.
 */
static unsigned make_headers(struct chain *chain, struct strbuf lines[HEADERS])
{
    const struct secrets *keys = &chain->signing;
    const int64_t now_s = now_wall_ms() / 1000 + chain->offset_s;
    const struct sigv4_scope scope = {.access_key_id = keys->access_key_id,
                                      .secret_access_key = keys->secret_access_key,
                                      .region = region_of(chain),
                                      .service = "sts",
                                      .time_s = now_s,
                                      .encode_once = true};
    scoped(strbuf_done) struct strbuf authorization = {0};
    scoped(free) char *host = host_of(chain->url);
    char date[SIGV4_DATE], sha256[DIGEST_HEX];
    struct sigv4_pair pairs[] = {
        {"content-type", "application/x-www-form-urlencoded; charset=utf-8"},
        {"host", host},
        {"x-amz-date", date},
        {"x-amz-security-token", keys->session_token},
    };
    const struct sigv4_request request = {
        .method = "POST",
        .path = path_of(chain->url),
        .headers = pairs,
        .header_count = keys->session_token != NULL ? 4 : 3,
        .payload_sha256 = sha256,
    };

    add_line(&lines[0], pairs[0].name, pairs[0].value);
    if (keys->access_key_id == NULL) {
        return 1;
    }
    sigv4_date(now_s, date);
    digest_sha256_hex(chain->body.data, chain->body.len, sha256);
    sigv4_authorization(&request, &scope, NULL, NULL, &authorization);
    add_line(&lines[1], "x-amz-date", date);
    add_line(&lines[2], "authorization", authorization.data);
    if (keys->session_token != NULL) {
        add_line(&lines[3], "x-amz-security-token", keys->session_token);
        return 4;
    }
    return 3;
}

/* Answers */

static bool take_credentials(const struct xml_node *at, struct secrets *ret, struct err *err)
{
    const char *expires = xml_text(at, "Expiration");

    if (at == NULL || *xml_text(at, "AccessKeyId") == '\0' ||
        *xml_text(at, "SecretAccessKey") == '\0' || *xml_text(at, "SessionToken") == '\0' ||
        !secrets_parse_time(expires, &ret->expires_s)) {
        err_set(err, RC_CORRUPT, "STS answered without whole credentials");
        return false;
    }
    ret->access_key_id = str_dup(xml_text(at, "AccessKeyId"));
    ret->secret_access_key = str_dup(xml_text(at, "SecretAccessKey"));
    ret->session_token = str_dup(xml_text(at, "SessionToken"));
    return true;
}

/** The result's name is the action's with "Result" behind it. */
static bool read_success(const struct http_answer *answer, struct secrets *ret, struct err *err)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct xml_node *root, *result;

    if (xml_parse(answer->body, answer->body_len, &doc, err) != RC_OK) {
        err_wrap(err, "STS");
        return false;
    }
    root = xml_root(doc);
    result = xml_child(root, "AssumeRoleResult");
    if (result == NULL) {
        result = xml_child(root, "AssumeRoleWithWebIdentityResult");
    }
    return take_credentials(xml_child(result, "Credentials"), ret, err);
}

/** Server minus ours, from its Date; 0 when it has none. */
static int64_t skew_of(const struct http_answer *answer)
{
    const char *date = http_answer_header(answer, "date");
    struct tm parts = {0};

    if (date == NULL || strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &parts) == NULL) {
        return 0;
    }
    return (int64_t)timegm(&parts) - now_wall_ms() / 1000;
}

struct refusal {
    char code[64], message[200];
    bool again; /* it may be otherwise in a moment */
};

static void read_refusal(const struct http_answer *answer, struct refusal *ret)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct xml_node *error = NULL;
    struct err err;

    if (xml_parse(answer->body, answer->body_len, &doc, &err) == RC_OK) {
        error = xml_child(xml_root(doc), "Error");
        if (error == NULL) { /* as emulators have it */
            error = xml_child(xml_child(xml_root(doc), "Errors"), "Error");
        }
    }
    snprintf(ret->code, sizeof(ret->code), "%s", xml_text(error, "Code"));
    snprintf(ret->message, sizeof(ret->message), "%s", xml_text(error, "Message"));
    ret->again = answer->status >= 500 || answer->status == 429 ||
                 strcmp(ret->code, "Throttling") == 0 ||
                 strcmp(ret->code, "IDPCommunicationError") == 0;
}

/** A clock that is wrong by more than STS forgives: sign with its own time. */
static bool set_right(struct chain *chain, const struct http_answer *answer)
{
    const int64_t skew_s = skew_of(answer);

    if (chain->offset_s != 0 || (skew_s < SKEW_S && skew_s > -SKEW_S) ||
        chain->signing.access_key_id == NULL) {
        return false;
    }
    chain->offset_s = skew_s;
    return true;
}

static void refused(struct chain *chain, const struct http_answer *answer)
{
    scoped(strbuf_done) struct strbuf shown = {0};
    struct refusal refusal;
    struct err err;

    read_refusal(answer, &refusal);
    if ((refusal.again && chain_retry(chain, send_call)) ||
        (answer->status == 403 && set_right(chain, answer) && chain_retry(chain, send_call))) {
        return;
    }
    strbuf_printable(&shown, refusal.message);
    err_set(&err, refusal.again ? RC_NETWORK : RC_DENIED, "STS refuses '%.120s': status %u%s%s%s%s",
            chain->role_arn, answer->status, refusal.code[0] != '\0' ? ", " : "", refusal.code,
            shown.len > 0 ? ": " : "", strbuf_text(&shown));
    chain_fail(chain, &err);
}

static void succeeded(struct chain *chain, struct secrets *found)
{
    scoped(free) char *source = NULL;

    if (chain->at == LINK_WEB_IDENTITY) {
        source = str_dup("web identity");
    } else {
        const struct role *role = &chain->roles[--chain->role_count];

        source = str_printf("profile '%s' as '%s'", role->profile, role->arn);
    }
    chain->profile = chain->chosen;
    chain_found(chain, found, source);
}

static void on_answer(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    struct secrets found = {0};
    struct err why;

    chain->transfer = NULL;
    if (err != NULL) {
        if ((err->rc == RC_NETWORK || err->rc == RC_TIMEOUT) && chain_retry(chain, send_call)) {
            return;
        }
        why = *err;
        err_wrap(&why, "STS");
        chain_fail(chain, &why);
    } else if (answer->status != 200) {
        refused(chain, answer);
    } else if (!read_success(answer, &found, &why)) {
        secrets_wipe(&found);
        chain_fail(chain, &why);
    } else {
        succeeded(chain, &found);
    }
}

static void send_call(void *arg)
{
    struct chain *chain = arg;
    struct strbuf lines[HEADERS] = {0};
    const char *headers[HEADERS];
    const unsigned count = make_headers(chain, lines);
    struct http_call call = {
        .method = "POST",
        .url = chain->url,
        .headers = headers,
        .header_count = count,
        .body = chain->body.data,
        .body_len = chain->body.len,
        .total_ms = STS_MS,
        .fresh = chain->attempt > 0,
    };

    for (unsigned i = 0; i < count; i++) {
        headers[i] = lines[i].data;
    }
    chain_send(chain, &call, on_answer);
    for (unsigned i = 0; i < HEADERS; i++) {
        secret_free(strbuf_take(&lines[i]));
    }
}

/** `session` NULL: one of our own, which says when it began. */
static void begin_form(struct chain *chain, const char *action, const char *arn,
                       const char *session)
{
    scoped(free) char *own = str_printf("sevird-%lld", (long long)(now_wall_ms() / 1000));

    char *before = chain->role_arn; /* may be `arn` */

    secret_free(strbuf_take(&chain->body));
    free(chain->url);
    chain->url = endpoint_of(chain);
    chain->role_arn = str_dup(arn);
    free(before);
    add_field(&chain->body, "Action", action);
    add_field(&chain->body, "Version", "2011-06-15");
    add_field(&chain->body, "RoleArn", chain->role_arn);
    add_field(&chain->body, "RoleSessionName", session != NULL ? session : own);
}

void sts_assume(struct chain *chain)
{
    const struct role *role = &chain->roles[chain->role_count - 1];
    char seconds[12];

    chain->profile = role->profile;
    begin_form(chain, "AssumeRole", role->arn, role->session_name);
    add_field(&chain->body, "ExternalId", role->external_id);
    if (role->duration_s > 0) {
        snprintf(seconds, sizeof(seconds), "%u", role->duration_s);
        add_field(&chain->body, "DurationSeconds", seconds);
    }
    send_call(chain);
}

static void on_token(char *text, const struct err *err, void *arg)
{
    struct chain *chain = arg;

    chain->task = NULL;
    if (err != NULL) {
        chain_fail(chain, err);
        return;
    }
    secrets_wipe(&chain->signing); /* the token speaks for itself */
    begin_form(chain, "AssumeRoleWithWebIdentity", chain->role_arn, chain->session_name);
    add_field(&chain->body, "WebIdentityToken", text);
    secret_free(text);
    send_call(chain);
}

/** The environment speaks for the chosen profile, unless that was named explicitly. */
static const char *web_setting(const struct chain *chain, const char *env, const char *key)
{
    const bool own = chain->profile == chain->chosen && !chain->explicit_profile;
    const char *value = own ? chain_env(chain, env) : NULL;

    return value != NULL ? value : profile_get(chain->files, chain->profile, key);
}

void link_web_identity(struct chain *chain)
{
    const char *path = web_setting(chain, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    const char *arn = web_setting(chain, "AWS_ROLE_ARN", "role_arn");
    const char *session = web_setting(chain, "AWS_ROLE_SESSION_NAME", "role_session_name");
    struct err err;

    if (path == NULL) {
        chain_none(chain, NULL);
        return;
    }
    if (arn == NULL) {
        err_set(&err, RC_INVALID, "a token file without role_arn (or AWS_ROLE_ARN)");
        chain_fail(chain, &err);
        return;
    }
    chain->role_arn = str_dup(arn);
    chain->session_name = session != NULL ? str_dup(session) : NULL;
    chain->task = token_read(chain->work, path, on_token, chain);
}
