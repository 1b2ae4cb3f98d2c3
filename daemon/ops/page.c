/** @file
 * /: the dashboard, whose files are compiled in; or, where it was not built, the plain page, which
 * is also at /plain: made here, without a script, it looks again by itself.
 */
#include <inttypes.h>
#include <libdeflate.h>

#include "daemon/ops/assets.h"
#include "daemon/ops/ops_p.h"
#include "lib/base/mem.h"

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

void ops_plain(struct ops_call *call)
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
    strbuf_puts(&body,
                ops_asset_count > 0
                    ? "<p class=none>The dashboard is at <a href=\"/\">/</a>.</html>\n"
                    : "<p class=none>The dashboard was not built into this daemon: its build had "
                      "no npm, no network, or was told <code>-Ddashboard=disabled</code>."
                      "</html>\n");
    http_responder_header(call->responder, "Content-Security-Policy",
                          "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
    ops_answer(call, 200, "text/html; charset=utf-8", &body);
}

/* ---- the dashboard -------------------------------------------------------------------------- */

/** Scripts and styles come from here alone, and nothing is inline: what a hostile name might
 * smuggle into the page is not run. */
#define DASHBOARD_POLICY                                                                         \
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action " \
    "'none'; frame-ancestors 'none'"

static bool takes_gzip(const struct http_request *request)
{
    const char *accept = http_request_header(request, "Accept-Encoding");
    const char *found = accept != NULL ? strstr(accept, "gzip") : NULL;

    return found != NULL && strncmp(found, "gzip;q=0", 8) != 0;
}

static bool add_plain(const struct ops_asset *asset, struct strbuf *body)
{
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    scoped(free) char *raw = mem_resize(NULL, asset->raw_len + 1, 1);
    bool done;

    if (inflater == NULL) {
        return false;
    }
    done = libdeflate_gzip_decompress(inflater, asset->bytes, asset->len, raw, asset->raw_len,
                                      NULL) == LIBDEFLATE_SUCCESS;
    libdeflate_free_decompressor(inflater);
    strbuf_add(body, raw, done ? asset->raw_len : 0);
    return done;
}

static void answer_asset(struct ops_call *call, const struct ops_asset *asset)
{
    const char *known = http_request_header(call->request, "If-None-Match");
    scoped(strbuf_done) struct strbuf body = {0};
    const bool hashed = str_starts(asset->name, "assets/");

    http_responder_header(call->responder, "Content-Security-Policy", DASHBOARD_POLICY);
    http_responder_header(call->responder, "Referrer-Policy", "no-referrer");
    http_responder_header(call->responder, "Cache-Control",
                          hashed ? "public, max-age=31536000, immutable" : "no-cache");
    http_responder_header(call->responder, "ETag", asset->etag);
    http_responder_header(call->responder, "Vary", "Accept-Encoding");
    if (known != NULL && strcmp(known, asset->etag) == 0) {
        ops_answer(call, 304, asset->type, NULL);
        return;
    }
    if (takes_gzip(call->request)) {
        http_responder_header(call->responder, "Content-Encoding", "gzip");
        strbuf_add(&body, asset->bytes, asset->len);
    } else if (!add_plain(asset, &body)) {
        ops_problem(call, 500, "'%s' could not be unpacked", asset->name);
        return;
    }
    ops_answer(call, 200, asset->type, &body);
}

static const struct ops_asset *find_asset(const char *folder, const char *name)
{
    for (unsigned i = 0; i < ops_asset_count; i++) {
        if (str_starts(ops_assets[i].name, folder) &&
            strcmp(ops_assets[i].name + strlen(folder), name) == 0) {
            return &ops_assets[i];
        }
    }
    return NULL;
}

void ops_asset(struct ops_call *call)
{
    const struct ops_asset *asset = find_asset("assets/", call->name);

    if (asset == NULL) {
        ops_problem(call, 404, "the dashboard has no file '%.100s'", call->name);
        return;
    }
    answer_asset(call, asset);
}

void ops_favicon(struct ops_call *call)
{
    const struct ops_asset *asset = find_asset("", "favicon.svg");

    if (asset == NULL) {
        ops_problem(call, 404, "the dashboard was not built");
        return;
    }
    answer_asset(call, asset);
}

void ops_page(struct ops_call *call)
{
    const struct ops_asset *index = find_asset("", "index.html");

    if (index != NULL) {
        answer_asset(call, index);
    } else {
        ops_plain(call);
    }
}
