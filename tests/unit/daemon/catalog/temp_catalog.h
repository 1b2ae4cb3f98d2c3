/** @file
 * A catalog.db of one's own in a temporary directory, open on one connection.
 */
#pragma once

#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/catalog/catalog_p.h"
#include "lib/base/str.h"

struct temp_catalog {
    char dir[64];
    struct db *db;
    int64_t source; /**< Of the object ("b", "a/x.csv"). */
};

/** Of the call that a test makes just now. */
static struct err err;

static inline char *temp_catalog_path(const struct temp_catalog *temp, const char *name)
{
    return str_printf("%s/%s", temp->dir, name);
}

static inline int temp_catalog_open(void **state)
{
    struct temp_catalog *temp = calloc(1, sizeof(*temp));

    strncpy(temp->dir, "/tmp/test_catalog.XXXXXX", sizeof(temp->dir) - 1);
    assert_non_null(mkdtemp(temp->dir));
    scoped(free) char *path = temp_catalog_path(temp, "catalog.db");
    if (db_open(path, DB_READ_WRITE, false, &temp->db, &err) != RC_OK ||
        catalog_migrate(temp->db, &err) != RC_OK ||
        catalog_source(temp->db, "b", "a/x.csv", &temp->source, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
    *state = temp;
    return 0;
}

static inline int temp_catalog_close(void **state)
{
    static const char *const names[] = {"catalog.db", "catalog.db-wal", "catalog.db-shm",
                                        "state.db",   "state.db-wal",   "state.db-shm"};
    struct temp_catalog *temp = *state;

    db_close(temp->db);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        scoped(free) char *path = temp_catalog_path(temp, names[i]);

        unlink(path);
    }
    rmdir(temp->dir);
    free(temp);
    return 0;
}

/** The call went well; if not, the test says why. */
#define assert_ok(call)                          \
    do {                                         \
        if ((call) != RC_OK) {                   \
            fail_msg("%s: %s", #call, err.text); \
        }                                        \
    } while (0)

/** All cells of a statement's rows: "a,b;c,d". The caller frees. */
static inline char *cells(struct db *db, const char *sql)
{
    struct strbuf text = {0};
    sqlite3_stmt *stmt = NULL;

    if (sqlite3_prepare_v2(db_handle(db), sql, -1, &stmt, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db_handle(db)));
    }
    for (bool first = true; sqlite3_step(stmt) == SQLITE_ROW; first = false) {
        strbuf_puts(&text, first ? "" : ";");
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *cell = (const char *)sqlite3_column_text(stmt, i);

            strbuf_printf(&text, "%s%s", i > 0 ? "," : "", cell != NULL ? cell : "NULL");
        }
    }
    sqlite3_finalize(stmt);
    return strbuf_take(&text);
}

#define assert_cells(db, sql, expected)             \
    do {                                            \
        scoped(free) char *found_ = cells(db, sql); \
        assert_string_equal(found_, expected);      \
    } while (0)
