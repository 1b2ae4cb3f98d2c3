/** @file
 * Helpers that misbehave.
 */
#include "tests/unit/lib/h5/fake_helper.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/h5/h5_wire.h"

static struct h5_wire_request request;

static void put(const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len > 0) {
        const ssize_t sent = write(H5_WIRE_FD, at, len);

        if (sent <= 0) {
            _exit(4);
        }
        at += sent;
        len -= (size_t)sent;
    }
}

static void get(void *buffer, size_t len)
{
    char *at = buffer;

    while (len > 0) {
        const ssize_t got = read(H5_WIRE_FD, at, len);

        if (got <= 0) {
            _exit(5);
        }
        at += got;
        len -= (size_t)got;
    }
}

static void put_head(uint32_t type, uint32_t code, uint64_t offset, uint64_t len)
{
    const struct h5_wire_head head = {.type = type, .code = code, .offset = offset, .len = len};

    put(&head, sizeof(head));
}

static void put_text(uint32_t code, const char *text)
{
    put_head(H5_WIRE_ERROR, code, 0, strlen(text));
    put(text, strlen(text));
}

static void dies(void)
{
    raise(SIGSEGV);
}

static void is_killed(void)
{
    raise(SIGKILL);
}

static void breaks_out(void)
{
    raise(SIGSYS);
}

static void computes(void)
{
    raise(SIGXCPU);
}

static void says_nothing(void)
{
}

static void hangs(void)
{
    for (;;) {
        pause();
    }
}

static void hangs_up(void)
{
    close(H5_WIRE_FD);
    hangs();
}

static void talks_nonsense(void)
{
    put("what is this, and who are you?", 24);
    hangs();
}

static void reads_beyond(void)
{
    put_head(H5_WIRE_READ, 0, request.file_size - 1, 2);
    hangs();
}

static void reads_nothing(void)
{
    put_head(H5_WIRE_READ, 0, 0, 0);
    hangs();
}

static void reads_too_much(void)
{
    put_head(H5_WIRE_READ, 0, 0, H5_WIRE_READ_MAX + 1);
    hangs();
}

static void reads_backwards(void)
{
    put_head(H5_WIRE_READ, 0, UINT64_MAX - 3, 8);
    hangs();
}

static void read_many(const struct h5_wire_range *ranges, unsigned count)
{
    put_head(H5_WIRE_READ_MANY, 0, 0, count * sizeof(*ranges));
    put(ranges, count * sizeof(*ranges));
}

/** Two ranges of the file, behind its head; says so when they came in that order. */
static void reads_many(void)
{
    const struct h5_wire_range ranges[] = {{40000, 3}, {1, 2}, {20000, 1}};
    struct h5_wire_head head;
    char bytes[6];

    read_many(ranges, ARRAY_LEN(ranges));
    get(&head, sizeof(head));
    get(bytes, sizeof(bytes));
    put_text(H5_WIRE_CORRUPT, head.len == 6 && memcmp(bytes, "abcABx", 6) == 0 ? "as asked" : "no");
}

static void reads_many_beyond(void)
{
    const struct h5_wire_range ranges[] = {{0, 8}, {request.file_size - 7, 8}};

    read_many(ranges, ARRAY_LEN(ranges));
    hangs();
}

static void reads_many_of_much(void)
{
    struct h5_wire_range ranges[H5_WIRE_RANGES_MAX];

    for (unsigned i = 0; i < H5_WIRE_RANGES_MAX; i++) {
        ranges[i] = (struct h5_wire_range){0, request.file_size}; /* 64 KiB each: 4 MiB, just */
    }
    ranges[7].len = UINT64_MAX;
    read_many(ranges, H5_WIRE_RANGES_MAX);
    hangs();
}

static void reads_too_many(void)
{
    put_head(H5_WIRE_READ_MANY, 0, 0, (H5_WIRE_RANGES_MAX + 1) * sizeof(struct h5_wire_range));
    hangs();
}

static void reads_half_a_range(void)
{
    put_head(H5_WIRE_READ_MANY, 0, 0, sizeof(struct h5_wire_range) / 2);
    hangs();
}

static void reads_many_for_ever(void)
{
    static char answer[sizeof(struct h5_wire_head) + 2 * 65536];
    const struct h5_wire_range ranges[] = {{0, 65536}, {0, 65536}};

    for (;;) {
        read_many(ranges, ARRAY_LEN(ranges));
        get(answer, sizeof(answer));
    }
}

static void floods(void)
{
    for (;;) { /* never takes an answer */
        put_head(H5_WIRE_READ, 0, 0, 1024);
    }
}

static void reads_for_ever(void)
{
    static char answer[sizeof(struct h5_wire_head) + (1 << 20)];
    const uint64_t len = MIN_OF(request.file_size, sizeof(answer) - sizeof(struct h5_wire_head));

    for (;;) {
        put_head(H5_WIRE_READ, 0, 0, len);
        get(answer, sizeof(struct h5_wire_head) + len);
    }
}

static void answers_endlessly(void)
{
    put_head(H5_WIRE_LAYOUT, 0, 0, 1ull << 40);
    hangs();
}

static void answers_with_nothing(void)
{
    put_head(H5_WIRE_LAYOUT, 0, 0, 0);
    hangs();
}

static void answers_garbage(void)
{
    put_head(H5_WIRE_LAYOUT, 0, 0, 16);
    put("SVLYgarbagegarba", 16);
    hangs();
}

static void answers_half(void)
{
    put_head(H5_WIRE_LAYOUT, 0, 0, 1000);
    put("SVLY", 4);
}

static void answers_another_question(void)
{
    put_head(request.kind == H5_WIRE_WANT_ROWS ? H5_WIRE_LAYOUT : H5_WIRE_ROWS, 0, 0, 8);
    hangs();
}

static void sends_too_many_rows(void)
{
    put_head(H5_WIRE_ROWS, 0, 0, request.bytes + 1);
    hangs();
}

static void sends_too_few_rows(void)
{
    static const char rows[8];

    put_head(H5_WIRE_ROWS, 0, 0, 8);
    put(rows, 8);
    put_head(H5_WIRE_ROWS, 0, 0, 0);
    hangs();
}

static void refuses_rudely(void)
{
    put_text(H5_WIRE_CORRUPT, "line\nbreak \x1b[2J \xff");
    hangs();
}

static void wants_more_memory(void)
{
    put_text(H5_WIRE_LIMIT, "no memory");
}

static void refuses_oddly(void)
{
    put_text(77, "because");
}

static void screams(void)
{
    static char text[1 << 16];

    memset(text, 'a', sizeof(text));
    memcpy(text, "free(): invalid\tpointer\n", 24);
    for (int i = 0; i < 160; i++) {
        if (write(STDERR_FILENO, text, sizeof(text)) < 0) {
            _exit(6);
        }
    }
    raise(SIGABRT);
}

static const struct {
    const char *name;
    void (*behave)(void);
} fakes[] = {
    {"dies", dies},
    {"breaks-out", breaks_out},
    {"computes", computes},
    {"is-killed", is_killed},
    {"says-nothing", says_nothing},
    {"hangs", hangs},
    {"hangs-up", hangs_up},
    {"talks-nonsense", talks_nonsense},
    {"reads-beyond", reads_beyond},
    {"reads-nothing", reads_nothing},
    {"reads-too-much", reads_too_much},
    {"reads-backwards", reads_backwards},
    {"floods", floods},
    {"reads-many", reads_many},
    {"reads-many-beyond", reads_many_beyond},
    {"reads-many-of-much", reads_many_of_much},
    {"reads-too-many", reads_too_many},
    {"reads-half-a-range", reads_half_a_range},
    {"reads-many-for-ever", reads_many_for_ever},
    {"reads-for-ever", reads_for_ever},
    {"answers-endlessly", answers_endlessly},
    {"answers-with-nothing", answers_with_nothing},
    {"answers-garbage", answers_garbage},
    {"answers-half", answers_half},
    {"answers-another-question", answers_another_question},
    {"sends-too-many-rows", sends_too_many_rows},
    {"sends-too-few-rows", sends_too_few_rows},
    {"refuses-rudely", refuses_rudely},
    {"wants-more-memory", wants_more_memory},
    {"refuses-oddly", refuses_oddly},
    {"screams", screams},
};

void fake_helper_main(const char *program)
{
    const char *name = str_basename(program);
    char path[H5_WIRE_NAME_MAX];
    struct h5_wire_head head;

    if (!str_starts(name, "fake-")) {
        return;
    }
    /* A sanitizer reports signals in its own way; the client shall see the plain ones. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    get(&head, sizeof(head));
    get(&request, sizeof(request));
    if (request.name_len > sizeof(path)) {
        _exit(7);
    }
    get(path, (size_t)request.name_len);
    for (size_t i = 0; i < ARRAY_LEN(fakes); i++) {
        if (strcmp(name + 5, fakes[i].name) == 0) {
            fakes[i].behave();
            _exit(0);
        }
    }
    _exit(8);
}
