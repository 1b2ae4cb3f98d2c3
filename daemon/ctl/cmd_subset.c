/** @file
 * subset: small HDF5 files with just the selected events, and the catalog that goes with them.
 *
 * Rows of the catalog are gathered by file; each file is then read by the ranges of its events, one
 * event at a time, and written in SEVIR's layout under the name that the catalog has for it. The
 * new CATALOG.csv counts rows anew, so that the folder is a raw store of its own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_h5.h"
#include "daemon/ctl/h5_writer.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

#define ID_MAX 64u /**< As naming_id_ok() has it. */

struct subsetting {
    struct ctl *ctl;
    const char *source, *out;
    struct ctl_run *run;
    struct selection selection;
    struct arena *arena;
    struct catalog_row *rows; /**< Selected; by file, then by file_index. */
    size_t count, room;
    struct store *store;       /**< The source when it is a folder. */
    struct ctl_object *single; /**< The source when it is one file; taken by the first use. */
    struct strbuf catalog;     /**< The new one. */
    json_t *files, *missing;
    uint64_t events_done, bytes;
    struct ctl_progress *progress;
};

/* ---- what to take -------------------------------------------------------------------------- */

static enum rc gather_row(const struct catalog_row *row, void *arg, bool *ret_stop, struct err *err)
{
    struct subsetting *subset = arg;

    (void)err;
    if (!selection_matches(&subset->selection, row)) {
        return RC_OK;
    }
    if (subset->single != NULL &&
        strcmp(str_basename(row->file_name), str_basename(subset->single->key)) != 0) {
        return RC_OK;
    }
    if (subset->count == subset->room) {
        subset->room = subset->room > 0 ? 2 * subset->room : 64;
        subset->rows = mem_resize(subset->rows, subset->room, sizeof(*subset->rows));
    }
    subset->rows[subset->count++] = catalog_row_copy(row, subset->arena);
    *ret_stop = subset->count == subset->selection.limit;
    return RC_OK;
}

static int compare_rows(const void *a, const void *b)
{
    const struct catalog_row *x = a, *y = b;
    int order = strcmp(x->file_name, y->file_name);

    if (order == 0) {
        order = (x->file_index > y->file_index) - (x->file_index < y->file_index);
    }
    return order != 0 ? order : strcmp(x->id, y->id);
}

/** A catalog may say the same twice. */
static void drop_repeated(struct subsetting *subset)
{
    size_t kept = 0;

    for (size_t i = 0; i < subset->count; i++) {
        if (kept == 0 || compare_rows(&subset->rows[kept - 1], &subset->rows[i]) != 0) {
            subset->rows[kept++] = subset->rows[i];
        }
    }
    subset->count = kept;
}

/* ---- where it lies ------------------------------------------------------------------------- */

/** In a folder a file lies under its catalog's name, or "data/" and that, or the end of it. */
static enum rc find_file(struct subsetting *subset, const char *file_name,
                         struct ctl_object *ret_object, struct err *err)
{
    scoped(free) char *with_data = str_printf("data/%s", file_name);
    enum rc rc;

    if (subset->single != NULL) {
        *ret_object = *subset->single;
        ret_object->key = str_dup(subset->single->key);
        ret_object->etag = str_dup(subset->single->etag);
        ret_object->owns_store = false;
        return RC_OK;
    }
    rc = ctl_run_head(subset->run, subset->store, with_data, ret_object, err);
    /* In a bucket, who may not list is denied what is not there. */
    for (const char *name = file_name; (rc == RC_NOT_FOUND || rc == RC_DENIED) && name != NULL;) {
        rc = ctl_run_head(subset->run, subset->store, name, ret_object, err);
        name = strchr(name, '/');
        name += name != NULL;
    }
    return rc;
}

/* ---- writing ------------------------------------------------------------------------------- */

/** The row's events in the source, checked against its own ids. */
static enum rc check_row(struct subsetting *subset, struct ctl_h5 *file,
                         const struct catalog_row *row, struct err *err)
{
    const char *id;

    if ((uint64_t)row->file_index >= ctl_h5_count(file)) {
        return err_set(err, RC_INVALID,
                       "event '%s': the catalog says row %" PRId64 ", the file has %" PRIu64,
                       row->id, row->file_index, ctl_h5_count(file));
    }
    if (ctl_h5_id(subset->run, file, (uint64_t)row->file_index, &id, err) != RC_OK) {
        return err->rc;
    }
    if (id != NULL && strcmp(id, row->id) != 0) {
        return err_set(err, RC_INVALID,
                       "row %" PRId64 " is event '%.64s', the catalog says '%s'; is it the catalog "
                       "of this file?",
                       row->file_index, id, row->id);
    }
    return RC_OK;
}

static void tell_progress(struct subsetting *subset, const char *file_name)
{
    subset->events_done++;
    ctl_progress_set(subset->progress, str_basename(file_name), subset->events_done, subset->count);
}

static enum rc copy_raster(struct subsetting *subset, struct ctl_h5 *file,
                           const struct catalog_row *rows, size_t count, struct h5_writer *writer,
                           struct err *err)
{
    const struct layout_dataset *data = file->data;
    uint64_t dims[] = {count, data->dims[1], data->dims[2], data->dims[3]};
    scoped(free) const char **ids = mem_resize(NULL, count, sizeof(*ids));
    size_t width = file->ids != NULL ? MIN_OF(file->ids->dtype.size, ID_MAX) : 1;
    enum sample sample;

    if (sample_of(&data->dtype, &sample, err) != RC_OK ||
        h5_writer_begin(writer, data->name, sample, 4, dims, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < count; i++) {
        scoped(h5_slab_free) struct h5_slab *slab = NULL;
        const uint8_t *bytes;
        ids[i] = rows[i].id;
        width = MAX_OF(width, strlen(rows[i].id));
        if (check_row(subset, file, &rows[i], err) != RC_OK ||
            ctl_run_rows(subset->run, &file->object, file->layout, data,
                         (uint64_t)rows[i].file_index, 1, &slab, &bytes, err) != RC_OK ||
            h5_writer_rows(writer, i, 1, bytes, err) != RC_OK) {
            return err->rc;
        }
        tell_progress(subset, rows[i].file_name);
    }
    return h5_writer_strings(writer, "id", ids, count, width, err);
}

static enum rc copy_flashes(struct subsetting *subset, struct ctl_h5 *file,
                            const struct catalog_row *rows, size_t count, struct h5_writer *writer,
                            struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct layout_dataset *flashes = ctl_h5_flashes(file, rows[i].id);
        scoped(h5_slab_free) struct h5_slab *slab = NULL;
        const uint8_t *bytes = NULL;
        enum sample sample;
        if (flashes == NULL) {
            return err_set(err, RC_INVALID, "there is no table of flashes '%s'", rows[i].id);
        }
        if (sample_of(&flashes->dtype, &sample, err) != RC_OK ||
            h5_writer_begin(writer, rows[i].id, sample, 2, flashes->dims, err) != RC_OK) {
            return err->rc;
        }
        if (flashes->dims[0] > 0 &&
            (ctl_run_rows(subset->run, &file->object, file->layout, flashes, 0, flashes->dims[0],
                          &slab, &bytes, err) != RC_OK ||
             h5_writer_rows(writer, 0, flashes->dims[0], bytes, err) != RC_OK)) {
            return err->rc;
        }
        tell_progress(subset, rows[i].file_name);
    }
    return RC_OK;
}

static void record(struct subsetting *subset, const struct catalog_row *rows, size_t count,
                   const char *path, uint64_t bytes)
{
    char size[24];

    for (size_t i = 0; i < count; i++) {
        struct catalog_row row = rows[i];
        row.file_index = row.img_type == SEVIR_LGHT ? 0 : (int64_t)i;
        catalog_row_write(&row, &subset->catalog);
    }
    subset->bytes += bytes;
    json_array_append_new(subset->files,
                          json_pack("{s:s, s:s, s:I, s:I}", "file_name", rows[0].file_name, "path",
                                    path, "events", (json_int_t)count, "bytes", (json_int_t)bytes));
    ctl_say(subset->ctl, "%s: %zu event%s, %s\n", path, count, count == 1 ? "" : "s",
            str_from_bytes(bytes, size));
}

static enum rc refuse_same(const char *path, struct err *err)
{
    return err_set(err, RC_INVALID, "'%s' is what is read; choose another folder for -o", path);
}

static enum rc write_file(struct subsetting *subset, struct ctl_h5 *file,
                          const struct catalog_row *rows, size_t count, struct err *err)
{
    scoped(free) char *path = fs_join(subset->out, rows[0].file_name);
    scoped(free) char *folder = str_dup_n(path, (size_t)(strrchr(path, '/') - path));
    scoped(free) char *source = fs_join(store_bucket(file->object.store), file->object.key);
    scoped(h5_writer_free) struct h5_writer *writer = NULL;
    uint64_t bytes;

    if (file->object.store->uri->scheme == URI_FILE && ctl_run_is_same(path, source)) {
        return refuse_same(path, err);
    }
    if (fs_mkdirs(folder, 0777, err) != RC_OK || h5_writer_new(path, &writer, err) != RC_OK) {
        return err->rc;
    }
    if ((file->data != NULL ? copy_raster : copy_flashes)(subset, file, rows, count, writer, err) !=
            RC_OK ||
        h5_writer_finish(writer, &bytes, err) != RC_OK) {
        return err->rc;
    }
    record(subset, rows, count, path, bytes);
    return RC_OK;
}

/** All selected rows of one file. A file that is not there is told and passed over. */
static enum rc take_file(struct subsetting *subset, const struct catalog_row *rows, size_t count,
                         struct err *err)
{
    struct ctl_object object = {0};
    scoped(ctl_h5_done) struct ctl_h5 file = {0};
    const char *name = rows[0].file_name;
    enum rc rc = find_file(subset, name, &object, err);

    if (rc == RC_NOT_FOUND) {
        ctl_warn("'%s' is not under '%s'", name, subset->source);
        json_array_append_new(subset->missing, json_string(name));
        return RC_OK;
    }
    if (rc != RC_OK || ctl_h5_open(subset->run, &object, &file, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < count; i++) {
        if (file.type != rows[i].img_type) {
            return err_set(err, RC_INVALID, "'%s' holds %s, the catalog says %s", name,
                           sevir_type_name(file.type), sevir_type_name(rows[i].img_type));
        }
    }
    return write_file(subset, &file, rows, count, err) == RC_OK ? RC_OK
                                                                : err_wrap(err, "'%s'", name);
}

static enum rc take_files(struct subsetting *subset, struct err *err)
{
    enum rc rc = RC_OK;

    for (size_t from = 0, to; from < subset->count && rc == RC_OK; from = to) {
        const struct catalog_row *rows = subset->rows;
        for (to = from + 1; to < subset->count; to++) {
            if (strcmp(rows[to].file_name, rows[from].file_name) != 0) {
                break;
            }
        }
        rc = take_file(subset, rows + from, to - from, err);
    }
    return rc;
}

/* ---- the command --------------------------------------------------------------------------- */

/** In a bucket nothing but a look tells an object from what lies under a prefix. */
static enum rc open_source(struct subsetting *subset, struct ctl_object *single, struct err *err)
{
    const bool s3 = ctl_run_is_s3(subset->source);
    enum rc rc = RC_NOT_FOUND;

    if (s3 ? strchr(subset->source + 5, '/') != NULL && !str_ends(subset->source, "/")
           : !ctl_run_is_folder(subset->source)) {
        rc = ctl_run_open(subset->run, subset->source, single, err);
        subset->single = rc == RC_OK ? single : NULL;
        if (rc == RC_OK || !s3 || rc != RC_NOT_FOUND) {
            return rc;
        }
    }
    return ctl_run_open_store(subset->run, subset->source, &subset->store, err) == RC_OK
               ? ctl_run_check(subset->run, subset->store, err)
               : err->rc;
}

static enum rc gather(struct subsetting *subset, const char *catalog, struct err *err)
{
    if (ctl_run_catalog(subset->run, catalog, gather_row, subset, err) != RC_OK) {
        return err->rc;
    }
    if (subset->count == 0) {
        return err_set(err, RC_NOT_FOUND, "no row of the catalog matches%s",
                       subset->single != NULL ? " that is of this file" : "");
    }
    qsort(subset->rows, subset->count, sizeof(*subset->rows), compare_rows);
    drop_repeated(subset);
    return RC_OK;
}

static enum ctl_exit finish(struct subsetting *subset)
{
    size_t missing = json_array_size(subset->missing), files = json_array_size(subset->files);

    if (subset->ctl->json) {
        json_t *document = json_pack("{s:O, s:O, s:I}", "files", subset->files, "missing",
                                     subset->missing, "bytes", (json_int_t)subset->bytes);
        ctl_json(subset->ctl, document);
        json_decref(document);
    }
    if (missing > 0) {
        return ctl_fail("%zu of %zu files are missing", missing, missing + files);
    }
    return CTL_DONE;
}

static enum ctl_exit make_subset(struct subsetting *subset, const char *catalog,
                                 struct ctl_object *single)
{
    struct err err;

    scoped(free) char *new_catalog = fs_join(subset->out, "CATALOG.csv");

    catalog_row_write_header(&subset->catalog);
    if (ctl_run_is_same(new_catalog, catalog)) {
        refuse_same(catalog, &err);
        return ctl_fail_err(&err);
    }
    if (open_source(subset, single, &err) != RC_OK || gather(subset, catalog, &err) != RC_OK ||
        fs_mkdirs(subset->out, 0777, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    subset->progress = ctl_progress_new(subset->ctl, CTL_COUNT);
    ctl_progress_set(subset->progress, "events", 0, subset->count);
    enum rc rc = take_files(subset, &err);
    ctl_progress_free(subset->progress);
    if (rc != RC_OK || fs_write_file(new_catalog, subset->catalog.data, subset->catalog.len, 0644,
                                     &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    return finish(subset);
}

static void done(struct subsetting *subset, struct ctl_object *single)
{
    json_decref(subset->files);
    json_decref(subset->missing);
    free(subset->rows);
    strbuf_done(&subset->catalog);
    ctl_object_done(single);
    store_free(subset->store);
    arena_free(subset->arena);
    ctl_run_free(subset->run);
}

static enum ctl_exit run_subset(struct ctl *ctl, const struct ctl_args *args)
{
    const char *catalog = ctl_value(args, "catalog");
    struct ctl_object single = {0};
    struct subsetting subset = {
        .ctl = ctl, .source = args->words[0], .out = ctl_value(args, "output")};
    enum ctl_exit code;
    struct err err;

    if (catalog == NULL || subset.out == NULL) {
        return ctl_misuse("subset", "%s is missing", catalog == NULL ? "--catalog" : "-o DIR");
    }
    if (ctl_selection(args, &subset.selection, &err) != RC_OK) {
        code = ctl_misuse("subset", "--%s", err.text);
    } else {
        subset.run = ctl_run_new(ctl, args);
        subset.arena = arena_new();
        subset.files = json_array();
        subset.missing = json_array();
        code = make_subset(&subset, catalog, &single);
        done(&subset, &single);
    }
    selection_done(&subset.selection);
    return code;
}

static const struct ctl_option options[] = {
    {"catalog", 0, "URI", "the CATALOG.csv to read"},
    {"output", 'o', "DIR", "the folder to write to"},
    CTL_SELECTION_OPTIONS,
    CTL_S3_OPTIONS,
    {NULL},
};

const struct ctl_command ctl_cmd_subset = {
    .name = "subset",
    .arguments = "SRC",
    .summary = "write small HDF5 files with just the selected events",
    .help =
        "SRC is a folder, a bucket or a prefix of one that holds the catalog's files (as\n"
        "vil/2019/..., with or without data/ in front), or one of them. Only the bytes of the "
        "selected events are read. Files keep\n"
        "the names that the catalog has for them; the CATALOG.csv beside them counts their rows\n"
        "anew, so that DIR is a raw store of its own.",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .local = true,
    .run = run_subset,
};
