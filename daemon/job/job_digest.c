/** @file
 * The two texts are told apart by the NUL that ends the first.
 */
#include "daemon/job/job_digest.h"

#include <string.h>

#include "lib/base/str.h"

void job_rows_digest(const char *events_digest_hex, const struct selection *selection,
                     char ret_hex[DIGEST_HEX])
{
    scoped(strbuf_done) struct strbuf text = {0};

    selection_json(selection, &text);
    strbuf_add(&text, "", 1);
    strbuf_puts(&text, events_digest_hex);
    digest_sha256_hex(text.data, text.len, ret_hex);
}
