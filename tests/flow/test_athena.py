"""SQL by Athena: the same question prints the same table whoever answers it; what goes wrong on the
way; and that nothing is scanned for someone who has gone."""

import json
import signal
import subprocess

import pytest

from conftest import SEVIRCTL, environment

SQL = (
    "SELECT id, img_type, time_utc, frame, max, mean, std, NULL AS no_value, '' AS empty "
    "FROM frames ORDER BY id, img_type, frame"
)
TYPES = {"bigint": "bigint", "double": "double", "string": "varchar", "timestamp": "timestamp"}


@pytest.fixture
def filled(daemon):
    daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.write_catalog()
    daemon.configure(athena={"workgroup": "sevir", "output_location": "s3://answers/_athena/"})
    return daemon


def use(daemon, world):
    daemon.configure(aws={"endpoint_url": world.endpoint, "region": "us-east-1"})
    daemon.env.update(world.env)
    daemon.start()
    daemon.wait_idle()
    return daemon


def as_athena(answer):
    """What the local engine gave, in the words in which Athena gives it."""

    def text(value, kind):
        if value is None:
            return None
        if kind == "timestamp":
            return value + ("00" if "." in value else ".000")
        return repr(float(value)) if kind == "double" else str(value)

    columns = [[name, TYPES[kind]] for name, kind in zip(answer["columns"], answer["types"])]
    rows = [[text(v, k) for v, k in zip(row, answer["types"])] for row in answer["rows"]]
    return columns, rows


def ctl(daemon, *args, check=0):
    done = daemon.ctl("query", *args, check=check)
    return done


def same_from_both(daemon, sql, args):
    local = ctl(daemon, sql, *args)
    athena = ctl(daemon, sql, *args, "--engine", "athena")
    assert local.stderr == ""
    assert athena.stderr.startswith("athena: ") and "scanned, about $" in athena.stderr
    return local.stdout, athena.stdout


def check_same(daemon, sql):
    for form in ("table", "csv"):
        local, athena = same_from_both(daemon, sql, ["--format", form])
        assert local == athena and local.count("\n") > 20
    local, athena = map(json.loads, same_from_both(daemon, sql, ["--json"]))
    for key in ("columns", "rows", "truncated", "types"):
        assert athena[key] == local[key], key
    assert athena["engine"] == "athena" and athena["query_id"]


def test_the_same_query_prints_the_same_table_from_both_engines_on_moto(filled, moto):
    moto.bucket("answers")
    moto.client("athena").create_work_group(Name="sevir", Configuration={})
    use(filled, moto)
    columns, rows = as_athena(filled.post("/v1/query", {"sql": SQL}))
    assert len(rows) > 20 and any(row[7] is None and row[8] == "" for row in rows)
    header = [name for name, _ in columns]
    result = {
        "rows": [
            {"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in [header, *rows]
        ],
        "column_info": [{"Name": n, "Label": n, "Type": t} for n, t in columns],
    }
    told = json.dumps({"results": [result] * 3}).encode()
    moto.ask("static/athena/query-results", told)
    check_same(filled, SQL)


def test_the_same_query_prints_the_same_table_from_both_engines(filled, fake):
    use(filled, fake)
    columns, rows = as_athena(filled.post("/v1/query", {"sql": SQL}))
    fake.ask("athena", {"sql": "FROM frames", "columns": columns, "rows": rows, "scanned": 12345678})
    check_same(filled, SQL)
    answer = filled.post("/v1/query", {"sql": SQL, "engine": "athena"})
    assert answer["scanned_bytes"] == 12345678
    assert answer["cost_usd"] == pytest.approx(12 * 2**20 / 2**40 * 5.0)  # whole mebibytes
    assert (answer["queued_ms"], answer["engine_ms"]) == (30, 700)
    asked = fake.ask("queries")[0]["told"]
    assert asked["WorkGroup"] == "sevir"
    assert asked["QueryExecutionContext"] == {"Catalog": "AwsDataCatalog", "Database": "sevir"}
    assert asked["ResultConfiguration"] == {"OutputLocation": "s3://answers/_athena/"}
    metrics = filled.request("GET", "/metrics").text
    assert 'sevird_athena_queries_total{outcome="OK"} 4' in metrics
    assert f"sevird_athena_scanned_bytes_total {4 * 12345678}" in metrics


def test_types_nulls_headers_and_pages(filled, fake):
    use(filled, fake)
    columns = [["n", "integer"], ["x", "double"], ["d", "decimal(10,2)"], ["t", "timestamp(3)"],
               ["z", "timestamp with time zone"], ["b", "boolean"], ["v", "varbinary"],
               ["s", "varchar"], ["l", "array(integer)"]]  # fmt: skip
    rows = [
        ["-7", "1.0E10", "12.30", "2019-05-12 18:30:00.120", "2019-05-12 18:30:00.000 UTC", "true",
         "00 ff 61", "", "[1, 2]"],
        [None, "NaN", None, None, None, None, None, None, None],
        ["9223372036854775807", "-Infinity", "0", "2019-05-12 18:30:00.000", "x", "false", "", "NULL", "[]"],
    ]  # fmt: skip
    fake.ask("athena", {"sql": "all_types", "columns": columns, "rows": rows})
    answer = filled.post("/v1/query", {"sql": "SELECT * FROM all_types", "engine": "athena"})
    assert answer["types"] == ["bigint", "double", "double", "timestamp", "timestamp", "bigint",
                               "string", "string", "string"]  # fmt: skip
    assert answer["rows"] == [
        [-7, 1e10, 12.3, "2019-05-12 18:30:00.12", "2019-05-12 18:30:00 UTC", 1, "00ff61", "", "[1, 2]"],
        [None] * 9,
        [2**63 - 1, None, 0, "2019-05-12 18:30:00", "x", 0, "", "NULL", "[]"],
    ]
    fake.ask("athena", {"sql": "many", "columns": [["n", "bigint"]], "rows": [[str(n)] for n in range(2500)]})
    answer = filled.post("/v1/query", {"sql": "SELECT n FROM many", "engine": "athena"})
    assert answer["rows"] == [[n] for n in range(2500)] and answer["truncated"] is False
    fake.ask("athena", {"sql": "more", "columns": [["n", "bigint"]], "rows": [["1"]] * 10002})
    answer = filled.post("/v1/query", {"sql": "SELECT n FROM more", "engine": "athena"})
    assert len(answer["rows"]) == 10000 and answer["truncated"] is True
    fake.ask("athena", {"sql": "SHOW", "columns": [["tab_name", "string"]], "rows": [["tab_name"], ["frames"]]})
    answer = filled.post("/v1/query", {"sql": "SHOW TABLES", "engine": "athena"})
    assert answer["rows"] == [["tab_name"], ["frames"]]  # no header there
    fake.ask("athena", {"sql": "big", "columns": [["s", "varchar"]], "rows": [["x" * 9000]] * 5000})
    answer = filled.post("/v1/query", {"sql": "SELECT s FROM big", "engine": "athena"})
    assert answer["truncated"] is True and 1000 < len(answer["rows"]) < 2000  # 16 MiB


def test_only_questions_are_asked_and_both_engines_say_so_alike(filled, fake):
    use(filled, fake)
    for sql in ("DROP TABLE frames", "DELETE FROM events", "INSERT INTO sources (key) VALUES (1)", "VACUUM",
                "EXPLAIN DROP TABLE frames", "SELECT 1; SELECT 2", "", "-- nothing"):  # fmt: skip
        told = [
            filled.request("POST", "/v1/query", body={"sql": sql, "engine": engine})
            for engine in ("local", "athena")
        ]
        assert [answer.status for answer in told] == [400, 400], sql
    assert told[0].json["detail"] == told[1].json["detail"]
    assert fake.ask("queries") == []
    answer = filled.request("POST", "/v1/query", body={"sql": "SELECT 1", "engine": "spark"})
    assert answer.status == 400 and "'local' or 'athena'" in answer.json["detail"]


@pytest.mark.parametrize(
    "script, status, words",
    [
        ({"states": ["FAILED"], "error": "SYNTAX_ERROR: line 1:8: Column 'x' cannot be resolved"}, 400,
         "cannot be resolved"),
        ({"states": ["FAILED"], "error": "GENERIC_INTERNAL_ERROR", "category": 1}, 500, "GENERIC_INTERNAL"),
        ({"states": ["QUEUED", "CANCELLED"], "error": "Bytes scanned limit was exceeded"}, 503,
         "limit was exceeded"),
        ({"states": ["QUEUED", "WHAT"]}, 400, "unknown state 'WHAT'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_query_that_fails_says_why(filled, fake, script, status, words):
    use(filled, fake)
    fake.ask("athena", script)
    answer = filled.request("POST", "/v1/query", body={"sql": "SELECT 1", "engine": "athena"})
    assert answer.status == status
    assert words in answer.json["detail"] and "Athena query " in answer.json["detail"]
    done = ctl(filled, "SELECT 1", "--engine", "athena", check=1)
    assert done.stdout == "" and words in done.stderr and done.stderr.count("\n") == 1


def test_a_start_whose_answer_is_lost_is_not_a_second_query(filled, fake):
    use(filled, fake)
    fake.faults({"service": "athena", "operation": "StartQueryExecution", "fault": {"kind": "reset-after"}})
    fake.ask("athena", {"columns": [["n", "bigint"]], "rows": [["1"]]})
    answer = filled.post("/v1/query", {"sql": "SELECT 1", "engine": "athena"})
    assert answer["rows"] == [[1]]
    assert fake.struck() == {"athena.StartQueryExecution.reset-after": 1}
    assert len(fake.ask("queries")) == 1
    fake.faults(
        {"service": "athena", "operation": "GetQueryResults",
         "fault": {"kind": "error", "code": "AccessDeniedException", "status": 400, "message": "not you"}}
    )  # fmt: skip
    answer = filled.request("POST", "/v1/query", body={"sql": "SELECT 1", "engine": "athena"})
    assert answer.status == 403 and "not you" in answer.json["detail"]


PASSING = [
    (operation, code)
    for operation in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults")
    for code in ("TooManyRequestsException", "InternalServerException")
]


@pytest.mark.parametrize("operation,code", PASSING)
def test_an_error_that_passes_is_asked_again_and_one_that_does_not_is_told(filled, fake, operation, code):
    use(filled, fake)
    fake.ask("athena", {"columns": [["n", "bigint"]], "rows": [["1"]]})
    status = 500 if code.startswith("Internal") else 400
    fault = {"kind": "error", "code": code, "status": status, "message": "slowly"}
    told = {"service": "athena", "operation": operation, "fault": fault}
    fake.faults({**told, "times": 2})
    assert filled.post("/v1/query", {"sql": "SELECT 1", "engine": "athena"})["rows"] == [[1]]
    assert sum(fake.struck().values()) == 2 and len(fake.ask("queries")) == 1
    fake.faults({**told, "times": -1})
    done = ctl(filled, "SELECT 1", "--engine", "athena", check=1)
    assert code in done.stderr and "slowly" in done.stderr and done.stderr.count("\n") == 1
    fault.update(code="InvalidRequestException", status=400)
    fake.faults({**told, "times": 1})
    answer = filled.request("POST", "/v1/query", body={"sql": "SELECT 1", "engine": "athena"})
    assert answer.status == 400 and "slowly" in answer.json["detail"]


def test_ctrl_c_stops_the_query_at_athena(filled, fake):
    use(filled, fake)
    fake.ask("athena", {"states": ["RUNNING"]})
    asked = subprocess.Popen(
        [str(SEVIRCTL), "--socket", str(filled.socket), "query", "SELECT 1", "--engine", "athena"],
        env=environment(filled.reports, filled.env),
        # A shell that starts us in the background has us ignore it, and our children with us.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    fake.wait(operation="athena.GetQueryExecution", count=2)
    asked.send_signal(signal.SIGINT)
    asked.wait(60)
    fake.wait(operation="athena.StopQueryExecution", count=1)
    (query,) = fake.ask("queries")
    assert query["stops"] == 1
    fake.ask("athena", {"columns": [["n", "bigint"]], "rows": [["1"]]})
    assert filled.post("/v1/query", {"sql": "SELECT 2", "engine": "athena"})["rows"] == [[1]]


def test_a_query_that_takes_too_long_is_stopped_and_so_are_all_at_the_end(filled, fake):
    filled.configure(athena={"limit": "300ms"})
    use(filled, fake)
    fake.ask("athena", {"states": ["RUNNING"]})
    answer = filled.request("POST", "/v1/query", body={"sql": "SELECT 1", "engine": "athena"})
    assert answer.status == 504 and "took too long" in answer.json["detail"]
    assert [query["stops"] for query in fake.ask("queries")] == [1]
    filled.configure(athena={"limit": "1h"}).write_config()
    filled.post("/v1/reload")
    asked = subprocess.Popen(
        [str(SEVIRCTL), "--socket", str(filled.socket), "query", "SELECT 1", "--engine", "athena"],
        env=environment(filled.reports, filled.env),
        stderr=subprocess.PIPE,
    )
    before = fake.stats()["operations"]["athena.GetQueryExecution"]
    fake.wait(operation="athena.GetQueryExecution", count=before + 2)
    filled.stop()
    asked.communicate()
    assert [query["stops"] for query in fake.ask("queries")] == [1, 1]


def test_without_a_workgroup_it_says_what_is_missing(daemon):
    daemon.start()
    answer = daemon.request("POST", "/v1/query", body={"sql": "SELECT 1", "engine": "athena"})
    assert answer.status == 501 and "athena.workgroup" in answer.json["detail"]
