/** @file
 * One Athena query from its start to its last row, each answer scripted as the service gives it.
 */
#include "lib/aws/athena.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit.h"
#include "tests/unit/lib/aws/fake_aws.h"

static struct loop *loop;
static struct athena_seen {
    unsigned done, columns;
    struct strbuf rows; /**< "a|NULL;" a row. */
    char names[200], id[80], text[480];
    enum rc rc;
    struct athena_result result;
} seen;

static void on_columns(const struct athena_column *columns, unsigned count, void *arg)
{
    (void)arg;
    seen.columns = count;
    for (unsigned i = 0; i < count; i++) {
        size_t len = strlen(seen.names);

        snprintf(seen.names + len, sizeof(seen.names) - len, "%s %s,", columns[i].name,
                 columns[i].type);
    }
}

static void on_row(const char *const *values, unsigned count, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(&seen.rows, "%s%s", i > 0 ? "|" : "", values[i] != NULL ? values[i] : "NULL");
    }
    strbuf_putc(&seen.rows, ';');
}

static void on_done(const struct athena_result *result, const struct err *err, void *arg)
{
    (void)arg;
    seen.done++;
    seen.result = *result;
    snprintf(seen.id, sizeof(seen.id), "%s", result->id);
    seen.rc = err != NULL ? err->rc : RC_OK;
    snprintf(seen.text, sizeof(seen.text), "%s", err != NULL ? err->text : "");
}

static const struct athena_calls calls = {on_columns, on_row, on_done, NULL};

static int reset(void **state)
{
    (void)state;
    strbuf_done(&seen.rows);
    seen = (struct athena_seen){0};
    fake_done();
    loop_free(loop);
    loop = loop_new();
    return 0;
}

static int clean(void **state)
{
    reset(state);
    loop_free(TAKE(loop));
    return 0;
}

static struct athena_query *query_of(uint64_t max_rows)
{
    const struct athena_options options = {.sql = "SELECT 1",
                                           .workgroup = "sevir",
                                           .database = "sevir",
                                           .token = "0123456789abcdef0123456789abcdef",
                                           .max_rows = max_rows};

    return athena_query(NULL, loop, &options, &calls);
}

#define STARTED "{\"QueryExecutionId\":\"q-1\"}"
#define STATE(state, more) "{\"QueryExecution\":{" more "\"Status\":{\"State\":\"" state "\"}}}"
#define SELECT "\"StatementType\":\"DML\",\"SubstatementType\":\"SELECT\","
#define META                                                                         \
    "\"ResultSetMetadata\":{\"ColumnInfo\":[{\"Name\":\"id\",\"Type\":\"varchar\"}," \
    "{\"Name\":\"n\",\"Type\":\"bigint\"}]}"
#define ROW(a, b) "{\"Data\":[{\"VarCharValue\":\"" a "\"},{\"VarCharValue\":\"" b "\"}]}"

static void answer(const char *body)
{
    fake_answer(200, body, "", NULL);
}

static void to_rows(const char *state)
{
    answer(STARTED);
    assert_string_equal(fake_call.operation, "GetQueryExecution");
    answer(state);
    assert_string_equal(fake_call.operation, "GetQueryResults");
}

static void a_select_gives_its_rows_without_the_header(void **state)
{
    (void)state;
    query_of(0);
    assert_string_equal(fake_call.operation, "StartQueryExecution");
    assert_non_null(strstr(fake_call.body, "\"ClientRequestToken\":\"0123456789abcdef"));
    assert_non_null(strstr(fake_call.body, "\"Database\":\"sevir\""));
    to_rows(STATE("SUCCEEDED", SELECT "\"Statistics\":{\"DataScannedInBytes\":12345},"));
    answer("{\"ResultSet\":{\"Rows\":[" ROW("id", "n") "," ROW("a", "1") "," ROW(
        "b", "2") "]," META "},\"NextToken\":\"p2\"}");
    /* On later pages there is no header, even where a row looks like one. */
    assert_non_null(strstr(fake_call.body, "\"NextToken\":\"p2\""));
    answer("{\"ResultSet\":{\"Rows\":[" ROW(
        "id", "n") ",{\"Data\":[{},{\"VarCharValue\":\"4\"}]}]," META "}}");
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.rc, RC_OK);
    assert_string_equal(seen.names, "id varchar,n bigint,");
    assert_string_equal(seen.rows.data, "a|1;b|2;id|n;NULL|4;");
    assert_int_equal(seen.result.rows, 4);
    assert_int_equal(seen.result.scanned_bytes, 12345);
    assert_string_equal(seen.id, "q-1");
}

static void a_show_has_no_header_to_leave_out(void **state)
{
    (void)state;
    query_of(0);
    to_rows(
        STATE("SUCCEEDED", "\"StatementType\":\"UTILITY\",\"SubstatementType\":\"SHOW_TABLES\","));
    answer(
        "{\"ResultSet\":{\"Rows\":[{\"Data\":[{\"VarCharValue\":\"tab_name\"}]}],"
        "\"ResultSetMetadata\":{\"ColumnInfo\":[{\"Name\":\"tab_name\",\"Type\":\"string\"}]}}}");
    assert_string_equal(seen.rows.data, "tab_name;");
}

static void an_empty_result_still_has_columns(void **state)
{
    (void)state;
    query_of(0);
    to_rows(STATE("SUCCEEDED", SELECT));
    answer("{\"ResultSet\":{\"Rows\":[" ROW("id", "n") "]," META "}}");
    assert_int_equal(seen.columns, 2);
    assert_int_equal(seen.result.rows, 0);
    assert_int_equal(seen.rc, RC_OK);
}

static void it_is_polled_until_it_has_ended(void **state)
{
    (void)state;
    query_of(0);
    answer(STARTED);
    answer(STATE("QUEUED", ""));
    assert_null(fake_call.done);
    loop_run(loop);
    assert_string_equal(fake_call.operation, "GetQueryExecution");
    answer(STATE("RUNNING", ""));
    loop_run(loop);
    answer(STATE("SUCCEEDED", SELECT));
    assert_string_equal(fake_call.operation, "GetQueryResults");
    answer("{\"ResultSet\":{\"Rows\":[]," META "}}");
    assert_int_equal(seen.done, 1);
}

static void what_fails_tells_athenas_reason(void **state)
{
    static const struct {
        const char *answer;
        enum rc rc;
        const char *text;
    } cases[] = {
        {"{\"QueryExecution\":{\"Status\":{\"State\":\"FAILED\",\"StateChangeReason\":"
         "\"SYNTAX_ERROR: line 1:8\",\"AthenaError\":{\"ErrorCategory\":2,\"Retryable\":false}}}}",
         RC_INVALID, "the query failed: SYNTAX_ERROR: line 1:8"},
        {"{\"QueryExecution\":{\"Status\":{\"State\":\"FAILED\",\"AthenaError\":{\"ErrorCategory\":"
         "1,\"ErrorMessage\":\"internal\"}}}}",
         RC_NETWORK, "the query failed: internal"},
        {"{\"QueryExecution\":{\"Status\":{\"State\":\"FAILED\",\"StateChangeReason\":\"slots\","
         "\"AthenaError\":{\"ErrorCategory\":2,\"Retryable\":true}}}}",
         RC_NETWORK, "the query failed: slots"},
        {"{\"QueryExecution\":{\"Status\":{\"State\":\"CANCELLED\",\"StateChangeReason\":"
         "\"Bytes scanned limit was exceeded\"}}}",
         RC_LIMIT, "the query was canceled: Bytes scanned limit was exceeded"},
        {"{\"QueryExecution\":{\"Status\":{\"State\":\"CANCELLED\"}}}", RC_CANCELED,
         "the query was canceled: "},
        {"{\"QueryExecution\":{\"Status\":{\"State\":\"ASLEEP\"}}}", RC_CORRUPT,
         "the query has the unknown state 'ASLEEP'"},
        {"{}", RC_CORRUPT, "the query has the unknown state ''"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        reset(state);
        query_of(0);
        answer(STARTED);
        answer(cases[i].answer);
        assert_int_equal(seen.done, 1);
        assert_int_equal(seen.rc, cases[i].rc);
        assert_string_equal(seen.text, cases[i].text);
    }
}

static void a_start_that_is_refused_ends_it(void **state)
{
    const struct err err = {.rc = RC_DENIED, .text = "StartQueryExecution: no"};

    (void)state;
    query_of(0);
    fake_answer(400, "{}", "AccessDeniedException", &err);
    assert_int_equal(seen.rc, RC_DENIED);
    assert_string_equal(seen.id, "");
}

static void what_is_canceled_is_stopped_at_athena(void **state)
{
    (void)state;
    struct athena_query *query = query_of(0);

    answer(STARTED);
    answer(STATE("RUNNING", ""));
    athena_cancel(query);
    loop_run(loop);
    assert_string_equal(fake_call.operation, "StopQueryExecution");
    assert_int_equal(seen.done, 0);
    answer("{}");
    assert_int_equal(seen.done, 1);
    assert_int_equal(seen.rc, RC_CANCELED);
}

static void rows_beyond_the_limit_are_left(void **state)
{
    (void)state;
    query_of(1);
    to_rows(STATE("SUCCEEDED", SELECT));
    answer("{\"ResultSet\":{\"Rows\":[" ROW("id", "n") "," ROW("a", "1") "," ROW(
        "b", "2") "]," META "},\"NextToken\":\"p2\"}");
    assert_int_equal(seen.done, 1);
    assert_true(seen.result.truncated);
    assert_string_equal(seen.rows.data, "a|1;");
}

static void a_row_shorter_than_its_columns_is_filled_with_nulls(void **state)
{
    (void)state;
    query_of(0);
    to_rows(STATE("SUCCEEDED", SELECT));
    answer("{\"ResultSet\":{\"Rows\":[{\"Data\":[{\"VarCharValue\":\"x\"}]},{},7]," META "}}");
    assert_string_equal(seen.rows.data, "x|NULL;NULL|NULL;NULL|NULL;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_select_gives_its_rows_without_the_header, reset),
        cmocka_unit_test_setup(a_show_has_no_header_to_leave_out, reset),
        cmocka_unit_test_setup(an_empty_result_still_has_columns, reset),
        cmocka_unit_test_setup(it_is_polled_until_it_has_ended, reset),
        cmocka_unit_test_setup(what_fails_tells_athenas_reason, reset),
        cmocka_unit_test_setup(a_start_that_is_refused_ends_it, reset),
        cmocka_unit_test_setup(what_is_canceled_is_stopped_at_athena, reset),
        cmocka_unit_test_setup(rows_beyond_the_limit_are_left, reset),
        cmocka_unit_test_setup_teardown(a_row_shorter_than_its_columns_is_filled_with_nulls, reset,
                                        clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
