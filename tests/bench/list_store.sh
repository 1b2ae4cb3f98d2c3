#!/bin/sh
# Lists a million objects: all in one directory, a thousand in each of a thousand, one in each of a
# million. Not part of the suites: it makes three million files under $TMPDIR and takes minutes.
#
#     sh tests/bench/list_store.sh [COUNT] [one|thousand|million]...
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
count=${1:-1000000}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- one thousand million
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

# shellcheck disable=SC2046 # One flag a word.
cc -O2 -std=gnu17 -D_GNU_SOURCE -I"$top" -o "$work/list_store" "$top/tests/bench/list_store.c" \
    "$top"/lib/base/*.c "$top"/lib/run/*.c "$top"/lib/store/*.c \
    $(pkg-config --cflags --libs libuv openssl libsystemd) -lm -lpthread

make_files() {
    python3 - "$1" "$count" "$2" <<'PYTHON'
import os, sys
root, count, shape = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.makedirs(root)
made = set()
for i in range(count):
    name = f"SEVIR_VIL_STORMEVENTS_2019_{i * 7919 % count:07d}.h5"
    folder = {"one": "", "thousand": f"d{i % 1000:04d}/", "million": f"d{i % 100}/e{i:07d}/"}[shape]
    if folder not in made:
        os.makedirs(os.path.join(root, folder), exist_ok=True)
        made.add(folder)
    os.close(os.open(os.path.join(root, folder, name), os.O_WRONLY | os.O_CREAT))
PYTHON
}

for shape in "$@"; do
    make_files "$work/$shape" "$shape"
    echo "$count files, directories: $shape"
    "$work/list_store" "$work/$shape"
    if command -v strace > /dev/null && [ "$count" -le 100000 ]; then
        strace -f -c -S calls -o "$work/calls" "$work/list_store" "$work/$shape" > /dev/null
        head -9 "$work/calls"
    fi
    rm -rf "${work:?}/$shape"
done
