/** @file
 * The jail: resource limits first (they need system calls), then the seccomp filter.
 */
#include "daemon/h5probe/jail.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/mem.h"

/** Beyond this a recursion in libhdf5 is an endless one. */
#define STACK_BYTES (8ull << 20)

static enum rc limit_resources(const struct jail_limits *limits, struct err *err)
{
    const struct {
        int resource;
        const char *name;
        uint64_t value;
    } wanted[] = {
        {RLIMIT_AS, "address space", limits->memory_bytes},
        {RLIMIT_CPU, "processor time", limits->cpu_seconds},
        {RLIMIT_STACK, "stack", STACK_BYTES},
        {RLIMIT_NOFILE, "descriptors", (uint64_t)limits->socket_fd + 1},
        {RLIMIT_FSIZE, "file size", 0},
        {RLIMIT_CORE, "core size", 0},
        {RLIMIT_NPROC, "processes", 0},
        {RLIMIT_MEMLOCK, "locked memory", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        struct rlimit now, limit;

        if (getrlimit(wanted[i].resource, &now) != 0) {
            return err_errno(err, errno, "limit %s", wanted[i].name);
        }
        limit.rlim_cur = MIN_OF((rlim_t)wanted[i].value, now.rlim_max);
        /* SIGXCPU comes at the soft limit, an unexplained SIGKILL at the hard one. */
        limit.rlim_max = wanted[i].resource == RLIMIT_CPU ? MIN_OF(limit.rlim_cur + 1, now.rlim_max)
                                                          : limit.rlim_cur;
        if (setrlimit(wanted[i].resource, &limit) != 0) {
            return err_errno(err, errno, "limit %s", wanted[i].name);
        }
    }
    return RC_OK;
}

static enum rc limit_process(struct err *err)
{
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return err_errno(err, errno, "give up privileges");
    }
    return RC_OK;
}

/** Calls that are harmless with any argument. */
static const int harmless[] = {
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(getrandom),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(time),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(sysinfo),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep), /* before it reads again what failed its checksum */
};

/** Calls that are harmless with these arguments: every condition of a line must hold. */
static int allow_conditional(scmp_filter_ctx filter, const struct jail_limits *limits)
{
    const struct {
        int call;
        unsigned count;
        struct scmp_arg_cmp conditions[3];
    } rules[] = {
        {SCMP_SYS(read), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)limits->socket_fd)}},
        {SCMP_SYS(write), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)limits->socket_fd)}},
        {SCMP_SYS(write), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)limits->text_fd)}},
        {SCMP_SYS(writev), 1, {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)limits->text_fd)}},
        {SCMP_SYS(mmap),
         3,
         {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
          SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS),
          SCMP_A4(SCMP_CMP_MASKED_EQ, UINT32_MAX, UINT32_MAX)}},
        {SCMP_SYS(mprotect), 1, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
        /* abort(), so that a heap that libc finds broken is reported as that. */
        {SCMP_SYS(tgkill),
         2,
         {SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()), SCMP_A2(SCMP_CMP_EQ, SIGABRT)}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call,
                                                  rules[i].count, rules[i].conditions);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static enum rc limit_calls(const struct jail_limits *limits, struct err *err)
{
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int result = filter == NULL ? -ENOMEM : 0;

    for (size_t i = 0; i < ARRAY_LEN(harmless) && result == 0; i++) {
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, harmless[i], 0);
    }
    if (result == 0) {
        result = allow_conditional(filter, limits);
    }
    if (result == 0) {
        result = seccomp_load(filter);
    }
    if (filter != NULL) {
        seccomp_release(filter);
    }
    return result == 0 ? RC_OK : err_errno(err, -result, "load the system call filter");
}

enum rc jail_enter(const struct jail_limits *limits, struct err *err)
{
    if (limit_process(err) != RC_OK || limit_resources(limits, err) != RC_OK ||
        limit_calls(limits, err) != RC_OK) {
        return err_wrap(err, "enter the jail");
    }
    return RC_OK;
}
