"""Whatever goes wrong with AWS, at whatever step of a job: the same outputs in the end.

One life of an object is a cycle: it is put, done, deleted, retired. A script makes one request of
one kind fail (tests/fake/faults.py); the outputs must be those of a life without faults, byte for
byte, and nothing may be left of them when it is over. An answer that is a lie rather than a failure is
no exception: it says nothing of the object.
"""

import json

import pytest

from aws_world import REGION

VIL = "data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0128.h5"

# Everything that a daemon asks of AWS in such a life; a test sees that the list is whole.
S3 = ("ListObjectsV2", "HeadObject", "GetObject", "PutObject", "DeleteObject", "DeleteObjects")
SQS = ("ReceiveMessage", "DeleteMessageBatch")

ANY = {
    "slow-down": {"kind": "error", "code": "SlowDown"},
    "internal-error": {"kind": "error", "code": "InternalError"},
    "a-proxys-page": {"kind": "error", "code": "ServiceUnavailable", "html": True},
    "request-timeout": {"kind": "error", "code": "RequestTimeout"},
    "expired-token": {"kind": "error", "code": "ExpiredToken"},
    "reset": {"kind": "reset"},
    "reset-upload": {"kind": "reset-upload"},
    "reset-after": {"kind": "reset-after"},
    "error-after": {"kind": "error-after", "code": "InternalError"},
    "a-proxys-refusal": {"kind": "error", "status": 403, "code": "AccessDenied", "html": True},
    "silent": {"kind": "silent"},
}
BODY = {
    "reset-in-mid-body": {"kind": "reset-body"},
    "truncated-body": {"kind": "truncate"},
    "slow-body": {"kind": "slow", "bytes": 100, "delay_s": 0.002},
    "garbage": {"kind": "garbage"},
    "stalled-body": {"kind": "stall"},
}
GET = {
    **BODY,
    "short-body": {"kind": "short"},
    "long-body": {"kind": "long"},
    "another-etag": {"kind": "etag"},
}
ELSEWHERE = {"redirect-307": {"kind": "redirect", "status": 307, "region": REGION}}
THROTTLE = {
    "throttled": {"kind": "error", "code": "ThrottlingException"},
    "over-limit": {"kind": "error", "code": "RequestThrottled"},
}
# As many times in a row as the attempts of a request (3) bear, and more, which the job's own bear.
OFTEN = {
    "twice": {"kind": "error", "code": "InternalError"},
    "five-times": {"kind": "error", "code": "SlowDown"},
}
TIMES = {"twice": 2, "five-times": 5}
SCRIPTS = {
    **{operation: {**ANY, **ELSEWHERE, **OFTEN} for operation in S3},
    **{operation: {**ANY, **BODY, **THROTTLE} for operation in SQS},
}
SCRIPTS["GetObject"].update(GET)
SCRIPTS["ListObjectsV2"].update({**BODY, "empty-page": {"kind": "empty-page"}})
SCRIPTS["DeleteObjects"].update({**BODY, "partial": {"kind": "partial"}})
SCRIPTS["ReceiveMessage"]["lease-ends-at-once"] = {"kind": "expire"}
SCRIPTS["DeleteMessageBatch"].update({
    "partial": {"kind": "partial"}, "lost": {"kind": "lost"}, "stale": {"kind": "stale"},
})  # fmt: skip


class Life:
    """A daemon between a bucket with a queue and a bucket, and the cycles of one object."""

    def __init__(self, fake, daemon):
        self.fake, self.daemon = fake, daemon
        daemon.sample.size, daemon.sample.frames = 16, 3
        self.queue = fake.pipe("raw", visibility_s=2, receives=20)
        fake.equip(daemon, queue=self.queue)
        daemon.config["sources"]["list"]["interval"] = "1h"  # all is told by the queue
        daemon.config["sources"]["sqs"]["visibility"] = "2s"
        daemon.configure(extract={"images": "sheet"})
        daemon.configure(aws={"timeout": "500ms", "retry": "20ms"}, retry={"base": "20ms", "cap": "100ms"})
        daemon.start()
        daemon.wait_idle()
        self.path = daemon.sample.add("vil", ["S1", "S2"])
        daemon.sample.write_catalog()
        daemon.wait_state(VIL, "DONE")
        daemon.wait_idle()
        self.full = self.outputs()
        self.leave()
        self.bare = self.outputs()
        assert len(self.full) > len(self.bare) > 0

    def outputs(self):
        """Without what a manifest says of its attempts and times, and without claims, which are
        given back soon after."""
        found = self.fake.objects("processed")
        found = {key: body for key, body in found.items() if not key.startswith("_claims/")}
        for key in [key for key in found if key.startswith("_manifests/")]:
            outputs = json.loads(found[key])["outputs"]
            found[key] = sorted((output["key"], output["sha256"]) for output in outputs)
        return found

    def enter(self):
        self.daemon.sample.upload(self.path)
        return self.daemon.wait_state(VIL, "DONE", "QUARANTINED")

    def leave(self):
        self.fake.delete("raw", VIL)
        return self.daemon.wait_state(VIL, "RETIRED", "QUARANTINED")

    def cycle(self, name=""):
        """Nothing may go wrong that shows."""
        job = self.enter()
        assert job["state"] == "DONE" and self.outputs() == self.full, (name, job["reason"])
        job = self.leave()
        assert job["state"] == "RETIRED" and self.outputs() == self.bare, (name, job["reason"])

    def end(self):
        """Nothing is left lying about."""
        self.fake.faults()
        self.fake.wait_empty(self.queue)
        assert self.fake.is_empty(self.queue.dead)
        assert self.fake.uploads("processed") == []
        self.daemon.wait_idle()
        self.daemon.stop()
        assert self.fake.keys("processed", "_claims/") == []


@pytest.fixture
def life(fake, daemon):
    life = Life(fake, daemon)
    yield life
    life.end()


def test_a_life_asks_for_what_the_scripts_break(life):
    before = life.fake.stats()["operations"]
    life.cycle()
    after = life.fake.stats()["operations"]
    asked = {name.partition(".")[2] for name, count in after.items() if count > before.get(name, 0)}
    known = set(S3 + SQS) | {"GetQueueAttributes", "ChangeMessageVisibilityBatch"}
    assert asked <= known, asked - known


@pytest.mark.parametrize("operation", SCRIPTS)
def test_one_request_of_a_life_fails(life, operation):
    """Each way in its turn; a listing comes when an operator wants one."""
    service = "s3" if operation in S3 else "sqs"
    for name, fault in SCRIPTS[operation].items():
        rule = {"service": service, "operation": operation, "agent": "sevird", "fault": fault}
        life.fake.faults({**rule, "times": TIMES.get(name, 1)})
        if operation == "ListObjectsV2":
            answer = life.daemon.request("POST", "/v1/reconcile", body={})
            assert answer.status == 200 or TIMES.get(name, 1) > 3, (name, answer.text)
        life.cycle(name)
        assert life.fake.happened(), name


def test_a_clock_that_is_wrong_is_put_right(life):
    """Ours or theirs: an hour behind, two ahead, and right again."""
    for skew_s in (-3600, 7200, 0):
        life.fake.ask("clock", {"skew_s": skew_s, "agent": "sevird"})
        life.cycle()
    refused = [entry for entry in life.fake.requests() if entry["status"] == 403]
    assert 3 <= len(refused) <= 30, refused


@pytest.mark.parametrize("status", [301, 400])
def test_buckets_are_found_where_they_are(life, status):
    """The configuration says us-east-1; each bucket is asked wrongly a few times at most."""
    for bucket in ("raw", "processed"):
        life.fake.ask("region", {"bucket": bucket, "region": "eu-west-1", "redirect": status})
    life.cycle()
    life.cycle()
    redirected = [e for e in life.fake.requests() if e["status"] == status and e["agent"] == "sevird"]
    assert 2 <= len(redirected) <= 20, redirected


@pytest.mark.parametrize("operation, bucket", [("GetObject", "raw"), ("PutObject", "processed")])
def test_a_disabled_key_of_kms_is_waited_for(life, operation, bucket):
    """Longer than attempts would last: nothing is quarantined for it."""
    fault = {"kind": "error", "code": "KMS.DisabledException", "status": 400}
    rule = {"service": "s3", "operation": operation, "bucket": bucket, "agent": "sevird"}
    life.fake.faults({**rule, "times": 8, "fault": fault})
    life.cycle()
    assert life.fake.happened()
