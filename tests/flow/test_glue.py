"""CSV objects by Glue's crawler and Glue's job: on moto, whose states take several looks."""

import contextlib
import csv
import datetime
import io
import json
import re
import sqlite3
import subprocess

import pytest

from aws_world import Moto
from conftest import tree
from glue_world import CRAWLER, Glue

TABLES = {
    "storms.csv": b'name,when,"wind (kt)"\n"a, b",2019-01-02,12\nc,2019-01-03T04:05:06Z,\n',
    "year=2019/gauges.csv": b"id;mm\n007;1.5\n008;2\n",
}


def fill(put):
    for key, body in TABLES.items():
        put(key, body)


@pytest.fixture
def by_local_engine(make_daemon):
    daemon = make_daemon("local")

    def put(key, body):
        path = daemon.raw / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    fill(put)
    daemon.start()
    daemon.wait_idle()
    found = {key: body for key, body in tree(daemon.processed).items() if key.startswith("tables/")}
    shown = {row[0]: row[1:] for row in daemon.query('SELECT * FROM storms')}
    daemon.stop()
    assert len(found) == 2
    return found, shown


def tables(world):
    return world.objects("processed", "tables/")


def explained(daemon, key):
    return daemon.get(f"/v1/explain?uri={key}")["jobs"][0]


def test_an_object_goes_through_crawler_and_job(moto, daemon, by_local_engine):
    queue = moto.pipe("raw")
    with Glue(moto, daemon, queue) as glue:
        daemon.configure(sources={"list": {"interval": "0s"}})
        daemon.start()
        fill(lambda key, body: moto.put("raw", key, body))
        for key in TABLES:
            daemon.wait_state(key, "DONE")
        moto.wait_empty(queue)
        assert tables(moto) == by_local_engine[0]
        assert {row[0]: row[1:] for row in daemon.query("SELECT * FROM storms")} == by_local_engine[1]
        assert 1 <= glue.crawls() <= 2 and 1 <= glue.runs() <= 2
        assert glue.found() == set()
        daemon.stop()


STARTED = 'sevird_aws_requests_total{service="glue",operation="StartCrawler",code="200"}'


def started(daemon):
    """Once a crawl is under way; what status says of it."""
    status = daemon.wait_for(lambda status: [run for run in status["runs"] if run["state"] == "RUNNING"])
    return status["runs"]


def test_a_hundred_objects_that_come_during_a_run_are_one_more(moto, daemon):
    """And are done by two runs of the job at most: those of the first crawl, and those of the second."""
    queue = moto.pipe("raw")
    with Glue(moto, daemon, queue, quiet="1s") as glue:
        glue.hold()
        daemon.configure(sources={"list": {"interval": "0s"}}, processed={"shared": False})
        daemon.start()
        moto.put("raw", "first.csv", b"a\n1\n")
        (crawl,) = started(daemon)
        assert (crawl["engine"], crawl["kind"], crawl["name"]) == ("glue", "crawl", CRAWLER)
        assert (crawl["id"], crawl["objects"]) == ("", 1)
        assert f"runs      glue crawl '{CRAWLER}' RUNNING since 20" in daemon.ctl("status", check=0).stdout
        for i in range(100):
            moto.put("raw", f"more/{i}.csv", b"a,b\n%d,x\n" % i)
        daemon.wait_for(lambda _: daemon.metrics()['sevird_glue_gathered_jobs{kind="crawl"}'] == 100)
        assert glue.crawls() == 1
        glue.let_go()

        told = set()

        def all_done(status):
            for run in glue.job_runs():  # else it looks the later the longer a run has taken
                if run["JobRunState"] == "SUCCEEDED" and run["Id"] not in told:
                    told.add(run["Id"])
                    detail = {"jobName": "sevir-extract", "state": "SUCCEEDED", "jobRunId": run["Id"]}
                    moto.send(queue, event("Glue Job State Change", detail))
            return status["jobs"]["DONE"] == 101

        status = daemon.wait_for(all_done)
        assert status["runs"] == []
        assert len(tables(moto)) == 101
        assert glue.crawls() == 2
        assert glue.runs() in (1, 2)  # the first may go with the others, if they come in time
        daemon.stop()


# ---- killed at any move, or any recording of a run ----------------------------------------------


def died(daemon, objects):
    """True once the daemon killed itself, False once its work is done."""
    while True:
        try:
            assert daemon.process.wait(0.02) == -9, daemon.log()
            daemon.process = None
            daemon.check_reports()
            return True
        except subprocess.TimeoutExpired:
            pass
        try:
            if daemon.get("/v1/status")["jobs"]["DONE"] == objects:
                return False
        except (OSError, ValueError):
            pass


def recorded(daemon):
    """What a crash leaves: the kinds of move that jobs have made, and how runs that go on stand."""
    with contextlib.closing(sqlite3.connect(daemon.state / "state.db")) as db:
        moves = db.execute("SELECT from_state, to_state FROM transitions WHERE actor = 'daemon'")
        return set(moves) | set(db.execute("SELECT kind, state FROM runs WHERE closed = 0"))


def lives(daemon, objects):
    """Starts it again and again. Each life is killed before the first thing that no life before has got to,
    once it has repeated what must be repeated for that. Yields what is new of what was recorded."""
    move, known = 1, set()
    while True:
        daemon.env["SEVIRD_CRASH_BEFORE"] = str(move)
        daemon.start(wait=False)
        if not died(daemon, objects):
            daemon.kill()
            del daemon.env["SEVIRD_CRASH_BEFORE"]
            return
        new = recorded(daemon) - known
        known |= new
        move = 1 if new else move + 1
        yield new


# Of one object, in this order. A run that was on record, but not begun, when the daemon died, is LOST, and
# another row takes its jobs.
RECORDED = [
    "QUEUED", "CRAWLING", "crawl NEW", "crawl STARTED", "crawl SUCCEEDED", "CRAWLED", "EXTRACTING", "job NEW",
    "job LOST", "job STARTED", "job SUCCEEDED", "EXTRACTED", "PUBLISHING", "DONE",
]  # fmt: skip


def test_killed_after_every_record_it_starts_no_other_run(moto, daemon, by_local_engine):
    """One story, whose daemon is killed as often as there is anything to be killed at."""

    def walk():
        for what in RECORDED:
            daemon.env["SEVIRD_CRASH_AT"] = what
            daemon.start(wait=False)
            assert died(daemon, 1), what
        del daemon.env["SEVIRD_CRASH_AT"]

    ends_with_one_run(moto, daemon, by_local_engine, 1, walk)


def test_killed_before_every_record_it_starts_no_other_run(moto, daemon, by_local_engine):
    def walk():
        assert len(list(lives(daemon, 2))) > 14

    ends_with_one_run(moto, daemon, by_local_engine, 2, walk)


def ends_with_one_run(moto, daemon, by_local_engine, objects, walk):
    queue = moto.pipe("raw")
    with Glue(moto, daemon, queue, quiet="500ms", steps=3) as glue:
        daemon.configure(sources={"list": {"interval": "0s"}})
        for key in list(TABLES)[:objects]:
            moto.put("raw", key, TABLES[key])
        walk()
        daemon.start()
        daemon.wait_for(lambda status: status["jobs"]["DONE"] == objects)
        made = tables(moto)
        assert len(made) == objects and made.items() <= by_local_engine[0].items()
        assert (glue.crawls(), glue.runs()) == (1, 1)
        daemon.wait_for(lambda _: glue.found() == set())
        daemon.stop()


# ---- what Glue may answer -----------------------------------------------------------------------


def one(fake, daemon, **options):
    """A world with one object in it."""
    glue = Glue(fake, daemon, **options)
    fake.put("raw", "a.csv", b"x,y\n1,b\n")
    return glue


def fails(operation, code, times=1, status=400):
    """For the daemon. A crawler that runs was started, by somebody else, a moment before."""
    kind = "error-after" if code == "CrawlerRunningException" else "error"
    fault = {"kind": kind, "code": code, "status": status}
    told = {"service": "glue", "operation": operation, "agent": "sevird"}
    return {**told, "times": times, "fault": fault}


PASSING = [
    ("StartCrawler", "OperationTimeoutException", 1),
    ("StartCrawler", "CrawlerRunningException", 1),
    ("StartCrawler", "InternalServiceException", 5),
    ("GetCrawler", "OperationTimeoutException", 4),
    ("GetCrawler", "InternalServiceException", 4),
    ("StartJobRun", "ConcurrentRunsExceededException", 3),
    ("StartJobRun", "ResourceNumberLimitExceededException", 3),
    ("StartJobRun", "InternalServiceException", 1),
    ("StartJobRun", "OperationTimeoutException", 2),
    ("GetJobRun", "OperationTimeoutException", 4),
    ("GetJobRun", "InternalServiceException", 4),
]


@pytest.mark.parametrize("operation,code,times", PASSING)
def test_an_error_that_passes_uses_up_no_attempt(fake, daemon, operation, code, times):
    """`retry.attempts` is 1: any failure of a stage would quarantine the job."""
    with one(fake, daemon) as glue:
        daemon.configure(retry={"attempts": 1})
        status = 500 if code.startswith("Internal") else 400
        fake.faults(fails(operation, code, times, status))
        daemon.start()
        daemon.wait_state("a.csv", "DONE")
        assert sum(fake.struck().values()) == times
        assert (glue.crawls(), glue.runs()) == (1, 1)


def test_a_crawl_that_began_before_is_waited_for_and_one_more_started(fake, daemon):
    glue = Glue(fake, daemon)
    glue.hold()
    fake.client("glue").start_crawler(Name=CRAWLER)
    with glue:
        glue.hold()
        for i in range(3):
            fake.put("raw", f"{i}.csv", b"x,y\n1,b\n")
        daemon.start()
        daemon.wait_for(lambda status: status["jobs"]["CRAWLING"] == 3)
        fake.wait(operation="glue.GetCrawler", count=2)
        fake.put("raw", "late.csv", b"x,y\n1,b\n")
        daemon.wait_for(lambda status: status["jobs"]["CRAWLING"] == 4)
        glue.let_go()
        daemon.wait_for(lambda status: status["jobs"]["DONE"] == 4)
        assert glue.crawls() == 2


def test_waiting_for_others_is_not_the_time_of_a_run(fake, daemon):
    """Somebody else's crawl, and then a lack of room, each longer than a run may take."""
    full = {**fails("StartJobRun", "ConcurrentRunsExceededException"), "times": -1}
    with one(fake, daemon, run_timeout="1s") as glue:
        glue.hold()
        fake.client("glue").start_crawler(Name=CRAWLER)
        fake.faults(full)
        daemon.start()
        daemon.wait_for(lambda status: longer_than(status["runs"], 1.5))
        glue.let_go()
        daemon.wait_state("a.csv", "EXTRACTING")
        daemon.wait_for(lambda status: longer_than(status["runs"], 1.5))
        fake.faults()
        daemon.wait_state("a.csv", "DONE")
        assert [run["state"] for run in explained(daemon, "a.csv")["runs"]] == ["SUCCEEDED"] * 2
        assert (glue.crawls(), glue.runs()) == (2, 1)


def longer_than(runs, seconds):
    now = datetime.datetime.now(datetime.timezone.utc)
    return any((now - datetime.datetime.fromisoformat(run["since"])).total_seconds() > seconds for run in runs)


def test_a_refusal_is_one_after_a_crash_too(fake, daemon):
    """`retry.attempts` is 1: were it taken for a failure, the job would be quarantined."""
    with one(fake, daemon):
        daemon.configure(retry={"attempts": 1})
        fake.faults({**fails("StartCrawler", "AccessDeniedException"), "times": -1})
        daemon.env["SEVIRD_CRASH_AT"] = "crawl REFUSED"
        daemon.start(wait=False)
        assert died(daemon, 1)
        fake.faults()
        del daemon.env["SEVIRD_CRASH_AT"]
        daemon.start()
        assert daemon.wait_state("a.csv", "DONE", "QUARANTINED")["state"] == "DONE"
        waits = [move for move in explained(daemon, "a.csv")["transitions"] if move["to"] == "BACKOFF"]
        assert [move["class"] for move in waits] == ["HOST"]


@pytest.mark.parametrize("operation", ["StartCrawler", "StartJobRun"])
def test_a_start_whose_answer_is_lost_is_not_repeated(fake, daemon, operation):
    with one(fake, daemon) as glue:
        lost = {"service": "glue", "operation": operation, "fault": {"kind": "reset-after"}}
        fake.faults(lost)
        daemon.start()
        daemon.wait_state("a.csv", "DONE")
        assert sum(fake.struck().values()) == 1
        assert (glue.crawls(), glue.runs()) == (1, 1)


@pytest.mark.parametrize(
    "operation,code",
    [
        ("GetCrawler", "EntityNotFoundException"),
        ("StartCrawler", "EntityNotFoundException"),
        ("StartCrawler", "AccessDeniedException"),
        ("StartJobRun", "EntityNotFoundException"),
        ("StartJobRun", "InvalidInputException"),
        ("StartJobRun", "AccessDeniedException"),
    ],
)
def test_what_an_operator_must_mend_quarantines_nothing(fake, daemon, operation, code):
    with one(fake, daemon):
        daemon.configure(retry={"attempts": 1})
        fake.faults(fails(operation, code, 2 if operation == "StartJobRun" else 1))
        daemon.start()
        daemon.wait_state("a.csv", "DONE")
        moves = explained(daemon, "a.csv")["transitions"]
        waits = [move for move in moves if move["to"] == "BACKOFF"]
        assert waits and all(move["class"] == "HOST" and code in move["reason"] for move in waits)


@pytest.mark.parametrize(
    "state,class_",
    [("FAILED", "NETWORK"), ("TIMEOUT", "TIMEOUT"), ("ERROR", "NETWORK"), ("EXPIRED", "TIMEOUT"),
     ("STOPPED", "CONFLICT")],
)  # fmt: skip
def test_a_run_that_ends_badly_is_tried_again_and_then_quarantined(fake, daemon, state, class_):
    with one(fake, daemon) as glue:
        daemon.configure(retry={"attempts": 2})
        fake.ask("glue", {"runs": [[state, "out of\nmemory"]] * 2})
        daemon.start()
        job = daemon.wait_state("a.csv", "QUARANTINED")
        assert job["class"] == class_ and state in job["reason"] and "out of" in job["reason"]
        ids = [run["Id"] for run in reversed(glue.job_runs())]
        told = explained(daemon, "a.csv")
        runs = [run for run in told["runs"] if run["kind"] == "job"]
        assert [(run["id"], run["state"]) for run in runs] == [(id_, state) for id_ in ids]
        assert len(ids) == 2 and all(run["dpu_seconds"] == 12.5 for run in runs)
        assert all("aws-glue$252Fjobs$252Ferror/log-events/jr_" in run["log"] for run in runs)
        moves = [move for move in told["transitions"] if move["from"] == "EXTRACTING"]
        assert [move["request_ids"] for move in moves] == ids
        shown = daemon.ctl("explain", "a.csv", check=0).stdout
        assert ids[1] in shown and "12.5 DPU seconds" in shown and "log https://" in shown
        daemon.post(f"/v1/jobs/{job['id']}/retry")
        daemon.wait_state("a.csv", "DONE")


@pytest.mark.parametrize(
    "status,error,class_",
    [("FAILED", "Internal Service Exception", "NETWORK"), ("CANCELLED", "", "CONFLICT"),
     ("FAILED", "Access Denied (Service: S3)", "HOST")],
)  # fmt: skip
def test_a_crawl_that_ends_badly_is_tried_again(fake, daemon, status, error, class_):
    with one(fake, daemon) as glue:
        fake.ask("glue", {"crawls": [[status, error]]})
        daemon.start()
        daemon.wait_state("a.csv", "DONE")
        assert glue.crawls() == 2
        told = explained(daemon, "a.csv")
        failed = [move for move in told["transitions"] if move["to"] == "BACKOFF"]
        assert [move["class"] for move in failed] == [class_] and error in failed[0]["reason"]
        assert [run["state"] for run in told["runs"]] == [status, "SUCCEEDED", "SUCCEEDED"]
        assert "aws-glue$252Fcrawlers" in told["runs"][0]["log"]


def test_a_result_that_is_missing_or_of_another_is_tried_again(fake, daemon):
    glue = one(fake, daemon)
    glue.works = False
    with glue:
        daemon.start()
        glue_plan = daemon.wait_for(lambda _: glue.plans) and glue.plans[0]
        for body in (b"{}", b"not JSON"):
            fake.put("processed", glue_plan["result"].removeprefix("s3://processed/"), body)
            known = len(glue.plans)
            daemon.wait_for(lambda _: len(glue.plans) > known)
            glue_plan = glue.plans[-1]
        result = {"token": glue_plan["token"], "objects": []}
        fake.put("processed", glue_plan["result"].removeprefix("s3://processed/"), json.dumps(result))
        known = len(glue.plans)
        daemon.wait_for(lambda _: len(glue.plans) > known)
        reasons = [move["reason"] for move in explained(daemon, "a.csv")["transitions"]]
        assert sum("left no result" in reason for reason in reasons) == 2
        assert sum("says nothing of it" in reason for reason in reasons) == 1
        daemon.stop()


def test_an_object_that_the_job_refuses_is_quarantined_alone(fake, daemon):
    with one(fake, daemon, quiet="1s") as glue:
        fake.put("raw", "bad.csv", b"a,b\n1,2\n" + b"x,y\n" * 9000 + b"1,2,3\n" + b"3,4\n" * 40000)
        daemon.start()
        daemon.wait_state("a.csv", "DONE")
        job = daemon.wait_state("bad.csv", "QUARANTINED")
        assert job["class"] == "INVALID" and "line 9003 has 3 fields" in job["reason"]
        assert glue.runs() == 1


def test_a_run_that_nobody_wants_any_more_is_stopped(fake, daemon):
    glue = one(fake, daemon)
    glue.works = False
    with glue:
        daemon.start()
        daemon.wait_for(lambda _: glue.plans)
        job = daemon.wait_state("a.csv", "EXTRACTING")
        fake.wait(operation="glue.GetJobRun", count=1)
        daemon.post(f"/v1/jobs/{job['id']}/cancel")
        daemon.wait_state("a.csv", "CANCELED")
        fake.wait(operation="glue.BatchStopJobRun", count=1)
        assert [run["JobRunState"] for run in glue.job_runs()] == ["STOPPED"]
        daemon.stop()


def test_a_crawl_that_nobody_wants_any_more_is_stopped(fake, daemon):
    """Asynchronously: the next one waits for it. That it is not running any more is no error."""
    with one(fake, daemon) as glue:
        glue.hold()
        fake.faults(fails("StopCrawler", "CrawlerNotRunningException"))
        daemon.start()
        started(daemon)
        job = daemon.wait_state("a.csv", "CRAWLING")
        daemon.post(f"/v1/jobs/{job['id']}/cancel")
        daemon.wait_state("a.csv", "CANCELED")
        fake.wait(operation="glue.StopCrawler", count=1)
        glue.let_go()
        fake.put("raw", "b.csv", b"x,y\n1,b\n")
        daemon.wait_state("b.csv", "DONE")
        assert "was not stopped" not in daemon.log()
        assert glue.crawls() == 2


def test_a_run_that_takes_too_long_is_stopped(fake, daemon):
    glue = one(fake, daemon, run_timeout="1s")
    glue.works = False
    with glue:
        daemon.configure(retry={"attempts": 1})
        daemon.start()
        job = daemon.wait_state("a.csv", "QUARANTINED")
        assert job["class"] == "TIMEOUT" and "glue.run_timeout" in job["reason"]
        assert [run["JobRunState"] for run in glue.job_runs()] == ["STOPPED"]


def test_waiting_for_glue_takes_no_slot_from_others(fake, daemon):
    """More CSV objects than there are slots; HDF5 goes on beside them."""
    glue = Glue(fake, daemon)
    glue.hold()
    for i in range(20):
        fake.put("raw", f"{i}.csv", b"a\n1\n")
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    with glue:
        glue.hold()
        daemon.start()
        status = daemon.wait_for(lambda s: s["jobs"]["DONE"] == 2 and s["jobs"]["CRAWLING"] == 20)
        assert status["jobs"]["QUEUED"] == 0
        glue.let_go()
        daemon.wait_for(lambda status: status["jobs"]["DONE"] == 22)


def test_glues_events_make_it_look_at_once(fake, daemon):
    queue = fake.pipe("raw")
    with Glue(fake, daemon, queue, poll="1h", steps=1) as glue:
        daemon.start()
        fake.put("raw", "a.csv", b"x,y\n1,b\n")
        daemon.wait_for(lambda _: daemon.metrics().get(STARTED))
        detail = {"crawlerName": "sevir-crawler", "state": "Succeeded"}
        kind = "Glue Crawler State Change"
        fake.wait(operation="glue.GetCrawler", count=2)
        fake.send(queue, event(kind, detail))
        daemon.wait_state("a.csv", "EXTRACTING", "DONE")
        fake.wait(operation="glue.GetJobRun", count=1)
        # Each event is worth one look, and the run ends at one that finds its result there.
        while (run := glue.job_runs()[0])["JobRunState"] != "SUCCEEDED":
            looks = fake.stats()["operations"]["glue.GetJobRun"]
            detail = {"jobName": "sevir-extract", "state": "SUCCEEDED", "jobRunId": run["Id"]}
            fake.send(queue, event("Glue Job State Change", detail))
            fake.wait(operation="glue.GetJobRun", count=looks + 1)
        daemon.wait_state("a.csv", "DONE")
        fake.wait_empty(queue)


def event(kind, detail):
    return {
        "version": "0",
        "id": "1",
        "detail-type": kind,
        "source": "aws.glue",
        "account": "123456789012",
        "time": "2021-11-12T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


@pytest.mark.parametrize(
    "change,words",
    [
        ({"glue": {"crawler": None}}, "'crawl.engine' is 'glue', but 'glue.crawler' names none"),
        ({"glue": {"job": None}}, "'extract.engine' is 'glue', but 'glue.job' names none"),
        ({"processed": {"uri": "file:///tmp/p"}}, "but 'processed.uri' is 'file:///tmp/p', no bucket"),
    ],
)
def test_an_engine_that_has_not_what_it_needs_is_refused(fake, daemon, change, words):
    Glue(fake, daemon)
    daemon.configure(**change)
    daemon.start(wait=False)
    assert daemon.wait_exit() != 0
    assert words in daemon.log()


# ---- the Glue Data Catalog ---------------------------------------------------------------------


def equip_catalog(world, daemon, **catalog):
    world.equip(daemon)
    world.client("glue").create_database(DatabaseInput={"Name": "sevir"})
    daemon.configure(catalog={"engine": "glue", **catalog})


def glue_table(world, name):
    return world.client("glue").get_table(DatabaseName="sevir", Name=name)["Table"]


def columns(storage):
    return [(c["Name"], c["Type"]) for c in storage["Columns"]]


def partitions(world, name):
    found = world.client("glue").get_partitions(DatabaseName="sevir", TableName=name)["Partitions"]
    return {tuple(p["Values"]): p["StorageDescriptor"]["Location"] for p in found}


def folders(world, name):
    """What was written, as partitions: {values: location}."""
    return {
        tuple(part.partition("=")[2] for part in key.split("/")[1:-1]):
            f"s3://processed/{key.rpartition('/')[0]}/"
        for key in world.keys("processed", name + "/")
    }  # fmt: skip


LAZY, QUOTED = "lazy.LazySimpleSerDe", "OpenCSVSerde"
HIVE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?")


def type_of(values):
    """By what was written: the type that gives every value back as it is. No value is of any type."""
    values = [value for value in values if value]
    whole = [value for value in values if re.fullmatch("-?[0-9]+", value)]
    if not values or any(str(int(value)) != value or not -(2**63) <= int(value) < 2**63 for value in whole):
        return "string"  # a code, not a number
    if len(whole) == len(values):
        return "bigint"
    try:
        return "double" if [float(value) for value in values] else ""
    except ValueError:
        return "timestamp" if all(HIVE_TIME.fullmatch(value) for value in values) else "string"


def written(world, prefix):
    """(names, rows, whether anything is quoted) of all files there, by Python's own reader."""
    names, rows, quoted = None, [], False
    for key in world.keys("processed", prefix):
        body = world.get("processed", key)
        quoted = quoted or b'"' in body
        first, *more = csv.reader(io.StringIO(body.decode(), newline=""), strict=True)
        names = names or first
        assert first == names[: len(first)], key
        rows += [row + [""] * (len(names) - len(row)) for row in more]
    return names, rows, quoted


def check_storage(storage, location, quoted):
    assert storage["Location"] == location
    serde = storage["SerdeInfo"]
    assert serde["SerializationLibrary"].endswith(QUOTED if quoted else LAZY)
    told = serde["Parameters"]
    if quoted:
        assert (told["separatorChar"], told["quoteChar"]) == (",", '"')
    else:
        assert (told["field.delim"], told["serialization.null.format"]) == (",", "")
        assert "escape.delim" not in told and "quote.delim" not in told


def check_table(world, name, folder):
    """What Glue knows of the table is what was written: names, types, places, and how it is to be read."""
    names, rows, quoted = written(world, folder)
    table = glue_table(world, name)
    storage, keys = table["StorageDescriptor"], [key["Name"] for key in table["PartitionKeys"]]
    check_storage(storage, f"s3://processed/{folder}", quoted)
    assert table["Parameters"]["skip.header.line.count"] == "1"
    found = columns(storage)
    assert [column for column, _ in found] == [n + "_" if n in keys else n for n in names]
    for i, (column, kind) in enumerate(found):
        values = [row[i] for row in rows]
        real = type_of(values)
        if real == "bigint" and column in WHOLE:
            real = "double"
        if quoted:
            assert kind == "string", column
            comment = storage["Columns"][i].get("Comment", "")
            assert real == "string" or comment == real, column
        elif real == "string" and not any(values):
            assert kind in ("bigint", "double", "timestamp", "string"), column
        else:
            assert kind == real, column
    if keys:
        found = world.client("glue").get_partitions(DatabaseName="sevir", TableName=name)["Partitions"]
        assert partitions(world, name) == folders(world, name) != {}
        for partition in found:
            values = tuple(partition["Values"])
            check_storage(partition["StorageDescriptor"], folders(world, name)[values], quoted)
            assert columns(partition["StorageDescriptor"]) == columns(storage)
    return table


# Doubles of `frames`, `flashes` and `catalog`, also where a sample has whole ones only.
WHOLE = {
    "valid", "min", "max", "mean", "std", "p01", "p10", "p25", "p50", "p75", "p90", "p99", "a16", "a74",
    "a133", "a160", "a181", "a219", "t", "lat", "lon", "x", "y", "llcrnrlat", "llcrnrlon", "urcrnrlat",
    "urcrnrlon", "height_m", "width_m", "data_min", "data_max", "pct_missing",
}  # fmt: skip

WRITTEN = {
    "numbers.csv": b"a,b,c\n1,2.5,2019-01-02 03:04:05\n,,\n-7,1e300,2019-01-02T03:04:05.120Z\n",
    "texts.csv": b"station,mm,seen,note\nA 1,1,2019-01-02,back\\slash\nB;2,,,\\N\nC|3,-3,2020-01-02,it's\n",
    "quoted.csv": b'a,b,c\n1,"x, y",2019-01-02\n2,z,\n',
    "inches.csv": b'a,b\n1,"5"" pipe"\n',
    "hollow.csv": b"a,b\n,x\n",
    "codes.csv": b"code,n\n007,9223372036854775808\n008,2\n",
}


def test_what_is_published_is_in_glues_catalog_as_it_was_written_and_leaves_it(moto, daemon):
    equip_catalog(moto, daemon)
    daemon.sample.size, daemon.sample.frames = 16, 3
    vil = daemon.sample.add("vil", ["S1", "S2"])
    daemon.sample.add("ir069", ["S1"])
    daemon.sample.add("lght", ["S100001"])
    for key, body in WRITTEN.items():
        moto.put("raw", key, body)
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    for name in ("frames", "flashes", "catalog"):
        table = check_table(moto, name, name + "/")
        assert table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"].endswith(LAZY)
    local = dict(columns(glue_table(moto, "frames")["StorageDescriptor"]))
    assert local["frame"] == "bigint" and local["time_utc"] == "timestamp" and local["mean"] == "double"
    assert [(k["Name"], k["Type"]) for k in glue_table(moto, "frames")["PartitionKeys"]] == [
        ("img_type", "string"), ("year", "bigint"), ("month", "bigint"),
    ]  # fmt: skip
    for key in WRITTEN:
        name = key.removesuffix(".csv")
        check_table(moto, name, f"tables/{name}/")
    # and in words, lest the check above were blind
    assert columns(glue_table(moto, "texts")["StorageDescriptor"]) == [
        ("station", "string"), ("mm", "bigint"), ("seen", "timestamp"), ("note", "string"),
    ]  # fmt: skip
    quoted = glue_table(moto, "quoted")["StorageDescriptor"]
    assert columns(quoted) == [("a", "string"), ("b", "string"), ("c", "string")]
    assert [quoted["Columns"][i]["Comment"] for i in (0, 2)] == ["bigint", "timestamp"]
    gone = str(vil.relative_to(daemon.sample.root))
    moto.delete("raw", gone)
    daemon.wait_state(gone, "RETIRED")
    daemon.wait_idle()
    assert partitions(moto, "frames") == folders(moto, "frames")
    assert not [values for values in partitions(moto, "frames") if values[0] == "vil"]


def test_a_schema_that_drifts_makes_a_new_version(moto, daemon):
    equip_catalog(moto, daemon)
    daemon.start()

    def put(year, body):
        moto.put("raw", f"drift_{year}.csv", body)
        daemon.wait_state(f"drift_{year}.csv", "DONE")
        return glue_table(moto, "drift")

    first = put(2019, b"x,y\n1,b\n")
    assert columns(first["StorageDescriptor"]) == [("x", "bigint"), ("y", "string")]
    check_storage(first["StorageDescriptor"], "s3://processed/tables/drift/", quoted=False)
    second = put(2020, b"x,y,z\n1.5,c,2019-01-02\n")
    assert columns(second["StorageDescriptor"]) == [("x", "double"), ("y", "string"), ("z", "timestamp")]
    third = put(2021, b'x,y,z\n2,"d, e",\n')  # from now on it takes a reader that knows quotes
    assert columns(third["StorageDescriptor"]) == [("x", "string"), ("y", "string"), ("z", "string")]
    check_storage(third["StorageDescriptor"], "s3://processed/tables/drift/", quoted=True)
    put(2022, b"x,y,z\n3,f,\n")  # which changes nothing
    versions = moto.client("glue").get_table_versions(DatabaseName="sevir", TableName="drift")
    assert len(versions["TableVersions"]) == 3
    ids = [int(table["VersionId"]) for table in (first, second, third)]
    assert ids == sorted(set(ids))
    changes = [version["change"] for version in daemon.get("/v1/tables/processed.drift")["versions"]]
    assert changes[2] == "fields are quoted"


def test_partitions_change_their_reader_with_the_table(moto, daemon):
    """An id with a comma, and all of the table's partitions take a reader that knows quotes."""
    equip_catalog(moto, daemon)
    daemon.sample.size, daemon.sample.frames = 16, 3
    daemon.sample.add("vil", ["S1"], time="2019-03-10 12:00:00")
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    before = check_table(moto, "catalog", "catalog/")
    daemon.sample.add("ir069", ["S2"], time="2019-04-10 12:00:00")
    daemon.sample.rows[-1]["event_type"] = "Hail, large"
    daemon.sample.write_catalog()
    daemon.wait_for(lambda _: len(partitions(moto, "catalog")) == 2)
    daemon.wait_idle()
    after = check_table(moto, "catalog", "catalog/")
    assert after["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"].endswith(QUOTED)
    assert int(after["VersionId"]) > int(before["VersionId"])
    check_table(moto, "frames", "frames/")


def test_projection_says_where_partitions_are_and_registers_none(moto, daemon):
    equip_catalog(moto, daemon, projection=True)
    daemon.sample.size, daemon.sample.frames = 16, 3
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    told = glue_table(moto, "frames")["Parameters"]
    assert told["projection.enabled"] == "true"
    template = told["storage.location.template"]
    for values, location in folders(moto, "frames").items():
        filled = template
        for key, value in zip(("img_type", "year", "month"), values):
            filled = filled.replace("${" + key + "}", value)
        assert filled + "/" == location
        assert values[0] in told["projection.img_type.values"].split(",")
    assert told["projection.month.digits"] == "2" and told["projection.year.type"] == "integer"
    assert partitions(moto, "frames") == {}


@pytest.mark.parametrize(
    "operation,code,times",
    [
        ("UpdateTable", "ConcurrentModificationException", 2),
        ("CreateTable", "AlreadyExistsException", 1),
        ("CreateTable", "EntityNotFoundException", 1),
        ("BatchCreatePartition", "AccessDeniedException", 1),
        ("GetTable", "InternalServiceException", 4),
        ("BatchCreatePartition", "OperationTimeoutException", 4),
    ],
)
def test_an_error_of_the_catalog_delays_and_quarantines_nothing(fake, daemon, operation, code, times):
    equip_catalog(fake, daemon)
    daemon.sample.size, daemon.sample.frames = 16, 3
    daemon.sample.add("vil", ["S1"])
    if operation == "UpdateTable":
        fake.put("raw", "drift_2019.csv", b"x,y\n1,2\n")
    daemon.sample.write_catalog()
    daemon.start()
    if operation == "UpdateTable":
        daemon.wait_idle()
        fake.put("raw", "drift_2020.csv", b"x,y,z\n1.5,2,3\n")
    fake.faults(fails(operation, code, times, 500 if code.startswith("Internal") else 400))
    if operation == "UpdateTable":
        daemon.wait_state("drift_2020.csv", "DONE")
        assert columns(glue_table(fake, "drift")["StorageDescriptor"])[0] == ("x", "double")
        assert sum(fake.struck().values()) == times
    daemon.wait_idle()
    assert daemon.get("/v1/status")["jobs"]["QUARANTINED"] == 0
    stats = fake.ask("glue")["partitions"]
    assert {tuple(v) for v in stats["frames"]} == set(folders(fake, "frames"))


def test_a_partial_error_of_a_batch_is_tried_again(fake, daemon):
    """The fake's `partial` fails the last entry of the first batch."""
    equip_catalog(fake, daemon)
    fake.ask("glue", {"partial": 1})
    daemon.sample.size, daemon.sample.frames = 16, 3
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert fake.ask("glue")["partial"] == 0
    assert {tuple(v) for v in fake.ask("glue")["partitions"]["frames"]} == set(folders(fake, "frames"))


def test_an_engine_that_is_switched_on_later_tells_of_what_was_there(fake, daemon):
    equip_catalog(fake, daemon)
    daemon.configure(catalog={"engine": "local"})
    daemon.sample.size, daemon.sample.frames = 16, 3
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    assert fake.ask("glue")["partitions"] == {}
    daemon.stop()
    daemon.configure(catalog={"engine": "glue"})
    daemon.start()
    fake.wait(operation="glue.BatchCreatePartition", count=2)
    daemon.wait_for(lambda _: "frames" in fake.ask("glue")["partitions"])
    assert {tuple(v) for v in fake.ask("glue")["partitions"]["frames"]} == set(folders(fake, "frames"))


@pytest.mark.parametrize("crawl,extract", [(True, False), (False, True)])
def test_each_engine_works_beside_the_local_other(fake, daemon, by_local_engine, crawl, extract):
    with Glue(fake, daemon, crawl=crawl, extract=extract) as glue:
        fill(lambda key, body: fake.put("raw", key, body))
        daemon.start()
        for key in TABLES:
            daemon.wait_state(key, "DONE")
        assert tables(fake) == by_local_engine[0]
        assert {row[0]: row[1:] for row in daemon.query("SELECT * FROM storms")} == by_local_engine[1]
        assert bool(glue.crawls()) == crawl and bool(glue.runs()) == extract
