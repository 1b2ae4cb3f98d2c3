/** @file
 * What a sighting means. Pure.
 *
 * Notifications come late and out of order, so they are ordered by sequencer, else by time. A
 * source that looks at the store (a listing, a watch) shows what is there: when that is older than
 * what is known, it may be a page that was read before the newer version came, or somebody put an
 * old file back (`cp -p`, `mv`). So it is not believed at first; a store that shows it again is
 * telling the truth.
 */
#include <string.h>

#include "daemon/intake/intake_p.h"
#include "lib/store/uri.h"

const char *sighting_source_name(enum sighting_source source)
{
    static const char *const names[] = {
#define X(name, text) [SIGHTING_##name] = text,
        SIGHTING_SOURCE_MAP(X)
#undef X
    };

    return names[source];
}

const char *sighting_outcome_name(enum sighting_outcome outcome)
{
    static const char *const names[] = {
#define X(name, text) [OUTCOME_##name] = text,
        SIGHTING_OUTCOME_MAP(X)
#undef X
    };

    return names[outcome];
}

int intake_compare_sequencers(const char *a, const char *b)
{
    for (; *a != '\0' || *b != '\0'; a += *a != '\0', b += *b != '\0') {
        const char digit_a = *a != '\0' ? *a : '0', digit_b = *b != '\0' ? *b : '0';
        /* Upper and lower case are one digit. */
        const int order =
            (digit_a >= 'a' ? digit_a - 32 : digit_a) - (digit_b >= 'a' ? digit_b - 32 : digit_b);

        if (order != 0) {
            return order;
        }
    }
    return 0;
}

bool intake_ignores(const char *key)
{
    const size_t len = strlen(key);

    return key[0] == '.' || strstr(key, "/.") != NULL || (len > 0 && key[len - 1] == '/');
}

/** Whether the source looked at the store, rather than being told of something that happened. */
static bool looked(enum sighting_source source)
{
    return source != SIGHTING_SQS;
}

static bool same_version(const char *version, const char *etag, const char *other_version,
                         const char *other_etag)
{
    if (version[0] != '\0' && other_version[0] != '\0') {
        return strcmp(version, other_version) == 0;
    }
    return strcmp(etag, other_etag) == 0;
}

bool intake_is_known(const struct intake_known *known, const char *version, const char *etag)
{
    return known->etag[0] != '\0' && same_version(known->version, known->etag, version, etag);
}

static bool both_sequenced(const struct known *known, const struct sighting *sighting)
{
    return known->sequencer[0] != '\0' && sighting->sequencer[0] != '\0';
}

/** By sequencer; 0 where one has none, or both have the same, as an emulator's, which is constant:
 * then it is a matter of time. */
static int sequencer_order(const struct known *known, const struct sighting *sighting)
{
    return both_sequenced(known, sighting)
               ? intake_compare_sequencers(sighting->sequencer, known->sequencer)
               : 0;
}

/** The very notice that made the object known, after it was found gone. */
static bool is_repeated(const struct known *known, const struct sighting *sighting)
{
    return both_sequenced(known, sighting) && sequencer_order(known, sighting) == 0 &&
           same_version(known->version, known->etag, sighting->version, sighting->etag) &&
           sighting->modified_ms <= known->modified_ms;
}

/** Whether the sighting's object is older than the one known. S3's listings cut times to the
 * second, its notifications do not: within that second the one is no older than the other. */
static bool is_older(const struct known *known, const struct sighting *sighting)
{
    const bool whole = looked(sighting->source) && sighting->modified_ms % 1000 == 0;

    return sighting->modified_ms < (whole ? known->modified_ms / 1000 * 1000 : known->modified_ms);
}

/** A message comes to one daemon only. What it tells the end of, another may have published that is
 * not there any more, and then no listing of ours would ever miss it. */
bool intake_may_be_anothers(const struct sighting *sighting, bool shared)
{
    struct err unused;

    return shared && sighting->gone && sighting->source == SIGHTING_SQS &&
           !intake_ignores(sighting->key) && uri_check_key(sighting->key, &unused) == RC_OK;
}

static enum verdict decide_gone(const struct known *known, const struct sighting *sighting,
                                bool shared)
{
    const int order = sequencer_order(known, sighting);

    if (known->id == 0 || !known->live) {
        const bool is_news = known->id == 0 || order > 0 || !both_sequenced(known, sighting);

        return is_news && intake_may_be_anothers(sighting, shared) ? SAYS_GONE : SAYS_UNKNOWN;
    }
    if (order != 0) {
        return order < 0 ? SAYS_OLDER : SAYS_GONE;
    }
    if (!looked(sighting->source) && sighting->event_ms != 0 &&
        sighting->event_ms < known->modified_ms) {
        return SAYS_OLDER;
    }
    return SAYS_GONE;
}

enum verdict intake_decide(const struct known *known, const struct sighting *sighting, bool shared)
{
    if (sighting->gone) {
        return decide_gone(known, sighting, shared);
    }
    if (known->id == 0) {
        return SAYS_NEW;
    }
    if (known->live &&
        same_version(known->version, known->etag, sighting->version, sighting->etag)) {
        /* The same bytes, put again after a deletion perhaps, whose notice is still to come. */
        return intake_compare_sequencers(sighting->sequencer, known->sequencer) > 0 ? SAYS_LATER
                                                                                    : SAYS_NOTHING;
    }
    const int order = sequencer_order(known, sighting);

    if (order != 0) {
        return order > 0 ? SAYS_NEW : SAYS_OLDER;
    }
    if (is_repeated(known, sighting)) {
        return SAYS_NOTHING;
    }
    /* What came back after a deletion is new, whatever its time. */
    if (!known->live || sighting->source == SIGHTING_SUBMIT || !is_older(known, sighting)) {
        return SAYS_NEW;
    }
    if (!looked(sighting->source)) {
        return SAYS_OLDER;
    }
    return known->doubt_etag[0] != '\0' && strcmp(known->doubt_etag, sighting->etag) == 0
               ? SAYS_NEW
               : SAYS_DOUBT;
}
