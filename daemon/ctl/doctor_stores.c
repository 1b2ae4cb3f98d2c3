/** @file
 * Credentials, regions and clocks; the raw store may be listed and read, the processed one written,
 * with conditions that hold.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl/ctl_conf.h"
#include "daemon/ctl/ctl_doctor.h"
#include "lib/base/mem.h"
#include "lib/base/now.h"

#define CLOCK_WARN_S 5
#define CLOCK_FAIL_S 240 /**< S3 refuses from 15 minutes on; credentials expire by our clock. */
#define EXPIRY_WARN_S 900

/* ---- who we are ---- */

struct proof {
    struct doctor *doctor;
    const char *check;
    bool over;
};

static void on_credentials(const struct credentials_value *value, const struct err *err, void *arg)
{
    struct proof *proof = arg;

    proof->doctor->no_credentials = err != NULL;
    if (err != NULL) {
        doctor_find(proof->doctor, FINDING_FAIL, proof->check,
                    "give keys (environment, profile, role), or set aws.anonymous", "%s",
                    err->text);
    } else if (value->expires_s == 0) {
        doctor_find(proof->doctor, FINDING_OK, proof->check, "", "key %.4s... of %s, no expiry",
                    value->access_key_id, value->source);
    } else {
        const int64_t left_s = value->expires_s - now_wall_ms() / 1000;

        doctor_find(proof->doctor, left_s < EXPIRY_WARN_S ? FINDING_WARN : FINDING_OK, proof->check,
                    left_s < EXPIRY_WARN_S ? "whatever gives them should give newer ones" : "",
                    "key %.4s... of %s, for another %" PRId64 " minutes", value->access_key_id,
                    value->source, left_s / 60);
    }
    proof->over = true;
    loop_stop(ctl_run_loop(proof->doctor->run));
}

void doctor_check_credentials(struct doctor *doctor, const char *check, struct aws *aws)
{
    struct proof proof = {doctor, check, false};

    credentials_get(aws_credentials(aws), on_credentials, &proof);
    while (!proof.over) {
        loop_run(ctl_run_loop(doctor->run));
    }
}

/* ---- when and where ---- */

static void check_clock(struct doctor *doctor, const struct doctor_answer *answer)
{
    const int64_t offset_s = answer->date_s - now_wall_ms() / 1000;
    const int64_t off = offset_s < 0 ? -offset_s : offset_s;

    if (answer->date_s == 0) {
        return;
    }
    doctor_find(doctor,
                off > CLOCK_FAIL_S   ? FINDING_FAIL
                : off > CLOCK_WARN_S ? FINDING_WARN
                                     : FINDING_OK,
                "clock",
                off > CLOCK_WARN_S ? "set this machine's clock (chrony, systemd-timesyncd)" : "",
                "this machine's clock is %" PRId64 " s %s the server's", off,
                offset_s < 0 ? "ahead of" : "behind");
}

static void check_region(struct doctor *doctor, const char *check, struct aws *aws,
                         const char *bucket)
{
    scoped(doctor_answer_done) struct doctor_answer answer;
    const struct doctor_s3 ask = {.operation = "HeadBucket", .method = "HEAD", .bucket = bucket};

    if (!doctor_ask_s3(doctor, aws, &ask, &answer)) {
        return; /* listing says why */
    }
    if (answer.region[0] != '\0' && strcmp(answer.region, aws_region(aws)) != 0) {
        doctor_find(doctor, FINDING_WARN, check, "set the store's aws.region",
                    "bucket '%s' is in '%s', the region is '%s': each start asks twice", bucket,
                    answer.region, aws_region(aws));
    } else {
        doctor_find(doctor, FINDING_OK, check, "", "bucket '%s' by region '%s'", bucket,
                    aws_region(aws));
    }
}

/* ---- raw ---- */

/** Of the listing: the first key that has content; the caller frees, NULL if there is none. */
static char *first_key(const struct doctor_answer *answer)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct xml_node *node;
    struct err err;
    uint64_t size;

    if (xml_parse(strbuf_text(&answer->body), answer->body.len, &doc, &err) != RC_OK) {
        return NULL;
    }
    for (node = xml_child(xml_root(doc), "Contents"); node != NULL; node = xml_again(node)) {
        if (str_to_u64(xml_text(node, "Size"), &size) && size > 0) {
            return str_dup(xml_text(node, "Key"));
        }
    }
    return NULL;
}

static void check_raw_get(struct doctor *doctor, const char *bucket, const char *key)
{
    static const struct sigv4_pair range = {"Range", "bytes=0-0"};
    scoped(doctor_answer_done) struct doctor_answer answer;
    const struct doctor_s3 ask = {.operation = "GetObject",
                                  .method = "GET",
                                  .bucket = bucket,
                                  .key = key,
                                  .headers = &range,
                                  .header_count = 1};

    if (doctor_ask_s3(doctor, doctor->raw, &ask, &answer)) {
        doctor_find(doctor, FINDING_OK, "raw.get", "", "'%s' may be read", key);
    } else {
        doctor_find(doctor, FINDING_FAIL, "raw.get",
                    doctor_mend(doctor, &answer.err,
                                "allow s3:GetObject (and s3:GetObjectVersion) on the "
                                "raw bucket's objects"),
                    "%s", answer.err.text);
    }
}

static void check_raw_bucket(struct doctor *doctor, const struct uri *uri)
{
    const struct sigv4_pair query[] = {
        {"list-type", "2"}, {"max-keys", "5"}, {"prefix", uri->path}};
    scoped(doctor_answer_done) struct doctor_answer answer;
    const struct doctor_s3 ask = {.operation = "ListObjectsV2",
                                  .method = "GET",
                                  .bucket = uri->bucket,
                                  .query = query,
                                  .query_count = ARRAY_LEN(query)};
    const bool listed = doctor_ask_s3(doctor, doctor->raw, &ask, &answer);

    check_clock(doctor, &answer);
    if (!listed) {
        doctor_find(doctor, FINDING_FAIL, "raw.list",
                    doctor_mend(doctor, &answer.err,
                                answer.err.rc == RC_NOT_FOUND
                                    ? "make the bucket, or mend raw.uri"
                                    : "allow s3:ListBucket on the raw bucket"),
                    "%s", answer.err.text);
        return;
    }
    doctor_find(doctor, FINDING_OK, "raw.list", "", "'%s' may be listed", doctor->conf->raw_uri);
    check_region(doctor, "raw.region", doctor->raw, uri->bucket);
    scoped(free) char *key = first_key(&answer);

    if (key == NULL) {
        doctor_find(doctor, FINDING_WARN, "raw.get", "put an object there and run doctor again",
                    "'%s' is empty: whether its objects may be read is not known",
                    doctor->conf->raw_uri);
    } else {
        check_raw_get(doctor, uri->bucket, key);
    }
}

static void check_versioning(struct doctor *doctor, const char *bucket)
{
    static const struct sigv4_pair query = {"versioning", ""};
    static const char mend[] = "turn the raw bucket's versioning on";
    scoped(doctor_answer_done) struct doctor_answer answer;
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct doctor_s3 ask = {.operation = "GetBucketVersioning",
                                  .method = "GET",
                                  .bucket = bucket,
                                  .query = &query,
                                  .query_count = 1};

    if (!doctor_ask_s3(doctor, doctor->raw, &ask, &answer) ||
        xml_parse(strbuf_text(&answer.body), answer.body.len, &doc, &answer.err) != RC_OK) {
        doctor_refused(doctor, FINDING_WARN, "raw.versioning", "allow s3:GetBucketVersioning",
                       &answer.err);
    } else if (strcmp(xml_text(xml_root(doc), "Status"), "Enabled") == 0) {
        doctor_find(doctor, FINDING_OK, "raw.versioning", "", "bucket '%s' keeps versions", bucket);
    } else {
        doctor_find(doctor, FINDING_WARN, "raw.versioning", mend,
                    "bucket '%s' keeps no versions: an object that is replaced while it is read is "
                    "read again",
                    bucket);
    }
}

static void check_local_store(struct doctor *doctor, const char *check, const char *path, int mode)
{
    if (access(path, mode) == 0) {
        doctor_find(doctor, FINDING_OK, check, "", "'%s' may be %s", path,
                    (mode & W_OK) != 0 ? "written" : "read");
    } else {
        doctor_find(doctor, FINDING_FAIL, check,
                    "make it, and let the daemon's user in, or run doctor as that user",
                    "'%s' cannot be %s: %s", path, (mode & W_OK) != 0 ? "written" : "read",
                    strerror(errno));
    }
}

/* ---- processed ---- */

static bool put_probe(struct doctor *doctor, const struct doctor_s3 *probe, bool condition,
                      struct doctor_answer *ret_answer)
{
    static const struct sigv4_pair none = {"If-None-Match", "*"};
    struct doctor_s3 ask = *probe;

    ask.operation = "PutObject";
    ask.method = "PUT";
    ask.headers = condition ? &none : NULL;
    ask.header_count = condition ? 1 : 0;
    ask.body = "sevirctl doctor\n";
    ask.body_len = 16;
    return doctor_ask_s3(doctor, doctor->processed, &ask, ret_answer);
}

static void check_condition(struct doctor *doctor, const struct doctor_s3 *probe)
{
    scoped(doctor_answer_done) struct doctor_answer answer = {0};

    if (!doctor->conf->processed_shared) {
        doctor_find(doctor, FINDING_OK, "processed.conditions", "",
                    "'processed.shared' is false: nothing depends on conditional puts");
    } else if (put_probe(doctor, probe, true, &answer)) {
        doctor_find(doctor, FINDING_FAIL, "processed.conditions",
                    "use a store that obeys If-None-Match; with this one, run one daemon only, and "
                    "set processed.shared to false",
                    "the store put an object that If-None-Match forbids: claims do not hold");
    } else if (answer.err.rc == RC_CONFLICT) {
        doctor_find(doctor, FINDING_OK, "processed.conditions", "",
                    "conditional puts hold: daemons may share the store");
    } else {
        doctor_find(doctor, FINDING_FAIL, "processed.conditions",
                    "use a store that supports If-None-Match, or run one daemon only and set "
                    "processed.shared to false",
                    "%s", answer.err.text);
    }
}

static void check_probe(struct doctor *doctor, const struct doctor_s3 *probe)
{
    scoped(doctor_answer_done) struct doctor_answer put, got, gone;
    struct doctor_s3 get = *probe, remove = *probe;

    if (!put_probe(doctor, probe, false, &put)) {
        got = gone = (struct doctor_answer){0};
        doctor_find(
            doctor, FINDING_FAIL, "processed.put",
            doctor_mend(doctor, &put.err, "allow s3:PutObject on the processed bucket's objects"),
            "%s", put.err.text);
        return;
    }
    doctor_find(doctor, FINDING_OK, "processed.put", "", "'%s' was put", probe->key);
    check_condition(doctor, probe);
    get.operation = "GetObject";
    get.method = "GET";
    if (doctor_ask_s3(doctor, doctor->processed, &get, &got) && got.body.len == 16) {
        doctor_find(doctor, FINDING_OK, "processed.get", "", "and read again");
    } else {
        doctor_find(doctor, FINDING_FAIL, "processed.get",
                    "allow s3:GetObject on the processed bucket's objects", "%s",
                    got.err.rc != RC_OK ? got.err.text : "another object came back");
    }
    remove.operation = "DeleteObject";
    remove.method = "DELETE";
    if (doctor_ask_s3(doctor, doctor->processed, &remove, &gone)) {
        doctor_find(doctor, FINDING_OK, "processed.delete", "", "and removed");
    } else {
        doctor_find(doctor, FINDING_FAIL, "processed.delete",
                    "allow s3:DeleteObject on the processed bucket's objects", "%s; '%s' is left",
                    gone.err.text, probe->key);
    }
}

/** Whether a rule in force removes what is left of uploads. */
static bool has_abort(const struct xml_doc *doc)
{
    const struct xml_node *rule = xml_child(xml_root(doc), "Rule");

    for (; rule != NULL; rule = xml_again(rule)) {
        if (strcmp(xml_text(rule, "Status"), "Enabled") == 0 &&
            xml_child(rule, "AbortIncompleteMultipartUpload") != NULL) {
            return true;
        }
    }
    return false;
}

static void check_lifecycle(struct doctor *doctor, const char *bucket)
{
    static const struct sigv4_pair query = {"lifecycle", ""};
    static const char mend[] = "add a rule AbortIncompleteMultipartUpload of seven days";
    scoped(doctor_answer_done) struct doctor_answer answer;
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct doctor_s3 ask = {.operation = "GetBucketLifecycleConfiguration",
                                  .method = "GET",
                                  .bucket = bucket,
                                  .query = &query,
                                  .query_count = 1};
    const bool told =
        doctor_ask_s3(doctor, doctor->processed, &ask, &answer) &&
        xml_parse(strbuf_text(&answer.body), answer.body.len, &doc, &answer.err) == RC_OK;

    if (told && has_abort(doc)) {
        doctor_find(doctor, FINDING_OK, "processed.lifecycle", "",
                    "unfinished uploads are removed in time");
    } else if (told || answer.err.rc == RC_NOT_FOUND) {
        doctor_find(doctor, FINDING_WARN, "processed.lifecycle", mend,
                    "nothing removes unfinished multipart uploads from '%s': they are billed",
                    bucket);
    } else {
        doctor_refused(doctor, FINDING_WARN, "processed.lifecycle",
                       "allow s3:GetLifecycleConfiguration", &answer.err);
    }
}

static void check_processed_bucket(struct doctor *doctor, const struct uri *uri)
{
    const bool slash = uri->path[0] != '\0' && !str_ends(uri->path, "/");
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        abort();
    }
    scoped(free) char *key =
        str_printf("%s%s_doctor/%016" PRIx64, uri->path, slash ? "/" : "", random);
    const struct doctor_s3 probe = {.bucket = uri->bucket, .key = key};

    check_region(doctor, "processed.region", doctor->processed, uri->bucket);
    check_probe(doctor, &probe);
    check_lifecycle(doctor, uri->bucket);
}

static struct aws *access_of(struct doctor *doctor, enum ctl_access which, const char *check,
                             bool anonymous)
{
    struct aws *aws = NULL;
    struct err err;

    if (ctl_conf_aws(doctor->run, doctor->conf, which, &aws, &err) != RC_OK) {
        doctor_find(doctor, FINDING_FAIL, check, "mend aws.* of the configuration", "%s", err.text);
        return NULL;
    }
    if (anonymous) {
        doctor_find(doctor, FINDING_OK, check, "", "requests are unsigned");
    } else {
        doctor_check_credentials(doctor, check, aws);
    }
    return aws;
}

void doctor_check_stores(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;
    scoped(uri_free) struct uri *raw = NULL, *processed = NULL;
    struct err err;

    if (uri_parse(conf->raw_uri, "/", &raw, &err) != RC_OK ||
        uri_parse(conf->processed_uri, "/", &processed, &err) != RC_OK) {
        doctor_find(doctor, FINDING_FAIL, "stores", "", "%s", err.text);
        return;
    }
    if (raw->scheme == URI_FILE) {
        check_local_store(doctor, "raw.list", raw->path, R_OK | X_OK);
    } else {
        doctor->raw = access_of(doctor, CTL_ACCESS_RAW, "raw.credentials", conf->raw_aws_anonymous);
        if (doctor->raw != NULL) {
            check_raw_bucket(doctor, raw);
            check_versioning(doctor, raw->bucket);
        }
    }
    if (processed->scheme == URI_FILE) {
        check_local_store(doctor, "processed.put", processed->path, R_OK | W_OK | X_OK);
        return;
    }
    doctor->processed = access_of(doctor, CTL_ACCESS_PROCESSED, "processed.credentials",
                                  conf->processed_aws_anonymous);
    if (doctor->processed != NULL) {
        check_processed_bucket(doctor, processed);
    }
}
