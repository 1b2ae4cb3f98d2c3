"""The configuration as a user meets it: --check, --print-config, the schema, the packaged default."""

import json
import os
import subprocess

import jsonschema
import pytest

from conftest import ROOT, SEVIRD, environment

SCHEMA = json.loads((ROOT / "config" / "sevird.schema.json").read_text())


def sevird(tmp_path, *args):
    return subprocess.run(
        [str(SEVIRD), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(tmp_path),
    )


def check(tmp_path, text):
    path = tmp_path / "sevird.json"
    path.write_text(text)
    return sevird(tmp_path, "--config", path, "--check")


def test_the_packaged_default_is_valid_for_daemon_and_schema(tmp_path):
    path = ROOT / "config" / "sevird.json"
    assert sevird(tmp_path, "--config", path, "--check").returncode == 0
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(path.read_text()), SCHEMA)


def test_what_is_printed_is_valid_and_holds_every_default(tmp_path):
    path = tmp_path / "sevird.json"
    path.write_text("{}")
    printed = json.loads(sevird(tmp_path, "--config", path, "--print-config").stdout)
    jsonschema.validate(printed, SCHEMA)
    assert printed["retry"] == {"attempts": 5, "base": "1s", "cap": "5m"}
    assert printed["extract"]["workers"] >= 1  # resolved
    path.write_text(json.dumps(printed))
    again = sevird(tmp_path, "--config", path, "--print-config")
    assert json.loads(again.stdout) == printed


@pytest.mark.parametrize(
    "document",
    [
        {"stat_dir": "/x"},
        {"extract": {"workers": "two"}},
        {"extract": {"workers": 1000}},
        {"extract": {"memory": "lots"}},
        {"extract": {"images": "all"}},
        {"retry": {"base": "soon"}},
        {"sources": {"watch": "yes"}},
        {"sources": []},
        {"select": {"events": "storms"}},
        {"select": {"bbox": [1, 2, 3]}},
        {"raw": {"url": "file:///x"}},
    ],
    ids=str,
)
def test_daemon_and_schema_refuse_the_same_mistakes(tmp_path, document):
    done = check(tmp_path, json.dumps(document))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("sevird: ") and done.stderr.count("\n") == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, SCHEMA)


@pytest.mark.parametrize(
    "document, words",
    [
        ({"crawl": {"engine": "glue"}}, "'glue.crawler' names none"),
        ({"extract": {"engine": "glue"}}, "'glue.job' names none"),
    ],
    ids=str,
)
def test_an_engine_without_its_name_is_refused(
    tmp_path, document, words
):
    jsonschema.validate(document, SCHEMA)
    done = check(tmp_path, json.dumps(document))
    assert done.returncode == 1
    assert words in done.stderr


def test_stores_on_s3_are_accepted_without_asking_for_them(tmp_path):
    document = {"raw": {"uri": "s3://raw-bucket"}, "processed": {"uri": "s3://processed/x/"}}
    jsonschema.validate(document, SCHEMA)
    done = check(tmp_path, json.dumps(document))
    assert done.returncode == 0, done.stderr


def test_a_missing_file_a_folder_and_one_nobody_may_read_are_one_line_each(tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    secret.chmod(0)
    paths = [tmp_path / "none.json", tmp_path]
    if os.geteuid() != 0:
        paths.append(secret)
    for path in paths:
        done = sevird(tmp_path, "--config", path, "--check")
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1 and str(path) in done.stderr


def test_a_file_that_never_ends_is_refused(tmp_path):
    done = sevird(tmp_path, "--config", "/dev/zero", "--check")
    assert done.returncode == 1 and done.stderr.count("\n") == 1


def test_wrong_usage_exits_2(tmp_path):
    for args in ([], ["--config"], ["--fly"], ["--config", "x", "y"]):
        done = sevird(tmp_path, *args)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, args
