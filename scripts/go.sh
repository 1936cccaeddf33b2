#!/usr/bin/env bash
# Puts keyward.h and libkeyward.a into bindings/go/lib, where the build tag keyward_static takes them from, and builds
# the keyward command.
#
#   go build -tags keyward_static
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/capi.sh
"${CARGO:-cargo}" build --locked --release --package keyward-cli

lib=bindings/go/lib
target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$lib"
# Left alone where nothing changed: Go builds anew what has newer files.
strip --strip-debug -o "$lib/.new" "$target/release/libkeyward.a"
cmp -s "$lib/.new" "$lib/libkeyward.a" || mv "$lib/.new" "$lib/libkeyward.a"
rm -f "$lib/.new"
cmp -s include/keyward.h "$lib/keyward.h" || cp include/keyward.h "$lib/keyward.h"
