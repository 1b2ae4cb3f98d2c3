"""What stands in config/ for other dashboards: valid, and naming only what exists."""

import csv
import json
import re
import shutil
import subprocess

import pytest

from conftest import ROOT

GRAFANA = json.loads((ROOT / "config" / "grafana" / "sevird.json").read_text())
QUICKSIGHT = ROOT / "config" / "quicksight"
METRIC = re.compile(
    r'(?P<type>COUNTER|GAUGE|HISTOGRAM)\(\w+, "(?P<name>\w+)", "(?:[^"\\]|\\.)*"(?P<rest>(?:, *[^)]*)?)\)'
)


def metrics():
    """{name: (type, labels)} as daemon/metrics.h has them."""
    found = {}
    for match in METRIC.finditer((ROOT / "daemon" / "metrics.h").read_text()):
        found["sevird_" + match["name"]] = (match["type"], set(re.findall(r'"(\w+)"', match["rest"])))
    return found


def targets():
    return [(p["title"], t) for p in GRAFANA["panels"] for t in p.get("targets", [])]


def test_every_series_that_grafana_asks_for_exists_with_its_labels():
    known = metrics()
    assert len(known) > 15
    named = set()
    for title, target in targets():
        for name in re.findall(r"\bsevird_\w+", target["expr"]):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            kind, labels = known[base]
            assert (name != base) == (kind == "HISTOGRAM"), (title, name)
            assert (kind != "GAUGE") == bool(re.search(rf"(rate|increase)\({name}", target["expr"])), (title, name)
            named.add(base)
        groups = {word for by in re.findall(r"by \(([^)]*)\)", target["expr"]) for word in by.split(", ")}
        groups |= set(re.findall(r"[{,](\w+)=", target["expr"]))
        assert groups <= labels | {"le", "job", "instance"}, (title, groups)
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= groups
    assert len(named) > 15


def test_grafana_may_bring_any_data_source():
    variables = {v["name"]: v for v in GRAFANA["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource" and variables["datasource"]["query"] == "prometheus"
    for _, target in targets():
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    for name in re.findall(r"\$(\w+)", " ".join(t["expr"] for _, t in targets())):
        assert name in variables or name == "__rate_interval"
    ids = [panel["id"] for panel in GRAFANA["panels"]]
    assert len(ids) == len(set(ids))
    taken = set()
    for panel in GRAFANA["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells


def test_promtool_takes_every_expression(tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool")
    rules = [
        {"record": f"x:y{i}", "expr": t["expr"].replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")}
        for i, (_, t) in enumerate(targets())
    ]
    path = tmp_path / "rules.json"  # JSON is YAML
    path.write_text(json.dumps({"groups": [{"name": "x", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_quicksight_is_pointed_at_what_is_published(running):
    running.sample.add("vil", ["S10000"])
    running.sample.add("lght", ["S10000", "S20000"])
    running.sample.write_catalog()
    running.wait_for(lambda status: status["jobs"]["DONE"] == 3)
    keys = running.query("SELECT key, kind FROM outputs")
    paths = sorted(QUICKSIGHT.glob("*.json"))
    assert [path.stem for path in paths] == ["catalog", "flashes", "frames"]
    for path in paths:
        manifest = json.loads(path.read_text())
        (prefix,) = manifest["fileLocations"][0]["URIPrefixes"]
        folder = re.fullmatch(r"s3://PROCESSED-BUCKET/(\w+/)", prefix)[1]
        found = [key for key, kind in keys if kind == path.stem]
        assert found and all(key.startswith(folder) for key in found)
        assert [key for key, _ in keys if key.startswith(folder)] == found  # one schema a data set
        settings = manifest["globalUploadSettings"]
        assert settings == {"format": "CSV", "delimiter": ",", "textqualifier": '"', "containsHeader": "true"}
        for key in found:
            with open(running.processed / key, newline="") as file:
                rows = list(csv.reader(file, delimiter=settings["delimiter"], quotechar=settings["textqualifier"]))
            assert len({len(row) for row in rows}) == 1 and "id" in rows[0]
