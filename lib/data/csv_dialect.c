/** @file
 * Which delimiter a CSV uses: the one that splits its first rows most evenly.
 *
 * A catalog saved by a spreadsheet of a German or French locale has semicolons between fields and
 * commas inside numbers, so the mere number of a character proves nothing: a delimiter must stand
 * in the header, and in the same number in the rows below it.
 */
#include "lib/data/csv.h"

#include <string.h>

#define ROWS_LOOKED_AT 200

struct split {
    unsigned header; /**< Delimiters in the first row. */
    unsigned rows, even;
};

/** Count one delimiter in every row of the sample. A quote opens only where a field begins. */
static struct split split_by(char delimiter, const char *text, size_t len, bool whole)
{
    struct split split = {0};
    unsigned count = 0;
    bool quoted = false, field_begins = true, row_begun = false;

    for (size_t i = 0; i <= len && split.rows < ROWS_LOOKED_AT; i++) {
        bool end = i == len;
        char c = end ? '\n' : text[i];
        if (end && !whole && split.rows > 0) {
            break; /* the last row may be cut */
        }
        if (!end && quoted) {
            quoted = c != '"'; /* a doubled quote closes and opens again at once */
            field_begins = !quoted;
            continue;
        }
        if (c == '\n' || c == '\r') {
            if (row_begun) {
                split.header = split.rows == 0 ? count : split.header;
                split.even += count == split.header;
                split.rows++;
            }
            count = 0;
            row_begun = false;
            field_begins = true;
            continue;
        }
        row_begun = true;
        quoted = c == '"' && field_begins;
        field_begins = c == delimiter;
        count += c == delimiter;
    }
    return split;
}

char csv_detect_delimiter(const char *text, size_t len, bool whole)
{
    static const char candidates[] = {',', ';', '\t', '|'};
    char best = ',';
    double best_score = 0;

    for (unsigned i = 0; i < sizeof(candidates); i++) {
        struct split split = split_by(candidates[i], text, len, whole);
        double even = split.rows > 0 ? (double)split.even / split.rows : 0;
        double score = even * even * split.header;
        if (score > best_score) {
            best_score = score;
            best = candidates[i];
        }
    }
    return best;
}
