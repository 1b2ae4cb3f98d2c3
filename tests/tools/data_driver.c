/** @file
 * The data library on a command line, so that numpy, h5py and Pillow can be asked whether it is
 * right. Raw numbers come in on standard input and go out on standard output.
 *
 *     data_driver planes SAMPLE PIXELS FRAMES                          planes, raw
 *     data_driver stats  SAMPLE PIXELS FRAMES SCALE MISSING|- AREAS    a line of numbers a frame
 *     data_driver png    WIDTH HEIGHT COLORS FLIP                      palette and indices to a PNG
 *     data_driver zip    COUNT AT                                      members "m0"... from AT on
 *     data_driver rows   LAYOUT FILE DATASET FIRST COUNT GAP           rows, raw
 *     data_driver frames LAYOUT FILE DATASET FIRST COUNT GAP           the same, frame after frame
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/data/planes.h"
#include "lib/data/pngfile.h"
#include "lib/data/slab.h"
#include "lib/data/zipfile.h"

static _Noreturn void die(const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
    exit(1);
}

static uint64_t number(const char *text)
{
    uint64_t value;

    if (!str_to_u64(text, &value)) {
        die("not a number");
    }
    return value;
}

static struct strbuf read_all(FILE *file)
{
    struct strbuf buf = {0};
    static char some[65536];
    size_t got;

    if (file == NULL) {
        die("cannot open");
    }
    while ((got = fread(some, 1, sizeof(some), file)) > 0) {
        strbuf_add(&buf, some, got);
    }
    return buf;
}

static void write_all(const void *bytes, size_t len)
{
    if (fwrite(bytes, 1, len, stdout) != len || fflush(stdout) != 0) {
        die("cannot write");
    }
}

static enum sample sample_named(const char *name)
{
    static const char *const names[] = {"uint8", "int8",   "uint16", "int16",   "uint32",
                                        "int32", "uint64", "int64",  "float32", "float64"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum sample)i;
        }
    }
    die("no such type");
}

static void *planes_of(enum sample sample, size_t pixels, size_t frames)
{
    struct strbuf in = read_all(stdin);
    size_t bytes = pixels * frames * sample_bytes(sample);
    void *planes = malloc(bytes + 1);

    if (in.len != bytes) {
        die("not as many bytes as said");
    }
    planes_transpose(in.data, planes, pixels, frames, sample_bytes(sample));
    strbuf_done(&in);
    return planes;
}

static void print_stats(const struct plane_stats *stats)
{
    (void)printf("%lu %.17g %.17g %.17g %.17g", (unsigned long)stats->valid, stats->min, stats->max,
                 stats->mean, stats->std);
    for (unsigned i = 0; i < PLANE_PERCENTILES; i++) {
        (void)printf(" %.17g", stats->percentile[i]);
    }
    for (unsigned i = 0; i < PLANE_AREAS; i++) {
        (void)printf(" %.17g", stats->area[i]);
    }
    (void)putchar('\n');
}

static void do_stats(char **args)
{
    enum sample sample = sample_named(args[0]);
    size_t pixels = number(args[1]), frames = number(args[2]);
    struct plane_coding coding = {.scale = strtod(args[3], NULL),
                                  .has_missing = strcmp(args[4], "-") != 0,
                                  .missing = strtod(args[4], NULL),
                                  .areas = number(args[5]) != 0};
    uint8_t *planes = planes_of(sample, pixels, frames);
    void *scratch = malloc(plane_scratch_bytes(sample, pixels) + 1);

    for (size_t frame = 0; frame < frames; frame++) {
        struct plane_stats stats;

        plane_statistics(planes + frame * pixels * sample_bytes(sample), pixels, sample, &coding,
                         scratch, &stats);
        print_stats(&stats);
    }
    free(planes);
    free(scratch);
}

static void do_planes(char **args)
{
    enum sample sample = sample_named(args[0]);
    size_t pixels = number(args[1]), frames = number(args[2]);
    void *planes = planes_of(sample, pixels, frames);

    write_all(planes, pixels * frames * sample_bytes(sample));
    free(planes);
}

static void do_png(char **args)
{
    uint32_t width = (uint32_t)number(args[0]), height = (uint32_t)number(args[1]);
    unsigned colors = (unsigned)number(args[2]);
    struct strbuf in = read_all(stdin), out = {0};
    struct err err;

    if (in.len != (size_t)colors * 3 + (size_t)width * height) {
        die("not as many bytes as said");
    }
    if (pngfile_indexed((uint8_t *)in.data + (size_t)colors * 3, width, height,
                        number(args[3]) != 0, (const struct pngfile_rgb *)in.data, colors, NULL, 0,
                        &out, &err) != RC_OK) {
        die(err.text);
    }
    write_all(out.data, out.len);
    strbuf_done(&in);
    strbuf_done(&out);
}

static void do_zip(char **args)
{
    const uint64_t count = number(args[0]);
    struct zipfile_writer writer;
    struct strbuf out = {0};

    zipfile_begin(&writer, &out);
    writer.at = number(args[1]);
    for (uint64_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof(name), "m%llu", (unsigned long long)i);
        zipfile_add(&writer, name, name, strlen(name));
    }
    zipfile_end(&writer);
    write_all(out.data, out.len);
    strbuf_done(&out);
}

static void fetch(const struct slab_plan *plan, FILE *file, uint8_t *to)
{
    for (size_t i = 0; i < plan->range_count; i++) {
        const struct slab_range *range = &plan->ranges[i];

        if (fseek(file, (long)range->offset, SEEK_SET) != 0 ||
            fread(to + range->at, 1, range->len, file) != range->len) {
            die("cannot read a range");
        }
    }
}

static void read_rows(char **args, bool by_frames)
{
    scoped(layout_free) struct layout *layout = NULL;
    scoped(slab_plan_free) struct slab_plan *plan = NULL;
    FILE *layout_file = fopen(args[0], "rb"), *file = fopen(args[1], "rb");
    struct strbuf encoded = read_all(layout_file);
    const struct layout_dataset *dataset;
    uint8_t *fetched, *rows, *scratch;
    struct err err;

    if (layout_decode(encoded.data, encoded.len, &layout, &err) != RC_OK) {
        die(err.text);
    }
    dataset = layout_find(layout, args[2]);
    if (dataset == NULL || file == NULL) {
        die("no such dataset");
    }
    if (slab_plan(dataset, layout->file_size, number(args[3]), number(args[4]), number(args[5]),
                  &plan, &err) != RC_OK) {
        die(err.text);
    }
    if (by_frames) {
        slab_by_frames(plan);
    }
    fetched = malloc(plan->fetch_bytes + 1);
    rows = malloc(plan->decoded_bytes + 1);
    scratch = malloc(plan->scratch_bytes + 1);
    fetch(plan, file, fetched);
    if (slab_decode(plan, fetched, rows, scratch, &err) != RC_OK) {
        die(err.text);
    }
    write_all(rows, plan->decoded_bytes);
    free(fetched);
    free(rows);
    free(scratch);
    strbuf_done(&encoded);
    (void)fclose(layout_file);
    (void)fclose(file);
}

static void do_rows(char **args)
{
    read_rows(args, false);
}

static void do_frames(char **args)
{
    read_rows(args, true);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(char **args);
    } modes[] = {{"planes", 3, do_planes}, {"stats", 6, do_stats}, {"png", 4, do_png},
                 {"zip", 2, do_zip},       {"rows", 6, do_rows},   {"frames", 6, do_frames}};

    for (unsigned i = 0; argc > 1 && i < ARRAY_LEN(modes); i++) {
        if (strcmp(argv[1], modes[i].name) == 0 && argc == modes[i].args + 2) {
            modes[i].run(argv + 2);
            return 0;
        }
    }
    die("wrong usage: see the top of data_driver.c");
}
