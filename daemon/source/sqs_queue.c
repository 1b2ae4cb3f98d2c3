/** @file
 * Receiving: how many messages at once, when again, and the start and end of the whole.
 *
 * An idle queue has one long poll. While messages come in full batches there are more receives, as
 * far as there is room for what they may bring: of messages received lately some part meant work
 * (`share_new`), so a flood of what is known already does not wait for free slots, and a flood of
 * what is new does not fill the memory with messages whose jobs cannot start.
 */
#include "daemon/source/sqs_queue.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/job/job_queue.h"
#include "daemon/metrics.h"
#include "daemon/source/sqs_queue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define RECEIVES_MAX 8
#define SHARE_MIN 0.02
#define QUIET_MS 1000 /**< A long poll that brought nothing for so long says that it is empty. */
#define RETRY_MAX_MS 60000

const struct sqs_limits sqs_limits_default = {.wall_ms =
                                                  (int64_t)(SQS_VISIBILITY_MAX_S - 10) * 1000,
                                              .linger_ms = 50,
                                              .retry_ms = 1000,
                                              .stop_ms = 5000};

/* ---- errors */

void sqs_queue_failed(struct sqs_queue *queue, const char *doing, const struct err *err)
{
    struct err error = *err;

    err_wrap(&error, "queue '%.60s': %s", queue->name, doing);
    if (queue->error.rc == RC_OK || strcmp(queue->error.text, error.text) != 0) {
        log_warn(LOG_SOURCE, "%s", error.text);
    }
    if (queue->error.rc == RC_OK) {
        queue->error_ms = now_wall_ms();
    }
    queue->error = error;
}

void sqs_queue_works(struct sqs_queue *queue)
{
    if (queue->error.rc != RC_OK && queue->failures > 0) {
        log_note(LOG_SOURCE, "queue '%s' works again", queue->name);
    }
    queue->failures = 0;
    queue->error.rc = RC_OK;
}

/* ---- how many */

/** Messages that may mean jobs which could start now. */
static double room_for_jobs(const struct sqs_queues *all)
{
    const struct services *services = all->services;
    const unsigned room = job_queue_room(services->queue);
    const bool short_of_memory =
        budget_waiting(services->budget) > 0 && job_queue_working(services->queue) > 0;

    return short_of_memory ? 0 : room - all->undecided * all->share_new;
}

/** What the receives under way may bring, but for each queue's first: one idle queue's long poll
 * must not keep the others from receiving. */
static double expected(const struct sqs_queue *queue)
{
    double messages = 0;

    for (unsigned i = 0; i < queue->all->count; i++) {
        const struct sqs_queue *other = &queue->all->queues[i];
        const struct sqs_poll *poll = other->polls;

        for (; poll != NULL; poll = poll->next) {
            messages += other == queue || poll != other->polls ? poll->max : 0;
        }
    }
    return messages * queue->all->share_new;
}

/** How many messages the next receive may bring; 0: none now. */
static unsigned room(const struct sqs_queue *queue)
{
    const struct sqs_queues *all = queue->all;
    const unsigned limit = all->services->conf->sources_sqs_in_flight;
    const double share = MAX_OF(all->share_new, SHARE_MIN);
    const double most = (room_for_jobs(all) - expected(queue)) / share;

    if (all->held >= limit || most < 1) {
        return 0;
    }
    return (unsigned)MIN_OF(MIN_OF(most, (double)SQS_BATCH), (double)(limit - all->held));
}

/* ---- receiving */

static void poll_start(struct sqs_queue *queue, unsigned max);

static void pump(struct sqs_queue *queue)
{
    const struct sqs_queues *all = queue->all;

    while (all->started && !all->paused && queue->poll_count < queue->want &&
           queue->retry_at_ms <= now_mono_ms()) {
        const unsigned max = room(queue);

        if (max == 0) {
            return;
        }
        poll_start(queue, max);
    }
}

static void note_message(struct sqs_queue *queue, const struct sqs_message *message)
{
    const int64_t now_ms = now_wall_ms();

    queue->status.received++;
    queue->status.message_ms = now_ms;
    if (message->receive_count == 1 && message->sent_ms > 0) {
        metric_observe(queue->all->services->metrics, METRIC_SQS_LAG, METRIC_LABELS(""),
                       (double)MAX_OF(now_ms - message->sent_ms, (int64_t)0) / 1000);
    }
}

static void take(struct sqs_queue *queue, const struct sqs_message *messages, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct sqs_held *held = sqs_held_take(queue, &messages[i]);

        note_message(queue, &messages[i]);
        if (held != NULL) {
            sqs_events_take(held, messages[i].body, messages[i].fault);
        }
    }
    sqs_events_pump(queue->all);
}

/** More at once while there is plenty, one long poll when there is nothing. */
static void adapt(struct sqs_queue *queue, unsigned max, unsigned count)
{
    const bool short_poll = queue->all->services->conf->sources_sqs_wait_ms < 1000;

    if (count == max && max == SQS_BATCH) {
        queue->want = MIN_OF(queue->want * 2, (unsigned)RECEIVES_MAX);
    } else if (count == 0) {
        queue->want = 1;
    }
    queue->quiet = count == 0;
    if (count == 0 && short_poll) {
        queue->retry_at_ms = now_mono_ms() + QUIET_MS;
    }
}

static void receive_failed(struct sqs_queue *queue, const struct err *err)
{
    int64_t delay_ms = queue->all->limits.retry_ms;

    for (unsigned i = 0; i < queue->failures && delay_ms < RETRY_MAX_MS; i++) {
        delay_ms *= 2;
    }
    queue->failures++;
    queue->want = 1;
    queue->retry_at_ms = now_mono_ms() + MIN_OF(delay_ms, (int64_t)RETRY_MAX_MS);
    sqs_queue_failed(queue, "receiving", err);
}

static void on_messages(const struct sqs_message *messages, unsigned count, const struct err *err,
                        void *arg)
{
    struct sqs_poll *poll = arg;
    struct sqs_queue *queue = poll->queue;
    struct sqs_queues *all = queue->all;

    DL_DELETE(queue->polls, poll);
    queue->poll_count--;
    if (err == NULL) {
        queue->status.receive_ms = now_wall_ms();
        sqs_queue_works(queue);
        adapt(queue, poll->max, count);
        take(queue, messages, count);
    } else if (!poll->canceled) {
        receive_failed(queue, err);
    }
    free(poll);
    sqs_queues_tick(all);
    sqs_queues_check(all);
}

static void poll_start(struct sqs_queue *queue, unsigned max)
{
    const struct services *services = queue->all->services;
    const struct conf *conf = services->conf;
    const unsigned wait_s = (unsigned)(conf->sources_sqs_wait_ms / 1000);
    const unsigned visibility_s = (unsigned)MAX_OF(conf->sources_sqs_visibility_ms / 1000, 1);
    struct sqs_poll *poll = mem_new(struct sqs_poll);

    poll->queue = queue;
    poll->max = max;
    poll->began_ms = now_mono_ms();
    DL_APPEND(queue->polls, poll);
    /* Those beside the first are there because there is plenty: they need not wait for more. */
    poll->call = sqs_receive(services->aws, queue->url, max,
                             queue->poll_count++ == 0 ? wait_s : MIN_OF(wait_s, 1u), visibility_s,
                             on_messages, poll);
}

static void cancel_polls(struct sqs_queues *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        for (struct sqs_poll *poll = all->queues[i].polls; poll != NULL; poll = poll->next) {
            if (!poll->canceled) {
                poll->canceled = true;
                aws_cancel(poll->call);
            }
        }
    }
}

/* ---- what is due */

static void show(struct sqs_queues *all)
{
    metric_set(all->services->metrics, METRIC_SQS_HELD, METRIC_LABELS(""), all->held);
}

static void stop_tick(struct sqs_queues *all, int64_t now_ms, int64_t *next_ms)
{
    if (!all->giving_back && all->work == 0) {
        sqs_lease_give_back(all);
        all->stop_by_ms =
            now_ms + all->limits.stop_ms; /* what was waited for may have had it all */
    }
    if (all->stop_by_ms <= now_ms) {
        sqs_lease_cancel(all);
    } else {
        *next_ms = MIN_OF(*next_ms, all->stop_by_ms);
    }
}

static void tick(void *arg)
{
    struct sqs_queues *all = arg;
    const int64_t now_ms = now_mono_ms();
    int64_t next_ms = SQS_NEVER;

    all->tick_due = false;
    for (unsigned i = 0; i < all->count; i++) {
        struct sqs_queue *queue = &all->queues[i];

        if (!all->stopping) {
            pump(queue);
            sqs_lease_tick(queue, now_ms, &next_ms);
            if (queue->retry_at_ms > now_ms && !all->paused) {
                next_ms = MIN_OF(next_ms, queue->retry_at_ms);
            }
        }
    }
    if (all->stopping) {
        stop_tick(all, now_ms, &next_ms);
    }
    show(all);
    if (next_ms == SQS_NEVER) {
        loop_timer_disarm(all->timer);
    } else {
        loop_timer_arm(all->timer, MAX_OF(next_ms - now_ms, (int64_t)0));
    }
    sqs_queues_check(all);
}

void sqs_queues_tick(struct sqs_queues *all)
{
    if (!all->tick_due && !all->ended) {
        all->tick_due = true;
        loop_defer(all->services->loop, tick, all);
    }
}

static void on_timer(void *arg)
{
    sqs_queues_tick(arg);
}

static void on_news(const struct job_news *news, void *arg)
{
    struct sqs_queues *all = arg;

    if (!all->giving_back) {
        sqs_held_job(all, news->job, news->to);
        sqs_queues_tick(all); /* there may be room now */
    }
}

/* ---- the start, pauses, and the end */

static void init_queue(struct sqs_queues *all, struct sqs_queue *queue, char *url)
{
    const char *slash = strrchr(url, '/');

    *queue = (struct sqs_queue){.all = all,
                                .url = url,
                                .name = slash != NULL && slash[1] != '\0' ? slash + 1 : url,
                                .want = 1,
                                .extend_due_ms = SQS_NEVER};
    queue->status.url = url;
    queue->status.error = "";
}

struct sqs_queues *sqs_queues_new(struct services *services, const struct sqs_limits *limits,
                                  sqs_rested_fn *rested, void *arg)
{
    const char *cursor = services->conf->sources_sqs_queue_url;
    struct sqs_queues *all;
    char *url;

    if (cursor == NULL) {
        return NULL;
    }
    all = mem_new(struct sqs_queues);
    *all = (struct sqs_queues){
        .services = services, .limits = *limits, .rested = rested, .arg = arg, .share_new = 1};
    all->fresh_last = &all->fresh;
    while (conf_next_item(&cursor, &url)) {
        all->queues = mem_resize(all->queues, all->count + 1, sizeof(all->queues[0]));
        init_queue(all, &all->queues[all->count++], url);
    }
    all->timer = loop_timer_new(services->loop, on_timer, all);
    return all;
}

void sqs_queues_free(struct sqs_queues *all)
{
    if (all == NULL) {
        return;
    }
    for (unsigned i = 0; i < all->count; i++) {
        struct sqs_held *held, *next;

        HASH_ITER(hh, all->queues[i].held, held, next)
        {
            sqs_held_let_go(held);
        }
        free(all->queues[i].url);
    }
    job_watch_stop(all->watch);
    loop_timer_free(all->timer);
    free(all->queues);
    free(all);
}

void sqs_queues_start(struct sqs_queues *all)
{
    all->started = true;
    all->watch = job_watch_start(all->services->jobs, on_news, all);
    sqs_queues_tick(all);
}

void sqs_queues_pause(struct sqs_queues *all, bool paused)
{
    all->paused = paused || all->stopping;
    if (all->paused) {
        cancel_polls(all);
    }
    sqs_queues_tick(all);
}

void sqs_queues_wake(struct sqs_queues *all)
{
    sqs_queues_tick(all);
}

void sqs_queues_stop(struct sqs_queues *all)
{
    all->stopping = true;
    all->stop_by_ms = now_mono_ms() + all->limits.stop_ms;
    sqs_queues_pause(all, true);
    sqs_events_pump(all);
}

bool sqs_queues_busy(const struct sqs_queues *all)
{
    unsigned polls = 0;

    for (unsigned i = 0; i < all->count; i++) {
        polls += all->queues[i].poll_count;
    }
    return polls > 0 || all->work > 0 || all->calls != NULL || all->tick_due ||
           (all->stopping && !all->giving_back);
}

void sqs_queues_check(struct sqs_queues *all)
{
    if (all->stopping && !all->ended && !sqs_queues_busy(all)) {
        all->ended = true;
        loop_timer_disarm(all->timer);
        all->rested(all->arg);
    } else if (all->stopping && !all->giving_back && all->work == 0) {
        sqs_queues_tick(all);
    }
}

/* ---- status */

static bool queue_idle(const struct sqs_queue *queue, int64_t now_ms)
{
    const struct sqs_poll *poll = queue->polls;
    const bool waited = poll != NULL && now_ms - poll->began_ms >= QUIET_MS;

    return queue->done == NULL && queue->deletes == 0 &&
           (queue->quiet || waited || queue->failures > 0);
}

bool sqs_queues_idle(const struct sqs_queues *all)
{
    bool idle = all->undecided == 0 && all->work == 0;

    for (unsigned i = 0; i < all->count; i++) {
        idle = idle && queue_idle(&all->queues[i], now_mono_ms());
    }
    return idle;
}

void sqs_queues_on_glue(struct sqs_queues *all, source_glue_fn *fn, void *arg)
{
    all->glue = fn;
    all->glue_arg = arg;
}

unsigned sqs_queues_count(const struct sqs_queues *all)
{
    return all->count;
}

void sqs_queues_status(const struct sqs_queues *all, unsigned index,
                       struct source_queue *ret_status)
{
    const struct sqs_queue *queue = &all->queues[index];

    *ret_status = queue->status;
    ret_status->held = HASH_COUNT(queue->held);
    if (queue->error.rc != RC_OK) {
        ret_status->error = queue->error.text;
        ret_status->error_ms = queue->error_ms;
    }
}
