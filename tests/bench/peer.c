/** @file
 * What one would write in C: events read by H5Dread on several threads, a histogram of each frame
 * for its statistics, indexed pictures and a sheet as libpng makes them when nothing is set. A peer
 * of tests/bench/run.sh; not part of the product.
 *
 *     peer FILE TYPE EVENTS THREADS COLORS COUNT DIR     prints the seconds it took
 *
 * FILE may be an http:// address, which HDF5's own driver for it reads (ROS3). EVENTS is how many,
 * the first ones, or which: "37,211,". COLORS is what `kernels colors` writes: a palette and the
 * index of every code; COUNT its length.
 */
#include <hdf5.h>
#include <math.h>
#include <png.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THUMB 192
#define COLUMNS 8

static const char *file_name, *type_name, *dir_name;
static int events, chosen[4096], height, width, frames, element;
static png_color palette[256];
static uint8_t index_of[65536];
static int colors;
static hid_t file, dataset;
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;
static atomic_int next;
static FILE *table;

static void die(const char *text)
{
    perror(text);
    exit(1);
}

static void write_png(const char *name, const uint8_t *pixels, int w, int h)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir_name, name);
    FILE *out = fopen(path, "wb");
    if (out == NULL) {
        die(path);
    }
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    if (setjmp(png_jmpbuf(png))) {
        die("libpng");
    }
    png_init_io(png, out);
    png_set_IHDR(png, info, w, h, colors <= 16 ? 4 : 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_PLTE(png, info, palette, colors);
    png_write_info(png, info);
    png_set_packing(png);
    for (int y = h - 1; y >= 0; y--) {
        png_write_row(png, (png_bytep)(uintptr_t)(pixels + (size_t)y * w));
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(out);
}

static void statistics(int event, int frame, const uint8_t *at, const uint32_t *counts)
{
    static const double percents[] = {1, 10, 25, 50, 75, 90, 99};
    static const int thresholds[] = {16, 74, 133, 160, 181, 219};
    const int low = element == 1 ? 0 : -32768, high = element == 1 ? 255 : 32767;
    uint64_t valid = 0, area[6] = {0};
    double sum = 0, squares = 0;
    int min = high, max = low;

    (void)at;
    for (int code = low; code <= high; code++) {
        uint64_t n = counts[(uint16_t)code];
        if (n == 0 || (element == 1 && code == 255)) {
            continue;
        }
        valid += n;
        sum += (double)n * code;
        squares += (double)n * code * code;
        min = code < min ? code : min;
        max = code > max ? code : max;
        for (int i = 0; i < 6; i++) {
            area[i] += code >= thresholds[i] ? n : 0;
        }
    }
    char line[512];
    double mean = valid > 0 ? sum / valid : 0;
    int len = snprintf(line, sizeof(line), "%d,%d,%d,%d,%g,%g", event, frame, min, max, mean,
                       valid > 0 ? sqrt(squares / valid - mean * mean) : 0);
    uint64_t seen = 0;
    int code = low;
    for (int i = 0; i < 7 && valid > 0; i++) {
        uint64_t rank = (uint64_t)(percents[i] / 100 * (valid - 1));
        while (seen + counts[(uint16_t)code] <= rank || (element == 1 && code == 255)) {
            seen += counts[(uint16_t)code++];
        }
        len += snprintf(line + len, sizeof(line) - len, ",%d", code);
    }
    for (int i = 0; i < 6; i++) {
        len += snprintf(line + len, sizeof(line) - len, ",%g",
                        valid > 0 ? (double)area[i] / valid : 0);
    }
    fprintf(table, "%s\n", line);
}

static void extract(int event, const uint8_t *data, uint8_t *plane, uint8_t *sheet,
                    uint32_t *counts)
{
    const size_t pixels = (size_t)height * width;
    const int longest = height > width ? height : width, to = longest > THUMB ? THUMB : longest;
    const int sheet_width = COLUMNS * to, rows = (frames + COLUMNS - 1) / COLUMNS;
    char name[64];

    for (int frame = 0; frame < frames; frame++) {
        memset(counts, 0, 65536 * sizeof(*counts));
        for (size_t p = 0; p < pixels; p++) {
            size_t i = p * frames + frame;
            uint16_t code = element == 1 ? data[i] : ((const uint16_t *)(const void *)data)[i];
            counts[code]++;
            plane[p] = index_of[code];
        }
        statistics(event, frame, data, counts);
        snprintf(name, sizeof(name), "%d_%02d.png", event, frame);
        write_png(name, plane, width, height);
        uint8_t *cell = sheet + (size_t)(rows - 1 - frame / COLUMNS) * to * sheet_width +
                        (size_t)(frame % COLUMNS) * to;
        for (int y = 0; y < to; y++) {
            for (int x = 0; x < to; x++) {
                cell[(size_t)y * sheet_width + x] =
                    plane[(size_t)(y * height / to) * width + (size_t)x * width / to];
            }
        }
    }
    snprintf(name, sizeof(name), "%d_sheet.png", event);
    write_png(name, sheet, sheet_width, rows * to);
}

static void *work(void *unused)
{
    const size_t pixels = (size_t)height * width;
    uint8_t *data = malloc(pixels * frames * element), *plane = malloc(pixels);
    uint8_t *sheet = calloc((size_t)(frames + COLUMNS) * THUMB * THUMB, 1);
    uint32_t *counts = malloc(65536 * sizeof(*counts));

    for (int i; (i = atomic_fetch_add(&next, 1)) < events;) {
        const int event = chosen[i];
        hsize_t start[4] = {event, 0, 0, 0}, count[4] = {1, height, width, frames};
        pthread_mutex_lock(&reading);
        hid_t space = H5Dget_space(dataset), memory = H5Screate_simple(4, count, NULL);
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
        if (H5Dread(dataset, element == 1 ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT16, memory, space,
                    H5P_DEFAULT, data) < 0) {
            die("H5Dread");
        }
        H5Sclose(space);
        H5Sclose(memory);
        pthread_mutex_unlock(&reading);
        extract(event, data, plane, sheet, counts);
    }
    free(data);
    free(plane);
    free(sheet);
    free(counts);
    return unused;
}

static void choose(char *text)
{
    if (strchr(text, ',') == NULL) {
        events = (int)strtol(text, NULL, 10);
        for (int i = 0; i < events; i++) {
            chosen[i] = i;
        }
        return;
    }
    for (; *text != '\0'; text += *text == ',') {
        chosen[events++] = (int)strtol(text, &text, 10);
    }
}

static hid_t open_file(const char *name)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#ifdef H5_HAVE_ROS3_VFD
    H5FD_ros3_fapl_t ros3 = {.version = H5FD_CURR_ROS3_FAPL_T_VERSION, .authenticate = 0};

    if (strncmp(name, "http", 4) == 0 && H5Pset_fapl_ros3(access, &ros3) < 0) {
        die("ROS3");
    }
#endif
    return H5Fopen(name, H5F_ACC_RDONLY, access);
}

int main(int argc, char **argv)
{
    struct timespec began, ended;
    hsize_t dims[4];
    pthread_t threads[64];

    if (argc != 8) {
        fprintf(stderr, "usage: peer FILE TYPE EVENTS THREADS COLORS COUNT DIR\n");
        return 2;
    }
    file_name = argv[1];
    type_name = argv[2];
    choose(argv[3]);
    int count = (int)strtol(argv[4], NULL, 10);
    colors = (int)strtol(argv[6], NULL, 10);
    dir_name = argv[7];
    FILE *in = fopen(argv[5], "rb");
    if (in == NULL || fread(palette, 1, 768, in) != 768 || fread(index_of, 1, 65536, in) != 65536) {
        die(argv[5]);
    }
    fclose(in);
    clock_gettime(CLOCK_MONOTONIC, &began);
    file = open_file(file_name);
    dataset = H5Dopen2(file, type_name, H5P_DEFAULT);
    if (dataset < 0) {
        die(file_name);
    }
    H5Sget_simple_extent_dims(H5Dget_space(dataset), dims, NULL);
    element = (int)H5Tget_size(H5Dget_type(dataset));
    height = (int)dims[1];
    width = (int)dims[2];
    frames = (int)dims[3];
    char path[4096];
    snprintf(path, sizeof(path), "%s/frames.csv", dir_name);
    table = fopen(path, "w");
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], NULL, work, NULL);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
    fclose(table);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.6f\n",
           (double)(ended.tv_sec - began.tv_sec) + 1e-9 * (double)(ended.tv_nsec - began.tv_nsec));
    return 0;
}
