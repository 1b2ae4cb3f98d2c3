/** @file
 * render: one event as a contact sheet, as a picture a frame, or as an animation; from the file of
 * SEVIR's, or from the archive of pictures that extraction has made of it.
 */
#include <inttypes.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/ctl_packed.h"
#include "daemon/ctl/ctl_planes.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/data/apng.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/lightning.h"
#include "lib/sevir/sheet.h"

#define MANY_FRAMES 16 /**< More than this are drawn small on a sheet. */
#define SMALL 192
#define LARGE 384
#define DELAY_MS 200 /**< A frame of an animation. */

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
    bool is_packed; /**< Then of the above only `planes.frames` counts. */
    struct ctl_packed packed;
    const char *member; /**< The one picture that the URI names behind a #, or NULL. */
    unsigned *frames;   /**< Which of them to draw. */
    unsigned frame_count;
    enum rc (*draw)(struct rendering *rendering, struct err *err);
    unsigned delay_ms, loops; /**< Of an animation. */
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
    bool same_file =
        strcmp(str_basename(row->file_name), str_basename(rendering->file.object.key)) == 0;
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

/** "10,20,30": the words of a list, whatever the event then has. */
static bool is_list(const char *list)
{
    for (const char *item = list;; item++) {
        const size_t digits = strspn(item, "0123456789");

        item += digits;
        if (digits == 0 || (*item != ',' && *item != '\0')) {
            return false;
        }
        if (*item == '\0') {
            return true;
        }
    }
}

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

static char *file_title(const struct rendering *rendering)
{
    const char *name = str_basename(rendering->file.object.key);

    return rendering->flashes == NULL ? str_printf("%s [%" PRIu64 "]", name, rendering->index)
                                      : str_dup(name);
}

static char *short_title(const struct rendering *rendering)
{
    if (rendering->is_packed) {
        return str_dup(rendering->packed.object.key);
    }
    char *file = file_title(rendering), *title = file;

    if (rendering->id != NULL) {
        title = str_printf("%s   %s", rendering->id, file);
        free(file);
    }
    return title;
}

/** A frame as extraction draws it: native size, north up. */
static enum rc encode_frame(const struct rendering *rendering, struct pngfile_encoder *encoder,
                            unsigned frame, const struct pngfile_text *text, struct strbuf *out,
                            struct err *err)
{
    const struct colors *colors = colors_of(rendering->file.type);
    char name[16];

    if (rendering->is_packed) {
        naming_frame_file(frame, name);
        return ctl_packed_read(rendering->run, &rendering->packed, name, out, err);
    }
    const struct pngfile_picture picture = {
        .pixels = plane_of(rendering, frame),
        .width = rendering->planes.width,
        .height = rendering->planes.height,
        .flip = true,
        .palette = colors->palette,
        .colors = colors->count,
        .texts = text,
        .text_count = text != NULL,
    };

    return pngfile_encode(encoder, &picture, out, err);
}

static enum rc draw_each(struct rendering *rendering, struct err *err)
{
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();
    scoped(ctl_progress_free) struct ctl_progress *progress =
        ctl_progress_new(rendering->ctl, CTL_COUNT);

    if (fs_mkdirs(rendering->out, 0777, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned i = 0; i < rendering->frame_count; i++) {
        scoped(strbuf_done) struct strbuf png = {0};
        char name[16];
        naming_frame_file(rendering->frames[i], name);
        scoped(free) char *path = fs_join(rendering->out, name);
        if (encode_frame(rendering, encoder, rendering->frames[i], NULL, &png, err) != RC_OK ||
            write_picture(rendering, path, &png, err) != RC_OK) {
            return err->rc;
        }
        ctl_progress_set(progress, name, i + 1, rendering->frame_count);
    }
    return RC_OK;
}

static enum rc refuse_folder(const struct rendering *rendering, struct err *err)
{
    return ctl_run_is_folder(rendering->out)
               ? err_set(err, RC_INVALID, "'%s' is a folder; name a file in it, or say --each",
                         rendering->out)
               : RC_OK;
}

static enum rc draw_animation(struct rendering *rendering, struct err *err)
{
    scoped(pngfile_encoder_free) struct pngfile_encoder *encoder = pngfile_encoder_new();
    scoped(ctl_progress_free) struct ctl_progress *progress =
        ctl_progress_new(rendering->ctl, CTL_COUNT);
    scoped(free) char *title = short_title(rendering);
    const struct pngfile_text text = {.keyword = "Title", .text = title};
    scoped(strbuf_done) struct strbuf png = {0}, out = {0};
    struct apng apng;

    if (refuse_folder(rendering, err) != RC_OK) {
        return err->rc;
    }
    apng_begin(&apng, rendering->frame_count, rendering->delay_ms, rendering->loops, &out);
    for (unsigned i = 0; i < rendering->frame_count; i++) {
        strbuf_reset(&png);
        if (encode_frame(rendering, encoder, rendering->frames[i], i == 0 ? &text : NULL, &png,
                         err) != RC_OK ||
            apng_add(&apng, png.data, png.len, err) != RC_OK) {
            return err->rc;
        }
        ctl_progress_set(progress, "frames", i + 1, rendering->frame_count);
    }
    apng_end(&apng);
    return write_picture(rendering, rendering->out, &out, err);
}

/** The sheet as it was packed, or the picture that the URI names. */
static enum rc take_member(struct rendering *rendering, struct err *err)
{
    const char *name = rendering->member != NULL ? rendering->member : NAMING_SHEET;
    scoped(strbuf_done) struct strbuf png = {0};

    if (refuse_folder(rendering, err) != RC_OK ||
        ctl_packed_read(rendering->run, &rendering->packed, name, &png, err) != RC_OK) {
        return err->rc;
    }
    return write_picture(rendering, rendering->out, &png, err);
}

static enum rc draw_sheet(struct rendering *rendering, struct err *err)
{
    const struct ctl_planes *planes = &rendering->planes;
    unsigned longest = MAX_OF(planes->width, planes->height);
    unsigned side = rendering->frame_count > MANY_FRAMES ? SMALL : LARGE;
    scoped(free) char *title = file_title(rendering);
    scoped(free) const uint8_t **frames = mem_resize(NULL, rendering->frame_count, sizeof(*frames));
    scoped(strbuf_done) struct strbuf png = {0};

    for (unsigned i = 0; i < rendering->frame_count; i++) {
        frames[i] = plane_of(rendering, rendering->frames[i]);
    }
    const struct sheet_options options = {
        .type = rendering->file.type,
        .row = rendering->row.id != NULL ? &rendering->row : NULL,
        .title = title,
        .id = rendering->id,
        .width = planes->width,
        .height = planes->height,
        .frames = frames,
        .frame_numbers = rendering->frames,
        .frame_count = rendering->frame_count,
        .scale_to = longest > side ? side : longest * (side / longest),
    };
    if (refuse_folder(rendering, err) != RC_OK || sheet_png(&options, &png, err) != RC_OK) {
        return err->rc;
    }
    return write_picture(rendering, rendering->out, &png, err);
}

/* ---- the command --------------------------------------------------------------------------- */

static enum rc load_packed(struct rendering *rendering, struct ctl_object *object, struct err *err)
{
    if (ctl_packed_open(rendering->run, object, &rendering->packed, err) != RC_OK) {
        return err->rc;
    }
    rendering->planes.frames = ctl_packed_frames(&rendering->packed);
    return RC_OK;
}

static enum rc load_event(struct rendering *rendering, struct err *err)
{
    struct ctl_object object = {0};

    if (ctl_run_open(rendering->run, rendering->uri, &object, err) != RC_OK) {
        return err->rc;
    }
    if (rendering->is_packed) {
        return load_packed(rendering, &object, err);
    }
    if (ctl_h5_open(rendering->run, &object, &rendering->file, err) != RC_OK ||
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
            json_pack("{s:s*, s:s*, s:I, s:o, s:O}", "img_type",
                      rendering->is_packed ? NULL : sevir_type_name(rendering->file.type), "id",
                      rendering->id, "index", (json_int_t)rendering->index, "frames", frames,
                      "files", rendering->written);
        ctl_json(rendering->ctl, document);
        json_decref(document);
    }
}

static enum ctl_exit render(struct rendering *rendering)
{
    struct err err;
    if (load_event(rendering, &err) != RC_OK || look_up_catalog(rendering, &err) != RC_OK ||
        choose_frames(rendering, &err) != RC_OK || rendering->draw(rendering, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    report(rendering);
    return CTL_DONE;
}

/** An archive holds one event, whose sheet is drawn already. */
static enum ctl_exit check_packed(const struct rendering *rendering)
{
    static const char *const needless[] = {"index", "id", "catalog"};
    const struct ctl_args *args = rendering->args;
    const bool all = ctl_flag(args, "each") || ctl_flag(args, "animate");

    for (unsigned i = 0; i < ARRAY_LEN(needless); i++) {
        if (ctl_flag(args, needless[i])) {
            return ctl_misuse("render", "an archive of pictures holds one event; leave out --%s",
                              needless[i]);
        }
    }
    if (ctl_flag(args, "frames") && !all) {
        return ctl_misuse("render", "the sheet in an archive has all frames; say --each or "
                                    "--animate");
    }
    if (rendering->member != NULL && all) {
        return ctl_misuse("render", "'%s' names one picture; leave out what is behind the #",
                          rendering->args->words[0]);
    }
    return CTL_DONE;
}

/** "…/frames.zip", or "…/frames.zip#f07.png" as `frames` has it: whether it is one; takes the
 * latter apart. */
static bool take_packed_uri(struct rendering *rendering)
{
    const char *text = rendering->args->words[0], *hash = strstr(text, ".zip#");
    char *uri = arena_dup(rendering->arena, text);

    if (hash != NULL) {
        uri[hash - text + 4] = '\0';
        rendering->member = hash + 5;
    }
    rendering->uri = uri;
    return hash != NULL || str_ends(text, ".zip");
}

/** What is wanted, and of what; the exit code when that is misspoken. */
static enum ctl_exit take_options(struct rendering *rendering)
{
    const struct ctl_args *args = rendering->args;
    const bool each = ctl_flag(args, "each"), animate = ctl_flag(args, "animate");
    int64_t delay_ms;
    uint64_t loops;
    struct err err;

    if (rendering->out == NULL) {
        return ctl_misuse("render", "-o is missing: where to write");
    }
    rendering->is_packed = take_packed_uri(rendering);
    if (rendering->is_packed && check_packed(rendering) != CTL_DONE) {
        return CTL_USAGE;
    }
    if (!rendering->is_packed && ctl_flag(args, "index") == ctl_flag(args, "id")) {
        return ctl_misuse("render", "say which event: --index N or --id ID");
    }
    if (each && animate) {
        return ctl_misuse("render", "--each and --animate: one of them");
    }
    if (ctl_flag(args, "frames") && !is_list(ctl_value(args, "frames"))) {
        return ctl_misuse("render", "--frames '%.80s' is no list of frames, as 10,20,30",
                          ctl_value(args, "frames"));
    }
    if (!animate && (ctl_flag(args, "delay") || ctl_flag(args, "loop"))) {
        return ctl_misuse("render", "--delay and --loop go with --animate");
    }
    if (ctl_number(args, "index", 0, UINT32_MAX, 0, &rendering->index, &err) != RC_OK ||
        ctl_number(args, "loop", 0, INT32_MAX, 0, &loops, &err) != RC_OK ||
        ctl_time(args, "delay", DELAY_MS, &delay_ms, &err) != RC_OK) {
        return ctl_misuse("render", "%s", err.text);
    }
    if (delay_ms < 0 || delay_ms > APNG_DELAY_MAX_MS) {
        return ctl_misuse("render", "--delay is at most %d s", APNG_DELAY_MAX_MS / 1000);
    }
    rendering->draw = each                   ? draw_each
                      : animate              ? draw_animation
                      : rendering->is_packed ? take_member
                                             : draw_sheet;
    rendering->delay_ms = (unsigned)delay_ms;
    rendering->loops = (unsigned)loops;
    return CTL_DONE;
}

static void done(struct rendering *rendering)
{
    json_decref(rendering->written);
    free(rendering->frames);
    ctl_planes_done(&rendering->planes);
    ctl_h5_done(&rendering->file);
    ctl_packed_done(&rendering->packed);
    ctl_run_free(rendering->run);
    arena_free(rendering->arena);
}

static enum ctl_exit run_render(struct ctl *ctl, const struct ctl_args *args)
{
    struct rendering rendering = {
        .ctl = ctl, .args = args, .out = ctl_value(args, "output"), .arena = arena_new()};
    enum ctl_exit code = take_options(&rendering);

    if (code == CTL_DONE && ctl_run_is_same(rendering.out, rendering.uri)) {
        code = ctl_fail("'%s' is what is read; choose another name for -o", rendering.out);
    }
    if (code == CTL_DONE) {
        rendering.run = ctl_run_new(ctl, args);
        rendering.written = json_array();
        code = render(&rendering);
    }
    done(&rendering);
    return code;
}

static const struct ctl_option options[] = {
    {"index", 0, "N", "the event at this row of the file, from 0"},
    {"id", 0, "ID", "the event with this id"},
    {"frames", 0, "LIST", "only these, as 10,20,30,40"},
    {"each", 0, NULL, "a picture a frame, native size, into the folder OUT"},
    {"animate", 0, NULL, "an animated PNG, native size"},
    {"delay", 0, "TIME", "how long a frame of an animation is shown, as 200ms (the default)"},
    {"loop", 0, "N", "how often an animation plays; 0, the default, for ever"},
    {"output", 'o', "OUT", "the PNG, or with --each the folder, to write"},
    {"catalog", 0, "URI", "the CATALOG.csv, for times and place in the title"},
    CTL_S3_OPTIONS,
    {NULL},
};

const struct ctl_command ctl_cmd_render = {
    .name = "render",
    .arguments = "URI",
    .summary = "draw an event of a SEVIR file as a labelled contact sheet",
    .help =
        "Pictures have SEVIR's own colours and north is up. With --each, f00.png and so on are\n"
        "the very pixels that extraction writes; --animate makes one PNG of them that plays. Of\n"
        "a file of flashes, the counts on the grid of 48 by 48 cells are drawn.\n"
        "URI may also be an archive of pictures (frames.zip, of 'images: packed'): then its sheet\n"
        "is taken out, or its frames; 'URI#f07.png' is that picture alone.",
    .options = options,
    .min_words = 1,
    .max_words = 1,
    .local = true,
    .run = run_render,
};
