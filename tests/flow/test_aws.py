"""The daemon on S3 and SQS makes the same bytes as on the file store, whoever serves them."""

import json

import pytest

from aws_world import ENVELOPES, Fake
from conftest import tree

CATALOG, VIL = "CATALOG.csv", "data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0128.h5"
IR = "data/ir069/2019/SEVIR_IR069_STORMEVENTS_2019_0101_0128.h5"


def fill(sample):
    """What is in every store here: small, for moto does fifty puts a second."""
    sample.size, sample.frames = 16, 3
    sample.add("vil", ["S1", "S2"])
    sample.add("ir069", ["S1"])
    sample.write_catalog()


def published(objects):
    """What readers get. Manifests are apart: they name the bucket and the etag of their source."""
    return {key: body for key, body in objects.items() if not key.startswith("_manifests/")}


@pytest.fixture
def by_files(make_daemon):
    """The outputs of the same objects on the file store."""
    daemon = make_daemon("files")
    fill(daemon.sample)
    daemon.start()
    daemon.wait_idle()
    daemon.stop()
    found = published(tree(daemon.processed))
    assert len(found) > 10 and any(key.endswith(".png") for key in found), found.keys()
    return found


def test_a_bucket_that_is_listed(world, daemon, by_files):
    world.equip(daemon)
    fill(daemon.sample)
    daemon.start()
    daemon.wait_idle()
    assert published(world.objects("processed")) == by_files
    assert {job["state"] for job in daemon.get("/v1/jobs")["jobs"]} == {"DONE"}
    assert world.uploads("processed") == []


@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_bucket_that_is_told_of(world, daemon, by_files, envelope):
    """The listing at the start sees an empty bucket: all that is known later came by the queue."""
    queue = world.pipe("raw", envelope)
    world.equip(daemon, queue=queue)
    daemon.configure(sources={"list": {"interval": "0s"}})
    daemon.start()
    daemon.wait_idle()
    fill(daemon.sample)
    for key in (CATALOG, VIL, IR):
        daemon.wait_state(key, "DONE")
    assert published(world.objects("processed")) == by_files
    world.wait_empty(queue)
    assert world.is_empty(queue.dead)
    world.delete("raw", IR)
    daemon.wait_state(IR, "RETIRED")
    left = published(world.objects("processed"))
    assert left and not [key for key in left if "ir069" in key]
    world.wait_empty(queue)


def test_a_prefix_in_each_bucket(world, daemon, by_files):
    """Two lives in one bucket do not see each other."""
    world.equip(daemon, "raw", "raw", prefix="in=side/a b/")
    daemon.configure(processed={"uri": "s3://raw/out/"})
    fill(daemon.sample)
    world.put("raw", "outside.csv", b"a,b\n1,2\n")
    daemon.start()
    daemon.wait_idle()
    found = {key.removeprefix("out/"): body for key, body in world.objects("raw", "out/").items()}
    assert published(found) == by_files
    assert len(daemon.get("/v1/jobs")["jobs"]) == 3


def test_manifests_name_the_object_and_every_output(world, daemon):
    """Its version too, where the notification told it: a listing does not."""
    queue = world.pipe("raw")
    world.client("s3").put_bucket_versioning(Bucket="raw", VersioningConfiguration={"Status": "Enabled"})
    world.equip(daemon, queue=queue)
    daemon.configure(sources={"list": {"interval": "0s"}})
    daemon.start()
    daemon.wait_idle()
    fill(daemon.sample)
    for key in (CATALOG, VIL, IR):
        daemon.wait_state(key, "DONE")
    objects = world.objects("processed")
    manifests = {key: json.loads(body) for key, body in objects.items() if key.startswith("_manifests/")}
    listed = [output["key"] for manifest in manifests.values() for output in manifest["outputs"]]
    assert sorted(listed) == sorted(published(objects))
    head = world.client("s3").head_object(Bucket="raw", Key=VIL)
    (source,) = [m["source"] for m in manifests.values() if m["source"]["key"] == VIL]
    assert source["bucket"] == "raw" and source["etag"] == head["ETag"].strip('"')
    if isinstance(world, Fake):  # moto's notifications do not tell it
        assert source["version"] == head["VersionId"]
