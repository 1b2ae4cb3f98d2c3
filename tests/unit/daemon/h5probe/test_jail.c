/** @file
 * The jail: what a hijacked helper can still do, tried from a forked child.
 */
#include "tests/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/h5probe/jail.h"

/* A sanitizer's shadow needs terabytes of address space, so that limit is tried by the helper's own
 * tests, not here. */
#define ALL_MEMORY (1ull << 60)

typedef void crime_fn(int socket_fd);

/** Runs `crime` in the jail; returns the signal that ended it, or minus its exit status. */
static int jailed(crime_fn *crime)
{
    int pair[2], status = 0;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const pid_t child = fork();
    if (child == 0) {
        const struct jail_limits limits = {.socket_fd = pair[1],
                                           .text_fd = STDERR_FILENO,
                                           .memory_bytes = ALL_MEMORY,
                                           .cpu_seconds = 1};
        struct err err;

        if (jail_enter(&limits, &err) != RC_OK) {
            syscall(SYS_exit_group, 99);
        }
        crime(pair[1]);
        syscall(SYS_exit_group, 0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(pair[0]);
    close(pair[1]);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

/* Raw calls: libc's wrappers are the sanitizer's here. */

static void nothing(int socket_fd)
{
}

static void open_a_file(int socket_fd)
{
    syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void make_a_file(int socket_fd)
{
    syscall(SYS_openat, AT_FDCWD, "/tmp/jail-was-open", O_WRONLY | O_CREAT, 0600);
}

static void open_a_socket(int socket_fd)
{
    syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void pass_a_descriptor(int socket_fd)
{
    struct msghdr message = {0};

    syscall(SYS_sendmsg, socket_fd, &message, 0);
}

static void start_a_process(int socket_fd)
{
    syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static void become_another_program(int socket_fd)
{
    char *args[] = {NULL};

    syscall(SYS_execve, "/bin/true", args, args);
}

static void map_executable_memory(int socket_fd)
{
    syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
            -1, 0);
}

static void map_a_descriptor(int socket_fd)
{
    syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE, socket_fd, 0);
}

static void make_memory_executable(int socket_fd)
{
    static char page[8192] __attribute__((aligned(4096)));

    syscall(SYS_mprotect, page, 4096, PROT_READ | PROT_EXEC);
}

static void kill_the_parent(int socket_fd)
{
    syscall(SYS_kill, getppid(), SIGKILL);
}

static void signal_another(int socket_fd)
{
    syscall(SYS_tgkill, 1, 1, SIGABRT);
}

static void read_another_descriptor(int socket_fd)
{
    char c;

    syscall(SYS_read, STDIN_FILENO, &c, 1);
}

static void write_another_descriptor(int socket_fd)
{
    syscall(SYS_write, STDOUT_FILENO, "x", 1);
}

static void trace_another(int socket_fd)
{
    syscall(SYS_ptrace, 16, 1, 0, 0);
}

static void lift_a_limit(int socket_fd)
{
    const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    syscall(SYS_prlimit64, 0, RLIMIT_AS, &limit, NULL);
}

static void use_another_abi(int socket_fd)
{
    syscall(0x40000000 | SYS_getpid); /* x32 */
}

static void compute_for_ever(int socket_fd)
{
    for (volatile unsigned i = 0;; i++) {
    }
}

static void abort_itself(int socket_fd)
{
    syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGABRT);
}

static void use_what_is_left(int socket_fd)
{
    void *memory = (void *)syscall(SYS_mmap, NULL, 1 << 20, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED || syscall(SYS_munmap, memory, 1 << 20) != 0 ||
        syscall(SYS_write, socket_fd, "x", 1) != 1) {
        syscall(SYS_exit_group, 1);
    }
    syscall(SYS_exit_group, 7);
}

static void memory_and_the_socket_remain(void **state)
{
    assert_int_equal(jailed(nothing), 0);
    assert_int_equal(jailed(use_what_is_left), -7);
}

static void whatever_reaches_outside_is_killed(void **state)
{
    static const struct {
        const char *what;
        crime_fn *crime;
    } crimes[] = {
        {"open a file", open_a_file},
        {"make a file", make_a_file},
        {"open a socket", open_a_socket},
        {"pass a descriptor", pass_a_descriptor},
        {"start a process", start_a_process},
        {"become another program", become_another_program},
        {"map executable memory", map_executable_memory},
        {"map a descriptor", map_a_descriptor},
        {"make memory executable", make_memory_executable},
        {"kill the parent", kill_the_parent},
        {"signal another process", signal_another},
        {"read another descriptor", read_another_descriptor},
        {"write another descriptor", write_another_descriptor},
        {"trace another process", trace_another},
        {"lift a limit", lift_a_limit},
        {"use another ABI", use_another_abi},
    };

    for (unsigned i = 0; i < sizeof(crimes) / sizeof(crimes[0]); i++) {
        const int end = jailed(crimes[i].crime);

        if (end != SIGSYS) {
            fail_msg("'%s' ended with %d instead of SIGSYS", crimes[i].what, end);
        }
    }
    assert_int_equal(access("/tmp/jail-was-open", F_OK), -1);
}

static void processor_time_ends_with_sigxcpu(void **state)
{
    assert_int_equal(jailed(compute_for_ever), SIGXCPU);
}

static void a_broken_heap_is_reported_as_abort(void **state)
{
    assert_int_equal(jailed(abort_itself), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_and_the_socket_remain),
        cmocka_unit_test(whatever_reaches_outside_is_killed),
        cmocka_unit_test(processor_time_ends_with_sigxcpu),
        cmocka_unit_test(a_broken_heap_is_reported_as_abort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
