#!/bin/sh
# What S3 and SQS cost us beside rclone, boto3 and awscli: one table, as run.sh's. The server is one of
# our own that is quicker than its clients (s3_server.c) and shares the machine with them. Not part of
# the suites: it needs a quiet machine and about ten minutes.
#
#     sh tests/bench/s3.sh [--only WORD]... [--rounds N] [--json FILE]
#     BENCH_QUICK=1 sh tests/bench/s3.sh                      fewer objects, two rounds
#
# Builds a release in build-bench (BENCH_BUILD: another) and installs Debian's rclone and awscli where
# they are missing. The status is 1 when a goal is missed.
set -eu
cd "$(dirname "$0")/../.."
dir=${BENCH_DIR:-/var/tmp/sevird-bench}
build=${BENCH_BUILD:-build-bench}
mkdir -p "$dir"

sh config/setup.sh run
if [ ! -x /usr/bin/rclone ] || [ ! -x /usr/bin/aws ]; then
    sudo=""
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get install -q -y --no-install-recommends rclone awscli >"$dir/apt.log" 2>&1 ||
        { cat "$dir/apt.log"; exit 1; }
fi
[ -f "$build/build.ninja" ] ||
    meson setup "$build" --buildtype=release -Dtests=enabled >"$dir/setup.log" 2>&1 ||
    { cat "$dir/setup.log"; exit 1; }
ninja -C "$build" daemon/sevird daemon/h5probe/sevird-h5probe daemon/ctl/sevirctl tests/s3_load \
    tests/s3_server tests/s3_floor >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; exit 1; }

if [ ! -x "$dir/s3-venv/bin/python" ]; then
    python3 -m venv "$dir/s3-venv"
    "$dir/s3-venv/bin/pip" install -q --disable-pip-version-check "$(grep boto3 tests/requirements.txt)"
fi

quick=""
[ -z "${BENCH_QUICK:-}" ] || quick=--quick
# shellcheck disable=SC2086 # Empty, or one flag.
exec "$dir/s3-venv/bin/python" tests/bench/s3_bench.py "$build" $quick "$@"
