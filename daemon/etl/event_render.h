/** @file
 * One event, from its pixels to rows of `frames` and pictures. Pure: what a worker does.
 *
 *     pixels [H][W][T] -> frames [t][H][W] -> statistics -> CSV rows
 *                                          -> colours -> PNG a frame, a contact sheet
 *                                                        -> or one archive of them all
 *
 * Codes of a byte, which radar has, are coloured by a table while a picture is packed; for others
 * the palette indices of a frame are made first.
 *
 * Thread:     a worker's; an `event_scratch` serves one event at a time and is reused.
 * Ownership:  the output owns its buffers until event_output_reset() or event_output_done().
 */
#pragma once

#include "daemon/conf/conf.h"
#include "daemon/job/job_manifest.h"
#include "lib/base/digest.h"
#include "lib/base/str.h"
#include "lib/data/planes.h"
#include "lib/data/pngfile.h"
#include "lib/sevir/catalog_row.h"

struct event_input {
    enum sevir_type type;
    const struct catalog_row *row;
    const void *pixels; /**< Native samples, [height][width][frames]; row 0 is south. */
    bool by_frames;     /**< They are [frames][height][width] instead. */
    enum sample sample;
    uint32_t height, width, frames;
    uint32_t frames_at_once; /**< Of which there are planes; fewer take less memory and more time.
                                  Unless there are frames already. */
    enum conf_images images;
    const char *image_prefix; /**< Of the keys; ends in '/'. */
};

struct event_picture {
    char *key;
    enum job_output_kind kind; /**< OUTPUT_IMAGE, OUTPUT_SHEET or OUTPUT_PACKED. */
    struct strbuf png;         /**< The file: a PNG, or a ZIP archive of them. */
    uint8_t sha256[DIGEST_BYTES];
};

struct event_output {
    struct strbuf rows; /**< `frames` lines of CSV, without header. */
    struct event_picture *pictures;
    unsigned picture_count, picture_cap;
    uint64_t png_bytes;
};

/** Buffers kept from event to event. */
struct event_scratch {
    uint8_t *planes, *statistics; /**< Of some frames, and for one at a time. */
    uint8_t *indices, *thumbs;    /**< Of one frame, and of all as the sheet shows
                                     them, where their planes do not stay. */
    size_t planes_cap, statistics_cap, indices_cap, thumbs_cap;
    struct pngfile_encoder *encoder;
};

/** Bytes that rendering `events` such events, one after another, will hold at its peak beside the
 * pixels, by estimate. */
uint64_t event_render_bytes(const struct event_input *input, uint64_t events);
enum rc event_render(const struct event_input *input, struct event_scratch *scratch,
                     struct event_output *output, struct err *err);
/** Forget the content, keep what memory is worth keeping. */
void event_output_reset(struct event_output *output);
void event_output_done(struct event_output *output);
void event_scratch_done(struct event_scratch *scratch);

/** The header line of `frames`, with its newline. */
extern const char event_frames_header[];
