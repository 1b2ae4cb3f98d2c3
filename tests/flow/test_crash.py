"""A daemon killed at any of its moves, or at any moment, ends with the same outputs after a restart."""

import contextlib
import sqlite3
import subprocess

import h5py
import numpy as np
import pytest

from conftest import tree

TABLES = ("frames", "flashes", "notes", "events", "outputs")


def prepare(daemon):
    """A bit of everything: rows, flashes, a table, a catalog, and a file that will never do."""
    daemon.sample.size, daemon.sample.frames = 24, 5
    daemon.sample.add("vil", ["S1", "S2", "S3"])
    daemon.sample.add("lght", ["S100001", "S100002"])
    (daemon.raw / "notes.csv").write_text("a,b\n1,x\n2,y\n")
    (daemon.raw / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 300)
    daemon.sample.write_catalog()


def content(daemon, table):
    """Its rows in an order of their own; which job made an output may differ."""
    columns = "key, bytes, sha256, kind, source" if table == "outputs" else "*"
    return sorted(daemon.query(f"SELECT {columns} FROM {table}"), key=repr)


def run_to_the_end(daemon):
    daemon.start()
    daemon.wait_idle()
    jobs = daemon.get("/v1/jobs?limit=100")["jobs"]
    result = (
        tree(daemon.processed),
        {table: content(daemon, table) for table in TABLES},
        sorted((job["key"], job["state"]) for job in jobs),
    )
    daemon.stop()
    left = [str(p.relative_to(daemon.state)) for p in daemon.state.rglob("*") if p.is_file()]
    assert not [p for p in left if p.split("/")[0] in ("staging", "ledgers", "jobs")], left
    with contextlib.closing(sqlite3.connect(daemon.state / "state.db")) as db:
        for table in ("drafts", "ledgers"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    return result


def same(got, want, when):
    assert got[2] == want[2], when
    assert got[1] == want[1], when
    assert sorted(got[0]) == sorted(want[0]), when
    assert got[0] == want[0], when


def test_killed_at_every_transition_it_ends_with_the_same_outputs(daemon, make_daemon):
    prepare(daemon)
    want = run_to_the_end(daemon)
    assert sorted(state for _, state in want[2]) == ["DONE", "DONE", "DONE", "DONE", "QUARANTINED"]
    for move in range(1, 200):
        again = make_daemon(f"crash{move}")
        again.configure(raw={"uri": daemon.raw.as_uri()})
        again.env = {"SEVIRD_CRASH_AT": str(move)}
        again.start(wait=False)
        if not died(again):
            break  # it went through to the end without coming to that move
        again.env = {}
        same(run_to_the_end(again), want, f"killed at move {move}")
    assert move > 25


def died(daemon):
    """True once the daemon killed itself, False once it is idle."""
    while True:
        try:
            assert daemon.process.wait(0.05) == -9, daemon.log()
            daemon.process = None
            daemon.check_reports()
            return True
        except subprocess.TimeoutExpired:
            pass
        try:
            if daemon.get("/v1/status")["idle"]:
                return False
        except (OSError, ValueError):
            pass


@pytest.mark.parametrize("kills", [20])
def test_killed_again_and_again_at_moments_nobody_chose(daemon, make_daemon, kills):
    prepare(daemon)
    want = run_to_the_end(daemon)
    again = make_daemon("again")
    again.configure(raw={"uri": daemon.raw.as_uri()})
    for kill in range(kills):
        again.start(wait=False)
        with pytest.raises(subprocess.TimeoutExpired):
            again.process.wait(0.05 + 0.03 * kill)
        again.kill()
    same(run_to_the_end(again), want, f"killed {kills} times")


@pytest.mark.parametrize("then", ["junk", "too short"])
def test_what_was_half_made_goes_when_nothing_comes_of_it(daemon, then):
    """Killed in the midst of its pictures; then the file is another, of which none can be made."""
    daemon.sample.size, daemon.sample.frames = 192, 49
    file = daemon.sample.add("vil", [f"S1000{i:02}" for i in range(12)])
    daemon.sample.write_catalog()
    daemon.start(wait=False)
    while not any(daemon.processed.glob("images/**/*.png")):
        assert daemon.process.poll() is None, daemon.log()
    daemon.kill()
    assert any(daemon.processed.glob("images/**/*.png"))
    if then == "junk":
        file.write_bytes(b"no hdf5")
    else:
        with h5py.File(file, "w") as short:
            short["vil"] = np.zeros((2, 192, 192, 49), np.uint8)
    daemon.start()
    daemon.wait_state(str(file.relative_to(daemon.raw)), "QUARANTINED")
    daemon.wait_idle()
    assert not [key for key in tree(daemon.processed) if key.startswith(("images/", "frames/"))]
