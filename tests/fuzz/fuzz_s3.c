/** @file
 * Whatever S3 answers with, each operation ends exactly once, with an error or with what holds of
 * its kind of answer. The first byte chooses the operation; the rest is the body.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/s3_p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    aws_done_fn *done;
    s3_check_fn *check;
    void *arg;
} call;
static unsigned ended;

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* In the place of lib/aws/aws.c. */
struct aws_call *aws_send(struct aws *aws, const struct aws_request *request, aws_done_fn *done,
                          void *arg)
{
    (void)aws;
    must(request->path[0] == '/' && request->query_count <= S3_PAIRS);
    call.done = done;
    call.check = request->check;
    call.arg = arg;
    return NULL;
}

static void note(const struct err *err)
{
    must(err == NULL || (err->rc != RC_OK && err->text[0] != '\0'));
    ended++;
}

static void on_list(const struct s3_object *objects, unsigned count, const char *next,
                    const struct err *err, void *arg)
{
    (void)arg;
    must(count <= S3_LIST_MAX && next != NULL);
    for (unsigned i = 0; i < count; i++) {
        must(strlen(objects[i].key) < SIZE_MAX && strlen(objects[i].etag) < S3_ETAG);
    }
    note(err);
}

static void on_done(const struct err *err, void *arg)
{
    (void)arg;
    note(err);
}

static void on_put(const char *etag, const char *version, const struct err *err, void *arg)
{
    (void)arg;
    must(strlen(etag) < S3_ETAG && version != NULL);
    note(err);
}

static void on_text(const char *text, const struct err *err, void *arg)
{
    (void)arg;
    must(err != NULL || text[0] != '\0');
    note(err);
}

static void on_part(const struct s3_part *part, const struct err *err, void *arg)
{
    (void)arg;
    must((part == NULL) == (err != NULL));
    note(err);
}

static void on_parts(const struct s3_part *parts, unsigned count, const struct err *err, void *arg)
{
    (void)arg;
    must(count <= S3_PARTS_MAX);
    for (unsigned i = 0; i < count; i++) {
        must(parts[i].part >= 1 && parts[i].part <= S3_PARTS_MAX);
    }
    note(err);
}

static void ask(unsigned operation)
{
    static const char *const keys[] = {"a<b>", "c"};
    static const struct s3_part parts[] = {{.part = 1, .etag = "e"}};
    const struct s3_put put = {.key = "k"};

    switch (operation % 8) {
    case 0:
        s3_list(NULL, "b", "", "", "", 1000, on_list, NULL);
        return;
    case 1:
        s3_delete_many(NULL, "b", keys, 2, on_done, NULL);
        return;
    case 2:
        s3_copy(NULL, "b", &put, "b", "f", "v", "e", on_put, NULL);
        return;
    case 3:
        s3_multipart_create(NULL, "b", &put, on_text, NULL);
        return;
    case 4:
        s3_multipart_copy(NULL, "b", "k", "u", 1, "b", "f", "", "e", 0, 1, on_part, NULL);
        return;
    case 5:
        s3_multipart_complete(NULL, "b", &put, "u", parts, 1, on_put, NULL);
        return;
    default:
        s3_multipart_parts(NULL, "b", "k", "u", on_parts, NULL);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    scoped(free) char *body = str_dup_n((const char *)data + 1, size - 1);
    const struct http_answer http = {.status = 200, .body = body, .body_len = size - 1};
    const struct aws_answer answer = {.http = &http, .code = "", .request_id = ""};

    ended = 0;
    ask(data[0]);
    for (unsigned pages = 0; ended == 0; pages++) { /* the same page again, if it wants more */
        struct err wrong;
        const bool good = call.check(&http, call.arg, &wrong) == RC_OK;

        must(pages <= S3_PARTS_MAX && (good || wrong.rc == RC_CORRUPT));
        call.done(&answer, good ? NULL : &wrong, call.arg);
    }
    must(ended == 1);
    (void)s3_time_ms(body);
    return 0;
}
