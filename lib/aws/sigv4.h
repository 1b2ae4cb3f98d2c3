/** @file
 * Signature Version 4: the canonical request, the string to sign, the signature; in headers or in
 * the query (presigned). Pure but for OpenSSL.
 *
 * S3's paths are encoded once and not normalised; all other services' are normalised and encoded
 * twice (botocore/auth.py). Header values are trimmed and their inner runs of blanks squeezed; the
 * query is sorted by encoded name, then value. Signed are all headers that are given, headers of
 * one name joined by commas, but for authorization and those that a proxy may change (connection,
 * expect, te, trailer, transfer-encoding, upgrade, user-agent, x-amzn-trace-id and a few more).
 *
 * Thread:     any; a `struct sigv4_key` belongs to one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/rc.h"
#include "lib/base/str.h"

#define SIGV4_DATE 17 /**< "20130524T000000Z" and NUL. */
#define SIGV4_EXPIRES_MAX_S 604800
#define SIGV4_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"
#define SIGV4_EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4_pair {
    const char *name, *value;
};

struct sigv4_request {
    const char *method;
    const char *path;               /**< Decoded, begins with '/'; any bytes. */
    const struct sigv4_pair *query; /**< Decoded. */
    unsigned query_count;
    const struct sigv4_pair *headers; /**< With host; without authorization. */
    unsigned header_count;
    const char *payload_sha256; /**< Hex, or SIGV4_UNSIGNED_PAYLOAD. */
};

struct sigv4_scope {
    const char *access_key_id, *secret_access_key;
    const char *session_token; /**< NULL: none. */
    const char *region, *service;
    int64_t time_s;          /**< Of the request, the clock's skew already put right. */
    bool s3_path;            /**< Encode once, do not normalise. */
    bool encode_once;        /**< Normalise, but encode once: `path` is as it will be sent. */
    bool omit_session_token; /**< Leave it unsigned: it is added to what is signed. */
};

/** The signing key of a day, kept so that it is derived once: zero initialisation is an empty one.
 */
struct sigv4_key {
    char scope[160];
    uint8_t secret_digest[32], key[32];
};

/** All that leads to a signature, for the driver of AWS's test suite and for debugging, and memory
 * that can be used again. Zero initialisation is none yet. A session token may be in it. */
struct sigv4_parts {
    struct strbuf canonical_request, string_to_sign;
    char signature[65];
    struct strbuf signed_headers, scope;
    struct evp_md_ctx_st *hash; /**< OpenSSL's EVP_MD_CTX. */
};
void sigv4_parts_done(struct sigv4_parts *parts);

/** The value of the Authorization header. The request's headers must already hold x-amz-date (and
 * x-amz-security-token, x-amz-content-sha256 where wanted). `key` and `parts` may be NULL. */
void sigv4_authorization(const struct sigv4_request *request, const struct sigv4_scope *scope,
                         struct sigv4_key *key, struct sigv4_parts *parts,
                         struct strbuf *ret_authorization);
/** The encoded query string of a presigned URL, `expires_s` 1 to SIGV4_EXPIRES_MAX_S. The request's
 * query has none of the X-Amz-* that are put in here. */
enum rc sigv4_presign(const struct sigv4_request *request, const struct sigv4_scope *scope,
                      unsigned expires_s, struct sigv4_parts *parts, struct strbuf *ret_query,
                      struct err *err);

/** "20130524T000000Z". */
void sigv4_date(int64_t time_s, char ret_date[SIGV4_DATE]);
/** RFC 3986: all but letters, digits and "-._~" as %XX; `keep_slash` leaves '/' too. */
void sigv4_encode(struct strbuf *out, const char *text, bool keep_slash);
/** The query as it is signed and sent. */
void sigv4_query(struct strbuf *out, const struct sigv4_pair *query, unsigned count);
