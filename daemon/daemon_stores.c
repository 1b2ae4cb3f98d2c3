/** @file
 * The two stores, and whether others publish to the one of them. conf_check() has compared their
 * paths as text; here they are compared as what they are, for a link or a bind mount may lead from
 * the one into the other.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon_p.h"
#include "daemon/job/job_lease.h"
#include "daemon/job/job_store.h"
#include "lib/base/fs.h"

static enum rc open_store(struct services *services, const char *name, const char *text,
                          const struct store_options *options, struct store **ret_store,
                          struct err *err)
{
    struct uri *uri = NULL;

    if (uri_parse(text, "/", &uri, err) != RC_OK ||
        store_open(services->loop, services->work, uri, options, ret_store, err) != RC_OK) {
        return err_wrap(err, "%s store '%s'", name, text);
    }
    return RC_OK;
}

/** Each that is local is a directory by now. */
static enum rc check_places(const struct services *services, struct err *err)
{
    const struct uri *raw = services->raw->uri, *processed = services->processed->uri;

    if (raw->scheme == URI_FILE && processed->scheme == URI_FILE &&
        (fs_lies_in(raw->path, processed->path) || fs_lies_in(processed->path, raw->path))) {
        return err_set(err, RC_INVALID,
                       "raw store '%.150s' and processed store '%.150s' lie in one another, by a "
                       "link or a mount: outputs would be taken for inputs",
                       raw->path, processed->path);
    }
    if (raw->scheme == URI_FILE && fs_lies_in(services->conf->state_dir, raw->path)) {
        return err_set(err, RC_INVALID,
                       "state directory '%.150s' lies in the raw store '%.150s', by a link or a "
                       "mount: our own files would be taken for inputs",
                       services->conf->state_dir, raw->path);
    }
    if (processed->scheme == URI_FILE && access(processed->path, W_OK | X_OK) != 0) {
        return err_errno(err, errno, "processed store '%.200s' cannot be written", processed->path);
    }
    return RC_OK;
}

/** The processed store is ours to make. The raw one is somebody's, and a wrong path should be told,
 * not made; but for the packaged default, which lies in our own directory. */
enum rc daemon_open_stores(struct services *services, struct err *err)
{
    const struct conf *conf = services->conf;
    const char *raw = str_starts(conf->raw_uri, "file://") ? conf->raw_uri + 7 : conf->raw_uri;
    const size_t state_len = strlen(conf->state_dir);
    const bool ours = strncmp(raw, conf->state_dir, state_len) == 0 && raw[state_len] == '/';
    const struct store_options raw_options = {.create = ours, .aws = services->raw_aws};
    const struct store_options processed_options = {
        .create = true, .aws = services->processed_aws, .gather = services->gather};

    if (open_store(services, "raw", conf->raw_uri, &raw_options, &services->raw, err) != RC_OK ||
        open_store(services, "processed", conf->processed_uri, &processed_options,
                   &services->processed, err) != RC_OK) {
        return err->rc;
    }
    return check_places(services, err);
}

void daemon_share_processed(struct services *services)
{
    char host[HOST_NAME_MAX + 1] = "";
    scoped(free) char *who = NULL;

    if (services->processed->uri->scheme != URI_S3 || !services->conf->processed_shared) {
        return;
    }
    (void)gethostname(host, sizeof(host) - 1);
    who = str_printf("%.48s (%.16s)", host[0] != '\0' ? host : "a host without a name",
                     job_store_id(services->jobs));
    services->leases = job_leases_new(services, job_store_id(services->jobs), who);
}
