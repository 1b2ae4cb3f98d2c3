/** @file
 * Ledgers as rows: keys ended by NUL, for a key may hold any other byte.
 */
#include "daemon/job/job_ledger.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/job/job_pieces.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct job_pieces ledgers = {
    .measure = "SELECT sum(length(bytes)) FROM ledgers WHERE object = ?1",
    .read = "SELECT bytes FROM ledgers WHERE object = ?1 ORDER BY part",
    .insert = "INSERT INTO ledgers(object, part, bytes) VALUES(?1, ?2, ?3)",
    .remove = "DELETE FROM ledgers WHERE object = ?1",
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/** Point `keys` at the NUL-ended strings in `bytes`. */
static void split(struct job_ledger *ledger, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++) {
        count += ledger->bytes[i] == '\0';
    }
    ledger->keys = mem_resize(NULL, count, sizeof(*ledger->keys));
    for (size_t at = 0; ledger->count < count; at += strlen(ledger->bytes + at) + 1) {
        ledger->keys[ledger->count++] = ledger->bytes + at;
    }
}

enum rc job_ledger_read(struct db *state, uint64_t object, struct job_ledger **ret_ledger,
                        struct err *err)
{
    scoped(job_ledger_free) struct job_ledger *ledger = mem_new(struct job_ledger);
    size_t len = 0;
    struct err why; /* that there is none is no error, and callers look at `err` afterwards */

    if (job_pieces_get(state, &ledgers, object, &ledger->bytes, &len, &why) == RC_OK) {
        split(ledger, len);
    } else if (why.rc != RC_NOT_FOUND) {
        *err = why;
        return why.rc;
    }
    *ret_ledger = TAKE(ledger);
    return RC_OK;
}

void job_ledger_free(struct job_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    free(ledger->keys);
    free(ledger->bytes);
    free(ledger);
}

/** Whether there is nothing to write: a job that is tried again notes the same keys again. */
static bool has_all(const struct job_ledger *ledger, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ledger->count == 0 || bsearch(&keys[i], ledger->keys, ledger->count,
                                          sizeof(*ledger->keys), compare_keys) == NULL) {
            return false;
        }
    }
    return true;
}

enum rc job_ledger_add(struct db *state, uint64_t object, const char *const *keys, size_t count,
                       struct err *err)
{
    scoped(job_ledger_free) struct job_ledger *before = NULL;
    scoped(strbuf_done) struct strbuf bytes = {0};

    if (job_ledger_read(state, object, &before, err) != RC_OK) {
        return err->rc;
    }
    if (has_all(before, keys, count)) {
        return RC_OK;
    }
    const size_t all = before->count + count;
    scoped(free) const char **sorted = mem_resize(NULL, all, sizeof(*sorted));

    for (size_t i = 0; i < before->count; i++) {
        sorted[i] = before->keys[i];
    }
    for (size_t i = 0; i < count; i++) {
        sorted[before->count + i] = keys[i];
    }
    qsort(sorted, all, sizeof(*sorted), compare_keys);
    for (size_t i = 0; i < all; i++) {
        if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0) {
            strbuf_add(&bytes, sorted[i], strlen(sorted[i]) + 1);
        }
    }
    return job_pieces_put(state, &ledgers, object, bytes.data, bytes.len, err);
}

enum rc job_ledger_remove(struct db *state, uint64_t object, struct err *err)
{
    return job_pieces_remove(state, &ledgers, object, err);
}
