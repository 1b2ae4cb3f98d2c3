/** @file
 * The XML that S3, SNS and STS answer with, read by expat into a small tree. Entities other than
 * the five of XML, and anything that would grow by expansion, are refused, as is what is over one
 * of the limits. Attributes are not kept.
 *
 * Thread:     any.
 * Ownership:  a document owns all its strings.
 */
#pragma once

#include <stddef.h>

#include "lib/base/rc.h"
#include "lib/base/scope.h"

#define XML_BYTES_MAX (16u << 20)
#define XML_DEPTH_MAX 32
#define XML_NODES_MAX 100000

struct xml_doc;

struct xml_node {
    const char *name; /**< Without its namespace. */
    const char *text; /**< Character data directly in it, joined; "" if none, or if there are
                       *   elements and only blanks between them. */
    const struct xml_node *child, *next;
};

/** RC_CORRUPT with expat's words and line. Blanks in front of the document are passed over. */
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
