/** @file
 * /healthz: the loop answers, so it lives. /readyz: work that arrives now will be done.
 */
#include "daemon/ops/ops_p.h"

void ops_healthz(struct ops_call *call)
{
    scoped(strbuf_done) struct strbuf body = {0};

    strbuf_puts(&body, "{\"status\":\"ok\"}\n");
    ops_answer_json(call, &body);
}

void ops_readyz(struct ops_call *call)
{
    struct daemon_status status;
    scoped(strbuf_done) struct strbuf body = {0};

    daemon_status(call->ops->daemon, &status);
    const bool open = status.phase == DAEMON_RUNNING, stores = daemon_ready(call->ops->daemon);
    const bool ready = open && stores && status.listed;

    strbuf_printf(&body, "{\"ready\":%s,\"phase\":\"%s\",\"open\":%s,", ready ? "true" : "false",
                  daemon_phase_name(status.phase), open ? "true" : "false");
    strbuf_printf(&body, "\"state_writable\":%s,\"source_listed\":%s}\n", stores ? "true" : "false",
                  status.listed ? "true" : "false");
    ops_answer(call, ready ? 200 : 503, "application/json", &body);
}
