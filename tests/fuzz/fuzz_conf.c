/** @file
 * A configuration that is accepted prints itself so that it is accepted again and prints the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(conf_free) struct conf *conf = NULL, *again = NULL;
    scoped(strbuf_done) struct strbuf first = {0}, second = {0};
    scoped(free) char *text = str_dup_n((const char *)data, size);
    struct conf_listen listen;
    struct err err = {0};

    (void)conf_listen_parse(text, &listen, &err);
    if (conf_parse((const char *)data, size, "fuzz.json", &conf, &err) != RC_OK) {
        if (err.text[0] == '\0' || strchr(err.text, '\n') != NULL) {
            abort(); /* one clear line */
        }
        return 0;
    }
    conf_print(conf, &first);
    if (conf_parse(first.data, first.len, "again.json", &again, &err) != RC_OK) {
        abort();
    }
    conf_print(again, &second);
    if (strcmp(first.data, second.data) != 0 || conf_needs_restart(conf, again) != NULL) {
        abort();
    }
    return 0;
}
