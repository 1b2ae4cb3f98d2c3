"""`sevirctl doctor` on a set-up by moto: it finds nothing wrong with a good one, and in each bad one
the fault that was planted, in a line that names it."""

import json
import os
import shutil
import subprocess

import pytest

from conftest import SEVIRCTL, environment

BUCKETS = ("raw", "processed")
LIFECYCLE = {
    "Rules": [
        {"ID": "uploads", "Status": "Enabled", "Prefix": "",
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
    ]
}  # fmt: skip


def policy(queue, service="s3.amazonaws.com", source="arn:aws:s3:::raw"):
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def notify(world, queue, events=("s3:ObjectCreated:*", "s3:ObjectRemoved:*"), **more):
    world.client("s3").put_bucket_notification_configuration(
        Bucket="raw",
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": queue.arn, "Events": list(events), **more}]
        },
    )


def set_queue(world, queue, **attributes):
    world.client("sqs").set_queue_attributes(QueueUrl=queue.url, Attributes=attributes)


class SetUp:
    """As config/aws/stack.yaml makes it."""

    def __init__(self, world, daemon):
        self.world, self.daemon = world, daemon
        for bucket in BUCKETS:
            world.bucket(bucket, versioned=bucket == "raw")
            world.client("s3").put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration=LIFECYCLE
            )
        self.queue = world.queue("events", 120, 20)
        set_queue(world, self.queue, MessageRetentionPeriod="1036800", Policy=policy(self.queue))
        set_queue(world, self.queue.dead, MessageRetentionPeriod="1209600")
        notify(world, self.queue)
        self.topic = world.topic("told")
        world.client("glue").create_database(DatabaseInput={"Name": "sevir"})
        world.client("athena").create_work_group(
            Name="sevir",
            Configuration={
                "ResultConfiguration": {"OutputLocation": "s3://processed/_athena/"},
                "BytesScannedCutoffPerQuery": 10**12,
            },
        )
        world.put("raw", "some.csv", b"a\n1\n")
        world.equip(daemon, queue=self.queue)
        daemon.config["sources"]["sqs"]["visibility"] = "120s"
        daemon.configure(notify={"sns_topic_arn": self.topic}, athena={"workgroup": "sevir"})
        daemon.state.mkdir()

    def doctor(self, check=None, env=None):
        self.daemon.write_config()
        done = self.daemon.ctl("doctor", "--config", self.daemon.config_path, "--json",
                               env={**self.daemon.env, **(env or {})}, check=check)  # fmt: skip
        told = json.loads(done.stdout)
        assert done.returncode == (1 if told["failed"] else 0)
        return told

    def findings(self, **options):
        told = self.doctor(**options)
        return {(f["check"], f["status"]): f for f in told["checks"] if f["status"] != "ok"}


@pytest.fixture
def setup(moto, daemon):
    return SetUp(moto, daemon)


def test_a_good_set_up_is_well(setup):
    before = {bucket: setup.world.keys(bucket) for bucket in BUCKETS}
    setup.daemon.start()
    told = setup.doctor(check=0)
    assert [f for f in told["checks"] if f["status"] != "ok"] == []
    seen = {f["check"] for f in told["checks"]}
    for check in ("config", "state.dir", "state.space", "helper", "socket", "raw.credentials", "clock",
                  "raw.list", "raw.region", "raw.get", "raw.versioning", "processed.put",
                  "processed.conditions", "processed.get", "processed.delete", "processed.lifecycle",
                  "aws.credentials", "queue.exists", "queue.retention", "queue.visibility", "queue.redrive", "queue.dead",
                  "queue.dead_retention", "bucket.created", "bucket.removed", "queue.policy", "topic",
                  "athena.workgroup", "athena.database"):  # fmt: skip
        assert check in seen, check
    setup.daemon.wait_idle()
    assert not [key for key in setup.world.keys("processed") if "_doctor" in key]
    assert setup.world.keys("raw") == before["raw"]
    done = setup.daemon.ctl("doctor", "--config", setup.daemon.config_path, env=setup.daemon.env, check=0)
    assert done.stdout.count("\nok    ") > 20 and "0 failed, 0 warnings" in done.stdout


def sqs(setup, **attributes):
    # moto forgets a policy when another attribute is set
    set_queue(setup.world, setup.queue, **{"Policy": policy(setup.queue), **attributes})


def tell(setup, **options):
    notify(setup.world, setup.queue, **options)


def prefix(value, name="prefix"):
    return {"Filter": {"Key": {"FilterRules": [{"Name": name, "Value": value}]}}}


def config(setup, **changes):
    setup.daemon.configure(**changes)


def queue_url(setup, change):
    sources = setup.daemon.config["sources"]
    sources["sqs"]["queue_url"] = change(sources["sqs"]["queue_url"])


def statement(setup, effect="Allow", **changes):
    """One that lets S3 send, but for the changes."""
    found = {**json.loads(policy(setup.queue))["Statement"][0], "Effect": effect, **changes}
    return {key: value for key, value in found.items() if value is not None}


def state(setup, *statements):
    sqs(setup, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def glue(setup, path="s3://raw/", database="sevir", runs=3, script="_glue/extract_csv.py"):
    setup.world.put("processed", "_glue/extract_csv.py", b"")
    client = setup.world.client("glue")
    client.create_crawler(
        Name="crawler", Role="r", DatabaseName=database, Targets={"S3Targets": [{"Path": path}]}
    )
    client.create_job(
        Name="job", Role="r", Command={"Name": "glueetl", "ScriptLocation": "s3://processed/" + script},
        ExecutionProperty={"MaxConcurrentRuns": runs},
    )  # fmt: skip
    config(setup, crawl={"engine": "glue"}, extract={"engine": "glue"}, glue={"crawler": "crawler", "job": "job"})


FAULTS = {
    "no such raw bucket": (lambda s: config(s, raw={"uri": "s3://rawer/"}), "raw.list", "FAIL", "rawer"),
    "no such processed bucket": (
        lambda s: config(s, processed={"uri": "s3://gone/"}), "processed.put", "FAIL", "gone"),
    "no such queue": (lambda s: queue_url(s, lambda u: u + "x"), "queue.exists", "FAIL", "eventsx"),
    "visibility": (lambda s: sqs(s, VisibilityTimeout="30"), "queue.visibility", "WARN", "30 s"),
    "messages go soon": (
        lambda s: sqs(s, MessageRetentionPeriod="3600"), "queue.retention", "WARN", "3600 s"),
    "messages go while they are held": (
        lambda s: sqs(s, MessageRetentionPeriod="60"), "queue.retention", "FAIL", "60 s"),
    "no dead-letter queue": (
        lambda s: sqs(s, RedrivePolicy=""), "queue.redrive", "FAIL", "no dead-letter queue"),
    "few receives": (
        lambda s: sqs(s, RedrivePolicy=json.dumps({"deadLetterTargetArn": s.queue.dead.arn, "maxReceiveCount": 1})),
        "queue.redrive", "WARN", "after 1 receives"),
    "dead letters go first": (
        lambda s: set_queue(s.world, s.queue.dead, MessageRetentionPeriod="3600"),
        "queue.dead_retention", "FAIL", "3600 s"),
    "a dead letter": (lambda s: s.world.send(s.queue.dead, "x"), "queue.dead", "WARN", "1 messages"),
    "the queue's policy is of another bucket": (
        lambda s: sqs(s, Policy=policy(s.queue, source="arn:aws:s3:::other")),
        "queue.policy", "FAIL", "s3.amazonaws.com"),
    "the queue's policy is of another service": (
        lambda s: sqs(s, Policy=policy(s.queue, service="sns.amazonaws.com")),
        "queue.policy", "FAIL", "arn:aws:s3:::raw"),
    "the queue's policy denies": (
        lambda s: state(s, statement(s), statement(s, "Deny", Principal="*", Condition=None)),
        "queue.policy", "FAIL", "denies"),
    "the queue's policy is of another queue": (
        lambda s: state(s, statement(s, Resource=s.queue.arn + "x")), "queue.policy", "FAIL", "does not let"),
    "only small objects are told": (
        lambda s: tell(s, events=["s3:ObjectCreated:Put", "s3:ObjectCreated:Copy", "s3:ObjectRemoved:*"]),
        "bucket.created", "FAIL", "CompleteMultipartUpload"),
    "the crawler looks elsewhere": (
        lambda s: glue(s, path="s3://raw/sub/"), "glue.crawler_targets", "FAIL", "s3://raw/"),
    "the crawler's tables are elsewhere": (
        lambda s: glue(s, database="other"), "glue.crawler_database", "WARN", "'other'"),
    "the job has no script": (lambda s: glue(s, script="lost.py"), "glue.script", "FAIL", "lost.py"),
    "the job has one run at a time": (lambda s: glue(s, runs=1), "glue.runs", "WARN", "at most 1 runs"),
    "the bucket tells nobody": (lambda s: s.world.mute("raw"), "bucket.created", "FAIL", "'raw'"),
    "removals are not told": (
        lambda s: tell(s, events=["s3:ObjectCreated:*"]), "bucket.removed", "WARN", "removed"),
    "a filter leaves keys out": (lambda s: tell(s, **prefix("elsewhere/")), "bucket.filter", "FAIL", "elsewhere/"),
    "a filter by suffix": (lambda s: tell(s, **prefix(".h5", "suffix")), "bucket.filter", "FAIL", ".h5"),
    "no versions": (
        lambda s: s.world.client("s3").put_bucket_versioning(
            Bucket="raw", VersioningConfiguration={"Status": "Suspended"}),
        "raw.versioning", "WARN", "'raw'"),
    "unfinished uploads stay": (
        lambda s: s.world.client("s3").delete_bucket_lifecycle(Bucket="processed"),
        "processed.lifecycle", "WARN", "'processed'"),
    "no such topic": (
        lambda s: config(s, notify={"sns_topic_arn": s.topic + "x"}), "topic", "FAIL", "told"),
    "no such workgroup": (
        lambda s: config(s, athena={"workgroup": "sevirs"}), "athena.workgroup", "FAIL", "sevirs"),
    "no such database": (
        lambda s: config(s, athena={"database": "nowhere"}), "athena.database", "FAIL", "nowhere"),
    "no such crawler": (
        lambda s: config(s, crawl={"engine": "glue"}, glue={"crawler": "nobody"}), "glue.crawler", "FAIL", "nobody"),
    "no such job": (
        lambda s: config(s, extract={"engine": "glue"}, glue={"job": "nothing"}), "glue.job", "FAIL", "nothing"),
    "no such database of the catalog": (
        lambda s: config(s, catalog={"engine": "glue"}, athena={"database": "sevir"}, glue={"database": "lost"}),
        "glue.database", "FAIL", "lost"),
    "no state directory yet": (lambda s: s.daemon.state.rmdir(), "state.dir", "WARN", "not there yet"),
    "a state directory that is a file": (
        lambda s: (s.daemon.state.rmdir(), s.daemon.state.write_text("")), "state.dir", "FAIL", "no directory"),
    "a configuration that is wrong": (lambda s: config(s, raw={"url": "x"}), "config", "FAIL", "raw.url"),
    "nothing to read": (lambda s: s.world.delete("raw", "some.csv"), "raw.get", "WARN", "empty"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_its_name(setup, fault):
    plant, check, status, words = FAULTS[fault]
    plant(setup)
    findings = setup.findings()
    status = "warn" if status == "WARN" else status
    assert (check, status) in findings, findings.keys()
    found = findings[check, status]
    assert words in found["text"], found
    assert found["mend"]
    # nothing else is blamed, but for what cannot be known any more
    others = {name for name, _ in findings} - {check, "socket"}
    allowed = {"raw.list": {"raw.versioning", "bucket.created"}, "processed.put": {"processed.lifecycle"},
               "bucket.created": {"bucket.removed"}}  # fmt: skip
    assert others <= allowed.get(check, set()), others


@pytest.mark.parametrize(
    "conditions",
    [{"ArnLike": {"aws:SourceArn": "arn:aws:s3:*:*:raw"}, "StringEquals": {"aws:SourceAccount": "123456789012"}},
     {"ArnLike": {"AWS:SourceArn": ["arn:aws:s3:::other", "arn:aws:s3:::r?w"]}}],
)  # fmt: skip
def test_a_policy_as_awss_guide_writes_it_is_well(setup, conditions):
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    denied = statement(setup, "Deny", Principal="*", Action="SQS:*", Condition=plain)
    state(setup, statement(setup, Action=["SQS:SendMessage"], Condition=conditions), denied)
    glue(setup)
    config(setup, catalog={"engine": "glue"})
    assert {name for name, _ in setup.findings()} <= {"socket"}


def test_a_store_that_ignores_conditions_is_found(daemon, fake):
    fake.equip(daemon).state.mkdir()
    daemon.write_config()

    def found():
        done = daemon.ctl("doctor", "--config", daemon.config_path, "--json", env=daemon.env)
        (check,) = [f for f in json.loads(done.stdout)["checks"] if f["check"] == "processed.conditions"]
        return check, done.returncode

    check, _ = found()
    assert check["status"] == "ok"
    fake.faults({"operation": "PutObject", "times": -1, "fault": {"kind": "unconditional"}})
    check, code = found()
    assert (check["status"], code) == ("FAIL", 1)
    assert "If-None-Match forbids" in check["text"] and "processed.shared" in check["mend"]
    assert fake.keys("processed") == []
    daemon.configure(processed={"shared": False}).write_config()
    assert found()[0]["status"] == "ok"
    daemon.configure(processed={"shared": True}).write_config()
    refused = {"kind": "error", "code": "NotImplemented", "status": 501}
    fake.faults({"operation": "PutObject", "nth": 2, "fault": refused})
    check, code = found()
    assert (check["status"], code) == ("FAIL", 1) and "NotImplemented" in check["text"]


def test_a_key_of_kms_that_is_disabled_is_named(daemon, fake):
    fake.equip(daemon).state.mkdir()
    daemon.write_config()
    fault = {"kind": "error", "code": "KMS.DisabledException", "status": 400}
    fake.faults({"operation": "PutObject", "times": -1, "fault": fault})
    done = daemon.ctl("doctor", "--config", daemon.config_path, "--json", env=daemon.env, check=1)
    (check,) = [f for f in json.loads(done.stdout)["checks"] if f["check"] == "processed.put"]
    assert check["status"] == "FAIL" and "KMS.DisabledException" in check["text"]
    assert check["mend"].startswith("enable the key of KMS")


def test_keys_that_are_wrong_or_missing_and_a_helper_that_is_not_there(setup):
    findings = setup.findings(env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert ("raw.list", "FAIL") in findings and ("processed.put", "FAIL") in findings
    findings = setup.findings(env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    assert "no credentials" in findings["raw.credentials", "FAIL"]["text"]


def test_who_cannot_ask_is_not_told_of_permissions(setup):
    for change, words in ({"endpoint_url": "http://127.0.0.1:1"}, "the network"), ({"profile": "ghost"}, "credentials"):
        config(setup, aws={**setup.daemon.config["aws"], **change})
        setup.daemon.env.pop("AWS_ENDPOINT_URL", None)
        failed = [found for (_, status), found in setup.findings().items() if status == "FAIL"]
        assert len(failed) > 3
        for found in failed:
            assert "allow " not in found["mend"] and ("credentials" in found["check"] or words in found["mend"]), found
        config(setup, aws={"endpoint_url": setup.world.endpoint, "profile": None})


def test_a_helper_that_does_not_run_is_told(daemon, tmp_path):
    daemon.write_config()
    moved = tmp_path / "bin"
    moved.mkdir()
    shutil.copy(SEVIRCTL, moved / "sevirctl")
    (moved / "sevird-h5probe").write_text("#!/bin/false\n")
    (moved / "sevird-h5probe").chmod(0o755)
    done = subprocess.run(
        [str(moved / "sevirctl"), "doctor", "--config", str(daemon.config_path), "--json"],
        capture_output=True,
        env=environment(daemon.reports),
    )
    (found,) = [f for f in json.loads(done.stdout)["checks"] if f["status"] == "FAIL"]
    assert done.returncode == 1 and found["check"] == "helper" and "h5probe" in found["mend"]


def test_keys_that_may_not_do_something_are_told_what(setup):
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    denied = {
        "raw.get": "s3:GetObject", "processed.put": "s3:PutObject", "processed.delete": "s3:DeleteObject",
        "queue.exists": "sqs:GetQueueAttributes", "bucket.created": "s3:GetBucketNotification",
    }  # fmt: skip
    for number, (check, action) in enumerate(denied.items()):
        deny = {"Effect": "Deny", "Action": action, "Resource": "*"}
        key, secret = setup.world.user(f"u{number}", {"Version": "2012-10-17", "Statement": [allow, deny]})
        findings = setup.findings(env={"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret})
        found = next(f for (name, _), f in findings.items() if name == check)
        assert action in found["mend"], found


def test_a_clock_that_is_off_and_conditions_that_do_not_hold(fake, daemon):
    fake.equip(daemon)
    daemon.write_config()
    fake.put("raw", "x.csv", b"a\n1\n")
    fake.ask("clock", {"skew_s": 1000, "agent": "sevird"})

    def look():
        done = daemon.ctl("doctor", "--config", daemon.config_path, "--json", env=daemon.env)
        return {f["check"]: f for f in json.loads(done.stdout)["checks"]}

    found = look()["clock"]
    assert found["status"] == "FAIL" and "behind" in found["text"]
    fake.ask("clock", {"skew_s": 0})
    assert look()["clock"]["status"] == "ok"


def test_local_stores_are_looked_at_too(daemon):
    daemon.write_config()
    os.rmdir(daemon.processed)
    done = daemon.ctl("doctor", "--config", daemon.config_path, check=1)
    line = next(line for line in done.stdout.splitlines() if line.startswith("FAIL"))
    assert "processed.put" in line and str(daemon.processed) in line and " -> " in line
    done = daemon.ctl("doctor", "--config", daemon.dir / "none.json", check=1)
    assert "FAIL  config" in done.stdout
