"""What the crawl learns of an object, seen from outside: tables, schemas, SEVIR's catalog, queries."""

import csv
import gzip
import json

import pytest


def table(daemon, name):
    return daemon.get(f"/v1/tables/{name}")


def columns(daemon, name):
    return {column["name"]: column["type"] for column in table(daemon, name)["columns"]}


STORMS = (
    "BEGIN_YEARMONTH,EVENT_ID,STATE_FIPS,BEGIN_DATE_TIME,SEEN,MAGNITUDE,Damage (USD),NARRATIVE\r\n"
    '201904,834603,08,30-APR-19 14:52:00,2019-04-30T14:52Z,,25.00K,"Hail, and ""wind""\nfor hours"\r\n'
    "201905,834604,48,01-MAY-19 00:00:00,2019-05-01,52.5,,\r\n"
)
STORM_TYPES = {
    "begin_yearmonth": "bigint",
    "event_id": "bigint",
    "state_fips": "string",
    "begin_date_time": "string",
    "seen": "timestamp",
    "magnitude": "double",
    "damage_usd": "string",
    "narrative": "string",
}


@pytest.mark.parametrize(
    "name, encode",
    [
        ("StormEvents_details-ftp_v1.0_d2019_c20210223.csv", str.encode),
        ("StormEvents_details-ftp_v1.0_d2019_c20210223.csv.gz", lambda t: gzip.compress(t.encode(), mtime=0)),
        ("bom/storms.csv", lambda t: b"\xef\xbb\xbf" + t.encode()),
        ("latin/storms.csv", lambda t: t.replace(",", ";").encode()),
    ],
)
def test_a_csv_is_typed_cleaned_and_queried(daemon, name, encode):
    path = daemon.raw / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(encode(STORMS))
    daemon.start()
    daemon.wait_idle()
    job = daemon.wait_state(name, "DONE")
    assert columns(daemon, job["table"]) == STORM_TYPES
    rows = daemon.query(f"SELECT * FROM {job['table']} ORDER BY event_id")
    assert len(rows[0]) == len(STORM_TYPES)  # and no column of ours
    assert rows[0][:6] == [201904, 834603, "08", "30-APR-19 14:52:00", "2019-04-30 14:52:00", None]
    assert rows[0][7].replace(";", ",") == 'Hail, and "wind"\nfor hours'
    assert rows[1][4:8] == ["2019-05-01 00:00:00", 52.5, None, None]
    found = list(daemon.processed.glob(f"tables/{job['table']}/**/*.csv"))
    assert len(found) == 1
    with open(found[0], newline="") as f:
        assert next(csv.reader(f)) == list(STORM_TYPES)


def test_a_changed_schema_makes_a_version_that_says_what_changed(daemon):
    path = daemon.raw / "stations.csv"
    path.write_text("id,height\n1,100\n2,200\n")
    daemon.start()
    daemon.wait_idle()
    assert [v["version"] for v in table(daemon, "stations")["versions"]] == [1]
    path.write_text("id,height,name\n1,100.5,Norman\n")
    daemon.wait_for(lambda s: s["idle"] and len(table(daemon, "stations")["versions"]) == 2)
    daemon.wait_state("stations.csv", "DONE")
    change = table(daemon, "stations")["versions"][-1]["change"]
    assert change == "column 'height' bigint -> double; added column 'name' string"
    assert daemon.query("SELECT id, height, name FROM stations") == [[1, 100.5, "Norman"]]


def test_files_of_one_name_feed_one_table(daemon):
    for year in (2018, 2019):
        folder = daemon.raw / "stations" / f"year={year}"
        folder.mkdir(parents=True)
        (folder / "stations.csv").write_text(f"id,empty\n{year},{'' if year == 2018 else 7}\n")
    daemon.start()
    daemon.wait_idle()
    found = table(daemon, "stations")
    assert [p["values"] for p in found["partitions"]] == ["year=2018", "year=2019"]
    assert columns(daemon, "stations") == {"id": "bigint", "empty": "bigint"}
    assert daemon.query("SELECT * FROM stations ORDER BY id") == [[2018, None], [2019, 7]]


@pytest.mark.parametrize(
    "name, content, state, reason",
    [
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "QUARANTINED", "line 3 has 3 fields"),
        ("garbage.csv", bytes(range(256)) * 8, "QUARANTINED", "binary data"),
        ("wide.csv", "a,b\n1,2\n".encode("utf-16"), "QUARANTINED", "UTF-8"),
        ("cut.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "QUARANTINED", "gzip"),
        ("cut.h5", b"\x89HDF", "QUARANTINED", "no HDF5 signature"),
        ("long.h5", b"no" * 50000, "QUARANTINED", "signature not found"),
        ("none.h5", b"", "QUARANTINED", "empty"),
        ("none.csv", b"", "SKIPPED", "empty"),
        ("notes.md", b"# notes\n", "SKIPPED", "neither HDF5 nor CSV"),
        ("header.csv", b"alpha,beta\n", "DONE", None),
    ],
)
def test_every_odd_file_ends_with_a_reason(daemon, name, content, state, reason):
    (daemon.raw / name).write_bytes(content)
    daemon.start()
    daemon.wait_idle()
    job = daemon.wait_state(name, "QUARANTINED", "SKIPPED", "DONE")
    assert job["state"] == state, job
    if reason:
        assert reason in job["reason"], job


def test_a_catalog_is_known_by_its_columns_wherever_it_lies(daemon):
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.write_catalog("some/where/list.csv")
    daemon.start()
    daemon.wait_idle()
    assert daemon.query("SELECT id, img_type, file_index, time_utc FROM events ORDER BY id") == [
        ["S1", "vil", 0, "2019-01-10 12:00:00"],
        ["S2", "vil", 1, "2019-01-10 12:00:00"],
    ]
    assert daemon.query("SELECT count(*) FROM frames") == [[26]]
    assert columns(daemon, "raw.vil")["vil"] == "array<array<array<smallint>>>"
    assert [p["values"] for p in table(daemon, "raw.vil")["partitions"]] == ["year=2019"]
    assert "contiguous at" in table(daemon, "raw.vil")["objects"][0]["summary"]


def test_the_real_catalog_fills_events(daemon):
    from conftest import ROOT

    real = ROOT.parent / "shared" / "data" / "CATALOG_2019H1_subset.csv"
    if not real.exists():
        pytest.skip("the real catalog is not at hand")
    (daemon.raw / "CATALOG.csv").write_bytes(real.read_bytes())
    daemon.start()
    daemon.wait_idle()
    with open(real, newline="") as f:
        rows = list(csv.DictReader(f))
    assert daemon.query("SELECT img_type, count(*) FROM events GROUP BY 1 ORDER BY 1") == [
        ["ir069", 729], ["ir107", 728], ["lght", 580], ["vil", 851], ["vis", 214],
    ]  # fmt: skip
    found = daemon.query(
        "SELECT id, file_index, llcrnrlat, urcrnrlon, data_min, pct_missing, minute_offsets"
        " FROM events WHERE img_type = 'vil' ORDER BY file_index"
    )
    wanted = [
        [
            row["id"],
            int(row["file_index"]),
            float(row["llcrnrlat"]),
            float(row["urcrnrlon"]),
            float(row["data_min"]) if row["data_min"] else None,
            float(row["pct_missing"]),
            row["minute_offsets"],
        ]
        for row in sorted((r for r in rows if r["img_type"] == "vil"), key=lambda r: int(r["file_index"]))
    ]
    assert found == wanted


def test_an_object_that_stops_being_a_catalog_takes_its_events_along(daemon):
    daemon.sample.add("vil", ["S1"])
    path = daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert daemon.query("SELECT count(*) FROM events") == [[1]]
    path.write_text("a,b\n1,2\n")
    daemon.wait_for(lambda s: s["idle"] and daemon.query("SELECT count(*) FROM events") == [[0]])


def test_a_query_reads_and_nothing_else(daemon):
    daemon.start()
    for sql, words in (
        ("DELETE FROM frames", "only reads"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("", ""),
        ("SELECT nonsense FROM frames", "no such column"),
        ("ATTACH '/etc/passwd' AS p", "attach"),
        ("SELECT load_extension('x')", "load_extension"),
    ):
        answer = daemon.request("POST", "/v1/query", body=json.dumps({"sql": sql}))
        assert answer.status == 400, (sql, answer.status, answer.text)
        assert words in answer.json["detail"], answer.text
    assert daemon.query("SELECT count(*) FROM objects") == [[0]]


def test_a_query_without_end_is_ended(daemon):
    daemon.configure(query={"limit": "500ms"})
    daemon.start()
    answer = daemon.request(
        "POST",
        "/v1/query",
        body={"sql": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT sum(i) FROM n"},
    )
    assert answer.status in (408, 503, 504), answer.text
    assert "took longer than" in answer.json["detail"]


def test_objects_outputs_and_tables_join(daemon):
    daemon.sample.add("vil", ["S1"])
    (daemon.raw / "notes.csv").write_text("id,note\nS1,hail\n")
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert daemon.query('SELECT key, state, kind, "table" FROM objects ORDER BY key') == [
        ["CATALOG.csv", "DONE", "catalog", "catalog"],
        ["data/vil/2019/SEVIR_VIL_STORMEVENTS_2019_0101_0128.h5", "DONE", "hdf5", "vil"],
        ["notes.csv", "DONE", "csv", "notes"],
    ]
    assert daemon.query(
        "SELECT note, count(*) FROM notes JOIN frames USING (id) JOIN events USING (id, img_type)"
    ) == [["hail", 13]]
    assert daemon.query("SELECT count(*) FROM outputs WHERE kind = 'table'") == [[1]]
