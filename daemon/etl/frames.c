/** @file
 * Raster files: rows of `frames` and pictures, from datasets (N, H, W, T) named after their type.
 */
#include <inttypes.h>

#include "daemon/etl/month_files.h"
#include "daemon/etl/units.h"
#include "daemon/metrics.h"
#include "lib/base/mem.h"
#include "lib/sevir/selection.h"

#define FRAMES_FEWEST 8 /**< Planes at once: fewer do not save as much as they cost. */

struct frames {
    struct units *units;
    struct month_files *files;
    struct picture_note {
        size_t planned; /**< In etl->planned: the key of its sheet; those of its frames follow. */
        struct job_output *outputs;
        unsigned count;
    } * pictures;    /**< Beside etl->rows. */
    char **prefixes; /**< Of the keys of each row's pictures. */
    struct kind {
        struct event_input input; /**< What its events have in common. */
        uint64_t fetched, beside; /**< Bytes to hold for a row: as fetched, and to decode it. */
    } kinds[SEVIR_TYPE_COUNT];
};

static const struct layout_dataset *dataset_of(const struct etl *etl, enum sevir_type type)
{
    const struct layout_dataset *dataset = layout_find(etl->layout, sevir_type_name(type));

    return dataset != NULL && dataset->rank == 4 ? dataset : NULL;
}

static unsigned types_present(const struct etl *etl)
{
    unsigned types = 0;

    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        types |= (unsigned)(type != SEVIR_LGHT && dataset_of(etl, type) != NULL) << type;
    }
    return types;
}

static bool any_type_wanted(const struct etl *etl, unsigned types)
{
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        if ((types >> type & 1) != 0 && selection_wants_type(&etl->conf->select, type)) {
            return true;
        }
    }
    return false;
}

static enum rc check_row(struct etl *etl, const struct etl_row *selected, struct err *err)
{
    const struct catalog_row *row = selected->row;
    const struct layout_dataset *dataset = dataset_of(etl, row->img_type);
    enum sample sample;

    if (sample_of(&dataset->dtype, &sample, err) != RC_OK) {
        return err_wrap(err, "dataset '%s'", dataset->name);
    }
    if (layout_row_bytes(dataset) == 0) {
        return err_set(err, RC_UNSUPPORTED,
                       "dataset '%s' of type '%s' and shape (…, %" PRIu64 ", %" PRIu64 ", %" PRIu64
                       ") holds no pixels",
                       dataset->name, dataset->dtype.text, dataset->dims[1], dataset->dims[2],
                       dataset->dims[3]);
    }
    if ((uint64_t)row->file_index >= dataset->dims[0]) {
        return err_set(err, RC_INVALID,
                       "the catalog says that event '%s' is row %" PRId64
                       " of dataset '%s', which has %" PRIu64 " rows",
                       row->id, row->file_index, dataset->name, dataset->dims[0]);
    }
    if (dataset->dims[1] > UINT16_MAX || dataset->dims[2] > UINT16_MAX ||
        dataset->dims[3] > UINT16_MAX) {
        return err_set(err, RC_UNSUPPORTED, "dataset '%s': frames of more than 65535 pixels a side",
                       dataset->name);
    }
    if (!naming_id_ok(row->id)) {
        return err_set(err, RC_INVALID, "id '%s' cannot be part of a key", row->id);
    }
    return RC_OK;
}

/** Selected rows that the file has no dataset for: they are told of, the others are made. */
static void note_missing(struct etl *etl, unsigned types)
{
    size_t missing[SEVIR_TYPE_COUNT] = {0};

    for (size_t i = 0; i < etl->row_count; i++) {
        const struct catalog_row *row = etl->rows[i].row;

        missing[row->img_type] +=
            (types >> row->img_type & 1) == 0 && selection_matches(&etl->conf->select, row);
    }
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        if (missing[type] > 0) {
            etl_note(etl,
                     "the catalog lists %zu event%s of type %s, of which the file has no dataset",
                     missing[type], missing[type] == 1 ? "" : "s", sevir_type_name(type));
        }
    }
}

static void note_shape(struct etl *etl)
{
    const struct catalog_row *row = etl->rows[0].row;
    const uint64_t frames = dataset_of(etl, row->img_type)->dims[3];

    if (row->frame_count != frames) {
        etl_note(etl, "event '%s' has %" PRIu64 " frames in the file and %u in the catalog",
                 row->id, frames, row->frame_count);
    }
}

static char *frames_key(const struct etl *etl, enum sevir_type type, int year, int month)
{
    return naming_frames_key(type, year, month, etl->job->object.key);
}

static void plan_pictures(struct etl *etl, size_t index, struct frames *frames)
{
    const struct etl_row *selected = &etl->rows[index];
    const struct catalog_row *row = selected->row;
    const uint64_t count = dataset_of(etl, row->img_type)->dims[3];
    scoped(strbuf_done) struct strbuf key = {0};

    frames->prefixes[index] =
        naming_image_prefix(row->img_type, row->id, row->file_index, selected->repeat);
    if (etl->conf->extract_images == IMAGES_NONE) {
        return;
    }
    const bool packed = etl->conf->extract_images == IMAGES_PACKED;

    frames->pictures[index].planned = etl->planned_count;
    strbuf_printf(&key, "%s%s", frames->prefixes[index], packed ? NAMING_PACKED : NAMING_SHEET);
    etl_plan(etl, strbuf_text(&key));
    for (unsigned frame = 0; etl->conf->extract_images == IMAGES_FRAMES && frame < count; frame++) {
        char name[16];

        naming_frame_file(frame, name);
        strbuf_reset(&key);
        strbuf_printf(&key, "%s%s", frames->prefixes[index], name);
        etl_plan(etl, strbuf_text(&key));
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/** An id may look like another's repetition: "S1.7". */
static enum rc check_prefixes(const struct etl *etl, const struct frames *frames, struct err *err)
{
    scoped(free) char **sorted = mem_resize(NULL, etl->row_count, sizeof(*sorted));

    memcpy(sorted, frames->prefixes, etl->row_count * sizeof(*sorted));
    qsort(sorted, etl->row_count, sizeof(*sorted), compare_texts);
    for (size_t i = 1; i < etl->row_count; i++) {
        if (strcmp(sorted[i], sorted[i - 1]) == 0) {
            return err_set(err, RC_INVALID, "two of its events would have the pictures '%s'",
                           sorted[i]);
        }
    }
    return RC_OK;
}

/** What a unit of so many rows takes at its peak, by estimate, where what was fetched goes before
 * anything is rendered. A chunk that several rows share is fetched once. */
static uint64_t unit_peak(const struct kind *kind, const struct layout_dataset *dataset,
                          uint64_t rows)
{
    const uint64_t fetched = slab_group(dataset) > 1 ? kind->fetched : rows * kind->fetched;

    return rows * layout_row_bytes(dataset) + kind->beside +
           MAX_OF(fetched, event_render_bytes(&kind->input, rows));
}

/** Planes of all frames at once are made soonest; but where they leave some worker without a unit,
 * there are half as many at a time. */
static void limit_planes(const struct etl *etl, const struct layout_dataset *dataset,
                         struct kind *kind)
{
    uint32_t *at_once = &kind->input.frames_at_once;

    while ((*at_once + 1) / 2 >= FRAMES_FEWEST && unit_peak(kind, dataset, 1) > units_share(etl)) {
        *at_once = (*at_once + 1) / 2;
    }
}

/** Of a row that check_row() has passed. */
static void set_kind(const struct etl *etl, const struct catalog_row *row, struct kind *kind)
{
    const struct layout_dataset *dataset = dataset_of(etl, row->img_type);
    const struct h5_object object = {.store = etl->services->raw, .key = etl->job->object.key};
    scoped(h5_slab_free) struct h5_slab *slab = NULL;
    struct err ignored;

    kind->input = (struct event_input){
        .type = row->img_type,
        .height = (uint32_t)dataset->dims[1],
        .width = (uint32_t)dataset->dims[2],
        .frames = (uint32_t)dataset->dims[3],
        .frames_at_once = (uint32_t)dataset->dims[3],
        .by_frames = slab_prefers_frames(dataset),
        .images = etl->conf->extract_images,
    };
    sample_of(&dataset->dtype, &kind->input.sample, &ignored);
    if (h5_slab_open(etl->services->h5, &object, etl->layout, dataset, (uint64_t)row->file_index, 1,
                     &slab, &ignored) != RC_OK) {
        return; /* its unit will tell */
    }
    if (kind->input.by_frames) {
        h5_slab_by_frames(slab);
    }
    kind->beside = h5_slab_decoded_bytes(slab) - layout_row_bytes(dataset);
    kind->fetched = h5_slab_bytes(slab) - h5_slab_decoded_bytes(slab);
    if (!kind->input.by_frames) {
        limit_planes(etl, dataset, kind);
    }
}

static void set_kinds(const struct etl *etl, struct frames *frames)
{
    for (size_t i = 0; i < etl->row_count; i++) {
        const struct catalog_row *row = etl->rows[i].row;

        if (frames->kinds[row->img_type].input.frames == 0) {
            set_kind(etl, row, &frames->kinds[row->img_type]);
        }
    }
}

/** How many rows from `index` on make one unit: they share a chunk, or lie side by side. */
static size_t unit_rows(const struct etl *etl, size_t index, const struct layout_dataset *dataset,
                        const struct kind *kind)
{
    const struct etl_row *rows = etl->rows;
    const uint64_t first = (uint64_t)rows[index].row->file_index;
    size_t to = index + 1;

    for (; to < etl->row_count && rows[to].row->img_type == rows[index].row->img_type; to++) {
        const uint64_t at = (uint64_t)rows[to].row->file_index;
        const uint64_t last = (uint64_t)rows[to - 1].row->file_index;

        if (!h5_rows_together(dataset, first, last, at) ||
            unit_peak(kind, dataset, at - first + 1) > units_share(etl)) {
            break;
        }
    }
    return to - index;
}

static struct unit_item *make_items(struct etl *etl, const struct frames *frames, size_t *ret_count)
{
    struct unit_item *items = mem_zeroed(etl->row_count * sizeof(*items) + 1);
    size_t count = 0;

    for (size_t from = 0; from < etl->row_count;) {
        const enum sevir_type type = etl->rows[from].row->img_type;
        const struct layout_dataset *dataset = dataset_of(etl, type);
        const struct kind *kind = &frames->kinds[type];
        const size_t rows = unit_rows(etl, from, dataset, kind);

        items[count++] = (struct unit_item){
            .dataset = dataset,
            .first = (uint64_t)etl->rows[from].row->file_index,
            .count = (uint64_t)(etl->rows[from + rows - 1].row->file_index -
                                etl->rows[from].row->file_index) +
                     1,
            .from = from,
            .to = from + rows,
            .render_bytes = event_render_bytes(&kind->input, rows),
            .by_frames = kind->input.by_frames,
        };
        from += rows;
    }
    *ret_count = count;
    return items;
}

/* ---- work and collect ---- */

/** On a worker. */
static enum rc frames_work(const struct etl *etl, struct unit *unit, const uint8_t *rows,
                           struct err *err)
{
    const struct unit_item *item = unit->item;
    const struct frames *frames = etl->part_state;
    const uint64_t row_bytes = layout_row_bytes(item->dataset);

    for (size_t i = item->from; i < item->to; i++) {
        const struct catalog_row *row = etl->rows[i].row;
        struct event_input input = frames->kinds[row->img_type].input;

        input.row = row;
        input.pixels = rows + ((uint64_t)row->file_index - item->first) * row_bytes;
        input.image_prefix = frames->prefixes[i];
        if (event_render(&input, &unit->desk->scratch, &unit->output, err) != RC_OK) {
            return err_wrap(err, "event '%s'", row->id);
        }
    }
    return RC_OK;
}

/** Pictures and lines come in the order of the events, as many of each for every event. */
static void frames_collect(struct etl *etl, struct unit *unit)
{
    struct frames *frames = etl->part_state;
    const struct unit_item *item = unit->item;
    const size_t events = item->to - item->from;
    const unsigned frame_count = (unsigned)item->dataset->dims[3];
    const unsigned each = unit->output.picture_count / (unsigned)events;
    const char *line = strbuf_text(&unit->output.rows);

    for (size_t e = 0; e < events; e++) {
        struct picture_note *note = &frames->pictures[item->from + e];
        const char *end = line;

        for (unsigned frame = 0; frame < frame_count; frame++) {
            end = strchr(end, '\n') +
                  1; /* fields hold no newline: catalog_row_parse() refuses them */
        }
        month_files_add(frames->files, item->from + e, str_dup_n(line, (size_t)(end - line)),
                        (size_t)(end - line), frame_count);
        line = end;

        note->outputs = mem_resize(NULL, each, sizeof(*note->outputs));
        note->count = each;
        for (unsigned p = 0; p < each; p++) {
            const struct event_picture *picture = &unit->output.pictures[e * each + p];

            note->outputs[p] = (struct job_output){
                .key = etl->planned[note->planned + (picture->kind == OUTPUT_IMAGE ? 1 + p : 0)],
                .bytes = picture->png.len,
                .kind = picture->kind,
            };
            memcpy(note->outputs[p].sha256, picture->sha256, DIGEST_BYTES);
        }
    }
    const char *type = sevir_type_name(etl->rows[item->from].row->img_type);

    etl->events += events;
    metric_add(etl->services->metrics, METRIC_EXTRACT_EVENTS, METRIC_LABELS(type), (double)events);
    metric_add(etl->services->metrics, METRIC_EXTRACT_FRAMES, METRIC_LABELS(type),
               (double)events * frame_count);
}

static void on_files_put(const struct err *err, void *arg)
{
    struct etl *etl = arg;
    const struct frames *frames = etl->part_state;

    for (size_t i = 0; err == NULL && i < etl->row_count; i++) {
        for (unsigned p = 0; p < frames->pictures[i].count; p++) {
            etl_add_output(etl, &frames->pictures[i].outputs[p]);
        }
        free(TAKE(frames->pictures[i].outputs)); /* there are many */
    }
    etl_part_done(etl, err);
}

static void frames_complete(struct etl *etl)
{
    const struct frames *frames = etl->part_state;

    month_files_put(frames->files, on_files_put, etl);
}

static const struct units_ops frames_ops = {
    .work = frames_work,
    .collect = frames_collect,
    .complete = frames_complete,
};

/* ---- the part ---- */

static enum rc frames_plan(struct etl *etl, struct err *err)
{
    const unsigned types = types_present(etl);

    if (!any_type_wanted(etl, types)) {
        etl_end_early(etl, JOB_EV_EXCLUDED, "its image type is not selected");
        return RC_OK;
    }
    if (etl->rows_known == 0) {
        etl_end_early(etl, JOB_EV_HELD, "the catalog has no rows for it yet");
        return RC_OK;
    }
    note_missing(etl, types);
    etl_select_rows(etl, types);
    if (etl->row_count == 0) {
        etl_end_early(etl, JOB_EV_EXCLUDED, "none of its %zu events is selected", etl->rows_known);
        return RC_OK;
    }
    for (size_t i = 0; i < etl->row_count; i++) {
        if (check_row(etl, &etl->rows[i], err) != RC_OK) {
            return err->rc;
        }
    }
    note_shape(etl);

    struct frames *frames = mem_new(struct frames);
    size_t count = 0;

    etl->part_state = frames;
    frames->prefixes = mem_zeroed(etl->row_count * sizeof(*frames->prefixes));
    frames->pictures = mem_zeroed(etl->row_count * sizeof(*frames->pictures));
    frames->files = month_files_new(etl, OUTPUT_FRAMES, event_frames_header, frames_key);
    month_files_plan(frames->files);
    for (size_t i = 0; i < etl->row_count; i++) {
        plan_pictures(etl, i, frames);
    }
    if (check_prefixes(etl, frames, err) != RC_OK) {
        return err->rc;
    }
    set_kinds(etl, frames);
    struct unit_item *items = make_items(etl, frames, &count);

    frames->units = units_new(etl, &frames_ops, items, count);
    return RC_OK;
}

static void frames_make(struct etl *etl)
{
    const struct frames *frames = etl->part_state;

    units_start(frames->units);
}

static void frames_stop(struct etl *etl)
{
    const struct frames *frames = etl->part_state;

    units_stop(frames->units);
}

static void frames_free(struct etl *etl)
{
    struct frames *frames = etl->part_state;

    if (frames == NULL) {
        return;
    }
    for (size_t i = 0; i < etl->row_count; i++) {
        free(frames->prefixes[i]);
        free(frames->pictures[i].outputs);
    }
    units_free(frames->units);
    month_files_free(frames->files);
    free(frames->prefixes);
    free(frames->pictures);
    free(frames);
}

const struct etl_part etl_frames = {
    .name = "frames",
    .plan = frames_plan,
    .make = frames_make,
    .stop = frames_stop,
    .free = frames_free,
};
