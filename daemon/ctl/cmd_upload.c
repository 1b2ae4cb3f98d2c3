/** @file
 * upload: local files into a store, each whole or not at all.
 */
#include <limits.h>

#include "daemon/ctl/ctl_transfer.h"
#include "lib/base/mem.h"

/** Split "folder/key" into the store's folder (`uri` becomes it) and the key in it. A bucket's
 * whole path is the key. */
static char *take_key(struct uri *uri)
{
    char *slash = strrchr(uri->path, '/'), *key;

    if (uri->scheme == URI_S3) {
        key = uri->path;
        uri->path = str_dup("");
        return key;
    }
    key = str_dup(slash + 1);
    slash[slash == uri->path] = '\0';
    return key;
}

/** One that exists, ends in '/', or is a whole bucket. */
static bool is_folder(const struct uri *uri, const char *target)
{
    return str_ends(target, "/") ||
           (uri->scheme == URI_S3 ? uri->path[0] == '\0' : ctl_run_is_folder(target));
}

/** The path that a FILE argument means: a path, or a file:// URI. */
static enum rc local_path(const char *text, char **ret_path, struct err *err)
{
    scoped(uri_free) struct uri *uri = NULL;

    if (strstr(text, "://") == NULL) {
        *ret_path = str_dup(text);
        return RC_OK;
    }
    if (ctl_run_uri(text, &uri, err) != RC_OK) {
        return err->rc;
    }
    if (uri->scheme != URI_FILE) {
        return err_set(err, RC_INVALID, "'%.200s' is no local file; see 'copy'", text);
    }
    *ret_path = TAKE(uri->path);
    return RC_OK;
}

/** Two files of one name would be one object. */
static bool is_taken(const struct ctl_transfer *transfer, const char *key)
{
    for (unsigned i = 0; i < transfer->count; i++) {
        if (strcmp(transfer->items[i].to, key) == 0) {
            return true;
        }
    }
    return false;
}

static enum ctl_exit add_files(struct ctl_transfer *transfer, const struct ctl_args *args,
                               const char *key)
{
    for (unsigned i = 0; i + 1 < args->word_count; i++) {
        scoped(free) char *path = NULL;
        const char *to;
        struct err err;

        if (local_path(args->words[i], &path, &err) != RC_OK) {
            return ctl_fail_err(&err);
        }
        to = key != NULL ? key : str_basename(path);
        if (is_taken(transfer, to)) {
            return ctl_misuse("upload", "two files would both be '%s'", to);
        }
        ctl_transfer_add(transfer, path, to);
    }
    return CTL_DONE;
}

static enum ctl_exit run_upload(struct ctl *ctl, const struct ctl_args *args)
{
    scoped(ctl_transfer_done) struct ctl_transfer transfer = {
        .ctl = ctl, .done_word = "uploaded", .skip_present = ctl_flag(args, "skip-existing")};
    const char *target = args->words[args->word_count - 1];
    scoped(free) char *key = NULL;
    struct err err;
    enum ctl_exit code;

    if (ctl_run_uri(target, &transfer.to_uri, &err) != RC_OK) {
        return err.rc == RC_INVALID ? ctl_misuse("upload", "%s", err.text) : ctl_fail_err(&err);
    }
    if (!is_folder(transfer.to_uri, target)) {
        if (args->word_count > 2) {
            return ctl_misuse("upload",
                              "several files go into a folder, and '%s' is none; end it with '/'",
                              target);
        }
        key = take_key(transfer.to_uri);
    }
    transfer.run = ctl_run_new(ctl, args);
    code = add_files(&transfer, args, key);
    if (code != CTL_DONE) {
        return code;
    }
    if (ctl_transfer_open_target(&transfer, &err) != RC_OK) {
        return ctl_fail_err(&err);
    }
    ctl_transfer_plan(&transfer);
    ctl_transfer_run(&transfer);
    return ctl_transfer_report(&transfer);
}

static const struct ctl_option options[] = {
    {"skip-existing", 0, NULL, "leave out what is there already: the same size, and not older"},
    CTL_S3_OPTIONS,
    {NULL}};

const struct ctl_command ctl_cmd_upload = {
    .name = "upload",
    .arguments = "FILE... URI",
    .summary = "put local files into a store",
    .help =
        "URI is a folder (it exists, or ends with '/') or a bucket, and the files keep their\n"
        "names; for one file it may also be the whole key. Missing folders are made. Each file\n"
        "appears whole or not at all, in the place of one of that name; all are on disk when this\n"
        "returns. A file that fails does not keep the others. Large files go to S3 in parts; "
        "those\n"
        "that it has already, after an interruption, are not sent again, if the file is the same\n"
        "and the note of them in ~/.cache/sevird/transfers is there.",
    .options = options,
    .min_words = 2,
    .max_words = UINT_MAX,
    .local = true,
    .run = run_upload,
};
