/** @file
 * CSV files by type and month. What belongs to one file is found by sorting the rows' indices by
 * (type, year, month, index): equal runs are files.
 */
#include "daemon/etl/month_files.h"

#include "lib/base/mem.h"
#include "lib/base/now.h"

struct lines {
    char *text;
    size_t len;
    uint64_t count;
};

struct place {
    enum sevir_type type;
    int year, month;
    size_t index; /**< In etl->rows. */
};

struct file {
    char *key;
    struct strbuf bytes;
    struct job_output output;
};

struct month_files {
    struct etl *etl;
    enum job_output_kind kind;
    const char *header;
    month_key_fn *key;
    struct lines *lines;  /**< Beside etl->rows. */
    struct place *places; /**< Sorted. */
    struct file *files;
    size_t file_count;
    struct store_put *puts;
    store_done_fn *done;
    void *arg;
};

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;

    if (a->type != b->type) {
        return a->type < b->type ? -1 : 1;
    }
    if (a->year != b->year) {
        return a->year < b->year ? -1 : 1;
    }
    if (a->month != b->month) {
        return a->month < b->month ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static bool same_file(const struct place *a, const struct place *b)
{
    return a->type == b->type && a->year == b->year && a->month == b->month;
}

struct month_files *month_files_new(struct etl *etl, enum job_output_kind kind, const char *header,
                                    month_key_fn *key)
{
    struct month_files *files = mem_new(struct month_files);

    *files = (struct month_files){.etl = etl, .kind = kind, .header = header, .key = key};
    files->lines = mem_zeroed(etl->row_count * sizeof(*files->lines) + 1);
    files->places = mem_zeroed(etl->row_count * sizeof(*files->places) + 1);
    for (size_t i = 0; i < etl->row_count; i++) {
        const struct catalog_row *row = etl->rows[i].row;
        struct place *place = &files->places[i];

        *place = (struct place){.type = row->img_type, .index = i};
        now_civil(row->time_utc, &place->year, &place->month, NULL);
    }
    qsort(files->places, etl->row_count, sizeof(*files->places), compare_places);
    return files;
}

void month_files_free(struct month_files *files)
{
    if (files == NULL) {
        return;
    }
    for (size_t i = 0; i < files->etl->row_count; i++) {
        free(files->lines[i].text);
    }
    for (size_t i = 0; i < files->file_count; i++) {
        free(files->files[i].key);
        strbuf_done(&files->files[i].bytes);
    }
    free(files->lines);
    free(files->places);
    free(files->files);
    free(files->puts);
    free(files);
}

void month_files_plan(struct month_files *files)
{
    for (size_t i = 0; i < files->etl->row_count; i++) {
        const struct place *place = &files->places[i];

        if (i > 0 && same_file(place, &files->places[i - 1])) {
            continue;
        }
        files->files = mem_resize(files->files, files->file_count + 1, sizeof(*files->files));
        files->files[files->file_count++] = (struct file){
            .key = files->key(files->etl, place->type, place->year, place->month),
        };
        etl_plan(files->etl, files->files[files->file_count - 1].key);
    }
}

void month_files_add(struct month_files *files, size_t index, char *lines, size_t len,
                     uint64_t line_count)
{
    files->lines[index] = (struct lines){.text = lines, .len = len, .count = line_count};
}

/** On a worker. */
static void run_assemble(void *arg)
{
    struct month_files *files = arg;
    size_t at = 0;

    for (size_t f = 0; f < files->file_count; f++) {
        struct file *file = &files->files[f];
        uint64_t rows = 0;
        const size_t begin = at;

        strbuf_puts(&file->bytes, files->header);
        do {
            struct lines *lines = &files->lines[files->places[at].index];

            strbuf_add(&file->bytes, lines->text, lines->len);
            rows += lines->count;
            free(TAKE(lines->text));
            at++;
        } while (at < files->etl->row_count &&
                 same_file(&files->places[at], &files->places[begin]));
        file->output = (struct job_output){
            .key = file->key, .bytes = file->bytes.len, .rows = rows, .kind = files->kind};
        file->output.quotes = csv_quotes_of(file->bytes.data, file->bytes.len);
        digest_sha256(file->bytes.data, file->bytes.len, file->output.sha256);
    }
}

static void on_put(const struct err *err, void *arg)
{
    struct month_files *files = arg;
    uint64_t bytes = 0;

    for (size_t f = 0; f < files->file_count; f++) {
        strbuf_done(&files->files[f].bytes); /* large, and the manifest is to come */
    }
    for (size_t f = 0; err == NULL && f < files->file_count; f++) {
        etl_add_output(files->etl, &files->files[f].output);
        bytes += files->files[f].output.bytes;
    }
    if (err == NULL) {
        etl_count_put(files->etl, files->file_count, bytes);
    }
    files->done(err, files->arg);
}

static void on_assembled(void *arg, bool canceled)
{
    struct month_files *files = arg;

    (void)canceled;
    files->puts = mem_resize(NULL, files->file_count, sizeof(*files->puts));
    for (size_t f = 0; f < files->file_count; f++) {
        files->puts[f] = (struct store_put){
            .key = files->files[f].key,
            .bytes = files->files[f].bytes.data,
            .len = files->files[f].bytes.len,
            .content_type = "text/csv",
        };
    }
    store_put(files->etl->services->processed, files->puts, (unsigned)files->file_count, on_put,
              files);
}

void month_files_put(struct month_files *files, store_done_fn *done, void *arg)
{
    files->done = done;
    files->arg = arg;
    work_submit(files->etl->services->work, WORK_CPU, run_assemble, on_assembled, files);
}
