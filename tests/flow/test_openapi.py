"""docs/openapi.yaml: it is valid, and it is what the daemon does."""

import re
import sqlite3

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate

from conftest import ROOT

SPEC = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())


def schema_for(answer, path, method):
    """The schema that the document gives for this answer; the status must be one it names."""
    responses = SPEC["paths"][path][method]["responses"]
    assert str(answer.status) in responses, f"{method} {path}: undocumented {answer.status}"
    response = responses[str(answer.status)]
    if "$ref" in response:
        response = SPEC["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in response["content"], f"{method} {path}: undocumented {kind}"
    return kind, response["content"][kind]["schema"]


def check(answer, path, method):
    kind, schema = schema_for(answer, path, method)
    if kind.endswith("json"):
        whole = {"components": SPEC["components"], **schema}
        jsonschema.Draft202012Validator(whole).validate(answer.json)


def concrete(path, running):
    job = running.get("/v1/jobs")["jobs"][0]
    if path.startswith("/assets/"):
        found = re.search(r'"(?:\./|/)?(assets/[^"]+\.js)"', running.http("GET", "/").text)
        return f"/{found[1]}" if found else None
    if path == "/v1/messages/{id}":
        return "/v1/messages/1"
    if path.startswith("/v1/storms/"):
        return path.replace("{id}", "S1") + "?type=vil"
    if path == "/v1/data/{name}":
        return "/v1/data/types?type=vil"
    if path == "/v1/objects/{key}":
        return "/v1/objects/" + running.query("SELECT key FROM outputs WHERE kind = 'sheet'")[0][0]
    return path.replace("{id}", str(job["id"])).replace("{name}", "raw.vil")


@pytest.fixture
def worked(running):
    running.sample.add("vil", ["S1", "S2"])
    catalog = running.sample.write_catalog()
    running.post("/v1/submit", {"uris": [str(catalog), *map(str, running.sample.files)]})
    running.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    broken = running.raw / "broken.h5"
    broken.write_bytes(running.sample.files[0].read_bytes()[:1500])
    running.post("/v1/submit", {"uris": [str(broken)]})
    running.wait_for(lambda status: status["jobs"]["QUARANTINED"] == 1)
    with sqlite3.connect(running.state / "state.db") as state:  # a message, without a queue
        state.execute("INSERT INTO unread VALUES(1, 'https://q', 'm', 'hello', 'no JSON', 1, 2, 3)")
    return running


def test_the_document_is_valid():
    validate(SPEC)


def test_the_daemon_has_these_routes_and_no_others(running):
    documented = {
        (method.upper(), path)
        for path, item in SPEC["paths"].items()
        for method in item
        if method in ("get", "post", "put", "delete", "patch")
    }
    routes = running.get("/v1")["routes"]
    assert {(route["method"], route["path"]) for route in routes} == documented
    for route in routes:
        assert ("tcp" in route["listeners"]) == (route["method"] == "GET")


def test_every_read_answers_as_documented_on_both_listeners(worked):
    for path, item in SPEC["paths"].items():
        if "get" not in item:
            continue
        real = concrete(path, worked)
        if real is None or (path == "/favicon.svg" and worked.http("GET", path).status == 404):
            continue  # a build without the dashboard
        if path == "/v1/explain":
            real += "?uri=" + str(worked.sample.files[0])
        if path == "/v1/events":
            real += "?after=0&follow=false"
        for ask in (worked.request, worked.http):
            answer = ask("GET", real)
            assert answer.status == 200, (real, answer.text)
            check(answer, path, "get")


def test_every_problem_is_documented(worked):
    for method, real, path in (
        ("GET", "/v1/jobs/999", "/v1/jobs/{id}"),
        ("GET", "/v1/jobs?limit=x", "/v1/jobs"),
        ("GET", "/v1/explain", "/v1/explain"),
        ("GET", "/v1/tables/none", "/v1/tables/{name}"),
        ("GET", "/v1/quarantine?limit=0", "/v1/quarantine"),
        ("GET", "/v1/messages/999", "/v1/messages/{id}"),
        ("POST", "/v1/messages/999/drop", "/v1/messages/{id}/drop"),
        ("GET", "/v1/events?after=x", "/v1/events"),
        ("GET", "/v1/data?type=radar", "/v1/data"),
        ("GET", "/v1/data/none", "/v1/data/{name}"),
        ("GET", "/v1/data/stat", "/v1/data/{name}"),
        ("GET", "/v1/objects/none", "/v1/objects/{key}"),
        ("GET", "/v1/storms/none", "/v1/storms/{id}"),
        ("GET", "/v1/storms/S1/film", "/v1/storms/{id}/film"),
        ("GET", "/v1/storms/none/film?type=vil", "/v1/storms/{id}/film"),
        ("POST", "/v1/query", "/v1/query"),
        ("POST", "/v1/submit", "/v1/submit"),
        ("POST", "/v1/retry", "/v1/retry"),
        ("POST", "/v1/jobs/999/retry", "/v1/jobs/{id}/retry"),
        ("POST", "/v1/jobs/999/cancel", "/v1/jobs/{id}/cancel"),
    ):
        answer = worked.request(method, real)
        assert answer.status >= 400
        check(answer, path, method.lower())
    answer = worked.http("GET", "/v1/status", headers={"Host": "elsewhere"})
    assert answer.status == 421
    check(answer, "/v1/status", "get")


def test_every_change_answers_as_documented(worked):
    quarantined = worked.get("/v1/jobs?state=QUARANTINED")["jobs"][0]["id"]
    done = worked.get("/v1/jobs?state=DONE")["jobs"][0]["id"]
    uris = [str(worked.sample.files[0]), str(worked.raw / "none.h5"), "/elsewhere"]
    for path, real, body, status in (
        ("/v1/query", "/v1/query", {"sql": "SELECT * FROM events"}, 200),
        ("/v1/query", "/v1/query", {"sql": "SELECT * FROM events", "format": "csv"}, 200),
        ("/v1/query", "/v1/query", {"sql": "SELECT * FROM nothing"}, 400),
        ("/v1/submit", "/v1/submit", {"uris": uris}, 200),
        ("/v1/messages/{id}/drop", "/v1/messages/1/drop", None, 200),
        ("/v1/pause", "/v1/pause", None, 200),
        ("/v1/jobs/{id}/retry", f"/v1/jobs/{quarantined}/retry", None, 200),
        ("/v1/jobs/{id}/cancel", f"/v1/jobs/{quarantined}/cancel", None, 200),
        ("/v1/jobs/{id}/cancel", f"/v1/jobs/{done}/cancel", None, 409),
        ("/v1/resume", "/v1/resume", None, 200),
        ("/v1/retry", "/v1/retry", {"states": ["QUARANTINED"]}, 200),
        ("/v1/reload", "/v1/reload", None, 200),
        ("/v1/reconcile", "/v1/reconcile", None, 200),
        ("/v1/drain", "/v1/drain", None, 200),
    ):
        answer = worked.request("POST", real, body=body)
        assert answer.status == status, (real, answer.text)
        check(answer, path, "post")


def test_a_wrong_configuration_is_refused_and_the_old_one_stays(worked):
    before = worked.get("/v1/config")
    worked.configure(extract={"imagse": "none"}).write_config()
    answer = worked.request("POST", "/v1/reload")
    check(answer, "/v1/reload", "post")
    assert answer.status == 400
    assert "extract.images" in answer.json["detail"]
    del worked.config["extract"]["imagse"]
    worked.configure(control={"socket": "/elsewhere.sock"}).write_config()
    answer = worked.request("POST", "/v1/reload")
    assert answer.status == 400 and "control.socket" in answer.json["detail"]
    assert worked.get("/v1/config") == before
