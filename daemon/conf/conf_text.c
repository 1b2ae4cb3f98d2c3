/** @file
 * The configuration and its options as text: --print-config, the JSON Schema, the reference.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf_p.h"
#include "lib/base/mem.h"

/** The object that holds the last part of `path` below `root`, made where it is missing; `child`
 * names the member that holds sub-objects ("properties" in a schema), NULL: they are members
 * themselves. */
static json_t *descend(json_t *root, const char *path, const char *child, const char **ret_last)
{
    const char *dot;

    while ((dot = strchr(path, '.')) != NULL) {
        scoped(free) char *part = str_dup_n(path, (size_t)(dot - path));
        json_t *below = json_object_get(root, part);

        if (below == NULL) {
            below = child == NULL ? json_object()
                                  : json_pack("{s:s,s:b,s:{}}", "type", "object",
                                              "additionalProperties", 0, child);
            json_object_set_new(root, part, below);
        }
        root = child != NULL ? json_object_get(below, child) : below;
        path = dot + 1;
    }
    *ret_last = path;
    return root;
}

static void dump(const json_t *document, struct strbuf *out)
{
    char *text = json_dumps(document, JSON_INDENT(2));

    if (text == NULL) {
        abort(); /* we made it, so it is UTF-8: only memory can be short */
    }
    strbuf_puts(out, text);
    strbuf_putc(out, '\n');
    free(text);
}

void conf_print(const struct conf *conf, struct strbuf *out)
{
    json_t *root = json_object();

    for (unsigned i = 0; i < option_count; i++) {
        json_t *value = options[i].kind != OPTION_GROUP ? option_json(&options[i], conf) : NULL;
        if (value != NULL) {
            const char *last;
            json_t *object = descend(root, options[i].path, NULL, &last);
            json_object_set_new(object, last, value);
        }
    }
    dump(root, out);
    json_decref(root);
}

/* ---- schema ------------------------------------------------------------------------------ */

static json_t *choices_schema(const char *choices)
{
    return json_pack("{s:o}", "enum", option_choices_json(choices));
}

static json_t *shape_schema(const struct option *option)
{
    const char *type =
        option->shape == SHAPE_NUMBERS || option->shape == SHAPE_NUMBER ? "integer" : "string";

    if (strcmp(option->name, "events") == 0) {
        return choices_schema("storm|random|all");
    }
    if (option->shape == SHAPE_BOX) {
        return json_pack("{s:s,s:i,s:i,s:{s:s}}", "type", "array", "minItems", 4, "maxItems", 4,
                         "items", "type", "number");
    }
    if (option->shape == SHAPE_NUMBERS || option->shape == SHAPE_TEXTS) {
        return json_pack("{s:[{s:s},{s:s,s:{s:s}}]}", "anyOf", "type", type, "type", "array",
                         "items", "type", type);
    }
    return json_pack("{s:s}", "type", type);
}

/** One item, or a list of them. */
static json_t *list_schema(const struct option *option)
{
    json_t *item = option->choices != NULL
                       ? choices_schema(option->choices)
                       : json_pack("{s:s,s:i}", "type", "string", "minLength", 1);
    json_t *schema = json_pack("{s:[O,{s:s,s:o}]}", "anyOf", item, "type", "array", "items", item);

    if ((option->flags & OPTION_NULLABLE) != 0) {
        json_array_append_new(json_object_get(schema, "anyOf"), json_pack("{s:s}", "type", "null"));
    }
    return schema;
}

static json_t *option_schema(const struct option *option)
{
    switch (option->kind) {
    case OPTION_CHOICE:
    case OPTION_ENUM:
        return choices_schema(option->choices);
    case OPTION_LIST:
        return list_schema(option);
    case OPTION_FLAG:
        return json_pack("{s:s}", "type", "boolean");
    case OPTION_COUNT:
        return json_pack("{s:s,s:I,s:I}", "type", "integer", "minimum", (json_int_t)option->min,
                         "maximum", (json_int_t)option->max);
    case OPTION_TIME:
        return json_pack("{s:[{s:s,s:s},{s:s,s:i}]}", "anyOf", "type", "string", "pattern",
                         "^[0-9]+(\\.[0-9]+)?(ms|s|m|h|d)$", "type", "number", "minimum", 0);
    case OPTION_SIZE:
        return json_pack("{s:[{s:s,s:s},{s:s,s:i}]}", "anyOf", "type", "string", "pattern",
                         "^[0-9]+ ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$", "type", "integer",
                         "minimum", 0);
    case OPTION_REAL:
        return json_pack("{s:s,s:I,s:I}", "type", "number", "minimum", (json_int_t)option->min,
                         "maximum", (json_int_t)option->max);
    case OPTION_SELECT:
        return shape_schema(option);
    case OPTION_TEXT:
    case OPTION_GROUP:
        break;
    }
    return (option->flags & OPTION_NULLABLE) != 0
               ? json_pack("{s:[s,s],s:i}", "type", "string", "null", "minLength", 1)
               : json_pack("{s:s,s:i}", "type", "string", "minLength", 1);
}

/** Its default as JSON; NULL for those that have none of their own. */
static json_t *fallback_json(const struct option *option)
{
    const char *text = option->fallback;

    if (option->kind == OPTION_SELECT || (text != NULL && text[0] == '@')) {
        return NULL;
    }
    if (text == NULL) {
        return json_null();
    }
    if (option->kind == OPTION_FLAG) {
        return json_boolean(strcmp(text, "true") == 0);
    }
    if (option->kind == OPTION_LIST) {
        return option_choices_json(text);
    }
    if (option->kind == OPTION_REAL) {
        return option_real_json(text);
    }
    return option->kind == OPTION_COUNT ? json_integer(strtol(text, NULL, 10)) : json_string(text);
}

void conf_write_schema(struct strbuf *out)
{
    json_t *properties = json_object();

    for (unsigned i = 0; i < option_count; i++) {
        const char *last;

        if (options[i].kind == OPTION_GROUP) {
            json_object_set_new(properties, options[i].path,
                                json_pack("{s:s,s:s,s:b,s:{}}", "type", "object", "description",
                                          options[i].doc, "additionalProperties", 0, "properties"));
            continue;
        }
        json_t *object = descend(properties, options[i].path, "properties", &last);
        json_t *schema = option_schema(&options[i]), *fallback = fallback_json(&options[i]);
        json_object_set_new(schema, "description", json_string(options[i].doc));
        if (fallback != NULL) {
            json_object_set_new(schema, "default", fallback);
        }
        json_object_set_new(object, last, schema);
    }
    json_object_set_new(properties, "$schema",
                        json_pack("{s:s,s:s}", "type", "string", "description",
                                  "For editors; the daemon does not read it."));

    json_t *root = json_pack("{s:s,s:s,s:s,s:s,s:b,s:o}", "$schema",
                             "https://json-schema.org/draft/2020-12/schema", "title", "sevird.json",
                             "description", "The configuration of sevird.", "type", "object",
                             "additionalProperties", 0, "properties", properties);
    dump(root, out);
    json_decref(root);
}

/* ---- reference --------------------------------------------------------------------------- */

static void write_type(const struct option *option, struct strbuf *out)
{
    static const char *const shapes[] = {"number", "list of numbers", "string", "list of strings",
                                         "list of four numbers"};
    static const char *const kinds[] = {
        [OPTION_TEXT] = "string",        [OPTION_LIST] = "string, or list of strings",
        [OPTION_FLAG] = "true or false", [OPTION_COUNT] = "number",
        [OPTION_TIME] = "time",          [OPTION_SIZE] = "size",
        [OPTION_REAL] = "number"};
    char choice[32];

    if (option->choices != NULL) {
        for (unsigned n = 0; option_choice(option->choices, n, choice); n++) {
            strbuf_printf(out, "%s`%s`", n > 0 ? ", " : "", choice);
        }
    } else {
        strbuf_puts(out,
                    option->kind == OPTION_SELECT ? shapes[option->shape] : kinds[option->kind]);
    }
}

static void write_row(const struct option *option, struct strbuf *out)
{
    strbuf_printf(out, "| `%s` | ", option->path);
    write_type(option, out);
    if (option->kind == OPTION_SELECT) {
        strbuf_puts(out, " | everything");
    } else if (option->fallback == NULL) {
        strbuf_puts(out, " | null");
    } else if (option->fallback[0] == '@') {
        strbuf_printf(out, " | that of `%s`", option->fallback + 1);
    } else {
        strbuf_printf(out, " | %s%s%s", option->kind == OPTION_LIST ? "" : "`",
                      option->kind == OPTION_LIST ? "all" : option->fallback,
                      option->kind == OPTION_LIST ? "" : "`");
    }
    strbuf_printf(out, " | %s | %s |\n",
                  (option->flags & OPTION_RESTART) != 0 ? "restart" : "reload", option->doc);
}

void conf_write_reference(struct strbuf *out)
{
    static const char *const head =
        "\n| key | type | default | changes by | what it does |\n| --- | --- | --- | --- | --- |\n";

    strbuf_puts(out,
                "# Configuration\n\n"
                "<!-- Made from daemon/conf/options.def by sevird-confgen; change it there. -->\n\n"
                "`/etc/sevird/sevird.json` is one JSON object; `config/sevird.schema.json` "
                "describes it for\n"
                "editors (name it in a key `$schema`). Every key has a default, so `{}` is a "
                "configuration. A key\n"
                "that is not in this list is an error that names the nearest one that is.\n\n"
                "- `sevird --config FILE --check` says what is wrong with a file, and exits 1 if "
                "something is.\n"
                "- `sevird --config FILE --print-config` shows what holds, defaults included.\n"
                "- `systemctl reload sevird`, or `sevirctl reload`, reads the file again. A wrong "
                "file, or one that\n"
                "  changes something only a restart can change, is refused and the old "
                "configuration stays.\n\n"
                "Times are written `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, `\"1d\"`, or as a "
                "number of seconds. Sizes are written\n"
                "`\"512MiB\"`, `\"1GiB\"`, or as a number of bytes.\n");
    strbuf_puts(out, head);
    for (unsigned i = 0; i < option_count; i++) {
        if (options[i].kind == OPTION_GROUP) {
            strbuf_printf(out, "\n## `%s`\n\n%s\n", options[i].path, options[i].doc);
            strbuf_puts(out, head);
        } else {
            write_row(&options[i], out);
        }
    }
}
