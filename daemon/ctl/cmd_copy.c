/** @file
 * copy: the files that a selection needs, from one store to another.
 */
#include <uthash.h>

#include "daemon/ctl/ctl_transfer.h"
#include "lib/base/mem.h"

/** SEVIR's own bucket keeps its files under this prefix, which the catalog does not write. */
#define DATA "data/"

struct file {
    char *name;
    UT_hash_handle hh;
};

struct needed {
    struct selection selection;
    struct file *files; /**< In the order of the catalog. */
    uint64_t rows;
};

static void needed_done(struct needed *needed)
{
    struct file *file, *next;

    HASH_ITER(hh, needed->files, file, next)
    {
        HASH_DEL(needed->files, file);
        free(file->name);
        free(file);
    }
    selection_done(&needed->selection);
}

static void needed_done_ptr(struct needed *needed)
{
    needed_done(needed);
}

static enum rc need_row(const struct catalog_row *row, void *arg, bool *ret_stop, struct err *err)
{
    struct needed *needed = arg;
    struct file *file;

    (void)err;
    if (!selection_matches(&needed->selection, row)) {
        return RC_OK;
    }
    HASH_FIND_STR(needed->files, row->file_name, file);
    if (file == NULL) {
        file = mem_new(struct file);
        file->name = str_dup(row->file_name);
        HASH_ADD_KEYPTR(hh, needed->files, file->name, strlen(file->name), file);
    }
    needed->rows++;
    *ret_stop = needed->rows == needed->selection.limit;
    return RC_OK;
}

/** The source has the file below data/, or as the catalog says. */
static void add_file(struct ctl_transfer *transfer, const char *name)
{
    scoped(free) char *below = str_printf(DATA "%s", name);

    ctl_transfer_add(transfer, below, below)->second = str_dup(name);
}

static enum ctl_exit copy_files(struct ctl_transfer *transfer, const struct needed *needed,
                                bool dry_run)
{
    if (needed->files == NULL) {
        ctl_warn("no row of the catalog matches");
    }
    for (struct file *file = needed->files; file != NULL; file = file->hh.next) {
        add_file(transfer, file->name);
    }
    ctl_transfer_plan(transfer);
    if (dry_run) {
        return ctl_transfer_show(transfer);
    }
    ctl_transfer_run(transfer);
    return ctl_transfer_report(transfer);
}

static enum ctl_exit run_copy(struct ctl *ctl, const struct ctl_args *args)
{
    scoped(ctl_transfer_done) struct ctl_transfer transfer = {
        .ctl = ctl, .done_word = "copied", .skip_present = true};
    scoped(needed_done) struct needed needed = {0};
    const char *catalog = ctl_value(args, "catalog");
    struct err err;

    if (catalog == NULL) {
        return ctl_misuse("copy", "--catalog is missing");
    }
    if (ctl_selection(args, &needed.selection, &err) != RC_OK) {
        return ctl_misuse("copy", "--%s", err.text);
    }
    if (ctl_run_uri(args->words[1], &transfer.to_uri, &err) != RC_OK) {
        return err.rc == RC_INVALID ? ctl_misuse("copy", "%s", err.text) : ctl_fail_err(&err);
    }
    transfer.run = ctl_run_new(ctl, args);
    if (ctl_run_source(transfer.run, args->words[0], &err) != RC_OK ||
        ctl_run_open_store(transfer.run, args->words[0], &transfer.from, &err) != RC_OK ||
        ctl_run_catalog(transfer.run, catalog, need_row, &needed, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    if (ctl_transfer_open_target(&transfer, &err) != RC_OK ||
        ctl_run_check(transfer.run, transfer.from, &err) != RC_OK ||
        (transfer.to != NULL && ctl_run_check(transfer.run, transfer.to, &err) != RC_OK)) {
        return ctl_fail_err(&err);
    }
    return copy_files(&transfer, &needed, ctl_flag(args, "dry-run"));
}

static const struct ctl_option options[] = {
    {"catalog", 0, "URI", "the CATALOG.csv that says which files have the events"},
    {"dry-run", 0, NULL, "only show what would be copied"},
    CTL_SELECTION_OPTIONS,
    CTL_S3_OPTIONS,
    {"source-region", 0, "R", "of SRC, where it is another S3 than DST's: its region"},
    {"source-endpoint-url", 0, "URL", "its server"},
    {"source-profile", 0, "NAME", "its profile"},
    {"source-no-sign-request", 0, NULL, "it is read unsigned"},
    {NULL}};

const struct ctl_command ctl_cmd_copy = {
    .name = "copy",
    .arguments = "SRC DST",
    .summary = "copy the files that a selection needs from one store to another",
    .help = "Each file that a matching row names is copied once, under the key that it has in SRC\n"
            "(with 'data/' before it, or without). A file that is complete in DST already is left\n"
            "out, so a copy that was interrupted goes on where it was. Files that SRC lacks are\n"
            "named at the end; the others are copied all the same.\n"
            "Between buckets S3 itself copies, in parts above 5 GB. With a --source-* option the\n"
            "two are different S3s, and the bytes pass through here, a few parts at a time. What\n"
            "was copied of a large file is not copied again, if SRC has the same still, and the\n"
            "note of it in ~/.cache/sevird/transfers is there.",
    .options = options,
    .min_words = 2,
    .max_words = 2,
    .local = true,
    .run = run_copy,
};
