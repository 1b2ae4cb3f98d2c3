#!/bin/sh
# The main job on the embedded default: a raw store, the daemon, a processed store, nothing else.
# sh config/demo/run.sh [--keep DIR]      RAW=DIR sh config/demo/run.sh
set -eu

usage() {
    cat <<'END'
usage: sh config/demo/run.sh [--keep DIR]
       RAW=DIR sh config/demo/run.sh [--keep DIR]

Builds sevird, makes a small raw store in SEVIR's layout, runs it through the daemon and shows what
came out. Everything is put below ./demo, or below DIR with --keep, and stays there until the next run.

With RAW=DIR the daemon reads your own CATALOG.csv and HDF5 files where they are instead; nothing is
copied and nothing is written there.
END
}

die() {
    echo "run.sh: $*" >&2
    exit 1
}

began=$(date +%s)
top=$(cd "$(dirname "$0")/../.." && pwd)
keep=$top/demo
while [ $# -gt 0 ]; do
    case $1 in
    --keep)
        if [ $# -lt 2 ] || [ -z "$2" ]; then
            usage >&2
            exit 2
        fi
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
raw=""
if [ -n "${RAW:-}" ]; then
    raw=$(cd "$RAW" 2>/dev/null && pwd -P) || die "RAW='$RAW' is no folder that can be read"
fi
mkdir -p "$keep"
keep=$(cd "$keep" && pwd -P)
# Only a folder that is empty or an earlier demonstration's is cleared, and no raw store of yours.
if [ -n "$(ls -A "$keep")" ] && [ ! -e "$keep/.sevird-demo" ]; then
    die "'$keep' holds other things; name an empty folder with --keep"
fi
case $raw/ in
"$keep"/*) die "RAW lies in '$keep', which is cleared; name another folder with --keep" ;;
esac
case $keep/ in
"${raw:-/nowhere}"/*) die "'$keep' lies in RAW; name another folder with --keep" ;;
esac

bold="" plain=""
if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
# As it would be typed in the folder where we are.
short() { case $1 in "$PWD"/*) printf '%s' "${1#"$PWD"/}" ;; *) printf '%s' "$1" ;; esac; }
typed() { case $1 in *[!A-Za-z0-9/._-]*) printf "'%s'" "$1" ;; *) printf '%s' "$1" ;; esac; }

# ---- packages, build

build=$top/build-release
run_logged() { # COMMAND...
    "$@" >"$build/demo.log" 2>&1 || {
        tail -n 40 "$build/demo.log" >&2
        die "'$1' failed; all it said is in $build/demo.log"
    }
}
step "Packages and build"
sh "$top/config/setup.sh" run
if [ ! -e "$build/build.ninja" ]; then
    rm -rf "$build"
    mkdir "$build"
    run_logged meson setup "$build" "$top" --buildtype=release -Dtests=disabled
fi
case $(ninja -C "$build" -n 2>&1) in
*"no work to do"*) ;;
*)
    if [ -t 1 ]; then
        (cd "$build" && NINJA_STATUS="[%f of %t] " ninja)
    else
        run_logged ninja -C "$build"
    fi
    ;;
esac
echo "$("$build/daemon/sevird" --version), in $(short "$build")"

# ---- the raw store

touch "$keep/.sevird-demo"
rm -rf "$keep/processed" "$keep/state" "$keep/raw" "$keep/sevird.json" "$keep/sevird.log" \
    "$keep/metrics.txt"
mkdir -p "$keep/processed" "$keep/state"
sample=""
if [ -n "$raw" ]; then
    step "A raw store of your own, read where it is"
    echo "$raw"
else
    step "A small raw store, as SEVIR lays it out"
    sample=$build/demo-sample
    if [ ! -e "$sample/complete" ] ||
        [ -n "$(find "$build/config/demo/make_raw" -newer "$sample/complete")" ]; then
        rm -rf "$sample"
        "$build/config/demo/make_raw" "$sample"
        touch "$sample/complete"
    fi
    raw=$keep/raw
    mkdir "$raw"
    (cd "$sample" && find . -type f -name '*.[ch][s5]*' -printf '%s %P\n') | sort -k 2 |
        numfmt --to=si --suffix=B --padding=8
fi

# ---- the daemon

# The name of a socket has room for 107 bytes, and a folder may lie deep.
socket=$keep/state/control.sock
short_dir=""
if [ "$(printf %s "$socket" | wc -c)" -gt 100 ]; then
    short_dir=$(mktemp -d)
    socket=$short_dir/control.sock
fi
quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }
cat >"$keep/sevird.json" <<END
{
  "state_dir": "$(quoted "$keep/state")",
  "raw": {"uri": "$(quoted "file://$raw")"},
  "processed": {"uri": "$(quoted "file://$keep/processed")"},
  "sources": {"watch": true, "list": {"interval": "30s"}, "settle": "500ms"},
  "control": {"socket": "$(quoted "$socket")"},
  "http": {"listen": "127.0.0.1:0"}
}
END

daemon=""
# shellcheck disable=SC2317 # Called by the trap.
finish() {
    if [ -n "$daemon" ]; then
        kill -TERM "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
    fi
    [ -z "$short_dir" ] || rm -rf "$short_dir"
}
trap finish EXIT
trap 'exit 130' INT TERM
ctl() { "$build/daemon/ctl/sevirctl" --socket "$socket" "$@"; }

step "sevird"
"$build/daemon/sevird" --config "$keep/sevird.json" 2>"$keep/sevird.log" &
daemon=$!
until ctl status >/dev/null 2>&1; do
    if ! kill -0 "$daemon" 2>/dev/null; then
        tail -n 5 "$keep/sevird.log" >&2
        die "sevird did not start"
    fi
    sleep 0.05
done
ctl status

# ---- the way of the objects

code=0
put() { # FILE... FOLDER
    for folder; do :; done
    out=$(ctl upload "$@")
    printf '%-38s %s\n' "to $folder" "$out"
}
if [ -n "$sample" ]; then
    step "sevirctl upload, wait: without its catalog no file can be extracted"
    (
        cd "$keep"
        for type in vil ir069 ir107 vis lght; do
            put "$sample/data/$type"/2019/*.h5 "raw/data/$type/2019/"
        done
        put "$sample"/StormEvents_details*.csv raw/storm_events/
    )
    ctl wait --timeout 10m || code=$?

    step "sevirctl upload, wait: with the catalog every one of them is"
    (cd "$keep" && put "$sample/CATALOG.csv" raw/)
else
    step "sevirctl wait: until everything is done"
fi
ctl wait --timeout 24h || code=$?
ctl reconcile

step "sevirctl jobs: what became of each object"
ctl jobs

ask() { # SQL
    printf '%s\n\n' "$1"
    ctl query "$1" || code=1
}
if [ "$(ctl query "SELECT count(*) FROM frames WHERE img_type = 'vil'" --format csv | tail -n 1)" -gt 0 ]; then
    step "sevirctl query: when was each storm at its worst? (the area of VIL 133 and above)"
    ask "SELECT id, time_utc, round(max(a133), 3) AS area, image
FROM frames WHERE img_type = 'vil'
GROUP BY id, file_index ORDER BY area DESC LIMIT 10"
else
    step "sevirctl query: what is in it?"
    ask "SELECT img_type, count(DISTINCT id) AS events, count(*) AS rows, min(time_utc) AS since,
       max(time_utc) AS until
FROM events GROUP BY img_type"
fi

# ---- what is left of it

http=$(ctl status | sed -n 's/^http *//p')
curl -fsS "${http}metrics" >"$keep/metrics.txt"
processed=$(short "$keep/processed")
sheet=$(find "$keep/processed" -name sheet.png | sort | sed -n '/img_type=vil/{p;q}; $p' | head -n 1)

step "Where to look"
echo "pictures   $processed/images/"
[ -z "$sheet" ] || echo "           first at $(short "$sheet")"
echo "tables     $processed/{catalog,frames,flashes,tables}/"
echo "manifests  $processed/_manifests/    what was made from which version of what"
echo "log        $(short "$keep/sevird.log")"
echo "metrics    $(short "$keep/metrics.txt"), as ${http}metrics told them; some are"
grep -E '^sevird_(extract_(events|frames)|put_(bytes|objects))_total|^sevird_jobs.*(DONE|QUARANTINED)' \
    "$keep/metrics.txt" | sed 's/^/           /'

step "Stop"
kill -TERM "$daemon"
if wait "$daemon"; then
    echo "sevird stopped cleanly; all of it took $(($(date +%s) - began)) seconds"
else
    echo "run.sh: sevird did not stop cleanly; see $keep/sevird.log" >&2
    code=1
fi
daemon=""
cat <<END

It remembers everything. To look around, start it again, and in another terminal sevirctl:
  $(typed "$(short "$build/daemon/sevird")") --config $(typed "$(short "$keep/sevird.json")")
  export SEVIRD_SOCKET=$(typed "$socket")
  $(typed "$(short "$build/daemon/ctl/sevirctl")") top      (or explain 1, tables, help)
and in a browser the dashboard, at the address that sevirctl status shows.
END
exit "$code"
