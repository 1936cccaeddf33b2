#!/usr/bin/env bash
# The C interface: its tests as C99 and as C++11, all vectors through it, its symbols, and all of that under
# AddressSanitizer with UndefinedBehaviorSanitizer and under valgrind.
#
#   scripts/test-c.sh [VECTORS...]      folders of vectors beside testdata/vectors
#
# MILLISECONDS (2000) is how long threads verify under reload.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$PWD/target}
work=$target/c-tests
tests=bindings/c/tests
milliseconds=${MILLISECONDS:-2000}
cargo=${CARGO:-cargo}
python=${KEYWARD_PYTHON:-python3}
c=${CC:-cc} cxx=${CXX:-c++}
programs=(lifecycle requests answers threads forks conformance)
warnings=(-Wall -Wextra -Werror -pedantic)

say() { printf 'test-c: %s\n' "$*"; }
fail() { printf 'test-c: FAILED: %s\n' "$*" >&2; exit 1; }
for tool in "$c" "$cxx" clang clang++ ldd nm objdump pkg-config strip valgrind "$python"; do
  command -v "$tool" >/dev/null || fail "$tool is missing: run scripts/setup.sh"
done

# compile DIALECT OUTPUT SOURCE FLAG...
compile() {
  local dialect=$1 output=$2 source=$3
  shift 3
  case $dialect in
    c99) "$c" -std=c99 -x c "${warnings[@]}" -g -O1 "$source" -x none "$@" -o "$output" ;;
    c++11) "$cxx" -std=c++11 -x c++ "${warnings[@]}" -g -O1 "$source" -x none "$@" -o "$output" ;;
  esac
}

# sanitized DIALECT OUTPUT SOURCE LIBRARY: with a static library that is not installed, and the sanitizers.
sanitized() {
  local c=clang cxx=clang++
  compile "$1" "$2" "$3" -Iinclude -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer "$4" "${system[@]}"
}

rm -rf "$work"
mkdir -p "$work"/{c99,c++11,sanitized,fixture}

say "building the command, and installing the libraries as anybody would"
PREFIX=$work/prefix scripts/install-c.sh
# Set for pkg-config alone: a build script that sees it changed compiles AWS-LC again.
keyward_pc() { PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig pkg-config "$@" keyward; }
keyward_pc --exists || fail "pkg-config does not find what was installed"
read -ra shared < <(keyward_pc --cflags --libs)
# What stands behind -lkeyward goes behind the libraries that are not installed, too.
read -ra system < <(keyward_pc --static --libs-only-l | sed 's/-lkeyward//')
# As `make conformance` has it, so that it is built once.
"$cargo" run --quiet --locked --package keyward-cli -- --version
keyward=$target/debug/keyward

say "the symbols of the library are the functions of the header"
grep -oE '\bkeyward_[a-z_]+\(' include/keyward.h | grep -v '()' | tr -d '(' | sort -u >"$work/header.txt"
nm --dynamic --defined-only "$work/prefix/lib/libkeyward.so" | awk '{ print $3 }' | sort >"$work/exported.txt"
diff "$work/header.txt" "$work/exported.txt" || fail "header (<) and library (>) differ"
nm --defined-only "$work/prefix/lib/libkeyward.a" 2>/dev/null | awk '$2 == "T" && $3 ~ /^keyward_/ { print $3 }' | sort \
  >"$work/static.txt"
diff "$work/header.txt" "$work/static.txt" || fail "header (<) and static library (>) differ"
while read -r function; do
  for test in panics.c "*.c"; do
    # shellcheck disable=SC2086
    grep -qw "$function" $tests/$test || fail "$function is not called in $tests/$test"
  done
done <"$work/header.txt"

say "what is installed where"
DESTDIR=$work/stage PREFIX=/usr scripts/install-c.sh >/dev/null
(cd "$work/stage" && find . -type f -o -type l | sort) | diff - <(printf './usr/%s\n' include/keyward.h \
  lib/libkeyward.a lib/libkeyward.so lib/libkeyward.so.0 lib/libkeyward.so.0.1.0 lib/pkgconfig/keyward.pc)
grep -qx 'prefix=/usr' "$work/stage/usr/lib/pkgconfig/keyward.pc" || fail "DESTDIR got into keyward.pc"
objdump -p "$work/stage/usr/lib/libkeyward.so" | grep 'SONAME  *libkeyward\.so\.0$' >/dev/null || fail "the SONAME"

say "the example of the README, with nothing but pkg-config"
example=$work/example
mkdir "$example"
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$example/server.c"
"$keyward" keyring new -o "$example/keyring.toml" >/dev/null
"$keyward" build --config profiles/billoget/keyward.toml --keyring "$example/keyring.toml" \
  --keys profiles/billoget/keys.jsonl -o "$example/keys.kwd" >/dev/null
(
  cd "$example"
  "$c" "${warnings[@]}" -std=c99 server.c $(keyward_pc --cflags --libs) -o dynamic
  "$c" "${warnings[@]}" -std=c99 -static server.c $(keyward_pc --static --cflags --libs) -o static
  for program in dynamic static; do
    LD_LIBRARY_PATH=$work/prefix/lib "./$program" | diff - <(echo "key live-reader of tenant acme") \
      || fail "the example of the README, $program"
  done
  ldd dynamic | grep 'libkeyward.so.0 ' >/dev/null || fail "the dynamic example is not dynamic"
  ! ldd static >/dev/null 2>&1 || fail "the static example is not static"
)

say "making the fixture"
fixture=$work/fixture
cp "$tests/fixture/keyring.toml" "$fixture/keyring.toml"
sed 's/101112131415/ff1112131415/' "$tests/fixture/keyring.toml" >"$fixture/other.toml"
chmod 600 "$fixture"/*.toml
# build OUTPUT GENERATION KEYS
build() {
  "$keyward" build --config "$tests/fixture/keyward.toml" --keyring "$fixture/keyring.toml" --keys "$3" \
    --generation "$2" -o "$fixture/$1" >/dev/null
}
build keys.kwd 1 "$tests/fixture/keys.jsonl"
sed '/"id":"turning"/s/}$/,"status":"revoked"}/' "$tests/fixture/keys.jsonl" >"$fixture/next.jsonl"
build next.kwd 2 "$fixture/next.jsonl"
head -c 8192 "$fixture/keys.kwd" >"$fixture/truncated.kwd"
"$python" - "$fixture/keys.kwd" "$fixture/damaged.kwd" <<'PYTHON'
import sys
content = bytearray(open(sys.argv[1], "rb").read())
content[len(content) // 2] ^= 1
open(sys.argv[2], "wb").write(content)
PYTHON
"$python" $tests/vectors.py "$keyward" "$work/vectors" testdata/vectors "$@"

# run FOLDER [COMMAND...]: every program of a folder.
run() {
  local folder=$1 program
  shift
  for program in "${programs[@]}"; do
    case $program in
      threads) "$@" "$folder/$program" "$fixture" "$milliseconds" ;;
      conformance) "$@" "$folder/$program" "$work/vectors/cases" ;;
      # A child has the memory of threads that it does not have; only the C library could free that.
      forks) "${@/--leak-check=full/--leak-check=no}" "$folder/$program" "$fixture" ;;
      *) "$@" "$folder/$program" "$fixture" ;;
    esac || fail "$program ($folder) with: ${*:-nothing}"
  done
}

for dialect in c99 c++11; do
  say "as $dialect, against the shared library"
  for program in "${programs[@]}"; do
    compile $dialect "$work/$dialect/$program" $tests/$program.c "${shared[@]}" -lpthread
  done
  LD_LIBRARY_PATH=$work/prefix/lib run "$work/$dialect"
done

say "under valgrind"
# One thread runs at a time; a fair turn for each, or the thread that reloads may wait for seconds.
memcheck=(valgrind --quiet --error-exitcode=99 --fair-sched=try --leak-check=full --errors-for-leak-kinds=definite)
LD_LIBRARY_PATH=$work/prefix/lib run "$work/c99" "${memcheck[@]}"

say "building with AddressSanitizer"
triple=$(rustc -vV | awk '/^host:/ { print $2 }')
# with_asan NAME FLAG...: the static library, in the form that those flags of rustc give it.
with_asan() {
  env RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" CC=clang "CFLAGS_${triple//-/_}=-fsanitize=address" \
    "$cargo" rustc --locked --package keyward --lib --no-default-features --features capi \
    --target "$triple" --target-dir "$target/c-asan" --crate-type staticlib -- "${@:2}"
  cp "$target/c-asan/$triple/debug/libkeyward.a" "$work/$1.a"
}
with_asan asan
# The same source with a panic in every export.
with_asan panics --cfg keyward_force_panics
for program in "${programs[@]}"; do
  sanitized c99 "$work/sanitized/$program" $tests/$program.c "$work/asan.a"
done

say "under AddressSanitizer and UndefinedBehaviorSanitizer"
# That they are on: in the programs, and in the library's own objects.
for symbol in __asan_init __ubsan_handle_add_overflow; do
  nm "$work/sanitized/requests" | grep "$symbol" >/dev/null || fail "$symbol is not in the programs"
done
nm "$work/asan.a" 2>/dev/null | grep 'U __asan_report_load' >/dev/null \
  || fail "the library was not built with AddressSanitizer"
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
run "$work/sanitized"

say "a panic in every function"
for dialect in c99 c++11; do
  sanitized $dialect "$work/sanitized/panics" $tests/panics.c "$work/panics.a"
  RUST_BACKTRACE=0 "$work/sanitized/panics" "$fixture" 2>"$work/panics.log" \
    || { cat "$work/panics.log" >&2; fail "panics ($dialect)"; }
  # The one thing that the library has no say in: Rust tells of a panic on standard error.
  if grep -v -e 'this panic is forced by a test' -e "^thread '" -e 'RUST_BACKTRACE' -e '^$' "$work/panics.log"; then
    fail "panics ($dialect) said more"
  fi
done

say "all passed"
