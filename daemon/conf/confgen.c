/** @file
 * sevird-confgen: writes the JSON Schema, the reference and the man page of the configuration, or
 * checks that a committed file is what it would write.
 *
 *     sevird-confgen schema|reference|man [--check FILE]
 */
#include <stdio.h>
#include <string.h>

#include "daemon/conf/conf.h"
#include "lib/base/fs.h"

int main(int argc, char **argv)
{
    scoped(strbuf_done) struct strbuf text = {0};
    scoped(free) char *committed = NULL;
    struct err err;
    size_t len;

    if (argc == 2 || argc == 4) {
        strcmp(argv[1], "schema") == 0 ? conf_write_schema(&text)
        : strcmp(argv[1], "man") == 0  ? conf_write_man(&text)
                                       : conf_write_reference(&text);
    } else {
        fprintf(stderr, "usage: sevird-confgen schema|reference|man [--check FILE]\n");
        return 2;
    }
    if (argc == 2) {
        return fwrite(text.data, 1, text.len, stdout) == text.len ? 0 : 1;
    }
    if (fs_read_file(argv[3], 16u << 20, &committed, &len, &err) != RC_OK) {
        fprintf(stderr, "sevird-confgen: %s\n", err.text);
        return 1;
    }
    if (len != text.len || memcmp(committed, text.data, len) != 0) {
        fprintf(stderr, "sevird-confgen: '%s' is stale; write it again: sevird-confgen %s > %s\n",
                argv[3], argv[1], argv[3]);
        return 1;
    }
    return 0;
}
