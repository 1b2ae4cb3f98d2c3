/** @file
 * Files of STATE_DIR/jobs/.
 */
#include "daemon/job/job_draft.h"

#include <inttypes.h>
#include <unistd.h>

#include "lib/base/fs.h"

#define DRAFT_MAX ((size_t)1 << 30)

static char *draft_path(const char *state_dir, uint64_t job, const char *suffix)
{
    return str_printf("%s/jobs/%" PRIu64 ".%s", state_dir, job, suffix);
}

static enum rc draft_write(const char *state_dir, uint64_t job, const char *suffix,
                           const void *bytes, size_t len, struct err *err)
{
    scoped(free) char *dir = str_printf("%s/jobs", state_dir);
    scoped(free) char *path = draft_path(state_dir, job, suffix);

    if (fs_mkdirs(dir, 0700, err) != RC_OK) {
        return err->rc;
    }
    return fs_write_file(path, bytes, len, 0600, err);
}

static enum rc draft_read(const char *state_dir, uint64_t job, const char *suffix, char **ret_bytes,
                          size_t *ret_len, struct err *err)
{
    scoped(free) char *path = draft_path(state_dir, job, suffix);

    return fs_read_file(path, DRAFT_MAX, ret_bytes, ret_len, err);
}

enum rc job_draft_write(const char *state_dir, uint64_t job, const void *bytes, size_t len,
                        struct err *err)
{
    return draft_write(state_dir, job, "json", bytes, len, err);
}

enum rc job_draft_read(const char *state_dir, uint64_t job, char **ret_bytes, size_t *ret_len,
                       struct err *err)
{
    return draft_read(state_dir, job, "json", ret_bytes, ret_len, err);
}

enum rc job_draft_write_previous(const char *state_dir, uint64_t job, const void *bytes, size_t len,
                                 struct err *err)
{
    return draft_write(state_dir, job, "previous", bytes, len, err);
}

enum rc job_draft_read_previous(const char *state_dir, uint64_t job, char **ret_bytes,
                                size_t *ret_len, struct err *err)
{
    return draft_read(state_dir, job, "previous", ret_bytes, ret_len, err);
}

void job_draft_remove(const char *state_dir, uint64_t job)
{
    scoped(free) char *draft = draft_path(state_dir, job, "json");
    scoped(free) char *previous = draft_path(state_dir, job, "previous");

    /* One that stays is a stray file of a finished job: harmless, and the next write replaces it.
     */
    (void)unlink(draft);
    (void)unlink(previous);
}
