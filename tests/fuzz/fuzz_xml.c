/** @file
 * Whatever comes, the tree stays within its limits, every string in it is whole, and an error says
 * something.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/aws/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

/** Elements in `node`, its siblings and below; adds up the text. */
static unsigned walk(const struct xml_node *node, unsigned depth, size_t *text_len)
{
    unsigned count = 0;

    must(depth <= XML_DEPTH_MAX);
    for (; node != NULL; node = node->next) {
        must(node->name[0] != '\0');
        must(xml_child(node, "no such name") == NULL);
        *text_len += strlen(node->text);
        count += 1 + walk(node->child, depth + 1, text_len);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(xml_free) struct xml_doc *doc = NULL;
    struct err err = {0};
    size_t text_len = 0;

    if (xml_parse(data, size, &doc, &err) != RC_OK) {
        must(err.rc == RC_CORRUPT && err.text[0] != '\0' && doc == NULL);
        return 0;
    }
    must(xml_root(doc) != NULL && xml_root(doc)->next == NULL);
    must(walk(xml_root(doc), 1, &text_len) <= XML_NODES_MAX);
    must(text_len <= size * 2); /* Latin-1 becomes UTF-8; nothing else grows */
    return 0;
}
