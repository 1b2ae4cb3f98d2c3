#include "lib/base/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "lib/base/mem.h"

struct digest {
    EVP_MD_CTX *ctx;
};

/** OpenSSL fails here only without memory, which is not a state to go on in. */
static void must(int one)
{
    if (one != 1) {
        abort();
    }
}

static EVP_MD *fetched;

static void fetch_sha256(void)
{
    fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/** OpenSSL 3 looks an algorithm up by its name, behind a lock, each time that one uses it without
 * having fetched it: that costs as much as hashing 2 kB. */
static const EVP_MD *algorithm(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, fetch_sha256);
    must(fetched != NULL);
    return fetched;
}

struct digest *digest_new(void)
{
    struct digest *digest = mem_new(struct digest);

    digest->ctx = EVP_MD_CTX_new();
    must(digest->ctx != NULL);
    must(EVP_DigestInit_ex(digest->ctx, algorithm(), NULL));
    return digest;
}

void digest_free(struct digest *digest)
{
    if (digest == NULL) {
        return;
    }
    EVP_MD_CTX_free(digest->ctx);
    free(digest);
}

void digest_add(struct digest *digest, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(digest->ctx, bytes, len));
}

void digest_end(struct digest *digest, uint8_t ret_sha256[DIGEST_BYTES])
{
    must(EVP_DigestFinal_ex(digest->ctx, ret_sha256, NULL));
}

void digest_sha256(const void *bytes, size_t len, uint8_t ret_sha256[DIGEST_BYTES])
{
    must(EVP_Digest(bytes, len, ret_sha256, NULL, algorithm(), NULL));
}

void digest_hex(const uint8_t sha256[DIGEST_BYTES], char ret_hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_hex[2 * i] = digits[sha256[i] >> 4];
        ret_hex[2 * i + 1] = digits[sha256[i] & 15];
    }
    ret_hex[2 * DIGEST_BYTES] = '\0';
}

void digest_sha256_hex(const void *bytes, size_t len, char ret_hex[DIGEST_HEX])
{
    uint8_t sha256[DIGEST_BYTES];

    digest_sha256(bytes, len, sha256);
    digest_hex(sha256, ret_hex);
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_parse(const char *hex, uint8_t ret_sha256[DIGEST_BYTES])
{
    if (hex == NULL || strlen(hex) != DIGEST_HEX - 1) {
        return false;
    }
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        const int high = digit_of(hex[2 * i]), low = digit_of(hex[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        ret_sha256[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
