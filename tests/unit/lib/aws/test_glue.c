/** @file
 * Glue: what is asked, and what is believed of the answers. Answers are as botocore's model of the
 * service and moto write them.
 */
#include "lib/aws/glue.h"

#include <jansson.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "tests/unit.h"
#include "tests/unit/lib/aws/fake_aws.h"

static struct glue_seen {
    unsigned calls;
    enum rc rc;
    char text[480], answer[300], version[40];
    struct glue_crawler crawler;
    struct glue_run run;
    unsigned columns, keys, known;
    char last_column[80];
} seen;

static void note_error(const struct err *err)
{
    seen.calls++;
    seen.rc = err != NULL ? err->rc : RC_OK;
    snprintf(seen.text, sizeof(seen.text), "%s", err != NULL ? err->text : "");
}

static void on_done(const struct err *err, void *arg)
{
    (void)arg;
    note_error(err);
}

static void on_text(const char *text, const struct err *err, void *arg)
{
    on_done(err, arg);
    snprintf(seen.answer, sizeof(seen.answer), "%s", text);
}

static void on_crawler(const struct glue_crawler *crawler, const struct err *err, void *arg)
{
    on_done(err, arg);
    if (crawler != NULL) {
        seen.crawler = *crawler;
        snprintf(seen.answer, sizeof(seen.answer), "%s|%s", crawler->last_error,
                 crawler->log_stream);
    }
}

static void on_run(const struct glue_run *run, const struct err *err, void *arg)
{
    on_done(err, arg);
    if (run != NULL) {
        seen.run = *run;
        snprintf(seen.answer, sizeof(seen.answer), "%s|%s", run->id, run->error);
    }
}

static void on_table(const struct glue_table *table, const char *version, const struct err *err,
                     void *arg)
{
    on_done(err, arg);
    snprintf(seen.version, sizeof(seen.version), "%s", version);
    if (table != NULL) {
        seen.columns = table->column_count;
        seen.keys = table->partition_key_count;
        snprintf(seen.answer, sizeof(seen.answer), "%s", table->location);
        snprintf(seen.last_column, sizeof(seen.last_column), "%s %s",
                 table->columns[table->column_count - 1].name,
                 table->columns[table->column_count - 1].type);
    }
}

static void on_partitions(unsigned known, const struct err *err, void *arg)
{
    on_done(err, arg);
    seen.known = known;
}

static int reset(void **state)
{
    (void)state;
    seen = (struct glue_seen){0};
    fake_done();
    return 0;
}

/** What was sent, for one look at a path of it. */
static const char *sent(const char *name)
{
    static char text[4096];
    json_t *body = json_loads(fake_call.body, 0, NULL);
    char *dump = json_dumps(json_object_get(body, name), JSON_ENCODE_ANY | JSON_SORT_KEYS);

    snprintf(text, sizeof(text), "%s", dump != NULL ? dump : "");
    free(dump);
    json_decref(body);
    return text;
}

/** As aws.c maps a 400 that it does not know. */
static void answer_error(const char *code)
{
    const struct err err = {.rc = RC_INVALID, .text = "StartCrawler: said no"};

    fake_answer(400, "{}", code, &err);
}

/* ---- crawlers ---- */

static void a_crawler_is_read_with_its_last_crawl(void **state)
{
    (void)state;
    glue_crawler_get(NULL, "raw", on_crawler, NULL);
    assert_string_equal(fake_call.service, "glue");
    assert_string_equal(fake_call.operation, "GetCrawler");
    assert_string_equal(fake_call.version, "1.1");
    assert_string_equal(sent("Name"), "\"raw\"");
    fake_answer(200,
                "{\"Crawler\":{\"Name\":\"raw\",\"State\":\"STOPPING\",\"DatabaseName\":\"sevir\","
                "\"LastCrawl\":{\"Status\":\"FAILED\",\"ErrorMessage\":\"no access\",\"LogGroup\":"
                "\"/aws-glue/crawlers\",\"LogStream\":\"raw\",\"StartTime\":1500000000.25}}}",
                "", NULL);
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.crawler.state, GLUE_STOPPING);
    assert_int_equal(seen.crawler.last_status, GLUE_CRAWL_FAILED);
    assert_int_equal(seen.crawler.last_started_ms, 1500000000250);
    assert_string_equal(seen.answer, "no access|raw");
}

static void a_crawler_that_never_ran_has_no_last_crawl(void **state)
{
    (void)state;
    glue_crawler_get(NULL, "raw", on_crawler, NULL);
    fake_answer(200, "{\"Crawler\":{\"Name\":\"raw\",\"State\":\"READY\"}}", "", NULL);
    assert_int_equal(seen.crawler.state, GLUE_READY);
    assert_int_equal(seen.crawler.last_status, GLUE_CRAWL_NONE);
    assert_int_equal(seen.crawler.last_started_ms, 0);
}

static void a_state_that_nobody_knows_is_told(void **state)
{
    (void)state;
    glue_crawler_get(NULL, "raw", on_crawler, NULL);
    fake_answer(200, "{\"Crawler\":{\"State\":\"DREAMING\"}}", "", NULL);
    assert_int_equal(seen.rc, RC_CORRUPT);
    assert_string_equal(seen.text, "crawler 'raw' has the unknown state 'DREAMING'");
}

static void an_answer_that_is_no_object_is_told(void **state)
{
    static const char *const bodies[] = {"", "[]", "<html>", "{\"Crawler\":"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        glue_crawler_get(NULL, "raw", on_crawler, NULL);
        fake_answer(200, bodies[i], "", NULL);
        assert_int_equal(seen.rc, RC_CORRUPT);
    }
    assert_int_equal(seen.calls, ARRAY_LEN(bodies));
}

static void each_of_glues_errors_says_what_to_do(void **state)
{
    static const struct {
        const char *code;
        enum rc rc;
    } cases[] = {
        {"CrawlerRunningException", RC_CONFLICT},
        {"CrawlerStoppingException", RC_CONFLICT},
        {"ConcurrentModificationException", RC_CONFLICT},
        {"ConcurrentRunsExceededException", RC_THROTTLED},
        {"ResourceNumberLimitExceededException", RC_THROTTLED},
        {"OperationTimeoutException", RC_TIMEOUT},
        {"InternalServiceException", RC_NETWORK},
        {"EntityNotFoundException", RC_NOT_FOUND},
        {"InvalidInputException", RC_INVALID},
        {"SomethingNew", RC_INVALID},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        glue_crawler_start(NULL, "raw", on_done, NULL);
        assert_string_equal(fake_call.operation, "StartCrawler");
        answer_error(cases[i].code);
        assert_int_equal(seen.rc, cases[i].rc);
        assert_string_equal(seen.text, "StartCrawler: said no");
    }
}

/* ---- runs ---- */

static void a_run_is_started_with_our_arguments(void **state)
{
    const struct sigv4_pair arguments[] = {{"--token", "t1"}, {"--keys", "a b"}};

    (void)state;
    glue_run_start(NULL, "extract", arguments, 2, on_text, NULL);
    assert_string_equal(fake_call.operation, "StartJobRun");
    assert_true(fake_call.once); /* a second one would be a second run */
    assert_string_equal(sent("JobName"), "\"extract\"");
    assert_string_equal(sent("Arguments"), "{\"--keys\": \"a b\", \"--token\": \"t1\"}");
    fake_answer(200, "{\"JobRunId\":\"jr_1\"}", "", NULL);
    assert_string_equal(seen.answer, "jr_1");
    glue_run_start(NULL, "extract", NULL, 0, on_text, NULL);
    fake_answer(200, "{}", "", NULL);
    assert_int_equal(seen.rc, RC_CORRUPT);
}

static void a_run_is_read_with_its_state(void **state)
{
    (void)state;
    glue_run_get(NULL, "extract", "jr_1", on_run, NULL);
    assert_string_equal(sent("RunId"), "\"jr_1\"");
    fake_answer(200,
                "{\"JobRun\":{\"Id\":\"jr_1\",\"JobRunState\":\"FAILED\",\"ErrorMessage\":\"OOM\","
                "\"DPUSeconds\":42.5,\"StartedOn\":1500000000,\"CompletedOn\":1500000060.5}}",
                "", NULL);
    assert_int_equal(seen.run.state, GLUE_RUN_FAILED);
    assert_true(glue_run_state_ended(seen.run.state));
    assert_int_equal(seen.run.completed_ms - seen.run.started_ms, 60500);
    assert_true(seen.run.dpu_seconds == 42.5);
    assert_string_equal(seen.answer, "jr_1|OOM");
}

static void the_states_that_end_a_run_are_glues(void **state)
{
    unsigned ended = 0;

    (void)state;
    for (unsigned s = 0; s < GLUE_RUN_COUNT; s++) {
        ended += glue_run_state_ended(s);
    }
    assert_int_equal(ended, 6);
    assert_false(glue_run_state_ended(GLUE_RUN_WAITING));
    assert_string_equal(glue_run_state_name(GLUE_RUN_EXPIRED), "EXPIRED");
}

static void a_run_is_found_again_by_its_token(void **state)
{
    (void)state;
    glue_run_find(NULL, "extract", "--token", "t9", 0, on_run, NULL);
    assert_string_equal(fake_call.operation, "GetJobRuns");
    fake_answer(200,
                "{\"JobRuns\":[{\"Id\":\"jr_1\",\"JobRunState\":\"RUNNING\",\"Arguments\":{"
                "\"--token\":\"t1\"}}],\"NextToken\":\"n\"}",
                "", NULL);
    assert_int_equal(seen.calls, 0);
    assert_string_equal(sent("NextToken"), "\"n\"");
    fake_answer(200,
                "{\"JobRuns\":[{\"Id\":\"jr_9\",\"JobRunState\":\"STARTING\",\"Arguments\":{"
                "\"--token\":\"t9\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_OK);
    assert_string_equal(seen.answer, "jr_9|");
}

static void a_search_for_a_run_ends(void **state)
{
    static const char page[] = "{\"JobRuns\":[{\"Id\":\"a\",\"JobRunState\":\"FAILED\","
                               "\"StartedOn\":2000}],\"NextToken\":\"n\"}";
    unsigned pages = 0;

    (void)state;
    glue_run_find(NULL, "extract", "--token", "t", 1000000, on_run, NULL);
    while (seen.calls == 0) {
        pages++;
        fake_answer(200, page, "", NULL);
    }
    assert_int_equal(seen.rc, RC_NOT_FOUND);
    assert_int_equal(pages, GLUE_FIND_PAGES);
    /* A page whose last run is older than what is sought is the last. */
    glue_run_find(NULL, "extract", "--token", "t", 3000000, on_run, NULL);
    fake_answer(200, page, "", NULL);
    assert_int_equal(seen.calls, 2);
}

static void a_run_that_has_ended_needs_no_stop(void **state)
{
    (void)state;
    glue_run_stop(NULL, "extract", "jr_1", on_done, NULL);
    assert_string_equal(fake_call.operation, "BatchStopJobRun");
    fake_answer(200,
                "{\"Errors\":[{\"JobRunId\":\"jr_1\",\"ErrorDetail\":{\"ErrorCode\":"
                "\"JobRunInTerminalStateException\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_OK);
    glue_run_stop(NULL, "extract", "jr_1", on_done, NULL);
    fake_answer(200,
                "{\"Errors\":[{\"ErrorDetail\":{\"ErrorCode\":\"JobRunNotInTheMood\","
                "\"ErrorMessage\":\"no\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_INVALID);
    assert_non_null(strstr(seen.text, "JobRunNotInTheMood"));
}

/* ---- the catalog ---- */

static const struct glue_column columns[] = {{"id", "string", "event"}, {"mean", "double", NULL}};
static const struct glue_column keys[] = {{"year", "bigint", NULL}};
static const struct glue_table frames = {.database = "sevir",
                                         .name = "frames",
                                         .location = "s3://b/frames",
                                         .columns = columns,
                                         .partition_keys = keys,
                                         .column_count = 2,
                                         .partition_key_count = 1};

static void a_table_is_made_as_csv_with_a_header(void **state)
{
    (void)state;
    glue_table_create(NULL, &frames, on_done, NULL);
    assert_string_equal(fake_call.operation, "CreateTable");
    assert_string_equal(sent("DatabaseName"), "\"sevir\"");
    const char *input = sent("TableInput");

    assert_non_null(strstr(input, "\"skip.header.line.count\": \"1\""));
    assert_non_null(strstr(input, "\"Location\": \"s3://b/frames\""));
    assert_non_null(strstr(input, "{\"Comment\": \"event\", \"Name\": \"id\", \"Type\": "
                                  "\"string\"}, {\"Name\": \"mean\", \"Type\": \"double\"}"));
    assert_non_null(
        strstr(input, "\"PartitionKeys\": [{\"Name\": \"year\", \"Type\": \"bigint\"}]"));
    fake_answer(200, "{}", "", NULL);
    assert_int_equal(seen.rc, RC_OK);
}

static void an_update_names_the_version_it_follows(void **state)
{
    (void)state;
    glue_table_update(NULL, &frames, "3", on_done, NULL);
    assert_string_equal(fake_call.operation, "UpdateTable");
    assert_string_equal(sent("VersionId"), "\"3\"");
    assert_string_equal(sent("SkipArchive"), "false");
    answer_error("ConcurrentModificationException");
    assert_int_equal(seen.rc, RC_CONFLICT);
}

static void a_table_is_read_back(void **state)
{
    (void)state;
    glue_table_get(NULL, "sevir", "frames", on_table, NULL);
    fake_answer(
        200,
        "{\"Table\":{\"Name\":\"frames\",\"DatabaseName\":\"sevir\",\"VersionId\":\"7\","
        "\"PartitionKeys\":[{\"Name\":\"year\",\"Type\":\"bigint\"}],\"StorageDescriptor\":"
        "{\"Location\":\"s3://b/frames\",\"Columns\":[{\"Name\":\"id\",\"Type\":\"string\"},"
        "{\"Name\":\"mean\",\"Type\":\"double\"}]}}}",
        "", NULL);
    assert_string_equal(seen.version, "7");
    assert_int_equal(seen.columns, 2);
    assert_int_equal(seen.keys, 1);
    assert_string_equal(seen.last_column, "mean double");
    glue_table_get(NULL, "sevir", "frames", on_table, NULL);
    fake_answer(200, "{}", "", NULL);
    assert_int_equal(seen.rc, RC_CORRUPT);
}

static void a_partition_that_is_there_is_no_error_and_another_failure_is(void **state)
{
    const char *const values[] = {"2019"};
    const struct glue_partition partition = {values, "s3://b/frames/year=2019"};

    (void)state;
    glue_partitions_create(NULL, &frames, &partition, 1, on_partitions, NULL);
    assert_string_equal(fake_call.operation, "BatchCreatePartition");
    assert_non_null(strstr(sent("PartitionInputList"), "\"Values\": [\"2019\"]"));
    fake_answer(200,
                "{\"Errors\":[{\"PartitionValues\":[\"2019\"],\"ErrorDetail\":{\"ErrorCode\":"
                "\"AlreadyExistsException\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.known, 1);

    glue_partitions_create(NULL, &frames, &partition, 1, on_partitions, NULL);
    fake_answer(200,
                "{\"Errors\":[{\"PartitionValues\":[\"2019\"],\"ErrorDetail\":{\"ErrorCode\":"
                "\"AlreadyExistsException\"}},{\"PartitionValues\":[\"2020\"],\"ErrorDetail\":{"
                "\"ErrorCode\":\"InternalServiceException\",\"ErrorMessage\":\"oops\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_NETWORK);
    assert_string_equal(
        seen.text, "a partition of table 'frames' ('2020', ...): InternalServiceException: oops");

    glue_partitions_create(NULL, &frames, &partition, 1, on_partitions, NULL);
    fake_answer(200, "{}", "", NULL);
    assert_int_equal(seen.rc, RC_OK);
    assert_int_equal(seen.known, 0);

    glue_partitions_delete(NULL, &frames, &partition, 1, on_done, NULL);
    assert_string_equal(fake_call.operation, "BatchDeletePartition");
    fake_answer(200, "{\"Errors\":[{\"ErrorDetail\":{\"ErrorCode\":\"EntityNotFoundException\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_OK);
}

static void a_partition_that_is_updated_is_described_anew(void **state)
{
    const char *const values[] = {"2019"};
    const struct glue_partition partition = {values, "s3://b/frames/year=2019"};
    struct glue_table quoted = frames;

    (void)state;
    quoted.quoted = true;
    glue_partitions_update(NULL, &quoted, &partition, 1, on_done, NULL);
    assert_string_equal(fake_call.operation, "BatchUpdatePartition");
    const char *entries = sent("Entries");

    assert_non_null(strstr(entries, "\"PartitionValueList\": [\"2019\"]"));
    assert_non_null(strstr(entries, "OpenCSVSerde"));
    assert_non_null(strstr(entries, "\"Location\": \"s3://b/frames/year=2019\""));
    fake_answer(200,
                "{\"Errors\":[{\"PartitionValueList\":[\"2019\"],\"ErrorDetail\":{\"ErrorCode\":"
                "\"EntityNotFoundException\",\"ErrorMessage\":\"gone\"}}]}",
                "", NULL);
    assert_int_equal(seen.rc, RC_INVALID);
    assert_string_equal(
        seen.text, "a partition of table 'frames' ('2019', ...): EntityNotFoundException: gone");
}

static void a_table_without_quotes_is_read_by_its_types_and_without_escapes(void **state)
{
    (void)state;
    glue_table_create(NULL, &frames, on_done, NULL);
    const char *input = sent("TableInput");

    assert_non_null(strstr(input, "LazySimpleSerDe"));
    assert_non_null(strstr(input, "\"field.delim\": \",\""));
    assert_non_null(strstr(input, "\"serialization.null.format\": \"\""));
    assert_null(strstr(input, "escape"));
    fake_answer(200, "{}", "", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_crawler_is_read_with_its_last_crawl, reset),
        cmocka_unit_test_setup(a_crawler_that_never_ran_has_no_last_crawl, reset),
        cmocka_unit_test_setup(a_state_that_nobody_knows_is_told, reset),
        cmocka_unit_test_setup(an_answer_that_is_no_object_is_told, reset),
        cmocka_unit_test_setup(each_of_glues_errors_says_what_to_do, reset),
        cmocka_unit_test_setup(a_run_is_started_with_our_arguments, reset),
        cmocka_unit_test_setup(a_run_is_read_with_its_state, reset),
        cmocka_unit_test_setup(the_states_that_end_a_run_are_glues, reset),
        cmocka_unit_test_setup(a_run_is_found_again_by_its_token, reset),
        cmocka_unit_test_setup(a_search_for_a_run_ends, reset),
        cmocka_unit_test_setup(a_run_that_has_ended_needs_no_stop, reset),
        cmocka_unit_test_setup(a_table_is_made_as_csv_with_a_header, reset),
        cmocka_unit_test_setup(an_update_names_the_version_it_follows, reset),
        cmocka_unit_test_setup(a_table_is_read_back, reset),
        cmocka_unit_test_setup_teardown(
            a_partition_that_is_there_is_no_error_and_another_failure_is, reset, reset),
        cmocka_unit_test_setup_teardown(a_partition_that_is_updated_is_described_anew, reset,
                                        reset),
        cmocka_unit_test_setup_teardown(
            a_table_without_quotes_is_read_by_its_types_and_without_escapes, reset, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
