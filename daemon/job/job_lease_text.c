/** @file
 * A claim as it lies in the store: its key, and the JSON that it is.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/job/job_lease_p.h"
#include "lib/base/digest.h"
#include "lib/base/str.h"
#include "lib/store/uri.h"

#define LEASE_MAX_MS (24 * 3600 * INT64_C(1000)) /**< More is not meant. */

char *job_lease_key(const char *source_key)
{
    scoped(free) char *key = str_printf("_claims/%s.json", source_key);
    char hex[DIGEST_HEX];
    struct err unused;

    if (uri_check_key(key, &unused) == RC_OK) {
        return TAKE(key);
    }
    digest_sha256_hex(source_key, strlen(source_key), hex);
    return str_printf("_claims/%s.json", hex);
}

char *lease_describe(const struct job *job)
{
    struct strbuf text = {0};

    strbuf_puts(&text, "\"key\": ");
    strbuf_json(&text, job->object.key);
    strbuf_puts(&text, ", \"etag\": ");
    strbuf_json(&text, job->object.etag);
    strbuf_puts(&text, ", \"version\": ");
    strbuf_json(&text, job->object.version);
    strbuf_puts(&text, ", \"sequencer\": ");
    strbuf_json(&text, job->object.sequencer);
    return strbuf_take(&text);
}

static void take_text(const json_t *root, const char *name, char *ret_text, size_t size)
{
    const char *text = json_string_value(json_object_get(root, name));

    snprintf(ret_text, size, "%s", text != NULL ? text : "?");
}

void lease_read(const char *bytes, size_t len, struct lease_claim *ret_claim)
{
    json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, NULL);

    take_text(root, "owner", ret_claim->owner, sizeof(ret_claim->owner));
    take_text(root, "who", ret_claim->who, sizeof(ret_claim->who));
    take_text(root, "take", ret_claim->take, sizeof(ret_claim->take));
    ret_claim->since_ms = json_integer_value(json_object_get(root, "since_ms"));
    ret_claim->lease_ms = json_integer_value(json_object_get(root, "lease_ms"));
    if (ret_claim->lease_ms > LEASE_MAX_MS) {
        ret_claim->lease_ms = 0;
    }
    json_decref(root);
}
