"""Make the dashboard's files and write them as a table for the daemon (daemon/ops/assets.h).

    build.py MODE OUTPUT.c      MODE: enabled, auto, disabled

What Vite makes is kept in .cache/ by the digest of everything it is made from, so that several
build directories share one build, and one that has it needs neither npm nor a network. Where it
cannot be made, `auto` says so in one line and writes an empty table: the daemon then serves the plain
page. `enabled` fails instead.
"""

import fcntl
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
MOST_BYTES = 300_000  # of all files, compressed
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
INPUTS = ("package.json", "package-lock.json", "vite.config.js", "tsconfig.json", "index.html", "src", "public")


class Missing(Exception):
    """The dashboard cannot be made here."""


def inputs():
    for name in INPUTS:
        path = HERE / name
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def digest():
    sha256 = hashlib.sha256()
    for path in inputs():
        content = path.read_bytes()
        sha256.update(f"{path.relative_to(HERE)} {len(content)}\n".encode())
        sha256.update(content)
    return sha256.hexdigest()[:24]


def run(command, folder, seconds):
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{' '.join(command[:2])}: {type(error).__name__}") from None
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines or ["it failed"]
        raise Missing(f"{' '.join(command[:2])}: {errors[0].strip()[:120]}")


def packages(folder):
    """node_modules/ as package-lock.json says."""
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / ".stamp"
    if stamp.is_file() and stamp.read_bytes() == lock:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("there is no npm")
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    run([npm, "ci", *quiet, "--fetch-retries=0", "--fetch-timeout=20000"], folder, 300)
    stamp.write_bytes(lock)


def vite(cache, made):
    """Vite runs in the cache folder, on a copy: the source tree may be read-only."""
    work = cache / "work"
    work.mkdir(exist_ok=True)
    for name in INPUTS:
        source, target = HERE / name, work / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
    packages(work)
    shutil.rmtree(work / "dist", ignore_errors=True)
    node = shutil.which("node")
    if node is None:
        raise Missing("there is no node")
    run([node, str(work / "node_modules" / "vite" / "bin" / "vite.js"), "build"], work, 300)
    for old in cache.iterdir():  # one is enough, and they are quickly made
        if old.is_dir() and re.fullmatch(r"[0-9a-f]{24}", old.name):
            shutil.rmtree(old)
    (work / "dist").rename(made)


def writable_cache(output):
    for folder in (HERE / ".cache", Path(output).resolve().parent / "dashboard-cache"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise Missing("no folder can be written")


def files(output):
    """[(name, bytes)], made now or earlier."""
    cache = writable_cache(output)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = cache / digest()
        if not made.is_dir():
            vite(cache, made)
        return sorted((str(p.relative_to(made)), p.read_bytes()) for p in made.rglob("*") if p.is_file())


def table(content):
    lines = ["/* Made by daemon/dashboard/build.py. */", '#include "daemon/ops/assets.h"', ""]
    total = 0
    entries = []
    for number, (name, raw) in enumerate(content):
        packed = gzip.compress(raw, 9, mtime=0)
        total += len(packed)
        kind = TYPES.get(Path(name).suffix)
        if kind is None:
            sys.exit(f"dashboard: '{name}': no content type is known for it; add one in build.py")
        lines.append(f"static const unsigned char file_{number}[] = {{")
        lines += [",".join(map(str, packed[at : at + 32])) + "," for at in range(0, len(packed), 32)]
        lines.append("};")
        tag = hashlib.sha256(raw).hexdigest()[:16]
        entries.append(f'    {{"{name}", "{kind}", "\\"{tag}\\"", file_{number}, sizeof(file_{number}), {len(raw)}}},')
    if total > MOST_BYTES:
        sys.exit(f"dashboard: {total} bytes compressed are more than {MOST_BYTES}")
    lines += ["const struct ops_asset ops_assets[] = {", *entries, "    {0},", "};"]
    lines.append(f"const unsigned ops_asset_count = {len(content)};")
    return "\n".join(lines) + "\n"


def main(mode, output):
    content = []
    if mode != "disabled":
        try:
            content = files(output)
        except Missing as why:
            if mode == "enabled":
                sys.exit(f"dashboard: {why}")
            print(f"dashboard: {why}; the daemon will serve a plain page", file=sys.stderr)
    with tempfile.NamedTemporaryFile("w", dir=Path(output).resolve().parent, delete=False) as file:
        file.write(table(content))
    os.replace(file.name, output)


if __name__ == "__main__":
    main(*sys.argv[1:])
