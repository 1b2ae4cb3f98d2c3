/** @file
 * Where a call goes: scheme, host and path from service, region, bucket, addressing, and the
 * endpoint that is used instead of AWS's own, if one is. Pure.
 *
 * A bucket goes into the host (virtual addressing) of AWS's own endpoint when its name can be a
 * label of a host that the certificate covers; into the path of any endpoint that was given, as
 * botocore does, because few servers but AWS's answer to such names. AWS_ADDRESSING_VIRTUAL wants
 * the host everywhere, but gets the path where it cannot work: under a numeric address, and for a
 * name that is no label or, over TLS, has dots.
 *
 * Thread:     any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/rc.h"
#include "lib/base/str.h"

#define ENDPOINT_HOST 320

enum aws_addressing { AWS_ADDRESSING_AUTO, AWS_ADDRESSING_PATH, AWS_ADDRESSING_VIRTUAL };

struct endpoint_want {
    const char *service, *region;
    const char *url;    /**< Instead of AWS's own; NULL or "": AWS's. With a path: goes before. */
    const char *bucket; /**< NULL: none. */
    const char *path;   /**< Decoded, begins with '/'. */
    enum aws_addressing addressing;
};

struct endpoint {
    bool tls;
    char host[ENDPOINT_HOST]; /**< As in the Host header: with its port, but for the usual one. */
    struct strbuf path;       /**< Decoded. */
};

void endpoint_done(struct endpoint *endpoint);
static inline void endpoint_done_ptr(struct endpoint *endpoint)
{
    endpoint_done(endpoint);
}

/** RC_INVALID: a region, bucket or URL that cannot be one. `ret_endpoint` may hold an earlier one,
 * whose memory is used again. */
enum rc endpoint_find(const struct endpoint_want *want, struct endpoint *ret_endpoint,
                      struct err *err);
/** "amazonaws.com", "amazonaws.com.cn", ... */
const char *endpoint_suffix(const char *region);
/** A region's name, as in a signature and in a host: letters, digits, '-'. */
bool endpoint_is_region(const char *region);
/** The region that a host of AWS's names ("sqs.eu-west-1.amazonaws.com"), or false. */
bool endpoint_region_of(const char *url, char *ret_region, size_t size);
