/** @file
 * Lines as a reader of standard error sees them.
 */
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fs.h"
#include "lib/base/log.h"
#include "lib/base/scope.h"

static char path[64];
static int saved = -1;

/** Standard error goes to a file from here on. */
static void capture(void)
{
    int fd;

    snprintf(path, sizeof(path), "/tmp/test_log.XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    saved = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static char *captured(void)
{
    char *bytes = NULL;
    struct err err;

    dup2(saved, STDERR_FILENO);
    close(saved);
    assert_int_equal(fs_read_file(path, 1 << 24, &bytes, NULL, &err), RC_OK);
    unlink(path);
    return bytes;
}

static void a_line_has_time_tag_and_message(void **state)
{
    scoped(free) char *text = NULL;

    capture();
    log_start(LOG_INFO);
    log_info(LOG_JOB, "job=%d %s", 42, "CRAWLING -> CRAWLED");
    log_error(LOG_DB, "no space left");
    text = captured();
    assert_non_null(strstr(text, "Z [job   ] job=42 CRAWLING -> CRAWLED\n"));
    assert_non_null(strstr(text, "Z [db    ] error: no space left\n"));
    assert_null(strchr(text, '\x1b')); /* A file is no terminal. */
}

static void a_hostile_key_cannot_forge_a_line(void **state)
{
    scoped(free) char *text = NULL;

    capture();
    log_start(LOG_INFO);
    log_info(LOG_STORE, "put '%s'", "a\n2030-01-01 [job   ] job=1 DONE\x1b[2J");
    text = captured();
    assert_non_null(strstr(text, "put 'a\\n2030-01-01 [job   ] job=1 DONE\\x1b[2J'\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void what_is_below_the_level_is_silent(void **state)
{
    scoped(free) char *text = NULL;

    capture();
    log_start(LOG_WARN);
    log_info(LOG_JOB, "quiet");
    log_warn(LOG_JOB, "first");
    log_set_level(LOG_DEBUG);
    log_debug(LOG_JOB, "second");
    text = captured();
    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, "first"));
    assert_non_null(strstr(text, "second"));
}

static void a_journal_stream_that_is_not_ours_is_no_journal(void **state)
{
    scoped(free) char *text = NULL;

    setenv("JOURNAL_STREAM", "1:2", 1);
    capture();
    log_start(LOG_INFO);
    log_info(LOG_JOB, "here");
    text = captured();
    unsetenv("JOURNAL_STREAM");
    assert_non_null(strstr(text, "here"));
}

static void logging_keeps_errno(void **state)
{
    scoped(free) char *text = NULL;

    capture();
    log_start(LOG_INFO);
    errno = ENOSPC;
    log_info(LOG_JOB, "x");
    assert_int_equal(errno, ENOSPC);
    text = captured();
}

static void *write_many(void *arg)
{
    for (int i = 0; i < 200; i++) {
        log_info(LOG_JOB, "%0100d", *(int *)arg);
    }
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    scoped(free) char *text = NULL;
    pthread_t threads[4];
    int numbers[4] = {1, 2, 3, 4};
    unsigned lines = 0;

    capture();
    log_start(LOG_INFO);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &numbers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    text = captured();
    for (char *p = text, *end; (end = strchr(p, '\n')) != NULL; p = end + 1, lines++) {
        assert_int_equal(end - p, 24 + 1 + 8 + 1 + 100);
    }
    assert_int_equal(lines, 800);
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_ERROR;

    assert_true(log_level_parse("note", &level));
    assert_int_equal(level, LOG_NOTE);
    assert_false(log_level_parse("loud", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_NOTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_tag_and_message),
        cmocka_unit_test(a_hostile_key_cannot_forge_a_line),
        cmocka_unit_test(what_is_below_the_level_is_silent),
        cmocka_unit_test(a_journal_stream_that_is_not_ours_is_no_journal),
        cmocka_unit_test(logging_keeps_errno),
        cmocka_unit_test(lines_of_threads_do_not_mix),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
