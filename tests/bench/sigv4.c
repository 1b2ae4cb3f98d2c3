/** @file
 * What a signature costs with a kept key: `sigv4 [COUNT]`. The request is a ranged, pinned GET of
 * S3, as the daemon sends most of.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/aws/sigv4.h"
#include "lib/base/mem.h"

int main(int argc, char **argv)
{
    const struct sigv4_pair query = {"versionId", "L4kqtJlcpXroDTDmpUMLUo"},
                            headers[] = {
                                {"host", "sevir-raw.s3.eu-central-1.amazonaws.com"},
                                {"if-match", "\"9b2cf535f27731c974343645a3985328\""},
                                {"range", "bytes=4194304-5242879"},
                                {"x-amz-content-sha256", SIGV4_UNSIGNED_PAYLOAD},
                                {"x-amz-date", "20130524T000000Z"},
                            };
    const struct sigv4_request request = {"GET",
                                          "/data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0630.h5",
                                          &query,
                                          1,
                                          headers,
                                          ARRAY_LEN(headers),
                                          SIGV4_UNSIGNED_PAYLOAD};
    const struct sigv4_scope scope = {.access_key_id = "AKIAIOSFODNN7EXAMPLE",
                                      .secret_access_key =
                                          "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                      .region = "eu-central-1",
                                      .service = "s3",
                                      .time_s = 1369353600,
                                      .s3_path = true};
    scoped(strbuf_done) struct strbuf authorization = {0};
    struct sigv4_key key = {0};
    uint64_t count = 200000;
    clock_t took;

    if (argc > 1 && (!str_to_u64(argv[1], &count) || count == 0)) {
        fprintf(stderr, "usage: %s [COUNT]\n", argv[0]);
        return 2;
    }
    took = clock();
    for (uint64_t i = 0; i < count; i++) {
        sigv4_authorization(&request, &scope, &key, NULL, &authorization);
    }
    took = clock() - took;
    printf("%.2f us of processor a signature (%" PRIu64 ")\n",
           (double)took * 1e6 / CLOCKS_PER_SEC / (double)count, count);
    return 0;
}
