"""The worlds that the AWS tests live in are what they say: boto3's own words, and its refusals."""

import json

import pytest
from botocore.exceptions import ClientError

from aws_world import ENVELOPES

ODD_KEYS = ["plain", "a=b/c", "sp ace", "pl+us", "perc%41", "ümlaut", "a&b", "star*", "q?x", "hash#", "(')!"]


def code(error):
    return error.value.response["Error"]["Code"]


def test_moto_takes_any_key_that_is_signed(moto):
    moto.bucket("raw")
    for key in ODD_KEYS:
        moto.put("raw", key, key.encode())
    assert moto.objects("raw") == {key: key.encode() for key in ODD_KEYS}
    assert moto.keys("raw", "a=") == ["a=b/c"]


@pytest.mark.parametrize("service, call", [
    ("s3", lambda c: c.put_object(Bucket="raw", Key="a=b", Body=b"x")),
    ("s3", lambda c: c.list_objects_v2(Bucket="raw", Prefix="a=")),
    ("sqs", lambda c: c.list_queues()),
    ("sns", lambda c: c.list_topics()),
])  # fmt: skip
def test_moto_refuses_another_secret(moto, service, call):
    moto.bucket("raw")
    call(moto.client(service))
    with pytest.raises(ClientError) as error:
        call(moto.client(service, moto.key_id, "another"))
    assert code(error) == "SignatureDoesNotMatch" or "SignatureDoesNotMatch" in str(error.value)


def test_moto_refuses_a_body_that_is_not_what_was_signed(moto):
    moto.bucket("raw")
    client = moto.client("s3", moto.key_id, moto.secret)

    def change(request, **_):
        request.body = b"another!"

    client.meta.events.register("before-send.s3.PutObject", change)
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket="raw", Key="k", Body=b"original", ChecksumAlgorithm="SHA256")
    assert code(error) == "SignatureDoesNotMatch"


def test_a_role_of_motos_is_assumed_and_its_token_checked(moto):
    got = moto.client("sts").assume_role(RoleArn=moto.role("reader"), RoleSessionName="me")
    key = got["Credentials"]
    key = [key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"]]
    moto.bucket("raw")
    moto.client("s3", *key).put_object(Bucket="raw", Key="k", Body=b"x")
    with pytest.raises(ClientError) as error:
        moto.client("s3", key[0], key[1], "another").put_object(Bucket="raw", Key="k", Body=b"x")
    assert code(error) in ("InvalidToken", "InvalidAccessKeyId")


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_queue_hears_of_a_bucket_in_its_envelope(moto, envelope):
    queue = moto.pipe("raw", envelope)
    moto.take(queue)  # s3:TestEvent
    moto.put("raw", "a=b/c d", b"12345")
    bodies = [json.loads(body) for body in moto.take(queue)]
    assert bodies
    for body in bodies:
        if envelope == "sns":
            body = json.loads(body["Message"])
        if envelope == "eventbridge":
            assert body["detail"]["object"]["key"] == "a=b/c d"
        else:
            (record,) = body["Records"]
            assert record["s3"]["object"]["key"] in ("a%3Db%2Fc+d", "a=b/c+d")
            assert record["s3"]["object"]["size"] == 5
    assert moto.is_empty(queue) and moto.is_empty(queue.dead)


def test_what_is_received_too_often_goes_to_the_dead_letters(moto):
    queue = moto.queue(receives=1, visibility_s=0)
    moto.send(queue, "hello")
    sqs = moto.client("sqs")
    assert sqs.receive_message(QueueUrl=queue.url)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue.url)
    assert moto.take(queue.dead) == ["hello"]
