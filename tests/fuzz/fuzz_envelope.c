/** @file
 * Whatever a message says, its envelope is whole: a kind, strings that are there, a reason where
 * something was not read, and keys that were decoded once.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/intake/envelope.h"
#include "lib/base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_event(const struct envelope_event *event)
{
    must(event->name != NULL && event->bucket != NULL && event->key != NULL);
    must(event->alternative != NULL && event->etag != NULL && event->version != NULL);
    must(strspn(event->sequencer, "0123456789abcdefABCDEF") == strlen(event->sequencer));
    must(event->what == ENVELOPE_OTHER || (event->bucket[0] != '\0' && event->key[0] != '\0'));
    must(event->alternative[0] == '\0' || strcmp(event->alternative, event->key) != 0);
    must(event->what == ENVELOPE_REMOVED || event->what == ENVELOPE_CREATED ||
         event->what == ENVELOPE_OTHER);
}

static void check_decoding(const char *text)
{
    scoped(free) char *decoded = malloc(strlen(text) + 1);

    must(decoded != NULL);
    if (envelope_decode_key(text, decoded)) {
        must(strlen(decoded) <= strlen(text));
        must(strpbrk(text, "+%") != NULL || strcmp(text, decoded) == 0);
    }
    (void)envelope_time_ms(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(envelope_done) struct envelope envelope;
    scoped(free) char *text = str_dup_n((const char *)data, size);

    envelope_read((const char *)data, size, &envelope);
    must(envelope.form != NULL && envelope.reason != NULL);
    must(strchr(envelope.reason, '\n') == NULL && strlen(envelope.reason) < 2000);
    must((envelope.kind == ENVELOPE_UNKNOWN) ==
         (envelope.kind != ENVELOPE_EVENTS && envelope.kind != ENVELOPE_TEST &&
          envelope.kind != ENVELOPE_GLUE));
    must(envelope.kind != ENVELOPE_UNKNOWN || envelope.reason[0] != '\0');
    must((envelope.kind == ENVELOPE_EVENTS) == (envelope.count > 0));
    for (unsigned i = 0; i < envelope.count; i++) {
        check_event(&envelope.events[i]);
    }
    must(envelope.kind != ENVELOPE_GLUE || envelope.glue.name[0] != '\0');
    check_decoding(text);
    return 0;
}
