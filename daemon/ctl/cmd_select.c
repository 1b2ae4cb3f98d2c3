/** @file
 * select: the rows of a catalog that a selection keeps.
 */
#include <inttypes.h>
#include <limits.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_run.h"
#include "lib/base/now.h"

struct selecting {
    struct selection selection;
    bool json;
    uint64_t kept;
    struct strbuf out;
};

static void write_csv(const struct catalog_row *row, const char *time, struct strbuf *out)
{
    strbuf_csv(out, row->file_name, strlen(row->file_name));
    strbuf_printf(out, ",%" PRId64 ",", row->file_index);
    strbuf_csv(out, row->id, strlen(row->id));
    strbuf_printf(out, ",%s,%s,", sevir_type_name(row->img_type), time);
    strbuf_csv(out, row->event_type, strlen(row->event_type));
    strbuf_putc(out, '\n');
}

static void write_json(const struct catalog_row *row, const char *time, struct strbuf *out)
{
    strbuf_puts(out, out->len > 1 ? ",\n{\"file_name\":" : "{\"file_name\":");
    strbuf_json(out, row->file_name);
    strbuf_printf(out, ",\"file_index\":%" PRId64 ",\"id\":\"%s\",\"img_type\":\"%s\",",
                  row->file_index, row->id, sevir_type_name(row->img_type));
    strbuf_printf(out, "\"time_utc\":\"%s\",\"event_type\":", time);
    strbuf_json(out, row->event_type);
    strbuf_putc(out, '}');
}

static enum rc keep_row(const struct catalog_row *row, void *arg, bool *ret_stop, struct err *err)
{
    struct selecting *selecting = arg;
    char time[NOW_TEXT];

    (void)err;
    if (!selection_matches(&selecting->selection, row)) {
        return RC_OK;
    }
    now_format_utc(row->time_utc, time);
    if (selecting->json) {
        write_json(row, time, &selecting->out);
    } else {
        write_csv(row, time, &selecting->out);
    }
    selecting->kept++;
    *ret_stop = selecting->kept == selecting->selection.limit;
    return RC_OK;
}

/** Nothing is printed of a catalog that turns out to be broken further down. */
static enum ctl_exit select_rows(const struct ctl *ctl, const struct ctl_args *args,
                                 struct selecting *selecting)
{
    scoped(ctl_run_free) struct ctl_run *run = ctl_run_new(ctl, args);
    struct err err;

    strbuf_puts(&selecting->out,
                selecting->json ? "[" : "file_name,file_index,id,img_type,time_utc,event_type\n");
    if (ctl_run_catalog(run, ctl_value(args, "catalog"), keep_row, selecting, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    strbuf_puts(&selecting->out, selecting->json ? "]\n" : "");
    ctl_write(selecting->out.data, selecting->out.len);
    return CTL_DONE;
}

static enum ctl_exit run_select(struct ctl *ctl, const struct ctl_args *args)
{
    const char *catalog = ctl_value(args, "catalog");
    struct selecting selecting = {.json = ctl->json};
    enum ctl_exit code;
    struct err err;

    if (catalog == NULL) {
        return ctl_misuse("select", "--catalog is missing");
    }
    if (ctl_selection(args, &selecting.selection, &err) != RC_OK) {
        code = ctl_misuse("select", "--%s", err.text);
    } else {
        code = select_rows(ctl, args, &selecting);
    }
    selection_done(&selecting.selection);
    strbuf_done(&selecting.out);
    return code;
}

static const struct ctl_option options[] = {{"catalog", 0, "URI", "the CATALOG.csv to read"},
                                            CTL_SELECTION_OPTIONS,
                                            CTL_S3_OPTIONS,
                                            {NULL}};

const struct ctl_command ctl_cmd_select = {
    .name = "select",
    .arguments = "",
    .summary = "print the catalog rows that match, as CSV",
    .help = "Conditions of different kinds must all hold; one that is repeated widens. Columns:\n"
            "file_name,file_index,id,img_type,time_utc,event_type, in the catalog's order. With\n"
            "--json, an array of objects. A catalog that a spreadsheet has saved is refused, with\n"
            "the line and column that show it.",
    .options = options,
    .max_words = 0,
    .local = true,
    .run = run_select,
};
