/** @file
 * URIs of stores and objects.
 */
#include "lib/store/uri.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

#define PATH_BYTES_MAX 4096 /**< The kernel's PATH_MAX: nothing longer could be opened. */
#define KEY_BYTES_MAX 1024
#define BUCKET_BYTES_MAX 255

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Percent escapes of a file:// URI; a query or a fragment has no meaning there. */
static enum rc decode(const char *text, struct strbuf *out, struct err *err)
{
    for (; *text != '\0'; text++) {
        if (*text == '?' || *text == '#') {
            return err_set(err, RC_INVALID, "'%c' in a file URI, write '%%%02X' for it", *text,
                           (unsigned)*text);
        }
        if (*text != '%') {
            strbuf_putc(out, *text);
            continue;
        }
        int high = hex_value(text[1]);
        int low = high < 0 ? -1 : hex_value(text[2]);

        if (low < 0) {
            return err_set(err, RC_INVALID, "'%%' without two hex digits, write '%%25' for it");
        }
        if (high == 0 && low == 0) {
            return err_set(err, RC_INVALID, "'%%00' in a path");
        }
        strbuf_putc(out, (char)(high << 4 | low));
        text += 2;
    }
    return RC_OK;
}

/** Add the parts of `path`, leaving out "." and taking ".." back; ".." of the root is the root. */
static void add_parts(struct strbuf *out, const char *path)
{
    while (*path != '\0') {
        size_t len = strcspn(path, "/");

        if (len == 2 && path[0] == '.' && path[1] == '.') {
            while (out->len > 0 && out->data[--out->len] != '/') {
            }
        } else if (len > 0 && !(len == 1 && path[0] == '.')) {
            strbuf_putc(out, '/');
            strbuf_add(out, path, len);
        }
        path += len;
        path += *path == '/';
    }
}

static enum rc parse_path(const char *path, const char *base_dir, struct uri *uri, struct err *err)
{
    scoped(strbuf_done) struct strbuf out = {0};

    if (path[0] != '/') {
        add_parts(&out, base_dir);
    }
    add_parts(&out, path);
    if (out.len == 0) {
        strbuf_putc(&out, '/');
    }
    if (out.len >= PATH_BYTES_MAX) {
        return err_set(err, RC_INVALID, "path of %zu bytes, at most %d", out.len,
                       PATH_BYTES_MAX - 1);
    }
    uri->scheme = URI_FILE;
    uri->bucket = str_dup("");
    uri->path = str_dup_n(out.data, out.len);
    return RC_OK;
}

static enum rc parse_file(const char *rest, struct uri *uri, struct err *err)
{
    scoped(strbuf_done) struct strbuf path = {0};
    size_t host = 0;

    if (str_starts(rest, "//")) {
        rest += 2;
        host = strcspn(rest, "/");
        if (host > 0 && !(host == 9 && strncasecmp(rest, "localhost", 9) == 0)) {
            return err_set(err, RC_INVALID, "host '%.*s' in a file URI, write file:///path",
                           (int)MIN_OF(host, 100), rest);
        }
        rest += host;
    }
    if (rest[0] != '/') {
        return err_set(err, RC_INVALID, "a file URI needs an absolute path, write file:///path");
    }
    if (decode(rest, &path, err) != RC_OK) {
        return err->rc;
    }
    return parse_path(strbuf_text(&path), "/", uri, err);
}

static enum rc parse_s3(const char *rest, struct uri *uri, struct err *err)
{
    size_t len = strcspn(rest, "/");
    const char *path = rest[len] == '/' ? rest + len + 1 : rest + len;

    if (len < 3 || len > BUCKET_BYTES_MAX) {
        return err_set(err, RC_INVALID, "bucket name of %zu bytes, write s3://bucket/prefix", len);
    }
    for (size_t i = 0; i < len; i++) {
        char c = rest[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_')) {
            return err_set(err, RC_INVALID, "byte 0x%02x in the bucket's name", (unsigned char)c);
        }
    }
    if (strlen(path) > KEY_BYTES_MAX) {
        return err_set(err, RC_INVALID, "key of %zu bytes, at most %d", strlen(path),
                       KEY_BYTES_MAX);
    }
    uri->scheme = URI_S3;
    uri->bucket = str_dup_n(rest, len);
    uri->path = str_dup(path);
    return RC_OK;
}

/** Length of "scheme" in "scheme://…", 0 when there is none. */
static size_t scheme_len(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return strncmp(text + len, "://", 3) == 0 ? len : 0;
}

enum rc uri_parse(const char *text, const char *base_dir, struct uri **ret_uri, struct err *err)
{
    scoped(uri_free) struct uri *uri = mem_new(struct uri);
    size_t scheme = scheme_len(text);
    enum rc rc;

    if (text[0] == '\0') {
        return err_set(err, RC_INVALID, "empty URI");
    }
    if (strncasecmp(text, "s3://", 5) == 0) {
        rc = parse_s3(text + 5, uri, err);
    } else if (strncasecmp(text, "file:/", 6) == 0) {
        rc = parse_file(text + 5, uri, err);
    } else if (scheme > 0) {
        rc = err_set(err, RC_INVALID, "unknown scheme '%.*s', one of file, s3",
                     (int)MIN_OF(scheme, 50), text);
    } else {
        rc = parse_path(text, base_dir, uri, err);
    }
    if (rc != RC_OK) {
        return err_wrap(err, "'%.100s'", text);
    }
    *ret_uri = TAKE(uri);
    return RC_OK;
}

void uri_free(struct uri *uri)
{
    if (uri != NULL) {
        free(uri->bucket);
        free(uri->path);
        free(uri);
    }
}

static void add_escaped(struct strbuf *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~/!$&'()*+,;=:@";

    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL) {
            strbuf_putc(out, *text);
        } else {
            strbuf_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

char *uri_format(const struct uri *uri, const char *key)
{
    struct strbuf out = {0};
    bool is_file = uri->scheme == URI_FILE;
    size_t path_len = strlen(uri->path);

    strbuf_puts(&out, is_file ? "file://" : "s3://");
    strbuf_puts(&out, uri->bucket);
    if (is_file) {
        add_escaped(&out, uri->path);
    } else if (path_len > 0 || key != NULL) {
        strbuf_putc(&out, '/');
        strbuf_puts(&out, uri->path);
    }
    if (key == NULL) {
        return strbuf_take(&out);
    }
    if (path_len > 0 && uri->path[path_len - 1] != '/') {
        strbuf_putc(&out, '/');
    }
    if (is_file) {
        add_escaped(&out, key);
    } else {
        strbuf_puts(&out, key);
    }
    return strbuf_take(&out);
}

const char *uri_show(const char *key, char ret_text[URI_SHOWN])
{
    static const char cut[] = "…";
    bool utf8 = str_is_utf8(key, strlen(key));
    size_t used = 0;

    for (; *key != '\0'; key++) {
        unsigned char c = (unsigned char)*key;
        bool plain = c >= 0x20 && c != 0x7f && (c < 0x80 || utf8);

        if (used + 4 + sizeof(cut) > URI_SHOWN && !(utf8 && (c & 0xc0) == 0x80)) {
            memcpy(ret_text + used, cut, sizeof(cut));
            return ret_text;
        }
        if (plain) {
            ret_text[used++] = *key;
        } else {
            used += (size_t)snprintf(ret_text + used, 5, "\\x%02x", c);
        }
    }
    ret_text[used] = '\0';
    return ret_text;
}

enum rc uri_check_parts(const char *key, struct err *err)
{
    char shown[URI_SHOWN];
    const char *part = key;

    if (key[0] == '\0') {
        return err_set(err, RC_INVALID, "empty key");
    }
    for (;;) {
        size_t len = strcspn(part, "/");

        if (len == 0) {
            return err_set(err, RC_INVALID, "key '%s' has an empty part", uri_show(key, shown));
        }
        if (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.'))) {
            return err_set(err, RC_INVALID, "key '%s' has a part '%.*s'", uri_show(key, shown),
                           (int)len, part);
        }
        if (part[len] == '\0') {
            return RC_OK;
        }
        part += len + 1;
    }
}

enum rc uri_check_key(const char *key, struct err *err)
{
    char shown[URI_SHOWN];
    size_t len = strlen(key);

    if (len > KEY_BYTES_MAX) {
        return err_set(err, RC_INVALID, "key '%s' of %zu bytes, at most %d", uri_show(key, shown),
                       len, KEY_BYTES_MAX);
    }
    if (!str_is_utf8(key, len)) {
        return err_set(err, RC_INVALID, "key '%s' is not UTF-8", uri_show(key, shown));
    }
    return uri_check_parts(key, err);
}
