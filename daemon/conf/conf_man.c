/** @file
 * sevird.json(5), from the options.
 */
#include <string.h>

#include "daemon/conf/conf_p.h"

static const char head[] =
    ".TH SEVIRD.JSON 5 \"\" \"sevird " SEVIRD_VERSION "\" \"File Formats\"\n"
    ".SH NAME\n"
    "sevird.json \\- the configuration of sevird\n"
    ".SH DESCRIPTION\n"
    "One JSON object. Every key has a default, so {} is a configuration. A key that is not listed "
    "here\n"
    "is an error that names the nearest one that is. Keys nest: \\fBretry.base\\fR is the key "
    "\\fBbase\\fR\n"
    "of the object \\fBretry\\fR. The key \\fB$schema\\fR is for editors.\n"
    ".PP\n"
    "Times are written \"500ms\", \"30s\", \"5m\", \"2h\", \"1d\", or as a number of seconds; "
    "sizes \"512MiB\",\n"
    "\"1GiB\", or as a number of bytes. \\fBsystemctl reload sevird\\fR reads the file again; what "
    "says\n"
    "(restart) needs a restart, and a reload that would change it is refused.\n"
    ".SH OPTIONS\n";

static const char tail[] = ".SH FILES\n"
                           ".TP\n.I /etc/sevird/sevird.json\nthe configuration\n"
                           ".TP\n.I /usr/share/sevird/sevird.schema.json\nits JSON Schema\n"
                           ".SH SEE ALSO\n"
                           ".BR sevird (8),\n"
                           ".BR sevirctl (1)\n";

/** Markdown's `code` becomes bold; the rest as roff takes it literally. */
static void add_text(struct strbuf *out, const char *text)
{
    bool bold = false;

    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '`') {
            bold = !bold;
            strbuf_puts(out, bold ? "\\fB" : "\\fR");
        } else if (*p == '-') {
            strbuf_puts(out, "\\-");
        } else if (*p == '\\') {
            strbuf_puts(out, "\\e");
        } else if (*p == '\'') {
            strbuf_puts(out, "\\(aq");
        } else {
            strbuf_putc(out, *p);
        }
    }
}

static void add_option(struct strbuf *out, const struct option *option)
{
    char choice[32];

    strbuf_printf(out, ".TP\n.B %s\n", option->path);
    add_text(out, option->doc);
    if (option->choices != NULL) {
        for (unsigned n = 0; option_choice(option->choices, n, choice); n++) {
            strbuf_printf(out, "%s\\fB%s\\fR", n > 0 ? ", " : "\nOne of ", choice);
        }
        strbuf_putc(out, '.');
    }
    if (option->kind != OPTION_SELECT) {
        strbuf_puts(out, "\nDefault: ");
        if (option->fallback == NULL) {
            strbuf_puts(out, "null");
        } else if (option->fallback[0] == '@') {
            strbuf_printf(out, "that of \\fB%s\\fR", option->fallback + 1);
        } else {
            add_text(out, option->fallback);
        }
        strbuf_puts(out, (option->flags & OPTION_RESTART) != 0 ? " (restart)." : ".");
    }
    strbuf_putc(out, '\n');
}

void conf_write_man(struct strbuf *out)
{
    strbuf_puts(out, head);
    for (unsigned i = 0; i < option_count; i++) {
        if (options[i].kind == OPTION_GROUP) {
            strbuf_printf(out, ".SS %s\n", options[i].path);
            add_text(out, options[i].doc);
            strbuf_putc(out, '\n');
        } else {
            add_option(out, &options[i]);
        }
    }
    strbuf_puts(out, tail);
}
