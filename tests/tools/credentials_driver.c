/** @file
 * Credentials on a command line, so that botocore can be asked whether they are the same. Its own
 * environment is the one that counts.
 *
 *     credentials_driver get [PROFILE]              a JSON object, {"error": ...} if there are none
 *     credentials_driver words                      standard input as words, a JSON array or null
 *     credentials_driver files CONFIG CREDENTIALS   for each line "profile|services NAME BLOCK KEY"
 *                                                   (BLOCK may be "-") what the files say, as JSON
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/credentials.h"
#include "lib/aws/profile.h"
#include "lib/base/fs.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

static _Noreturn void die(const char *text)
{
    (void)fprintf(stderr, "%s\n", text);
    exit(2);
}

static void print_text(const char *text)
{
    scoped(strbuf_done) struct strbuf out = {0};

    if (text == NULL) {
        printf("null");
        return;
    }
    strbuf_json(&out, text);
    printf("%s", out.data);
}

/* get */

static void print_field(const char *name, const char *text)
{
    printf("\"%s\": ", name);
    print_text(text);
}

static void on_got(const struct credentials_value *value, const struct err *err, void *arg)
{
    printf("{");
    if (err != NULL) {
        print_field("error", err->text);
        printf(", ");
        print_field("class", rc_name(err->rc));
    } else {
        print_field("id", value->access_key_id);
        printf(", ");
        print_field("secret", value->secret_access_key);
        printf(", ");
        print_field("token", value->session_token);
        printf(", ");
        print_field("source", value->source);
        printf(", \"expires\": %lld", (long long)value->expires_s);
    }
    printf("}\n");
}

static int get(const char *profile)
{
    const unsigned widths[WORK_LANE_COUNT] = {1, 1, 1, 1, 1};
    const struct credentials_options options = {.profile = profile};
    struct loop *loop = loop_new();
    struct work *work = work_new(loop, widths);
    struct credentials *credentials;
    struct http_client *http;
    struct err err;

    if (http_client_new(loop, &(struct http_client_options){0}, &http, &err) != RC_OK) {
        die(err.text);
    }
    credentials = credentials_new(loop, work, http, &options);
    credentials_get(credentials, on_got, NULL);
    loop_run(loop);
    credentials_free(credentials);
    http_client_free(http);
    loop_run(loop);
    work_free(work);
    loop_free(loop);
    return 0;
}

/* words, files */

static char *read_input(void)
{
    struct strbuf buf = {0};
    char some[4096];
    size_t got;

    while ((got = fread(some, 1, sizeof(some), stdin)) > 0) {
        strbuf_add(&buf, some, got);
    }
    return strbuf_take(&buf);
}

static int words(void)
{
    scoped(free) char *text = read_input();
    char *found[PROFILE_WORDS_MAX + 1];
    unsigned count;
    struct err err;

    if (profile_split(text, found, &count, &err) != RC_OK) {
        printf("null\n");
        return 0;
    }
    printf("[");
    for (unsigned i = 0; i < count; i++) {
        printf("%s", i > 0 ? ", " : "");
        print_text(found[i]);
    }
    printf("]\n");
    return 0;
}

static void read_into(struct profile_files *files, enum profile_source source, const char *path)
{
    char *text = NULL;
    size_t len = 0;
    struct err err;

    if (fs_read_file(path, PROFILE_FILE_MAX, &text, &len, &err) != RC_OK ||
        profile_parse(files, source, path, text, len, &err) != RC_OK) {
        printf("error %s\n", err.text);
        exit(0);
    }
}

/** The parts of a question are separated by tabs. */
static const char *next_part(char **at)
{
    char *part = *at;

    *at += strcspn(*at, "\t");
    if (**at == '\t') {
        *(*at)++ = '\0';
    }
    return part;
}

static void tell(const struct profile_files *files, char *question)
{
    const char *kind = next_part(&question), *name = next_part(&question);
    const char *block = next_part(&question), *key = next_part(&question);

    if (strcmp(kind, "services") == 0) {
        print_text(profile_get_service(files, name, block, key));
    } else if (strcmp(block, "-") != 0) {
        print_text(profile_get_nested(files, name, block, key));
    } else {
        print_text(profile_get(files, name, key));
    }
    printf("\n");
}

static int ask_files(const char *config, const char *credentials)
{
    scoped(profile_files_free) struct profile_files *files = profile_files_new();
    scoped(free) char *questions = read_input();
    char *next;

    read_into(files, PROFILE_CONFIG, config);
    read_into(files, PROFILE_CREDENTIALS, credentials);
    for (char *line = questions; *line != '\0'; line = next) {
        next = line + strcspn(line, "\n");
        if (*next == '\n') {
            *next++ = '\0';
        }
        tell(files, line);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && argc <= 3 && strcmp(argv[1], "get") == 0) {
        return get(argv[2]);
    }
    if (argc == 2 && strcmp(argv[1], "words") == 0) {
        return words();
    }
    if (argc == 4 && strcmp(argv[1], "files") == 0) {
        return ask_files(argv[2], argv[3]);
    }
    die("usage: credentials_driver get [PROFILE] | words | files CONFIG CREDENTIALS");
}
