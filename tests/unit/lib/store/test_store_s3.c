/** @file
 * A bucket as a store, on a small S3 in memory.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/store/store.h"
#include "tests/unit/lib/aws/fake_s3.h"

#define MIB ((size_t)1 << 20)

static struct loop *loop;
static struct work *work;
static struct store *store;
static bool answered, more;
static struct err outcome;
static struct strbuf shown;
static uint64_t progressed;
static char big_path[64];

static void until_answered(void)
{
    if (!answered) {
        loop_run(loop);
    }
    assert_true(answered);
    answered = false;
}

static void on_done(const struct err *err, void *arg)
{
    (void)arg;
    assert_false(answered);
    answered = true;
    outcome = err != NULL ? *err : (struct err){.rc = RC_OK};
    loop_stop(loop);
}

static void on_list(const struct store_object *objects, unsigned count, bool more_follow,
                    const struct err *err, void *arg)
{
    strbuf_reset(&shown);
    for (unsigned i = 0; i < count; i++) {
        strbuf_printf(&shown, "%s %s\n", objects[i].key, objects[i].etag);
    }
    more = more_follow;
    on_done(err, arg);
}

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    strbuf_reset(&shown);
    if (object != NULL) {
        strbuf_printf(&shown, "%s %llu %s %s %lld", object->key, (unsigned long long)object->size,
                      object->etag, object->version, (long long)object->modified_ms);
    }
    on_done(err, arg);
}

static void on_progress(uint64_t bytes, void *arg)
{
    (void)arg;
    assert_true(bytes > progressed);
    progressed = bytes;
}

static void open_store(const char *text)
{
    struct uri *uri;
    struct err err;
    /* The fake looks at no access. */
    const struct store_options options = {.aws = (struct aws *)&fake_s3};

    store_free(store);
    assert_int_equal(uri_parse(text, "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(loop, work, uri, &options, &store, &err), RC_OK);
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    work = work_new(loop, (unsigned[WORK_LANE_COUNT]){1, 2, 1, 1, 1});
    fake_s3_start(loop);
    store = NULL;
    progressed = 0;
    big_path[0] = '\0';
    open_store("s3://bucket/a/b");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_s3_stop();
    store_free(store);
    work_free(work);
    loop_free(loop);
    strbuf_done(&shown);
    if (big_path[0] != '\0') {
        unlink(big_path);
    }
    return 0;
}

static enum rc put_if(const char *key, const char *text, const char *if_match, char *ret_etag)
{
    const struct store_put put = {
        .key = key, .bytes = text, .len = strlen(text), .if_match = if_match, .ret_etag = ret_etag};

    store_put(store, &put, 1, on_done, NULL);
    until_answered();
    return outcome.rc;
}

static enum rc get(const char *key, const char *version, const char *etag, uint64_t offset,
                   size_t len, char *buffer)
{
    store_get(store, key, version, etag, offset, len, buffer, on_done, NULL);
    until_answered();
    return outcome.rc;
}

static const char *list(const char *prefix, const char *after, unsigned max)
{
    store_list(store, prefix, after, max, on_list, NULL);
    until_answered();
    return outcome.rc == RC_OK ? strbuf_text(&shown) : outcome.text;
}

/** A file of bytes that differ from piece to piece. */
static char *write_big(size_t len)
{
    char *bytes = malloc(len + 1);
    FILE *file;
    int fd;

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 7 + i / 4096);
    }
    snprintf(big_path, sizeof(big_path), "/tmp/test_store_s3.XXXXXX");
    fd = mkstemp(big_path);
    file = fdopen(fd, "w");
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
    return bytes;
}

static enum rc put_file(const char *key)
{
    progressed = 0;
    store_put_file(store, key, big_path, on_done, on_progress, NULL);
    until_answered();
    return outcome.rc;
}

/* ---- */

static void what_was_put_is_got_under_the_prefix(void **state)
{
    (void)state;
    char buffer[16] = {0};

    assert_int_equal(put_if("x y/c+1", "hello world", NULL, NULL), RC_OK);
    assert_non_null(fake_s3_find("a/b/x y/c+1"));
    assert_int_equal(get("x y/c+1", NULL, NULL, 6, 5, buffer), RC_OK);
    assert_string_equal(buffer, "world");
    store_head(store, "x y/c+1", on_head, NULL);
    until_answered();
    assert_string_equal(strbuf_text(&shown), "x y/c+1 11 e1 v7 1557685800000");
}

static void a_read_is_pinned_and_whole(void **state)
{
    (void)state;
    char buffer[16];

    fake_s3_put("a/b/k", "0123456789");
    assert_int_equal(get("k", "v7", "e1", 0, 10, buffer), RC_OK);
    assert_int_equal(get("k", NULL, "e0", 0, 10, buffer), RC_CHANGED);
    assert_int_equal(get("k", NULL, NULL, 5, 10, buffer), RC_CORRUPT);
    assert_non_null(strstr(outcome.text, "ends at byte 10"));
    assert_int_equal(get("k", NULL, NULL, 10, 1, buffer), RC_CORRUPT);
    assert_int_equal(get("none", NULL, NULL, 0, 1, buffer), RC_NOT_FOUND);
    assert_int_equal(get("../k", NULL, NULL, 0, 1, buffer), RC_INVALID);
    assert_int_equal(get("k", NULL, NULL, 0, 0, buffer), RC_OK);
}

static void a_large_read_is_split_and_put_together(void **state)
{
    (void)state;
    const size_t len = 9 * MIB + 5;
    scoped(free) char *bytes = write_big(len), *read = malloc(len);

    assert_int_equal(put_file("big"), RC_OK);
    fake_s3.peak = 0;
    assert_int_equal(get("big", NULL, NULL, 3, len - 3, read), RC_OK);
    assert_memory_equal(read, bytes + 3, len - 3);
    assert_int_equal(fake_s3_count("GetObject"), 3);
    assert_int_equal(fake_s3.peak, 3);
    /* The first failure is the answer, when nothing writes into the buffer any more. */
    fake_s3.faults[0] = (struct fake_fault){"GetObject", 4, 503, "SlowDown", NULL, false, false};
    fake_s3.faults[1] = (struct fake_fault){.operation = "GetObject", .nth = 5, .hold = true};
    assert_int_equal(get("big", NULL, NULL, 0, len, read), RC_NETWORK);
    assert_int_equal(fake_s3.under_way, 0);
}

static void a_read_can_be_canceled(void **state)
{
    (void)state;
    char buffer[4];

    fake_s3_put("a/b/k", "0123");
    fake_s3.faults[0] = (struct fake_fault){.operation = "GetObject", .nth = 1, .hold = true};
    store_cancel(store, store_get(store, "k", NULL, NULL, 0, 4, buffer, on_done, NULL));
    until_answered();
    assert_int_equal(outcome.rc, RC_CANCELED);
}

static void a_listing_strips_the_prefix_and_goes_on(void **state)
{
    (void)state;

    fake_s3_put("a/b/", "");
    fake_s3_put("a/b/1 +%\xc3\xa9", "");
    fake_s3_put("a/b/2\x01", "");
    fake_s3_put("a/b/3\xff", "");
    fake_s3_put("a/b/4//x", "");
    fake_s3_put("a/bc", "");
    fake_s3_put("a/a", "");
    assert_string_equal(list("", "", 100), "1 +%\xc3\xa9 e2\n2\x01 e3\n3\xff e4\n4//x e5\n");
    assert_false(more);
    assert_string_equal(list("", "", 2), "1 +%\xc3\xa9 e2\n2\x01 e3\n");
    assert_true(more);
    assert_string_equal(list("", "2\x01", 2), "3\xff e4\n4//x e5\n");
    assert_string_equal(list("", "1 +%\xc3\xa9", 1), "2\x01 e3\n");
    assert_string_equal(list("4", "", 9), "4//x e5\n");
    fake_s3.list_max = 1; /* more requests than one a page */
    assert_string_equal(list("", "", 3), "1 +%\xc3\xa9 e2\n2\x01 e3\n3\xff e4\n");
}

static void a_token_that_is_refused_is_not_used_again(void **state)
{
    (void)state;

    fake_s3_put("a/b/1", "");
    fake_s3_put("a/b/2", "");
    assert_string_equal(list("", "", 1), "1 e1\n");
    fake_s3.no_tokens = true;
    list("", "1", 1);
    assert_int_equal(outcome.rc, RC_INVALID);
    assert_string_equal(list("", "1", 1), "2 e2\n");
}

static void a_listing_that_is_no_xml_is_an_error(void **state)
{
    (void)state;

    fake_s3.faults[0] = (struct fake_fault){.operation = "ListObjectsV2",
                                            .nth = 1,
                                            .status = 200,
                                            .body = "<ListBucketResult><Contents>"};
    list("", "", 10);
    assert_int_equal(outcome.rc, RC_NETWORK);
    fake_s3.faults[0].nth = 2;
    fake_s3.faults[0].body = "<html/>";
    list("", "", 10);
    assert_int_equal(outcome.rc, RC_NETWORK);
    assert_non_null(strstr(outcome.text, "is a 'html', not a 'ListBucket"));
    fake_s3.faults[0].nth = 3;
    fake_s3.faults[0].body = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    list("", "", 10);
    assert_int_equal(outcome.rc, RC_NETWORK);
    fake_s3.faults[0].nth = 0; /* of every one */
    fake_s3.faults[0].body = "<ListBucketResult><IsTruncated>true</IsTruncated>"
                             "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    assert_string_equal(list("", "", 10), "the listing of 'bucket' has no end and no keys");
}

static void conditions_hold_for_writers_who_do_not_know_of_each_other(void **state)
{
    (void)state;
    char etag[STORE_ETAG], newer[STORE_ETAG];

    assert_int_equal(put_if("claim", "one", "", etag), RC_OK);
    assert_string_equal(etag, "e1");
    assert_int_equal(put_if("claim", "two", "", NULL), RC_CONFLICT);
    assert_int_equal(put_if("claim", "three", etag, newer), RC_OK);
    assert_int_equal(put_if("claim", "four", etag, NULL), RC_CONFLICT);
    assert_int_equal(put_if("none", "five", etag, NULL), RC_CONFLICT);
    assert_string_equal(fake_s3_find("a/b/claim")->bytes, "three");
}

static void batches_share_one_window_of_puts(void **state)
{
    (void)state;
    static struct store_put puts[2][400];
    static char keys[2][400][16];
    unsigned over = 0;

    for (unsigned b = 0; b < 2; b++) {
        for (unsigned i = 0; i < 400; i++) {
            snprintf(keys[b][i], sizeof(keys[b][i]), "%u/%u", b, i);
            puts[b][i] = (struct store_put){.key = keys[b][i], .bytes = keys[b][i], .len = 3};
        }
        store_put(store, puts[b], 400, on_done, NULL);
    }
    while (over < 2) {
        until_answered();
        assert_int_equal(outcome.rc, RC_OK);
        over++;
    }
    assert_int_equal(fake_s3.peak, 256);
    assert_int_equal(fake_s3.object_count, 800);
    /* The second does not wait for the end of the first. */
    assert_true(strstr(fake_s3.log, "a/b/1/5\n") < strstr(fake_s3.log, "a/b/0/300\n"));
    assert_true(strstr(fake_s3.log, "a/b/0/399\n") < strstr(fake_s3.log, "a/b/1/399\n"));
}

static void a_put_that_fails_ends_its_batch_and_no_other(void **state)
{
    (void)state;
    struct store_put puts[600];

    for (unsigned i = 0; i < 600; i++) {
        puts[i] = (struct store_put){.key = "k", .bytes = "x", .len = 1};
    }
    fake_s3.faults[0] =
        (struct fake_fault){"PutObject", 2, 403, "AccessDenied", NULL, false, false};
    store_put(store, puts, 600, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_HOST); /* whoever is put next would be refused, too */
    assert_int_equal(fake_s3.under_way, 0);
    assert_true(fake_s3_count("PutObject") < 600);
    assert_int_equal(put_if("other", "x", NULL, NULL), RC_OK);
    store_put(store, NULL, 0, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
}

static void a_server_without_the_newer_checksum_gets_the_older_one(void **state)
{
    (void)state;

    fake_s3.no_crc32c = true;
    assert_int_equal(put_if("k", "x", NULL, NULL), RC_OK);
    assert_int_equal(fake_s3_count("PutObject"), 2);
    assert_int_equal(put_if("l", "x", NULL, NULL), RC_OK);
    assert_int_equal(fake_s3_count("PutObject"), 3); /* it is remembered */
}

static void a_large_file_goes_in_parts(void **state)
{
    (void)state;
    const size_t len = 20 * MIB + 1;
    scoped(free) char *bytes = write_big(len);

    assert_int_equal(put_file("big"), RC_OK);
    assert_int_equal(fake_s3_count("UploadPart"), 3);
    assert_int_equal(progressed, len);
    assert_int_equal(fake_s3_find("a/b/big")->len, len);
    assert_memory_equal(fake_s3_find("a/b/big")->bytes, bytes, len);
    unlink(big_path);
    assert_int_equal(put_file("big"), RC_NOT_FOUND);
    assert_non_null(strstr(outcome.text, big_path));
}

static void what_a_failed_upload_had_sent_is_removed(void **state)
{
    (void)state;
    scoped(free) char *bytes = write_big(20 * MIB);

    fake_s3.faults[0] =
        (struct fake_fault){"UploadPart", 2, 500, "InternalError", NULL, false, false};
    assert_int_equal(put_file("big"), RC_NETWORK);
    assert_int_equal(fake_s3_count("AbortMultipartUpload"), 1);
    assert_false(fake_s3.uploads[0].open);
    assert_null(fake_s3_find("a/b/big"));
}

static void a_completion_whose_answer_was_lost_is_confirmed(void **state)
{
    (void)state;
    scoped(free) char *bytes = write_big(17 * MIB);

    fake_s3.faults[0] =
        (struct fake_fault){"CompleteMultipartUpload", 1, 404, "NoSuchUpload", NULL, true, false};
    assert_int_equal(put_file("big"), RC_OK);
    fake_s3.faults[0].nth = 2;
    fake_s3.faults[0].done_all_the_same = false;
    fake_s3_put("a/b/big2", "somebody else's");
    assert_int_equal(put_file("big2"), RC_NOT_FOUND);
}

static void a_copy_is_the_servers_work(void **state)
{
    (void)state;

    fake_s3_put("a/b/from", "text");
    store_copy(store, "from", store, "to", on_done, on_progress, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_string_equal(fake_s3_find("a/b/to")->bytes, "text");
    assert_int_equal(progressed, 4);
    /* Overwritten after we looked */
    fake_s3.faults[0] =
        (struct fake_fault){"CopyObject", 2, 412, "PreconditionFailed", NULL, false, false};
    store_copy(store, "from", store, "to", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_CHANGED);
    store_copy(store, "none", store, "to", on_done, NULL, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_NOT_FOUND);
}

static void many_keys_are_removed_a_thousand_at_a_time(void **state)
{
    (void)state;
    static char names[2500][16];
    static const char *keys[2502];

    for (unsigned i = 0; i < 2500; i++) {
        snprintf(names[i], sizeof(names[i]), "<&>%u", i);
        keys[i + (i >= 1000)] = names[i];
    }
    keys[1000] = "\x01";
    keys[2501] = "never there";
    fake_s3_put("a/b/\x01", "");
    fake_s3_put("a/b/<&>7", "");
    fake_s3_put("a/b/<&>2499", "");
    fake_s3_put("a/b/kept", "");
    store_remove(store, keys, 2502, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
    assert_int_equal(fake_s3.object_count, 1);
    assert_int_equal(fake_s3_count("DeleteObjects"), 3);
    assert_int_equal(fake_s3_count("DeleteObject"), 1);
    store_remove(store, keys, 0, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
}

static void one_is_removed_if_it_still_is_what_it_was(void **state)
{
    (void)state;

    for (unsigned i = 0; i < 2;
         i++) { /* by a server that knows of conditions, and by one that does not */
        fake_s3.no_delete_if = i == 1;
        fake_s3_put("a/b/k", "one");
        store_remove_if(store, "k", "another", 10000, on_done, NULL);
        until_answered();
        assert_int_equal(outcome.rc, RC_CONFLICT);
        assert_non_null(fake_s3_find("a/b/k"));
        scoped(free) char *etag = str_printf("e%u", fake_s3_find("a/b/k")->version);

        store_remove_if(store, "k", etag, 10000, on_done, NULL);
        until_answered();
        assert_int_equal(outcome.rc, RC_OK);
        assert_null(fake_s3_find("a/b/k"));
        store_remove_if(store, "k", etag, 10000, on_done, NULL);
        until_answered();
        assert_int_equal(outcome.rc, RC_OK);
    }
}

static void a_key_that_could_not_be_removed_is_named(void **state)
{
    (void)state;
    static const char *const keys[] = {"x", "y"};

    fake_s3.faults[0] =
        (struct fake_fault){.operation = "DeleteObjects",
                            .nth = 1,
                            .status = 200,
                            .body = "<DeleteResult><Error><Key>a/b/y</Key><Code>AccessDenied</Code>"
                                    "<Message>no</Message></Error></DeleteResult>"};
    store_remove(store, keys, 2, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_HOST);
    assert_string_equal(outcome.text, "delete 'a/b/y': AccessDenied: no");
}

static void a_store_without_an_access_says_so(void **state)
{
    (void)state;
    struct store *none = NULL;
    struct uri *uri;
    struct err err;

    assert_int_equal(uri_parse("s3://bucket", "/", &uri, &err), RC_OK);
    assert_int_equal(store_open(loop, work, uri, &(struct store_options){0}, &none, &err),
                     RC_UNSUPPORTED);
    assert_string_equal(store_bucket(store), "bucket");
    assert_string_equal(store_place(store), "");
    store_sync(store, on_done, NULL);
    until_answered();
    assert_int_equal(outcome.rc, RC_OK);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_is_got_under_the_prefix),
        CASE(a_read_is_pinned_and_whole),
        CASE(a_large_read_is_split_and_put_together),
        CASE(a_read_can_be_canceled),
        CASE(a_listing_strips_the_prefix_and_goes_on),
        CASE(a_token_that_is_refused_is_not_used_again),
        CASE(a_listing_that_is_no_xml_is_an_error),
        CASE(conditions_hold_for_writers_who_do_not_know_of_each_other),
        CASE(batches_share_one_window_of_puts),
        CASE(a_put_that_fails_ends_its_batch_and_no_other),
        CASE(a_server_without_the_newer_checksum_gets_the_older_one),
        CASE(a_large_file_goes_in_parts),
        CASE(what_a_failed_upload_had_sent_is_removed),
        CASE(a_completion_whose_answer_was_lost_is_confirmed),
        CASE(a_copy_is_the_servers_work),
        CASE(many_keys_are_removed_a_thousand_at_a_time),
        CASE(one_is_removed_if_it_still_is_what_it_was),
        CASE(a_key_that_could_not_be_removed_is_named),
        CASE(a_store_without_an_access_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
