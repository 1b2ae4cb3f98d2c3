/** @file
 * The Glue Data Catalog is told of what was published: tables, their versions, partitions that came
 * and went. Read sync_run() from top to bottom: it is the whole story.
 *
 * What is due is kept in catalog.db (daemon/catalog/catalog_due.h) and told as it is now, one table
 * at a time, by one sync at a time: so whoever comes last tells the last truth. A job is answered
 * by a sync that began after it had asked.
 */
#include <string.h>

#include "daemon/catalog/catalog.h"
#include "daemon/catalog/catalog_due.h"
#include "daemon/glue/glue_p.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#define KEYS_MAX 8
#define TRIES_MAX 5

struct glue_asked {
    struct glue_asked *next;
    job_remote_told_fn *done;
    void *arg;
};

struct glue_sync {
    struct glue_engine *engine;
    struct glue_asked *waiting; /**< Came while a sync was under way. */
    struct glue_asked *served;  /**< By the one under way. */
    bool running;

    enum sync_step {
        SYNC_READ,
        SYNC_TABLE,
        SYNC_CREATE,
        SYNC_UPDATE,
        SYNC_PARTS,
        SYNC_PARTS_KNOWN,
        SYNC_NOTE
    } step;
    struct arena *arena; /**< Of one table's round. */
    struct catalog_due due;
    struct glue_table table;
    char *version; /**< Of the table that is there; arena's. */
    unsigned at;   /**< Of `due.parts`. */
    struct glue_partition batch[GLUE_PARTITIONS_CREATE]; /**< Being told of; strings are arena's. */
    unsigned batch_count;
    unsigned tries;
    struct err err;
};

static void sync_run(struct glue_sync *sync);

/* ---- coming and going ---- */

static void answer_all(struct glue_sync *sync, const struct err *err)
{
    struct glue_asked *asked = TAKE(sync->served);

    while (asked != NULL) {
        struct glue_asked *next = asked->next;

        asked->done(err, asked->arg);
        free(asked);
        asked = next;
    }
}

static void begin(void *arg)
{
    struct glue_sync *sync = arg;

    if (sync->waiting == NULL) {
        sync->running = false;
        return;
    }
    sync->served = TAKE(sync->waiting);
    sync->step = SYNC_READ;
    sync->tries = 0;
    sync_run(sync);
}

static void end(struct glue_sync *sync, const struct err *err)
{
    struct err why;

    arena_reset(sync->arena);
    if (err != NULL) {
        why = *err;
        if (rc_retry_class(why.rc) == RETRY_NEVER && why.rc != RC_CANCELED) {
            why.rc = RC_HOST; /* a permission or a database that is not there: an operator's */
        }
        err_wrap(&why, "Glue Data Catalog, database '%.80s'",
                 sync->engine->services->conf->glue_database);
        err = &why;
    }
    answer_all(sync, err);
    loop_defer(sync->engine->services->loop, begin, sync);
}

static void go_on(struct glue_sync *sync, enum sync_step step)
{
    sync->step = step;
    sync_run(sync);
}

/* ---- what a table is to Glue ---- */

static bool is_key(const struct catalog_table *table, const char *name)
{
    for (unsigned k = 0; k < table->partition_key_count; k++) {
        if (strcmp(table->partition_keys[k].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/** Athena refuses a column that is a partition key as well: the column gets another name. A table
 * that is read as text says in the comment what its text is. */
static void take_columns(struct glue_sync *sync, bool quoted)
{
    const struct catalog_table *from = &sync->due.table;
    struct glue_column *columns =
        arena_alloc(sync->arena, (from->column_count + 1) * sizeof(*columns));
    struct glue_column *keys =
        arena_alloc(sync->arena, (from->partition_key_count + 1) * sizeof(*keys));

    for (unsigned c = 0; c < from->column_count; c++) {
        const struct catalog_column *column = &from->columns[c];
        const char *type = column->type[0] != '\0' ? column->type : "string";
        const bool text = quoted && strcmp(type, "string") != 0;

        columns[c] = (struct glue_column){
            .name = is_key(from, column->name) ? arena_printf(sync->arena, "%s_", column->name)
                                               : column->name,
            .type = quoted ? "string" : type,
            .comment = text ? type : column->comment,
        };
    }
    for (unsigned k = 0; k < from->partition_key_count; k++) {
        keys[k] = (struct glue_column){.name = from->partition_keys[k].name,
                                       .type = from->partition_keys[k].type};
    }
    sync->table.columns = columns;
    sync->table.column_count = from->column_count;
    sync->table.partition_keys = keys;
    sync->table.partition_key_count = from->partition_key_count;
}

/** From which values Athena makes the partitions of one key. */
static void project_key(struct glue_sync *sync, struct sigv4_pair *pairs, unsigned *count,
                        const char *key)
{
    struct arena *arena = sync->arena;
    const bool type = strcmp(key, "img_type") == 0;

    pairs[(*count)++] = (struct sigv4_pair){arena_printf(arena, "projection.%s.type", key),
                                            type ? "enum" : "integer"};
    if (type) {
        pairs[(*count)++] =
            (struct sigv4_pair){"projection.img_type.values", "vis,ir069,ir107,vil"};
    } else if (strcmp(key, "year") == 0) {
        pairs[(*count)++] = (struct sigv4_pair){"projection.year.range", "2000,2100"};
    } else {
        pairs[(*count)++] = (struct sigv4_pair){"projection.month.range", "1,12"};
        pairs[(*count)++] = (struct sigv4_pair){"projection.month.digits", "2"};
    }
}

static bool is_projected(const struct glue_sync *sync)
{
    return sync->engine->services->conf->catalog_projection &&
           sync->due.table.partition_key_count > 0;
}

static void take_projection(struct glue_sync *sync)
{
    const struct catalog_table *from = &sync->due.table;
    struct sigv4_pair *pairs =
        arena_alloc(sync->arena, (2 + 3 * (size_t)from->partition_key_count) * sizeof(*pairs));
    const char *template = from->location;
    unsigned count = 0;

    for (unsigned k = 0; k < from->partition_key_count; k++) {
        const char *key = from->partition_keys[k].name;

        project_key(sync, pairs, &count, key);
        template = arena_printf(sync->arena, "%s/%s=${%s}", template, key, key);
    }
    pairs[count++] = (struct sigv4_pair){"projection.enabled", "true"};
    pairs[count++] = (struct sigv4_pair){"storage.location.template", template};
    sync->table.parameters = pairs;
    sync->table.parameter_count = count;
}

static void describe(struct glue_sync *sync)
{
    const struct catalog_table *from = &sync->due.table;

    sync->table = (struct glue_table){
        .database = sync->engine->services->conf->glue_database,
        .name = from->name,
        .location = arena_printf(sync->arena, "%s/", from->location),
        .quoted = from->quoted,
    };
    take_columns(sync, sync->table.quoted);
    if (is_projected(sync)) {
        take_projection(sync);
    }
}

/* ---- READ ---- */

static enum rc run_read(struct db *db, void *arg, struct err *err)
{
    struct glue_sync *sync = arg;

    arena_reset(sync->arena);
    return catalog_due_read(db, sync->arena, &sync->due, err);
}

static void on_read(const struct err *err, void *arg)
{
    struct glue_sync *sync = arg;

    if (err != NULL || sync->due.count == 0) {
        end(sync, err);
        return;
    }
    describe(sync);
    sync->at = 0;
    go_on(sync, SYNC_TABLE);
}

/* ---- TABLE, CREATE, UPDATE ---- */

static bool same_columns(const struct glue_column *a, unsigned a_count, const struct glue_column *b,
                         unsigned b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (unsigned i = 0; i < a_count; i++) {
        if (strcmp(a[i].name, b[i].name) != 0 || strcmp(a[i].type, b[i].type) != 0) {
            return false;
        }
    }
    return true;
}

static bool table_is_due(const struct glue_sync *sync)
{
    for (unsigned i = 0; i < sync->due.count; i++) {
        if (sync->due.parts[i].values[0] == '\0') {
            return true;
        }
    }
    return false;
}

static void on_table(const struct glue_table *found, const char *version, const struct err *err,
                     void *arg)
{
    struct glue_sync *sync = arg;
    const struct glue_table *want = &sync->table;

    if (err != NULL && err->rc == RC_NOT_FOUND) {
        go_on(sync, SYNC_CREATE);
    } else if (err != NULL) {
        end(sync, err);
    } else if (!table_is_due(sync) &&
               same_columns(found->columns, found->column_count, want->columns,
                            want->column_count) &&
               strcmp(found->location, want->location) == 0 && found->quoted == want->quoted) {
        go_on(sync, SYNC_PARTS);
    } else {
        sync->version = arena_dup(sync->arena, version);
        go_on(sync, SYNC_UPDATE);
    }
}

/** Somebody else has made or changed it meanwhile: look again. */
static void on_written(const struct err *err, void *arg)
{
    struct glue_sync *sync = arg;

    if (err != NULL && err->rc == RC_CONFLICT && ++sync->tries < TRIES_MAX) {
        go_on(sync, SYNC_TABLE);
    } else if (err != NULL) {
        end(sync, err);
    } else {
        go_on(sync, SYNC_PARTS);
    }
}

/* ---- PARTS: those that are there, and those that are gone, a batch at a time ---- */

/** The values of "img_type=vil/year=2019/month=01", in the order of the keys. False: not as it
 * should be. */
static bool read_values(struct glue_sync *sync, const char *text, const char **ret_values)
{
    const struct glue_table *table = &sync->table;

    for (unsigned k = 0; k < table->partition_key_count; k++) {
        const char *key = table->partition_keys[k].name;
        const size_t len = strlen(key);
        const size_t part = strcspn(text, "/");

        if (strncmp(text, key, len) != 0 || text[len] != '=') {
            return false;
        }
        ret_values[k] = arena_dup_n(sync->arena, text + len + 1, part - len - 1);
        text += part + (text[part] == '/' ? 1 : 0);
    }
    return *text == '\0';
}

/** Fills a batch of one kind from `at` on, past what is of the other kind or none. */
static unsigned fill(struct glue_sync *sync, bool gone, unsigned most)
{
    struct glue_partition *batch = sync->batch;
    unsigned count = 0;

    while (sync->at < sync->due.count && count < most) {
        const struct catalog_due_part *part = &sync->due.parts[sync->at];
        const char **values;

        if (part->values[0] != '\0' && part->gone != gone) {
            break;
        }
        sync->at++;
        values = arena_alloc(sync->arena, KEYS_MAX * sizeof(*values));
        if (part->values[0] != '\0' && sync->table.partition_key_count <= KEYS_MAX &&
            read_values(sync, part->values, values)) {
            batch[count++] =
                (struct glue_partition){values, arena_printf(sync->arena, "%s/", part->location)};
        }
    }
    return sync->batch_count = count;
}

static void on_parts(const struct err *err, void *arg)
{
    struct glue_sync *sync = arg;

    if (err != NULL) {
        end(sync, err);
    } else {
        go_on(sync, SYNC_PARTS);
    }
}

/** What was there may be of another version of the table: other columns, another reader. */
static void on_parts_created(unsigned known, const struct err *err, void *arg)
{
    if (err == NULL && known > 0) {
        go_on(arg, SYNC_PARTS_KNOWN);
    } else {
        on_parts(err, arg);
    }
}

static void tell_parts(struct glue_sync *sync)
{
    struct aws *aws = sync->engine->services->aws;

    if (is_projected(sync)) {
        go_on(sync, SYNC_NOTE);
        return;
    }
    if (fill(sync, false, GLUE_PARTITIONS_CREATE) > 0) {
        glue_partitions_create(aws, &sync->table, sync->batch, sync->batch_count, on_parts_created,
                               sync);
    } else if (fill(sync, true, GLUE_PARTITIONS_DELETE) > 0) {
        glue_partitions_delete(aws, &sync->table, sync->batch, sync->batch_count, on_parts, sync);
    } else if (sync->at < sync->due.count) {
        sync_run(sync);
    } else {
        go_on(sync, SYNC_NOTE);
    }
}

/* ---- NOTE ---- */

static enum rc run_note(struct db *db, void *arg, struct err *err)
{
    const struct glue_sync *sync = arg;

    return catalog_due_done(db, sync->due.parts, sync->due.count, err);
}

static void on_noted(const struct err *err, void *arg)
{
    struct glue_sync *sync = arg;

    if (err != NULL) {
        end(sync, err);
    } else {
        go_on(sync, SYNC_READ);
    }
}

/* ---- the story ---- */

static void sync_run(struct glue_sync *sync)
{
    struct services *services = sync->engine->services;

    if (sync->engine->stopping) {
        err_set(&sync->err, RC_CANCELED, "the daemon stops");
        end(sync, &sync->err);
        return;
    }
    switch (sync->step) {
    case SYNC_READ: /* catalog.db: what is due of the next table */
        catalog_read(services->catalog, run_read, on_read, sync);
        return;

    case SYNC_TABLE: /* Glue: as what is it known? */
        glue_table_get(services->aws, sync->table.database, sync->table.name, on_table, sync);
        return;

    case SYNC_CREATE: /* Glue */
        glue_table_create(services->aws, &sync->table, on_written, sync);
        return;

    case SYNC_UPDATE: /* Glue: a version that follows the one we have seen */
        glue_table_update(services->aws, &sync->table, sync->version, on_written, sync);
        return;

    case SYNC_PARTS: /* Glue */
        tell_parts(sync);
        return;

    case SYNC_PARTS_KNOWN: /* Glue: some of the batch were there */
        glue_partitions_update(services->aws, &sync->table, sync->batch, sync->batch_count,
                               on_parts, sync);
        return;

    case SYNC_NOTE: /* catalog.db: it has been told */
        catalog_write(services->catalog, run_note, on_noted, sync);
        return;
    }
}

/* ---- the face ---- */

struct glue_sync *glue_sync_new(struct glue_engine *engine)
{
    struct glue_sync *sync = mem_new(struct glue_sync);

    *sync = (struct glue_sync){.engine = engine, .arena = arena_new()};
    return sync;
}

void glue_sync_free(struct glue_sync *sync)
{
    if (sync == NULL) {
        return;
    }
    arena_free(sync->arena);
    free(sync);
}

void glue_sync_ask(struct glue_sync *sync, job_remote_told_fn *done, void *arg)
{
    struct glue_asked *asked = mem_new(struct glue_asked);

    *asked = (struct glue_asked){.next = sync->waiting, .done = done, .arg = arg};
    sync->waiting = asked;
    if (!sync->running) {
        sync->running = true;
        loop_defer(sync->engine->services->loop, begin, sync);
    }
}
