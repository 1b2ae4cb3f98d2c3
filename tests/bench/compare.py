#!/usr/bin/env python3
"""Two daemons in turn on the same files: what compare.sh prints.

    compare.py BUILD_BEFORE BUILD_NOW DATA [--rounds N] [--only WORD]...

Wall time and CPU time of an event, medians of the rounds. On a busy machine read the CPU's.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import storms
from bench import WORK, make_store
from service import Service

MARGIN = 1.05


def measure(builds, work, path, count, args, base):
    raw, key = make_store(Path(args.data), "compare", work[0], path, count)
    services = []
    for name, build in builds.items():
        (base / name).mkdir()
        extract = {"memory": "256MiB", "workers": args.workers}
        services.append((name, Service(build, base / name, raw, extract=extract).start()))
    wall, cpu = {name: [] for name in builds}, {name: [] for name in builds}
    for turn in range(args.rounds + 1):
        for name, service in services if turn % 2 else services[::-1]:
            service.clear()
            used = service.cpu()
            took, _ = service.submit([key])
            if turn > 0:  # the first warms up
                wall[name].append(1000 * took / count)
                cpu[name].append(1000 * (service.cpu() - used) / count)
    most = {name: service.status("VmHWM") / 1024 for name, service in services}
    for name, service in services:
        service.stop()
        shutil.rmtree(base / name)
    return wall, cpu, most


def told(values):
    return f"{statistics.median(values):7.2f} ({min(values):.2f}-{max(values):.2f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("before")
    parser.add_argument("now")
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", action="append")
    args = parser.parse_args()
    builds = {"before": args.before, "now": args.now}
    chosen = [w for w in WORK if not args.only or any(word in " ".join(w) for word in args.only)]
    counts = {work: WORK[work][0] for work in chosen}
    paths = storms.make(args.data, counts)
    base = Path(tempfile.mkdtemp(prefix="sevird-compare-", dir="/dev/shm"))
    slower = []
    print(f"{'ms an event':<36} {'':>4} {'before':>26} {'now':>26} {'now/before':>10}")
    try:
        for work in chosen:
            wall, cpu, most = measure(builds, work, paths[work], counts[work], args, base)
            for what, times in (("wall", wall), ("CPU", cpu)):
                before, now = times["before"], times["now"]
                ratio = statistics.median(now) / statistics.median(before)
                print(f"{' '.join(work):<36} {what:>4} {told(before):>26} {told(now):>26} {ratio:>10.3f}", flush=True)
                if ratio > MARGIN and min(now) > statistics.median(before):
                    slower.append(f"{' '.join(work)} ({what}, {ratio:.2f}x)")
            print(f"{'':<36}  RSS {most['before']:>23.0f} MB {most['now']:>23.0f} MB", flush=True)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print("slower: " + ("; ".join(slower) if slower else "nothing"))
    sys.exit(1 if slower else 0)


if __name__ == "__main__":
    main()
