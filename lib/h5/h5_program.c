/** @file
 * Where `sevird-h5probe` lies.
 */
#include "lib/h5/h5_program.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/h5/h5_paths.h"

#define PROGRAM "sevird-h5probe"

char *h5_program_find(void)
{
    static const char *const places[] = {
        ".",                 /* beside us */
        "../libexec/sevird", /* an installation that was moved */
        "h5probe",           /* build tree, from daemon/ */
        "../h5probe",        /* from daemon/ctl/ */
        "../daemon/h5probe", /* from tests/ */
    };
    char self[PATH_MAX];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (len > 0) {
        self[len] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < ARRAY_LEN(places); i++) {
            scoped(free) char *path = str_printf("%s/%s/" PROGRAM, self, places[i]);

            if (access(path, X_OK) == 0) {
                return TAKE(path);
            }
        }
    }
    return str_dup(SEVIRD_LIBEXECDIR "/" PROGRAM);
}
