/** @file
 * What the host itself hands out: to a container, and to an EC2 instance (IMDSv2 only).
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define METADATA_URL "http://169.254.169.254"
#define METADATA_URL_SIX "http://[fd00:ec2::254]"
#define TOKEN_PATH "/latest/api/token"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define EXTEND_S (20 * 60) /* for what the host hands out though it has expired, see below */

static void ask(struct chain *chain, const char *method, const char *url, const char *header,
                http_done_fn *done)
{
    const char *headers[] = {header};
    const struct http_call call = {
        .method = method,
        .url = url,
        .headers = headers,
        .header_count = header != NULL ? 1 : 0,
        .connect_ms = METADATA_CONNECT_MS,
        .idle_ms = METADATA_MS,
        .total_ms = METADATA_MS,
        .body_max = 65536,
    };

    chain_send(chain, &call, done);
}

/* Containers */

/** The host in a URL, without brackets and port. */
static bool url_host(const char *url, char *ret_host, size_t size)
{
    const char *at = strstr(url, "://"), *end;

    if (at == NULL) {
        return false;
    }
    at += 3;
    end = at + strcspn(at, "/?#");
    if (memchr(at, '@', (size_t)(end - at)) != NULL) {
        return false;
    }
    if (*at == '[') {
        at++;
        end = memchr(at, ']', (size_t)(end - at));
    } else {
        const char *colon = memchr(at, ':', (size_t)(end - at));

        end = colon != NULL ? colon : end;
    }
    if (end == NULL || end == at || (size_t)(end - at) >= size) {
        return false;
    }
    memcpy(ret_host, at, (size_t)(end - at));
    ret_host[end - at] = '\0';
    return true;
}

/** This host, and the addresses that the agents of ECS and EKS have. */
static bool may_be_plain(const char *host)
{
    static const char *const agents[] = {"localhost", "169.254.170.2", "169.254.170.23",
                                         "fd00:ec2::23"};
    struct in6_addr six;
    struct in_addr four;

    for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
        if (strcasecmp(host, agents[i]) == 0) {
            return true;
        }
    }
    if (inet_pton(AF_INET, host, &four) == 1) {
        return (ntohl(four.s_addr) >> 24) == 127;
    }
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

enum rc container_url(const char *(*get)(const char *name), char **ret_url, struct err *err)
{
    const char *relative = get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = get("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char host[256];

    *ret_url = NULL;
    if (relative != NULL && *relative != '\0') {
        *ret_url = str_printf("%s%s%s", CONTAINER_HOST, *relative == '/' ? "" : "/", relative);
        return RC_OK;
    }
    if (full == NULL || *full == '\0') {
        return RC_OK;
    }
    if (!url_host(full, host, sizeof(host))) {
        return err_set(err, RC_INVALID, "AWS_CONTAINER_CREDENTIALS_FULL_URI names no host");
    }
    if (strncasecmp(full, "https://", 8) != 0 && !may_be_plain(host)) {
        return err_set(
            err, RC_INVALID,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI: plain http to '%.80s', which is neither "
            "loopback nor an agent of ECS or EKS",
            host);
    }
    *ret_url = str_dup(full);
    return RC_OK;
}

static void ask_container(void *arg);

static void on_container(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    struct secrets found = {0};
    struct err why;

    chain->transfer = NULL;
    if (err != NULL ? err->rc == RC_NETWORK || err->rc == RC_TIMEOUT : answer->status >= 500) {
        if (chain_retry(chain, ask_container)) {
            return;
        }
    }
    if (err != NULL) {
        chain_fail(chain, err);
        return;
    }
    if (answer->status != 200) {
        err_set(&why, answer->status >= 500 ? RC_NETWORK : RC_DENIED, "status %u", answer->status);
    } else if (secrets_from_json(answer->body, answer->body_len, "Token", 0, &found, &why) ==
               RC_OK) {
        chain_found(chain, &found, "container");
        return;
    }
    chain_fail(chain, &why);
}

static void ask_container(void *arg)
{
    struct chain *chain = arg;
    char *header = chain->token != NULL ? str_printf("Authorization: %s", chain->token) : NULL;

    ask(chain, "GET", chain->url, header, on_container);
    secret_free(header);
}

static void check_token(struct chain *chain)
{
    struct err err;

    if (strpbrk(chain->token, "\r\n") != NULL) {
        err_set(&err, RC_INVALID, "its token has more than one line");
        chain_fail(chain, &err);
        return;
    }
    ask_container(chain);
}

static void on_token_read(char *text, const struct err *err, void *arg)
{
    struct chain *chain = arg;

    chain->task = NULL;
    if (err != NULL) {
        chain_fail(chain, err);
        return;
    }
    chain->token = text;
    check_token(chain);
}

void link_container(struct chain *chain)
{
    const char *file = chain_env(chain, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = chain_env(chain, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct err err;

    free(TAKE(chain->url));
    secret_free(TAKE(chain->token));
    if (container_url(chain->getenv, &chain->url, &err) != RC_OK) {
        chain_fail(chain, &err);
    } else if (chain->url == NULL) {
        chain_none(chain, "AWS_CONTAINER_CREDENTIALS_* is not set");
    } else if (file != NULL) {
        chain->task = token_read(chain->work, file, on_token_read, chain);
    } else if (token != NULL) {
        chain->token = str_dup(token);
        check_token(chain);
    } else {
        ask_container(chain);
    }
}

/* EC2's metadata */

/** Not being on EC2 is no fault; `chain->unreachable` lets who had credentials wait for more. */
static bool no_metadata(struct chain *chain, const struct http_answer *answer,
                        const struct err *err, const char *what)
{
    struct err why;

    chain->transfer = NULL;
    if (err == NULL && answer->status == 200) {
        return false;
    }
    if (err != NULL) {
        err_set(&why, err->rc, "%s", err->text);
    } else {
        err_set(&why, answer->status >= 500 ? RC_NETWORK : RC_DENIED, "%s: status %u", what,
                answer->status);
    }
    chain->unreachable = why.rc == RC_DENIED ? RC_OK : why.rc;
    chain_none(chain, why.text);
    return true;
}

static char *with_token(const struct chain *chain)
{
    return str_printf("x-aws-ec2-metadata-token: %s", chain->token);
}

/** As the SDKs do when the service is ill: EC2 still honours what it handed out, so it is used, and
 * asked for again a while later. */
static void extend(struct secrets *secrets)
{
    const int64_t soon_s = now_wall_ms() / 1000 + EXTEND_S;

    if (secrets->expires_s != 0 && secrets->expires_s < soon_s) {
        secrets->expires_s = soon_s;
    }
}

static void on_keys(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    struct secrets found = {0};
    struct err why;

    if (no_metadata(chain, answer, err, "credentials")) {
        return;
    }
    if (secrets_from_json(answer->body, answer->body_len, "Token", 0, &found, &why) != RC_OK) {
        chain_fail(chain, &why);
        return;
    }
    extend(&found);
    chain_found(chain, &found, "EC2 metadata");
}

static void on_role(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    scoped(free) char *url = NULL;
    char *header;
    size_t len;

    if (err == NULL && answer->status == 404) {
        chain->transfer = NULL;
        chain_none(chain, "no role is attached to the instance");
        return;
    }
    if (no_metadata(chain, answer, err, "role")) {
        return;
    }
    len = strcspn(answer->body, " \t\r\n/?#");
    if (len == 0) {
        chain_none(chain, "no role is attached to the instance");
        return;
    }
    url = str_printf("%s%s%.*s", chain->url, ROLE_PATH, (int)len, answer->body);
    header = with_token(chain);
    ask(chain, "GET", url, header, on_keys);
    secret_free(header);
}

static void on_session(const struct http_answer *answer, const struct err *err, void *arg)
{
    struct chain *chain = arg;
    scoped(free) char *url = NULL;
    char *header;

    if (no_metadata(chain, answer, err, "token")) {
        return;
    }
    chain->token = str_dup_n(answer->body, strcspn(answer->body, " \t\r\n"));
    url = str_printf("%s%s", chain->url, ROLE_PATH);
    header = with_token(chain);
    ask(chain, "GET", url, header, on_role);
    secret_free(header);
}

static char *metadata_url(const struct chain *chain)
{
    const char *set =
        chain_setting(chain, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    const char *mode = chain_setting(chain, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
                                     "ec2_metadata_service_endpoint_mode");
    char *url;

    if (set == NULL) {
        set = mode != NULL && strcasecmp(mode, "ipv6") == 0 ? METADATA_URL_SIX : METADATA_URL;
    }
    url = str_dup(set);
    while (str_ends(url, "/")) {
        url[strlen(url) - 1] = '\0';
    }
    return url;
}

void link_metadata(struct chain *chain)
{
    const char *disabled = chain_env(chain, "AWS_EC2_METADATA_DISABLED");
    scoped(free) char *url = NULL;

    if (disabled != NULL && strcasecmp(disabled, "true") == 0) {
        chain_none(chain, "AWS_EC2_METADATA_DISABLED");
        return;
    }
    free(chain->url);
    secret_free(TAKE(chain->token));
    chain->url = metadata_url(chain);
    url = str_printf("%s%s", chain->url, TOKEN_PATH);
    ask(chain, "PUT", url, "x-aws-ec2-metadata-token-ttl-seconds: 21600", on_session);
}
