/** @file
 * expat's events made a tree in one arena. What is read comes from servers we do not control, so
 * size, depth and number of nodes are bounded, and a document type is refused before it can declare
 * an entity: nothing in here expands.
 *
 * Making a parser, with a hash salt from the kernel, takes longer than reading the answer to a
 * CopyObject. So each thread keeps one, and its salt.
 */
#include "lib/aws/xml.h"

#include <ctype.h>
#include <expat.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"

#define KEPT_BYTES (64u << 10)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t parsers; /**< Of each thread. */
static unsigned long salt;

struct xml_doc {
    struct arena *arena;
    struct xml_node *root;
};

struct open_node {
    struct xml_node *node;
    const struct xml_node **last; /**< Where its next child goes. */
    struct strbuf text;
};

struct reading {
    XML_Parser parser;
    struct xml_doc *doc;
    struct open_node open[XML_DEPTH_MAX];
    unsigned depth, nodes;
    const char *refused; /**< Why we stopped it; NULL: we did not. */
    void *copy;          /**< The parser's, of what it reads. */
};

static void refuse(struct reading *reading, const char *why)
{
    if (reading->refused == NULL) {
        reading->refused = why;
        XML_StopParser(reading->parser, XML_FALSE);
    }
}

static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_internal)
{
    (void)name, (void)system, (void)public, (void)has_internal;
    refuse(arg, "a document type");
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *reading = arg;
    const char *colon = strrchr(name, ':');
    struct open_node *open = &reading->open[reading->depth];
    struct xml_node *node;
    (void)attributes;

    if (reading->refused != NULL) {
        return; /* expat may still tell of what it has read */
    }
    if (reading->depth == XML_DEPTH_MAX || reading->nodes == XML_NODES_MAX) {
        refuse(reading, reading->depth == XML_DEPTH_MAX ? "nested too deep" : "too many elements");
        return;
    }
    node = arena_alloc(reading->doc->arena, sizeof(*node));
    node->name =
        arena_dup(reading->doc->arena, colon != NULL && colon[1] != '\0' ? colon + 1 : name);
    node->text = "";
    if (reading->depth == 0) {
        reading->doc->root = node;
    } else {
        *open[-1].last = node;
        open[-1].last = &node->next;
    }
    open->node = node;
    open->last = &node->child;
    strbuf_reset(&open->text);
    reading->depth++;
    reading->nodes++;
}

static bool is_blank(const struct strbuf *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (!isspace((unsigned char)text->data[i])) {
            return false;
        }
    }
    return true;
}

static void on_end(void *arg, const XML_Char *name)
{
    struct reading *reading = arg;
    struct open_node *open;
    (void)name;

    if (reading->refused != NULL) {
        return;
    }
    open = &reading->open[--reading->depth];
    /* Between elements, blanks are how a server indents; in a leaf they are what it says. */
    if (open->text.len > 0 && (open->node->child == NULL || !is_blank(&open->text))) {
        open->node->text = arena_dup_n(reading->doc->arena, open->text.data, open->text.len);
    }
}

static void on_text(void *arg, const XML_Char *text, int len)
{
    struct reading *reading = arg;

    if (reading->refused == NULL && reading->depth > 0) {
        strbuf_add(&reading->open[reading->depth - 1].text, text, (size_t)len);
    }
}

/** By way of the parser's own memory. */
static enum XML_Status feed(struct reading *reading, const char *bytes, size_t len)
{
    if (len == 0) {
        return XML_Parse(reading->parser, "", 0, XML_TRUE);
    }
    reading->copy = XML_GetBuffer(reading->parser, (int)len);
    if (reading->copy == NULL) {
        abort();
    }
    memcpy(reading->copy, bytes, len);
    return XML_ParseBuffer(reading->parser, (int)len, XML_TRUE);
}

static enum rc run(struct reading *reading, const char *bytes, size_t len, struct err *err)
{
    XML_SetUserData(reading->parser, reading);
    XML_SetElementHandler(reading->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading->parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading->parser, on_doctype);
    if (feed(reading, bytes, len) == XML_STATUS_OK) {
        return RC_OK;
    }
    return err_set(err, RC_CORRUPT, "XML line %lu: %s",
                   (unsigned long)XML_GetCurrentLineNumber(reading->parser),
                   reading->refused != NULL ? reading->refused
                                            : XML_ErrorString(XML_GetErrorCode(reading->parser)));
}

static void free_parser(void *parser)
{
    XML_ParserFree(parser);
}

static void set_up(void)
{
    if (pthread_key_create(&parsers, free_parser) != 0 ||
        getrandom(&salt, sizeof(salt), 0) != sizeof(salt)) {
        abort();
    }
}

static XML_Parser acquire_parser(void)
{
    XML_Parser parser;

    pthread_once(&once, set_up);
    parser = pthread_getspecific(parsers);
    if (parser != NULL) {
        XML_ParserReset(parser, NULL);
    } else {
        parser = XML_ParserCreate(NULL);
        if (parser == NULL || pthread_setspecific(parsers, parser) != 0) {
            abort();
        }
    }
    XML_SetHashSalt(parser, salt | 1); /* 0 would be expat's to choose, with each document */
    return parser;
}

/** What it has read, a role's credentials perhaps, does not outlive it in the parser. */
static void release_parser(const struct reading *reading, size_t len)
{
    if (reading->copy != NULL) {
        explicit_bzero(reading->copy, len);
    }
    if (len > KEPT_BYTES) {
        pthread_setspecific(parsers, NULL);
        free_parser(reading->parser);
    }
}

enum rc xml_parse(const void *bytes, size_t len, struct xml_doc **ret_doc, struct err *err)
{
    scoped(xml_free) struct xml_doc *doc = mem_new(struct xml_doc);
    struct reading reading = {.doc = doc};
    const char *text = bytes;
    enum rc rc;

    if (len > XML_BYTES_MAX) {
        return err_set(err, RC_CORRUPT, "XML of %zu bytes, over %u", len, XML_BYTES_MAX);
    }
    /* S3 sends blanks while it still works on the answer, and some servers do so at the front. */
    while (len > 0 && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    doc->arena = arena_new();
    reading.parser = acquire_parser();
    rc = run(&reading, text, len, err);
    release_parser(&reading, len);
    for (unsigned i = 0; i < XML_DEPTH_MAX; i++) {
        strbuf_done(&reading.open[i].text);
    }
    if (rc == RC_OK) {
        *ret_doc = TAKE(doc);
    }
    return rc;
}

void xml_free(struct xml_doc *doc)
{
    if (doc != NULL) {
        arena_free(doc->arena);
        free(doc);
    }
}

const struct xml_node *xml_root(const struct xml_doc *doc)
{
    return doc->root;
}

static const struct xml_node *named(const struct xml_node *node, const char *name)
{
    while (node != NULL && strcmp(node->name, name) != 0) {
        node = node->next;
    }
    return node;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
    return node != NULL ? named(node->child, name) : NULL;
}

const struct xml_node *xml_again(const struct xml_node *node)
{
    return node != NULL ? named(node->next, node->name) : NULL;
}

const char *xml_text(const struct xml_node *node, const char *name)
{
    const struct xml_node *child = xml_child(node, name);

    return child != NULL ? child->text : "";
}
