#!/bin/sh
# Whether this tree is slower than another revision: both daemons in turn, and what became slower.
#
#     sh tests/bench/compare.sh REV [--rounds N] [--only WORD]...
#
# REV is built beside this tree, in $BENCH_DIR (default: /var/tmp/sevird-bench). The status is 1 when
# something is slower by more than its own spread and five per cent.
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || { echo "usage: compare.sh REV [--rounds N] [--only WORD]..." >&2; exit 2; }
rev=$(git rev-parse --verify "$1^{commit}")
shift
dir=${BENCH_DIR:-/var/tmp/sevird-bench}
tree=$dir/rev-$rev
build=${BENCH_BUILD:-build-bench}
mkdir -p "$dir"

made() { # SOURCE BUILD
    [ -f "$2/build.ninja" ] || meson setup "$2" "$1" --buildtype=release -Dtests=disabled >"$dir/setup.log" 2>&1 ||
        { cat "$dir/setup.log" >&2; exit 1; }
    ninja -C "$2" daemon/sevird daemon/h5probe/sevird-h5probe >"$dir/build.log" 2>&1 ||
        { cat "$dir/build.log" >&2; exit 1; }
}

if [ ! -d "$tree" ]; then
    mkdir "$tree.new"
    git archive "$rev" | tar -x -C "$tree.new"
    mv "$tree.new" "$tree"
fi
made "$tree" "$tree/build"
made . "$build"
python=$dir/venv/bin/python
if ! cmp -s tests/bench/requirements.txt "$dir/venv/requirements.txt"; then
    python3 -m venv "$dir/venv"
    "$dir/venv/bin/pip" install -q --disable-pip-version-check -r tests/bench/requirements.txt
    cp tests/bench/requirements.txt "$dir/venv/"
fi
exec "$python" tests/bench/compare.py "$tree/build" "$build" "$dir/data" "$@"
