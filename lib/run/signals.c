/** @file
 * One uv handle a signal; the memory returns when libuv has let go of the last.
 */
#include "lib/run/signals.h"

#include <assert.h>
#include <signal.h>

#include "lib/base/mem.h"

#define SIGNALS_MAX 8

struct signals {
    uv_signal_t handles[SIGNALS_MAX];
    unsigned count, open;
    signals_fn *fn;
    void *arg;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;

    signals->fn(number, signals->arg);
}

static void mask(int how, int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(how, &set, NULL);
}

void signals_hold(int number)
{
    mask(SIG_BLOCK, number);
}

struct signals *signals_start(struct loop *loop, const int *numbers, signals_fn *fn, void *arg)
{
    struct signals *signals = mem_new(struct signals);

    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an EPIPE, not our end */
    *signals = (struct signals){.fn = fn, .arg = arg};
    for (; numbers[signals->count] != 0; signals->count++) {
        uv_signal_t *handle = &signals->handles[signals->count];

        assert(signals->count < SIGNALS_MAX);
        uv_signal_init(loop_uv(loop), handle);
        handle->data = signals;
        uv_signal_start(handle, on_signal, numbers[signals->count]);
        uv_unref((uv_handle_t *)handle);
        mask(SIG_UNBLOCK, numbers[signals->count]);
    }
    signals->open = signals->count;
    return signals;
}

static void on_closed(uv_handle_t *handle)
{
    struct signals *signals = handle->data;

    if (--signals->open == 0) {
        free(signals);
    }
}

void signals_stop(struct signals *signals)
{
    if (signals == NULL) {
        return;
    }
    for (unsigned i = 0; i < signals->count; i++) {
        uv_close((uv_handle_t *)&signals->handles[i], on_closed);
    }
}
