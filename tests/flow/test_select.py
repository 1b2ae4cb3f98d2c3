"""`sevirctl select` gives what pandas gives for the same filter: on the real catalog when it is at hand,
and always on a made one."""

import csv
import gzip
import io
import itertools
import json
import random

import pandas as pd
import pytest

from conftest import ROOT, ctl
from sample import COLUMNS, PROJ

REAL = ROOT.parent / "shared" / "data" / "CATALOG_2019H1_subset.csv"
OUT = ["file_name", "file_index", "id", "img_type", "time_utc", "event_type"]
EVENT_TYPES = ["Hail", "Tornado", "Flash Flood", "Thunderstorm Wind", "Flood"]


def made_rows():
    """Two years of storm and random events of all types, the same every time."""
    chance = random.Random(2019)
    for n in range(600):
        storm = chance.random() < 0.4
        img_type = chance.choice(["vis", "ir069", "ir107", "vil", "lght"])
        size = {"vis": 768, "ir069": 192, "ir107": 192, "vil": 384, "lght": 48}[img_type]
        lat, lon = chance.uniform(22, 46), chance.uniform(-122, -72)
        year, month = chance.choice([2018, 2019]), chance.randrange(1, 13)
        yield {
            "id": f"S{n + 700000}" if storm else f"R{year % 100}{month:02}0112{n:04}7684",
            "file_name": f"{img_type}/{year}/SEVIR_{img_type.upper()}_{n % 3}.h5",
            "file_index": 0 if img_type == "lght" else n,
            "img_type": img_type,
            "time_utc": f"{year}-{month:02}-{chance.randrange(1, 29):02} 12:{n % 60:02}:15",
            "minute_offsets": "" if img_type == "lght" else "-5:0:5",
            "episode_id": f"{n}.0" if storm else "",
            "event_id": f"{n + 700000}.0" if storm else "",
            "event_type": chance.choice(EVENT_TYPES) if storm else "",
            "llcrnrlat": lat,
            "llcrnrlon": lon,
            "urcrnrlat": lat + 3.4,
            "urcrnrlon": lon + 4.2,
            "proj": PROJ,
            "size_x": size,
            "size_y": size,
            "height_m": 384000.0,
            "width_m": 384000.0,
            "data_min": 0.0 if n % 7 else "",
            "data_max": 254.0 if n % 7 else "",
            "pct_missing": chance.choice([0.0, 0.25, 1.0]),
        }


def as_csv(rows, delimiter=",", newline="\n", quoting=csv.QUOTE_MINIMAL):
    text = io.StringIO()
    writer = csv.DictWriter(
        text, COLUMNS, delimiter=delimiter, lineterminator=newline, quoting=quoting
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalog") / "CATALOG.csv"
    path.write_text(as_csv(made_rows()))
    return path


def expected(path, year=(), month=(), type=(), events=None, event_type=(), id=(), bbox=None, limit=None):
    """By pandas. Empty means everything."""
    table = pd.read_csv(path, keep_default_na=False, dtype={"file_index": int})
    time = pd.to_datetime(table.time_utc)
    keep = pd.Series(True, index=table.index)
    if year:
        keep &= time.dt.year.isin(year)
    if month:
        keep &= time.dt.month.isin(month)
    if type:
        keep &= table.img_type.isin(type)
    if events in ("storm", "random"):
        keep &= table.id.str.startswith("S" if events == "storm" else "R")
    if event_type:
        keep &= table.event_type.str.lower().isin([e.lower() for e in event_type])
    if id:
        keep &= table.id.isin(id)
    if bbox:
        south, west, north, east = bbox
        keep &= (table.llcrnrlat.astype(float) <= north) & (table.urcrnrlat.astype(float) >= south)
        keep &= (table.llcrnrlon.astype(float) <= east) & (table.urcrnrlon.astype(float) >= west)
    table = table[keep][OUT]
    return table.head(limit) if limit else table


def arguments(**conditions):
    made = []
    for name, value in conditions.items():
        option = "--" + name.replace("_", "-")
        if name == "bbox":
            made += [option, ",".join(map(str, value))]
        elif isinstance(value, (list, tuple)):
            made += [word for item in value for word in (option, item)]
        else:
            made += [option, value]
    return made


def check(path, **conditions):
    want = expected(path, **conditions)
    done = ctl("select", "--catalog", path, *arguments(**conditions), check=0)
    assert done.stdout == want.to_csv(index=False, lineterminator="\n"), conditions
    done = ctl("--json", "select", "--catalog", path, *arguments(**conditions), check=0)
    assert json.loads(done.stdout) == want.to_dict("records"), conditions
    return len(want)


CONDITIONS = [
    {},
    {"year": [2019]},
    {"year": [2017]},
    {"month": [1]},
    {"month": [5, 6]},
    {"type": ["vil"]},
    {"type": ["vis", "lght"]},
    {"events": "storm"},
    {"events": "random"},
    {"events": "all"},
    {"event_type": ["tornado"]},
    {"event_type": ["Hail", "Flash Flood"]},
    {"bbox": (30, -100, 40, -90)},
    {"bbox": (40, -90, 30, -100), "type": ["ir069"]},
    {"bbox": (-10, -179, 22.5, 179)},
    {"limit": 1},
    {"limit": 17, "events": "storm", "type": ["vil"]},
    {"year": [2019], "month": [1], "type": ["vil"], "events": "storm"},
]


def corrected(conditions):
    """pandas is told the box with its corners in order."""
    if "bbox" in conditions:
        a, b, c, d = conditions["bbox"]
        return {**conditions, "bbox": (min(a, c), min(b, d), max(a, c), max(b, d))}
    return conditions


@pytest.mark.parametrize("conditions", CONDITIONS, ids=str)
def test_a_made_catalog_is_filtered_as_pandas_does(made, conditions):
    check(made, **corrected(conditions))


def test_combinations_of_conditions_agree_with_pandas(made):
    kept = 0
    for year, month, kind, events in itertools.product(
        [[], [2018]], [[], [3, 7]], [[], ["vil", "vis"]], ["storm", "random", "all"]
    ):
        kept += check(made, year=year, month=month, type=kind, events=events)
    assert kept > 600


def test_ids_may_be_named_and_an_unknown_one_matches_nothing(made):
    rows = list(made_rows())
    assert check(made, id=[rows[3]["id"], rows[500]["id"]]) == 2
    assert check(made, id=["S1"]) == 0


@pytest.mark.skipif(not REAL.exists(), reason="the real catalog is not at hand")
def test_the_real_catalog_is_filtered_as_pandas_does():
    for conditions in CONDITIONS:
        check(REAL, **corrected(conditions))
    assert check(REAL, type=["vil"]) == 851
    assert check(REAL, type=["lght"]) == 580
    everything = expected(REAL)
    for chosen in (everything.id[0], everything.id[3000]):
        assert check(REAL, id=[chosen]) >= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: ("\ufeff" + text).encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: gzip.compress(text.encode()),
        lambda text: gzip.compress(text[:5000].encode()) + gzip.compress(text[5000:].encode()),
        lambda text: text.rstrip("\n").encode(),
    ],
    ids=["byte-order mark", "CR LF", "gzip", "two gzip members", "no last newline"],
)
def test_dialects_make_no_difference(made, tmp_path, change):
    path = tmp_path / "CATALOG.csv"
    path.write_bytes(change(made.read_text()))
    done = ctl("select", "--catalog", path, "--type", "vil", check=0)
    assert done.stdout == expected(made, type=["vil"]).to_csv(index=False, lineterminator="\n")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiters_and_quotes_make_no_difference(made, tmp_path, delimiter):
    path = tmp_path / "CATALOG.csv"
    path.write_text(as_csv(made_rows(), delimiter, "\r\n", csv.QUOTE_ALL))
    done = ctl("select", "--catalog", path, check=0)
    assert done.stdout == expected(made).to_csv(index=False, lineterminator="\n")


def damage(column, value):
    def change(rows):
        rows[2][column] = value
        return as_csv(rows)

    return change


@pytest.mark.parametrize(
    "change, words",
    [
        (damage("time_utc", "5/12/2019 18:30"), "line 4 column 'time_utc': '5/12/2019 18:30'"),
        (damage("proj", "#NAME?"), "line 4 column 'proj': '#NAME?'"),
        (damage("event_id", "1.39E+05"), "line 4 column 'event_id': '1.39E+05'"),
        (damage("llcrnrlat", "29,86"), "line 4 column 'llcrnrlat': '29,86' has a decimal comma"),
        (damage("pct_missing", "25"), "line 4 column 'pct_missing': '25'"),
        (lambda rows: as_csv(rows)[:1500], "is the row cut short?"),
        (lambda rows: as_csv(rows).replace("size_y", "size"), "line 1 column 'size_y'"),
        (lambda rows: as_csv(rows) + '"open', "a quoted field of this row is never closed"),
        (lambda rows: as_csv(rows).encode("utf-16"), "UTF-16; save it as UTF-8"),
        (lambda rows: "a,b\n1,2\n", "not a SEVIR catalog"),
        (lambda rows: "", "is empty"),
    ],
)
def test_a_mangled_catalog_is_one_line_that_shows_where(tmp_path, change, words):
    path = tmp_path / "CATALOG.csv"
    text = change(list(made_rows()))
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = ctl("select", "--catalog", path, check=1)
    assert done.stdout == ""
    assert words in done.stderr
    assert done.stderr.startswith("sevirctl: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words, code",
    [
        ([], 2),
        (["--catalog", "{made}", "--type", "VIL"], 2),
        (["--catalog", "{made}", "--bbox", "1,2,3"], 2),
        (["--catalog", "{made}", "--month", "13"], 2),
        (["--catalog", "{made}", "--colour", "red"], 2),
        (["--catalog", "{made}", "word"], 2),
        (["--catalog", "/nowhere/CATALOG.csv"], 1),
        (["--catalog", "/"], 1),
        (["--catalog", "s3://sevir/CATALOG.csv"], 1),
    ],
)
def test_what_is_wrong_has_its_exit_code_and_one_line(made, words, code):
    done = ctl("select", *[w.format(made=made) for w in words], check=code)
    assert done.stdout == "" and done.stderr.count("\n") == 1
