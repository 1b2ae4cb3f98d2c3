/** @file
 * Crawls over a real store and a real catalog in a temporary directory; the helper that reads HDF5
 * and the queue are played by the test.
 */
#include "tests/unit.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "daemon/catalog/catalog.h"
#include "daemon/catalog/catalog_query.h"
#include "daemon/conf/conf.h"
#include "daemon/crawl/classify.h"
#include "daemon/crawl/crawl.h"
#include "daemon/job/job_clean.h"
#include "daemon/job/job_queue.h"
#include "daemon/services.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"

#define MEMORY (64ull << 20)

/* ---- the world ------------------------------------------------------------------------------- */

static struct {
    char dir[64];
    struct services services;
    struct job job;
    bool over;
    enum job_event event;
    enum rc rc;
    char reason[480];
    unsigned catalog_changes;
    struct strbuf answer;
} world;

static struct {
    enum { PROBE_ANSWERS, PROBE_FAILS, PROBE_WAITS } does;
    h5_layout_fn *done;
    void *arg;
} probe;

static struct err err;

#define assert_ok(call)                          \
    do {                                         \
        if ((call) != RC_OK) {                   \
            fail_msg("%s: %s", #call, err.text); \
        }                                        \
    } while (0)

static const struct layout_dataset vil_and_id[] = {
    {
        .name = "id",
        .dtype = {.class_ = LAYOUT_STRING, .size = 10, .plain = true, .text = "S10"},
        .rank = 1,
        .dims = {3},
        .storage = LAYOUT_CONTIGUOUS,
        .address = 8192,
        .size = 30,
    },
    {
        .name = "vil",
        .dtype = {.class_ = LAYOUT_INTEGER, .size = 1, .plain = true, .text = "uint8"},
        .rank = 4,
        .dims = {3, 4, 5, 6},
        .storage = LAYOUT_CONTIGUOUS,
        .address = 2048,
        .size = 360,
    },
};

/** A layout as the helper would give it. */
static struct layout *make_layout(void)
{
    const struct layout plain = {.file_size = 9000, .dataset_count = 2, .datasets = vil_and_id};
    struct strbuf bytes = {0};
    struct layout *layout = NULL;

    layout_encode(&plain, &bytes);
    assert_ok(layout_decode(bytes.data, bytes.len, &layout, &err));
    strbuf_done(&bytes);
    return layout;
}

static void probe_ends(void *arg)
{
    struct err why;

    (void)arg;
    if (probe.does == PROBE_ANSWERS) {
        probe.done(make_layout(), NULL, probe.arg);
        return;
    }
    err_set(&why, probe.does == PROBE_FAILS ? RC_CRASHED : RC_CANCELED,
            "helper killed by signal 11 (SIGSEGV)");
    probe.done(NULL, &why, probe.arg);
}

struct h5_call *h5_layout(struct h5_helper *helper, const struct h5_object *object,
                          h5_layout_fn *done, void *arg)
{
    (void)helper;
    /* what the crawl has looked at is not to be read again */
    assert_int_equal(object->head_len, MIN_OF(object->size, CLASSIFY_HEAD));
    assert_memory_equal(object->head, "\x89HDF", 4);
    probe.done = done;
    probe.arg = arg;
    if (probe.does != PROBE_WAITS) {
        loop_defer(world.services.loop, probe_ends, NULL);
    }
    return (struct h5_call *)&probe;
}

void h5_cancel(struct h5_call *call)
{
    assert_ptr_equal(call, &probe);
    loop_defer(world.services.loop, probe_ends, NULL);
}

void job_queue_catalog_changed(struct job_queue *queue)
{
    (void)queue;
    world.catalog_changes++;
}

/** Cleaning has flow tests. */
void job_clean(struct services *to, const struct job *job, enum job_clean_what what,
               const bool *halt, loop_fn *done, void *arg)
{
    assert_int_equal(what, JOB_CLEAN_HALF_MADE);
    assert_false(*halt);
    done(arg);
}

void job_queue_waits(struct job_queue *queue, const struct job *job, bool waits)
{
    (void)queue, (void)job, (void)waits; /* everything is local here */
}

static char *path_of(const char *key)
{
    return str_printf("%s/raw/%s", world.dir, key);
}

static void put_bytes(const char *key, const void *bytes, size_t len)
{
    scoped(free) char *path = path_of(key);
    scoped(free) char *folder = str_dup_n(path, (size_t)(str_basename(path) - path));

    assert_ok(fs_mkdirs(folder, 0700, &err));
    assert_ok(fs_write_file(path, bytes, len, 0600, &err));
}

static void put(const char *key, const char *text)
{
    put_bytes(key, text, strlen(text));
}

static int set_up(void **state)
{
    static const unsigned widths[WORK_LANE_COUNT] = {2, 2, 1, 1, 1};
    static const struct conf conf = {.retry_attempts = 5};
    struct services *services = &world.services;
    struct uri *uri = NULL;

    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&probe, 0, sizeof(probe));
    snprintf(world.dir, sizeof(world.dir), "/tmp/test_crawl.XXXXXX");
    assert_non_null(mkdtemp(world.dir));
    scoped(free) char *raw = path_of("");
    services->conf = &conf;
    services->loop = loop_new();
    services->work = work_new(services->loop, widths);
    services->budget = budget_new(MEMORY);
    assert_ok(uri_parse(raw, "/", &uri, &err));
    assert_ok(store_open(services->loop, services->work, uri,
                         &(struct store_options){.create = true}, &services->raw, &err));
    assert_ok(catalog_open(services->loop, services->work, world.dir, NULL, 30000,
                           &services->catalog, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;

    static const char *const argv[] = {"rm", "-rf", world.dir, NULL};

    arena_free(world.job.arena);
    strbuf_done(&world.answer);
    catalog_close(world.services.catalog);
    store_free(world.services.raw);
    budget_free(world.services.budget);
    work_free(world.services.work);
    loop_free(world.services.loop);
    pid_t child = fork();

    if (child == 0) {
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    waitpid(child, NULL, 0);
    return 0;
}

/* ---- what is asked of the store ---- */

static struct {
    struct store_ops ops;
    void (*head)(struct store *, const char *, store_head_fn *, void *);
    unsigned heads;
} asked;

static void count_head(struct store *store, const char *key, store_head_fn *done, void *arg)
{
    asked.heads++;
    asked.head(store, key, done, arg);
}

static void count_heads(void)
{
    asked.ops = *world.services.raw->ops;
    asked.head = asked.ops.head;
    asked.heads = 0;
    asked.ops.head = count_head;
    world.services.raw->ops = &asked.ops;
}

/* ---- a crawl --------------------------------------------------------------------------------- */

static void on_head(const struct store_object *object, const struct err *why, void *arg)
{
    struct job_object *job_object = arg;

    assert_null(why);
    job_object->etag = arena_dup(world.job.arena, object->etag);
    job_object->size = object->size;
    loop_stop(world.services.loop);
}

static void on_done(struct job *job, enum job_event event, const struct job_note *note, void *arg)
{
    (void)arg;
    assert_ptr_equal(job, &world.job);
    assert_null(job->work);
    world.over = true;
    world.event = event;
    world.rc = note->rc;
    snprintf(world.reason, sizeof(world.reason), "%s", note->reason);
    loop_stop(world.services.loop);
}

/** A sighting of the object as it is now. */
static void sight(const char *key)
{
    arena_free(world.job.arena);
    world.job = (struct job){.id = 1, .state = JOB_CRAWLING, .arena = arena_new()};
    world.job.object = (struct job_object){.bucket = "raw", .key = key};
    store_head(world.services.raw, key, on_head, &world.job.object);
    loop_run(world.services.loop);
    world.over = false;
}

static void start(void)
{
    crawl_stage.start(&world.services, &world.job, on_done, NULL);
    assert_false(world.over);
}

static void finish(void)
{
    while (!world.over) {
        loop_run(world.services.loop);
    }
}

static void crawl(const char *key)
{
    sight(key);
    start();
    finish();
}

static enum rc run_query(struct db *db, void *arg, struct err *ret_err)
{
    struct catalog_query_result result;
    const struct catalog_query query = {.sql = arg, .format = CATALOG_CSV};

    strbuf_reset(&world.answer);
    return catalog_query_run(db, &query, &world.answer, &result, ret_err);
}

static void on_answered(const struct err *why, void *arg)
{
    (void)arg;
    if (why != NULL) {
        fail_msg("%s", why->text);
    }
    loop_stop(world.services.loop);
}

static void assert_answer(const char *sql, const char *expected)
{
    catalog_read(world.services.catalog, run_query, on_answered, (void *)sql);
    loop_run(world.services.loop);
    assert_string_equal(strchr(world.answer.data, '\n') + 1, expected);
}

static void assert_rejected(enum rc rc, const char *text)
{
    assert_int_equal(world.event, JOB_EV_REJECTED);
    assert_int_equal(world.rc, rc);
    if (strstr(world.reason, text) == NULL) {
        fail_msg("'%s' does not say '%s'", world.reason, text);
    }
}

#define HEADER                                                                                 \
    "id,file_name,file_index,img_type,time_utc,minute_offsets,episode_id,event_id,event_type," \
    "llcrnrlat,llcrnrlon,urcrnrlat,urcrnrlon,proj,size_x,size_y,height_m,width_m,data_min,"    \
    "data_max,pct_missing\n"

static void add_row(struct strbuf *text, unsigned index, const char *time)
{
    strbuf_printf(text,
                  "S%06u,vil/2019/a.h5,%u,vil,%s,-5:0:5,138793.0,834603.0,Flood,29.8,-100.8,33.3,"
                  "-96.8,+proj=laea +lat_0=38 +lon_0=-98 +units=m +a=6370997.0 +ellps=sphere ,384,"
                  "384,384000.0,384000.0,0.0,112.0,0.0\n",
                  index, index, time);
}

static void put_catalog(const char *key, unsigned rows)
{
    scoped(strbuf_done) struct strbuf text = {0};

    strbuf_puts(&text, HEADER);
    for (unsigned i = 0; i < rows; i++) {
        add_row(&text, i, "2019-05-12 18:30:00");
    }
    put_bytes(key, text.data, text.len);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

static void a_csv_file_becomes_a_table(void **state)
{
    (void)state;
    put("storms/Storm Details.csv", "Event ID;Damage\n1;2.5\n2;\n");
    crawl("storms/Storm Details.csv");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_string_equal(world.job.kind, "csv");
    assert_string_equal(world.job.table, "storm_details");
    assert_string_equal(world.reason, "CSV with 2 rows, 2 columns, semicolon between them");
    assert_answer("SELECT t.name, t.format, c.name, c.type, c.comment FROM tables AS t"
                  " JOIN columns AS c ON c.table_id = t.id ORDER BY c.position",
                  "storm_details,csv,event_id,bigint,Event ID\n"
                  "storm_details,csv,damage,double,Damage\n");
    assert_answer("SELECT etag = (SELECT max(etag) FROM csv_schemas), delimiter, header, rows"
                  " FROM csv_schemas",
                  "1,;,1,2\n");
}

static void a_newer_version_with_another_column_is_a_new_version_of_the_table(void **state)
{
    (void)state;
    put("x/year=2019/storms.csv", "a\n1\n");
    crawl("x/year=2019/storms.csv");
    put("x/year=2019/storms.csv", "a,b\n1.5,x\n");
    crawl("x/year=2019/storms.csv");
    assert_answer("SELECT version, change FROM table_versions",
                  "1,\"created with 1 column, partitioned by 'year'\"\n"
                  "2,column 'a' bigint -> double; added column 'b' string\n");
    assert_answer("SELECT \"values\" FROM partitions", "year=2019\n");
}

static void a_ragged_row_is_refused_with_its_line(void **state)
{
    (void)state;
    put("x.csv", "a,b\n1,2\n1,2,3\n");
    crawl("x.csv");
    assert_rejected(RC_INVALID, "line 3 has 3 fields, but the first row has 2");
    assert_answer("SELECT count(*) FROM tables", "0\n");
}

static void a_header_alone_is_a_table_without_rows(void **state)
{
    (void)state;
    put("x.csv", "alpha,beta\n");
    crawl("x.csv");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_string_equal(world.reason, "CSV with 0 rows, 2 columns, comma between them");
}

static void nothing_and_blank_lines_are_of_no_kind(void **state)
{
    (void)state;
    put("x.csv", "");
    crawl("x.csv");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_string_equal(world.job.kind, "other");
    assert_string_equal(world.reason, "the object is empty");
    put("y.csv", "\n\n\n");
    crawl("y.csv");
    assert_string_equal(world.job.kind, "other");
    assert_string_equal(world.reason, "the file has no rows");
}

static void binary_data_with_the_name_of_a_csv_is_refused(void **state)
{
    (void)state;
    static const char garbage[] = "\x01\x02\x03\x04garbage\x05\x06";

    put("x.csv", garbage);
    crawl("x.csv");
    assert_rejected(RC_INVALID, "'x.csv' holds binary data, not text");
}

static void a_csv_of_many_pieces_is_read_whole(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};

    strbuf_puts(&text, "n,text\n");
    for (unsigned i = 0; text.len < (3u << 20); i++) {
        strbuf_printf(&text, "%u,\"some words, and a\nline end\"\n", i);
    }
    strbuf_puts(&text, "0.5,x\n");
    put_bytes("x.csv", text.data, text.len);
    crawl("x.csv");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_answer("SELECT name, type FROM csv_columns", "n,double\ntext,string\n");
    assert_int_equal(budget_granted(world.services.budget), 0);
}

/* ---- SEVIR's catalog ------------------------------------------------------------------------- */

static void a_catalog_fills_events_wherever_it_lies(void **state)
{
    (void)state;
    put_catalog("any/where.csv", 3);
    crawl("any/where.csv");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_string_equal(world.job.kind, "catalog");
    assert_string_equal(world.job.table, "catalog");
    assert_string_equal(world.reason, "SEVIR catalog with 3 rows");
    assert_int_equal(world.catalog_changes, 1);
    assert_answer("SELECT id, file_index, event_id, time_utc FROM events WHERE file_index = 2",
                  "S000002,2,834603,2019-05-12 18:30:00\n");
}

static void a_catalog_of_many_batches_is_whole(void **state)
{
    (void)state;
    put_catalog("CATALOG.csv", 12345);
    crawl("CATALOG.csv");
    assert_string_equal(world.reason, "SEVIR catalog with 12345 rows");
    assert_answer("SELECT count(*), count(DISTINCT id) FROM events", "12345,12345\n");
}

static void a_gzipped_catalog_is_a_catalog(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};
    scoped(free) uint8_t *zipped = mem_zeroed(1 << 20);
    z_stream z = {.next_out = zipped, .avail_out = 1 << 20};

    strbuf_puts(&text, HEADER);
    for (unsigned i = 0; i < 20000; i++) {
        add_row(&text, i, "2019-05-12 18:30:00");
    }
    z.next_in = (uint8_t *)text.data;
    z.avail_in = (unsigned)text.len;
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    put_bytes("CATALOG.csv.gz", zipped, z.total_out);
    crawl("CATALOG.csv.gz");
    assert_string_equal(world.reason, "SEVIR catalog with 20000 rows");
    assert_answer("SELECT count(*) FROM events", "20000\n");
}

static void a_mangled_catalog_is_refused_and_the_rows_before_it_stay(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf text = {0};

    put_catalog("CATALOG.csv", 2);
    crawl("CATALOG.csv");
    strbuf_puts(&text, HEADER);
    for (unsigned i = 0; i < 7000; i++) {
        add_row(&text, i, i < 6999 ? "2019-05-12 18:30:00" : "5/12/2019 18:30");
    }
    put_bytes("CATALOG.csv", text.data, text.len);
    crawl("CATALOG.csv");
    assert_rejected(RC_INVALID, "line 7001 column 'time_utc'");
    assert_answer("SELECT count(*) FROM events", "2\n");
    assert_answer("SELECT count(*) FROM event_rows", "2\n");
}

static void an_object_that_is_no_catalog_any_more_takes_its_rows_along(void **state)
{
    (void)state;
    put_catalog("x.csv", 2);
    crawl("x.csv");
    put("x.csv", "a,b\n1,2\n");
    crawl("x.csv");
    assert_string_equal(world.job.kind, "csv");
    assert_int_equal(world.catalog_changes, 2);
    assert_answer("SELECT count(*) FROM event_rows", "0\n");
    assert_answer("SELECT t.name FROM table_sources AS f JOIN tables AS t ON t.id = f.table_id",
                  "x\n");
}

/* ---- HDF5, and the rest ---------------------------------------------------------------------- */

static void a_sevir_file_feeds_the_table_of_its_type(void **state)
{
    (void)state;
    put("data/vil/2019/a.h5", "\x89HDF\r\n\x1a\n");
    crawl("data/vil/2019/a.h5");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_string_equal(world.job.kind, "hdf5");
    assert_string_equal(world.job.table, "vil");
    assert_string_equal(world.reason, "HDF5 with 2 datasets");
    assert_answer("SELECT name, type, comment FROM columns WHERE partition_key = 0",
                  "id,string,S10\nvil,array<array<array<smallint>>>,uint8 4 x 5 x 6\n");
    assert_answer("SELECT \"values\", substr(location, -14) FROM partitions",
                  "year=2019,/data/vil/2019\n");
    assert_answer("SELECT datasets, summary FROM layouts",
                  "2,id S10 3 contiguous at 8192; vil uint8 3x4x5x6 contiguous at 2048\n");
    assert_int_equal(world.catalog_changes, 0);
}

static void a_file_that_kills_the_helper_is_rejected_with_the_signal(void **state)
{
    (void)state;
    probe.does = PROBE_FAILS;
    put("a.h5", "\x89HDF\r\n\x1a\n");
    crawl("a.h5");
    assert_rejected(RC_CRASHED, "helper killed by signal 11 (SIGSEGV)");
}

static void a_file_cut_short_before_its_signature_is_rejected(void **state)
{
    (void)state;
    put("a.h5", "\x89HD");
    crawl("a.h5");
    assert_rejected(RC_CORRUPT, "'a.h5' has no HDF5 signature");
}

static void what_is_neither_is_other(void **state)
{
    (void)state;
    put("README.md", "# read me\n");
    crawl("README.md");
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_string_equal(world.job.kind, "other");
    assert_string_equal(world.job.table, "");
    assert_string_equal(world.reason, "neither HDF5 nor CSV");
}

static void an_object_that_changed_since_its_sighting_is_for_later(void **state)
{
    (void)state;
    put("x.csv", "a\n1\n");
    sight("x.csv");
    put("x.csv", "a,b\n1,2\n");
    start();
    finish();
    assert_int_equal(world.event, JOB_EV_DEFERRED);
    assert_int_equal(world.rc, RC_CHANGED);
    assert_string_equal(world.reason, "the object has changed since it was sighted");
}

static void what_the_first_read_tells_is_not_asked_before(void **state)
{
    (void)state;
    put("x.csv", "a\n1\n");
    put("empty.csv", "");
    count_heads();
    sight("x.csv");
    assert_int_equal(asked.heads, 1); /* the sighting's own */
    start();
    finish();
    assert_int_equal(world.event, JOB_EV_FINISHED);
    assert_int_equal(asked.heads, 1);

    crawl("empty.csv"); /* of it nothing is read */
    assert_int_equal(asked.heads, 3);
    sight("x.csv");
    world.job.object.etag = ""; /* a notification without one */
    start();
    finish();
    assert_int_equal(world.event, JOB_EV_DEFERRED);
    assert_int_equal(world.rc, RC_CHANGED);
    assert_int_equal(asked.heads, 5);
}

static void an_object_that_is_gone_is_for_later(void **state)
{
    (void)state;
    put("x.csv", "a\n1\n");
    sight("x.csv");
    scoped(free) char *path = path_of("x.csv");
    unlink(path);
    start();
    finish();
    assert_int_equal(world.event, JOB_EV_DEFERRED);
    assert_int_equal(world.rc, RC_CHANGED);
    assert_string_equal(world.reason, "the object is gone");
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void poll_probe(void *arg)
{
    (void)arg;
    if (probe.done == NULL) {
        loop_defer(world.services.loop, poll_probe, NULL);
        return;
    }
    crawl_stage.stop(&world.job);
    crawl_stage.stop(&world.job); /* asking twice is asking once */
}

static void a_stop_ends_the_helper_and_then_the_crawl(void **state)
{
    (void)state;
    probe.does = PROBE_WAITS;
    put("a.h5", "\x89HDF\r\n\x1a\n");
    sight("a.h5");
    start();
    loop_defer(world.services.loop, poll_probe, NULL);
    finish();
    assert_int_equal(world.event, JOB_EV_STOPPED);
    assert_answer("SELECT count(*) FROM tables", "0\n");
}

static void stop_in_line(void *arg)
{
    (void)arg;
    if (budget_waiting(world.services.budget) == 0) {
        loop_defer(world.services.loop, stop_in_line, NULL);
        return;
    }
    crawl_stage.stop(&world.job);
}

static void on_never(struct budget_ticket *ticket, void *arg)
{
    (void)ticket, (void)arg;
}

static void a_crawl_in_line_for_memory_leaves_the_line_when_it_is_stopped(void **state)
{
    (void)state;
    struct budget_ticket all = {0};

    put("x.csv", "a\n1\n");
    sight("x.csv");
    assert_ok(budget_acquire(world.services.budget, &all, MEMORY, on_never, NULL, &err));
    start();
    loop_defer(world.services.loop, stop_in_line, NULL);
    finish();
    assert_int_equal(world.event, JOB_EV_STOPPED);
    assert_int_equal(budget_waiting(world.services.budget), 0);
    budget_release(world.services.budget, &all);
}

static void a_stop_at_once_stops(void **state)
{
    (void)state;
    put_catalog("x.csv", 10);
    sight("x.csv");
    start();
    crawl_stage.stop(&world.job);
    finish();
    assert_int_equal(world.event, JOB_EV_STOPPED);
    assert_answer("SELECT count(*) FROM event_rows", "0\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_csv_file_becomes_a_table),
        TEST(a_newer_version_with_another_column_is_a_new_version_of_the_table),
        TEST(a_ragged_row_is_refused_with_its_line),
        TEST(a_header_alone_is_a_table_without_rows),
        TEST(nothing_and_blank_lines_are_of_no_kind),
        TEST(binary_data_with_the_name_of_a_csv_is_refused),
        TEST(a_csv_of_many_pieces_is_read_whole),
        TEST(a_catalog_fills_events_wherever_it_lies),
        TEST(a_catalog_of_many_batches_is_whole),
        TEST(a_gzipped_catalog_is_a_catalog),
        TEST(a_mangled_catalog_is_refused_and_the_rows_before_it_stay),
        TEST(an_object_that_is_no_catalog_any_more_takes_its_rows_along),
        TEST(a_sevir_file_feeds_the_table_of_its_type),
        TEST(a_file_that_kills_the_helper_is_rejected_with_the_signal),
        TEST(a_file_cut_short_before_its_signature_is_rejected),
        TEST(what_is_neither_is_other),
        TEST(an_object_that_changed_since_its_sighting_is_for_later),
        TEST(what_the_first_read_tells_is_not_asked_before),
        TEST(an_object_that_is_gone_is_for_later),
        TEST(a_stop_ends_the_helper_and_then_the_crawl),
        TEST(a_crawl_in_line_for_memory_leaves_the_line_when_it_is_stopped),
        TEST(a_stop_at_once_stops),
    };
    return cmocka_run_group_tests_name("crawl", tests, NULL, NULL);
}
