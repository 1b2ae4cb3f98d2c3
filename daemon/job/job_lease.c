/** @file
 * Claims on objects. Read lease_run() from top to bottom: it is the story of one.
 *
 * That a claim changes with every beat matters: its etag would else be the same, and who has seen
 * it before a beat could still replace it after.
 *
 * A store that ignores conditions lets everybody have every claim. So the first one that we make is
 * put once more, which must be refused.
 */
#include "daemon/job/job_lease_p.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/services.h"
#include "lib/aws/aws.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define CLAIM_MAX 65536
#define TRIES 5                /**< Of a look and a put, when others are at it too. */
#define SKEW_MS INT64_C(10000) /**< At most: how much two clocks may differ. */
#define DATE_MS INT64_C(1000)  /**< HTTP cuts its dates down to the second. */
#define AGAIN_MIN_MS INT64_C(500)

struct lease {
    struct job_leases *leases;
    struct lease *next;
    char *key, *claim_key; /**< Of the object, of its claim. */
    char *about;           /**< Members of the claim that stay. */

    enum lease_step { MAKE, PROVE, LOOK, READ, REPLACE, HOLD, BEAT, CHECK, DROP } step;
    unsigned tries;
    bool give_up;          /**< When what is under way has ended. */
    bool sweep;            /**< A dead daemon's that no job wants: it is taken to be removed. */
    bool foreign;          /**< What is published is another daemon's work. */
    bool was_ours;         /**< The claim that is being replaced. */
    char take[LEASE_TAKE]; /**< Tells this taking of it from another one of ours. */
    int64_t since_ms;      /**< Wall clock: when we took it. */
    int64_t beaten_ms;     /**< Monotonic: when we last knew it to be ours. */
    int64_t beat_at_ms;    /**< Monotonic: when to rewrite it. */
    int64_t began_ms;      /**< Monotonic: when the put under way began. */
    uint64_t beat;
    char etag[STORE_ETAG]; /**< Of what we wrote last, or have seen, */
    char over[STORE_ETAG]; /**< and of what the put under way is to replace. */
    struct strbuf text;    /**< Being put. */
    struct store_put put;

    /* the claim that was seen */
    char *bytes;
    size_t len;
    int64_t seen_modified_ms;
    struct lease_claim seen;

    job_lease_lost_fn *lost;
    job_lease_fn *done; /**< NULL: nobody waits. */
    void *arg;
    loop_fn *gone; /**< NULL: nobody waits for its end. */
    void *gone_arg;
};

static void lease_run(struct lease *lease);

static int64_t lease_ms(const struct job_leases *leases)
{
    return leases->services->conf->processed_lease_ms;
}

int64_t lease_now_ms(const struct job_leases *leases)
{
    const struct aws *aws = leases->services->processed_aws;

    return now_wall_ms() + (aws != NULL ? aws_clock_offset_s(aws) * 1000 : 0);
}

/* ---- the list */

static struct lease *find(const struct job_leases *leases, const char *key)
{
    struct lease *lease = leases->first;

    while (lease != NULL && strcmp(lease->key, key) != 0) {
        lease = lease->next;
    }
    return lease;
}

static void tell_gone(struct lease *lease)
{
    if (lease->gone != NULL) {
        loop_defer(lease->leases->services->loop, TAKE(lease->gone), lease->gone_arg);
    }
}

static void forget(struct lease *lease)
{
    struct lease **link = &lease->leases->first;

    tell_gone(lease);
    while (*link != lease) {
        link = &(*link)->next;
    }
    *link = lease->next;
    free(lease->key);
    free(lease->claim_key);
    free(lease->about);
    free(lease->bytes);
    strbuf_done(&lease->text);
    free(lease);
}

/** Wake for the beat that is due first. */
static void arm(struct job_leases *leases)
{
    int64_t at_ms = INT64_MAX;

    for (const struct lease *lease = leases->first; lease != NULL; lease = lease->next) {
        if (lease->step == HOLD) {
            at_ms = MIN_OF(at_ms, lease->beat_at_ms);
        }
    }
    if (at_ms == INT64_MAX) {
        loop_timer_disarm(leases->timer);
    } else {
        loop_timer_arm(leases->timer, MAX_OF(at_ms - now_mono_ms(), (int64_t)0));
    }
}

/* ---- answers */

static void answer(struct lease *lease, enum job_lease_outcome outcome, const struct err *err)
{
    job_lease_fn *done = TAKE(lease->done);
    struct job_lease_answer result = {.outcome = outcome};

    if (outcome == LEASE_HELD) {
        const int64_t now_ms = lease_now_ms(lease->leases);
        const int64_t age_ms = MAX_OF(now_ms - lease->seen.since_ms, (int64_t)0);
        const int64_t left_ms = lease->seen_modified_ms + lease->seen.lease_ms - now_ms;

        /* It may be over at any moment; the longer it takes, the less often we look. */
        snprintf(result.who, sizeof(result.who), "%s", lease->seen.who);
        result.again_ms = now_wall_ms() + MAX_OF(MIN_OF(age_ms / 2, left_ms), AGAIN_MIN_MS);
    }
    if (done != NULL) {
        done(&result, err, lease->arg);
    }
}

static void end(struct lease *lease, enum job_lease_outcome outcome, const struct err *err)
{
    struct job_leases *leases = lease->leases;

    answer(lease, outcome, err);
    forget(lease);
    arm(leases);
}

static void lose(struct lease *lease, const char *robber)
{
    struct job_leases *leases = lease->leases;
    job_lease_lost_fn *lost = TAKE(lease->lost);
    void *arg = lease->arg;
    char who[JOB_LEASE_WHO]; /* the lease goes first: who is told may take it again */

    snprintf(who, sizeof(who), "%s", robber);
    log_warn(LOG_JOB, "the claim on '%s' is lost: %s%s", lease->key,
             who[0] != '\0' ? "taken over by " : "it could not be renewed in time", who);
    forget(lease);
    arm(leases);
    if (lost != NULL) {
        lost(who, arg);
    }
}

/** It is ours from now on, or still. */
static void hold(struct lease *lease, int64_t began_ms)
{
    lease->step = HOLD;
    lease->tries = 0;
    lease->beaten_ms = began_ms;
    lease->beat_at_ms = began_ms + lease_ms(lease->leases) / 3;
    if (lease->give_up) {
        lease->step = DROP;
        lease_run(lease);
        return;
    }
    arm(lease->leases);
}

/* ---- the claim as text */

static void write_claim(struct lease *lease, const char *if_match)
{
    const struct job_leases *leases = lease->leases;
    struct strbuf *text = &lease->text;

    lease->began_ms = now_mono_ms();
    strbuf_reset(text);
    strbuf_puts(text, "{\"claim\": 1, \"owner\": ");
    strbuf_json(text, leases->owner);
    strbuf_puts(text, ", \"who\": ");
    strbuf_json(text, leases->who);
    strbuf_printf(text, ", \"take\": \"%s\"", lease->take);
    strbuf_printf(text,
                  ", %s, \"since_ms\": %" PRId64 ", \"lease_ms\": %" PRId64 ", \"beat\": %" PRIu64
                  "}\n",
                  lease->about, lease->since_ms, lease_ms(leases), ++lease->beat);
    lease->put = (struct store_put){.key = lease->claim_key,
                                    .bytes = text->data,
                                    .len = text->len,
                                    .content_type = "application/json",
                                    .if_match = if_match,
                                    .ret_etag = lease->etag};
}

static void write_over(struct lease *lease)
{
    memcpy(lease->over, lease->etag, sizeof(lease->over));
    write_claim(lease, lease->over);
}

static void read_claim(struct lease *lease)
{
    lease_read(lease->bytes, lease->len, &lease->seen);
    if (lease->seen.lease_ms <= 0) {
        lease->seen.lease_ms = lease_ms(lease->leases);
    }
    if (lease->seen.since_ms <= 0) {
        lease->seen.since_ms = lease->seen_modified_ms;
    }
}

/** The claim that was seen was made by this very taking of it: our own put, whose answer was lost.
 */
static bool is_this_taking(const struct lease *lease)
{
    return strcmp(lease->seen.take, lease->take) == 0;
}

static bool is_dead(const struct lease *lease)
{
    const int64_t skew_ms = MIN_OF(lease->seen.lease_ms / 4, SKEW_MS);

    return lease_now_ms(lease->leases) >
           lease->seen_modified_ms + DATE_MS + lease->seen.lease_ms + skew_ms;
}

/* ---- steps */

static void again(struct lease *lease, enum lease_step step)
{
    struct err err;

    if (++lease->tries > TRIES) {
        err_set(&err, RC_CONFLICT, "the claim on '%.200s' keeps changing", lease->key);
        end(lease, LEASE_FAILED, &err);
        return;
    }
    lease->step = step;
    lease_run(lease);
}

/** An operator's to mend: jobs wait (decision 4). */
static void refuse_store(struct lease *lease)
{
    struct err err;

    err_set(&err, RC_HOST,
            "the processed store '%.150s' has put a claim that If-None-Match forbids: it ignores "
            "conditions, so claims would not hold; set 'processed.shared' to false if no other "
            "daemon publishes there",
            lease->leases->services->conf->processed_uri);
    log_error(LOG_JOB, "%s", err.text);
    lease->step = DROP;
    lease->lost = NULL;
    answer(lease, LEASE_FAILED, &err);
    lease_run(lease);
}

static void on_proven(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err == NULL) {
        lease->beaten_ms = lease->began_ms;
        refuse_store(lease);
        return;
    }
    lease->leases->proven = err->rc == RC_CONFLICT; /* else it is tried with the next */
    answer(lease, LEASE_TAKEN, NULL);
    hold(lease, lease->began_ms);
}

static void on_made(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err != NULL && err->rc == RC_CONFLICT) {
        again(lease, LOOK);
    } else if (err != NULL) {
        end(lease, LEASE_FAILED, err);
    } else if (!lease->leases->proven) {
        lease->step = PROVE;
        lease_run(lease);
    } else {
        answer(lease, LEASE_TAKEN, NULL);
        hold(lease, lease->began_ms);
    }
}

static void note_seen(struct lease *lease, const struct store_object *object)
{
    snprintf(lease->etag, sizeof(lease->etag), "%s", object->etag);
    lease->seen_modified_ms = object->modified_ms;
    lease->len = (size_t)MIN_OF(object->size, (uint64_t)CLAIM_MAX);
    free(lease->bytes);
    lease->bytes = mem_resize(NULL, lease->len, 1);
}

static void on_seen(const struct store_object *object, const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err != NULL && err->rc == RC_NOT_FOUND && !lease->sweep) {
        again(lease, MAKE);
        return;
    }
    if (err != NULL) {
        end(lease, LEASE_FAILED, err);
        return;
    }
    note_seen(lease, object);
    lease->step = READ;
    lease_run(lease);
}

static void on_read(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err != NULL && (err->rc == RC_NOT_FOUND || err->rc == RC_CHANGED)) {
        again(lease, LOOK);
        return;
    }
    if (err != NULL) {
        end(lease, LEASE_FAILED, err);
        return;
    }
    read_claim(lease);
    lease->was_ours = strcmp(lease->seen.owner, lease->leases->owner) == 0;
    /* What was ours before a restart has a job here that will ask for it. */
    if (lease->sweep ? !lease->was_ours && is_dead(lease) : lease->was_ours || is_dead(lease)) {
        lease->step = REPLACE;
        lease_run(lease);
    } else {
        end(lease, LEASE_HELD, NULL);
    }
}

static void on_replaced(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err != NULL && (err->rc == RC_CONFLICT || err->rc == RC_NOT_FOUND)) {
        again(lease, LOOK);
        return;
    }
    if (err != NULL) {
        end(lease, LEASE_FAILED, err);
        return;
    }
    if (!lease->was_ours) {
        log_note(LOG_JOB, "the claim on '%s' was not renewed by %s: taken over", lease->key,
                 lease->seen.who);
    }
    /* Of our own, a put whose answer was lost, it says the same: we have it since then. */
    answer(lease, lease->was_ours && !is_this_taking(lease) ? LEASE_KEPT : LEASE_TAKEN, NULL);
    hold(lease, lease->began_ms);
}

/** Whether it has gone on for so long without a word from the store that others may have it. */
static bool is_late(const struct lease *lease)
{
    return now_mono_ms() - lease->beaten_ms >= lease_ms(lease->leases);
}

static void beat_later(struct lease *lease)
{
    if (is_late(lease)) {
        lose(lease, "");
        return;
    }
    lease->step = lease->give_up ? DROP : HOLD;
    lease->beat_at_ms = now_mono_ms() + MIN_OF(lease_ms(lease->leases) / 10, INT64_C(5000));
    if (lease->give_up) {
        lease_run(lease);
    } else {
        arm(lease->leases);
    }
}

static void on_beaten(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err == NULL) {
        hold(lease, lease->began_ms);
    } else if (err->rc == RC_CONFLICT || err->rc == RC_NOT_FOUND) {
        lease->step = CHECK; /* by somebody else, or by our own attempt whose answer was lost */
        lease_run(lease);
    } else {
        log_info(LOG_JOB, "the claim on '%s' could not be renewed yet: %s", lease->key, err->text);
        beat_later(lease);
    }
}

static void on_checked_bytes(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err != NULL && err->rc != RC_NOT_FOUND && err->rc != RC_CHANGED) {
        beat_later(lease);
        return;
    }
    if (err == NULL) {
        read_claim(lease);
    }
    if (err == NULL && strcmp(lease->seen.owner, lease->leases->owner) == 0 &&
        is_this_taking(lease)) {
        hold(lease, now_mono_ms());
        return;
    }
    lose(lease, err == NULL ? lease->seen.who : "somebody");
}

static void on_checked(const struct store_object *object, const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (err != NULL) {
        if (err->rc == RC_NOT_FOUND) {
            lose(lease, "somebody");
        } else {
            beat_later(lease);
        }
        return;
    }
    note_seen(lease, object);
    store_get(lease->leases->services->processed, lease->claim_key, NULL, lease->etag, 0,
              lease->len, lease->bytes, on_checked_bytes, lease);
}

/** One attempt at a time, so that none comes when the claim may be another's. */
static bool may_drop_again(struct lease *lease, const struct err *err)
{
    const bool passes =
        err != NULL && (err->rc == RC_NETWORK || err->rc == RC_TIMEOUT || err->rc == RC_THROTTLED);

    return passes && ++lease->tries <= TRIES && !is_late(lease);
}

static void on_dropped(const struct err *err, void *arg)
{
    struct lease *lease = arg;

    if (may_drop_again(lease, err)) {
        lease_run(lease);
        return;
    }
    if (err != NULL) {
        log_info(LOG_JOB, "the claim on '%s' could not be removed, and ends by itself: %s",
                 lease->key, err->text);
    }
    if (lease->done != NULL) { /* wanted again meanwhile */
        tell_gone(lease);
        lease->give_up = lease->foreign = false;
        lease->since_ms = lease_now_ms(lease->leases);
        lease->step = MAKE;
        lease_run(lease);
        return;
    }
    end(lease, LEASE_FAILED, err);
}

static void lease_run(struct lease *lease)
{
    struct store *store = lease->leases->services->processed;

    switch (lease->step) {
    case MAKE: /* where nothing is */
        write_claim(lease, "");
        store_put(store, &lease->put, 1, on_made, lease);
        return;

    case PROVE: /* where our own is: the same again */
        lease->put.ret_etag = lease->over;
        store_put(store, &lease->put, 1, on_proven, lease);
        return;

    case LOOK: /* whose is it? */
        store_head(store, lease->claim_key, on_seen, lease);
        return;

    case READ:
        store_get(store, lease->claim_key, NULL, lease->etag, 0, lease->len, lease->bytes, on_read,
                  lease);
        return;

    case REPLACE: /* ours from before a restart, or a dead daemon's */
        write_over(lease);
        store_put(store, &lease->put, 1, on_replaced, lease);
        return;

    case HOLD: /* the timer goes on */
        return;

    case BEAT: /* over what we wrote last */
        write_over(lease);
        store_put(store, &lease->put, 1, on_beaten, lease);
        return;

    case CHECK:
        store_head(store, lease->claim_key, on_checked, lease);
        return;

    case DROP: /* while it is ours beyond doubt; else it is left alone */
        if (is_late(lease)) {
            on_dropped(NULL, lease);
            return;
        }
        store_remove_if(store, lease->claim_key, lease->etag,
                        lease->beaten_ms + lease_ms(lease->leases) - now_mono_ms(), on_dropped,
                        lease);
        return;
    }
}

static void on_timer(void *arg)
{
    struct job_leases *leases = arg;
    struct lease *next;

    for (struct lease *lease = leases->first; lease != NULL; lease = next) {
        next = lease->next;
        if (lease->step == HOLD && lease->beat_at_ms <= now_mono_ms()) {
            lease->step = BEAT;
            lease_run(lease);
        }
    }
    arm(leases);
}

/* ---- the face */

struct job_leases *job_leases_new(struct services *services, const char *owner, const char *who)
{
    struct job_leases *leases = mem_new(struct job_leases);

    *leases =
        (struct job_leases){.services = services, .owner = str_dup(owner), .who = str_dup(who)};
    leases->timer = loop_timer_new(services->loop, on_timer, leases);
    return leases;
}

void job_leases_free(struct job_leases *leases)
{
    if (leases == NULL) {
        return;
    }
    loop_timer_free(leases->timer);
    while (leases->first != NULL) {
        forget(leases->first);
    }
    free(leases->owner);
    free(leases->who);
    free(leases);
}

/** That we have it already is answered later, like all else. */
struct kept {
    job_lease_fn *done;
    void *arg;
};

static void answer_kept(void *arg)
{
    struct kept *kept = arg;

    kept->done(&(struct job_lease_answer){.outcome = LEASE_KEPT}, NULL, kept->arg);
    free(kept);
}

/** We have it, or are on the way to give it up. */
static void take_again(struct lease *lease, const struct job *job, job_lease_lost_fn *lost,
                       job_lease_fn *done, void *arg)
{
    lease->lost = lost;
    lease->arg = arg;
    if (lease->sweep) { /* it was to be removed only, and is the job's now */
        free(lease->about);
        lease->about = lease_describe(job);
        lease->sweep = false;
        tell_gone(lease);
        lease->give_up = lease->step == DROP;
        lease->done = done;
        return;
    }
    if (lease->step == DROP) {
        lease->done = done; /* when it is gone */
        return;
    }
    struct kept *kept = mem_new(struct kept);

    *kept = (struct kept){done, arg};
    lease->give_up = false;
    loop_defer(lease->leases->services->loop, answer_kept, kept);
}

static void name_taking(struct lease *lease)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random)) {
        random = (uint64_t)now_mono_us(); /* only our own takings are told apart by it */
    }
    snprintf(lease->take, sizeof(lease->take), "%016" PRIx64, random);
}

static struct lease *lease_new(struct job_leases *leases, const struct job *job)
{
    struct lease *lease = mem_new(struct lease);

    *lease = (struct lease){
        .leases = leases,
        .next = leases->first,
        .key = str_dup(job->object.key),
        .claim_key = job_lease_key(job->object.key),
        .about = lease_describe(job),
        .step = MAKE,
        .since_ms = lease_now_ms(leases),
    };
    name_taking(lease);
    leases->first = lease;
    return lease;
}

void job_lease_take(struct job_leases *leases, const struct job *job, job_lease_lost_fn *lost,
                    job_lease_fn *done, void *arg)
{
    struct lease *lease = find(leases, job->object.key);

    if (lease != NULL && lease->step == HOLD && is_late(lease)) {
        lease->lost = NULL;
        lose(lease, "");
        lease = NULL;
    }
    if (lease != NULL) {
        take_again(lease, job, lost, done, arg);
        return;
    }
    lease = lease_new(leases, job);
    lease->lost = lost;
    lease->done = done;
    lease->arg = arg;
    lease_run(lease);
}

void lease_sweep(struct job_leases *leases, const char *key, const struct store_object *seen,
                 loop_fn *done, void *arg)
{
    const struct job job = {.object = {.key = key, .etag = "", .version = "", .sequencer = ""}};

    if (find(leases, key) != NULL) {
        loop_defer(leases->services->loop, done, arg);
        return;
    }
    struct lease *lease = lease_new(leases, &job);

    lease->sweep = lease->give_up = true;
    lease->gone = done;
    lease->gone_arg = arg;
    lease->step = READ;
    note_seen(lease, seen);
    lease_run(lease);
}

void job_lease_rest(struct job_leases *leases, const char *key)
{
    struct lease *lease = find(leases, key);

    if (lease != NULL) {
        lease->lost = NULL;
    }
}

void job_lease_give_up(struct job_leases *leases, const char *key, loop_fn *done, void *arg)
{
    struct lease *lease = find(leases, key);

    if (lease == NULL || lease->sweep) {
        if (done != NULL) {
            loop_defer(leases->services->loop, done, arg);
        }
        return;
    }
    if (done != NULL) {
        lease->gone = done;
        lease->gone_arg = arg;
    }
    lease->lost = NULL;
    if (lease->step == HOLD) {
        lease->step = DROP;
        lease_run(lease);
    } else {
        lease->give_up = true;
    }
}

void job_lease_set_foreign(struct job_leases *leases, const char *key)
{
    struct lease *lease = find(leases, key);

    if (lease != NULL) {
        lease->foreign = true;
    }
}

bool job_lease_is_foreign(const struct job_leases *leases, const char *key)
{
    const struct lease *lease = find(leases, key);

    return lease != NULL && lease->foreign;
}

int64_t job_lease_lost_until_ms(const struct job_leases *leases)
{
    return now_wall_ms() + MIN_OF(lease_ms(leases) / 4, SKEW_MS);
}

bool job_leases_busy(const struct job_leases *leases)
{
    if (leases->sweep != NULL) {
        return true;
    }
    for (const struct lease *lease = leases->first; lease != NULL; lease = lease->next) {
        if (lease->step != HOLD) {
            return true;
        }
    }
    return false;
}

unsigned job_leases_held(const struct job_leases *leases)
{
    unsigned held = 0;

    for (const struct lease *lease = leases->first; lease != NULL; lease = lease->next) {
        held += lease->step == HOLD || lease->step == BEAT || lease->step == CHECK;
    }
    return held;
}
