#!/bin/sh
# Installs the default configuration where there is none: an upgrade keeps yours. FILE FOLDER, of meson
set -eu
to=${DESTDIR:-}$2/sevird.json
[ -e "$to" ] || install -D -m 644 "$1" "$to"
