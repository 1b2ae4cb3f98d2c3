"""Many notifications, a tenth of them twice and all out of order, for two daemons of which one dies.

SEVIRD_QUEUE_SCALE says how many on the fake; 10,000 is the goal (tests/bench/queue_scale.sh), the suite
has fewer. On moto there are 500. The objects are a series, one table: as many tables would measure how
SQLite bears a schema of thousands.
"""

import hashlib
import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from aws_world import Fake

RELEASE = os.environ.get("SEVIRD_RELEASE_BUILD")
ON_FAKE = int(os.environ.get("SEVIRD_QUEUE_SCALE", "400" if RELEASE else "300"))
ON_MOTO = 500 if RELEASE else 100


def released(daemon):
    """The sanitizers' word is had elsewhere; here it would only be slow."""
    if RELEASE:
        build = Path(RELEASE) / "daemon"
        command = daemon.command
        daemon.command = lambda *args: [str(build / "sevird"), *command(*args)[1:]]
        daemon.env["SEVIRD_H5PROBE"] = str(build / "h5probe" / "sevird-h5probe")
    return daemon


@pytest.fixture
def pair(make_daemon):
    def make(world, queue):
        daemons = [released(make_daemon(name)) for name in ("one", "two")]
        for daemon in daemons:
            world.equip(daemon, queue=queue)
            daemon.config["sources"]["list"]["interval"] = "0s"
            daemon.configure(log={"level": "note"}, http={"listen": None})
            daemon.start()
            daemon.wait_idle()
        return daemons

    return make


def one_dies(world, queue, daemons, count):
    """Waits for the end; says how long it took."""
    one, two = daemons
    began = time.monotonic()
    one.wait_for(lambda status: status["jobs"]["DONE"] >= count // 6, 300)
    one.kill()
    before = world.counts(queue)
    assert before != (0, 0, 0), "it was all over before one could die"
    if not isinstance(world, Fake):  # moto counts all messages whenever it is asked
        two.wait_for(lambda status: status["idle"] and world.is_empty(queue), 600)
    world.wait_empty(queue, 600)
    took = time.monotonic() - began
    two.wait_idle()
    assert world.is_empty(queue.dead)
    two.stop()
    # Of what the dead one had begun, and the other had done already, a claim may be left: it goes.
    two.start()

    def swept(_):
        two.ctl("reconcile")
        return not world.keys("processed", "_claims/")

    two.wait_for(swept)
    two.stop()
    return took


def check(world, count, text):
    """Every object has one manifest, every output is as its manifest says, and there is nothing else."""
    digests = world.digests("processed")
    manifests = {key: digests.pop(key) for key in list(digests) if key.startswith("_manifests/")}
    assert len(manifests) == count
    assert not [key for key in digests if key.startswith("_claims/")]
    assert len(digests) == count
    sample = random.Random(1).sample(sorted(manifests), min(count, 100))
    for key in sample:
        manifest = json.loads(world.get("processed", key))
        (output,) = manifest["outputs"]
        assert digests[output["key"]] == output["sha256"]
        n = int(manifest["source"]["key"].strip("t_.csv"))
        assert manifest["source"]["etag"] == hashlib.md5(text.format(n=n).encode()).hexdigest()


TEXT = "a,b\n{n},2\n"


def test_each_of_many_is_there_once_on_the_fake(fake, pair, record_property):
    fake.reset(verify=False)  # for speed; all else here checks it
    queue = fake.pipe("raw", visibility_s=10, receives=10)
    daemons = pair(fake, queue)
    fake.ask("hold")
    fake.ask("texts", {"bucket": "raw", "key": "t_{n:05}.csv", "text": TEXT, "count": ON_FAKE})
    sent = fake.ask("release", {"duplicate": 0.1, "shuffle": True})
    assert sent == ON_FAKE + ON_FAKE // 10
    took = one_dies(fake, queue, daemons, ON_FAKE)
    record_property("notifications_a_second", sent / took)
    print(f"{sent} notifications in {took:.1f} s, {sent / took:.0f} a second")
    check(fake, ON_FAKE, TEXT)
    stats = fake.stats()
    assert stats["queues"]["raw-events"]["deleted"] >= sent
    puts = Counter(
        entry["key"]
        for entry in fake.requests("s3.PutObject", bucket="processed", status=200)
        if not entry["key"].startswith("_claims/")
    )
    twice = [key for key, times in puts.items() if times > 1]
    assert len(twice) <= 20, twice  # what the dead one had in its hands
    assert max(puts.values()) <= 2


def test_each_of_many_is_there_once_on_moto(moto, pair):
    moto.bucket("raw")
    queue = moto.queue(visibility_s=10, receives=10)
    daemons = pair(moto, queue)
    bodies = []
    for n in range(ON_MOTO):
        key, body = f"t_{n:05}.csv", TEXT.format(n=n).encode()
        etag = moto.put("raw", key, body)["ETag"].strip('"')
        found = {"key": key, "size": len(body), "eTag": etag, "sequencer": f"{n + 1:018X}"}
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": "2026-01-01T00:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "raw"}, "object": found},
        }
        bodies.append(json.dumps({"Records": [record]}))
    chance = random.Random(1)
    bodies += chance.sample(bodies, ON_MOTO // 10)
    chance.shuffle(bodies)
    for first in range(0, len(bodies), 10):
        entries = [
            {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[first : first + 10])
        ]
        moto.client("sqs").send_message_batch(QueueUrl=queue.url, Entries=entries)
    one_dies(moto, queue, daemons, ON_MOTO)
    check(moto, ON_MOTO, TEXT)
