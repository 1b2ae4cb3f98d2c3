/** @file
 * An HTTP/1.1 server for tests: on the test's own loop, with a script of answers and faults.
 *
 * Thread:     the loop's.
 * Ownership:  the script and its strings are borrowed; what was asked is the server's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/run/loop.h"

enum fake_fault {
    FAKE_NONE,
    FAKE_CLOSE,   /**< Says so, answers, hangs up. */
    FAKE_DROP,    /**< Answers as if to keep the connection, then hangs up. */
    FAKE_HANG_UP, /**< No answer. */
    FAKE_RESET,   /**< RST after `at` bytes of the body. */
    FAKE_SHORT,   /**< FIN after `at` bytes of the body. */
    FAKE_STALL,   /**< Nothing more after `at` bytes of the body. */
    FAKE_SILENT,  /**< Nothing at all. */
    FAKE_EARLY,   /**< At the request's head; of its body nothing more is read. */
    FAKE_TRICKLE, /**< The body byte by byte, every `at` milliseconds. */
};

struct fake_answer {
    unsigned status;     /**< 0: 200. */
    const char *headers; /**< "Name: value\r\n"...; may be NULL. */
    const char *body;    /**< NULL: empty. */
    size_t length;       /**< Content-Length, if it is not the body's. */
    enum fake_fault fault;
    unsigned at;
};

struct fake_request {
    char *head; /**< From the method to the blank line. */
    char *body;
    size_t body_len;
    unsigned connection; /**< 1, 2, ... as they were accepted. */
};

struct fake;

struct fake *fake_new(struct loop *loop);
/** Its handles go with the loop's next turns. */
void fake_free(struct fake *fake);
/** "http://127.0.0.1:PORT" */
const char *fake_url(const struct fake *fake);
/** From now on; when it is over: the last again. */
void fake_script(struct fake *fake, const struct fake_answer *answers, unsigned count);
unsigned fake_asked(const struct fake *fake);
/** The n-th since fake_script(); fails when there is none. */
const struct fake_request *fake_request(const struct fake *fake, unsigned index);
/** A header's value in `ret_value`, "" when it is not there. Names without regard to case. */
void fake_header(const struct fake_request *request, const char *name, char *ret_value,
                 size_t size);
unsigned fake_connections(const struct fake *fake);
/** Connections that are open now, and the most that ever were at once. */
unsigned fake_open(const struct fake *fake, unsigned *ret_most);
