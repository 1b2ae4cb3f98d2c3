/** @file
 * A helper process on a socket pair: starting, bytes in both directions, and its end.
 *
 * Thread:     the loop's.
 * Completion: every event comes later, from the loop. `closed` is the last one: after it nothing of
 *             the process is left, neither a zombie nor a handle.
 * Ownership:  the caller owns the memory, which must stay until `closed`. A process must be closed,
 *             also when it has ended and when it failed to start.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "lib/base/rc.h"
#include "lib/run/loop.h"

#define H5_CHILD_TEXT 200

struct h5_child_events {
    void (*got)(void *arg);     /**< The bytes that were wanted are there. */
    void (*written)(void *arg); /**< What was written is the caller's again. */
    void (*ended)(void *arg);   /**< It is dead and everything it said was read. */
    void (*closed)(void *arg);
};

struct h5_child {
    const struct h5_child_events *events;
    void *arg;
    int64_t exit_status;      /**< Since `ended`. */
    int exit_signal;          /**< 0 unless a signal killed it. */
    char text[H5_CHILD_TEXT]; /**< What it wrote to standard error, one printable line, cut. */

    /* h5_child.c only */
    uv_process_t process;
    uv_pipe_t socket, errors;
    uv_write_t write;
    char *wanted;
    size_t wanted_len, text_len;
    char discard[512];
    unsigned open; /**< Handles not yet closed. */
    bool running, socket_done, errors_done, ended_told, closing;
};

/** RC_IO when it cannot be started. */
enum rc h5_child_start(struct h5_child *child, struct loop *loop, const char *program,
                       const struct h5_child_events *events, void *arg, struct err *err);
/** `got` runs when `len` (> 0) more bytes have arrived in `buffer`. One at a time. Between two of
 * these nothing is read, so a process that talks too fast waits. */
void h5_child_want(struct h5_child *child, void *buffer, size_t len);
/** `bytes` are borrowed until `written`. One at a time. */
void h5_child_write(struct h5_child *child, const void *bytes, size_t len);
/** Kill it if it still runs, and let go of everything. No event but `closed` comes after. */
void h5_child_close(struct h5_child *child);
/** "helper killed by signal 11 (SIGSEGV)" and the class that goes with it. Requires: it ended. */
enum rc h5_child_explain(const struct h5_child *child, struct err *err);
