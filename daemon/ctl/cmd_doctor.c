/** @file
 * doctor: a look at a set-up from the daemon's eyes.
 */
#include "daemon/ctl/ctl_conf.h"
#include "daemon/ctl/ctl_doctor.h"
#include "lib/base/mem.h"

static const char *kind_name(enum finding_kind kind)
{
    return kind == FINDING_OK ? "ok" : kind == FINDING_WARN ? "warn" : "FAIL";
}

static void print_people(const struct ctl *ctl, const struct doctor *doctor)
{
    for (unsigned i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];

        ctl_say(ctl, "%-4s  %-22s %s%s%s\n", kind_name(finding->kind), finding->check,
                finding->text, finding->mend[0] != '\0' ? " -> " : "", finding->mend);
    }
    ctl_say(ctl, "%u checks, %u failed, %u warnings\n", doctor->count, doctor->failed,
            doctor->warned);
}

static void print_json(const struct ctl *ctl, const struct doctor *doctor)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        scoped(strbuf_done) struct strbuf text = {0};

        ctl_clean(&text, finding->text);
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s}", "check", finding->check,
                                              "status", kind_name(finding->kind), "text",
                                              strbuf_text(&text), "mend", finding->mend));
    }
    json_t *told = json_pack("{s:o,s:i,s:i}", "checks", list, "failed", (int)doctor->failed,
                             "warnings", (int)doctor->warned);

    ctl_json(ctl, told);
    json_decref(told);
}

static bool needs_general(const struct conf *conf)
{
    return conf->sources_sqs_queue_url != NULL || conf->notify_sns_topic_arn != NULL ||
           strcmp(conf->crawl_engine, "glue") == 0 || strcmp(conf->extract_engine, "glue") == 0 ||
           strcmp(conf->catalog_engine, "glue") == 0 || conf->athena_workgroup != NULL ||
           conf->athena_output_location != NULL;
}

static void look(struct doctor *doctor)
{
    struct err err;

    doctor_check_local(doctor);
    doctor_check_stores(doctor);
    if (!needs_general(doctor->conf)) {
        return;
    }
    if (ctl_conf_aws(doctor->run, doctor->conf, CTL_ACCESS_GENERAL, &doctor->aws, &err) != RC_OK) {
        doctor_find(doctor, FINDING_FAIL, "aws.credentials", "mend aws.* of the configuration",
                    "%s", err.text);
        return;
    }
    doctor_check_credentials(doctor, "aws.credentials", doctor->aws);
    doctor_check_queues(doctor);
    doctor_check_managed(doctor);
}

static enum ctl_exit run_doctor(struct ctl *ctl, const struct ctl_args *args)
{
    scoped(ctl_run_free) struct ctl_run *run = ctl_run_new(ctl, args);
    scoped(conf_free) struct conf *conf = NULL;
    scoped(doctor_done) struct doctor doctor = {.run = run};
    struct err err;

    if (ctl_conf_load(args, &conf, &err) != RC_OK) {
        doctor_find(&doctor, FINDING_FAIL, "config", "mend the file; 'sevird --check' reads it too",
                    "%s", err.text);
    } else {
        doctor.conf = conf;
        doctor_find(&doctor, FINDING_OK, "config", "", "the configuration is valid");
        look(&doctor);
    }
    if (ctl->json) {
        print_json(ctl, &doctor);
    } else {
        print_people(ctl, &doctor);
    }
    return doctor.failed > 0 ? CTL_FAILED : CTL_DONE;
}

static const struct ctl_option options[] = {
    {"config", 0, "FILE", "the daemon's configuration (default: " CTL_CONFIG ")"}, {NULL}};

const struct ctl_command ctl_cmd_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "check a set-up from the daemon's eyes, and say how to mend what is wrong",
    .help = "One line a check: ok, warn or FAIL, and after '->' what to do. Asks what the daemon\n"
            "would ask, with its configuration and credentials: run it as the daemon's user\n"
            "(sudo -u sevird). Nothing is changed but for a probe object below '_doctor/' of the\n"
            "processed store, which is removed again. Exit code 1 when something FAILs.",
    .options = options,
    .max_words = 0,
    .local = true,
    .run = run_doctor,
};
