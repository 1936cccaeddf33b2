#!/usr/bin/env bash
# nginx, the module and the library, all built under AddressSanitizer, and the storm on them in short.
#
# nginx comes out of its own source, which scripts/nginx-source.sh fetches; the module is built against that tree. The
# library is the one that scripts/test-c.sh builds: -Zsanitizer=address, which stable Rust has behind RUSTC_BOOTSTRAP.
# The standard library's own code is not instrumented, the C in our dependencies is. The module also has
# UndefinedBehaviorSanitizer; nginx's own code has not, as it does not pass it (null pointers with a length of zero).
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
folder=$target/nginx-asan
triple=$(rustc -vV | awk '/^host:/ { print $2 }')
sanitize="-fsanitize=address -fno-omit-frame-pointer"
options=(--with-cc=clang --with-threads --with-debug --with-http_ssl_module --with-http_v2_module --with-http_realip_module
  --with-http_auth_request_module)

say() { printf 'nginx-asan: %s\n' "$*"; }
fail() { printf 'nginx-asan: FAILED: %s\n' "$*" >&2; exit 1; }

say "building the library"
# To the letter what scripts/test-c.sh does, so that cargo finds it done.
env RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CC=clang "CFLAGS_${triple//-/_}=-fsanitize=address" \
  "${CARGO:-cargo}" rustc --locked --package keyward --lib --no-default-features --features capi \
  --target "$triple" --target-dir "$target/c-tests/asan" --crate-type staticlib
library=$target/c-tests/asan/$triple/debug/libkeyward.a

if [ ! -x "$folder/nginx" ]; then
  say "building nginx"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp -r "$(scripts/nginx-source.sh)" "$folder/source"
  (
    cd "$folder/source"
    auto/configure --with-compat "${options[@]}" --with-cc-opt="-g -O1 $sanitize" --with-ld-opt="-fsanitize=address,undefined" \
      > ../configure.log 2>&1 && make -j"$(nproc)" -f objs/Makefile binary > ../build.log 2>&1
  ) || { tail -n 40 "$folder"/*.log >&2; fail "nginx was not built"; }
  cp "$folder/source/objs/nginx" "$folder/nginx"
  rm -rf "$folder/source/objs"
fi

say "building the module"
# -Bsymbolic: nginx and every module of it have a variable ngx_modules, and the sanitizer must not take one for the other.
module=$(NGINX_SOURCE=$folder/source KEYWARD_INC=$root/include KEYWARD_LIB=$library \
  KEYWARD_NGINX_CFLAGS="-g -O1 $sanitize -fsanitize=undefined -fno-sanitize-recover=undefined" \
  KEYWARD_NGINX_LDFLAGS="-fsanitize=address,undefined -Wl,-Bsymbolic" \
  bindings/nginx/build.sh "$folder/module" "${options[@]}" | tail -n 1)

# That they are on: in nginx, in the module and in the library's own objects.
has() { nm "$1" 2>/dev/null | grep "$2" >/dev/null || fail "$1 is built without $2"; }
has "$folder/nginx" "T __asan_init"
has "$module" "U __asan_report_load"
has "$module" "U __ubsan_handle"
has "$library" "U __asan_report_load"

say "the storm, and a hundred reloads"
log=$folder/report
rm -f "$log".*
# A report goes to a file of its own, whatever nginx does with its standard error.
export ASAN_OPTIONS="log_path=$log:detect_leaks=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="log_path=$log:print_stacktrace=1"
export LSAN_OPTIONS="suppressions=$root/bindings/nginx/tests/leaks.txt:print_suppressions=0"
status=0
(
  cd bindings/nginx/tests
  KEYWARD_NGINX=$folder/nginx KEYWARD_NGINX_MODULE=$module KEYWARD_NGINX_SANITIZED=1 \
    "${KEYWARD_PYTHON:-python3}" -m unittest --verbose "${@:-test_storm}"
) || status=$?
# Some hold no finding, but a remark: that a thread ran on while leaks were looked for.
if found=$(grep -ls -e SUMMARY -e 'runtime error' "$log".*); then
  # shellcheck disable=SC2086
  head -n 60 $found >&2
  fail "the sanitizers have something to say"
fi
[ "$status" = 0 ] || fail "the tests"
say "nothing found"
