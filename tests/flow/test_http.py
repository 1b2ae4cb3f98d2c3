"""The two listeners: who may ask for what, and that no request harms the daemon."""

import gzip
import http.client
import os
import re
import socket
import subprocess
import time

import pytest

from conftest import SEVIRCTL, UnixConnection, environment


def raw_http(daemon, request, timeout=1):
    """Bytes to the TCP listener; what comes back is not looked at, nor waited for very long."""
    with socket.create_connection(daemon.http_address, timeout=timeout) as s:
        try:
            s.sendall(request)
            while s.recv(65536):
                pass
        except OSError:
            pass


def test_reads_are_served_on_both_listeners(running):
    for path in ("/v1/status", "/v1/jobs", "/v1/tables", "/v1/config", "/v1", "/healthz", "/readyz"):
        assert running.request("GET", path).status == 200
        assert running.http("GET", path).status == 200


def test_the_tcp_listener_refuses_every_other_method(running):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"):
        answer = running.http(method, "/v1/pause")
        assert answer.status in (405, 400), method
        if answer.status == 405:
            assert answer.headers["Allow"] == "GET, HEAD"
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert running.get("/v1/status")["paused"] is False


def test_the_host_header_must_name_the_listener(running):
    host, port = running.http_address
    for good in (f"{host}:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert running.http("GET", "/healthz", headers={"Host": good}).status == 200, good
    for bad in (
        "evil.example",
        f"evil.example:{port}",
        f"{host}",
        f"{host}:{port + 1}",
        f"127.0.0.2:{port}",
        f"localhost.evil.example:{port}",
        f"[::1]:{port}",
        ":",
        "",
        "[",
        f"{'a' * 300}:{port}",
    ):
        answer = running.http("GET", "/v1/status", headers={"Host": bad})
        assert answer.status in (421, 400), bad
        assert b"sevird/" not in answer.body


def test_one_host_header_and_no_second(running):
    host, port = running.http_address
    good, evil = f"{host}:{port}", f"evil.example:{port}"
    for hosts, status in (((), 421), ((good,), 200), ((good, evil), 421), ((evil, good), 421), ((good, good), 421)):
        connection = http.client.HTTPConnection(host, port, timeout=10)
        connection.putrequest("GET", "/healthz", skip_host=True)
        for name in hosts:
            connection.putheader("Host", name)
        connection.endheaders()
        assert connection.getresponse().status in ((status,) if status == 200 else (400, status)), hosts
        connection.close()


def test_head_has_the_headers_and_no_body(running):
    for path in ("/v1/status", "/metrics", "/", "/v1/events", "/nowhere"):
        head = running.request("HEAD", path)
        assert head.body == b""
        assert head.status == (404 if path == "/nowhere" else 200)
    assert int(running.http("HEAD", "/").headers["Content-Length"]) > 500


def test_errors_are_problem_documents(running):
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/jobs/999999", 404),
        ("GET", "/v1/jobs/0", 404),
        ("GET", "/v1/jobs/abc", 404),
        ("GET", "/v1/jobs?limit=0", 400),
        ("GET", "/v1/jobs?state=ASLEEP", 400),
        ("GET", "/v1/explain", 400),
        ("GET", "/v1/explain?uri=s3://elsewhere/key", 400),
        ("GET", "/v1/tables/none", 404),
        ("POST", "/v1/status", 405),
        ("DELETE", "/v1/jobs/1", 405),
        ("POST", "/v1/jobs/999999/retry", 404),
        ("POST", "/v1/jobs/0/cancel", 404),
        ("POST", "/v1/submit", 400),
        ("POST", "/v1/query", 400),
    ):
        answer = running.request(method, path)
        assert answer.status == status, (method, path, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json
        assert problem["status"] == status
        assert problem["type"] and problem["title"] and problem["detail"]
        assert problem["instance"] == path.split("?")[0]


def test_a_body_that_is_no_json_is_refused_with_its_place(running):
    answer = running.request("POST", "/v1/query", body='{"sql": \n nonsense}')
    assert answer.status == 400
    assert "line 2" in answer.json["detail"]
    for body in ("[]", "5", '{"sql": 5}', '{"sql": "SELECT 1", "sql": "SELECT 2"}', b"\xff\xfe", "{" * 5000):
        assert running.request("POST", "/v1/query", body=body).status == 400


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_another_user_may_read_but_not_change(running):
    # The directories of a test are private; the socket's group may connect in production.
    path = running.dir
    while str(path) != "/":
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o005)
        path = path.parent
    running.socket.chmod(0o666)
    program = f"""
import socket
def ask(method, path, body=""):
    s = socket.socket(socket.AF_UNIX)
    s.connect({str(running.socket)!r})
    s.sendall(f"{{method}} {{path}} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {{len(body)}}\\r\\nConnection: close\\r\\n\\r\\n{{body}}".encode())
    return s.makefile("rb").readline().split()[1].decode()
print(ask("GET", "/v1/status"), ask("POST", "/v1/pause"), ask("POST", "/v1/query", '{{"sql": "SELECT 1"}}'))
"""
    if not os.path.exists("/usr/bin/python3"):
        pytest.skip("no interpreter that another user may run")
    done = subprocess.run(
        ["/usr/bin/python3", "-c", program],
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["200", "403", "200"], done.stderr
    assert running.get("/v1/status")["paused"] is False


def test_the_socket_is_for_owner_and_group(running):
    assert running.socket.stat().st_mode & 0o777 == 0o660


def test_the_socket_goes_with_the_daemon(daemon):
    daemon.start()
    daemon.stop()
    assert not daemon.socket.exists()


def test_a_stale_socket_is_replaced(daemon):
    daemon.start()
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    assert daemon.get("/v1/status")["phase"] == "running"


def test_a_socket_in_use_is_one_clear_line(make_daemon):
    first, second = make_daemon("a"), make_daemon("b")
    first.start()
    second.configure(control={"socket": str(first.socket)})
    second.start(wait=False)
    assert second.wait_exit() == 1
    last = second.log().strip().splitlines()[-1]
    assert last.startswith("sevird: ") and f"'{first.socket}' is in use" in last
    assert first.get("/v1/status")["phase"] == "running"


def test_a_port_in_use_is_one_clear_line(make_daemon):
    first, second = make_daemon("a"), make_daemon("b")
    first.start()
    second.configure(http={"listen": "{}:{}".format(*first.http_address)})
    second.start(wait=False)
    assert second.wait_exit() == 1
    last = second.log().strip().splitlines()[-1]
    assert last.startswith("sevird: ") and "is in use" in last


def test_without_a_listener_there_is_only_the_socket(daemon):
    daemon.configure(http={"listen": None}).start()
    assert daemon.get("/v1/status")["http"] is None


def test_ipv6_loopback_is_served(daemon):
    try:
        probe = socket.socket(socket.AF_INET6)
        probe.bind(("::1", 0))
        probe.close()
    except OSError:
        pytest.skip("no IPv6 here")
    daemon.configure(http={"listen": "[::1]:0"}).start()
    host, port = daemon.http_address
    assert daemon.http("GET", "/healthz", headers={"Host": f"[::1]:{port}"}).status == 200


def test_nonsense_on_the_wire_changes_nothing(running):
    for request in (
        b"\r\n\r\n",
        b"\x00" * 100,
        b"GET",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10000 + b"\r\n",
        b"GET /v1/jobs?" + b"&".join(b"a=%d" % i for i in range(3000)) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        b"GET /v1/explain?uri=%00%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ):
        raw_http(running, request)
    for uri in ("%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "file%3A%2F%2F%2Fetc%2Fpasswd", "%1b%5b31m"):
        answer = running.request("GET", f"/v1/explain?uri={uri}")
        assert answer.status in (200, 400, 404)
        assert "\x1b" not in answer.text
    assert running.http("GET", "/healthz").status == 200


def test_a_body_over_its_bound_is_refused(running):
    answer = running.request("POST", "/v1/query", body="x" * (1024 * 1024 + 1))
    assert answer.status == 413


def test_many_connections_at_once_are_all_served(running):
    held = []
    host, port = running.http_address
    for _ in range(60):
        held.append(http.client.HTTPConnection(host, port, timeout=60))
        held[-1].request("GET", "/v1/status")
    for connection in held:
        assert connection.getresponse().read()
    # The control socket has connections of its own.
    assert running.get("/v1/status")["phase"] == "running"
    for connection in held:
        connection.close()


def test_too_many_event_streams_are_refused_and_leaving_makes_room(running):
    streams = [running.events() for _ in range(16)]
    assert running.request("GET", "/v1/events").status == 503
    for stream in streams:
        stream.close()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = UnixConnection(running.socket)
        connection.request("GET", "/v1/events?follow=false")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
    pytest.fail("closed streams were not noticed")


def test_events_arrive_and_resume_after_their_id(running):
    stream = running.events(last=0)
    first = next(stream)
    running.sample.add("vil", ["S1"])
    running.post("/v1/submit", {"uris": [str(running.sample.write_catalog())]})
    seen = [first]
    while seen[-1][2].get("to") != "DONE":
        seen.append(next(stream))
    stream.close()
    ids = [event[0] for event in seen]
    assert ids == sorted(set(ids))
    again = running.events(last=ids[-3])
    assert [next(again) for _ in range(2)] == seen[-2:]
    again.close()
    # An id of an earlier daemon, ahead of ours: everything that is kept.
    ahead = running.events(last=10**9)
    assert next(ahead) == first
    ahead.close()


def test_a_stream_ends_when_the_daemon_stops(daemon):
    daemon.start()
    stream = daemon.events(timeout=30)
    daemon.stop()
    assert [kind for _, kind, _ in stream] == ["daemon"]  # "stopping", then its end
    stream.close()


def test_the_page_shows_the_states_without_any_script(running):
    page = running.http("GET", "/plain")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "QUARANTINED" in page.text and "<script" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_a_query_only_reads_and_ends_in_time(daemon):
    daemon.configure(query={"limit": "500ms"}).start()
    assert daemon.query("SELECT 1 + 1 AS two") == [[2]]
    for sql in (
        "DELETE FROM event_rows",
        "ATTACH '/etc/passwd' AS x",
        "PRAGMA journal_mode = DELETE",
        "CREATE TABLE x (y)",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "",
        "VACUUM",
    ):
        answer = daemon.request("POST", "/v1/query", body={"sql": sql})
        assert answer.status in (400, 403), (sql, answer.text)
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    answer = daemon.request("POST", "/v1/query", body={"sql": slow})
    assert answer.status == 504
    assert answer.json["class"] == "timeout"
    csv = daemon.request("POST", "/v1/query", body={"sql": "SELECT 'a,b' AS x", "format": "csv"})
    assert csv.text == 'x\n"a,b"\n'
    assert csv.headers["Content-Type"].startswith("text/csv")


def test_ctl_works_over_a_relative_socket_path(running):
    done = subprocess.run(
        [str(SEVIRCTL), "--socket", running.socket.name, "status"],
        cwd=running.dir,
        capture_output=True,
        env=environment(running.reports),
    )
    assert done.returncode == 0


def test_sockets_that_systemd_passed_are_served_and_left_in_place(daemon):
    daemon.write_config()
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(daemon.socket))
    control.listen()
    tcp = socket.socket()
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()

    def place():
        os.dup2(control.fileno(), 60)
        os.dup2(tcp.fileno(), 61)
        os.dup2(60, 3)
        os.dup2(61, 4)

    env = environment(daemon.reports, {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "control:http"})
    with open(daemon.log_path, "ab") as log:
        daemon.process = subprocess.Popen(
            ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *daemon.command()],
            stdout=log,
            stderr=log,
            env=env,
            pass_fds=(3, 4),
            preexec_fn=place,
        )
    daemon.wait_ready()
    assert daemon.http_address == tcp.getsockname()
    assert daemon.http("GET", "/healthz").status == 200
    daemon.stop()
    assert daemon.socket.exists()  # systemd's, not ours to remove
    control.close()
    tcp.close()


# -- the page ------------------------------------------------------------------------------------


def page_files(running):
    """The names of what the page loads; none where the dashboard was not built."""
    return re.findall(r'"(?:\./|/)((?:assets/|favicon)[^"]+)"', running.http("GET", "/").text)


def test_the_page_comes_with_all_of_its_files_and_a_strict_policy(running):
    page = running.http("GET", "/")
    assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    names = page_files(running)
    if not names:
        assert "dashboard was not built" in page.text
        pytest.skip("this build has no dashboard (no npm, or no network)")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "http" not in policy
    assert "<style" not in page.text and not re.search(r"<script(?![^>]*\ssrc=)", page.text)
    assert " style=" not in page.text and " onload=" not in page.text
    total = 0
    for name in ["", *names]:
        plain = running.http("GET", f"/{name}")
        packed = running.http("GET", f"/{name}", headers={"Accept-Encoding": "gzip"})
        assert plain.status == packed.status == 200, name
        assert packed.headers["Content-Encoding"] == "gzip" and "Content-Encoding" not in plain.headers
        assert gzip.decompress(packed.body) == plain.body
        assert plain.headers["X-Content-Type-Options"] == "nosniff"
        assert running.http("GET", f"/{name}", headers={"Accept-Encoding": "gzip;q=0"}).body == plain.body
        again = running.http("GET", f"/{name}", headers={"If-None-Match": plain.headers["ETag"]})
        assert again.status == 304 and again.body == b""
        assert ("immutable" in plain.headers["Cache-Control"]) == name.startswith("assets/")
        total += len(packed.body)
    assert total <= 300_000


def test_no_path_leads_out_of_the_page(running):
    for path in ("/assets/../index.html", "/assets/..%2findex.html", "/assets/", "/assets/nothing.js", "/assets/%2e%2e"):
        assert running.http("GET", path).status == 404, path


def test_the_last_hour_and_the_sources(running):
    running.sample.add("vil", ["S1"])
    running.sample.write_catalog()
    running.wait_idle()
    running.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    running.post("/v1/reconcile")
    history = running.get("/v1/history")
    minutes = [dict(zip(history["minutes"]["columns"], row)) for row in history["minutes"]["rows"]]
    assert sum(minute["done"] for minute in minutes) == 2
    assert all(0 <= minute["lag_mean_s"] <= minute["lag_max_s"] for minute in minutes if minute["done"])
    samples = [dict(zip(history["samples"]["columns"], row)) for row in history["samples"]["rows"]]
    assert samples[-1]["done"] == 2 and samples[-1]["frames"] > 0
    sources = running.get("/v1/sources")
    listing = next(source for source in sources["sources"] if source["name"] == "list")
    assert listing["on"] and listing["looks"] > 0 and listing["counts"]["listed"] == 2
    assert sources["reconciled"]["listed"] == 2 and sources["reconciled"]["missing"] == 0
