"""/v1/data and /v1/objects: the charts' numbers against SQL over the rows, and nothing beside them."""

import csv
import hashlib
import io
import urllib.parse
import zipfile
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from PIL import Image

from conftest import ROOT

REAL = ROOT.parent / "shared" / "data" / "CATALOG_2019H1_subset.csv"


def overview(running, query=""):
    answer = running.http("GET", f"/v1/data{query}")
    assert answer.status == 200, answer.text
    return {name: table(chart) for name, chart in answer.json["charts"].items()}


def table(chart):
    return [dict(zip(chart["data"]["columns"], row)) for row in chart["data"]["rows"]]


@pytest.fixture
def stocked(running):
    sample = running.sample
    sample.add("vil", ["S10000", "S20000", "R19010112345678"], time="2019-01-10 12:00:00")
    sample.add("vil", ["S30000"], time="2019-05-12 12:00:00")
    sample.add("ir069", ["S10000", "S20000"], time="2019-01-10 12:00:00")
    sample.add("lght", ["S10000", "S20000"], time="2019-01-10 12:00:00")
    sample.write_catalog()
    running.wait_for(lambda status: status["jobs"]["DONE"] == 5 and status["idle"])
    return running


def test_the_numbers_are_those_of_the_rows(stocked):
    charts = overview(stocked)
    (tiles,) = charts["tiles"]
    ((events, storms, rows, missing),) = stocked.query(
        "SELECT count(DISTINCT id), count(DISTINCT CASE WHEN storm THEN id END), count(*), avg(pct_missing) FROM events"
    )
    assert (tiles["events"], tiles["storms"], tiles["rows"]) == (events, storms, rows)
    assert tiles["missing"] == pytest.approx(missing)
    assert [[tiles["frames"]]] == stocked.query("SELECT count(*) FROM frames")
    assert [[tiles["flashes"]]] == stocked.query("SELECT count(*) FROM flashes")
    assert [[tiles["bytes"]]] == stocked.query(
        "SELECT sum(size_x * size_y * CASE img_type WHEN 'vil' THEN 1 ELSE 2 END) FROM frames"
    )
    by_type = {row["img_type"]: row for row in charts["types"]}
    for name, count, ids in stocked.query("SELECT img_type, count(*), count(DISTINCT id) FROM events GROUP BY 1"):
        assert (by_type[name]["rows"], by_type[name]["events"]) == (count, ids)
    assert [[row["id"], row["area"]] for row in charts["strongest"]] == stocked.query(
        "SELECT id, max(a133) AS area FROM frames WHERE a133 > 0 GROUP BY id ORDER BY area DESC, id"
    )
    assert [[row["month"], row["storms"] + row["random"]] for row in charts["months"]] == stocked.query(
        "SELECT strftime('%Y-%m', time_utc), count(DISTINCT id) FROM events GROUP BY 1 ORDER BY 1"
    )
    assert sum(row["events"] for row in charts["coverage"]) == events


def test_a_filter_is_in_every_chart(stocked):
    for query, where in (
        ("?from=2019-05-01", "time_utc >= '2019-05-01'"),
        ("?to=2019-01-10T12:00:00Z", "time_utc <= '2019-01-10 12:00:00'"),
        ("?type=ir069", "id IN (SELECT id FROM events WHERE img_type = 'ir069')"),
        ("?event_type=(none)", "event_type IS NULL"),
        ("?event_type=Hail&event_type=Tornado", "event_type IN ('Hail', 'Tornado')"),
        ("?q=S", "id LIKE 'S%'"),
        ("?bbox=0,-180,90,180", "true"),
        ("?bbox=0,0,1,1", "false"),
    ):
        charts = overview(stocked, query)
        ((events,),) = stocked.query(f"SELECT count(DISTINCT id) FROM events WHERE {where}")
        assert charts["tiles"][0]["events"] == events, query
        for name in ("event_types", "months", "cells", "coverage"):
            assert sum(row["events"] if "events" in row else row["storms"] + row["random"] for row in charts[name]) == events
        assert {row["id"] for row in charts["boxes"]} == {row["id"] for row in charts["events"]}
        assert len(charts["events"]) == events


def test_a_chart_as_csv_has_the_rows_of_the_sql_it_shows(stocked):
    for name in ("types", "strongest", "events", "stat", "frames", "flash_grid"):
        query = "id=S20000&stat=p99&limit=7" if name != "types" else "type=vil"
        chart = stocked.http("GET", f"/v1/data/{name}?{query}").json
        again = stocked.query(chart["sql"])
        assert chart["data"]["rows"] == again and again, name
        answer = stocked.http("GET", f"/v1/data/{name}?{query}&format=csv")
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert f'filename="{name}.csv"' in answer.headers["Content-Disposition"]
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert rows[0] == chart["data"]["columns"] and len(rows) - 1 == len(again)


def test_sums_follow_what_comes_and_goes(stocked):
    before = overview(stocked)["tiles"][0]
    path = next(p for p in stocked.sample.files if "2019_0501" in p.name)
    path.unlink()
    stocked.wait_for(lambda status: status["jobs"]["RETIRED"] == 1)
    after = overview(stocked)["tiles"][0]
    assert after["events"] == before["events"]
    assert [[after["frames"]]] == stocked.query("SELECT count(*) FROM frames") and after["frames"] < before["frames"]


def test_what_is_no_filter_is_refused(stocked):
    for query in (
        "from=yesterday",
        "to=2019-13-01",
        "type=radar",
        "bbox=1,2,3",
        "bbox=1,2,3,4,5",
        "bbox=5,5,1,1",
        "bbox=nan,0,1,1",
        "level=7",
        "limit=0",
        "limit=1000000",
        "&".join(f"event_type={n}" for n in range(17)),
    ):
        answer = stocked.http("GET", f"/v1/data?{query}")
        assert answer.status == 400, query
        assert answer.headers["Content-Type"] == "application/problem+json"
    for query in ("", "id=S10000&stat=1", "id=S10000&img_type=x", "id=S10000&format=xml"):
        assert stocked.http("GET", f"/v1/data/stat?{query}").status == 400, query
    assert stocked.http("GET", "/v1/data/nothing").status == 404


def test_values_stay_values(stocked):
    for value in ("'; DROP TABLE event_rows; --", "' OR '1'='1", "x') UNION SELECT sql FROM sqlite_schema --", "%00"):
        quoted = urllib.parse.quote(value, safe="%")
        charts = overview(stocked, f"?event_type={quoted}")
        assert charts["tiles"][0]["events"] == 0
        assert stocked.http("GET", f"/v1/data/frames?id={quoted}").json["data"]["rows"] == []
    assert overview(stocked)["tiles"][0]["events"] == 4


@pytest.mark.skipif(not REAL.exists(), reason="the real catalog is not at hand")
def test_the_real_catalog_adds_up(running):
    running.raw.joinpath("CATALOG.csv").write_bytes(REAL.read_bytes())
    running.wait_for(lambda status: status["jobs"]["DONE"] == 1)
    charts = overview(running)
    by_type = {row["img_type"]: row["rows"] for row in charts["types"]}
    assert by_type == {"vil": 851, "ir069": 729, "ir107": 728, "vis": 214, "lght": 580}
    assert charts["tiles"][0]["rows"] == 3102
    assert [[charts["tiles"][0]["events"]]] == running.query("SELECT count(DISTINCT id) FROM events")
    assert charts["tiles"][0]["missing"] == pytest.approx(running.query("SELECT avg(pct_missing) FROM events")[0][0])


# -- objects -------------------------------------------------------------------------------------


def test_what_was_published_is_served_as_it_is(stocked):
    for key, size, sha256, kind in stocked.query("SELECT key, bytes, sha256, kind FROM outputs"):
        answer = stocked.http("GET", "/v1/objects/" + urllib.parse.quote(key))
        assert answer.status == 200, key
        assert len(answer.body) == size and hashlib.sha256(answer.body).hexdigest() == sha256
        expected = "image/png" if kind in ("image", "sheet") else "text/csv; charset=utf-8"
        assert answer.headers["Content-Type"] == expected
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        again = stocked.http("GET", "/v1/objects/" + urllib.parse.quote(key), headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status == 304 and again.body == b""
    source = stocked.query("SELECT source FROM outputs LIMIT 1")[0][0]
    manifest = stocked.http("GET", f"/v1/objects/_manifests/{source}.json")
    assert manifest.headers["Content-Type"] == "application/json" and manifest.json["source"]["key"] == source


def test_nothing_else_of_the_store_is(stocked):
    (stocked.processed / "secret.txt").write_text("not ours")
    (stocked.processed / "_manifests" / "secret.json").write_text("{}")
    key = stocked.query("SELECT key FROM outputs LIMIT 1")[0][0]
    for path in (
        "secret.txt",
        "_manifests/secret.json",
        "_manifests/../secret.json",
        "../state/state.db",
        "..%2fstate%2fstate.db",
        "%2e%2e/state/catalog.db",
        "/etc/passwd",
        f"./{key}",
        f"{key}/",
        f"x/../{key}",
        "_manifests/.json",
        "",
    ):
        answer = stocked.http("GET", f"/v1/objects/{path}")
        assert answer.status in (404, 400), (path, answer.status)
        assert b"SQLite" not in answer.body and b"not ours" not in answer.body


# -- storms --------------------------------------------------------------------------------------


def test_a_storm_names_everything_that_was_made_of_it(stocked):
    storm = stocked.http("GET", "/v1/storms/S20000").json
    types = {row["img_type"]: row for row in storm["types"]}
    assert set(types) == {"vil", "ir069", "lght"}
    columns = types["vil"]["frames"]["columns"]
    for name in ("vil", "ir069"):
        frames = [dict(zip(columns, row)) for row in types[name]["frames"]["rows"]]
        assert [[f["frame"], f["mean"], f["image"]] for f in frames] == stocked.query(
            f"SELECT frame, mean, image FROM frames WHERE id = 'S20000' AND img_type = '{name}' ORDER BY frame"
        )
    for row in storm["types"]:
        for part in ("sheet", "csv", "manifest"):
            if part != "sheet" or row["img_type"] != "lght":
                assert stocked.http("GET", f"/v1/objects/{row[part]}").status == 200, row
        assert (stocked.raw / row["object"]).exists()
    with h5py.File(next(p for p in stocked.sample.files if "LGHT" in p.name)) as f:
        t, x, y = (f["S20000"][:, column] for column in (0, 3, 4))
    inside = (x >= 0) & (x < 48) & (y >= 0) & (y < 48)
    bins = np.clip(np.digitize(t[inside], np.arange(-120, 125, 5) * 60) - 1, 0, 48)
    assert storm["flashes"] == np.bincount(bins, minlength=49).tolist()
    grid = table(stocked.http("GET", "/v1/data/flash_grid?id=S20000").json)
    assert sum(cell["flashes"] for cell in grid) == int(inside.sum())


def members(answer):
    assert answer.status == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_pictures_made_now_are_those_that_extraction_writes(stocked, make_daemon):
    for row in stocked.http("GET", "/v1/storms/S20000").json["types"]:
        if row["img_type"] == "lght":
            continue
        made = members(stocked.http("GET", f"/v1/storms/S20000/film?type={row['img_type']}&file_index={row['file_index']}"))
        image = row["frames"]["columns"].index("image")
        published = [frame[image] for frame in row["frames"]["rows"]]
        assert len(made) == len(published) == stocked.sample.frames
        for key in published:
            assert made[key.rsplit("/", 1)[1]] == (stocked.processed / key).read_bytes()


def test_pictures_are_made_where_none_were_and_found_where_they_are_packed(daemon):
    daemon.sample.add("vil", ["S10000"], chunks=(1, 48, 48, 13), compression="gzip")
    daemon.sample.write_catalog()
    daemon.configure(extract={"images": "none"}).start()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    (row,) = daemon.http("GET", "/v1/storms/S10000").json["types"]
    assert row["sheet"] is None and row["packed"] is None and row["csv"]
    made = members(daemon.http("GET", "/v1/storms/S10000/film?type=vil"))
    daemon.stop()
    daemon.configure(extract={"images": "packed"}).start()
    daemon.post(f"/v1/jobs/{daemon.get('/v1/jobs?limit=1000')['jobs'][0]['id']}/retry")
    daemon.post("/v1/retry", {"states": ["DONE"]})
    daemon.wait_for(lambda status: status["idle"] and daemon.http("GET", "/v1/storms/S10000").json["types"][0]["packed"])
    (row,) = daemon.http("GET", "/v1/storms/S10000").json["types"]
    packed = members(daemon.http("GET", f"/v1/objects/{row['packed']}"))
    assert {name: data for name, data in packed.items() if name.startswith("f")} == made


def test_a_film_stays_within_the_budget(daemon):
    daemon.sample.size = 768
    daemon.sample.add("vis", ["S10000"])
    daemon.sample.write_catalog()
    daemon.configure(extract={"images": "none", "memory": "64MiB"}).start()
    daemon.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    assert len(members(daemon.http("GET", "/v1/storms/S10000/film?type=vis"))) == 13
    daemon.stop()
    daemon.configure(extract={"memory": "16MiB"}).start()
    answer = daemon.http("GET", "/v1/storms/S10000/film?type=vis")
    assert answer.status == 503 and answer.headers["Retry-After"] == "2"


def test_there_is_no_film_of_what_is_not_there(stocked):
    for path, status in (
        ("S10000/film", 400),
        ("S10000/film?type=lght", 400),
        ("S10000/film?type=x", 400),
        ("S10000/film?type=vis", 404),
        ("S10000/film?type=vil&file_index=99", 404),
        ("none/film?type=vil", 404),
    ):
        answer = stocked.http("GET", f"/v1/storms/{path}")
        assert answer.status == status, (path, answer.text)
    path = next(p for p in stocked.sample.files if "VIL" in p.name and "_0101_" in p.name)
    stocked.post("/v1/pause")
    path.write_bytes(path.read_bytes()[:5000])  # it is not what was crawled
    answer = stocked.http("GET", "/v1/storms/S10000/film?type=vil")
    assert answer.status in (400, 409, 500), answer.text


def test_the_colours_are_those_of_the_pictures(stocked):
    colors = stocked.http("GET", "/v1/colors").json
    assert set(colors) == {"vis", "ir069", "ir107", "vil", "lght"}
    image = stocked.query("SELECT image FROM frames WHERE img_type = 'vil' AND image <> '' ORDER BY a133 DESC LIMIT 1")[0][0]
    shown = {"#%02x%02x%02x" % rgb for _, rgb in Image.open(stocked.processed / image).convert("RGB").getcolors()}
    assert shown <= {color for _, color in colors["vil"]["stops"]} | {"#000000"}


def test_who_asks_the_same_gets_the_same_and_never_what_was(stocked):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda n: stocked.http("GET", f"/v1/data?type={('vil', 'ir069')[n % 2]}"), range(30)))
    assert all(answer.status == 200 for answer in answers)
    assert len({answer.body for answer in answers[::2]}) == len({answer.body for answer in answers[1::2]}) == 1
    for number in range(12):  # more than are kept
        before = overview(stocked, f"?type=vil&q={'S' * (number % 2)}&level=133&offset={number}")["tiles"][0]["frames"]
        assert before > 0
    path = next(p for p in stocked.sample.files if "2019_0501" in p.name)
    path.unlink()
    stocked.wait_for(lambda status: status["jobs"]["RETIRED"] == 1)
    assert [[overview(stocked, "?type=vil")["tiles"][0]["frames"]]] == stocked.query("SELECT count(*) FROM frames WHERE img_type = 'vil'")
    with ThreadPoolExecutor(6) as pool:
        assert {a.status for a in pool.map(lambda _: stocked.http("GET", "/v1/data?from=x"), range(6))} == {400}
