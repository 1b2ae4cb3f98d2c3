/** @file
 * A program that has credentials, run without a shell, in a process group of its own so that what
 * it starts ends with it.
 *
 * libuv forgets a process whose handle is closed and would leave a zombie, so that handle is closed
 * only after the exit was reported.
 */
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/mem.h"

struct process {
    uv_process_t process;
    uv_pipe_t out, errors;
    struct loop_timer *deadline;
    unsigned open; /* handles that libuv still holds */
    bool running, out_done, errors_done, closing;

    char *bytes; /* PROCESS_OUT_MAX of room */
    size_t len;
    bool too_long, too_slow;
    char said[160];
    size_t said_len;
    char discard[1024];
    int64_t status;
    int signal;

    process_done_fn *done; /* NULL once told or abandoned */
    void *arg;
};

static void on_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;

    process->open--;
    if (process->open == 0) {
        OPENSSL_cleanse(process->bytes, PROCESS_OUT_MAX);
        free(process->bytes);
        free(process);
    }
}

static void kill_group(struct process *process)
{
    if (process->running && kill(-process->process.pid, SIGKILL) != 0) {
        (void)uv_process_kill(&process->process, SIGKILL);
    }
}

static void close_all(struct process *process)
{
    if (process->closing) {
        return;
    }
    process->closing = true;
    loop_timer_free(process->deadline);
    uv_close((uv_handle_t *)&process->out, on_closed);
    uv_close((uv_handle_t *)&process->errors, on_closed);
    if (!process->running) {
        uv_close((uv_handle_t *)&process->process, on_closed);
    }
}

static void trim_said(struct process *process)
{
    while (process->said_len > 0 && process->said[process->said_len - 1] == ' ') {
        process->said_len--;
    }
    process->said[process->said_len] = '\0';
}

static enum rc explain(struct process *process, struct err *err)
{
    if (process->too_slow) {
        return err_set(err, RC_TIMEOUT, "did not end within %d s", PROCESS_MS / 1000);
    }
    if (process->too_long) {
        return err_set(err, RC_INVALID, "wrote more than %u bytes", PROCESS_OUT_MAX);
    }
    if (process->signal != 0) {
        return err_set(err, RC_DENIED, "was ended by signal %d", process->signal);
    }
    if (process->status != 0) {
        trim_said(process);
        return err_set(err, RC_DENIED, "status %d%s%s", (int)process->status,
                       process->said_len > 0 ? ": " : "", process->said);
    }
    return RC_OK;
}

/** All three are needed: the last words may arrive after the news of the end. */
static void tell_if_ended(struct process *process)
{
    process_done_fn *done = process->done;
    struct err err;
    bool good;

    if (process->running || !process->out_done || !process->errors_done || done == NULL) {
        return;
    }
    process->done = NULL;
    good = explain(process, &err) == RC_OK;
    done(good ? process->bytes : NULL, good ? process->len : 0, good ? NULL : &err, process->arg);
    close_all(process);
}

static void on_exit_status(uv_process_t *handle, int64_t status, int signal)
{
    struct process *process = handle->data;

    process->running = false;
    process->status = status;
    process->signal = signal;
    if (process->closing) {
        uv_close((uv_handle_t *)handle, on_closed);
        return;
    }
    tell_if_ended(process);
}

static void on_deadline(void *arg)
{
    struct process *process = arg;

    process->too_slow = true;
    kill_group(process);
    /* What it left behind may hold the pipes open for ever. */
    process->out_done = process->errors_done = true;
    tell_if_ended(process);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct process *process = handle->data;

    *buf = uv_buf_init(process->bytes + process->len, PROCESS_OUT_MAX - (unsigned)process->len);
}

static void on_out(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct process *process = stream->data;

    if (count > 0) {
        process->len += (size_t)count;
        return;
    }
    if (count == 0) {
        return;
    }
    if (count == UV_ENOBUFS) {
        process->too_long = true;
        kill_group(process);
    }
    uv_read_stop(stream);
    process->out_done = true;
    tell_if_ended(process);
}

static void give_discard(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct process *process = handle->data;

    *buf = uv_buf_init(process->discard, sizeof(process->discard));
}

/** The beginning, on one line; the rest is read too, so that writing it does not stop the process.
 */
static void on_errors(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct process *process = stream->data;

    for (ssize_t i = 0; i < count && process->said_len + 1 < sizeof(process->said); i++) {
        const char c = buf->base[i];

        process->said[process->said_len++] = c >= 0x20 && c < 0x7f ? c : ' ';
    }
    if (count < 0) {
        uv_read_stop(stream);
        process->errors_done = true;
        tell_if_ended(process);
    }
}

static int spawn(struct process *process, struct loop *loop, char *const *words)
{
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&process->out},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&process->errors},
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = words[0],
        .args = (char **)words,
        .flags = UV_PROCESS_DETACHED, /* a group of its own */
        .stdio = stdio,
        .stdio_count = (int)ARRAY_LEN(stdio),
    };

    return uv_spawn(loop_uv(loop), &process->process, &options);
}

struct process *process_run(struct loop *loop, char *const *words, int64_t deadline_ms,
                            process_done_fn *done, void *arg, struct err *err)
{
    struct process *process = mem_new(struct process);
    int result;

    process->done = done;
    process->arg = arg;
    process->open = 3;
    process->bytes = mem_zeroed(PROCESS_OUT_MAX);
    uv_pipe_init(loop_uv(loop), &process->out, 0);
    uv_pipe_init(loop_uv(loop), &process->errors, 0);
    process->out.data = process->errors.data = process->process.data = process;
    result = spawn(process, loop, words);
    if (result != 0) {
        err_set(err, result == UV_ENOENT ? RC_INVALID : RC_HOST, "cannot start: %s",
                uv_strerror(result));
        close_all(process);
        return NULL;
    }
    process->running = true;
    process->deadline = loop_timer_new(loop, on_deadline, process);
    loop_timer_arm(process->deadline, deadline_ms);
    uv_read_start((uv_stream_t *)&process->out, give_room, on_out);
    uv_read_start((uv_stream_t *)&process->errors, give_discard, on_errors);
    return process;
}

void process_abandon(struct process *process)
{
    if (process != NULL) {
        process->done = NULL;
        kill_group(process);
        close_all(process);
    }
}
