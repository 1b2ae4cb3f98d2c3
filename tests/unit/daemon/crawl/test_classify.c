#include "tests/unit.h"

#include "daemon/crawl/classify.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const char signature[] = "\x89HDF\r\n\x1a\n";

static enum rc classify_text(const char *key, const char *text, enum classify *ret_class,
                             struct err *err)
{
    return classify(key, text, strlen(text), true, ret_class, err);
}

static void assert_class(const char *key, const char *text, enum classify expected)
{
    enum classify found;
    struct err err;

    assert_int_equal(classify_text(key, text, &found, &err), RC_OK);
    assert_int_equal(found, expected);
}

static void assert_refused(const char *key, const char *bytes, size_t len, enum rc rc,
                           const char *text)
{
    enum classify found;
    struct err err;

    assert_int_equal(classify(key, bytes, len, true, &found, &err), rc);
    assert_string_equal(err.text, text);
}

static void hdf5_is_what_has_the_signature_whatever_its_name(void **state)
{
    (void)state;
    assert_class("a/x.h5", signature, CLASSIFY_HDF5);
    assert_class("a/x.csv", signature, CLASSIFY_HDF5);
    assert_class("a/x", signature, CLASSIFY_HDF5);
}

static void the_signature_may_lie_behind_a_block_of_the_users(void **state)
{
    (void)state;
    static const size_t places[] = {512, 1024, 2048, 4096, 32768};
    scoped(free) char *head = mem_zeroed(CLASSIFY_HEAD);
    enum classify found;
    struct err err;

    for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
        memset(head, 0, CLASSIFY_HEAD);
        memcpy(head + places[i], signature, 8);
        assert_int_equal(classify("x", head, places[i] + 8, true, &found, &err), RC_OK);
        assert_int_equal(found, CLASSIFY_HDF5);
        assert_int_equal(classify("x", head, places[i] + 7, true, &found, &err), RC_OK);
        assert_int_equal(found, CLASSIFY_OTHER);
    }
    memset(head, 0, CLASSIFY_HEAD);
    memcpy(head + 1536, signature, 8);
    assert_int_equal(classify("x", head, CLASSIFY_HEAD, true, &found, &err), RC_OK);
    assert_int_equal(found, CLASSIFY_OTHER);
}

static void a_name_that_promises_hdf5_must_keep_it(void **state)
{
    (void)state;
    enum classify found;
    struct err err;

    assert_refused("a/x.h5", "", 0, RC_CORRUPT, "'x.h5' is empty");
    assert_refused("a/x.H5", "hello", 5, RC_CORRUPT,
                   "'x.H5' has no HDF5 signature: it is no HDF5 file");
    assert_refused("x.hdf5", signature, 7, RC_CORRUPT,
                   "'x.hdf5' has no HDF5 signature: it is no HDF5 file");
    assert_int_equal(classify("x.h5", "hello", 5, false, &found, &err), RC_OK);
    assert_int_equal(found, CLASSIFY_HDF5);
}

static void csv_is_text_of_that_name(void **state)
{
    (void)state;
    assert_class("CATALOG.csv", "id,file_name\n", CLASSIFY_CSV);
    assert_class("x.TSV", "a\tb\n1\t2\n", CLASSIFY_CSV);
    assert_class("x.csv", "one column only\n", CLASSIFY_CSV);
    assert_class("x.csv", "\xff\xfei", CLASSIFY_CSV); /* the reader says "save it as UTF-8" */
    assert_refused("x.csv", "\x01\x02\x03\x04", 4, RC_INVALID,
                   "'x.csv' holds binary data, not text");
    assert_refused("x.csv", "a,b\n1\0,2\n", 9, RC_INVALID, "'x.csv' holds binary data, not text");
}

static void gzip_is_csv_if_its_name_says_so(void **state)
{
    (void)state;
    assert_class("x.csv.gz", "\x1f\x8b\x08...", CLASSIFY_CSV);
    assert_class("x.csv", "\x1f\x8b\x08...", CLASSIFY_CSV);
    assert_class("nowcast_testing_000.h5.tar.gz", "\x1f\x8b\x08...", CLASSIFY_OTHER);
}

static void a_name_that_says_nothing_needs_the_look_of_a_table(void **state)
{
    (void)state;
    assert_class("CATALOG", "id,file_name,n\nS1,a,1\n", CLASSIFY_CSV);
    assert_class("x.txt", "a;b\n1;2", CLASSIFY_CSV);
    assert_class("README", "SEVIR is a data set.\nIt has, as one says, rows.\n", CLASSIFY_OTHER);
    assert_class("x.json", "{\"a\":1,\n\"b\":2}\n", CLASSIFY_OTHER);
    assert_class("x.png", "\x89PNG\r\n\x1a\n", CLASSIFY_OTHER);
    assert_class("x", "", CLASSIFY_OTHER);
    assert_class("x.csv", "", CLASSIFY_OTHER);
}

static void a_layout_tells_the_types_of_sevir(void **state)
{
    (void)state;
    const struct layout_dataset datasets[] = {
        {.name = "R18060207557859", .rank = 2, .dims = {7, 5}},
        {.name = "S1234567", .rank = 2, .dims = {0, 5}},
        {.name = "id", .rank = 1, .dims = {3}},
        {.name = "ir069", .rank = 4, .dims = {3, 192, 192, 49}},
        {.name = "vil", .rank = 3, .dims = {3, 384, 384}},
        {.name = "vis", .rank = 4, .dims = {3, 768, 768, 49}},
    };

    assert_int_equal(classify_layout(&(struct layout){.dataset_count = 6, .datasets = datasets}),
                     1u << SEVIR_LGHT | 1u << SEVIR_IR069 | 1u << SEVIR_VIS);
    assert_int_equal(
        classify_layout(&(struct layout){.dataset_count = 1, .datasets = &datasets[1]}),
        1u << SEVIR_LGHT);
    assert_int_equal(
        classify_layout(&(struct layout){.dataset_count = 1, .datasets = &datasets[4]}), 0);
    assert_int_equal(classify_layout(&(struct layout){0}), 0);
}

static void assert_partition(const char *key, bool sevir, const char *values, size_t folder_len)
{
    scoped(classify_partition_done) struct classify_partition partition;

    classify_partition(key, sevir, &partition);
    scoped(free) char *found = classify_partition_values(&partition);
    assert_string_equal(found, values);
    assert_int_equal(partition.folder_len, folder_len);
}

static void partitions_are_the_parts_of_a_path_that_name_and_value(void **state)
{
    (void)state;
    assert_partition("sales/Year=2019/month=01/x.csv", false, "year=2019/month=01", 5);
    assert_partition("year=2019/x.csv", false, "year=2019", 0);
    assert_partition("a/b/x.csv", false, "", 3);
    assert_partition("x.csv", false, "", 0);
    assert_partition("a/=1/b=/c d=1/x=y.csv", false, "", 13);
}

static void sevirs_own_files_are_partitioned_by_year(void **state)
{
    (void)state;
    assert_partition("data/vil/2019/SEVIR_VIL_STORMEVENTS_2018_0101_0630.h5", true, "year=2019", 8);
    assert_partition("SEVIR_VIL_STORMEVENTS_2018_0101_0630.h5", true, "year=2018", 0);
    assert_partition("2019/x.h5", true, "year=2019", 0);
    assert_partition("data/vil/2019/x.h5", false, "", 13);
    assert_partition("vil/x_0101.h5", true, "", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hdf5_is_what_has_the_signature_whatever_its_name),
        cmocka_unit_test(the_signature_may_lie_behind_a_block_of_the_users),
        cmocka_unit_test(a_name_that_promises_hdf5_must_keep_it),
        cmocka_unit_test(csv_is_text_of_that_name),
        cmocka_unit_test(gzip_is_csv_if_its_name_says_so),
        cmocka_unit_test(a_name_that_says_nothing_needs_the_look_of_a_table),
        cmocka_unit_test(a_layout_tells_the_types_of_sevir),
        cmocka_unit_test(partitions_are_the_parts_of_a_path_that_name_and_value),
        cmocka_unit_test(sevirs_own_files_are_partitioned_by_year),
    };
    return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
