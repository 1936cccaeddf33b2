#!/usr/bin/env bash
# Installs the C interface where C build systems look: header, shared library with its SONAME, static
# library, pkg-config file.
#
#   PREFIX=/usr/local DESTDIR= LIBDIR=PREFIX/lib INCLUDEDIR=PREFIX/include scripts/install-c.sh
#
# DESTDIR is put before every path that is written to and in no file.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
destdir=${DESTDIR:-}
target=${CARGO_TARGET_DIR:-$PWD/target}

scripts/capi.sh

version=$(awk '$1 == "#define" && $2 == "KEYWARD_VERSION" { gsub("\"", ""); print $3 }' include/keyward.h)
abi=$(awk '$1 == "#define" && $2 == "KEYWARD_ABI_VERSION" { print int($3 / 65536) }' include/keyward.h)
# The versions of the code count under the ABI's: 0.1.0 of ABI 0 is libkeyward.so.0.1.0.
real=libkeyward.so.$abi.${version#*.}

# What `rustc --print native-static-libs` says that a static library needs of the system, but for the
# compiler's own runtime: every C compiler adds the right one, which is another in a static program.
private="-lutil -lrt -lpthread -lm -ldl -lc"

install -d "$destdir$libdir/pkgconfig" "$destdir$includedir"
install -m 644 include/keyward.h "$destdir$includedir/keyward.h"
install -m 755 "$target/release/libkeyward.so" "$destdir$libdir/$real"
install -m 644 "$target/release/libkeyward.a" "$destdir$libdir/libkeyward.a"
strip --strip-debug "$destdir$libdir/$real" "$destdir$libdir/libkeyward.a"
ln -sf "$real" "$destdir$libdir/libkeyward.so.$abi"
ln -sf "libkeyward.so.$abi" "$destdir$libdir/libkeyward.so"
cat >"$destdir$libdir/pkgconfig/keyward.pc" <<PC
prefix=$prefix
libdir=$libdir
includedir=$includedir

Name: keyward
Description: API keys verified inside the server's own process
URL: https://github.com/keyward/keyward
Version: $version
Libs: -L\${libdir} -lkeyward
Libs.private: $private
Cflags: -I\${includedir}
PC
echo "installed keyward $version, $real, under ${destdir}$prefix"
