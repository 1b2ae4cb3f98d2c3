/** @file
 * Every route, once. docs/openapi.yaml describes the same list; a test compares them.
 */
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

#define READS OPS_TCP
#define ASKS 0
#define WRITES OPS_WRITES

/* clang-format off */
const struct ops_route ops_routes[] = {
    {"GET",  "/",                     READS,  ops_page,           "a page for people"},
    {"GET",  "/plain",                READS,  ops_plain,          "the same without scripts"},
    {"GET",  "/assets/{name}",        READS,  ops_asset,          "a file of that page"},
    {"GET",  "/favicon.svg",          READS,  ops_favicon,        "its mark"},
    {"GET",  "/metrics",              READS,  ops_metrics,        "metrics for Prometheus"},
    {"GET",  "/healthz",              READS,  ops_healthz,        "whether the daemon lives"},
    {"GET",  "/readyz",               READS,  ops_readyz,         "whether it takes work"},
    {"GET",  "/v1",                   READS,  ops_list_routes,    "this list"},
    {"GET",  "/v1/status",            READS,  ops_get_status,     "one look"},
    {"GET",  "/v1/jobs",              READS,  ops_get_jobs,       "jobs, newest first"},
    {"GET",  "/v1/jobs/{id}",         READS,  ops_get_job,        "one job's story"},
    {"GET",  "/v1/explain",           READS,  ops_get_explain,    "an object's story"},
    {"GET",  "/v1/quarantine",        READS,  ops_get_quarantine, "what nobody could do anything with"},
    {"GET",  "/v1/messages/{id}",     READS,  ops_get_message,    "a message that could not be read"},
    {"GET",  "/v1/tables",            READS,  ops_get_tables,     "the data catalog"},
    {"GET",  "/v1/tables/{name}",     READS,  ops_get_table,      "one table"},
    {"GET",  "/v1/config",            READS,  ops_get_config,     "the configuration that holds"},
    {"GET",  "/v1/history",           READS,  ops_get_history,    "the last hour"},
    {"GET",  "/v1/sources",           READS,  ops_get_sources,    "the last looks at the raw store"},
    {"GET",  "/v1/events",            READS,  ops_get_events,     "what happens, as server-sent events"},
    {"GET",  "/v1/data",              READS,  ops_get_data,       "the charts' rows, with a filter"},
    {"GET",  "/v1/data/{name}",       READS,  ops_get_chart,      "one chart's rows"},
    {"GET",  "/v1/storms/{id}",       READS,  ops_get_storm,      "all that is known of an event"},
    {"GET",  "/v1/storms/{id}/film",  READS,  ops_get_film,       "its pictures, made now"},
    {"GET",  "/v1/colors",            READS,  ops_get_colors,     "the pictures' colours"},
    {"GET",  "/v1/objects/{key}",     READS | OPS_REST, ops_get_object, "what was published"},
    {"POST", "/v1/query",             ASKS,   ops_post_query,     "read-only SQL"},
    {"POST", "/v1/submit",            WRITES, ops_post_submit,    "sightings by hand"},
    {"POST", "/v1/retry",             WRITES, ops_post_retry_all, "run all jobs in a state again"},
    {"POST", "/v1/jobs/{id}/retry",   WRITES, ops_post_retry,     "run a job again"},
    {"POST", "/v1/jobs/{id}/cancel",  WRITES, ops_post_cancel,    "give a job up"},
    {"POST", "/v1/messages/{id}/drop", WRITES, ops_post_drop,     "forget such a message"},
    {"POST", "/v1/pause",             WRITES, ops_post_pause,     "start no new stage"},
    {"POST", "/v1/resume",            WRITES, ops_post_resume,    "end a pause or a drain"},
    {"POST", "/v1/drain",             WRITES, ops_post_drain,     "take nothing new, finish the rest"},
    {"POST", "/v1/reload",            WRITES, ops_post_reload,    "read the configuration again"},
    {"POST", "/v1/reconcile",         WRITES, ops_post_reconcile, "list the store, queue what was missed"},
};
/* clang-format on */
const unsigned ops_route_count = ARRAY_LEN(ops_routes);

void ops_list_routes(struct ops_call *call)
{
    scoped(strbuf_done) struct strbuf body = {0};

    strbuf_printf(&body, "{\"version\":\"%s\",\"routes\":[", SEVIRD_VERSION);
    for (unsigned i = 0; i < ops_route_count; i++) {
        strbuf_printf(&body, "%s\n{\"method\":\"%s\",\"path\":\"%s\",\"listeners\":[\"unix\"%s],",
                      i > 0 ? "," : "", ops_routes[i].method, ops_routes[i].path,
                      (ops_routes[i].flags & OPS_TCP) != 0 ? ",\"tcp\"" : "");
        strbuf_printf(&body, "\"summary\":\"%s\"}", ops_routes[i].summary);
    }
    strbuf_puts(&body, "\n]}\n");
    ops_answer_json(call, &body);
}
