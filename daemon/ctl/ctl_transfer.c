/** @file
 * Files on their way into a store.
 */
#include "daemon/ctl/ctl_transfer.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"

void ctl_transfer_done(struct ctl_transfer *transfer)
{
    for (unsigned i = 0; i < transfer->count; i++) {
        free(transfer->items[i].from);
        free(transfer->items[i].to);
    }
    free(transfer->items);
    store_free(transfer->from);
    store_free(transfer->to);
    uri_free(transfer->to_uri);
    ctl_run_free(transfer->run);
    *transfer = (struct ctl_transfer){0};
}

enum rc ctl_transfer_uri(const char *text, struct uri **ret_uri, struct err *err)
{
    char here[PATH_MAX];

    if (getcwd(here, sizeof(here)) == NULL) {
        return err_errno(err, errno, "working directory");
    }
    if (uri_parse(text, here, ret_uri, err) != RC_OK) {
        return err->rc;
    }
    if ((*ret_uri)->scheme != URI_FILE) {
        uri_free(*ret_uri);
        *ret_uri = NULL;
        return err_set(err, RC_UNSUPPORTED, "'%.200s': this build knows file stores only", text);
    }
    return RC_OK;
}

struct ctl_item *ctl_transfer_add(struct ctl_transfer *transfer, const char *from, const char *to)
{
    struct ctl_item *item;

    transfer->items = mem_resize(transfer->items, transfer->count + 1, sizeof(transfer->items[0]));
    item = &transfer->items[transfer->count++];
    *item = (struct ctl_item){.from = str_dup(from), .to = str_dup(to)};
    return item;
}

static void fail_item(struct ctl_item *item, const struct err *err)
{
    item->state = CTL_ITEM_FAILED;
    item->err = *err;
}

/* ---- one thing at a time on the loop ---- */

struct wait {
    struct ctl_transfer *transfer;
    bool over;
    struct err err; /**< rc RC_OK when it went well. */
    uint64_t size;
    int64_t modified_ms;
    struct ctl_progress *progress;
    const char *label;
    uint64_t before, total;
};

static void end_wait(struct wait *wait, const struct err *err)
{
    if (err != NULL) {
        wait->err = *err;
    }
    wait->over = true;
    loop_stop(ctl_run_loop(wait->transfer->run));
}

static enum rc wait_for(struct wait *wait, struct err *err)
{
    while (!wait->over) {
        loop_run(ctl_run_loop(wait->transfer->run));
    }
    if (wait->err.rc != RC_OK) {
        *err = wait->err;
    }
    return wait->err.rc;
}

static void on_head(const struct store_object *object, const struct err *err, void *arg)
{
    struct wait *wait = arg;

    if (err == NULL) {
        wait->size = object->size;
        wait->modified_ms = object->modified_ms;
    }
    end_wait(wait, err);
}

static void on_done(const struct err *err, void *arg)
{
    end_wait(arg, err);
}

static void on_progress(uint64_t bytes, void *arg)
{
    struct wait *wait = arg;

    ctl_progress_set(wait->progress, wait->label, wait->before + bytes, wait->total);
}

enum rc ctl_transfer_head(struct ctl_transfer *transfer, struct store *store, const char *key,
                          uint64_t *ret_size, int64_t *ret_modified_ms, struct err *err)
{
    struct wait wait = {.transfer = transfer};

    store_head(store, key, on_head, &wait);
    if (wait_for(&wait, err) == RC_OK) {
        *ret_size = wait.size;
        *ret_modified_ms = wait.modified_ms;
    }
    return wait.err.rc;
}

/* ---- the plan ---- */

static enum rc head_local(const char *path, uint64_t *ret_size, int64_t *ret_modified_ms,
                          struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return err_errno(err, errno, "'%.200s'", path);
    }
    if (!S_ISREG(st.st_mode)) {
        return err_set(err, RC_INVALID, "'%.200s' is %s", path,
                       S_ISDIR(st.st_mode) ? "a folder; name the files in it" : "not a file");
    }
    *ret_size = (uint64_t)st.st_size;
    *ret_modified_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    return RC_OK;
}

static void plan_item(struct ctl_transfer *transfer, struct ctl_item *item)
{
    int64_t changed_ms = 0, put_ms = 0;
    uint64_t there = 0;
    struct err err;
    enum rc rc = transfer->from == NULL ? head_local(item->from, &item->size, &changed_ms, &err)
                                        : ctl_transfer_head(transfer, transfer->from, item->from,
                                                            &item->size, &changed_ms, &err);

    if (rc != RC_OK || uri_check_key(item->to, &err) != RC_OK) {
        fail_item(item, &err);
    } else if (transfer->skip_present && transfer->to != NULL &&
               ctl_transfer_head(transfer, transfer->to, item->to, &there, &put_ms, &err) ==
                   RC_OK &&
               there == item->size && put_ms >= changed_ms) {
        item->state = CTL_ITEM_PRESENT;
    }
}

void ctl_transfer_plan(struct ctl_transfer *transfer)
{
    for (unsigned i = 0; i < transfer->count; i++) {
        if (transfer->items[i].state == CTL_ITEM_PLANNED) {
            plan_item(transfer, &transfer->items[i]);
        }
    }
}

/* ---- the transfers ---- */

static uint64_t bytes_of(const struct ctl_transfer *transfer, enum ctl_item_state state)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < transfer->count; i++) {
        sum += transfer->items[i].state == state ? transfer->items[i].size : 0;
    }
    return sum;
}

static unsigned count_of(const struct ctl_transfer *transfer, enum ctl_item_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < transfer->count; i++) {
        count += transfer->items[i].state == state;
    }
    return count;
}

static void move_item(struct ctl_transfer *transfer, struct ctl_item *item, struct wait *wait)
{
    struct err err;

    wait->over = false;
    wait->err.rc = RC_OK;
    wait->label = item->to;
    ctl_progress_set(wait->progress, item->to, wait->before, wait->total);
    if (transfer->from == NULL) {
        store_put_file(transfer->to, item->to, item->from, on_done, on_progress, wait);
    } else {
        store_copy(transfer->from, item->from, transfer->to, item->to, on_done, on_progress, wait);
    }
    if (wait_for(wait, &err) == RC_OK) {
        item->state = CTL_ITEM_MOVED;
    } else {
        fail_item(item, &err);
    }
    wait->before += item->size;
}

/** What was moved counts only once it is durable. */
static void make_durable(struct ctl_transfer *transfer)
{
    struct wait wait = {.transfer = transfer};
    struct err err;

    store_sync(transfer->to, on_done, &wait);
    if (wait_for(&wait, &err) == RC_OK) {
        return;
    }
    for (unsigned i = 0; i < transfer->count; i++) {
        if (transfer->items[i].state == CTL_ITEM_MOVED) {
            fail_item(&transfer->items[i], &err);
        }
    }
}

static enum rc open_target(struct ctl_transfer *transfer, struct err *err)
{
    struct uri *uri;

    if (transfer->to != NULL) {
        return RC_OK;
    }
    uri = mem_new(struct uri);
    uri->scheme = transfer->to_uri->scheme;
    uri->bucket = str_dup(transfer->to_uri->bucket);
    uri->path = str_dup(transfer->to_uri->path);
    return store_open(ctl_run_loop(transfer->run), ctl_run_work(transfer->run), uri,
                      &(struct store_options){.create = true}, &transfer->to, err);
}

void ctl_transfer_run(struct ctl_transfer *transfer)
{
    scoped(ctl_progress_free) struct ctl_progress *progress =
        ctl_progress_new(transfer->ctl, CTL_BYTES);
    struct wait wait = {
        .transfer = transfer, .progress = progress, .total = bytes_of(transfer, CTL_ITEM_PLANNED)};
    struct err err;

    if (count_of(transfer, CTL_ITEM_PLANNED) == 0) {
        return;
    }
    enum rc rc = open_target(transfer, &err);

    for (unsigned i = 0; i < transfer->count; i++) {
        struct ctl_item *item = &transfer->items[i];

        if (item->state == CTL_ITEM_PLANNED && rc != RC_OK) {
            fail_item(item, &err);
        } else if (item->state == CTL_ITEM_PLANNED) {
            move_item(transfer, item, &wait);
        }
    }
    if (count_of(transfer, CTL_ITEM_MOVED) > 0) {
        make_durable(transfer);
    }
}

/* ---- the report ---- */

static const char *state_name(const struct ctl_transfer *transfer, enum ctl_item_state state)
{
    switch (state) {
    case CTL_ITEM_PLANNED:
        return "planned";
    case CTL_ITEM_PRESENT:
        return "present";
    case CTL_ITEM_MOVED:
        return transfer->done_word;
    case CTL_ITEM_FAILED:
        return "failed";
    }
    return "";
}

/** A value for JSON; bytes that are not UTF-8 become U+FFFD. */
static json_t *json_text(const char *text)
{
    scoped(strbuf_done) struct strbuf out = {0};

    strbuf_json(&out, text);
    return json_loads(strbuf_text(&out), JSON_DECODE_ANY, NULL);
}

static void print_json(struct ctl_transfer *transfer)
{
    json_t *document = json_object(), *files = json_array();

    for (unsigned i = 0; i < transfer->count; i++) {
        const struct ctl_item *item = &transfer->items[i];
        scoped(free) char *uri = uri_format(transfer->to_uri, item->to);
        json_t *file = json_object();

        json_object_set_new(file, "from", json_text(item->from));
        json_object_set_new(file, "uri", json_text(uri));
        json_object_set_new(file, "bytes", json_integer((json_int_t)item->size));
        json_object_set_new(file, "state", json_string(state_name(transfer, item->state)));
        if (item->state == CTL_ITEM_FAILED) {
            json_object_set_new(file, "error", json_text(item->err.text));
        }
        json_array_append_new(files, file);
    }
    json_object_set_new(document, "files", files);
    json_object_set_new(document, "bytes",
                        json_integer((json_int_t)bytes_of(transfer, CTL_ITEM_MOVED)));
    ctl_json(transfer->ctl, document);
    json_decref(document);
}

/** Every failure on a line of its own, last, where it is seen. */
static enum ctl_exit tell_failures(const struct ctl_transfer *transfer)
{
    enum ctl_exit code = CTL_DONE;

    for (unsigned i = 0; i < transfer->count; i++) {
        if (transfer->items[i].state == CTL_ITEM_FAILED) {
            code = ctl_fail_err(&transfer->items[i].err);
        }
    }
    return code == CTL_DONE ? CTL_DONE : CTL_FAILED;
}

enum ctl_exit ctl_transfer_report(struct ctl_transfer *transfer)
{
    unsigned moved = count_of(transfer, CTL_ITEM_MOVED);
    unsigned present = count_of(transfer, CTL_ITEM_PRESENT);
    unsigned failed = count_of(transfer, CTL_ITEM_FAILED);
    char bytes[24];

    if (transfer->ctl->json) {
        print_json(transfer);
    } else {
        scoped(strbuf_done) struct strbuf line = {0};

        strbuf_printf(&line, "%s %u file%s, %s", transfer->done_word, moved, moved == 1 ? "" : "s",
                      str_from_bytes(bytes_of(transfer, CTL_ITEM_MOVED), bytes));
        if (present > 0) {
            strbuf_printf(&line, "; %u there already", present);
        }
        if (failed > 0) {
            strbuf_printf(&line, "; %u failed", failed);
        }
        ctl_say(transfer->ctl, "%s\n", strbuf_text(&line));
    }
    return tell_failures(transfer);
}

enum ctl_exit ctl_transfer_show(struct ctl_transfer *transfer)
{
    scoped(ctl_table_free) struct ctl_table *table = ctl_table_new("FILE|>SIZE|STATE");
    char bytes[24];

    if (transfer->ctl->json) {
        print_json(transfer);
        return tell_failures(transfer);
    }
    for (unsigned i = 0; i < transfer->count; i++) {
        const struct ctl_item *item = &transfer->items[i];

        ctl_table_cell(table, item->to);
        ctl_table_cell(table,
                       item->state == CTL_ITEM_FAILED ? NULL : str_from_bytes(item->size, bytes));
        ctl_table_cell(table, state_name(transfer, item->state));
    }
    ctl_table_print(transfer->ctl, table);
    ctl_say(transfer->ctl, "%u to copy, %s; %u there already\n",
            count_of(transfer, CTL_ITEM_PLANNED),
            str_from_bytes(bytes_of(transfer, CTL_ITEM_PLANNED), bytes),
            count_of(transfer, CTL_ITEM_PRESENT));
    return tell_failures(transfer);
}
