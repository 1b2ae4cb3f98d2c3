/** @file
 * Whole objects to S3 and within it, in parts, on a small S3 in memory; checksums, times and keys.
 */
#include "tests/unit.h"

#include <string.h>

#include "lib/aws/s3_copy.h"
#include "lib/aws/s3_multi_p.h"
#include "lib/aws/s3_p.h"
#include "lib/aws/s3_upload.h"
#include "lib/base/mem.h"
#include "tests/unit/lib/aws/fake_s3.h"

#define LEN 950

static struct loop *loop;
static struct work *work;
static struct aws *const aws = (struct aws *)&fake_s3; /* the fake looks at no access */
static char text[LEN + 1];
static struct err outcome;
static char etag[S3_ETAG];
static uint64_t progressed;

/** What its user keeps of an unfinished upload. */
static struct {
    char id[16];
    bool refuses;
} record;

static bool on_begun(const char *upload_id, void *arg)
{
    assert_ptr_equal(arg, &record);
    snprintf(record.id, sizeof(record.id), "%s", record.refuses ? "" : upload_id);
    return !record.refuses;
}

static void on_ended(void *arg)
{
    assert_ptr_equal(arg, &record);
    record.id[0] = '\0';
}

static struct s3_resume on_record(bool fits)
{
    return (struct s3_resume){.upload_id = record.id[0] != '\0' ? record.id : NULL,
                              .fits = fits,
                              .begun = on_begun,
                              .ended = on_ended,
                              .arg = &record};
}

static void on_put(const char *new_etag, const char *version, const struct err *err, void *arg)
{
    (void)version, (void)arg;
    outcome = err != NULL ? *err : (struct err){.rc = RC_OK};
    snprintf(etag, sizeof(etag), "%s", new_etag);
    loop_stop(loop);
}

static void on_progress(uint64_t bytes, void *arg)
{
    (void)arg;
    progressed = bytes;
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    work = work_new(loop, (unsigned[WORK_LANE_COUNT]){1, 2, 1, 1, 1});
    fake_s3_start(loop);
    for (unsigned i = 0; i < LEN; i++) {
        text[i] = (char)('a' + i % 23);
    }
    fake_s3_put("from", text);
    progressed = 0;
    memset(&record, 0, sizeof(record));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_s3_stop();
    work_free(work);
    loop_free(loop);
    return 0;
}

static const struct s3_copy_options copy_options = {.bucket = "bucket",
                                                    .put = {.key = "to"},
                                                    .from_bucket = "bucket",
                                                    .from_key = "from",
                                                    .from_version = "",
                                                    .from_etag = "e1",
                                                    .size = LEN,
                                                    .single_max = 100,
                                                    .part_bytes = 100,
                                                    .progress = on_progress};

static enum rc copy(struct s3_copy_options options)
{
    s3_copying(aws, loop, &options, on_put, NULL);
    loop_run(loop);
    return outcome.rc;
}

static void a_large_copy_goes_in_parts(void **state)
{
    (void)state;

    assert_int_equal(copy(copy_options), RC_OK);
    assert_int_equal(fake_s3_count("UploadPartCopy"), 10);
    assert_int_equal(fake_s3.peak, 8);
    assert_string_equal(fake_s3_find("to")->bytes, text);
    assert_string_equal(etag, "e2-10");
    assert_int_equal(progressed, LEN);
}

static void S3_gets_minutes_for_what_it_moves_itself(void **state)
{
    (void)state;
    static const char *const operations[] = {"CopyObject", "UploadPartCopy",
                                             "CompleteMultipartUpload"};
    struct s3_copy_options options = copy_options;

    for (unsigned i = 0; i < 2; i++) {
        fake_s3.idle_ms = 0;
        options.single_max = i == 0 ? LEN : 100;
        assert_int_equal(copy(options), RC_OK);
        assert_true(fake_s3.idle_ms >= 5 * 60000);
    }
    for (unsigned i = 0; i < ARRAY_LEN(operations); i++) {
        assert_true(fake_s3_count(operations[i]) > 0);
    }
}

static void a_copy_of_what_has_changed_leaves_nothing(void **state)
{
    (void)state;
    struct s3_copy_options options = copy_options;

    options.from_etag = "e0";
    assert_int_equal(copy(options), RC_CHANGED);
    assert_null(fake_s3_find("to"));
    assert_int_equal(fake_s3_count("AbortMultipartUpload"), 1);
    options.single_max = LEN;
    assert_int_equal(copy(options), RC_CHANGED);
    assert_int_equal(fake_s3_count("CopyObject"), 1);
}

static struct fake_fault fails(const char *operation, unsigned nth, unsigned status)
{
    return (struct fake_fault){operation, nth, status, "Failure", NULL, false, false};
}

/** Eight parts of ten are there then. */
static void copy_is_cut_short(void)
{
    const struct s3_resume resume = on_record(true);
    struct s3_copy_options options = copy_options;

    options.resume = &resume;
    fake_s3.faults[0] = fails("UploadPartCopy", 9, 500);
    assert_int_equal(copy(options), RC_NETWORK);
    fake_s3.faults[0].operation = NULL;
    assert_int_equal(fake_s3_count("AbortMultipartUpload"), 0);
    assert_string_equal(record.id, "u0");
    fake_s3.log[0] = '\0';
}

static enum rc copy_goes_on(bool fits)
{
    const struct s3_resume resume = on_record(fits);
    struct s3_copy_options options = copy_options;

    options.resume = &resume;
    return copy(options);
}

static void an_unfinished_copy_on_record_is_gone_on_with(void **state)
{
    (void)state;

    copy_is_cut_short();
    assert_int_equal(copy_goes_on(true), RC_OK);
    assert_int_equal(fake_s3_count("CreateMultipartUpload"), 0);
    assert_int_equal(fake_s3_count("UploadPartCopy"), 2);
    assert_string_equal(fake_s3_find("to")->bytes, text);
    assert_string_equal(record.id, "");
}

static void one_of_another_source_is_aborted(void **state)
{
    (void)state;

    copy_is_cut_short();
    assert_int_equal(copy_goes_on(false), RC_OK);
    assert_false(fake_s3.uploads[0].open);
    assert_int_equal(fake_s3_count("UploadPartCopy"), 10);
    assert_string_equal(fake_s3_find("to")->bytes, text);
}

static void one_that_is_not_on_record_is_nobodys_business(void **state)
{
    (void)state;

    copy_is_cut_short();
    record.id[0] = '\0';
    assert_int_equal(copy_goes_on(true), RC_OK);
    assert_true(fake_s3.uploads[0].open);
    assert_int_equal(fake_s3_count("UploadPartCopy"), 10);
    assert_int_equal(fake_s3_count("ListMultipartUploads"), 0);
}

static void one_that_is_lost_begins_anew(void **state)
{
    (void)state;
    static const unsigned refusals[] = {403, 404, 501};

    for (unsigned i = 0; i < ARRAY_LEN(refusals); i++) {
        copy_is_cut_short();
        fake_s3.faults[0] = fails("ListParts", 1, refusals[i]);
        fake_s3.faults[1] = fails("AbortMultipartUpload", 1, refusals[i]);
        assert_int_equal(copy_goes_on(true), RC_OK);
        assert_int_equal(fake_s3_count("UploadPartCopy"), 10);
        assert_string_equal(record.id, "");
        teardown(state);
        setup(state);
    }
}

static void one_that_cannot_be_asked_for_now_is_kept_for_later(void **state)
{
    (void)state;

    for (unsigned fits = 0; fits < 2; fits++) {
        copy_is_cut_short();
        fake_s3.faults[0] = fails(fits ? "ListParts" : "AbortMultipartUpload", 1, 500);
        assert_int_equal(copy_goes_on(fits), RC_NETWORK);
        assert_true(fake_s3.uploads[0].open);
        assert_string_equal(record.id, "u0");
        fake_s3.faults[0].operation = NULL;
        teardown(state);
        setup(state);
    }
}

static void what_cannot_be_put_on_record_is_aborted_if_it_fails(void **state)
{
    (void)state;

    record.refuses = true;
    fake_s3.faults[0] = fails("UploadPartCopy", 9, 500);
    assert_int_equal(copy_goes_on(true), RC_NETWORK);
    assert_false(fake_s3.uploads[0].open);
}

static void a_completion_that_is_refused_is_not_asked_for_again(void **state)
{
    (void)state;

    fake_s3.faults[0] = fails("CompleteMultipartUpload", 1, 400);
    assert_int_equal(copy_goes_on(true), RC_INVALID);
    assert_false(fake_s3.uploads[0].open);
    assert_string_equal(record.id, "");
    assert_int_equal(copy_goes_on(true), RC_OK);
}

static void parts_of_an_unfinished_upload_are_sent_again_unless_they_are_right(void **state)
{
    (void)state;
    struct s3_resume resume = on_record(true);
    struct s3_upload_options options = {.bucket = "bucket",
                                        .put = {.key = "to", .bytes = text, .len = LEN},
                                        .single_max = 100,
                                        .part_bytes = 100,
                                        .resume = &resume};

    fake_s3.faults[0] = fails("UploadPart", 5, 500);
    s3_upload(aws, loop, work, &options, on_put, NULL);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_NETWORK);
    assert_true(fake_s3.uploads[0].open);
    unsigned sent = 0;

    for (unsigned i = 0; i < 10; i++) {
        sent += fake_s3.uploads[0].parts[i].bytes != NULL;
    }
    assert_true(sent >= 4);
    snprintf(fake_s3.uploads[0].parts[0].checksum, 32, "AAAAAA==");
    fake_s3.log[0] = '\0';
    fake_s3.faults[0].operation = NULL;
    resume = on_record(true);
    s3_upload(aws, loop, work, &options, on_put, NULL);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(fake_s3_count("CreateMultipartUpload"), 0);
    assert_int_equal(fake_s3_count("UploadPart"), 10 - sent + 1);
    assert_string_equal(fake_s3_find("to")->bytes, text);
}

static void a_canceled_copy_ends_and_is_aborted(void **state)
{
    (void)state;

    fake_s3.faults[0] = (struct fake_fault){.operation = "UploadPartCopy", .nth = 3, .hold = true};
    struct s3_copying *copying = s3_copying(aws, loop, &copy_options, on_put, NULL);

    loop_defer(loop, (loop_fn *)(void *)s3_copying_cancel, copying);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_CANCELED);
    assert_int_equal(fake_s3.under_way, 0);
    assert_false(fake_s3.uploads[0].open);
}

static void the_condition_of_a_large_put_is_that_of_its_completion(void **state)
{
    (void)state;
    const struct s3_upload_options options = {
        .bucket = "bucket",
        .put = {.key = "from", .bytes = text, .len = LEN, .if_match = ""},
        .single_max = 100,
        .part_bytes = 100};

    s3_upload(aws, loop, work, &options, on_put, NULL);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_CONFLICT);
    assert_int_equal(fake_s3_count("UploadPart"), 10);
    assert_false(fake_s3.uploads[0].open);
    assert_int_equal(fake_s3_find("from")->parts, 0);
}

static void a_canceled_upload_ends_and_is_aborted(void **state)
{
    (void)state;
    const struct s3_upload_options options = {.bucket = "bucket",
                                              .put = {.key = "to", .bytes = text, .len = LEN},
                                              .single_max = 100,
                                              .part_bytes = 100};

    struct s3_upload *upload = s3_upload(aws, loop, work, &options, on_put, NULL);

    s3_upload_cancel(upload);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_CANCELED);
    assert_null(fake_s3_find("to"));
    assert_int_equal(fake_s3_count("UploadPart"), 0);
}

static void what_was_completed_is_known_by_size_and_etag(void **state)
{
    (void)state;
    struct s3_part parts[] = {{.part = 1, .size = 5, .etag = "594f803b380a41396ed63dca39503542"},
                              {.part = 2, .size = 3, .etag = "08f8e0260c64418510cefb2b06eee5cd"}};
    struct s3_object object = {.size = 8, .etag = "72d27afac8e2fbd3662861b9d607a02c-2"};

    assert_true(s3_multipart_is(&object, parts, 2));
    object.size = 9;
    assert_false(s3_multipart_is(&object, parts, 2));
    object.size = 8;
    object.etag = "00000000000000000000000000000000-2"; /* as large, and of as many parts */
    assert_false(s3_multipart_is(&object, parts, 2));
    snprintf(parts[0].etag, sizeof(parts[0].etag), "opaque");
    assert_true(s3_multipart_is(&object, parts, 2));
    assert_false(s3_multipart_is(&object, parts, 1));
}

static void a_completion_whose_answer_is_lost_was_one_all_the_same(void **state)
{
    (void)state;
    const struct s3_upload_options options = {.bucket = "bucket",
                                              .put = {.key = "to", .bytes = text, .len = LEN},
                                              .single_max = 100,
                                              .part_bytes = 100};

    fake_s3.faults[0] =
        (struct fake_fault){"CompleteMultipartUpload", 1, 500, "InternalError", NULL, true, false};
    s3_upload(aws, loop, work, &options, on_put, NULL);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(fake_s3_find("to")->bytes, text);
    fake_s3.faults[0].nth = 2;
    fake_s3.faults[0].done_all_the_same = false;
    text[0] = '!';
    fake_s3_put("to", "another");
    s3_upload(aws, loop, work, &options, on_put, NULL);
    loop_run(loop);
    assert_int_equal(outcome.rc, RC_NETWORK);
    assert_false(fake_s3.uploads[1].open);
}

static void parts_grow_so_that_ten_thousand_of_them_suffice(void **state)
{
    (void)state;
    static const struct {
        uint64_t size, wanted, part;
        unsigned count;
    } cases[] = {
        {1, 8 << 20, 8 << 20, 1},
        {8 << 20, 8 << 20, 8 << 20, 1},
        {(8 << 20) + 1, 8 << 20, 8 << 20, 2},
        {(uint64_t)8 << 20 << 20, 8 << 20, 839 << 20, 9999},
        {UINT64_C(53656989106176), 8 << 20, UINT64_C(5118) << 20, 9999}, /* 48.8 TiB */
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct s3_multi multi = {0};

        s3_multi_divide(&multi, cases[i].size, cases[i].wanted);
        assert_int_equal(multi.part_bytes, cases[i].part);
        assert_in_range(multi.count, 1, S3_PARTS_MAX);
        assert_true((uint64_t)multi.count * multi.part_bytes >= multi.size);
        assert_int_equal(multi.count, cases[i].count);
    }
}

/** Values by `openssl dgst -md5 -binary | base64` and of RFC 3720, appendix B.4. */
static void checksums_are_those_that_others_compute(void **state)
{
    (void)state;
    static const unsigned char zeros[32];
    char value[S3_CHECKSUM];

    s3_checksum(S3_CHECKSUM_CRC32C, "123456789", 9, value);
    assert_string_equal(value, "4waSgw==");
    s3_checksum(S3_CHECKSUM_CRC32C, zeros, 32, value);
    assert_string_equal(value, "ipE2qg==");
    s3_checksum(S3_CHECKSUM_CRC32C, NULL, 0, value);
    assert_string_equal(value, "AAAAAA==");
    s3_checksum(S3_CHECKSUM_MD5, "123456789", 9, value);
    assert_string_equal(value, "JfnnlDI7RTiF9RgfG2JNCw==");
    s3_checksum(S3_CHECKSUM_NONE, "x", 1, value);
    assert_string_equal(value, "");
}

static void times_are_read_as_S3_writes_them(void **state)
{
    (void)state;

    assert_int_equal(s3_time_ms("2019-05-12T18:30:00.123Z"), 1557685800123);
    assert_int_equal(s3_time_ms("2019-05-12T18:30:00Z"), 1557685800000);
    assert_int_equal(s3_time_ms("Sun, 12 May 2019 18:30:00 GMT"), 1557685800000);
    assert_int_equal(s3_time_ms("Sun, 12 Mai 2019 18:30:00 GMT"), 0);
    assert_int_equal(s3_time_ms("Sun, 12 ayJ 2019 18:30:00 GMT"), 0);
    assert_int_equal(s3_time_ms("2019-13-12T18:30:00Z"), 0);
    assert_int_equal(s3_time_ms("yesterday"), 0);
    assert_int_equal(s3_time_ms(""), 0);
}

static void keys_of_a_listing_are_decoded_once(void **state)
{
    (void)state;
    scoped(arena_free) struct arena *arena = arena_new();

    assert_string_equal(s3_decode(arena, "a+b%2Bc%20d%25e%2525/%C3%A9%0a"),
                        "a b+c d%e%25/\xc3\xa9\n");
    assert_string_equal(s3_decode(arena, "100%"), "100%");
    assert_string_equal(s3_decode(arena, "%zz%4"), "%zz%4");
    assert_string_equal(s3_decode(arena, "a%00b"), "a\xc0\x80"
                                                   "b");
}

static void etags_lose_their_quotes(void **state)
{
    (void)state;
    char bare[S3_ETAG];

    s3_etag("\"abc-2\"", bare);
    assert_string_equal(bare, "abc-2");
    s3_etag("W/\"abc\"", bare);
    assert_string_equal(bare, "abc");
    s3_etag("abc", bare);
    assert_string_equal(bare, "abc");
    s3_etag("\"", bare);
    assert_string_equal(bare, "");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_large_copy_goes_in_parts),
        CASE(S3_gets_minutes_for_what_it_moves_itself),
        CASE(a_copy_of_what_has_changed_leaves_nothing),
        CASE(an_unfinished_copy_on_record_is_gone_on_with),
        CASE(one_of_another_source_is_aborted),
        CASE(one_that_is_not_on_record_is_nobodys_business),
        CASE(one_that_is_lost_begins_anew),
        CASE(one_that_cannot_be_asked_for_now_is_kept_for_later),
        CASE(what_cannot_be_put_on_record_is_aborted_if_it_fails),
        CASE(a_completion_that_is_refused_is_not_asked_for_again),
        CASE(parts_of_an_unfinished_upload_are_sent_again_unless_they_are_right),
        CASE(a_canceled_copy_ends_and_is_aborted),
        CASE(the_condition_of_a_large_put_is_that_of_its_completion),
        CASE(a_canceled_upload_ends_and_is_aborted),
        CASE(what_was_completed_is_known_by_size_and_etag),
        CASE(a_completion_whose_answer_is_lost_was_one_all_the_same),
        CASE(parts_grow_so_that_ten_thousand_of_them_suffice),
        CASE(checksums_are_those_that_others_compute),
        CASE(times_are_read_as_S3_writes_them),
        CASE(keys_of_a_listing_are_decoded_once),
        CASE(etags_lose_their_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
