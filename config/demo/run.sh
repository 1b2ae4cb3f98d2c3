#!/bin/sh
# The main job on the embedded default: a raw store, the daemon, a processed store, nothing else.
# sh config/demo/run.sh [--keep DIR]      RAW=DIR sh config/demo/run.sh
set -eu

usage() {
    cat <<'EOF'
usage: sh config/demo/run.sh [--keep DIR]
       RAW=DIR sh config/demo/run.sh [--keep DIR]

Builds sevird, makes a small raw store in SEVIR's layout, runs it through the daemon and shows what
came out. Everything is put below ./demo, or below DIR with --keep, and stays there until the next run.

With RAW=DIR the daemon reads your own CATALOG.csv and HDF5 files where they are instead; nothing is
copied and nothing is written there.
EOF
}

top=$(cd "$(dirname "$0")/../.." && pwd)
keep=$top/demo
while [ $# -gt 0 ]; do
    case $1 in
    --keep)
        [ $# -ge 2 ] || { usage >&2; exit 2; }
        keep=$2
        shift
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "run.sh: unknown argument '$1'" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift
done
if [ -n "${RAW:-}" ] && [ ! -d "$RAW" ]; then
    echo "run.sh: RAW='$RAW' is not a directory" >&2
    exit 1
fi
mkdir -p "$keep"
keep=$(cd "$keep" && pwd)
raw=${RAW:+$(cd "$RAW" && pwd)}
# Only a folder that is empty or an earlier demo's is cleared.
if [ -n "$(ls -A "$keep")" ] && [ ! -e "$keep/sevird.json" ]; then
    echo "run.sh: '$keep' holds other things; choose an empty folder" >&2
    exit 1
fi

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

step "Packages and build"
sh "$top/config/setup.sh" run
build=$top/build-release
if [ ! -e "$build/build.ninja" ]; then
    meson setup "$build" "$top" --buildtype=release -Dtests=disabled >"$top/.demo-build.log" 2>&1 || {
        cat "$top/.demo-build.log" >&2
        exit 1
    }
fi
ninja -C "$build" >"$top/.demo-build.log" 2>&1 || {
    cat "$top/.demo-build.log" >&2
    exit 1
}
echo "$("$build/daemon/sevird" --version) is built in $build"

step "A raw store"
rm -rf "$keep/processed" "$keep/state" "$keep/raw" "$keep/sevird.json" "$keep/sevird.log"
mkdir -p "$keep/processed" "$keep/state" "$keep/raw"
if [ -n "$raw" ]; then
    echo "your own, read where it is: $raw"
else
    sample=$build/demo-sample
    if [ ! -e "$sample/complete" ] || [ -n "$(find "$build/config/demo/make_raw" -newer "$sample/complete")" ]; then
        rm -rf "$sample"
        "$build/config/demo/make_raw" "$sample"
        touch "$sample/complete"
    fi
    raw=$keep/raw
    (cd "$sample" && find . -name '*.h5' -o -name '*.csv' | sort | xargs ls -sh1 --)
fi

# A port that is free, so that a second demo, or a daemon at work, is not in the way.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$keep/sevird.json" <<EOF
{
  "state_dir": "$keep/state",
  "raw": {"uri": "file://$raw"},
  "processed": {"uri": "file://$keep/processed"},
  "sources": {"watch": true, "list": {"interval": "30s"}, "settle": "500ms"},
  "control": {"socket": "$keep/state/control.sock"},
  "http": {"listen": "127.0.0.1:$port"}
}
EOF

step "sevird"
"$build/daemon/sevird" --config "$keep/sevird.json" 2>"$keep/sevird.log" &
daemon=$!
# shellcheck disable=SC2317  # called by the trap
finish() {
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
}
trap finish EXIT
trap 'exit 130' INT TERM
ctl() { "$build/daemon/ctl/sevirctl" --socket "$keep/state/control.sock" "$@"; }
until ctl status >/dev/null 2>&1; do
    if ! kill -0 "$daemon" 2>/dev/null; then
        tail -n 5 "$keep/sevird.log" >&2
        exit 1
    fi
    sleep 0.05
done
echo "running as process $daemon, its log in $keep/sevird.log"

if [ -z "${RAW:-}" ]; then
    step "Upload: the catalog last, so that the files are seen waiting for it"
    for type in vil ir069 ir107 vis lght; do
        ctl upload "$sample/data/$type"/2019/*.h5 "file://$raw/data/$type/2019/"
    done
    ctl upload "$sample"/StormEvents_details*.csv "file://$raw/storm_events/"
    ctl upload "$sample/CATALOG.csv" "file://$raw/"
fi
ctl reconcile

step "Wait until everything is done"
code=0
ctl wait --timeout 24h || code=$?

step "What became of each object"
ctl jobs

step "A question in SQL: the strongest minute of each storm, by the area of VIL 133 and above"
ctl query "SELECT f.id, e.event_type, max(f.a133) AS area, f.time_utc, f.image
           FROM frames AS f JOIN events AS e
             ON e.id = f.id AND e.img_type = f.img_type AND e.file_index = f.file_index
           WHERE f.img_type = 'vil' GROUP BY f.id, f.file_index ORDER BY area DESC LIMIT 10" || code=1

step "Where to look"
echo "pictures   $keep/processed/images/       e.g. $(cd "$keep/processed" && find images -name sheet.png 2>/dev/null | sort | head -n 1)"
echo "tables     $keep/processed/frames/ flashes/ catalog/ tables/"
echo "manifests  $keep/processed/_manifests/"
echo "metrics    http://127.0.0.1:$port/metrics while it runs; now:"
curl -fsS "http://127.0.0.1:$port/metrics" | grep -E '^sevird_(extract_(events|frames)_total|put_(bytes|objects)_total|jobs\{state="(DONE|QUARANTINED)")' | sed 's/^/           /'

step "Stop"
kill -TERM "$daemon"
if wait "$daemon"; then
    echo "sevird stopped cleanly"
else
    echo "run.sh: sevird did not stop cleanly; see $keep/sevird.log" >&2
    code=1
fi
trap - EXIT
exit "$code"
