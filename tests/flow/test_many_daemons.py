"""Several daemons on one bucket: each object is made once, by whom does not matter, and all know it."""

import collections
import json

import pytest

from conftest import tree

OTHER = "published by another daemon"


def outputs_of(files):
    return {key: body for key, body in files.items() if not key.startswith(("_manifests/", "_claims/"))}


def reasons(daemon):
    """{key: the reason of its last move}"""
    return {job["key"]: job["reason"] for job in daemon.get("/v1/jobs?limit=1000")["jobs"]}


@pytest.fixture
def expected(make_daemon):
    """What one daemon alone makes of the sample, in a directory."""

    def make(prepare):
        alone = make_daemon("alone")
        prepare(alone.sample)
        alone.configure(sources={"list": {"interval": "0s"}, "settle": "0s"})
        alone.start()
        alone.wait_idle()
        rows = alone.query("SELECT count(*) FROM frames")
        alone.stop()
        return outputs_of(tree(alone.processed)), rows

    return make


def prepare(sample):
    sample.size, sample.frames = 24, 5
    for month in range(1, 7):
        sample.add("vil", [f"S{month}1", f"S{month}2"], time=f"2019-{month:02d}-10 12:00:00")
    sample.write_catalog()


def pair(world, make_daemon, lease="2s"):
    """Two daemons on the buckets; the sample is the first's."""
    daemons = [make_daemon(name) for name in ("one", "two")]
    for daemon in daemons:
        world.equip(daemon)
        daemon.config["processed"]["lease"] = lease
        daemon.configure(retry={"base": "20ms", "cap": "500ms", "attempts": 3})
    return daemons


def puts(world):
    """How often each output was put."""
    return collections.Counter(
        entry["key"]
        for entry in world.requests("s3.PutObject", bucket="processed", status=200)
        if not entry["key"].startswith("_claims/")
    )


def test_each_object_is_made_once_and_both_know_it(fake, make_daemon, expected):
    want, rows = expected(prepare)
    one, two = pair(fake, make_daemon, lease="30s")
    prepare(one.sample)
    for daemon in (one, two):
        daemon.start(wait=False)
    for daemon in (one, two):
        daemon.wait_ready()
        daemon.wait_idle()
    assert outputs_of(fake.objects("processed")) == want
    assert [(key, n) for key, n in puts(fake).items() if n != 1] == []
    assert fake.keys("processed", "_claims/") == []
    # Who did not make it has taken it over: both can answer for all of it.
    for daemon in (one, two):
        assert daemon.get("/v1/status")["jobs"]["DONE"] == 7
        assert daemon.query("SELECT count(*) FROM frames") == rows
    ours, theirs = reasons(one), reasons(two)
    assert all((ours[key] == OTHER) != (theirs[key] == OTHER) for key in ours), (ours, theirs)


def test_what_was_published_before_is_taken_over_without_being_made_again(moto, make_daemon, expected):
    want, rows = expected(prepare)
    one, two = pair(moto, make_daemon)
    prepare(one.sample)
    one.start()
    one.wait_idle()
    one.stop()
    before = {found["Key"]: found["LastModified"] for found in listing(moto)}
    two.start()
    two.wait_idle()
    assert outputs_of(moto.objects("processed")) == want
    assert {found["Key"]: found["LastModified"] for found in listing(moto)} == before
    assert set(reasons(two).values()) == {OTHER}
    assert two.query("SELECT count(*) FROM frames") == rows
    assert two.query("SELECT count(*) FROM outputs") == [[len(want)]]
    # What one made itself it makes again when it is told to; what it took over, too.
    two.ctl("retry", two.get("/v1/jobs?limit=10")["jobs"][0]["id"], check=0)
    two.wait_idle()
    assert outputs_of(moto.objects("processed")) == want


def listing(world):
    return world.client("s3").list_objects_v2(Bucket="processed")["Contents"]


def test_a_killed_daemons_objects_are_finished_by_another(fake, make_daemon, expected):
    want, rows = expected(prepare)
    for move in (12, 20, 26, 31):
        fake.reset()
        one, two = [make_daemon(f"{name}{move}") for name in ("one", "two")]
        for daemon in (one, two):
            fake.equip(daemon)
            daemon.config["processed"]["lease"] = "1s"
        prepare(one.sample)
        one.env["SEVIRD_CRASH_AT"] = str(move)
        one.start(wait=False)
        assert one.wait_exit() == -9
        two.start()
        two.wait_idle()
        assert outputs_of(fake.objects("processed")) == want, move
        assert two.query("SELECT count(*) FROM frames") == rows
        # The one that died comes back and finds all done.
        del one.env["SEVIRD_CRASH_AT"]
        one.start()
        one.wait_idle()
        assert one.get("/v1/status")["jobs"]["DONE"] == 7
        assert one.query("SELECT count(*) FROM frames") == rows
        assert outputs_of(fake.objects("processed")) == want, move
        assert fake.keys("processed", "_claims/") == []
        one.stop()
        two.stop()


def test_who_comes_back_goes_on_with_its_own_claims(fake, make_daemon, expected):
    want, rows = expected(prepare)
    for move in range(10, 40, 5):
        fake.reset()
        one = make_daemon(f"one{move}")
        fake.equip(one)
        one.config["processed"]["lease"] = "1h"  # as another's it would be waited for
        prepare(one.sample)
        one.env["SEVIRD_CRASH_AT"] = str(move)
        one.start(wait=False)
        assert one.wait_exit() == -9
        del one.env["SEVIRD_CRASH_AT"]
        one.start()
        one.wait_idle()
        assert one.get("/v1/status")["jobs"]["DONE"] == 7
        assert OTHER not in reasons(one).values()
        assert outputs_of(fake.objects("processed")) == want, move
        assert one.query("SELECT count(*) FROM frames") == rows
        assert fake.keys("processed", "_claims/") == []
        one.stop()


def test_a_claimed_object_is_waited_for_without_using_up_attempts(fake, make_daemon):
    one, _ = pair(fake, make_daemon)
    one.configure(retry={"attempts": 1})
    fake.put("raw", "a.csv", b"n,word\n1,x\n")
    # Somebody has it, and renews it for as long as we look.
    claim = {"claim": 1, "owner": "somebody", "who": "elsewhere", "lease_ms": 3600000}
    fake.put("processed", "_claims/a.csv.json", json.dumps(claim).encode())
    one.start()
    job = one.wait_state("a.csv", "BACKOFF")
    assert job["reason"] == "elsewhere is at work on it" and job["class"] == "CONFLICT"
    for _ in range(3):  # it looks again and again
        one.wait_for(lambda _: one.metrics()['sevird_jobs{state="BACKOFF"}'] == 1)
        next(event for _, kind, event in one.events() if kind == "transition" and event["to"] == "BACKOFF")
    assert one.wait_state("a.csv", "BACKOFF")["failures"] == 0
    fake.delete("processed", "_claims/a.csv.json")
    one.wait_state("a.csv", "DONE")
    assert fake.keys("processed", "_claims/") == []


def test_who_was_robbed_of_its_claim_stops_and_removes_nothing(fake, make_daemon):
    one, _ = pair(fake, make_daemon, lease="1s")
    prepare(one.sample)
    stuck = {"operation": "PutObject", "key": "^frames/.*_0101_", "fault": {"kind": "silent"}}
    fake.faults(stuck)
    one.start()

    def claims_of_the_stuck():  # the others end, and their claims with them
        return [key for key in fake.keys("processed", "_claims/data/") if "_0101_" in key]

    one.wait_for(lambda _: claims_of_the_stuck())
    [key] = claims_of_the_stuck()
    claim = {"claim": 1, "owner": "somebody", "who": "elsewhere", "lease_ms": 1000}
    fake.put("processed", key, json.dumps(claim).encode())
    one.wait_for(lambda _: "the claim on" in one.log() and "is lost: taken over by elsewhere" in one.log())
    one.wait_idle()  # the robber is dead, too: its claim is not renewed
    assert one.get("/v1/status")["jobs"]["DONE"] == 7
    assert fake.keys("processed", "_claims/") == []


def test_two_that_see_a_deletion_retire_it_once(fake, make_daemon):
    one, two = pair(fake, make_daemon)
    prepare(one.sample)
    fake.put("raw", "a.csv", b"n,word\n1,x\n")
    for daemon in (one, two):
        daemon.start()
        daemon.wait_idle()
    fake.delete("raw", "a.csv")
    for daemon in (one, two):
        daemon.wait_state("a.csv", "RETIRED")
    assert fake.keys("processed", "tables/") == []
    manifest = json.loads(fake.get("processed", "_manifests/a.csv.json"))
    assert manifest["state"] == "retired" and manifest["removed"] == 1


def test_a_store_that_ignores_conditions_is_refused_until_one_daemon_says_that_it_is_alone(fake, daemon):
    """Claims would not hold. It is no object's fault: nothing is quarantined."""
    fake.equip(daemon).configure(retry={"attempts": 1})
    fake.faults({"operation": "PutObject", "times": -1, "fault": {"kind": "unconditional"}})
    fake.put("raw", "a.csv", b"a,b\n1,2\n")
    daemon.start()
    job = daemon.wait_state("a.csv", "BACKOFF")
    assert job["class"] == "HOST" and "'processed.shared'" in job["reason"]
    assert "ignores conditions" in daemon.log()
    fake.faults()
    daemon.wait_state("a.csv", "DONE")  # what was mended is seen
    daemon.stop()
    fake.faults({"operation": "PutObject", "times": -1, "fault": {"kind": "unconditional"}})
    daemon.configure(processed={"shared": False}).start()
    fake.put("raw", "b.csv", b"a,b\n1,2\n")
    daemon.wait_state("b.csv", "DONE")
    claims = {entry["key"] for entry in fake.requests("s3.PutObject") if "_claims" in entry["key"]}
    assert claims == {"_claims/a.csv.json"}
    assert not [key for key in fake.keys("processed") if "_claims" in key]


def test_a_store_proves_once_that_it_obeys_conditions(fake, daemon):
    fake.equip(daemon).configure(extract={"workers": 1})
    daemon.start()
    for name in "abc":
        fake.put("raw", f"{name}.csv", b"a,b\n1,2\n")
        daemon.wait_state(f"{name}.csv", "DONE")
    refused = fake.requests("s3.PutObject", status=412)
    assert [entry["key"] for entry in refused] == ["_claims/a.csv.json"]


def test_an_update_is_made_once_as_well(fake, make_daemon):
    """Who has made a version, or taken it over, takes over the next one all the same."""
    daemons = pair(fake, make_daemon, lease="30s")
    for daemon in daemons:
        daemon.start()
    for n in range(1, 6):
        before = puts(fake)
        fake.put("raw", "a.csv", f"n,word\n{n},x\n".encode())
        for daemon in daemons:
            daemon.wait_state("a.csv", "DONE")
            daemon.wait_for(lambda _, d=daemon, want=[[n]]: d.query("SELECT n FROM a") == want)
        for daemon in daemons:
            daemon.wait_idle()
        made = puts(fake) - before
        assert set(made.values()) == {1} and "_manifests/a.csv.json" in made, (n, made)
    # What an operator wants again is made again.
    before = puts(fake)
    job = max(daemons[1].get("/v1/jobs?limit=10")["jobs"], key=lambda found: found["id"])
    daemons[1].ctl("retry", job["id"], check=0)
    daemons[1].wait_for(lambda _: any(key.startswith("tables/") for key in puts(fake) - before))
    daemons[1].wait_state("a.csv", "DONE")


def test_a_repetition_that_fails_leaves_what_is_published(fake, daemon):
    fake.equip(daemon).configure(
        retry={"base": "10ms", "cap": "50ms", "attempts": 2}, aws={"retry": "10ms"}
    )
    prepare(daemon.sample)
    daemon.start()
    daemon.wait_idle()
    before = fake.objects("processed")
    fault = {"kind": "error", "code": "InternalError"}
    fake.faults({"operation": "PutObject", "key": "^frames/", "times": -1, "fault": fault})
    job = next(found for found in daemon.get("/v1/jobs?limit=10")["jobs"] if found["key"].endswith(".h5"))
    daemon.ctl("retry", job["id"], check=0)
    daemon.wait_state(job["key"], "QUARANTINED")
    daemon.wait_idle()
    after = {key: body for key, body in fake.objects("processed").items() if not key.startswith("_claims/")}
    assert after == before
    fake.faults()
    daemon.ctl("retry", job["id"], check=0)
    daemon.wait_state(job["key"], "DONE")
    assert outputs_of(fake.objects("processed")) == outputs_of(before)


def test_the_end_of_what_another_has_made_is_heeded(fake, make_daemon):
    """Its message comes once, to who may know nothing of the object."""
    one, two = pair(fake, make_daemon)
    for name in "ab":
        fake.put("raw", f"{name}.csv", b"n,word\n1,x\n")
    one.start()
    one.wait_idle()
    queue = fake.queue(visibility_s=2, receives=20)
    fake.notify("raw", queue)
    fake.equip(two, queue=queue)
    two.config["sources"]["list"]["interval"] = "1h"
    one.wait_idle()
    one.stop()
    fake.delete("raw", "a.csv")
    two.start()
    two.wait_state("a.csv", "RETIRED")
    two.wait_state("b.csv", "DONE")
    fake.wait_empty(queue)
    assert [key for key in fake.keys("processed", "tables/") if "b.csv" not in key] == []
    assert json.loads(fake.get("processed", "_manifests/a.csv.json"))["state"] == "retired"
    # What nobody has made ends, too, and leaves nothing.
    fake.put("raw", "c.csv", b"n\n1\n")
    fake.delete("raw", "c.csv")
    fake.wait_empty(queue)
    two.wait_idle()
    assert not [key for key in fake.keys("processed", "tables/") if "c.csv" in key]


def test_an_older_version_replaces_nothing_that_another_has_published(fake, make_daemon):
    one, two = pair(fake, make_daemon)
    fake.put("raw", "a.csv", b"n,word\n1,old\n")
    one.env["SEVIRD_CRASH_AT"] = "CRAWLED"
    one.start(wait=False)
    assert one.wait_exit() == -9
    fake.put("raw", "a.csv", b"n,word\n2,new\n")
    two.start()
    two.wait_state("a.csv", "DONE")
    two.wait_idle()
    two.stop()
    before = fake.objects("processed")
    # The first goes on before it hears of the new version.
    fake.faults({
        "operation": "ListObjectsV2", "bucket": "raw", "nth": 2, "times": 3,  # the first: is it there?
        "fault": {"kind": "error", "code": "InternalError"},
    })  # fmt: skip
    del one.env["SEVIRD_CRASH_AT"]
    one.start()
    assert "has changed since it was crawled" in one.log()
    one.wait_for(lambda _: one.query("SELECT n FROM a") == [[2]])
    one.wait_idle()
    after = {key: body for key, body in fake.objects("processed").items() if not key.startswith("_claims/")}
    assert after == before
