/** @file
 * A fuzzer's corpus once through its target, for compilers without libFuzzer and for every test
 * run: `replay DIRECTORY|FILE...`. Fails when there is nothing to replay.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "lib/base/fs.h"
#include "lib/base/scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path)
{
    scoped(free) char *bytes = NULL;
    scoped(free) uint8_t *exact = NULL;
    struct err err;
    size_t len = 0;

    if (fs_read_file(path, 64 << 20, &bytes, &len, &err) != RC_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    /* A block of the very size, so that AddressSanitizer sees a read behind the end. */
    exact = malloc(len > 0 ? len : 1);
    if (exact == NULL) {
        return 1;
    }
    for (size_t i = 0; i < len; i++) {
        exact[i] = (uint8_t)bytes[i];
    }
    LLVMFuzzerTestOneInput(exact, len);
    replayed++;
    return 0;
}

static int replay_directory(const char *path)
{
    DIR *stream = opendir(path);
    struct dirent *entry;
    int failures = 0;

    if (stream == NULL) {
        perror(path);
        return 1;
    }
    while ((entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] != '.') {
            scoped(free) char *file = fs_join(path, entry->d_name);

            failures += replay_file(file);
        }
    }
    closedir(stream);
    return failures;
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1];
    int failures = 0;

    LLVMFuzzerTestOneInput(nothing, 0);
    for (int i = 1; i < argc; i++) {
        struct stat there;

        if (stat(argv[i], &there) == 0 && S_ISDIR(there.st_mode)) {
            failures += replay_directory(argv[i]);
        } else {
            failures += replay_file(argv[i]);
        }
    }
    printf("%u inputs\n", replayed);
    return failures > 0 || replayed == 0;
}
