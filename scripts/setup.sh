#!/usr/bin/env bash
# Installs what `make test` needs and this machine lacks: a few Debian packages (as root or through
# sudo), and under target/tools, so that nothing else on the machine changes, a Python environment and
# two cargo commands. What is there is left alone, so a second run takes a second.
#
#   scripts/setup.sh              what `make test` needs
#   scripts/setup.sh nginx        what the nginx module and its demo need, without the cargo commands
#   scripts/setup.sh bench-nginx  that, and what keyward is compared with in nginx
#   scripts/setup.sh python       what the Python package, its demo and its measurements need
#   scripts/setup.sh go           what the Go package, its demo and its measurements need
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/target/tools
failures=()
purpose=${1:-test}

say() { printf 'setup: %s\n' "$*"; }
fail() { failures+=("$*"); }

have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else
    say "not root, and there is no sudo: cannot run $*"
    return 1
  fi
}

# install PACKAGE...: without starting what a package would start, such as an nginx on port 80.
install() {
  local policy=/usr/sbin/policy-rc.d kept=yes failed=0
  if [ ! -e "$policy" ]; then
    kept=no
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" || failed=1
  [ "$kept" = yes ] || as_root rm -f "$policy"
  return "$failed"
}

# PostgreSQL's programs, which tests start servers of their own with, on sockets in temporary folders. Debian would
# make a server of the system's beside them, and start it with the machine.
have_postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || { have postgres && have initdb; }
}
install_postgres() {
  install postgresql-common || return 1
  local settings=/etc/postgresql-common/createcluster.conf kept=''
  if [ -z "$(find /usr/lib/postgresql -mindepth 1 -print -quit 2>/dev/null)" ] && [ -e "$settings" ]; then
    kept=$(mktemp)
    cp "$settings" "$kept"
    printf 'create_main_cluster = false\n' | as_root tee -a "$settings" >/dev/null
  fi
  local failed=0
  install postgresql || failed=1
  [ -z "$kept" ] || { as_root cp "$kept" "$settings"; rm -f "$kept"; }
  return "$failed"
}

# Debian packages: each is asked for by what is missing without it.
packages=()
have cc || packages+=(gcc libc6-dev)
if [ "$purpose" = test ]; then
  have c++ || packages+=(g++)              # libFuzzer's runtime
  # The sanitizers, and their run-time, which Debian has in a package of its own.
  have clang || packages+=(clang)
  [ -n "$(find /usr/lib/llvm-* /usr/lib/clang /usr/lib64/clang -name 'libclang_rt.asan*' -print -quit 2>/dev/null)" ] \
    || packages+=(libclang-rt-dev)
  have llvm-symbolizer || packages+=(llvm) # without names, leaks of nginx's own are not known as that
  have pkg-config || packages+=(pkg-config) # what the C libraries are found with
  have valgrind || packages+=(valgrind)
  have strace || packages+=(strace)        # the test that a verify makes no system call
fi
# The Go package. Any Go since 1.19 will do.
if [ "$purpose" = test ] || [ "$purpose" = go ]; then
  have go || packages+=(golang-go)
  have strip || packages+=(binutils)
fi
# The nginx module and its tests.
case $purpose in
  test | nginx | bench-nginx)
    [ -x /usr/sbin/nginx ] || packages+=(nginx)
    [ -e /usr/share/nginx/src/conf_flags ] || packages+=(nginx-dev)
    compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || packages+=(libfaketime) # the clock of the vectors, and of tests/clock.rs
    ;;
esac
# Everybody's.
have make || packages+=(make)
have curl || packages+=(curl)            # HTTP/2
have openssl || packages+=(openssl)      # a certificate for TLS
if [ "$purpose" != go ]; then
  have wrk || packages+=(wrk)            # load
  python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
fi
if [ "$purpose" = bench-nginx ]; then
  [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || packages+=(libnginx-mod-http-lua)
  have go || packages+=(golang-go)
fi
if [ "$purpose" = test ] || [ "$purpose" = python ]; then
  # Python's headers, for bindings/python.
  [ -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))' 2>/dev/null)/Python.h" ] || packages+=(python3-dev)
fi
if [ ${#packages[@]} -gt 0 ]; then
  if have apt-get; then
    say "installing ${packages[*]}"
    as_root apt-get update -qq || say "apt-get update failed; going on with the lists that are there"
    install "${packages[@]}" \
      || fail "apt-get could not install: ${packages[*]}"
  else
    fail "there is no apt-get here; install these, or what your system calls them: ${packages[*]}"
  fi
fi
if [ "$purpose" = test ] && ! have_postgres; then
  if have apt-get; then
    say "installing postgresql"
    as_root apt-get update -qq || say "apt-get update failed; going on with the lists that are there"
    install_postgres || fail "apt-get could not install: postgresql"
  else
    fail "there is no apt-get here; install PostgreSQL's server (initdb, postgres, psql)"
  fi
fi

# Rust itself, and the components that a minimal installation leaves out.
if have cargo; then
  for component in rustfmt clippy; do
    command=${component/rustfmt/fmt}
    cargo "$command" --version >/dev/null 2>&1 && continue
    say "adding $component"
    { have rustup && rustup component add "$component"; } || fail "cargo $command is missing: rustup component add $component"
  done
else
  fail "cargo is missing: install Rust 1.95 or later, with rustup or otherwise"
fi

# Python: what scripts/requirements.txt says, and again where it says something else by now.
python=$tools/venv/bin/python
if [ "$purpose" != go ] && ! cmp -s scripts/requirements.txt "$tools/venv/requirements.txt"; then
  say "making a Python environment with the packages of scripts/requirements.txt"
  mkdir -p "$tools"
  { python3 -m venv --clear "$tools/venv" && "$python" -m pip install --quiet -r scripts/requirements.txt \
    && cp scripts/requirements.txt "$tools/venv/requirements.txt"; } \
    || fail "no Python environment with the packages of scripts/requirements.txt in $tools/venv"
fi

# cargo_tool NAME VERSION: a cargo subcommand of exactly that version.
cargo_tool() {
  local version
  version=$("$tools/bin/cargo-$1" --version 2>/dev/null || true)
  [ "${version##* }" = "$2" ] && return
  say "building cargo-$1 $2 (some minutes, once)"
  # Each runs for a moment: to optimize it takes longer than it ever will.
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
    cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" "cargo-$1@$2" \
    || fail "cargo install cargo-$1@$2"
}
if have cargo && [ "$purpose" = test ]; then
  cargo_tool deny 0.20.2
  cargo_tool fuzz 0.13.2
  rm -rf "$tools/build"
fi

# staticcheck: the newest that this Go compiles.
if have go && [ "$purpose" = test ]; then
  case $(go env GOVERSION) in
    go1.19* | go1.2[0-2]*) version=0.4.7 ;;
    go1.23* | go1.24*) version=0.6.1 ;;
    go1.25*) version=0.7.0 ;;
    *) version=0.8.2 ;;
  esac
  if ! go version -m "$tools/bin/staticcheck" 2>/dev/null | grep -qw "honnef.co/go/tools	v$version"; then
    say "building staticcheck $version (a minute, once)"
    GOBIN=$tools/bin go install "honnef.co/go/tools/cmd/staticcheck@v$version" || fail "go install staticcheck@v$version"
  fi
fi

if [ ${#failures[@]} -gt 0 ]; then
  printf 'setup: FAILED: %s\n' "${failures[@]}" >&2
  exit 1
fi
say "all there"
