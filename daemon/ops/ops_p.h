/** @file
 * Private to daemon/ops/: the table of routes, and one request on its way to an answer.
 */
#pragma once

#include <jansson.h>

#include "daemon/catalog/catalog_result.h"
#include "daemon/daemon.h"
#include "daemon/ops/ops.h"
#include "lib/base/str.h"
#include "lib/net/http_server.h"

struct events_stream;
struct kept;
struct ops_copy;
struct ops_history;
struct ops_asking;

struct ops {
    struct services *services;
    struct daemon *daemon;
    struct http_server *control, *http;
    char http_address[64]; /**< "" when there is no listener. */
    struct events_stream *streams;
    struct ops_history *history;
    struct kept *kept;          /**< Answers that several may share. */
    struct ops_copy *copy;      /**< What overviews are drawn from; NULL until one was. */
    unsigned queries;           /**< Under way. */
    struct ops_asking *askings; /**< Of Athena. */
    unsigned films;             /**< Being made. */
    int64_t busy_us;            /**< Of the workers, as last counted. */
    unsigned refs;              /**< Calls, and one until the stop. */
    unsigned waited; /**< Calls that use the databases or stores: they end before a stop does. */
    unsigned stopping;
    loop_fn *done;
    void *done_arg;
};

/** One request. It ends in exactly one of the ops_answer…() and ops_problem…() calls, which free
 * it. */
struct ops_call {
    struct ops *ops;
    const struct http_request *request; /**< Until the answer. */
    struct http_responder *responder;
    const struct ops_route *route;
    char *name; /**< What stood for {id} or {name} in the path; NULL: no such part. */
    bool over_tcp;
    bool waited; /**< Counted in ops->waited. */
};

typedef void ops_route_fn(struct ops_call *call);

enum ops_flags {
    OPS_TCP = 1,    /**< On both listeners; else on the unix socket only. */
    OPS_WRITES = 2, /**< For root and the daemon's own user only. */
    OPS_REST = 4,   /**< The path's last {part} may have slashes in it. */
};

struct ops_route {
    const char *method, *path; /**< "/v1/jobs/{id}" */
    unsigned flags;
    ops_route_fn *run;
    const char *summary;
};

extern const struct ops_route ops_routes[];
extern const unsigned ops_route_count;

/* ---- answers ----------------------------------------------------------------------------- */

/** The content of `body` is taken. */
void ops_answer(struct ops_call *call, unsigned status, const char *type, struct strbuf *body);
void ops_answer_json(struct ops_call *call, struct strbuf *body);
/** {"done":true}, and a line in the log. */
void ops_answer_done(struct ops_call *call);
/** RFC 9457. */
void ops_problem(struct ops_call *call, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Status by the code; its class is in the document. */
void ops_problem_err(struct ops_call *call, const struct err *err);
unsigned ops_status_of(enum rc rc);
/** From here on the call waits for the daemon, whose stop may wait for ours (or no longer does). */
void ops_call_waited(struct ops_call *call, bool waited);
/** The call goes on as something else than an answer (a stream). */
void ops_call_free(struct ops_call *call);

/** The body as a JSON object ({} when it is empty). NULL: answered 400. */
json_t *ops_body(struct ops_call *call);
/** A whole number in the query; `missing` when it is not there. False: answered 400. */
bool ops_arg_number(struct ops_call *call, const char *name, uint64_t min, uint64_t max,
                    uint64_t missing, uint64_t *ret_number);
/** The path's {id}. False: answered 404. */
bool ops_id(struct ops_call *call, uint64_t *ret_id);
/** "2019-05-12T18:30:00.123Z" with its quotes, or null for 0. */
void ops_time_json(struct strbuf *out, int64_t epoch_ms);

/** Take `bytes` of the memory budget now, or say that it is in use (RC_LIMIT): an answer does not
 * wait in line with extraction. What is small is not asked for at all. */
enum rc ops_budget(struct ops *ops, struct budget_ticket *ticket, uint64_t bytes, struct err *err);

/* ---- routes ------------------------------------------------------------------------------ */

ops_route_fn ops_page, ops_plain, ops_asset, ops_favicon, ops_metrics, ops_healthz, ops_readyz,
    ops_list_routes;
ops_route_fn ops_get_status, ops_get_jobs, ops_get_job, ops_get_explain, ops_get_tables,
    ops_get_table, ops_get_config, ops_get_events, ops_get_history, ops_get_sources, ops_get_data,
    ops_get_chart, ops_get_object, ops_get_storm, ops_get_film, ops_get_colors, ops_get_quarantine,
    ops_get_message;
ops_route_fn ops_post_submit, ops_post_retry_all, ops_post_retry, ops_post_cancel, ops_post_pause,
    ops_post_resume, ops_post_drain, ops_post_reload, ops_post_reconcile, ops_post_query,
    ops_post_drop;

/** Samples what /v1/history shows, until it is stopped; NULL is fine there. */
struct ops_history *ops_history_start(struct services *services);
void ops_history_stop(struct ops_history *history);

/** POST /v1/query of the engine "athena": `sql` is copied. */
void ops_ask_athena(struct ops_call *call, const char *sql, enum catalog_format format);
/** Every query under way is given up; before the servers stop. */
void ops_athena_stop(struct ops *ops);

/** NULL is fine. */
void ops_copy_unref(struct ops_copy *copy);

/** Ends every stream; before the servers stop. */
void ops_events_stop(struct ops *ops);
