/** @file
 * One object in parts. Read s3_multi_run() from top to bottom: it is the whole story.
 */
#include <stdio.h>
#include <string.h>

#include "lib/aws/s3_multi_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define MIB ((uint64_t)1 << 20)

static void s3_multi_run(struct s3_multi *multi);

static char *dup_or_null(const char *text)
{
    return text != NULL ? str_dup(text) : NULL;
}

void s3_multi_init(struct s3_multi *multi, struct aws *aws, struct loop *loop, const char *bucket,
                   const struct s3_put *put, const struct s3_resume *resume)
{
    multi->aws = aws;
    multi->loop = loop;
    multi->bucket = str_dup(bucket);
    multi->put = *put;
    multi->put.key = str_dup(put->key);
    multi->put.content_type = dup_or_null(put->content_type);
    multi->put.content_encoding = dup_or_null(put->content_encoding);
    multi->put.if_match = dup_or_null(put->if_match);
    if (resume != NULL) {
        multi->resume = *resume;
        multi->resume.upload_id = dup_or_null(resume->upload_id);
    }
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

void s3_multi_done(struct s3_multi *multi)
{
    free(multi->bucket);
    free_text(multi->put.key);
    free_text(multi->put.content_type);
    free_text(multi->put.content_encoding);
    free_text(multi->put.if_match);
    free_text(multi->resume.upload_id);
    free(multi->upload_id);
    free(multi->parts);
}

void s3_multi_divide(struct s3_multi *multi, uint64_t size, uint64_t wanted)
{
    const uint64_t least = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;

    multi->size = size;
    multi->part_bytes = least <= wanted ? wanted : (least + MIB - 1) / MIB * MIB;
    multi->count = (unsigned)((size + multi->part_bytes - 1) / multi->part_bytes);
}

/* ---- steps ---- */

static void end_step(struct s3_multi *multi, enum s3_multi_step next, const struct err *err)
{
    const bool begun = multi->upload_id != NULL;

    multi->call = NULL;
    if (err != NULL && multi->err.rc == RC_OK) {
        multi->err = *err;
    }
    if (multi->err.rc != RC_OK && multi->step < S3_MULTI_ABORT) {
        next = begun && !multi->kept ? S3_MULTI_ABORT : S3_MULTI_END;
    }
    multi->step = next;
    s3_multi_run(multi);
}

static uint64_t part_len(const struct s3_multi *multi, unsigned part)
{
    const uint64_t offset = (uint64_t)(part - 1) * multi->part_bytes;

    return MIN_OF(multi->part_bytes, multi->size - offset);
}

static void on_listed(const struct s3_part *parts, unsigned count, const struct err *err, void *arg)
{
    struct s3_multi *multi = arg;

    if (s3_multipart_is_lost(err)) {
        end_step(multi, S3_MULTI_DROP, NULL);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        const unsigned part = parts[i].part;

        /* One of another size is of another division: it will be replaced. */
        if (part <= multi->count && parts[i].size == part_len(multi, part)) {
            multi->parts[part - 1] = parts[i];
        }
    }
    end_step(multi, S3_MULTI_MOVE, err);
}

/** One that may not be aborted is left to the rules of the bucket. */
static void on_dropped(const struct err *err, void *arg)
{
    struct s3_multi *multi = arg;

    if (err == NULL || s3_multipart_is_lost(err)) {
        free(TAKE(multi->upload_id));
        err = NULL;
    }
    end_step(multi, S3_MULTI_CREATE, err);
}

static void on_created(const char *upload_id, const struct err *err, void *arg)
{
    struct s3_multi *multi = arg;

    if (err == NULL) {
        multi->upload_id = str_dup(upload_id);
        multi->kept =
            multi->resume.begun != NULL && multi->resume.begun(upload_id, multi->resume.arg);
    }
    end_step(multi, S3_MULTI_MOVE, err);
}

/* ---- parts ---- */

static void start_parts(struct s3_multi *multi)
{
    for (unsigned i = 0; i < multi->width && multi->err.rc == RC_OK; i++) {
        struct s3_slot *slot = &multi->slots[i];

        if (slot->busy || multi->next == multi->count) {
            continue;
        }
        slot->multi = multi;
        slot->busy = true;
        slot->part = ++multi->next;
        slot->offset = (uint64_t)(slot->part - 1) * multi->part_bytes;
        slot->len = part_len(multi, slot->part);
        slot->there = multi->parts[slot->part - 1].part != 0;
        slot->err.rc = RC_OK;
        multi->in_flight++;
        multi->move(slot);
    }
}

static void cancel_parts(struct s3_multi *multi)
{
    for (unsigned i = 0; i < multi->width; i++) {
        if (multi->slots[i].busy && multi->slots[i].call != NULL) {
            aws_cancel(multi->slots[i].call);
        }
    }
}

void s3_multi_part_done(struct s3_slot *slot, const struct s3_part *part, const struct err *err)
{
    struct s3_multi *multi = slot->multi;

    slot->busy = false;
    slot->call = NULL;
    multi->in_flight--;
    if (err != NULL && multi->err.rc == RC_OK) {
        multi->err = *err;
        cancel_parts(multi);
    } else if (err == NULL) {
        multi->parts[slot->part - 1] = *part;
        multi->moved += slot->len;
        if (multi->progress != NULL) {
            multi->progress(multi->moved, multi->arg);
        }
    }
    start_parts(multi);
    if (multi->in_flight == 0) {
        end_step(multi, S3_MULTI_CHECK, NULL);
    }
}

/* ---- the end ---- */

void s3_multi_checked(struct s3_multi *multi, const struct err *err)
{
    end_step(multi, S3_MULTI_COMPLETE, err);
}

static void forget(const struct s3_multi *multi)
{
    if (multi->resume.ended != NULL) {
        multi->resume.ended(multi->resume.arg);
    }
}

static void keep(struct s3_multi *multi, const char *etag, const char *version)
{
    snprintf(multi->etag, sizeof(multi->etag), "%s", etag);
    snprintf(multi->version, sizeof(multi->version), "%s", version);
}

static void on_completed(const char *etag, const char *version, const struct err *err, void *arg)
{
    struct s3_multi *multi = arg;

    /* It, or an attempt before it, may have done it, and its answer been lost. */
    if (s3_multipart_is_open(err) && !multi->canceled) {
        multi->call = NULL;
        multi->err = *err;
        multi->step = S3_MULTI_CONFIRM;
        s3_multi_run(multi);
        return;
    }
    if (err == NULL) {
        forget(multi);
    } else if (err->rc == RC_INVALID) {
        multi->kept = false; /* a later run would be refused as well */
    }
    keep(multi, etag, version);
    end_step(multi, S3_MULTI_END, err);
}

static void on_confirmed(const struct s3_object *object, const struct err *err, void *arg)
{
    struct s3_multi *multi = arg;
    const bool done = err == NULL && s3_multipart_is(object, multi->parts, multi->count);

    if (done) {
        multi->err.rc = RC_OK;
        forget(multi);
        keep(multi, object->etag, object->version);
    }
    /* What was not there may be gone on with, or is to be aborted as after any failure. */
    multi->step =
        done || multi->kept || multi->err.rc == RC_NOT_FOUND ? S3_MULTI_END : S3_MULTI_ABORT;
    multi->call = NULL;
    s3_multi_run(multi);
}

static void on_aborted(const struct err *err, void *arg)
{
    struct s3_multi *multi = arg;

    if (err != NULL) {
        const struct err why = multi->err;

        err_set(&multi->err, why.rc, "%s (and the upload could not be aborted: %.150s)", why.text,
                err->text);
    }
    if (err == NULL || s3_multipart_is_lost(err)) {
        forget(multi);
    }
    end_step(multi, S3_MULTI_END, NULL);
}

static void s3_multi_run(struct s3_multi *multi)
{
    struct aws *aws = multi->aws;
    const char *key = multi->put.key;

    switch (multi->step) {
    case S3_MULTI_LIST: /* what an upload has that was cut short */
        s3_multipart_parts(aws, multi->bucket, key, multi->upload_id, on_listed, multi);
        return;

    case S3_MULTI_DROP: /* one that was of something else */
        multi->call =
            s3_multipart_abort(aws, multi->bucket, key, multi->upload_id, on_dropped, multi);
        return;

    case S3_MULTI_CREATE:
        multi->call = s3_multipart_create(aws, multi->bucket, &multi->put, on_created, multi);
        return;

    case S3_MULTI_MOVE: /* a few at a time */
        start_parts(multi);
        return;

    case S3_MULTI_CHECK: /* is the source what it was? */
        if (multi->check != NULL) {
            multi->check(multi);
            return;
        }
        end_step(multi, S3_MULTI_COMPLETE, NULL);
        return;

    case S3_MULTI_COMPLETE: /* from here on it is there */
        multi->call = s3_multipart_complete(aws, multi->bucket, &multi->put, multi->upload_id,
                                            multi->parts, multi->count, on_completed, multi);
        return;

    case S3_MULTI_CONFIRM:
        multi->call = s3_head(aws, multi->bucket, key, NULL, on_confirmed, multi);
        return;

    case S3_MULTI_ABORT: /* or its parts would be kept, and billed */
        s3_multipart_abort(aws, multi->bucket, key, multi->upload_id, on_aborted, multi);
        return;

    case S3_MULTI_END:
        multi->end(multi, multi->etag, multi->version);
        return;
    }
}

void s3_multi_start(struct s3_multi *multi)
{
    multi->parts = mem_zeroed(MAX_OF(multi->count, 1u) * sizeof(multi->parts[0]));
    multi->step = S3_MULTI_CREATE;
    if (multi->resume.upload_id != NULL) {
        multi->upload_id = str_dup(multi->resume.upload_id);
        multi->kept = true;
        multi->step = multi->resume.fits ? S3_MULTI_LIST : S3_MULTI_DROP;
    }
    s3_multi_run(multi);
}

void s3_multi_cancel(struct s3_multi *multi)
{
    if (multi->canceled || multi->step >= S3_MULTI_CONFIRM) {
        return;
    }
    multi->canceled = true;
    if (multi->err.rc == RC_OK) {
        err_set(&multi->err, RC_CANCELED, "'%.200s' was not put, asked to stop", multi->put.key);
    }
    cancel_parts(multi);
    if (multi->call != NULL) {
        aws_cancel(multi->call);
    }
}
