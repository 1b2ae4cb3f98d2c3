/** @file
 * A URI that is read is written so that it reads back the same, and never leaves its root; keys and
 * what is shown of them likewise.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/store/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool has_part(const char *path, const char *part)
{
    size_t len = strlen(part);

    for (const char *p = path; (p = strstr(p, part)) != NULL; p++) {
        if ((p == path || p[-1] == '/') && (p[len] == '/' || p[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static void check_uri(const char *text)
{
    scoped(uri_free) struct uri *uri = NULL, *again = NULL;
    scoped(free) char *written = NULL;
    struct err err = {0};

    if (uri_parse(text, "/base", &uri, &err) != RC_OK) {
        must(err.rc != RC_OK && err.text[0] != '\0');
        return;
    }
    if (uri->scheme == URI_FILE) {
        must(uri->path[0] == '/' && !has_part(uri->path, "..") && !has_part(uri->path, "."));
    }
    written = uri_format(uri, NULL);
    must(uri_parse(written, "/elsewhere", &again, &err) == RC_OK);
    must(again->scheme == uri->scheme && strcmp(again->path, uri->path) == 0 &&
         strcmp(again->bucket, uri->bucket) == 0);
}

static void check_key(const char *text)
{
    char shown[URI_SHOWN];
    struct err err = {0};

    if (uri_check_key(text, &err) == RC_OK) {
        must(text[0] != '\0' && text[0] != '/' && !has_part(text, "..") && !has_part(text, "."));
        must(strlen(text) <= 1024 && str_is_utf8(text, strlen(text)));
        must(uri_check_parts(text, &err) == RC_OK);
    }
    uri_show(text, shown);
    must(strlen(shown) < sizeof(shown) && str_is_utf8(shown, strlen(shown)));
    must(strchr(shown, '\n') == NULL && strchr(shown, '\x1b') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(free) char *text = str_dup_n((const char *)data, size);

    check_uri(text);
    check_key(text);
    return 0;
}
