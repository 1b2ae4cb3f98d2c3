/** @file
 * The daemon, as the commands see it: JSON over HTTP over its unix socket, by libcurl.
 *
 * Every function tells the user what went wrong, in one line, and answers with the exit code: 3
 * when there is no daemon, 4 for a time-out, 1 for what the daemon refused.
 *
 * Thread:     the program's only one; every call blocks.
 */
#pragma once

#include "daemon/ctl/ctl.h"

#define CLIENT_PATIENCE_MS 60000

/** `body` is taken over (NULL: none); `ret_answer` is the caller's to decref. `timeout_ms` 0: as
 * long as it takes. */
enum ctl_exit client_call(const struct ctl *ctl, const char *method, const char *path, json_t *body,
                          int64_t timeout_ms, json_t **ret_answer);
/** The answer's bytes as they are. */
enum ctl_exit client_fetch(const struct ctl *ctl, const char *method, const char *path,
                           json_t *body, int64_t timeout_ms, struct strbuf *ret_bytes);

/** The same, with one header of the answer ("" if it is not there), which the caller frees. */
enum ctl_exit client_fetch_noting(const struct ctl *ctl, const char *method, const char *path,
                                  json_t *body, int64_t timeout_ms, const char *header,
                                  char **ret_value, struct strbuf *ret_bytes);

/** One event; answer false to stop. */
typedef bool client_event_fn(const char *kind, const char *json, void *arg);
/** About five times a second; answer false to stop. */
typedef bool client_tick_fn(void *arg);
/** Reads the event stream until a callback stops it (CTL_DONE) or it ends (the daemon stopped: then
 * `ret_ended`). Either callback may be NULL. */
enum ctl_exit client_events(const struct ctl *ctl, const char *path, client_event_fn *on_event,
                            client_tick_fn *on_tick, void *arg, bool *ret_ended);

/** "%2Fa%20b"; the caller frees. */
char *client_escape(const char *text);
/** A file that is here becomes its absolute path, so that relative names work; all else stays. */
char *client_uri(const char *word);
