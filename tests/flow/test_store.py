"""The file store from outside: upload, copy, and what the daemon notices of a raw store."""

import json
import os
import signal
import socket
import subprocess

import pytest

from conftest import SEVIRCTL, ctl, environment, tree
from sample import Sample

IDS = ["S100", "S200", "R19010101017684"]


def errors(done):
    return [line for line in done.stderr.splitlines() if line.startswith("sevirctl: ")]


# -- upload ----------------------------------------------------------------------------------------


def test_upload_puts_files_into_a_folder_that_need_not_exist(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"a" * 70000)
    (tmp_path / "b.bin").write_bytes(b"")
    store = tmp_path / "store"
    done = ctl("upload", tmp_path / "a.bin", tmp_path / "b.bin", f"{store.as_uri()}/x/y/", check=0)
    assert done.stdout == "uploaded 2 files, 70.0 kB\n"
    assert tree(store) == {"x/y/a.bin": b"a" * 70000, "x/y/b.bin": b""}
    ctl("upload", tmp_path / "b.bin", store / "x", check=0)  # a folder that is there needs no slash
    assert (store / "x" / "b.bin").exists()


def test_upload_of_one_file_may_name_its_key(tmp_path):
    (tmp_path / "a").write_text("new")
    ctl("upload", tmp_path / "a", tmp_path / "store" / "d" / "name.csv", check=0)
    assert tree(tmp_path / "store") == {"d/name.csv": b"new"}
    ctl("upload", "a", "store/d/name2.csv", check=0, cwd=tmp_path)
    ctl("upload", (tmp_path / "a").as_uri(), tmp_path / "store" / "d" / "name3.csv", check=0)
    assert sorted(tree(tmp_path / "store")) == ["d/name.csv", "d/name2.csv", "d/name3.csv"]


def test_upload_replaces_whole_and_skips_only_when_asked(tmp_path):
    (tmp_path / "a").write_text("one")
    ctl("upload", tmp_path / "a", f"{tmp_path}/store/", check=0)
    inode = (tmp_path / "store" / "a").stat().st_ino
    done = ctl("upload", "--skip-existing", tmp_path / "a", f"{tmp_path}/store/", check=0)
    assert "uploaded 0 files" in done.stdout and "1 there already" in done.stdout
    assert (tmp_path / "store" / "a").stat().st_ino == inode
    (tmp_path / "a").write_text("two")  # the same size, and newer
    ctl("upload", "--skip-existing", tmp_path / "a", f"{tmp_path}/store/", check=0)
    assert (tmp_path / "store" / "a").read_text() == "two"
    assert (tmp_path / "store" / "a").stat().st_ino != inode


def test_an_upload_that_fails_keeps_no_other_from_its_place(tmp_path):
    (tmp_path / "good").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    names = ["missing", ".hidden", "folder", "pipe", "good"]
    done = ctl("upload", *(tmp_path / name for name in names), f"{tmp_path}/store/", check=1)
    assert tree(tmp_path / "store") == {"good": b"x"}
    assert len(errors(done)) == 4
    for name, line in zip(names, errors(done)):
        assert name in line
    document = json.loads(
        ctl("--json", "upload", tmp_path / "missing", tmp_path / "good", f"{tmp_path}/store/", check=1).stdout
    )
    assert [f["state"] for f in document["files"]] == ["failed", "uploaded"]
    assert document["files"][1]["uri"] == (tmp_path / "store" / "good").as_uri()
    assert document["bytes"] == 1


def test_uploads_that_make_no_sense_are_wrong_usage(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a").write_text("y")
    one = ctl("upload", tmp_path / "a", check=2)
    assert "FILE... URI" in one.stderr
    several = ctl("upload", tmp_path / "a", tmp_path / "d" / "a", tmp_path / "key", check=2)
    assert "end it with '/'" in several.stderr
    twice = ctl("upload", tmp_path / "a", tmp_path / "d" / "a", f"{tmp_path}/store/", check=2)
    assert "two files would both be 'a'" in twice.stderr
    assert "unknown scheme" in ctl("upload", tmp_path / "a", "http://x/y", check=2).stderr
    assert not (tmp_path / "store").exists()


def test_upload_onto_a_directory_or_below_a_file_names_the_key(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "store" / "a" / "b").mkdir(parents=True)
    assert "there is a directory" in ctl("upload", tmp_path / "a", tmp_path / "store", check=1).stderr
    below = ctl("upload", tmp_path / "a", tmp_path / "a" / "k", check=1)
    assert len(errors(below)) == 1 and "a" in below.stderr


def test_names_from_outside_do_not_reach_the_terminal_raw(tmp_path):
    name = "a\x1b[31m\nb"
    (tmp_path / name).write_text("x")
    done = ctl("upload", tmp_path / name, f"{tmp_path}/store/", check=0)
    assert (tmp_path / "store" / name).exists() and "\x1b" not in done.stdout + done.stderr
    done = ctl("upload", tmp_path / (name + "missing"), f"{tmp_path}/store/", check=1)
    assert "\x1b" not in done.stderr and done.stderr.count("\n") == 1


# -- copy ------------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    sample = Sample(tmp_path / "src", size=24, frames=5)
    sample.add("vil", IDS)
    sample.add("vil", ["S300"], time="2019-07-10 12:00:00")
    sample.add("ir069", IDS)
    sample.write_catalog()
    return sample


def keys_of(sample, *types):
    return sorted(
        str(path.relative_to(sample.root)) for path in sample.files if path.parts[-3] in types
    )


def copy(source, target, *args, **options):
    catalog = next(source.root.rglob("CATALOG.csv"))
    return ctl("copy", source.root, target, "--catalog", catalog, *args, **options)


def test_copy_takes_what_the_selection_needs_and_keeps_the_layout(source, tmp_path):
    done = copy(source, tmp_path / "dst", "--type", "vil", "--month", "1", check=0)
    (key,) = [k for k in keys_of(source, "vil") if "_0101_" in k or "_01" in k.split("2019_")[1]]
    assert list(tree(tmp_path / "dst")) == [key] and key.startswith("data/vil/2019/")
    assert (tmp_path / "dst" / key).read_bytes() == (source.root / key).read_bytes()
    assert done.stdout.startswith("copied 1 file, ")
    copy(source, tmp_path / "dst", check=0)
    assert sorted(tree(tmp_path / "dst")) == keys_of(source, "vil", "ir069")


def test_copy_finds_a_store_without_the_data_prefix(source, tmp_path):
    catalog = next(source.root.rglob("CATALOG.csv"))
    ctl("copy", source.root / "data", tmp_path / "dst", "--catalog", catalog, "--type", "ir069", check=0)
    assert [k.split("/")[0] for k in tree(tmp_path / "dst")] == ["ir069"]


def test_copy_goes_on_where_it_was(source, tmp_path):
    copy(source, tmp_path / "dst", check=0)
    first, second, third = keys_of(source, "vil", "ir069")
    os.truncate(tmp_path / "dst" / first, 10)
    (tmp_path / "dst" / second).unlink()
    inode = (tmp_path / "dst" / third).stat().st_ino
    done = copy(source, tmp_path / "dst", check=0)
    assert done.stdout.startswith("copied 2 files, ") and "1 there already" in done.stdout
    assert (tmp_path / "dst" / third).stat().st_ino == inode
    for key in (first, second, third):
        assert (tmp_path / "dst" / key).read_bytes() == (source.root / key).read_bytes()


def test_a_dry_run_writes_nothing(source, tmp_path):
    done = copy(source, tmp_path / "dst", "--dry-run", check=0)
    assert not (tmp_path / "dst").exists()
    assert all(key in done.stdout for key in keys_of(source, "vil", "ir069"))
    document = json.loads(
        ctl("--json", "copy", source.root, tmp_path / "dst", "--catalog",
            next(source.root.rglob("CATALOG.csv")), "--dry-run", check=0).stdout
    )  # fmt: skip
    assert {f["state"] for f in document["files"]} == {"planned"}


def test_copy_names_what_is_missing_and_copies_the_rest(source, tmp_path):
    gone = source.root / keys_of(source, "ir069")[0]
    gone.unlink()
    done = copy(source, tmp_path / "dst", check=1)
    assert sorted(tree(tmp_path / "dst")) == keys_of(source, "vil")
    (line,) = errors(done)
    assert gone.name in line and "is not in" in line


def test_a_catalog_cannot_lead_a_copy_out_of_its_store(source, tmp_path):
    catalog = next(source.root.rglob("CATALOG.csv"))
    rows = catalog.read_text().splitlines()
    columns = rows[1].split(",")
    columns[1] = "../../secret"
    (tmp_path / "secret").write_text("x")
    (tmp_path / "evil.csv").write_text("\n".join([rows[0], ",".join(columns), *rows[2:]]) + "\n")
    done = ctl("copy", source.root, tmp_path / "dst", "--catalog", tmp_path / "evil.csv", check=1)
    assert "secret" not in "".join(tree(tmp_path / "dst"))
    assert len(errors(done)) == 1 and "secret" in done.stderr


def test_copy_of_nothing_says_so(source, tmp_path):
    done = copy(source, tmp_path / "dst", "--id", "S999", check=0)
    assert "no row of the catalog matches" in done.stderr
    assert "--catalog is missing" in ctl("copy", source.root, tmp_path / "dst", check=2).stderr
    assert copy(source, tmp_path / "dst", "--month", "13", check=2)
    done = ctl("copy", tmp_path / "none", tmp_path / "dst", "--catalog",
               next(source.root.rglob("CATALOG.csv")), check=1)  # fmt: skip
    assert "none" in done.stderr


def test_a_copy_that_is_killed_leaves_whole_files_or_none(source, tmp_path):
    big = source.root / keys_of(source, "vil")[0]
    with open(big, "r+b") as file:
        file.truncate(3 << 30)  # sparse, so that it costs no disk here
    process = subprocess.Popen(
        [str(SEVIRCTL), "copy", str(source.root), str(tmp_path / "dst"), "--catalog",
         str(next(source.root.rglob("CATALOG.csv"))), "--type", "vil"],
        env=environment(tmp_path), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not (tmp_path / "dst").exists():
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    for path in (tmp_path / "dst").rglob("*"):
        if path.is_file():
            assert path.stat().st_size == (source.root / path.relative_to(tmp_path / "dst")).stat().st_size
            assert not path.name.startswith(".")


# -- what the daemon notices -----------------------------------------------------------------------


def states(daemon):
    return {job["key"]: job["state"] for job in daemon.get("/v1/jobs?limit=1000")["jobs"]}


def test_what_is_uploaded_is_noticed_before_wait_ends(daemon, tmp_path):
    daemon.configure(sources={"list": {"interval": "1h"}, "settle": "200ms"}).start()
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    for number in range(3):
        ctl("upload", tmp_path / "t.csv", daemon.raw / f"in/{number}/t.csv", check=0)
        daemon.ctl("wait", "--timeout", "60", check=0)
        assert states(daemon)[f"in/{number}/t.csv"] == "DONE"


def test_a_file_that_is_still_written_is_not_taken(daemon, tmp_path):
    daemon.configure(sources={"list": {"interval": "1s"}, "settle": "50ms"}).start()
    path = daemon.raw / "slow.csv"
    with open(path, "w") as file:
        file.write("a,b\n1,2\n")
        file.flush()
        os.utime(path, (1e9, 1e9))  # nothing about its time says that it is new
        (daemon.raw / "other.csv").write_text("a,b\n3,4\n")
        daemon.wait_state("other.csv", "DONE")
        assert "slow.csv" not in states(daemon)
        file.write("5,6\n")
    assert daemon.wait_state("slow.csv", "DONE")
    assert [j["key"] for j in daemon.get("/v1/jobs?limit=1000")["jobs"]].count("slow.csv") == 1


def test_odd_names_are_no_trouble(daemon, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text("a,b\n1,2\n")
    raw = os.fsencode(daemon.raw)
    for name in (b"new\nline.csv", b"\xff\xfe.csv", b"-rf.csv", b" .csv", b"l" * 250 + b".csv"):
        with open(raw + b"/" + name, "wb") as file:
            file.write(b"a,b\n1,2\n")
    os.symlink(outside, daemon.raw / "link.csv")
    os.symlink("..", daemon.raw / "up")
    os.mkfifo(daemon.raw / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(daemon.raw / "socket.csv"))
    daemon.start()
    daemon.wait_idle()
    found = states(daemon)
    assert found["new\nline.csv"] == found["-rf.csv"] == found[" .csv"] == "DONE"
    assert not {"link.csv", "pipe.csv", "socket.csv", "up/outside.csv"} & set(found)
    assert not any("\ufffd" in key or "\xff" in key for key in found)
    assert daemon.metrics()['sevird_sightings_total{source="list",outcome="refused"}'] >= 1


def test_what_goes_away_while_the_daemon_is_down_is_retired(daemon):
    (daemon.raw / "a.csv").write_text("a,b\n1,2\n")
    (daemon.raw / "b.csv").write_text("a,b\n3,4\n")
    daemon.start()
    daemon.wait_idle()
    daemon.stop()
    (daemon.raw / "a.csv").unlink()
    daemon.start()
    daemon.wait_idle()
    newest = daemon.get("/v1/jobs?limit=1")["jobs"][0]
    assert (newest["key"], newest["action"], newest["state"]) == ("a.csv", "retire", "RETIRED")
    assert [key for key in tree(daemon.processed) if key.startswith("tables/")] == ["tables/b/b.csv"]


def test_a_raw_store_that_vanishes_retires_nothing(daemon):
    (daemon.raw / "a.csv").write_text("a,b\n1,2\n")
    daemon.start()
    daemon.wait_idle()
    before = tree(daemon.processed)
    daemon.raw.rename(daemon.dir / "aside")
    daemon.wait_for(lambda status: status.get("error"))
    (daemon.dir / "aside").rename(daemon.raw)
    daemon.wait_for(lambda status: not status.get("error") and status["idle"])
    assert tree(daemon.processed) == before
