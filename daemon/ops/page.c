/** @file
 * /: a page for people who point a browser at the daemon. Made here, no script, looks again by
 * itself.
 */
#include <inttypes.h>

#include "daemon/ops/ops_p.h"

static void add_escaped(struct strbuf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            strbuf_puts(out, "&lt;");
            break;
        case '>':
            strbuf_puts(out, "&gt;");
            break;
        case '&':
            strbuf_puts(out, "&amp;");
            break;
        case '"':
            strbuf_puts(out, "&quot;");
            break;
        default:
            strbuf_putc(out, *text);
        }
    }
}

static void add_states(struct strbuf *out, const struct daemon_status *status)
{
    strbuf_puts(out, "<table><caption>Jobs</caption>"
                     "<tr><th>state<th>jobs<th>meaning</tr>\n");
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
        const enum job_state state = (enum job_state)i;

        strbuf_printf(out,
                      "<tr%s><td><a href=\"/v1/jobs?state=%s\">%s</a><td class=n>%" PRIu64 "<td>",
                      status->jobs[i] == 0 ? " class=none" : "", job_state_name(state),
                      job_state_name(state), status->jobs[i]);
        add_escaped(out, job_state_text(state));
        strbuf_puts(out, "</tr>\n");
    }
    strbuf_puts(out, "</table>\n");
}

void ops_page(struct ops_call *call)
{
    static const char *const links[] = {"/metrics",   "/healthz",   "/readyz", "/v1/status",
                                        "/v1/tables", "/v1/config", "/v1"};
    struct daemon_status status;
    scoped(strbuf_done) struct strbuf body = {0};

    daemon_status(call->ops->daemon, &status);
    strbuf_puts(
        &body,
        "<!doctype html><html lang=en><meta charset=utf-8><title>sevird</title>"
        "<meta name=viewport content=\"width=device-width\">"
        "<meta http-equiv=refresh content=5>\n<style>body{font:16px/1.5 system-ui,sans-serif;"
        "margin:2em auto;max-width:46em;padding:0 1em;color:#222;background:#fff}"
        "table{border-collapse:collapse;width:100%}caption,th{text-align:left}"
        "caption{font-weight:bold}td,th{padding:.15em .8em .15em 0;border-bottom:1px solid #ddd}"
        ".n{text-align:right;font-variant-numeric:tabular-nums}.none{color:#767676}"
        ".none "
        "a{color:inherit}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
        "a{color:#8bf}td,th{border-color:#444}.none{color:#999}}</style>\n");
    strbuf_printf(&body, "<h1>sevird %s</h1><p>%s%s%s.\n", SEVIRD_VERSION,
                  daemon_phase_name(status.phase), status.paused ? ", paused" : "",
                  status.idle ? ", idle" : "");
    if (status.error != NULL && status.error[0] != '\0') {
        strbuf_puts(&body, "<p><strong>");
        add_escaped(&body, status.error);
        strbuf_puts(&body, "</strong>\n");
    }
    add_states(&body, &status);
    strbuf_puts(&body, "<p>");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        strbuf_printf(&body, "<a href=\"%s\">%s</a> ", links[i], links[i]);
    }
    strbuf_puts(&body, "</html>\n");
    http_responder_header(call->responder, "Content-Security-Policy",
                          "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    ops_answer(call, 200, "text/html; charset=utf-8", &body);
}
