/** @file
 * The XML that S3, SNS and STS answer with, read by expat into a small tree. Entities other than
 * the five of XML, and anything that would grow by expansion, are refused.
 *
 * Thread:     any.
 * Ownership:  a document owns all its strings.
 */
#pragma once

#include <stddef.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

struct xml_doc;

struct xml_node {
    const char *name; /**< Without its namespace. */
    const char *text; /**< Character data directly in it, joined; "" if none. */
    const struct xml_node *child, *next;
};

/** RC_CORRUPT with expat's words and line. */
enum rc xml_parse(const void *bytes, size_t len, struct xml_doc **ret_doc, struct err *err);
void xml_free(struct xml_doc *doc);
SCOPED_FN(struct xml_doc, xml_free)
const struct xml_node *xml_root(const struct xml_doc *doc);
/** The first child with that name, or NULL; `node` may be NULL. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);
/** The next sibling with the same name, or NULL. */
const struct xml_node *xml_again(const struct xml_node *node);
/** Text of the first child with that name, "" if there is none; `node` may be NULL. */
const char *xml_text(const struct xml_node *node, const char *name);
