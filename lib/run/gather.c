#include "lib/run/gather.h"

#include <assert.h>
#include <stdbool.h>

#include "lib/base/mem.h"

struct gather_point {
    struct gather *gather;
    struct gather_point *next;
    loop_fn *go;
    void *arg;
    struct loop_timer *timer; /**< Armed from the first want until it goes. */
    unsigned wanted;
    bool ripe; /**< It may go, as soon as it can. */
};

struct gather {
    struct loop *loop;
    int64_t wait_ms;
    struct gather_point *first;
    unsigned at_work, wanted; /**< `wanted`: of all points. */
    bool due;                 /**< A deferred go_ripe() is on its way. */
};

struct gather *gather_new(struct loop *loop, int64_t wait_ms)
{
    struct gather *gather = mem_new(struct gather);

    gather->loop = loop;
    gather->wait_ms = wait_ms;
    return gather;
}

void gather_free(struct gather *gather)
{
    if (gather != NULL) {
        assert(gather->first == NULL && !gather->due);
        free(gather);
    }
}

static void go_ripe(void *arg)
{
    struct gather *gather = arg;
    struct gather_point *next;

    gather->due = false;
    for (struct gather_point *point = gather->first; point != NULL; point = next) {
        next = point->next;
        if (point->ripe && point->wanted > 0) {
            point->go(point->arg);
        }
    }
}

static void go_soon(struct gather *gather)
{
    if (!gather->due) { /* deferred, so that what is wanted in one go is done at once */
        gather->due = true;
        loop_defer(gather->loop, go_ripe, gather);
    }
}

/** Whether there is nobody left to wait for. */
static void judge(struct gather *gather)
{
    if (gather->wanted == 0 ||
        (gather->at_work >= GATHER_SIBLINGS && gather->wanted < gather->at_work)) {
        return;
    }
    for (struct gather_point *point = gather->first; point != NULL; point = point->next) {
        point->ripe = point->ripe || point->wanted > 0;
    }
    go_soon(gather);
}

static void on_waited(void *arg)
{
    struct gather_point *point = arg;

    point->ripe = true;
    go_soon(point->gather);
}

void gather_at_work(struct gather *gather, unsigned count)
{
    if (gather->at_work != count) {
        gather->at_work = count;
        judge(gather);
    }
}

struct gather_point *gather_point_new(struct gather *gather, loop_fn *go, void *arg)
{
    struct gather_point *point = mem_new(struct gather_point);

    *point = (struct gather_point){.gather = gather, .next = gather->first, .go = go, .arg = arg};
    point->timer = loop_timer_new(gather->loop, on_waited, point);
    gather->first = point;
    return point;
}

void gather_point_free(struct gather_point *point)
{
    struct gather_point **link;

    if (point == NULL) {
        return;
    }
    assert(point->wanted == 0);
    for (link = &point->gather->first; *link != point; link = &(*link)->next) {
    }
    *link = point->next;
    loop_timer_free(point->timer);
    free(point);
}

void gather_want(struct gather_point *point)
{
    struct gather *gather = point->gather;

    gather->wanted++;
    if (point->wanted++ == 0 && gather->at_work >= GATHER_SIBLINGS) {
        loop_timer_arm(point->timer, point->gather->wait_ms);
    }
    judge(gather);
}

void gather_took(struct gather_point *point, unsigned count)
{
    assert(count <= point->wanted);
    point->wanted -= count;
    point->gather->wanted -= count;
    if (point->wanted == 0) {
        point->ripe = false;
        loop_timer_disarm(point->timer);
    }
}

void gather_again(struct gather_point *point)
{
    if (point->ripe && point->wanted > 0) {
        go_soon(point->gather);
    }
}
