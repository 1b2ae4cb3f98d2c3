/** @file
 * The XML of S3, SNS and STS, and what must not be believed.
 */
#include "tests/unit.h"

#include <stdio.h>

#include "lib/aws/xml.h"
#include "lib/base/str.h"

static void parse(const char *text, struct xml_doc **ret_doc)
{
    struct err err;

    if (xml_parse(text, strlen(text), ret_doc, &err) != RC_OK) {
        fail_msg("%s", err.text);
    }
}

static void refuse(const char *text, size_t len, const char *why)
{
    struct xml_doc *doc = NULL;
    struct err err;

    assert_int_equal(xml_parse(text, len, &doc, &err), RC_CORRUPT);
    assert_null(doc);
    if (strstr(err.text, why) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, why);
    }
}

static void a_listing_is_walked_by_names(void **state)
{
    (void)state;
    scoped(xml_free) struct xml_doc *doc = NULL;
    const struct xml_node *contents;

    parse("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
          "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
          "  <Name>b</Name><Prefix/>\n"
          "  <Contents><Key>a%2Bb</Key><Size>1</Size></Contents>\n"
          "  <IsTruncated>false</IsTruncated>\n"
          "  <Contents><Key> two </Key></Contents>\n"
          "</ListBucketResult>\n",
          &doc);
    assert_string_equal(xml_root(doc)->name, "ListBucketResult");
    assert_string_equal(xml_root(doc)->text, "");
    assert_string_equal(xml_text(xml_root(doc), "Name"), "b");
    assert_string_equal(xml_text(xml_root(doc), "Prefix"), "");
    assert_string_equal(xml_text(xml_root(doc), "Nowhere"), "");
    contents = xml_child(xml_root(doc), "Contents");
    assert_string_equal(xml_text(contents, "Key"), "a%2Bb");
    contents = xml_again(contents);
    assert_string_equal(xml_text(contents, "Key"), " two ");
    assert_null(xml_again(contents));
    assert_null(xml_child(NULL, "x"));
    assert_string_equal(xml_text(NULL, "x"), "");
}

static void text_is_joined_and_names_lose_their_namespace(void **state)
{
    (void)state;
    scoped(xml_free) struct xml_doc *doc = NULL;

    parse("<s:a xmlns:s='urn:x'>one &lt;&amp;&gt; <s:b>in</s:b><![CDATA[<two>]]> &#xe9;</s:a>",
          &doc);
    assert_string_equal(xml_root(doc)->name, "a");
    assert_string_equal(xml_root(doc)->text, "one <&> <two> \xc3\xa9");
    assert_string_equal(xml_text(xml_root(doc), "b"), "in");
}

static void blanks_in_front_of_it_are_passed_over(void **state)
{
    (void)state;
    scoped(xml_free) struct xml_doc *doc = NULL;

    parse("  \n \n<?xml version='1.0'?>\n\n<a>x</a>", &doc);
    assert_string_equal(xml_root(doc)->text, "x");
}

static void a_document_type_is_refused(void **state)
{
    (void)state;
    static const char bomb[] = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'>"
                               "<!ENTITY c '&b;&b;&b;&b;'>]><a>&c;</a>";
    static const char outer[] = "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>";

    refuse(bomb, sizeof(bomb) - 1, "document type");
    refuse(outer, sizeof(outer) - 1, "document type");
    refuse("<a>&nbsp;</a>", 13, "undefined entity");
}

static void limits_hold(void **state)
{
    (void)state;
    scoped(strbuf_done) struct strbuf deep = {0}, many = {0};
    struct xml_doc *doc = NULL;

    for (unsigned i = 0; i < XML_DEPTH_MAX; i++) {
        strbuf_puts(&deep, "<a>");
    }
    for (unsigned i = 0; i < XML_DEPTH_MAX; i++) {
        strbuf_puts(&deep, "</a>");
    }
    parse(deep.data, &doc);
    xml_free(doc);
    scoped(free) char *deeper = str_printf("<a>%s</a>", deep.data);
    refuse(deeper, strlen(deeper), "too deep");
    strbuf_puts(&many, "<a>");
    for (unsigned i = 1; i < XML_NODES_MAX; i++) {
        strbuf_puts(&many, "<b/>");
    }
    scoped(free) char *just = str_printf("%s</a>", many.data);
    scoped(free) char *over = str_printf("%s<b/></a>", many.data);
    parse(just, &doc);
    xml_free(doc);
    refuse(over, strlen(over), "too many elements");
    refuse("<a/>", XML_BYTES_MAX + 1, "over");
}

static void what_is_no_xml_says_where(void **state)
{
    (void)state;
    refuse("", 0, "no element found");
    refuse("<html>\n<body>\n<br>\n</html>", 27, "line 4");
    refuse("<a></a><b/>", 11, "junk");
    refuse("<a>\x01</a>", 8, "not well-formed");
    refuse("<a>\xff</a>", 8, "not well-formed");
    refuse("<a>cut", 6, "");
    refuse("{\"a\": 1}", 8, "not well-formed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_is_walked_by_names),
        cmocka_unit_test(text_is_joined_and_names_lose_their_namespace),
        cmocka_unit_test(blanks_in_front_of_it_are_passed_over),
        cmocka_unit_test(a_document_type_is_refused),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(what_is_no_xml_says_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
