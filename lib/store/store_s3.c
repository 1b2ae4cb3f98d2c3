/** @file
 * A bucket, or what lies under a prefix of one.
 */
#include "lib/store/store.h"

enum rc store_s3_new(struct loop *loop, struct work *work, struct uri *uri, struct aws *aws,
                     struct store **ret_store, struct err *err)
{
    scoped(uri_free) struct uri *owned = uri;

    (void)loop, (void)work, (void)aws, (void)ret_store;
    return err_set(err, RC_UNSUPPORTED, "store 's3://%s': only file stores are built in",
                   uri->bucket);
}
