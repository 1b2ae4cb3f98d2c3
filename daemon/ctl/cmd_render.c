/** @file
 * render: one event as a contact sheet, or as a picture a frame.
 */
#include <inttypes.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_planes.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/lightning.h"
#include "lib/sevir/sheet.h"

#define MANY_FRAMES 16 /**< More than this are drawn small on a sheet. */
#define SMALL 192
#define LARGE 384

struct rendering {
    struct ctl *ctl;
    const struct ctl_args *args;
    const char *uri, *out;
    struct ctl_run *run;
    struct ctl_h5 file;
    uint64_t index;
    const char *id; /**< NULL when neither file nor command line tell. */
    const struct layout_dataset *flashes;
    struct ctl_planes planes;
    unsigned *frames; /**< Which of them to draw. */
    unsigned frame_count;
    struct arena *arena;
    struct catalog_row row; /**< Of the catalog; `id` is NULL when it was not asked or has none. */
    json_t *written;
};

/* ---- which event --------------------------------------------------------------------------- */

/** A row of the catalog that means this event of this file. */
static enum rc take_catalog_row(const struct catalog_row *row, void *arg, bool *ret_stop,
                                struct err *err)
{
    struct rendering *rendering = arg;
    bool same_file = strcmp(str_basename(row->file_name), rendering->file.object.key) == 0;
    bool same_event = rendering->flashes != NULL ? strcmp(row->id, rendering->flashes->name) == 0
                                                 : (uint64_t)row->file_index == rendering->index;

    (void)err;
    if (row->img_type == rendering->file.type && same_file && same_event &&
        (rendering->id == NULL || strcmp(row->id, rendering->id) == 0)) {
        rendering->row = catalog_row_copy(row, rendering->arena);
        *ret_stop = true;
    }
    return RC_OK;
}

static enum rc look_up_catalog(struct rendering *rendering, struct err *err)
{
    const char *catalog = ctl_value(rendering->args, "catalog");

    if (catalog == NULL) {
        return RC_OK;
    }
    if (ctl_run_catalog(rendering->run, catalog, take_catalog_row, rendering, err) != RC_OK) {
        return err->rc;
    }
    if (rendering->row.id == NULL) {
        ctl_warn("the catalog has no row for this event of '%s'", rendering->file.object.key);
        return RC_OK;
    }
    if (rendering->flashes != NULL) { /* the catalog has no times for these */
        rendering->row.frame_count = LIGHTNING_FRAMES;
        rendering->row.minute_offsets = lightning_minutes;
    }
    return RC_OK;
}

/** The nth table of flashes, in the order of their names. */
static const struct layout_dataset *flashes_at(const struct ctl_h5 *file, uint64_t index)
{
    for (uint32_t i = 0; i < file->layout->dataset_count; i++) {
        const char *name = file->layout->datasets[i].name;
        const struct layout_dataset *flashes = ctl_h5_flashes(file, name);
        if (flashes != NULL && index-- == 0) {
            return flashes;
        }
    }
    return NULL;
}

static enum rc find_flashes(struct rendering *rendering, const char *id, struct err *err)
{
    rendering->flashes = id != NULL ? ctl_h5_flashes(&rendering->file, id)
                                    : flashes_at(&rendering->file, rendering->index);
    if (rendering->flashes == NULL) {
        return id != NULL ? err_set(err, RC_NOT_FOUND, "'%s' has no event '%s'",
                                    rendering->file.object.key, id)
                          : err_set(err, RC_NOT_FOUND, "'%s' has no event of index %" PRIu64,
                                    rendering->file.object.key, rendering->index);
    }
    rendering->id = rendering->flashes->name;
    return RC_OK;
}

static enum rc find_by_id(struct rendering *rendering, const char *id, struct err *err)
{
    uint64_t times;

    if (rendering->file.ids == NULL) {
        return err_set(err, RC_NOT_FOUND, "'%s' has no dataset 'id'; use --index",
                       rendering->file.object.key);
    }
    if (ctl_h5_find(rendering->run, &rendering->file, id, &rendering->index, &times, err) !=
        RC_OK) {
        return err->rc;
    }
    if (times == 0) {
        return err_set(err, RC_NOT_FOUND, "'%s' has no event '%s'", rendering->file.object.key, id);
    }
    if (times > 1) {
        ctl_warn("'%s' has event '%s' %" PRIu64 " times; this is the first, at index %" PRIu64,
                 rendering->file.object.key, id, times, rendering->index);
    }
    rendering->id = id;
    return RC_OK;
}

static enum rc find_event(struct rendering *rendering, struct err *err)
{
    const char *id = ctl_value(rendering->args, "id");
    struct err ignored;

    if (rendering->file.type == SEVIR_LGHT) {
        return find_flashes(rendering, id, err);
    }
    if (id != NULL) {
        return find_by_id(rendering, id, err);
    }
    if (rendering->index < ctl_h5_count(&rendering->file)) {
        /* Only for the title: a file whose ids cannot be read still has pictures. */
        (void)ctl_h5_id(rendering->run, &rendering->file, rendering->index, &rendering->id,
                        &ignored);
    }
    return RC_OK;
}

/* ---- which frames -------------------------------------------------------------------------- */

static enum rc choose_frames(struct rendering *rendering, struct err *err)
{
    const char *list = ctl_value(rendering->args, "frames");
    unsigned total = rendering->planes.frames;
    uint64_t frame;

    rendering->frames = mem_resize(NULL, total, sizeof(*rendering->frames));
    for (unsigned i = 0; list == NULL && i < total; i++) {
        rendering->frames[rendering->frame_count++] = i;
    }
    while (list != NULL) {
        size_t len = strcspn(list, ",");
        scoped(free) char *item = str_dup_n(list, len);
        if (!str_to_u64(item, &frame) || frame >= total) {
            return err_set(err, RC_INVALID, "there is no frame '%s'; the event has frames 0 to %u",
                           item, total - 1);
        }
        if (rendering->frame_count == total) {
            return err_set(err, RC_INVALID, "more frames than the event has, %u", total);
        }
        rendering->frames[rendering->frame_count++] = (unsigned)frame;
        list = list[len] == ',' ? list + len + 1 : NULL;
    }
    return RC_OK;
}

/* ---- pictures ------------------------------------------------------------------------------ */

static const uint8_t *plane_of(const struct rendering *rendering, unsigned frame)
{
    const struct ctl_planes *planes = &rendering->planes;

    return planes->indices + (size_t)planes->width * planes->height * frame;
}

static enum rc write_picture(struct rendering *rendering, const char *path,
                             const struct strbuf *png, struct err *err)
{
    if (fs_write_file(path, png->data, png->len, 0644, err) != RC_OK) {
        return err->rc;
    }
    json_array_append_new(rendering->written, json_string(path));
    return RC_OK;
}

static enum rc draw_each(struct rendering *rendering, struct err *err)
{
    const struct colors *colors = colors_of(rendering->file.type);
    const struct ctl_planes *planes = &rendering->planes;
    scoped(ctl_progress_free) struct ctl_progress *progress =
        ctl_progress_new(rendering->ctl, CTL_COUNT);

    if (fs_mkdirs(rendering->out, 0777, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < rendering->frame_count; i++) {
        unsigned frame = rendering->frames[i];
        scoped(strbuf_done) struct strbuf png = {0};
        char name[16];
        naming_frame_file(frame, name);
        scoped(free) char *path = fs_join(rendering->out, name);
        if (pngfile_indexed(plane_of(rendering, frame), planes->width, planes->height, true,
                            colors->palette, colors->count, NULL, 0, &png, err) != RC_OK ||
            write_picture(rendering, path, &png, err) != RC_OK) {
            return err->rc;
        }
        ctl_progress_set(progress, name, i + 1, rendering->frame_count);
    }
    return RC_OK;
}

static char *short_title(const struct rendering *rendering)
{
    if (rendering->id != NULL && rendering->flashes == NULL) {
        return str_printf("%s   %s [%" PRIu64 "]", rendering->id, rendering->file.object.key,
                          rendering->index);
    }
    return rendering->id != NULL
               ? str_printf("%s   %s", rendering->id, rendering->file.object.key)
               : str_printf("%s [%" PRIu64 "]", rendering->file.object.key, rendering->index);
}

static enum rc draw_sheet(struct rendering *rendering, struct err *err)
{
    const struct ctl_planes *planes = &rendering->planes;
    unsigned longest = MAX_OF(planes->width, planes->height);
    unsigned side = rendering->frame_count > MANY_FRAMES ? SMALL : LARGE;
    scoped(free) char *title = short_title(rendering);
    scoped(free) const uint8_t **frames = mem_resize(NULL, rendering->frame_count, sizeof(*frames));
    scoped(strbuf_done) struct strbuf png = {0};

    for (unsigned i = 0; i < rendering->frame_count; i++) {
        frames[i] = plane_of(rendering, rendering->frames[i]);
    }
    const struct sheet_options options = {
        .type = rendering->file.type,
        .row = rendering->row.id != NULL ? &rendering->row : NULL,
        .title = title,
        .width = planes->width,
        .height = planes->height,
        .frames = frames,
        .frame_numbers = rendering->frames,
        .frame_count = rendering->frame_count,
        .scale_to = longest > side ? side : 0,
    };
    if (ctl_run_is_folder(rendering->out)) {
        return err_set(err, RC_INVALID, "'%s' is a folder; name a file in it, or say --each",
                       rendering->out);
    }
    if (sheet_png(&options, &png, err) != RC_OK) {
        return err->rc;
    }
    return write_picture(rendering, rendering->out, &png, err);
}

/* ---- the command --------------------------------------------------------------------------- */

static enum rc load_event(struct rendering *rendering, struct err *err)
{
    struct ctl_object object = {0};

    if (ctl_run_open(rendering->run, rendering->uri, &object, err) != RC_OK ||
        ctl_h5_open(rendering->run, &object, &rendering->file, err) != RC_OK ||
        find_event(rendering, err) != RC_OK) {
        return err->rc;
    }
    return rendering->flashes != NULL
               ? ctl_planes_flashes(rendering->run, &rendering->file, rendering->flashes,
                                    &rendering->planes, err)
               : ctl_planes_raster(rendering->run, &rendering->file, rendering->index,
                                   &rendering->planes, err);
}

static void report(const struct rendering *rendering)
{
    scoped(free) char *title = short_title(rendering);

    ctl_say(rendering->ctl, "%s: %u frame%s to %s\n", title, rendering->frame_count,
            rendering->frame_count == 1 ? "" : "s", rendering->out);
    if (rendering->ctl->json) {
        json_t *frames = json_array();
        for (unsigned i = 0; i < rendering->frame_count; i++) {
            json_array_append_new(frames, json_integer(rendering->frames[i]));
        }
        json_t *document =
            json_pack("{s:s, s:s*, s:I, s:o, s:O}", "img_type",
                      sevir_type_name(rendering->file.type), "id", rendering->id, "index",
                      (json_int_t)rendering->index, "frames", frames, "files", rendering->written);
        ctl_json(rendering->ctl, document);
        json_decref(document);
    }
}

static enum ctl_exit render(struct rendering *rendering)
{
    struct err err;
    bool each = ctl_flag(rendering->args, "each");

    if (load_event(rendering, &err) != RC_OK || look_up_catalog(rendering, &err) != RC_OK ||
        choose_frames(rendering, &err) != RC_OK ||
        (each ? draw_each : draw_sheet)(rendering, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    report(rendering);
    return CTL_DONE;
}

static enum ctl_exit run_render(struct ctl *ctl, const struct ctl_args *args)
{
    const char *id = ctl_value(args, "id"), *out = ctl_value(args, "output");
    bool by_index = ctl_value(args, "index") != NULL;
    struct rendering rendering = {.ctl = ctl, .args = args, .uri = args->words[0], .out = out};
    struct err err;

    if (out == NULL) {
        return ctl_misuse("render", "-o is missing: where to write");
    }
    if (ctl_run_is_same(out, rendering.uri)) {
        return ctl_fail("'%s' is what is read; choose another name for -o", out);
    }
    if (by_index == (id != NULL)) {
        return ctl_misuse("render", "say which event: --index N or --id ID");
    }
    if (ctl_number(args, "index", 0, UINT32_MAX, 0, &rendering.index, &err) != RC_OK) {
        return ctl_misuse("render", "%s", err.text);
    }
    rendering.run = ctl_run_new(ctl);
    rendering.arena = arena_new();
    rendering.written = json_array();
    enum ctl_exit code = render(&rendering);
    json_decref(rendering.written);
    free(rendering.frames);
    ctl_planes_done(&rendering.planes);
    ctl_h5_done(&rendering.file);
    arena_free(rendering.arena);
    ctl_run_free(rendering.run);
    return code;
}

static const struct ctl_option options[] = {
    {"index", 0, "N", "the event at this row of the file, from 0"},
    {"id", 0, "ID", "the event with this id"},
    {"frames", 0, "LIST", "only these, as 10,20,30,40"},
    {"each", 0, NULL, "a picture a frame, native size, into the folder OUT"},
    {"output", 'o', "OUT", "the PNG, or with --each the folder, to write"},
    {"catalog", 0, "URI", "the CATALOG.csv, for times and place in the title"},
    {NULL},
};

const struct ctl_command ctl_cmd_render = {
    .name = "render",
    .arguments = "URI",
    .summary = "draw an event of a SEVIR file as a labelled contact sheet",
    .help =
        "Pictures have SEVIR's own colours and north is up. With --each, f00.png and so on are\n"
        "the very pixels that extraction writes. Of a file of flashes, the counts on the grid\n"
        "of 48 by 48 cells are drawn.",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .local = true,
    .run = run_render,
};
