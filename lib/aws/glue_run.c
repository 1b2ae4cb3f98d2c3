/** @file
 * Runs of a Glue job.
 *
 * StartJobRun has no idempotence token, so a caller that died in the middle of one cannot know. It
 * puts a token of its own into the arguments; glue_run_find() looks for it among the newest runs.
 */
#include <string.h>

#include "lib/aws/glue_p.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static const struct {
    const char *name;
    bool ended;
} run_states[] = {
#define X(text, terminal) [GLUE_RUN_##text] = {#text, terminal},
    GLUE_RUN_MAP(X)
#undef X
};

const char *glue_run_state_name(enum glue_run_state state)
{
    return run_states[state].name;
}

bool glue_run_state_ended(enum glue_run_state state)
{
    return run_states[state].ended;
}

/** False: no run, or of a state that we do not know. */
static bool parse_run(const json_t *found, struct glue_run *ret_run)
{
    const char *state = glue_string(found, "JobRunState");

    for (unsigned i = 0; i < GLUE_RUN_COUNT; i++) {
        if (strcmp(state, run_states[i].name) == 0) {
            *ret_run = (struct glue_run){
                .id = glue_string(found, "Id"),
                .state = i,
                .error = glue_string(found, "ErrorMessage"),
                .started_ms = glue_time_ms(found, "StartedOn"),
                .completed_ms = glue_time_ms(found, "CompletedOn"),
                .dpu_seconds = json_number_value(json_object_get(found, "DPUSeconds")),
                .log_group = glue_string(found, "LogGroupName"),
            };
            return ret_run->id[0] != '\0';
        }
    }
    return false;
}

static void on_started(struct glue_call *call, const json_t *answer, const struct err *err)
{
    glue_text_fn *done = (glue_text_fn *)call->given;
    const char *id = glue_string(answer, "JobRunId");
    struct err why;

    if (err == NULL && id[0] == '\0') {
        err_set(&why, RC_CORRUPT, "StartJobRun of '%.200s' answered no JobRunId", call->name);
        err = &why;
    }
    done(err == NULL ? id : "", err, call->arg);
}

struct aws_call *glue_run_start(struct aws *aws, const char *job,
                                const struct sigv4_pair *arguments, unsigned count,
                                glue_text_fn *done, void *arg)
{
    const struct glue_call call = {.answered = on_started,
                                   .given = (void (*)(void))done,
                                   .arg = arg,
                                   .what = "job",
                                   .name = (char *)job,
                                   .attempts = 1};
    json_t *request = json_pack("{s:s}", "JobName", job);
    json_t *pairs = json_object();

    for (unsigned i = 0; i < count; i++) {
        json_object_set_new(pairs, arguments[i].name, json_string(arguments[i].value));
    }
    json_object_set_new(request, "Arguments", pairs);
    return glue_send(aws, "StartJobRun", request, &call);
}

static void on_run(struct glue_call *call, const json_t *answer, const struct err *err)
{
    glue_run_fn *done = (glue_run_fn *)call->given;
    struct glue_run run;
    struct err why;

    if (err == NULL && !parse_run(json_object_get(answer, "JobRun"), &run)) {
        err_set(&why, RC_CORRUPT, "a run of job '%.200s' has the unknown state '%.40s'", call->name,
                glue_string(json_object_get(answer, "JobRun"), "JobRunState"));
        err = &why;
    }
    done(err == NULL ? &run : NULL, err, call->arg);
}

struct aws_call *glue_run_get(struct aws *aws, const char *job, const char *id, glue_run_fn *done,
                              void *arg)
{
    const struct glue_call call = {.answered = on_run,
                                   .given = (void (*)(void))done,
                                   .arg = arg,
                                   .what = "job",
                                   .name = (char *)job};

    return glue_send(aws, "GetJobRun", json_pack("{s:s, s:s}", "JobName", job, "RunId", id), &call);
}

static void on_stopped(struct glue_call *call, const json_t *answer, const struct err *err)
{
    const json_t *failed = json_array_get(json_object_get(answer, "Errors"), 0);
    const json_t *detail = json_object_get(failed, "ErrorDetail");
    const char *code = glue_string(detail, "ErrorCode");
    struct err why;

    /* Too late to stop it is as good as stopped. */
    if (err == NULL && failed != NULL && strcmp(code, "JobRunInTerminalStateException") != 0 &&
        strstr(code, "InvalidState") == NULL) {
        err_set(&why, RC_INVALID, "a run of job '%.200s' was not stopped: %.60s: %.120s",
                call->name, code, glue_string(detail, "ErrorMessage"));
        err = &why;
    }
    ((glue_done_fn *)call->given)(err, call->arg);
}

struct aws_call *glue_run_stop(struct aws *aws, const char *job, const char *id, glue_done_fn *done,
                               void *arg)
{
    const struct glue_call call = {.answered = on_stopped,
                                   .given = (void (*)(void))done,
                                   .arg = arg,
                                   .what = "job",
                                   .name = (char *)job};

    return glue_send(aws, "BatchStopJobRun",
                     json_pack("{s:s, s:[s]}", "JobName", job, "JobRunIds", id), &call);
}

/* ---- finding a run again ---- */

struct glue_find {
    struct aws *aws;
    char *job, *name, *value;
    int64_t since_ms;
    unsigned pages;
    glue_run_fn *done;
    void *arg;
};

static void find_end(struct glue_find *find, const struct glue_run *run, const struct err *err)
{
    find->done(run, err, find->arg);
    free(find->job);
    free(find->name);
    free(find->value);
    free(find);
}

static void find_page(struct glue_find *find, const char *next);

/** True when it was found, or when what follows is too old to be it. */
static bool look_through(struct glue_find *find, const json_t *runs)
{
    size_t i;
    const json_t *found;

    json_array_foreach((json_t *)runs, i, found)
    {
        const char *value = glue_string(json_object_get(found, "Arguments"), find->name);
        struct glue_run run;

        if (strcmp(value, find->value) == 0 && parse_run(found, &run)) {
            find_end(find, &run, NULL);
            return true;
        }
    }
    return false;
}

/** Newest first: a page that ends before `since_ms` is the last that can matter. */
static bool page_is_old(const struct glue_find *find, const json_t *runs)
{
    const json_t *last = json_array_get(runs, json_array_size(runs) - 1);
    const int64_t started_ms = glue_time_ms(last, "StartedOn");

    return last == NULL || (started_ms > 0 && started_ms < find->since_ms);
}

static void on_runs(struct glue_call *call, const json_t *answer, const struct err *err)
{
    struct glue_find *find = call->arg;
    const json_t *runs = json_object_get(answer, "JobRuns");
    const char *next = glue_string(answer, "NextToken");
    struct err why;

    if (err != NULL) {
        find_end(find, NULL, err);
        return;
    }
    if (look_through(find, runs)) {
        return;
    }
    if (next[0] != '\0' && !page_is_old(find, runs) && ++find->pages < GLUE_FIND_PAGES) {
        find_page(find, next);
        return;
    }
    err_set(&why, RC_NOT_FOUND, "no run of job '%.150s' has the argument %.60s '%.150s'", find->job,
            find->name, find->value);
    find_end(find, NULL, &why);
}

static void find_page(struct glue_find *find, const char *next)
{
    const struct glue_call call = {
        .answered = on_runs, .arg = find, .what = "job", .name = find->job};
    json_t *request = json_pack("{s:s, s:i}", "JobName", find->job, "MaxResults", 100);

    if (next[0] != '\0') {
        json_object_set_new(request, "NextToken", json_string(next));
    }
    glue_send(find->aws, "GetJobRuns", request, &call);
}

void glue_run_find(struct aws *aws, const char *job, const char *name, const char *value,
                   int64_t since_ms, glue_run_fn *done, void *arg)
{
    struct glue_find *find = mem_new(struct glue_find);

    *find = (struct glue_find){
        .aws = aws,
        .job = str_dup(job),
        .name = str_dup(name),
        .value = str_dup(value),
        .since_ms = since_ms,
        .done = done,
        .arg = arg,
    };
    find_page(find, "");
}
