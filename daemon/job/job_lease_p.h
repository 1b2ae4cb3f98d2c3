/** @file
 * Private to the claims: job_lease.c has ours, job_sweep.c removes those of daemons that died,
 * job_lease_text.c knows what one looks like.
 */
#pragma once

#include "daemon/job/job_lease.h"

#define LEASE_TAKE 20

struct lease;
struct sweep;

/** What a claim says; "?" and 0 where it does not. */
struct lease_claim {
    char owner[64], who[JOB_LEASE_WHO], take[LEASE_TAKE];
    int64_t since_ms, lease_ms;
};

struct job_leases {
    struct services *services;
    char *owner, *who;
    bool proven; /**< The store refuses what a condition forbids. */
    struct lease *first;
    struct loop_timer *timer;
    struct sweep *sweep; /**< NULL: none is under way. */
    bool sweep_again;    /**< It was asked for while one was. */
    bool quiet;          /**< No more of them. */
};

/** The server's clock, as far as we know it: it dates the claims. */
int64_t lease_now_ms(const struct job_leases *leases);
/** Take over the claim on `key`, which `seen` is, and remove it: when it is a dead daemon's and
 * nobody here has to do with the object. `done` later, whatever came of it. */
void lease_sweep(struct job_leases *leases, const char *key, const struct store_object *seen,
                 loop_fn *done, void *arg);

/* ---- job_lease_text.c: pure */

/** The members of a claim that stay, as JSON without braces; the caller frees. */
char *lease_describe(const struct job *job);
/** One that nobody can read is somebody's all the same, until it is too old. */
void lease_read(const char *bytes, size_t len, struct lease_claim *ret_claim);
