"""Whatever is dropped into the raw store, the daemon stays, and good files beside it are done."""

import os
import random

import h5py
import numpy as np
import pytest

from conftest import ctl, tree

MUTATIONS = int(os.environ.get("SEVIRD_MUTATIONS", "1000"))


def seeds(directory):
    """Small files of every kind that extraction reads."""
    made = []
    for number, options in enumerate(
        (
            {},
            dict(chunks=(1, 12, 12, 3), compression="gzip", shuffle=True, fletcher32=True),
            dict(chunks=(2, 5, 7, 2), compression="gzip"),
        )
    ):
        path = directory / f"seed{number}.h5"
        with h5py.File(path, "w", libver="latest" if number == 2 else "earliest") as f:
            rng = np.random.default_rng(number)
            f.create_dataset("vil", data=rng.integers(0, 256, (2, 12, 12, 3), dtype=np.uint8), **options)
            f["id"] = np.array([b"S1", b"S2"], dtype="S10")
            f["vil"].attrs["note"] = "seed"
        made.append(path.read_bytes())
    path = directory / "lght.h5"
    with h5py.File(path, "w") as f:
        f["S100001"] = np.random.default_rng(3).random((9, 5))
        f.create_dataset("S100002", shape=(0, 5), dtype="f8")
    made.append(path.read_bytes())
    return made


def mutate(rng, seed, other):
    data = bytearray(seed)
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(data[: rng.randrange(8, len(data))])
    if kind == 1:
        for _ in range(rng.randrange(1, 12)):
            data[rng.randrange(8, len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        at = rng.randrange(8, len(data))
        data[at : at + 8] = rng.choice([b"\xff" * 8, b"\0" * 8, (2**63).to_bytes(8, "little")])
    elif kind == 3:
        at, size = rng.randrange(8, len(data)), rng.randrange(1, 200)
        data[at : at + size] = other[at : at + size]
    else:
        at = rng.randrange(8, min(len(data), 2048))  # the metadata lies in front
        data[at] = rng.randrange(256)
    return bytes(data)


def all_jobs(daemon):
    """{key: its newest job}, page by page."""
    jobs, before = {}, ""
    while True:
        page = daemon.get(f"/v1/jobs?limit=1000{before}")["jobs"]
        for job in page:
            jobs.setdefault(job["key"], job)
        if len(page) < 1000:
            return jobs
        before = f"&before={page[-1]['id']}"


def test_mutated_files_end_done_or_quarantined_with_a_reason(daemon, tmp_path):
    originals = seeds(tmp_path)
    rng = random.Random(20190512)
    daemon.sample.frames, daemon.sample.size = 3, 12
    folder = daemon.raw / "mutants"
    folder.mkdir()
    for number in range(MUTATIONS):
        seed = originals[number % len(originals)]
        name = f"mutants/m{number:04d}.h5"
        (daemon.raw / name).write_bytes(mutate(rng, seed, originals[(number + 1) % len(originals)]))
        kind = "lght" if number % len(originals) == 3 else "vil"
        for index in range(2):
            event = f"S10000{index + 1}" if kind == "lght" else f"S{number}x{index}"
            daemon.sample.rows.append(
                daemon.sample.row(kind, event, name, index, "2019-05-12 18:30:00")
            )
    daemon.sample.add("vil", ["S900", "S901"], time="2018-02-03 04:05:06")
    daemon.sample.write_catalog()
    daemon.configure(extract={"images": "sheet"})
    daemon.start()
    daemon.wait_idle(timeout=900)
    jobs = all_jobs(daemon)
    assert len([k for k in jobs if k.startswith("mutants/")]) == MUTATIONS
    for key, job in jobs.items():
        assert job["state"] in ("DONE", "QUARANTINED"), job
        if job["state"] == "QUARANTINED":
            assert job["reason"], job
    good = next(k for k in jobs if "2018" in k)
    assert jobs[good]["state"] == "DONE"
    assert any(j["state"] == "QUARANTINED" for j in jobs.values())
    quarantined = {k for k, j in jobs.items() if j["state"] == "QUARANTINED"}
    manifests = {k for k in tree(daemon.processed / "_manifests")}
    assert not {k for k in quarantined if any(m.startswith(k) for m in manifests)}


def crafted(folder):
    """Files that claim much and hold little, or are not what their name says."""
    with h5py.File(folder / "huge.h5", "w") as f:  # 2^40 pixels, none of them written
        f.create_dataset("vil", shape=(2, 2**19, 2**19, 2), dtype="u1", chunks=(1, 64, 64, 2))
    with h5py.File(folder / "huge_contiguous.h5", "w", libver="latest") as f:
        space = h5py.h5s.create_simple((2, 2**15, 2**15, 49))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
        h5py.h5d.create(f.id, b"vil", h5py.h5t.NATIVE_UINT8, space, plist)
    with h5py.File(folder / "loop.h5", "w") as f:
        f.create_group("a/b/c")
        f["a/b/c/up"] = f["a"]
        f["soft"] = h5py.SoftLink("/nowhere")
        f["outside"] = h5py.ExternalLink("/etc/passwd", "/x")
        f["vil"] = np.zeros((2, 4, 4, 1), dtype="u1")
    with h5py.File(folder / "strings.h5", "w") as f:
        f["vil"] = np.full((2, 3, 3, 2), b"x", dtype="S4")
    with h5py.File(folder / "flat.h5", "w") as f:
        f["vil"] = np.zeros((2, 0, 4, 3), dtype="u1")
    with h5py.File(folder / "short.h5", "w") as f:  # fewer rows than the catalog says
        f["vil"] = np.zeros((1, 4, 4, 3), dtype="u1")
    (folder / "empty.h5").write_bytes(b"")
    (folder / "text.h5").write_text("not HDF5 at all\n")
    (folder / "signature.h5").write_bytes(b"\x89HDF\r\n\x1a\n")


def test_crafted_files_get_a_reason_each(daemon):
    folder = daemon.raw / "crafted"
    folder.mkdir()
    crafted(folder)
    names = sorted(p.name for p in folder.iterdir())
    for name in names:
        for index in range(2):
            daemon.sample.rows.append(
                daemon.sample.row("vil", f"S{name}{index}".replace(".h5", ""), f"crafted/{name}", index, "2019-05-12 18:30:00")
            )
    daemon.sample.write_catalog()
    daemon.configure(extract={"memory": "64MiB"}, retry={"attempts": 2})
    daemon.start()
    daemon.wait_idle(timeout=300)
    jobs = {j["key"].split("/")[-1]: j for j in daemon.get("/v1/jobs?limit=100")["jobs"]}
    states = {name: jobs[name]["state"] for name in names}
    assert states["loop.h5"] == "DONE"
    for name in ("short.h5", "strings.h5", "flat.h5", "huge_contiguous.h5", "signature.h5"):
        assert states[name] == "QUARANTINED", (name, jobs[name])
        assert jobs[name]["reason"]
    assert states["huge.h5"] == "QUARANTINED", jobs["huge.h5"]
    assert states["empty.h5"] in ("QUARANTINED", "SKIPPED")
    assert "row" in jobs["short.h5"]["reason"] and "vil" in jobs["short.h5"]["reason"]


@pytest.mark.parametrize("shape", [(2, 2**15, 2**15, 2**9), (3, 2**10, 2**10, 2**19)])
def test_what_no_budget_can_hold_is_refused_at_once(daemon, shape):
    path = daemon.raw / "claims.h5"
    with h5py.File(path, "w", libver="latest") as f:  # 2^40 pixels and more, none of them written
        space = h5py.h5s.create_simple(shape)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 2**14, 2**14, 2) if shape[1] > 2**14 else (1, 2**10, 2**10, 2**8))
        h5py.h5d.create(f.id, b"vil", h5py.h5t.NATIVE_UINT8, space, plist)
    daemon.sample.rows.append(
        daemon.sample.row("vil", "S1", "claims.h5", 0, "2019-05-12 18:30:00")
    )
    daemon.sample.write_catalog()
    daemon.start()
    job = daemon.wait_state("claims.h5", "QUARANTINED")
    assert "vil" in job["reason"], job
    if shape[3] < 2**16:
        assert "extract.memory" in job["reason"], job
    story = daemon.get(f"/v1/jobs/{job['id']}")["jobs"][0]
    moves = [move["to"] for move in story["transitions"]]
    assert moves.count("EXTRACTING") == 1 + moves.count("WAITING") and "BACKOFF" not in moves


MANGLED = {
    "time": (lambda t: t.replace("2019-01-10 12:00:00", "1/10/2019 12:00"), "time_utc"),
    "proj": (lambda t: t.replace("+proj=laea", "#NAME?", 1), "proj"),
    "ids": (lambda t: t.replace("800000.0", "8.00E+05"), "event_id"),
    "cut": (lambda t: t[: len(t) * 2 // 3], "line"),
}


@pytest.mark.parametrize("how", MANGLED)
def test_a_mangled_catalog_is_refused_with_column_and_line(daemon, how):
    change, column = MANGLED[how]
    daemon.sample.add("vil", ["S1", "S2"])
    path = daemon.sample.write_catalog()
    path.write_text(change(path.read_text()))
    daemon.start()
    job = daemon.wait_state("CATALOG.csv", "QUARANTINED")
    assert "line" in job["reason"] and column in job["reason"], job
    vil = next(j for j in daemon.get("/v1/jobs")["jobs"] if j["key"].endswith(".h5"))
    assert vil["state"] in ("WAITING", "CRAWLED", "EXTRACTING", "QUEUED", "CRAWLING")


HOSTILE_NAMES = ["a\nb.csv", "semi;colon '\"<script>.csv", "\x1b[31mred.csv", "ü.csv", "a=b&c?d#e%20.csv"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_stays_a_name(daemon, name):
    (daemon.raw / name).write_text("x,y\n1,2\n")
    daemon.start()
    daemon.wait_idle()
    job = daemon.wait_state(name, "DONE")
    assert job["key"] == name
    shown = daemon.ctl("jobs", check=0).stdout
    assert "\x1b" not in shown
    assert "\x1b[31m" not in daemon.log()
    assert len([line for line in shown.splitlines() if "DONE" in line]) == 1
    told = ctl("--socket", daemon.socket, "--json", "explain", name, check=0, reports=daemon.reports)
    assert "DONE" in told.stdout


def test_a_name_that_is_not_utf8_is_refused_visibly(daemon):
    (daemon.raw / os.fsdecode(b"bad\xff.csv")).write_text("x\n1\n")
    (daemon.raw / "good.csv").write_text("x\n1\n")
    daemon.start()
    daemon.wait_idle()
    assert daemon.get("/v1/status")["jobs"]["DONE"] == 1
    assert daemon.metrics()['sevird_sightings_total{source="list",outcome="refused"}'] >= 1
