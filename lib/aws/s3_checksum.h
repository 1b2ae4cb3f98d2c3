/** @file
 * Checksums that S3 verifies as it takes the bytes: CRC-32C, or MD5 for servers that refuse the
 * newer header. Pure.
 *
 * Thread:     any; for large buffers, a worker.
 */
#pragma once

#include <stddef.h>

#include "lib/base/str.h"

#define S3_CHECKSUM 32 /**< Room for any of them in base64. */

enum s3_checksum {
    S3_CHECKSUM_CRC32C, /**< x-amz-checksum-crc32c */
    S3_CHECKSUM_MD5,    /**< Content-MD5 */
    S3_CHECKSUM_NONE
};

/** The header's name; NULL for S3_CHECKSUM_NONE. */
const char *s3_checksum_header(enum s3_checksum kind);
/** Its value, in base64: "" for S3_CHECKSUM_NONE. */
void s3_checksum(enum s3_checksum kind, const void *bytes, size_t len, char ret_value[S3_CHECKSUM]);
