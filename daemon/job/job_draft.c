/** @file
 * Files of STATE_DIR/jobs/.
 */
#include "daemon/job/job_draft.h"

#include <dirent.h>
#include <inttypes.h>
#include <unistd.h>

#include "lib/base/fs.h"

#define DRAFT_MAX ((size_t)1 << 30)

static char *draft_path(const char *state_dir, uint64_t job)
{
    return str_printf("%s/jobs/%" PRIu64 ".json", state_dir, job);
}

enum rc job_draft_write(const char *state_dir, uint64_t job, const void *bytes, size_t len,
                        struct err *err)
{
    scoped(free) char *dir = str_printf("%s/jobs", state_dir);
    scoped(free) char *path = draft_path(state_dir, job);

    if (fs_mkdirs(dir, 0700, err) != RC_OK) {
        return err->rc;
    }
    return fs_write_file(path, bytes, len, 0600, err);
}

enum rc job_draft_read(const char *state_dir, uint64_t job, char **ret_bytes, size_t *ret_len,
                       struct err *err)
{
    scoped(free) char *path = draft_path(state_dir, job);

    return fs_read_file(path, DRAFT_MAX, ret_bytes, ret_len, err);
}

void job_draft_remove(const char *state_dir, uint64_t job)
{
    scoped(free) char *path = draft_path(state_dir, job);

    /* One that stays is a stray file of a finished job: harmless, and the next write replaces it.
     */
    (void)unlink(path);
}

/** A write that the end of the daemon cut short leaves its temporary file, ".NAME.XXXXXX". */
static bool is_unfinished(const char *name)
{
    return name[0] == '.' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void sweep(const char *state_dir, const char *folder, job_draft_wanted_fn *wanted, void *arg)
{
    scoped(free) char *path = str_printf("%s/%s", state_dir, folder);
    DIR *dir = opendir(path);
    struct dirent *item;

    if (dir == NULL) {
        return; /* nothing was ever written there */
    }
    while ((item = readdir(dir)) != NULL) {
        scoped(free) char *number = str_dup_n(item->d_name, strcspn(item->d_name, "."));
        uint64_t job;

        if (is_unfinished(item->d_name)) {
            (void)unlinkat(dirfd(dir), item->d_name, 0);
        } else if (wanted != NULL && str_to_u64(number, &job) && !wanted(job, arg)) {
            job_draft_remove(state_dir, job);
        }
    }
    closedir(dir);
}

void job_draft_sweep(const char *state_dir, job_draft_wanted_fn *wanted, void *arg)
{
    sweep(state_dir, "jobs", wanted, arg);
    sweep(state_dir, "ledgers", NULL, NULL);
}
