/** @file
 * A plan: list the store, read its catalogs, then go through its objects as crawl and extraction
 * would (daemon/etl/frames.c, flashes.c, catalog_csv.c, table_csv.c decide in the same order).
 */
#include "daemon/ctl/ctl_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/sevir/naming.h"

enum object_kind { OBJECT_HDF5, OBJECT_CSV, OBJECT_CATALOG, OBJECT_OTHER };

struct plan_object {
    char *key;
    uint64_t size;
    enum object_kind kind;
};

struct plan_row {
    struct catalog_row row; /**< Strings in the arena. */
    unsigned catalog;
    size_t order; /**< As it was read. */
    bool hidden, selected;
};

struct planning {
    struct ctl_run *run;
    const struct ctl_plan_wish *wish;
    struct ctl_plan *plan;
    struct store *store;
    struct arena *arena;
    struct plan_object *objects;
    size_t object_count, object_cap;
    struct plan_row *rows;
    size_t row_count, row_cap;
    struct plan_row **by_file; /**< Rows that are shown, by (file_name, file_index, order). */
    size_t by_file_count;
    unsigned catalogs;
};

/* ---- listing ---- */

struct listing {
    struct planning *planning;
    bool more, over;
    struct err err;
};

static bool ends_like(const char *key, const char *const *suffixes)
{
    const size_t len = strlen(key);

    for (; *suffixes != NULL; suffixes++) {
        const size_t end = strlen(*suffixes);

        if (len >= end && strcasecmp(key + len - end, *suffixes) == 0) {
            return true;
        }
    }
    return false;
}

static enum object_kind kind_of(const char *key)
{
    static const char *const hdf5[] = {".h5", ".hdf5", ".hdf", ".he5", NULL};
    static const char *const csv[] = {".csv", ".csv.gz", ".tsv", ".tsv.gz", NULL};

    return ends_like(key, hdf5) ? OBJECT_HDF5 : ends_like(key, csv) ? OBJECT_CSV : OBJECT_OTHER;
}

static void on_listed(const struct store_object *objects, unsigned count, bool more,
                      const struct err *err, void *arg)
{
    struct listing *listing = arg;
    struct planning *p = listing->planning;

    for (unsigned i = 0; objects != NULL && i < count; i++) {
        if (p->object_count == p->object_cap) {
            p->object_cap = 2 * p->object_cap + 64;
            p->objects = mem_resize(p->objects, p->object_cap, sizeof(*p->objects));
        }
        p->objects[p->object_count++] =
            (struct plan_object){str_dup(objects[i].key), objects[i].size, kind_of(objects[i].key)};
        p->plan->listed++;
        p->plan->listed_bytes += objects[i].size;
    }
    if (err != NULL) {
        listing->err = *err;
    }
    listing->more = more && err == NULL;
    listing->over = true;
    loop_stop(ctl_run_loop(p->run));
}

static enum rc list_store(struct planning *p, struct err *err)
{
    struct listing listing = {.planning = p, .more = true};

    while (listing.more) {
        const char *after = p->object_count > 0 ? p->objects[p->object_count - 1].key : "";

        listing.over = false;
        store_list(p->store, "", after, STORE_LIST_MAX, on_listed, &listing);
        while (!listing.over) {
            loop_run(ctl_run_loop(p->run));
        }
        if (listing.err.rc != RC_OK) {
            *err = listing.err;
            return err->rc;
        }
    }
    return RC_OK;
}

/* ---- catalogs ---- */

static enum rc take_row(const struct catalog_row *row, void *arg, bool *ret_stop, struct err *err)
{
    struct planning *p = arg;

    (void)ret_stop, (void)err;
    if (p->row_count == p->row_cap) {
        p->row_cap = 2 * p->row_cap + 1024;
        p->rows = mem_resize(p->rows, p->row_cap, sizeof(*p->rows));
    }
    p->rows[p->row_count] = (struct plan_row){
        .row = catalog_row_copy(row, p->arena), .catalog = p->catalogs, .order = p->row_count};
    p->row_count++;
    return RC_OK;
}

static char *uri_of(const struct planning *p, const char *key)
{
    const char *root = p->wish->raw_uri;

    return str_printf("%s%s%s", root, str_ends(root, "/") ? "" : "/", key);
}

static void note_problem(struct planning *p, const char *key, const char *why)
{
    p->plan->problem_count++;
    strbuf_printf(&p->plan->problems, "%s: %s\n", key, why);
}

static enum rc take_none(const struct catalog_row *row, void *arg, bool *ret_stop, struct err *err)
{
    (void)row, (void)arg, (void)err;
    *ret_stop = true;
    return RC_OK;
}

/** The catalog that was named is as if it were the only one. */
static enum rc read_given(struct planning *p, struct err *err)
{
    struct err ignored;

    for (size_t i = 0; i < p->object_count; i++) {
        scoped(free) char *uri = uri_of(p, p->objects[i].key);

        if (p->objects[i].kind == OBJECT_CSV &&
            ctl_run_catalog(p->run, uri, take_none, NULL, &ignored) == RC_OK) {
            p->objects[i].kind = OBJECT_OTHER;
        }
    }
    p->catalogs = 1;
    p->plan->catalogs = p->plan->manifests = 1;
    return ctl_run_catalog(p->run, p->wish->catalog, take_row, p, err);
}

static enum rc read_catalogs(struct planning *p, struct err *err)
{
    if (p->wish->catalog != NULL) {
        return read_given(p, err);
    }
    for (size_t i = 0; i < p->object_count; i++) {
        struct plan_object *object = &p->objects[i];
        const size_t before = p->row_count;

        if (object->kind != OBJECT_CSV || object->size == 0) {
            continue;
        }
        scoped(free) char *uri = uri_of(p, object->key);
        p->catalogs++;
        if (ctl_run_catalog(p->run, uri, take_row, p, err) == RC_OK) {
            object->kind = OBJECT_CATALOG;
            continue;
        }
        p->row_count = before;
        if (err->rc != RC_INVALID && err->rc != RC_CORRUPT) {
            return err->rc;
        }
        if (strstr(err->text, "not a SEVIR catalog") == NULL) {
            object->kind = OBJECT_OTHER;
            note_problem(p, object->key, err->text);
        }
    }
    return RC_OK;
}

/* ---- which rows ---- */

static int compare_same(const struct plan_row *a, const struct plan_row *b)
{
    int order = strcmp(a->row.file_name, b->row.file_name);

    order = order != 0
                ? order
                : (a->row.file_index > b->row.file_index) - (a->row.file_index < b->row.file_index);
    order = order != 0 ? order : (int)a->row.img_type - (int)b->row.img_type;
    return order != 0 ? order : strcmp(a->row.id, b->row.id);
}

static int compare_keys(const void *left, const void *right)
{
    const struct plan_row *a = *(struct plan_row *const *)left;
    const struct plan_row *b = *(struct plan_row *const *)right;
    const int order = compare_same(a, b);

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

/** Of a row that two catalogs have, that of the later one is shown. */
static void hide_older(struct planning *p)
{
    for (size_t i = 0; i < p->by_file_count;) {
        size_t end = i + 1;

        while (end < p->by_file_count && compare_same(p->by_file[i], p->by_file[end]) == 0) {
            end++;
        }
        for (size_t j = i; j < end; j++) {
            p->by_file[j]->hidden = p->by_file[j]->catalog != p->by_file[end - 1]->catalog;
        }
        i = end;
    }
}

static void sort_rows(struct planning *p)
{
    size_t kept = 0;

    p->by_file = mem_resize(NULL, p->row_count + 1, sizeof(*p->by_file));
    for (size_t i = 0; i < p->row_count; i++) {
        p->by_file[p->by_file_count++] = &p->rows[i];
    }
    qsort(p->by_file, p->by_file_count, sizeof(struct plan_row *), compare_keys);
    hide_older(p);
    for (size_t i = 0; i < p->by_file_count; i++) {
        if (!p->by_file[i]->hidden) {
            p->by_file[kept++] = p->by_file[i];
        }
    }
    p->by_file_count = kept;
}

/** The limit counts in the catalog's order, over all of it. */
static void select_rows(struct planning *p)
{
    const struct selection *selection = p->wish->selection;
    uint64_t left = selection->limit > 0 ? selection->limit : UINT64_MAX;

    for (size_t i = 0; i < p->row_count; i++) {
        struct plan_row *row = &p->rows[i];

        p->plan->catalog_rows += !row->hidden;
        row->selected = !row->hidden && left > 0 && selection_matches(selection, &row->row);
        left -= row->selected;
        p->plan->selected_rows += row->selected;
    }
}

/* ---- files of months ---- */

struct months {
    int *months; /**< (year * 12 + month - 1) * types + type */
    size_t count;
};

static void add_month(struct months *all, const struct catalog_row *row, bool by_type)
{
    int year, month;

    now_civil(row->time_utc, &year, &month, NULL);
    const int name = (year * 12 + month - 1) * SEVIR_TYPE_COUNT + (by_type ? row->img_type : 0);

    for (size_t i = 0; i < all->count; i++) {
        if (all->months[i] == name) {
            return;
        }
    }
    all->months = mem_resize(all->months, all->count + 1, sizeof(*all->months));
    all->months[all->count++] = name;
}

/** Each catalog has its own selected rows written, and its own limit. */
static void plan_catalogs(struct planning *p)
{
    for (unsigned catalog = 1; catalog <= p->catalogs; catalog++) {
        struct months months = {0};
        const struct selection *selection = p->wish->selection;
        uint64_t left = selection->limit > 0 ? selection->limit : UINT64_MAX;

        for (size_t i = 0; i < p->row_count; i++) {
            if (p->rows[i].catalog == catalog && left > 0 &&
                selection_matches(selection, &p->rows[i].row)) {
                add_month(&months, &p->rows[i].row, false);
                left--;
            }
        }
        p->plan->catalog_files += months.count;
        free(months.months);
    }
}

/* ---- one file ---- */

/** The rows of one file_name: [from, to) of by_file. */
struct span {
    size_t from, to;
};

static struct span span_at(const struct planning *p, size_t from)
{
    size_t to = from;

    while (to < p->by_file_count &&
           strcmp(p->by_file[to]->row.file_name, p->by_file[from]->row.file_name) == 0) {
        to++;
    }
    return (struct span){from, to};
}

/** As catalog_events_of_file(): the longest name that the key ends in, else the one of its base
 * name, if there is one. */
static struct span rows_of(const struct planning *p, const char *key)
{
    struct span best = {0}, based = {0};
    size_t longest = 0;
    unsigned same_base = 0;

    for (size_t at = 0; at < p->by_file_count;) {
        const char *name = p->by_file[at]->row.file_name;
        const struct span span = span_at(p, at);

        if (naming_file_matches(key, name) && strlen(name) > longest) {
            longest = strlen(name);
            best = span;
        }
        if (strcmp(str_basename(key), str_basename(name)) == 0) {
            same_base++;
            based = span;
        }
        at = span.to;
    }
    return longest > 0 ? best : same_base == 1 ? based : (struct span){0};
}

/** The dataset that holds a row; NULL: the file has none for it. */
static const struct layout_dataset *dataset_of(const struct layout *layout,
                                               const struct catalog_row *row)
{
    const bool flash = row->img_type == SEVIR_LGHT;
    const struct layout_dataset *dataset =
        layout_find(layout, flash ? row->id : sevir_type_name(row->img_type));

    if (dataset == NULL || dataset->rank != (flash ? 2u : 4u) || (flash && dataset->dims[1] != 5)) {
        return NULL;
    }
    return dataset;
}

static enum rc count_fetch(struct planning *p, const struct ctl_object *object,
                           const struct layout *layout, const struct layout_dataset *dataset,
                           uint64_t first, uint64_t count, struct ctl_plan_type *type,
                           struct err *err)
{
    const struct h5_object h5 = ctl_object_h5(object);
    scoped(h5_slab_free) struct h5_slab *slab = NULL;

    if (count == 0) {
        return RC_OK;
    }
    if (h5_slab_open(ctl_run_helper(p->run), &h5, layout, dataset, first, count, &slab, err) !=
        RC_OK) {
        return err->rc;
    }
    type->fetch_bytes += h5_slab_fetch_bytes(slab);
    type->needed_bytes += h5_slab_needed_bytes(slab);
    type->fetches++;
    return RC_OK;
}

/** Rows that the daemon would fetch together are one fetch here. */
static enum rc count_rows(struct planning *p, const struct ctl_object *object,
                          const struct layout *layout, struct plan_row *const *rows, size_t count,
                          struct ctl_plan_type types[SEVIR_TYPE_COUNT], struct err *err)
{
    for (size_t i = 0; i < count;) {
        const struct catalog_row *row = &rows[i]->row;
        const struct layout_dataset *dataset = dataset_of(layout, row);
        struct ctl_plan_type *type = &types[row->img_type];
        const bool flash = row->img_type == SEVIR_LGHT;
        const uint64_t first = flash ? 0 : (uint64_t)row->file_index;
        uint64_t last = first;
        size_t to = i + 1;

        while (!flash && to < count && rows[to]->row.img_type == row->img_type &&
               h5_rows_together(dataset, first, last, (uint64_t)rows[to]->row.file_index)) {
            last = (uint64_t)rows[to++]->row.file_index;
        }
        type->events += to - i;
        type->frames += flash ? 0 : (to - i) * dataset->dims[3];
        if (count_fetch(p, object, layout, dataset, first,
                        flash ? dataset->dims[0] : last - first + 1, type, err) != RC_OK) {
            return err->rc;
        }
        i = to;
    }
    return RC_OK;
}

static void count_outputs(struct planning *p, struct plan_row *const *rows, size_t count,
                          const struct ctl_plan_type types[SEVIR_TYPE_COUNT])
{
    struct months months = {0};
    struct ctl_plan *plan = p->plan;
    const bool flash = count > 0 && rows[0]->row.img_type == SEVIR_LGHT;

    for (size_t i = 0; i < count; i++) {
        add_month(&months, &rows[i]->row, !flash);
    }
    *(flash ? &plan->flashes_files : &plan->frames_files) += months.count;
    free(months.months);
    for (unsigned t = 0; t < SEVIR_TYPE_COUNT; t++) {
        struct ctl_plan_type *sum = &plan->types[t];

        sum->objects += types[t].events > 0;
        sum->events += types[t].events;
        sum->frames += types[t].frames;
        sum->fetch_bytes += types[t].fetch_bytes;
        sum->needed_bytes += types[t].needed_bytes;
        sum->fetches += types[t].fetches;
        if (t != SEVIR_LGHT && p->wish->images == IMAGES_PACKED) {
            plan->packed += types[t].events;
        } else if (t != SEVIR_LGHT && p->wish->images != IMAGES_NONE) {
            plan->sheets += types[t].events;
            plan->images += p->wish->images == IMAGES_FRAMES ? types[t].frames : 0;
        }
    }
    plan->manifests++;
}

/** What is wrong with the rows is wrong with the whole object, as it is in extraction. */
static enum rc check_rows(const struct layout *layout, struct plan_row *const *rows, size_t count,
                          struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct catalog_row *row = &rows[i]->row;
        const struct layout_dataset *dataset = dataset_of(layout, row);

        if (row->img_type != SEVIR_LGHT && (uint64_t)row->file_index >= dataset->dims[0]) {
            return err_set(err, RC_INVALID,
                           "the catalog says that event '%.64s' is row %" PRId64
                           " of dataset '%s', which has %" PRIu64 " rows",
                           row->id, row->file_index, dataset->name, dataset->dims[0]);
        }
    }
    return RC_OK;
}

static enum rc look_into(struct planning *p, const struct plan_object *object,
                         struct plan_row **rows, size_t *count,
                         struct ctl_plan_type types[SEVIR_TYPE_COUNT], struct err *err)
{
    scoped(ctl_object_done) struct ctl_object opened = {0};
    scoped(layout_free) struct layout *layout = NULL;
    size_t kept = 0;

    if (ctl_run_head(p->run, p->store, object->key, &opened, err) != RC_OK ||
        ctl_run_layout(p->run, &opened, &layout, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < *count; i++) {
        if (dataset_of(layout, &rows[i]->row) != NULL) {
            rows[kept++] = rows[i];
        }
    }
    *count = kept;
    return check_rows(layout, rows, kept, err) == RC_OK
               ? count_rows(p, &opened, layout, rows, kept, types, err)
               : err->rc;
}

/** Bits of the types that a file holds; 0: it is not SEVIR's. */
static unsigned types_of(const struct layout *layout)
{
    unsigned types = 0;

    for (uint32_t i = 0; i < layout->dataset_count; i++) {
        const struct layout_dataset *dataset = &layout->datasets[i];
        enum sevir_type type;

        if (dataset->rank == 4 && sevir_type_parse(dataset->name, &type) && type != SEVIR_LGHT) {
            types |= 1u << type;
        } else if (dataset->rank == 2 && dataset->dims[1] == 5 && strlen(dataset->name) > 4 &&
                   (naming_id_is_storm(dataset->name) || naming_id_is_random(dataset->name))) {
            types |= 1u << SEVIR_LGHT;
        }
    }
    return types;
}

/** No catalog knows it: it waits for one, unless it is nobody's business. */
static void plan_unknown(struct planning *p, const struct plan_object *object)
{
    scoped(ctl_object_done) struct ctl_object opened = {0};
    scoped(layout_free) struct layout *layout = NULL;
    bool wanted = false;
    struct err err;

    if (ctl_run_head(p->run, p->store, object->key, &opened, &err) != RC_OK ||
        ctl_run_layout(p->run, &opened, &layout, &err) != RC_OK) {
        note_problem(p, object->key, err.text);
        return;
    }
    const unsigned types = types_of(layout);

    for (unsigned t = 0; t < SEVIR_TYPE_COUNT; t++) {
        wanted = wanted || ((types >> t & 1) != 0 && selection_wants_type(p->wish->selection, t));
    }
    if (types == 0) {
        p->plan->foreign++;
        p->plan->manifests++;
    } else {
        *(wanted ? &p->plan->waiting : &p->plan->excluded) += 1;
    }
}

static void plan_hdf5(struct planning *p, const struct plan_object *object)
{
    const struct span span = rows_of(p, object->key);
    struct ctl_plan_type types[SEVIR_TYPE_COUNT] = {0};
    scoped(free) struct plan_row **rows =
        mem_resize(NULL, span.to - span.from + 1, sizeof(struct plan_row *));
    size_t count = 0;
    struct err err;

    for (size_t i = span.from; i < span.to; i++) {
        if (p->by_file[i]->selected) {
            rows[count++] = p->by_file[i];
        }
    }
    if (span.from == span.to) {
        plan_unknown(p, object);
        return;
    }
    if (count == 0) {
        p->plan->excluded++;
        return;
    }
    if (look_into(p, object, rows, &count, types, &err) != RC_OK) {
        note_problem(p, object->key, err.text);
    } else if (count == 0) {
        p->plan->excluded++;
    } else {
        count_outputs(p, rows, count, types);
        for (unsigned t = 0; t < SEVIR_TYPE_COUNT; t++) {
            p->plan->types[t].object_bytes += types[t].events > 0 ? object->size : 0;
        }
    }
}

static void plan_objects(struct planning *p)
{
    for (size_t i = 0; i < p->object_count; i++) {
        const struct plan_object *object = &p->objects[i];

        switch (object->kind) {
        case OBJECT_HDF5:
            plan_hdf5(p, object);
            break;
        case OBJECT_CATALOG:
            p->plan->catalogs++;
            p->plan->manifests++;
            break;
        case OBJECT_CSV:
            p->plan->tables++;
            p->plan->tables_bytes += object->size;
            p->plan->table_files++;
            p->plan->manifests++;
            break;
        case OBJECT_OTHER:
            p->plan->other++;
            break;
        }
    }
}

/** Without a store, a file is what the catalog says of it. */
static void plan_by_catalog(struct planning *p, struct span span)
{
    struct ctl_plan_type types[SEVIR_TYPE_COUNT] = {0};
    scoped(free) struct plan_row **rows =
        mem_resize(NULL, span.to - span.from + 1, sizeof(struct plan_row *));
    size_t count = 0;

    for (size_t i = span.from; i < span.to; i++) {
        const struct catalog_row *row = &p->by_file[i]->row;
        const uint64_t pixel = row->img_type == SEVIR_VIL ? 1 : 2;
        struct ctl_plan_type *type = &types[row->img_type];

        if (p->by_file[i]->selected) {
            const uint64_t bytes =
                pixel * (uint64_t)row->size_x * (uint64_t)row->size_y * row->frame_count;

            rows[count++] = p->by_file[i];
            type->events++;
            type->frames += row->frame_count;
            type->fetch_bytes += bytes;
            type->needed_bytes += bytes;
            type->fetches++;
        }
    }
    if (count > 0) {
        count_outputs(p, rows, count, types);
    }
}

static bool is_there(const struct planning *p, const char *file_name)
{
    for (size_t i = 0; i < p->object_count; i++) {
        if (p->objects[i].kind == OBJECT_HDF5 &&
            (naming_file_matches(p->objects[i].key, file_name) ||
             strcmp(str_basename(p->objects[i].key), str_basename(file_name)) == 0)) {
            return true;
        }
    }
    return false;
}

static void plan_files(struct planning *p)
{
    for (size_t at = 0; at < p->by_file_count;) {
        const struct span span = span_at(p, at);
        uint64_t selected = 0;

        for (size_t i = span.from; i < span.to; i++) {
            selected += p->by_file[i]->selected;
        }
        if (p->store == NULL) {
            plan_by_catalog(p, span);
        } else if (selected > 0 && !is_there(p, p->by_file[at]->row.file_name)) {
            p->plan->missing++;
            p->plan->missing_events += selected;
        }
        at = span.to;
    }
}

/* ---- the whole ---- */

void ctl_plan_done(struct ctl_plan *plan)
{
    strbuf_done(&plan->problems);
}

static void planning_done_ptr(struct planning *p)
{
    for (size_t i = 0; i < p->object_count; i++) {
        free(p->objects[i].key);
    }
    free(p->objects);
    free(p->rows);
    free(p->by_file);
    arena_free(p->arena);
    store_free(p->store);
}

enum rc ctl_plan_make(struct ctl_run *run, const struct ctl_plan_wish *wish,
                      struct ctl_plan *ret_plan, struct err *err)
{
    scoped(planning_done) struct planning p = {
        .run = run, .wish = wish, .plan = ret_plan, .arena = arena_new()};

    *ret_plan = (struct ctl_plan){0};
    if (wish->raw_uri != NULL && (ctl_run_open_store(run, wish->raw_uri, &p.store, err) != RC_OK ||
                                  list_store(&p, err) != RC_OK)) {
        return err->rc;
    }
    if (read_catalogs(&p, err) != RC_OK) {
        return err->rc;
    }
    sort_rows(&p);
    select_rows(&p);
    plan_catalogs(&p);
    plan_objects(&p);
    plan_files(&p);
    return RC_OK;
}
