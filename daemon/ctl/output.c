/** @file
 * What reaches standard output and standard error: cleaned for people, exact for programs.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "lib/base/mem.h"

/** Length of the UTF-8 sequence at `p`, and its code point; 0 when there is none. */
static size_t decode(const unsigned char *p, unsigned *ret_code)
{
    const size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    unsigned code = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));

    if (len == 0 || p[0] > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) { /* the NUL at the end is no continuation */
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    if ((len == 3 && code < 0x800) || (len == 4 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }
    *ret_code = code;
    return len;
}

/** Controls, and what changes the direction or the lines of the text around it. */
static bool is_harmful(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
           code == 0xfeff;
}

static void clean_into(struct strbuf *out, const char *text, bool keep_newlines)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';) {
        unsigned code = 0;
        const size_t len = decode(p, &code);

        if (len > 0 && (!is_harmful(code) || (code == '\n' && keep_newlines))) {
            strbuf_add(out, p, len);
            p += len;
            continue;
        }
        for (size_t i = 0; i < MAX_OF(len, (size_t)1); i++) {
            strbuf_printf(out, "\\x%02x", *p++);
        }
    }
}

void ctl_clean(struct strbuf *out, const char *text)
{
    clean_into(out, text, false);
}

__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list ap)
{
    char *text;

    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    return text;
}

/** Something could not be written, and not because its reader had enough. */
static bool lost;

static bool flush(bool ok)
{
    ok = fflush(stdout) == 0 && ok;
    lost |= !ok && errno != EPIPE;
    return ok;
}

bool ctl_write(const void *bytes, size_t len)
{
    return flush(fwrite(bytes, 1, len, stdout) == len);
}

bool ctl_output_lost(void)
{
    flush(true);
    return lost;
}

void ctl_say(const struct ctl *ctl, const char *fmt, ...)
{
    scoped(strbuf_done) struct strbuf clean = {0};
    va_list ap;

    if (ctl->json) {
        return;
    }
    va_start(ap, fmt);
    scoped(free) char *text = format(fmt, ap);
    va_end(ap);
    clean_into(&clean, text, true);
    ctl_write(strbuf_text(&clean), clean.len);
}

void ctl_json(const struct ctl *ctl, const json_t *document)
{
    char *text =
        json_dumps(document, (ctl->terminal ? JSON_INDENT(2) : JSON_COMPACT) | JSON_ENCODE_ANY);

    if (text == NULL) {
        abort();
    }
    ctl_write(text, strlen(text));
    ctl_write("\n", 1);
    free(text);
}

/** One line on standard error, by one write. */
static void complain(const char *kind, const char *text, const char *end)
{
    scoped(strbuf_done) struct strbuf line = {0};

    strbuf_printf(&line, "sevirctl: %s", kind);
    ctl_clean(&line, text);
    strbuf_printf(&line, "%s\n", end);
    fflush(stdout);
    fputs(strbuf_text(&line), stderr);
}

enum ctl_exit ctl_fail(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    scoped(free) char *text = format(fmt, ap);
    va_end(ap);
    complain("", text, "");
    return CTL_FAILED;
}

enum ctl_exit ctl_fail_err(const struct err *err)
{
    complain("", err->text, "");
    return err->rc == RC_TIMEOUT ? CTL_TIMED_OUT : CTL_FAILED;
}

enum ctl_exit ctl_misuse(const char *command, const char *fmt, ...)
{
    scoped(free) char *see = command != NULL ? str_printf("; see 'sevirctl help %s'", command)
                                             : str_dup("; see 'sevirctl help'");
    va_list ap;

    va_start(ap, fmt);
    scoped(free) char *text = format(fmt, ap);
    va_end(ap);
    complain("", text, see);
    return CTL_USAGE;
}

void ctl_warn(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    scoped(free) char *text = format(fmt, ap);
    va_end(ap);
    complain("warning: ", text, "");
}
