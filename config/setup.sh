#!/bin/sh
# Install the Debian packages that sevird needs: `sh config/setup.sh [run|test]`
#
# run: to build and run it; test (the default): to test it as well.
# Quick when nothing is missing; then neither root nor a network is needed.
set -eu

run="build-essential meson ninja-build pkg-config
libuv1-dev libssl-dev libjansson-dev libsqlite3-dev libpng-dev libdeflate-dev libisal-dev
libcurl4-openssl-dev libmicrohttpd-dev libcsv-dev zlib1g-dev libhdf5-dev libseccomp-dev
libsystemd-dev uthash-dev libexpat1-dev
ca-certificates curl"
test="chromium clang clang-format git libclang-rt-14-dev libcmocka-dev llvm prometheus python3 python3-venv
shellcheck systemd"

die() {
    echo "setup: $*" >&2
    exit 1
}

# The dashboard is built with npm, which may have come from elsewhere; without it the daemon serves a plain page.
command -v npm >/dev/null 2>&1 || test="$test nodejs npm"

[ $# -gt 0 ] || set -- test
wanted=""
for part; do
    case $part in
    run) wanted="$wanted $run" ;;
    test) wanted="$wanted $run $test" ;;
    *) die "unknown part '$part'; use 'run' or 'test'" ;;
    esac
done

command -v dpkg-query >/dev/null 2>&1 ||
    die "this is no Debian system: install by hand what stands for:$wanted"

# shellcheck disable=SC2086 # One name a word. Not even a name of it is known: not installed.
installed=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null |
    sed -n 's/^ii *//p' | tr '\n' ' ') "
missing=""
for package in $wanted; do
    case "$installed$missing " in
    *" $package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

by_hand="by hand, as root: apt-get install$missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || die "packages are missing and there is no sudo; $by_hand"
    as_root="sudo"
fi
# shellcheck disable=SC2086
echo "setup: installing what is missing of Debian's packages (it takes minutes):" $missing |
    fold -s -w 79
# What asks for a password asks now, not among what apt has to say.
$as_root true || die "sudo refused; $by_hand"

policy=/usr/sbin/policy-rc.d
dir=$(mktemp -d)
quiet=no
# shellcheck disable=SC2317 # Called by the trap.
clean() {
    [ $quiet = no ] || $as_root rm -f $policy
    rm -rf "$dir"
}
trap clean EXIT
trap 'exit 130' INT TERM

# On a terminal the last line that a command wrote; all of it is in the log.
roll() {
    [ -t 1 ] || { cat >"$dir/log"; return; }
    tee "$dir/log" | while IFS= read -r line; do
        printf '\r\033[K%.78s' "$line"
    done
    printf '\r\033[K'
}

apt_get() {
    {
        code=0
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y "$@" </dev/null 2>&1 || code=$?
        echo $code >"$dir/code"
    } | roll
    [ "$(cat "$dir/code")" -eq 0 ] || {
        tail -n 15 "$dir/log" >&2
        die "'apt-get $1' failed; is there a network? $by_hand"
    }
}

# Prometheus is wanted for promtool alone: its packages must not start servers here.
if [ ! -e $policy ]; then
    quiet=yes
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
fi
apt_get update
# shellcheck disable=SC2086
apt_get install --no-install-recommends $missing
