"""What happens to an object over time: waiting, changing, going, coming back; and to the daemon."""

import json
import os
import select
import shutil
import signal

from conftest import tree
from test_extract import check_file, check_manifests, frames_of


def manifest(daemon, key):
    return json.loads((daemon.processed / "_manifests" / f"{key}.json").read_text())


def test_a_sevir_file_waits_visibly_for_its_rows(daemon):
    path = daemon.sample.add("vil", ["S1", "S2"])
    key = str(path.relative_to(daemon.raw))
    daemon.start()
    job = daemon.wait_state(key, "WAITING")
    assert "catalog" in job["reason"]
    assert daemon.get("/v1/status")["idle"]
    daemon.sample.write_catalog()
    daemon.wait_state(key, "DONE")
    check_file(daemon, "vil", path)


def test_a_catalog_that_grows_brings_the_new_rows_out(daemon):
    path = daemon.sample.add("vil", ["S1", "S2", "S3"])
    daemon.sample.write_catalog(rows=daemon.sample.rows[:1])
    daemon.start()
    daemon.wait_idle()
    assert set(frames_of(daemon.processed, "vil")) == {("S1", 0)}
    daemon.sample.write_catalog()
    daemon.wait_for(lambda s: s["idle"] and len(frames_of(daemon.processed, "vil")) == 3)
    check_file(daemon, "vil", path)
    check_manifests(daemon)
    assert daemon.query("SELECT count(*) FROM frames") == [[39]]


def test_a_new_version_supersedes_and_leaves_nothing_of_the_old(daemon):
    path = daemon.sample.add("vil", ["S1", "S2"])
    key = str(path.relative_to(daemon.raw))
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    first = manifest(daemon, key)
    daemon.sample.rows.clear()
    daemon.sample.add("vil", ["S3"], file_name=key.removeprefix("data/"))
    daemon.sample.write_catalog()
    daemon.wait_for(
        lambda s: s["idle"] and set(frames_of(daemon.processed, "vil")) == {("S3", 0)}
    )
    assert manifest(daemon, key)["source"]["etag"] != first["source"]["etag"]
    assert {p.name for p in daemon.processed.glob("images/*/*")} == {"id=S3"}
    check_manifests(daemon)
    assert daemon.query("SELECT DISTINCT id FROM frames") == [["S3"]]


def test_an_object_that_is_gone_takes_what_was_made_from_it_along(daemon):
    path = daemon.sample.add("vil", ["S1"])
    kept = daemon.sample.add("ir069", ["S1"])
    (daemon.raw / "notes.csv").write_text("a,b\n1,2\n")
    key = str(path.relative_to(daemon.raw))
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    path.unlink()
    (daemon.raw / "notes.csv").unlink()
    daemon.wait_state(key, "RETIRED")
    daemon.wait_state("notes.csv", "RETIRED")
    assert manifest(daemon, key)["state"] == "retired" and manifest(daemon, key)["outputs"] == []
    assert not frames_of(daemon.processed, "vil") and not (daemon.processed / "tables").exists()
    assert not list(daemon.processed.glob("images/img_type=vil/*"))
    check_file(daemon, "ir069", kept)
    check_manifests(daemon)
    assert daemon.query("SELECT DISTINCT img_type FROM frames") == [["ir069"]]
    values = [p["values"] for p in daemon.get("/v1/tables/frames")["partitions"]]
    assert values == ["img_type=ir069/year=2019/month=01"]


def test_an_object_that_comes_back_is_made_again(daemon):
    path = daemon.sample.add("vil", ["S1"])
    key = str(path.relative_to(daemon.raw))
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    aside = daemon.dir / "aside.h5"
    shutil.move(path, aside)
    daemon.wait_state(key, "RETIRED")
    shutil.move(aside, path)
    daemon.wait_for(lambda s: s["idle"] and bool(frames_of(daemon.processed, "vil")))
    check_file(daemon, "vil", path)


def test_an_unchanged_object_is_never_processed_twice(daemon):
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    before = {p: p.stat().st_mtime_ns for p in daemon.processed.rglob("*") if p.is_file()}
    jobs = len(daemon.get("/v1/jobs")["jobs"])
    daemon.ctl("reconcile", check=0)
    daemon.stop()
    daemon.start()
    daemon.wait_idle()
    daemon.ctl("reconcile", check=0)
    daemon.wait_idle()
    assert len(daemon.get("/v1/jobs")["jobs"]) == jobs
    assert before == {p: p.stat().st_mtime_ns for p in daemon.processed.rglob("*") if p.is_file()}


def test_a_file_still_being_written_is_not_taken(daemon):
    daemon.configure(sources={"settle": "300ms"})
    daemon.start()
    daemon.wait_idle()
    path = daemon.raw / "slow.csv"
    with open(path, "w") as f:
        f.write("a,b\n1,2\n")
        f.flush()
        (daemon.raw / "other.csv").write_text("c\n3\n")
        daemon.wait_state("other.csv", "DONE")
        daemon.ctl("reconcile", check=0)
        assert not [j for j in daemon.get("/v1/jobs")["jobs"] if j["key"] == "slow.csv"]
        f.write("3,4\n")
    daemon.wait_state("slow.csv", "DONE")
    assert daemon.query("SELECT count(*) FROM slow") == [[2]]
    assert len([j for j in daemon.get("/v1/jobs")["jobs"] if j["key"] == "slow.csv"]) == 1


def test_a_full_disk_is_waited_out(daemon):
    """The processed store on a file system of a megabyte."""
    import subprocess

    import pytest

    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(daemon.processed)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        path = daemon.sample.add("vil", [f"S{n}" for n in range(12)])
        daemon.sample.write_catalog()
        filler = daemon.processed / ".filler"
        filler.write_bytes(b"\0" * 200_000)
        daemon.configure(retry={"attempts": 2})
        daemon.start()
        daemon.wait_for(lambda s: s["jobs"]["BACKOFF"] >= 1 and "space" in daemon.log())
        subprocess.run(
            ["mount", "-o", "remount,size=64m", str(daemon.processed)], check=True
        )
        daemon.wait_idle()
        assert daemon.get("/v1/status")["jobs"]["QUARANTINED"] == 0
        filler.unlink()
        check_file(daemon, "vil", path)
        check_manifests(daemon)
    finally:
        daemon.stop()
        subprocess.run(["umount", "-l", str(daemon.processed)], check=False)


def test_a_small_file_passes_a_big_one(daemon):
    daemon.sample.size, daemon.sample.frames = 256, 25
    big = daemon.sample.add("vil", [f"S{n}" for n in range(60)])
    daemon.sample.write_catalog()
    daemon.configure(extract={"workers": 1, "memory": "64MiB"})
    daemon.start()
    daemon.wait_state("CATALOG.csv", "DONE")  # before it the big one only asks and waits
    daemon.wait_state(str(big.relative_to(daemon.raw)), "EXTRACTING")
    (daemon.raw / "small.csv").write_text("a\n1\n")
    daemon.wait_state("small.csv", "DONE")
    states = {j["key"]: j["state"] for j in daemon.get("/v1/jobs")["jobs"]}
    assert states[str(big.relative_to(daemon.raw))] == "EXTRACTING"
    daemon.wait_idle()
    check_manifests(daemon)


def test_a_changed_selection_brings_out_what_it_adds(daemon):
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.add("ir069", ["S1"])
    daemon.sample.write_catalog()
    daemon.configure(select={"types": ["ir069"]})
    daemon.start()
    daemon.wait_idle()
    assert not frames_of(daemon.processed, "vil")
    daemon.configure(select={"types": ["ir069", "vil"]})
    daemon.write_config()
    daemon.ctl("reload", check=0)
    daemon.wait_for(lambda s: s["idle"] and len(frames_of(daemon.processed, "vil")) == 2)
    assert len(tree(daemon.processed / "_manifests")) == 3


def test_a_lost_catalog_is_rebuilt_from_the_stores(daemon):
    path = daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.add("ir069", ["S1"])
    (daemon.raw / "notes.csv").write_text("a,b\n1,x\n")
    daemon.sample.write_catalog()
    daemon.configure(select={"types": ["vil"]})
    daemon.start()
    daemon.wait_idle()
    published = tree(daemon.processed)
    tables = ("events", "frames", "notes", "outputs")
    before = {t: daemon.query(f"SELECT count(*) FROM {t}") for t in tables}
    daemon.stop()
    for lost in daemon.state.glob("catalog.db*"):
        lost.unlink()
    daemon.start()
    daemon.wait_idle()
    assert "rebuild" in daemon.log()
    assert daemon.query("SELECT count(*) FROM frames") == [[0]]
    told = daemon.ctl("--json", "rebuild", check=0)
    assert json.loads(told.stdout)["retried"] == 4
    daemon.wait_idle()
    assert {t: daemon.query(f"SELECT count(*) FROM {t}") for t in tables} == before
    assert tree(daemon.processed) == published
    check_file(daemon, "vil", path)


def test_a_reload_while_it_starts_waits_until_it_can(daemon):
    """From its first line on; SIGHUP used to end a daemon that did not listen for it yet."""
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    for _ in range(5):
        daemon.start(wait=False)
        while not daemon.log() and daemon.process.poll() is None:
            select.select([], [], [], 0.0005)  # a log that is a file tells nobody of a line
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_ready()
        daemon.wait_for(lambda status: status["reloaded"])
        daemon.stop()
        daemon.log_path.unlink()
