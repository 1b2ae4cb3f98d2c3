/** @file
 * The servers: the control socket (unix) and the read-only listener (TCP).
 *
 * ops/ only reads and asks: it holds no state of the pipeline, and changes things through
 * daemon/daemon.h and job_queue_tell() alone.
 *
 * Thread:     the loop's.
 * Completion: `done` of ops_stop() later, exactly once; requests that are still being worked on
 * then end unheard.
 */
#pragma once

#include "lib/base/rc.h"
#include "lib/run/loop.h"

struct daemon;
struct ops;
struct services;

/** Binds (or takes from systemd) both sockets and serves. RC_CONFLICT "socket '…' is in use". */
enum rc ops_start(struct services *services, struct daemon *daemon, struct ops **ret_ops,
                  struct err *err);
void ops_stop(struct ops *ops, loop_fn *done, void *arg);
/** Where HTTP listens, "127.0.0.1:9464"; "" when it does not. */
const char *ops_http_address(const struct ops *ops);
