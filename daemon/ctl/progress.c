/** @file
 * A progress bar: one line on standard error, redrawn.
 */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define CELLS 24
#define REDRAW_MS 100

struct ctl_progress {
    bool draws, drawn;
    enum ctl_unit unit;
    int64_t began_ms, drawn_ms;
    uint64_t first; /**< What was done when the bar began: a resumed copy is not that fast. */
    bool has_first;
};

static unsigned bars; /**< At the moment; the first of them draws. */

struct ctl_progress *ctl_progress_new(const struct ctl *ctl, enum ctl_unit unit)
{
    struct ctl_progress *progress = mem_new(struct ctl_progress);

    *progress = (struct ctl_progress){
        .draws = ctl->progress && bars == 0, .unit = unit, .began_ms = now_mono_ms()};
    bars++;
    return progress;
}

/** "3 of 7 jobs, 0:05 left"; "3.0 MB of 7.0 MB, 1.0 MB/s, 0:04 left NAME". */
static void add_amounts(struct strbuf *line, const struct ctl_progress *progress, const char *label,
                        uint64_t done, uint64_t total, double seconds)
{
    char a[24], b[24], c[24];
    const double rate = seconds > 0.5 ? (double)(done - progress->first) / seconds : 0;

    if (progress->unit == CTL_BYTES) {
        strbuf_printf(line, " %s", str_from_bytes(done, a));
        if (total > 0) {
            strbuf_printf(line, " of %s", str_from_bytes(total, b));
        }
        if (rate > 0) {
            strbuf_printf(line, ", %s/s", str_from_bytes((uint64_t)rate, c));
        }
    } else if (total > 0) {
        strbuf_printf(line, " %llu of %llu", (unsigned long long)done, (unsigned long long)total);
    } else {
        strbuf_printf(line, " %llu", (unsigned long long)done);
    }
    if (label != NULL && progress->unit == CTL_COUNT) {
        strbuf_putc(line, ' ');
        ctl_clean(line, label);
    }
    if (rate > 0 && total > done) {
        const uint64_t left = (uint64_t)((double)(total - done) / rate);
        strbuf_printf(line, ", %llu:%02llu left", (unsigned long long)(left / 60),
                      (unsigned long long)(left % 60));
    }
    if (label != NULL && progress->unit == CTL_BYTES) {
        strbuf_putc(line, ' ');
        ctl_clean(line, label);
    }
}

/** Cut to the terminal's width, at a character's border. */
static void cut(struct strbuf *line)
{
    struct winsize size;
    const unsigned columns =
        ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u : 79;
    unsigned width = 0;

    for (size_t i = 0; i < line->len; i++) {
        width += (line->data[i] & 0xc0) != 0x80;
        if (width > columns) {
            line->len = i;
            line->data[i] = '\0';
        }
    }
}

void ctl_progress_set(struct ctl_progress *progress, const char *label, uint64_t done,
                      uint64_t total)
{
    scoped(strbuf_done) struct strbuf line = {0};
    const int64_t now_ms = now_mono_ms();

    if (!progress->has_first) {
        progress->has_first = true;
        progress->first = done;
    }
    if (!progress->draws ||
        (progress->drawn && now_ms - progress->drawn_ms < REDRAW_MS && done != total)) {
        return;
    }
    done = MAX_OF(done, progress->first);
    if (total > 0) {
        const unsigned full = (unsigned)((double)MIN_OF(done, total) / (double)total * CELLS);
        strbuf_putc(&line, '[');
        for (unsigned i = 0; i < CELLS; i++) {
            strbuf_putc(&line, i < full ? '#' : '.');
        }
        strbuf_putc(&line, ']');
    }
    add_amounts(&line, progress, label, done, total, (double)(now_ms - progress->began_ms) / 1000);
    cut(&line);
    fprintf(stderr, "\r%s\033[K", strbuf_text(&line));
    fflush(stderr);
    progress->drawn = true;
    progress->drawn_ms = now_ms;
}

void ctl_progress_free(struct ctl_progress *progress)
{
    if (progress == NULL) {
        return;
    }
    bars--;
    if (progress->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    free(progress);
}
