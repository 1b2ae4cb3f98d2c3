#!/bin/sh
# Fuzz every parser for a while: `sh tests/fuzz/run.sh [SECONDS_EACH [NAME...]]`
# What is found, and what is new and interesting, stays in build-fuzz/found/NAME/.
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
if [ ! -f build-fuzz/build.ninja ]; then
    CC=clang meson setup build-fuzz -Dfuzzers=true -Dtests=enabled \
        -Db_sanitize=address,undefined -Db_lundef=false
fi
ninja -C build-fuzz
if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source#tests/fuzz/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi
failed=""
for name; do
    found=build-fuzz/found/$name
    mkdir -p "$found"
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "build-fuzz/tests/fuzz/fuzz_$name" \
        -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 \
        -artifact_prefix="$found/" "$found" "tests/fuzz/corpus/$name" || failed="$failed $name"
done
[ -z "$failed" ] || {
    echo "fuzz: failed:$failed" >&2
    exit 1
}
