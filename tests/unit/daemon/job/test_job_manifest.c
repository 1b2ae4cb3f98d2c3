/** @file
 * Manifests: written by appending, read by a parser that trusts nothing in them.
 */
#include "tests/unit.h"

#include "daemon/job/job_manifest.h"

/* clang-format off */
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE "{\"key\": \"a/b\", \"bytes\": 7, \"kind\": \"image\", \"sha256\": \"" ZEROS "\"}"
/* clang-format on */

static const struct job_object object = {
    .bucket = "/raw",
    .key = "data/vil/\"x\".h5",
    .version = "",
    .etag = "e1",
    .size = 42,
    .modified_ms = 1557685800123,
};

static void write_one(struct strbuf *out, unsigned outputs)
{
    const char *const notes[] = {"a \"note\""};
    const struct job_manifest_head head = {
        .object = &object,
        .kind = "hdf5",
        .table = "vil",
        .images = "frames",
        .selection = "{\"years\": [2019]}",
        .rows_digest = "d1",
        .events = 2,
        .notes = notes,
        .note_count = 1,
    };

    job_manifest_begin(out, &head);
    for (unsigned i = 0; i < outputs; i++) {
        char key[64];
        struct job_output output = {.key = key, .bytes = 100 + i, .rows = i, .kind = OUTPUT_FRAMES};

        snprintf(key, sizeof(key), "frames/img_type=vil/%u.csv", i);
        output.quotes = (enum csv_quotes)(i % 3);
        memset(output.sha256, (int)(0xa0 + i), sizeof(output.sha256));
        job_manifest_add(out, &output, i == 0);
    }
    job_manifest_end(out);
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};
    scoped(job_manifest_free) struct job_manifest *manifest = NULL;
    struct err err;

    write_one(&text, 3);
    assert_int_equal(job_manifest_parse(text.data, text.len, &manifest, &err), RC_OK);
    assert_string_equal(manifest->source_key, object.key);
    assert_string_equal(manifest->source_etag, "e1");
    assert_string_equal(manifest->images, "frames");
    assert_string_equal(manifest->rows_digest, "d1");
    assert_false(manifest->retired);
    assert_int_equal(manifest->output_count, 3);
    assert_string_equal(manifest->outputs[2].key, "frames/img_type=vil/2.csv");
    assert_int_equal(manifest->outputs[2].bytes, 102);
    assert_int_equal(manifest->outputs[0].quotes, CSV_QUOTES_UNKNOWN);
    assert_int_equal(manifest->outputs[1].quotes, CSV_QUOTES_NONE);
    assert_int_equal(manifest->outputs[2].quotes, CSV_QUOTES_SOME);
    assert_int_equal(manifest->outputs[2].kind, OUTPUT_FRAMES);
    assert_int_equal(manifest->outputs[2].sha256[31], 0xa2);
}

static void a_manifest_without_outputs_is_one(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};
    scoped(job_manifest_free) struct job_manifest *manifest = NULL;
    struct err err;

    write_one(&text, 0);
    assert_int_equal(job_manifest_parse(text.data, text.len, &manifest, &err), RC_OK);
    assert_int_equal(manifest->output_count, 0);
}

static void a_retired_one_says_so(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};
    scoped(job_manifest_free) struct job_manifest *manifest = NULL;
    struct err err;

    job_manifest_retired(&text, &object, 7);
    assert_int_equal(job_manifest_parse(text.data, text.len, &manifest, &err), RC_OK);
    assert_true(manifest->retired);
    assert_int_equal(manifest->output_count, 0);
}

static void the_same_input_gives_the_same_bytes(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf first = {0};
    scoped(strbuf_done) struct strbuf second = {0};

    write_one(&first, 2);
    write_one(&second, 2);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
}

/** As somebody else's program may have written it. */
static void order_and_spaces_do_not_matter(void **state)
{
    (void)state;
    static const char text[] = "\n{\"outputs\"\t:\n[ " ONE "\n,\t" ONE
                               " ] ,\"kind\": \"outputs\", \"notes\": [\"}]\\\"\"],"
                               "\"source\": {\"key\": \"k\", \"outputs\": [1]}, \"manifest\":1}\n";
    scoped(job_manifest_free) struct job_manifest *manifest = NULL;
    struct err err;

    assert_int_equal(job_manifest_parse(text, sizeof(text) - 1, &manifest, &err), RC_OK);
    assert_int_equal(manifest->output_count, 2);
    assert_string_equal(manifest->outputs[1].key, "a/b");
    assert_int_equal(manifest->outputs[1].bytes, 7);
    assert_string_equal(manifest->kind, "outputs");
    assert_string_equal(manifest->source_key, "k");
}

/** Every way in which a manifest may be wrong, and a word of what is said. */
static void what_cannot_be_trusted_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"", "line"},
        {"[]", "version"},
        {"{\"manifest\": 2, \"source\": {}, \"outputs\": []}", "version"},
        {"{\"manifest\": 1, \"outputs\": []}", "source"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": {}}", "outputs"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [{}]}", "output 0"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [{\"key\": \"../../etc/passwd\", "
         "\"sha256\": "
         "\"00\", \"kind\": \"image\"}]}",
         "output 0"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [{\"key\": \"/etc/passwd\", \"sha256\": "
         "\"00\", \"kind\": \"image\"}]}",
         "output 0"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [{\"key\": \"a\", \"sha256\": \"00\", "
         "\"kind\": \"image\"}]}",
         "sha256"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [{\"key\": \"a\", \"bytes\": -1, "
         "\"kind\": "
         "\"image\", \"sha256\": \"" ZEROS "\"}]}",
         "bytes"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [{\"key\": \"a\", \"quoted\": 1, "
         "\"kind\": "
         "\"image\", \"sha256\": \"" ZEROS "\"}]}",
         "quoted"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [3]}", "output 0"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [[]]}", "output 0"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [,]}", "output 0"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [" ONE ",]}", "output 1"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [" ONE " " ONE "]}", "comma"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [" ONE "]", "line"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [" ONE "}", "line"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [" ONE, "line"},
        {"{\"manifest\": 1, \"source\": {}, \"outputs\": [], \"outputs\": [" ONE "]}", "line"},
        {"{\"manifest\": 1, \"source\": {}, \"out\\u0070uts\": [" ONE "]}", "outputs"},
        {"{\"manifest\": 1, \"source\": {\"outputs\": [" ONE "]}}", "outputs"},
        {"{\"manifest\": 1, \"source\": {}, \"state\": \"outputs\", \"x\": \"\\", "line"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job_manifest *manifest = NULL;
        struct err err;

        assert_int_equal(job_manifest_parse(cases[i].text, strlen(cases[i].text), &manifest, &err),
                         RC_CORRUPT);
        assert_null(manifest);
        assert_non_null(strstr(err.text, cases[i].word));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(a_manifest_without_outputs_is_one),
        cmocka_unit_test(a_retired_one_says_so),
        cmocka_unit_test(the_same_input_gives_the_same_bytes),
        cmocka_unit_test(order_and_spaces_do_not_matter),
        cmocka_unit_test(what_cannot_be_trusted_is_refused),
    };
    return cmocka_run_group_tests_name("job_manifest", tests, NULL, NULL);
}
