"""What the flow tests share: a daemon of one's own, started on a configuration, and its clean end.

    def test_it(daemon):
        daemon.sample.add("vil", ["S1"]); daemon.sample.write_catalog()
        daemon.start()
        daemon.wait_idle()
        assert daemon.get("/v1/status")["jobs"]["DONE"] == 2

SEVIRD_BUILD names the build directory (default: ./build-asan). Whatever a test does, the daemon's end
is checked: exit code 0 within a minute, and no report of a sanitizer from it or its helpers.
"""

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from sample import Sample

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("SEVIRD_BUILD", "build-asan")).resolve()
SEVIRD = BUILD / "daemon" / "sevird"
SEVIRCTL = BUILD / "daemon" / "ctl" / "sevirctl"
H5PROBE = BUILD / "daemon" / "h5probe" / "sevird-h5probe"
TIMEOUT = 120


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=TIMEOUT):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Events:
    """The event stream, as an iterator of (id, kind, object)."""

    def __init__(self, path, last=None, timeout=TIMEOUT):
        self.connection = UnixConnection(path, timeout)
        headers = {"Last-Event-ID": str(last)} if last is not None else {}
        self.connection.request("GET", "/v1/events", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def __iter__(self):
        return self

    def __next__(self):
        event = {}
        while True:
            line = self.response.readline()
            if not line:
                raise StopIteration
            line = line.decode().rstrip("\n")
            if not line:
                if "data" in event:
                    return int(event.get("id", 0)), event.get("event"), json.loads(event["data"])
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                event[name] = value.lstrip(" ")

    def close(self):
        self.connection.close()


def environment(reports, extra=None):
    env = dict(os.environ)
    env["ASAN_OPTIONS"] = f"detect_leaks=1:log_path={reports}/asan"
    env["UBSAN_OPTIONS"] = f"halt_on_error=1:print_stacktrace=1:log_path={reports}/ubsan"
    env["LC_ALL"] = "C.UTF-8"
    env["SEVIRD_H5PROBE"] = str(H5PROBE)
    env.pop("NOTIFY_SOCKET", None)
    env.pop("JOURNAL_STREAM", None)
    env.update(extra or {})
    return env


class Daemon:
    """One sevird with its directories; not running until start()."""

    def __init__(self, directory):
        self.dir = Path(directory)
        self.raw = self.dir / "raw"
        self.processed = self.dir / "processed"
        self.state = self.dir / "state"
        self.socket = self.dir / "control.sock"
        self.reports = self.dir / "reports"
        self.log_path = self.dir / "sevird.log"
        self.config_path = self.dir / "sevird.json"
        for path in (self.raw, self.processed, self.reports):
            path.mkdir(parents=True, exist_ok=True)
        self.sample = Sample(self.raw)
        self.process = None
        self.env = {}
        self.config = {
            "state_dir": str(self.state),
            "raw": {"uri": self.raw.as_uri()},
            "processed": {"uri": self.processed.as_uri()},
            "sources": {"list": {"interval": "1s"}, "settle": "50ms"},
            "extract": {"memory": "256MiB", "workers": 2},
            "retry": {"base": "20ms", "cap": "200ms"},
            "control": {"socket": str(self.socket)},
            "http": {"listen": "127.0.0.1:0"},
        }

    # -- life ------------------------------------------------------------------------------------

    def configure(self, **changes):
        """configure(extract={"images": "none"}) changes those keys and keeps the others."""
        for key, value in changes.items():
            old = self.config.get(key)
            if isinstance(old, dict) and isinstance(value, dict):
                old.update(value)
            else:
                self.config[key] = value
        return self

    def write_config(self):
        self.config_path.write_text(json.dumps(self.config, indent=2))

    def command(self, *args):
        return [str(SEVIRD), "--config", str(self.config_path), *args]

    def start(self, wait=True):
        assert self.process is None
        self.write_config()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(self.reports, self.env),
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=TIMEOUT):
        """Until /readyz says so. A daemon that ends instead fails the test with its log."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                pytest.fail(f"sevird ended with {self.process.returncode}:\n{self.log()}")
            try:
                if self.request("GET", "/readyz", timeout=5).status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            select.select([], [], [], 0.02)  # nothing can be awaited before there is a socket
        pytest.fail(f"sevird was not ready after {timeout} s:\n{self.log()}")

    def stop(self):
        """SIGTERM; the end must be clean."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"sevird did not stop:\n{self.log()}")
        self.check_reports()
        assert code == 0, f"sevird ended with {code}:\n{self.log()}"

    def kill(self):
        """As a power cut: SIGKILL."""
        process, self.process = self.process, None
        process.kill()
        process.wait()
        self.check_reports()

    def wait_exit(self, timeout=TIMEOUT):
        """For daemons that end by themselves; returns the exit code."""
        process, self.process = self.process, None
        code = process.wait(timeout)
        self.check_reports()
        return code

    def check_reports(self):
        found = "".join(p.read_text(errors="replace") for p in sorted(self.reports.iterdir()))
        assert not found, found

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # -- talk ------------------------------------------------------------------------------------

    def request(self, method, path, body=None, headers=None, timeout=TIMEOUT):
        connection = UnixConnection(self.socket, timeout)
        try:
            if body is not None and not isinstance(body, (bytes, str)):
                body = json.dumps(body)
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path):
        answer = self.request("GET", path)
        assert answer.status == 200, answer.text
        return answer.json

    def post(self, path, body=None):
        answer = self.request("POST", path, body=body if body is not None else {})
        assert answer.status in (200, 202), answer.text
        return answer.json

    @property
    def http_address(self):
        host, _, port = self.get("/v1/status")["http"].rpartition(":")
        return host.strip("[]"), int(port)

    def http(self, method, path, body=None, headers=None):
        """Over TCP."""
        host, port = self.http_address
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def metrics(self):
        """{'sevird_jobs{state="DONE"}': 3.0, ...}"""
        found = {}
        for line in self.http("GET", "/metrics").text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def events(self, last=None, timeout=TIMEOUT):
        return Events(self.socket, last, timeout)

    def query(self, sql):
        """Rows as lists."""
        return self.post("/v1/query", {"sql": sql})["rows"]

    def ctl(self, *args, check=None, timeout=TIMEOUT, **options):
        return ctl("--socket", self.socket, *args, check=check, timeout=timeout, reports=self.reports,
                   **options)

    # -- wait ------------------------------------------------------------------------------------

    def wait_for(self, what, timeout=TIMEOUT):
        """Until what(status) is true of /v1/status; looks again after each event. Returns the status."""
        deadline = time.monotonic() + timeout
        stream = self.events(timeout=1.0)
        try:
            while True:
                status = self.get("/v1/status")
                if what(status):
                    return status
                if time.monotonic() > deadline:
                    told = json.dumps(status, indent=1)
                    pytest.fail(f"gave up waiting; status: {told}\n{self.log()}")
                try:
                    next(stream)
                except (OSError, StopIteration):
                    # A second without an event (not all that changes has one), or cut as too slow.
                    stream.close()
                    stream = self.events(timeout=1.0)
        finally:
            stream.close()

    def wait_idle(self, timeout=TIMEOUT):
        """Until the store was listed and nothing is queued, working or backing off."""
        return self.wait_for(lambda status: status["idle"], timeout)

    def wait_state(self, key, *states, timeout=TIMEOUT):
        """Until the newest job of `key` is in one of `states`. Returns the job."""
        found = {}

        def reached(_):
            jobs = [job for job in self.get("/v1/jobs?limit=1000")["jobs"] if job["key"] == key]
            found["job"] = jobs[0] if jobs else None
            return bool(jobs) and jobs[0]["state"] in states

        self.wait_for(reached, timeout)
        return found["job"]


def ctl(*args, check=None, timeout=TIMEOUT, reports=None, env=None, **options):
    """Run sevirctl; `check` is the exit code it must have."""
    done = subprocess.run(
        [str(SEVIRCTL), *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(reports or "/tmp", env),
        **options,
    )
    assert "Sanitizer" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done


def tree(directory):
    """{relative path: bytes} of every file below a directory."""
    directory = Path(directory)
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not re.search(r"(^|/)\.", str(path.relative_to(directory)))
    }


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    """What the tools keep from one run to the next lies here, not in the home of who runs the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    return tmp_path / ".cache"


@pytest.fixture
def make_daemon(tmp_path):
    """make_daemon("name") gives a Daemon in a directory of its own; all end clean after the test."""
    made = []

    def make(name="d"):
        daemon = Daemon(tmp_path / name)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.stop()


@pytest.fixture
def daemon(make_daemon):
    return make_daemon()


@pytest.fixture
def running(daemon):
    """A started daemon on an empty store."""
    return daemon.start()


from aws_world import fake, fake_server, moto, moto_server, world  # noqa: E402, F401  fixtures
