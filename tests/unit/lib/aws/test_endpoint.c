/** @file
 * Where a call goes; the public names are those that botocore 1.43 makes of the same.
 */
#include "tests/unit.h"

#include "lib/aws/endpoint.h"
#include "lib/base/mem.h"

static const struct {
    struct endpoint_want want;
    const char *url; /**< "" : refused. */
} cases[] = {
#define S3(region, url, bucket, addressing)         \
    {                                               \
        "s3", region, url, bucket, "/k", addressing \
    }
#define AUTO AWS_ADDRESSING_AUTO
#define PATH AWS_ADDRESSING_PATH
#define VIRTUAL AWS_ADDRESSING_VIRTUAL
    /* AWS's own */
    {S3("us-east-1", NULL, "my-bucket", AUTO), "https://my-bucket.s3.us-east-1.amazonaws.com/k"},
    {S3("eu-west-3", "", "my-bucket", AUTO), "https://my-bucket.s3.eu-west-3.amazonaws.com/k"},
    {S3("cn-north-1", NULL, "b-1", AUTO), "https://b-1.s3.cn-north-1.amazonaws.com.cn/k"},
    {S3("us-gov-west-1", NULL, "b-1", AUTO), "https://b-1.s3.us-gov-west-1.amazonaws.com/k"},
    {S3("us-east-1", NULL, "my-bucket", PATH), "https://s3.us-east-1.amazonaws.com/my-bucket/k"},
    {S3("us-east-1", NULL, "my.bucket", AUTO), "https://s3.us-east-1.amazonaws.com/my.bucket/k"},
    {S3("us-east-1", NULL, "my.bucket", VIRTUAL), "https://s3.us-east-1.amazonaws.com/my.bucket/k"},
    {S3("us-east-1", NULL, "Upper_Case", AUTO), "https://s3.us-east-1.amazonaws.com/Upper_Case/k"},
    {S3("us-east-1", NULL, "-edge", AUTO), "https://s3.us-east-1.amazonaws.com/-edge/k"},
    {S3("us-east-1", NULL, NULL, AUTO), "https://s3.us-east-1.amazonaws.com/k"},
    {{"sqs", "eu-north-1", NULL, NULL, "/", AUTO}, "https://sqs.eu-north-1.amazonaws.com/"},
    {{"sts", "us-east-1", NULL, NULL, "/", AUTO}, "https://sts.us-east-1.amazonaws.com/"},
    {{"glue", "cn-north-1", NULL, NULL, "/", AUTO}, "https://glue.cn-north-1.amazonaws.com.cn/"},
    /* another's */
    {S3("us-east-1", "http://127.0.0.1:5000", "my-bucket", AUTO),
     "http://127.0.0.1:5000/my-bucket/k"},
    {S3("us-east-1", "http://localhost:5000/", "my-bucket", AUTO),
     "http://localhost:5000/my-bucket/k"},
    {S3("us-east-1", "http://[::1]:5000", "my-bucket", VIRTUAL), "http://[::1]:5000/my-bucket/k"},
    {S3("us-east-1", "http://10.0.0.1", "my-bucket", VIRTUAL), "http://10.0.0.1/my-bucket/k"},
    {S3("us-east-1", "https://minio.example.com", "my-bucket", AUTO),
     "https://minio.example.com/my-bucket/k"},
    {S3("us-east-1", "https://minio.example.com", "my-bucket", VIRTUAL),
     "https://my-bucket.minio.example.com/k"},
    {S3("us-east-1", "https://minio.example.com", "my.bucket", VIRTUAL),
     "https://minio.example.com/my.bucket/k"},
    {S3("us-east-1", "http://minio:9000", "my.bucket", VIRTUAL), "http://my.bucket.minio:9000/k"},
    {S3("us-east-1", "http://minio:9000", "my..bucket", VIRTUAL), "http://minio:9000/my..bucket/k"},
    {S3("us-east-1", "https://host/base/", "b-1", AUTO), "https://host/base/b-1/k"},
    {S3("us-east-1", "https://host:443", "b-1", AUTO), "https://host/b-1/k"},
    {S3("us-east-1", "http://host:80/", "b-1", AUTO), "http://host/b-1/k"},
    {S3("us-east-1", "https://host:80", "b-1", AUTO), "https://host:80/b-1/k"},
    {S3("us-east-1", "http://host:8080", "b-1", AUTO), "http://host:8080/b-1/k"},
    {{"sqs", "us-east-1", "http://127.0.0.1:5000", NULL, "/", AUTO}, "http://127.0.0.1:5000/"},
    /* none */
    {S3("", NULL, "b-1", AUTO), ""},
    {S3("us-east-1.evil.com/", NULL, "b-1", AUTO), ""},
    {S3("us-east-1", NULL, "", AUTO), ""},
    {S3("us-east-1", NULL, "..", AUTO), ""},
    {S3("us-east-1", NULL, "a/b", AUTO), ""},
    {S3("us-east-1", NULL, "arn:aws:s3:::x", AUTO), ""},
    {S3("us-east-1", NULL, "b\r\nHost: evil", AUTO), ""},
    {S3("us-east-1", "s3.amazonaws.com", "b-1", AUTO), ""},
    {S3("us-east-1", "ftp://host", "b-1", AUTO), ""},
    {S3("us-east-1", "https://", "b-1", AUTO), ""},
    {S3("us-east-1", "https://user:pw@host", "b-1", AUTO), ""},
    {S3("us-east-1", "https://host/?x=y", "b-1", AUTO), ""},
    {S3("us-east-1", "https://ho st", "b-1", AUTO), ""},
};

static void a_call_goes_where_botocore_s_would(void **state)
{
    (void)state;
    scoped(endpoint_done) struct endpoint endpoint = {0};

    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        scoped(free) char *url = NULL;
        struct err err = {0};

        if (endpoint_find(&cases[i].want, &endpoint, &err) != RC_OK) {
            assert_int_equal(err.rc, RC_INVALID);
            assert_null(strstr(err.text, "pw"));
            url = str_dup("");
        } else {
            url = str_printf("http%s://%s%s", endpoint.tls ? "s" : "", endpoint.host,
                             endpoint.path.data);
        }
        if (strcmp(url, cases[i].url) != 0) {
            fail_msg("case %u: '%s' instead of '%s' %s", i, url, cases[i].url, err.text);
        }
    }
}

static void the_longest_names_fit(void **state)
{
    (void)state;
    scoped(endpoint_done) struct endpoint endpoint = {0};
    char bucket[257], host[400] = "https://";
    struct err err;

    memset(bucket, 'a', sizeof(bucket));
    bucket[255] = '\0';
    struct endpoint_want want = S3("us-east-1", NULL, bucket, AUTO);
    assert_int_equal(endpoint_find(&want, &endpoint, &err), RC_OK);
    bucket[255] = 'a';
    bucket[256] = '\0';
    assert_int_equal(endpoint_find(&want, &endpoint, &err), RC_INVALID);
    bucket[63] = '\0';
    memset(host + 8, 'h', 253);
    want = (struct endpoint_want)S3("us-east-1", host, bucket, VIRTUAL);
    assert_int_equal(endpoint_find(&want, &endpoint, &err), RC_OK);
    assert_int_equal(strlen(endpoint.host), 63 + 1 + 253);
    memset(host + 8, 'h', 300);
    assert_int_equal(endpoint_find(&want, &endpoint, &err), RC_INVALID);
}

static void a_queue_s_host_names_its_region(void **state)
{
    (void)state;
    static const char *const queues[][2] = {
        {"https://sqs.eu-west-1.amazonaws.com/123/q", "eu-west-1"},
        {"https://sqs.cn-north-1.amazonaws.com.cn/123/q", "cn-north-1"},
        {"https://ap-south-1.queue.amazonaws.com/123/q", "ap-south-1"},
        {"https://vpce-0a-b.sqs.us-west-2.vpce.amazonaws.com/123/q", "us-west-2"},
        {"https://queue.amazonaws.com/123/q", ""},
        {"http://127.0.0.1:5000/123/q", ""},
        {"https://sqs.eu-west-1.example.com/123/q", ""},
        {"nonsense", ""},
    };

    for (unsigned i = 0; i < ARRAY_LEN(queues); i++) {
        char region[64] = "";

        assert_true(endpoint_region_of(queues[i][0], region, sizeof(region)) ==
                    (queues[i][1][0] != '\0'));
        assert_string_equal(region, queues[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_goes_where_botocore_s_would),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(a_queue_s_host_names_its_region),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
