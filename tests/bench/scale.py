#!/usr/bin/env python3
"""What the daemon needs: memory and time, of one file with many events, and of many keys.

    python3 tests/bench/scale.py BUILD events [--count N] [--size PIXELS] [--frames T] [--budget MIB]
                                              [--images none|sheet|frames] [--workers N] [--file FILE]
    python3 tests/bench/scale.py BUILD keys [--count N]
    python3 tests/bench/scale.py BUILD throughput [--count N] [--peer PYBASE] [--python PYTHON]

Not part of the suites; BUILD is a release. `--dir DIR` says where stores and state lie (default: a
new directory under $TMPDIR). The exit status is 1 when a bound of docs/operations.md is passed.

Resident memory is /proc/PID/status's VmHWM of the daemon, the largest that it ever was.
"""

import argparse
import csv
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flow"))

OVER_BUDGET_MIB = 100
KEYS_MIB = 200
AGAIN_S = 10
EVENT_TYPES = ("Hail", "Tornado", "Flash Flood", "Thunderstorm Wind")


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=3600)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


class Daemon:
    """A release daemon on stores under `base`."""

    def __init__(self, build, base, **changes):
        self.base, self.socket = Path(base), Path(base) / "s"
        self.raw, self.processed = self.base / "raw", self.base / "processed"
        for path in (self.raw, self.processed):
            path.mkdir(parents=True, exist_ok=True)
        self.build = Path(build)
        self.config = {
            "state_dir": str(self.base / "state"),
            "raw": {"uri": self.raw.as_uri()},
            "processed": {"uri": self.processed.as_uri()},
            "sources": {"list": {"interval": "0s"}, "settle": "0s"},
            "control": {"socket": str(self.socket)},
            "http": {"listen": None},
            **changes,
        }

    def start(self):
        path = self.base / "sevird.json"
        path.write_text(json.dumps(self.config))
        probe = self.build / "daemon" / "h5probe" / "sevird-h5probe"
        self.began = time.monotonic()
        with open(self.base / "log", "a") as log:
            self.process = subprocess.Popen(
                [self.build / "daemon" / "sevird", "--config", path],
                env={**os.environ, "SEVIRD_H5PROBE": str(probe)},
                stderr=log,
            )
        while True:
            try:
                self.ask("GET", "/v1/status")
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit((self.base / "log").read_text())
                time.sleep(0.002)
        self.up = time.monotonic()
        return self

    def ask(self, method, path):
        connection = Unix(self.socket)
        connection.request(method, path, body="{}" if method == "POST" else None)
        return json.loads(connection.getresponse().read())

    def wait(self, what):
        while not what(self.ask("GET", "/v1/status")):
            time.sleep(0.02)

    def memory(self):
        """Resident now, and at most so far, in MiB."""
        with open(f"/proc/{self.process.pid}/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))

    def cpu(self):
        """Seconds, with those of the helpers that have ended."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        if code != 0:
            sys.exit(f"sevird ended with {code}:\n{(self.base / 'log').read_text()[-4000:]}")


# ---- events ---------------------------------------------------------------------------------------


def make_file(path, count, size, frames, distinct=8):
    """One vil file, contiguous, of storms that repeat: `distinct` of them are different."""
    import h5py
    import numpy as np

    from sample import storm

    rng = np.random.default_rng(1)
    storms = []
    for number in range(min(distinct, count)):
        data = storm("vil", number, size, frames)
        noise = rng.integers(0, 6, data.shape, dtype=np.uint8)
        storms.append(np.where((data > 16) & (data < 240), data + noise, data))
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("vil", shape=(count, size, size, frames), dtype="u1")
        for index in range(count):
            data[index] = storms[index % len(storms)]
        file["id"] = np.array([f"S{100000 + i}".encode() for i in range(count)], dtype="S16")


def write_catalog(path, file_name, count, size, frames):
    from sample import COLUMNS, PROJ

    part = path.with_name("." + path.name)
    offsets = ":".join(str(5 * (f - frames // 2)) for f in range(frames))
    with open(part, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i in range(count):
            writer.writerow(
                [f"S{100000 + i}", file_name, i, "vil", "2019-06-12 12:00:00", offsets, "138793.0"]
                + [f"{800000 + i}.0", EVENT_TYPES[i % 4], 33.0, -100.0, 36.4, -95.9, PROJ]
                + [size, size, 384000.0, 384000.0, 0.0, 254.0, 0.0]
            )
    part.rename(path)


def run_events(args, base):
    name = "vil/2019/SEVIR_VIL_STORMEVENTS_2019_0601_0630.h5"
    daemon = Daemon(
        args.build,
        base,
        extract={"memory": f"{args.budget}MiB", "workers": args.workers, "images": args.images},
    )
    path = daemon.raw / "data" / name
    if args.file:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.exists(args.file):
            make_file(Path(args.file), args.count, args.size, args.frames)
        os.link(args.file, path)
    else:
        make_file(path, args.count, args.size, args.frames)
    write_catalog(daemon.raw / "CATALOG.csv", name, args.count, args.size, args.frames)
    daemon.start()
    daemon.wait(lambda status: status["idle"])
    took = time.monotonic() - daemon.up
    jobs = {job["key"]: job["state"] for job in daemon.ask("GET", "/v1/jobs")["jobs"]}
    outputs = sum(len(files) for _, _, files in os.walk(daemon.processed))
    time.sleep(1.5)  # idle, it hands memory back
    now, most = daemon.memory()
    used = daemon.cpu()
    daemon.stop()
    bound = args.budget + OVER_BUDGET_MIB
    shape = f"{args.size}x{args.size}x{args.frames}"
    print(
        f"{args.count} events of {shape}, {path.stat().st_size / 2**20:.0f} MiB, images "
        f"'{args.images}', {args.workers} workers, budget {args.budget} MiB: {outputs} objects in "
        f"{took:.1f} s, {1000 * took / args.count:.2f} ms an event ({1000 * used / args.count:.2f} "
        f"of CPU); RSS at most {most:.0f} MiB of {bound} allowed, {now:.0f} at the end",
        flush=True,
    )
    done = sorted(jobs.values()) == ["DONE", "DONE"]
    if not done:
        print(jobs, (Path(base) / "log").read_text()[-2000:])
    return done and most <= bound, took


# ---- keys -----------------------------------------------------------------------------------------


def run_keys(args, base):
    """The daemon is paused: what is measured is listing and intake, not the jobs."""
    daemon = Daemon(args.build, base)
    for i in range(args.count):
        name = f"SEVIR_VIL_STORMEVENTS_2019_{i * 7919 % args.count:07d}.bin"
        os.close(os.open(daemon.raw / name, os.O_WRONLY | os.O_CREAT))
    daemon.start()
    daemon.ask("POST", "/v1/pause")
    daemon.wait(lambda status: status["listed"])
    took, used = time.monotonic() - daemon.began, daemon.cpu()
    print(
        f"{args.count} keys listed for the first time: {took:.1f} s ({used:.1f} of CPU), RSS at most "
        f"{daemon.memory()[1]:.0f} MiB",
        flush=True,
    )
    best = None
    for _ in range(3):
        began, before = time.monotonic(), daemon.cpu()
        counts = daemon.ask("POST", "/v1/reconcile")
        took, used = time.monotonic() - began, daemon.cpu() - before
        best = min(took, best or took)
        print(f"listed again: {took:.1f} s ({used:.1f} of CPU) {counts}", flush=True)
        if counts["known"] != args.count:
            return False
    most = daemon.memory()[1]
    daemon.stop()
    print(f"RSS at most {most:.0f} MiB of {KEYS_MIB} allowed", flush=True)
    return most <= KEYS_MIB and best <= AGAIN_S * max(args.count / 1e6, 0.1)


# ---- throughput -----------------------------------------------------------------------------------


def run_throughput(args, base):
    """The whole daemon, from ready to DONE, beside a peer on the same file, in turns."""
    args.file = args.file or os.path.join(base, "vil.h5")
    ours, theirs = [], []
    for turn in range(args.turns):
        here = os.path.join(base, f"turn{turn}")
        good, took = run_events(args, here)
        if not good:
            return False
        ours.append(1000 * took / args.count)
        shutil.rmtree(here)
        if args.peer:
            out = os.path.join(base, "peer")
            told = subprocess.run(
                [args.python, args.peer, args.file, "vil", str(args.count), "both", "pil_p",
                 str(args.workers), out],
                capture_output=True, text=True, check=True,
            ).stdout
            print(told.strip(), flush=True)
            theirs.append(float(told.split(" ms/event")[0].split()[-1]))
            shutil.rmtree(out)
    print(f"sevird: {min(ours):.1f} ms an event at best of {args.turns}", flush=True)
    if theirs:
        print(f"peer: {min(theirs):.1f} ms an event, {min(theirs) / min(ours):.2f} times as long")
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("what", choices=("events", "keys", "throughput"))
    parser.add_argument("--count", type=int)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--frames", type=int, default=49)
    parser.add_argument("--budget", type=int, default=128)
    parser.add_argument("--images", default="frames")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--file", help="use it, or make it and keep it")
    parser.add_argument("--peer")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--dir")
    args = parser.parse_args()
    args.count = args.count or {"events": 2000, "keys": 1000000, "throughput": 64}[args.what]
    base = tempfile.mkdtemp(dir=args.dir)
    try:
        run = {"events": run_events, "keys": run_keys, "throughput": run_throughput}[args.what]
        good = run(args, base)
        good = good[0] if isinstance(good, tuple) else good
    finally:
        shutil.rmtree(base, ignore_errors=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
