/** @file
 * AWS's signing test suite against our signer: `sigv4_suite DIR`.
 *
 * Every folder at or below DIR that holds a request.txt is a case:
 *
 *     context.json     credentials, region, service, timestamp, normalize, sign_body,
 *                      omit_session_token, expiration_in_seconds
 *     request.txt      the request as it would be sent; lines may end in CR LF
 *     header-*.txt     canonical-request, string-to-sign, signature, signed-request: in headers
 *     query-*.txt      the same for a presigned URL
 *
 * A case passes when all of these files that it has are what we make of its request; signed
 * requests are compared without regard to the order of headers and parameters. What fails is
 * printed; the last line is "N passed, N failed", and the exit status is 1 if any failed or none
 * was found.
 */
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "lib/aws/sigv4.h"
#include "lib/base/arena.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define FILE_MAX (1u << 20)
#define DEPTH_MAX 8

/** Pairs by reference; room for those that signing adds. */
struct pairs {
    struct sigv4_pair *items;
    unsigned count;
};

struct message {
    const char *method, *path; /**< The path as it stands there. */
    struct pairs query;        /**< Decoded. */
    struct pairs headers;
    const char *body;
};

struct one_case {
    struct arena *arena;
    const char *dir, *name;
    struct sigv4_scope scope;
    unsigned expires_s;
    bool sign_body;
    struct message request;
    char date[SIGV4_DATE], body_sha256[DIGEST_HEX];
    bool failed;
};

static void complain(struct one_case *one, const char *file, const char *why)
{
    printf("%s: %s: %s\n", one->name, file, why);
    one->failed = true;
}

static void pairs_add(struct arena *arena, struct pairs *pairs, const char *name, const char *value)
{
    struct sigv4_pair *grown = arena_alloc(arena, (pairs->count + 1) * sizeof(*grown));

    if (pairs->count > 0) {
        memcpy(grown, pairs->items, pairs->count * sizeof(*grown));
    }
    grown[pairs->count] = (struct sigv4_pair){name, value};
    pairs->items = grown;
    pairs->count++;
}

static bool pairs_have(const struct pairs *pairs, const char *name)
{
    for (unsigned i = 0; i < pairs->count; i++) {
        if (strcasecmp(pairs->items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/** All of `from` but those of that name. */
static struct pairs pairs_without(struct arena *arena, const struct pairs *from, const char *name)
{
    struct pairs kept = {0};

    for (unsigned i = 0; i < from->count; i++) {
        if (strcasecmp(from->items[i].name, name) != 0) {
            pairs_add(arena, &kept, from->items[i].name, from->items[i].value);
        }
    }
    return kept;
}

/* Reading */

/** Without carriage returns; NULL when there is no such file. */
static char *read_text(struct one_case *one, const char *file)
{
    scoped(free) char *path = fs_join(one->dir, file), *bytes = NULL;
    size_t len = 0, kept = 0;
    struct err err;

    if (fs_read_file(path, FILE_MAX, &bytes, &len, &err) != RC_OK) {
        if (err.rc != RC_NOT_FOUND) {
            complain(one, file, err.text);
        }
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\r') {
            bytes[kept++] = bytes[i];
        }
    }
    return arena_dup_n(one->arena, bytes, kept);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

    return c != '\0' && at != NULL ? (int)(at - digits) : -1;
}

/** %XX as the byte; a '+' stays one. */
static const char *decoded(struct arena *arena, const char *text, size_t len)
{
    char *out = arena_dup_n(arena, text, len), *put = out;

    for (const char *at = out; *at != '\0'; at++) {
        if (*at == '%' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
            *put++ = (char)(hex_digit(at[1]) * 16 + hex_digit(at[2]));
            at += 2;
        } else {
            *put++ = *at;
        }
    }
    *put = '\0';
    return out;
}

static void parse_query(struct arena *arena, const char *text, struct pairs *ret_query)
{
    while (*text != '\0') {
        const size_t len = strcspn(text, "&"), name_len = strcspn(text, "&=");
        const size_t skip = name_len < len ? name_len + 1 : len;

        if (len > 0) {
            pairs_add(arena, ret_query, decoded(arena, text, name_len),
                      decoded(arena, text + skip, len - skip));
        }
        text += len + (text[len] == '&' ? 1 : 0);
    }
}

/** "GET /path?query HTTP/1.1"; the target may hold blanks. */
static bool parse_request_line(struct arena *arena, char *line, struct message *ret)
{
    char *target = strchr(line, ' '), *end = strrchr(line, ' '), *query;

    if (target == NULL || end == target || !str_starts(end, " HTTP/")) {
        return false;
    }
    *target++ = '\0';
    *end = '\0';
    query = strchr(target, '?');
    if (query != NULL) {
        *query++ = '\0';
        parse_query(arena, query, &ret->query);
    }
    ret->method = line;
    ret->path = target;
    return true;
}

/** A line that begins with a blank goes on with the value before it. */
static bool parse_header(struct arena *arena, char *line, struct pairs *headers)
{
    char *value = strchr(line, ':');

    if ((*line == ' ' || *line == '\t') && headers->count > 0) {
        struct sigv4_pair *last = &headers->items[headers->count - 1];

        last->value = arena_printf(arena, "%s\n%s", last->value, line);
        return true;
    }
    if (value == NULL) {
        return false;
    }
    *value++ = '\0';
    pairs_add(arena, headers, line, value);
    return true;
}

/** Cuts `text` up. */
static bool parse_message(struct arena *arena, char *text, struct message *ret)
{
    bool first = true;

    *ret = (struct message){.body = ""};
    while (*text != '\0' && *text != '\n') {
        char *line = text;

        text += strcspn(text, "\n");
        if (*text == '\n') {
            *text++ = '\0';
        }
        if (!(first ? parse_request_line(arena, line, ret)
                    : parse_header(arena, line, &ret->headers))) {
            return false;
        }
        first = false;
    }
    ret->body = *text == '\n' ? text + 1 : text;
    return !first;
}

static const char *text_of(struct arena *arena, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? arena_dup(arena, text) : NULL;
}

static bool read_context(struct one_case *one, const json_t *root)
{
    const json_t *credentials = json_object_get(root, "credentials");
    const char *timestamp = json_string_value(json_object_get(root, "timestamp"));
    struct sigv4_scope *scope = &one->scope;

    scope->access_key_id = text_of(one->arena, credentials, "access_key_id");
    scope->secret_access_key = text_of(one->arena, credentials, "secret_access_key");
    scope->session_token = text_of(one->arena, credentials, "token");
    scope->region = text_of(one->arena, root, "region");
    scope->service = text_of(one->arena, root, "service");
    /* Not normalised is what S3 does; a path in a request has its only encoding still to come. */
    scope->s3_path = json_is_false(json_object_get(root, "normalize"));
    scope->encode_once = true;
    scope->omit_session_token = json_is_true(json_object_get(root, "omit_session_token"));
    one->sign_body = json_is_true(json_object_get(root, "sign_body"));
    one->expires_s = (unsigned)json_integer_value(json_object_get(root, "expiration_in_seconds"));
    return scope->access_key_id != NULL && scope->secret_access_key != NULL &&
           scope->region != NULL && scope->service != NULL && timestamp != NULL &&
           now_parse_utc(timestamp, &scope->time_s);
}

static bool read_case(struct one_case *one)
{
    char *context = read_text(one, "context.json"), *request = read_text(one, "request.txt");
    json_error_t where;
    json_t *root;
    bool good;

    if (context == NULL || request == NULL) {
        complain(one, context == NULL ? "context.json" : "request.txt", "cannot be read");
        return false;
    }
    root = json_loads(context, 0, &where);
    good = root != NULL && read_context(one, root);
    json_decref(root);
    if (!good) {
        complain(one, "context.json", root == NULL ? where.text : "lacks something");
        return false;
    }
    if (!parse_message(one->arena, request, &one->request)) {
        complain(one, "request.txt", "is no request");
        return false;
    }
    sigv4_date(one->scope.time_s, one->date);
    digest_sha256_hex(one->request.body, one->sign_body ? strlen(one->request.body) : 0,
                      one->body_sha256);
    return true;
}

/* Comparing */

static size_t trimmed_len(const char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \t\n", text[len - 1]) != NULL) {
        len--;
    }
    return len;
}

static const char *trimmed(struct arena *arena, const char *text)
{
    text += strspn(text, " \t\n");
    return arena_dup_n(arena, text, trimmed_len(text));
}

static const char *file_of(struct one_case *one, const char *variant, const char *what)
{
    return arena_printf(one->arena, "%s-%s.txt", variant, what);
}

static void expect(struct one_case *one, const char *variant, const char *what, const char *ours)
{
    const char *file = file_of(one, variant, what);
    const char *expected = read_text(one, file);

    if (expected == NULL) {
        return;
    }
    if (trimmed_len(expected) != trimmed_len(ours) ||
        memcmp(expected, ours, trimmed_len(ours)) != 0) {
        complain(one, file, "differs");
        printf("--- expected\n%.*s\n--- ours\n%.*s\n---\n", (int)trimmed_len(expected), expected,
               (int)trimmed_len(ours), ours);
    }
}

/** Whether one holds what the other holds, in any order. Prints what is missing. */
static bool same_pairs(struct one_case *one, const struct pairs *expected, const struct pairs *ours)
{
    bool *used = arena_alloc(one->arena, ours->count + 1), all = true;

    for (unsigned i = 0; i < expected->count; i++) {
        const char *value = trimmed(one->arena, expected->items[i].value);
        unsigned k = 0;

        while (k < ours->count &&
               (used[k] || strcasecmp(ours->items[k].name, expected->items[i].name) != 0 ||
                strcmp(trimmed(one->arena, ours->items[k].value), value) != 0)) {
            k++;
        }
        if (k == ours->count) {
            printf("%s: lacks '%s: %s'\n", one->name, expected->items[i].name, value);
            all = false;
        } else {
            used[k] = true;
        }
    }
    for (unsigned k = 0; k < ours->count; k++) {
        if (!used[k]) {
            printf("%s: has '%s: %s'\n", one->name, ours->items[k].name, ours->items[k].value);
            all = false;
        }
    }
    return all;
}

static void leave_out_token(struct one_case *one, struct message *message)
{
    message->headers = pairs_without(one->arena, &message->headers, "X-Amz-Security-Token");
    message->query = pairs_without(one->arena, &message->query, "X-Amz-Security-Token");
}

static void expect_signed(struct one_case *one, const char *variant, const struct message *ours)
{
    const char *file = file_of(one, variant, "signed-request");
    char *text = read_text(one, file);
    struct message expected, copy = *ours;

    if (text == NULL) {
        return;
    }
    if (!parse_message(one->arena, text, &expected)) {
        complain(one, file, "is no request");
        return;
    }
    if (one->scope.omit_session_token) { /* who adds it, and when, is not the signer's */
        leave_out_token(one, &expected);
        leave_out_token(one, &copy);
    }
    if (strcmp(expected.method, copy.method) != 0 || strcmp(expected.path, copy.path) != 0 ||
        !same_pairs(one, &expected.query, &copy.query) ||
        !same_pairs(one, &expected.headers, &copy.headers) ||
        trimmed_len(expected.body) != trimmed_len(copy.body) ||
        memcmp(expected.body, copy.body, trimmed_len(copy.body)) != 0) {
        complain(one, file, "differs");
    }
}

static void expect_parts(struct one_case *one, const char *variant, struct sigv4_parts *parts)
{
    expect(one, variant, "canonical-request", strbuf_text(&parts->canonical_request));
    expect(one, variant, "string-to-sign", strbuf_text(&parts->string_to_sign));
    expect(one, variant, "signature", parts->signature);
}

/* Signing */

static struct sigv4_request to_sign(const struct one_case *one, const struct pairs *headers)
{
    return (struct sigv4_request){
        .method = one->request.method,
        .path = one->request.path,
        .query = one->request.query.items,
        .query_count = one->request.query.count,
        .headers = headers->items,
        .header_count = headers->count,
        .payload_sha256 = one->body_sha256,
    };
}

/** What signing puts into a request that does not have it yet. */
static void add_missing(struct one_case *one, struct pairs *headers, const char *name,
                        const char *value)
{
    if (!pairs_have(headers, name)) {
        pairs_add(one->arena, headers, name, value);
    }
}

static void check_headers(struct one_case *one)
{
    scoped(strbuf_done) struct strbuf authorization = {0};
    struct pairs headers = one->request.headers;
    struct message signed_request = one->request;
    struct sigv4_parts parts = {0};
    struct sigv4_request request;

    add_missing(one, &headers, "X-Amz-Date", one->date);
    if (one->scope.session_token != NULL) {
        add_missing(one, &headers, "X-Amz-Security-Token", one->scope.session_token);
    }
    if (one->sign_body) {
        add_missing(one, &headers, "x-amz-content-sha256", one->body_sha256);
    }
    request = to_sign(one, &headers);
    sigv4_authorization(&request, &one->scope, NULL, &parts, &authorization);
    expect_parts(one, "header", &parts);
    pairs_add(one->arena, &headers, "Authorization", authorization.data);
    signed_request.headers = headers;
    expect_signed(one, "header", &signed_request);
    sigv4_parts_done(&parts);
}

/** A date in a header says nothing beside the one in the URL. */
static void check_query(struct one_case *one)
{
    scoped(strbuf_done) struct strbuf query = {0};
    struct pairs headers = pairs_without(one->arena, &one->request.headers, "X-Amz-Date");
    struct message signed_request = one->request;
    struct sigv4_parts parts = {0};
    struct sigv4_request request;
    struct err err;

    if (one->scope.session_token != NULL) {
        headers = pairs_without(one->arena, &headers, "X-Amz-Security-Token");
    }
    request = to_sign(one, &headers);
    if (sigv4_presign(&request, &one->scope, one->expires_s, &parts, &query, &err) != RC_OK) {
        complain(one, "context.json", err.text);
        return;
    }
    expect_parts(one, "query", &parts);
    signed_request.query = (struct pairs){0};
    parse_query(one->arena, query.data, &signed_request.query);
    expect_signed(one, "query", &signed_request);
    sigv4_parts_done(&parts);
}

/* Folders */

struct tally {
    unsigned passed, failed;
};

static bool has_any(struct one_case *one, const char *variant)
{
    return read_text(one, file_of(one, variant, "canonical-request")) != NULL ||
           read_text(one, file_of(one, variant, "string-to-sign")) != NULL ||
           read_text(one, file_of(one, variant, "signature")) != NULL ||
           read_text(one, file_of(one, variant, "signed-request")) != NULL;
}

static void run_case(const char *dir, struct tally *tally)
{
    scoped(arena_free) struct arena *arena = arena_new();
    struct one_case one = {.arena = arena, .dir = dir, .name = str_basename(dir)};

    if (read_case(&one)) {
        const bool headers = has_any(&one, "header"), query = has_any(&one, "query");

        if (headers) {
            check_headers(&one);
        }
        if (query) {
            check_query(&one);
        }
        if (!headers && !query) {
            complain(&one, "header-signature.txt", "is not there, nor any other to compare with");
        }
    }
    tally->failed += one.failed ? 1 : 0;
    tally->passed += one.failed ? 0 : 1;
}

static bool is_there(const char *dir, const char *name)
{
    scoped(free) char *path = fs_join(dir, name);
    struct stat st;

    return stat(path, &st) == 0;
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_folder(const char *dir, unsigned depth, struct tally *tally)
{
    struct dirent **entries;
    int count;

    if (is_there(dir, "request.txt")) {
        run_case(dir, tally);
        return;
    }
    count = depth > 0 ? scandir(dir, &entries, no_dots, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        scoped(free) char *below = fs_join(dir, entries[i]->d_name);
        struct stat st;

        if (stat(below, &st) == 0 && S_ISDIR(st.st_mode)) {
            run_folder(below, depth - 1, tally);
        }
        free(entries[i]);
    }
    if (count > 0) {
        free(entries);
    }
}

int main(int argc, char **argv)
{
    struct tally tally = {0};

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIR\n", argv[0]);
        return 2;
    }
    run_folder(argv[1], DEPTH_MAX, &tally);
    if (tally.passed + tally.failed == 0) {
        printf("'%s' holds no case\n", argv[1]);
    }
    printf("%u passed, %u failed\n", tally.passed, tally.failed);
    return tally.passed > 0 && tally.failed == 0 ? 0 : 1;
}
