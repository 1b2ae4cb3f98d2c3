/** @file
 * A few answers, the oldest of which makes room.
 */
#include "daemon/ops/kept.h"

#include "lib/base/mem.h"

#define KEPT 8
#define KEPT_BYTES (1u << 20) /**< A larger one is given to those who wait, and not kept. */

struct waiter {
    struct waiter *next;
    struct ops_call *call;
};

struct entry {
    char *key; /**< NULL: free. */
    uint64_t version, used;
    bool making;
    struct strbuf body;
    struct waiter *waiters;
};

struct kept {
    struct entry entries[KEPT];
    uint64_t turn;
};

struct kept *kept_new(void)
{
    return mem_new(struct kept);
}

static void forget(struct entry *entry)
{
    free(entry->key);
    strbuf_done(&entry->body);
    *entry = (struct entry){0};
}

void kept_free(struct kept *kept)
{
    for (unsigned i = 0; kept != NULL && i < KEPT; i++) {
        forget(&kept->entries[i]);
    }
    free(kept);
}

static struct entry *find(struct kept *kept, const char *key, uint64_t version)
{
    for (unsigned i = 0; i < KEPT; i++) {
        struct entry *entry = &kept->entries[i];

        if (entry->key != NULL && entry->version == version && strcmp(entry->key, key) == 0) {
            return entry;
        }
    }
    return NULL;
}

/** The entry that was not used for longest; NULL while all of them are being made. */
static struct entry *make_room(struct kept *kept)
{
    struct entry *oldest = NULL;

    for (unsigned i = 0; i < KEPT; i++) {
        struct entry *entry = &kept->entries[i];

        if (!entry->making && (oldest == NULL || entry->used < oldest->used)) {
            oldest = entry;
        }
    }
    if (oldest != NULL) {
        forget(oldest);
    }
    return oldest;
}

static void answer(struct ops_call *call, const struct strbuf *body)
{
    scoped(strbuf_done) struct strbuf copy = {0};

    strbuf_add(&copy, body->data, body->len);
    ops_answer_json(call, &copy);
}

bool kept_take(struct kept *kept, struct ops_call *call, const char *key, uint64_t version)
{
    struct entry *entry = find(kept, key, version);

    if (entry == NULL) {
        entry = make_room(kept);
        if (entry != NULL) {
            *entry = (struct entry){.key = str_dup(key), .version = version, .making = true};
        }
        return false;
    }
    entry->used = ++kept->turn;
    if (entry->making) {
        struct waiter *waiter = mem_new(struct waiter);

        *waiter = (struct waiter){.next = entry->waiters, .call = call};
        entry->waiters = waiter;
    } else {
        answer(call, &entry->body);
    }
    return true;
}

void kept_done(struct kept *kept, const char *key, uint64_t version, const struct strbuf *body,
               const struct err *err)
{
    struct entry *entry = find(kept, key, version);

    if (entry == NULL) { /* there was no room for it */
        return;
    }
    for (struct waiter *waiter = TAKE(entry->waiters); waiter != NULL;) {
        struct waiter *next = waiter->next;

        if (err != NULL) {
            ops_problem_err(waiter->call, err);
        } else {
            answer(waiter->call, body);
        }
        free(waiter);
        waiter = next;
    }
    entry->making = false;
    if (err != NULL || body->len > KEPT_BYTES) {
        forget(entry);
        return;
    }
    strbuf_add(&entry->body, body->data, body->len);
    entry->used = ++kept->turn;
}
