/** @file
 * A whole object, from memory or from a local file, to S3.
 */
#include "lib/aws/s3_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/aws/s3_multi_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define WIDTH 4
#define MEMORY ((uint64_t)64 << 20) /**< What the parts under way may take. */

struct s3_upload {
    struct s3_multi multi; /* first: handed out as this */
    struct work *work;
    char *path;
    int fd;
    struct stat st; /**< As the file was when it was opened. */
    uint64_t single_max, part_bytes;
    bool multipart;
    struct err err;       /**< Of a step on the FILE lane. */
    struct s3_slot whole; /**< By one put. */
};

static enum rc file_error(const struct s3_upload *upload, struct err *err)
{
    return err_errno(err, errno, "read '%.200s'", upload->path);
}

/* ---- the end ---- */

static void upload_end(struct s3_multi *multi, const char *etag, const char *version)
{
    struct s3_upload *upload = (struct s3_upload *)multi;
    const struct err *err = multi->err.rc != RC_OK ? &multi->err : NULL;

    multi->done(err == NULL ? etag : "", err == NULL ? version : "", err, multi->arg);
    if (upload->fd >= 0) {
        close(upload->fd);
    }
    for (unsigned i = 0; i < S3_MULTI_WIDTH; i++) {
        free(multi->slots[i].buffer);
    }
    free(upload->whole.buffer);
    free(upload->path);
    s3_multi_done(multi);
    free(upload);
}

static void fail(struct s3_upload *upload, const struct err *err)
{
    struct s3_multi *multi = &upload->multi;

    if (multi->err.rc == RC_OK) {
        multi->err = *err;
    }
    upload_end(multi, "", "");
}

/* ---- bytes, on the FILE lane ---- */

static enum rc read_bytes(const struct s3_upload *upload, uint64_t offset, uint64_t len, char *into,
                          struct err *err)
{
    while (len > 0) {
        const ssize_t n = pread(upload->fd, into, (size_t)len, (off_t)offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_error(upload, err);
        }
        if (n == 0) {
            return err_set(err, RC_CHANGED, "'%.200s' became shorter while it was sent",
                           upload->path);
        }
        into += n;
        offset += (uint64_t)n;
        len -= (uint64_t)n;
    }
    return RC_OK;
}

static const void *bytes_of(const struct s3_upload *upload, const struct s3_slot *slot)
{
    return upload->path != NULL ? slot->buffer
                                : (const char *)upload->multi.put.bytes + slot->offset;
}

static void run_read(void *arg)
{
    struct s3_slot *slot = arg;
    struct s3_upload *upload = (struct s3_upload *)slot->multi;

    if (upload->path != NULL) {
        if (slot->buffer == NULL) {
            slot->buffer = mem_try((size_t)MAX_OF(upload->multi.part_bytes, slot->len), 1);
        }
        if (slot->buffer == NULL) {
            err_set(&slot->err, RC_LIMIT, "no memory for a part of '%.200s'", upload->path);
            return;
        }
        if (read_bytes(upload, slot->offset, slot->len, slot->buffer, &slot->err) != RC_OK) {
            return;
        }
        slot->err.rc = RC_OK;
    }
    s3_checksum(upload->multi.put.checksum, bytes_of(upload, slot), (size_t)slot->len,
                slot->checksum);
}

/* ---- parts ---- */

static void on_part(const struct s3_part *part, const struct err *err, void *arg)
{
    s3_multi_part_done(arg, part, err);
}

/** Whether the part that the server has is this one: by its checksum, else by the MD5 that an etag
 * mostly is. */
static bool is_there(const struct s3_upload *upload, const struct s3_slot *slot)
{
    const struct s3_part *part = &upload->multi.parts[slot->part - 1];
    unsigned char md5[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned len = 0;

    if (part->checksum[0] != '\0') {
        return strcmp(part->checksum, slot->checksum) == 0;
    }
    if (EVP_Digest(bytes_of(upload, slot), (size_t)slot->len, md5, &len, EVP_md5(), NULL) != 1) {
        return false;
    }
    for (unsigned i = 0; i < len; i++) {
        snprintf(hex + (size_t)2 * i, 3, "%02x", md5[i]);
    }
    return strcmp(part->etag, hex) == 0;
}

static void on_read(void *arg, bool canceled)
{
    struct s3_slot *slot = arg;
    struct s3_upload *upload = (struct s3_upload *)slot->multi;
    struct s3_multi *multi = slot->multi;

    (void)canceled;
    if (multi->err.rc != RC_OK || slot->err.rc != RC_OK) {
        s3_multi_part_done(slot, NULL, slot->err.rc != RC_OK ? &slot->err : &multi->err);
        return;
    }
    if (slot->there && is_there(upload, slot)) {
        const struct s3_part part = multi->parts[slot->part - 1];

        s3_multi_part_done(slot, &part, NULL);
        return;
    }
    slot->call =
        s3_multipart_put(multi->aws, multi->bucket, &multi->put, multi->upload_id, slot->part,
                         bytes_of(upload, slot), (size_t)slot->len, slot->checksum, on_part, slot);
}

static void move_part(struct s3_slot *slot)
{
    struct s3_upload *upload = (struct s3_upload *)slot->multi;

    work_submit(upload->work, WORK_FILE, run_read, on_read, slot);
}

static void run_check(void *arg)
{
    struct s3_upload *upload = arg;
    struct stat st;

    if (fstat(upload->fd, &st) != 0) {
        file_error(upload, &upload->err);
    } else if (st.st_size != upload->st.st_size || st.st_mtim.tv_sec != upload->st.st_mtim.tv_sec ||
               st.st_mtim.tv_nsec != upload->st.st_mtim.tv_nsec) {
        err_set(&upload->err, RC_CHANGED, "'%.200s' changed while it was sent", upload->path);
    }
}

static void on_checked(void *arg, bool canceled)
{
    struct s3_upload *upload = arg;

    (void)canceled;
    s3_multi_checked(&upload->multi, upload->err.rc != RC_OK ? &upload->err : NULL);
}

static void check(struct s3_multi *multi)
{
    struct s3_upload *upload = (struct s3_upload *)multi;

    work_submit(upload->work, WORK_FILE, run_check, on_checked, upload);
}

/* ---- by one put ---- */

static void on_put(const char *etag, const char *version, const struct err *err, void *arg)
{
    struct s3_upload *upload = arg;
    struct s3_multi *multi = &upload->multi;

    if (err != NULL) {
        fail(upload, err);
        return;
    }
    if (multi->progress != NULL) {
        multi->progress(multi->size, multi->arg);
    }
    multi->err.rc = RC_OK; /* it was too late to cancel it */
    upload_end(multi, etag, version);
}

static void put_whole(struct s3_upload *upload)
{
    struct s3_multi *multi = &upload->multi;

    if (upload->path != NULL) {
        multi->put.bytes = upload->whole.buffer;
        multi->put.len = (size_t)multi->size;
    }
    multi->call = s3_put(multi->aws, multi->bucket, &multi->put, on_put, upload);
}

/* ---- how it begins ---- */

static void start_parts(struct s3_upload *upload)
{
    struct s3_multi *multi = &upload->multi;

    upload->multipart = true;
    s3_multi_divide(multi, multi->size, upload->part_bytes);
    multi->width = (unsigned)MAX_OF(MIN_OF(MEMORY / multi->part_bytes, (uint64_t)WIDTH), 1u);
    multi->move = move_part;
    multi->check = upload->path != NULL ? check : NULL;
    s3_multi_start(multi);
}

static void run_open(void *arg)
{
    struct s3_upload *upload = arg;
    struct err *err = &upload->err;

    upload->fd = open(upload->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (upload->fd < 0 || fstat(upload->fd, &upload->st) != 0) {
        file_error(upload, err);
        return;
    }
    if (!S_ISREG(upload->st.st_mode)) {
        err_set(err, RC_INVALID, "'%.200s' is not a regular file", upload->path);
        return;
    }
    upload->multi.size = (uint64_t)upload->st.st_size;
    if (upload->multi.size <= upload->single_max) {
        upload->whole.multi = &upload->multi;
        upload->whole.len = upload->multi.size;
        run_read(&upload->whole);
        *err = upload->whole.err;
    }
}

static void on_opened(void *arg, bool canceled)
{
    struct s3_upload *upload = arg;

    (void)canceled;
    if (upload->err.rc != RC_OK || upload->multi.err.rc != RC_OK) {
        fail(upload, &upload->err);
    } else if (upload->multi.size <= upload->single_max) {
        put_whole(upload);
    } else {
        start_parts(upload);
    }
}

struct s3_upload *s3_upload(struct aws *aws, struct loop *loop, struct work *work,
                            const struct s3_upload_options *options, s3_put_fn *done, void *arg)
{
    struct s3_upload *upload = mem_new(struct s3_upload);
    struct s3_multi *multi = &upload->multi;

    s3_multi_init(multi, aws, loop, options->bucket, &options->put, options->resume);
    multi->progress = options->progress;
    multi->done = done;
    multi->arg = arg;
    multi->end = upload_end;
    upload->work = work;
    upload->fd = -1;
    upload->single_max = options->single_max != 0 ? options->single_max : S3_UPLOAD_SINGLE;
    upload->part_bytes = options->part_bytes != 0 ? options->part_bytes : S3_UPLOAD_PART;
    if (options->path != NULL) {
        upload->path = str_dup(options->path);
        work_submit(work, WORK_FILE, run_open, on_opened, upload);
        return upload;
    }
    multi->size = options->put.len;
    if (multi->size <= upload->single_max) {
        put_whole(upload);
    } else {
        start_parts(upload);
    }
    return upload;
}

void s3_upload_cancel(struct s3_upload *upload)
{
    struct s3_multi *multi = &upload->multi;

    if (upload->multipart) {
        s3_multi_cancel(multi);
    } else if (multi->err.rc == RC_OK) {
        err_set(&multi->err, RC_CANCELED, "'%.200s' was not put, asked to stop", multi->put.key);
        if (multi->call != NULL) {
            aws_cancel(multi->call);
        }
    }
}
