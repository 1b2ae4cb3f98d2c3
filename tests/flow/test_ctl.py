"""sevirctl and the daemon: what the commands say, what programs get, exit codes."""

import json
import os
import pty
import re
import select
import shlex
import socket
import subprocess
import threading

import pytest

from conftest import ROOT, SEVIRCTL, ctl, environment
from sample import Sample

DAEMON_COMMANDS = """status top jobs explain submit wait retry cancel pause resume drain reload reconcile
tables query logs""".split()


def listed():
    """{command: [options]} as the completion gets them."""
    names = ctl("--complete", check=0).stdout.split()
    commands = [name for name in names if not name.startswith("-")]
    return {name: ctl("--complete", name, check=0).stdout.split() for name in commands}


def on_a_terminal(args, env, timeout=60):
    """Run on a pseudo-terminal; its output, controls and all."""
    master, slave = pty.openpty()
    process = subprocess.Popen(args, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    output = b""
    while True:
        ready, _, _ = select.select([master], [], [], timeout)
        assert ready, output
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(master)
    return process.wait(timeout), output.decode()


@pytest.fixture
def worked(running):
    """A daemon with two jobs DONE and one in quarantine."""
    running.sample.add("vil", ["S1", "S2"])
    catalog = running.sample.write_catalog()
    running.post("/v1/submit", {"uris": [str(catalog)]})
    running.wait_for(lambda status: status["jobs"]["DONE"] == 1)  # else the file may wait for its rows
    running.post("/v1/submit", {"uris": [str(path) for path in running.sample.files]})
    running.wait_for(lambda status: status["jobs"]["DONE"] == 2)
    broken = running.raw / "broken.h5"
    broken.write_bytes(running.sample.files[0].read_bytes()[:1500])
    running.post("/v1/submit", {"uris": [str(broken)]})
    running.wait_for(lambda status: status["jobs"]["QUARANTINED"] == 1)
    return running


# -- no daemon -------------------------------------------------------------------------------------


def test_without_a_daemon_each_command_says_so_in_one_line_and_exits_3(tmp_path):
    for name in DAEMON_COMMANDS:
        args = {"explain": ["1"], "submit": ["x"], "retry": ["1"], "cancel": ["1"], "query": ["SELECT 1"]}
        done = ctl("--socket", tmp_path / "none.sock", name, *args.get(name, []), check=3)
        assert done.stdout == ""
        assert re.fullmatch(r"sevirctl: no daemon at '.*none\.sock': .*; .*--socket\n", done.stderr), name


def test_a_dead_socket_is_no_daemon(tmp_path):
    path = tmp_path / "dead.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.close()
    assert "refused" in ctl("--socket", path, "status", check=3).stderr


def test_the_socket_may_come_from_the_environment(running):
    done = ctl("status", env={"SEVIRD_SOCKET": str(running.socket)}, check=0)
    assert "running" in done.stdout
    assert ctl("status", env={"SEVIRD_SOCKET": ""}).returncode in (0, 3)


def test_something_else_at_the_socket_is_told(tmp_path):
    path = tmp_path / "s.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer():
        peer, _ = listener.accept()
        peer.recv(4096)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html")
        peer.close()

    thread = threading.Thread(target=answer)
    thread.start()
    done = ctl("--socket", path, "status", check=1)
    thread.join()
    assert "is no sevird" in done.stderr


# -- usage -----------------------------------------------------------------------------------------


def test_wrong_usage_is_one_line_with_a_hint_and_exits_2():
    for args, words in (
        ([], "a command is missing"),
        (["statsu"], "did you mean 'status'"),
        (["fly"], "unknown command 'fly'; see 'sevirctl help'"),
        (["status", "now"], "unexpected argument 'now'; see 'sevirctl help status'"),
        (["jobs", "--limt", "3"], "did you mean '--limit'"),
        (["jobs", "--limit"], "'--limit' wants a value"),
        (["jobs", "--limit", "many"], "'--limit': 'many' is no whole number"),
        (["jobs", "--limit=0"], "'0' is no whole number from 1"),
        (["wait", "--timeout", "soon"], "'soon' is no time"),
        (["explain"], "'explain' wants URI|JOB"),
        (["submit"], "'submit' wants URI"),
        (["retry"], "'retry' wants jobs"),
        (["retry", "--quarantined", "5"], "not both"),
        (["query"], "'query' wants SQL"),
        (["query", "SELECT 1", "--format", "xml"], "unknown format 'xml'"),
        (["query", "SELECT 1", "--engine", "spark"], "unknown engine 'spark'"),
        (["--json=yes", "status"], "takes no value"),
        (["help", "fly"], "no command 'fly'"),
        (["-x"], "unknown option '-x'"),
        (["--socket", "", "status"], "a path of 1 to 107 bytes"),
        (["--socket", "/" + 107 * "x", "status"], "a path of 1 to 107 bytes"),
    ):
        done = ctl(*args, check=2)
        assert done.stdout == ""
        assert done.stderr.startswith("sevirctl: ") and done.stderr.count("\n") == 1, args
        assert words in done.stderr, (args, done.stderr)


def test_help_and_version():
    assert ctl("--version", check=0).stdout.startswith("sevirctl 0.")
    text = ctl("help", check=0).stdout
    for name in listed():
        if name != "help":
            assert re.search(rf"^  {name} ", text, re.M), name
            own = ctl("help", name, check=0).stdout
            assert own.startswith(f"usage: sevirctl {name}")
            assert ctl(name, "--help", check=0).stdout == own


def test_the_contract_s_commands_and_options_are_there():
    commands = listed()
    for name, options in {
        "jobs": ["--state=", "--limit="],
        "wait": ["--timeout="],
        "retry": ["--quarantined"],
        "query": ["--engine=", "--format="],
        "logs": ["--follow"],
        **{name: ["--socket=", "--json", "--no-progress"] for name in DAEMON_COMMANDS},
    }.items():
        assert set(options) <= set(commands[name]), name


def test_the_man_page_knows_every_command_and_option():
    page = ctl("--man", check=0).stdout.replace("\\-", "-")
    for name, options in listed().items():
        assert re.search(rf"\b{name}\b", page), name
        for option in options:
            assert option.rstrip("=") in page, (name, option)


def test_bash_completes_commands_options_and_states(worked):
    program = shlex.quote(str(SEVIRCTL))
    script = f"""
source {shlex.quote(f"{ROOT}/config/sevirctl.bash")}
complete_it() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _sevirctl; echo "${{COMPREPLY[*]}}"; }}
complete_it {program} re
complete_it {program} jobs --st
complete_it {program} jobs --state QU
complete_it {program} query --format c
"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert set(lines[0]) >= {"retry", "resume", "reload", "reconcile"}, done.stderr
    assert lines[1] == ["--state"]
    assert set(lines[2]) == {"QUEUED", "QUARANTINED"}
    assert lines[3] == ["csv"]


# -- talking ---------------------------------------------------------------------------------------


def test_status_is_one_look(worked):
    text = worked.ctl("status", check=0).stdout
    assert "2 DONE" in text and "1 QUARANTINED" in text and "broken.h5" in text
    status = json.loads(worked.ctl("status", "--json", check=0).stdout)
    assert status["jobs"]["DONE"] == 2
    assert status["last_errors"][0]["key"] == "broken.h5"


def test_top_follows_one_look_with_the_next(worked):
    text = worked.ctl("top", "-n", "2", "--interval", "100ms", check=0).stdout
    assert text.count("rates ") == 2 and "\x1b" not in text
    lines = worked.ctl("--json", "top", "-n", "2", "-i", "0.1", check=0).stdout.splitlines()
    assert [json.loads(line)["phase"] for line in lines] == ["running", "running"]
    code, drawn = on_a_terminal(
        [str(SEVIRCTL), "--socket", str(worked.socket), "top", "-n", "2", "-i", "0.1"],
        environment(worked.reports),
    )
    assert code == 0 and drawn.count("\x1b[H\x1b[2J") == 2


def test_jobs_are_listed_newest_first_and_by_state(worked):
    jobs = json.loads(worked.ctl("jobs", "--json", check=0).stdout)
    assert [job["id"] for job in jobs] == sorted((job["id"] for job in jobs), reverse=True)
    only = json.loads(worked.ctl("jobs", "--state", "QUARANTINED", "--json", check=0).stdout)
    assert [job["key"] for job in only] == ["broken.h5"]
    assert len(json.loads(worked.ctl("jobs", "--limit", "1", "--json", check=0).stdout)) == 1
    assert "there are QUEUED" in worked.ctl("jobs", "--state", "ASLEEP", check=1).stderr
    assert "broken.h5" in worked.ctl("jobs", check=0).stdout


def test_pages_of_jobs_are_complete(worked):
    seen, path = [], "/v1/jobs?limit=1"
    while path:
        page = worked.get(path)
        seen += [job["id"] for job in page["jobs"]]
        path = page["next"] and f"/v1/jobs?limit=1&before={page['next']}"
    assert seen == [job["id"] for job in worked.get("/v1/jobs")["jobs"]]


def test_explain_tells_the_whole_story_by_uri_path_key_or_number(worked):
    file = worked.sample.files[0]
    key = str(file.relative_to(worked.raw))
    job = worked.get("/v1/explain?uri=" + key)["jobs"][0]["id"]
    stories = [
        json.loads(worked.ctl("explain", word, "--json", check=0).stdout)
        for word in (file.as_uri(), str(file), key, str(job))
    ]
    for story in stories:
        assert story == stories[0]
    moves = [(move["from"], move["to"]) for move in stories[0]["jobs"][0]["transitions"]]
    assert moves == [
        ("", "QUEUED"),
        ("QUEUED", "CRAWLING"),
        ("CRAWLING", "CRAWLED"),
        ("CRAWLED", "EXTRACTING"),
        ("EXTRACTING", "EXTRACTED"),
        ("EXTRACTED", "PUBLISHING"),
        ("PUBLISHING", "DONE"),
    ]
    assert stories[0]["sightings"] and stories[0]["outputs"]
    text = worked.ctl("explain", file, check=0).stdout
    assert "PUBLISHING -> DONE" in text and "frames/img_type=vil" in text
    relative = worked.ctl("explain", key, "--json", check=0, cwd=worked.raw)
    assert json.loads(relative.stdout) == stories[0]


def test_explain_says_why_there_is_no_job(worked):
    text = worked.ctl("explain", worked.raw / "nothing.h5", check=0).stdout
    assert "there is no job: the store has no such object" in text
    (worked.raw / ".hidden.csv").write_text("a,b\n1,2\n")
    assert "begin with '.'" in worked.ctl("explain", ".hidden.csv", check=0).stdout
    assert "sevirctl: " in worked.ctl("explain", "/etc/passwd", check=1).stderr
    assert "there is no job 999" in worked.ctl("explain", "999", check=1).stderr


def test_submit_says_what_became_of_each(worked):
    done = worked.ctl("submit", worked.raw / "CATALOG.csv", worked.raw / "none.h5", check=1)
    assert "CATALOG.csv: known" in done.stdout
    assert "none.h5" in done.stderr and done.stderr.count("\n") == 1


def test_wait_is_0_when_all_is_done_and_1_when_something_was_quarantined(running):
    running.sample.add("vil", ["S1"])
    running.ctl("submit", running.sample.write_catalog(), *running.sample.files, check=0)
    assert "2 jobs are done" in running.ctl("wait", "--timeout", "60", check=0).stdout
    broken = running.raw / "broken.h5"
    broken.write_bytes(running.sample.files[0].read_bytes()[:1500])
    running.ctl("submit", broken, check=0)
    assert "1 job was quarantined" in running.ctl("wait", "--timeout", "60", check=1).stderr
    status = running.ctl("wait", "--timeout", "60", "--json", check=1)
    assert json.loads(status.stdout)["idle"] is True


def test_wait_gives_up_in_time(running):
    running.ctl("pause", check=0)
    running.ctl("submit", running.sample.write_catalog(), check=0)
    done = running.ctl("wait", "--timeout", "1", check=4)
    assert "timed out" in done.stderr
    running.ctl("resume", check=0)
    running.ctl("wait", "--timeout", "1m", check=0)


def test_wait_ends_when_the_daemon_does(daemon):
    daemon.start()
    daemon.ctl("pause", check=0)
    daemon.ctl("submit", daemon.sample.write_catalog(), check=0)
    waiting = subprocess.Popen(
        [str(SEVIRCTL), "--socket", str(daemon.socket), "wait"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(daemon.reports),
    )
    select.select([waiting.stderr], [], [], 0.5)
    daemon.stop()
    assert waiting.wait(60) == 3
    waiting.communicate()


def test_wait_draws_a_bar_on_a_terminal_only(running):
    running.ctl("pause", check=0)
    running.ctl("submit", running.sample.write_catalog(), check=0)
    command = [str(SEVIRCTL), "--socket", str(running.socket), "wait", "--timeout", "1"]
    code, drawn = on_a_terminal(command, environment(running.reports))
    assert code == 4 and "[....." in drawn and drawn.count("\r\x1b[K") >= 1
    code, drawn = on_a_terminal([*command, "--no-progress"], environment(running.reports))
    assert code == 4 and "\x1b" not in drawn
    assert "\x1b" not in running.ctl("wait", "--timeout", "1", check=4).stderr


def test_retry_runs_a_job_again_and_cancel_gives_it_up(worked):
    job = worked.get("/v1/jobs?state=QUARANTINED")["jobs"][0]["id"]
    worked.ctl("retry", str(job), check=0)
    worked.ctl("wait", "--timeout", "60", check=1)
    moves = worked.get(f"/v1/jobs/{job}")["jobs"][0]["transitions"]
    assert [move["actor"] for move in moves if move["event"] == "RETRY"] == ["operator"]
    assert "1 jobs are tried again" in worked.ctl("retry", "--quarantined", check=0).stdout
    worked.ctl("wait", "--timeout", "60", check=1)
    worked.ctl("cancel", worked.raw / "broken.h5", check=0)
    assert worked.get(f"/v1/jobs/{job}")["jobs"][0]["state"] == "CANCELED"
    worked.ctl("wait", "--timeout", "60", check=0)  # it has been dealt with
    assert "sevirctl: " in worked.ctl("cancel", "999", check=1).stderr


def test_pause_resume_and_drain_do_what_they_say(running):
    running.ctl("pause", check=0)
    assert running.get("/v1/status")["paused"] is True
    running.ctl("resume", check=0)
    assert running.get("/v1/status")["paused"] is False
    running.ctl("drain", check=0)
    running.wait_for(lambda status: status["phase"] == "drained")
    assert running.request("GET", "/readyz").status == 503
    running.ctl("resume", check=0)
    running.wait_for(lambda status: status["phase"] == "running")


def test_reload_takes_a_right_file_and_refuses_a_wrong_one(running):
    running.configure(retry={"attempts": 2}).write_config()
    running.ctl("reload", check=0)
    assert running.get("/v1/config")["retry"]["attempts"] == 2
    running.config_path.write_text("{")
    assert "sevird.json:1:" in running.ctl("reload", check=1).stderr
    assert running.get("/v1/config")["retry"]["attempts"] == 2


def test_reconcile_reports_what_it_found(worked):
    report = json.loads(worked.ctl("reconcile", "--json", check=0).stdout)
    assert set(report) == {"listed", "known", "missing", "gone", "refused"}
    assert "objects in the store" in worked.ctl("reconcile", check=0).stdout


def test_tables_and_one_table(worked):
    text = worked.ctl("tables", check=0).stdout
    assert "raw.vil" in text and "processed.frames" in text
    text = worked.ctl("tables", "processed.frames", check=0).stdout
    assert "p99" in text and "img_type=vil/year=2019/month=01" in text
    assert json.loads(worked.ctl("tables", "--json", check=0).stdout)[0]["name"]
    assert json.loads(worked.ctl("tables", "frames", "--json", check=0).stdout)["columns"]
    assert "sevirctl: " in worked.ctl("tables", "frame", check=1).stderr


def test_query_answers_as_table_csv_and_json(worked):
    sql = "SELECT id, count(*) AS frames FROM frames GROUP BY id ORDER BY id"
    frames = worked.sample.frames
    assert worked.ctl("query", sql, check=0).stdout.splitlines()[0].split() == ["id", "frames"]
    csv = worked.ctl("query", sql, "--format", "csv", check=0).stdout
    assert csv == f"id,frames\nS1,{frames}\nS2,{frames}\n"
    for args in (["--format", "json"], ["--json"]):
        answer = json.loads(worked.ctl("query", sql, *args, check=0).stdout)
        assert answer["columns"] == ["id", "frames"]
        assert answer["rows"] == [["S1", frames], ["S2", frames]]
    for sql in ("SELEC 1", "SELECT * FROM nothing", "DROP TABLE event_rows"):
        done = worked.ctl("query", sql, check=1)
        assert done.stdout == "" and done.stderr.count("\n") == 1
    done = worked.ctl("query", "SELECT 1", "--engine", "athena", check=1)
    assert "athena.workgroup" in done.stderr


def test_logs_show_what_was_and_follow_shows_what_is(worked):
    text = worked.ctl("logs", check=0).stdout
    assert "to=DONE" in text and "to=QUARANTINED" in text
    events = [json.loads(line) for line in worked.ctl("logs", "--json", check=0).stdout.splitlines()]
    assert {"transition", "sighting"} <= {event["event"] for event in events}
    following = subprocess.Popen(
        [str(SEVIRCTL), "--socket", str(worked.socket), "--json", "logs", "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(worked.reports),
    )
    for _ in events:
        following.stdout.readline()
    worked.ctl("retry", "--quarantined", check=0)
    assert json.loads(following.stdout.readline())["data"]["on"] == "RETRY"
    following.terminate()
    following.communicate(timeout=30)


def test_a_hostile_name_cannot_write_to_the_terminal(running):
    name = "evil\x1b[31m\x07\x9b2J\u202etxt\r.bin"
    (running.raw / name).write_bytes(b"x")
    running.request("POST", "/v1/submit", body={"uris": [str(running.raw / name)]})
    running.wait_idle()
    outputs = [
        running.ctl("jobs").stdout,
        running.ctl("logs").stdout,
        running.ctl("explain", running.raw / name).stdout,
        running.ctl("submit", running.raw / (name + "2")).stderr,
        running.ctl("query", "SELECT char(27) || '[2J' AS \"a\u202eb\"").stdout,
        running.ctl("status", "--socket", "/tmp/\x1b[2J").stderr,
    ]
    for output in outputs:
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output), output
    assert "\\x1b[2J" in outputs[4]


def test_a_reader_who_leaves_is_no_crash(worked):
    for args in (["jobs"], ["logs"], ["query", "SELECT * FROM frames"], ["status", "--json"]):
        process = subprocess.Popen(
            [str(SEVIRCTL), "--socket", str(worked.socket), *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(worked.reports),
        )
        process.stdout.close()
        assert process.wait(60) in (0, 1)
        assert b"Sanitizer" not in process.stderr.read()
        process.stderr.close()


def test_what_cannot_be_written_is_an_error(running):
    for args in (["--help"], ["--version"], ["inspect"], ["--json", "inspect"], ["status"], ["query", "SELECT 1"]):
        file = [running.sample.add("vil", ["S1001"])] if "inspect" in args else []
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [str(SEVIRCTL), "--socket", str(running.socket), *args, *map(str, file)],
                stdout=full,
                stderr=subprocess.PIPE,
                env=environment(running.reports),
            )
        assert (done.returncode, done.stderr) == (
            1,
            b"sevirctl: standard output: cannot be written\n",
        ), args


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_descriptors_are_no_crash(tmp_path, closed):
    """What is opened next must not become standard output; libuv aborts where it does."""
    sample = Sample(tmp_path)
    file = sample.add("vil", ["S1001"])
    catalog = sample.write_catalog()
    out = tmp_path / "out.png"

    def close():
        for fd in closed:
            os.close(fd)

    for args in (
        ["inspect", file],
        ["select", "--catalog", catalog],
        ["render", file, "--index", 0, "-o", out],
    ):
        done = subprocess.run(
            [str(SEVIRCTL), *map(str, args)], env=environment(tmp_path), preexec_fn=close
        )
        assert done.returncode == (1 if 1 in closed else 0), args
    assert out.stat().st_size > 500
