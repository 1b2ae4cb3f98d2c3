#!/usr/bin/env python3
"""The table of run.sh: the work, ours, the peer, the ratio, the goal, and whether it is met.

    bench.py BUILD DATA [--quick] [--rounds N] [--only WORD]... [--json FILE]

Ours is the whole daemon, already running: from the sighting of a new version of the object (POST
/v1/submit) until the event stream says DONE, so with its crawl, its database, its manifest and its rows
in SQL. Peers say themselves how long they took, without their imports. All of a row's contenders take
turns; a figure is the median of the rounds. Outputs go to /dev/shm and are removed before each turn.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import storms
from bucket import Bucket
from service import Service
from table import Table

HERE = Path(__file__).resolve().parent
PIL, IMSAVE, NUMPY, C = "PIL x2", "imsave x2", "tuned numpy x2", "C, H5Dread x2"
CONTIGUOUS, EVENT, FRAME, OWN = storms.LAYOUTS
ALL = lambda a, b, c, d: {IMSAVE: a, PIL: b, NUMPY: c, C: d}
# (type, layout): (events of ours, of the peers, of imsave, {peer: goal})
WORK = {
    ("vil", CONTIGUOUS): (64, 8, 4, ALL(100, 30, 12, 9)),
    ("vil", EVENT): (64, 8, 4, ALL(60, 18, 8, 6)),
    ("vil", FRAME): (64, 8, 4, ALL(60, 18, 8, 6)),
    ("vil", OWN): (64, 8, 4, {PIL: 18, C: None}),
    ("ir069", CONTIGUOUS): (128, 16, 4, {PIL: None, C: None}),
    ("ir069", EVENT): (128, 16, 4, {PIL: 9, C: 3.5}),
    ("ir069", OWN): (128, 16, 4, {PIL: 18, C: None}),
    ("vis", CONTIGUOUS): (12, 4, 4, {PIL: None, C: None}),
    ("vis", EVENT): (12, 4, 4, {PIL: None, C: None}),
    ("lght", CONTIGUOUS): (400, 400, 400, {"pandas": None}),
}
FLASHES = "pandas"


def make_store(data, name, kind, path, count):
    """A raw store with that file and its catalog; hard links, so no bytes of its own."""
    raw = data / "raw" / name
    shutil.rmtree(raw, ignore_errors=True)
    (raw / "data").mkdir(parents=True)
    os.link(path, raw / "data" / path.name)
    storms.write_catalog(raw / "CATALOG.csv", kind, path.name, count)
    return raw, f"data/{path.name}"


class Bench:
    def __init__(self, args):
        self.args, self.build, self.data = args, Path(args.build), Path(args.data)
        self.work = Path(tempfile.mkdtemp(prefix="sevird-bench-", dir="/dev/shm"))
        self.table = Table(work=58, ours=16, peer=30, ratio=8, goal=9)
        self.row, self.detail, self.colors = self.table.row, {}, {}

    def wanted(self, *words):
        text = " ".join(words)
        return not self.args.only or any(word in text for word in self.args.only)

    # ---- helpers of rows

    def kernels(self, *args):
        done = subprocess.run([self.build / "tests" / "kernels", *map(str, args)], capture_output=True)
        if done.returncode != 0:
            sys.exit(f"kernels {args}: {done.stderr.decode()}")
        return done

    def colors_of(self, kind):
        if kind not in self.colors:
            done = self.kernels("colors", kind)
            path = self.work / f"{kind}.colors"
            path.write_bytes(done.stdout)
            self.colors[kind] = path, int(done.stderr)
        return self.colors[kind]

    def service(self, raw, workers, **changes):
        base = Path(tempfile.mkdtemp(dir=self.work))
        return Service(
            self.build, base, raw, extract={"memory": "256MiB", "workers": workers}, **changes
        ).start()

    def peer(self, how, path, kind, events):
        out = self.work / "peer"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        if kind == "lght":
            colors, count = "-", 0
        else:
            colors, count = self.colors_of(kind)
        command = {
            IMSAVE: [sys.executable, HERE / "peers.py", "imsave"],
            PIL: [sys.executable, HERE / "peers.py", "pil"],
            NUMPY: [sys.executable, HERE / "peers.py", "numpy"],
            FLASHES: [sys.executable, HERE / "peers.py", "flashes"],
            C: [self.build / "tests" / "peer"],
        }[how]
        done = subprocess.run(
            [*map(str, command), str(path), kind, str(events), "2", str(colors), str(count), str(out)],
            capture_output=True, text=True,
        )
        if done.returncode != 0:
            sys.exit(f"{how}: {done.stderr[-2000:]}")
        told = [float(word) for word in done.stdout.split()]
        return 1000 * told[0] / events, told[1] if len(told) > 1 else 0

    # ---- rows

    def extraction(self, kind, layout, path):
        events, peer_events, imsave_events, goals = WORK[kind, layout]
        count = self.counts[kind, layout]
        raw, key = make_store(self.data, path.stem, kind, path, count)
        two, one = self.service(raw, 2), self.service(raw, 1)
        rounds = {name: [] for name in ("two", "one", *goals)}
        stages, peer_mb = [], {}
        for turn in range(self.args.rounds):
            for name, service in (("two", two), ("one", one)):
                service.clear()
                took, stage = service.submit([key])
                rounds[name].append(1000 * took / count)
                if name == "two":
                    stages.append(stage)
            for how in goals:
                n = min(count, imsave_events if how == IMSAVE else peer_events)
                ms, peer_mb[how] = self.peer(how, path, kind, n)
                rounds[how].append(ms)
        ours = {name: statistics.median(times) for name, times in rounds.items()}
        self.detail[f"{kind} {layout}"] = {
            "rounds": rounds,
            "stages": {s: statistics.median(x.get(s, 0) for x in stages) for s in stages[0]},
        }
        work = f"{kind} {layout}"
        if kind == "lght":
            work = "lght, a dataset an event, rows of flashes"
        for how, goal in goals.items():
            ratio = ours[how] / ours["two"]
            told = f" ({peer_mb[how]:.0f} MB)" if peer_mb[how] else ""
            self.row(f"{work}, vs {how}", f"{ours['two']:.2f} ms/event", f"{ours[how]:.1f} ms/event{told}",
                     f"{ratio:.1f}x", f">= {goal}x" if goal else "", ratio >= goal if goal else None)
        if kind != "lght":
            ratio = ours["one"] / ours["two"]
            self.row(f"{work}, one worker to two", f"{ours['two']:.2f} ms/event", f"{ours['one']:.2f} ms/event",
                     f"{ratio:.2f}x", ">= 1.9x", ratio >= 1.9)
        self.memory(work, kind, two, one)
        two.stop()
        one.stop()
        self.kernel_sum(work, kind, layout, path, ours)
        shutil.rmtree(raw)

    def memory(self, work, kind, two, one):
        most = two.status("VmHWM") / 1024
        goal = kind == "vil" and "own chunks" not in work
        self.row(f"{work}, peak RSS, two workers", f"{most:.0f} MB", f"one: {one.status('VmHWM') / 1024:.0f} MB",
                 "", "<= 80 MB" if goal else "", most <= 80 if goal else None)

    def kernel_times(self, commands, out):
        """[{kernel: ms of CPU an event}] of processes that run at the same time."""
        running = []
        for number, args in enumerate(commands):
            place = out / str(number)
            place.mkdir(exist_ok=True)
            command = [self.build / "tests" / "kernels", *args, place]
            running.append(subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True))
        told = [process.communicate()[0] for process in running]
        if any(process.returncode != 0 for process in running):
            sys.exit(f"kernels {commands[0]} failed")
        return [{name: float(ms) for name, ms in map(str.split, lines.splitlines())} for lines in told]

    def kernel_sum(self, work, kind, layout, path, ours):
        lines = storms.chunks_of(path, kind) if kind != "lght" else None
        if lines is None:
            return
        chunks, out = self.work / "chunks", self.work / "kernels"
        out.mkdir(exist_ok=True)
        chunks.write_text("\n".join(lines[:16]) + "\n")
        size = storms.SIZES[kind]
        sample = "uint8" if kind == "vil" else "int16"
        args = ["sum", path, chunks, kind, sample, size, size, storms.FRAMES]
        alone = self.kernel_times([args], out)[0]
        beside = self.kernel_times([args, args], out)
        one, two = sum(alone.values()), statistics.mean(sum(parts.values()) for parts in beside)
        self.detail[f"{kind} {layout}"]["kernels"] = {"alone": alone, "two at once": beside}
        # Two at once get in each other's way, whoever runs them: that is the machine's, not ours.
        self.row(f"{work}, the bare kernels, one process to two", f"{two / 2:.2f} ms/event", f"{one:.2f} ms/event",
                 f"{2 * one / two:.2f}x", "", None)
        for workers, mine, kernels in (("one worker", ours["one"], one), ("two workers", ours["two"], two / 2)):
            ratio = mine / kernels
            self.row(f"{work}, {workers}, vs its kernels' sum", f"{mine:.2f} ms/event", f"{kernels:.2f} ms/event",
                     f"{ratio:.2f}x", "<= 1.15x", ratio <= 1.15)
        shutil.rmtree(out)

    def sizes(self, kind, path):
        chunks = self.work / "chunks"
        chunks.write_text("\n".join(storms.chunks_of(path, kind)[:8]) + "\n")
        size = storms.SIZES[kind]
        sample = "uint8" if kind == "vil" else "int16"
        told = self.kernels("bytes", path, chunks, kind, sample, size, size, storms.FRAMES).stdout.decode()
        for line in told.splitlines():
            name, ours, theirs = line.split()
            if int(theirs) == 0:
                continue
            depth = 4 if kind == "vil" and name == "colors" else 8
            goal = 1.10 if depth == 4 else 0.95
            goal = goal if name == "colors" else 1.10
            ratio = int(ours) / int(theirs)
            what = "SEVIR's colours" if name == "colors" else "an identity palette"
            self.row(f"picture bytes, {kind}, {what}, {depth} bits, vs libpng", f"{int(ours) / 1e6:.2f} MB",
                     f"{int(theirs) / 1e6:.2f} MB", f"{ratio:.2f}", f"<= {goal:.2f}", ratio <= goal)

    def remote(self, layout):
        """Three events of 500, each request 20 ms away: first with nothing known, then with the layout."""
        sets = ((37, 211, 466), (38, 210, 467))
        path = self.data / f"large_{storms.name_of('vil', layout)}"
        storms.large(path, layout, 500, sorted(sets[0] + sets[1]))
        raw, key = make_store(self.data, path.stem, "vil", path, 500)
        bucket = Bucket(raw)
        rounds = {name: [] for name in ("first", "known", "ROS3", "fsspec", "whole")}
        asked = {}
        for turn in range(self.args.rounds):
            (raw / key).unlink()
            service = Service(
                self.build, Path(tempfile.mkdtemp(dir=self.work)), "s3://bench", extract={"workers": 2},
                select={"ids": [f"S{800000 + i}" for i in sets[0]]},
                aws={"endpoint_url": bucket.url, "anonymous": True, "region": "us-east-1",
                     "addressing": "path"},
            ).start()
            os.link(path, raw / key)
            for name, run in (
                ("first", lambda: service.submit([key], touch=False)),
                ("known", lambda: service.reload([key], select={"ids": [f"S{800000 + i}" for i in sets[1]]})),
            ):
                bucket.forget()
                rounds[name].append(1000 * run()[0])
                asked[name] = bucket.sent, [one for one in bucket.asked if one[1] == key]
            service.stop()
            for how in ("ROS3", "fsspec", "whole"):
                if how != "whole" or turn == 0:
                    rounds[how].append(self.remote_peer(how, f"{bucket.url}/bench/{key}", sets[0]))
        bucket.shutdown()
        self.remote_rows(layout, path, sets, {k: statistics.median(v) for k, v in rounds.items()}, asked)
        shutil.rmtree(raw)

    def remote_peer(self, how, url, events):
        out = self.work / "peer"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        if how == "ROS3":
            colors, count = self.colors_of("vil")
            chosen = ",".join(map(str, events)) + ","
            command = [self.build / "tests" / "peer", url, "vil", chosen, 2, colors, count, out]
        else:
            chosen = ",".join(map(str, events))
            command = [sys.executable, HERE / "peers.py", how, url, "vil", chosen, 1, "-", 0, out]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{how}: {done.stderr[-2000:]}")
        return 1000 * float(done.stdout.split()[0])

    def remote_rows(self, layout, path, sets, ms, asked):
        work = f"3 of 500 over HTTP, {layout}"
        lines = storms.chunks_of(path, "vil")
        bounds = {CONTIGUOUS: 1.01, EVENT: 1.03}
        self.detail[work] = {"ms": ms, "asked": asked}
        for name, events in (("first", sets[0]), ("known", sets[1])):
            needed = sum(int(lines[i].split()[1]) for i in events)
            ratio = asked[name][0] / needed
            what = "nothing known" if name == "first" else "layout in the catalog"
            self.row(f"{work}, bytes, {what}", f"{asked[name][0] / 1e6:.2f} MB", f"{needed / 1e6:.2f} MB needed",
                     f"{ratio:.3f}", f"<= {bounds[layout]}", ratio <= bounds[layout])
        for how, goal in (("ROS3", 4.5), ("whole", 100), ("fsspec", None)):
            for name in ("first", "known"):
                ratio = ms[how] / ms[name]
                what = "the same by C and ROS3" if how == "ROS3" else f"the pixels by {how}"
                self.row(f"{work}, {name}, vs {what}", f"{ms[name]:.0f} ms", f"{ms[how]:.0f} ms", f"{ratio:.1f}x",
                         f">= {goal}x" if goal and name == "first" else "",
                         ratio >= goal if goal and name == "first" else None)
        extra = [one for one in asked["known"][1] if one[0] != "GET" or not one[2]]
        self.row(f"{work}, requests, layout known", f"{len(asked['known'][1])}", f"first: {len(asked['first'][1])}", "",
                 "data only", not extra)

    def idle(self):
        import time

        raw = self.data / "raw" / "idle"
        raw.mkdir(parents=True, exist_ok=True)
        service = self.service(raw, 2)
        time.sleep(2)
        before, seconds = service.switches(), 3 if self.args.quick else 10
        time.sleep(seconds)
        woken, resident = service.switches() - before, service.status("VmRSS") / 1024
        service.stop()
        self.row("idle, resident", f"{resident:.1f} MB", "", "", "<= 20 MB", resident <= 20)
        self.row(f"idle, wake-ups in {seconds} s, no timer configured", f"{woken}", "", "", "0", woken == 0)

    def job_cost(self):
        """Many tiny objects: what is left when there is next to nothing to extract."""
        count = 100 if self.args.quick else 400
        raw = self.data / "raw" / "tiny"
        shutil.rmtree(raw, ignore_errors=True)
        raw.mkdir(parents=True)
        keys = [f"t_{i:04d}.csv" for i in range(count)]  # one series, so one table
        for key in keys:
            (raw / key).write_text("a,b\n1,2\n")
        results = {}
        for wrapped in (False, True):
            base = Path(tempfile.mkdtemp(dir=self.work))
            counts = base / "calls"
            wrapper = ["strace", "-f", "-c", "-e", "trace=fsync,fdatasync,syncfs,sync_file_range,sync,msync",
                       "-o", counts] if wrapped else []
            service = Service(self.build, base, raw, wrapper, extract={"workers": 2}).start()
            before = service.cpu()
            took, _ = service.submit(keys)
            if not wrapped:
                results["cpu"] = 1000 * (service.cpu() - before) / count
                results["wall"] = 1000 * took / count
            service.stop()
            if wrapped:
                calls = [line.split() for line in counts.read_text().splitlines()]
                total = sum(int(words[3]) for words in calls if len(words) >= 5 and words[-1] != "total" and words[0][0].isdigit())
                results["syncs"] = total / (2 * count)
        self.row(f"what a job costs ({count} tiny files of a table), CPU", f"{results['cpu']:.2f} ms", f"wall {results['wall']:.2f} ms", "",
                 "<= 3 ms", results["cpu"] <= 3)
        self.row(f"what a job costs ({count} tiny files of a table), syncs", f"{results['syncs']:.2f}", "", "", "<= 2", results["syncs"] <= 2)
        shutil.rmtree(raw)

    def run(self):
        quick = self.args.quick
        chosen = [work for work in WORK if self.wanted(*work)]
        if quick:
            chosen = [work for work in chosen if work in (("vil", CONTIGUOUS), ("vil", EVENT), ("ir069", EVENT), ("lght", CONTIGUOUS))]
        self.counts = {work: WORK[work][0] // (4 if quick else 1) for work in chosen}
        paths = storms.make(self.data, self.counts)
        self.table.head()
        for work in chosen:
            self.extraction(*work, paths[work])
        for kind in ("vil", "ir069", "vis"):
            if (kind, CONTIGUOUS) in paths and self.wanted("bytes"):
                self.sizes(kind, paths[kind, CONTIGUOUS])
        for layout in () if quick else (CONTIGUOUS, EVENT):
            if self.wanted("HTTP", layout):
                self.remote(layout)
        if self.wanted("idle"):
            self.idle()
        if self.wanted("job"):
            self.job_cost()
        return self.table.end(self.args.json, detail=self.detail)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("data")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", action="append")
    parser.add_argument("--json")
    args = parser.parse_args()
    args.rounds = args.rounds or (2 if args.quick else 5)
    bench = Bench(args)
    try:
        sys.exit(bench.run())
    finally:
        shutil.rmtree(bench.work, ignore_errors=True)


if __name__ == "__main__":
    main()
