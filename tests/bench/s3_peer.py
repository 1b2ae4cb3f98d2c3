"""boto3 at work, for s3_bench.py: `s3_peer.py ENDPOINT put|get|copy|list|receive|upload|download ...`"""

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

endpoint, what, *words = sys.argv[1:]
conf = Config(max_pool_connections=16, s3={"addressing_style": "path"})


def client(service):
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", config=conf)


def each(do, count):
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(do, [f"k{n:08d}" for n in range(count)]))


if what == "receive":
    sqs, queue, done = client("sqs"), endpoint + "/123456789012/queue", 0
    while done < int(words[0]):
        got = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)]
        sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        done += len(got)
    sys.exit()
s3, bucket = client("s3"), words[0]
if what == "list":
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    print(sum(len(page.get("Contents", ())) for page in pages))
elif what == "upload":
    s3.upload_file(words[1], bucket, "large")
elif what == "download":
    s3.download_file(bucket, "large", words[1])
else:
    count, size = int(words[1]), int(words[2])
    body = b"\0" * size
    if what == "put":
        each(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=io.BytesIO(body)), count)
    elif what == "get":
        each(lambda key: s3.get_object(Bucket=bucket, Key=key)["Body"].read(), count)
    else:
        source = lambda key: {"Bucket": bucket, "Key": key}  # noqa: E731
        each(lambda key: s3.copy_object(Bucket=bucket + "-copy", Key=key, CopySource=source(key)), count)
