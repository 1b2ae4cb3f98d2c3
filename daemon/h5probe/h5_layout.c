/** @file
 * The layout of an open file: groups wait in a queue, so nesting costs no stack; a group enters it
 * once, by address, so cycles end.
 */
#include "daemon/h5probe/h5_layout.h"

#include <stdlib.h>
#include <string.h>

/* The default one falls through its cases, which clang warns about. */
#define HASH_FUNCTION(key, len, hash) HASH_SAX(key, len, hash)
#include <uthash.h>

#include "daemon/h5probe/h5_attrs.h"
#include "daemon/h5probe/h5_dataset.h"
#include "daemon/h5probe/h5_driver.h"
#include "lib/base/mem.h"
#include "lib/h5/h5_wire.h"

struct group {
    haddr_t address;
    unsigned depth;
    char *path; /**< "" for the root, else "a/b". */
    struct group *next;
    UT_hash_handle hh; /**< In walk->seen, by address. */
};

struct walk {
    hid_t file;
    struct group *seen;
    struct group *first, **last; /**< Still to be entered. */
    struct group *at;            /**< Being entered. */
    unsigned groups;
    uint64_t links;
    uint64_t chunk_budget;
    struct layout_dataset *datasets;
    uint32_t dataset_count, dataset_room;
    uint32_t skipped;
    struct err *err; /**< Set when `failed`. */
    bool failed;
};

static enum rc push_group(struct walk *walk, haddr_t address, unsigned depth, char *path)
{
    struct group *group;

    HASH_FIND(hh, walk->seen, &address, sizeof(address), group);
    if (group != NULL || depth > H5_LAYOUT_DEPTH_MAX) {
        walk->skipped++;
        free(path);
        return RC_OK;
    }
    if (walk->groups++ >= H5_LAYOUT_GROUPS_MAX) {
        free(path);
        return err_set(walk->err, RC_LIMIT, "more than %d groups", H5_LAYOUT_GROUPS_MAX);
    }
    group = mem_new(struct group);
    *group = (struct group){.address = address, .depth = depth, .path = path};
    HASH_ADD(hh, walk->seen, address, sizeof(group->address), group);
    *walk->last = group;
    walk->last = &group->next;
    return RC_OK;
}

static enum rc add_dataset(struct walk *walk, hid_t id, char *path)
{
    struct layout_dataset dataset;
    enum rc rc;

    if (walk->dataset_count >= LAYOUT_DATASETS_MAX) {
        free(path);
        return err_set(walk->err, RC_LIMIT, "more than %d datasets", LAYOUT_DATASETS_MAX);
    }
    rc = h5_dataset_describe(id, &dataset, &walk->chunk_budget, walk->err);
    if (rc == RC_UNSUPPORTED) {
        walk->skipped++;
        free(path);
        return RC_OK;
    }
    if (rc != RC_OK) {
        rc = err_wrap(walk->err, "dataset '%.80s'", path);
        free(path);
        return rc;
    }
    if (walk->dataset_count == walk->dataset_room) {
        walk->dataset_room = MAX_OF(64u, walk->dataset_room * 2);
        walk->datasets = mem_resize(walk->datasets, walk->dataset_room, sizeof(dataset));
    }
    dataset.name = path;
    walk->datasets[walk->dataset_count++] = dataset;
    return RC_OK;
}

/** The object that a hard link leads to: whatever kind it is. */
static enum rc visit(struct walk *walk, haddr_t address, char *path)
{
    const hid_t id = H5Oopen_by_addr(walk->file, address);
    enum rc rc = RC_OK;

    if (id < 0) {
        rc = h5_driver_err(walk->err, "open '%.80s'", path);
        free(path);
        return rc;
    }
    switch (H5Iget_type(id)) {
    case H5I_GROUP:
        rc = push_group(walk, address, walk->at->depth + 1, path);
        break;
    case H5I_DATASET:
        rc = add_dataset(walk, id, path);
        break;
    default: /* a named datatype: nothing to read */
        free(path);
        break;
    }
    H5Oclose(id);
    return rc;
}

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *arg)
{
    struct walk *walk = arg;
    const char *parent = walk->at->path;
    char *path;

    if (walk->links++ >= H5_LAYOUT_LINKS_MAX) {
        err_set(walk->err, RC_LIMIT, "more than %d links", H5_LAYOUT_LINKS_MAX);
        walk->failed = true;
        return -1;
    }
    if (info->type != H5L_TYPE_HARD) {
        walk->skipped++;
        return 0;
    }
    path = parent[0] == '\0' ? str_dup(name) : str_printf("%s/%s", parent, name);
    if (!layout_name_ok(path, strlen(path))) {
        walk->skipped++;
        free(path);
        return 0;
    }
    if (visit(walk, info->u.address, path) != RC_OK) {
        walk->failed = true;
        return -1;
    }
    return 0;
}

static enum rc enter_group(struct walk *walk)
{
    const hid_t id = H5Oopen_by_addr(walk->file, walk->at->address);
    herr_t result;

    if (id < 0) {
        return h5_driver_err(walk->err, "open group '/%.80s'", walk->at->path);
    }
    result = H5Literate(id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, on_link, walk);
    if (result < 0) {
        return walk->failed ? walk->err->rc
                            : h5_driver_err(walk->err, "list group '/%.80s'", walk->at->path);
    }
    H5Oclose(id);
    return RC_OK;
}

static enum rc read_root(struct walk *walk, struct layout *layout)
{
    H5O_info_t info;
    hid_t root = H5Gopen2(walk->file, "/", H5P_DEFAULT);

    if (root < 0 || H5Oget_info2(root, &info, H5O_INFO_BASIC) < 0) {
        return h5_driver_err(walk->err, "open the root group");
    }
    if (h5_attrs_read(root, &layout->attrs, &layout->attr_count, walk->err) != RC_OK) {
        return err_wrap(walk->err, "the root group");
    }
    H5Gclose(root);
    return push_group(walk, info.addr, 0, str_dup(""));
}

enum rc h5_layout_read(hid_t file, uint64_t file_size, struct layout *ret_layout, struct err *err)
{
    struct walk walk = {.file = file, .chunk_budget = H5_WIRE_CHUNKS_MAX, .err = err};
    struct layout layout = {.file_size = file_size};
    enum rc rc;

    walk.last = &walk.first;
    rc = read_root(&walk, &layout);
    while (rc == RC_OK && walk.first != NULL) {
        walk.at = walk.first;
        walk.first = walk.at->next;
        if (walk.first == NULL) {
            walk.last = &walk.first;
        }
        rc = enter_group(&walk);
    }
    if (rc != RC_OK) {
        return rc;
    }
    layout.dataset_count = walk.dataset_count;
    layout.datasets = walk.datasets;
    layout.skipped = walk.skipped;
    *ret_layout = layout;
    return RC_OK;
}
