#!/usr/bin/env bash
# Builds libkeyward.so, with its SONAME, and libkeyward.a into the release folder of the target directory.
#
# The crate is a `lib` in Cargo.toml and becomes the two C libraries here: declared there, every build of
# anything would make them too, and cargo would leave link-time optimization out, because a Rust library
# among the crate types cannot have it.
#
#   scripts/capi.sh [CARGO OPTION...]
set -euo pipefail
cd "$(dirname "$0")/.."

# The number of the ABI's major version: the upper 16 bits of KEYWARD_ABI_VERSION.
abi=$(awk '$1 == "#define" && $2 == "KEYWARD_ABI_VERSION" { print int($3 / 65536) }' include/keyward.h)

exec "${CARGO:-cargo}" rustc --locked --package keyward --lib --release --no-default-features --features capi \
  --crate-type cdylib,staticlib "$@" -- -C link-arg=-Wl,-soname,libkeyward.so."$abi"
