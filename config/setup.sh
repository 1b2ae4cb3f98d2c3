#!/bin/sh
# Install the Debian packages that sevird needs: `sh config/setup.sh [run|test]`
#
# run: to build and run it; test (the default): to test it as well.
# Quick when nothing is missing; then neither root nor a network is needed.
set -eu

run="build-essential meson ninja-build pkg-config
libuv1-dev libssl-dev libjansson-dev libsqlite3-dev libpng-dev libdeflate-dev libisal-dev
libcurl4-openssl-dev libmicrohttpd-dev libcsv-dev zlib1g-dev libhdf5-dev libseccomp-dev
libsystemd-dev uthash-dev
ca-certificates curl procps python3 python3-venv"
test="clang clang-format git libclang-rt-14-dev libcmocka-dev llvm prometheus shellcheck systemd"

die() {
    echo "setup: $*" >&2
    exit 1
}

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

echo "setup: installing$missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
        die "packages are missing and there is no sudo; as root: apt-get install$missing"
    as_root="sudo"
fi
# Prometheus is wanted for promtool alone: its packages must not start servers here.
policy=/usr/sbin/policy-rc.d
quiet=no
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
    quiet=yes
fi
status=0
# shellcheck disable=SC2086
{
    $as_root apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends $missing
} || status=$?
[ $quiet = no ] || $as_root rm -f $policy
[ "$status" -eq 0 ] || die "apt-get failed; is there a network? By hand: apt-get install$missing"
