/** @file
 * The place is noted in state.db, for the daemon may be started before the file system is mounted.
 * While it is in doubt the note is "?" and the old place, so that objects which come to be known in
 * the new one do not make it the right one.
 */
#include "daemon/source/raw_place.h"

#include <string.h>

#include "daemon/intake/intake.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

struct raw_place {
    struct services *services;
    char *noted; /**< NULL: not read yet. */
    store_done_fn *done;
    void *arg;
};

struct raw_place *raw_place_new(struct services *services)
{
    struct raw_place *place = mem_new(struct raw_place);

    place->services = services;
    return place;
}

void raw_place_free(struct raw_place *place)
{
    if (place != NULL) {
        free(place->noted);
        free(place);
    }
}

static void on_read(const char *text, const struct err *err, void *arg)
{
    struct raw_place *place = arg;

    if (err == NULL) {
        free(place->noted);
        place->noted = str_dup(text);
    }
    place->done(err, place->arg);
}

static void on_known(void *arg)
{
    struct raw_place *place = arg;

    place->done(NULL, place->arg);
}

void raw_place_load(struct raw_place *place, store_done_fn *done, void *arg)
{
    struct services *services = place->services;

    place->done = done;
    place->arg = arg;
    if (place->noted != NULL) {
        loop_defer(services->loop, on_known, place);
    } else {
        intake_place(services->intake, store_bucket(services->raw), on_read, place);
    }
}

static void note(struct raw_place *place, char *text)
{
    struct services *services = place->services;

    if (strcmp(place->noted, text) != 0) {
        intake_place_note(services->intake, store_bucket(services->raw), text);
    }
    free(place->noted);
    place->noted = text;
}

enum rc raw_place_check(struct raw_place *place, enum raw_missing missing, bool accepted,
                        struct err *err)
{
    const char *now = store_place(place->services->raw);
    const bool doubted = place->noted[0] == '?';
    const char *before = place->noted + doubted;
    const bool same = before[0] == '\0' || strcmp(before, now) == 0;

    if (same || accepted || missing == RAW_MISSING_NONE ||
        (missing == RAW_MISSING_SOME && !doubted)) {
        note(place, str_dup(now));
        return RC_OK;
    }
    note(place, str_printf("?%s", before));
    return err_set(err, RC_IO,
                   "another directory or file system lies at '%.200s' than did, and what was known "
                   "is not in it; if it is not that something is not mounted, say 'sevirctl "
                   "reconcile'",
                   store_bucket(place->services->raw));
}
