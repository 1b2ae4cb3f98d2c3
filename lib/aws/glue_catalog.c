/** @file
 * Tables and partitions of the Glue Data Catalog.
 *
 * What we write are CSV files with a header line and RFC 4180 quoting. Athena has two readers for
 * them: LazySimpleSerDe reads typed columns but no quotes, OpenCSVSerde reads quotes but text alone
 * (a number that is empty would fail the query). Which one a table needs, the caller knows; a
 * partition says it again.
 */
#include <string.h>

#include "lib/aws/glue_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define LAZY_SERDE "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
#define QUOTED_SERDE "org.apache.hadoop.hive.serde2.OpenCSVSerde"
/** Quotes are doubled inside quotes; a backslash is a backslash. */
#define NO_ESCAPE "\001"
/** What a field without a value looks like, in numbers, times and texts alike. Without an
 * "escape.delim" a backslash is a backslash to LazySimpleSerDe as well. */
#define NULL_FORMAT "serialization.null.format"
#define INPUT_FORMAT "org.apache.hadoop.mapred.TextInputFormat"
#define OUTPUT_FORMAT "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

static json_t *columns_json(const struct glue_column *columns, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++) {
        json_t *column = json_pack("{s:s, s:s}", "Name", columns[i].name, "Type", columns[i].type);

        if (columns[i].comment != NULL && columns[i].comment[0] != '\0') {
            json_object_set_new(column, "Comment", json_string(columns[i].comment));
        }
        json_array_append_new(list, column);
    }
    return list;
}

static json_t *serde_json(bool quoted)
{
    return quoted ? json_pack("{s:s, s:{s:s, s:s, s:s}}", "SerializationLibrary", QUOTED_SERDE,
                              "Parameters", "separatorChar", ",", "quoteChar", "\"", "escapeChar",
                              NO_ESCAPE)
                  : json_pack("{s:s, s:{s:s, s:s, s:s}}", "SerializationLibrary", LAZY_SERDE,
                              "Parameters", "field.delim", ",", "serialization.format", ",",
                              NULL_FORMAT, "");
}

static json_t *storage_json(const struct glue_table *table, const char *location)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:b, s:o}", "Columns",
                     columns_json(table->columns, table->column_count), "Location", location,
                     "InputFormat", INPUT_FORMAT, "OutputFormat", OUTPUT_FORMAT, "Compressed", 0,
                     "SerdeInfo", serde_json(table->quoted));
}

static json_t *table_json(const struct glue_table *table)
{
    json_t *parameters =
        json_pack("{s:s, s:s, s:s, s:s}", "classification", "csv", "skip.header.line.count", "1",
                  "EXTERNAL", "TRUE", NULL_FORMAT, "");

    for (unsigned i = 0; i < table->parameter_count; i++) {
        json_object_set_new(parameters, table->parameters[i].name,
                            json_string(table->parameters[i].value));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:o}", "Name", table->name, "TableType",
                     "EXTERNAL_TABLE", "Parameters", parameters, "PartitionKeys",
                     columns_json(table->partition_keys, table->partition_key_count),
                     "StorageDescriptor", storage_json(table, table->location));
}

/* ---- reading a table ---- */

static struct glue_column *columns_of(const json_t *list, unsigned *ret_count)
{
    const size_t count = json_array_size(list);
    struct glue_column *columns = mem_zeroed(MAX_OF(count, 1) * sizeof(*columns));

    for (size_t i = 0; i < count; i++) {
        const json_t *column = json_array_get(list, i);

        columns[i] = (struct glue_column){.name = glue_string(column, "Name"),
                                          .type = glue_string(column, "Type"),
                                          .comment = glue_string(column, "Comment")};
    }
    *ret_count = (unsigned)count;
    return columns;
}

static void on_table(struct glue_call *call, const json_t *answer, const struct err *err)
{
    glue_table_fn *done = (glue_table_fn *)call->given;
    const json_t *found = json_object_get(answer, "Table");
    const json_t *storage = json_object_get(found, "StorageDescriptor");
    scoped(free) struct glue_column *columns = NULL;
    scoped(free) struct glue_column *keys = NULL;
    struct glue_table table = {.database = glue_string(found, "DatabaseName"),
                               .name = glue_string(found, "Name"),
                               .location = glue_string(storage, "Location")};
    const char *serde = glue_string(json_object_get(storage, "SerdeInfo"), "SerializationLibrary");
    struct err why;

    if (err == NULL && table.name[0] == '\0') {
        err_set(&why, RC_CORRUPT, "GetTable of '%.200s' answered no table", call->name);
        err = &why;
    }
    if (err != NULL) {
        done(NULL, "", err, call->arg);
        return;
    }
    table.quoted = strcmp(serde, QUOTED_SERDE) == 0;
    table.columns = columns = columns_of(json_object_get(storage, "Columns"), &table.column_count);
    table.partition_keys = keys =
        columns_of(json_object_get(found, "PartitionKeys"), &table.partition_key_count);
    done(&table, glue_string(found, "VersionId"), NULL, call->arg);
}

struct aws_call *glue_table_get(struct aws *aws, const char *database, const char *name,
                                glue_table_fn *done, void *arg)
{
    const struct glue_call call = {.answered = on_table,
                                   .given = (void (*)(void))done,
                                   .arg = arg,
                                   .what = "table",
                                   .name = (char *)name};

    return glue_send(aws, "GetTable",
                     json_pack("{s:s, s:s}", "DatabaseName", database, "Name", name), &call);
}

/* ---- writing one ---- */

static void on_done(struct glue_call *call, const json_t *answer, const struct err *err)
{
    (void)answer;
    ((glue_done_fn *)call->given)(err, call->arg);
}

static struct glue_call write_call(const struct glue_table *table, glue_done_fn *done, void *arg)
{
    return (struct glue_call){.answered = on_done,
                              .given = (void (*)(void))done,
                              .arg = arg,
                              .what = "table",
                              .name = (char *)table->name};
}

struct aws_call *glue_table_create(struct aws *aws, const struct glue_table *table,
                                   glue_done_fn *done, void *arg)
{
    const struct glue_call call = write_call(table, done, arg);

    return glue_send(
        aws, "CreateTable",
        json_pack("{s:s, s:o}", "DatabaseName", table->database, "TableInput", table_json(table)),
        &call);
}

struct aws_call *glue_table_update(struct aws *aws, const struct glue_table *table,
                                   const char *version, glue_done_fn *done, void *arg)
{
    const struct glue_call call = write_call(table, done, arg);
    json_t *request = json_pack("{s:s, s:o, s:b}", "DatabaseName", table->database, "TableInput",
                                table_json(table), "SkipArchive", 0);

    if (version[0] != '\0') {
        json_object_set_new(request, "VersionId", json_string(version));
    }
    return glue_send(aws, "UpdateTable", request, &call);
}

/* ---- partitions ---- */

static json_t *values_json(const struct glue_table *table, const struct glue_partition *partition)
{
    json_t *values = json_array();

    for (unsigned i = 0; i < table->partition_key_count; i++) {
        json_array_append_new(values, json_string(partition->values[i]));
    }
    return values;
}

/** The first entry that failed otherwise than by `harmless` (NULL: any), of which there are
 * `ret_harmless` before it. */
static bool first_failure(const json_t *answer, const char *harmless, const char *table,
                          unsigned *ret_harmless, struct err *err)
{
    size_t i;
    const json_t *entry;

    *ret_harmless = 0;

    json_array_foreach(json_object_get(answer, "Errors"), i, entry)
    {
        const json_t *detail = json_object_get(entry, "ErrorDetail");
        const char *code = glue_string(detail, "ErrorCode");
        const json_t *values = json_object_get(entry, "PartitionValues");
        const char *value = json_string_value(json_array_get(
            values != NULL ? values : json_object_get(entry, "PartitionValueList"), 0));
        const bool again = strcmp(code, "InternalServiceException") == 0 ||
                           strcmp(code, "OperationTimeoutException") == 0;

        if (harmless != NULL && strcmp(code, harmless) == 0) {
            (*ret_harmless)++;
        } else {
            err_set(err, again ? RC_NETWORK : RC_INVALID,
                    "a partition of table '%.120s' ('%.60s', ...): %.60s: %.120s", table,
                    value != NULL ? value : "", code, glue_string(detail, "ErrorMessage"));
            return true;
        }
    }
    return false;
}

static void on_partitions_created(struct glue_call *call, const json_t *answer,
                                  const struct err *err)
{
    unsigned known = 0;
    struct err why;

    if (err == NULL && first_failure(answer, "AlreadyExistsException", call->name, &known, &why)) {
        err = &why;
    }
    ((glue_partitions_fn *)call->given)(known, err, call->arg);
}

static void finish_batch(struct glue_call *call, const json_t *answer, const struct err *err,
                         const char *harmless)
{
    unsigned passed;
    struct err why;

    if (err == NULL && first_failure(answer, harmless, call->name, &passed, &why)) {
        err = &why;
    }
    ((glue_done_fn *)call->given)(err, call->arg);
}

static void on_partitions_updated(struct glue_call *call, const json_t *answer,
                                  const struct err *err)
{
    finish_batch(call, answer, err, NULL);
}

static void on_partitions_deleted(struct glue_call *call, const json_t *answer,
                                  const struct err *err)
{
    finish_batch(call, answer, err, "EntityNotFoundException");
}

static json_t *partition_json(const struct glue_table *table,
                              const struct glue_partition *partition)
{
    return json_pack("{s:o, s:o}", "Values", values_json(table, partition), "StorageDescriptor",
                     storage_json(table, partition->location));
}

/** `list`, which is taken over, as the member that this operation calls it. */
static struct aws_call *send_batch(struct aws *aws, const char *operation, const char *member,
                                   json_t *list, const struct glue_table *table,
                                   struct glue_call *call)
{
    return glue_send(aws, operation,
                     json_pack("{s:s, s:s, s:o}", "DatabaseName", table->database, "TableName",
                               table->name, member, list),
                     call);
}

struct aws_call *glue_partitions_create(struct aws *aws, const struct glue_table *table,
                                        const struct glue_partition *partitions, unsigned count,
                                        glue_partitions_fn *done, void *arg)
{
    struct glue_call call = write_call(table, NULL, arg);
    json_t *list = json_array();

    call.answered = on_partitions_created;
    call.given = (void (*)(void))done;
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list, partition_json(table, &partitions[i]));
    }
    return send_batch(aws, "BatchCreatePartition", "PartitionInputList", list, table, &call);
}

struct aws_call *glue_partitions_update(struct aws *aws, const struct glue_table *table,
                                        const struct glue_partition *partitions, unsigned count,
                                        glue_done_fn *done, void *arg)
{
    struct glue_call call = write_call(table, done, arg);
    json_t *list = json_array();

    call.answered = on_partitions_updated;
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list, json_pack("{s:o, s:o}", "PartitionValueList",
                                              values_json(table, &partitions[i]), "PartitionInput",
                                              partition_json(table, &partitions[i])));
    }
    return send_batch(aws, "BatchUpdatePartition", "Entries", list, table, &call);
}

struct aws_call *glue_partitions_delete(struct aws *aws, const struct glue_table *table,
                                        const struct glue_partition *partitions, unsigned count,
                                        glue_done_fn *done, void *arg)
{
    struct glue_call call = write_call(table, done, arg);
    json_t *list = json_array();

    call.answered = on_partitions_deleted;
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list,
                              json_pack("{s:o}", "Values", values_json(table, &partitions[i])));
    }
    return send_batch(aws, "BatchDeletePartition", "PartitionsToDelete", list, table, &call);
}
