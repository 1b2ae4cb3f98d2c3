/** @file
 * What the tests of credentials share: an environment, a home and a loop of their own, and what
 * they expect. Assertions fail the test that calls.
 */
#pragma once

#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "lib/aws/credentials_p.h"
#include "lib/base/mem.h"
#include "tests/unit/fake_http.h"

#define KEYS "aws_access_key_id = AKID\naws_secret_access_key = s3cret\n"
#define STS_KEYS                                                                          \
    "<Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>r0le</SecretAccessKey>" \
    "<SessionToken>t0ken</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"     \
    "</Credentials>"
#define ROLE_ANSWER                                                                   \
    "<AssumeRoleResponse "                                                            \
    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>" STS_KEYS \
    "</AssumeRoleResult></AssumeRoleResponse>"
#define JSON_KEYS                                                                  \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"h0st\"," \
    "\"Token\":\"t0ken\",\"Expiration\":\"2099-01-01T00:00:00Z\"}"

extern struct loop *loop;
extern struct work *work;
extern struct fake *fake;
extern struct credentials *credentials;
extern int64_t clock_s; /* by which what is kept grows old */

struct outcome {
    unsigned calls;
    enum rc rc;
    char id[64], secret[64], token[64], source[160], text[480];
    int64_t expires_s;
};

int set_up(void **state);
int tear_down(void **state);

/** The environment that the credentials see. */
const char *env(const char *name);
void set(const char *name, const char *value);
/** `text` into a file in home; answers its path, until the next call. */
const char *file(const char *name, const char *text, mode_t mode);
void config(const char *text);
void keys(const char *text);

/** NULL: none is named. */
void open_credentials(const char *profile);
void on_got(const struct credentials_value *value, const struct err *err, void *arg);
/** Ask once, and wait. */
struct outcome get(void);
void gives(const char *id, const char *secret, const char *token, const char *source);
/** `text` with every "HOME" as the directory. */
void refuses(enum rc rc, const char *text);
/** What the fake says from now on. */
void script(const struct fake_answer *answers, unsigned count);
void answer(unsigned status, const char *body);

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
