/** @file
 * Reading a catalog, piece by piece, pinned to one version of the object.
 */
#include "daemon/ctl/ctl_run.h"
#include "lib/base/mem.h"

#define PIECE (4u << 20) /**< A request each, one after another. */

struct reading {
    ctl_catalog_fn *fn;
    void *arg;
    struct arena *arena;
    struct catalog_header header;
    bool headed, stop;
};

static enum rc take_header(struct reading *reading, const struct csv_row *row, struct err *err)
{
    reading->headed = true;
    if (!catalog_header_recognise(row)) {
        return err_set(
            err, RC_INVALID,
            "not a SEVIR catalog: its first line does not name the columns id, file_name, "
            "file_index, img_type and time_utc");
    }
    return catalog_header_check(row, &reading->header, err);
}

static enum rc take_row(const struct csv_row *row, void *arg, struct err *err)
{
    struct reading *reading = arg;
    struct catalog_row parsed;

    if (!reading->headed) {
        return take_header(reading, row, err);
    }
    arena_reset(reading->arena);
    if (catalog_row_parse(&reading->header, row, reading->arena, &parsed, err) != RC_OK) {
        return err->rc;
    }
    enum rc rc = reading->fn(&parsed, reading->arg, &reading->stop, err);
    return rc == RC_OK && reading->stop ? err_set(err, RC_CANCELED, "enough") : rc;
}

static enum rc feed_object(struct ctl_run *run, const struct ctl_object *object,
                           struct csv_reader *reader, struct err *err)
{
    scoped(free) char *piece = mem_zeroed(PIECE);
    scoped(ctl_progress_free) struct ctl_progress *progress =
        ctl_progress_new(ctl_run_ctl(run), CTL_BYTES);

    for (uint64_t at = 0; at < object->size;) {
        size_t len = (size_t)MIN_OF(PIECE, object->size - at);
        if (ctl_run_get(run, object, at, len, piece, err) != RC_OK ||
            csv_reader_feed(reader, piece, len, err) != RC_OK) {
            return err->rc;
        }
        at += len;
        ctl_progress_set(progress, str_basename(object->key), at, object->size);
    }
    return csv_reader_end(reader, err);
}

enum rc ctl_run_catalog(struct ctl_run *run, const char *uri, ctl_catalog_fn *fn, void *arg,
                        struct err *err)
{
    scoped(ctl_object_done) struct ctl_object object = {0};
    scoped(arena_free) struct arena *arena = arena_new();
    struct reading reading = {.fn = fn, .arg = arg, .arena = arena};

    if (ctl_run_open(run, uri, &object, err) != RC_OK) {
        return err->rc;
    }
    scoped(csv_reader_free) struct csv_reader *reader = csv_reader_new(uri, take_row, &reading);
    enum rc rc = feed_object(run, &object, reader, err);

    if (reading.stop) {
        return RC_OK;
    }
    if (rc == RC_OK && !reading.headed) {
        return err_set(err, RC_INVALID, "'%s' is empty; a SEVIR catalog has a header", uri);
    }
    return rc;
}
