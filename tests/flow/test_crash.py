"""A daemon killed at any of its moves ends, after a restart, with the same outputs."""

import json

import pytest

from conftest import tree


def prepare(daemon):
    daemon.sample.size, daemon.sample.frames = 24, 5
    daemon.sample.add("vil", ["S1", "S2", "S3"])
    daemon.sample.add("lght", ["S100001", "S100002"])
    (daemon.raw / "notes.csv").write_text("a,b\n1,x\n2,y\n")
    (daemon.raw / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 300)
    daemon.sample.write_catalog()


def rows(daemon):
    return {
        table: daemon.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")
        for table in ("frames", "flashes", "notes", "events")
    }


def finished(daemon):
    jobs = daemon.get("/v1/jobs?limit=100")["jobs"]
    return sorted((j["key"], j["state"]) for j in jobs)


def run_clean(daemon):
    daemon.start()
    daemon.wait_idle()
    result = tree(daemon.processed), rows(daemon), finished(daemon)
    daemon.stop()
    return result


def test_killed_at_every_transition_it_ends_with_the_same_outputs(daemon, make_daemon):
    prepare(daemon)
    want = run_clean(daemon)
    assert sorted(state for _, state in want[2]) == ["DONE", "DONE", "DONE", "DONE", "QUARANTINED"]
    moves = 0
    while True:
        moves += 1
        again = make_daemon(f"crash{moves}")
        again.configure(raw={"uri": daemon.raw.as_uri()}, http={"listen": None})
        again.env = {"SEVIRD_CRASH_AT": str(moves)}
        again.start(wait=False)
        try:
            code = again.wait_exit(20) if not again_is_idle(again) else 0
        except Exception:
            raise
        if again.process is not None:
            again.stop()
            break  # it went through without coming to that move
        assert code == -9, again.log()
        again.env = {}
        assert run_clean(again) == want, f"killed at move {moves}"
    assert moves > 20


def again_is_idle(daemon):
    """Until the daemon is idle (True) or gone (False)."""
    while daemon.process.poll() is None:
        try:
            if daemon.get("/v1/status")["idle"]:
                return True
        except (OSError, AssertionError, json.JSONDecodeError, Exception):
            continue
    return False


@pytest.mark.parametrize("kills", [25])
def test_killed_from_outside_again_and_again(daemon, make_daemon, kills):
    """At moments nobody chose: between moves, in the middle of puts."""
    prepare(daemon)
    want = run_clean(daemon)
    again = make_daemon("again")
    again.configure(raw={"uri": daemon.raw.as_uri()})
    for kill in range(kills):
        again.start(wait=False)
        try:
            again.process.wait(0.05 + 0.03 * kill)
        except Exception:
            again.kill()
        else:
            pytest.fail(again.log())
    assert run_clean(again) == want
