/** @file
 * The jail: after jail_enter() this process can compute, allocate memory, talk over two descriptors
 * it already has, and end. Nothing else: no file, no socket, no process, no executable memory.
 *
 * Whoever makes libhdf5 run code of a file's choosing finds a process without environment, without
 * descriptors but the socket pair, that the kernel kills (SIGSYS) at the first call off the list.
 *
 * Thread:     the only one: later threads could not be made.
 */
#pragma once

#include <stdint.h>

#include "lib/base/rc.h"

struct jail_limits {
    int socket_fd;         /**< May be read and written. */
    int text_fd;           /**< May be written: where libc puts its last words. */
    uint64_t memory_bytes; /**< Address space. */
    uint64_t cpu_seconds;  /**< Processor time; SIGXCPU after that. */
};

/** There is no way back. On failure parts of it may already hold; the caller must end. */
enum rc jail_enter(const struct jail_limits *limits, struct err *err);
