/** @file
 * Keys as they come and as they go.
 */
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/now.h"

void secret_free(char *secret)
{
    if (secret != NULL) {
        OPENSSL_cleanse(secret, strlen(secret));
    }
    free(secret);
}

void secrets_wipe(struct secrets *secrets)
{
    secret_free(secrets->access_key_id);
    secret_free(secrets->secret_access_key);
    secret_free(secrets->session_token);
    free(secrets->source);
    *secrets = (struct secrets){0};
}

/** What follows the seconds: a fraction, and where the clock is. */
static bool parse_zone(const char *text, int64_t *ret_offset_s)
{
    unsigned hours, minutes;
    int used = 0;

    *ret_offset_s = 0;
    if (*text == '.') {
        text += 1 + strspn(text + 1, "0123456789");
    }
    if (*text == '\0' || strcmp(text, "Z") == 0) {
        return true;
    }
    if ((*text != '+' && *text != '-') ||
        sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &used) != 2 || text[1 + used] != '\0' ||
        hours > 23 || minutes > 59) {
        return false;
    }
    *ret_offset_s = (int64_t)(hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
    return true;
}

bool secrets_parse_time(const char *text, int64_t *ret_s)
{
    char seconds[20];
    int64_t offset_s;

    if (strlen(text) < 19) {
        return false;
    }
    memcpy(seconds, text, 19);
    seconds[19] = '\0';
    if (!now_parse_utc(seconds, ret_s) || !parse_zone(text + 19, &offset_s)) {
        return false;
    }
    *ret_s -= offset_s;
    return true;
}

/** A copy; what the JSON holds is wiped. NULL when it is not there, or empty. */
static char *take_text(const json_t *root, const char *key)
{
    const char *text = json_string_value(json_object_get(root, key));
    char *copy;

    if (text == NULL || *text == '\0') {
        return NULL;
    }
    copy = str_dup(text);
    OPENSSL_cleanse((char *)text, strlen(text));
    return copy;
}

static enum rc take_all(const json_t *root, const char *token_key, struct secrets *made,
                        struct err *err)
{
    const char *expires = json_string_value(json_object_get(root, "Expiration"));
    const char *code = json_string_value(json_object_get(root, "Code"));

    if (code != NULL && strcmp(code, "Success") != 0) {
        return err_set(err, RC_DENIED, "answers '%.40s'", code);
    }
    made->access_key_id = take_text(root, "AccessKeyId");
    made->secret_access_key = take_text(root, "SecretAccessKey");
    made->session_token = take_text(root, token_key);
    if (made->access_key_id == NULL || made->secret_access_key == NULL) {
        return err_set(err, RC_INVALID, "its JSON has no %s",
                       made->access_key_id == NULL ? "AccessKeyId" : "SecretAccessKey");
    }
    if (expires != NULL && !secrets_parse_time(expires, &made->expires_s)) {
        return err_set(err, RC_INVALID, "'%.40s' is no Expiration", expires);
    }
    return RC_OK;
}

enum rc secrets_from_json(const char *bytes, size_t len, const char *token_key, int version,
                          struct secrets *ret_secrets, struct err *err)
{
    struct secrets made = {0};
    json_error_t where;
    json_t *root = json_loadb(bytes, len, 0, &where);
    enum rc rc = RC_OK;

    if (!json_is_object(root)) {
        rc = err_set(err, RC_INVALID, "its answer is no JSON object");
    } else if (version != 0 && json_integer_value(json_object_get(root, "Version")) != version) {
        rc = err_set(err, RC_INVALID, "its JSON is not of Version %d", version);
    } else {
        rc = take_all(root, token_key, &made, err);
    }
    json_decref(root);
    if (rc != RC_OK) {
        secrets_wipe(&made);
        return rc;
    }
    *ret_secrets = made;
    return RC_OK;
}
