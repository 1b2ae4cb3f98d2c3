/** @file
 * What an `aws` knows of the world: its region, the services' endpoints, the buckets' regions, and
 * whose clock is not ours. The order is botocore's: what the caller said, the environment (the
 * service's own variable first), the profile.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "lib/aws/aws_p.h"
#include "lib/base/mem.h"

#define DEFAULT_REGION "us-east-1"
#define PLACES_MAX 4096
#define CLOCKS_MAX 64
#define SKEW_S 240 /**< Less is no reason for a refusal: services allow five minutes. */

struct aws_place {
    UT_hash_handle hh;
    char region[AWS_REGION];
    char bucket[];
};

static const char *env(const struct aws *aws, const char *name)
{
    const char *value = aws->getenv(name);

    return value != NULL ? value : "";
}

static char *copy(const char *text)
{
    return text != NULL && text[0] != '\0' ? str_dup(text) : NULL;
}

static const char *process_env(const char *name)
{
    return getenv(name);
}

void aws_settings_init(struct aws *aws, const struct aws_options *options)
{
    const char *region = options->region;

    aws->getenv = options->getenv != NULL ? options->getenv : process_env;
    aws->endpoint_url = copy(options->endpoint_url);
    if (region == NULL || region[0] == '\0') {
        region = env(aws, "AWS_REGION");
    }
    if (region[0] == '\0') {
        region = env(aws, "AWS_DEFAULT_REGION");
    }
    /* One that does not fit is no region either way; what is left of it will be refused. */
    snprintf(aws->region, sizeof(aws->region), "%s", region);
}

void aws_settings_done(struct aws *aws)
{
    struct aws_place *place, *next;

    while (aws->services != NULL) {
        struct aws_service *service = aws->services;

        aws->services = service->next;
        free(service->name);
        free(service->endpoint_url);
        free(service);
    }
    while (aws->clocks != NULL) {
        struct aws_clock *clock = aws->clocks;

        aws->clocks = clock->next;
        free(clock->host);
        free(clock);
    }
    HASH_ITER(hh, aws->places, place, next)
    {
        HASH_DEL(aws->places, place);
        free(place);
    }
    free(aws->endpoint_url);
}

/* ---- endpoints */

/** "AWS_ENDPOINT_URL_S3": after the service's name in botocore, not its prefix in hosts. */
static const char *env_endpoint(const struct aws *aws, const char *service)
{
    static const char *const others[][2] = {
        {"monitoring", "CLOUDWATCH"}, {"events", "EVENTBRIDGE"}, {"logs", "CLOUDWATCH_LOGS"}};
    char name[64];
    const char *value;
    size_t len;

    snprintf(name, sizeof(name), "AWS_ENDPOINT_URL_%s", service);
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(others[i][0], service) == 0) {
            snprintf(name, sizeof(name), "AWS_ENDPOINT_URL_%s", others[i][1]);
        }
    }
    len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        name[i] = (char)(name[i] == '-' ? '_' : toupper((unsigned char)name[i]));
    }
    value = env(aws, name);
    return value[0] != '\0' ? value : env(aws, "AWS_ENDPOINT_URL");
}

static const struct aws_service *find_service(const struct aws *aws, const char *name)
{
    const struct aws_service *service = aws->services;

    while (service != NULL && strcmp(service->name, name) != 0) {
        service = service->next;
    }
    return service;
}

bool aws_settings_known(const struct aws *aws, const char *service)
{
    return find_service(aws, service) != NULL;
}

void aws_settings_learn(struct aws *aws, const char *service, const char *region,
                        const char *endpoint_url)
{
    struct aws_service *learnt;
    const bool ignore = strcasecmp(env(aws, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), "true") == 0;
    const char *from_env = ignore ? "" : env_endpoint(aws, service);

    if (aws->region[0] == '\0') {
        snprintf(aws->region, sizeof(aws->region), "%s",
                 region[0] != '\0' ? region : DEFAULT_REGION);
    }
    if (find_service(aws, service) != NULL) {
        return; /* two calls asked at once */
    }
    learnt = mem_new(struct aws_service);
    learnt->name = str_dup(service);
    learnt->endpoint_url = copy(aws->endpoint_url != NULL ? aws->endpoint_url
                                : from_env[0] != '\0'     ? from_env
                                : ignore                  ? NULL
                                                          : endpoint_url);
    learnt->next = aws->services;
    aws->services = learnt;
}

const char *aws_settings_endpoint(const struct aws *aws, const char *service)
{
    const struct aws_service *known = find_service(aws, service);

    return known != NULL && known->endpoint_url != NULL ? known->endpoint_url : "";
}

const char *aws_region(const struct aws *aws)
{
    return aws->region;
}

/* ---- buckets */

const char *aws_bucket_region(const struct aws *aws, const char *bucket)
{
    struct aws_place *place;

    HASH_FIND_STR(aws->places, bucket, place);
    return place != NULL ? place->region : NULL;
}

void aws_bucket_learn(struct aws *aws, const char *bucket, const char *region)
{
    struct aws_place *place;

    HASH_FIND_STR(aws->places, bucket, place);
    if (place == NULL && HASH_COUNT(aws->places) < PLACES_MAX) {
        place = mem_zeroed(sizeof(*place) + strlen(bucket) + 1);
        memcpy(place->bucket, bucket, strlen(bucket) + 1);
        HASH_ADD_STR(aws->places, bucket, place);
    }
    if (place != NULL) {
        snprintf(place->region, sizeof(place->region), "%s", region);
    }
}

/* ---- clocks */

int64_t aws_clock_of(const struct aws *aws, const char *host)
{
    const struct aws_clock *clock = aws->clocks;

    while (clock != NULL && strcmp(clock->host, host) != 0) {
        clock = clock->next;
    }
    return clock != NULL ? clock->offset_s : 0;
}

bool aws_clock_learn(struct aws *aws, const char *host, int64_t date_s, int64_t now_s)
{
    const int64_t offset_s = date_s - now_s, known_s = aws_clock_of(aws, host);
    struct aws_clock *clock = aws->clocks;
    unsigned count = 0;

    if (date_s == 0 || llabs(offset_s - known_s) < SKEW_S) {
        return false;
    }
    for (; clock != NULL && strcmp(clock->host, host) != 0; clock = clock->next) {
        count++;
    }
    if (clock == NULL && count < CLOCKS_MAX) {
        clock = mem_new(struct aws_clock);
        clock->host = str_dup(host);
        clock->next = aws->clocks;
        aws->clocks = clock;
    }
    if (clock == NULL) {
        return false;
    }
    clock->offset_s = offset_s;
    return true;
}

int64_t aws_clock_offset_s(const struct aws *aws)
{
    return aws->clock_offset_s;
}
