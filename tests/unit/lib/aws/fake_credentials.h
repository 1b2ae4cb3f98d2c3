/** @file
 * Credentials that a test hands out, in the place of lib/aws/credentials.c.
 *
 * Thread:     the loop's.
 */
#pragma once

#include <stdbool.h>

#include "lib/aws/credentials.h"

struct fake_credentials {
    const char *key_ids[4]; /**< The next after each rejection, as long as there is one. */
    const char *token;
    const char *error;                 /**< Instead: RC_DENIED with this. */
    const char *region, *endpoint_url; /**< Of the profile. */
    const char *settings_error;
    unsigned rejected, asked, settings_asked;
};

extern struct fake_credentials fake_credentials;
