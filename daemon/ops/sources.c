/** @file
 * /v1/sources: how the daemon hears of objects, when it last looked, and what the last
 * reconciliation found.
 */
#include <inttypes.h>

#include "daemon/ops/ops_p.h"

static void add_counts(struct strbuf *out, const struct daemon_source *source)
{
    strbuf_printf(out,
                  "{\"listed\":%" PRIu64 ",\"known\":%" PRIu64 ",\"queued\":%" PRIu64
                  ",\"gone\":%" PRIu64 ",\"refused\":%" PRIu64 "}",
                  source->listed, source->known, source->queued, source->gone, source->refused);
}

static void add_source(struct strbuf *out, const struct daemon_source *source)
{
    strbuf_printf(out, "{\"name\":\"%s\",\"on\":%s,\"looking\":%s,\"looks\":%" PRIu64 ",\"began\":",
                  source->name, source->on ? "true" : "false", source->looking ? "true" : "false",
                  source->looks);
    ops_time_json(out, source->began_ms);
    strbuf_puts(out, ",\"ended\":");
    ops_time_json(out, source->ended_ms);
    strbuf_printf(out, ",\"watches\":%u,\"overflows\":%" PRIu64 ",\"settling\":%u,\"counts\":",
                  source->watches, source->overflows, source->settling);
    if (source->looks > 0 && source->counted) {
        add_counts(out, source);
    } else {
        strbuf_puts(out, "null");
    }
    strbuf_puts(out, ",\"error\":");
    if (source->error[0] != '\0') {
        strbuf_json(out, source->error);
        strbuf_puts(out, ",\"error_since\":");
        ops_time_json(out, source->error_ms);
    } else {
        strbuf_puts(out, "null,\"error_since\":null");
    }
    strbuf_putc(out, '}');
}

void ops_get_sources(struct ops_call *call)
{
    struct daemon_source sources[DAEMON_SOURCES];
    struct daemon_reconciled found;
    scoped(strbuf_done) struct strbuf body = {0};
    const unsigned count = daemon_sources(call->ops->daemon, sources);
    const int64_t at_ms = daemon_last_reconciled(call->ops->daemon, &found);

    strbuf_puts(&body, "{\"sources\":[");
    for (unsigned i = 0; i < count; i++) {
        strbuf_puts(&body, i > 0 ? ",\n" : "\n");
        add_source(&body, &sources[i]);
    }
    strbuf_puts(&body, "],\n\"reconciled\":");
    if (at_ms == 0) {
        strbuf_puts(&body, "null}\n");
    } else {
        strbuf_puts(&body, "{\"at\":");
        ops_time_json(&body, at_ms);
        strbuf_printf(&body,
                      ",\"listed\":%" PRIu64 ",\"known\":%" PRIu64 ",\"missing\":%" PRIu64
                      ",\"gone\":%" PRIu64 ",\"refused\":%" PRIu64 "}}\n",
                      found.listed, found.known, found.missing, found.gone, found.refused);
    }
    ops_answer_json(call, &body);
}
