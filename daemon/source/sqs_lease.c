/** @file
 * Leases: extended from each message's own deadline, ended by a deletion, given back at the end.
 *
 * A call names up to ten messages. An answer says something only about the handle that was sent: a
 * message that was received again meanwhile has another. Deletions that could not be done are done
 * again, and the lease is extended meanwhile.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/metrics.h"
#include "daemon/source/sqs_queue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define DELETES_MAX 8
#define EXTENDS_MAX 16
#define AGAIN_MAX_MS 30000
#define EXTEND_AGAIN_MS 1000

/** A batch under way. */
struct lease_call {
    struct lease_call *prev, *next;
    struct sqs_queue *queue;
    struct aws_call *call;
    struct sqs_held *held[SQS_BATCH];
    unsigned serials[SQS_BATCH];
    unsigned count;
    int64_t sent_ms, visibility_ms;
};

static int64_t visibility_ms(const struct sqs_queues *all)
{
    return MAX_OF(all->services->conf->sources_sqs_visibility_ms / 1000 * 1000, (int64_t)1000);
}

/** When to extend a lease that was given `now_ms` for so long: before its half is over. */
static int64_t extend_at(int64_t now_ms, int64_t length_ms)
{
    return now_ms + length_ms * 2 / 5;
}

static void note_due(struct sqs_held *held)
{
    struct sqs_queue *queue = held->queue;

    queue->extend_due_ms = MIN_OF(queue->extend_due_ms, held->extend_at_ms);
}

void sqs_lease_begin(struct sqs_held *held)
{
    const struct sqs_queues *all = held->queue->all;
    const int64_t now_ms = now_mono_ms();

    held->deadline_ms = now_ms + visibility_ms(all);
    held->extend_at_ms = extend_at(now_ms, visibility_ms(all));
    held->wall_at_ms = now_ms + all->limits.wall_ms;
    held->last_time = false;
    note_due(held);
}

/* ---- calls */

static void call_add(struct lease_call *call, struct sqs_held *held)
{
    held->calls++;
    call->held[call->count] = held;
    call->serials[call->count++] = held->serial;
}

static struct lease_call *call_new(struct sqs_queue *queue)
{
    struct lease_call *call = mem_new(struct lease_call);

    call->queue = queue;
    call->sent_ms = now_mono_ms();
    DL_APPEND(queue->all->calls, call);
    return call;
}

static void call_end(struct lease_call *call)
{
    struct sqs_queues *all = call->queue->all;

    for (unsigned i = 0; i < call->count; i++) {
        struct sqs_held *held = call->held[i];

        if (--held->calls == 0 && held->step != SQS_GONE) {
            note_due(held);
        }
        sqs_held_release(held);
    }
    DL_DELETE(all->calls, call);
    free(call);
    sqs_queues_tick(all);
    sqs_queues_check(all);
}

/** Whether the answer is about the message as it is now. */
static bool is_about(const struct lease_call *call, unsigned i)
{
    return call->held[i]->step != SQS_GONE && call->held[i]->serial == call->serials[i];
}

static unsigned handles_of(const struct lease_call *call, const char *handles[SQS_BATCH])
{
    for (unsigned i = 0; i < call->count; i++) {
        handles[i] = call->held[i]->handle;
    }
    return call->count;
}

/** Somebody else may have the message by now. */
static void lose(struct sqs_held *held, const char *why)
{
    struct sqs_queue *queue = held->queue;

    queue->status.lost++;
    metric_add(queue->all->services->metrics, METRIC_SQS_LEASE_LOST, METRIC_LABELS(""), 1);
    log_note(LOG_SOURCE, "queue '%s': the lease of message %s is lost, it will come again: %s",
             queue->name, held->id, why);
    sqs_held_let_go(held);
}

/* ---- deletion */

static bool by_time(const struct sqs_held *a, const struct sqs_held *b)
{
    return a->delete_at_ms > b->delete_at_ms;
}

static int compare_times(const struct sqs_held *a, const struct sqs_held *b)
{
    return by_time(a, b) - by_time(b, a);
}

static void list_for_deletion(struct sqs_held *held, int64_t delay_ms)
{
    struct sqs_queue *queue = held->queue;

    held->delete_at_ms = now_mono_ms() + delay_ms;
    held->listed = true;
    queue->done_count++;
    if (queue->done == NULL || !by_time(queue->done->prev, held)) {
        DL_APPEND(queue->done, held);
    } else {
        DL_INSERT_INORDER(queue->done, held, compare_times);
    }
}

void sqs_lease_unlist(struct sqs_held *held)
{
    if (held->listed) {
        held->listed = false;
        held->queue->done_count--;
        DL_DELETE(held->queue->done, held);
    }
}

void sqs_lease_delete(struct sqs_held *held)
{
    const bool nameless = held->handle[0] == '\0'; /* to the front: see drop_nameless() */

    list_for_deletion(held, nameless ? -now_mono_ms() : held->queue->all->limits.linger_ms);
    sqs_queues_tick(held->queue->all);
}

static int64_t backoff_ms(const struct sqs_queues *all, unsigned failures)
{
    int64_t ms = all->limits.retry_ms;

    for (unsigned i = 1; i < failures && ms < AGAIN_MAX_MS; i++) {
        ms *= 2;
    }
    return MIN_OF(ms, (int64_t)AGAIN_MAX_MS);
}

static void delete_again(struct sqs_held *held)
{
    held->failures++;
    list_for_deletion(held, backoff_ms(held->queue->all, held->failures));
}

static void deleted(struct sqs_held *held)
{
    held->queue->status.deleted++;
    sqs_held_let_go(held);
}

static void on_deleted(const enum sqs_fate *fates, unsigned count, const char *why,
                       const struct err *err, void *arg)
{
    struct lease_call *call = arg;
    struct sqs_queue *queue = call->queue;
    struct err refused = {0};

    (void)count;
    queue->deletes--;
    for (unsigned i = 0; i < call->count; i++) {
        struct sqs_held *held = call->held[i];

        if (held->step == SQS_GONE) {
            continue;
        }
        if (err != NULL || fates[i] == SQS_AGAIN || fates[i] == SQS_REFUSED || !is_about(call, i)) {
            delete_again(held);
        } else if (fates[i] == SQS_STALE) {
            lose(held, why);
        } else {
            deleted(held);
        }
        if (err == NULL && fates[i] == SQS_REFUSED) {
            err_set(&refused, RC_DENIED, "%s", why);
        }
    }
    if (err != NULL && err->rc != RC_CANCELED) {
        sqs_queue_failed(queue, "deleting", err);
    } else if (refused.rc != RC_OK) {
        sqs_queue_failed(queue, "deleting", &refused);
    }
    call_end(call);
}

static void send_deletion(struct sqs_queue *queue)
{
    struct lease_call *call = call_new(queue);
    const char *handles[SQS_BATCH];

    while (queue->done != NULL && call->count < SQS_BATCH) {
        struct sqs_held *held = queue->done;

        sqs_lease_unlist(held);
        call_add(call, held);
    }
    queue->deletes++;
    call->call = sqs_delete(queue->all->services->aws, queue->url, handles,
                            handles_of(call, handles), on_deleted, call);
}

/** What came without a handle cannot be deleted. It comes again, and is known then. */
static void drop_nameless(struct sqs_queue *queue)
{
    while (queue->done != NULL && queue->done->handle[0] == '\0') {
        log_warn(LOG_SOURCE, "queue '%s': message %s came without a handle and cannot be deleted",
                 queue->name, queue->done->id);
        sqs_held_let_go(queue->done);
    }
}

/** A full batch goes at once, any other when its first message has lingered. */
static void delete_tick(struct sqs_queue *queue, int64_t now_ms, int64_t *next_ms)
{
    drop_nameless(queue);
    while (queue->done != NULL && queue->deletes < DELETES_MAX &&
           (queue->done->delete_at_ms <= now_ms ||
            (queue->done_count >= SQS_BATCH && queue->done->failures == 0))) {
        send_deletion(queue);
    }
    if (queue->done != NULL && queue->deletes < DELETES_MAX) {
        *next_ms = MIN_OF(*next_ms, queue->done->delete_at_ms);
    }
}

/* ---- extension */

static void extended(const struct lease_call *call, struct sqs_held *held)
{
    held->deadline_ms = call->sent_ms + call->visibility_ms;
    held->extend_at_ms =
        held->last_time ? held->deadline_ms : extend_at(call->sent_ms, call->visibility_ms);
    note_due(held);
}

/** Try again, sooner the less time there is. */
static void extend_again(struct sqs_held *held)
{
    const int64_t now_ms = now_mono_ms(), left_ms = held->deadline_ms - now_ms;

    held->extend_at_ms = now_ms + MIN_OF(MAX_OF(left_ms / 4, (int64_t)10), EXTEND_AGAIN_MS);
    held->last_time = false;
    note_due(held);
}

static void on_extended(const enum sqs_fate *fates, unsigned count, const char *why,
                        const struct err *err, void *arg)
{
    struct lease_call *call = arg;
    struct sqs_queue *queue = call->queue;
    unsigned done = 0;

    (void)count;
    queue->extends--;
    for (unsigned i = 0; i < call->count; i++) {
        if (!is_about(call, i)) {
            continue;
        }
        if (err != NULL || fates[i] == SQS_AGAIN || fates[i] == SQS_REFUSED) {
            extend_again(call->held[i]);
        } else if (fates[i] == SQS_STALE) {
            lose(call->held[i], why);
        } else {
            extended(call, call->held[i]);
            done++;
        }
    }
    metric_add(queue->all->services->metrics, METRIC_SQS_EXTENSIONS, METRIC_LABELS(""), done);
    if (err != NULL && err->rc != RC_CANCELED) {
        sqs_queue_failed(queue, "extending leases", err);
    }
    queue->extend_due_ms = queue->extend_blocked ? 0 : queue->extend_due_ms;
    call_end(call);
}

static void send_extension(struct lease_call *call)
{
    struct sqs_queue *queue = call->queue;
    const char *handles[SQS_BATCH];

    queue->extends++;
    call->call =
        sqs_extend(queue->all->services->aws, queue->url, handles, handles_of(call, handles),
                   (unsigned)(call->visibility_ms / 1000), on_extended, call);
}

/** How long the lease may still become; less than it should be once SQS's 12 hours come near. */
static int64_t length_for(struct sqs_held *held, int64_t now_ms)
{
    const int64_t whole_ms = visibility_ms(held->queue->all);
    const int64_t left_ms = (held->wall_at_ms - now_ms) / 1000 * 1000;

    if (left_ms >= whole_ms) {
        return whole_ms;
    }
    held->last_time = true;
    log_note(LOG_SOURCE,
             "queue '%s': message %s comes to the 12 hours that SQS allows; its jobs go on, and it "
             "will come again",
             held->queue->name, held->id);
    return left_ms;
}

/** What is to be done about one message now: nothing (0), let it go (-1), or a lease so long. */
static int64_t judge(struct sqs_held *held, int64_t now_ms, int64_t window_ms)
{
    if (held->calls > 0) {
        return 0; /* its answer says more than the clock */
    }
    if (held->handle[0] == '\0' && held->deadline_ms > now_ms) {
        return 0; /* it cannot be extended */
    }
    if (held->deadline_ms <= now_ms) {
        return -1;
    }
    if (held->extend_at_ms > now_ms + window_ms || held->last_time) {
        return 0;
    }
    const int64_t length_ms = length_for(held, now_ms);

    if (held->last_time && now_ms + length_ms <= held->deadline_ms) {
        held->extend_at_ms = held->deadline_ms; /* what it has is as long as it gets */
        return 0;
    }
    return length_ms;
}

static void expire(struct sqs_held *held)
{
    if (held->last_time) {
        sqs_held_let_go(held);
    } else {
        lose(held, "it could not be extended in time");
    }
}

/** Extend what is due, and what will be soon, so that batches are full. */
static void extend_scan(struct sqs_queue *queue, int64_t now_ms)
{
    const int64_t window_ms = visibility_ms(queue->all) / 10;
    struct sqs_held *held, *next;
    struct lease_call *call = NULL;

    queue->extend_due_ms = SQS_NEVER;
    queue->extend_blocked = false;
    HASH_ITER(hh, queue->held, held, next)
    {
        const int64_t length_ms =
            call == NULL && queue->extends >= EXTENDS_MAX ? 0 : judge(held, now_ms, window_ms);

        if (length_ms < 0) {
            expire(held);
            continue;
        }
        if (length_ms == 0) {
            queue->extend_blocked = queue->extend_blocked || queue->extends >= EXTENDS_MAX;
            if (held->calls == 0) {
                note_due(held);
            }
            continue;
        }
        if (call != NULL && call->visibility_ms != length_ms) {
            send_extension(TAKE(call));
        }
        if (call == NULL) {
            call = call_new(queue);
            call->visibility_ms = length_ms;
        }
        call_add(call, held);
        if (call->count == SQS_BATCH) {
            send_extension(TAKE(call));
        }
    }
    if (call != NULL) {
        send_extension(call);
    }
}

void sqs_lease_tick(struct sqs_queue *queue, int64_t now_ms, int64_t *next_ms)
{
    delete_tick(queue, now_ms, next_ms);
    if (queue->all->giving_back) {
        return;
    }
    if (queue->extend_due_ms <= now_ms) {
        extend_scan(queue, now_ms);
    }
    if (!queue->extend_blocked) {
        *next_ms = MIN_OF(*next_ms, queue->extend_due_ms);
    }
}

/* ---- the end */

static void on_given_back(const enum sqs_fate *fates, unsigned count, const char *why,
                          const struct err *err, void *arg)
{
    struct lease_call *call = arg;

    (void)fates, (void)count, (void)why;
    if (err != NULL && err->rc != RC_CANCELED) {
        log_warn(LOG_SOURCE, "queue '%s': %u messages could not be given back: %s",
                 call->queue->name, call->count, err->text);
    }
    call->queue->extends--;
    for (unsigned i = 0; i < call->count; i++) {
        sqs_held_let_go(call->held[i]);
    }
    call_end(call);
}

static void send_back(struct lease_call *call)
{
    struct sqs_queue *queue = call->queue;
    const char *handles[SQS_BATCH];

    queue->extends++;
    call->call = sqs_extend(queue->all->services->aws, queue->url, handles,
                            handles_of(call, handles), 0, on_given_back, call);
}

static void give_back(struct sqs_queue *queue)
{
    struct sqs_held *held, *next;
    struct lease_call *call = NULL;

    drop_nameless(queue);
    while (queue->done != NULL) {
        send_deletion(queue);
    }
    HASH_ITER(hh, queue->held, held, next)
    {
        if (held->step == SQS_DONE || held->handle[0] == '\0') {
            continue; /* its deletion is under way; it comes again by itself */
        }
        call = call != NULL ? call : call_new(queue);
        call_add(call, held);
        if (call->count == SQS_BATCH) {
            send_back(TAKE(call));
        }
    }
    if (call != NULL) {
        send_back(call);
    }
}

void sqs_lease_give_back(struct sqs_queues *all)
{
    all->giving_back = true;
    for (unsigned i = 0; i < all->count; i++) {
        give_back(&all->queues[i]);
    }
}

void sqs_lease_cancel(struct sqs_queues *all)
{
    for (struct lease_call *call = all->calls; call != NULL; call = call->next) {
        aws_cancel(call->call);
    }
}
