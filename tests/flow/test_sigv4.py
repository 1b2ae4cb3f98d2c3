"""Signatures: AWS's own cases where they are at hand, and botocore's signer as the oracle for others."""

import datetime
import json
import os
import random
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

auth = pytest.importorskip("botocore.auth")
from botocore.awsrequest import AWSRequest  # noqa: E402
from botocore.credentials import Credentials  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
DRIVER = (ROOT / os.environ.get("SEVIRD_BUILD", "build-asan") / "tests" / "sigv4_suite").resolve()
SUITE = ROOT.parent / "shared" / "data" / "aws-signing-test-suite"
NOW = datetime.datetime(2024, 2, 29, 23, 59, 7)
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "FwoG//+=t/ok en"
METHODS = ["GET", "PUT", "POST", "HEAD", "DELETE"]
LETTERS = "abcXYZ019-._~ +%&=;:,@!$'()*[]{}|\\^\"<>#éሴ🌩"


def drive(folder):
    done = subprocess.run([DRIVER, folder], capture_output=True, text=True, timeout=300)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def recording(base):
    """botocore's signer, which tells its texts."""

    class Recording(base):
        def canonical_request(self, request):
            self.canonical = super().canonical_request(request)
            return self.canonical

        def string_to_sign(self, request, canonical_request):
            self.to_sign = super().string_to_sign(request, canonical_request)
            return self.to_sign

        def signature(self, string_to_sign, request):
            self.signed = super().signature(string_to_sign, request)
            return self.signed

        def payload(self, request):  # a presigned URL of S3 has none; the suite's cases do
            return auth.SigV4Auth.payload(self, request)

    return Recording


def text(rng, longest, letters=LETTERS):
    return "".join(rng.choice(letters) for _ in range(rng.randint(1, longest)))


def path(rng, s3):
    """Decoded: parts, some of them empty or dots."""
    parts = [rng.choice([text(rng, 8), text(rng, 8), ".", "..", ""]) for _ in range(rng.randint(0, 6))]
    made = "/" + "/".join(parts)
    # A URL that begins with two slashes names a host, for Python at least.
    return "/" + made.lstrip("/") if not s3 else "/k" + made


def headers(rng):
    made = {}
    for _ in range(rng.randint(0, 4)):
        name = rng.choice(["X-Amz-Meta-", "x-amz-", "Other", "content-"]) + text(rng, 5, "abYZ-09")
        made[name] = "  ".join(text(rng, 6, "abc =/;\"',") for _ in range(rng.randint(1, 3)))
    if rng.random() < 0.3:
        made["Range"] = "bytes=0-9"
        made["If-Match"] = '"abc"'
        made["User-Agent"] = "not signed"
        made["X-Empty"] = ""
    return made


def case(rng, folder):
    s3, token, body = rng.random() < 0.5, rng.random() < 0.3, rng.random() < 0.4
    decoded, made = path(rng, s3), headers(rng)
    content = text(rng, 100).encode() if body else b""
    pairs = {text(rng, 6): rng.choice(["", text(rng, 8)]) for _ in range(rng.randint(0, 4))}
    query = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs.items())
    query = query.replace("=&", "&") if rng.random() < 0.3 else query  # valueless ones
    host = text(rng, 5, "abc") + ".example.com"
    method, region = rng.choice(METHODS), rng.choice(["us-east-1", "eu-central-1"])
    service = "s3" if s3 else rng.choice(["sqs", "sts", "execute-api"])
    sent = quote(decoded, safe="/-_.~")
    sign_body = s3 or body

    # The suite's paths have their only encoding still to come: S3's are decoded in there.
    lines = [f"{method} {decoded if s3 else sent}{'?' + query if query else ''} HTTP/1.1", f"Host:{host}"]
    lines += [f"{name}: {value}" for name, value in made.items()]
    folder.mkdir()
    (folder / "request.txt").write_bytes("\n".join([*lines, "", ""]).encode() + content)
    keys = {"access_key_id": KEY, "secret_access_key": SECRET, **({"token": TOKEN} if token else {})}
    (folder / "context.json").write_text(json.dumps({
        "credentials": keys, "expiration_in_seconds": 1234, "normalize": not s3, "region": region,
        "service": service, "sign_body": sign_body, "timestamp": NOW.isoformat() + "Z",
    }))

    credentials = Credentials(KEY, SECRET, TOKEN if token else None)
    url = f"http://{host}{sent}{'?' + query if query else ''}"

    def sign(kind, signer, more=None):
        request = AWSRequest(method, url, {**made, **(more or {})}, data=content)
        signer.add_auth(request)
        (folder / f"{kind}-canonical-request.txt").write_text(signer.canonical)
        (folder / f"{kind}-string-to-sign.txt").write_text(signer.to_sign)
        (folder / f"{kind}-signature.txt").write_text(signer.signed)

    base = auth.S3SigV4Auth if s3 else auth.SigV4Auth
    digest = {"X-Amz-Content-SHA256": auth.sha256(content).hexdigest()} if sign_body else None
    sign("header", recording(base)(credentials, service, region), digest)
    if not body:
        base = auth.S3SigV4QueryAuth if s3 else auth.SigV4QueryAuth
        sign("query", recording(base)(credentials, service, region, expires=1234))


@pytest.fixture
def frozen(monkeypatch):
    monkeypatch.setattr(auth, "get_current_datetime", lambda: NOW)


def test_the_cases_of_aws_pass():
    if not SUITE.is_dir():
        pytest.skip("AWS's cases are not here")
    count = sum(1 for _ in SUITE.glob("*/request.txt"))
    status, out = drive(SUITE)
    assert out.splitlines()[-1] == f"{count} passed, 0 failed", out
    assert status == 0


@pytest.mark.parametrize("seed", range(4))
def test_signatures_are_botocores(tmp_path, frozen, seed):
    rng = random.Random(seed)
    for number in range(250):
        case(rng, tmp_path / f"case-{seed}-{number}")
    status, out = drive(tmp_path)
    assert out == "250 passed, 0 failed\n"
    assert status == 0


@pytest.mark.parametrize("file", [
    "header-canonical-request.txt", "header-string-to-sign.txt", "header-signature.txt",
    "header-signed-request.txt", "query-canonical-request.txt", "query-string-to-sign.txt",
    "query-signature.txt", "query-signed-request.txt",
])
def test_one_letter_fails_the_case_and_is_named(tmp_path, frozen, file):
    rng = random.Random(5)
    kind = file.split("-")[0]
    while not (tmp_path / "bad" / f"{kind}-signature.txt").exists():
        if (tmp_path / "bad").exists():
            (tmp_path / "bad").rename(tmp_path / f"good-{rng.random()}")
        case(rng, tmp_path / "bad")
    good = len(list(tmp_path.glob("good-*")))
    request = (tmp_path / "bad" / "request.txt").read_text()
    there = (tmp_path / "bad" / file).read_text() if "signed" not in file else request
    (tmp_path / "bad" / file).write_text(there.replace("a", "b", 1) if "a" in there else "x" + there)
    status, out = drive(tmp_path)
    assert status == 1
    assert out.splitlines()[-1] == f"{good} passed, 1 failed"
    assert f"bad: {file}: differs" in out


def test_a_folder_without_cases_is_no_success(tmp_path):
    status, out = drive(tmp_path)
    assert status == 1
    assert out.splitlines()[-1] == "0 passed, 0 failed"


@pytest.mark.parametrize("spoil, why", [
    (lambda d: (d / "context.json").unlink(), "context.json: cannot be read"),
    (lambda d: (d / "context.json").write_text("{"), "context.json: "),
    (lambda d: (d / "context.json").write_text("{}"), "context.json: lacks something"),
    (lambda d: (d / "request.txt").write_text("nonsense"), "request.txt: is no request"),
    (lambda d: [f.unlink() for f in d.glob("*-*.txt")], "nor any other to compare with"),
])
def test_a_spoiled_case_fails(tmp_path, frozen, spoil, why):
    case(random.Random(1), tmp_path / "one")
    spoil(tmp_path / "one")
    status, out = drive(tmp_path)
    assert status == 1
    assert why in out and out.splitlines()[-1] == "0 passed, 1 failed"
