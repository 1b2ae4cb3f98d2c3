/** @file
 * SHA-256 by OpenSSL, as hex.
 *
 * Thread:     any; a `struct digest` belongs to one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/scope.h"

#define DIGEST_HEX 65 /**< 64 hex digits and NUL. */
#define DIGEST_BYTES 32

struct digest;

struct digest *digest_new(void);
void digest_free(struct digest *digest);
SCOPED_FN(struct digest, digest_free)
void digest_add(struct digest *digest, const void *bytes, size_t len);
/** May be called once. */
void digest_end(struct digest *digest, uint8_t ret_sha256[DIGEST_BYTES]);

void digest_sha256(const void *bytes, size_t len, uint8_t ret_sha256[DIGEST_BYTES]);
void digest_hex(const uint8_t sha256[DIGEST_BYTES], char ret_hex[DIGEST_HEX]);
/** 64 hex digits, small ones; false: `hex` (may be NULL) is none. */
bool digest_parse(const char *hex, uint8_t ret_sha256[DIGEST_BYTES]);
void digest_sha256_hex(const void *bytes, size_t len, char ret_hex[DIGEST_HEX]);
