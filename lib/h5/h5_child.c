/** @file
 * A helper process on a socket pair.
 *
 * libuv forgets a process whose handle is closed and would leave a zombie, so that handle is closed
 * only after the exit was reported.
 */
#include "lib/h5/h5_child.h"

#include <signal.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_wire.h"

static void on_closed(uv_handle_t *handle)
{
    struct h5_child *child = handle->data;

    child->open--;
    if (child->open == 0) {
        child->events->closed(child->arg);
    }
}

/** All three are needed: the last words may arrive after the news of the death. */
static void tell_if_ended(struct h5_child *child)
{
    if (!child->closing && !child->running && child->socket_done && child->errors_done &&
        !child->ended_told) {
        child->ended_told = true;
        child->events->ended(child->arg);
    }
}

static void on_exit_status(uv_process_t *process, int64_t status, int signal)
{
    struct h5_child *child = process->data;

    child->running = false;
    child->exit_status = status;
    child->exit_signal = signal;
    if (child->closing) {
        uv_close((uv_handle_t *)process, on_closed);
        return;
    }
    tell_if_ended(child);
}

static void give_wanted(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct h5_child *child = handle->data;

    *buf = uv_buf_init(child->wanted, (unsigned)MIN_OF(child->wanted_len, (size_t)1 << 20));
}

static void on_bytes(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct h5_child *child = stream->data;

    if (count < 0) {
        uv_read_stop(stream);
        child->socket_done = true;
        tell_if_ended(child);
        return;
    }
    child->wanted += count;
    child->wanted_len -= (size_t)count;
    if (child->wanted_len == 0) {
        child->wanted = NULL;
        uv_read_stop(stream);
        child->events->got(child->arg);
    }
}

static void give_discard(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct h5_child *child = handle->data;

    *buf = uv_buf_init(child->discard, sizeof(child->discard));
}

/** Keep the beginning; the rest is read too, so that writing it does not stop the process. */
static void on_error_text(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct h5_child *child = stream->data;

    if (count < 0) {
        uv_read_stop(stream);
        child->errors_done = true;
        tell_if_ended(child);
        return;
    }
    for (ssize_t i = 0; i < count && child->text_len + 1 < sizeof(child->text); i++) {
        const char c = buf->base[i];

        child->text[child->text_len++] = c >= 0x20 && c < 0x7f ? c : ' ';
    }
    while (child->text_len > 0 && child->text[child->text_len - 1] == ' ') {
        child->text_len--;
    }
    child->text[child->text_len] = '\0';
}

static int spawn(struct h5_child *child, struct loop *loop, const char *program)
{
    char *args[] = {(char *)program, NULL}, *env[] = {NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&child->errors},
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&child->socket},
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_status,
        .file = program,
        .args = args,
        .env = env,
        .stdio = stdio,
        .stdio_count = (int)ARRAY_LEN(stdio),
    };

    _Static_assert(ARRAY_LEN(stdio) == H5_WIRE_FD + 1, "the socket is the last descriptor");
    return uv_spawn(loop_uv(loop), &child->process, &options);
}

enum rc h5_child_start(struct h5_child *child, struct loop *loop, const char *program,
                       const struct h5_child_events *events, void *arg, struct err *err)
{
    int result;

    *child = (struct h5_child){.events = events, .arg = arg, .open = 3};
    uv_pipe_init(loop_uv(loop), &child->socket, 0);
    uv_pipe_init(loop_uv(loop), &child->errors, 0);
    child->socket.data = child->errors.data = child->process.data = child;
    result = spawn(child, loop, program);
    if (result != 0) {
        return err_set(err, RC_HOST, "start '%s': %s; is sevird installed whole", program,
                       uv_strerror(result));
    }
    child->running = true;
    uv_read_start((uv_stream_t *)&child->errors, give_discard, on_error_text);
    return RC_OK;
}

void h5_child_want(struct h5_child *child, void *buffer, size_t len)
{
    child->wanted = buffer;
    child->wanted_len = len;
    if (!child->socket_done) {
        uv_read_start((uv_stream_t *)&child->socket, give_wanted, on_bytes);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct h5_child *child = write->data;

    /* A failed write means that it is dying: who then wants more bytes gets `ended`. */
    if (!child->closing) {
        child->events->written(child->arg);
    }
}

void h5_child_write(struct h5_child *child, const void *bytes, size_t len)
{
    const uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)len);

    child->write.data = child;
    (void)uv_write(&child->write, (uv_stream_t *)&child->socket, &buf, 1, on_written);
}

void h5_child_close(struct h5_child *child)
{
    if (child->closing) {
        return;
    }
    child->closing = true;
    uv_close((uv_handle_t *)&child->socket, on_closed);
    uv_close((uv_handle_t *)&child->errors, on_closed);
    if (child->running) {
        uv_process_kill(&child->process, SIGKILL);
    } else {
        uv_close((uv_handle_t *)&child->process, on_closed);
    }
}

/** Only class and words; what it wrote comes behind. */
static enum rc explain_signal(int signal, struct err *err)
{
    const char *name = sigabbrev_np(signal);

    switch (signal) {
    case SIGSYS:
        return err_set(err, RC_CRASHED, "helper tried a forbidden system call (SIGSYS)");
    case SIGXCPU:
        /* Not a matter of a slow store or a busy machine: it would do so again. */
        return err_set(err, RC_CRASHED, "helper used up its processor time (SIGXCPU)");
    case SIGKILL:
    case SIGTERM:
        /* No fault of its own ends so; the kernel that is out of memory does that, or somebody. */
        return err_set(err, RC_IO, "helper killed from outside (SIG%s); is memory short", name);
    default:
        return err_set(err, RC_CRASHED, "helper killed by signal %d (SIG%s)", signal,
                       name != NULL ? name : "?");
    }
}

enum rc h5_child_explain(const struct h5_child *child, struct err *err)
{
    enum rc rc;

    if (child->exit_signal != 0) {
        rc = explain_signal(child->exit_signal, err);
    } else if (child->exit_status == 127) {
        rc = err_set(err, RC_HOST, "helper could not start"); /* the dynamic loader's complaint */
    } else {
        rc = err_set(err, RC_CRASHED, "helper ended with status %d and without an answer",
                     (int)child->exit_status);
    }
    if (child->text_len > 0) {
        struct err why = *err;

        err_set(err, rc, "%.200s: %s", why.text, child->text);
    }
    return rc;
}
