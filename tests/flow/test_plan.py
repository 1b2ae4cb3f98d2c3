"""`sevirctl plan` says beforehand what the daemon then does."""

import csv
import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from conftest import ROOT, tree

REAL = ROOT.parent / "shared" / "data" / "CATALOG_2019H1_subset.csv"
KINDS = ("frames", "flashes", "catalog", "table", "image", "sheet", "packed")


def plan(daemon, *args, check=0):
    daemon.write_config()
    done = daemon.ctl("plan", "--config", daemon.config_path, *args, check=check)
    return json.loads(done.stdout) if "--json" in args else done.stdout


def counter(text, name):
    found = re.findall(rf"^sevird_{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def what_happened(daemon):
    daemon.start()
    daemon.wait_idle()
    metrics = daemon.request("GET", "/metrics").text
    outputs = dict.fromkeys(KINDS, 0) | dict(
        daemon.query("SELECT kind, count(*) FROM outputs GROUP BY kind")
    )
    jobs = daemon.get("/v1/status")["jobs"]
    outputs["manifest"] = sum(key.startswith("_manifests/") for key in tree(daemon.processed))
    return {
        "events": counter(metrics, "extract_events_total"),
        "frames": counter(metrics, "extract_frames_total"),
        "fetch_bytes": counter(metrics, "fetch_bytes_total"),
        "needed_bytes": counter(metrics, "fetch_needed_bytes_total"),
        "outputs": outputs,
        "done": jobs["DONE"],
        "skipped": jobs["SKIPPED"],
        "waiting": jobs["WAITING"],
        "failing": jobs["QUARANTINED"],
    }


def check_plan(daemon, said):
    did = what_happened(daemon)
    for key in ("events", "frames", "fetch_bytes", "needed_bytes", "outputs"):
        assert said[key] == did[key], key
    objects = said["objects"]
    assert objects["excluded"] + objects["other"] == did["skipped"]
    assert objects["waiting"] == did["waiting"]
    assert objects["failing"] == did["failing"]
    assert said["outputs"]["manifest"] == did["done"]
    assert said["requests"]["put"] == sum(said["outputs"].values())
    return did


def fill(sample):
    sample.add("vil", ["S1", "S2", "S3", "S1"], chunks=(2, 16, 16, 13), compression="gzip")
    sample.add("ir069", ["S1", "S2", "R19010112000001"], time="2019-02-03 01:00:00")
    sample.add("vis", ["S9"], time="2019-03-03 01:00:00")
    sample.add("lght", ["S1001", "S1002", "S1003"])
    sample.rows[1]["time_utc"] = "2018-12-31 23:59:00"  # of another month than its neighbours
    sample.write_catalog()
    lonely = sample.add("ir107", ["S77"])
    assert lonely.exists()  # the catalog was written before it
    with h5py.File(sample.root / "grid.h5", "w") as f:
        f.create_dataset("grid", data=np.ones((4, 4)))
    (sample.root / "stations.csv").write_text("name,height\nA,1\nB,2\n")
    (sample.root / "readme.txt").write_text("nothing")


@pytest.mark.parametrize("images", ["none", "sheet", "frames", "packed"])
def test_what_plan_says_is_what_happens(daemon, images):
    fill(daemon.sample)
    daemon.configure(extract={"images": images})
    said = plan(daemon, "--json")
    assert said["events"] == 4 + 3 + 1 + 3
    assert (said["objects"]["tables"], said["objects"]["foreign"]) == (1, 1)
    did = check_plan(daemon, said)
    assert did["frames"] == 13 * 8 and did["fetch_bytes"] > 0 and did["waiting"] == 1
    assert not any("plan" in key for key in tree(daemon.processed))


def test_a_selection_is_planned_as_it_is_carried_out(daemon):
    fill(daemon.sample)
    daemon.configure(select={"types": ["vil", "lght"], "limit": 3})
    said = plan(daemon, "--json")
    assert said["catalog"]["selected"] == 3 and said["objects"]["excluded"] == 4
    other = plan(daemon, "--json", "--type", "ir069")
    assert (other["events"], other["types"]["vil"]["events"]) == (3, 0)
    check_plan(daemon, said)


def test_objects_that_would_fail_and_files_that_are_missing_are_named(daemon):
    sample = daemon.sample
    sample.add("vil", ["S1", "S2"])
    sample.rows.append({**sample.rows[1], "id": "S3", "file_index": 7})
    sample.rows.append({**sample.rows[0], "file_name": "vil/2019/SEVIR_VIL_NOWHERE.h5"})
    sample.write_catalog()
    said = plan(daemon, "--json")
    assert said["missing"] == {"files": 1, "events": 1}
    (problem,) = said["problems"]
    assert "S3" in problem and "row 7" in problem
    text = plan(daemon)
    assert "would fail:" in text and "row 7" in text
    check_plan(daemon, said)


def test_costs_are_arithmetic_with_prices_that_one_can_change(daemon):
    fill(daemon.sample)
    daemon.configure(athena={"price_per_tb": 7})
    said = plan(daemon, "--json", "--price", "s3.put_1000=10", "--price=s3.get_1000=0")
    cost = said["cost"]
    assert cost["prices"]["athena.scan_tb"] == 7 and cost["prices"]["s3.put_1000"] == 10
    puts = said["requests"]["put"] + said["requests"]["list"]
    assert cost["local"]["requests_usd"] == pytest.approx(puts * 10 / 1000)
    hours = cost["glue"]["crawl_dpu_hours"] + cost["glue"]["job_dpu_hours"]
    assert cost["glue"]["usd"] == pytest.approx(hours * 0.44) and hours > 0
    assert cost["prices_of"] == "us-east-1, January 2025"
    assert cost["prices_from"] == {
        "s3.get_1000": "--price", "s3.put_1000": "--price", "s3.transfer_gb": "assumed",
        "glue.dpu_hour": "assumed", "athena.scan_tb": "athena.price_per_tb",
    }  # fmt: skip
    text = plan(daemon, "--price", "s3.transfer_gb=0")
    for words in ("LIST", "local", "glue", "athena", "assumed: list prices of us-east-1, January 2025"):
        assert words in text
    said = {line.split()[0]: line.split()[-2:] for line in text.splitlines() if line.split()}
    assert said["glue.dpu_hour"] == ["0.44", "assumed"] and said["s3.transfer_gb"] == ["0", "--price"]
    assert said["athena.scan_tb"] == ["7", "athena.price_per_tb"]
    for price in ("s3.put_1000", "s3.put_1000=-1", "gold=3"):
        done = daemon.ctl("plan", "--config", daemon.config_path, "--price", price, check=2)
        assert "'--price'" in done.stderr
    daemon.configure(raw={"uri": str(daemon.dir / "none")}).write_config()
    done = daemon.ctl("plan", "--config", daemon.config_path, check=1)
    assert done.stdout == "" and done.stderr.count("\n") == 1


def test_a_bucket_is_planned_as_a_folder_is(daemon, fake):
    fake.equip(daemon)
    fill(daemon.sample)
    for path in ("stations.csv", "readme.txt", "grid.h5"):
        daemon.sample.upload(daemon.raw / path)
    daemon.write_config()
    done = daemon.ctl("plan", "--config", daemon.config_path, "--json", check=0, env=daemon.env)
    said = json.loads(done.stdout)
    daemon.start()
    daemon.wait_idle()
    metrics = daemon.request("GET", "/metrics").text
    assert said["fetch_bytes"] == counter(metrics, "fetch_bytes_total")
    assert said["events"] == counter(metrics, "extract_events_total")
    assert said["outputs"]["image"] == daemon.query("SELECT count(*) FROM outputs WHERE kind = 'image'")[0][0]


@pytest.mark.skipif(not REAL.exists(), reason="the real catalog is not at hand")
def test_the_real_catalog_with_made_files(daemon):
    rows = list(csv.DictReader(REAL.open()))
    depth = {}
    for row in rows:
        if row["img_type"] != "lght":
            depth[row["file_name"]] = max(depth.get(row["file_name"], 0), int(row["file_index"]) + 1)
    for name, count in depth.items():
        path = daemon.raw / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = Path(name).parts[0]
        with h5py.File(path, "w") as f:
            dtype = np.uint8 if kind == "vil" else np.int16
            f.create_dataset(kind, shape=(count, 8, 8, 49), dtype=dtype, data=np.ones((count, 8, 8, 49), dtype))
    flashes = {row["id"] for row in rows if row["img_type"] == "lght"}
    (name,) = {row["file_name"] for row in rows if row["img_type"] == "lght"}
    path = daemon.raw / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as f:
        for number, event in enumerate(sorted(flashes)):
            f.create_dataset(event, data=np.full((number % 9, 5), 2.0))
    (daemon.raw / "CATALOG.csv").write_bytes(REAL.read_bytes())
    daemon.configure(extract={"images": "none"}, select={"events": "storm"})
    said = plan(daemon, "--json")
    alone = json.loads(daemon.ctl("plan", "--catalog", REAL, "--events", "storm", "--json", check=0).stdout)
    assert alone["events"] == said["events"] == said["catalog"]["selected"]
    assert alone["outputs"]["frames"] == said["outputs"]["frames"]
    assert said["catalog"]["rows"] == len(rows)
    check_plan(daemon, said)
