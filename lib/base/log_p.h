/** @file
 * The journal's side of the log, in a file of its own because systemd's header brings in syslog's
 * names, which are ours too. Without libsystemd both answer false.
 *
 * Thread:     any.
 */
#pragma once

#include <stdbool.h>

/** Whether standard error is the very stream that systemd connected to the journal. */
bool journal_is_stderr(void);
/** False when the journal did not take it. */
bool journal_write(int level, const char *tag, const char *const *fields, unsigned field_count,
                   const char *file, int line, const char *message);
