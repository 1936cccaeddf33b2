#!/usr/bin/env bash
# Builds the C library, the command and the nginx module into the target directory.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/capi.sh
"${CARGO:-cargo}" build --locked --release --package keyward-cli
bindings/nginx/build.sh "${CARGO_TARGET_DIR:-$PWD/target}/nginx"
