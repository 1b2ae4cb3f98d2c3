/** @file
 * What the daemon is built from, one kernel at a time on one thread: the floor that
 * tests/bench/run.sh holds the daemon against. Also the colours and the sizes that the comparison
 * with others needs.
 *
 *     kernels colors TYPE                                palette (256 x 3), index of every code
 * (65536) kernels sum FILE CHUNKS TYPE SAMPLE H W T DIR      a line "KERNEL MS" an event, by kernel
 *     kernels bytes FILE CHUNKS TYPE SAMPLE H W T        bytes of the pictures, ours and libpng's
 * default's
 *
 * CHUNKS has a line "OFFSET BYTES DEFLATED" an event, which is one chunk or lies contiguous.
 */
#include <fcntl.h>
#include <libdeflate.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/data/planes.h"
#include "lib/sevir/colors.h"
#include "lib/sevir/encoding.h"
#include "lib/sevir/sheet.h"

#define ROUNDS 5
#define EVENTS_MAX 4096
#define FRAMES_MAX 64
#define THUMB 192 /**< Longest side of a frame on the sheet: event_render.c. */

enum kernel { READ, INFLATE, TRANSPOSE, STATISTICS, PICTURES, SHEET, DIGEST, WRITE, KERNELS };
static const char *const kernel_names[KERNELS] = {"read",     "inflate", "transpose", "statistics",
                                                  "pictures", "sheet",   "digest",    "write"};

struct chunk {
    uint64_t offset, bytes;
    bool deflated;
};

struct bench {
    int file, dir;
    struct chunk chunks[EVENTS_MAX];
    unsigned events;
    enum sevir_type type;
    enum sample sample;
    uint32_t height, width, frames, thumb_height, thumb_width;
    size_t pixels, event_bytes;
    uint8_t *stored, *interleaved, *planes, *indices, *thumbs, *statistics;
    struct libdeflate_decompressor *inflater;
    struct pngfile_encoder *encoder;
    struct strbuf pictures[FRAMES_MAX + 1];
    double ms[ROUNDS][KERNELS];
};

static _Noreturn void die(const char *text)
{
    perror(text);
    exit(1);
}

static unsigned number(const char *text)
{
    uint64_t value;

    if (!str_to_u64(text, &value) || value > UINT32_MAX) {
        die("not a number");
    }
    return (unsigned)value;
}

static enum sevir_type type_named(const char *name)
{
    for (unsigned type = 0; type < SEVIR_TYPE_COUNT; type++) {
        if (strcmp(sevir_type_name(type), name) == 0) {
            return type;
        }
    }
    die("no such type");
}

static int print_colors(enum sevir_type type)
{
    const struct colors *colors = colors_of(type);
    static uint8_t palette[256][3], index[65536];

    for (unsigned i = 0; i < colors->count; i++) {
        memcpy(palette[i], &colors->palette[i], 3);
    }
    for (unsigned code = 0; code < 65536; code++) {
        index[code] = colors_index(type, type == SEVIR_VIL ? (double)(code & 255) : (int16_t)code);
    }
    (void)fprintf(stderr, "%u\n", colors->count);
    return fwrite(palette, 1, sizeof(palette), stdout) == sizeof(palette) &&
                   fwrite(index, 1, sizeof(index), stdout) == sizeof(index)
               ? 0
               : 1;
}

static void read_chunks(struct bench *bench, const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned long long offset, bytes;
    unsigned deflated;
    uint64_t most = 0;

    if (file == NULL) {
        die(path);
    }
    while (bench->events < EVENTS_MAX &&
           fscanf(file, "%llu %llu %u", &offset, &bytes, &deflated) == 3) {
        bench->chunks[bench->events++] = (struct chunk){offset, bytes, deflated != 0};
        most = MAX_OF(most, bytes);
    }
    (void)fclose(file);
    bench->stored = aligned_alloc(64, most / 64 * 64 + 64);
}

static void open_bench(struct bench *bench, char **args)
{
    bench->file = open(args[0], O_RDONLY | O_CLOEXEC);
    if (bench->file < 0) {
        die(args[0]);
    }
    read_chunks(bench, args[1]);
    bench->type = type_named(args[2]);
    bench->sample = strcmp(args[3], "uint8") == 0 ? SAMPLE_U8 : SAMPLE_I16;
    bench->height = number(args[4]);
    bench->width = number(args[5]);
    bench->frames = MIN_OF(number(args[6]), FRAMES_MAX);
    bench->pixels = (size_t)bench->height * bench->width;
    bench->event_bytes = bench->pixels * bench->frames * sample_bytes(bench->sample);
    bench->interleaved = aligned_alloc(64, bench->event_bytes / 64 * 64 + 64);
    bench->planes = aligned_alloc(64, bench->event_bytes / 64 * 64 + 64);
    bench->indices = malloc(bench->pixels);
    bench->thumb_width = bench->width;
    bench->thumb_height = bench->height;
    if (MAX_OF(bench->width, bench->height) > THUMB) {
        sheet_frame_size(bench->width, bench->height, THUMB, &bench->thumb_width,
                         &bench->thumb_height);
    }
    bench->thumbs = malloc((size_t)bench->thumb_width * bench->thumb_height * bench->frames);
    bench->statistics = malloc(plane_scratch_bytes(bench->sample, bench->pixels));
    bench->inflater = libdeflate_alloc_decompressor();
    bench->encoder = pngfile_encoder_new();
}

/** Of this thread's CPU: on a machine that does other things as well, only that can be repeated. */
static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e3 * (double)now.tv_sec + 1e-6 * (double)now.tv_nsec;
}

static double lap(double *began)
{
    const double now = cpu_ms(), took = now - *began;

    *began = now;
    return took;
}

static void load(struct bench *bench, unsigned event, double *ms)
{
    const struct chunk *chunk = &bench->chunks[event];
    double began = cpu_ms();
    uint8_t *to = chunk->deflated ? bench->stored : bench->interleaved;

    for (uint64_t done = 0; done < chunk->bytes;) {
        ssize_t n =
            pread(bench->file, to + done, chunk->bytes - done, (off_t)(chunk->offset + done));

        if (n <= 0) {
            die("pread");
        }
        done += (uint64_t)n;
    }
    ms[READ] += lap(&began);
    if (chunk->deflated &&
        libdeflate_zlib_decompress(bench->inflater, bench->stored, chunk->bytes, bench->interleaved,
                                   bench->event_bytes, NULL) != LIBDEFLATE_SUCCESS) {
        die("inflate");
    }
    ms[INFLATE] += lap(&began);
    planes_transpose(bench->interleaved, bench->planes, bench->pixels, bench->frames,
                     sample_bytes(bench->sample));
    ms[TRANSPOSE] += lap(&began);
}

static struct pngfile_picture picture_of(struct bench *bench, unsigned frame)
{
    const struct colors *colors = colors_of(bench->type);
    const uint8_t *plane = bench->planes + frame * bench->pixels * sample_bytes(bench->sample);
    uint8_t *indices = bench->indices;
    const bool bytes = bench->sample == SAMPLE_U8;

    if (!bytes) {
        colors_map(bench->type, plane, bench->pixels, bench->sample, indices);
    }
    return (struct pngfile_picture){
        .pixels = bytes ? plane : indices,
        .map = bytes ? colors_bytes(bench->type) : NULL,
        .width = bench->width,
        .height = bench->height,
        .flip = true,
        .palette = colors->palette,
        .colors = colors->count,
    };
}

static void encode(struct bench *bench, const struct pngfile_picture *picture, struct strbuf *out)
{
    struct err err;

    strbuf_reset(out);
    if (pngfile_encode(bench->encoder, picture, out, &err) != RC_OK) {
        die(err.text);
    }
}

static void take_thumb(struct bench *bench, unsigned frame, const uint8_t *painted)
{
    sheet_shrink(painted, bench->width, bench->height, bench->thumb_width, bench->thumb_height,
                 bench->thumbs + (size_t)frame * bench->thumb_width * bench->thumb_height);
}

static void draw_sheet(struct bench *bench)
{
    const uint8_t *frames[FRAMES_MAX];
    unsigned numbers[FRAMES_MAX];
    struct strbuf *out = &bench->pictures[bench->frames];
    struct err err;

    for (unsigned frame = 0; frame < bench->frames; frame++) {
        frames[frame] = bench->thumbs + (size_t)frame * bench->thumb_width * bench->thumb_height;
        numbers[frame] = frame;
    }
    const struct sheet_options options = {
        .type = bench->type,
        .title = "bench",
        .width = bench->thumb_width,
        .height = bench->thumb_height,
        .frames = frames,
        .map = bench->sample == SAMPLE_U8 ? colors_bytes(bench->type) : NULL,
        .encoder = bench->encoder,
        .frame_numbers = numbers,
        .frame_count = bench->frames,
        .scale_to = MAX_OF(bench->width, bench->height) > THUMB ? THUMB : 0,
    };

    strbuf_reset(out);
    if (sheet_png(&options, out, &err) != RC_OK) {
        die(err.text);
    }
}

static void write_pictures(struct bench *bench)
{
    for (unsigned i = 0; i <= bench->frames; i++) {
        const struct strbuf *picture = &bench->pictures[i];
        char name[32];
        int fd;

        (void)snprintf(name, sizeof(name), "%02u.png", i);
        fd = openat(bench->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0 || write(fd, picture->data, picture->len) != (ssize_t)picture->len ||
            close(fd) != 0) {
            die("write");
        }
    }
    for (unsigned i = 0; i <= bench->frames; i++) { /* so that each one is a new file */
        char name[32];

        (void)snprintf(name, sizeof(name), "%02u.png", i);
        (void)unlinkat(bench->dir, name, 0);
    }
}

static void run_event(struct bench *bench, unsigned event, double *ms)
{
    uint8_t digest[DIGEST_BYTES];
    struct plane_stats stats;
    double began;

    load(bench, event, ms);
    began = cpu_ms();
    for (unsigned frame = 0; frame < bench->frames; frame++) { /* while a plane is in the cache */
        plane_statistics(bench->planes + frame * bench->pixels * sample_bytes(bench->sample),
                         bench->pixels, bench->sample, encoding_of(bench->type), bench->statistics,
                         &stats);
        ms[STATISTICS] += lap(&began);
        const struct pngfile_picture picture = picture_of(bench, frame);

        encode(bench, &picture, &bench->pictures[frame]);
        ms[PICTURES] += lap(&began);
        take_thumb(bench, frame, picture.pixels);
        ms[SHEET] += lap(&began);
    }
    draw_sheet(bench);
    ms[SHEET] += lap(&began);
    for (unsigned i = 0; i <= bench->frames; i++) {
        digest_sha256(bench->pictures[i].data, bench->pictures[i].len, digest);
    }
    ms[DIGEST] += lap(&began);
    write_pictures(bench);
    ms[WRITE] += lap(&began);
}

static int by_value(const void *a, const void *b)
{
    const double *one = a, *two = b;

    return (*one > *two) - (*one < *two);
}

static int run_sum(struct bench *bench, const char *dir)
{
    double warm[KERNELS] = {0};

    bench->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (bench->dir < 0) {
        die(dir);
    }
    run_event(bench, 0, warm);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned event = 0; event < bench->events; event++) {
            run_event(bench, event, bench->ms[round]);
        }
    }
    for (unsigned kernel = 0; kernel < KERNELS; kernel++) {
        double ms[ROUNDS];

        for (unsigned round = 0; round < ROUNDS; round++) {
            ms[round] = bench->ms[round][kernel] / bench->events;
        }
        qsort(ms, ROUNDS, sizeof(*ms), by_value);
        printf("%s %.4f\n", kernel_names[kernel], ms[ROUNDS / 2]);
    }
    return 0;
}

/* ---- sizes */

static void count_bytes(png_structp png, png_bytep bytes, size_t len)
{
    size_t *count = png_get_io_ptr(png);

    (void)bytes;
    *count += len;
}

static void no_flush(png_structp png)
{
    (void)png;
}

/** libpng as one calls it who sets nothing. */
static size_t libpng_bytes(const struct pngfile_picture *picture)
{
    const int depth = picture->colors <= 2    ? 1
                      : picture->colors <= 4  ? 2
                      : picture->colors <= 16 ? 4
                                              : 8;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t *row = malloc(picture->width);
    png_color palette[256];
    size_t count = 0;

    if (setjmp(png_jmpbuf(png)) != 0) {
        die("libpng");
    }
    for (unsigned i = 0; i < picture->colors; i++) {
        memcpy(&palette[i], &picture->palette[i], 3);
    }
    png_set_write_fn(png, &count, count_bytes, no_flush);
    png_set_IHDR(png, info, picture->width, picture->height, depth, PNG_COLOR_TYPE_PALETTE,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_PLTE(png, info, palette, (int)picture->colors);
    png_write_info(png, info);
    png_set_packing(png);
    for (uint32_t y = picture->height; y-- > 0;) {
        const uint8_t *from = picture->pixels + (size_t)y * picture->width;

        for (uint32_t x = 0; x < picture->width; x++) {
            row[x] = picture->map != NULL ? picture->map[from[x]] : from[x];
        }
        png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    free(row);
    return count;
}

static int run_bytes(struct bench *bench)
{
    static struct pngfile_rgb grey[256];
    size_t ours = 0, theirs = 0, ours_plain = 0, theirs_plain = 0;
    double unused[KERNELS];

    for (unsigned i = 0; i < 256; i++) {
        grey[i] = (struct pngfile_rgb){(uint8_t)i, (uint8_t)i, (uint8_t)i};
    }
    for (unsigned event = 0; event < bench->events; event++) {
        load(bench, event, unused);
        for (unsigned frame = 0; frame < bench->frames; frame += 7) {
            struct pngfile_picture picture = picture_of(bench, frame);

            encode(bench, &picture, &bench->pictures[0]);
            ours += bench->pictures[0].len;
            theirs += libpng_bytes(&picture);
            if (bench->sample == SAMPLE_U8) { /* an identity palette: the codes themselves */
                picture.map = NULL;
                picture.palette = grey;
                picture.colors = 256;
                encode(bench, &picture, &bench->pictures[0]);
                ours_plain += bench->pictures[0].len;
                theirs_plain += libpng_bytes(&picture);
            }
        }
    }
    printf("colors %zu %zu\nidentity %zu %zu\n", ours, theirs, ours_plain, theirs_plain);
    return 0;
}

int main(int argc, char **argv)
{
    static struct bench bench;

    if (argc == 3 && strcmp(argv[1], "colors") == 0) {
        return print_colors(type_named(argv[2]));
    }
    if (argc == 10 && strcmp(argv[1], "sum") == 0) {
        open_bench(&bench, argv + 2);
        return run_sum(&bench, argv[9]);
    }
    if (argc == 9 && strcmp(argv[1], "bytes") == 0) {
        open_bench(&bench, argv + 2);
        return run_bytes(&bench);
    }
    (void)fprintf(stderr, "usage: see kernels.c\n");
    return 2;
}
