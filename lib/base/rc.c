#include "lib/base/rc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
    enum retry_class retry;
} codes[RC_COUNT] = {
#define X(name, retry, text) [RC_##name] = {#name, text, retry},
    RC_MAP(X)
#undef X
};

/** A text that did not fit ends in "..." so that nobody takes its half for the whole. */
static void mark_cut(struct err *err, int wanted)
{
    if (wanted >= (int)sizeof(err->text)) {
        memcpy(err->text + sizeof(err->text) - 4, "...", 4);
    }
}

static void ensure_text(struct err *err)
{
    if (err->text[0] == '\0') {
        snprintf(err->text, sizeof(err->text), "%s", rc_text(err->rc));
    }
}

enum rc err_set(struct err *err, enum rc rc, const char *fmt, ...)
{
    va_list args;
    struct err made = {.rc = rc}; /* The arguments may point into `err`. */

    va_start(args, fmt);
    mark_cut(&made, vsnprintf(made.text, sizeof(made.text), fmt, args));
    va_end(args);
    ensure_text(&made);
    *err = made;
    return rc;
}

static enum rc from_errno(int error_number)
{
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return RC_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return RC_DENIED;
    case ENOENT:
    case ENOTDIR:
        return RC_NOT_FOUND;
    case ENAMETOOLONG:
    case EINVAL:
        return RC_INVALID;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return RC_HOST;
    case ETIMEDOUT:
        return RC_TIMEOUT;
    default:
        return RC_IO;
    }
}

enum rc err_errno(struct err *err, int error_number, const char *fmt, ...)
{
    char buffer[128];
    const char *cause = strerror_r(error_number, buffer, sizeof(buffer));
    struct err made = {.rc = from_errno(error_number)};
    va_list args;
    size_t len;

    va_start(args, fmt);
    mark_cut(&made, vsnprintf(made.text, sizeof(made.text), fmt, args));
    va_end(args);
    len = strlen(made.text);
    mark_cut(&made, (int)len + snprintf(made.text + len, sizeof(made.text) - len, "%s%s",
                                        len > 0 ? ": " : "", cause));
    *err = made;
    return made.rc;
}

enum rc err_wrap(struct err *err, const char *fmt, ...)
{
    struct err made = {.rc = err->rc};
    va_list args;
    size_t len;

    va_start(args, fmt);
    mark_cut(&made, vsnprintf(made.text, sizeof(made.text), fmt, args));
    va_end(args);
    len = strlen(made.text);
    mark_cut(&made, (int)len + snprintf(made.text + len, sizeof(made.text) - len, "%s%s",
                                        len > 0 ? ": " : "", err->text));
    *err = made;
    return made.rc;
}

const char *rc_name(enum rc rc)
{
    return (unsigned)rc < RC_COUNT ? codes[rc].name : "BUG";
}

const char *rc_text(enum rc rc)
{
    return (unsigned)rc < RC_COUNT ? codes[rc].text : codes[RC_BUG].text;
}

enum retry_class rc_retry_class(enum rc rc)
{
    return (unsigned)rc < RC_COUNT ? codes[rc].retry : RETRY_NEVER;
}
