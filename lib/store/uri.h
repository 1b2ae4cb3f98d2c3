/** @file
 * URIs of stores and objects: `file:///dir`, a plain path, `s3://bucket/prefix`. Pure.
 */
#pragma once

#include "lib/base/rc.h"
#include "lib/base/scope.h"

enum uri_scheme { URI_FILE, URI_S3 };

struct uri {
    enum uri_scheme scheme;
    char *bucket; /**< The S3 bucket; "" for files. */
    char *path;   /**< Files: absolute, without "." and ".." parts, no slash at the end but for "/".
                   *   S3: key or prefix without the leading slash. */
};

/** A relative path is taken from `base_dir` (the working directory; not NULL). Percent escapes
 * are decoded in file:// URIs only. */
enum rc uri_parse(const char *text, const char *base_dir, struct uri **ret_uri, struct err *err);
void uri_free(struct uri *uri);
SCOPED_FN(struct uri, uri_free)
/** "file:///dir/key" or "s3://bucket/key"; the caller frees. `key` may be NULL. */
char *uri_format(const struct uri *uri, const char *key);
/** A key as we store and publish it: not empty, no NUL, no leading slash, no empty, "." or ".."
 * part, at most 1,024 bytes, UTF-8. RC_INVALID names the key. */
enum rc uri_check_key(const char *key, struct err *err);
/** Only the parts: what must hold for a key that we read, which we did not name. */
enum rc uri_check_parts(const char *key, struct err *err);

#define URI_SHOWN 208
/** The key for a message: bytes that would break a line or are not UTF-8 as \xNN, a long one cut
 * short. Returns `ret_text`. */
const char *uri_show(const char *key, char ret_text[URI_SHOWN]);
