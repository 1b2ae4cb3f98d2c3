/** @file
 * Clocks, and UTC times as SEVIR and the logs write them.
 *
 * Thread:     any.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NOW_TEXT 32

/** Milliseconds since 1970 UTC. Moves with the system's clock: for records, not for waiting. */
int64_t now_wall_ms(void);
/** Monotonic; for durations. */
int64_t now_mono_ms(void);
int64_t now_mono_us(void);

/** "YYYY-MM-DD HH:MM:SS" of `epoch_s` (UTC; years 0001 to 9999). */
void now_format_utc(int64_t epoch_s, char ret_text[NOW_TEXT]);
/** "2019-05-12T18:30:00.123Z". */
void now_format_iso_ms(int64_t epoch_ms, char ret_text[NOW_TEXT]);
/** Exactly "YYYY-MM-DD HH:MM:SS" (or 'T' in the middle, with or without final 'Z'), a real date. */
bool now_parse_utc(const char *text, int64_t *ret_epoch_s);
/** Proleptic Gregorian calendar, UTC; `ret_month` and `ret_day` count from 1. Any may be NULL. */
void now_civil(int64_t epoch_s, int *ret_year, int *ret_month, int *ret_day);
