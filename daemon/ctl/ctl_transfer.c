/** @file
 * Files on their way into a store.
 */
#include "daemon/ctl/ctl_transfer.h"

#include <stdlib.h>

#include "daemon/ctl/ctl_transfer_p.h"
#include "lib/base/mem.h"

void ctl_transfer_done(struct ctl_transfer *transfer)
{
    for (unsigned i = 0; i < transfer->count; i++) {
        free(transfer->items[i].from);
        free(transfer->items[i].to);
        free(transfer->items[i].second);
        free(transfer->items[i].etag);
    }
    free(transfer->items);
    store_free(transfer->from);
    store_free(transfer->to);
    uri_free(transfer->to_uri);
    ctl_run_free(transfer->run);
    *transfer = (struct ctl_transfer){0};
}

struct ctl_item *ctl_transfer_add(struct ctl_transfer *transfer, const char *from, const char *to)
{
    struct ctl_item *item;

    transfer->items = mem_resize(transfer->items, transfer->count + 1, sizeof(transfer->items[0]));
    item = &transfer->items[transfer->count++];
    *item = (struct ctl_item){.from = str_dup(from), .to = str_dup(to)};
    return item;
}

void ctl_transfer_fail(struct ctl_item *item, const struct err *err)
{
    item->state = CTL_ITEM_FAILED;
    item->err = *err;
}

uint64_t ctl_transfer_bytes(const struct ctl_transfer *transfer, enum ctl_item_state state)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < transfer->count; i++) {
        sum += transfer->items[i].state == state ? transfer->items[i].size : 0;
    }
    return sum;
}

unsigned ctl_transfer_count(const struct ctl_transfer *transfer, enum ctl_item_state state)
{
    unsigned count = 0;

    for (unsigned i = 0; i < transfer->count; i++) {
        count += transfer->items[i].state == state;
    }
    return count;
}

/* ---- several at a time ---- */

static void start_more(struct ctl_transfer *transfer)
{
    while (transfer->busy < transfer->width && transfer->next < transfer->count) {
        struct ctl_item *item = &transfer->items[transfer->next++];

        if (item->state != CTL_ITEM_PLANNED) {
            transfer->over++;
            continue;
        }
        transfer->busy++; /* before, for it may be over at once */
        if (!transfer->begin(item)) {
            transfer->busy--;
            transfer->over++;
        }
    }
}

void ctl_transfer_over(struct ctl_item *item)
{
    struct ctl_transfer *transfer = item->transfer;

    transfer->busy--;
    transfer->over++;
    start_more(transfer);
    if (transfer->busy == 0) {
        loop_stop(ctl_run_loop(transfer->run));
    }
}

void ctl_transfer_each(struct ctl_transfer *transfer, unsigned width,
                       bool (*begin)(struct ctl_item *item))
{
    transfer->begin = begin;
    transfer->width = width;
    transfer->next = transfer->busy = transfer->over = 0;
    for (unsigned i = 0; i < transfer->count; i++) {
        transfer->items[i].transfer = transfer;
    }
    start_more(transfer);
    while (transfer->busy > 0) {
        loop_run(ctl_run_loop(transfer->run));
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
                        json_integer((json_int_t)ctl_transfer_bytes(transfer, CTL_ITEM_MOVED)));
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
    unsigned moved = ctl_transfer_count(transfer, CTL_ITEM_MOVED);
    unsigned present = ctl_transfer_count(transfer, CTL_ITEM_PRESENT);
    unsigned failed = ctl_transfer_count(transfer, CTL_ITEM_FAILED);
    char bytes[24];

    if (transfer->ctl->json) {
        print_json(transfer);
    } else {
        scoped(strbuf_done) struct strbuf line = {0};

        strbuf_printf(&line, "%s %u file%s, %s", transfer->done_word, moved, moved == 1 ? "" : "s",
                      str_from_bytes(ctl_transfer_bytes(transfer, CTL_ITEM_MOVED), bytes));
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
            ctl_transfer_count(transfer, CTL_ITEM_PLANNED),
            str_from_bytes(ctl_transfer_bytes(transfer, CTL_ITEM_PLANNED), bytes),
            ctl_transfer_count(transfer, CTL_ITEM_PRESENT));
    return tell_failures(transfer);
}
