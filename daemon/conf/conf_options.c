/** @file
 * The table of options, and how one value gets into the struct and out of it.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define RELOAD OPTION_RELOAD
#define RESTART OPTION_RESTART
#define NULLABLE OPTION_NULLABLE

/** The field's offset, if its type is the one that its kind of option writes. */
#define FIELD(f, T)             \
    (offsetof(struct conf, f) + \
     0 * sizeof(                \
             char[__builtin_types_compatible_p(__typeof__(((struct conf *)0)->f), T) ? 1 : -1]))

/* clang-format off */
#define GROUP(p, d) {.kind = OPTION_GROUP, .path = p, .doc = d},
#define TEXT(p, f, def, fl, d) \
    {.kind = OPTION_TEXT, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, char *), .fallback = def},
#define CHOICE(p, f, def, ch, fl, d) \
    {.kind = OPTION_CHOICE, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, char *), .fallback = def, .choices = ch},
#define LIST(p, f, def, ch, fl, d) \
    {.kind = OPTION_LIST, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, char *), .fallback = def, .choices = ch},
#define ENUM(p, f, def, ch, fl, d) \
    {.kind = OPTION_ENUM, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, enum conf_images), .fallback = def, .choices = ch},
#define FLAG(p, f, def, fl, d) \
    {.kind = OPTION_FLAG, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, bool), .fallback = def},
#define COUNT(p, f, def, lo, hi, fl, d) \
    {.kind = OPTION_COUNT, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, unsigned), .fallback = def, .min = lo, .max = hi},
#define TIME(p, f, def, lo, hi, fl, d) \
    {.kind = OPTION_TIME, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, int64_t), .fallback = def, .min = lo, .max = hi},
#define SIZE(p, f, def, lo, hi, fl, d) \
    {.kind = OPTION_SIZE, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, uint64_t), .fallback = def, .min = lo, .max = hi},
#define REAL(p, f, def, lo, hi, fl, d) \
    {.kind = OPTION_REAL, .path = p, .doc = d, .flags = fl, .offset = FIELD(f, double), .fallback = def, .min = lo, .max = hi},
#define SELECT(p, n, sh, d) \
    {.kind = OPTION_SELECT, .path = p, .doc = d, .flags = RELOAD, .name = n, .shape = SHAPE_##sh},

const struct option options[] = {
#include "daemon/conf/options.def"
};
/* clang-format on */
const unsigned option_count = ARRAY_LEN(options);

const struct option *option_find(const char *path)
{
    for (unsigned i = 0; i < option_count; i++) {
        if (options[i].kind != OPTION_GROUP && strcmp(options[i].path, path) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

bool option_choice(const char *choices, unsigned n, char ret_text[32])
{
    for (; n > 0; n--) {
        choices = strchr(choices, '|');
        if (choices == NULL) {
            return false;
        }
        choices++;
    }
    const size_t len = strcspn(choices, "|");

    memcpy(ret_text, choices, MIN_OF(len, 31u));
    ret_text[MIN_OF(len, 31u)] = '\0';
    return true;
}

int option_choice_find(const char *choices, const char *text)
{
    char choice[32];

    for (unsigned n = 0; option_choice(choices, n, choice); n++) {
        if (strcmp(choice, text) == 0) {
            return (int)n;
        }
    }
    return -1;
}

json_t *option_real_json(const char *text)
{
    double number = 0;

    if (!str_to_double(text, &number)) {
        abort(); /* options.def contradicts itself */
    }
    return json_real(number);
}

json_t *option_choices_json(const char *choices)
{
    json_t *list = json_array();
    char choice[32];

    for (unsigned n = 0; option_choice(choices, n, choice); n++) {
        json_array_append_new(list, json_string(choice));
    }
    return list;
}

bool conf_next_item(const char **cursor, char **ret_item)
{
    const char *at = *cursor;

    if (at == NULL || *at == '\0') {
        return false;
    }
    const size_t len = strcspn(at, "\n");

    *ret_item = str_dup_n(at, len);
    *cursor = at + len + (at[len] == '\n');
    return true;
}

bool conf_list_has(const char *list, const char *item)
{
    bool has = false;
    char *other;

    while (conf_next_item(&list, &other)) {
        has = has || strcmp(other, item) == 0;
        free(other);
    }
    return has;
}

/* ---- in ---------------------------------------------------------------------------------- */

static void *slot_of(const struct option *option, const struct conf *conf)
{
    return (char *)(uintptr_t)conf + option->offset;
}

static void set_text(const struct option *option, struct conf *conf, const char *text)
{
    char **slot = slot_of(option, conf);

    free(*slot);
    *slot = text != NULL ? str_dup(text) : NULL;
}

/** "expected one of 'a', 'b', 'c'", and the nearest when it is near. */
static enum rc bad_choice(const struct option *option, const char *text, struct err *err)
{
    char choice[32];
    scoped(strbuf_done) struct strbuf list = {0};

    for (unsigned n = 0; option_choice(option->choices, n, choice); n++) {
        strbuf_printf(&list, "%s'%s'", n > 0 ? ", " : "", choice);
    }
    return err_set(err, RC_INVALID, "'%.60s' is none of %s", text, strbuf_text(&list));
}

static enum rc put_number(const struct option *option, struct conf *conf, int64_t value,
                          struct err *err)
{
    const char *unit = option->kind == OPTION_TIME   ? " ms"
                       : option->kind == OPTION_SIZE ? " bytes"
                                                     : "";

    if (value < option->min || value > option->max) {
        return err_set(err, RC_INVALID, "%lld%s is out of range: %lld to %lld", (long long)value,
                       unit, (long long)option->min, (long long)option->max);
    }
    if (option->kind == OPTION_COUNT) {
        *(unsigned *)slot_of(option, conf) = (unsigned)value;
    } else if (option->kind == OPTION_SIZE) {
        *(uint64_t *)slot_of(option, conf) = (uint64_t)value;
    } else {
        *(int64_t *)slot_of(option, conf) = value;
    }
    return RC_OK;
}

static enum rc set_time(const struct option *option, struct conf *conf, const json_t *value,
                        struct err *err)
{
    int64_t ms;

    if (json_is_string(value)) {
        if (!str_to_ms(json_string_value(value), &ms)) {
            return err_set(err, RC_INVALID, "'%.60s' is no time, as \"500ms\", \"30s\", \"5m\"",
                           json_string_value(value));
        }
    } else if (json_is_number(value)) { /* seconds */
        const double seconds = json_number_value(value);
        if (!(seconds >= 0 && seconds <= 1e12)) {
            return err_set(err, RC_INVALID, "%g is no time in seconds", seconds);
        }
        ms = (int64_t)(seconds * 1000);
    } else {
        return err_set(err, RC_INVALID, "expected a time, as \"30s\", or a number of seconds");
    }
    return put_number(option, conf, ms, err);
}

static enum rc set_size(const struct option *option, struct conf *conf, const json_t *value,
                        struct err *err)
{
    uint64_t bytes;

    if (json_is_string(value)) {
        if (!str_to_bytes(json_string_value(value), &bytes) || bytes > INT64_MAX) {
            return err_set(err, RC_INVALID, "'%.60s' is no size, as \"512MiB\", \"1GiB\"",
                           json_string_value(value));
        }
    } else if (json_is_integer(value) && json_integer_value(value) >= 0) {
        bytes = (uint64_t)json_integer_value(value);
    } else {
        return err_set(err, RC_INVALID, "expected a size, as \"512MiB\", or a number of bytes");
    }
    return put_number(option, conf, (int64_t)bytes, err);
}

static enum rc set_real(const struct option *option, struct conf *conf, const json_t *value,
                        struct err *err)
{
    const double number = json_number_value(value);

    if (!json_is_number(value)) {
        return err_set(err, RC_INVALID, "expected a number");
    }
    if (!(number >= (double)option->min && number <= (double)option->max)) {
        return err_set(err, RC_INVALID, "%g is out of range: %lld to %lld", number,
                       (long long)option->min, (long long)option->max);
    }
    *(double *)slot_of(option, conf) = number;
    return RC_OK;
}

/** One value of a selection; the words of the error are the selection's. */
static enum rc select_add(const struct option *option, struct conf *conf, const json_t *value,
                          struct err *err)
{
    const bool number = option->shape == SHAPE_NUMBERS || option->shape == SHAPE_NUMBER;
    char digits[32];

    if (number && json_is_integer(value)) {
        snprintf(digits, sizeof(digits), "%lld", (long long)json_integer_value(value));
        return selection_set(&conf->select, option->name, digits, err);
    }
    if (!number && json_is_string(value)) {
        return selection_set(&conf->select, option->name, json_string_value(value), err);
    }
    return err_set(err, RC_INVALID, "expected %s", number ? "a whole number" : "a string");
}

static enum rc select_box(const struct option *option, struct conf *conf, const json_t *value,
                          struct err *err)
{
    scoped(strbuf_done) struct strbuf text = {0};

    if (json_is_string(value)) {
        return selection_set(&conf->select, option->name, json_string_value(value), err);
    }
    if (json_array_size(value) != 4) {
        return err_set(err, RC_INVALID, "expected four numbers, [lat0, lon0, lat1, lon1]");
    }
    for (size_t i = 0; i < 4; i++) {
        const json_t *number = json_array_get(value, i);
        if (!json_is_number(number)) {
            return err_set(err, RC_INVALID, "expected four numbers, [lat0, lon0, lat1, lon1]");
        }
        strbuf_puts(&text, i > 0 ? "," : "");
        strbuf_double(&text, json_number_value(number));
    }
    return selection_set(&conf->select, option->name, strbuf_text(&text), err);
}

static enum rc set_select(const struct option *option, struct conf *conf, const json_t *value,
                          struct err *err)
{
    if (option->shape == SHAPE_BOX) {
        return select_box(option, conf, value, err);
    }
    if ((option->shape == SHAPE_NUMBERS || option->shape == SHAPE_TEXTS) && json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (select_add(option, conf, json_array_get(value, i), err) != RC_OK) {
                return err->rc;
            }
        }
        return RC_OK;
    }
    return select_add(option, conf, value, err);
}

static enum rc set_string(const struct option *option, struct conf *conf, const json_t *value,
                          struct err *err)
{
    const char *text = json_string_value(value);

    if (text == NULL) {
        return err_set(err, RC_INVALID, "expected a string%s",
                       (option->flags & OPTION_NULLABLE) != 0 ? " or null" : "");
    }
    if (option->kind == OPTION_TEXT) {
        if (*text == '\0') {
            return err_set(err, RC_INVALID, "may not be empty");
        }
        set_text(option, conf, text);
        return RC_OK;
    }
    const int choice = option_choice_find(option->choices, text);
    if (choice < 0) {
        return bad_choice(option, text, err);
    }
    if (option->kind == OPTION_ENUM) {
        *(enum conf_images *)slot_of(option, conf) = (enum conf_images)choice;
    } else {
        set_text(option, conf, text);
    }
    return RC_OK;
}

static enum rc add_item(const struct option *option, struct strbuf *list, const json_t *value,
                        struct err *err)
{
    const char *text = json_string_value(value);

    if (text == NULL) {
        return err_set(err, RC_INVALID, "expected a string, or a list of strings");
    }
    if (text[0] == '\0' || strpbrk(text, "\r\n") != NULL) {
        return err_set(err, RC_INVALID, "an item may not be empty, nor have more than one line");
    }
    if (option->choices != NULL && option_choice_find(option->choices, text) < 0) {
        return bad_choice(option, text, err);
    }
    if (!conf_list_has(strbuf_text(list), text)) {
        strbuf_printf(list, "%s%s", list->len > 0 ? "\n" : "", text);
    }
    return RC_OK;
}

static enum rc set_list(const struct option *option, struct conf *conf, const json_t *value,
                        struct err *err)
{
    scoped(strbuf_done) struct strbuf list = {0};

    for (size_t i = 0; i < json_array_size(value); i++) {
        if (add_item(option, &list, json_array_get(value, i), err) != RC_OK) {
            return err->rc;
        }
    }
    if (!json_is_array(value) && add_item(option, &list, value, err) != RC_OK) {
        return err->rc;
    }
    set_text(option, conf, list.len > 0 ? strbuf_text(&list) : NULL);
    return RC_OK;
}

enum rc option_set(const struct option *option, struct conf *conf, const json_t *value,
                   struct err *err)
{
    if (json_is_null(value) && (option->flags & OPTION_NULLABLE) != 0) {
        set_text(option, conf, NULL);
        return RC_OK;
    }
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_CHOICE:
    case OPTION_ENUM:
        return set_string(option, conf, value, err);
    case OPTION_LIST:
        return set_list(option, conf, value, err);
    case OPTION_FLAG:
        if (!json_is_boolean(value)) {
            return err_set(err, RC_INVALID, "expected true or false");
        }
        *(bool *)slot_of(option, conf) = json_is_true(value);
        return RC_OK;
    case OPTION_COUNT:
        if (!json_is_integer(value)) {
            return err_set(err, RC_INVALID, "expected a whole number");
        }
        return put_number(option, conf, json_integer_value(value), err);
    case OPTION_TIME:
        return set_time(option, conf, value, err);
    case OPTION_SIZE:
        return set_size(option, conf, value, err);
    case OPTION_REAL:
        return set_real(option, conf, value, err);
    case OPTION_SELECT:
        return set_select(option, conf, value, err);
    case OPTION_GROUP:
        break;
    }
    return err_set(err, RC_BUG, "a group has no value");
}

void option_set_fallback(const struct option *option, struct conf *conf)
{
    const char *text = option->fallback;
    struct err err;
    json_t *value;

    if (option->kind == OPTION_GROUP || option->kind == OPTION_SELECT) {
        return;
    }
    if (text != NULL && text[0] == '@') {
        value = option_json(option_find(text + 1), conf);
    } else if (text == NULL) {
        value = json_null();
    } else if (option->kind == OPTION_FLAG) {
        value = json_boolean(strcmp(text, "true") == 0);
    } else if (option->kind == OPTION_COUNT) {
        value = json_integer(strtol(text, NULL, 10));
    } else if (option->kind == OPTION_REAL) {
        value = option_real_json(text);
    } else if (option->kind == OPTION_LIST) {
        value = option_choices_json(text);
    } else {
        value = json_string(text);
    }
    if (option_set(option, conf, value, &err) != RC_OK) {
        abort(); /* options.def contradicts itself */
    }
    json_decref(value);
}

/* ---- out --------------------------------------------------------------------------------- */

/** The largest unit that divides the number: "5m", "1GiB". */
static json_t *with_unit(int64_t value, const char *const *units, const int64_t *sizes, int count)
{
    for (int i = 0; i < count; i++) {
        if (value != 0 && value % sizes[i] == 0) {
            return json_sprintf("%lld%s", (long long)(value / sizes[i]), units[i]);
        }
    }
    return json_sprintf("%lld%s", (long long)value, units[count - 1]);
}

static json_t *time_json(int64_t ms)
{
    static const char *const units[] = {"d", "h", "m", "s", "ms"};
    static const int64_t sizes[] = {DAY, HOUR, 60 * SECOND, SECOND, 1};

    return ms == 0 ? json_string("0s") : with_unit(ms, units, sizes, ARRAY_LEN(units));
}

static json_t *size_json(uint64_t bytes)
{
    static const char *const units[] = {"GiB", "MiB", "KiB", ""};
    static const int64_t sizes[] = {GIB, MIB, 1024, 1};

    return with_unit((int64_t)bytes, units, sizes, ARRAY_LEN(units));
}

static json_t *texts_json(char *const *texts, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list, json_string(texts[i]));
    }
    return list;
}

static json_t *list_json(const char *list)
{
    json_t *items = json_array();
    char *item;

    while (conf_next_item(&list, &item)) {
        json_array_append_new(items, json_string(item));
        free(item);
    }
    return items;
}

static json_t *bits_json(unsigned bits, bool months)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < (months ? 12 : (unsigned)SEVIR_TYPE_COUNT); i++) {
        if ((bits >> i & 1) != 0) {
            json_array_append_new(list, months ? json_integer(i + 1)
                                               : json_string(sevir_type_name((enum sevir_type)i)));
        }
    }
    return list;
}

static json_t *years_json(const struct selection *select)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < select->year_count; i++) {
        json_array_append_new(list, json_integer(select->years[i]));
    }
    return list;
}

static json_t *select_json(const char *name, const struct selection *select)
{
    if (strcmp(name, "year") == 0) {
        return years_json(select);
    }
    if (strcmp(name, "month") == 0) {
        return bits_json(select->months, true);
    }
    if (strcmp(name, "type") == 0) {
        return bits_json(select->types, false);
    }
    if (strcmp(name, "events") == 0) {
        return json_string(select->events == SELECT_STORM    ? "storm"
                           : select->events == SELECT_RANDOM ? "random"
                                                             : "all");
    }
    if (strcmp(name, "event-type") == 0) {
        return texts_json(select->event_types, select->event_type_count);
    }
    if (strcmp(name, "id") == 0) {
        return texts_json(select->ids, select->id_count);
    }
    if (strcmp(name, "limit") == 0) {
        return json_integer((json_int_t)select->limit);
    }
    return select->has_bbox
               ? json_pack("[f,f,f,f]", select->lat0, select->lon0, select->lat1, select->lon1)
               : NULL;
}

json_t *option_json(const struct option *option, const struct conf *conf)
{
    const void *slot = slot_of(option, conf);
    char choice[32];

    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_CHOICE:
        return *(char *const *)slot != NULL ? json_string(*(char *const *)slot) : json_null();
    case OPTION_LIST:
        return *(char *const *)slot != NULL || (option->flags & OPTION_NULLABLE) == 0
                   ? list_json(*(char *const *)slot)
                   : json_null();
    case OPTION_ENUM:
        return option_choice(option->choices, *(const enum conf_images *)slot, choice)
                   ? json_string(choice)
                   : NULL;
    case OPTION_FLAG:
        return json_boolean(*(const bool *)slot);
    case OPTION_COUNT:
        return json_integer(*(const unsigned *)slot);
    case OPTION_TIME:
        return time_json(*(const int64_t *)slot);
    case OPTION_SIZE:
        return size_json(*(const uint64_t *)slot);
    case OPTION_REAL:
        return json_real(*(const double *)slot_of(option, conf));
    case OPTION_SELECT:
        return conf->select_present ? select_json(option->name, &conf->select) : NULL;
    case OPTION_GROUP:
        break;
    }
    return NULL;
}
