/** @file
 * inspect: the datasets of an HDF5 file, from its metadata alone.
 */
#include <inttypes.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_run.h"
#include "lib/base/mem.h"

/** "851x384x384x49"; "scalar". */
static void write_shape(const struct layout_dataset *dataset, struct strbuf *out)
{
    for (unsigned axis = 0; axis < dataset->rank; axis++) {
        strbuf_printf(out, "%s%" PRIu64, axis > 0 ? "x" : "", dataset->dims[axis]);
    }
    if (dataset->rank == 0) {
        strbuf_puts(out, "scalar");
    }
}

static void print_datasets(const struct ctl *ctl, const struct layout *layout)
{
    scoped(ctl_table_free) struct ctl_table *table =
        ctl_table_new("DATASET|DTYPE|SHAPE|>STORED|STORAGE");

    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];
        scoped(strbuf_done) struct strbuf shape = {0}, storage = {0};
        char bytes[24];
        write_shape(dataset, &shape);
        layout_describe(dataset, &storage);
        ctl_table_cell(table, dataset->name);
        ctl_table_cell(table, dataset->dtype.text);
        ctl_table_cell(table, strbuf_text(&shape));
        ctl_table_cell(table, str_from_bytes(dataset->size, bytes));
        ctl_table_cell(table, strbuf_text(&storage));
    }
    ctl_table_print(ctl, table);
}

static void add_attrs(struct ctl_table *table, const char *of, const struct layout_attr *attrs,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ctl_table_cell(table, of);
        ctl_table_cell(table, attrs[i].name);
        ctl_table_cell(table, attrs[i].dtype);
        ctl_table_cell(table, attrs[i].value);
    }
}

static void print_attrs(const struct ctl *ctl, const struct layout *layout)
{
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("OF|ATTRIBUTE|DTYPE|VALUE");
    uint32_t count = layout->attr_count;

    add_attrs(table, "/", layout->attrs, layout->attr_count);
    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];
        add_attrs(table, dataset->name, dataset->attrs, dataset->attr_count);
        count += dataset->attr_count;
    }
    if (count > 0) {
        ctl_say(ctl, "\n");
        ctl_table_print(ctl, table);
    }
}

static void print_layout(const struct ctl *ctl, const char *uri, const struct layout *layout)
{
    char bytes[24];

    ctl_say(ctl, "%s: %s, %" PRIu32 " dataset%s\n\n", uri, str_from_bytes(layout->file_size, bytes),
            layout->dataset_count, layout->dataset_count == 1 ? "" : "s");
    print_datasets(ctl, layout);
    print_attrs(ctl, layout);
    if (layout->skipped > 0) {
        ctl_warn("%" PRIu32 " link%s not followed: soft, to another file, in a circle, or broken",
                 layout->skipped, layout->skipped == 1 ? " is" : "s are");
    }
}

static enum ctl_exit run_inspect(struct ctl *ctl, const struct ctl_args *args)
{
    const char *uri = args->words[0];
    scoped(ctl_run_free) struct ctl_run *run = ctl_run_new(ctl, args);
    scoped(ctl_object_done) struct ctl_object object = {0};
    scoped(layout_free) struct layout *layout = NULL;
    struct err err;

    if (ctl_run_open(run, uri, &object, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    if (ctl_run_layout(run, &object, &layout, &err) != RC_OK) {
        err_wrap(&err, "'%s'", uri);
        return ctl_fail_err(&err);
    }
    if (ctl->json) {
        scoped(strbuf_done) struct strbuf document = {0};
        layout_json(layout, &document);
        strbuf_putc(&document, '\n');
        ctl_write(document.data, document.len);
    } else {
        print_layout(ctl, uri, layout);
    }
    return CTL_DONE;
}

static const struct ctl_option options[] = {CTL_S3_OPTIONS, {NULL}};

const struct ctl_command ctl_cmd_inspect = {
    .name = "inspect",
    .arguments = "URI",
    .summary = "show the datasets of an HDF5 file and where their bytes lie",
    .help = "Only metadata is read, in a jailed helper: a broken or crafted file is an error\n"
            "message.",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .local = true,
    .run = run_inspect,
};
