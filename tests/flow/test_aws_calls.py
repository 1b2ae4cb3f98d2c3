"""Calls to AWS as lib/aws makes them, against two servers that check every signature: moto, and the
fake of our own that plays faults. boto3 looks at what they left."""

import http.server
import json
import os
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = (ROOT / os.environ.get("SEVIRD_BUILD", "build-asan") / "tests" / "tools" / "aws_driver").resolve()
ODD = ["plain", "with space", "a+b=c&d", "ünï/日本", "per%cent%2F", "a//b/../c/.", "q?x#y", "'\"<>|\\^`{}~", "*()!@$,;:"]


class Done:
    def __init__(self, process):
        assert "Sanitizer" not in process.stderr, process.stderr
        self.code, self.err = process.returncode, process.stderr.strip()
        line, _, self.body = process.stdout.partition("\n")
        self.words = line.split(" ")
        self.line = line

    @property
    def status(self):
        return int(self.words[0])

    @property
    def attempts(self):
        return int(self.words[2])


def drive(world, *words, env=None):
    """aws_driver with the world's key and nothing of this machine's own."""
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [DRIVER, *words], env={**known, **world.env, **(env or {})}, capture_output=True, text=True, timeout=120
    )
    return Done(done)


def put(world, bucket, key, body, *words, **options):
    return drive(world, "call", "s3", "PutObject", "PUT", bucket, "/" + key, "@" + body, *words, **options)


def get(world, bucket, key, *words, **options):
    return drive(world, *words, "call", "s3", "GetObject", "GET", bucket, "/" + key, **options)


# -- the protocols -----------------------------------------------------------------------------------


def test_an_object_goes_there_and_comes_back(world):
    world.bucket("raw")
    assert put(world, "raw", "a/key", "hello", "x-amz-meta-a:  two   blanks ").code == 0
    assert world.get("raw", "a/key") == b"hello"
    done = get(world, "raw", "a/key")
    assert (done.status, done.body, done.attempts) == (200, "hello", 1)
    assert world.client("s3").head_object(Bucket="raw", Key="a/key")["Metadata"]["a"].split() == ["two", "blanks"]


def test_any_key_is_signed_as_botocore_signs_it(fake):
    """moto's check itself fails for such keys."""
    fake.bucket("raw")
    for key in ODD:
        done = put(fake, "raw", key, key)
        assert done.code == 0, (key, done.err)
        assert fake.get("raw", key) == key.encode()
        assert get(fake, "raw", key).body == key
    assert sorted(fake.keys("raw")) == sorted(ODD)


def test_queries_are_signed_in_their_order(world):
    world.bucket("raw")
    for key in ("a/1", "a/2", "b"):
        world.put("raw", key, b"x")
    done = drive(
        world, "call", "s3", "ListObjectsV2", "GET", "raw", "/",
        "?list-type=2", "?prefix=a/", "?encoding-type=url", "?max-keys=1", "?start-after=a/1",
    )  # fmt: skip
    assert done.code == 0, done.err
    keys = done.body.replace("%2F", "/")
    assert "<Key>a/2</Key>" in keys and "<Key>a/1</Key>" not in keys and "<Key>b</Key>" not in keys
    done = drive(world, "call", "s3", "CreateMultipartUpload", "POST", "raw", "/big", "?uploads=")
    assert done.code == 0 and "<UploadId>" in done.body
    assert world.uploads("raw") == ["big"]


def test_sqs_sns_and_sts_understand_us(world):
    queue, topic = world.queue("q"), world.topic()
    world.subscribe(topic, queue, raw=True)
    done = drive(world, "query", "sns", "2010-03-31", "Publish", f"TopicArn={topic}", "Message=a & b = ü +")
    assert done.code == 0 and "<MessageId>" in done.body, done.err
    body = json.dumps({"QueueUrl": queue.url, "WaitTimeSeconds": 2})
    done = drive(world, "json", "sqs", "1.0", "AmazonSQS.ReceiveMessage", queue.url, body)
    assert done.code == 0, done.err
    assert json.loads(done.body)["Messages"][0]["Body"] == "a & b = ü +"
    done = drive(world, "query", "sts", "2011-06-15", "GetCallerIdentity")
    assert done.code == 0 and "<Arn>" in done.body, done.err


def test_glue_is_asked_in_its_json(moto):
    done = drive(moto, "json", "glue", "1.1", "AWSGlue.GetCrawler", "-", '{"Name":"none"}')
    assert done.code == 1 and done.err.startswith("NOT_FOUND: GetCrawler 'glue': EntityNotFoundException")


def test_a_queue_that_is_not_there_has_its_name(world):
    url = world.endpoint + "/123456789012/none"
    done = drive(world, "json", "sqs", "1.0", "AmazonSQS.ReceiveMessage", url, json.dumps({"QueueUrl": url}))
    assert done.code == 1 and done.err.startswith(f"NOT_FOUND: ReceiveMessage '{url}': "), done.err
    assert done.words[1] in ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


def test_a_wrong_secret_is_refused_in_one_line(world):
    world.bucket("raw")
    done = get(world, "raw", "x", env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert done.code == 1 and "\n" not in done.err
    assert done.err.startswith("HOST: GetObject 's3://raw/x': SignatureDoesNotMatch")
    assert "wrong" not in done.err


def test_nothing_is_signed_for_everyone_s_bucket(fake):
    fake.bucket("raw")
    fake.put("raw", "open", b"for all")
    fake.reset(verify=False)
    fake.bucket("raw")
    fake.put("raw", "open", b"for all")
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert get(fake, "raw", "open", "--anonymous", env=nobody).body == "for all"


# -- faults ------------------------------------------------------------------------------------------


def error(code, times=1, **more):
    return {"service": "s3", "times": times, "fault": {"kind": "error", "code": code, **more}}


def kind(kind, times=1, **more):
    return {"service": "s3", "times": times, "fault": {"kind": kind, **more}}


@pytest.mark.parametrize(
    "rule, attempts",
    [
        (error("SlowDown", 2), 3),
        (error("InternalError"), 2),
        (error("ServiceUnavailable", html=True), 2),
        (error("RequestTimeout"), 2),
        (error("ExpiredToken"), 2),
        (kind("reset"), 2),
        (kind("reset-after"), 2),
        (kind("reset-body"), 2),
        (kind("truncate"), 2),
        (kind("slow", bytes=1, delay_s=0.01), 1),
    ],
    ids=lambda value: "-".join(map(str, value["fault"].values())) if isinstance(value, dict) else None,
)
def test_a_fault_that_passes_is_not_seen(fake, rule, attempts):
    fake.bucket("raw")
    fake.put("raw", "key", b"0123456789")
    fake.faults(rule)
    done = get(fake, "raw", "key")
    assert (done.code, done.body, done.attempts) == (0, "0123456789", attempts), done.err
    assert sum(fake.struck().values()) == rule["times"]


@pytest.mark.parametrize("status", [301, 307, 400])
def test_a_bucket_is_found_in_its_region(fake, status):
    where = {"LocationConstraint": "eu-west-1"}
    fake.client("s3").create_bucket(Bucket="far", CreateBucketConfiguration=where)
    fake.faults({"operation": "PutObject", "fault": {"kind": "redirect", "status": status}})
    done = put(fake, "far", "key", "x")
    assert (done.code, done.attempts) == (0, 2), done.err
    assert put(fake, "far", "key", "x", env={"AWS_REGION": "eu-west-1"}).attempts == 1


@pytest.mark.parametrize("ahead_s", [-7200, 7200])
def test_a_clock_that_is_wrong_is_put_right(fake, ahead_s):
    fake.bucket("raw")
    fake.put("raw", "key", b"x")
    fake.ask("clock", {"skew_s": ahead_s})
    done = get(fake, "raw", "key")
    assert (done.code, done.attempts) == (0, 2), done.err


def test_a_copy_that_fails_behind_its_200_is_made_again(fake):
    fake.bucket("raw")
    fake.put("raw", "from", b"x" * 1000)
    fake.faults({"operation": "CopyObject", "fault": {"kind": "error-200", "code": "InternalError"}})
    done = drive(
        fake, "call", "s3", "CopyObject", "PUT", "raw", "/to", "x-amz-copy-source:/raw/from"
    )  # fmt: skip
    assert (done.code, done.attempts) == (0, 2), done.err
    assert fake.get("raw", "to") == b"x" * 1000


def test_what_lasts_is_said_with_its_request(fake):
    fake.bucket("raw")
    fake.faults(error("SlowDown", -1))
    done = get(fake, "raw", "key")
    assert done.code == 1 and done.err.startswith("THROTTLED: GetObject 's3://raw/key': SlowDown")
    assert done.err.endswith("3 attempts")
    fake.faults(kind("redirect", -1, status=301))
    done = get(fake, "raw", "key")
    assert done.code == 1 and done.err.startswith("INVALID: GetObject 's3://raw/key': PermanentRedirect")


def test_many_calls_at_once_pass_through_a_storm(fake):
    fake.bucket("raw")
    fake.faults(
        *({"service": "s3", "nth": nth, "fault": {"kind": kind, "code": "SlowDown"}}
          for nth, kind in zip(range(20, 800, 20), ["error", "reset", "reset-after", "truncate"] * 20))
    )  # fmt: skip
    done = drive(fake, "bench", "PUT", "raw", "800", "32", "5000")
    assert done.code == 0 and "0 bad" in done.line, (done.line, done.err)
    assert len(fake.keys("raw")) == 800
    done = drive(fake, "bench", "GET", "raw", "800", "32", "5000")
    assert done.code == 0 and "0 bad" in done.line, (done.line, done.err)


# -- TLS ---------------------------------------------------------------------------------------------


class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.headers)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def tls(tmp_path):
    """A server for "localhost" with a certificate of its own making."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.seen, server.bundle = [], str(tmp_path / "cert.pem")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Tls:
    """World enough for drive()."""

    def __init__(self, host, port, bundle):
        self.env = {
            "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"https://{host}:{port}", "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            **({"AWS_CA_BUNDLE": bundle} if bundle else {}),
        }  # fmt: skip


def test_over_tls_a_body_need_not_be_hashed(tls):
    done = put(Tls("localhost", tls.server_port, tls.bundle), "raw", "key", "hello")
    assert done.code == 0, done.err
    assert tls.seen[0]["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize("host, bundle", [("localhost", False), ("127.0.0.1", True)])
def test_a_certificate_nobody_vouches_for_or_of_another_host_is_refused(tls, host, bundle):
    done = put(Tls(host, tls.server_port, tls.bundle if bundle else None), "raw", "key", "hello")
    assert done.code == 1 and done.err.startswith("NETWORK: PutObject 's3://raw/key': https://"), done.err
    assert "SSL" in done.err and tls.seen == []
