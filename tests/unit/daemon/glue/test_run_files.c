/** @file
 * Plans and results of runs of the job.
 */
#include "tests/unit.h"

#include <jansson.h>
#include <string.h>

#include "daemon/glue/run_files.h"
#include "lib/base/mem.h"

#define SHA "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
#define MADE                                                                              \
    "{\"key\":\"p/a.csv\",\"etag\":\"e\",\"rows\":3,\"bytes\":40,\"sha256\":\"" SHA "\"," \
    "\"columns\":[{\"name\":\"x\",\"type\":\"bigint\"},{\"name\":\"y\",\"type\":\"string\"}]}"

static struct run_result *parse(const char *text)
{
    struct run_result *result = NULL;
    struct err err;

    assert_int_equal(run_result_parse(text, strlen(text), "t", &result, &err), RC_OK);
    return result;
}

static void a_plan_is_json_whatever_is_in_the_keys(void **state)
{
    scoped(strbuf_done) struct strbuf out = {0};
    const struct run_plan_object first = {"raw", "a \"b\"\n.csv", "v1", "e1", "s3://p/x.csv"};
    const struct run_plan_object second = {"raw", "\xe2\x82\xac.csv", "", "e2", "s3://p/y.csv"};
    json_t *plan;

    (void)state;
    run_plan_begin(&out, "t", "s3://p/r.json");
    run_plan_add(&out, &first, true);
    run_plan_add(&out, &second, false);
    run_plan_end(&out);
    plan = json_loadb(out.data, out.len, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(plan, "result")), "s3://p/r.json");
    const json_t *objects = json_object_get(plan, "objects");
    assert_int_equal(json_array_size(objects), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(objects, 0), "key")),
                        "a \"b\"\n.csv");
    assert_string_equal(json_string_value(json_object_get(json_array_get(objects, 1), "key")),
                        "\xe2\x82\xac.csv");
    json_decref(plan);
}

static void what_was_made_is_found_by_key_and_etag(void **state)
{
    scoped(run_result_free) struct run_result *result =
        parse("{\"token\":\"t\",\"objects\":[" MADE "]}");
    const struct job_remote_made *made = NULL;
    struct err err;

    (void)state;
    assert_int_equal(run_result_find(result, "p/a.csv", "e", &made, &err), RC_OK);
    assert_int_equal(made->rows, 3);
    assert_int_equal(made->bytes, 40);
    assert_int_equal(made->sha256[31], 0x0f);
    assert_int_equal(made->column_count, 2);
    assert_string_equal(made->columns[1].type, "string");
    assert_int_equal(made->quotes, CSV_QUOTES_UNKNOWN);
    assert_int_equal(run_result_find(result, "p/a.csv", "other", &made, &err), RC_NETWORK);
    assert_int_equal(run_result_find(result, "a.csv", "e", &made, &err), RC_NETWORK);
}

static void whether_fields_are_quoted_is_told_by_newer_scripts(void **state)
{
    (void)state;
    for (unsigned quoted = 0; quoted < 2; quoted++) {
        scoped(free) char *text =
            str_printf("{\"token\":\"t\",\"objects\":[{\"key\":\"k\",\"etag\":\"e\",\"rows\":1,"
                       "\"bytes\":1,\"sha256\":\"" SHA "\",\"quoted\":%s,"
                       "\"columns\":[{\"name\":\"x\",\"type\":\"string\"}]}]}",
                       quoted ? "true" : "false");
        scoped(run_result_free) struct run_result *result = parse(text);
        const struct job_remote_made *made = NULL;
        struct err err;

        assert_int_equal(run_result_find(result, "k", "e", &made, &err), RC_OK);
        assert_int_equal(made->quotes, quoted ? CSV_QUOTES_SOME : CSV_QUOTES_NONE);
    }
}

static void a_failure_keeps_its_class_unless_we_do_not_know_it(void **state)
{
    static const struct {
        const char *class_;
        enum rc rc;
    } cases[] = {{"INVALID", RC_INVALID}, {"CORRUPT", RC_CORRUPT}, {"UNSUPPORTED", RC_UNSUPPORTED},
                 {"CHANGED", RC_CHANGED}, {"NETWORK", RC_NETWORK}, {"OK", RC_NETWORK},
                 {"BUG", RC_NETWORK},     {"CANCELED", RC_NETWORK}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *text =
            str_printf("{\"token\":\"t\",\"objects\":[{\"key\":\"k\",\"etag\":\"e\",\"error\":"
                       "{\"class\":\"%s\",\"text\":\"line 2\\nis wrong\"}}]}",
                       cases[i].class_);
        scoped(run_result_free) struct run_result *result = parse(text);
        const struct job_remote_made *made = NULL;
        struct err err;

        assert_int_equal(run_result_find(result, "k", "e", &made, &err), cases[i].rc);
        assert_null(strchr(err.text, '\n'));
        assert_non_null(strstr(err.text, "line 2"));
    }
}

static void what_is_not_as_it_should_be_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"token\":\"t\"}",
        "{\"token\":\"u\",\"objects\":[]}",
        "{\"token\":\"t\",\"objects\":[{\"key\":\"k\"}]}",
        "{\"token\":\"t\",\"objects\":[{\"key\":\"k\",\"etag\":\"e\",\"rows\":1,\"bytes\":1,"
        "\"sha256\":\"0f\",\"columns\":[{\"name\":\"x\",\"type\":\"string\"}]}]}",
        "{\"token\":\"t\",\"objects\":[{\"key\":\"k\",\"etag\":\"e\",\"rows\":1,\"bytes\":1,"
        "\"sha256\":\"" SHA "\",\"quoted\":1,\"columns\":[{\"name\":\"x\",\"type\":\"string\"}]}]}",
        "{\"token\":\"t\",\"objects\":[{\"key\":\"k\",\"etag\":\"e\",\"rows\":1,\"bytes\":1,"
        "\"sha256\":\"" SHA "\",\"columns\":[{\"name\":\"x y\",\"type\":\"string\"}]}]}",
        "{\"token\":\"t\",\"objects\":[{\"key\":\"k\",\"etag\":\"e\",\"rows\":1,\"bytes\":1,"
        "\"sha256\":\"" SHA "\",\"columns\":[{\"name\":\"x\",\"type\":\"struct<a:int>\"}]}]}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct run_result *result = NULL;
        struct err err;

        assert_int_equal(run_result_parse(bad[i], strlen(bad[i]), "t", &result, &err), RC_CORRUPT);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_json_whatever_is_in_the_keys),
        cmocka_unit_test(what_was_made_is_found_by_key_and_etag),
        cmocka_unit_test(whether_fields_are_quoted_is_told_by_newer_scripts),
        cmocka_unit_test(a_failure_keeps_its_class_unless_we_do_not_know_it),
        cmocka_unit_test(what_is_not_as_it_should_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
