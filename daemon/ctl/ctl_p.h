/** @file
 * What main.c and the parser of the command line share.
 */
#pragma once

#include "daemon/ctl/ctl.h"

#define CTL_SOCKET "/run/sevird/control.sock"

/** They may stand before the command or after it. */
extern const struct ctl_option ctl_global_options[];

/** NULL when there is none of that name. */
const struct ctl_command *ctl_find(const char *name);
/** Splits the command line; a wrong one was told. `ret_command` is NULL when there was none. */
enum ctl_exit ctl_args_parse(int argc, char **argv, const struct ctl_command **ret_command,
                             struct ctl_args *args);
void ctl_args_done(struct ctl_args *args);
static inline void ctl_args_done_ptr(struct ctl_args *args)
{
    ctl_args_done(args);
}

/** Help of all, or of one. */
void ctl_help(const struct ctl_command *command);
/** The man page, for the build. */
void ctl_man(void);
