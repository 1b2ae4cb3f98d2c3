/** @file
 * The canonical texts of a request, as sigv4.c puts them together.
 *
 * Thread:     any; nothing is shared.
 */
#pragma once

#include "lib/aws/sigv4.h"

/** The path as it is signed. */
void sigv4_canonical_path(struct strbuf *out, const struct sigv4_request *request,
                          const struct sigv4_scope *scope);
/** "name:value\n" of every signed header into `ret_lines`, "name;name" into `ret_names`. */
void sigv4_canonical_headers(const struct sigv4_request *request, const struct sigv4_scope *scope,
                             struct strbuf *ret_lines, struct strbuf *ret_names);
