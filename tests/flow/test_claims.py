"""Two objects that want one key: nothing is overwritten, and every manifest stays true."""

import contextlib
import gzip
import hashlib
import json
import sqlite3

import pytest

from conftest import tree


def untruths(daemon):
    """What is wrong between the manifests and the processed store; nothing, if all is well."""
    files = tree(daemon.processed)
    wrong, listed = [], {}
    for name in [name for name in files if name.startswith("_manifests/")]:
        for output in json.loads(files[name])["outputs"]:
            key = output["key"]
            if key in listed:
                wrong.append(f"{key} is in {listed[key]} and in {name}")
            listed[key] = name
            if hashlib.sha256(files.get(key, b"")).hexdigest() != output["sha256"]:
                wrong.append(f"{key} is not what {name} says")
    wrong += [key for key in files if key not in listed and not key.startswith("_manifests/")]
    wrong += [str(path) for path in daemon.processed.rglob(".*")]
    wrong += [str(path) for path in (daemon.state / "staging").glob("*")]
    with contextlib.closing(sqlite3.connect(daemon.state / "state.db")) as db:
        for table in ("ledgers", "drafts"):
            wrong += [f"{table}: {row}" for row in db.execute(f"SELECT * FROM {table}")]
    return wrong


@pytest.fixture
def small(daemon):
    daemon.sample.size, daemon.sample.frames = 16, 3
    return daemon


def test_a_file_in_two_folders_is_extracted_once_and_again_when_the_first_goes(small):
    first = small.sample.add("vil", ["S1", "S2"])
    small.sample.write_catalog()
    small.start()
    small.wait_idle()
    before = tree(small.processed)
    second = small.raw / "copy" / first.name
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    key = str(second.relative_to(small.raw))
    job = small.wait_state(key, "QUARANTINED")
    assert job["class"] == "CONFLICT", job
    assert f"'{first.relative_to(small.raw)}'" in job["reason"] and "frames/" in job["reason"]
    assert tree(small.processed) == before and not untruths(small)
    first.unlink()
    small.wait_state(key, "DONE")
    small.wait_idle()
    assert not untruths(small)
    assert [row[0] for row in small.query("SELECT DISTINCT source FROM outputs WHERE kind = 'image'")] == [key]


@pytest.mark.parametrize("to", ["aaa", "zzz"])  # listed before the old name, and after it
@pytest.mark.parametrize("awake", [True, False])
def test_a_file_that_is_moved_keeps_its_outputs(small, to, awake):
    first = small.sample.add("vil", ["S1", "S2"])
    small.sample.write_catalog()
    small.start()
    small.wait_idle()
    if not awake:
        small.stop()
    second = small.raw / to / first.name
    second.parent.mkdir()
    first.rename(second)
    if not awake:
        small.start()
    small.wait_state(str(first.relative_to(small.raw)), "RETIRED")
    small.wait_state(str(second.relative_to(small.raw)), "DONE")
    small.wait_idle()
    assert not untruths(small)
    assert len([key for key in tree(small.processed) if key.endswith(".png")]) == 8


def test_an_id_in_many_files_has_pictures_of_its_own_in_each(small):
    for month in (1, 2, 3, 4):
        small.sample.add("vil", ["S1", "S2"], time=f"2019-{month:02d}-10 12:00:00")
    small.sample.write_catalog()
    small.start()
    small.wait_idle()
    assert small.get("/v1/status")["jobs"]["DONE"] == 5 and not untruths(small)
    sheets = {key.split("/")[2] for key in tree(small.processed) if key.endswith("sheet.png")}
    assert sheets == {f"id={i}" for i in "S1 S1.0 S1.0.2 S1.0.3 S2 S2.1 S2.1.2 S2.1.3".split()}


def test_ids_that_spell_one_picture_are_refused(small):
    small.sample.add("vil", ["S1", "S1.2", "S1"])
    small.sample.write_catalog()
    small.start()
    small.wait_idle()
    job = next(j for j in small.get("/v1/jobs")["jobs"] if j["key"].endswith(".h5"))
    assert job["state"] == "QUARANTINED" and "id=S1.2/" in job["reason"], job
    assert not untruths(small)


def test_of_two_catalogs_of_one_name_one_is_published_and_both_are_read(small):
    small.sample.add("vil", ["S1"])
    half = list(small.sample.rows)
    small.sample.add("ir069", ["S1"])
    small.sample.write_catalog("CATALOG.csv", rows=half)
    small.start()
    small.wait_idle()
    small.sample.write_catalog("sub/CATALOG.csv")
    job = small.wait_state("sub/CATALOG.csv", "QUARANTINED")
    assert "'CATALOG.csv'" in job["reason"], job
    small.wait_idle()
    assert small.query("SELECT count(*) FROM events") == [[2]] and not untruths(small)
    (small.raw / "CATALOG.csv").unlink()
    small.wait_state("sub/CATALOG.csv", "DONE")
    small.wait_idle()
    assert small.query("SELECT count(*) FROM events") == [[2]] and not untruths(small)


def test_a_table_and_its_packed_twin_do_not_overwrite_each_other(small):
    (small.raw / "a.csv").write_text("x,y\n1,2\n")
    (small.raw / "a.csv.gz").write_bytes(gzip.compress(b"x,y\n3,4\n"))
    small.start()
    small.wait_idle()
    states = sorted(job["state"] for job in small.get("/v1/jobs")["jobs"])
    assert states == ["DONE", "QUARANTINED"] and not untruths(small)


def test_a_version_that_fails_for_good_leaves_nothing_of_the_one_before(small):
    import h5py

    path = small.sample.add("vil", ["S1", "S2"], chunks=(1, 16, 16, 3), compression="gzip")
    small.sample.write_catalog()
    small.start()
    small.wait_idle()
    data = bytearray(path.read_bytes())
    with h5py.File(path) as f:
        chunk = f["vil"].id.get_chunk_info(1)
    for at in range(chunk.byte_offset, chunk.byte_offset + chunk.size):
        data[at] ^= 0x5A
    part = path.with_name(".part")
    part.write_bytes(bytes(data))
    part.rename(path)
    key = str(path.relative_to(small.raw))
    job = small.wait_state(key, "QUARANTINED")
    small.wait_idle()
    assert job["class"] == "CORRUPT", job
    assert not untruths(small)
    assert not [name for name in tree(small.processed) if "vil" in name or "VIL" in name]
    assert small.query("SELECT (SELECT count(*) FROM frames), (SELECT count(*) FROM outputs)")[0][0] == 0
