"""The units as they are installed: they load, and the sandbox is as tight as promised."""

import json
import os
import re
import shutil
import subprocess

import pytest
from conftest import BUILD

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def install(root):
    subprocess.run(
        ["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root],
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """What `meson install` puts into an image."""
    root = tmp_path_factory.mktemp("image")
    install(root)
    return root


def only(root, pattern):
    found = sorted(root.rglob(pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


@pytest.fixture(scope="module")
def unit(root):
    return only(root, "sevird.service")


def settings(unit):
    pairs = [line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"\w+=", line)]
    return dict(pairs)


def test_the_sandbox_rates_one_and_a_half_or_better(unit):
    answer = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", unit],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    rating = re.search(r"exposure level for sevird.service: ([0-9.]+)", answer.stdout)
    assert rating and float(rating.group(1)) <= 1.5


def test_an_open_unit_would_be_seen(unit, tmp_path):
    open_unit = tmp_path / "sevird.service"
    open_unit.write_text(unit.read_text().replace("SystemCallFilter=", "#SystemCallFilter="))
    answer = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", open_unit],
        capture_output=True,
    )
    assert answer.returncode != 0


def test_the_units_load_without_a_complaint(root, unit, tmp_path):
    """verify wants the programs to be there, so they are named where they were installed."""
    for source in (unit, only(root, "sevird.socket")):
        text = re.sub(r"^(Exec\w+=)", rf"\g<1>{root}", source.read_text(), flags=re.MULTILINE)
        text = re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE)
        (tmp_path / source.name).write_text(text)
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "sevird.service"],
        capture_output=True,
        text=True,
    )
    ours = [line for line in answer.stderr.splitlines() if "sevird" in line]
    assert answer.returncode == 0 and not ours, answer.stderr


def test_what_the_unit_starts_is_what_is_installed(root, unit):
    lines = [line for line in unit.read_text().splitlines() if line.startswith("Exec")]
    assert {line.split("=")[0] for line in lines} == {"ExecStart", "ExecStartPre", "ExecReload"}
    for line in lines:
        program = line.split("=", 1)[1].split()[0]
        assert (root / program.lstrip("/")).is_file(), program
        config = re.search(r"--config (\S+)", line)
        if config:
            installed = root / config.group(1).lstrip("/")
            assert json.loads(installed.read_text())["control"]["socket"] == "/run/sevird/control.sock"


def test_the_socket_is_the_one_that_the_configuration_names(root):
    socket = settings(only(root, "sevird.socket"))
    assert socket["ListenStream"] == "/run/sevird/control.sock"
    assert socket["SocketMode"] == "0660"
    assert socket["SocketGroup"] == "sevird"


def test_the_service_waits_for_ready_and_is_watched(unit):
    service = settings(unit)
    assert service["Type"] == "notify"
    assert service["WatchdogSec"] == "60s"
    assert service["NoNewPrivileges"] == "yes"
    assert "seccomp" in unit.read_text()  # the helper installs a filter of its own


def test_users_and_directories_are_declared(root):
    sysusers, tmpfiles = (
        only(root / "usr" / "local" / "lib" / folder, "sevird.conf")
        for folder in ("sysusers.d", "tmpfiles.d")
    )
    image = root / "image"
    (image / "etc").mkdir(parents=True)
    for tool, *arguments in (
        ("systemd-sysusers", f"--root={image}", sysusers),
        ("systemd-tmpfiles", f"--root={image}", "--create", tmpfiles),
    ):
        if tool == "systemd-tmpfiles" and os.geteuid() != 0:
            continue  # it gives the directories to their owner
        answer = subprocess.run([tool, *arguments], capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
    assert "sevird:" in (image / "etc/passwd").read_text()
    if os.geteuid() == 0:
        assert (image / "var/lib/sevird/raw").stat().st_mode & 0o7777 == 0o2770


def test_an_upgrade_keeps_the_configuration(tmp_path):
    install(tmp_path)
    conf = only(tmp_path, "etc/sevird/sevird.json")
    conf.write_text("{}")
    install(tmp_path)
    assert conf.read_text() == "{}"
