#!/usr/bin/env python3
"""A daemon on a raw store of a million objects: how long listings take, and how much memory.

    python3 tests/bench/million.py BUILD [COUNT] [DIRECTORY]

Not part of the suites: it takes minutes, a gigabyte and a million inodes. The daemon is paused, so that
what is measured is listing and intake, not the jobs.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def ask(path, method, what):
    connection = Unix(path)
    connection.request(method, what, body="{}" if method == "POST" else None)
    return json.loads(connection.getresponse().read())


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    return {name: int(lines[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM")}


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    build, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    base = tempfile.mkdtemp(dir=sys.argv[3] if len(sys.argv) > 3 else None)
    raw, sock = os.path.join(base, "raw"), os.path.join(base, "s")
    try:
        os.makedirs(raw)
        for i in range(count):
            name = f"{raw}/SEVIR_VIL_STORMEVENTS_2019_{i * 7919 % count:07d}.bin"
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT))
        config = {
            "state_dir": f"{base}/state",
            "raw": {"uri": f"file://{raw}"},
            "processed": {"uri": f"file://{base}/processed"},
            "sources": {"list": {"interval": "0s"}, "settle": "0s"},
            "control": {"socket": sock},
            "http": {"listen": None},
        }
        os.makedirs(f"{base}/processed")
        with open(f"{base}/c.json", "w") as file:
            json.dump(config, file)
        env = {**os.environ, "SEVIRD_H5PROBE": f"{build}/daemon/h5probe/sevird-h5probe"}
        began = time.monotonic()
        with open(f"{base}/log", "w") as log:
            daemon = subprocess.Popen(
                [f"{build}/daemon/sevird", "--config", f"{base}/c.json"], env=env, stderr=log
            )
        while not os.path.exists(sock):
            time.sleep(0.01)
        ask(sock, "POST", "/v1/pause")
        while not ask(sock, "GET", "/v1/status")["listed"]:
            time.sleep(0.2)
        took, used = time.monotonic() - began, cpu(daemon.pid)
        print(f"first listing of {count} objects: {took:.1f} s, {used:.1f} s of CPU", memory(daemon.pid))
        for _ in range(3):
            began, used = time.monotonic(), cpu(daemon.pid)
            counts = ask(sock, "POST", "/v1/reconcile")
            took, used = time.monotonic() - began, cpu(daemon.pid) - used
            print(f"listed again: {took:.1f} s, {used:.1f} s of CPU", counts, memory(daemon.pid))
        daemon.send_signal(signal.SIGTERM)
        print("exit code", daemon.wait())
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
