/** @file
 * What is managed by others, where it is configured: the topic, Glue's crawler and job, and Athena
 * with its database.
 */
#include <inttypes.h>

#include "daemon/ctl/ctl_doctor.h"
#include "lib/base/mem.h"
#include "lib/store/uri.h"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static void check_topic(struct doctor *doctor, const char *arn)
{
    const struct sigv4_pair pair = {"TopicArn", arn};
    scoped(doctor_answer_done) struct doctor_answer answer;

    if (doctor_ask_query(doctor, doctor->aws, "sns", "2010-03-31", "GetTopicAttributes", &pair, 1,
                         &answer)) {
        doctor_find(doctor, FINDING_OK, "topic", "", "'%s' is there", arn);
    } else {
        doctor_find(doctor, answer.err.rc == RC_DENIED ? FINDING_WARN : FINDING_FAIL, "topic",
                    doctor_mend(doctor, &answer.err,
                                "make the topic, or mend notify.sns_topic_arn; allow "
                                "sns:GetTopicAttributes"),
                    "'%s': %s", arn, answer.err.text);
    }
}

static void check_workgroup(struct doctor *doctor, const char *name)
{
    scoped(doctor_answer_done) struct doctor_answer answer;
    json_t *told;

    if (!doctor_ask_json(doctor, doctor->aws, "athena", "1.1", "AmazonAthena.GetWorkGroup", NULL,
                         json_pack("{s:s}", "WorkGroup", name), &answer, &told)) {
        doctor_refused(doctor, FINDING_FAIL, "athena.workgroup",
                       "make the workgroup, or mend athena.workgroup; allow athena:GetWorkGroup",
                       &answer.err);
        return;
    }
    const json_t *group = json_object_get(told, "WorkGroup");
    const json_t *conf = json_object_get(group, "Configuration");
    const json_t *result = json_object_get(conf, "ResultConfiguration");
    const json_int_t cutoff =
        json_integer_value(json_object_get(conf, "BytesScannedCutoffPerQuery"));

    if (!json_is_object(group) || strcmp(text_of(group, "State"), "DISABLED") == 0) {
        doctor_find(doctor, FINDING_FAIL, "athena.workgroup", "make it, or enable it",
                    "the workgroup '%s' %s", name,
                    !json_is_object(group) ? "is not there" : "is disabled");
    } else {
        doctor_find(doctor, FINDING_OK, "athena.workgroup", "", "the workgroup '%s' is there",
                    name);
        if (text_of(result, "OutputLocation")[0] == '\0' &&
            doctor->conf->athena_output_location == NULL) {
            doctor_find(doctor, FINDING_FAIL, "athena.output",
                        "give one to the workgroup, or set athena.output_location",
                        "the workgroup '%s' has no place for answers", name);
        }
        if (cutoff == 0) {
            doctor_find(doctor, FINDING_WARN, "athena.limit",
                        "set BytesScannedCutoffPerQuery of the workgroup",
                        "nothing limits what one query of '%s' scans", name);
        }
    }
    json_decref(told);
}

/** One thing of Glue's by its name; what it is, which the caller decrefs. NULL: it is told why. */
static json_t *check_named(struct doctor *doctor, const char *check, const char *target,
                           const char *name, const char *mend)
{
    scoped(doctor_answer_done) struct doctor_answer answer;
    json_t *told;

    if (doctor_ask_json(doctor, doctor->aws, "glue", "1.1", target, NULL,
                        strcmp(target, "AWSGlue.GetJob") == 0 ? json_pack("{s:s}", "JobName", name)
                                                              : json_pack("{s:s}", "Name", name),
                        &answer, &told)) {
        doctor_find(doctor, FINDING_OK, check, "", "'%s' is there", name);
        return told;
    }
    doctor_refused(doctor, FINDING_FAIL, check, mend, &answer.err);
    return NULL;
}

/** "s3://raw/2019/" is under "s3://raw" and "s3://raw/". */
static bool is_under(const char *uri, const char *target)
{
    const size_t len = strlen(target);

    return len > 0 && strncmp(uri, target, len) == 0 &&
           (target[len - 1] == '/' || uri[len] == '/' || uri[len] == '\0');
}

/** Whether it looks where we read. */
static void check_crawler(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;
    json_t *told = check_named(doctor, "glue.crawler", "AWSGlue.GetCrawler", conf->glue_crawler,
                               "make the crawler, or mend glue.crawler; allow glue:GetCrawler");
    const json_t *crawler = json_object_get(told, "Crawler");
    const json_t *targets = json_object_get(json_object_get(crawler, "Targets"), "S3Targets");
    const json_t *target;
    bool covered = told == NULL;
    size_t i;

    json_array_foreach(targets, i, target)
    {
        covered = covered || is_under(conf->raw_uri, text_of(target, "Path"));
    }
    if (!covered) {
        doctor_find(doctor, FINDING_FAIL, "glue.crawler_targets",
                    "give the crawler an S3 target that is raw.uri, or above it",
                    "crawler '%s' does not look at '%s'", conf->glue_crawler, conf->raw_uri);
    }
    if (told != NULL && strcmp(text_of(crawler, "DatabaseName"), conf->glue_database) != 0) {
        doctor_find(doctor, FINDING_WARN, "glue.crawler_database",
                    "let the crawler and glue.database name one database",
                    "crawler '%s' makes its tables in '%s', not in '%s'", conf->glue_crawler,
                    text_of(crawler, "DatabaseName"), conf->glue_database);
    }
    json_decref(told);
}

/** Whether its script is where it says, and as many runs may be at once as we begin. */
static void check_job(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;
    json_t *told = check_named(doctor, "glue.job", "AWSGlue.GetJob", conf->glue_job,
                               "make the job, or mend glue.job; allow glue:GetJob");
    const json_t *job = json_object_get(told, "Job");
    const char *script = text_of(json_object_get(job, "Command"), "ScriptLocation");
    const json_int_t most = json_integer_value(
        json_object_get(json_object_get(job, "ExecutionProperty"), "MaxConcurrentRuns"));
    scoped(uri_free) struct uri *uri = NULL;
    struct doctor_answer answer = {0};

    if (told == NULL) {
        return;
    }
    if (doctor->processed != NULL && uri_parse(script, "/", &uri, &answer.err) == RC_OK &&
        uri->scheme == URI_S3) {
        const struct doctor_s3 ask = {
            .operation = "HeadObject", .method = "HEAD", .bucket = uri->bucket, .key = uri->path};

        if (!doctor_ask_s3(doctor, doctor->processed, &ask, &answer)) {
            doctor_refused(doctor, FINDING_FAIL, "glue.script",
                           "put config/aws/extract_csv.py there; docs/aws.md", &answer.err);
        }
        doctor_answer_done(&answer);
    }
    if (most > 0 && most < (json_int_t)conf->glue_max_concurrent_runs) {
        doctor_find(doctor, FINDING_WARN, "glue.runs",
                    "raise the job's MaxConcurrentRuns, or lower glue.max_concurrent_runs",
                    "job '%s' has at most %" JSON_INTEGER_FORMAT " runs at once", conf->glue_job,
                    most);
    }
    json_decref(told);
}

void doctor_check_managed(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;

    if (doctor->aws == NULL) {
        return;
    }
    if (conf->notify_sns_topic_arn != NULL) {
        check_topic(doctor, conf->notify_sns_topic_arn);
    }
    if (strcmp(conf->crawl_engine, "glue") == 0) {
        check_crawler(doctor);
    }
    if (strcmp(conf->extract_engine, "glue") == 0) {
        check_job(doctor);
    }
    if (strcmp(conf->catalog_engine, "glue") == 0) {
        json_decref(
            check_named(doctor, "glue.database", "AWSGlue.GetDatabase", conf->glue_database,
                        "make the database, or mend glue.database; allow glue:GetDatabase"));
    }
    if (conf->athena_workgroup != NULL || conf->athena_output_location != NULL) {
        check_workgroup(doctor,
                        conf->athena_workgroup != NULL ? conf->athena_workgroup : "primary");
        json_decref(
            check_named(doctor, "athena.database", "AWSGlue.GetDatabase", conf->athena_database,
                        "make the database, or mend athena.database; allow glue:GetDatabase"));
    }
}
