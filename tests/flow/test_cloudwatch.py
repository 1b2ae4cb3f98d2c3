"""Key metrics in CloudWatch, where the stack's alarm looks for them."""

import datetime
import time

from conftest import ROOT


def sums(world, name, instance="pipeline"):
    """Of all that was pushed under that name: (sum, largest, how many)."""
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    points = world.client("cloudwatch").get_metric_statistics(
        Namespace="sevird",
        MetricName=name,
        Dimensions=[{"Name": "Instance", "Value": instance}],
        StartTime=now - hour,
        EndTime=now + hour,
        Period=60,
        Statistics=["Sum", "Maximum", "SampleCount"],
    )["Datapoints"]
    return sum(p["Sum"] for p in points), max((p["Maximum"] for p in points), default=0)


def wait_for(what, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline


def equip(daemon, moto):
    daemon.configure(
        aws={"endpoint_url": moto.endpoint, "region": "us-east-1"},
        cloudwatch={"push": True, "instance": "pipeline", "interval": "1s"},
    )
    daemon.env.update(moto.env)
    return daemon


def test_what_was_done_and_quarantined_is_pushed_once(daemon, moto):
    equip(daemon, moto)
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    (daemon.raw / "broken.h5").write_bytes(b"no HDF5 at all, although the name says so")
    daemon.start()
    status = daemon.wait_idle()
    assert status["jobs"]["QUARANTINED"] == 1 and status["jobs"]["DONE"] == 2
    wait_for(lambda: sums(moto, "Quarantined")[0] >= 1 and sums(moto, "Done")[0] >= 2)
    pushes = moto.client("cloudwatch").list_metrics(Namespace="sevird")["Metrics"]
    names = {metric["MetricName"] for metric in pushes}
    assert {"Quarantined", "Done", "Retries", "FetchedBytes", "Queued", "HeldMessages"} <= names
    before = daemon.request("GET", "/metrics").text.count("PutMetricData")
    assert before == 1  # one series: all of them were taken
    (daemon.raw / "broken2.h5").write_bytes(b"another one that is no HDF5")
    wait_for(lambda: sums(moto, "Quarantined")[0] >= 2)
    assert sums(moto, "Quarantined")[0] == 2 and sums(moto, "Done")[0] == 2  # each is counted once


def test_who_takes_none_holds_nobody_up_and_gets_them_later(daemon, moto):
    equip(daemon, moto)
    daemon.env["AWS_SECRET_ACCESS_KEY"] = "wrong"
    daemon.sample.add("vil", ["S1"])
    daemon.sample.write_catalog()
    daemon.start()
    daemon.wait_idle()
    wait_for(lambda: "CloudWatch takes no metrics" in daemon.log())
    daemon.stop()
    assert daemon.log().count("CloudWatch takes no metrics") == 1
    assert sums(moto, "Done") == (0, 0)


def test_the_alarm_of_the_stack_looks_there():
    stack = (ROOT / "config" / "aws" / "stack.yaml").read_text()
    alarm = stack[stack.index("QuarantineAlarm:") :]
    for words in ("Namespace: sevird", "MetricName: Quarantined", "Name: Instance"):
        assert words in alarm
