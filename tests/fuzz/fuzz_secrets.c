/** @file
 * Whatever a credential_process or a metadata service answers, it is whole keys or a refusal.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/credentials_p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check(const uint8_t *data, size_t size, const char *token_key, int version)
{
    struct secrets secrets = {0};
    struct err err = {0};

    if (secrets_from_json((const char *)data, size, token_key, version, &secrets, &err) != RC_OK) {
        must(err.text[0] != '\0' && secrets.access_key_id == NULL &&
             secrets.secret_access_key == NULL && secrets.session_token == NULL);
        return;
    }
    must(secrets.access_key_id[0] != '\0' && secrets.secret_access_key[0] != '\0');
    secrets_wipe(&secrets);
    must(secrets.access_key_id == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = str_dup_n((const char *)data, size);
    int64_t s;

    (void)secrets_parse_time(text, &s);
    secret_free(text);
    check(data, size, "SessionToken", 1);
    check(data, size, "Token", 0);
    return 0;
}
