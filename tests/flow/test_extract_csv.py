"""The Glue job against the daemon's own engine: the same columns, the same rows, the same bytes."""

import gzip
import hashlib
import importlib.util
import json
import os
import random
import subprocess
import sys

import pytest

from conftest import ROOT

spec = importlib.util.spec_from_file_location("job", ROOT / "config" / "aws" / "extract_csv.py")
job = importlib.util.module_from_spec(spec)
spec.loader.exec_module(job)

# Strings that sit on the borders between types, and on those of CSV.
FIELDS = [
    "", " ", "0", "-0", "00", "007", "1", "-17", "+1", "9007199254740992", "9007199254740993",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1.5", "1.", ".5", "-.5",
    ".", "-", "e5", "1e5", "1E-7", "1e400", "1e-400", "5e-324", "2.2250738585072014e-308", "0.1",
    "1234567890.123456789", "123456789012345678", "1e22", "1e21", "NaN", "nan", "N/A", "NULL",
    "none", "inf", "-Infinity", "0x10", "1,5", "1 2", " 3 ", "\t4", "2019-01-02", "2019-01-02 03:04",
    "2019-01-02T03:04:05Z", "2019-01-02 03:04:05.120", "2019-01-02 03:04:05.000",
    "2019-01-02T03:04:05+02:00", "2019-01-02T03:04:05-0530", "2019-02-30", "2019-13-01",
    "2019-01-02 24:00:00", "2019-01-02 03:04:05.1234567891", "0001-01-01", "9999-12-31 23:59:59",
    "0001-01-01T00:00:00+01:00", "9999-12-31 23:59:59-00:01", "0001-01-01T01:00:00+01:00",
    "30-APR-19 14:52:00", "a", "A b", 'say "hi"', "x,y", "line\nbreak", "cr\rlf\r\n", " lead",
    "trail ", "é", "日本", "true", "=1+1", "1_000", "٣", "1٣", "²",
]  # fmt: skip


def encode(rows, delimiter=",", end="\r\n"):
    def quote(field):
        risky = any(c in field for c in '",;\t|\r\n') or not field
        return '"' + field.replace('"', '""') + '"' if risky else field

    return "".join(delimiter.join(map(quote, row)) + end for row in rows).encode()


def files():
    """(name, bytes): borders one by one, then tables at random."""
    rng = random.Random(5)
    for i, field in enumerate(FIELDS):
        yield f"field{chr(97 + i // 26)}{chr(97 + i % 26)}.csv", encode([["name", "x"], ["a", field]])
    for i in range(40):
        width = rng.randint(1, 6)
        kinds = [rng.sample(FIELDS, rng.randint(1, 4)) for _ in range(width)]
        header = [rng.choice(["Size (MB)", "size_mb", "2nd", "", "Größe", "a", "A", "_", "x" * 150])
                  for _ in range(width)]  # fmt: skip
        rows = [[rng.choice(kind) for kind in kinds] for _ in range(rng.randint(0, 30))]
        rows = [row for row in rows if row != [""]]
        body = encode([header] * (rng.random() < 0.8) + rows, rng.choice(",;\t|"),
                      rng.choice(["\n", "\r\n", "\r"]))  # fmt: skip
        body = rng.choice([b"", b"", b"\xef\xbb\xbf"]) + body
        name = f"table{chr(97 + i // 26)}{chr(97 + i % 26)}.csv"
        yield (name + ".gz", gzip.compress(body, mtime=0)) if rng.random() < 0.3 else (name, body)
    yield "blank.csv", b"a,b\n\n1,2\n\n\n3,4\n"
    yield "nolf.csv", b"a,b\n1,2"
    yield "latin.csv", b"name,x\ncaf\xe9,1\n"
    yield "two.csv.gz", gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n")
    yield "long.csv", b"a,b\n" + b"".join(b"%d,%s\n" % (i, b"y" * (i % 97)) for i in range(4000))
    yield "ragged.csv", b"a,b\n1,2\n1,2,3\n"
    yield "nul.csv", b"a,b\n1,\0\n"
    yield "utf.csv", "a,b\n1,2\n".encode("utf-16")
    yield "padded.csv.gz", gzip.compress(b"a,b\n1,2\n") + bytes(70000) + gzip.compress(b"3,4\n") + b"\0"
    yield "behind.csv.gz", gzip.compress(b"a,b\n1,2\n") + b"x"
    yield "inside.csv", b'a,b\n5" pipe,1\n'
    yield "inside_last.csv", b'a,b\n1,5"\r\n'
    yield "after.csv", b'a,b\n"x"y,1\n'
    yield "quoted_last.csv", b'a;b\n"1,";"5""\n\n"\n";;";'
    noise = bytes(random.Random(1).choices(b"0123456789,\n", k=9999))
    yield "cut.csv.gz", gzip.compress(b"a,b\n" + noise)[:-900]
    yield "open.csv", b'a,b\n1,"2\n'
    yield "bomb.csv.gz", gzip.compress(b"a,b\n" + (b"1," + b"y" * 1_000_000 + b"\n") * 100, 9)


def test_the_job_writes_what_the_daemon_writes(daemon):
    made = dict(files())
    for name, body in made.items():
        (daemon.raw / name).write_bytes(body)
    daemon.configure(extract={"images": "none"}).start()
    daemon.wait_idle(timeout=300)
    states = {j["key"]: j["state"] for j in daemon.get("/v1/jobs?limit=1000")["jobs"]}
    written = {path.name: path.read_bytes() for path in daemon.processed.glob("tables/*/*.csv")}
    compared = refused = 0
    quoted = set()
    for name, body in made.items():
        out = bytearray()
        pieces = [body[i : i + 70000] for i in range(0, len(body), 70000)]
        try:
            about = job.extract(lambda pieces=pieces: iter(pieces), out.extend)
        except job.Refused as refusal:
            assert states[name] == "QUARANTINED", f"{name}: only the job refuses: {refusal}"
            refused += 1
            continue
        assert states[name] == "DONE", f"{name}: only the daemon refuses: {states[name]}"
        theirs = written[name.removesuffix(".gz")]
        assert bytes(out) == theirs, name
        assert about["sha256"] == hashlib.sha256(theirs).hexdigest()
        manifest = json.loads((daemon.processed / "_manifests" / (name + ".json")).read_bytes())
        assert [output["quoted"] for output in manifest["outputs"]] == [about["quoted"]]
        quoted.add(about["quoted"])
        table = next(
            t for t in daemon.get("/v1/tables")["tables"]
            if t["database"] == "raw" and t["location"].endswith(name)
            or t["name"] == name.split(".")[0]
        )  # fmt: skip
        columns = daemon.get(f"/v1/tables/raw.{table['name']}")["columns"]
        assert [(c["name"], c["type"]) for c in columns] == [
            (c["name"], c["type"]) for c in about["columns"]
        ], name
        compared += 1
    assert compared > 100 and refused >= 5 and quoted == {False, True}


# awsglue is not on PyPI; of it the job needs this much.
AWSGLUE = """
def getResolvedOptions(argv, names):
    return {name: argv[argv.index("--" + name) + 1] for name in names}
"""


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="there is no Spark (pip install pyspark)")
def test_spark_runs_the_job_on_the_same_input(moto, daemon, tmp_path):
    made = dict(files())
    moto.equip(daemon)
    for bucket in ("plans", "spark"):
        moto.bucket(bucket)
    etags = {key: moto.put("raw", key, body)["ETag"].strip('"') for key, body in made.items()}
    daemon.start()
    daemon.wait_idle(timeout=300)
    objects = [
        {"bucket": "raw", "key": key, "version": "", "etag": etags[key], "output": f"s3://spark/{key}"}
        for key in made
    ]
    plan = {"token": "t", "result": "s3://plans/result.json", "objects": objects}
    moto.put("plans", "plan.json", json.dumps(plan).encode())
    (tmp_path / "awsglue").mkdir()
    (tmp_path / "awsglue" / "__init__.py").write_text("")
    (tmp_path / "awsglue" / "utils.py").write_text(AWSGLUE)
    local = "--master local[2] --conf spark.ui.enabled=false --conf spark.driver.host=127.0.0.1"
    env = {
        **os.environ, **moto.env, "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)]),
        "PYSPARK_SUBMIT_ARGS": local + " --conf spark.driver.bindAddress=127.0.0.1 pyspark-shell",
    }  # fmt: skip
    script = ROOT / "config" / "aws" / "extract_csv.py"
    command = [sys.executable, script, "--token", "t", "--plan", "s3://plans/plan.json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    told = {item["key"]: item for item in json.loads(moto.get("plans", "result.json"))["objects"]}
    states = {job["key"]: job["state"] for job in daemon.get("/v1/jobs?limit=1000")["jobs"]}
    theirs = {key.split("/", 2)[2]: body for key, body in moto.objects("processed", "tables/").items()}
    assert set(told) == set(states) == set(made)
    assert {key for key in made if "error" in told[key]} == {key for key in made if states[key] != "DONE"}
    for key in moto.keys("spark"):
        body = theirs[key.removesuffix(".gz")]
        assert moto.get("spark", key) == body and told[key]["sha256"] == hashlib.sha256(body).hexdigest(), key


@pytest.mark.parametrize("split", [1, 2, 3, 7, 64])
def test_how_the_bytes_arrive_changes_nothing(split):
    body = "Größe;x\r\n\"a\r\nb\";1\r\n\"say \"\"hi\"\"\";2,5\r\n".encode()
    whole, parts = bytearray(), bytearray()
    job.extract(lambda: iter([body]), whole.extend)
    job.extract(lambda: iter([body[i : i + split] for i in range(0, len(body), split)]), parts.extend)
    assert whole == parts and b'"a\r\nb",1\n' in whole
