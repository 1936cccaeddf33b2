#!/usr/bin/env bash
# nginx, the module and the library, all built under AddressSanitizer, and the storm on them in short.
#
# nginx and the module come out of one build of nginx's own source. The library is built with -Zsanitizer=address,
# which stable Rust has behind RUSTC_BOOTSTRAP; the standard library's own code is not instrumented, the C in our
# dependencies is. The module also has UndefinedBehaviorSanitizer; nginx's own code has not, as it does not pass it
# (it hands null pointers with a length of zero to memcpy).
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
folder=$root/target/nginx-asan
host=$(rustc -vV | sed -n 's/^host: //p')
sanitize="-fsanitize=address -fno-omit-frame-pointer"

# The library. --target keeps build scripts and macros, which run in rustc's own process, out of it.
RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" CFLAGS="$sanitize -g" \
  cargo rustc --quiet --locked --release --target "$host" --target-dir "$target/asan" \
  --package keyward --lib --crate-type staticlib --features capi
library=$target/asan/$host/release/libkeyward.a

# nginx and the module.
if [ ! -x "$folder/nginx" ]; then
  source=$(scripts/nginx-source.sh)
  rm -rf "$folder"
  mkdir -p "$folder"
  mv "$source" "$folder/source"
  (
    cd "$folder/source"
    KEYWARD_INC=$root/include KEYWARD_LIB=$library auto/configure --prefix="$folder" --with-compat --with-threads --with-debug \
      --with-http_ssl_module --with-http_v2_module --with-http_realip_module --with-http_auth_request_module \
      --with-cc-opt="-g -O1 $sanitize" --with-ld-opt="-fsanitize=address,undefined" \
      --add-dynamic-module="$root/bindings/nginx" > configure.log 2>&1 || { tail -40 configure.log; exit 1; }
    make --silent -j"$(nproc)" -f objs/Makefile binary > build.log 2>&1 || { tail -40 build.log; exit 1; }
  )
  cp "$folder/source/objs/nginx" "$folder/nginx"
fi
(
  cd "$folder/source"
  rm -rf objs/addon objs/ngx_http_keyward_module.so
  mkdir -p objs/addon/src
  make --silent -f objs/Makefile modules \
    CFLAGS="-pipe -g -O1 -Wall -Wextra -Wno-unused-parameter -Werror $sanitize -fsanitize=undefined -fno-sanitize-recover=undefined" \
    > module.log 2>&1 || { tail -40 module.log; exit 1; }
)
module=$folder/source/objs/ngx_http_keyward_module.so

# Proof that the sanitizers are on: every part calls into their run-time.
for part in "$folder/nginx:__asan_report" "$module:__asan_report" "$module:__ubsan_handle"; do
  nm --dynamic "${part%%:*}" | grep -q "${part#*:}" || { echo "nginx-asan: ${part%%:*} is built without ${part#*:}"; exit 1; }
done
nm "$library" 2>/dev/null | grep -q "U __asan_report" || { echo "nginx-asan: the library is built without AddressSanitizer"; exit 1; }

cd bindings/nginx/tests
log=$folder/report
rm -f "$log".*
# A report goes to a file of its own, whatever nginx does with its standard error.
ASAN_OPTIONS="log_path=$log:detect_leaks=1:abort_on_error=0:exitcode=99" UBSAN_OPTIONS="log_path=$log:print_stacktrace=1" \
  LSAN_OPTIONS="suppressions=$root/bindings/nginx/tests/leaks.txt:print_suppressions=0" \
  KEYWARD_NGINX=$folder/nginx KEYWARD_NGINX_MODULE=$module KEYWARD_NGINX_SANITIZED=1 \
  "${KEYWARD_PYTHON:-$root/target/tools/venv/bin/python}" -m unittest test_storm
if compgen -G "$log.*" > /dev/null; then
  head -60 "$log".*
  exit 1
fi
echo "nginx-asan: no report"
