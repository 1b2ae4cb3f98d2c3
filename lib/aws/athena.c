/** @file
 * One Athena query. Read query_run() from top to bottom: it is the whole story.
 */
#include "lib/aws/athena.h"

#include <jansson.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/now.h"
#include "lib/base/str.h"

#define CALL_MS 60000
#define POLL_FIRST_MS 100
#define POLL_MAX_MS 5000
#define PAGE_ROWS 1000
#define COLUMNS_MAX 4096

struct athena_query {
    struct aws *aws;
    struct loop_timer *timer;
    struct athena_calls calls;
    char *sql, *workgroup, *database, *catalog, *output, *token;
    int64_t deadline_ms; /**< Monotonic; 0: none. */
    uint64_t max_rows;

    enum query_step { START, STATE, PAUSE, PAGE, STOP, END } step;
    struct aws_call *call;
    char *body; /**< Of the call under way. */
    int64_t poll_ms;
    bool stop_asked;

    struct err err;
    char *id, *next; /**< `next`: token of the next page; NULL: the first. */
    bool has_rows;   /**< A SELECT or its like: the first row of the first page is the header. */
    struct athena_result result;
};

static void query_run(struct athena_query *query);

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *object, const char *name)
{
    const json_int_t value = json_integer_value(json_object_get(object, name));

    return value > 0 ? (uint64_t)value : 0;
}

static bool past_deadline(const struct athena_query *query)
{
    return query->deadline_ms > 0 && now_mono_ms() >= query->deadline_ms;
}

/** From here on: stop it at Athena if it has begun, then tell. */
static void fail(struct athena_query *query, const struct err *err)
{
    if (query->err.rc == RC_OK) {
        query->err = *err;
    }
    query->step = query->step == STATE || query->step == PAUSE ? STOP : END;
    query_run(query);
}

/** Whether to go on; if not, the story has been told. */
static bool goes_on(struct athena_query *query)
{
    struct err why;

    if (query->stop_asked) {
        err_set(&why, RC_CANCELED, "the query was canceled");
    } else if (past_deadline(query)) {
        err_set(&why, RC_TIMEOUT, "the query took too long and was stopped");
    } else {
        return true;
    }
    fail(query, &why);
    return false;
}

static void send_call(struct athena_query *query, const char *operation, json_t *request,
                      aws_done_fn *done)
{
    scoped(free) char *target = str_printf("AmazonAthena.%s", operation);

    free(query->body);
    query->body = request != NULL ? json_dumps(request, JSON_COMPACT) : str_dup("{}");
    json_decref(request);
    query->call =
        aws_send_json(query->aws, "athena", "1.1", target, NULL, query->body, CALL_MS, done, query);
}

/** The answer as an object; NULL: the story goes on elsewhere. The caller unrefs. */
static json_t *take_answer(struct athena_query *query, const struct aws_answer *answer,
                           const struct err *err)
{
    json_t *object = NULL;
    struct err why;

    query->call = NULL;
    if (err != NULL) {
        fail(query, err);
        return NULL;
    }
    object = json_loadb(answer->http->body, answer->http->body_len, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        err_set(&why, RC_CORRUPT, "Athena's answer is no JSON object");
        fail(query, &why);
        return NULL;
    }
    return object;
}

/* ---- START ---- */

static void on_started(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct athena_query *query = arg;
    json_t *object = take_answer(query, answer, err);
    struct err why;

    if (object == NULL) {
        return;
    }
    query->id = str_dup(text_of(object, "QueryExecutionId"));
    json_decref(object);
    if (query->id[0] == '\0') {
        err_set(&why, RC_CORRUPT, "Athena started the query and gave it no id");
        fail(query, &why);
        return;
    }
    query->step = STATE;
    query_run(query);
}

static void start(struct athena_query *query)
{
    json_t *request =
        json_pack("{s:s, s:s, s:{s:s}}", "QueryString", query->sql, "ClientRequestToken",
                  query->token, "QueryExecutionContext", "Catalog", query->catalog);

    if (query->database != NULL) {
        json_object_set_new(json_object_get(request, "QueryExecutionContext"), "Database",
                            json_string(query->database));
    }
    json_object_set_new(request, "WorkGroup", json_string(query->workgroup));
    if (query->output != NULL) {
        json_object_set_new(request, "ResultConfiguration",
                            json_pack("{s:s}", "OutputLocation", query->output));
    }
    send_call(query, "StartQueryExecution", request, on_started);
}

/* ---- STATE ---- */

/** "Bytes scanned limit was exceeded" is the workgroup's doing, not the query's. */
static void judge_failure(const json_t *status, const char *state, struct err *err)
{
    const json_t *error = json_object_get(status, "AthenaError");
    const char *reason = text_of(status, "StateChangeReason");
    const char *message = text_of(error, "ErrorMessage");
    const int category = (int)json_integer_value(json_object_get(error, "ErrorCategory"));
    enum rc rc = RC_INVALID;

    if (strcmp(state, "CANCELLED") == 0) {
        rc = strstr(reason, "scan") != NULL ? RC_LIMIT : RC_CANCELED;
    } else if (json_is_true(json_object_get(error, "Retryable"))) {
        rc = RC_NETWORK;
    } else if (category == 1) { /* system; 2 is the user's, 3 anything else */
        rc = RC_NETWORK;
    }
    err_set(err, rc, "the query %s: %.300s",
            strcmp(state, "FAILED") == 0 ? "failed" : "was canceled",
            reason[0] != '\0' ? reason : message);
}

static void note_statistics(struct athena_query *query, const json_t *execution)
{
    const json_t *statistics = json_object_get(execution, "Statistics");
    const char *type = text_of(execution, "StatementType");
    const char *kind = text_of(execution, "SubstatementType");

    query->result.scanned_bytes = number_of(statistics, "DataScannedInBytes");
    query->result.engine_ms = (int64_t)number_of(statistics, "EngineExecutionTimeInMillis");
    query->result.queued_ms = (int64_t)number_of(statistics, "QueryQueueTimeInMillis");
    /* DESCRIBE and SHOW are UTILITY and have no header; what creates or inserts has no rows. */
    query->has_rows = strcmp(type, "DML") == 0 && (kind[0] == '\0' || strcmp(kind, "SELECT") == 0 ||
                                                   strcmp(kind, "EXECUTE") == 0);
    if (type[0] == '\0') { /* an emulator that does not say */
        query->has_rows = true;
    }
}

static void on_state(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct athena_query *query = arg;
    json_t *object = take_answer(query, answer, err);
    const json_t *execution = json_object_get(object, "QueryExecution");
    const json_t *status = json_object_get(execution, "Status");
    const char *state = text_of(status, "State");
    struct err why;

    if (object == NULL) {
        return;
    }
    note_statistics(query, execution);
    if (strcmp(state, "QUEUED") == 0 || strcmp(state, "RUNNING") == 0) {
        query->step = PAUSE;
        query_run(query);
    } else if (strcmp(state, "SUCCEEDED") == 0) {
        query->step = PAGE;
        query_run(query);
    } else {
        if (strcmp(state, "FAILED") == 0 || strcmp(state, "CANCELLED") == 0) {
            judge_failure(status, state, &why);
        } else {
            err_set(&why, RC_CORRUPT, "the query has the unknown state '%.40s'", state);
        }
        query->err = why;
        query->step = END;
        query_run(query);
    }
    json_decref(object);
}

static void on_pause_over(void *arg)
{
    struct athena_query *query = arg;

    query->step = STATE;
    query_run(query);
}

/* ---- PAGE ---- */

static void tell_columns(struct athena_query *query, const json_t *infos)
{
    const size_t count = MIN_OF(json_array_size(infos), (size_t)COLUMNS_MAX);
    scoped(free) struct athena_column *all = mem_zeroed(MAX_OF(count, 1) * sizeof(*all));

    for (size_t i = 0; i < count; i++) {
        const json_t *info = json_array_get(infos, i);
        const char *label = text_of(info, "Label");

        all[i].name = label[0] != '\0' ? label : text_of(info, "Name");
        all[i].type = text_of(info, "Type");
    }
    query->calls.columns(all, (unsigned)count, query->calls.arg);
}

static void tell_row(struct athena_query *query, const json_t *row, size_t width)
{
    const json_t *data = json_object_get(row, "Data");
    scoped(free) const char **values = mem_zeroed(MAX_OF(width, 1) * sizeof(*values));

    for (size_t i = 0; i < width; i++) {
        values[i] = json_string_value(json_object_get(json_array_get(data, i), "VarCharValue"));
    }
    query->calls.row(values, (unsigned)width, query->calls.arg);
    query->result.rows++;
}

/** Whether it is what the header would be: each value the name of its column. */
static bool is_header(const json_t *row, const json_t *infos)
{
    const json_t *data = json_object_get(row, "Data");

    for (size_t i = 0; i < json_array_size(infos); i++) {
        const char *value = text_of(json_array_get(data, i), "VarCharValue");
        const json_t *info = json_array_get(infos, i);

        if (strcmp(value, text_of(info, "Name")) != 0 &&
            strcmp(value, text_of(info, "Label")) != 0) {
            return false;
        }
    }
    return json_array_size(infos) > 0;
}

static void tell_page(struct athena_query *query, const json_t *set, bool first)
{
    const json_t *infos = json_object_get(json_object_get(set, "ResultSetMetadata"), "ColumnInfo");
    const json_t *rows = json_object_get(set, "Rows");
    const size_t width = MIN_OF(json_array_size(infos), (size_t)COLUMNS_MAX);
    size_t i = first && query->has_rows && is_header(json_array_get(rows, 0), infos) ? 1 : 0;

    if (first) {
        tell_columns(query, infos);
    }
    for (; i < json_array_size(rows); i++) {
        if (query->max_rows > 0 && query->result.rows == query->max_rows) {
            query->result.truncated = true;
            return;
        }
        tell_row(query, json_array_get(rows, i), width);
    }
}

static void on_page(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct athena_query *query = arg;
    json_t *object = take_answer(query, answer, err);

    if (object == NULL) {
        return; /* and the query may be gone */
    }
    tell_page(query, json_object_get(object, "ResultSet"), query->next == NULL);
    free(query->next);
    query->next = str_dup(text_of(object, "NextToken"));
    json_decref(object);
    query->step = query->next[0] == '\0' || query->result.truncated ? END : PAGE;
    query_run(query);
}

static void ask_page(struct athena_query *query)
{
    json_t *request =
        json_pack("{s:s, s:i}", "QueryExecutionId", query->id, "MaxResults", PAGE_ROWS);

    if (query->next != NULL) {
        json_object_set_new(request, "NextToken", json_string(query->next));
    }
    send_call(query, "GetQueryResults", request, on_page);
}

/* ---- STOP, END ---- */

static void on_stopped(const struct aws_answer *answer, const struct err *err, void *arg)
{
    struct athena_query *query = arg;

    (void)answer, (void)err; /* it ends by itself, or its time-out does it */
    query->call = NULL;
    query->step = END;
    query_run(query);
}

static void finish(struct athena_query *query)
{
    query->result.id = query->id != NULL ? query->id : "";
    query->calls.done(&query->result, query->err.rc == RC_OK ? NULL : &query->err,
                      query->calls.arg);
    loop_timer_free(query->timer);
    free(query->sql);
    free(query->workgroup);
    free(query->database);
    free(query->catalog);
    free(query->output);
    free(query->token);
    free(query->body);
    free(query->id);
    free(query->next);
    free(query);
}

static void query_run(struct athena_query *query)
{
    switch (query->step) {
    case START:
        start(query);
        return;

    case STATE:
        if (goes_on(query)) {
            send_call(query, "GetQueryExecution", json_pack("{s:s}", "QueryExecutionId", query->id),
                      on_state);
        }
        return;

    case PAUSE: /* each time half as long again */
        loop_timer_arm(query->timer, query->poll_ms);
        query->poll_ms = MIN_OF(query->poll_ms * 3 / 2, (int64_t)POLL_MAX_MS);
        return;

    case PAGE:
        if (goes_on(query)) {
            ask_page(query);
        }
        return;

    case STOP:
        send_call(query, "StopQueryExecution", json_pack("{s:s}", "QueryExecutionId", query->id),
                  on_stopped);
        return;

    case END:
        finish(query);
        return;
    }
}

static char *dup_or(const char *text, const char *otherwise)
{
    return text != NULL ? str_dup(text) : otherwise != NULL ? str_dup(otherwise) : NULL;
}

struct athena_query *athena_query(struct aws *aws, struct loop *loop,
                                  const struct athena_options *options,
                                  const struct athena_calls *calls)
{
    struct athena_query *query = mem_new(struct athena_query);

    *query = (struct athena_query){
        .aws = aws,
        .calls = *calls,
        .sql = str_dup(options->sql),
        .workgroup = dup_or(options->workgroup, "primary"),
        .database = dup_or(options->database, NULL),
        .catalog = dup_or(options->catalog, "AwsDataCatalog"),
        .output = dup_or(options->output_location, NULL),
        .token = str_dup(options->token),
        .deadline_ms = options->total_ms > 0 ? now_mono_ms() + options->total_ms : 0,
        .max_rows = options->max_rows,
        .step = START,
        .poll_ms = POLL_FIRST_MS,
    };
    query->timer = loop_timer_new(loop, on_pause_over, query);
    query_run(query);
    return query;
}

void athena_cancel(struct athena_query *query)
{
    query->stop_asked = true;
    if (query->step == PAUSE) {
        loop_timer_arm(query->timer, 0);
    }
}
