/** @file
 * The configuration: what an empty file means, and that every wrong one gets one clear line.
 */
#include "tests/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/conf/conf.h"
#include "daemon/conf/conf_p.h"
#include "lib/base/mem.h"

static struct conf *parsed(const char *json)
{
    struct conf *conf = NULL;
    struct err err = {0};

    if (conf_parse(json, strlen(json), "test.json", &conf, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
    return conf;
}

static void an_empty_object_is_a_configuration_with_every_default(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf = parsed("{}");

    assert_string_equal(conf->state_dir, "/var/lib/sevird");
    assert_string_equal(conf->raw_uri, "file:///var/lib/sevird/raw");
    assert_int_equal(conf->sources_list_interval_ms, 30000);
    assert_true(conf->sources_watch);
    assert_int_equal(conf->extract_images, IMAGES_FRAMES);
    assert_int_equal(conf->extract_memory_bytes, UINT64_C(1) << 30);
    assert_int_equal(conf->retry_attempts, 5);
    assert_int_equal(conf->retry_base_ms, 1000);
    assert_int_equal(conf->retry_cap_ms, 300000);
    assert_string_equal(conf->http_listen, "127.0.0.1:9464");
    assert_string_equal(conf->control_socket, "/run/sevird/control.sock");
    assert_null(conf->aws_region);
    assert_false(conf->select_present);
}

static void no_workers_means_one_a_core(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf = parsed("{\"extract\": {\"workers\": 0}}");

    assert_in_range(conf->extract_workers, 1, 256);
}

static void times_and_sizes_are_text_with_units_or_plain_numbers(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf =
        parsed("{\"retry\": {\"base\": 0.25, \"cap\": \"2h\"}, \"sources\": {\"list\": "
               "{\"interval\": 7}}, \"extract\": {\"memory\": 268435456}, \"crawl\": {\"memory\": "
               "\"768MiB\"}}");

    assert_int_equal(conf->retry_base_ms, 250);
    assert_int_equal(conf->retry_cap_ms, 7200000);
    assert_int_equal(conf->sources_list_interval_ms, 7000);
    assert_int_equal(conf->extract_memory_bytes, 256u << 20);
    assert_int_equal(conf->crawl_memory_bytes, 768u << 20);
}

static void null_means_none_where_none_makes_sense(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf =
        parsed("{\"http\": {\"listen\": null}, \"aws\": {\"endpoint_url\": null}, \"select\": null,"
               " \"notify\": {\"sns_topic_arn\": null}}");

    assert_null(conf->http_listen);
    assert_false(conf->select_present);
}

static void a_list_takes_one_item_or_several(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf =
        parsed("{\"notify\": {\"on\": [\"retired\", \"done\", \"retired\"]}}");
    scoped(conf_free) struct conf *one = parsed("{\"notify\": {\"on\": \"done\"}}");
    scoped(conf_free) struct conf *all = parsed("{}");

    assert_string_equal(conf->notify_on, "retired\ndone");
    assert_true(conf_list_has(conf->notify_on, "done"));
    assert_false(conf_list_has(conf->notify_on, "quarantined"));
    assert_string_equal(one->notify_on, "done");
    assert_string_equal(all->notify_on, "done\nquarantined\nretired");
    assert_null(all->sources_sqs_queue_url);
    assert_string_equal(conf_needs_restart(conf, one), "notify.on");
}

static void a_store_inherits_what_it_does_not_say_itself(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf =
        parsed("{\"processed\": {\"aws\": {\"region\": \"eu-west-1\"}}, \"aws\": {\"region\": "
               "\"us-east-1\", \"anonymous\": true, \"addressing\": \"path\"}}");

    assert_string_equal(conf->raw_aws_region, "us-east-1");
    assert_string_equal(conf->processed_aws_region, "eu-west-1");
    assert_true(conf->raw_aws_anonymous && conf->processed_aws_anonymous);
    assert_string_equal(conf->raw_aws_addressing, "path");
}

static void a_selection_takes_lists_or_single_values(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf =
        parsed("{\"select\": {\"years\": [2018, 2019], \"months\": 1, \"types\": \"vil\", "
               "\"events\": \"storm\", \"ids\": [\"S1\"], \"bbox\": [30, -100.5, 40, -90], "
               "\"limit\": 3}}");

    assert_true(conf->select_present);
    assert_int_equal(conf->select.year_count, 2);
    assert_int_equal(conf->select.years[1], 2019);
    assert_int_equal(conf->select.months, 1);
    assert_int_equal(conf->select.types, 1u << SEVIR_VIL);
    assert_int_equal(conf->select.events, SELECT_STORM);
    assert_int_equal(conf->select.id_count, 1);
    assert_true(conf->select.has_bbox && conf->select.lon0 == -100.5);
    assert_int_equal(conf->select.limit, 3);
}

static struct conf *parse_ok(const char *json)
{
    struct conf *conf = NULL;
    struct err err;

    assert_int_equal(conf_parse(json, strlen(json), "test.json", &conf, &err), RC_OK);
    return conf;
}

static void stores_of_one_bucket_may_lie_beside_each_other(void **state)
{
    (void)state;
    static const char *const right[] = {
        "{\"raw\": {\"uri\": \"s3://abc/x\"}, \"processed\": {\"uri\": \"s3://abc/x2\"}}",
        "{\"raw\": {\"uri\": \"s3://abc/x2\"}, \"processed\": {\"uri\": \"s3://abc/x\"}}",
        "{\"raw\": {\"uri\": \"s3://abc\"}, \"processed\": {\"uri\": \"s3://abcd\"}}",
        "{\"raw\": {\"uri\": \"s3://abc\"}, \"processed\": {\"uri\": \"/abc\"}}",
        ("{\"raw\": {\"uri\": \"s3://abc\", \"aws\": {\"endpoint_url\": \"https://one\"}},"
         " \"processed\": {\"uri\": \"s3://abc\"}}"),
    };

    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        conf_free(parse_ok(right[i]));
    }
}

static void an_object_of_S3_need_not_settle_unless_one_says_so(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *file = parse_ok("{}");
    scoped(conf_free) struct conf *s3 = parse_ok("{\"raw\": {\"uri\": \"s3://abc\"}}");
    scoped(conf_free) struct conf *said =
        parse_ok("{\"raw\": {\"uri\": \"s3://abc\"}, \"sources\": {\"settle\": \"3s\"}}");

    assert_int_equal(file->sources_settle_ms, 2000);
    assert_int_equal(s3->sources_settle_ms, 0);
    assert_int_equal(said->sources_settle_ms, 3000);
    assert_int_equal(file->processed_lease_ms, 120000);
}

/** What is wrong, and the words that the one line must contain. */
static const struct {
    const char *json, *words;
} wrong[] = {
    {"", "test.json:1:"},
    {"{", "test.json:1:"},
    {"{\"raw\": \n  nonsense}", "test.json:2:"},
    {"[]", "expected an object"},
    {"{\"http\": {}, \"http\": {}}", "duplicate"},
    {"{\"stat_dir\": \"/x\"}", "unknown key 'stat_dir'; the nearest known key is 'state_dir'"},
    {"{\"extract\": {\"worker\": 1}}",
     "'extract.worker'; the nearest known key is 'extract.workers'"},
    {"{\"workers\": 1}", "'workers'; the nearest known key is 'extract.workers'"},
    {"{\"source\": {}}", "'source'; the nearest known key is 'sources'"},
    {"{\"extract\": {\"\\u001b[31m\": 1}}", "'extract.?[31m'"},
    {"{\"extract\": 5}", "'extract': expected an object"},
    {"{\"state_dir\": 5}", "'state_dir': expected a string"},
    {"{\"state_dir\": null}", "'state_dir': expected a string"},
    {"{\"state_dir\": \"\"}", "'state_dir': may not be empty"},
    {"{\"state_dir\": \"var/x\"}", "'state_dir': 'var/x' is not an absolute path"},
    {"{\"aws\": {\"region\": 3}}", "'aws.region': expected a string or null"},
    {"{\"sources\": {\"watch\": \"yes\"}}", "'sources.watch': expected true or false"},
    {"{\"extract\": {\"workers\": 1.5}}", "'extract.workers': expected a whole number"},
    {"{\"extract\": {\"workers\": -1}}", "'extract.workers': -1 is out of range: 0 to 256"},
    {"{\"extract\": {\"images\": \"all\"}}",
     "'all' is none of 'none', 'sheet', 'frames', 'packed'"},
    {"{\"extract\": {\"memory\": \"lots\"}}", "'extract.memory': 'lots' is no size"},
    {"{\"extract\": {\"memory\": -5}}", "'extract.memory': expected a size"},
    {"{\"extract\": {\"memory\": 1}}", "'extract.memory': 1 bytes is out of range"},
    {"{\"retry\": {\"base\": \"soon\"}}", "'retry.base': 'soon' is no time"},
    {"{\"retry\": {\"base\": -1}}", "'retry.base': -1 is no time"},
    {"{\"retry\": {\"base\": true}}", "'retry.base': expected a time"},
    {"{\"retry\": {\"base\": \"1h\"}}", "'retry.base' is longer than 'retry.cap'"},
    {"{\"raw\": {\"uri\": \"s3://b\"}}", "'raw.uri': 's3://b': bucket name of 1 bytes"},
    {"{\"raw\": {\"uri\": \"s3://abc/x\"}, \"processed\": {\"uri\": \"s3://abc/x/y/\"}}",
     "overlap"},
    {"{\"raw\": {\"uri\": \"s3://abc/x/y/\"}, \"processed\": {\"uri\": \"s3://abc/x\"}}",
     "overlap"},
    {"{\"raw\": {\"uri\": \"s3://abc/x\"}, \"processed\": {\"uri\": \"s3://abc/x/\"}}", "overlap"},
    {"{\"raw\": {\"uri\": \"s3://abc\"}, \"processed\": {\"uri\": \"s3://abc/x\"}}", "overlap"},
    {"{\"processed\": {\"lease\": \"1ms\"}}", "'processed.lease': 1 ms is out of range"},
    {"{\"processed\": {\"uri\": \"http://x\"}}", "'processed.uri': 'http://x' is none of"},
    {"{\"crawl\": {\"engine\": \"glue\"}}",
     "'crawl.engine' is 'glue', but 'glue.crawler' names none"},
    {"{\"crawl\": {\"engine\": \"glue\"}, \"glue\": {\"crawler\": \"c\"}}",
     "'crawl.engine' is 'glue', but 'raw.uri' is 'file:///var/lib/sevird/raw', no bucket"},
    {"{\"extract\": {\"engine\": \"glue\"}}",
     "'extract.engine' is 'glue', but 'glue.job' names none"},
    {"{\"extract\": {\"engine\": \"glue\"}, \"glue\": {\"job\": \"j\"},"
     " \"raw\": {\"uri\": \"s3://abc\"}}",
     "'extract.engine' is 'glue', but 'processed.uri' is 'file:///var/lib/sevird/processed'"},
    {"{\"crawl\": {\"engine\": \"glu\"}}", "'crawl.engine': 'glu' is none of"},
    {"{\"sources\": {\"sqs\": {\"queue_url\": \"https://q\"}}}",
     "'sources.sqs.queue_url': a queue tells of a bucket"},
    {"{\"sources\": {\"sqs\": {\"queue_url\": [\"https://q\", \"q\"]}}}",
     "'sources.sqs.queue_url': 'q' is no https://"},
    {"{\"sources\": {\"sqs\": {\"queue_url\": [\"https://q\", 5]}}}",
     "'sources.sqs.queue_url': expected a string, or a list of strings"},
    {"{\"sources\": {\"sqs\": {\"queue_url\": \"https://me:secret@q\"}}}", "is no https://"},
    {"{\"sources\": {\"sqs\": {\"queue_url\": \"\"}}}", "may not be empty"},
    {"{\"notify\": {\"sns_topic_arn\": \"x\"}}", "'notify.sns_topic_arn': 'x' is no arn:"},
    {"{\"notify\": {\"on\": [\"done\", \"skipped\"]}}", "'notify.on': 'skipped' is none of"},
    {"{\"raw\": {\"uri\": \"/a\"}, \"processed\": {\"uri\": \"/a/b\"}}", "overlap"},
    {"{\"raw\": {\"uri\": \"/a/b\"}, \"processed\": {\"uri\": \"file:///a\"}}", "overlap"},
    {"{\"raw\": {\"uri\": \"/a\"}, \"state_dir\": \"/a/s\"}", "'state_dir' lies inside 'raw.uri'"},
    {"{\"http\": {\"listen\": \"0.0.0.0:9464\"}}", "set 'http.allow_remote'"},
    {"{\"http\": {\"listen\": \"9464\"}}", "'http.listen': '9464' is no ADDRESS:PORT"},
    {"{\"http\": {\"listen\": \"127.0.0.1:99999\"}}", "is no ADDRESS:PORT"},
    {"{\"http\": {\"listen\": \"example.org:80\"}}", "the address must be numeric"},
    {"{\"http\": {\"listen\": \"::1:80\"}}", "the address must be numeric"},
    {"{\"control\": {\"socket\": \"run/c\"}}", "'control.socket': 'run/c' is not an absolute"},
    {"{\"aws\": {\"endpoint_url\": \"https://me:secret@x\"}}", "without a user"},
    {"{\"aws\": {\"proxy\": \"http://me:secret@x:3128\"}}", "without a user"},
    {"{\"aws\": {\"endpoint_url\": \"host:9000\"}}", "'aws.endpoint_url': expected http"},
    {"{\"select\": {\"bbox\": [1, 2, 3]}}", "'select.bbox': expected four numbers"},
    {"{\"select\": {\"bbox\": [1, 2, 3, \"x\"]}}", "'select.bbox': expected four numbers"},
    {"{\"select\": {\"years\": [\"2019\"]}}", "'select.years': expected a whole number"},
    {"{\"select\": {\"types\": [5]}}", "'select.types': expected a string"},
    {"{\"select\": {\"types\": [\"vill\"]}}", "'select.types': "},
    {"{\"select\": {\"months\": [13]}}", "'select.months': "},
    {"{\"select\": {\"events\": \"storms\"}}", "'select.events': "},
    {"{\"select\": {\"limit\": -1}}", "'select.limit': "},
};

static void assert_one_line(const char *text)
{
    assert_true(*text != '\0');
    for (const char *p = text; *p != '\0'; p++) {
        assert_false((unsigned char)*p < 0x20 || *p == 0x7f);
    }
}

static void every_wrong_file_gets_one_clear_line(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct conf *conf = NULL;
        struct err err = {0};
        const enum rc rc =
            conf_parse(wrong[i].json, strlen(wrong[i].json), "test.json", &conf, &err);

        if (rc == RC_OK || conf != NULL) {
            fail_msg("accepted: %s", wrong[i].json);
        }
        assert_one_line(err.text);
        if (strstr(err.text, wrong[i].words) == NULL || strstr(err.text, "test.json") != err.text) {
            fail_msg("%s\n  says: %s\n  not:  %s", wrong[i].json, err.text, wrong[i].words);
        }
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct conf *conf = NULL;
    struct err err;

    assert_int_equal(conf_load("/nonexistent/sevird.json", &conf, &err), RC_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/sevird.json"));
}

static void what_is_printed_reads_back_to_the_same_configuration(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *before =
        parsed("{\"select\": {\"years\": 2019, \"types\": [\"vil\", \"lght\"], \"event_types\": "
               "[\"Hail\"], \"bbox\": \"30,-100,40,-90\"}, \"retry\": {\"base\": \"1500ms\"}, "
               "\"extract\": {\"memory\": 100000001}, \"http\": {\"listen\": null}}");
    scoped(strbuf_done) struct strbuf first = {0}, second = {0};

    conf_print(before, &first);
    scoped(conf_free) struct conf *after = parsed(strbuf_text(&first));
    conf_print(after, &second);
    assert_string_equal(strbuf_text(&first), strbuf_text(&second));
    assert_null(conf_needs_restart(before, after));
}

static void what_only_a_restart_can_change_is_named(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *before = parsed("{}");
    scoped(conf_free) struct conf *socket = parsed("{\"control\": {\"socket\": \"/run/x\"}}");
    scoped(conf_free) struct conf *retry = parsed("{\"retry\": {\"attempts\": 9}}");

    assert_string_equal(conf_needs_restart(before, socket), "control.socket");
    assert_null(conf_needs_restart(before, retry));
}

static void every_option_has_words_and_appears_in_schema_and_reference(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf schema = {0}, reference = {0};

    conf_write_schema(&schema);
    conf_write_reference(&reference);
    json_t *document = json_loads(strbuf_text(&schema), 0, NULL);
    assert_non_null(document);
    json_decref(document);
    for (unsigned i = 0; i < option_count; i++) {
        scoped(free) char *row = str_printf("`%s`", options[i].path);

        assert_true(strlen(options[i].doc) > 8);
        assert_non_null(strstr(strbuf_text(&reference), row));
        assert_null(strchr(options[i].doc, '|')); /* it would end the table's cell */
    }
}

static void loopback_is_recognised_and_the_rest_needs_leave(void **state)
{
    (void)state;
    struct conf_listen listen;
    struct err err;

    assert_int_equal(conf_listen_parse("127.9.9.9:1", &listen, &err), RC_OK);
    assert_true(listen.loopback && listen.port == 1);
    assert_int_equal(conf_listen_parse("[::1]:80", &listen, &err), RC_OK);
    assert_true(listen.loopback);
    assert_int_equal(conf_listen_parse("localhost:0", &listen, &err), RC_OK);
    assert_string_equal(listen.host, "127.0.0.1");
    assert_int_equal(conf_listen_parse("[2001:db8::1]:80", &listen, &err), RC_OK);
    assert_false(listen.loopback);
    scoped(conf_free) struct conf *conf =
        parsed("{\"http\": {\"listen\": \"0.0.0.0:1\", \"allow_remote\": true}}");
    assert_true(conf->http_allow_remote);
}

/** Cut at every byte, and with every byte changed: never a crash, never a bare failure. */
static void damaged_files_are_refused_or_read_but_never_crash(void **state)
{
    (void)state;
    scoped(conf_free) struct conf *conf = parsed("{\"select\": {\"years\": 2019}}");
    scoped(strbuf_done) struct strbuf text = {0};

    conf_print(conf, &text);
    for (size_t i = 0; i < text.len; i++) {
        for (unsigned way = 0; way < 4; way++) {
            scoped(free) char *bytes = str_dup_n(text.data, text.len);
            struct conf *damaged = NULL;
            struct err err = {0};

            bytes[i] = (char)(way == 1 ? '"' : way == 2 ? 0xff : way == 3 ? 0 : bytes[i] ^ 1);
            if (conf_parse(bytes, way == 0 ? i : text.len, "test.json", &damaged, &err) != RC_OK) {
                assert_one_line(err.text);
                assert_null(damaged);
            }
            conf_free(damaged);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_object_is_a_configuration_with_every_default),
        cmocka_unit_test(no_workers_means_one_a_core),
        cmocka_unit_test(times_and_sizes_are_text_with_units_or_plain_numbers),
        cmocka_unit_test(null_means_none_where_none_makes_sense),
        cmocka_unit_test(a_list_takes_one_item_or_several),
        cmocka_unit_test(a_store_inherits_what_it_does_not_say_itself),
        cmocka_unit_test(a_selection_takes_lists_or_single_values),
        cmocka_unit_test(stores_of_one_bucket_may_lie_beside_each_other),
        cmocka_unit_test(an_object_of_S3_need_not_settle_unless_one_says_so),
        cmocka_unit_test(every_wrong_file_gets_one_clear_line),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(what_is_printed_reads_back_to_the_same_configuration),
        cmocka_unit_test(what_only_a_restart_can_change_is_named),
        cmocka_unit_test(every_option_has_words_and_appears_in_schema_and_reference),
        cmocka_unit_test(loopback_is_recognised_and_the_rest_needs_leave),
        cmocka_unit_test(damaged_files_are_refused_or_read_but_never_crash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
