#include "daemon/job/job_takeover.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/job/job_draft.h"
#include "daemon/job/job_ledger.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define FILE_MAX ((size_t)1 << 30)

/** A file of one of the two folders. */
struct old_file {
    char *name;
    uint64_t object; /**< Of a ledger: the newest of that key; 0: not on record. */
    bool stays;
};

struct old_folder {
    char *path;
    struct old_file *files; /**< By name. */
    size_t count;
    bool exists;
};

static void folder_done(struct old_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        free(folder->files[i].name);
    }
    free(folder->files);
    free(folder->path);
}
static void folder_done_ptr(struct old_folder *folder)
{
    folder_done(folder);
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct old_file *)a)->name, ((const struct old_file *)b)->name);
}

static enum rc folder_list(struct old_folder *folder, const char *state_dir, const char *name,
                           struct err *err)
{
    DIR *dir;
    struct dirent *item;

    folder->path = fs_join(state_dir, name);
    dir = opendir(folder->path);
    if (dir == NULL) {
        return errno == ENOENT ? RC_OK : err_errno(err, errno, "open '%s'", folder->path);
    }
    folder->exists = true;
    while ((item = readdir(dir)) != NULL) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) {
            continue;
        }
        folder->files = mem_resize(folder->files, folder->count + 1, sizeof(*folder->files));
        folder->files[folder->count++] = (struct old_file){.name = str_dup(item->d_name)};
    }
    closedir(dir);
    if (folder->count > 0) {
        qsort(folder->files, folder->count, sizeof(*folder->files), compare_files);
    }
    return RC_OK;
}

static enum rc file_read(const struct old_folder *folder, const struct old_file *file,
                         char **ret_bytes, size_t *ret_len, struct err *err)
{
    scoped(free) char *path = fs_join(folder->path, file->name);

    return fs_read_file(path, FILE_MAX, ret_bytes, ret_len, err);
}

/** ".NAME.XXXXXX": a write that the end of a daemon had cut short. */
static bool is_unfinished(const struct old_file *file)
{
    return file->name[0] == '.';
}

static enum rc take_draft(struct db *state, const struct old_folder *folder,
                          const struct old_file *file, struct err *err)
{
    scoped(free) char *number = str_dup_n(file->name, strcspn(file->name, "."));
    scoped(free) char *bytes = NULL;
    size_t len;
    uint64_t job;

    if (is_unfinished(file) || !str_to_u64(number, &job) || !job_draft_is_wanted(state, job)) {
        return RC_OK;
    }
    if (file_read(folder, file, &bytes, &len, err) != RC_OK) {
        return err->rc;
    }
    return job_draft_put(state, job, bytes, len, err);
}

/** Which object each ledger is of: only a digest of its key is known. */
static enum rc find_objects(struct db *state, const struct old_folder *folder, struct err *err)
{
    struct db_stmt *q = db_prepare(state, "SELECT id, key FROM objects ORDER BY job", err);

    if (q == NULL) {
        return err->rc;
    }
    while (db_step(q, err)) {
        const char *key = db_text(q, 1);
        char hex[DIGEST_HEX];

        digest_sha256_hex(key, strlen(key), hex);
        struct old_file *file = bsearch(&(struct old_file){.name = hex}, folder->files,
                                        folder->count, sizeof(*folder->files), compare_files);

        if (file != NULL) {
            file->object = (uint64_t)db_int(q, 0);
        }
    }
    return db_failed(q) ? err->rc : RC_OK;
}

static enum rc take_ledger(struct db *state, const struct old_folder *folder, struct old_file *file,
                           struct err *err)
{
    scoped(free) char *bytes = NULL;
    scoped(free) const char **keys = NULL;
    size_t len, count = 0;

    if (is_unfinished(file)) {
        return RC_OK;
    }
    if (file->object == 0) {
        file->stays = true;
        log_warn(LOG_JOB, "'%s/%s' is the ledger of an object that is not on record: it stays",
                 folder->path, file->name);
        return RC_OK;
    }
    if (file_read(folder, file, &bytes, &len, err) != RC_OK) {
        return err->rc;
    }
    for (size_t at = 0; at < len; at += strlen(bytes + at) + 1) {
        keys = mem_resize(keys, count + 1, sizeof(*keys));
        keys[count++] = bytes + at;
    }
    return job_ledger_add(state, file->object, keys, count, err);
}

static enum rc take_all(struct db *state, const struct old_folder *drafts,
                        const struct old_folder *ledgers, struct err *err)
{
    for (size_t i = 0; i < drafts->count; i++) {
        if (take_draft(state, drafts, &drafts->files[i], err) != RC_OK) {
            return err->rc;
        }
    }
    if (ledgers->count > 0 && find_objects(state, ledgers, err) != RC_OK) {
        return err->rc;
    }
    for (size_t i = 0; i < ledgers->count; i++) {
        if (take_ledger(state, ledgers, &ledgers->files[i], err) != RC_OK) {
            return err->rc;
        }
    }
    return RC_OK;
}

static enum rc folder_remove(const struct old_folder *folder, struct err *err)
{
    if (!folder->exists) {
        return RC_OK;
    }
    for (size_t i = 0; i < folder->count; i++) {
        scoped(free) char *path = fs_join(folder->path, folder->files[i].name);

        if (!folder->files[i].stays && unlink(path) != 0 && errno != ENOENT) {
            return err_errno(err, errno, "remove '%s'", path);
        }
    }
    if (fs_sync_dir(folder->path, err) != RC_OK) {
        return err->rc;
    }
    (void)rmdir(folder->path); /* but for what stays */
    return RC_OK;
}

enum rc job_takeover(struct db *state, const char *state_dir, struct err *err)
{
    scoped(folder_done) struct old_folder drafts = {0}, ledgers = {0};
    struct err ignored;

    if (folder_list(&drafts, state_dir, "jobs", err) != RC_OK ||
        folder_list(&ledgers, state_dir, "ledgers", err) != RC_OK) {
        return err->rc;
    }
    if (!drafts.exists && !ledgers.exists) {
        return RC_OK;
    }
    if (db_exec(state, "BEGIN IMMEDIATE", err) != RC_OK) {
        return err->rc;
    }
    if (take_all(state, &drafts, &ledgers, err) != RC_OK) {
        (void)db_exec(state, "ROLLBACK", &ignored);
        return err_wrap(err, "bring files into state.db");
    }
    if (db_exec(state, "COMMIT", err) != RC_OK || folder_remove(&drafts, err) != RC_OK ||
        folder_remove(&ledgers, err) != RC_OK) {
        return err->rc;
    }
    return RC_OK;
}
