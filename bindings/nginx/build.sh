#!/usr/bin/env bash
# Builds the module for the nginx of this machine (Debian's package nginx-dev has what it takes), or for a
# source tree that is named with NGINX_SOURCE. Prints the path of what it built.
#
#   bindings/nginx/build.sh                                  -> target/nginx/ngx_http_keyward_module.so
#   NGINX_SOURCE=/path/of/nginx-1.28.0 bindings/nginx/build.sh FOLDER [option of configure]...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

output=${1:-${CARGO_TARGET_DIR:-$root/target}/nginx}
shift || true
source=${NGINX_SOURCE:-/usr/share/nginx/src}

if [ ! -x "$source/configure" ] && [ ! -x "$source/auto/configure" ]; then
  echo "build.sh: $source is no source tree of nginx: install nginx-dev, or name one with NGINX_SOURCE" >&2
  exit 1
fi

# A library that cargo has put elsewhere; else the file config finds it.
library=${CARGO_TARGET_DIR:-$root/target}/release/libkeyward.a
if [ -z "${KEYWARD_INC:-}${KEYWARD_LIB:-}" ] && [ -f "$library" ]; then
  export KEYWARD_INC=$root/include KEYWARD_LIB=$library
fi

# configure writes into the tree that it stands in, so it gets one of links.
mkdir -p "$output"
tree=$output/tree
rm -rf "$tree"
mkdir -p "$tree"
cp -as "$(cd "$source" && pwd)/." "$tree/"
cd "$tree"

configure=./configure
[ -x "$configure" ] || configure=auto/configure
options=(--with-compat "$@")
if [ -f conf_flags ]; then
  # The options that Debian built its nginx with.
  # shellcheck source=/dev/null
  . ./conf_flags
  options=("${NGX_CONF_FLAGS[@]}" "$@")
fi

if ! "$configure" "${options[@]}" \
  --with-cc-opt="${KEYWARD_NGINX_CFLAGS:--g -O2 -fstack-protector-strong -D_FORTIFY_SOURCE=2}" \
  --with-ld-opt="${KEYWARD_NGINX_LDFLAGS:--Wl,-z,relro -Wl,-z,now}" \
  --add-dynamic-module="$here" >"$output/configure.log" 2>&1; then
  cat "$output/configure.log" >&2
  exit 1
fi

make --no-print-directory -f objs/Makefile modules >"$output/make.log" 2>&1 || { cat "$output/make.log" >&2; exit 1; }
mv objs/ngx_http_keyward_module.so "$output/"
rm -rf "$tree"
echo "$output/ngx_http_keyward_module.so"
