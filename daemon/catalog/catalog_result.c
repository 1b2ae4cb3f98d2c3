/** @file
 * Rows as JSON or CSV.
 */
#include "daemon/catalog/catalog_result.h"

#include <inttypes.h>
#include <math.h>

static bool is_json(const struct catalog_result *result)
{
    return result->format == CATALOG_JSON;
}

void catalog_result_head(struct catalog_result *result, const struct catalog_result_column *columns,
                         unsigned count)
{
    struct strbuf *out = result->out;

    strbuf_puts(out, is_json(result) ? "{\"columns\":[" : "");
    for (unsigned i = 0; i < count; i++) {
        strbuf_puts(out, i > 0 ? "," : "");
        if (is_json(result)) {
            strbuf_json(out, columns[i].name);
        } else {
            strbuf_csv(out, columns[i].name, strlen(columns[i].name));
        }
    }
    if (!is_json(result)) {
        strbuf_putc(out, '\n');
        return;
    }
    strbuf_puts(out, "],\"types\":[");
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(out, "%s\"%s\"", i > 0 ? "," : "", columns[i].type);
    }
    strbuf_puts(out, "],\"rows\":[");
}

void catalog_result_row(struct catalog_result *result)
{
    if (is_json(result)) {
        strbuf_puts(result->out, result->rows > 0 ? ",[" : "[");
    }
    result->rows++;
    result->cells = 0;
}

static void next_cell(struct catalog_result *result)
{
    strbuf_puts(result->out, result->cells > 0 ? "," : "");
    result->cells++;
}

void catalog_result_int(struct catalog_result *result, int64_t value)
{
    next_cell(result);
    strbuf_printf(result->out, "%" PRId64, value);
}

void catalog_result_double(struct catalog_result *result, double value)
{
    next_cell(result);
    if (!is_json(result) || isfinite(value)) {
        strbuf_double(result->out, value);
    } else {
        strbuf_puts(result->out, "null");
    }
}

void catalog_result_text(struct catalog_result *result, const char *text, size_t len)
{
    next_cell(result);
    if (is_json(result)) {
        strbuf_json(result->out, text);
    } else {
        strbuf_csv(result->out, text, len);
    }
}

void catalog_result_hex(struct catalog_result *result, const void *bytes, size_t len)
{
    const unsigned char *byte = bytes;

    next_cell(result);
    strbuf_puts(result->out, is_json(result) ? "\"" : "");
    for (size_t i = 0; i < len; i++) {
        strbuf_printf(result->out, "%02x", byte[i]);
    }
    strbuf_puts(result->out, is_json(result) ? "\"" : "");
}

void catalog_result_null(struct catalog_result *result)
{
    next_cell(result);
    strbuf_puts(result->out, is_json(result) ? "null" : "");
}

void catalog_result_row_end(struct catalog_result *result)
{
    strbuf_puts(result->out, is_json(result) ? "]" : "\n");
}

void catalog_result_end(struct catalog_result *result, bool truncated, const char *extra)
{
    if (is_json(result)) {
        strbuf_printf(result->out, "],\"truncated\":%s%s}", truncated ? "true" : "false", extra);
    }
}
