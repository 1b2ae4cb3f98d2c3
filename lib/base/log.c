/* Messages carry keys and texts from outside, so what would move a terminal's cursor, forge a line
 * or hide text is escaped before it goes anywhere. */
#include "lib/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/base/log_p.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

enum { SINK_PLAIN = 0, SINK_COLOR, SINK_JOURNAL };

static const char *const tag_texts[LOG_TAG_COUNT] = {
#define X(name, text) [LOG_##name] = text,
    LOG_TAG_MAP(X)
#undef X
};

static const struct {
    const char *name, *color, *prefix;
} levels[] = {
    [LOG_ERROR] = {"error", "\x1b[1;31m", "error: "},
    [LOG_WARN] = {"warn", "\x1b[33m", "warning: "},
    [LOG_NOTE] = {"note", "\x1b[1m", ""},
    [LOG_INFO] = {"info", "", ""},
    [LOG_DEBUG] = {"debug", "\x1b[2m", ""},
};

/* Set at the start and by a reload, read by any thread. */
static int lowest_level = LOG_INFO;
static int sink = SINK_PLAIN;

static bool stderr_has_colors(void)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

    return isatty(STDERR_FILENO) && (no_color == NULL || no_color[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

void log_start(enum log_level lowest)
{
    int chosen = stderr_has_colors() ? SINK_COLOR : SINK_PLAIN;

    if (journal_is_stderr()) {
        chosen = SINK_JOURNAL;
    }
    __atomic_store_n(&sink, chosen, __ATOMIC_RELAXED);
    log_set_level(lowest);
}

void log_set_level(enum log_level lowest)
{
    __atomic_store_n(&lowest_level, (int)lowest, __ATOMIC_RELAXED);
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void write_line(enum log_level level, enum log_tag tag, bool color, const char *message)
{
    scoped(strbuf_done) struct strbuf out = {0};
    const char *p;
    size_t left;
    char time[NOW_TEXT];

    now_format_iso_ms(now_wall_ms(), time);
    if (color) {
        strbuf_printf(&out, "\x1b[2m%s\x1b[0m %s[%-6s] %s%s\x1b[0m\n", time, levels[level].color,
                      tag_texts[tag], levels[level].prefix, message);
    } else {
        strbuf_printf(&out, "%s [%-6s] %s%s\n", time, tag_texts[tag], levels[level].prefix,
                      message);
    }
    for (p = out.data, left = out.len; left > 0;) { /* One call, unless a pipe is nearly full. */
        ssize_t written = write(STDERR_FILENO, p, left);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) { /* Nowhere to complain. */
            return;
        }
        p += written;
        left -= (size_t)written;
    }
}

void log_write(enum log_level level, enum log_tag tag, const struct log_fields *fields,
               const char *file, int line, const char *fmt, ...)
{
    scoped(strbuf_done) struct strbuf message = {0};
    scoped(free) char *raw = NULL;
    int failure = errno; /* Logging disturbs nothing. */
    va_list args;
    int to;

    if ((int)level > __atomic_load_n(&lowest_level, __ATOMIC_RELAXED)) {
        return;
    }
    va_start(args, fmt);
    if (vasprintf(&raw, fmt, args) < 0) {
        abort();
    }
    va_end(args);
    strbuf_printable(&message, raw);
    to = __atomic_load_n(&sink, __ATOMIC_RELAXED);
    if (to != SINK_JOURNAL ||
        !journal_write((int)level, tag_texts[tag], fields != NULL ? fields->items : NULL,
                       fields != NULL ? fields->count : 0, file, line, strbuf_text(&message))) {
        write_line(level, tag, to == SINK_COLOR, strbuf_text(&message));
    }
    errno = failure;
}
