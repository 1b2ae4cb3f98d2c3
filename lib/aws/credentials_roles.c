/** @file
 * role_arn, and from where: source_profile after source_profile, or a credential_source. The whole
 * list is made before anybody is asked, so that what is wrong in the files costs no call.
 */
#include <string.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/mem.h"

/** A role_arn beside a token file is web identity's. */
static bool has_role(const struct chain *chain, const char *profile)
{
    return profile_get(chain->files, profile, "role_arn") != NULL &&
           profile_get(chain->files, profile, "web_identity_token_file") == NULL;
}

static bool has_keys(const struct chain *chain, const char *profile)
{
    return profile_get(chain->files, profile, "aws_access_key_id") != NULL ||
           profile_get(chain->files, profile, "aws_secret_access_key") != NULL;
}

static enum rc read_role(struct chain *chain, const char *profile, struct err *err)
{
    const char *duration = profile_get(chain->files, profile, "duration_seconds");
    const char *mfa = profile_get(chain->files, profile, "mfa_serial");
    struct role role = {
        .profile = profile,
        .arn = profile_get(chain->files, profile, "role_arn"),
        .external_id = profile_get(chain->files, profile, "external_id"),
        .session_name = profile_get(chain->files, profile, "role_session_name"),
    };
    uint64_t seconds;

    if (chain->role_count == ROLES_MAX) {
        return err_set(err, RC_INVALID, "more than %d roles one after the other", ROLES_MAX);
    }
    if (mfa != NULL) {
        return err_set(err, RC_UNSUPPORTED,
                       "mfa_serial asks for a code that nobody is here to type; use "
                       "credential_process, or a role without it");
    }
    if (duration != NULL) {
        if (!str_to_u64(duration, &seconds) || seconds < 900 || seconds > 43200) {
            return err_set(err, RC_INVALID, "duration_seconds '%.40s' is not within 900 and 43200",
                           duration);
        }
        role.duration_s = (unsigned)seconds;
    }
    chain->roles[chain->role_count++] = role;
    return RC_OK;
}

static bool was_there(const struct chain *chain, const char *profile)
{
    for (unsigned i = 0; i < chain->role_count; i++) {
        if (strcmp(chain->roles[i].profile, profile) == 0) {
            return true;
        }
    }
    return false;
}

static enum rc from_source(struct chain *chain, const char *source, struct err *err)
{
    static const struct {
        const char *name;
        enum link link;
    } sources[] = {
        {"Environment", LINK_ENVIRONMENT},
        {"EcsContainer", LINK_CONTAINER},
        {"Ec2InstanceMetadata", LINK_METADATA},
    };

    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        if (strcmp(source, sources[i].name) == 0) {
            chain->at = chain->last = sources[i].link;
            return RC_OK;
        }
    }
    return err_set(err, RC_INVALID,
                   "credential_source '%.60s' is none of Environment, EcsContainer, "
                   "Ec2InstanceMetadata",
                   source);
}

/** The profile that `profile`, which has a role, takes its credentials from; NULL: none, or another
 * kind of source, which `chain` then stands at. */
static enum rc next_profile(struct chain *chain, const char *profile, const char **ret_next,
                            struct err *err)
{
    const char *source = profile_get(chain->files, profile, "credential_source");
    const char *next = profile_get(chain->files, profile, "source_profile");

    *ret_next = next;
    if ((source == NULL) == (next == NULL)) {
        return err_set(err, RC_INVALID, "role_arn with %s source_profile %s credential_source",
                       next != NULL ? "both" : "neither", next != NULL ? "and" : "nor");
    }
    if (next == NULL) {
        return from_source(chain, source, err);
    }
    if (!profile_exists(chain->files, next)) {
        return err_set(err, RC_INVALID, "source_profile '%.60s' is not there", next);
    }
    if (was_there(chain, next) && !(strcmp(next, profile) == 0 && has_keys(chain, next))) {
        return err_set(err, RC_INVALID, "source_profile '%.60s' leads back to itself", next);
    }
    return RC_OK;
}

/** From the chosen profile down to the one that has keys of its own. */
static enum rc collect(struct chain *chain, struct err *err)
{
    const char *profile = chain->chosen;

    do {
        const char *next;

        chain->profile = profile;
        if (read_role(chain, profile, err) != RC_OK ||
            next_profile(chain, profile, &next, err) != RC_OK) {
            return err->rc;
        }
        if (next == NULL) {
            return RC_OK;
        }
        profile = next;
    } while (!has_keys(chain, profile) && has_role(chain, profile));
    chain->profile = profile;
    chain->last = LINK_CONFIG_FILE;
    return RC_OK;
}

void link_roles(struct chain *chain)
{
    struct err err;

    if (!has_role(chain, chain->chosen)) {
        chain_none(chain, NULL);
        return;
    }
    if (collect(chain, &err) != RC_OK) {
        chain->role_count = 0;
        chain_fail(chain, &err);
        return;
    }
    if (chain->at != LINK_ROLES) {
        chain_go(chain);
        return;
    }
    chain_none(chain, NULL);
}
