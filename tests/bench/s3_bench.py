#!/usr/bin/env python3
"""The table of s3.sh: the work, ours, the peer, the ratio, the goal, and whether it is met.

    s3_bench.py BUILD [--quick] [--rounds N] [--only WORD]... [--json FILE]

A figure is the median of the rounds, in which all contenders take turns; each is a whole process with
its start. Ours is s3_load (lib/aws as the daemon uses it), 16 requests in flight; for large objects it
is sevirctl. Files lie in /dev/shm.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from service import Service
from table import Table

HERE = Path(__file__).resolve().parent
RCLONE, BOTO3, AWS = "rclone x32", "boto3 x16", "awscli"
CURL = "libcurl alone"  # unsigned, and what it gets is dropped: nobody who uses libcurl is faster
GOALS = {RCLONE: 4, BOTO3: 25, AWS: 50}
LARGE = 256 << 20


class Bench:
    def __init__(self, args):
        self.args, self.build = args, Path(args.build).resolve()
        self.work = Path(tempfile.mkdtemp(prefix="sevird-s3-", dir="/dev/shm"))
        self.table = Table(work=52, ours=18, peer=18, ratio=8, goal=14)
        self.row = self.table.row
        self.server = subprocess.Popen(
            [self.build / "tests" / "s3_server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.endpoint = f"http://127.0.0.1:{int(self.server.stdout.readline())}"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.env.update(
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY="secret",
            AWS_REGION="us-east-1",
            AWS_DEFAULT_REGION="us-east-1",
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE="/dev/null",
            AWS_SHARED_CREDENTIALS_FILE="/dev/null",
            RCLONE_CONFIG="/dev/null",
            RCLONE_CONFIG_S_TYPE="s3",
            RCLONE_CONFIG_S_PROVIDER="Other",
            RCLONE_CONFIG_S_ENV_AUTH="true",
            RCLONE_CONFIG_S_ENDPOINT=self.endpoint,
            RCLONE_CONFIG_S_FORCE_PATH_STYLE="true",
            RCLONE_CONFIG_S_NO_CHECK_BUCKET="true",
        )

    def wanted(self, *words):
        return not self.args.only or any(only in " ".join(words) for only in self.args.only)

    # ---- contenders: seconds of a whole process

    def run(self, *command):
        began = time.perf_counter()
        done = subprocess.run([*map(str, command)], env=self.env, capture_output=True, text=True)
        took = time.perf_counter() - began
        if done.returncode != 0:
            sys.exit(f"{command}: {done.stdout[-500:]}{done.stderr[-1500:]}")
        return took, done.stdout

    def load(self, *words):
        """(seconds, CPU microseconds a piece)"""
        took, told = self.run(self.build / "tests" / "s3_load", self.endpoint, *words)
        return took, float(told.split()[2])

    def floor(self, what, count, size):
        """(seconds, CPU microseconds a piece)"""
        port = self.endpoint.rpartition(":")[2]
        took, told = self.run(self.build / "tests" / "s3_floor", port, what, count, size, 16)
        return took, float(told.split()[2])

    def boto3(self, *words):
        return self.run(sys.executable, HERE / "s3_peer.py", self.endpoint, *words)[0]

    def aws(self, *words):
        return self.run("/usr/bin/aws", "--endpoint-url", self.endpoint, "s3", *words)[0]

    def rclone(self, *words):
        flags = ["--transfers", "32", "--checkers", "32", "--ignore-checksum", "--no-traverse"]
        return self.run("/usr/bin/rclone", *words, *flags)[0]

    def clear(self):
        shutil.rmtree(self.work / "got", ignore_errors=True)
        (self.work / "got").mkdir()

    def compare(self, work, unit, contenders, pieces, goals=GOALS):
        """`contenders`: {name: what runs it}, "ours" among them; `pieces`: {name: of how many}."""
        rounds = {name: [] for name in contenders}
        for _ in range(self.args.rounds):
            for name, do in contenders.items():
                self.clear()
                rounds[name].append(pieces[name] / do())
        rates = {name: statistics.median(found) for name, found in rounds.items()}
        for name in contenders:
            if name != "ours":
                ratio, goal = rates["ours"] / rates[name], goals.get(name)
                self.row(f"{work}, vs {name}", f"{rates['ours']:.0f} {unit}", f"{rates[name]:.0f} {unit}",
                         f"{ratio:.1f}x", f">= {goal}x" if goal else "", ratio >= goal if goal else None)  # fmt: skip
        return rates["ours"]

    # ---- rows

    def small(self, size):
        count = 300 if self.args.quick else 1000
        files = self.work / "files"
        shutil.rmtree(files, ignore_errors=True)
        files.mkdir()
        for n in range(count):
            (files / f"k{n:08d}").write_bytes(bytes(size))
        pieces = dict.fromkeys(("ours", CURL, RCLONE, BOTO3, AWS), count)
        cpu = []

        def put():
            took, used = self.load("put", count, size, 16, "bucket")
            cpu.append(used)
            return took

        name = f"{size // 1000} KB"
        rate = self.compare(f"put {name}", "objects/s", {
            "ours": put,
            RCLONE: lambda: self.rclone("copy", files, "s:bucket/rclone", "--ignore-times"),
            BOTO3: lambda: self.boto3("put", "bucket", count, size),
            AWS: lambda: self.aws("cp", "--recursive", "--quiet", files, "s3://bucket/aws"),
        }, pieces)  # fmt: skip
        self.row(f"put {name}", f"{rate * size / 1e6:.0f} MB/s")
        self.cpu(name, size, statistics.median(cpu))
        got = self.work / "got"
        rate = self.compare(f"get {name}", "objects/s", {
            "ours": lambda: self.load("get", count, size, 16, "bucket")[0],
            CURL: lambda: self.floor("curl-get", count, size)[0],
            RCLONE: lambda: self.rclone("copy", "s:bucket/rclone", got),
            BOTO3: lambda: self.boto3("get", "bucket", count, size),
            AWS: lambda: self.aws("cp", "--recursive", "--quiet", "s3://bucket/aws", got),
        }, pieces)  # fmt: skip
        self.row(f"get {name}", f"{rate * size / 1e6:.0f} MB/s")
        self.compare(f"copy {name} server-side", "objects/s", {
            "ours": lambda: self.load("copy", count, size, 16, "bucket")[0],
            CURL: lambda: self.floor("curl-copy", count, size)[0],
            RCLONE: lambda: self.rclone("copy", "s:bucket/rclone", "s:bucket-copy/rclone", "--ignore-times"),
            BOTO3: lambda: self.boto3("copy", "bucket", count, size),
            AWS: lambda: self.aws("cp", "--recursive", "--quiet", "s3://bucket/aws", "s3://bucket-copy/aws"),
        }, pieces)  # fmt: skip

    def cpu(self, name, size, used):
        """What a put costs us, beside what it costs anybody on this machine: that bounds it."""
        count = 1000 if self.args.quick else 3000
        floors = {}
        for _ in range(self.args.rounds):
            for what in ("raw", "curl", "sha256"):
                floors.setdefault(what, []).append(self.floor(what, count, size)[1])
        raw, curl, hashed = (statistics.median(floors[what]) for what in ("raw", "curl", "sha256"))
        goal = size == 50000
        self.row(f"put {name}, CPU a signed request", f"{used:.0f} us", f"libcurl {curl:.0f} us", f"{used / curl:.2f}x",
                 "<= 60 us" if goal else "", used <= 60 if goal else None)  # fmt: skip
        self.row("  bounds: bare sockets, libcurl alone, unsigned", f"{raw:.0f}, {curl:.0f} us")
        self.row("  bounds: SHA-256 of the body, if it is to be", f"{hashed:.0f} us")

    def daemon(self, raw, **changes):
        base = Path(tempfile.mkdtemp(dir=self.work))
        return Service(self.build, base, raw, env=self.env, aws={"endpoint_url": self.endpoint}, **changes)

    def known(self):
        """The whole daemon, paused: what is measured is listing and intake, not the jobs."""
        count = 100000 if self.args.quick else 1000000
        service = self.daemon(f"s3://gen-{count}/").start(paused=True)
        took = []
        for _ in range(3):
            began = time.perf_counter()
            told = service.ask("POST", "/v1/reconcile")
            took.append(time.perf_counter() - began)
            if told["known"] != count:
                sys.exit(f"reconcile: {told}")
        seconds, goal = statistics.median(took), 10 * count / 1e6
        service.stop()
        self.row(f"list {count} known keys again, the daemon", f"{seconds:.1f} s", "", "", f"<= {goal:.0f} s",
                 seconds <= goal)  # fmt: skip

    def intake(self):
        """The whole daemon: notifications of objects that it knows, until it has deleted the last."""
        keys, count = 1000, 20000 if self.args.quick else 100000
        sqs = {"queue_url": f"{self.endpoint}/123456789012/gen-{keys}-{count}"}
        service = self.daemon(f"s3://gen-{keys}/").start()
        service.stop()
        service.config["sources"]["sqs"] = sqs
        began = time.perf_counter()
        service.start(wait=False)
        while (queue := service.ask("GET", "/v1/status")["queues"][0])["deleted"] < count:
            time.sleep(0.01)
        rate = count / (time.perf_counter() - began)
        used = 1e6 * service.cpu() / count
        service.stop()
        self.row("notifications taken in, the daemon", f"{rate:.0f} /s", f"{used:.0f} us of CPU", "", ">= 5000 /s", rate >= 5000)

    def listing(self):
        count = 20000 if self.args.quick else 100000
        bucket = f"gen-{count}"
        self.compare(f"list {count} keys", "keys/s", {
            "ours": lambda: self.load("list", bucket)[0],
            RCLONE: lambda: self.rclone("lsf", "-R", "--fast-list", f"s:{bucket}"),
            BOTO3: lambda: self.boto3("list", bucket),
            AWS: lambda: self.aws("ls", "--recursive", f"s3://{bucket}"),
        }, dict.fromkeys(("ours", RCLONE, BOTO3, AWS), count), {})  # fmt: skip

    def large(self):
        path, got = self.work / "large", self.work / "got"
        with open(path, "wb") as f:
            f.write(bytes(LARGE))
        ctl = [self.build / "daemon" / "ctl" / "sevirctl"]
        flags = ["--endpoint-url", self.endpoint]
        pieces = dict.fromkeys(("ours", RCLONE, BOTO3, AWS), LARGE / 1e6)
        self.compare("upload 256 MiB", "MB/s", {
            "ours": lambda: self.run(*ctl, "upload", path, "s3://bucket/", *flags)[0],
            RCLONE: lambda: self.rclone("copyto", path, "s:bucket/large", "--ignore-times"),
            BOTO3: lambda: self.boto3("upload", "bucket", path),
            AWS: lambda: self.aws("cp", "--quiet", path, "s3://bucket/large"),
        }, pieces, {})  # fmt: skip
        for name in (RCLONE, BOTO3, AWS):
            rates = []
            for _ in range(self.args.rounds):
                self.clear()
                do = {
                    RCLONE: lambda: self.rclone("copyto", "s:bucket/large", got / "large"),
                    BOTO3: lambda: self.boto3("download", "bucket", got / "large"),
                    AWS: lambda: self.aws("cp", "--quiet", "s3://bucket/large", got / "large"),
                }[name]
                rates.append(LARGE / 1e6 / do())
            self.row(f"download 256 MiB, {name} alone", "", f"{statistics.median(rates):.0f} MB/s")

    def queue(self):
        count, few = (20000, 2000) if self.args.quick else (100000, 10000)
        self.compare("SQS, taken and deleted", "messages/s", {
            "ours": lambda: self.load("receive", count, 8)[0],
            "boto3": lambda: self.boto3("receive", few),
        }, {"ours": count, "boto3": few}, {})  # fmt: skip

    def idle(self):
        """A daemon that listens to a queue: one long poll each 20 s, answered by the fake."""
        fake = subprocess.Popen(
            [sys.executable, "-m", "fake"], cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        endpoint = f"http://127.0.0.1:{int(fake.stdout.readline())}"
        import urllib.request

        import boto3

        body = json.dumps({"keys": {"AKIDEXAMPLE": "secret"}}).encode()
        urllib.request.urlopen(urllib.request.Request(endpoint + "/_fake/reset", data=body)).close()
        key = dict(aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", region_name="us-east-1")
        s3 = boto3.client("s3", endpoint_url=endpoint, **key)
        for name in ("raw", "processed"):
            s3.create_bucket(Bucket=name)
        queue = boto3.client("sqs", endpoint_url=endpoint, **key).create_queue(QueueName="q")["QueueUrl"]
        base = self.work / "idle"
        base.mkdir()
        service = Service(
            self.build, base, "s3://raw/", env=self.env,
            processed={"uri": "s3://processed/"}, aws={"endpoint_url": endpoint},
            sources={"list": {"interval": "0s"}, "sqs": {"queue_url": queue}},
        ).start()  # fmt: skip
        time.sleep(2)
        before, seconds = service.switches(), 40
        time.sleep(seconds)
        woken, resident = service.switches() - before, service.status("VmRSS") / 1024
        service.stop()
        fake.stdin.close()
        fake.wait()
        self.row("idle on S3 and SQS, resident", f"{resident:.1f} MB", "", "", "<= 20 MB", resident <= 20)
        self.row(f"idle on S3 and SQS, wake-ups in {seconds} s", f"{woken}", "two long polls")

    def all(self):
        self.table.head()
        for size in (4000, 50000):
            if self.wanted("small", f"{size // 1000} KB"):
                self.small(size)
        for name, do in (("list", self.listing), ("known", self.known), ("large", self.large),
                         ("SQS", self.queue), ("SQS", self.intake), ("idle", self.idle)):
            if self.wanted(name):
                do()
        return self.table.end(self.args.json)

    def end(self):
        self.server.stdin.close()
        self.server.wait()
        shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", action="append")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 5)
    bench = Bench(args)
    try:
        sys.exit(bench.all())
    finally:
        bench.end()


if __name__ == "__main__":
    main()
