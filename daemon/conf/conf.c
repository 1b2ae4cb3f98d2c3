/** @file
 * From JSON to struct conf: jansson parses, options.def says what may stand where.
 */
#include "daemon/conf/conf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "daemon/conf/conf_p.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

#define CONF_MAX_BYTES (1u << 20)
#define PATH_MAX_LEN 200

/** What one parse carries along. */
struct parse {
    struct conf *conf;
    bool *given; /**< By index in options[]. */
    struct err *err;
};

/* ---- names ------------------------------------------------------------------------------- */

/** "a.b" of a key as it may be shown: bounded, without control characters. */
static void join_path(const char *prefix, const char *key, char ret_path[PATH_MAX_LEN])
{
    snprintf(ret_path, PATH_MAX_LEN, "%s%s%.80s", prefix, *prefix != '\0' ? "." : "", key);
    for (char *p = ret_path; *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p)) {
            *p = '?';
        }
    }
}

/** Whether some option lies below `path`. */
static bool is_group(const char *path)
{
    const size_t len = strlen(path);

    for (unsigned i = 0; i < option_count; i++) {
        if (strncmp(options[i].path, path, len) == 0 && options[i].path[len] == '.') {
            return true;
        }
    }
    return false;
}

/** How far an option is from what was written: by its whole path, or by its last part alone. */
static unsigned distance_of(const char *known, const char *path)
{
    const char *known_dot = strrchr(known, '.'), *path_dot = strrchr(path, '.');
    const unsigned whole = str_distance(known, path);
    const unsigned last = str_distance(known_dot != NULL ? known_dot + 1 : known,
                                       path_dot != NULL ? path_dot + 1 : path);

    return MIN_OF(2 * whole, 2 * last + 1); /* an equal whole path wins */
}

/** The prefixes of a path are known keys as well: "sources" of "sources.watch". */
static void nearest_key(const char *path, char ret_nearest[PATH_MAX_LEN])
{
    unsigned best = 1000;

    for (unsigned i = 0; i < option_count; i++) {
        for (const char *end = options[i].path; end != NULL;) {
            char known[PATH_MAX_LEN];

            end = strchr(end, '.');
            snprintf(known, sizeof(known), "%.*s",
                     end != NULL ? (int)(end - options[i].path) : PATH_MAX_LEN - 1,
                     options[i].path);
            end = end != NULL ? end + 1 : NULL;
            if (distance_of(known, path) < best) {
                best = distance_of(known, path);
                memcpy(ret_nearest, known, PATH_MAX_LEN);
            }
        }
    }
}

static enum rc unknown_key(const char *path, struct err *err)
{
    char nearest[PATH_MAX_LEN] = "";

    nearest_key(path, nearest);
    return err_set(err, RC_INVALID, "unknown key '%s'; the nearest known key is '%s'", path,
                   nearest);
}

/* ---- parsing ----------------------------------------------------------------------------- */

static enum rc parse_value(struct parse *parse, const char *path, const json_t *value)
{
    const struct option *option = option_find(path);

    if (option == NULL) {
        return unknown_key(path, parse->err);
    }
    if (option_set(option, parse->conf, value, parse->err) != RC_OK) {
        return err_wrap(parse->err, "'%s'", path);
    }
    parse->given[option - options] = true;
    return RC_OK;
}

/** Objects nest as deep as the options' paths do, so the recursion is bounded by them. */
static enum rc parse_group(struct parse *parse, const char *prefix, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        char path[PATH_MAX_LEN];
        enum rc rc;

        join_path(prefix, key, path);
        if (strcmp(path, "$schema") == 0) {
            rc = RC_OK; /* for editors */
        } else if (!is_group(path)) {
            rc = parse_value(parse, path, value);
        } else if (json_is_object(value)) {
            rc = parse_group(parse, path, value);
        } else if (json_is_null(value)) {
            rc = RC_OK; /* as if it were not there */
        } else {
            rc = err_set(parse->err, RC_INVALID, "'%s': expected an object", path);
        }
        if (rc != RC_OK) {
            return rc;
        }
    }
    return RC_OK;
}

/** Defaults; those that copy another option's value come last. */
static void fill_defaults(struct parse *parse)
{
    for (int copies = 0; copies < 2; copies++) {
        for (unsigned i = 0; i < option_count; i++) {
            const bool copy = options[i].fallback != NULL && options[i].fallback[0] == '@';
            if (!parse->given[i] && copy == (copies == 1)) {
                option_set_fallback(&options[i], parse->conf);
            }
        }
    }
    if (str_starts(parse->conf->raw_uri, "s3://") &&
        !parse->given[option_find("sources.settle") - options]) {
        parse->conf->sources_settle_ms = 0; /* an object appears whole */
    }
    if (parse->conf->extract_workers == 0) {
        parse->conf->extract_workers = MIN_OF(uv_available_parallelism(), 256u);
    }
}

static enum rc parse_root(json_t *root, struct conf *conf, struct err *err)
{
    scoped(free) bool *given = mem_zeroed(option_count * sizeof(bool));
    struct parse parse = {.conf = conf, .given = given, .err = err};

    if (!json_is_object(root)) {
        return err_set(err, RC_INVALID, "expected an object");
    }
    conf->select_present = json_is_object(json_object_get(root, "select"));
    if (parse_group(&parse, "", root) != RC_OK) {
        return err->rc;
    }
    fill_defaults(&parse);
    return conf_check(conf, err);
}

enum rc conf_parse(const char *json, size_t len, const char *name, struct conf **ret_conf,
                   struct err *err)
{
    json_error_t at;
    json_t *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &at);

    if (root == NULL) {
        for (char *p = at.text; *p != '\0'; p++) {
            *p = iscntrl((unsigned char)*p) ? ' ' : *p;
        }
        return err_set(err, RC_INVALID, "%.200s:%d:%d: %s", name, at.line, at.column, at.text);
    }
    scoped(conf_free) struct conf *conf = mem_new(struct conf);
    const enum rc rc = parse_root(root, conf, err);

    json_decref(root);
    if (rc != RC_OK) {
        return err_wrap(err, "%.140s", name);
    }
    *ret_conf = TAKE(conf);
    return RC_OK;
}

enum rc conf_load(const char *path, struct conf **ret_conf, struct err *err)
{
    scoped(free) char *bytes = NULL;
    size_t len;

    if (fs_read_file(path, CONF_MAX_BYTES, &bytes, &len, err) != RC_OK) {
        return err->rc;
    }
    return conf_parse(bytes, len, path, ret_conf, err);
}

void conf_free(struct conf *conf)
{
    if (conf == NULL) {
        return;
    }
    for (unsigned i = 0; i < option_count; i++) {
        if (options[i].kind == OPTION_TEXT || options[i].kind == OPTION_CHOICE ||
            options[i].kind == OPTION_LIST) {
            free(*(char **)((char *)conf + options[i].offset));
        }
    }
    selection_done(&conf->select);
    free(conf);
}

const char *conf_needs_restart(const struct conf *before, const struct conf *after)
{
    const char *differs = NULL;

    for (unsigned i = 0; i < option_count && differs == NULL; i++) {
        if (options[i].kind == OPTION_GROUP || (options[i].flags & OPTION_RESTART) == 0) {
            continue;
        }
        json_t *old = option_json(&options[i], before), *new = option_json(&options[i], after);
        if (!json_equal(old, new)) {
            differs = options[i].path;
        }
        json_decref(old);
        json_decref(new);
    }
    return differs;
}

const char *conf_images_name(enum conf_images images)
{
    static const char *const names[] = {
        [IMAGES_NONE] = "none",
        [IMAGES_SHEET] = "sheet",
        [IMAGES_FRAMES] = "frames",
        [IMAGES_PACKED] = "packed",
    };

    return names[images];
}
