"""What lies where the configuration says: links, mounts that are not there, stores that take no writes."""

import contextlib
import os
import shutil
import subprocess

import pytest

from conftest import H5PROBE, SEVIRD, environment, tree

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def mount(*args):
    if subprocess.run(["mount", *map(str, args)], capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")


@pytest.fixture
def mounted():
    """mounted(path) puts a small file system there; it goes with the test."""
    places = []

    def make(path, size="16m"):
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)
        places.append(path)
        return path

    yield make
    for path in places:
        subprocess.run(["umount", "-l", str(path)], check=False)


def refusal(daemon):
    daemon.write_config()
    done = subprocess.run(
        daemon.command(), capture_output=True, text=True, timeout=60, env=environment(daemon.reports)
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done
    return done.stderr


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_link_from_one_store_into_the_other_is_refused(daemon, below):
    link = daemon.dir / "link"
    link.symlink_to(daemon.raw)
    daemon.configure(processed={"uri": str(link / below)})
    assert "outputs would be taken for inputs" in refusal(daemon)
    daemon.configure(processed={"uri": str(daemon.processed)}, raw={"uri": str(link)}, state_dir=str(daemon.raw / "s"))
    assert "our own files would be taken for inputs" in refusal(daemon)


@root_only
def test_a_processed_store_that_takes_no_writes_is_refused_at_the_start(daemon, mounted):
    mounted(daemon.processed)
    mount("-o", "remount,ro", daemon.processed)
    said = refusal(daemon)
    assert str(daemon.processed) in said and "Read-only file system" in said


@root_only
def test_a_processed_store_that_takes_no_writes_for_a_while_quarantines_nothing(daemon, mounted):
    mounted(daemon.processed)
    daemon.configure(retry={"attempts": 2})
    daemon.start()
    daemon.wait_idle()
    mount("-o", "remount,ro", daemon.processed)
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.write_catalog()
    (daemon.raw / "a.csv").write_text("a,b\n1,2\n")
    daemon.wait_for(lambda status: status["jobs"]["BACKOFF"] == 3)
    daemon.wait_for(lambda status: daemon.log().count("-> BACKOFF") >= 9)
    assert "Read-only file system" in daemon.log() and "this host is at fault" in daemon.log()
    mount("-o", "remount,rw", daemon.processed)
    daemon.wait_idle()
    assert daemon.get("/v1/status")["jobs"]["DONE"] == 3
    daemon.stop()


@root_only
def test_a_full_disk_below_the_state_is_no_secret(daemon, mounted):
    daemon.state.mkdir(exist_ok=True)
    mounted(daemon.state)
    daemon.start()
    daemon.wait_idle()
    assert daemon.get("/readyz")["state_writable"]
    filler = daemon.state / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    for number in range(100):
        (daemon.raw / f"a{number}.csv").write_text("a,b\n1,2\n")
    while daemon.request("GET", "/readyz").json["state_writable"]:
        assert daemon.process.poll() is None, daemon.log()
    assert "database or disk is full" in daemon.log()
    filler.unlink()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 100 and status["idle"])
    daemon.wait_for(lambda status: daemon.request("GET", "/readyz").json["state_writable"])


@root_only
def test_a_raw_store_that_is_not_mounted_retires_nothing(daemon, mounted):
    mounted(daemon.raw)
    for name in "abc":
        (daemon.raw / f"{name}.csv").write_text("a,b\n1,2\n")
    daemon.start()
    daemon.wait_idle()
    before = tree(daemon.processed)
    daemon.stop()
    subprocess.run(["umount", str(daemon.raw)], check=True)
    daemon.start()
    error = daemon.wait_for(lambda status: status.get("error"))["error"]
    assert "not mounted" in error["text"], error
    assert tree(daemon.processed) == before
    assert daemon.get("/v1/status")["jobs"]["RETIRED"] == 0
    assert "gone" in daemon.ctl("reconcile", check=0).stdout
    daemon.wait_for(lambda status: status["jobs"]["RETIRED"] == 3)
    daemon.wait_idle()


def test_outputs_go_to_the_directory_that_has_the_name_now(daemon):
    (daemon.raw / "a.csv").write_text("a,b\n1,2\n")
    daemon.start()
    daemon.wait_idle()
    daemon.processed.rename(daemon.dir / "aside")
    daemon.processed.mkdir()
    (daemon.raw / "b.csv").write_text("a,b\n1,2\n")
    daemon.wait_state("b.csv", "DONE")
    assert sorted(tree(daemon.processed)) == ["_manifests/b.csv.json", "tables/b/b.csv"]
    assert sorted(tree(daemon.dir / "aside")) == ["_manifests/a.csv.json", "tables/a/a.csv"]


def test_a_helper_that_is_not_installed_is_waited_for(daemon):
    """An installation's fault is nobody's quarantine."""
    moved = daemon.dir / "bin"  # the helper is looked for beside the daemon
    moved.mkdir()
    shutil.copy(SEVIRD, moved / "sevird")
    daemon.command = lambda *args: [str(moved / "sevird"), "--config", str(daemon.config_path), *args]
    program = moved / "sevird-h5probe"
    program.mkdir()  # there, and nothing that can be started
    daemon.configure(retry={"attempts": 2})
    daemon.sample.size, daemon.sample.frames = 16, 3
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_for(lambda status: daemon.log().count("-> BACKOFF") >= 4)
    assert "this host is at fault" in daemon.log() and "sevird-h5probe" in daemon.log()
    program.rmdir()
    shutil.copy(H5PROBE, program)
    daemon.wait_idle()
    assert daemon.get("/v1/status")["jobs"]["DONE"] == 2
