/** @file
 * The client: transfers under way, their deadlines, and the one place where they end.
 *
 * Connect time-outs are libcurl's. Idle and total ones are ours: libcurl would look at each
 * transfer once a second, and a loop that waits for a long poll is to sleep. One timer stands at
 * the earliest deadline that was known when it was armed; a byte that moves only notes the time.
 */
#include "lib/net/http.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>
#include <utlist.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/net/http_p.h"

#define SPARES 8 /**< Handles kept when nothing is under way; else as many as are. */

/* ---- lists */

static void enlist(struct http_transfer *transfer, struct http_transfer **list)
{
    DL_APPEND(*list, transfer);
    transfer->list = list;
}

static void delist(struct http_transfer *transfer)
{
    DL_DELETE(*transfer->list, transfer);
    transfer->list = NULL;
}

static struct http_transfer *acquire(struct http_client *client)
{
    struct http_transfer *transfer = client->spare;

    if (transfer == NULL) {
        return http_transfer_new(client);
    }
    delist(transfer);
    client->spares--;
    return transfer;
}

static void release(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;

    http_transfer_clear(transfer);
    if (client->spares >= MAX_OF(client->busy, SPARES)) {
        http_transfer_free(transfer);
        return;
    }
    enlist(transfer, &client->spare);
    client->spares++;
}

static void forget_progress(struct http_transfer *transfer)
{
    struct http_transfer **slot = &transfer->client->progressing;

    if (transfer->progressed) {
        while (*slot != transfer) {
            slot = &(*slot)->next_progress;
        }
        *slot = transfer->next_progress;
        transfer->progressed = false;
    }
}

/** Out of libcurl and of our lists; only its memory is left. */
static void detach(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;

    if (transfer->added) {
        curl_multi_remove_handle(client->multi, transfer->easy);
        transfer->added = false;
    }
    forget_progress(transfer);
    delist(transfer);
    client->busy--;
    if (client->running == NULL && client->watch_due_ms != INT64_MAX) {
        loop_timer_disarm(client->watch);
        client->watch_due_ms = INT64_MAX;
    }
}

/* ---- ends */

static void fail(struct http_transfer *transfer, const struct err *err)
{
    detach(transfer);
    transfer->done(NULL, err, transfer->arg);
    release(transfer);
}

static void finish(struct http_transfer *transfer, CURLcode result)
{
    struct http_answer answer;
    struct err err = {0};

    if (http_transfer_judge(transfer, result, &err) != RC_OK) {
        fail(transfer, &err);
        return;
    }
    detach(transfer);
    http_transfer_answer(transfer, &answer);
    transfer->done(&answer, NULL, transfer->arg);
    release(transfer);
}

static void tell_progress(struct http_client *client)
{
    while (client->progressing != NULL) {
        struct http_transfer *transfer = client->progressing;

        client->progressing = transfer->next_progress;
        transfer->progressed = false;
        transfer->progress(transfer->body_taken, transfer->arg);
    }
}

void http_collect(struct http_client *client)
{
    CURLMsg *message;
    int left;

    tell_progress(client);
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) { /* it goes with its handle: copy first */
            const CURLcode result = message->data.result;
            struct http_transfer *transfer = NULL;

            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
            finish(transfer, result);
        }
    }
}

static void on_failed_due(void *arg)
{
    struct http_client *client = arg;

    while (client->failed != NULL) {
        const struct err err = client->failed->fault;

        fail(client->failed, &err);
    }
}

/* ---- deadlines */

static int64_t due_ms(const struct http_transfer *transfer)
{
    const int64_t total =
        transfer->total_ms > 0 ? transfer->began_ms + transfer->total_ms : INT64_MAX;

    return transfer->moving ? MIN_OF(total, transfer->moved_ms + transfer->idle_ms) : total;
}

void http_watch(struct http_transfer *transfer)
{
    struct http_client *client = transfer->client;
    const int64_t due = due_ms(transfer);

    if (due < client->watch_due_ms) {
        client->watch_due_ms = due;
        loop_timer_arm(client->watch, due - now_mono_ms());
    }
}

static void time_out(struct http_transfer *transfer, int64_t now_ms)
{
    const bool total = transfer->total_ms > 0 && transfer->began_ms + transfer->total_ms <= now_ms;
    char origin[HTTP_ORIGIN_MAX];
    struct err err;

    http_url_origin(transfer->url, origin, sizeof(origin));
    if (total) {
        err_set(&err, RC_TIMEOUT, "%s: not done within %" PRId64 " ms", origin, transfer->total_ms);
    } else {
        err_set(&err, RC_TIMEOUT, "%s: nothing moved for %" PRId64 " ms", origin,
                transfer->idle_ms);
    }
    fail(transfer, &err);
}

static void on_watch(void *arg)
{
    struct http_client *client = arg;
    const int64_t now_ms = now_mono_ms();
    struct http_transfer *transfer, *next;

    client->watch_due_ms = INT64_MAX;
    DL_FOREACH_SAFE(client->running, transfer, next)
    {
        if (due_ms(transfer) <= now_ms) {
            delist(transfer);
            enlist(transfer, &client->late);
        }
    }
    while (client->late != NULL) { /* their ends may end others */
        time_out(client->late, now_ms);
    }
    DL_FOREACH(client->running, transfer)
    {
        http_watch(transfer);
    }
}

/* ---- the client */

static bool proxy_in_environment(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);

        if (value != NULL && value[0] != '\0') {
            return true;
        }
    }
    return false;
}

static char *copy(const char *text)
{
    return text != NULL ? str_dup(text) : NULL;
}

enum rc http_client_new(struct loop *loop, const struct http_client_options *options,
                        struct http_client **ret_client, struct err *err)
{
    scoped(http_client_free) struct http_client *client = mem_new(struct http_client);

    if (options->ca_bundle != NULL && access(options->ca_bundle, R_OK) != 0) {
        err_errno(err, errno, "CA bundle '%s'", options->ca_bundle);
        return err->rc = RC_HOST;
    }
    *client = (struct http_client){
        .loop = loop,
        .ca_bundle = copy(options->ca_bundle),
        .proxy = copy(options->proxy),
        .user_agent = copy(options->user_agent),
        .allow_plain = copy(options->allow_plain),
        .any_proxy = options->proxy != NULL ? options->proxy[0] != '\0' : proxy_in_environment(),
        .idle_ms = options->idle_ms > 0 ? options->idle_ms : HTTP_IDLE_MS,
        .watch_due_ms = INT64_MAX,
    };
    client->watch = loop_timer_new(loop, on_watch, client);
    client->failed_due = loop_timer_new(loop, on_failed_due, client);
    if (http_loop_start(client,
                        options->host_connections > 0 ? options->host_connections
                                                      : HTTP_HOST_CONNECTIONS,
                        err) != RC_OK) {
        return err->rc;
    }
    *ret_client = TAKE(client);
    return RC_OK;
}

static void cancel_all(struct http_transfer **list)
{
    const struct err canceled = {RC_CANCELED, "the client has ended"};

    while (*list != NULL) {
        fail(*list, &canceled);
    }
}

void http_client_free(struct http_client *client)
{
    if (client == NULL) {
        return;
    }
    while (client->busy > 0) { /* an end may begin another */
        cancel_all(&client->running);
        cancel_all(&client->late);
        cancel_all(&client->failed);
    }
    while (client->spare != NULL) {
        struct http_transfer *transfer = client->spare;

        delist(transfer);
        http_transfer_free(transfer);
    }
    http_loop_stop(client);
    loop_timer_free(client->watch);
    loop_timer_free(client->failed_due);
    free(client->ca_bundle);
    free(client->proxy);
    free(client->user_agent);
    free(client->allow_plain);
    free(client);
}

/** What never began ends as everything does: later, from the loop. */
static void fail_later(struct http_transfer *transfer, const struct err *err)
{
    transfer->fault = *err;
    enlist(transfer, &transfer->client->failed);
    loop_timer_arm(transfer->client->failed_due, 0);
}

struct http_transfer *http_send(struct http_client *client, const struct http_call *call,
                                http_done_fn *done, void *arg)
{
    struct http_transfer *transfer = acquire(client);
    struct err err;

    assert(call->body != NULL || call->body_len == 0);
    transfer->done = done;
    transfer->arg = arg;
    client->busy++;
    if (http_transfer_set(transfer, call, &err) != RC_OK) {
        fail_later(transfer, &err);
        return transfer;
    }
    enlist(transfer, &client->running);
    if (curl_multi_add_handle(client->multi, transfer->easy) != CURLM_OK) {
        delist(transfer);
        err_set(&err, RC_HOST, "libcurl takes no more transfers");
        fail_later(transfer, &err);
        return transfer;
    }
    transfer->added = true;
    http_watch(transfer);
    return transfer;
}

void http_cancel(struct http_transfer *transfer)
{
    detach(transfer);
    release(transfer);
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    for (unsigned i = 0; i < answer->header_count; i++) {
        if (strcmp(answer->headers[i].name, name) == 0) {
            return answer->headers[i].value;
        }
    }
    return NULL;
}

unsigned http_client_busy(const struct http_client *client)
{
    return client->busy;
}
