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
