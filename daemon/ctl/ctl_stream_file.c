/** @file
 * A stream's end that is a local file. Its length under the hidden name is what it has: parts are
 * written one after another, in their order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl/ctl_stream_p.h"
#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

struct step {
    struct ctl_stream *stream;
    struct err err;
};

/** "DIR/.sevirctl-<digest of object and etag>.part" */
static char *name_part(const struct ctl_stream *stream, const char *folder)
{
    scoped(free) char *what = str_printf("%s/%s %s", stream->from_bucket, stream->from_key,
                                         stream->from_etag != NULL ? stream->from_etag : "");
    char hex[DIGEST_HEX];

    digest_sha256_hex(what, strlen(what), hex);
    return str_printf("%s/.sevirctl-%.24s.part", folder, hex);
}

static enum rc open_part(struct ctl_stream *stream, struct err *err)
{
    scoped(free) char *folder =
        str_dup_n(stream->path, (size_t)(strrchr(stream->path, '/') - stream->path));
    struct stat st;

    if (fs_mkdirs(folder, 0777, err) != RC_OK || fs_may_replace(stream->path, err) != RC_OK) {
        return err->rc;
    }
    stream->part_path = name_part(stream, folder);
    stream->fd = open(stream->part_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (stream->fd < 0 || fstat(stream->fd, &st) != 0) {
        return err_errno(err, errno, "'%.200s'", stream->part_path);
    }
    if (flock(stream->fd, LOCK_EX | LOCK_NB) != 0) {
        return err_set(err, RC_CONFLICT, "'%.200s' is being fetched by another sevirctl",
                       stream->path);
    }
    stream->written = (uint64_t)st.st_size / stream->part_bytes * stream->part_bytes;
    if ((uint64_t)st.st_size > stream->size) {
        stream->written = 0;
    } else if ((uint64_t)st.st_size == stream->size) {
        stream->written = stream->size;
    }
    if (ftruncate(stream->fd, (off_t)stream->written) != 0) {
        return err_errno(err, errno, "'%.200s'", stream->part_path);
    }
    return RC_OK;
}

static void run_open(void *arg)
{
    struct step *step = arg;

    step->err.rc = RC_OK;
    (void)open_part(step->stream, &step->err);
}

static void on_open(void *arg, bool canceled)
{
    scoped(free) struct step *step = arg;

    (void)canceled;
    ctl_stream_opened(step->stream, step->err.rc != RC_OK ? &step->err : NULL);
}

static void file_open(struct ctl_stream *stream)
{
    struct step *step = mem_new(struct step);

    step->stream = stream;
    work_submit(stream->work, WORK_FILE, run_open, on_open, step);
}

static bool file_has(const struct ctl_stream *stream, unsigned part, size_t len)
{
    return part * stream->part_bytes + len <= stream->written;
}

static bool file_takes(const struct ctl_stream *stream, const struct ctl_stream_slot *slot)
{
    return !stream->writing && slot->offset == stream->written;
}

static void run_write(void *arg)
{
    struct ctl_stream_slot *slot = arg;
    size_t done = 0;

    slot->err.rc = RC_OK;
    while (done < slot->len) {
        const ssize_t n = pwrite(slot->stream->fd, slot->bytes + done, slot->len - done,
                                 (off_t)(slot->offset + done));

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            err_errno(&slot->err, n < 0 ? errno : EIO, "'%.200s'", slot->stream->path);
            return;
        }
        done += (size_t)n;
    }
}

static void on_write(void *arg, bool canceled)
{
    struct ctl_stream_slot *slot = arg;
    const struct err err = slot->err;

    (void)canceled;
    slot->stream->writing = false;
    if (err.rc == RC_OK) {
        slot->stream->written += slot->len;
    }
    ctl_stream_stored(slot, err.rc != RC_OK ? &err : NULL);
}

static void file_store(struct ctl_stream *stream, struct ctl_stream_slot *slot)
{
    stream->writing = true;
    work_submit(stream->work, WORK_FILE, run_write, on_write, slot);
}

static void run_close(void *arg)
{
    struct step *step = arg;
    struct ctl_stream *stream = step->stream;
    scoped(free) char *folder =
        str_dup_n(stream->path, (size_t)(strrchr(stream->path, '/') - stream->path));

    step->err.rc = RC_OK;
    if (fsync(stream->fd) != 0 || rename(stream->part_path, stream->path) != 0) {
        err_errno(&step->err, errno, "'%.200s'", stream->path);
        return;
    }
    const int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0 || fsync(dir) != 0) {
        err_errno(&step->err, errno, "'%.200s'", folder);
    }
    if (dir >= 0) {
        close(dir);
    }
}

static void on_close(void *arg, bool canceled)
{
    scoped(free) struct step *step = arg;

    (void)canceled;
    ctl_stream_ended(step->stream, step->err.rc != RC_OK ? &step->err : NULL);
}

static void file_close(struct ctl_stream *stream)
{
    struct step *step = mem_new(struct step);

    step->stream = stream;
    work_submit(stream->work, WORK_FILE, run_close, on_close, step);
}

static void file_give_up(struct ctl_stream *stream)
{
    ctl_stream_ended(stream, NULL);
}

const struct ctl_stream_target ctl_stream_file = {.open = file_open,
                                                  .has = file_has,
                                                  .takes = file_takes,
                                                  .store = file_store,
                                                  .close = file_close,
                                                  .give_up = file_give_up};
