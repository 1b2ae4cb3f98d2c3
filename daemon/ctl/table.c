/** @file
 * Tables for people.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/ctl/ctl.h"
#include "lib/base/mem.h"

#define COLUMNS_MAX 64
#define GAP 2

struct ctl_table {
    unsigned columns;
    char *titles[COLUMNS_MAX];
    bool right[COLUMNS_MAX];
    char **cells;
    size_t count;
};

struct ctl_table *ctl_table_new(const char *titles)
{
    struct ctl_table *table = mem_new(struct ctl_table);

    for (const char *p = titles; p != NULL && table->columns < COLUMNS_MAX;) {
        const char *end = strchr(p, '|');
        const bool right = *p == '>';
        p += right ? 1 : 0;
        table->right[table->columns] = right;
        table->titles[table->columns++] =
            end != NULL ? str_dup_n(p, (size_t)(end - p)) : str_dup(p);
        p = end != NULL ? end + 1 : NULL;
    }
    return table;
}

void ctl_table_free(struct ctl_table *table)
{
    if (table == NULL) {
        return;
    }
    for (unsigned i = 0; i < table->columns; i++) {
        free(table->titles[i]);
    }
    for (size_t i = 0; i < table->count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    free(table);
}

void ctl_table_cell(struct ctl_table *table, const char *text)
{
    struct strbuf clean = {0};

    if ((table->count & (table->count - 1)) == 0) { /* doubles at every power of two */
        table->cells =
            mem_resize(table->cells, MAX_OF(2 * table->count, (size_t)2), sizeof(char *));
    }
    ctl_clean(&clean, text != NULL ? text : "");
    table->cells[table->count++] = strbuf_take(&clean);
}

void ctl_table_cellf(struct ctl_table *table, const char *fmt, ...)
{
    char *text;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    va_end(ap);
    ctl_table_cell(table, text);
    free(text);
}

/** Characters, not bytes. */
static unsigned width_of(const char *text)
{
    unsigned width = 0;

    for (; *text != '\0'; text++) {
        width += (*text & 0xc0) != 0x80;
    }
    return width;
}

static unsigned terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/** Take from the widest column until the row fits. */
static void fit(const struct ctl_table *table, unsigned *widths, unsigned columns)
{
    for (;;) {
        unsigned total = 0, widest = 0;

        for (unsigned i = 0; i < table->columns; i++) {
            total += widths[i] + (i + 1 < table->columns ? GAP : 0);
            widest = widths[i] > widths[widest] ? i : widest;
        }
        if (total <= columns || widths[widest] <= 8) {
            return;
        }
        widths[widest]--;
    }
}

static void add_cell(struct strbuf *line, const char *text, unsigned width, bool right, bool last)
{
    const unsigned full = width_of(text);
    size_t len = strlen(text);

    if (full > width) { /* the end of a key tells more than its beginning */
        unsigned skip = full - width + 1;
        for (; skip > 0; text++) {
            skip -= (text[1] & 0xc0) != 0x80;
        }
        strbuf_puts(line, "\xe2\x80\xa6");
        strbuf_puts(line, text);
        len = 0;
    }
    const unsigned pad = full < width ? width - full : 0;
    for (unsigned i = 0; right && i < pad; i++) {
        strbuf_putc(line, ' ');
    }
    strbuf_add(line, text, len);
    for (unsigned i = 0; !last && i < (right ? 0 : pad) + GAP; i++) {
        strbuf_putc(line, ' ');
    }
}

void ctl_table_print(const struct ctl *ctl, const struct ctl_table *table)
{
    unsigned widths[COLUMNS_MAX] = {0};
    scoped(strbuf_done) struct strbuf text = {0};

    for (unsigned i = 0; i < table->columns; i++) {
        widths[i] = width_of(table->titles[i]);
    }
    for (size_t i = 0; i < table->count; i++) {
        const unsigned width = width_of(table->cells[i]), column = (unsigned)(i % table->columns);
        widths[column] = MAX_OF(widths[column], width);
    }
    if (ctl->terminal) {
        fit(table, widths, terminal_columns());
    }
    for (unsigned i = 0; i < table->columns; i++) {
        add_cell(&text, table->titles[i], widths[i], table->right[i], i + 1 == table->columns);
    }
    strbuf_putc(&text, '\n');
    for (size_t i = 0; i < table->count; i++) {
        const unsigned column = (unsigned)(i % table->columns);
        const bool last = column + 1 == table->columns;
        add_cell(&text, table->cells[i], widths[column], table->right[column], last);
        if (last) {
            strbuf_putc(&text, '\n');
        }
    }
    ctl_write(strbuf_text(&text), text.len);
}
