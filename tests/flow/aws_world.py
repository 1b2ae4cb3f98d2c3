"""Buckets, queues and topics for the flow tests, made through boto3 on whatever serves them.

    def test_it(moto, daemon):
        queue = moto.pipe("raw", "sns")        # a bucket, and a queue that hears of it
        moto.bucket("processed")
        moto.equip(daemon, "raw", "processed", queue)
        daemon.sample.add("vil", ["S1"]); daemon.sample.write_catalog()
        daemon.start()
        daemon.wait_idle()
        assert moto.objects("processed")["frames/..."]

`moto` is moto with its check of signatures on; `fake` (tests/fake) has the same methods.
"""

import hashlib
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from sample import Sample

REGION = "us-east-1"
ACCOUNT = "123456789012"
ENVELOPES = ("s3", "sns", "raw", "eventbridge")
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Queue:
    def __init__(self, url, arn, dead=None):
        self.url, self.arn, self.dead = url, arn, dead


class BucketSample(Sample):
    """What a Sample writes to the raw directory lies in a bucket as well, under the same keys."""

    def __init__(self, world, bucket, root, prefix="", size=48, frames=13):
        super().__init__(root, size, frames)
        self.world, self.bucket, self.prefix = world, bucket, prefix

    def upload(self, path, key=None):
        key = key or self.prefix + str(Path(path).relative_to(self.root))
        self.world.put(self.bucket, key, Path(path).read_bytes())
        return path

    def add(self, *args, **options):
        return self.upload(super().add(*args, **options))

    def write_catalog(self, *args, **options):
        return self.upload(super().write_catalog(*args, **options))


class World:
    """An endpoint that serves all of AWS that we use, and a key to it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.key_id, self.secret = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
        self.clients = {}

    @property
    def env(self):
        """For daemons and tools: this key, and nothing of the machine's own."""
        return {
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    def client(self, service, key_id=None, secret=None, token=None):
        """boto3's; one of a service, unless it is for another key."""
        import boto3  # here: it takes half a second, which most tests need not wait
        from botocore.config import Config

        own = key_id is None
        if own and service in self.clients:
            return self.clients[service]
        client = boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=key_id or self.key_id,
            aws_secret_access_key=secret or self.secret,
            aws_session_token=token,
            config=Config(
                retries={"max_attempts": 1},
                connect_timeout=10,
                read_timeout=60,
                s3={"addressing_style": "path"},
            ),
        )
        if own:
            self.clients[service] = client
        return client

    # -- buckets ---------------------------------------------------------------------------------

    def bucket(self, name, versioned=False):
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def buckets(self):
        return [found["Name"] for found in self.client("s3").list_buckets()["Buckets"]]

    def put(self, bucket, key, body):
        return self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def get(self, bucket, key):
        return self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    def delete(self, bucket, key):
        self.client("s3").delete_object(Bucket=bucket, Key=key)

    def keys(self, bucket, prefix=""):
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def objects(self, bucket, prefix=""):
        """{key: bytes}, as conftest.tree() has it of a directory."""
        return {key: self.get(bucket, key) for key in self.keys(bucket, prefix)}

    def digests(self, bucket):
        """{key: SHA-256 of the object}"""
        return {key: hashlib.sha256(body).hexdigest() for key, body in self.objects(bucket).items()}

    def uploads(self, bucket):
        """Keys of the multipart uploads that were neither completed nor aborted."""
        found = self.client("s3").list_multipart_uploads(Bucket=bucket)
        return [upload["Key"] for upload in found.get("Uploads", ())]

    # -- queues ----------------------------------------------------------------------------------

    def queue(self, name="events", visibility_s=30, receives=None, **more):
        """With `receives`, a message received that often goes to a queue of its own, `.dead`."""
        sqs = self.client("sqs")
        attributes, dead = {"VisibilityTimeout": str(visibility_s), **more}, None
        if receives:
            dead = self.queue(name + "-dead")
            policy = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": str(receives)}
            attributes["RedrivePolicy"] = json.dumps(policy)
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return Queue(url, arn["Attributes"]["QueueArn"], dead)

    def send(self, queue, body):
        body = body if isinstance(body, str) else json.dumps(body)
        return self.client("sqs").send_message(QueueUrl=queue.url, MessageBody=body)["MessageId"]

    def counts(self, queue):
        """(visible, in flight, delayed)"""
        names = ["", "NotVisible", "Delayed"]
        names = ["ApproximateNumberOfMessages" + name for name in names]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue.url, AttributeNames=names)
        return tuple(int(found["Attributes"].get(name, 0)) for name in names)

    def is_empty(self, queue):
        return self.counts(queue) == (0, 0, 0)

    def wait_empty(self, queue, timeout_s=60):
        """Until nothing is in the queue, visible or not."""
        deadline = time.monotonic() + timeout_s
        while not self.is_empty(queue):
            assert time.monotonic() < deadline, self.counts(queue)

    def take(self, queue, wait_s=0):
        """Receives and deletes: the bodies of what is visible."""
        sqs, bodies = self.client("sqs"), []
        while True:
            found = sqs.receive_message(QueueUrl=queue.url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s)
            if not found.get("Messages"):
                return bodies
            for message in found["Messages"]:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])

    # -- who tells whom --------------------------------------------------------------------------

    def topic(self, name="topic"):
        return self.client("sns").create_topic(Name=name)["TopicArn"]

    def subscribe(self, topic, queue, raw=False):
        attributes = {"RawMessageDelivery": "true"} if raw else {}
        self.client("sns").subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes
        )

    def notify(self, bucket, queue, envelope="s3"):
        """From now on the queue hears of what happens in the bucket, in one of ENVELOPES."""
        created = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
        if envelope == "s3":
            conf = {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": created}]}
        elif envelope == "eventbridge":
            conf = {"EventBridgeConfiguration": {}}
            rule = f"{bucket}-to-{queue.arn.rpartition(':')[2]}"
            pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
            events = self.client("events")
            events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
            events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": queue.arn}])
        else:
            topic = self.topic(bucket + "-events")
            self.subscribe(topic, queue, raw=envelope == "raw")
            conf = {"TopicConfigurations": [{"TopicArn": topic, "Events": created}]}
        self.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration=conf
        )

    def pipe(self, bucket, envelope="s3", visibility_s=30, receives=5):
        """A bucket and a queue (with its dead-letter queue) that hears of it."""
        self.bucket(bucket)
        queue = self.queue(bucket + "-events", visibility_s, receives)
        self.notify(bucket, queue, envelope)
        return queue

    def mute(self, bucket):
        """Nobody hears of the bucket any more."""
        self.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={}
        )

    # -- daemons ---------------------------------------------------------------------------------

    def equip(self, daemon, raw="raw", processed="processed", queue=None, prefix=""):
        """Makes a conftest.Daemon work from bucket `raw` into bucket `processed`."""
        for bucket in {raw, processed} - set(self.buckets()):
            self.bucket(bucket)
        old = daemon.sample
        daemon.sample = BucketSample(self, raw, daemon.raw, prefix, old.size, old.frames)
        daemon.configure(
            raw={"uri": f"s3://{raw}/{prefix}"},
            processed={"uri": f"s3://{processed}/"},
            aws={"endpoint_url": self.endpoint, "region": REGION},
        )
        if queue:
            sqs = {"queue_url": queue.url, "wait": "1s", "visibility": "10s"}
            daemon.configure(sources={**daemon.config["sources"], "sqs": sqs})
        daemon.env.update(self.env)
        return daemon


class Fake(World):
    """tests/fake: quick, exact, and as bad as it is told to be (tests/fake/faults.py)."""

    def __init__(self, log_path):
        self.log = open(log_path, "ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fake"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        port = self.process.stdout.readline()
        assert port, f"the fake did not start; {log_path}"
        super().__init__(f"http://127.0.0.1:{int(port)}")

    def ask(self, path, told=None, timeout=120):
        """Of the fake's own API: tests/fake/admin.py."""
        body = json.dumps({} if told is None else told).encode()
        request = urllib.request.Request(f"{self.endpoint}/_fake/{path}", data=body)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read())

    def digests(self, bucket):
        return self.ask("digests", {"bucket": bucket})

    def reset(self, verify=True):
        self.ask("reset", {"keys": {self.key_id: self.secret}, "verify": verify})
        return self

    def faults(self, *rules):
        """From now on; see tests/fake/faults.py."""
        self.ask("faults", list(rules))

    def happened(self, timeout_s=20, times=1):
        """Whether every rule has struck so often, or does so soon."""
        return self.ask("wait", {"timeout_s": timeout_s, "struck": times}, timeout_s + 60)

    def struck(self):
        """How often each fault did: {"s3.GetObject.reset-body": 2}"""
        return self.ask("stats")["struck"]

    def stats(self):
        return self.ask("stats")

    def requests(self, operation=None, **wanted):
        """Those answered so far: [{"operation": "s3.GetObject", "key": ..., "range": ...}]"""
        found = self.ask("stats")["log"]
        wanted = {**wanted, **({"operation": operation} if operation else {})}
        return [entry for entry in found if wanted.items() <= entry.items()]

    def wait(self, timeout_s=60, **what):
        """See `wait` in tests/fake/admin.py; fails when it takes longer."""
        assert self.ask("wait", {"timeout_s": timeout_s, **what}, timeout_s + 60), what

    def wait_empty(self, queue, timeout_s=60):
        self.wait(timeout_s, queue=queue.arn.rpartition(":")[2])

    def stop(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()
        self.log.close()


class Moto(World):
    """One moto. After reset() it is empty and refuses what is not signed with the new key."""

    def __init__(self, log_path):
        self.log = open(log_path, "ab")
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("moto_server.py"))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        port = self.process.stdout.readline()  # it says so once it listens
        assert port, f"moto did not start; {log_path}"
        super().__init__(f"http://127.0.0.1:{int(port)}")

    def ask(self, path, body=b""):
        """Of moto's own API."""
        request = urllib.request.Request(
            self.endpoint + "/moto-api/" + path, data=body, headers={"Content-Type": "text/plain"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def reset(self):
        self.ask("reset-auth", b"inf")
        self.ask("reset")
        self.clients = {}
        self.key_id, self.secret = self.user("owner")
        self.clients = {}
        self.ask("reset-auth", b"0")
        return self

    def user(self, name, policy=ALLOW_ALL):
        """A key that may do what the policy says: (id, secret)."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if policy:
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def role(self, name, policy=ALLOW_ALL):
        """The ARN of a role that anyone with a key may assume."""
        iam = self.client("iam")
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
        }
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return role["Role"]["Arn"]

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.process.stdout.close()
        self.log.close()


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory):
    server = Moto(tmp_path_factory.mktemp("moto") / "moto.log")
    yield server
    server.stop()


@pytest.fixture
def moto(moto_server):
    """An empty AWS by moto, which checks signatures."""
    return moto_server.reset()


@pytest.fixture(scope="session")
def fake_server(tmp_path_factory):
    server = Fake(tmp_path_factory.mktemp("fake") / "fake.log")
    yield server
    server.stop()


@pytest.fixture
def fake(fake_server):
    """An empty AWS by tests/fake, which checks signatures."""
    return fake_server.reset()


@pytest.fixture(params=["moto", "fake"])
def world(request):
    """Each of them in turn."""
    return request.getfixturevalue(request.param)
