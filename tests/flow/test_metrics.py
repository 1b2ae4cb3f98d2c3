"""/metrics: what Prometheus says of it, and that the numbers are true."""

import re
import shutil
import subprocess

import pytest

FAMILIES = """build_info jobs transitions_total stage_duration_seconds sightings_total
oldest_job_age_seconds ingest_lag_seconds extract_events_total extract_frames_total
fetch_bytes_total fetch_needed_bytes_total put_bytes_total put_objects_total memory_budget_bytes
worker_busy_seconds_total loop_lag_seconds""".split()


@pytest.fixture
def worked(running):
    """A daemon that has done a catalog and a file."""
    running.sample.add("vil", ["S1", "S2", "R1"])
    catalog = running.sample.write_catalog()
    running.post("/v1/submit", {"uris": [str(catalog), *map(str, running.sample.files)]})
    running.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    return running


def test_promtool_has_nothing_to_say(worked):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool")
    text = worked.http("GET", "/metrics").body
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_format_is_what_was_asked_for(worked):
    plain = worked.http("GET", "/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    om = worked.http("GET", "/metrics", headers={"Accept": accept})
    assert om.headers["Content-Type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )
    assert om.text.endswith("# EOF\n") and "# EOF" not in plain.text
    never = worked.http("GET", "/metrics", headers={"Accept": "application/openmetrics-text;q=0"})
    assert never.headers["Content-Type"].startswith("text/plain")


def test_both_formats_are_read_by_the_reference_parsers(worked):
    parsers = pytest.importorskip("prometheus_client")
    from prometheus_client import parser
    from prometheus_client.openmetrics import parser as om_parser

    assert parsers
    plain = list(parser.text_string_to_metric_families(worked.http("GET", "/metrics").text))
    om = list(
        om_parser.text_string_to_metric_families(
            worked.http("GET", "/metrics", headers={"Accept": "application/openmetrics-text"}).text
        )
    )
    assert {f.name for f in plain} == {f.name for f in om}


def test_every_family_of_the_contract_is_there_and_true(worked):
    text = worked.http("GET", "/metrics").text
    names = set(re.findall(r"^# TYPE sevird_(\w+) ", text, re.M))
    assert set(FAMILIES) <= names
    metrics = worked.metrics()
    status = worked.get("/v1/status")
    for state, count in status["jobs"].items():
        assert metrics[f'sevird_jobs{{state="{state}"}}'] == count
    assert metrics['sevird_transitions_total{from="PUBLISHING",to="DONE"}'] == 2
    assert metrics['sevird_extract_events_total{img_type="vil"}'] == 3
    assert metrics['sevird_extract_frames_total{img_type="vil"}'] == 3 * worked.sample.frames
    assert metrics["sevird_ingest_lag_seconds_count"] == 2
    assert metrics['sevird_memory_budget_bytes{kind="limit"}'] == 256 << 20
    assert metrics['sevird_memory_budget_bytes{kind="granted"}'] == 0
    assert metrics["sevird_fetch_bytes_total"] >= metrics["sevird_fetch_needed_bytes_total"] > 0
    assert metrics["sevird_worker_busy_seconds_total"] > 0
    assert metrics["sevird_put_objects_total"] > 3 * worked.sample.frames


def test_no_label_is_a_key_an_etag_or_an_id(worked):
    text = worked.http("GET", "/metrics").text
    for secret in ("SEVIR_VIL", "CATALOG", "S1", ".h5", worked.get("/v1/jobs")["jobs"][0]["etag"]):
        assert secret not in text


def test_the_oldest_job_ages(running):
    running.post("/v1/pause")
    running.sample.add("vil", ["S1"])
    running.post("/v1/submit", {"uris": [str(running.sample.write_catalog())]})
    metrics = running.metrics()
    assert metrics['sevird_jobs{state="QUEUED"}'] == 1
    running.wait_for(lambda status: (status["oldest"] or {}).get("age_s", 0) >= 1)
    assert running.metrics()['sevird_oldest_job_age_seconds{state="QUEUED"}'] >= 1
    assert running.get("/v1/status")["oldest"]["state"] == "QUEUED"
    running.post("/v1/resume")
    running.wait_for(lambda status: status["jobs"]["DONE"] >= 1)  # the file may be, too
