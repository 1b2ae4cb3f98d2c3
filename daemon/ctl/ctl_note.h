/** @file
 * What is on record of an unfinished upload, so that a later run can go on with it: its id, and of
 * what it is. S3 tells the one only to who may list uploads, and the other to nobody.
 *
 * A note is a file in $XDG_CACHE_HOME/sevird/transfers (~/.cache where that is not set), one a
 * target. It is written before the first part is sent and removed when the upload has ended, so a
 * run that was killed leaves it. Its lock keeps two runs at one target from sharing an upload. To
 * lose a note costs no more than the parts that were sent.
 *
 * Thread:     one; calls may block.
 * Ownership:  what a note gives out is its own.
 */
#pragma once

#include "lib/aws/s3.h"

struct ctl_note;

/** Of the upload of `source` to `target`: two texts that say all that must be the same for its
 * parts to be right ones. RC_CONFLICT while another run is at that target. */
enum rc ctl_note_open(const char *target, const char *source, struct ctl_note **ret_note,
                      struct err *err);
/** What an unfinished upload has on record stays. NULL is fine. */
void ctl_note_close(struct ctl_note *note);
/** For the upload, which ends before the note is closed; NULL for NULL. */
const struct s3_resume *ctl_note_resume(const struct ctl_note *note);
