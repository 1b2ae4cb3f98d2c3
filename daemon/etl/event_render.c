/** @file
 * One event, from pixels to rows and pictures.
 *
 * Frames are handled one after the other while their plane is warm in the cache: also what the
 * contact sheet will show of each is taken then.
 */
#include "daemon/etl/event_render.h"

#include <inttypes.h>
#include <math.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/data/zipfile.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/encoding.h"
#include "lib/sevir/sheet.h"

#define SHEET_THUMB 192      /**< Longest side of a frame on a sheet, in pixels. */
#define THUMB_LABEL 4096     /**< Its label and gaps: pixels, generously. */
#define ENCODER_BYTES 600000 /**< Beside the picture's own: tables, title, colour bar. */

const char event_frames_header[] =
    "id,img_type,frame,time_utc,minute_offset,file_name,file_index,size_y,size_x,valid,min,max,"
    "mean,std,p01,p10,p25,p50,p75,p90,p99,a16,a74,a133,a160,a181,a219,image\n";

/** Bytes of the planes that are made of some frames. */
static uint64_t planes_bytes(const struct event_input *input)
{
    return input->by_frames ? 0
                            : (uint64_t)input->height * input->width * input->frames_at_once *
                                  sample_bytes(input->sample);
}

/** Whether what the sheet shows of a frame may lie where its plane was. */
static bool keeps_planes(const struct event_input *input)
{
    return !input->by_frames && input->frames_at_once == input->frames;
}

uint64_t event_render_bytes(const struct event_input *input, uint64_t events)
{
    const uint64_t pixels = (uint64_t)input->height * input->width;
    const uint64_t all = pixels * input->frames;
    const uint64_t thumb = MIN_OF(pixels, (uint64_t)SHEET_THUMB * SHEET_THUMB) + THUMB_LABEL;
    const uint64_t sheet = thumb * input->frames;
    uint64_t scratch = planes_bytes(input) + plane_scratch_bytes(input->sample, pixels);
    uint64_t output = 512 * (uint64_t)input->frames; /* rows */

    if (input->images != IMAGES_NONE) {
        scratch += ENCODER_BYTES + 3 * MAX_OF(sheet, pixels); /* canvas, scanlines, deflated */
        scratch += keeps_planes(input) ? 0 : sheet;           /* the frames on it */
        scratch += input->sample != SAMPLE_U8 ? pixels : 0;   /* indices */
        output += sheet / 2;
    }
    if (input->images == IMAGES_FRAMES || input->images == IMAGES_PACKED) {
        output += all / 2; /* indexed pictures of weather shrink to far less */
    }
    if (input->images == IMAGES_PACKED) {
        scratch += all / 2; /* an event's pictures, and the archive of them */
    }
    return scratch + output * events;
}

static enum rc reserve(uint8_t **block, size_t *cap, size_t bytes, struct err *err)
{
    if (bytes <= *cap) {
        return RC_OK;
    }
    uint8_t *bigger = mem_try(bytes, 1);

    if (bigger == NULL) {
        return err_set(err, RC_LIMIT, "no memory for %zu bytes", bytes);
    }
    free(*block);
    *block = bigger;
    *cap = bytes;
    return RC_OK;
}

static void write_number(struct strbuf *rows, double value)
{
    strbuf_putc(rows, ',');
    strbuf_double(rows, value);
}

/** One line of `frames`; `image` is "" when no picture of the frame is made. */
static void write_row(const struct event_input *input, unsigned frame,
                      const struct plane_stats *stats, const char *image, struct strbuf *rows)
{
    const struct catalog_row *row = input->row;
    const bool timed = frame < row->frame_count;
    char time[NOW_TEXT] = "";

    if (timed) {
        now_format_utc(row->time_utc + 60 * (int64_t)row->minute_offsets[frame], time);
    }
    strbuf_csv(rows, row->id, strlen(row->id));
    strbuf_printf(rows, ",%s,%u,%s,", sevir_type_name(input->type), frame, time);
    if (timed) {
        strbuf_printf(rows, "%d", row->minute_offsets[frame]);
    }
    strbuf_putc(rows, ',');
    strbuf_csv(rows, row->file_name, strlen(row->file_name));
    strbuf_printf(rows, ",%" PRId64 ",%" PRIu32 ",%" PRIu32, row->file_index, input->height,
                  input->width);
    write_number(rows, stats->pixels > 0 ? (double)stats->valid / (double)stats->pixels : NAN);
    write_number(rows, stats->min);
    write_number(rows, stats->max);
    write_number(rows, stats->mean);
    write_number(rows, stats->std);
    for (unsigned i = 0; i < PLANE_PERCENTILES; i++) {
        write_number(rows, stats->percentile[i]);
    }
    for (unsigned i = 0; i < PLANE_AREAS; i++) {
        write_number(rows, stats->area[i]);
    }
    strbuf_putc(rows, ',');
    strbuf_csv(rows, image, strlen(image));
    strbuf_putc(rows, '\n');
}

static struct event_picture *add_picture(struct event_output *output, enum job_output_kind kind,
                                         const char *prefix, const char *name)
{
    if (output->picture_count == output->picture_cap) {
        const unsigned cap = output->picture_cap > 0 ? 2 * output->picture_cap : 64;

        output->pictures = mem_resize(output->pictures, cap, sizeof(*output->pictures));
        memset(output->pictures + output->picture_cap, 0,
               (cap - output->picture_cap) * sizeof(*output->pictures));
        output->picture_cap = cap;
    }
    struct event_picture *picture = &output->pictures[output->picture_count++];

    picture->key = str_printf("%s%s", prefix, name);
    picture->kind = kind;
    return picture;
}

static void finish_pictures(struct event_output *output, unsigned first)
{
    for (unsigned i = first; i < output->picture_count; i++) {
        struct event_picture *picture = &output->pictures[i];

        digest_sha256(picture->png.data, picture->png.len, picture->sha256);
        output->png_bytes += picture->png.len;
    }
}

static void reset_picture(struct event_picture *picture)
{
    free(TAKE(picture->key));
    strbuf_reset(&picture->png);
}

/** One archive in place of the pictures from `first` on; the sheet, which is last, comes first in
 * it. */
static void pack_pictures(const struct event_input *input, struct event_output *output,
                          unsigned first)
{
    const unsigned sheet = output->picture_count - 1;
    struct zipfile_writer writer;
    struct strbuf zip = {0};

    zipfile_begin(&writer, &zip);
    for (unsigned i = first; i <= sheet; i++) {
        const struct event_picture *picture = &output->pictures[i == first ? sheet : i - 1];

        zipfile_add(&writer, str_basename(picture->key), picture->png.data, picture->png.len);
    }
    zipfile_end(&writer);
    for (unsigned i = first; i <= sheet; i++) {
        reset_picture(&output->pictures[i]);
    }
    output->picture_count = first;

    struct event_picture *packed =
        add_picture(output, OUTPUT_PACKED, input->image_prefix, NAMING_PACKED);
    const struct strbuf spare = packed->png;

    packed->png = zip;
    zip = spare;
    strbuf_done(&zip);
}

/** Frames as the sheet shows them. */
struct thumbs {
    uint32_t width, height;
};

static struct thumbs thumbs_of(const struct event_input *input)
{
    struct thumbs thumbs = {.width = input->width, .height = input->height};

    if (MAX_OF(input->width, input->height) > SHEET_THUMB) {
        sheet_frame_size(input->width, input->height, SHEET_THUMB, &thumbs.width, &thumbs.height);
    }
    return thumbs;
}

static size_t thumb_bytes(const struct event_input *input)
{
    const struct thumbs thumbs = thumbs_of(input);

    return (size_t)thumbs.width * thumbs.height;
}

/** Where what the sheet shows of a frame is kept: where its plane was, if it stays there. */
static uint8_t *thumb_of(const struct event_input *input, const struct event_scratch *scratch,
                         unsigned frame)
{
    const size_t plane = (size_t)input->height * input->width * sample_bytes(input->sample);

    return keeps_planes(input) ? scratch->planes + frame * plane
                               : scratch->thumbs + frame * thumb_bytes(input);
}

/** Codes, where a byte is one, else indices. */
static const uint8_t *map_of(const struct event_input *input)
{
    return input->sample == SAMPLE_U8 ? colors_bytes(input->type) : NULL;
}

static enum rc render_frame(const struct event_input *input, unsigned frame, const uint8_t *painted,
                            struct pngfile_encoder *encoder, struct event_output *output,
                            struct err *err)
{
    const struct colors *colors = colors_of(input->type);
    char name[16];

    naming_frame_file(frame, name);
    struct event_picture *picture = add_picture(output, OUTPUT_IMAGE, input->image_prefix, name);
    const struct pngfile_picture drawn = {
        .pixels = painted,
        .map = map_of(input),
        .width = input->width,
        .height = input->height,
        .flip = true,
        .palette = colors->palette,
        .colors = colors->count,
    };

    if (pngfile_encode(encoder, &drawn, &picture->png, err) != RC_OK) {
        return err_wrap(err, "picture '%s'", picture->key);
    }
    return RC_OK;
}

static enum rc render_sheet(const struct event_input *input, const struct event_scratch *scratch,
                            struct event_output *output, struct err *err)
{
    const struct thumbs thumbs = thumbs_of(input);
    scoped(free) const uint8_t **frames = mem_resize(NULL, input->frames, sizeof(*frames));
    scoped(free) unsigned *numbers = mem_resize(NULL, input->frames, sizeof(*numbers));
    struct event_picture *picture =
        add_picture(output, OUTPUT_SHEET, input->image_prefix, NAMING_SHEET);

    for (unsigned frame = 0; frame < input->frames; frame++) {
        frames[frame] = thumb_of(input, scratch, frame);
        numbers[frame] = frame;
    }
    const struct sheet_options options = {
        .type = input->type,
        .row = input->row,
        .width = thumbs.width,
        .height = thumbs.height,
        .frames = frames,
        .map = map_of(input),
        .encoder = scratch->encoder,
        .frame_numbers = numbers,
        .frame_count = input->frames,
        .scale_to = MAX_OF(input->width, input->height) > SHEET_THUMB ? SHEET_THUMB : 0,
    };
    if (sheet_png(&options, &picture->png, err) != RC_OK) {
        return err_wrap(err, "picture '%s'", picture->key);
    }
    return RC_OK;
}

static enum rc prepare(const struct event_input *input, struct event_scratch *scratch,
                       struct err *err)
{
    const size_t pixels = (size_t)input->height * input->width;

    if (reserve(&scratch->planes, &scratch->planes_cap, (size_t)planes_bytes(input), err) !=
            RC_OK ||
        reserve(&scratch->statistics, &scratch->statistics_cap,
                plane_scratch_bytes(input->sample, pixels), err) != RC_OK) {
        return err->rc;
    }
    if (input->images == IMAGES_NONE) {
        return RC_OK;
    }
    if (scratch->encoder == NULL) {
        scratch->encoder = pngfile_encoder_new();
    }
    if (!keeps_planes(input) && reserve(&scratch->thumbs, &scratch->thumbs_cap,
                                        thumb_bytes(input) * input->frames, err) != RC_OK) {
        return err->rc;
    }
    return input->sample != SAMPLE_U8
               ? reserve(&scratch->indices, &scratch->indices_cap, pixels, err)
               : RC_OK;
}

/** The frame in what pictures are made from. */
static const uint8_t *paint(const struct event_input *input, const uint8_t *plane,
                            const struct event_scratch *scratch)
{
    if (input->sample == SAMPLE_U8) {
        return plane;
    }
    colors_map(input->type, plane, (size_t)input->height * input->width, input->sample,
               scratch->indices);
    return scratch->indices;
}

/** The picture, and how the row names it. */
static enum rc name_picture(const struct event_input *input, unsigned frame, const uint8_t *painted,
                            const struct event_scratch *scratch, struct event_output *output,
                            char **ret_image, struct err *err)
{
    const char *key;

    if (input->images == IMAGES_SHEET) {
        *ret_image = str_dup("");
        return RC_OK;
    }
    if (render_frame(input, frame, painted, scratch->encoder, output, err) != RC_OK) {
        return err->rc;
    }
    key = output->pictures[output->picture_count - 1].key;
    *ret_image = input->images == IMAGES_PACKED
                     ? str_printf("%s" NAMING_PACKED "#%s", input->image_prefix, str_basename(key))
                     : str_dup(key);
    return RC_OK;
}

/** The plane is of no use afterwards. */
static enum rc draw_frame(const struct event_input *input, unsigned frame, const uint8_t *plane,
                          const struct event_scratch *scratch, struct event_output *output,
                          char **ret_image, struct err *err)
{
    const struct thumbs thumbs = thumbs_of(input);
    const uint8_t *painted = paint(input, plane, scratch);

    if (name_picture(input, frame, painted, scratch, output, ret_image, err) != RC_OK) {
        return err->rc;
    }
    sheet_shrink(painted, input->width, input->height, thumbs.width, thumbs.height,
                 thumb_of(input, scratch, frame));
    return RC_OK;
}

/** `count` frames from `first` on. */
static enum rc render_frames(const struct event_input *input, unsigned first, unsigned count,
                             const struct event_scratch *scratch, struct event_output *output,
                             struct err *err)
{
    const size_t pixels = (size_t)input->height * input->width;
    const size_t element = sample_bytes(input->sample);

    const uint8_t *planes = scratch->planes;

    if (input->by_frames) {
        planes = (const uint8_t *)input->pixels + first * pixels * element;
    } else {
        planes_transpose_some(input->pixels, scratch->planes, pixels, input->frames, first, count,
                              element);
    }
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *plane = planes + i * pixels * element;
        scoped(free) char *image = NULL;
        struct plane_stats stats;

        plane_statistics(plane, pixels, input->sample, encoding_of(input->type),
                         scratch->statistics, &stats);
        if (input->images != IMAGES_NONE &&
            draw_frame(input, first + i, plane, scratch, output, &image, err) != RC_OK) {
            return err->rc;
        }
        write_row(input, first + i, &stats, image != NULL ? image : "", &output->rows);
    }
    return RC_OK;
}

enum rc event_render(const struct event_input *input, struct event_scratch *scratch,
                     struct event_output *output, struct err *err)
{
    const unsigned first = output->picture_count;

    if (prepare(input, scratch, err) != RC_OK) {
        return err->rc;
    }
    for (unsigned frame = 0, count; frame < input->frames; frame += count) {
        count = MIN_OF(input->frames - frame, input->frames_at_once);
        if (render_frames(input, frame, count, scratch, output, err) != RC_OK) {
            return err->rc;
        }
    }
    if (input->images != IMAGES_NONE && render_sheet(input, scratch, output, err) != RC_OK) {
        return err->rc;
    }
    if (input->images == IMAGES_PACKED) {
        pack_pictures(input, output, first);
    }
    finish_pictures(output, first);
    return RC_OK;
}

void event_output_reset(struct event_output *output)
{
    for (unsigned i = 0; i < output->picture_count; i++) {
        reset_picture(&output->pictures[i]);
    }
    output->picture_count = 0;
    output->png_bytes = 0;
    strbuf_reset(&output->rows);
}

void event_output_done(struct event_output *output)
{
    event_output_reset(output);
    for (unsigned i = 0; i < output->picture_cap; i++) {
        strbuf_done(&output->pictures[i].png);
    }
    free(output->pictures);
    strbuf_done(&output->rows);
    *output = (struct event_output){0};
}

void event_scratch_done(struct event_scratch *scratch)
{
    free(scratch->planes);
    free(scratch->indices);
    free(scratch->thumbs);
    free(scratch->statistics);
    pngfile_encoder_free(scratch->encoder);
    *scratch = (struct event_scratch){0};
}
