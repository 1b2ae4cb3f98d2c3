#include "lib/data/json_read.h"

#include <string.h>

const char *json_read_text(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value)
               ? json_string_value(value)
               : NULL;
}

bool json_read_u64(const json_t *object, const char *name, uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *ret_value = (uint64_t)json_integer_value(value);
    return true;
}

bool json_read_count(const json_t *object, const char *name, uint64_t *ret_value)
{
    if (json_object_get(object, name) == NULL) {
        *ret_value = 0;
        return true;
    }
    return json_read_u64(object, name, ret_value);
}

bool json_read_sha256(const json_t *object, const char *name, uint8_t ret_sha256[DIGEST_BYTES])
{
    return digest_parse(json_read_text(object, name), ret_sha256);
}

bool json_read_flag(const json_t *object, const char *name, int *ret_flag)
{
    const json_t *value = json_object_get(object, name);

    *ret_flag = value == NULL ? -1 : json_is_true(value) ? 1 : 0;
    return value == NULL || json_is_boolean(value);
}
