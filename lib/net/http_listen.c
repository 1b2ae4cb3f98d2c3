/** @file
 * Listening sockets for the servers, and values of a request.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/net/http_server.h"

#define BACKLOG 64

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/** Remove a socket that nobody listens on. There is a moment between the look and the bind; two
 * daemons that start at once are kept apart by the lock on their state directory. */
static enum rc clear_stale(const char *path, const struct sockaddr_un *address, struct err *err)
{
    __attribute__((cleanup(close_fd))) int probe = -1;
    struct stat st;

    if (lstat(path, &st) != 0) {
        return errno == ENOENT ? RC_OK : err_errno(err, errno, "socket '%s'", path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return err_set(err, RC_INVALID, "'%s' is in the place of the socket and is none", path);
    }
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (probe < 0) {
        return err_errno(err, errno, "socket '%s'", path);
    }
    if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno == EAGAIN) { /* its queue is full: somebody lives there */
        return err_set(err, RC_CONFLICT, "socket '%s' is in use; is another daemon running?", path);
    }
    if (errno != ECONNREFUSED) {
        return err_errno(err, errno, "socket '%s'", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return err_errno(err, errno, "stale socket '%s'", path);
    }
    return RC_OK;
}

enum rc http_listen_unix(const char *path, mode_t mode, int *ret_fd, struct err *err)
{
    __attribute__((cleanup(close_fd))) int fd = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        return err_set(err, RC_INVALID, "socket '%s': longer than %zu bytes", path,
                       sizeof(address.sun_path) - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (clear_stale(path, &address, err) != RC_OK) {
        return err->rc;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(err, errno, "socket '%s'", path);
    }
    fchmod(fd, mode); /* the mode bind() gives the file, so that it is never wider than meant */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        return err_errno(err, errno, "socket '%s'", path);
    }
    if (chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0) {
        const int error = errno;
        unlink(path);
        return err_errno(err, error, "socket '%s'", path);
    }
    *ret_fd = fd;
    fd = -1;
    return RC_OK;
}

static bool address_of(const char *host, uint16_t port, struct sockaddr_storage *ret_address,
                       socklen_t *ret_len)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ret_address, &v4, sizeof(v4));
        *ret_len = sizeof(v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(ret_address, &v6, sizeof(v6));
        *ret_len = sizeof(v6);
        return true;
    }
    return false;
}

enum rc http_listen_tcp(const char *host, uint16_t port, int *ret_fd, struct err *err)
{
    __attribute__((cleanup(close_fd))) int fd = -1;
    struct sockaddr_storage address = {0};
    socklen_t len;
    const int on = 1;

    if (!address_of(host, port, &address, &len)) {
        return err_set(err, RC_INVALID, "'%s' is no numeric address", host);
    }
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_errno(err, errno, "listener %s port %u", host, port);
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(fd, (const struct sockaddr *)&address, len) != 0 || listen(fd, BACKLOG) != 0) {
        if (errno == EADDRINUSE) {
            return err_set(err, RC_CONFLICT, "listener %s port %u is in use", host, port);
        }
        return err_errno(err, errno, "listener %s port %u", host, port);
    }
    *ret_fd = fd;
    fd = -1;
    return RC_OK;
}

void http_listen_name(int fd, char *ret_name, size_t size)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
        struct sockaddr_storage room;
    } address = {0};
    socklen_t len = sizeof(address);
    char host[INET6_ADDRSTRLEN];

    ret_name[0] = '\0';
    if (getsockname(fd, &address.any, &len) != 0) {
        return;
    }
    if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
        snprintf(ret_name, size, "%s:%u", host, ntohs(address.v4.sin_port));
    } else if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
        snprintf(ret_name, size, "[%s]:%u", host, ntohs(address.v6.sin6_port));
    } else if (address.any.sa_family == AF_UNIX) {
        snprintf(ret_name, size, "%.*s", (int)sizeof(address.un.sun_path), address.un.sun_path);
    }
}

/* ---- request values ---------------------------------------------------------------------- */

const char *http_request_arg(const struct http_request *request, const char *name)
{
    for (unsigned i = 0; i < request->arg_count; i++) {
        if (strcmp(request->args[i].name, name) == 0) {
            return request->args[i].value;
        }
    }
    return NULL;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    for (unsigned i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return NULL;
}
