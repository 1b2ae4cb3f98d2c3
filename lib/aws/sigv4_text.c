/** @file
 * Encoding and order: what has to be the same byte for byte on both sides of a signature.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/aws/sigv4_p.h"
#include "lib/base/mem.h"

/* Encoding */

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void encode(struct strbuf *out, const char *text, size_t len, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t plain = 0; /* where the run begins that needs no encoding */

    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        const char escaped[] = {'%', digits[c >> 4], digits[c & 15]};

        if (is_unreserved(c) || (keep_slash && c == '/')) {
            continue;
        }
        strbuf_add(out, text + plain, i - plain);
        strbuf_add(out, escaped, sizeof(escaped));
        plain = i + 1;
    }
    strbuf_add(out, text + plain, len - plain);
}

void sigv4_encode(struct strbuf *out, const char *text, bool keep_slash)
{
    encode(out, text, strlen(text), keep_slash);
}

/* The path */

/** Without empty parts and "."; ".." takes the part before it. A '/' at the end stays. */
static void normalize(struct strbuf *out, const char *path)
{
    for (const char *at = path; *at != '\0';) {
        const char *part = at + strspn(at, "/");
        const size_t len = strcspn(part, "/");

        if (len == 2 && memcmp(part, "..", 2) == 0) {
            while (out->len > 0 && out->data[--out->len] != '/') {
            }
        } else if (len > 0 && !(len == 1 && *part == '.')) {
            strbuf_putc(out, '/');
            strbuf_add(out, part, len);
        }
        at = part + len;
    }
    if (out->len == 0 || str_ends(path, "/")) {
        strbuf_putc(out, '/');
    }
}

void sigv4_canonical_path(struct strbuf *out, const struct sigv4_request *request,
                          const struct sigv4_scope *scope)
{
    scoped(strbuf_done) struct strbuf normal = {0}, sent = {0};

    if (scope->s3_path) {
        sigv4_encode(out, request->path, true);
        return;
    }
    normalize(&normal, request->path);
    if (scope->encode_once) {
        encode(out, normal.data, normal.len, true);
        return;
    }
    encode(&sent, normal.data, normal.len, true);
    encode(out, sent.data, sent.len, true);
}

/* The query */

/** Both as offsets into one buffer, which moves while it grows. */
struct encoded_pair {
    const char *base;
    size_t name, name_len, value, value_len;
};

static int compare_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
    const int order = memcmp(a, b, MIN_OF(a_len, b_len));

    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int compare_pairs(const void *left, const void *right)
{
    const struct encoded_pair *a = left, *b = right;
    const int order = compare_bytes(a->base + a->name, a->name_len, b->base + b->name, b->name_len);

    if (order != 0) {
        return order;
    }
    return compare_bytes(a->base + a->value, a->value_len, b->base + b->value, b->value_len);
}

void sigv4_query(struct strbuf *out, const struct sigv4_pair *query, unsigned count)
{
    scoped(free) struct encoded_pair *pairs = NULL;
    scoped(strbuf_done) struct strbuf text = {0};

    if (count == 0) {
        return;
    }
    pairs = mem_resize(NULL, count, sizeof(*pairs));
    for (unsigned i = 0; i < count; i++) {
        pairs[i].name = text.len;
        sigv4_encode(&text, query[i].name, false);
        pairs[i].name_len = text.len - pairs[i].name;
        pairs[i].value = text.len;
        sigv4_encode(&text, query[i].value, false);
        pairs[i].value_len = text.len - pairs[i].value;
    }
    for (unsigned i = 0; i < count; i++) {
        pairs[i].base = strbuf_text(&text);
    }
    qsort(pairs, count, sizeof(*pairs), compare_pairs);
    for (unsigned i = 0; i < count; i++) {
        strbuf_puts(out, i > 0 ? "&" : "");
        strbuf_add(out, pairs[i].base + pairs[i].name, pairs[i].name_len);
        strbuf_putc(out, '=');
        strbuf_add(out, pairs[i].base + pairs[i].value, pairs[i].value_len);
    }
}

/* The headers */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/** As strcasecmp(), whatever the locale. */
static int compare_names(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** What proxies change, as botocore lists it, and what cannot be there yet. */
static bool is_left_out(const char *name, const struct sigv4_scope *scope)
{
    static const char *const left_out[] = {
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    };

    for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
        if (lower(name[0]) == left_out[i][0] && compare_names(name, left_out[i]) == 0) {
            return true;
        }
    }
    return scope->omit_session_token && compare_names(name, "x-amz-security-token") == 0;
}

static void add_lower(struct strbuf *out, const char *name)
{
    const size_t start = out->len;

    strbuf_puts(out, name);
    for (size_t i = start; i < out->len; i++) {
        out->data[i] = lower(out->data[i]);
    }
}

/** Trimmed, and runs of blanks inside as one space. */
static void add_squeezed(struct strbuf *out, const char *value)
{
    for (bool first = true;; first = false) {
        size_t len = 0;

        while (is_blank(*value)) {
            value++;
        }
        if (*value == '\0') {
            return;
        }
        while (value[len] != '\0' && !is_blank(value[len])) {
            len++;
        }
        strbuf_puts(out, first ? "" : " ");
        strbuf_add(out, value, len);
        value += len;
    }
}

/** Those that are signed, by name; of one name in the order given. Answers their number. */
static unsigned sort_headers(const struct sigv4_request *request, const struct sigv4_scope *scope,
                             const struct sigv4_pair **ret_sorted)
{
    unsigned count = 0;

    for (unsigned i = 0; i < request->header_count; i++) {
        const struct sigv4_pair *header = &request->headers[i];
        unsigned at = count;

        if (is_left_out(header->name, scope)) {
            continue;
        }
        for (; at > 0 && compare_names(header->name, ret_sorted[at - 1]->name) < 0; at--) {
            ret_sorted[at] = ret_sorted[at - 1];
        }
        ret_sorted[at] = header;
        count++;
    }
    return count;
}

void sigv4_canonical_headers(const struct sigv4_request *request, const struct sigv4_scope *scope,
                             struct strbuf *ret_lines, struct strbuf *ret_names)
{
    scoped(free) const struct sigv4_pair **sorted =
        mem_resize(NULL, request->header_count, sizeof(*sorted));
    const unsigned count = sort_headers(request, scope, sorted);

    for (unsigned i = 0; i < count; i++) {
        if (i > 0 && compare_names(sorted[i]->name, sorted[i - 1]->name) == 0) {
            ret_lines->data[ret_lines->len - 1] = ','; /* in place of the end of the line */
        } else {
            strbuf_puts(ret_names, i > 0 ? ";" : "");
            add_lower(ret_names, sorted[i]->name);
            add_lower(ret_lines, sorted[i]->name);
            strbuf_putc(ret_lines, ':');
        }
        add_squeezed(ret_lines, sorted[i]->value);
        strbuf_putc(ret_lines, '\n');
    }
}
