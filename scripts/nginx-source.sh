#!/usr/bin/env bash
# Prints the folder of nginx's own source, which is not this machine's nginx: the module builds against any source
# tree, and only from source is there an nginx under a sanitizer. The tree comes in the crate nginx-src, which the
# nginx project publishes, through cargo like everything else.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.28.5 # nginx 1.28.3
folder=${CARGO_TARGET_DIR:-$PWD/target}/nginx-source
mkdir -p "$folder/src"
: > "$folder/src/lib.rs"
printf '[package]\nname = "nginx-source"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\nnginx-src = "=%s"\n[workspace]\n' \
  "$version" > "$folder/Cargo.toml"

manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$folder/Cargo.toml" |
  python3 -c 'import json, sys; print(next(p["manifest_path"] for p in json.load(sys.stdin)["packages"] if p["name"] == "nginx-src"))')
# A copy, because configuring writes into the tree.
rm -rf "$folder/nginx"
cp -r "$(dirname "$manifest")/nginx" "$folder/nginx"
echo "$folder/nginx"
