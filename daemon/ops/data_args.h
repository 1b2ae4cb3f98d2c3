/** @file
 * What a chart is asked with: the arguments of /v1/data's query, read and checked.
 *
 * Thread:     any.
 * Ownership:  the strings of what was read are the request's.
 */
#pragma once

#include "daemon/catalog/catalog_charts.h"
#include "lib/net/http_server.h"

#define DATA_MOST_ROWS 100000

/** Of an argument that is there twice the first counts, except of `event_type`; one that means
 * nothing here is left alone. RC_INVALID names the argument that is wrong. */
enum rc data_args_read(const struct http_pair *args, unsigned count,
                       struct catalog_chart_args *ret_args, struct err *err);
