/** @file
 * The attributes of an open object as text, for people: numbers, strings and short arrays; of
 * anything else the kind and the shape.
 */
#include "daemon/h5probe/h5_attrs.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/h5probe/h5_driver.h"
#include "daemon/h5probe/h5_type.h"
#include "lib/base/mem.h"

/** Cut after this many bytes, as the layout promises. */
#define VALUE_BYTES 256u
#define NAME_BYTES 256u
/** An attribute larger than this is described, not read. */
#define READ_BYTES 65536u

struct list {
    struct layout_attr *items;
    uint32_t count;
    struct err *err;
    bool failed;
};

/** Cut on a character's boundary, so that UTF-8 stays UTF-8. */
static char *cut(const char *text, size_t len, size_t limit)
{
    if (len > limit) {
        len = limit;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80) {
            len--;
        }
    }
    return str_dup_n(text, len);
}

static void put_integer(struct strbuf *out, const struct layout_dtype *dtype, const void *value)
{
    int64_t number = 0;

    /* Native order: sign-extend or zero-extend by hand. */
    if (dtype->is_signed) {
        number = dtype->size == 1   ? *(const int8_t *)value
                 : dtype->size == 2 ? *(const int16_t *)value
                 : dtype->size == 4 ? *(const int32_t *)value
                                    : *(const int64_t *)value;
        strbuf_printf(out, "%" PRId64, number);
    } else {
        memcpy(&number, value, dtype->size); /* little-endian hosts only; see meson.build */
        strbuf_printf(out, "%" PRIu64, (uint64_t)number);
    }
}

static void put_fixed_string(struct strbuf *out, const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    while (len > 0 && text[len - 1] == ' ') {
        len--; /* space padded, as Fortran writes them */
    }
    strbuf_add(out, text, len);
}

/** Elements from `values`, comma separated, in brackets unless it is a scalar. */
static void put_values(struct strbuf *out, const struct layout_dtype *dtype, size_t count,
                       bool scalar, const uint8_t *values)
{
    strbuf_puts(out, scalar ? "" : "[");
    for (size_t i = 0; i < count && out->len <= VALUE_BYTES; i++) {
        const uint8_t *value = values + i * dtype->size;

        strbuf_puts(out, i > 0 ? ", " : "");
        if (dtype->class_ == LAYOUT_INTEGER) {
            put_integer(out, dtype, value);
        } else if (dtype->class_ == LAYOUT_FLOAT) {
            const double number =
                dtype->size == 8 ? *(const double *)value : (double)*(const float *)value;
            if (number != number) {
                strbuf_puts(out, "nan");
            } else {
                strbuf_double(out, number);
            }
        } else {
            put_fixed_string(out, (const char *)value, dtype->size);
        }
    }
    strbuf_puts(out, scalar ? "" : "]");
}

static bool put_numbers(struct strbuf *out, hid_t attr, hid_t type, size_t count, bool scalar)
{
    struct layout_dtype dtype;
    struct err ignored;
    hid_t native;
    uint8_t *values;
    bool ok;

    h5_type_describe(type, &dtype);
    if (dtype.class_ == LAYOUT_FLOAT && dtype.size == 2) {
        dtype.size = 4; /* shown, not kept: read half precision as float */
    }
    if (dtype.size == 0 || count > READ_BYTES / dtype.size ||
        h5_type_native(type, &dtype, &native, &ignored) != RC_OK) {
        return false;
    }
    values = mem_zeroed(count * dtype.size + 1);
    ok = H5Aread(attr, native, values) >= 0;
    if (ok) {
        put_values(out, &dtype, count, scalar, values);
    }
    free(values);
    H5Tclose(native);
    return ok;
}

static bool put_strings(struct strbuf *out, hid_t attr, hid_t type, size_t count, bool scalar)
{
    char **texts;
    bool ok;

    if (count > READ_BYTES / sizeof(*texts)) {
        return false;
    }
    texts = mem_zeroed((count + 1) * sizeof(*texts));
    ok = H5Aread(attr, type, (void *)texts) >= 0;
    strbuf_puts(out, scalar ? "" : "[");
    for (size_t i = 0; ok && i < count && out->len <= VALUE_BYTES; i++) {
        strbuf_puts(out, i > 0 ? ", " : "");
        strbuf_puts(out, texts[i] != NULL ? texts[i] : "");
    }
    strbuf_puts(out, scalar ? "" : "]");
    free((void *)texts); /* the strings themselves end with the process */
    return ok;
}

static void put_value(struct strbuf *out, hid_t attr, hid_t type, hid_t space)
{
    const H5S_class_t extent = H5Sget_simple_extent_type(space);
    const hssize_t count = H5Sget_simple_extent_npoints(space);
    bool ok = false;

    if (extent == H5S_NULL) {
        strbuf_puts(out, "(empty)");
        return;
    }
    if (count >= 0) {
        const bool text = H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0;

        ok = text ? put_strings(out, attr, type, (size_t)count, extent == H5S_SCALAR)
                  : put_numbers(out, attr, type, (size_t)count, extent == H5S_SCALAR);
    }
    if (!ok) {
        H5Eclear2(H5E_DEFAULT);
        strbuf_reset(out);
        strbuf_printf(out, "(%" PRId64 " elements)", (int64_t)count);
    }
}

static herr_t on_attr(hid_t object, const char *name, const H5A_info_t *info, void *arg)
{
    struct list *list = arg;
    struct layout_attr *item;
    struct layout_dtype dtype;
    scoped(strbuf_done) struct strbuf value = {0};
    const hid_t attr = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = attr < 0 ? attr : H5Aget_type(attr);
    const hid_t space = attr < 0 ? attr : H5Aget_space(attr);

    if (attr < 0 || type < 0 || space < 0) {
        h5_driver_err(list->err, "attribute '%.80s'", name);
        list->failed = true;
        return -1;
    }
    h5_type_describe(type, &dtype);
    put_value(&value, attr, type, space);
    if (list->count % 16 == 0) {
        list->items = mem_resize(list->items, list->count + 16, sizeof(*list->items));
    }
    item = &list->items[list->count++];
    item->name = cut(name, strlen(name), NAME_BYTES);
    item->dtype = str_dup(dtype.text);
    item->value = cut(strbuf_text(&value), strlen(strbuf_text(&value)), VALUE_BYTES);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attr);
    return list->count < H5_ATTRS_MAX ? 0 : 1; /* 1: enough, and well */
}

enum rc h5_attrs_read(hid_t object, const struct layout_attr **ret_attrs, uint32_t *ret_count,
                      struct err *err)
{
    struct list list = {.err = err};
    hsize_t from = 0;

    if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &from, on_attr, &list) < 0) {
        return list.failed ? err->rc : h5_driver_err(err, "list attributes");
    }
    *ret_attrs = list.items;
    *ret_count = list.count;
    return RC_OK;
}
