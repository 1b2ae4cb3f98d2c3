"""Memory is bounded by the budget, not by the file or the store.

Under a sanitizer resident memory means nothing, so this wants a release build: SEVIRD_RELEASE_BUILD
names it (tests/run.sh makes one). tests/bench/scale.sh does the same at full size.
"""

import os
from pathlib import Path

import pytest

from conftest import Daemon

MIB = 1 << 20
BUILD = os.environ.get("SEVIRD_RELEASE_BUILD")
pytestmark = pytest.mark.skipif(
    not BUILD, reason="memory is measured on a release build, and SEVIRD_RELEASE_BUILD names none"
)


class ReleaseDaemon(Daemon):
    def __init__(self, directory):
        super().__init__(directory)
        self.build = Path(BUILD).resolve()
        self.env["SEVIRD_H5PROBE"] = str(self.build / "daemon/h5probe/sevird-h5probe")

    def command(self, *args):
        return [str(self.build / "daemon/sevird"), "--config", str(self.config_path), *args]

    def most_memory(self):
        """Bytes that were resident at most so far."""
        with open(f"/proc/{self.process.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["VmHWM"].split()[0]) * 1024


@pytest.fixture
def daemon(tmp_path):
    daemon = ReleaseDaemon(tmp_path / "d")
    yield daemon
    daemon.stop()


def test_2000_events_take_the_budget_and_100_mib_at_most(daemon):
    daemon.sample.size, daemon.sample.frames = 24, 49
    daemon.sample.add("vil", [f"S{i}" for i in range(2000)])
    daemon.sample.write_catalog()
    daemon.configure(extract={"memory": "64MiB", "images": "frames"})
    daemon.start()
    daemon.wait_idle(timeout=400)
    assert daemon.get("/v1/status")["jobs"]["DONE"] == 2
    assert daemon.query("SELECT count(*) FROM outputs WHERE kind IN ('image', 'sheet')") == [[100000]]
    assert daemon.query("SELECT count(*) FROM frames") == [[98000]]
    most = daemon.most_memory()
    print(f"RSS at most {most / MIB:.0f} MiB")
    assert most <= (64 + 100) * MIB


def test_a_store_of_100000_keys_is_listed_within_200_mib(daemon):
    for folder in range(100):
        path = daemon.raw / f"d{folder:02d}"
        path.mkdir()
        for name in range(1000):
            (path / f"SEVIR_VIL_STORMEVENTS_2019_{name:07d}.bin").touch()
    daemon.configure(sources={"settle": "0s", "list": {"interval": "0s"}})
    daemon.start()
    daemon.post("/v1/pause")  # it is the listing that is measured; jobs have tests of their own
    daemon.wait_for(lambda status: status["listed"])
    counts = daemon.post("/v1/reconcile")
    assert counts["listed"] == counts["known"] == 100000
    most = daemon.most_memory()
    print(f"RSS at most {most / MIB:.0f} MiB")
    assert most <= 200 * MIB
