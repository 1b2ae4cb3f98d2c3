/** @file
 * A note is two lines: a digest of the source and the upload's id, and the id. The digest binds the
 * one to the other, so that no half of a note, and no note of another source, passes for a whole.
 */
#include "daemon/ctl/ctl_note.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

#define FOLDER "sevird/transfers"
#define NOTE_MAX 4096

struct ctl_note {
    char *path; /**< NULL: it is removed. */
    int fd;
    char *source;
    char *upload_id; /**< As it was found; NULL: none. */
    bool written;    /**< There is an upload on record. */
    struct s3_resume resume;
};

/** HOME, or what the system has on record, as for a unit or a cron job without one. */
static const char *home_folder(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (home != NULL && home[0] != '\0') {
        return home;
    }
    user = getpwuid(geteuid());
    return user != NULL ? user->pw_dir : NULL;
}

static enum rc make_folder(char **ret_folder, struct err *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = home_folder();
    scoped(free) char *folder = NULL;

    if (cache != NULL && cache[0] == '/') {
        folder = fs_join(cache, FOLDER);
    } else if (home != NULL && home[0] == '/') {
        folder = fs_join(home, ".cache/" FOLDER);
    } else {
        return err_set(err, RC_IO, "neither XDG_CACHE_HOME nor HOME names a folder");
    }
    if (fs_mkdirs(folder, 0700, err) != RC_OK) {
        return err->rc;
    }
    *ret_folder = TAKE(folder);
    return RC_OK;
}

static void prove(const struct ctl_note *note, const char *upload_id, char ret_hex[DIGEST_HEX])
{
    scoped(free) char *both = str_printf("%s\n%s", note->source, upload_id);

    digest_sha256_hex(both, strlen(both), ret_hex);
}

/* ---- what the upload says ------------------------------------------------------------------ */

static void on_ended(void *arg)
{
    struct ctl_note *note = arg;

    if (note->path != NULL) {
        unlink(note->path); /* while the lock is held: it is still this one */
        free(TAKE(note->path));
    }
}

/** In its place, for a new file would not be the one that is locked. */
static bool on_begun(const char *upload_id, void *arg)
{
    struct ctl_note *note = arg;
    scoped(free) char *text = NULL;
    char proof[DIGEST_HEX];
    struct err err;

    prove(note, upload_id, proof);
    text = str_printf("%s\n%s\n", proof, upload_id);
    note->written = strlen(text) < NOTE_MAX && strchr(upload_id, '\n') == NULL &&
                    ftruncate(note->fd, 0) == 0 && lseek(note->fd, 0, SEEK_SET) == 0 &&
                    fs_write_all(note->fd, text, strlen(text), &err) == RC_OK;
    return note->written;
}

/* ---- a note -------------------------------------------------------------------------------- */

static void read_note(struct ctl_note *note)
{
    char text[NOTE_MAX], proof[DIGEST_HEX];
    const ssize_t len = read(note->fd, text, sizeof(text) - 1);
    char *id, *end;

    text[MAX_OF(len, 0)] = '\0';
    id = strchr(text, '\n');
    end = id != NULL ? strchr(id + 1, '\n') : NULL;
    if (end == NULL || end == id + 1) {
        return; /* a new one, or one that a power cut has left */
    }
    *id++ = *end = '\0';
    prove(note, id, proof);
    note->written = true;
    note->upload_id = str_dup(id);
    note->resume.fits = strcmp(text, proof) == 0;
}

static enum rc open_note(struct ctl_note *note, const char *target, struct err *err)
{
    scoped(free) char *folder = NULL;
    char hex[DIGEST_HEX];
    struct stat st;

    if (make_folder(&folder, err) != RC_OK) {
        return err->rc;
    }
    digest_sha256_hex(target, strlen(target), hex);
    note->path = fs_join(folder, hex);
    note->fd = open(note->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (note->fd < 0) {
        return err_errno(err, errno, "'%.200s'", note->path);
    }
    if (flock(note->fd, LOCK_EX | LOCK_NB) != 0 || fstat(note->fd, &st) != 0) {
        return errno == EWOULDBLOCK ? err_set(err, RC_CONFLICT, "another run is at that target")
                                    : err_errno(err, errno, "'%.200s'", note->path);
    }
    /* Who had it until now has removed it. */
    return st.st_nlink > 0 ? RC_OK : err_set(err, RC_CONFLICT, "another run was at that target");
}

enum rc ctl_note_open(const char *target, const char *source, struct ctl_note **ret_note,
                      struct err *err)
{
    struct ctl_note *note = mem_new(struct ctl_note);

    note->fd = -1;
    note->source = str_dup(source);
    note->resume = (struct s3_resume){.begun = on_begun, .ended = on_ended, .arg = note};
    if (open_note(note, target, err) != RC_OK) {
        free(TAKE(note->path)); /* it is not ours to remove */
        ctl_note_close(note);
        return err->rc;
    }
    read_note(note);
    note->resume.upload_id = note->upload_id;
    *ret_note = note;
    return RC_OK;
}

void ctl_note_close(struct ctl_note *note)
{
    if (note == NULL) {
        return;
    }
    if (!note->written) {
        on_ended(note);
    }
    if (note->fd >= 0) {
        close(note->fd);
    }
    free(note->path);
    free(note->source);
    free(note->upload_id);
    free(note);
}

const struct s3_resume *ctl_note_resume(const struct ctl_note *note)
{
    return note != NULL ? &note->resume : NULL;
}
