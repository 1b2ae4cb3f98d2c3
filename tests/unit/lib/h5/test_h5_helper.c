/** @file
 * The client of the jailed helper: with the real one, and with helpers that misbehave.
 */
#include "tests/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/h5/h5_helper.h"
#include "lib/h5/h5_wire.h"
#include "tests/unit/lib/h5/fake_helper.h"
#include "tests/unit/lib/h5/memory_store.h"
#include "tests/unit/lib/h5/small_h5.h"

#define FILE_BYTES 65536

/** One loop, one store, and what calls ended with. */
struct bench {
    struct loop *loop;
    struct h5_helper *helper;
    struct memory_store store;
    struct h5_object object;
    char dir[64], program[128];
    uint8_t bytes[FILE_BYTES];

    unsigned ends;
    struct err err; /**< Of the latest; rc RC_OK for success. */
    struct layout *layout;
    struct h5_call *call;
};

static struct bench bench;

static void open_bench(const char *fake, struct h5_options options)
{
    bench = (struct bench){.loop = loop_new()};
    if (fake != NULL) {
        char self[PATH_MAX] = "";

        assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        snprintf(bench.dir, sizeof(bench.dir), "/tmp/test-h5-XXXXXX");
        assert_non_null(mkdtemp(bench.dir));
        snprintf(bench.program, sizeof(bench.program), "%s/fake-%s", bench.dir, fake);
        assert_int_equal(symlink(self, bench.program), 0);
        options.program = bench.program;
    }
    bench.helper = h5_helper_new(bench.loop, &options);
    memory_store_init(&bench.store, bench.loop, bench.bytes, sizeof(bench.bytes));
    bench.object = (struct h5_object){
        .store = &bench.store.store, .key = "a.h5", .etag = "one", .size = sizeof(bench.bytes)};
}

/** Nothing may be left: no call, no process, no file. */
static void close_bench(void)
{
    layout_free(bench.layout);
    h5_helper_free(bench.helper);
    loop_free(bench.loop);
    assert_int_equal(bench.store.busy, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    if (bench.program[0] != '\0') {
        unlink(bench.program);
        rmdir(bench.dir);
    }
}

/** The bytes of a small real file. */
static void use_small_file(void)
{
    small_h5(bench.bytes);
    bench.store.len = SMALL_H5_SIZE;
    bench.object.size = SMALL_H5_SIZE;
}

static void on_rows(const struct err *err, void *arg)
{
    bench.ends++;
    bench.err = err != NULL ? *err : (struct err){.rc = RC_OK};
}

static void on_layout(struct layout *layout, const struct err *err, void *arg)
{
    on_rows(err, arg);
    assert_true((layout == NULL) == (err != NULL));
    layout_free(bench.layout);
    bench.layout = layout;
}

static enum rc run_layout(void)
{
    bench.ends = 0;
    bench.call = h5_layout(bench.helper, &bench.object, on_layout, NULL);
    assert_int_equal(bench.ends, 0);
    loop_run(bench.loop);
    assert_int_equal(bench.ends, 1);
    return bench.err.rc;
}

static const struct h5_options quick = {.parallel = 2, .deadline_ms = 20000};
static const struct h5_options hasty = {.parallel = 2, .deadline_ms = 300};

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("'%s' does not say '%s'", text, part);
    }
}

static void the_layout_of_a_real_file_comes_through_the_jail(void **state)
{
    open_bench(NULL, quick);
    use_small_file();

    assert_int_equal(run_layout(), RC_OK);
    const struct layout_dataset *vil = layout_find(bench.layout, "vil");
    assert_non_null(vil);
    assert_int_equal(bench.layout->dataset_count, 2);
    assert_string_equal(vil->dtype.text, "uint8");
    assert_int_equal(layout_elements(vil), 24);
    assert_int_equal(bench.bytes[vil->address + 23], 23);
    assert_int_equal(h5_helper_bytes(bench.helper), SMALL_H5_SIZE);
    close_bench();
}

static void rows_that_workers_cannot_decode_come_from_libhdf5(void **state)
{
    int16_t rows[12] = {0};

    open_bench(NULL, quick);
    use_small_file();
    assert_int_equal(run_layout(), RC_OK);
    const struct layout_dataset *packed = layout_find(bench.layout, "packed");
    assert_int_equal(layout_direct(packed, &bench.err), RC_UNSUPPORTED);

    bench.ends = 0;
    h5_rows(bench.helper, &bench.object, packed, 1, 2, rows, sizeof(rows), on_rows, NULL);
    loop_run(bench.loop);
    assert_int_equal(bench.ends, 1);
    assert_int_equal(bench.err.rc, RC_OK);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(rows[i], i + 6);
    }
    close_bench();
}

static void rows_that_do_not_fit_the_layout_are_refused_later(void **state)
{
    int16_t rows[12];

    open_bench(NULL, quick);
    use_small_file();
    assert_int_equal(run_layout(), RC_OK);
    const struct layout_dataset *packed = layout_find(bench.layout, "packed");
    const struct {
        uint64_t first, count;
        size_t len;
    } wrong[] = {{0, 2, 23}, {0, 3, 24}, {0, UINT64_MAX / 2, 24}, {3, 2, 24}, {UINT64_MAX, 2, 24}};

    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
        bench.ends = 0;
        h5_rows(bench.helper, &bench.object, packed, wrong[i].first, wrong[i].count, rows,
                wrong[i].len, on_rows, NULL);
        assert_int_equal(bench.ends, 0);
        loop_run(bench.loop);
        assert_int_equal(bench.ends, 1);
        assert_int_equal(bench.err.rc, RC_INVALID);
    }
    close_bench();
}

static void what_is_not_hdf5_is_invalid(void **state)
{
    open_bench(NULL, quick);
    assert_int_equal(run_layout(), RC_INVALID);
    assert_contains(bench.err.text, "signature");
    close_bench();
}

static void what_is_known_is_not_asked_of_the_store(void **state)
{
    open_bench(NULL, quick);
    use_small_file();
    bench.object.head = bench.bytes;
    bench.object.head_len = SMALL_H5_SIZE;
    assert_int_equal(run_layout(), RC_OK);
    assert_int_equal(bench.layout->dataset_count, 2);
    assert_int_equal(bench.store.gets, 0);
    assert_int_equal(h5_helper_bytes(bench.helper), 0);

    bench.object.head_len = SMALL_H5_SIZE - 1; /* not all of what it reads */
    assert_int_equal(run_layout(), RC_OK);
    assert_int_equal(bench.store.gets, 1);
    close_bench();
}

static void several_ranges_are_read_at_once_and_answered_in_order(void **state)
{
    open_bench("reads-many", quick);
    memcpy(bench.bytes + 40000, "abc", 3);
    memcpy(bench.bytes + 20000, "x", 1);
    memcpy(bench.bytes, "-AB", 3);
    bench.object.head = bench.bytes;
    bench.object.head_len = 3;
    assert_int_equal(run_layout(), RC_CORRUPT);
    assert_string_equal(bench.err.text, "as asked");
    assert_int_equal(bench.store.gets, 2);
    assert_int_equal(bench.store.peak, 2);
    assert_int_equal(h5_helper_bytes(bench.helper), 4);
    close_bench();
}

static void one_of_several_reads_that_fails_ends_the_call_once(void **state)
{
    open_bench("reads-many", quick);
    bench.store.fail_with = RC_NETWORK;
    bench.store.fail_at = 2;
    assert_int_equal(run_layout(), RC_NETWORK);
    assert_int_equal(bench.store.gets, 3);
    close_bench();

    open_bench("reads-many", hasty);
    bench.store.hold = true;
    assert_int_equal(run_layout(), RC_TIMEOUT);
    assert_int_equal(bench.store.peak, 3);
    close_bench();
}

static void a_store_that_fails_decides_the_error(void **state)
{
    open_bench(NULL, quick);
    use_small_file();
    bench.store.fail_with = RC_NETWORK;
    assert_int_equal(run_layout(), RC_NETWORK);
    assert_string_equal(bench.err.text, "'a.h5' cannot be read");

    bench.store.fail_with = RC_OK;
    bench.store.etag = "two";
    assert_int_equal(run_layout(), RC_CHANGED);
    close_bench();
}

static void a_store_that_never_answers_runs_into_the_deadline(void **state)
{
    open_bench(NULL, hasty);
    bench.store.hold = true;
    assert_int_equal(run_layout(), RC_TIMEOUT);
    assert_int_equal(bench.store.gets, 1);
    close_bench();
}

static void cancel_when_reading(void *arg)
{
    if (bench.store.gets == 0) {
        loop_defer(bench.loop, cancel_when_reading, NULL);
        return;
    }
    h5_cancel(bench.call);
    assert_int_equal(bench.ends, 0);
    h5_cancel(bench.call);
}

static void canceling_ends_the_call_once_and_kills_the_helper(void **state)
{
    open_bench(NULL, quick);
    bench.store.hold = true;
    loop_defer(bench.loop, cancel_when_reading, NULL);
    assert_int_equal(run_layout(), RC_CANCELED);
    close_bench();
}

static void canceling_in_line_never_starts_a_helper(void **state)
{
    struct h5_call *calls[4];

    open_bench(NULL, (struct h5_options){.parallel = 1});
    use_small_file();
    for (unsigned i = 0; i < ARRAY_LEN(calls); i++) {
        calls[i] = h5_layout(bench.helper, &bench.object, on_layout, NULL);
    }
    h5_cancel(calls[3]); /* the last of the line */
    h5_cancel(calls[1]);
    loop_run(bench.loop);
    assert_int_equal(bench.ends, 4);
    assert_int_equal(bench.err.rc, RC_OK); /* the one still in line ran last */
    assert_int_equal(h5_helper_bytes(bench.helper), 2 * SMALL_H5_SIZE);
    close_bench();
}

static void no_more_helpers_run_than_allowed(void **state)
{
    open_bench(NULL, (struct h5_options){.parallel = 2});
    use_small_file();
    for (unsigned i = 0; i < 6; i++) {
        h5_layout(bench.helper, &bench.object, on_layout, NULL);
    }
    loop_run(bench.loop);
    assert_int_equal(bench.ends, 6);
    assert_in_range(bench.store.peak, 1, 2);
    close_bench();
}

static void a_program_that_is_not_there_is_an_error_later(void **state)
{
    open_bench(NULL, (struct h5_options){.program = "/nonexistent/sevird-h5probe"});
    assert_int_equal(run_layout(), RC_HOST);
    assert_contains(bench.err.text, "start '/nonexistent/sevird-h5probe': no such file");
    close_bench();
}

static void a_helper_without_memory_says_so_and_is_not_tried_again(void **state)
{
    open_bench("wants-more-memory", quick);
    assert_int_equal(run_layout(), RC_UNSUPPORTED);
    assert_string_equal(bench.err.text, "over the helper's limits: no memory");
    assert_int_equal(rc_retry_class(bench.err.rc), RETRY_NEVER);
    close_bench();
}

static void an_errors_text_is_made_harmless(void **state)
{
    open_bench("refuses-rudely", quick);
    assert_int_equal(run_layout(), RC_CORRUPT);
    assert_string_equal(bench.err.text, "line?break ?[2J ?");
    close_bench();
}

static void every_misbehaviour_ends_with_a_reason(void **state)
{
    static const struct {
        const char *fake;
        enum rc rc;
        const char *says;
        bool hasty;
    } cases[] = {
        {"dies", RC_CRASHED, "helper killed by signal 11 (SIGSEGV)", false},
        {"is-killed", RC_IO, "helper killed from outside (SIGKILL)", false},
        {"breaks-out", RC_CRASHED, "helper tried a forbidden system call (SIGSYS)", false},
        {"computes", RC_CRASHED, "processor time", false},
        {"says-nothing", RC_CRASHED, "ended with status 0 and without an answer", false},
        {"hangs", RC_TIMEOUT, "not done after 0.3 s", true},
        {"hangs-up", RC_TIMEOUT, "not done after 0.3 s", true},
        {"floods", RC_TIMEOUT, "not done after 0.3 s", true},
        {"talks-nonsense", RC_CRASHED, "makes no sense here", false},
        {"reads-beyond", RC_CRASHED, "asked for 2 bytes at 65535 of a file of 65536", false},
        {"reads-nothing", RC_CRASHED, "asked for 0 bytes", false},
        {"reads-too-much", RC_CRASHED, "asked for 4194305 bytes", false},
        {"reads-backwards", RC_CRASHED, "asked for 8 bytes", false},
        {"reads-for-ever", RC_CRASHED, "did not find an end", false},
        {"reads-many-beyond", RC_CRASHED, "asked for 8 bytes at 65529 of a file of 65536", false},
        {"reads-many-of-much", RC_CRASHED, "asked for 18446744073709551615 bytes at 0", false},
        {"reads-too-many", RC_CRASHED, "announced 1040 bytes of ranges", false},
        {"reads-half-a-range", RC_CRASHED, "announced 8 bytes of ranges", false},
        {"reads-many-for-ever", RC_CRASHED, "did not find an end", false},
        {"answers-endlessly", RC_CRASHED, "announced 1099511627776 bytes", false},
        {"answers-with-nothing", RC_CRASHED, "announced 0 bytes", false},
        {"answers-garbage", RC_CORRUPT, "layout: ", false},
        {"answers-half", RC_CRASHED, "without an answer", false},
        {"answers-another-question", RC_CRASHED, "makes no sense here", false},
        {"refuses-oddly", RC_CRASHED, "because", false},
        {"screams", RC_CRASHED, "(SIGABRT): free(): invalid pointer aaa", false},
    };

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        open_bench(cases[i].fake, cases[i].hasty ? hasty : quick);
        if (run_layout() != cases[i].rc) {
            fail_msg("'%s' ended as %s: %s", cases[i].fake, rc_name(bench.err.rc), bench.err.text);
        }
        assert_contains(bench.err.text, cases[i].says);
        close_bench();
    }
}

static void rows_of_the_wrong_size_never_leave_their_buffer(void **state)
{
    static const struct {
        const char *fake;
        const char *says;
    } cases[] = {
        {"sends-too-many-rows", "sent 25 bytes of rows where 24 are missing"},
        {"sends-too-few-rows", "sent 0 bytes of rows where 16 are missing"},
        {"answers-another-question", "makes no sense here"},
    };
    const struct layout_dataset dataset = {
        .name = "vil", .dtype = {.size = 1}, .rank = 2, .dims = {3, 8}};

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t *rows = malloc(24); /* the heap, so that ASan sees a byte too many */

        open_bench(cases[i].fake, quick);
        h5_rows(bench.helper, &bench.object, &dataset, 0, 3, rows, 24, on_rows, NULL);
        loop_run(bench.loop);
        assert_int_equal(bench.ends, 1);
        assert_int_equal(bench.err.rc, RC_CRASHED);
        assert_contains(bench.err.text, cases[i].says);
        close_bench();
        free(rows);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_of_a_real_file_comes_through_the_jail),
        cmocka_unit_test(rows_that_workers_cannot_decode_come_from_libhdf5),
        cmocka_unit_test(rows_that_do_not_fit_the_layout_are_refused_later),
        cmocka_unit_test(what_is_not_hdf5_is_invalid),
        cmocka_unit_test(what_is_known_is_not_asked_of_the_store),
        cmocka_unit_test(several_ranges_are_read_at_once_and_answered_in_order),
        cmocka_unit_test(one_of_several_reads_that_fails_ends_the_call_once),
        cmocka_unit_test(a_store_that_fails_decides_the_error),
        cmocka_unit_test(a_store_that_never_answers_runs_into_the_deadline),
        cmocka_unit_test(canceling_ends_the_call_once_and_kills_the_helper),
        cmocka_unit_test(canceling_in_line_never_starts_a_helper),
        cmocka_unit_test(no_more_helpers_run_than_allowed),
        cmocka_unit_test(a_program_that_is_not_there_is_an_error_later),
        cmocka_unit_test(a_helper_without_memory_says_so_and_is_not_tried_again),
        cmocka_unit_test(an_errors_text_is_made_harmless),
        cmocka_unit_test(every_misbehaviour_ends_with_a_reason),
        cmocka_unit_test(rows_of_the_wrong_size_never_leave_their_buffer),
    };

    fake_helper_main(argv[0]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
