/** @file
 * The helper's end of the socket pair.
 */
#include "daemon/h5probe/probe_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"

/** Whole buffers only: on end of file or error the daemon is gone, and so are we. */
static void get(void *buffer, size_t len)
{
    char *at = buffer;

    while (len > 0) {
        const ssize_t got = read(H5_WIRE_FD, at, len);

        if (got > 0) {
            at += got;
            len -= (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            _exit(2);
        }
    }
}

static void put(const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        const ssize_t sent = write(H5_WIRE_FD, at, len);

        if (sent > 0) {
            at += sent;
            len -= (size_t)sent;
        } else if (sent == 0 || errno != EINTR) {
            _exit(2);
        }
    }
}

enum rc probe_io_request(struct probe_request *ret_request, struct err *err)
{
    struct h5_wire_request *wire = &ret_request->wire;
    struct h5_wire_head head;

    get(&head, sizeof(head));
    if (head.type != H5_WIRE_REQUEST || head.len < sizeof(*wire)) {
        return err_set(err, RC_INVALID, "message %#x is not a request", head.type);
    }
    get(wire, sizeof(*wire));
    if (wire->version != H5_WIRE_VERSION) {
        return err_set(
            err, RC_INVALID,
            "this helper speaks version %d, the daemon version %u; install them together",
            H5_WIRE_VERSION, wire->version);
    }
    if (wire->name_len > H5_WIRE_NAME_MAX || head.len != sizeof(*wire) + wire->name_len) {
        return err_set(err, RC_INVALID, "request of a strange size");
    }
    get(ret_request->name, (size_t)wire->name_len);
    ret_request->name[wire->name_len] = '\0';
    return RC_OK;
}

void probe_io_fetch(uint64_t offset, size_t len, void *buffer)
{
    char *at = buffer;

    while (len > 0) {
        const size_t part = MIN_OF(len, (size_t)H5_WIRE_READ_MAX);
        const struct h5_wire_head ask = {.type = H5_WIRE_READ, .offset = offset, .len = part};
        struct h5_wire_head answer;

        put(&ask, sizeof(ask));
        get(&answer, sizeof(answer));
        if (answer.type != H5_WIRE_DATA || answer.len != part) {
            _exit(2);
        }
        get(at, part);
        at += part;
        offset += part;
        len -= part;
    }
}

void probe_io_fetch_many(const struct h5_wire_range *ranges, uint8_t *const *buffers,
                         unsigned count)
{
    const struct h5_wire_head ask = {.type = H5_WIRE_READ_MANY, .len = count * sizeof(*ranges)};
    struct h5_wire_head answer;
    uint64_t bytes = 0;

    put(&ask, sizeof(ask));
    put(ranges, (size_t)ask.len);
    get(&answer, sizeof(answer));
    for (unsigned i = 0; i < count; i++) {
        bytes += ranges[i].len;
    }
    if (answer.type != H5_WIRE_DATA || answer.len != bytes) {
        _exit(2);
    }
    for (unsigned i = 0; i < count; i++) {
        get(buffers[i], (size_t)ranges[i].len);
    }
}

void probe_io_answer(enum h5_wire_type type, uint64_t len)
{
    const struct h5_wire_head head = {.type = type, .len = len};

    put(&head, sizeof(head));
}

void probe_io_bytes(const void *bytes, size_t len)
{
    put(bytes, len);
}

static enum h5_wire_error class_of(enum rc rc)
{
    switch (rc) {
    case RC_CORRUPT:
        return H5_WIRE_CORRUPT;
    case RC_UNSUPPORTED:
        return H5_WIRE_UNSUPPORTED;
    case RC_INVALID:
    case RC_NOT_FOUND:
        return H5_WIRE_INVALID;
    case RC_LIMIT:
        return H5_WIRE_LIMIT;
    default:
        return H5_WIRE_BROKEN;
    }
}

void probe_io_error(const struct err *err)
{
    const size_t len = strnlen(err->text, H5_WIRE_TEXT_MAX);
    const struct h5_wire_head head = {.type = H5_WIRE_ERROR, .code = class_of(err->rc), .len = len};

    put(&head, sizeof(head));
    put(err->text, len);
}
