/** @file
 * Canonical request, string to sign, signature.
 *
 * OpenSSL 3 looks an algorithm up by name each time one uses it without having fetched it, which
 * costs more than hashing what we hash; so SHA-256 is fetched once, and HMAC is its two lines.
 */
#include "lib/aws/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/sigv4_p.h"
#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define BLOCK 64
#define TEXT_BYTES 768 /**< What a canonical request takes, as a rule. */

/* Hashes */

static EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/** As in digest.c: OpenSSL fails here only without memory. */
static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static EVP_MD_CTX *hash_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    EVP_MD_CTX *hash;

    pthread_once(&once, fetch_sha256);
    must(sha256 != NULL);
    hash = EVP_MD_CTX_new();
    must(hash != NULL);
    return hash;
}

static void hash_two(EVP_MD_CTX *hash, const void *first, size_t first_len, const void *second,
                     size_t second_len, uint8_t ret_digest[DIGEST_BYTES])
{
    must(EVP_DigestInit_ex(hash, sha256, NULL) == 1 &&
         EVP_DigestUpdate(hash, first, first_len) == 1 &&
         EVP_DigestUpdate(hash, second, second_len) == 1 &&
         EVP_DigestFinal_ex(hash, ret_digest, NULL) == 1);
}

/** HMAC-SHA256 (RFC 2104). */
static void hmac(EVP_MD_CTX *hash, const void *key, size_t key_len, const char *text, size_t len,
                 uint8_t ret_digest[DIGEST_BYTES])
{
    uint8_t block[BLOCK] = {0}, inner[DIGEST_BYTES];

    if (key_len > BLOCK) {
        hash_two(hash, key, key_len, "", 0, block);
    } else {
        memcpy(block, key, key_len);
    }
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] ^= 0x36;
    }
    hash_two(hash, block, BLOCK, text, len, inner);
    for (size_t i = 0; i < BLOCK; i++) {
        block[i] ^= 0x36 ^ 0x5c;
    }
    hash_two(hash, block, BLOCK, inner, sizeof(inner), ret_digest);
    OPENSSL_cleanse(block, sizeof(block));
}

/* The signing key */

static void derive(EVP_MD_CTX *hash, const struct sigv4_scope *scope, const char *day,
                   uint8_t ret_key[DIGEST_BYTES])
{
    const size_t secret_len = strlen(scope->secret_access_key);
    char *start = mem_resize(NULL, secret_len + 4, 1);

    memcpy(start, "AWS4", 4);
    memcpy(start + 4, scope->secret_access_key, secret_len);
    hmac(hash, start, secret_len + 4, day, 8, ret_key);
    hmac(hash, ret_key, DIGEST_BYTES, scope->region, strlen(scope->region), ret_key);
    hmac(hash, ret_key, DIGEST_BYTES, scope->service, strlen(scope->service), ret_key);
    hmac(hash, ret_key, DIGEST_BYTES, "aws4_request", 12, ret_key);
    OPENSSL_cleanse(start, secret_len + 4);
    free(start);
}

/** From `kept` (may be NULL) when it is of this scope and secret, which it is from then on. */
static void signing_key(EVP_MD_CTX *hash, const struct sigv4_scope *scope, const char *scope_text,
                        struct sigv4_key *kept, uint8_t ret_key[DIGEST_BYTES])
{
    uint8_t secret_digest[DIGEST_BYTES];
    const size_t len = strlen(scope_text);

    if (kept == NULL || len >= sizeof(kept->scope)) {
        derive(hash, scope, scope_text, ret_key);
        return;
    }
    hash_two(hash, scope->secret_access_key, strlen(scope->secret_access_key), "", 0,
             secret_digest);
    if (memcmp(kept->scope, scope_text, len + 1) != 0 ||
        CRYPTO_memcmp(kept->secret_digest, secret_digest, sizeof(secret_digest)) != 0) {
        derive(hash, scope, scope_text, kept->key);
        memcpy(kept->scope, scope_text, len + 1);
        memcpy(kept->secret_digest, secret_digest, sizeof(secret_digest));
    }
    memcpy(ret_key, kept->key, DIGEST_BYTES);
}

/* The texts */

static void put_digits(char *at, unsigned value, int count)
{
    while (count-- > 0) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void sigv4_date(int64_t time_s, char ret_date[SIGV4_DATE])
{
    int year, month, day;
    const int64_t of_day = (time_s % 86400 + 86400) % 86400;

    now_civil(time_s, &year, &month, &day);
    memcpy(ret_date, "00000000T000000Z", SIGV4_DATE);
    put_digits(ret_date, (unsigned)year, 4);
    put_digits(ret_date + 4, (unsigned)month, 2);
    put_digits(ret_date + 6, (unsigned)day, 2);
    put_digits(ret_date + 9, (unsigned)(of_day / 3600), 2);
    put_digits(ret_date + 11, (unsigned)(of_day / 60 % 60), 2);
    put_digits(ret_date + 13, (unsigned)(of_day % 60), 2);
}

/** "20130524/us-east-1/s3/aws4_request". */
static void put_scope(struct strbuf *out, const struct sigv4_scope *scope, const char *date)
{
    strbuf_reset(out);
    strbuf_add(out, date, 8);
    strbuf_putc(out, '/');
    strbuf_puts(out, scope->region);
    strbuf_putc(out, '/');
    strbuf_puts(out, scope->service);
    strbuf_puts(out, "/aws4_request");
}

void sigv4_parts_done(struct sigv4_parts *parts)
{
    strbuf_done(&parts->canonical_request);
    strbuf_done(&parts->string_to_sign);
    strbuf_done(&parts->signed_headers);
    strbuf_done(&parts->scope);
    EVP_MD_CTX_free(TAKE(parts->hash));
}

static inline void sigv4_parts_done_ptr(struct sigv4_parts *parts)
{
    sigv4_parts_done(parts);
}

/** `query` NULL: the request's. */
static void put_canonical_request(struct sigv4_parts *parts, const struct sigv4_request *request,
                                  const struct sigv4_scope *scope, const char *query)
{
    struct strbuf *out = &parts->canonical_request;

    strbuf_reset(out);
    strbuf_reserve(out, TEXT_BYTES);
    strbuf_puts(out, request->method);
    strbuf_putc(out, '\n');
    sigv4_canonical_path(out, request, scope);
    strbuf_putc(out, '\n');
    if (query != NULL) {
        strbuf_puts(out, query);
    } else {
        sigv4_query(out, request->query, request->query_count);
    }
    strbuf_putc(out, '\n');
    strbuf_reset(&parts->signed_headers);
    sigv4_canonical_headers(request, scope, out, &parts->signed_headers);
    strbuf_putc(out, '\n');
    strbuf_add(out, strbuf_text(&parts->signed_headers), parts->signed_headers.len);
    strbuf_putc(out, '\n');
    strbuf_puts(out, request->payload_sha256);
}

/** From the canonical request on: the string to sign and its signature. */
static void sign(struct sigv4_parts *parts, const struct sigv4_scope *scope, const char *date,
                 struct sigv4_key *kept)
{
    const char *scope_text = parts->scope.data;
    EVP_MD_CTX *hash = parts->hash != NULL ? parts->hash : hash_new();
    struct strbuf *out = &parts->string_to_sign;
    uint8_t digest[DIGEST_BYTES], key[DIGEST_BYTES];
    char hex[DIGEST_HEX];

    parts->hash = hash;
    hash_two(hash, parts->canonical_request.data, parts->canonical_request.len, "", 0, digest);
    digest_hex(digest, hex);
    strbuf_reset(out);
    strbuf_reserve(out, TEXT_BYTES);
    strbuf_puts(out, ALGORITHM "\n");
    strbuf_puts(out, date);
    strbuf_putc(out, '\n');
    strbuf_puts(out, scope_text);
    strbuf_putc(out, '\n');
    strbuf_puts(out, hex);
    signing_key(hash, scope, scope_text, kept, key);
    hmac(hash, key, sizeof(key), out->data, out->len, digest);
    digest_hex(digest, parts->signature);
    OPENSSL_cleanse(key, sizeof(key));
}

void sigv4_authorization(const struct sigv4_request *request, const struct sigv4_scope *scope,
                         struct sigv4_key *key, struct sigv4_parts *parts,
                         struct strbuf *ret_authorization)
{
    scoped(sigv4_parts_done) struct sigv4_parts own = {0};
    char date[SIGV4_DATE];

    parts = parts != NULL ? parts : &own;
    sigv4_date(scope->time_s, date);
    put_scope(&parts->scope, scope, date);
    put_canonical_request(parts, request, scope, NULL);
    sign(parts, scope, date, key);

    strbuf_reset(ret_authorization);
    strbuf_reserve(ret_authorization, TEXT_BYTES);
    strbuf_puts(ret_authorization, ALGORITHM " Credential=");
    strbuf_puts(ret_authorization, scope->access_key_id);
    strbuf_putc(ret_authorization, '/');
    strbuf_puts(ret_authorization, parts->scope.data);
    strbuf_puts(ret_authorization, ", SignedHeaders=");
    strbuf_puts(ret_authorization, strbuf_text(&parts->signed_headers));
    strbuf_puts(ret_authorization, ", Signature=");
    strbuf_puts(ret_authorization, parts->signature);
}

/** The request's query and the one of the signature, in their order. */
static void add_presigned_query(struct strbuf *out, const struct sigv4_request *request,
                                const struct sigv4_scope *scope, const char *credential,
                                const char *date, const char *expires, const char *signed_headers)
{
    const struct sigv4_pair signing[] = {
        {"X-Amz-Algorithm", ALGORITHM},
        {"X-Amz-Credential", credential},
        {"X-Amz-Date", date},
        {"X-Amz-Expires", expires},
        {"X-Amz-SignedHeaders", signed_headers},
        {"X-Amz-Security-Token", scope->session_token},
    };
    const bool token = scope->session_token != NULL && !scope->omit_session_token;
    const unsigned more = ARRAY_LEN(signing) - (token ? 0 : 1), count = request->query_count;
    scoped(free) struct sigv4_pair *all = mem_resize(NULL, count + more, sizeof(*all));

    if (count > 0) {
        memcpy(all, request->query, count * sizeof(*all));
    }
    memcpy(all + count, signing, more * sizeof(*all));
    sigv4_query(out, all, count + more);
}

enum rc sigv4_presign(const struct sigv4_request *request, const struct sigv4_scope *scope,
                      unsigned expires_s, struct sigv4_parts *parts, struct strbuf *ret_query,
                      struct err *err)
{
    scoped(strbuf_done) struct strbuf headers = {0}, credential = {0};
    scoped(sigv4_parts_done) struct sigv4_parts own = {0};
    char date[SIGV4_DATE], expires[12];

    if (expires_s < 1 || expires_s > SIGV4_EXPIRES_MAX_S) {
        return err_set(err, RC_INVALID, "presign: %u s is not within 1 and %d", expires_s,
                       SIGV4_EXPIRES_MAX_S);
    }
    parts = parts != NULL ? parts : &own;
    sigv4_date(scope->time_s, date);
    snprintf(expires, sizeof(expires), "%u", expires_s);
    put_scope(&parts->scope, scope, date);
    strbuf_printf(&credential, "%s/%s", scope->access_key_id, parts->scope.data);
    strbuf_reset(&parts->signed_headers); /* their names are in the query */
    sigv4_canonical_headers(request, scope, &headers, &parts->signed_headers);
    strbuf_reset(ret_query);
    add_presigned_query(ret_query, request, scope, credential.data, date, expires,
                        strbuf_text(&parts->signed_headers));
    put_canonical_request(parts, request, scope, ret_query->data);
    sign(parts, scope, date, NULL);

    strbuf_printf(ret_query, "&X-Amz-Signature=%s", parts->signature);
    if (scope->session_token != NULL && scope->omit_session_token) {
        strbuf_puts(ret_query, "&X-Amz-Security-Token=");
        sigv4_encode(ret_query, scope->session_token, false);
    }
    return RC_OK;
}
