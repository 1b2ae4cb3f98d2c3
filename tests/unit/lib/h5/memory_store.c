/** @file
 * A store of one object in memory.
 */
#include "tests/unit/lib/h5/memory_store.h"

#include <string.h>

#include "lib/base/mem.h"

struct store_op {
    struct memory_store *memory;
    uint64_t offset;
    size_t len;
    void *buffer;
    store_done_fn *done;
    void *arg;
    struct err err;
};

static void answer(void *arg)
{
    struct store_op *op = arg;
    struct memory_store *memory = op->memory;

    if (op->err.rc == RC_OK) {
        memcpy(op->buffer, memory->bytes + op->offset, op->len);
    }
    memory->busy--;
    op->done(op->err.rc == RC_OK ? NULL : &op->err, op->arg);
    free(op);
}

static struct store_op *memory_get(struct store *store, const char *key, const char *version,
                                   const char *etag, uint64_t offset, size_t len, void *buffer,
                                   store_done_fn *done, void *arg)
{
    struct memory_store *memory = (struct memory_store *)store;
    struct store_op *op = mem_new(struct store_op);

    *op = (struct store_op){
        .memory = memory, .offset = offset, .len = len, .buffer = buffer, .done = done, .arg = arg};
    memory->gets++;
    memory->trips += memory->busy == 0;
    memory->total += len;
    memory->busy++;
    memory->peak = MAX_OF(memory->peak, memory->busy);
    memory->longest = MAX_OF(memory->longest, len);
    if (offset > memory->len || len > memory->len - offset) {
        err_set(&op->err, RC_CORRUPT, "'%s' ends before", key);
    } else if (etag != NULL && strcmp(etag, memory->etag) != 0) {
        err_set(&op->err, RC_CHANGED, "'%s' is another one now", key);
    } else if (memory->fail_with != RC_OK && memory->gets >= memory->fail_at) {
        err_set(&op->err, memory->fail_with, "'%s' cannot be read", key);
    } else if (memory->hold) {
        return op;
    }
    loop_defer(memory->loop, answer, op);
    return op;
}

static void memory_cancel(struct store_op *op)
{
    if (op->err.rc != RC_OK) {
        return; /* its answer is on the way */
    }
    err_set(&op->err, RC_CANCELED, "canceled");
    if (op->memory->hold) {
        loop_defer(op->memory->loop, answer, op);
    }
}

static const struct store_ops memory_ops = {.get = memory_get, .cancel = memory_cancel};

void memory_store_init(struct memory_store *memory, struct loop *loop, const void *bytes,
                       size_t len)
{
    *memory = (struct memory_store){.store = {.ops = &memory_ops, .loop = loop},
                                    .loop = loop,
                                    .bytes = bytes,
                                    .len = len,
                                    .etag = "one"};
}

void memory_store_far(struct memory_store *memory)
{
    static struct uri bucket = {.scheme = URI_S3};

    memory->store.uri = &bucket;
}
