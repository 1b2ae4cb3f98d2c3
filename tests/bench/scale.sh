#!/bin/sh
# How much memory and time the daemon takes at full size: the figures of docs/operations.md. Not part of
# the suites: it makes 20 GB and a million files under $TMPDIR, and takes a quarter of an hour.
#
#     sh tests/bench/scale.sh [small|real|large|keys|throughput]...
#
# PYTHON is one with h5py and numpy (default: .venv's, which tests/run.sh makes).
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
build="build-release"
[ $# -gt 0 ] || set -- small real large keys throughput

[ -f $build/build.ninja ] || meson setup $build --buildtype=release -Dtests=disabled >/dev/null
ninja -C $build daemon/sevird daemon/h5probe/sevird-h5probe >/dev/null

measure() {
    "$python" tests/bench/scale.py "$build" "$@"
}

for part; do
    case $part in
    small) # many events of few pixels: what grows with their number
        measure events --count 2000 --size 48 --budget 64
        ;;
    real) # events of SEVIR's own shape
        measure events --count 300 --budget 128
        measure events --count 300 --budget 256
        ;;
    large) # as many as SEVIR's largest files have
        measure events --count 2000 --budget 128
        ;;
    keys) measure keys --count 1000000 ;;
    throughput) measure throughput --count 64 --budget 256 ;;
    *)
        echo "scale.sh: there is no part '$part'" >&2
        exit 2
        ;;
    esac
done
