/** @file
 * CATALOG.csv, field by field.
 *
 * The columns are a table: where a field goes, which rule reads it. A rule refuses with "'VALUE'
 * is not ...; hint", and the caller puts line and column in front.
 */
#include "lib/sevir/catalog_row.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"

#define SHOWN_MAX 48 /**< Bytes of a value that a message shows. */
#define SIZE_MAX_PIXELS 1000000
#define OFFSET_MAX 10000 /**< Minutes. */
#define FILE_NAME_MAX 1024
#define TEXT_MAX 1024

/* clang-format off */
#define COLUMN_MAP(X) \
    X(ID, "id") X(FILE_NAME, "file_name") X(FILE_INDEX, "file_index") \
    X(IMG_TYPE, "img_type") X(TIME_UTC, "time_utc") X(MINUTE_OFFSETS, "minute_offsets") \
    X(EPISODE_ID, "episode_id") X(EVENT_ID, "event_id") X(EVENT_TYPE, "event_type") \
    X(LLCRNRLAT, "llcrnrlat") X(LLCRNRLON, "llcrnrlon") X(URCRNRLAT, "urcrnrlat") \
    X(URCRNRLON, "urcrnrlon") X(PROJ, "proj") X(SIZE_X, "size_x") X(SIZE_Y, "size_y") \
    X(HEIGHT_M, "height_m") X(WIDTH_M, "width_m") X(DATA_MIN, "data_min") \
    X(DATA_MAX, "data_max") X(PCT_MISSING, "pct_missing")
/* clang-format on */

enum column {
#define X(name, text) COLUMN_##name,
    COLUMN_MAP(X)
#undef X
};

const char *const catalog_columns[CATALOG_COLUMNS] = {
#define X(name, text) [COLUMN_##name] = text,
    COLUMN_MAP(X)
#undef X
};

/* ---- header -------------------------------------------------------------------------------- */

static int find_column(const struct csv_row *header, const char *name, unsigned from)
{
    for (unsigned i = from; i < header->count; i++) {
        if (strcmp(header->fields[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

bool catalog_header_recognise(const struct csv_row *header)
{
    for (unsigned column = COLUMN_ID; column <= COLUMN_TIME_UTC; column++) {
        if (find_column(header, catalog_columns[column], 0) < 0) {
            return false;
        }
    }
    return true;
}

enum rc catalog_header_check(const struct csv_row *header, struct catalog_header *ret_header,
                             struct err *err)
{
    struct catalog_header found = {.columns = header->count};

    for (unsigned column = 0; column < CATALOG_COLUMNS; column++) {
        const char *name = catalog_columns[column];
        int position = find_column(header, name, 0);
        if (position < 0) {
            return err_set(err, RC_INVALID,
                           "line %" PRIu64 " column '%s': the header lacks it; a SEVIR catalog has "
                           "%u columns",
                           header->line, name, CATALOG_COLUMNS);
        }
        if (find_column(header, name, (unsigned)position + 1) >= 0) {
            return err_set(err, RC_INVALID, "line %" PRIu64 " column '%s': the header has it twice",
                           header->line, name);
        }
        found.position[column] = position;
    }
    *ret_header = found;
    return RC_OK;
}

/* ---- rules --------------------------------------------------------------------------------- */

/** The value as a message may show it: cut, and without control characters. */
static const char *shown(const char *text, char ret_shown[SHOWN_MAX + 4])
{
    size_t len = strnlen(text, SHOWN_MAX + 1), keep = MIN_OF(len, SHOWN_MAX);

    while (len > SHOWN_MAX && keep > 0 && ((unsigned char)text[keep] & 0xc0) == 0x80) {
        keep--;
    }
    for (size_t i = 0; i < keep; i++) {
        unsigned char c = (unsigned char)text[i];
        ret_shown[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    memcpy(ret_shown + keep, "...", 4);
    if (len <= SHOWN_MAX) {
        ret_shown[keep] = '\0';
    }
    return ret_shown;
}

/** "'VALUE' WHY". */
static enum rc refuse(struct err *err, const char *text, const char *why)
{
    char buffer[SHOWN_MAX + 4];

    return err_set(err, RC_INVALID, "'%s' %s", shown(text, buffer), why);
}

/** What a spreadsheet makes of a number: rounded to "1.39E+05", or with a decimal comma. NULL if
 * neither. */
static const char *spreadsheet_mark(const char *text)
{
    size_t len = strlen(text);

    if (*text == '#') {
        return "is a spreadsheet's error; use the original file, which no spreadsheet has saved";
    }
    if (len > 0 && strspn(text, "0123456789.,+-Ee") == len) {
        if (strchr(text, ',') != NULL) {
            return "has a decimal comma; save the file with decimal points, or use the original";
        }
        if (strpbrk(text, "Ee") != NULL) {
            return "is in scientific notation, a spreadsheet has rounded it; use the original file";
        }
    }
    return NULL;
}

static enum rc refuse_number(struct err *err, const char *text, const char *why)
{
    const char *mark = spreadsheet_mark(text);

    if (*text == '\0') {
        return err_set(err, RC_INVALID, "the field is empty");
    }
    return refuse(err, text, mark != NULL ? mark : why);
}

/** Digits, perhaps with the ".0" that pandas gives to integers beside empty fields; the length of
 * the digits, 0 for anything else. */
static size_t whole_digits(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    if (text[digits] == '.') {
        size_t zeros = strspn(text + digits + 1, "0");
        return zeros > 0 && text[digits + 1 + zeros] == '\0' ? digits : 0;
    }
    return text[digits] == '\0' ? digits : 0;
}

static enum rc parse_whole(const char *text, int64_t min, int64_t max, int64_t *ret_value,
                           struct err *err)
{
    char digits[24];
    size_t len = whole_digits(text);
    int64_t value;

    if (len == 0 || len >= sizeof(digits)) {
        return refuse_number(err, text, "is not a whole number");
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!str_to_i64(digits, &value) || value < min || value > max) {
        char buffer[SHOWN_MAX + 4];
        return err_set(err, RC_INVALID, "'%s' is not within %" PRId64 " and %" PRId64,
                       shown(text, buffer), min, max);
    }
    *ret_value = value;
    return RC_OK;
}

static enum rc parse_double(const char *text, double min, double max, double *ret_value,
                            struct err *err)
{
    double value;

    if (!str_to_double(text, &value)) {
        return refuse_number(err, text, "is not a number");
    }
    if (!(value >= min && value <= max)) {
        char buffer[SHOWN_MAX + 4];
        return err_set(err, RC_INVALID, "'%s' is not within %.15g and %.15g", shown(text, buffer),
                       min, max);
    }
    *ret_value = value;
    return RC_OK;
}

/** NaN where it is empty. */
static enum rc parse_optional(const char *text, double min, double max, double *ret_value,
                              struct err *err)
{
    if (*text == '\0') {
        *ret_value = (double)NAN;
        return RC_OK;
    }
    return parse_double(text, min, max, ret_value, err);
}

static enum rc parse_id(const char *text, struct arena *arena, const char **ret_id, struct err *err)
{
    double number;

    if (!naming_id_ok(text) || (strpbrk(text, ".Ee+") != NULL && str_to_double(text, &number))) {
        const char *mark = spreadsheet_mark(text);
        return refuse(err, text,
                      mark != NULL ? mark
                                   : "is not an event id; ids are like S834603 or R18032505027684");
    }
    *ret_id = arena_dup(arena, text);
    return RC_OK;
}

/** UTF-8 without control characters. */
static bool text_ok(const char *text, size_t max)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            return false;
        }
    }
    return len <= max && str_is_utf8(text, len);
}

/** A relative name without ".." parts. */
static bool file_name_ok(const char *text)
{
    if (*text == '\0' || *text == '/' || !text_ok(text, FILE_NAME_MAX)) {
        return false;
    }
    for (const char *part = text; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        size_t part_len = strcspn(part, "/");
        if (part_len == 0 || strspn(part, ".") == part_len) {
            return false;
        }
    }
    return true;
}

static enum rc parse_file_name(const char *text, struct arena *arena, const char **ret_name,
                               struct err *err)
{
    if (!file_name_ok(text)) {
        return refuse(err, text,
                      "is not a file name; names are like vil/2019/SEVIR_VIL_STORMEVENTS_..._.h5");
    }
    *ret_name = arena_dup(arena, text);
    return RC_OK;
}

static enum rc parse_time(const char *text, int64_t *ret_time, struct err *err)
{
    int64_t time;

    if (strlen(text) == 19 && text[10] == ' ' && now_parse_utc(text, &time)) {
        *ret_time = time;
        return RC_OK;
    }
    if (strchr(text, '/') != NULL || (*text != '\0' && strlen(text) != 19)) {
        return refuse(err, text,
                      "is not a time like 2019-05-12 18:30:00; a spreadsheet has rewritten it, use "
                      "the original file");
    }
    return refuse(err, text, "is not a time like 2019-05-12 18:30:00");
}

/** Minutes, separated by ':'. Only lightning has none. */
static enum rc parse_offsets(const char *text, struct arena *arena, struct catalog_row *row,
                             struct err *err)
{
    unsigned count = *text != '\0';
    const char *at = text;
    int16_t *offsets;

    for (const char *c = text; *c != '\0'; c++) {
        count += *c == ':';
    }
    if (count == 0 && row->img_type != SEVIR_LGHT) {
        return err_set(err, RC_INVALID, "the field is empty; only lght rows have no offsets");
    }
    if (count > CATALOG_FRAMES_MAX) {
        return err_set(err, RC_INVALID, "%u offsets, at most %u are read", count,
                       CATALOG_FRAMES_MAX);
    }
    offsets = arena_alloc(arena, MAX_OF(count, 1) * sizeof(*offsets));
    for (unsigned i = 0; i < count; i++) {
        char item[8];
        size_t len = strcspn(at, ":");
        int64_t value;
        if (len < sizeof(item)) {
            memcpy(item, at, len);
        }
        item[MIN_OF(len, sizeof(item) - 1)] = '\0';
        if (len >= sizeof(item) || !str_to_i64(item, &value) || value < -OFFSET_MAX ||
            value > OFFSET_MAX) {
            return refuse(err, text, "is not a list of minutes like -120:-115:...:120");
        }
        offsets[i] = (int16_t)value;
        at += len + (at[len] == ':');
    }
    row->frame_count = count;
    row->minute_offsets = offsets;
    return RC_OK;
}

/** An id of NOAA's: "138793.0" or "138793" becomes "138793"; empty for random events. */
static enum rc parse_noaa_id(const char *text, struct arena *arena, const char **ret_id,
                             struct err *err)
{
    size_t digits = whole_digits(text);

    if (*text != '\0' && (digits == 0 || digits > 20)) {
        return refuse_number(err, text, "is not a number like 138793.0, nor empty");
    }
    *ret_id = arena_dup_n(arena, text, digits);
    return RC_OK;
}

static enum rc parse_text(const char *text, struct arena *arena, const char **ret_text,
                          struct err *err)
{
    if (!text_ok(text, TEXT_MAX)) {
        return refuse(err, text, "is not a short text in UTF-8");
    }
    *ret_text = arena_dup(arena, text);
    return RC_OK;
}

static enum rc parse_proj(const char *text, struct arena *arena, const char **ret_proj,
                          struct err *err)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == ' ') {
        len--;
    }
    if (!str_starts(text, "+proj=") || !text_ok(text, TEXT_MAX)) {
        const char *mark = spreadsheet_mark(text);
        return refuse(err, text, mark != NULL ? mark : "is not a projection like +proj=laea ...");
    }
    *ret_proj = arena_dup_n(arena, text, len);
    return RC_OK;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static enum rc parse_what_and_when(enum column column, const char *text, struct arena *arena,
                                   struct catalog_row *row, struct err *err)
{
    switch (column) {
    case COLUMN_ID:
        return parse_id(text, arena, &row->id, err);
    case COLUMN_FILE_NAME:
        return parse_file_name(text, arena, &row->file_name, err);
    case COLUMN_FILE_INDEX:
        return parse_whole(text, 0, UINT32_MAX, &row->file_index, err);
    case COLUMN_IMG_TYPE:
        if (!sevir_type_parse(text, &row->img_type)) {
            return refuse(err, text, "is none of vis, ir069, ir107, vil, lght");
        }
        return RC_OK;
    case COLUMN_TIME_UTC:
        return parse_time(text, &row->time_utc, err);
    case COLUMN_MINUTE_OFFSETS:
        return parse_offsets(text, arena, row, err);
    case COLUMN_EPISODE_ID:
        return parse_noaa_id(text, arena, &row->episode_id, err);
    case COLUMN_EVENT_ID:
        return parse_noaa_id(text, arena, &row->event_id, err);
    case COLUMN_EVENT_TYPE:
        return parse_text(text, arena, &row->event_type, err);
    default:
        return err_set(err, RC_BUG, "is no column of this kind");
    }
}

static enum rc parse_where_and_what_values(enum column column, const char *text,
                                           struct arena *arena, struct catalog_row *row,
                                           struct err *err)
{
    switch (column) {
    case COLUMN_LLCRNRLAT:
        return parse_double(text, -90, 90, &row->llcrnrlat, err);
    case COLUMN_LLCRNRLON:
        return parse_double(text, -180, 180, &row->llcrnrlon, err);
    case COLUMN_URCRNRLAT:
        return parse_double(text, -90, 90, &row->urcrnrlat, err);
    case COLUMN_URCRNRLON:
        return parse_double(text, -180, 180, &row->urcrnrlon, err);
    case COLUMN_PROJ:
        return parse_proj(text, arena, &row->proj, err);
    case COLUMN_SIZE_X:
        return parse_whole(text, 1, SIZE_MAX_PIXELS, &row->size_x, err);
    case COLUMN_SIZE_Y:
        return parse_whole(text, 1, SIZE_MAX_PIXELS, &row->size_y, err);
    case COLUMN_HEIGHT_M:
        return parse_double(text, 1e-3, 1e9, &row->height_m, err);
    case COLUMN_WIDTH_M:
        return parse_double(text, 1e-3, 1e9, &row->width_m, err);
    case COLUMN_DATA_MIN:
        return parse_optional(text, -HUGE_VAL, HUGE_VAL, &row->data_min, err);
    case COLUMN_DATA_MAX:
        return parse_optional(text, -HUGE_VAL, HUGE_VAL, &row->data_max, err);
    case COLUMN_PCT_MISSING:
        return parse_optional(text, 0, 1, &row->pct_missing, err);
    default:
        return err_set(err, RC_BUG, "is no column of this kind");
    }
}

enum rc catalog_row_parse(const struct catalog_header *header, const struct csv_row *row,
                          struct arena *arena, struct catalog_row *ret_row, struct err *err)
{
    struct catalog_row parsed = {0};

    if (row->count != header->columns) {
        return err_set(err, RC_INVALID,
                       "line %" PRIu64 ": %u fields where the header has %u; is the row cut short?",
                       row->line, row->count, header->columns);
    }
    for (unsigned column = 0; column < CATALOG_COLUMNS; column++) {
        const char *text = row->fields[header->position[column]];
        enum rc rc =
            column <= COLUMN_EVENT_TYPE
                ? parse_what_and_when((enum column)column, text, arena, &parsed, err)
                : parse_where_and_what_values((enum column)column, text, arena, &parsed, err);
        if (rc != RC_OK) {
            return err_wrap(err, "line %" PRIu64 " column '%s'", row->line,
                            catalog_columns[column]);
        }
    }
    *ret_row = parsed;
    return RC_OK;
}

bool catalog_row_is_storm(const struct catalog_row *row)
{
    return row->id[0] == 'S';
}

struct catalog_row catalog_row_copy(const struct catalog_row *row, struct arena *arena)
{
    struct catalog_row copy = *row;
    size_t bytes = row->frame_count * sizeof(*row->minute_offsets);
    int16_t *offsets = arena_alloc(arena, MAX_OF(bytes, 1));

    if (bytes > 0) {
        memcpy(offsets, row->minute_offsets, bytes);
    }
    copy.minute_offsets = offsets;
    copy.id = arena_dup(arena, row->id);
    copy.file_name = arena_dup(arena, row->file_name);
    copy.episode_id = arena_dup(arena, row->episode_id);
    copy.event_id = arena_dup(arena, row->event_id);
    copy.event_type = arena_dup(arena, row->event_type);
    copy.proj = arena_dup(arena, row->proj);
    return copy;
}

/* ---- writing ------------------------------------------------------------------------------- */

void catalog_row_write_header(struct strbuf *out)
{
    for (unsigned column = 0; column < CATALOG_COLUMNS; column++) {
        strbuf_puts(out, column > 0 ? "," : "");
        strbuf_puts(out, catalog_columns[column]);
    }
    strbuf_putc(out, '\n');
}

static void add_text(struct strbuf *out, const char *text)
{
    strbuf_csv(out, text, strlen(text));
    strbuf_putc(out, ',');
}

static void add_double(struct strbuf *out, double value)
{
    strbuf_double(out, value);
    strbuf_putc(out, ',');
}

void catalog_row_write(const struct catalog_row *row, struct strbuf *out)
{
    char time[NOW_TEXT];

    now_format_utc(row->time_utc, time);
    add_text(out, row->id);
    add_text(out, row->file_name);
    strbuf_printf(out, "%" PRId64 ",%s,%s,", row->file_index, sevir_type_name(row->img_type), time);
    for (unsigned i = 0; i < row->frame_count; i++) {
        strbuf_printf(out, "%s%d", i > 0 ? ":" : "", row->minute_offsets[i]);
    }
    strbuf_putc(out, ',');
    add_text(out, row->episode_id);
    add_text(out, row->event_id);
    add_text(out, row->event_type);
    add_double(out, row->llcrnrlat);
    add_double(out, row->llcrnrlon);
    add_double(out, row->urcrnrlat);
    add_double(out, row->urcrnrlon);
    add_text(out, row->proj);
    strbuf_printf(out, "%" PRId64 ",%" PRId64 ",", row->size_x, row->size_y);
    add_double(out, row->height_m);
    add_double(out, row->width_m);
    add_double(out, row->data_min);
    add_double(out, row->data_max);
    strbuf_double(out, row->pct_missing);
    strbuf_putc(out, '\n');
}
