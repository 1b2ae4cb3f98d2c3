/** @file
 * Checksums that S3 verifies.
 */
#include "lib/aws/s3_checksum.h"

#include <isa-l/crc.h>
#include <openssl/evp.h>

#include "lib/base/mem.h"

#define CRC_STEP ((size_t)1 << 30) /**< isa-l counts in int. */

const char *s3_checksum_header(enum s3_checksum kind)
{
    switch (kind) {
    case S3_CHECKSUM_CRC32C:
        return "x-amz-checksum-crc32c";
    case S3_CHECKSUM_MD5:
        return "Content-MD5";
    case S3_CHECKSUM_NONE:
        break;
    }
    return NULL;
}

/** isa-l's has neither the inversion before nor the one after, and takes what it does not change as
 * not const. */
static unsigned crc32c(const uint8_t *bytes, size_t len)
{
    unsigned crc = ~0u;

    while (len > 0) {
        const size_t step = MIN_OF(len, CRC_STEP);

        crc = crc32_iscsi((unsigned char *)(uintptr_t)bytes, (int)step, crc);
        bytes += step;
        len -= step;
    }
    return ~crc;
}

void s3_checksum(enum s3_checksum kind, const void *bytes, size_t len, char ret_value[S3_CHECKSUM])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned sum_len = 0;

    ret_value[0] = '\0';
    if (kind == S3_CHECKSUM_CRC32C) {
        const unsigned crc = crc32c(bytes, len);

        for (; sum_len < 4; sum_len++) {
            sum[sum_len] = (unsigned char)(crc >> (24 - 8 * sum_len));
        }
    } else if (kind == S3_CHECKSUM_NONE ||
               EVP_Digest(bytes, len, sum, &sum_len, EVP_md5(), NULL) != 1) {
        return; /* a library in FIPS mode has no MD5: the payload's own hash is signed all the same
                 */
    }
    EVP_EncodeBlock((unsigned char *)ret_value, sum, (int)sum_len);
}
