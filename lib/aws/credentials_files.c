/** @file
 * Files that others write, read by a worker: they may lie on a network.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

struct files_task {
    struct work_task *task;
    bool abandoned;
    char *paths[PROFILE_SOURCES]; /* NULL: none; the first also a token's */
    files_done_fn *files_done;
    token_done_fn *token_done;
    void *arg;

    /* the worker's */
    struct profile_files *files;
    char *text;
    struct err err;
};

static char *home(const char *(*get)(const char *name))
{
    const char *set = get("HOME");
    struct passwd entry, *found = NULL;
    char buffer[4096];

    if (set != NULL && *set == '/') {
        return str_dup(set);
    }
    if (getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) != 0 || found == NULL ||
        entry.pw_dir[0] != '/') {
        return NULL;
    }
    return str_dup(entry.pw_dir);
}

char *credentials_path(const char *(*get)(const char *name), enum profile_source source)
{
    const bool config = source == PROFILE_CONFIG;
    const char *set = get(config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
    scoped(free) char *at = NULL;

    if (set != NULL && *set != '\0' && !str_starts(set, "~/")) {
        return str_dup(set);
    }
    at = home(get);
    if (at == NULL) {
        return NULL;
    }
    if (set != NULL && *set != '\0') {
        return fs_join(at, set + 2);
    }
    return fs_join(at, config ? ".aws/config" : ".aws/credentials");
}

static void free_task(struct files_task *task)
{
    for (size_t i = 0; i < ARRAY_LEN(task->paths); i++) {
        free(task->paths[i]);
    }
    profile_files_free(task->files);
    secret_free(task->text);
    free(task);
}

/* On the worker */

static enum rc read_one(struct files_task *task, enum profile_source source)
{
    char *text = NULL;
    size_t len = 0;

    if (task->paths[source] == NULL) {
        return RC_OK;
    }
    if (fs_read_file(task->paths[source], PROFILE_FILE_MAX, &text, &len, &task->err) != RC_OK) {
        return task->err.rc == RC_NOT_FOUND ? RC_OK : task->err.rc;
    }
    return profile_parse(task->files, source, task->paths[source], text, len, &task->err);
}

static void read_files(void *arg)
{
    struct files_task *task = arg;
    enum rc rc = RC_OK;

    task->files = profile_files_new();
    for (enum profile_source source = 0; rc == RC_OK && source < PROFILE_SOURCES; source++) {
        rc = read_one(task, source);
    }
    task->err.rc = rc;
}

static void read_token(void *arg)
{
    struct files_task *task = arg;
    char *text = NULL, *start;
    size_t len = 0;

    if (fs_read_file(task->paths[0], PROFILE_FILE_MAX, &text, &len, &task->err) != RC_OK) {
        return;
    }
    start = text + strspn(text, " \t\r\n");
    len = strlen(start);
    while (len > 0 && strchr(" \t\r\n", start[len - 1]) != NULL) {
        len--;
    }
    task->text = str_dup_n(start, len);
    secret_free(text);
    task->err.rc = RC_OK;
    if (len == 0) {
        err_set(&task->err, RC_INVALID, "'%s' is empty", task->paths[0]);
    }
}

/* On the loop */

static void on_read(void *arg, bool canceled)
{
    struct files_task *task = arg;
    const struct err *err = task->err.rc == RC_OK ? NULL : &task->err;

    if (!task->abandoned && !canceled) {
        if (task->files_done != NULL) {
            task->files_done(err == NULL ? TAKE(task->files) : NULL, err, task->arg);
        } else {
            task->token_done(err == NULL ? TAKE(task->text) : NULL, err, task->arg);
        }
    }
    free_task(task);
}

struct files_task *files_read(struct work *work, const char *(*get)(const char *name),
                              files_done_fn *done, void *arg)
{
    struct files_task *task = mem_new(struct files_task);

    for (enum profile_source source = 0; source < PROFILE_SOURCES; source++) {
        task->paths[source] = credentials_path(get, source);
    }
    task->files_done = done;
    task->arg = arg;
    task->task = work_submit(work, WORK_FILE, read_files, on_read, task);
    return task;
}

struct files_task *token_read(struct work *work, const char *path, token_done_fn *done, void *arg)
{
    struct files_task *task = mem_new(struct files_task);

    task->paths[0] = str_dup(path);
    task->token_done = done;
    task->arg = arg;
    task->task = work_submit(work, WORK_FILE, read_token, on_read, task);
    return task;
}

void files_abandon(struct files_task *task)
{
    if (task != NULL) {
        task->abandoned = true;
        work_cancel(task->task);
    }
}
