#include "lib/base/log_p.h"

#ifdef HAVE_SYSTEMD

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"

enum { OWN_FIELDS = 5, FIELDS_MAX = 8 };

bool journal_is_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat there;
    char wanted[64];

    if (stream == NULL || fstat(STDERR_FILENO, &there) < 0) {
        return false;
    }
    snprintf(wanted, sizeof(wanted), "%ju:%ju", (uintmax_t)there.st_dev, (uintmax_t)there.st_ino);
    return strcmp(stream, wanted) == 0;
}

bool journal_write(int level, const char *tag, const char *const *fields, unsigned field_count,
                   const char *file, int line, const char *message)
{
    struct strbuf own[OWN_FIELDS] = {0};
    struct iovec items[OWN_FIELDS + FIELDS_MAX];
    unsigned count = 0;
    int failure;

    strbuf_printf(&own[0], "MESSAGE=[%-6s] %s", tag, message);
    strbuf_printf(&own[1], "PRIORITY=%d", level);
    strbuf_printf(&own[2], "SEVIRD_TAG=%s", tag);
    strbuf_printf(&own[3], "CODE_FILE=%s", file);
    strbuf_printf(&own[4], "CODE_LINE=%d", line);
    for (; count < OWN_FIELDS; count++) {
        items[count] = (struct iovec){own[count].data, own[count].len};
    }
    for (unsigned i = 0; i < field_count && i < FIELDS_MAX; i++) {
        items[count++] = (struct iovec){(char *)fields[i], strlen(fields[i])};
    }
    failure = sd_journal_sendv(items, (int)count);
    for (unsigned i = 0; i < OWN_FIELDS; i++) {
        strbuf_done(&own[i]);
    }
    return failure == 0;
}

#else

bool journal_is_stderr(void)
{
    return false;
}

bool journal_write(int level, const char *tag, const char *const *fields, unsigned field_count,
                   const char *file, int line, const char *message)
{
    return false;
}

#endif
