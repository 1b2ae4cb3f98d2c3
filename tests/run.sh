#!/bin/sh
# Build with sanitizers and run every suite: `sh tests/run.sh [PART]...`
#
#   lint     rules of the house, each with a proof that it can fail
#   unit     cmocka programs, gcc, ASan and UBSan
#   fuzz     every corpus once through its fuzzer, gcc, ASan and UBSan
#   flow     the daemon from outside (pytest)
#   clang    the unit tests and the corpora again, clang, ASan and UBSan
#   threads  what has threads, under TSan
#
# The last line counts what passed and failed over all parts; the exit status is 1 when something
# failed. Each part leaves its log in build-asan/logs/. JOBS=N changes the parallelism.
set -u
cd "$(dirname "$0")/.." || exit 1

jobs=${JOBS:-2}
logs=build-asan/logs
passed=0 failed=0 skipped=0
export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1"

say() {
    printf '\n== %s\n' "$*"
}

die() {
    echo "tests/run.sh: $*" >&2
    finish 1
}

finish() {
    [ "$1" -eq 0 ] || failed=$((failed + 1))
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ] || exit 1
    exit 0
}

# What went wrong in a command that should not fail, and nothing when it went well.
quietly() { # LOG COMMAND...
    log=$logs/$1
    shift
    "$@" >"$log" 2>&1 && return 0
    tail -n 60 "$log"
    die "'$*' failed; its log is $log"
}

# Add a part's numbers to ours.
count() { # LABEL KIND FILE STATUS
    numbers=$("$python" tests/count.py "$2" "$3" "$4") || numbers="0 1 0"
    # shellcheck disable=SC2086 # Three numbers.
    set -- "$1" $numbers
    echo "$1: $2 passed, $3 failed, $4 skipped"
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

packages() {
    say "packages"
    sh config/setup.sh test || die "packages are missing"
    python=/usr/bin/python3
    [ -x $python ] || python=python3
}

# The flow tests' Python packages, once a list of them. They come while the compilers work.
venv() {
    stamp=.venv/requirements.txt
    if ! cmp -s tests/requirements.txt $stamp; then
        "$python" -m venv --clear .venv &&
            .venv/bin/pip install -q --disable-pip-version-check -r tests/requirements.txt &&
            cp tests/requirements.txt $stamp
    fi
}

configure() { # DIR COMPILER SANITIZERS
    [ -f "$1/build.ninja" ] && return 0
    rm -rf "$1/meson-private"
    quietly "setup-$1.log" env CC="$2" meson setup "$1" -Dwerror=true -Dtests=enabled \
        -Db_sanitize="$3" -Db_lundef=false
}

build() { # DIR COMPILER SANITIZERS [TARGET...]
    say "build: $2, $3"
    configure "$1" "$2" "$3"
    dir=$1
    shift 3
    quietly "ninja-$dir.log" ninja -j "$jobs" -C "$dir" "$@"
}

# Run a suite of meson's; a failure shows its output.
suite() { # LABEL DIR SUITE
    say "$1"
    meson test -C "$2" --no-rebuild --num-processes "$jobs" --suite "$3" --print-errorlogs \
        --logbase "$3" >"$logs/$1.log" 2>&1
    status=$?
    [ $status -eq 0 ] || sed -n '/^Ok: /q;p' "$logs/$1.log" | tail -n 200
    count "$1" meson "$2/meson-logs/$3.json" $status
}

# Memory is measured on a release build; the demonstration shares it.
release() {
    say "build: gcc, release"
    [ -f build-release/build.ninja ] ||
        quietly setup-release.log meson setup build-release --buildtype=release -Dtests=disabled
    quietly ninja-release.log ninja -j "$jobs" -C build-release daemon/sevird \
        daemon/h5probe/sevird-h5probe
    export SEVIRD_RELEASE_BUILD="$PWD/build-release"
}

flow() {
    release
    say "flow"
    wait "$venv" || {
        tail -n 60 $logs/venv.log
        die "the Python packages cannot be installed; the log is $logs/venv.log"
    }
    rm -f $logs/flow.xml
    # They wait for servers and time-outs more than they compute: one more than there are processors.
    .venv/bin/python -m pytest tests/flow -n $((jobs + 1)) --dist worksteal --timeout 600 -q -rfEs \
        -p no:cacheprovider --junitxml $logs/flow.xml >$logs/flow.log 2>&1
    status=$?
    [ $status -eq 0 ] || tail -n 200 $logs/flow.log
    count flow pytest $logs/flow.xml $status
}

run_part() {
    case $1 in
    lint) suite lint build-asan lint ;;
    unit) suite unit build-asan unit ;;
    fuzz) suite fuzz build-asan fuzz ;;
    flow) flow ;;
    clang)
        build build-clang clang address,undefined
        suite clang build-clang unit
        suite clang-fuzz build-clang fuzz
        ;;
    threads)
        configure build-tsan gcc thread
        # shellcheck disable=SC2046 # One target a word.
        build build-tsan gcc thread $("$python" tests/count.py targets build-tsan threads)
        suite threads build-tsan threads
        ;;
    *) die "unknown part '$1'; there are lint, unit, fuzz, flow, clang, threads" ;;
    esac
}

[ $# -gt 0 ] || set -- lint unit fuzz flow threads clang
mkdir -p $logs
packages
case " $* " in *" flow "*)
    venv >$logs/venv.log 2>&1 &
    venv=$!
    ;;
esac
build build-asan gcc address,undefined
for part; do
    run_part "$part"
done
say "all"
finish 0
