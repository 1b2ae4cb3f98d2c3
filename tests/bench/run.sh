#!/bin/sh
# What extraction takes beside what others take: one table, a row a piece of work, with its goal and
# whether it is met. Not part of the suites: it needs a quiet machine and about a quarter of an hour.
#
#     sh tests/bench/run.sh [--only WORD]... [--rounds N] [--json FILE]
#     BENCH_QUICK=1 sh tests/bench/run.sh                     a few rows, two rounds: a couple of minutes
#
# Builds a release in build-bench, installs the peers into a venv of its own and compiles one in C. What
# is kept between runs lies in $BENCH_DIR (default: /var/tmp/sevird-bench, about 3 GB); outputs go to
# /dev/shm. BENCH_BUILD names another build directory to measure. The status is 1 when a goal is missed.
set -eu
cd "$(dirname "$0")/../.."
dir=${BENCH_DIR:-/var/tmp/sevird-bench}
build=${BENCH_BUILD:-build-bench}
mkdir -p "$dir"

sh config/setup.sh run
[ -f "$build/build.ninja" ] ||
    meson setup "$build" --buildtype=release -Dtests=enabled >"$dir/setup.log" 2>&1 ||
    { cat "$dir/setup.log"; exit 1; }
ninja -C "$build" daemon/sevird daemon/h5probe/sevird-h5probe daemon/ctl/sevirctl tests/kernels \
    tests/peer >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; exit 1; }

if ! cmp -s tests/bench/requirements.txt "$dir/venv/requirements.txt"; then
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install -q --disable-pip-version-check -r tests/bench/requirements.txt
    cp tests/bench/requirements.txt "$dir/venv/"
fi

quick=""
[ -z "${BENCH_QUICK:-}" ] || quick=--quick
# shellcheck disable=SC2086 # Empty, or one flag.
exec "$dir/venv/bin/python" tests/bench/bench.py "$build" "$dir/data" $quick "$@"
