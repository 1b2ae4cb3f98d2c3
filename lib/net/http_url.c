/** @file
 * Who may be spoken to without TLS: this host, what its hypervisor or agent answers at the
 * addresses of the metadata services, and whom the configuration names.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/net/http_p.h"

/** The authority, "host:port", of a URL whose scheme ends in front of `rest`. */
static size_t authority_len(const char *rest)
{
    return strcspn(rest, "/?#");
}

/** The host in an authority, without brackets; false when there is none. */
static bool take_host(const char *rest, char *ret_host, size_t size)
{
    const size_t whole = authority_len(rest);
    const char *end;

    if (rest[0] == '[') {
        rest++;
        end = memchr(rest, ']', whole > 0 ? whole - 1 : 0);
        if (end == NULL) {
            return false;
        }
    } else {
        end = memchr(rest, ':', whole);
        end = end != NULL ? end : rest + whole;
    }
    if (end == rest || (size_t)(end - rest) >= size) {
        return false;
    }
    memcpy(ret_host, rest, (size_t)(end - rest));
    ret_host[end - rest] = '\0';
    return true;
}

static bool is_loopback(const char *host)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, host, &four) == 1) {
        return (ntohl(four.s_addr) >> 24) == 127;
    }
    return strcasecmp(host, "localhost") == 0 ||
           (inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six));
}

bool http_is_loopback(const char *authority)
{
    char host[256];

    return take_host(authority, host, sizeof(host)) && is_loopback(host);
}

/** Addresses that lead no farther than to the host: EC2's metadata, the agents of ECS and EKS. They
 * have no TLS, and a proxy would answer for another host. */
static bool is_metadata(const char *host)
{
    static const char *const addresses[] = {"169.254.169.254", "169.254.170.2", "169.254.170.23",
                                            "fd00:ec2::254", "fd00:ec2::23"};

    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        if (strcasecmp(host, addresses[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_named(const char *host, const char *list)
{
    const size_t len = strlen(host);

    while (list != NULL && *list != '\0') {
        size_t part;

        list += strspn(list, ", ");
        part = strcspn(list, ", ");
        if ((part == len && strncasecmp(list, host, len) == 0) || (part == 1 && *list == '*')) {
            return true;
        }
        list += part;
    }
    return false;
}

static const char *bad_byte(const char *url)
{
    while (*url != '\0' && (unsigned char)*url > ' ' && *url != 0x7f) {
        url++;
    }
    return *url != '\0' ? url : NULL;
}

void http_url_origin(const char *url, char *ret_origin, size_t size)
{
    const char *rest = strstr(url, "://");
    const char *at;
    size_t len;

    if (rest == NULL) {
        snprintf(ret_origin, size, "?");
        return;
    }
    rest += 3;
    len = authority_len(rest);
    at = memrchr(rest, '@', len);
    if (at != NULL) { /* a password stands before it */
        len -= (size_t)(at + 1 - rest);
        rest = at + 1;
    }
    snprintf(ret_origin, size, "%.*s//%.*s", (int)(strchr(url, ':') + 1 - url), url, (int)len,
             rest);
}

static bool is_at(const char *url, const char *origin)
{
    const size_t len = strlen(origin);

    return len > 0 && strncmp(url, origin, len) == 0 && authority_len(url + len) == 0;
}

enum rc http_url_check(const char *url, const char *allow_plain, struct http_place *place,
                       struct err *err)
{
    const bool tls = strncasecmp(url, "https://", 8) == 0;
    const char *rest = url + (tls ? 8 : 7);
    const bool known = is_at(url, place->origin);
    char host[256], origin[HTTP_ORIGIN_MAX];

    if (known && bad_byte(url) == NULL) {
        return RC_OK;
    }
    place->origin[0] = '\0';
    http_url_origin(url, origin, sizeof(origin));
    if (!tls && strncasecmp(url, "http://", 7) != 0) {
        return err_set(err, RC_INVALID, "'%s' is no http or https URL", origin);
    }
    if (bad_byte(url) != NULL) {
        return err_set(err, RC_INVALID, "the URL at '%.200s' has a blank or a control character",
                       bad_byte(origin) == NULL ? origin : "?");
    }
    if (memchr(rest, '@', authority_len(rest)) != NULL) {
        return err_set(err, RC_INVALID, "'%s': a URL with a user in it", origin);
    }
    if (!take_host(rest, host, sizeof(host))) {
        return err_set(err, RC_INVALID, "'%s' names no host", origin);
    }
    place->loopback = is_loopback(host) || is_metadata(host);
    if (!tls && !place->loopback && !is_named(host, allow_plain)) {
        return err_set(err, RC_INVALID,
                       "plain http to '%s' is not allowed; use https, or name the host in "
                       "the list of hosts that may go without",
                       host);
    }
    memcpy(place->origin, origin, sizeof(origin));
    place->is_new = true;
    return RC_OK;
}
