/** @file
 * A layout from a helper that was taken over: decode it, and do with it what the daemon would.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/data/slab.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define WORTH_BYTES \
    ((uint64_t)1 << 22) /**< Decode no more than this; a budget does so elsewhere. */

/** Rows of a file whose bytes repeat the message. */
static void read_rows(const struct layout *layout, const struct layout_dataset *dataset,
                      const uint8_t *bytes, size_t len)
{
    scoped(slab_plan_free) struct slab_plan *plan = NULL;
    uint64_t rows = dataset->rank > 0 ? dataset->dims[0] : 0, count = MIN_OF(rows, (uint64_t)3);
    struct err err;

    if (slab_plan(dataset, layout->file_size, rows / 2, MIN_OF(count, rows - rows / 2), 64, &plan,
                  &err) != RC_OK) {
        return;
    }
    if (slab_prefers_frames(dataset) && len % 2 == 0) {
        slab_by_frames(plan);
    }
    if (plan->fetch_bytes > WORTH_BYTES || plan->decoded_bytes > WORTH_BYTES ||
        plan->scratch_bytes > WORTH_BYTES || dataset->chunk_count > 4096) {
        return;
    }
    uint8_t *fetched = malloc(plan->fetch_bytes + 1), *out = malloc(plan->decoded_bytes + 1);
    uint8_t *scratch = malloc(plan->scratch_bytes + 1);

    for (uint64_t i = 0; i < plan->fetch_bytes; i++) {
        fetched[i] = bytes[i % len];
    }
    (void)slab_decode(plan, fetched, out, scratch, &err);
    free(fetched);
    free(out);
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    scoped(layout_free) struct layout *layout = NULL, *again = NULL;
    scoped(strbuf_done) struct strbuf text = {0}, encoded = {0};
    struct err err;

    if (layout_decode(bytes, len, &layout, &err) != RC_OK) {
        return 0;
    }
    layout_json(layout, &text);
    layout_encode(layout, &encoded);
    if (layout_decode(encoded.data, encoded.len, &again, &err) != RC_OK ||
        again->dataset_count != layout->dataset_count) {
        abort(); /* what was believed once has to be believed again */
    }
    for (uint32_t i = 0; i < layout->dataset_count && i < 16; i++) {
        read_rows(layout, &layout->datasets[i], bytes, len);
    }
    return 0;
}
