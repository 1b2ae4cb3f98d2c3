"""Small files that become large ones: memory stays within bounds, and the daemon can be stopped."""

import gzip
import time

from conftest import tree


def peak_mib(daemon):
    with open(f"/proc/{daemon.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def test_a_table_that_packs_well_goes_through_in_pieces(daemon):
    """A hundred MiB of rows in one of gzip: with a budget of 64 MiB they are never in memory at once."""
    with gzip.open(daemon.raw / "t.csv.gz", "wt", compresslevel=6) as file:
        file.write("a,b\n")
        for number in range(70_000):
            file.write(f"{number * 7919 % 1000003},{'x' * 1500}\n")
    daemon.configure(extract={"memory": "64MiB", "workers": 1})
    daemon.env = {"ASAN_OPTIONS": f"quarantine_size_mb=1:log_path={daemon.reports}/asan"}
    daemon.start()
    before = peak_mib(daemon)
    daemon.wait_state("t.csv.gz", "DONE")
    assert peak_mib(daemon) - before < 100
    assert len(tree(daemon.processed)["tables/t/t.csv"]) > 100 << 20


def test_a_bomb_is_quarantined_with_the_reason(daemon):
    with gzip.open(daemon.raw / "bomb.csv.gz", "wb", compresslevel=9) as file:
        for _ in range(300):
            file.write(b"1,2\n" * 262144)
    daemon.start()
    job = daemon.wait_state("bomb.csv.gz", "QUARANTINED")
    assert job["class"] == "INVALID" and "250 times its size" in job["reason"], job


def test_a_large_table_stops_within_seconds_wherever_it_is(daemon):
    (daemon.raw / "t.csv").write_text("a,b\n" + "".join(f"{n},{n}\n" for n in range(600_000)))
    for state in ("CRAWLING", "EXTRACTING", "PUBLISHING"):
        daemon.start()
        job = daemon.wait_state("t.csv", state, "DONE")
        assert job["state"] == state
        began = time.monotonic()
        daemon.stop()
        assert time.monotonic() - began < 10, state
    daemon.start()
    daemon.wait_state("t.csv", "DONE")
    assert daemon.query("SELECT count(*), max(a) FROM t") == [[600000, 599999]]
