/** @file
 * The files that AWS's tools share, ~/.aws/config and ~/.aws/credentials, as botocore reads them:
 * INI with "[profile x]" (in the configuration file) or "[x]" (in the other), "[default]",
 * "[services x]", values that go on in indented lines, and blocks one level deep:
 *
 *     [profile x]
 *     region = eu-central-1
 *     s3 =
 *         addressing_style = path
 *
 * A pure parser; who reads the files is lib/aws/credentials.h.
 *
 * Thread:     any; one at a time.
 * Ownership:  the files own what they answer with, secrets among it, and wipe it in the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

#define PROFILE_FILE_MAX (1u << 20)
#define PROFILE_WORDS_MAX 128

enum profile_source { PROFILE_CONFIG, PROFILE_CREDENTIALS, PROFILE_SOURCES };

struct profile_files;

struct profile_files *profile_files_new(void);
void profile_files_free(struct profile_files *files);
SCOPED_FN(struct profile_files, profile_files_free)

/** Takes `text` (from malloc, NUL after `len` bytes) whether it succeeds or not. RC_INVALID names
 * `path` and line, and quotes nothing. At most once a source. */
enum rc profile_parse(struct profile_files *files, enum profile_source source, const char *path,
                      char *text, size_t len, struct err *err);

bool profile_exists(const struct profile_files *files, const char *profile);
/** What the credentials file says, else what the configuration file says; NULL if neither does. */
const char *profile_get(const struct profile_files *files, const char *profile, const char *key);
const char *profile_get_from(const struct profile_files *files, enum profile_source source,
                             const char *profile, const char *key);
/** `key` in the block `block` of a profile, or of "[services `services`]". */
const char *profile_get_nested(const struct profile_files *files, const char *profile,
                               const char *block, const char *key);
const char *profile_get_service(const struct profile_files *files, const char *services,
                                const char *block, const char *key);

/** Words as a POSIX shell splits them, and nothing else that a shell does. `text` is cut up;
 * `ret_words` ends with NULL. RC_INVALID: a quotation or an escape without end, too many words. */
enum rc profile_split(char *text, char *ret_words[PROFILE_WORDS_MAX + 1], unsigned *ret_count,
                      struct err *err);
