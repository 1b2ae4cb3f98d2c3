/** @file
 * Whatever the shared files hold, they are read or refused; what is found has an end, and words
 * split are no longer than their text.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/profile.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void look(const char *value, size_t size)
{
    must(value == NULL || strlen(value) <= size);
}

static void check_words(const uint8_t *data, size_t size)
{
    scoped(free) char *text = str_dup_n((const char *)data, size);
    char *words[PROFILE_WORDS_MAX + 1];
    const size_t len = strlen(text);
    unsigned count;
    size_t sum = 0;
    struct err err = {0};

    if (profile_split(text, words, &count, &err) != RC_OK) {
        must(err.text[0] != '\0');
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        sum += strlen(words[i]);
    }
    must(words[count] == NULL && sum <= len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (enum profile_source source = 0; source < PROFILE_SOURCES; source++) {
        scoped(profile_files_free) struct profile_files *files = profile_files_new();
        char *text = str_dup_n((const char *)data, size);
        struct err err = {0};

        if (profile_parse(files, source, "f", text, size, &err) != RC_OK) {
            must(err.rc == RC_INVALID && err.text[0] != '\0');
        }
        (void)profile_exists(files, "default");
        look(profile_get(files, "default", "region"), size);
        look(profile_get_nested(files, "x", "s3", "a"), size);
        look(profile_get_service(files, "x", "s3", "endpoint_url"), size);
    }
    check_words(data, size);
    return 0;
}
