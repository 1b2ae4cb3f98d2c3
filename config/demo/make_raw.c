/** @file
 * make_raw DIR: a small raw store in SEVIR's real layout, for the demo and for trying things out.
 *
 * Storms are made of cells that are born, move, grow and die; every image type sees the same cells
 * through its own eyes, so that radar, satellite and lightning agree. What users of the real data
 * trip over is in it: missing radar pixels, an id that occurs twice, an event without a flash, a
 * file whose events span two months.
 *
 * Bytes are the same on every run.
 */
#include <hdf5.h>
#include <math.h>
#include <stdio.h>

#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"
#include "lib/sevir/catalog_row.h"
#include "lib/sevir/projection.h"

#define FRAMES 49
#define CELLS 7
#define EXTENT_M 384000.0
#define FLASH_COLUMNS 5
#define FLASHES_MAX 4000
#define TEXTURE 1024 /**< A side; a power of two. */

/** One cell of a storm, in units of the event's box (0..1) and of its four hours (0..1). */
struct cell {
    float x, y, vx, vy; /**< Where it is at time 0, and how far it moves in all. */
    float birth, life, size, strength, stretch, angle;
};

/** A cell at one frame. */
struct glimpse {
    float x, y, strength, cos, sin, along2, across2; /**< Reciprocals of the axes, squared. */
};

struct storm {
    const char *id, *event_type;
    const char *time; /**< UTC, the middle of the event. */
    double x_m, y_m;  /**< South-west corner, metres on SEVIR's projection. */
    unsigned seed;
    bool radar_hole; /**< A radar is down: pixels are missing. */
    bool flashes;
    struct cell cells[CELLS];
    struct glimpse glimpses[FRAMES][CELLS];
    float *texture;
};

/** The second S834603 is a later row of the same id, as SEVIR has some. */
static struct storm storms[] = {
    {.id = "S834603",
     .event_type = "Flood",
     .time = "2019-05-12 18:30:00",
     .x_m = -266000,
     .y_m = -894000,
     .seed = 1,
     .flashes = true},
    {.id = "S797364",
     .event_type = "Tornado",
     .time = "2019-05-27 22:15:00",
     .x_m = 90000,
     .y_m = -150000,
     .seed = 7,
     .radar_hole = true,
     .flashes = true},
    {.id = "S834603",
     .event_type = "Flood",
     .time = "2019-05-12 20:30:00",
     .x_m = -226000,
     .y_m = -874000,
     .seed = 3,
     .flashes = false},
    {.id = "S858968",
     .event_type = "Thunderstorm Wind",
     .time = "2019-06-04 19:54:00",
     .x_m = 250000,
     .y_m = 912000,
     .seed = 11,
     .flashes = true},
};

/** What a type's files look like. */
struct kind {
    enum sevir_type type;
    const char *file_name; /**< As the catalog has it. */
    unsigned pixels;       /**< A side. */
    int first_offset;      /**< Minutes; differs between the types of one event. */
    unsigned storms;       /**< How many of the storms have it. */
};

static const struct kind kinds[] = {
    {SEVIR_VIL, "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5", 384, -119, 4},
    {SEVIR_IR069, "ir069/2019/SEVIR_IR069_STORMEVENTS_2019_0101_0630.h5", 192, -120, 4},
    {SEVIR_IR107, "ir107/2019/SEVIR_IR107_STORMEVENTS_2019_0101_0630.h5", 192, -120, 4},
    {SEVIR_VIS, "vis/2019/SEVIR_VIS_STORMEVENTS_2019_0501_0531.h5", 768, -120, 1},
    {SEVIR_LGHT, "lght/2019/SEVIR_LGHT_ALLEVENTS_2019_0501_0701.h5", 48, 0, 4},
};

/* ---- storms ------------------------------------------------------------------------------ */

static uint32_t hash(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ x >> 16;
}

/** Evenly between 0 and 1; `state` moves on. */
static float chance(uint32_t *state)
{
    *state += 0x9e3779b9U;
    return (float)(hash(*state) >> 8) / 16777216.0f;
}

static float lattice(int x, int y, uint32_t seed)
{
    return (float)(hash((uint32_t)x * 73856093U ^ (uint32_t)y * 19349663U ^ seed) >> 8) /
           16777216.0f;
}

static float smooth(float t)
{
    return t * t * (3 - 2 * t);
}

/** Value noise of one octave, 0..1. */
static float noise(float x, float y, uint32_t seed)
{
    const int ix = (int)floorf(x), iy = (int)floorf(y);
    const float fx = smooth(x - (float)ix), fy = smooth(y - (float)iy);
    const float south = lattice(ix, iy, seed) * (1 - fx) + lattice(ix + 1, iy, seed) * fx;
    const float north = lattice(ix, iy + 1, seed) * (1 - fx) + lattice(ix + 1, iy + 1, seed) * fx;

    return south * (1 - fy) + north * fy;
}

/** Three octaves on a map that covers -0.5 to 1.5 both ways, made once a storm. */
static void make_texture(struct storm *storm)
{
    storm->texture = mem_resize(NULL, (size_t)TEXTURE * TEXTURE, sizeof(float));
    for (unsigned row = 0; row < TEXTURE; row++) {
        for (unsigned column = 0; column < TEXTURE; column++) {
            const float x = 2.0f * (float)column / TEXTURE, y = 2.0f * (float)row / TEXTURE;

            storm->texture[row * TEXTURE + column] = 0.5f * noise(x * 12, y * 12, storm->seed) +
                                                     0.3f * noise(x * 31, y * 31, storm->seed + 1) +
                                                     0.2f * noise(x * 83, y * 83, storm->seed + 2);
        }
    }
}

static float texture(const struct storm *storm, float x, float y)
{
    const int column = (int)((x + 0.5f) * (TEXTURE / 2)), row = (int)((y + 0.5f) * (TEXTURE / 2));

    return storm->texture[(row & (TEXTURE - 1)) * TEXTURE + (column & (TEXTURE - 1))];
}

/** A line of cells along a front that moves north-east. */
static void make_cells(struct storm *storm)
{
    uint32_t state = storm->seed * 2654435761U;

    for (unsigned i = 0; i < CELLS; i++) {
        const float along = ((float)i + chance(&state)) / CELLS;

        storm->cells[i] = (struct cell){
            .x = 0.05f + 0.5f * along + 0.1f * chance(&state),
            .y = 0.55f - 0.45f * along + 0.15f * chance(&state),
            .vx = 0.28f + 0.14f * chance(&state),
            .vy = 0.20f + 0.12f * chance(&state),
            .birth = -0.25f + 0.6f * chance(&state),
            .life = 0.55f + 0.5f * chance(&state),
            .size = 0.035f + 0.05f * chance(&state),
            .strength = 0.55f + 0.5f * chance(&state),
            .stretch = 1.2f + 1.4f * chance(&state),
            .angle = 0.5f + 0.7f * chance(&state),
        };
    }
}

/** How strong a cell is at `t`: born, grown, dying. */
static float cell_strength(const struct cell *cell, float t)
{
    const float age = (t - cell->birth) / cell->life;

    return age <= 0 || age >= 1 ? 0 : cell->strength * sinf((float)M_PI * age);
}

static void make_glimpses(struct storm *storm)
{
    for (unsigned frame = 0; frame < FRAMES; frame++) {
        const float t = (float)frame / (FRAMES - 1);

        for (unsigned i = 0; i < CELLS; i++) {
            const struct cell *cell = &storm->cells[i];
            const float strength = cell_strength(cell, t);
            const float size = cell->size * (0.7f + 0.6f * strength);

            storm->glimpses[frame][i] = (struct glimpse){
                .x = cell->x + cell->vx * t,
                .y = cell->y + cell->vy * t,
                .strength = strength,
                .cos = cosf(cell->angle),
                .sin = sinf(cell->angle),
                .along2 = 1 / (size * size * cell->stretch * cell->stretch),
                .across2 = 1 / (size * size),
            };
        }
    }
}

/** Intensity of the storm at a place, 0 to about 1; `spread` widens the cells, as anvils do. */
static float intensity(const struct storm *storm, unsigned frame, float x, float y, float spread)
{
    const float shrink = 1 / (spread * spread);
    float strongest = 0;

    for (unsigned i = 0; i < CELLS; i++) {
        const struct glimpse *cell = &storm->glimpses[frame][i];
        const float dx = x - cell->x, dy = y - cell->y;
        const float along = dx * cell->cos + dy * cell->sin;
        const float across = dy * cell->cos - dx * cell->sin;
        const float r2 = (along * along * cell->along2 + across * across * cell->across2) * shrink;

        if (cell->strength > strongest && r2 < 12) {
            strongest = fmaxf(strongest, cell->strength * expf(-0.5f * r2));
        }
    }
    return strongest;
}

/* ---- how each type sees it ---------------------------------------------------------------- */

static uint8_t vil_code(const struct storm *storm, unsigned frame, float x, float y)
{
    const float t = (float)frame / (FRAMES - 1);
    const float drift = 0.35f * t;
    const float rain = intensity(storm, frame, x, y, 1.0f);
    const float grain = texture(storm, x - drift, y - 0.8f * drift);
    const float stratiform = 0.25f * intensity(storm, frame, x + 0.03f, y + 0.05f, 2.6f);
    const float value = 285 * (rain * (0.65f + 0.55f * grain) + stratiform * grain) - 12;

    if (storm->radar_hole && t > 0.3f && t < 0.45f && hypotf(x - 0.78f, y - 0.25f) < 0.16f) {
        return 255;
    }
    const int code = value < 2 ? 0 : value > 254 ? 254 : (int)value;
    return code == 1 ? 0 : (uint8_t)code;
}

static int16_t ir_code(const struct storm *storm, unsigned frame, float x, float y,
                       bool water_vapour)
{
    const float t = (float)frame / (FRAMES - 1);
    const float anvil = intensity(storm, frame, x - 0.02f, y - 0.01f, 2.2f);
    const float wisps = texture(storm, x - 0.3f * t, y - 0.2f * t);
    const float ground = water_vapour ? -22.0f : 24.0f;
    const float depth = water_vapour ? 46.0f : 98.0f;
    const float celsius =
        ground - 9 * wisps - depth * fminf(1, 1.25f * anvil * (0.8f + 0.3f * wisps));

    return (int16_t)lroundf(100 * celsius);
}

static int16_t vis_code(const struct storm *storm, unsigned frame, float x, float y)
{
    const float t = (float)frame / (FRAMES - 1);
    const float cloud = intensity(storm, frame, x, y, 1.9f);
    const float grain = texture(storm, x - 0.35f * t, y - 0.28f * t);
    const float cumulus = fmaxf(0, grain - 0.55f) * 0.9f;
    const float light = 0.75f + 0.25f * sinf((float)M_PI * (0.25f + 0.6f * t));
    const float reflectance = light * fminf(0.98f, 0.07f + 0.04f * grain + cumulus +
                                                       0.85f * cloud * (0.75f + 0.5f * grain));

    return (int16_t)lroundf(10000 * reflectance);
}

/** One event, [row][column][frame], row 0 in the south. Returns an array of uint8 or int16. */
static void *make_event(const struct kind *kind, const struct storm *storm)
{
    const unsigned side = kind->pixels;
    uint8_t *bytes =
        kind->type == SEVIR_VIL ? mem_resize(NULL, (size_t)side * side * FRAMES, 1) : NULL;
    int16_t *words =
        kind->type != SEVIR_VIL ? mem_resize(NULL, (size_t)side * side * FRAMES, 2) : NULL;
    size_t at = 0;

    for (unsigned row = 0; row < side; row++) {
        for (unsigned column = 0; column < side; column++) {
            const float x = ((float)column + 0.5f) / (float)side;
            const float y = ((float)row + 0.5f) / (float)side;

            for (unsigned frame = 0; frame < FRAMES; frame++, at++) {
                if (kind->type == SEVIR_VIL) {
                    bytes[at] = vil_code(storm, frame, x, y);
                } else if (kind->type == SEVIR_VIS) {
                    words[at] = vis_code(storm, frame, x, y);
                } else {
                    words[at] = ir_code(storm, frame, x, y, kind->type == SEVIR_IR069);
                }
            }
        }
    }
    return kind->type == SEVIR_VIL ? (void *)bytes : (void *)words;
}

/** Flashes around strong cells: seconds, latitude, longitude, x, y. Returns how many. */
static unsigned make_flashes(const struct storm *storm, double flashes[FLASHES_MAX][FLASH_COLUMNS])
{
    uint32_t state = storm->seed * 977U + 5;
    unsigned count = 0;

    for (unsigned tries = 0; storm->flashes && tries < FLASHES_MAX; tries++) {
        const struct cell *cell = &storm->cells[tries % CELLS];
        const float t = chance(&state);
        const float x = cell->x + cell->vx * t + 1.5f * cell->size * (chance(&state) - 0.5f);
        const float y = cell->y + cell->vy * t + 1.5f * cell->size * (chance(&state) - 0.5f);

        if (cell_strength(cell, t) < chance(&state) || x < 0 || x >= 1 || y < 0 || y >= 1) {
            continue;
        }
        double *flash = flashes[count++];

        flash[0] = -7200 + 14400 * (double)t;
        projection_inverse(storm->x_m + EXTENT_M * (double)x, storm->y_m + EXTENT_M * (double)y,
                           &flash[1], &flash[2]);
        flash[3] = 48 * (double)x;
        flash[4] = 48 * (double)y;
    }
    return count;
}

/* ---- HDF5 and the catalog ------------------------------------------------------------------- */

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "make_raw: %s failed\n", what);
        exit(1);
    }
}

static hid_t create_file(const char *dir, const char *file_name)
{
    scoped(free) char *data = fs_join(dir, "data");
    scoped(free) char *path = fs_join(data, file_name);
    scoped(free) char *folder = str_dup_n(path, (size_t)(strrchr(path, '/') - path));
    struct err err;

    if (fs_mkdirs(folder, 0777, &err) != RC_OK) {
        fprintf(stderr, "make_raw: %s\n", err.text);
        exit(1);
    }
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);

    check(file >= 0, path);
    return file;
}

static hid_t create_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims)
{
    const hid_t space = H5Screate_simple(rank, dims, NULL);
    const hid_t dataset =
        H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    check(dataset >= 0, name);
    H5Sclose(space);
    return dataset;
}

static void write_row(hid_t dataset, hid_t type, hsize_t index, unsigned side, const void *event)
{
    const hsize_t start[4] = {index, 0, 0, 0}, count[4] = {1, side, side, FRAMES};
    const hid_t space = H5Dget_space(dataset), memory = H5Screate_simple(4, count, NULL);

    check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Dwrite(dataset, type, memory, space, H5P_DEFAULT, event) >= 0,
          "writing an event");
    H5Sclose(space);
    H5Sclose(memory);
}

/** The range of the codes, in the catalog's units. */
static void measure(const struct kind *kind, const void *event, struct catalog_row *row)
{
    const size_t count = (size_t)kind->pixels * kind->pixels * FRAMES;
    const double scale = kind->type == SEVIR_VIL ? 1 : kind->type == SEVIR_VIS ? 1e-4 : 1e-2;
    size_t missing = 0;

    row->data_min = INFINITY;
    row->data_max = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const int code =
            kind->type == SEVIR_VIL ? ((const uint8_t *)event)[i] : ((const int16_t *)event)[i];

        if (kind->type == SEVIR_VIL && code == 255) {
            missing++;
        } else {
            row->data_min = fmin(row->data_min, code * scale);
            row->data_max = fmax(row->data_max, code * scale);
        }
    }
    row->pct_missing = (double)missing / (double)count;
}

static void describe(const struct kind *kind, const struct storm *storm, unsigned index,
                     int16_t offsets[FRAMES], struct catalog_row *row)
{
    *row = (struct catalog_row){
        .id = storm->id,
        .file_name = kind->file_name,
        .file_index = kind->type == SEVIR_LGHT ? 0 : index,
        .img_type = kind->type,
        .frame_count = kind->type == SEVIR_LGHT ? 0 : FRAMES,
        .minute_offsets = offsets,
        .episode_id = "138793",
        .event_id = storm->id + 1,
        .event_type = storm->event_type,
        .proj = "+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +ellps=sphere ",
        .size_x = kind->pixels,
        .size_y = kind->pixels,
        .height_m = EXTENT_M,
        .width_m = EXTENT_M,
    };
    now_parse_utc(storm->time, &row->time_utc);
    projection_inverse(storm->x_m, storm->y_m, &row->llcrnrlat, &row->llcrnrlon);
    projection_inverse(storm->x_m + EXTENT_M, storm->y_m + EXTENT_M, &row->urcrnrlat,
                       &row->urcrnrlon);
    for (unsigned frame = 0; frame < FRAMES; frame++) {
        offsets[frame] = (int16_t)(kind->first_offset + 5 * (int)frame);
    }
}

/** A line as SEVIR writes it: numbers of NOAA's ids with ".0", a space at the end of `proj`. */
static void write_catalog_row(const struct catalog_row *row, struct strbuf *out)
{
    char time[NOW_TEXT];

    now_format_utc(row->time_utc, time);
    strbuf_printf(out, "%s,%s,%d,%s,%s,", row->id, row->file_name, (int)row->file_index,
                  sevir_type_name(row->img_type), time);
    for (unsigned frame = 0; frame < row->frame_count; frame++) {
        strbuf_printf(out, frame > 0 ? ":%d" : "%d", row->minute_offsets[frame]);
    }
    strbuf_printf(out, ",%s.0,%s.0,%s", row->episode_id, row->event_id, row->event_type);
    const double corners[] = {row->llcrnrlat, row->llcrnrlon, row->urcrnrlat, row->urcrnrlon};
    for (unsigned i = 0; i < ARRAY_LEN(corners); i++) {
        strbuf_putc(out, ',');
        strbuf_double(out, corners[i]);
    }
    strbuf_printf(out, ",%s,%d,%d,%.1f,%.1f", row->proj, (int)row->size_x, (int)row->size_y,
                  row->height_m, row->width_m);
    const double measured[] = {row->data_min, row->data_max, row->pct_missing};
    for (unsigned i = 0; i < ARRAY_LEN(measured); i++) {
        strbuf_putc(out, ',');
        strbuf_double(out, measured[i]);
    }
    strbuf_putc(out, '\n');
}

static void make_raster(const char *dir, const struct kind *kind, struct strbuf *catalog)
{
    const hid_t type = kind->type == SEVIR_VIL ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT16;
    const hsize_t dims[4] = {kind->storms, kind->pixels, kind->pixels, FRAMES};
    const hid_t file = create_file(dir, kind->file_name);
    const hid_t images = create_dataset(file, sevir_type_name(kind->type), type, 4, dims);
    char ids[ARRAY_LEN(storms)][10] = {{0}};

    for (unsigned i = 0; i < kind->storms; i++) {
        int16_t offsets[FRAMES];
        struct catalog_row row;
        scoped(free) void *event = make_event(kind, &storms[i]);

        write_row(images, type, i, kind->pixels, event);
        memcpy(ids[i], storms[i].id, strlen(storms[i].id));
        describe(kind, &storms[i], i, offsets, &row);
        measure(kind, event, &row);
        write_catalog_row(&row, catalog);
    }
    H5Dclose(images);

    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, sizeof(ids[0]));
    H5Tset_strpad(text, H5T_STR_NULLPAD);
    const hid_t id = create_dataset(file, "id", text, 1, dims);

    check(H5Dwrite(id, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, ids) >= 0, "writing ids");
    H5Dclose(id);
    H5Tclose(text);
    check(H5Fclose(file) >= 0, kind->file_name);
}

static void make_lightning(const char *dir, const struct kind *kind, struct strbuf *catalog)
{
    const hid_t file = create_file(dir, kind->file_name);
    double(*flashes)[FLASH_COLUMNS] = mem_resize(NULL, FLASHES_MAX, sizeof(*flashes));

    for (unsigned i = 0; i < kind->storms; i++) {
        if (i == 2) {
            continue; /* the later row of an id: one dataset serves both */
        }
        /* The last event has no flash at all: an empty table, as the real files have. */
        const unsigned count = i == 3 ? 0 : make_flashes(&storms[i], flashes);
        const hsize_t dims[2] = {count, FLASH_COLUMNS};
        const hid_t dataset = create_dataset(file, storms[i].id, H5T_NATIVE_DOUBLE, 2, dims);
        int16_t offsets[FRAMES];
        struct catalog_row row;

        check(count == 0 ||
                  H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, flashes) >= 0,
              "writing flashes");
        H5Dclose(dataset);
        describe(kind, &storms[i], i, offsets, &row);
        row.data_max = count;
        write_catalog_row(&row, catalog);
    }
    free(flashes);
    check(H5Fclose(file) >= 0, kind->file_name);
}

/** What NOAA says of the same storms, with the commas and quotes that break naive loaders. */
static const char storm_events[] = "EPISODE_ID,EVENT_ID,STATE,EVENT_TYPE,BEGIN_DATE_TIME,CZ_"
                                   "TIMEZONE,INJURIES_DIRECT,DAMAGE_PROPERTY,"
                                   "MAGNITUDE,EVENT_NARRATIVE\n"
                                   "138793,834603,TEXAS,Flood,12-MAY-19 "
                                   "13:30:00,CST-6,0,0.00K,,\"Water over the road, two feet deep, "
                                   "at the \"\"low\"\" crossing.\"\n"
                                   "138801,797364,KANSAS,Tornado,27-MAY-19 "
                                   "17:15:00,CST-6,3,25.00K,,\"The tornado moved north-east,\n"
                                   "crossed the highway, and lifted.\"\n"
                                   "142807,858968,MINNESOTA,Thunderstorm Wind,04-JUN-19 "
                                   "14:54:00,CST-6,0,1.50K,61.5,\"Trees down.\"\n";

static void write_text(const char *dir, const char *name, const char *text, size_t len)
{
    scoped(free) char *path = fs_join(dir, name);
    struct err err;

    if (fs_write_file(path, text, len, 0666, &err) != RC_OK) {
        fprintf(stderr, "make_raw: %s\n", err.text);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    scoped(strbuf_done) struct strbuf catalog = {0};
    struct err err;

    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr,
                "usage: make_raw DIR\nMakes CATALOG.csv, data/<type>/2019/*.h5 and a table of "
                "storm events there\n");
        return 2;
    }
    if (fs_mkdirs(argv[1], 0777, &err) != RC_OK) {
        fprintf(stderr, "make_raw: %s\n", err.text);
        return 1;
    }
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(storms); i++) {
        make_cells(&storms[i]);
        make_glimpses(&storms[i]);
        make_texture(&storms[i]);
    }
    for (unsigned c = 0; c < CATALOG_COLUMNS; c++) {
        strbuf_printf(&catalog, c > 0 ? ",%s" : "%s", catalog_columns[c]);
    }
    strbuf_putc(&catalog, '\n');
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].type == SEVIR_LGHT) {
            make_lightning(argv[1], &kinds[i], &catalog);
        } else {
            make_raster(argv[1], &kinds[i], &catalog);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(storms); i++) {
        free(storms[i].texture);
    }
    write_text(argv[1], "CATALOG.csv", catalog.data, catalog.len);
    write_text(argv[1], "StormEvents_details-ftp_v1.0_d2019_c20250401.csv", storm_events,
               sizeof(storm_events) - 1);
    return 0;
}
