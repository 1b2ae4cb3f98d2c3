/** @file
 * A whole object from S3 to S3.
 */
#include "lib/aws/s3_copy.h"

#include <string.h>

#include "lib/aws/s3_multi_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define WIDTH 8

struct s3_copying {
    struct s3_multi multi; /* first: handed out as this */
    char *bucket, *key, *version, *etag;
    bool multipart;
};

static void copying_end(struct s3_multi *multi, const char *etag, const char *version)
{
    struct s3_copying *copying = (struct s3_copying *)multi;
    const struct err *err = multi->err.rc != RC_OK ? &multi->err : NULL;

    multi->done(err == NULL ? etag : "", err == NULL ? version : "", err, multi->arg);
    free(copying->bucket);
    free(copying->key);
    free(copying->version);
    free(copying->etag);
    s3_multi_done(multi);
    free(copying);
}

static void on_copied(const char *etag, const char *version, const struct err *err, void *arg)
{
    struct s3_copying *copying = arg;
    struct s3_multi *multi = &copying->multi;

    if (err != NULL) {
        multi->err = *err;
    } else {
        multi->err.rc = RC_OK;
        if (multi->progress != NULL) {
            multi->progress(multi->size, multi->arg);
        }
    }
    copying_end(multi, etag, version);
}

static void on_part(const struct s3_part *part, const struct err *err, void *arg)
{
    s3_multi_part_done(arg, part, err);
}

static void part_is_there(void *arg)
{
    struct s3_slot *slot = arg;
    const struct s3_part part = slot->multi->parts[slot->part - 1];

    s3_multi_part_done(slot, &part, NULL);
}

static void move_part(struct s3_slot *slot)
{
    const struct s3_copying *copying = (const struct s3_copying *)slot->multi;
    const struct s3_multi *multi = slot->multi;

    if (slot->there) {
        loop_defer(multi->loop, part_is_there, slot);
        return;
    }
    slot->call = s3_multipart_copy(multi->aws, multi->bucket, multi->put.key, multi->upload_id,
                                   slot->part, copying->bucket, copying->key, copying->version,
                                   copying->etag, slot->offset, slot->len, on_part, slot);
}

struct s3_copying *s3_copying(struct aws *aws, struct loop *loop,
                              const struct s3_copy_options *options, s3_put_fn *done, void *arg)
{
    struct s3_copying *copying = mem_new(struct s3_copying);
    struct s3_multi *multi = &copying->multi;
    const uint64_t single_max = options->single_max != 0 ? options->single_max : S3_COPY_MAX;

    s3_multi_init(multi, aws, loop, options->bucket, &options->put, options->resume);
    multi->put.checksum = S3_CHECKSUM_NONE; /* S3 has the bytes, and its own */
    multi->progress = options->progress;
    multi->done = done;
    multi->arg = arg;
    multi->end = copying_end;
    multi->move = move_part;
    copying->bucket = str_dup(options->from_bucket);
    copying->key = str_dup(options->from_key);
    copying->version = str_dup(options->from_version != NULL ? options->from_version : "");
    copying->etag = str_dup(options->from_etag);
    s3_multi_divide(multi, options->size,
                    options->part_bytes != 0 ? options->part_bytes : S3_COPY_PART);
    multi->width = WIDTH;
    if (options->size <= single_max) {
        multi->call = s3_copy(aws, options->bucket, &multi->put, copying->bucket, copying->key,
                              copying->version, copying->etag, on_copied, copying);
    } else {
        copying->multipart = true;
        s3_multi_start(multi);
    }
    return copying;
}

void s3_copying_cancel(struct s3_copying *copying)
{
    if (copying->multipart) {
        s3_multi_cancel(&copying->multi);
    } else {
        aws_cancel(copying->multi.call);
    }
}
