/** @file
 * A manifest from the store, which anybody may have written: what is accepted names keys that may
 * be removed, so none of them leaves the store.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/job_manifest.h"
#include "lib/store/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(job_manifest_free) struct job_manifest *manifest = NULL;
    struct err err = {0};

    if (job_manifest_parse(data, size, &manifest, &err) != RC_OK) {
        if (err.rc != RC_CORRUPT || err.text[0] == '\0') {
            abort();
        }
        return 0;
    }
    for (size_t i = 0; i < manifest->output_count; i++) {
        if (uri_check_key(manifest->outputs[i].key, &err) != RC_OK ||
            manifest->outputs[i].kind >= OUTPUT_COUNT) {
            abort();
        }
    }
    if (manifest->source_key == NULL || manifest->table == NULL || manifest->kind == NULL) {
        abort();
    }
    return 0;
}
