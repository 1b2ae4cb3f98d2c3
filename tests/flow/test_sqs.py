"""Queues as a source: a daemon, moto's S3, SQS, SNS and EventBridge, signatures checked."""

import json

import pytest

from aws_world import ENVELOPES


def status_of(daemon):
    return daemon.get("/v1/status")["queues"][0]


def drained(world, queue):
    """For wait_for(): the queue has nothing more, and nothing of it is held."""
    return lambda status: world.is_empty(queue) and status["queues"][0]["held"] == 0


@pytest.fixture
def listened(moto, daemon):
    """A daemon that is told by a queue and lists only once, at its start, when nothing is there."""

    def make(envelope="s3", **options):
        queue = moto.pipe("raw", envelope)
        daemon.configure(sources={"list": {"interval": "0s"}, "settle": "0s"})
        moto.equip(daemon, "raw", "processed", queue)
        sqs = {"queue_url": queue.url, "wait": "1s", "visibility": "30s", **options}
        daemon.configure(sources={**daemon.config["sources"], "sqs": sqs})
        daemon.start()
        daemon.wait_for(lambda status: status["listed"])
        return queue

    return make


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_an_object_told_by_each_envelope_is_done_and_its_message_deleted(
    moto, daemon, listened, envelope
):
    queue = listened(envelope)
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    daemon.wait_for(drained(moto, queue))
    assert moto.is_empty(queue.dead)
    told = {key: value for key, value in daemon.metrics().items() if "sightings_total" in key}
    assert any('source="sqs"' in key and 'outcome="queued"' in key for key in told)
    assert not any('source="list"' in key and 'outcome="queued"' in key for key in told)
    assert any(key.startswith("frames/") for key in moto.keys("processed"))


def test_messages_that_say_nothing_are_acknowledged_and_those_nobody_can_read_are_kept(
    moto, daemon, listened
):
    queue = listened()
    moto.send(queue, {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw"})
    moto.send(queue, "no \x1b[31m JSON".replace("\x1b", "\t"))
    moto.send(queue, {"source": "aws.ec2", "detail-type": "x", "detail": {"a": 1}})
    daemon.wait_for(lambda status: status["queues"][0]["unread"] == 2)
    daemon.wait_for(drained(moto, queue))
    assert moto.is_empty(queue.dead)
    found = json.loads(daemon.ctl("--json", "quarantine", check=0).stdout)
    assert [m["queue"] for m in found["messages"]] == [queue.url] * 2
    assert "ec2" in found["messages"][0]["reason"] and "JSON" in found["messages"][1]["reason"]
    number = found["messages"][1]["id"]
    shown = json.loads(daemon.ctl("--json", "quarantine", "--show", str(number), check=0).stdout)
    assert shown["body"] == "no \t[31m JSON"
    assert "could not be read" in daemon.ctl("quarantine", check=0).stdout
    daemon.ctl("quarantine", "--drop", str(number), check=0)
    daemon.ctl("quarantine", "--show", str(number), check=1)
    assert daemon.get("/v1/status")["queues"][0]["tests"] >= 1
    assert queue.url in daemon.ctl("status", check=0).stdout


def test_a_deletion_that_is_told_retires_what_was_made(moto, daemon, listened):
    queue = listened()
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    key = next(key for key in moto.keys("raw") if key.endswith(".h5"))
    moto.delete("raw", key)
    daemon.wait_for(lambda status: status["jobs"]["RETIRED"] == 1)
    daemon.wait_for(drained(moto, queue))
    assert not any(name.startswith("frames/") for name in moto.keys("processed"))


def test_an_object_that_is_gone_before_its_crawl_ends_without_a_trace(moto, daemon, listened):
    queue = listened()
    daemon.post("/v1/pause")
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2020-01-01T00:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "raw"}, "object": {"key": "none.h5", "size": 9, "eTag": "e"}},
    }
    moto.send(queue, {"Records": [record]})
    daemon.post("/v1/resume")
    daemon.wait_for(lambda status: status["jobs"]["SUPERSEDED"] == 1)
    daemon.wait_for(drained(moto, queue))
    assert "gone" in daemon.ctl("explain", "none.h5", check=0).stdout


def test_a_killed_daemons_messages_come_again_and_are_attached(moto, daemon, listened):
    queue = listened(visibility="2s")
    daemon.sample.add("vil", ["S1"])  # without its catalog it waits
    daemon.wait_for(lambda status: status["jobs"]["WAITING"] == 1)
    assert status_of(daemon)["held"] >= 1
    daemon.kill()
    daemon.start()
    daemon.wait_for(lambda status: status["queues"][0]["held"] >= 1)
    assert sum(moto.counts(queue)) >= 1
    daemon.sample.write_catalog()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    daemon.wait_for(drained(moto, queue))
    assert moto.is_empty(queue.dead)
    assert len(daemon.get("/v1/jobs")["jobs"]) == 2


def test_a_daemon_that_stops_gives_back_what_it_holds(moto, daemon, listened):
    queue = listened(visibility="1h")
    daemon.sample.add("vil", ["S1"])
    daemon.wait_for(lambda status: status["jobs"]["WAITING"] == 1)
    assert moto.counts(queue)[1] >= 1
    daemon.stop()
    assert moto.counts(queue)[0] >= 1 and moto.counts(queue)[1] == 0


def test_several_queues_are_listened_to(moto, daemon, listened):
    first = listened()
    second = moto.queue("more")
    daemon.stop()
    sqs = {**daemon.config["sources"]["sqs"], "queue_url": [first.url, second.url]}
    daemon.configure(sources={**daemon.config["sources"], "sqs": sqs})
    daemon.start()
    moto.send(second, {"Event": "s3:TestEvent"})
    daemon.wait_for(
        lambda status: status["queues"][1]["tests"] == 1 and moto.is_empty(second)
    )
    daemon.sample.write_catalog()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 1)


def test_what_a_silent_queue_did_not_tell_is_found_by_a_reconciliation(moto, daemon, listened):
    listened()
    daemon.sample.write_catalog()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 1)
    moto.mute("raw")
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    answer = json.loads(daemon.ctl("--json", "reconcile", check=0).stdout)
    assert answer["missing"] == 2  # the file, and the newer version of the catalog
    daemon.wait_idle()
    missing = [v for k, v in daemon.metrics().items() if k.startswith("sevird_reconcile_missing")]
    assert missing == [2]
    again = json.loads(daemon.ctl("--json", "reconcile", check=0).stdout)
    assert again["missing"] == 0


@pytest.mark.parametrize("grace, missed", [("0s", 1), ("1h", 0)])
def test_what_a_listing_finds_first_counts_as_missed_when_it_is_old_enough(
    moto, daemon, grace, missed
):
    queue = moto.pipe("raw")
    moto.mute("raw")
    moto.equip(daemon, "raw", "processed", queue)
    daemon.config["sources"]["sqs"]["grace"] = grace
    daemon.start()
    daemon.wait_for(lambda status: status["listed"])
    moto.put("raw", "a.csv", b"x,y\n1,2\n")
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 1)
    assert daemon.metrics().get("sevird_reconcile_missing_total", 0) == missed


# -- notifications ---------------------------------------------------------------------------------


@pytest.fixture
def notified(moto, daemon):
    """A daemon that publishes to a topic, and the queue that hears of it."""

    def make(**notify):
        topic = moto.topic("done")
        ears = moto.queue("ears")
        moto.subscribe(topic, ears, raw=True)
        moto.equip(daemon, "raw", "processed")
        daemon.configure(notify={"sns_topic_arn": topic, **notify})
        return ears

    return make


def test_each_end_of_an_object_is_notified_once(moto, daemon, notified):
    ears = notified()
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    moto.put("raw", "broken.h5", b"\x89HDF\r\n\x1a\n" + bytes(600))
    daemon.start()
    daemon.wait_for(lambda s: s["jobs"]["DONE"] == 2 and s["jobs"]["QUARANTINED"] == 1)
    told = {}
    while len(told) < 3:
        for body in moto.take(ears):
            message = json.loads(body)
            assert (message["event"], message["key"]) not in told
            told[message["event"], message["key"]] = message
    done = next(m for m in told.values() if m["kind"] == "hdf5" and m["event"] == "done")
    bucket, _, key = done["manifest"].removeprefix("s3://").partition("/")
    manifest = json.loads(moto.get(bucket, key))
    assert done["outputs"] == len(manifest["outputs"]) > 0
    assert done["source"] == f"s3://raw/{done['key']}"
    bad = told["quarantined", "broken.h5"]
    assert bad["class"] and bad["reason"]
    daemon.stop()
    daemon.start()
    daemon.wait_idle()
    assert moto.take(ears) == []


def test_a_digest_is_one_message(moto, daemon, notified):
    ears = notified(digest="3s", on=["done"])
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_for(lambda s: s["jobs"]["DONE"] == 2)
    bodies = []
    while sum(len(json.loads(body)["events"]) for body in bodies) < 2:
        bodies += moto.take(ears)
    assert all(json.loads(body)["event"] == "digest" for body in bodies)


def test_a_fifo_topic_takes_them_in_order(moto, daemon, notified):
    notified()
    topic = moto.client("sns").create_topic(Name="done.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    ears = moto.queue("ears.fifo", FifoQueue="true")
    moto.subscribe(topic, ears, raw=True)
    daemon.configure(notify={"sns_topic_arn": topic})
    for name in "abc":
        moto.put("raw", f"{name}.csv", f"x,y\n{name},2\n".encode())
    daemon.start()
    daemon.wait_for(lambda s: s["jobs"]["DONE"] == 3)
    told = []
    for _ in range(60):
        told += [json.loads(body) for body in moto.take(ears, wait_s=1)]
        if len(told) >= 3:
            break
    assert [m["at"] for m in told] == sorted(m["at"] for m in told)
    assert {m["key"] for m in told} == {"a.csv", "b.csv", "c.csv"}
    assert daemon.metrics()["sevird_outbox_messages"] == 0


def test_what_kms_refuses_is_told_later(fake, daemon):
    """The topic's key is disabled when an object is done, and throttled when it is not any more."""
    fake.equip(daemon, "raw", "processed")
    topic, ears = fake.topic("done"), fake.queue("ears")
    fake.subscribe(topic, ears, raw=True)
    daemon.configure(notify={"sns_topic_arn": topic})
    rule = {"service": "sns", "operation": "Publish"}
    fault = {"kind": "error", "status": 400}
    fake.faults(
        {**rule, "fault": {**fault, "code": "KMSDisabled"}},
        {**rule, "fault": {**fault, "code": "KMSThrottling"}},
    )
    fake.put("raw", "a.csv", b"x,y\n1,2\n")
    daemon.start()
    daemon.wait_for(lambda s: s["jobs"]["DONE"] == 1)
    assert json.loads(fake.take(ears, wait_s=10)[0])["key"] == "a.csv"
    assert fake.happened()


def test_a_topic_that_is_not_there_is_in_nobodys_way(moto, daemon, notified):
    notified()
    daemon.configure(notify={"sns_topic_arn": "arn:aws:sns:us-east-1:123456789012:none"})
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert daemon.get("/v1/status")["jobs"]["DONE"] == 1
    assert daemon.metrics()["sevird_outbox_messages"] == 1
