/** @file
 * The result of a run of the Glue job, which lies in a bucket: what is accepted can be looked up,
 * and its columns can be named in SQL and in the catalog.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/glue/run_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(const struct run_result *result, const char *key)
{
    const struct job_remote_made *made = NULL;
    struct err err = {0};

    if (run_result_find(result, key, "e", &made, &err) != RC_OK) {
        if (err.rc == RC_OK || err.text[0] == '\0') {
            abort();
        }
        return;
    }
    if (made == NULL || made->column_count == 0 || made->column_count > RUN_COLUMNS_MAX) {
        abort();
    }
    for (unsigned i = 0; i < made->column_count; i++) {
        if (made->columns[i].name[0] == '\0' || strpbrk(made->columns[i].name, "\"'; \n") != NULL) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(run_result_free) struct run_result *result = NULL;
    struct err err = {0};

    if (run_result_parse(data, size, "t", &result, &err) != RC_OK) {
        if (err.rc != RC_CORRUPT || err.text[0] == '\0') {
            abort();
        }
        return 0;
    }
    look(result, "a.csv");
    look(result, "b.csv");
    return 0;
}
