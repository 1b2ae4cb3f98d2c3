/** @file
 * Sending what stands in the outbox.
 *
 * A batch of rows is read, sent, a few at a time or as one digest, and marked; then the next. When
 * SNS does not take one, the rest waits with it: the order is kept, and a topic in trouble is not
 * asked for each row.
 */
#include "daemon/publish/outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/job/job_store.h"
#include "daemon/metrics.h"
#include "daemon/publish/outbox_p.h"
#include "lib/aws/sns.h"
#include "lib/base/digest.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define AT_ONCE 8 /**< To a FIFO topic one, or there would be no order to keep. */
#define RETRY_MS 1000
#define RETRY_MAX_MS 300000
#define PRUNE_MS 3600000

/** One message under way. */
struct send {
    struct outbox *outbox;
    struct send *next;
    struct aws_call *call;
    struct strbuf message;
    unsigned first, count; /**< Of the batch's rows. */
};

struct outbox {
    struct services *services;
    struct outbox_recorder recorder;
    struct job_watch *watch;
    struct loop_timer *timer;
    char *topic;
    int64_t digest_ms;
    unsigned at_once;
    bool stopping;
    loop_fn *stopped;
    void *stopped_arg;

    uint64_t unsent, sent, refused;
    struct err error; /**< rc is RC_OK while all is well. */
    int64_t error_ms;
    unsigned failures; /**< In a row. */
    int64_t pruned_ms; /**< Monotonic; 0: not yet. */

    /* the batch under way */
    enum { REST, READING, SENDING, MARKING } step;
    struct arena *arena;
    struct outbox_row rows[OUTBOX_BATCH];
    unsigned count, next, marks;
    uint64_t unsent_read;
    struct send *sends;
    bool held;  /**< One was not taken: the rest waits. */
    bool again; /**< A row was written since the batch was begun. */
};

/** Rows to be marked alike; the writer's until it is done. */
struct mark {
    struct outbox *outbox;
    struct outbox_outcome outcome;
};

static void run(struct outbox *outbox);

static void show(const struct outbox *outbox)
{
    metric_set(outbox->services->metrics, METRIC_OUTBOX, METRIC_LABELS(""), (double)outbox->unsent);
}

/* ---- the end of a batch */

static void check_stopped(void *arg)
{
    struct outbox *outbox = arg;

    if (outbox->stopping && outbox->step == REST && outbox->stopped != NULL) {
        loop_fn *stopped = TAKE(outbox->stopped);
        void *stopped_arg = outbox->stopped_arg;

        job_watch_stop(outbox->watch);
        job_store_set_recorder(outbox->services->jobs, NULL, NULL);
        loop_timer_free(outbox->timer);
        arena_free(outbox->arena);
        free(outbox->topic);
        free(outbox);
        stopped(stopped_arg);
    }
}

static void batch_end(struct outbox *outbox)
{
    outbox->step = REST;
    if (outbox->stopping) {
        check_stopped(outbox);
        return;
    }
    if (outbox->held) {
        int64_t delay_ms = RETRY_MS;

        for (unsigned i = 1; i < outbox->failures && delay_ms < RETRY_MAX_MS; i++) {
            delay_ms *= 2;
        }
        loop_timer_arm(outbox->timer, MIN_OF(delay_ms, (int64_t)RETRY_MAX_MS));
        return;
    }
    outbox->failures = 0; /* or news would wait for a time that does not run */
    if (outbox->unsent > 0 || outbox->again) {
        loop_timer_arm(outbox->timer, outbox->count == OUTBOX_BATCH ? 0 : outbox->digest_ms);
    }
}

static enum rc mark_write(struct db *db, void *arg, struct err *err)
{
    const struct mark *mark = arg;

    return outbox_mark(db, &mark->outcome, err);
}

static void mark_done(const struct err *err, void *arg)
{
    struct mark *mark = arg;
    struct outbox *outbox = mark->outbox;

    if (err != NULL) { /* they will be sent again, which is better than not at all */
        log_warn(LOG_PUBLISH, "what was notified could not be noted: %s", err->text);
        outbox->held = true;
        outbox->failures++;
    } else if (mark->outcome.sent || mark->outcome.given_up) {
        outbox->unsent -= MIN_OF(outbox->unsent, (uint64_t)mark->outcome.count);
        outbox->sent += mark->outcome.sent ? mark->outcome.count : 0;
        outbox->refused += mark->outcome.given_up ? mark->outcome.count : 0;
    }
    free(mark);
    show(outbox);
    outbox->marks--;
    run(outbox);
}

/** Whether time will not help: it is this message that SNS does not take. */
static bool is_refusal(const struct err *err)
{
    return err->rc == RC_INVALID;
}

static void mark(struct outbox *outbox, const struct send *send, const struct err *err)
{
    struct mark *mark = mem_new(struct mark);
    const int64_t now_ms = now_mono_ms();

    mark->outbox = outbox;
    mark->outcome.sent = err == NULL;
    mark->outcome.given_up = err != NULL && is_refusal(err);
    mark->outcome.prune = outbox->pruned_ms == 0 || now_ms - outbox->pruned_ms > PRUNE_MS;
    outbox->pruned_ms = mark->outcome.prune ? now_ms : outbox->pruned_ms;
    snprintf(mark->outcome.error, sizeof(mark->outcome.error), "%.290s",
             err != NULL ? err->text : "");
    for (unsigned i = 0; i < send->count; i++) {
        mark->outcome.ids[mark->outcome.count++] = outbox->rows[send->first + i].id;
    }
    outbox->marks++;
    job_store_write(outbox->services->jobs, mark_write, mark_done, mark);
}

/* ---- sending */

static void note_failure(struct outbox *outbox, const struct err *err)
{
    if (outbox->error.rc == RC_OK || strcmp(outbox->error.text, err->text) != 0) {
        log_warn(LOG_PUBLISH, "notifications: %s; %" PRIu64 " wait", err->text, outbox->unsent);
    }
    if (outbox->error.rc == RC_OK) {
        outbox->error_ms = now_wall_ms();
    }
    outbox->error = *err;
}

static void on_sent(const char *message_id, const struct err *err, void *arg)
{
    struct send *send = arg;
    struct outbox *outbox = send->outbox;
    struct send **link = &outbox->sends;

    (void)message_id;
    while (*link != send) {
        link = &(*link)->next;
    }
    *link = send->next;
    if (err == NULL) {
        outbox->error.rc = RC_OK;
        outbox->failures = 0;
        metric_add(outbox->services->metrics, METRIC_NOTIFICATIONS, METRIC_LABELS("sent"), 1);
    } else if (err->rc != RC_CANCELED) {
        note_failure(outbox, err);
        metric_add(outbox->services->metrics, METRIC_NOTIFICATIONS, METRIC_LABELS("failed"), 1);
        if (!is_refusal(err)) {
            outbox->failures += !outbox->held;
            outbox->held = true;
        }
    }
    if (err == NULL || err->rc != RC_CANCELED) {
        mark(outbox, send, err);
    }
    strbuf_done(&send->message);
    free(send);
    run(outbox);
}

static void add_attribute(struct sigv4_pair *pairs, unsigned *count, const char *name,
                          const char *value)
{
    if (value[0] != '\0') { /* SNS takes no empty ones */
        pairs[(*count)++] = (struct sigv4_pair){name, value};
    }
}

/** The same as often as it is sent: a digest is made anew each time, at another time. */
static void name_send(const struct outbox *outbox, const struct send *send,
                      char ret_unique[DIGEST_HEX])
{
    scoped(digest_free) struct digest *digest = digest_new();
    uint8_t sha256[DIGEST_BYTES];

    for (unsigned i = 0; i < send->count; i++) {
        const char *body = outbox->rows[send->first + i].body;

        digest_add(digest, body, strlen(body) + 1);
    }
    digest_end(digest, sha256);
    digest_hex(sha256, ret_unique);
}

static void send_start(struct outbox *outbox, struct send *send)
{
    const struct outbox_row *row = &outbox->rows[send->first];
    const bool digest = outbox->digest_ms > 0;
    struct sigv4_pair attributes[4];
    unsigned count = 0;
    char unique[DIGEST_HEX];
    scoped(free) char *subject =
        digest ? str_printf("sevird: %u objects", send->count)
               : str_printf("sevird: %s %s", row->kind, str_basename(row->key));

    add_attribute(attributes, &count, "event", digest ? "digest" : row->kind);
    if (!digest) {
        add_attribute(attributes, &count, "table", row->table);
        add_attribute(attributes, &count, "class", row->class_name);
    }
    name_send(outbox, send, unique);
    send->outbox = outbox;
    send->next = outbox->sends;
    outbox->sends = send;
    send->call = sns_publish(outbox->services->aws, outbox->topic, subject,
                             strbuf_text(&send->message), unique, attributes, count, on_sent, send);
}

static unsigned sends_under_way(const struct outbox *outbox)
{
    unsigned count = 0;

    for (const struct send *send = outbox->sends; send != NULL; send = send->next) {
        count++;
    }
    return count;
}

static void send_more(struct outbox *outbox)
{
    while (outbox->next < outbox->count && !outbox->held && !outbox->stopping &&
           sends_under_way(outbox) < outbox->at_once) {
        struct send *send = mem_new(struct send);

        send->first = outbox->next;
        send->count = 1;
        if (outbox->digest_ms > 0) {
            send->count = outbox_digest(&outbox->rows[outbox->next], outbox->count - outbox->next,
                                        &send->message);
        } else {
            strbuf_puts(&send->message, outbox->rows[outbox->next].body);
        }
        outbox->next += send->count;
        send_start(outbox, send);
    }
}

/* ---- reading */

static enum rc batch_read(struct db *db, void *arg, struct err *err)
{
    struct outbox *outbox = arg;

    return outbox_read(db, outbox->arena, outbox->rows, &outbox->count, &outbox->unsent_read, err);
}

static void on_read(const struct err *err, void *arg)
{
    struct outbox *outbox = arg;

    if (err != NULL) {
        note_failure(outbox, err);
        outbox->failures++;
        outbox->held = true;
        outbox->count = 0;
    } else {
        outbox->unsent = outbox->unsent_read;
        show(outbox);
    }
    outbox->step = SENDING;
    run(outbox);
}

static void run(struct outbox *outbox)
{
    switch (outbox->step) {
    case REST:
        return;

    case READING: /* on_read() goes on */
        return;

    case SENDING: /* on_sent() comes back here */
        send_more(outbox);
        if (outbox->sends != NULL) {
            return;
        }
        outbox->step = MARKING;
        run(outbox);
        return;

    case MARKING: /* mark_done() comes back here */
        if (outbox->marks == 0) {
            batch_end(outbox);
        }
        return;
    }
}

static void begin(void *arg)
{
    struct outbox *outbox = arg;

    if (outbox->step != REST || outbox->stopping) {
        return;
    }
    arena_reset(outbox->arena);
    outbox->count = outbox->next = 0;
    outbox->held = outbox->again = false;
    outbox->step = READING;
    job_store_read(outbox->services->jobs, batch_read, on_read, outbox);
}

static void on_news(const struct job_news *news, void *arg)
{
    struct outbox *outbox = arg;

    if (outbox_kind(&outbox->recorder, news->to) == NULL) {
        return;
    }
    outbox->unsent++;
    outbox->again = true;
    show(outbox);
    /* While SNS is in trouble its own time runs; a batch under way looks again at its end. */
    if (outbox->step == REST && outbox->failures == 0 &&
        (outbox->unsent == 1 || outbox->digest_ms == 0)) {
        loop_timer_arm(outbox->timer, outbox->digest_ms);
    }
}

/* ---- the face */

struct outbox *outbox_start(struct services *services)
{
    const struct conf *conf = services->conf;
    struct outbox *outbox;

    if (conf->notify_sns_topic_arn == NULL) {
        return NULL;
    }
    outbox = mem_new(struct outbox);
    outbox->services = services;
    outbox->topic = str_dup(conf->notify_sns_topic_arn);
    outbox->digest_ms = conf->notify_digest_ms;
    outbox->at_once = sns_is_fifo(outbox->topic) ? 1 : AT_ONCE;
    outbox->recorder = (struct outbox_recorder){
        .raw = services->raw->uri,
        .processed = services->processed->uri,
        .done = conf_list_has(conf->notify_on, "done"),
        .quarantined = conf_list_has(conf->notify_on, "quarantined"),
        .retired = conf_list_has(conf->notify_on, "retired"),
    };
    outbox->arena = arena_new();
    outbox->timer = loop_timer_new(services->loop, begin, outbox);
    job_store_set_recorder(services->jobs, outbox_record, &outbox->recorder);
    outbox->watch = job_watch_start(services->jobs, on_news, outbox);
    begin(outbox); /* what the last daemon had left */
    return outbox;
}

void outbox_stop(struct outbox *outbox, loop_fn *done, void *arg)
{
    outbox->stopping = true;
    outbox->stopped = done;
    outbox->stopped_arg = arg;
    loop_timer_disarm(outbox->timer);
    for (struct send *send = outbox->sends; send != NULL; send = send->next) {
        aws_cancel(send->call);
    }
    if (outbox->step == REST) { /* never from inside the call */
        loop_defer(outbox->services->loop, check_stopped, outbox);
    }
}

void outbox_status(const struct outbox *outbox, struct outbox_status *ret_status)
{
    *ret_status =
        (struct outbox_status){.unsent = outbox->unsent,
                               .sent = outbox->sent,
                               .refused = outbox->refused,
                               .error = outbox->error.rc != RC_OK ? outbox->error.text : "",
                               .error_ms = outbox->error.rc != RC_OK ? outbox->error_ms : 0};
}
