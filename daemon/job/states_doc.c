/** @file
 * Writes docs/states.md from the table. A test compares the two, so a change of the table that is
 * not documented breaks the build.
 *
 *     states_doc > docs/states.md             write
 *     states_doc --check docs/states.md       exit 1 when it differs
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/job_state.h"

static const char *const kind_texts[] = {
    [JOB_KIND_REST] = "rest", [JOB_KIND_STAGE] = "stage", [JOB_KIND_END] = "end"};

static const char intro[] =
    "# The life of a job\n"
    "\n"
    "This page is generated from the table in `daemon/job/job_state.c` by `states_doc`; a test "
    "compares\n"
    "them. Every edge is one row of that table, and there is no other way for a job to change "
    "state.\n"
    "\n"
    "Names have grammar: **-ING** works and owns things (sockets, threads, files) and never "
    "survives a\n"
    "restart; **-ED** rests, owns nothing, and its result is on disk. WAITING is the exception by "
    "name: it\n"
    "rests until the catalog has its rows. After a crash every -ING job is STOPPED, that is, it "
    "falls back\n"
    "to the rest it left.\n"
    "\n"
    "Each move is committed to `state.db` before anyone sees it; then come one log line, one count "
    "in\n"
    "`sevird_transitions_total{from,to}`, one event on `/v1/events`, and the next stage.\n";

static const char *to_name(const struct job_edge *edge)
{
    return edge->to == JOB_RESUME ? "(the rest it left)" : job_state_name(edge->to);
}

static void print_states(FILE *out)
{
    fprintf(out, "\n## States\n\n| state | kind | meaning |\n| --- | --- | --- |\n");
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        fprintf(out, "| `%s` | %s | %s |\n", job_state_name(s), kind_texts[job_state_kind(s)],
                job_state_text(s));
    }
}

static void print_events(FILE *out)
{
    fprintf(out, "\n## Events\n\n| event | meaning |\n| --- | --- |\n");
    for (unsigned e = 0; e < JOB_EVENT_COUNT; e++) {
        fprintf(out, "| `%s` | %s |\n", job_event_name(e), job_event_text(e));
    }
}

/** The edges that tell the story; those that every stage, or nearly every rest, has are in the
 * table. */
static void print_diagram(FILE *out)
{
    fprintf(out,
            "\n## Picture\n\n"
            "Every stage also has DEFERRED (to BACKOFF), REJECTED (to QUARANTINED) and STOPPED (to "
            "the\n"
            "rest it left); CANCEL, OVERTAKEN and RETRY are left out too. The table below has them "
            "all.\n"
            "\n```mermaid\nstateDiagram-v2\n    [*] --> QUEUED\n");
    for (unsigned i = 0; i < job_edge_count; i++) {
        const struct job_edge *edge = &job_edges[i];
        const bool common = edge->on == JOB_EV_DEFERRED || edge->on == JOB_EV_REJECTED ||
                            edge->on == JOB_EV_CANCEL || edge->on == JOB_EV_OVERTAKEN ||
                            edge->on == JOB_EV_RETRY || edge->to == JOB_RESUME;

        if (!common) {
            fprintf(out, "    %s --> %s: %s\n", job_state_name(edge->from),
                    job_state_name(edge->to), job_event_name(edge->on));
        }
    }
    for (unsigned s = 0; s < JOB_STATE_COUNT; s++) {
        if (job_state_kind(s) == JOB_KIND_END) {
            fprintf(out, "    %s --> [*]\n", job_state_name(s));
        }
    }
    fprintf(out, "```\n");
}

static void print_edges(FILE *out)
{
    fprintf(out, "\n## Edges\n\n| from | on | to | because |\n| --- | --- | --- | --- |\n");
    for (unsigned i = 0; i < job_edge_count; i++) {
        const struct job_edge *edge = &job_edges[i];

        fprintf(out, "| `%s` | %s | `%s` | %s |\n", job_state_name(edge->from),
                job_event_name(edge->on), to_name(edge), job_event_text(edge->on));
    }
    fprintf(out, "\n`QUEUED` on STARTED leads to `RETIRING` for a job whose object is gone, to "
                 "`CRAWLING` for "
                 "all others.\n");
}

static void print_page(FILE *out)
{
    fputs(intro, out);
    print_diagram(out);
    print_states(out);
    print_events(out);
    print_edges(out);
}

/** 0 when the file is exactly the page. */
static int check(const char *path)
{
    FILE *file = fopen(path, "r");
    char *page = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&page, &len);
    bool same = file != NULL && out != NULL;

    if (out != NULL) {
        print_page(out);
        fclose(out);
    }
    for (size_t i = 0; same && i <= len; i++) {
        same = fgetc(file) == (i < len ? (unsigned char)page[i] : EOF);
    }
    if (!same) {
        fprintf(stderr, "'%s' is not what the table says; write it again with states_doc\n", path);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(page);
    return same ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--check") == 0) {
        return check(argv[2]);
    }
    print_page(stdout);
    return 0;
}
