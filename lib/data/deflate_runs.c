/** @file
 * Deflate (RFC 1951) with a single distance, 1, and a Huffman code of its own for each block.
 *
 * A block is cut into pairs of literals and a run by a bit a byte, set where the byte equals the
 * one before it: sixty-four at once. Then its code is made from what was counted, and the pairs are
 * written. A block that would not shrink is stored.
 */
#include "lib/data/deflate_runs.h"

#include <libdeflate.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/mem.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK ((size_t)1 << 17)
/** A shorter run costs no less than its bytes. */
#define RUN_MIN 6
#define RUN_MAX 258
#define STORED_MAX 65535
#define LITERALS 257 /**< With the end of the block. */
#define SYMBOLS 286
#define END 256
#define LENGTH_SYMBOLS 19
/** Four codes and the bits left over fit a word. */
#define CODE_BITS 14
#define LENGTH_CODE_BITS 7
#define TABLES 4
#define LENGTH_BITS 8 /**< Of an entry of a code. */

struct pair {
    uint32_t literals, run; /**< Bytes; the run repeats the byte before it. */
};

struct code {
    uint32_t
        entries[SYMBOLS]; /**< The bits as they are written, lowest first, above their number. */
    uint8_t lengths[SYMBOLS];
};

struct deflate_runs {
    struct pair pairs[BLOCK / RUN_MIN + 2];
    size_t pair_count;
    uint32_t counts[TABLES][256]; /**< Of literals; four, since a counter can be raised again only
                                when it has been stored. */
    uint32_t symbols[SYMBOLS];
    struct code code;
    uint8_t run_symbol[RUN_MAX + 1]; /**< Less 257. */
    uint8_t run_extra_bits[RUN_MAX + 1];
    uint8_t run_extra[RUN_MAX + 1];
};

struct writer {
    uint8_t *at;
    uint64_t bits;
    unsigned count;
};

/* Runs and literals */

static void fill_runs(struct deflate_runs *encoder)
{
    unsigned length = 3;

    for (unsigned symbol = 0; symbol < 28; symbol++) {
        const unsigned bits = symbol < 8 ? 0 : symbol / 4 - 1;

        for (unsigned extra = 0; extra < 1u << bits && length <= RUN_MAX; extra++, length++) {
            encoder->run_symbol[length] = (uint8_t)symbol;
            encoder->run_extra_bits[length] = (uint8_t)bits;
            encoder->run_extra[length] = (uint8_t)extra;
        }
    }
    encoder->run_symbol[RUN_MAX] = 28;
    encoder->run_extra_bits[RUN_MAX] = 0;
    encoder->run_extra[RUN_MAX] = 0;
}

struct deflate_runs *deflate_runs_new(void)
{
    struct deflate_runs *encoder = mem_new(struct deflate_runs);

    fill_runs(encoder);
    return encoder;
}

void deflate_runs_free(struct deflate_runs *encoder)
{
    free(encoder);
}

/** Bit i: at[i] equals at[i - 1]. */
static uint64_t repeats_of_64(const uint8_t *at)
{
    uint64_t mask = 0;

#ifdef __SSE2__
    for (unsigned i = 0; i < 4; i++) {
        const __m128i here = _mm_loadu_si128((const __m128i *)(at + 16 * i));
        const __m128i before = _mm_loadu_si128((const __m128i *)(at + 16 * i - 1));

        mask |= (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(here, before)) << (16 * i);
    }
#else
    for (unsigned i = 0; i < 64; i++) {
        mask |= (uint64_t)(at[i] == at[(ptrdiff_t)i - 1]) << i;
    }
#endif
    return mask;
}

/** The same of up to 64 bytes; nothing stands before the first one of all. */
static uint64_t repeats_of(const uint8_t *from, const uint8_t *at, const uint8_t *end)
{
    uint64_t mask = 0;

    if (at > from && end - at >= 64) {
        return repeats_of_64(at);
    }
    for (unsigned i = at == from; i < 64 && i < end - at; i++) {
        mask |= (uint64_t)(at[i] == at[(ptrdiff_t)i - 1]) << i;
    }
    return mask;
}

/** Counts whole windows: what of them is in a run is taken back when the run is known. No branch
 * depends on what they hold. */
#define COUNT(k) encoder->counts[(k) % TABLES][word >> (8 * (k)) & 255]++;
static void count_window(struct deflate_runs *encoder, const uint8_t *at, size_t count)
{
    size_t i = 0;

    for (; i + 8 <= count; i += 8) {
        uint64_t word;

        memcpy(&word, at + i, 8);
        COUNT(0) COUNT(1) COUNT(2) COUNT(3) COUNT(4) COUNT(5) COUNT(6) COUNT(7)
    }
    for (; i < count; i++) {
        encoder->counts[0][at[i]]++;
    }
}

/** The next piece of a run: what is left of it is never too short for one of its own. */
static unsigned run_piece(uint32_t left)
{
    return left <= RUN_MAX ? left : left < RUN_MAX + 3 ? RUN_MAX - 3 : RUN_MAX;
}

/** Where cutting is. */
struct cutting {
    const uint8_t *literals; /**< Where those of the next pair begin. */
    uint32_t run;            /**< Length so far of the run that goes on; its bytes end in `at`. */
    uint32_t counted;        /**< How many of them count_window() has counted. */
};

static void add_pair(struct deflate_runs *encoder, struct cutting *cutting, const uint8_t *end)
{
    const uint32_t run = cutting->run;

    encoder->pairs[encoder->pair_count++] =
        (struct pair){(uint32_t)(end - run - cutting->literals), run};
    if (run > 0) {
        encoder->counts[0][end[-1]] -= cutting->counted;
        encoder->symbols[LITERALS + encoder->run_symbol[run_piece(run)]]++;
    }
    for (uint32_t left = run; left > RUN_MAX;) {
        left -= run_piece(left);
        encoder->symbols[LITERALS + encoder->run_symbol[run_piece(left)]]++;
    }
    *cutting = (struct cutting){.literals = end};
}

/** Cut [at, end) into pairs; `from` is where all begins. */
static void cut(struct deflate_runs *encoder, const uint8_t *from, const uint8_t *at,
                const uint8_t *end)
{
    struct cutting cutting = {.literals = at};
    uint64_t mask = repeats_of(from, at, end), next;
    bool running = false;

    for (; at < end; at += 64, mask = next) {
        uint64_t starts = mask; /* of RUN_MIN repeats in a row, which may reach into the next */
        unsigned bit = 0;

        next = end - at > 64 ? repeats_of(from, at + 64, end) : 0;
        if (running && mask == UINT64_MAX) {
            cutting.run += 64;
            continue;
        }
        count_window(encoder, at, MIN_OF((size_t)(end - at), (size_t)64));
        for (unsigned k = 1; k < RUN_MIN; k++) {
            starts &= mask >> k | next << (64 - k);
        }
        while (bit < 64 && (running || starts >> bit != 0)) {
            if (!running) {
                bit += (unsigned)__builtin_ctzll(starts >> bit);
                running = true;
            }
            const uint64_t broken = ~(mask >> bit);
            const unsigned more = broken == 0 ? 64 : (unsigned)__builtin_ctzll(broken);

            bit += more;
            cutting.run += more;
            cutting.counted += more;
            if (bit < 64) {
                running = false;
                add_pair(encoder, &cutting, at + bit);
            }
        }
    }
    add_pair(encoder, &cutting, end);
}

/* Codes */

/** Lengths of an optimal code for ascending weights, in their place: Moffat and Katajainen. */
static void lengths_of_weights(uint32_t *weights, unsigned count)
{
    unsigned leaf = 2, root = 0, used = 1, available = 1, depth = 0;
    int next;

    weights[0] += weights[1]; /* first pass: inner nodes, whose weights give way to parents */
    for (next = 1; next < (int)count - 1; next++) {
        if (leaf >= count || weights[root] < weights[leaf]) {
            weights[next] = weights[root];
            weights[root++] = (uint32_t)next;
        } else {
            weights[next] = weights[leaf++];
        }
        if (leaf >= count || ((int)root < next && weights[root] < weights[leaf])) {
            weights[next] += weights[root];
            weights[root++] = (uint32_t)next;
        } else {
            weights[next] += weights[leaf++];
        }
    }
    weights[count - 2] = 0; /* second pass: parents give way to depths */
    for (next = (int)count - 3; next >= 0; next--) {
        weights[next] = weights[weights[next]] + 1;
    }
    int node = (int)count - 2; /* third pass: depths of leaves */
    next = (int)count - 1;
    while (available > 0) {
        for (used = 0; node >= 0 && weights[node] == depth; node--) {
            used++;
        }
        for (; available > used; available--) {
            weights[next--] = depth;
        }
        available = 2 * used;
        depth++;
    }
}

/** How many symbols have each length, none above `limit`: too long ones become shorter, and others
 * longer until the code is one again. */
static void limit_lengths(const uint32_t *depths, unsigned count, unsigned limit,
                          unsigned ret_numbers[16])
{
    uint32_t kraft = 0;

    memset(ret_numbers, 0, 16 * sizeof(*ret_numbers));
    for (unsigned i = 0; i < count; i++) {
        const unsigned length = MIN_OF(depths[i], limit);

        ret_numbers[length]++;
        kraft += 1u << (limit - length);
    }
    while (kraft > 1u << limit) {
        unsigned length = limit - 1;

        while (ret_numbers[length] == 0) {
            length--;
        }
        /* One of that length makes room below it for itself and one of the longest. */
        ret_numbers[length]--;
        ret_numbers[length + 1] += 2;
        ret_numbers[limit]--;
        kraft--;
    }
}

static uint32_t mirrored(unsigned code, unsigned length)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < length; i++) {
        bits |= (code >> i & 1) << (length - 1 - i);
    }
    return bits;
}

/** Canonical codes by their lengths. */
static void assign_codes(struct code *code, unsigned symbols, const unsigned numbers[16])
{
    unsigned next[16] = {0};

    for (unsigned length = 1; length < 16; length++) {
        next[length] = (next[length - 1] + numbers[length - 1]) << 1;
    }
    for (unsigned symbol = 0; symbol < symbols; symbol++) {
        const unsigned length = code->lengths[symbol];

        code->entries[symbol] =
            length > 0 ? mirrored(next[length]++, length) << LENGTH_BITS | length : 0;
    }
}

static int by_weight(const void *a, const void *b)
{
    const uint64_t *one = a, *two = b;

    return (*one > *two) - (*one < *two);
}

/** A code of at least two symbols, none longer than `limit`. */
static void make_code(uint32_t *counts, unsigned symbols, unsigned limit, struct code *code)
{
    uint64_t sorted[SYMBOLS];
    uint32_t depths[SYMBOLS];
    unsigned numbers[16], used = 0;

    for (unsigned symbol = 0; symbol < symbols; symbol++) {
        if (counts[symbol] > 0) {
            sorted[used++] = (uint64_t)counts[symbol] << 16 | symbol;
        }
    }
    for (unsigned symbol = 0; used < 2; symbol++) { /* no code can be told from a single one */
        if (counts[symbol] == 0) {
            counts[symbol] = 1;
            sorted[used++] = 1ull << 16 | symbol;
        }
    }
    qsort(sorted, used, sizeof(*sorted), by_weight);
    for (unsigned i = 0; i < used; i++) {
        depths[i] = (uint32_t)(sorted[i] >> 16);
    }
    lengths_of_weights(depths, used);
    limit_lengths(depths, used, limit, numbers);
    memset(code->lengths, 0, sizeof(code->lengths));
    for (unsigned i = 0, length = limit, left = numbers[limit]; i < used; i++, left--) {
        while (left == 0) {
            left = numbers[--length];
        }
        code->lengths[sorted[i] & 0xFFFF] = (uint8_t)length;
    }
    numbers[0] = 0;
    assign_codes(code, symbols, numbers);
}

/* Bits */

/** Whole bytes leave; up to seven bits stay. Writes eight bytes, of which some are no more than
 * room. */
static inline void flush(struct writer *writer)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const uint64_t bits = __builtin_bswap64(writer->bits);
#else
    const uint64_t bits = writer->bits;
#endif

    memcpy(writer->at, &bits, 8);
    writer->at += writer->count / 8;
    writer->bits >>= writer->count & ~7u; /* never all 64: see CODE_BITS */
    writer->count &= 7;
}

static inline void put(struct writer *writer, uint64_t bits, unsigned count)
{
    writer->bits |= bits << writer->count;
    writer->count += count;
}

static inline void put_symbol(struct writer *writer, const struct code *code, unsigned symbol)
{
    put(writer, code->entries[symbol] >> LENGTH_BITS, code->lengths[symbol]);
}

/** Four at a time; of the last four some may be none. Codes are joined two by two before they are
 * put, so that a word waits for a word only once. */
static inline void put_literals(struct writer *writer, const struct code *code, const uint8_t *at,
                                size_t count)
{
    static const uint32_t masks[8] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0, 0, 0, 0};
    const uint32_t *entries = code->entries;

    for (size_t i = 0; i < count; i += 4) {
        const uint32_t *mask = masks + 4 - MIN_OF(count - i, (size_t)4);
        const uint32_t a = entries[at[i]], b = entries[at[i + 1]] & mask[1];
        const uint32_t c = entries[at[i + 2]] & mask[2], d = entries[at[i + 3]] & mask[3];
        const unsigned one = (a & 0xFF) + (b & 0xFF), two = (c & 0xFF) + (d & 0xFF);
        const uint64_t low = a >> LENGTH_BITS | (uint64_t)(b >> LENGTH_BITS) << (a & 0xFF);
        const uint64_t high = c >> LENGTH_BITS | (uint64_t)(d >> LENGTH_BITS) << (c & 0xFF);

        put(writer, low | high << one, one + two);
        flush(writer);
    }
}

/** Behind the code of a length there is one of a distance: of one bit, since there is only one. */
static void put_run(struct writer *writer, const struct deflate_runs *encoder, uint32_t run)
{
    while (run > 0) {
        const unsigned piece = run_piece(run);
        const unsigned symbol = LITERALS + encoder->run_symbol[piece];

        put_symbol(writer, &encoder->code, symbol);
        put(writer, encoder->run_extra[piece], encoder->run_extra_bits[piece] + 1u);
        flush(writer);
        run -= piece;
    }
}

/* Blocks */

/** The lengths of a code, themselves packed by runs: pairs of a symbol and its extra bits. */
struct packed {
    uint8_t symbols[SYMBOLS + 1], extra[SYMBOLS + 1];
    unsigned count;
};

static void pack_lengths(const uint8_t *lengths, unsigned count, struct packed *packed)
{
    packed->count = 0;
    for (unsigned i = 0; i < count;) {
        unsigned alike = 1, symbol = lengths[i], extra = 0;

        while (i + alike < count && lengths[i + alike] == lengths[i] && alike < 138) {
            alike++;
        }
        if (symbol == 0 && alike >= 3) {
            symbol = alike < 11 ? 17 : 18;
            extra = alike - (alike < 11 ? 3 : 11);
        } else if (alike >= 4) { /* once itself, then again 3 to 6 times */
            alike = MIN_OF(alike, 7u);
            packed->symbols[packed->count] = (uint8_t)symbol;
            packed->extra[packed->count++] = 0;
            symbol = 16;
            extra = alike - 4;
        } else {
            alike = 1;
        }
        packed->symbols[packed->count] = (uint8_t)symbol;
        packed->extra[packed->count++] = (uint8_t)extra;
        i += alike;
    }
}

static unsigned extra_bits(unsigned length_symbol)
{
    return length_symbol < 16 ? 0 : length_symbol == 16 ? 2 : length_symbol == 17 ? 3 : 7;
}

/** What comes before the data of a block with a code of its own. */
static void put_header(struct writer *writer, const struct code *code, bool last)
{
    static const uint8_t order[LENGTH_SYMBOLS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                  11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint32_t counts[LENGTH_SYMBOLS] = {0};
    uint8_t lengths[SYMBOLS + 1];
    unsigned literals = SYMBOLS, shown = LENGTH_SYMBOLS;
    struct packed packed;
    struct code small;

    while (code->lengths[literals - 1] == 0) { /* the end of the block is there: at least 257 */
        literals--;
    }
    memcpy(lengths, code->lengths, literals);
    lengths[literals] = 1; /* the one distance */
    pack_lengths(lengths, literals + 1, &packed);
    for (unsigned i = 0; i < packed.count; i++) {
        counts[packed.symbols[i]]++;
    }
    make_code(counts, LENGTH_SYMBOLS, LENGTH_CODE_BITS, &small);
    while (small.lengths[order[shown - 1]] == 0) {
        shown--;
    }
    put(writer, last | 2u << 1, 3);
    put(writer, literals - LITERALS, 5);
    put(writer, 0, 5);
    put(writer, MAX_OF(shown, 4u) - 4, 4);
    flush(writer);
    for (unsigned i = 0; i < MAX_OF(shown, 4u); i++) {
        put(writer, small.lengths[order[i]], 3);
        flush(writer);
    }
    for (unsigned i = 0; i < packed.count; i++) {
        const unsigned symbol = packed.symbols[i];

        put_symbol(writer, &small, symbol);
        put(writer, packed.extra[i], extra_bits(symbol));
        flush(writer);
    }
}

/** Bytes of the block's data when coded, without its header. */
static uint64_t coded_bytes(const struct deflate_runs *encoder)
{
    uint64_t bits = 0;

    for (unsigned symbol = 0; symbol < SYMBOLS; symbol++) {
        const unsigned length = symbol < LITERALS ? 0 : symbol - LITERALS;
        const unsigned extra = symbol < LITERALS ? 0 : length < 8 || length == 28 ? 1 : length / 4;

        bits += (uint64_t)encoder->symbols[symbol] * (encoder->code.lengths[symbol] + extra);
    }
    return bits / 8 + 1;
}

static void put_stored(struct writer *writer, const uint8_t *at, size_t len, bool last)
{
    do {
        const size_t piece = MIN_OF(len, (size_t)STORED_MAX);

        put(writer, last && piece == len, 3);
        put(writer, 0, (8 - writer->count % 8) % 8);
        put(writer, piece | (~piece & 0xFFFF) << 16, 32);
        flush(writer);
        memcpy(writer->at, at, piece);
        writer->at += piece;
        at += piece;
        len -= piece;
    } while (len > 0);
}

static void put_block(struct deflate_runs *encoder, const uint8_t *from, const uint8_t *at,
                      size_t len, bool last, struct writer *writer)
{
    const struct code *code = &encoder->code;
    const uint8_t *literals = at;

    encoder->pair_count = 0;
    memset(encoder->counts, 0, sizeof(encoder->counts));
    memset(encoder->symbols, 0, sizeof(encoder->symbols));
    cut(encoder, from, at, at + len);
    for (unsigned byte = 0; byte < 256; byte++) {
        encoder->symbols[byte] = encoder->counts[0][byte] + encoder->counts[1][byte] +
                                 encoder->counts[2][byte] + encoder->counts[3][byte];
    }
    encoder->symbols[END] = 1;
    make_code(encoder->symbols, SYMBOLS, CODE_BITS, &encoder->code);
    if (coded_bytes(encoder) + SYMBOLS >= len) { /* a header is smaller than that */
        put_stored(writer, at, len, last);
        return;
    }
    put_header(writer, code, last);
    for (size_t i = 0; i < encoder->pair_count; i++) {
        const struct pair *pair = &encoder->pairs[i];

        put_literals(writer, code, literals, pair->literals);
        put_run(writer, encoder, pair->run);
        literals += pair->literals + pair->run;
    }
    put_symbol(writer, code, END);
    flush(writer);
}

size_t deflate_runs_bound(size_t len)
{
    /* Stored pieces and their heads, the stream's own head and tail, and what flush() writes over.
     */
    return len + 6 * (len / STORED_MAX + len / BLOCK + 2) + 32;
}

size_t deflate_runs(struct deflate_runs *encoder, const uint8_t *from, size_t len, uint8_t *to)
{
    const uint32_t adler = libdeflate_adler32(1, from, len);
    struct writer writer = {.at = to};
    size_t at = 0;

    put(&writer, 0x0178, 16); /* deflate with a window of 32 KiB, made fast */
    flush(&writer);
    do {
        const size_t some = MIN_OF(len - at, BLOCK);

        put_block(encoder, from, from + at, some, at + some == len, &writer);
        at += some;
    } while (at < len);
    put(&writer, 0, (8 - writer.count % 8) % 8);
    put(&writer, __builtin_bswap32(adler), 32);
    flush(&writer);
    return (size_t)(writer.at - to);
}
