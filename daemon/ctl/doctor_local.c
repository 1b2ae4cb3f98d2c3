/** @file
 * What is on this machine: the state directory, the helper, the socket.
 */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/ctl/ctl_doctor.h"
#include "daemon/ctl/h5_writer.h"
#include "lib/base/mem.h"

#define LITTLE_BYTES ((uint64_t)1 << 30)
#define TOO_LITTLE_BYTES ((uint64_t)64 << 20)

static void check_space(struct doctor *doctor, const char *dir)
{
    struct statvfs vfs;
    char text[24];

    if (statvfs(dir, &vfs) != 0) {
        doctor_find(doctor, FINDING_FAIL, "state.space", "", "'%s': %s", dir, strerror(errno));
        return;
    }
    const uint64_t left = (uint64_t)vfs.f_bavail * vfs.f_frsize;

    doctor_find(doctor,
                left < TOO_LITTLE_BYTES ? FINDING_FAIL
                : left < LITTLE_BYTES   ? FINDING_WARN
                                        : FINDING_OK,
                "state.space", left < LITTLE_BYTES ? "make room, or move state_dir" : "",
                "%s free at '%s'", str_from_bytes(left, text), dir);
}

/** Where it would be made: systemd makes the service's, the daemon any other with what is above. */
static void check_above(struct doctor *doctor, const char *dir)
{
    scoped(free) char *above = str_dup(dir);
    char *slash;

    while ((slash = strrchr(above, '/')) != NULL && access(above, F_OK) != 0) {
        *slash = '\0';
    }
    if (access(above[0] != '\0' ? above : "/", W_OK | X_OK) == 0) {
        doctor_find(doctor, FINDING_WARN, "state.dir", "the daemon makes it at its first start",
                    "'%s' is not there yet", dir);
    } else {
        doctor_find(doctor, FINDING_WARN, "state.dir",
                    "make it for the daemon's user; systemd does so for its service",
                    "'%s' is not there, and in '%s' this user makes none: %s", dir,
                    above[0] != '\0' ? above : "/", strerror(errno));
    }
}

static void check_state(struct doctor *doctor)
{
    scoped(free) char *dir = str_dup(doctor->conf->state_dir);
    struct stat st;

    if (stat(dir, &st) != 0 && errno == ENOENT) {
        check_above(doctor, dir);
    } else if (stat(dir, &st) != 0) {
        doctor_find(doctor, FINDING_FAIL, "state.dir", "let the daemon's user enter it", "'%s': %s",
                    dir, strerror(errno));
    } else if (!S_ISDIR(st.st_mode)) {
        doctor_find(doctor, FINDING_FAIL, "state.dir", "name a directory in state_dir",
                    "'%s' is no directory", dir);
    } else if (access(dir, R_OK | W_OK | X_OK) != 0) {
        doctor_find(doctor, FINDING_FAIL, "state.dir",
                    "give it to the daemon's user, or run doctor as that user",
                    "'%s' cannot be written: %s", dir, strerror(errno));
    } else {
        doctor_find(doctor, FINDING_OK, "state.dir", "", "'%s' can be written", dir);
        check_space(doctor, dir);
    }
}

/** A file of one number, as small as HDF5 has them. */
static enum rc write_probe(const char *path, struct err *err)
{
    static const uint64_t one = 1;
    static const uint8_t byte = 42;
    scoped(h5_writer_free) struct h5_writer *writer = NULL;
    uint64_t bytes;

    if (h5_writer_new(path, &writer, err) != RC_OK ||
        h5_writer_begin(writer, "probe", SAMPLE_U8, 1, &one, err) != RC_OK ||
        h5_writer_rows(writer, 0, 1, &byte, err) != RC_OK) {
        return err->rc;
    }
    return h5_writer_finish(writer, &bytes, err);
}

static enum rc read_probe(struct doctor *doctor, const char *path, struct err *err)
{
    scoped(ctl_object_done) struct ctl_object object = {0};
    scoped(layout_free) struct layout *layout = NULL;

    if (ctl_run_open(doctor->run, path, &object, err) != RC_OK) {
        return err->rc;
    }
    return ctl_run_layout(doctor->run, &object, &layout, err);
}

static void check_helper(struct doctor *doctor)
{
    char dir[] = "/tmp/sevirctl-doctor-XXXXXX";
    struct err err = {.rc = RC_IO, .text = "a directory in /tmp cannot be made"};
    enum rc rc = RC_IO;

    if (mkdtemp(dir) != NULL) {
        scoped(free) char *path = str_printf("%s/probe.h5", dir);

        rc = write_probe(path, &err) == RC_OK ? read_probe(doctor, path, &err) : err.rc;
        unlink(path);
        rmdir(dir);
    }
    if (rc == RC_OK) {
        doctor_find(doctor, FINDING_OK, "helper", "", "sevird-h5probe runs in its jail");
    } else {
        doctor_find(doctor, FINDING_FAIL, "helper",
                    "install sevird-h5probe beside sevird; its jail needs seccomp", "%s", err.text);
    }
}

static void check_socket(struct doctor *doctor)
{
    const char *path = doctor->conf->control_socket;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        doctor_find(doctor, FINDING_OK, "socket", "", "a daemon listens at '%s'", path);
    } else {
        doctor_find(doctor, FINDING_WARN, "socket",
                    errno == EACCES ? "join the socket's group, or run doctor as the daemon's user"
                                    : "systemctl start sevird",
                    "no daemon at '%s': %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
}

void doctor_check_local(struct doctor *doctor)
{
    check_state(doctor);
    check_helper(doctor);
    check_socket(doctor);
}
