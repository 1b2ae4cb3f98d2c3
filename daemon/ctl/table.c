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
#define WIDTH_LEAST 8 /**< What a column that is cut keeps. */

/** In which order columns give way when a row is too long: of a number half is wrong. */
enum gives { GIVES_FIRST, GIVES_NEXT, GIVES_LAST };

struct ctl_table {
    unsigned columns;
    char *titles[COLUMNS_MAX];
    bool right[COLUMNS_MAX];
    enum gives gives[COLUMNS_MAX];
    char **cells;
    size_t count;
};

struct ctl_table *ctl_table_new(const char *titles)
{
    struct ctl_table *table = mem_new(struct ctl_table);

    for (const char *p = titles; p != NULL && table->columns < COLUMNS_MAX;) {
        const char *end = strchr(p, '|');
        const char mark = *p == '<' || *p == '=' || *p == '>' ? *p++ : '=';
        table->right[table->columns] = mark == '>';
        table->gives[table->columns] = mark == '>'   ? GIVES_LAST
                                       : mark == '<' ? GIVES_FIRST
                                                     : GIVES_NEXT;
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

/** The widest column of those that give by now, or `columns`. */
static unsigned widest_of(const struct ctl_table *table, const unsigned *widths, enum gives gives)
{
    unsigned widest = table->columns;

    for (unsigned i = 0; i < table->columns; i++) {
        if (table->gives[i] <= gives && widths[i] > WIDTH_LEAST &&
            (widest == table->columns || widths[i] > widths[widest])) {
            widest = i;
        }
    }
    return widest;
}

/** Take from the widest column until the row fits. */
static void fit(const struct ctl_table *table, unsigned *widths, unsigned columns)
{
    unsigned total = GAP * (table->columns - 1), gives = GIVES_FIRST;

    for (unsigned i = 0; i < table->columns; i++) {
        total += widths[i];
    }
    while (total > columns && gives <= GIVES_LAST) {
        const unsigned widest = widest_of(table, widths, gives);
        if (widest == table->columns) {
            gives++;
            continue;
        }
        widths[widest]--;
        total--;
    }
}

static const char *skip_characters(const char *text, unsigned count)
{
    for (; count > 0 && *text != '\0'; count--) {
        do {
            text++;
        } while ((*text & 0xc0) == 0x80);
    }
    return text;
}

/** A sentence loses its end. A key loses its middle: what differs is in front or, more often, at
 * the end. */
static void add_cut(struct strbuf *line, const char *text, unsigned full, unsigned width)
{
    const unsigned kept = width - 1;
    const unsigned head = strchr(text, ' ') != NULL ? kept : kept * 2 / 5;
    const char *end = skip_characters(text, head);

    strbuf_add(line, text, (size_t)(end - text));
    strbuf_puts(line, "\xe2\x80\xa6");
    strbuf_puts(line, skip_characters(text, full - (kept - head)));
}

static void add_spaces(struct strbuf *line, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        strbuf_putc(line, ' ');
    }
}

static void add_cell(struct strbuf *line, const char *text, unsigned width, bool right, bool last)
{
    const unsigned full = width_of(text), pad = full < width ? width - full : 0;

    add_spaces(line, right ? pad : 0);
    if (full > width) {
        add_cut(line, text, full, width);
    } else {
        strbuf_puts(line, text);
    }
    add_spaces(line, last ? 0 : (right ? 0 : pad) + GAP);
}

/** Nothing at the end of a line that cannot be seen. */
static void end_line(struct strbuf *text)
{
    while (text->len > 0 && text->data[text->len - 1] == ' ') {
        text->data[--text->len] = '\0';
    }
    strbuf_putc(text, '\n');
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
    end_line(&text);
    for (size_t i = 0; i < table->count; i++) {
        const unsigned column = (unsigned)(i % table->columns);
        const bool last = column + 1 == table->columns;
        add_cell(&text, table->cells[i], widths[column], table->right[column], last);
        if (last) {
            end_line(&text);
        }
    }
    ctl_write(strbuf_text(&text), text.len);
}
