/** @file
 * Ledgers: STATE_DIR/ledgers/<sha256 of the object's key>, keys ended by NUL, for a key may hold
 * any other byte.
 */
#include "daemon/job/job_ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define LEDGER_MAX ((size_t)1 << 30)

static char *ledger_path(const char *state_dir, const char *key)
{
    char hex[DIGEST_HEX];

    digest_sha256_hex(key, strlen(key), hex);
    return str_printf("%s/ledgers/%s", state_dir, hex);
}

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

enum rc job_ledger_read(const char *state_dir, const char *key, struct job_ledger **ret_ledger,
                        struct err *err)
{
    scoped(free) char *path = ledger_path(state_dir, key);
    scoped(job_ledger_free) struct job_ledger *ledger = mem_new(struct job_ledger);
    size_t len = 0;
    struct err why; /* that there is none is no error, and callers look at `err` afterwards */

    if (fs_read_file(path, LEDGER_MAX, &ledger->bytes, &len, &why) == RC_OK) {
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

enum rc job_ledger_add(const char *state_dir, const char *key, const char *const *keys,
                       size_t count, struct err *err)
{
    scoped(free) char *path = ledger_path(state_dir, key);
    scoped(free) char *dir = str_printf("%s/ledgers", state_dir);
    scoped(job_ledger_free) struct job_ledger *before = NULL;
    scoped(strbuf_done) struct strbuf bytes = {0};

    if (job_ledger_read(state_dir, key, &before, err) != RC_OK ||
        fs_mkdirs(dir, 0700, err) != RC_OK) {
        return err->rc;
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
    return fs_write_file(path, bytes.data, bytes.len, 0600, err);
}

enum rc job_ledger_remove(const char *state_dir, const char *key, struct err *err)
{
    scoped(free) char *path = ledger_path(state_dir, key);

    if (unlink(path) != 0 && errno != ENOENT) {
        return err_errno(err, errno, "remove '%s'", path);
    }
    return RC_OK;
}
