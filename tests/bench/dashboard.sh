#!/bin/sh
# The dashboard with a full catalog: sh tests/bench/dashboard.sh [DIR]
#
# Fills a catalog.db below DIR (default: a temporary one) with 76,004 catalog rows and five million
# frames (3 GB; some minutes), serves it with the release build, and measures first paint, filters and
# how long the loop was held with ten pages open, each with its limit: met or NOT. The browser runs under
# `nice -n 19`, because an operator's runs on another machine: here it would take the processors that the
# loop's thread waits for. Only a quiet machine says something of the last. A DIR that was filled before is used as it is.
# Needs .venv (tests/run.sh makes it) and Chromium.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${SEVIRD_RELEASE_BUILD:-$top/build-release}
python=$top/.venv/bin/python
dir=${1:-}
daemon=""
# shellcheck disable=SC2317 # Called by the trap.
finish() {
    if [ -n "$daemon" ]; then
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    [ -n "${1:-}" ] || rm -rf "$dir"
}
keep=$dir
[ -n "$dir" ] || dir=$(mktemp -d)
trap 'finish "$keep"' EXIT
trap 'exit 130' INT TERM
[ -f "$build/build.ninja" ] ||
    meson setup "$build" "$top" --buildtype=release -Dtests=disabled >/dev/null
ninja -C "$build" daemon/sevird daemon/h5probe/sevird-h5probe >/dev/null
mkdir -p "$dir/raw" "$dir/processed" "$dir/state"
cat >"$dir/sevird.json" <<END
{"state_dir": "$dir/state", "raw": {"uri": "file://$dir/raw"}, "processed": {"uri": "file://$dir/processed"},
 "control": {"socket": "$dir/control.sock"}, "http": {"listen": "127.0.0.1:0"}}
END
start() {
    "$build/daemon/sevird" --config "$dir/sevird.json" 2>"$dir/sevird.log" &
    daemon=$!
    until grep -q 'listening at http' "$dir/sevird.log" && [ -S "$dir/control.sock" ]; do
        kill -0 "$daemon" || { cat "$dir/sevird.log" >&2; exit 1; }
        sleep 0.1
    done
}
if [ ! -e "$dir/filled" ]; then
    start # makes catalog.db
    kill -TERM "$daemon"
    wait "$daemon"
    "$python" "$top/tests/bench/dashboard.py" fill "$dir/state/catalog.db" \
        "$top/daemon/catalog/catalog_facts_sql.h"
    touch "$dir/filled"
fi
start
url=$(sed -n 's/.*listening at \(http:[^ ]*\).*/\1/p' "$dir/sevird.log" | tail -n 1)
"$python" "$top/tests/bench/dashboard.py" measure "$url"
