/** @file
 * The directory is in the end of the object, which is read first; a member is one range more.
 */
#include "daemon/ctl/ctl_packed.h"

#include <inttypes.h>

#include "lib/base/mem.h"
#include "lib/sevir/naming.h"

#define MEMBER_MAX (256u << 20)

static enum rc read_directory(struct ctl_run *run, struct ctl_packed *packed, struct err *err)
{
    const struct ctl_object *object = &packed->object;
    const size_t tail_len = zipfile_tail_bytes(object->size);
    const uint64_t tail_at = object->size - tail_len;
    scoped(free) uint8_t *tail = mem_zeroed(tail_len + 1), *more = NULL;
    struct zipfile_place place;

    if (tail_len > 0 && ctl_run_get(run, object, tail_at, tail_len, tail, err) != RC_OK) {
        return err->rc;
    }
    if (zipfile_locate(tail, tail_len, object->size, &place, err) != RC_OK) {
        return err->rc;
    }
    if (place.offset >= tail_at) {
        return zipfile_open(tail + (place.offset - tail_at), &place, &packed->zipfile, err);
    }
    more = mem_try(1, (size_t)place.size);
    if (more == NULL) {
        return err_set(err, RC_LIMIT, "no memory for a directory of %" PRIu64 " bytes", place.size);
    }
    return ctl_run_get(run, object, place.offset, (size_t)place.size, more, err) == RC_OK
               ? zipfile_open(more, &place, &packed->zipfile, err)
               : err->rc;
}

enum rc ctl_packed_open(struct ctl_run *run, struct ctl_object *object,
                        struct ctl_packed *ret_packed, struct err *err)
{
    scoped(ctl_packed_done) struct ctl_packed packed = {.object = *object};

    *object = (struct ctl_object){0};
    if (read_directory(run, &packed, err) != RC_OK) {
        return err_wrap(err, "'%s'", packed.object.key);
    }
    *ret_packed = packed;
    packed = (struct ctl_packed){0};
    return RC_OK;
}

void ctl_packed_done(struct ctl_packed *packed)
{
    zipfile_free(packed->zipfile);
    ctl_object_done(&packed->object);
    *packed = (struct ctl_packed){0};
}

unsigned ctl_packed_frames(const struct ctl_packed *packed)
{
    char name[16];
    unsigned count = 0;

    for (;; count++) {
        naming_frame_file(count, name);
        if (zipfile_find(packed->zipfile, name) == NULL) {
            return count;
        }
    }
}

enum rc ctl_packed_read(struct ctl_run *run, const struct ctl_packed *packed, const char *name,
                        struct strbuf *out, struct err *err)
{
    const struct ctl_object *object = &packed->object;
    const struct zipfile_entry *entry = zipfile_find(packed->zipfile, name);
    scoped(free) uint8_t *bytes = NULL;
    const uint8_t *content;

    if (entry == NULL) {
        return err_set(err, RC_NOT_FOUND, "'%s' has no picture '%s'", object->key, name);
    }
    if (entry->to - entry->from > MEMBER_MAX) {
        return err_set(err, RC_LIMIT, "'%s': '%s' is too large", object->key, name);
    }
    bytes = mem_try(1, (size_t)(entry->to - entry->from) + 1);
    if (bytes == NULL) {
        return err_set(err, RC_LIMIT, "'%s': no memory for '%s'", object->key, name);
    }
    if ((entry->to > entry->from &&
         ctl_run_get(run, object, entry->from, (size_t)(entry->to - entry->from), bytes, err) !=
             RC_OK) ||
        zipfile_content(entry, bytes, &content, err) != RC_OK) {
        return err_wrap(err, "'%s'", object->key);
    }
    strbuf_add(out, content, (size_t)entry->size);
    return RC_OK;
}
