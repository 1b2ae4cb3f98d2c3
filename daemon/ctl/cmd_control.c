/** @file
 * Commands that change something: submit, retry, cancel, pause, resume, drain, reload, reconcile.
 */
#include <limits.h>

#include "daemon/ctl/client.h"

#define LONG_MS (10 * 60 * 1000) /**< A listing of a large store, a load of large files. */

static enum ctl_exit post(struct ctl *ctl, const char *path, json_t *body, int64_t timeout_ms,
                          json_t **ret_answer)
{
    const enum ctl_exit code = client_call(ctl, "POST", path, body, timeout_ms, ret_answer);

    if (code == CTL_DONE && ctl->json) {
        ctl_json(ctl, *ret_answer);
    }
    return code;
}

/** For those whose answer has nothing to tell but that it was done. */
static enum ctl_exit just_post(struct ctl *ctl, const char *path, const char *done)
{
    json_t *answer = NULL;
    const enum ctl_exit code = post(ctl, path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code == CTL_DONE) {
        ctl_say(ctl, "%s\n", done);
    }
    json_decref(answer);
    return code;
}

static enum ctl_exit run_pause(struct ctl *ctl, const struct ctl_args *args)
{
    return just_post(ctl, "/v1/pause", "paused: no new stage starts; what runs goes on");
}

static enum ctl_exit run_resume(struct ctl *ctl, const struct ctl_args *args)
{
    return just_post(ctl, "/v1/resume", "resumed");
}

static enum ctl_exit run_drain(struct ctl *ctl, const struct ctl_args *args)
{
    return just_post(ctl, "/v1/drain",
                     "draining: nothing new is taken, what is queued is finished; 'sevirctl wait' "
                     "tells when, 'sevirctl resume' opens again");
}

static enum ctl_exit run_reload(struct ctl *ctl, const struct ctl_args *args)
{
    return just_post(ctl, "/v1/reload", "the configuration was read again and holds");
}

static void tell_some(struct ctl *ctl, json_int_t count, const char *what)
{
    if (count > 0) {
        ctl_say(ctl, ", %lld %s", (long long)count, what);
    }
}

static enum ctl_exit run_reconcile(struct ctl *ctl, const struct ctl_args *args)
{
    json_t *answer = NULL;
    const enum ctl_exit code = post(ctl, "/v1/reconcile", NULL, LONG_MS, &answer);

    if (code == CTL_DONE) {
        json_int_t listed = 0, known = 0, missing = 0, gone = 0, refused = 0;
        json_unpack(answer, "{s:I,s:I,s:I,s:I,s:I}", "listed", &listed, "known", &known, "missing",
                    &missing, "gone", &gone, "refused", &refused);
        const json_int_t settling = listed - known - missing - refused;
        ctl_say(ctl, "%lld object%s in the store: %lld known, %lld missed and queued now",
                (long long)listed, listed == 1 ? "" : "s", (long long)known, (long long)missing);
        tell_some(ctl, settling, "still settling");
        tell_some(ctl, refused, "refused");
        tell_some(ctl, gone, "gone");
        ctl_say(ctl, "\n");
    }
    json_decref(answer);
    return code;
}

static enum ctl_exit run_submit(struct ctl *ctl, const struct ctl_args *args)
{
    json_t *uris = json_array(), *answer = NULL, *result;
    size_t i;
    enum ctl_exit code;

    for (unsigned w = 0; w < args->word_count; w++) {
        scoped(free) char *uri = client_uri(args->words[w]);
        if (json_array_append_new(uris, json_string(uri)) != 0) {
            json_decref(uris);
            return ctl_fail("'%s' is not UTF-8", uri);
        }
    }
    code = post(ctl, "/v1/submit", json_pack("{s:o}", "uris", uris), LONG_MS, &answer);
    if (code != CTL_DONE) {
        return code;
    }
    json_array_foreach(json_object_get(answer, "results"), i, result)
    {
        const char *uri = "", *outcome = "", *error = NULL;
        json_int_t job = 0;

        json_unpack(result, "{s:s,s?s,s?I,s?s}", "uri", &uri, "outcome", &outcome, "job", &job,
                    "error", &error);
        if (error != NULL) {
            code = ctl_fail("'%s': %s", uri, error);
        } else if (job != 0) {
            ctl_say(ctl, "%s: %s, job %lld\n", uri, outcome, (long long)job);
        } else {
            ctl_say(ctl, "%s: %s\n", uri, outcome);
        }
    }
    json_decref(answer);
    return code;
}

/** A job's number from a number or from a URI (the newest job of that object); 0 was told. */
static enum ctl_exit job_of(struct ctl *ctl, const char *word, uint64_t *ret_job)
{
    if (str_to_u64(word, ret_job)) {
        return CTL_DONE;
    }
    scoped(free) char *uri = client_uri(word);
    scoped(free) char *escaped = client_escape(uri);
    scoped(free) char *path = str_printf("/v1/explain?uri=%s", escaped);
    json_t *answer = NULL;
    json_int_t job = 0;
    enum ctl_exit code = client_call(ctl, "GET", path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code == CTL_DONE) {
        json_unpack(json_array_get(json_object_get(answer, "jobs"), 0), "{s:I}", "id", &job);
        *ret_job = (uint64_t)job;
        if (job == 0) {
            const char *verdict = json_string_value(json_object_get(answer, "verdict"));
            code = ctl_fail("'%s' has no job: %s", word, verdict != NULL ? verdict : "unknown");
        }
    }
    json_decref(answer);
    return code;
}

static enum ctl_exit tell_job(struct ctl *ctl, uint64_t job, const char *wish, const char *done)
{
    scoped(free) char *path = str_printf("/v1/jobs/%llu/%s", (unsigned long long)job, wish);
    json_t *answer = NULL;
    const enum ctl_exit code = post(ctl, path, NULL, CLIENT_PATIENCE_MS, &answer);

    if (code == CTL_DONE) {
        ctl_say(ctl, "job %llu: %s\n", (unsigned long long)job, done);
    }
    json_decref(answer);
    return code;
}

/** Run again what is in one of `states`; `said` follows their number. */
static enum ctl_exit retry_states(struct ctl *ctl, json_t *states, const char *said)
{
    json_t *answer = NULL;
    const enum ctl_exit code =
        post(ctl, "/v1/retry", json_pack("{s:o}", "states", states), LONG_MS, &answer);

    if (code == CTL_DONE) {
        ctl_say(ctl, "%lld %s\n", (long long)json_integer_value(json_object_get(answer, "retried")),
                said);
    }
    json_decref(answer);
    return code;
}

static enum ctl_exit retry_quarantined(struct ctl *ctl)
{
    return retry_states(ctl, json_pack("[s]", "QUARANTINED"), "jobs are tried again");
}

static enum ctl_exit run_rebuild(struct ctl *ctl, const struct ctl_args *args)
{
    (void)args;
    return retry_states(ctl, json_pack("[s,s,s]", "DONE", "SKIPPED", "WAITING"),
                        "objects go through again; 'sevirctl wait' tells when they are done");
}

static enum ctl_exit each_job(struct ctl *ctl, const struct ctl_args *args, const char *wish,
                              const char *done)
{
    enum ctl_exit worst = CTL_DONE;

    for (unsigned i = 0; i < args->word_count; i++) {
        uint64_t job = 0;
        enum ctl_exit code = job_of(ctl, args->words[i], &job);

        code = code == CTL_DONE ? tell_job(ctl, job, wish, done) : code;
        if (code == CTL_NO_DAEMON) {
            return code;
        }
        worst = code > worst ? code : worst;
    }
    return worst;
}

static enum ctl_exit run_retry(struct ctl *ctl, const struct ctl_args *args)
{
    if (ctl_flag(args, "quarantined")) {
        return args->word_count == 0
                   ? retry_quarantined(ctl)
                   : ctl_misuse("retry", "either '--quarantined' or jobs, not both");
    }
    if (args->word_count == 0) {
        return ctl_misuse("retry", "'retry' wants jobs, URIs or '--quarantined'");
    }
    return each_job(ctl, args, "retry", "is tried again");
}

static enum ctl_exit run_cancel(struct ctl *ctl, const struct ctl_args *args)
{
    return each_job(ctl, args, "cancel", "canceled");
}

const struct ctl_command ctl_cmd_submit = {
    .name = "submit",
    .arguments = "URI...",
    .summary = "tell the daemon of objects by hand",
    .help =
        "A URI is file:///DIR/KEY, a path, or a key of the raw store. An object whose version was "
        "seen before is\n'known' and has its job already; 'retry' runs that again.",
    .min_words = 1,
    .max_words = UINT_MAX,
    .run = run_submit};

static const struct ctl_option retry_options[] = {
    {"quarantined", 0, NULL, "every job in quarantine"}, {NULL}};
const struct ctl_command ctl_cmd_retry = {.name = "retry",
                                          .arguments = "JOB|URI... | --quarantined",
                                          .summary = "run jobs again from their start",
                                          .help = "A job in quarantine, given up, skipped or done "
                                                  "is run again; one that backs off is tried now.",
                                          .options = retry_options,
                                          .max_words = UINT_MAX,
                                          .run = run_retry};

const struct ctl_command ctl_cmd_rebuild = {
    .name = "rebuild",
    .arguments = "",
    .summary = "fill the data catalog anew from the stores",
    .help = "Every object goes through again: crawled, extracted, published. What is published "
            "stays and is\nwritten with the same bytes. For a catalog.db that was lost or damaged: "
            "stop the daemon, move the\nfile away, start the daemon, then this.",
    .run = run_rebuild};

const struct ctl_command ctl_cmd_cancel = {
    .name = "cancel",
    .arguments = "JOB|URI...",
    .summary = "give jobs up",
    .help = "A job at work is stopped first. What it published stays.",
    .min_words = 1,
    .max_words = UINT_MAX,
    .run = run_cancel};

const struct ctl_command ctl_cmd_pause = {.name = "pause",
                                          .arguments = "",
                                          .summary = "start no new stage; what runs goes on",
                                          .run = run_pause};
const struct ctl_command ctl_cmd_resume = {
    .name = "resume", .arguments = "", .summary = "end a pause or a drain", .run = run_resume};
const struct ctl_command ctl_cmd_drain = {.name = "drain",
                                          .arguments = "",
                                          .summary = "take nothing new, finish what is queued",
                                          .run = run_drain};
const struct ctl_command ctl_cmd_reload = {.name = "reload",
                                           .arguments = "",
                                           .summary = "read the configuration again",
                                           .help =
                                               "A wrong file, or a change that only a restart can "
                                               "make, is refused; the old configuration stays.",
                                           .run = run_reload};
const struct ctl_command ctl_cmd_reconcile = {
    .name = "reconcile",
    .arguments = "",
    .summary = "list the raw store now and queue what was missed",
    .run = run_reconcile};
