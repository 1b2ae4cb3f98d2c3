"""The daemon on buckets: listing as its source, outputs equal to those of the file store."""

import json

import pytest

from conftest import tree


def outputs_of(files):
    """Without manifests, which name bucket, etag and time of their source, and without claims."""
    return {key: body for key, body in files.items() if not key.startswith(("_manifests/", "_claims/"))}


def table(rows):
    return "".join(f"{n},{word}\n" for n, word in [("n", "word"), *rows])


def newest(daemon, key):
    return [job for job in daemon.get("/v1/jobs?limit=1000")["jobs"] if job["key"] == key]


def test_outputs_on_s3_equal_those_of_the_file_store(world, make_daemon):
    files, daemon = make_daemon("files"), make_daemon("s3")
    world.equip(daemon)
    for each in (files, daemon):
        each.sample.add("vil", ["S1", "S2"])
        each.sample.add("vis", ["S1"])
        each.sample.write_catalog()
        each.start()
    files.wait_idle()
    daemon.wait_idle()
    expected = outputs_of(tree(files.processed))
    assert expected
    assert outputs_of(world.objects("processed")) == expected
    assert daemon.get("/v1/status")["jobs"] == files.get("/v1/status")["jobs"]
    assert world.keys("processed", "_claims/") == []
    for key in world.keys("processed", "_manifests/"):
        ours = json.loads(world.get("processed", key))
        theirs = json.loads((files.processed / key).read_text())
        assert ours["outputs"] == theirs["outputs"] and ours["source"]["bucket"] == "raw"
    counted = daemon.metrics()
    put = 'sevird_aws_requests_total{service="s3",operation="PutObject",code="200"}'
    assert counted[put] >= len(expected)


def test_a_raw_bucket_may_feed_a_directory(moto, daemon):
    moto.equip(daemon)
    daemon.configure(processed={"uri": daemon.processed.as_uri()})
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert any(key.startswith("frames/") for key in tree(daemon.processed))


def test_stores_may_be_prefixes_of_one_bucket(moto, daemon):
    moto.equip(daemon, "both", "both", prefix="in")
    daemon.sample.prefix = "in/"
    daemon.configure(processed={"uri": "s3://both/out/"})
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    moto.put("both", "inside.csv", b"a,b\n1,2\n")  # beside the prefix, not below it
    daemon.start()
    daemon.wait_idle()
    keys = moto.keys("both")
    assert any(key.startswith("out/frames/") for key in keys)
    assert not [key for key in keys if not key.startswith(("in/", "out/")) and key != "inside.csv"]
    assert {job["key"][:5] for job in daemon.get("/v1/jobs?limit=100")["jobs"]} == {"data/", "CATAL"}


ODD = [
    "a b/c d.csv",
    "plus+plus.csv",
    "percent%20percent%.csv",
    "ünï/côdé-\u65e5\u672c.csv",
    "control\x01\x1f.csv",
    "tab\tnewline\n.csv",
    "amp&<tag>'quote\".csv",
    "q?u=e#r;y.csv",
]


@pytest.mark.parametrize("key", ODD)
def test_any_key_is_read_under_its_own_name(fake, daemon, key):
    fake.equip(daemon)
    fake.put("raw", key, table([(1, "x"), (2, "y")]).encode())
    daemon.start()
    daemon.wait_idle()
    jobs = daemon.get("/v1/jobs?limit=10")["jobs"]
    assert [(job["key"], job["state"]) for job in jobs] == [(key, "DONE")], daemon.log()
    manifests = fake.keys("processed", "_manifests/")
    assert [json.loads(fake.get("processed", name))["source"]["key"] for name in manifests] == [key]


def test_keys_that_break_a_rule_are_on_record_and_not_in_the_way(fake, daemon):
    fake.equip(daemon)
    for key in ("a//b.csv", "x/../y.csv", "./z.csv", "/lead.csv", "good.csv"):
        fake.put("raw", key, table([(1, "x")]).encode())
    daemon.start()
    daemon.wait_idle()
    assert [job["key"] for job in daemon.get("/v1/jobs?limit=10")["jobs"]] == ["good.csv"]
    assert daemon.get("/v1/status")["refused"] == 4
    assert daemon.log().count("refused: key ") == 4


def test_the_version_of_a_versioned_bucket_is_on_record(moto, daemon):
    moto.equip(daemon)
    moto.bucket("versions", versioned=True)
    daemon.configure(raw={"uri": "s3://versions"}, sources={"list": {"interval": "0s"}})
    daemon.start()
    daemon.wait_idle()
    put = moto.put("versions", "a.csv", table([(1, "x")]).encode())
    daemon.ctl("submit", "s3://versions/a.csv", check=0)
    daemon.wait_state("a.csv", "DONE")
    manifest = json.loads(moto.get("processed", "_manifests/a.csv.json"))
    assert manifest["source"]["version"] == put["VersionId"]
    assert manifest["source"]["etag"] == put["ETag"].strip('"')


def test_a_version_that_may_not_be_read_is_submitted_by_its_etag(fake, daemon):
    """s3:GetObject, and no s3:GetObjectVersion."""
    fake.equip(daemon)
    fake.bucket("versions", versioned=True)
    fake.ask("seal", {"bucket": "versions"})
    daemon.configure(raw={"uri": "s3://versions"}, sources={"list": {"interval": "0s"}})
    daemon.start()
    daemon.wait_idle()
    put = fake.put("versions", "a.csv", table([(1, "x")]).encode())
    daemon.ctl("submit", "s3://versions/a.csv", check=0)
    assert daemon.wait_state("a.csv", "DONE", "QUARANTINED")["state"] == "DONE"
    source = json.loads(fake.get("processed", "_manifests/a.csv.json"))["source"]
    assert source["version"] == "" and source["etag"] == put["ETag"].strip('"')


def test_what_was_overwritten_before_it_was_read_is_superseded(moto, daemon):
    moto.equip(daemon)
    moto.put("raw", "a.csv", table([(1, "old")]).encode())
    daemon.configure(retry={"base": "50ms", "cap": "200ms", "attempts": 1000})
    daemon.start(wait=False)
    daemon.wait_ready()
    daemon.post("/v1/pause")
    daemon.wait_for(lambda status: sum(status["jobs"].values()) == 1 and not status["working"])
    moto.put("raw", "a.csv", table([(2, "new")]).encode())
    daemon.post("/v1/resume")
    daemon.wait_for(lambda _: [job["state"] for job in newest(daemon, "a.csv")][:1] == ["DONE"]
                    and len(newest(daemon, "a.csv")) == 2)  # fmt: skip
    daemon.wait_idle()
    assert b"new" in moto.get("processed", "tables/a/a.csv")


def test_what_is_deleted_is_retired(world, daemon):
    world.equip(daemon)
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    world.put("raw", "a.csv", table([(1, "x")]).encode())
    daemon.start()
    daemon.wait_idle()
    assert world.keys("processed", "tables/")
    world.delete("raw", "a.csv")
    daemon.wait_state("a.csv", "RETIRED")
    assert world.keys("processed", "tables/") == []
    assert world.keys("processed", "frames/")
    assert json.loads(world.get("processed", "_manifests/a.csv.json"))["state"] == "retired"


def one_line(daemon):
    daemon.start(wait=False)
    assert daemon.wait_exit() == 1
    lines = [line for line in daemon.log().splitlines() if line.startswith("sevird: ")]
    assert len(lines) == 1, daemon.log()
    return lines[0]


def test_a_bucket_that_is_not_there_is_one_line(world, daemon):
    world.equip(daemon)
    daemon.configure(raw={"uri": "s3://nowhere-at-all"})
    assert "raw store 's3://nowhere-at-all'" in one_line(daemon)
    assert "NoSuchBucket" in daemon.log()
    daemon.configure(raw={"uri": "s3://raw"}, processed={"uri": "s3://nowhere/x"})
    daemon.log_path.unlink()
    assert "processed store 's3://nowhere/x'" in one_line(daemon)


def test_who_may_not_is_told_in_one_line(moto, daemon):
    moto.equip(daemon)
    key_id, secret = moto.user("nobody", policy=None)
    daemon.env.update({"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret})
    line = one_line(daemon)
    assert "AccessDenied" in line and secret not in daemon.log()


def test_without_credentials_it_says_where_it_looked(fake, daemon):
    fake.equip(daemon)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        daemon.env[name] = ""
    line = one_line(daemon)
    assert "no credentials: environment" in line


def test_a_store_that_does_not_answer_yet_is_waited_for(fake, daemon):
    fake.equip(daemon)
    fake.put("raw", "a.csv", table([(1, "x")]).encode())
    fake.faults({"operation": "ListObjectsV2", "times": 4, "fault": {"kind": "error", "code": "SlowDown"}})
    daemon.start()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 1)
    assert "does not answer yet" in daemon.log()


def test_plain_http_goes_to_hosts_that_were_named_only(daemon):
    daemon.configure(
        raw={"uri": "s3://bucket"}, aws={"endpoint_url": "http://s3.example.org", "region": "x"}
    )
    daemon.env.update({"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "SK"})
    assert "s3.example.org" in one_line(daemon)
