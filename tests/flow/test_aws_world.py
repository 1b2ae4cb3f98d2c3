"""The worlds that the AWS tests live in are what they say: boto3's own words, and its refusals."""

import json
import os

import pytest
from botocore.exceptions import ClientError

from aws_world import ENVELOPES

ODD_KEYS = ["plain", "a=b/c", "sp ace", "pl+us", "perc%41", "ümlaut", "a&b", "star*", "q?x", "hash#", "(')!", "~"]


def code(error):
    return error.value.response["Error"]["Code"]


def refused(do, *codes):
    with pytest.raises(ClientError) as error:
        do()
    assert code(error) in codes or any(code in str(error.value) for code in codes), error.value


def test_any_key_is_taken_that_is_signed(world):
    world.bucket("raw")
    for key in ODD_KEYS:
        world.put("raw", key, key.encode())
    assert world.objects("raw") == {key: key.encode() for key in ODD_KEYS}
    assert world.keys("raw", "a=") == ["a=b/c"]


@pytest.mark.parametrize("service, call", [
    ("s3", lambda c: c.put_object(Bucket="raw", Key="a=b", Body=b"x")),
    ("s3", lambda c: c.list_objects_v2(Bucket="raw", Prefix="a=")),
    ("sqs", lambda c: c.list_queues()),
    ("sns", lambda c: c.list_topics()),
])  # fmt: skip
def test_another_secret_is_refused(world, service, call):
    world.bucket("raw")
    call(world.client(service))
    refused(lambda: call(world.client(service, world.key_id, "another")), "SignatureDoesNotMatch")


def test_a_body_that_is_not_what_was_signed_is_refused(world):
    world.bucket("raw")
    client = world.client("s3", world.key_id, world.secret)

    def change(request, **_):
        request.body = b"another!"

    client.meta.events.register("before-send.s3.PutObject", change)
    put = lambda: client.put_object(Bucket="raw", Key="k", Body=b"original", ChecksumAlgorithm="SHA256")  # noqa: E731
    refused(put, "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch")


def test_a_roles_token_is_checked(world):
    arn = world.role("reader") if hasattr(world, "role") else "arn:aws:iam::123456789012:role/reader"
    got = world.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    key = [got["AccessKeyId"], got["SecretAccessKey"]]
    world.bucket("raw")
    world.client("s3", *key, got["SessionToken"]).put_object(Bucket="raw", Key="k", Body=b"x")
    put = lambda: world.client("s3", *key, "another").put_object(Bucket="raw", Key="k", Body=b"x")  # noqa: E731
    refused(put, "InvalidToken", "InvalidAccessKeyId")


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_queue_hears_of_a_bucket_in_its_envelope(world, envelope):
    queue = world.pipe("raw", envelope)
    world.take(queue)  # s3:TestEvent
    world.put("raw", "a=b/c d", b"12345")
    bodies = [json.loads(body) for body in world.take(queue)]
    assert bodies
    for body in bodies:
        if envelope == "sns":
            body = json.loads(body["Message"])
        if envelope == "eventbridge":
            assert body["detail"]["object"]["key"] == "a=b/c d"
        else:
            (record,) = body["Records"]
            assert record["s3"]["object"]["key"] in ("a%3Db%2Fc+d", "a%3Db/c+d")
            assert record["s3"]["object"]["size"] == 5
    assert world.is_empty(queue) and world.is_empty(queue.dead)


def test_what_is_received_too_often_goes_to_the_dead_letters(world):
    queue = world.queue(receives=1, visibility_s=0)
    world.send(queue, "hello")
    sqs = world.client("sqs")
    assert sqs.receive_message(QueueUrl=queue.url)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue.url)
    assert world.take(queue.dead) == ["hello"]


def test_listings_come_in_pages_and_folders(world):
    world.bucket("raw")
    for key in ("a/1", "a/2", "b", "c/1", "é"):
        world.put("raw", key, b"x")
    s3 = world.client("s3")
    for size in (1, 2, 3, 10):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket="raw", Delimiter="/", PaginationConfig={"PageSize": size}
        )
        keys, folders = [], []
        for page in pages:
            keys += [found["Key"] for found in page.get("Contents", ())]
            folders += [found["Prefix"] for found in page.get("CommonPrefixes", ())]
        assert keys == ["b", "é"] and folders == ["a/", "c/"], size
    after = s3.list_objects_v2(Bucket="raw", StartAfter="a/1", MaxKeys=2)
    assert [found["Key"] for found in after["Contents"]] == ["a/2", "b"] and after["IsTruncated"]


def test_ranges_and_conditions_hold(world):
    world.bucket("raw")
    etag = world.put("raw", "k", b"0123456789")["ETag"]
    s3 = world.client("s3")

    def get(**options):
        return s3.get_object(Bucket="raw", Key="k", **options)

    assert get(Range="bytes=2-4")["Body"].read() == b"234"
    assert get(Range="bytes=8-99")["ContentRange"] == "bytes 8-9/10"
    assert get(Range="bytes=-2", IfMatch=etag)["Body"].read() == b"89"
    refused(lambda: get(Range="bytes=10-"), "InvalidRange")
    refused(lambda: get(IfMatch='"other"'), "PreconditionFailed")
    refused(lambda: get(IfNoneMatch=etag), "304")
    put = lambda **options: s3.put_object(Bucket="raw", Key="k", Body=b"x", **options)  # noqa: E731
    refused(lambda: put(IfNoneMatch="*"), "PreconditionFailed")


def test_parts_become_an_object(world):
    world.bucket("raw")
    s3, body = world.client("s3"), os.urandom(5 << 20)
    world.put("raw", "other", b"0123456789")
    upload = {"Bucket": "raw", "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    etags = [s3.upload_part(**upload, PartNumber=1, Body=body)["ETag"]]
    copied = s3.upload_part_copy(
        **upload, PartNumber=2, CopySource={"Bucket": "raw", "Key": "other"}, CopySourceRange="bytes=2-4"
    )
    etags.append(copied["CopyPartResult"]["ETag"])
    assert world.uploads("raw") == ["k"]
    assert [part["Size"] for part in s3.list_parts(**upload)["Parts"]] == [5 << 20, 3]
    wrong = [{"PartNumber": 1, "ETag": '"0"'}]
    refused(lambda: s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": wrong}), "InvalidPart")
    parts = [{"PartNumber": n + 1, "ETag": etag} for n, etag in enumerate(etags)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert world.get("raw", "k") == body + b"234" and world.uploads("raw") == []
    s3.copy_object(Bucket="raw", Key="a=c", CopySource={"Bucket": "raw", "Key": "k"})
    assert world.get("raw", "a=c") == body + b"234"
    s3.delete_objects(Bucket="raw", Delete={"Objects": [{"Key": "k"}, {"Key": "a=c"}, {"Key": "none"}]})
    assert world.keys("raw") == ["other"]


def test_versions_are_kept(world):
    world.bucket("raw", versioned=True)
    first = world.put("raw", "k", b"1")["VersionId"]
    world.put("raw", "k", b"2")
    world.delete("raw", "k")
    assert world.keys("raw") == []
    got = world.client("s3").get_object(Bucket="raw", Key="k", VersionId=first)
    assert got["Body"].read() == b"1"


def test_the_fake_refuses_stale_handles_and_ends_leases(fake):
    queue, sqs = fake.queue(visibility_s=30), fake.client("sqs")
    fake.send(queue, "hello")

    def receive():
        (message,) = sqs.receive_message(QueueUrl=queue.url, WaitTimeSeconds=5)["Messages"]
        return message["ReceiptHandle"]

    first = receive()
    assert fake.counts(queue) == (0, 1, 0)
    fake.ask("clock", {"advance_s": 31})
    assert fake.counts(queue) == (1, 0, 0)
    change = {"QueueUrl": queue.url, "ReceiptHandle": first, "VisibilityTimeout": 60}
    refused(lambda: sqs.change_message_visibility(**change), "MessageNotInflight")
    second = receive()
    refused(lambda: sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=first), "ReceiptHandleIsInvalid")
    fake.ask("clock", {"advance_s": 43195 - 29})
    fake.send(queue, "other")
    change = {"QueueUrl": queue.url, "ReceiptHandle": second, "VisibilityTimeout": 60}
    refused(lambda: sqs.change_message_visibility(**change), "MessageNotInflight")
    entries = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate((first, second))]
    answer = sqs.delete_message_batch(QueueUrl=queue.url, Entries=entries)
    assert [e["Id"] for e in answer["Failed"]] == ["0"] and [e["Id"] for e in answer["Successful"]] == ["1"]


def test_the_fake_knows_the_twelve_hours(fake):
    queue, sqs = fake.queue(visibility_s=43200), fake.client("sqs")
    fake.send(queue, "hello")
    (message,) = sqs.receive_message(QueueUrl=queue.url)["Messages"]
    fake.ask("clock", {"advance_s": 43000})
    change = {"QueueUrl": queue.url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**change, VisibilityTimeout=190)
    refused(lambda: sqs.change_message_visibility(**change, VisibilityTimeout=43200), "InvalidParameterValue")


def test_the_fake_spells_events_as_aws_does(fake):
    queue = fake.pipe("raw", "eventbridge")
    fake.client("s3").put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Enabled"})
    put = [fake.put("raw", "a b", body) for body in (b"1", b"22")]
    first, second = [json.loads(body)["detail"]["object"] for body in fake.take(queue)]
    assert first["version-id"] == put[0]["VersionId"] and second["etag"] == put[1]["ETag"].strip('"')
    assert first["sequencer"] < second["sequencer"] and second["size"] == 2


def test_held_notifications_come_twice_and_in_any_order(fake):
    queue = fake.pipe("raw")
    assert [json.loads(body)["Event"] for body in fake.take(queue)] == ["s3:TestEvent"]
    fake.ask("hold")
    for n in range(20):
        fake.put("raw", f"{n:02}", b"x")
    assert fake.take(queue) == []
    assert fake.ask("release", {"duplicate": 0.1, "shuffle": True}) == 22
    keys = [json.loads(body)["Records"][0]["s3"]["object"]["key"] for body in fake.take(queue)]
    assert len(keys) == 22 and len(set(keys)) == 20 and keys != sorted(keys)


def test_the_fakes_clock_is_held_against_ours(fake):
    fake.bucket("raw")
    fake.ask("clock", {"skew_s": 3600})
    s3 = fake.client("s3", fake.key_id, fake.secret)
    refused(lambda: s3.list_objects_v2(Bucket="raw"), "RequestTimeTooSkewed")


def test_a_presigned_address_of_botocores_is_good_and_no_other(fake):
    import requests

    fake.bucket("raw")
    fake.put("raw", "a=b c", b"hello")
    from botocore.config import Config
    import boto3

    s3 = boto3.client("s3", endpoint_url=fake.endpoint, region_name="us-east-1",
                      aws_access_key_id=fake.key_id, aws_secret_access_key=fake.secret,
                      config=Config(signature_version="s3v4"))  # fmt: skip
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "raw", "Key": "a=b c"})
    assert requests.get(url, timeout=30).content == b"hello"
    assert requests.get(url.replace("c?", "d?"), timeout=30).status_code == 403
    assert requests.get(fake.endpoint + "/raw/a=b%20c", timeout=30).status_code == 403
    fake.ask("public", {"bucket": "raw"})
    assert requests.get(fake.endpoint + "/raw/a=b%20c", timeout=30).content == b"hello"


def test_a_bucket_elsewhere_says_where(fake):
    s3 = fake.client("s3")
    s3.create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="far", Key="k", Body=b"x")  # boto3 goes there by itself
    assert [entry["status"] for entry in fake.requests("s3.PutObject")] == [400, 200]


KINDS = {
    "error": "SlowDown", "reset": "ConnectionClosed", "reset-after": "ConnectionClosed",
    "reset-body": "ResponseStreaming", "truncate": "IncompleteRead", "short": "", "long": "",
    "flip": "", "garbage": "", "redirect": "eu-west-1", "slow": "",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_strikes_when_it_is_told_to(fake, kind):
    import botocore.exceptions as known

    fake.bucket("raw")
    body = b"0123456789"
    fake.put("raw", "k", body)
    fake.put("raw", "other", body)
    fault = {"kind": kind, "code": "SlowDown", **({"status": 301} if kind == "redirect" else {})}
    fake.faults({"operation": "GetObject", "key": "^k$", "nth": 2, "fault": fault})
    s3 = fake.client("s3", fake.key_id, fake.secret)
    s3.meta.events.unregister("needs-retry.s3", unique_id="retry-config-s3")  # no second try

    def get(key="k"):
        try:
            return s3.get_object(Bucket="raw", Key=key)["Body"].read()
        except (ClientError, known.BotoCoreError, known.HTTPClientError) as error:
            return f"{type(error).__name__}: {error}"

    assert get() == body and get("other") == body
    struck = get()
    assert struck != body if kind != "slow" else struck == body
    if KINDS[kind]:
        assert isinstance(struck, str) and KINDS[kind] in struck
    assert get() == body
    assert fake.struck() == {f"s3.GetObject.{kind}": 1}
