#!/bin/sh
# Ten thousand notifications, a tenth of them twice and all shuffled, for two daemons of which one is
# killed in the middle: tests/flow/test_queue_scale.py at the size of the goal. Takes minutes.
#
#     sh tests/bench/queue_scale.sh [COUNT]
#
# Wants a release build in build-release (tests/run.sh makes it) and the suites' .venv.
set -eu
cd "$(dirname "$0")/../.."
SEVIRD_QUEUE_SCALE=${1:-10000} SEVIRD_RELEASE_BUILD=${SEVIRD_RELEASE_BUILD:-$PWD/build-release}
export SEVIRD_QUEUE_SCALE SEVIRD_RELEASE_BUILD
exec .venv/bin/python -m pytest tests/flow/test_queue_scale.py -q -s -p no:cacheprovider -k on_the_fake
