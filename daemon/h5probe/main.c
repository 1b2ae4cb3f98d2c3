/** @file
 * sevird-h5probe: opens one HDF5 file on the daemon's behalf, in a jail, and tells what is in it.
 *
 * It is started with one end of a socket pair as descriptor 3, gets one request, and ends. libhdf5
 * is started before the jail closes (it looks at the environment and allocates), but no byte of the
 * file is read before.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/h5probe/h5_dataset.h"
#include "daemon/h5probe/h5_driver.h"
#include "daemon/h5probe/h5_layout.h"
#include "daemon/h5probe/jail.h"
#include "daemon/h5probe/probe_io.h"

/** Nothing may be left that the jail would have to forbid. */
static void shed(void)
{
    close_range(H5_WIRE_FD + 1, ~0u, 0);
    clearenv();
    /* Old files carry times in local notation; libc would open the zone's file to read them. */
    setenv("TZ", "UTC0", 1);
    tzset();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static enum rc send_layout(hid_t file, uint64_t file_size, struct err *err)
{
    struct layout layout;
    struct strbuf bytes = {0};

    if (h5_layout_read(file, file_size, &layout, err) != RC_OK) {
        return err->rc;
    }
    layout_encode(&layout, &bytes);
    if (bytes.len > H5_WIRE_LAYOUT_MAX) {
        return err_set(err, RC_LIMIT, "the layout takes %zu bytes, more than %u", bytes.len,
                       H5_WIRE_LAYOUT_MAX);
    }
    probe_io_answer(H5_WIRE_LAYOUT, bytes.len);
    probe_io_bytes(bytes.data, bytes.len);
    return RC_OK;
}

static enum rc answer(const struct probe_request *request, struct err *err)
{
    const struct h5_wire_request *wire = &request->wire;
    const bool whole = wire->kind == H5_WIRE_WANT_LAYOUT;
    hid_t file;

    if (h5_driver_open(wire->file_size, wire->far != 0, whole, &file, err) != RC_OK) {
        return err->rc;
    }
    switch (wire->kind) {
    case H5_WIRE_WANT_LAYOUT:
        return send_layout(file, wire->file_size, err);
    case H5_WIRE_WANT_ROWS:
        return h5_dataset_send_rows(file, request->name, wire->first, wire->count, wire->bytes,
                                    wire->memory_bytes, err);
    default:
        return err_set(err, RC_INVALID, "nobody knows request %u", wire->kind);
    }
}

static enum rc serve(struct err *err)
{
    struct probe_request request;

    if (probe_io_request(&request, err) != RC_OK || h5_driver_start(err) != RC_OK) {
        return err->rc;
    }
    const struct jail_limits limits = {.socket_fd = H5_WIRE_FD,
                                       .text_fd = STDERR_FILENO,
                                       .memory_bytes = request.wire.memory_bytes,
                                       .cpu_seconds = request.wire.cpu_seconds};
    if (jail_enter(&limits, err) != RC_OK) {
        err->rc = RC_IO; /* ours, not the file's: worth another try */
        return err->rc;
    }
    return answer(&request, err);
}

int main(void)
{
    struct stat status;
    struct err err;

    if (fstat(H5_WIRE_FD, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        fputs("sevird-h5probe: sevird starts this; by itself it does nothing\n", stderr);
        return 2;
    }
    shed();
    if (serve(&err) != RC_OK) {
        probe_io_error(&err);
    }
    _exit(0); /* not exit(): closing what a crafted file has opened is one more risk */
}
