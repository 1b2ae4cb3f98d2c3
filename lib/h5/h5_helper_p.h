/** @file
 * What h5_helper (calls and their line) and h5_talk (one conversation) share.
 */
#pragma once

#include "lib/h5/h5_child.h"
#include "lib/h5/h5_helper.h"
#include "lib/h5/h5_wire.h"

struct h5_helper {
    struct loop *loop;
    char *program;
    unsigned parallel, running;
    int64_t deadline_ms;
    uint64_t memory_bytes;
    uint64_t bytes;                /**< Asked of stores so far. */
    struct h5_call *first, **last; /**< In line. */
};

/** A range of the object that the store is asked for. */
struct h5_fetch {
    struct h5_call *call;
    struct store_op *op; /**< NULL unless the store has our buffer. */
};

struct h5_call {
    struct h5_helper *helper;
    struct h5_call *next;
    enum { H5_CALL_QUEUED, H5_CALL_RUNNING } state;

    /* What was asked */
    enum h5_wire_kind kind;
    struct store *store;
    char *key, *version, *etag, *dataset; /**< `version` and `etag` may be NULL. */
    uint64_t size, first_row, row_count;
    const uint8_t *known; /**< The object's first bytes; may be NULL. */
    size_t known_len;
    uint8_t *out;
    size_t out_len;
    h5_layout_fn *layout_done;
    h5_rows_fn *rows_done;
    void *arg;

    /* The conversation */
    struct h5_child child;
    bool child_open;
    struct loop_timer *deadline;
    struct h5_wire_head head; /**< The helper's latest. */
    struct h5_wire_range ranges[H5_WIRE_RANGES_MAX];
    struct h5_fetch fetches[H5_WIRE_RANGES_MAX];
    unsigned under_way; /**< Of the fetches. */
    char *reply;        /**< What is being sent: a head and its bytes. */
    size_t reply_room;
    uint64_t asked_bytes, asked_count;
    char *body;      /**< Of an error or a layout. */
    size_t rows_len; /**< Of `out`, filled. */
    bool in_rows;    /**< The next bytes belong to `out`. */
    bool in_ranges;  /**< They are `ranges`. */

    /* How it ends; the first to decide wins */
    bool decided;
    struct err err; /**< rc RC_OK on success. */
    struct layout *layout;
};

/** Start the helper and the conversation. However it goes, h5_talk_ended() comes later. */
void h5_talk_start(struct h5_call *call);
/** Decide how the call ends, unless that is decided. `err` NULL for success. */
void h5_talk_decide(struct h5_call *call, const struct err *err);
/** Implemented by h5_helper: decided, and nothing of the conversation is left. */
void h5_talk_ended(struct h5_call *call);
