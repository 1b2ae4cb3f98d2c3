/** @file
 * The pictures of an event in one ZIP archive, as extraction publishes them with `images:
 * "packed"`: read by ranges.
 *
 * Thread:     one.
 * Ownership:  ctl_packed_done() frees all of it.
 */
#pragma once

#include "daemon/ctl/ctl_run.h"
#include "lib/data/zipfile.h"

struct ctl_packed {
    struct ctl_object object;
    struct zipfile *zipfile;
};

/** Takes the object over, also on failure. */
enum rc ctl_packed_open(struct ctl_run *run, struct ctl_object *object,
                        struct ctl_packed *ret_packed, struct err *err);
void ctl_packed_done(struct ctl_packed *packed);
static inline void ctl_packed_done_ptr(struct ctl_packed *packed)
{
    ctl_packed_done(packed);
}
/** How many frames it has: f00.png, f01.png and so on without a gap. */
unsigned ctl_packed_frames(const struct ctl_packed *packed);
/** A member's bytes, appended to `out`. RC_NOT_FOUND when there is none of that name. */
enum rc ctl_packed_read(struct ctl_run *run, const struct ctl_packed *packed, const char *name,
                        struct strbuf *out, struct err *err);
