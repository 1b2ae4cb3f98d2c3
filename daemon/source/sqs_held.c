/** @file
 * Which message waits for which job.
 *
 * Two maps: a queue's messages by id, and jobs by id with the messages that wait for them. A
 * message that waits for nothing any more is done.
 */
#include <inttypes.h>
#include <string.h>

#include "daemon/source/sqs_queue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

struct sqs_held *sqs_held_take(struct sqs_queue *queue, const struct sqs_message *message)
{
    struct sqs_queues *all = queue->all;
    struct sqs_held *held;

    HASH_FIND_STR(queue->held, message->id, held);
    if (held != NULL) { /* again: its lease had run out, or the queue told twice */
        free(held->handle);
        held->handle = str_dup(message->handle);
        held->serial++;
        held->receives = message->receive_count;
        sqs_lease_begin(held);
        return NULL;
    }
    held = mem_new(struct sqs_held);
    held->queue = queue;
    held->id = str_dup(message->id);
    held->handle = str_dup(message->handle);
    held->receives = message->receive_count;
    HASH_ADD_KEYPTR(hh, queue->held, held->id, strlen(held->id), held);
    all->held++;
    all->undecided++;
    sqs_lease_begin(held);
    return held;
}

/* ---- waits */

static void wait_remove(struct sqs_wait *wait)
{
    struct sqs_job *job = wait->job;
    struct sqs_wait **link = &wait->held->waits;

    while (*link != wait) {
        link = &(*link)->next;
    }
    *link = wait->next;
    DL_DELETE2(job->waits, wait, job_prev, job_next);
    if (job->waits == NULL) {
        HASH_DEL(wait->held->queue->all->jobs, job);
        free(job);
    }
    free(wait);
}

static bool waits_for(const struct sqs_held *held, uint64_t job)
{
    for (const struct sqs_wait *wait = held->waits; wait != NULL; wait = wait->next) {
        if (wait->job->id == job) {
            return true;
        }
    }
    return false;
}

void sqs_held_wait(struct sqs_held *held, uint64_t id)
{
    struct sqs_queues *all = held->queue->all;
    struct sqs_wait *wait;
    struct sqs_job *job;

    if (waits_for(held, id)) {
        return;
    }
    HASH_FIND(hh, all->jobs, &id, sizeof(id), job);
    if (job == NULL) {
        job = mem_new(struct sqs_job);
        job->id = id;
        HASH_ADD(hh, all->jobs, id, sizeof(job->id), job);
    }
    wait = mem_new(struct sqs_wait);
    *wait = (struct sqs_wait){.held = held, .job = job, .next = held->waits};
    held->waits = wait;
    DL_APPEND2(job->waits, wait, job_prev, job_next);
}

void sqs_held_job(struct sqs_queues *all, uint64_t id, enum job_state state)
{
    struct sqs_job *job;

    if (job_state_kind(state) != JOB_KIND_END) {
        return;
    }
    HASH_FIND(hh, all->jobs, &id, sizeof(id), job);
    for (bool last = job == NULL; !last;) {
        struct sqs_wait *wait = job->waits;
        struct sqs_held *held = wait->held;

        last = wait->job_next == NULL; /* then the job is freed with it */
        wait_remove(wait);
        if (held->step == SQS_WAITING) {
            sqs_held_settle(held);
        }
    }
}

/* ---- a message's way */

void sqs_held_settle(struct sqs_held *held)
{
    struct sqs_queues *all = held->queue->all;

    if (held->step == SQS_GONE || held->undecided > 0 || held->untold) {
        return;
    }
    if (held->step == SQS_DECIDING) {
        all->undecided--;
        held->step = SQS_WAITING;
        sqs_reading_free(TAKE(held->reading));
        all->share_new += ((held->waits != NULL) - all->share_new) / 16;
        if (held->waits != NULL && held->receives > 1) {
            log_info(LOG_SOURCE,
                     "queue '%s': message %s came again (receive %u) and waits for job %" PRIu64,
                     held->queue->name, held->id, held->receives, held->waits->job->id);
        }
    }
    if (held->waits == NULL && held->step == SQS_WAITING) {
        held->step = SQS_DONE;
        sqs_lease_delete(held);
    }
}

void sqs_held_let_go(struct sqs_held *held)
{
    struct sqs_queue *queue = held->queue;

    if (held->step == SQS_GONE) {
        return;
    }
    queue->all->undecided -= held->step == SQS_DECIDING;
    held->step = SQS_GONE;
    while (held->waits != NULL) {
        wait_remove(held->waits);
    }
    sqs_lease_unlist(held);
    HASH_DEL(queue->held, held);
    queue->all->held--;
    sqs_held_release(held);
}

void sqs_held_release(struct sqs_held *held)
{
    if (held->step != SQS_GONE || held->calls > 0 || held->undecided > 0) {
        return;
    }
    sqs_reading_free(held->reading);
    free(held->id);
    free(held->handle);
    free(held);
}
