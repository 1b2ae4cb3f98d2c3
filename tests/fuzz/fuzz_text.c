/** @file
 * Numbers, times and encodings: what is read is written back, what is written is safe to show.
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_numbers(const char *text)
{
    scoped(strbuf_done) struct strbuf buf = {0};
    double value, again;
    uint64_t unsigned_value;
    int64_t signed_value;

    if (str_to_double(text, &value)) {
        must(isfinite(value));
        strbuf_double(&buf, value);
        must(str_to_double(strbuf_text(&buf), &again));
        must(memcmp(&value, &again, sizeof(value)) == 0);
    }
    if (str_to_u64(text, &unsigned_value) && unsigned_value <= INT64_MAX) {
        must(str_to_i64(text, &signed_value) && (uint64_t)signed_value == unsigned_value);
    }
    (void)str_to_bytes(text, &unsigned_value);
    (void)str_to_ms(text, &signed_value);
}

static void check_time(const char *text)
{
    char written[NOW_TEXT];
    int64_t epoch_s, again;

    if (now_parse_utc(text, &epoch_s)) {
        now_format_utc(epoch_s, written);
        must(memcmp(written, text, 10) == 0 && memcmp(written + 11, text + 11, 8) == 0);
        must(now_parse_utc(written, &again) && again == epoch_s);
    }
}

static void check_encodings(const char *text)
{
    scoped(strbuf_done) struct strbuf json = {0}, shown = {0}, csv = {0};
    size_t len = strlen(text);

    strbuf_json(&json, text);
    must(str_is_utf8(json.data, json.len));
    strbuf_printable(&shown, text);
    must(str_is_utf8(strbuf_text(&shown), shown.len));
    for (size_t i = 0; i < shown.len; i++) {
        must((unsigned char)shown.data[i] >= 0x20 && shown.data[i] != 0x7F);
    }
    strbuf_csv(&csv, text, len);
    must(csv.len >= len);
    must(str_distance(text, text) == (len <= 64 ? 0u : 1000u));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(free) char *text = str_dup_n((const char *)data, size);
    enum log_level level;

    check_numbers(text);
    check_time(text);
    check_encodings(text);
    (void)log_level_parse(text, &level);
    return 0;
}
