"""The chain of credentials beside botocore's: the same files, environment, processes and servers, and
what each of the two finds. Roles are moto's, which checks the signature of who assumes them."""

import http.server
import json
import os
import random
import shlex
import subprocess
import threading
from pathlib import Path

import pytest

botocore = pytest.importorskip("botocore")
import botocore.configloader  # noqa: E402
import botocore.exceptions  # noqa: E402
import botocore.session  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SEVIRD_BUILD", "build-asan")
DRIVER = (BUILD / "tests" / "tools" / "credentials_driver").resolve()


def drive(*args, data="", env=None):
    done = subprocess.run(
        [DRIVER, *map(str, args)], input=data.encode(), capture_output=True, timeout=120, env=env
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Sanitizer" not in done.stderr, done.stderr.decode()
    return done.stdout.decode()


# The shared files, as text


def lines(rng, headers):
    """Lines that mean something, mostly."""
    words = ["region", "Output", "s3", "a b", "aws_access_key_id", "x"]
    values = ["", "v", "a = b", "x # y", "[z]", "é", "a: b ; c"]
    yield rng.choice(headers)
    for _ in range(rng.randint(0, 14)):
        kind = rng.random()
        if kind < 0.12:
            yield rng.choice(headers)
        elif kind < 0.5:
            yield rng.choice(words) + rng.choice(["=", " = ", ":", " : "]) + rng.choice(values)
        elif kind < 0.65:
            yield rng.choice(words) + rng.choice([" =", "=", ":"])
            for _ in range(rng.randint(0, 3)):
                yield rng.choice([" ", "   ", "\t"]) + rng.choice(words) + " = " + rng.choice(values)
        elif kind < 0.75:
            yield rng.choice(["", "   ", "# c", "  ; c", "#"])
        elif kind < 0.85:
            yield rng.choice(["  ", "\t", "      "]) + rng.choice(["more", "k = v", "[x]", "# c"])
        elif kind < 0.87:  # refused
            yield rng.choice(["nonsense", "= v", "[]", "[a", " [profile y]"])


def expected(config, credentials, questions):
    try:
        loaded = botocore.configloader.load_config(str(config))
        keys = botocore.configloader.raw_config_parse(str(credentials))
    except botocore.exceptions.ConfigParseError:
        return None
    profiles = loaded["profiles"]
    for name, values in keys.items():
        profiles.setdefault(name, {}).update(values)

    def one(kind, name, block, key):
        section = (loaded["services"] if kind == "services" else profiles).get(name, {})
        value = section.get(key) if block == "-" else section.get(block)
        if block != "-":
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, str) else None

    return [one(*question) for question in questions]


@pytest.mark.parametrize("seed", range(3))
def test_files_are_read_as_botocore_reads_them(tmp_path, seed):
    rng = random.Random(seed)
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    headers = ["[default]", "[profile x]", "[profile 'y z']", "[services x]", "[other]",
               "[profile default]", "[DEFAULT]", "[profile a b c]", "[profile x] # c"]
    keys = ["region", "output", "s3", "a b", "aws_access_key_id", "x", "k", "nothing"]
    questions = [("profile", name, block, key) for name in ["default", "x", "y z", "profile x", "no"]
                 for block in ["-", "s3", "x"] for key in keys]
    questions += [("services", "x", block, key) for block in ["s3", "region"] for key in keys]
    read = refused = 0
    for _ in range(40):
        text = list(lines(rng, headers))
        if text.count("[DEFAULT]") > 1:  # which Python takes for one, if no key is in both
            continue
        if "[other]" not in text:  # for whom [DEFAULT] speaks, else nobody reads it
            text.append("[other]")
        config.write_text(rng.choice(["\n", "\r\n"]).join(text) + "\n", newline="")
        credentials.write_text(f"[{rng.choice(['x', 'default', 'profile x'])}]\nregion = mine\n")
        asked = "\n".join("\t".join(question) for question in questions)
        ours = drive("files", config, credentials, data=asked)
        wanted = expected(config, credentials, questions)
        if wanted is None:
            refused += 1
            assert ours.startswith("error "), config.read_text()
            continue
        read += 1
        assert not ours.startswith("error"), ours + config.read_text()
        for question, a, b in zip(questions, ours.splitlines(), wanted, strict=True):
            assert json.loads(a) == b, f"{question}\n{config.read_text()}"
    assert read > 5 and refused > 5


def test_words_are_split_as_pythons_shlex_does():
    rng = random.Random(7)
    for _ in range(60):
        text = "".join(rng.choice("ab \t\n'\"\\$é") for _ in range(rng.randint(0, 14)))
        try:
            wanted = shlex.split(text)
        except ValueError:
            wanted = None
        assert json.loads(drive("words", data=text)) == wanted, repr(text)


# The chain


class Host(http.server.BaseHTTPRequestHandler):
    """A container's agent and EC2's metadata, at once."""

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def keys(self, name):
        return json.dumps({
            "Code": "Success", "AccessKeyId": "ASIA" + name, "SecretAccessKey": "secret/" + name,
            "Token": "token+" + name, "Expiration": "2099-01-01T00:00:00Z",
        })

    def do_PUT(self):
        good = self.path == "/latest/api/token" and self.headers["x-aws-ec2-metadata-token-ttl-seconds"]
        self.answer("session" if good else "", 200 if good else 400)

    def do_GET(self):
        role = "/latest/meta-data/iam/security-credentials/"
        if self.path == "/container" and self.headers["Authorization"] == "pass":
            self.answer(self.keys("CONTAINER"))
        elif self.headers["x-aws-ec2-metadata-token"] != "session":
            self.answer("", 401)
        elif self.path == role:
            self.answer("the-role")
        else:
            self.answer(self.keys("EC2"), 200 if self.path == role + "the-role" else 404)

    def log_message(self, *args):
        pass


@pytest.fixture
def host():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Host)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Place:
    """A home and an environment of one's own, for both."""

    def __init__(self, path, monkeypatch):
        self.path, self.monkeypatch = path, monkeypatch
        (path / ".aws").mkdir()
        self.env = {"HOME": str(path), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}

    def config(self, text):
        (self.path / ".aws" / "config").write_text(text)

    def keys(self, text):
        (self.path / ".aws" / "credentials").write_text(text)

    def file(self, name, text, mode=0o600):
        path = self.path / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def ours(self, profile=None):
        return json.loads(drive("get", *([profile] if profile else []), env=self.env))

    def botocores(self, profile=None):
        with self.monkeypatch.context() as patch:
            for name in list(os.environ):
                if name.startswith("AWS_"):
                    patch.delenv(name)
            for name, value in self.env.items():
                patch.setenv(name, value)
            found = botocore.session.Session(profile=profile).get_credentials()
            if found is None:
                return None
            found = found.get_frozen_credentials()
            return found.access_key, found.secret_key, found.token

    def same(self, source, profile=None):
        ours = self.ours(profile)
        assert "error" not in ours, ours
        assert (ours["id"], ours["secret"], ours["token"]) == self.botocores(profile)
        assert ours["source"] == source
        return ours


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


KEYS = "aws_access_key_id = {0}\naws_secret_access_key = {0}/secret\n"
PROCESS = """#!/bin/sh
echo '{"Version": 1, "AccessKeyId": "PROCESS", "SecretAccessKey": "'"$1"'", "SessionToken": "t"}'
"""


def test_every_link_gives_what_it_gives_botocore(place, host):
    place.env["AWS_EC2_METADATA_DISABLED"] = "false"
    place.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = host
    place.same("EC2 metadata")
    place.env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = host + "/container"
    place.env["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "wrong"
    place.env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = place.file("token", "pass")
    place.same("container")
    place.config("[default]\n" + KEYS.format("CONFIG"))
    place.same("profile 'default'")
    program = place.file("program", PROCESS, 0o700)
    place.config(f"[default]\n{KEYS.format('CONFIG')}credential_process = {program} 'a  b'\n")
    assert place.same("profile 'default'")["secret"] == "a  b"
    place.keys("[default]\n" + KEYS.format("SHARED") + "aws_session_token = t\n")
    assert place.same("profile 'default'")["id"] == "SHARED"
    place.env.update(AWS_ACCESS_KEY_ID="ENV", AWS_SECRET_ACCESS_KEY="env/secret")
    place.same("environment")
    place.env["AWS_SESSION_TOKEN"] = "t"
    place.same("environment")
    place.keys("[default]\n" + KEYS.format("SHARED") + "[other]\n" + KEYS.format("OTHER"))
    place.env["AWS_PROFILE"] = "other"
    place.same("environment")
    assert place.same("profile 'default'", "default")["id"] == "SHARED"
    del place.env["AWS_ACCESS_KEY_ID"]
    assert place.same("profile 'other'")["id"] == "OTHER"


def test_where_botocore_finds_none_we_name_what_was_tried(place):
    assert place.botocores() is None
    ours = place.ours()
    assert ours["class"] == "DENIED"
    assert ours["error"] == (
        "no credentials: environment: AWS_ACCESS_KEY_ID is not set; profile 'default': is not there; "
        "container: AWS_CONTAINER_CREDENTIALS_* is not set; EC2 metadata: AWS_EC2_METADATA_DISABLED"
    )


@pytest.mark.parametrize("config, env, why", [
    ("[profile a]\nrole_arn = A\nsource_profile = b\n[profile b]\nrole_arn = B\nsource_profile = a\n",
     {}, "profile 'b': source_profile 'a' leads back to itself"),
    ("[profile a]\nrole_arn = A\n", {}, "role_arn with neither source_profile nor credential_source"),
    ("[profile a]\nrole_arn = A\nsource_profile = no\n", {}, "source_profile 'no' is not there"),
    ("[profile a]\naws_access_key_id = A\n", {}, "aws_access_key_id without aws_secret_access_key"),
    ("[profile a]\ncredential_process = false\n", {}, "credential_process: status 1"),
    ("[profile a]\ncredential_process = echo secret\n", {}, "its answer is no JSON object"),
    ("[profile b]\n", {}, "profiles: 'a' is neither in"),
    ("[profile a\n", {}, "line 1: stands before any [section]"),
    ("[profile a]\nweb_identity_token_file = /nowhere\nrole_arn = A\n", {}, "open '/nowhere'"),
    ("[profile a]\n", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.com/"},
     "plain http to 'example.com'"),
])
def test_what_botocore_refuses_we_refuse_in_one_line(place, config, env, why):
    place.config(config)
    place.env.update(env)
    with pytest.raises(Exception):
        place.botocores("a")
    error = place.ours("a")["error"]
    assert error.startswith("no credentials: ") and why in error
    assert "\n" not in error and "secret" not in error.replace("aws_secret_access_key", "")


# Roles


def caller(moto, ours):
    sts = moto.client("sts", ours["id"], ours["secret"], ours["token"])
    return sts.get_caller_identity()["Arn"]


@pytest.fixture
def roles(place, moto):
    place.env.update(AWS_ENDPOINT_URL_STS=moto.endpoint, AWS_DEFAULT_REGION="eu-central-1")
    place.keys(f"[base]\naws_access_key_id = {moto.key_id}\naws_secret_access_key = {moto.secret}\n")
    return place


def test_moto_gives_a_role_to_who_signs(roles, moto):
    arn = moto.role("reader")
    roles.config(f"[profile a]\nrole_arn = {arn}\nsource_profile = base\nrole_session_name = me\n"
                 "external_id = a:b+c/=\nduration_seconds = 1800\n")
    ours = roles.ours("a")
    assert "error" not in ours, ours
    assert ours["source"] == f"profile 'a' as '{arn}'"
    assert caller(moto, ours) == "arn:aws:sts::123456789012:assumed-role/reader/me"
    assert roles.botocores("a")[0].startswith("ASIA") and ours["id"].startswith("ASIA")


def test_moto_gives_a_role_to_a_role(roles, moto):
    first, second = moto.role("first"), moto.role("second")
    roles.config(f"[profile a]\nrole_arn = {second}\nsource_profile = b\nrole_session_name = me\n"
                 f"[profile b]\nrole_arn = {first}\nsource_profile = base\n")
    ours = roles.ours("a")
    assert "error" not in ours, ours
    assert caller(moto, ours) == "arn:aws:sts::123456789012:assumed-role/second/me"


def test_moto_gives_a_role_to_the_environment(roles, moto):
    arn = moto.role("reader")
    roles.config(f"[profile a]\nrole_arn = {arn}\ncredential_source = Environment\n")
    roles.env.update(AWS_ACCESS_KEY_ID=moto.key_id, AWS_SECRET_ACCESS_KEY=moto.secret)
    ours = roles.ours("a")
    assert caller(moto, ours).startswith("arn:aws:sts::123456789012:assumed-role/reader/sevird-")


def test_moto_gives_a_role_to_a_token(roles, moto):
    moto.ask("reset-auth", b"inf")  # it does not know that this call needs no signature
    arn = moto.role("reader")
    roles.env.update(AWS_ROLE_ARN=arn, AWS_WEB_IDENTITY_TOKEN_FILE=roles.file("jwt", "ey.J\n"))
    ours = roles.ours()
    assert "error" not in ours, ours
    assert ours["source"] == "web identity"
    assert ours["id"].startswith("ASIA") and roles.botocores()[0].startswith("ASIA")


def test_what_moto_refuses_is_told_in_its_words(roles, moto):
    arn = moto.role("reader")
    roles.config(f"[profile a]\nrole_arn = {arn}\nsource_profile = base\n")
    roles.keys(f"[base]\naws_access_key_id = {moto.key_id}\naws_secret_access_key = wrong\n")
    error = roles.ours("a")
    assert error["class"] == "DENIED"
    assert f"profile 'a': STS refuses '{arn}': status 403, SignatureDoesNotMatch" in error["error"]
    roles.keys("[base]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = wrong\n")
    assert "InvalidClientTokenId" in roles.ours("a")["error"]
