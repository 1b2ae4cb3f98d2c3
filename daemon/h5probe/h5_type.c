/** @file
 * Datatypes of libhdf5 in the layout's words.
 */
#include "daemon/h5probe/h5_type.h"

#include <stdio.h>
#include <string.h>

#include "daemon/h5probe/h5_driver.h"

/** An IEEE 754 format: where libhdf5 must say sign, exponent and mantissa lie. */
struct ieee {
    size_t size, sign, exponent, exponent_bits, mantissa, mantissa_bits, bias;
};

static const struct ieee ieee_formats[] = {
    {2, 15, 10, 5, 0, 10, 15},
    {4, 31, 23, 8, 0, 23, 127},
    {8, 63, 52, 11, 0, 52, 1023},
};

static bool little_endian_host(void)
{
    const uint16_t one = 1;

    return *(const uint8_t *)&one == 1;
}

static const struct ieee *ieee_of_size(size_t size)
{
    for (unsigned i = 0; i < sizeof(ieee_formats) / sizeof(ieee_formats[0]); i++) {
        if (ieee_formats[i].size == size) {
            return &ieee_formats[i];
        }
    }
    return NULL;
}

/** Every bit of the element belongs to the number, in an order that a CPU has. */
static bool uses_all_bits(hid_t type, size_t size)
{
    const H5T_order_t order = H5Tget_order(type);

    return H5Tget_precision(type) == size * 8 && H5Tget_offset(type) == 0 &&
           (order == H5T_ORDER_LE || order == H5T_ORDER_BE);
}

static bool is_ieee(hid_t type, size_t size)
{
    const struct ieee *ieee = ieee_of_size(size);
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;

    return ieee != NULL && uses_all_bits(type, size) &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 &&
           sign == ieee->sign && exponent == ieee->exponent &&
           exponent_bits == ieee->exponent_bits && mantissa == ieee->mantissa &&
           mantissa_bits == ieee->mantissa_bits && H5Tget_ebias(type) == ieee->bias &&
           H5Tget_norm(type) == H5T_NORM_IMPLIED;
}

static void describe_number(hid_t type, struct layout_dtype *dtype)
{
    const bool is_float = dtype->class_ == LAYOUT_FLOAT;
    const size_t size = dtype->size;
    const char letter = is_float ? 'f' : dtype->is_signed ? 'i' : 'u';

    dtype->big_endian = size > 1 && H5Tget_order(type) == H5T_ORDER_BE;
    dtype->plain =
        is_float ? is_ieee(type, size)
                 : uses_all_bits(type, size) && (size == 1 || size == 2 || size == 4 || size == 8);
    if (dtype->big_endian) {
        snprintf(dtype->text, sizeof(dtype->text), ">%c%zu", letter, size);
    } else {
        snprintf(dtype->text, sizeof(dtype->text), "%s%zu",
                 is_float           ? "float"
                 : dtype->is_signed ? "int"
                                    : "uint",
                 size * 8);
    }
}

/** h5py writes numpy's bool as an enumeration of FALSE and TRUE. */
static bool is_bool(hid_t type)
{
    char *first, *second;
    bool yes = false;

    if (H5Tget_size(type) != 1 || H5Tget_nmembers(type) != 2) {
        return false;
    }
    first = H5Tget_member_name(type, 0);
    second = H5Tget_member_name(type, 1);
    if (first != NULL && second != NULL) {
        yes = strcmp(first, "FALSE") == 0 && strcmp(second, "TRUE") == 0;
    }
    H5free_memory(first);
    H5free_memory(second);
    return yes;
}

static void describe_string(hid_t type, struct layout_dtype *dtype)
{
    if (H5Tis_variable_str(type) > 0) {
        dtype->size = 0;
        snprintf(dtype->text, sizeof(dtype->text), "object");
        return;
    }
    dtype->class_ = LAYOUT_STRING;
    dtype->plain = true;
    snprintf(dtype->text, sizeof(dtype->text), "S%u", dtype->size);
}

void h5_type_describe(hid_t type, struct layout_dtype *ret_dtype)
{
    const H5T_class_t class_ = H5Tget_class(type);
    const size_t size = H5Tget_size(type);
    struct layout_dtype dtype = {.class_ = LAYOUT_OTHER};

    dtype.size = size <= UINT32_MAX ? (uint32_t)size : 0;
    snprintf(dtype.text, sizeof(dtype.text), "V%u", dtype.size);
    switch (class_) {
    case H5T_INTEGER:
        dtype.class_ = LAYOUT_INTEGER;
        dtype.is_signed = H5Tget_sign(type) == H5T_SGN_2;
        describe_number(type, &dtype);
        break;
    case H5T_FLOAT:
        dtype.class_ = LAYOUT_FLOAT;
        dtype.is_signed = true;
        describe_number(type, &dtype);
        break;
    case H5T_STRING:
        describe_string(type, &dtype);
        break;
    case H5T_ENUM:
        snprintf(dtype.text, sizeof(dtype.text), "%s", is_bool(type) ? "bool" : "enum");
        break;
    case H5T_VLEN:
    case H5T_REFERENCE:
        dtype.size = 0; /* what is stored is a reference into the file's heap */
        snprintf(dtype.text, sizeof(dtype.text), "object");
        break;
    case H5T_COMPOUND:
    case H5T_ARRAY:
    case H5T_OPAQUE:
    case H5T_BITFIELD:
    case H5T_TIME:
    default:
        break;
    }
    *ret_dtype = dtype;
}

static hid_t native_integer(const struct layout_dtype *dtype)
{
    switch (dtype->size) {
    case 1:
        return dtype->is_signed ? H5T_NATIVE_INT8 : H5T_NATIVE_UINT8;
    case 2:
        return dtype->is_signed ? H5T_NATIVE_INT16 : H5T_NATIVE_UINT16;
    case 4:
        return dtype->is_signed ? H5T_NATIVE_INT32 : H5T_NATIVE_UINT32;
    case 8:
        return dtype->is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
    default:
        return H5I_INVALID_HID;
    }
}

/** libhdf5 1.10 names no half precision: make the format, in this machine's byte order. */
static hid_t native_float(size_t size)
{
    const struct ieee *ieee = ieee_of_size(size);
    hid_t type;

    if (ieee == NULL) {
        return H5I_INVALID_HID;
    }
    type = H5Tcopy(size == 8 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT);
    if (size != 2 || type < 0) {
        return type;
    }
    if (H5Tset_fields(type, ieee->sign, ieee->exponent, ieee->exponent_bits, ieee->mantissa,
                      ieee->mantissa_bits) < 0 ||
        H5Tset_ebias(type, ieee->bias) < 0 || H5Tset_size(type, ieee->size) < 0 ||
        H5Tset_order(type, little_endian_host() ? H5T_ORDER_LE : H5T_ORDER_BE) < 0) {
        H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

enum rc h5_type_native(hid_t type, const struct layout_dtype *dtype, hid_t *ret_type,
                       struct err *err)
{
    hid_t native = H5I_INVALID_HID;

    switch (dtype->class_) {
    case LAYOUT_INTEGER:
        native = native_integer(dtype);
        native = native < 0 ? native : H5Tcopy(native);
        break;
    case LAYOUT_FLOAT:
        native = native_float(dtype->size);
        break;
    case LAYOUT_STRING:
        native = H5Tcopy(type); /* as it is stored */
        break;
    case LAYOUT_OTHER:
        break;
    }
    if (native < 0) {
        return err_set(err, RC_UNSUPPORTED, "type '%s' cannot be read as rows", dtype->text);
    }
    *ret_type = native;
    return RC_OK;
}
