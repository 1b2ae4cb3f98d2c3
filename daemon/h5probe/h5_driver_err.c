/** @file
 * libhdf5's error stack in one line, with a class that says what to do.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/h5probe/h5_driver.h"
#include "lib/base/mem.h"

#define ENTRIES 12
#define TEXT 160

struct stack {
    unsigned count;
    char texts[ENTRIES][TEXT];
    hid_t major, minor; /**< Of the innermost entry: the cause. */
    bool no_memory;
};

/** Called from the API function inwards. Keeps the outermost and, when it overflows, the innermost.
 */
static herr_t on_entry(unsigned n, const H5E_error2_t *entry, void *arg)
{
    struct stack *stack = arg;
    const unsigned at = MIN_OF(stack->count, ENTRIES - 1);

    snprintf(stack->texts[at], TEXT, "%s", entry->desc != NULL ? entry->desc : "unknown");
    stack->count = at + 1;
    stack->major = entry->maj_num;
    stack->minor = entry->min_num;
    if (entry->min_num == H5E_NOSPACE ||
        (entry->maj_num == H5E_RESOURCE && entry->min_num == H5E_CANTALLOC)) {
        stack->no_memory = true;
    }
    return 0;
}

static enum rc class_of(const struct stack *stack)
{
    if (stack->no_memory) {
        return RC_LIMIT;
    }
    if (stack->minor == H5E_NOTHDF5) {
        return RC_INVALID;
    }
    if (stack->minor == H5E_NOFILTER || stack->minor == H5E_UNSUPPORTED) {
        return RC_UNSUPPORTED;
    }
    return RC_CORRUPT;
}

/** The texts are partly the file's own (names): keep them to one printable line. */
static void join(const struct stack *stack, char *out, size_t size)
{
    size_t len = 0;

    /* The first says what we asked, the last two why it failed; between them is libhdf5's inside.
     */
    for (unsigned i = 0; i < stack->count && len < size; i++) {
        if (i == 0 || i + 2 >= stack->count) {
            len += (size_t)snprintf(out + len, size - len, "%s%s", len > 0 ? ": " : "",
                                    stack->texts[i]);
        }
    }
    for (char *c = out; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = ' ';
        }
    }
}

enum rc h5_driver_err(struct err *err, const char *fmt, ...)
{
    struct stack stack = {0};
    char what[200], why[3 * TEXT + 8] = "unknown";
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, on_entry, &stack);
    H5Eclear2(H5E_DEFAULT);
    join(&stack, why, sizeof(why));
    return err_set(err, class_of(&stack), "%s: %s", what, why);
}

bool h5_driver_err_is(const char *text)
{
    struct stack stack = {0};

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, on_entry, &stack);
    return stack.count > 0 && strcmp(stack.texts[stack.count - 1], text) == 0;
}
