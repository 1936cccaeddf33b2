#!/usr/bin/env bash
# The Go package: vet and staticcheck, its tests with the shared and the static library, with the race detector,
# cgo's checks and a collector that never rests, without cgo, and the example's server; and that a program built here
# runs in a folder of its own without keyward.
#
#   scripts/test-go.sh      VECTORS names a folder of vectors beside testdata/vectors
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'test-go: %s\n' "$*"; }
fail() { printf 'test-go: FAILED: %s\n' "$*" >&2; exit 1; }
for tool in go cc curl ldd openssl pkg-config strip; do
  command -v "$tool" >/dev/null || fail "$tool is missing: run scripts/setup.sh"
done

root=$PWD
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$target/go-tests
rm -rf "$work"
mkdir -p "$work"
export KEYWARD_CLI=$target/release/keyward
# A checkout need not be one of git's.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
# A folder of vectors that is there, from wherever a test looks.
if [ -n "${VECTORS:-}" ]; then
  VECTORS=$(realpath -m "$VECTORS")
  export VECTORS
fi

say "building the libraries and the command"
scripts/go.sh
PREFIX=$work/prefix scripts/install-c.sh
# Read by cgo, and for the same reason as in test-c.sh only when the library is there.
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib

say "formatting, vet and staticcheck"
unformatted=$(gofmt -l bindings/go examples/aver benches/go)
[ -z "$unformatted" ] || fail "gofmt -l: $unformatted"
staticcheck=$root/target/tools/bin/staticcheck
[ -x "$staticcheck" ] || fail "staticcheck is missing: run scripts/setup.sh"
for folder in bindings/go examples/aver benches/go; do
  (
    cd "$folder"
    for tags in "" keyward_static keyward_static,keyward_cgocall; do
      go vet -tags "$tags" ./...
      "$staticcheck" -checks all -tags "$tags" ./...
    done
    [ "$folder" = benches/go ] || CGO_ENABLED=0 go vet ./...
  )
done

cd bindings/go
say "with the shared library that pkg-config finds"
go test -count=1 -timeout 30m ./...
say "with the static library, under the race detector"
go test -count=1 -timeout 30m -tags keyward_static -race -run 'Test[^V]|TestVer|TestVectors$|Example' ./...
say "with cgo's checks of every pointer, all calls being cgo's"
case $(go env GOVERSION) in
  go1.19* | go1.20*) checks=GODEBUG=cgocheck=2 ;;
  *) checks=GOEXPERIMENT=cgocheck2 ;;
esac
env "$checks" go test -count=1 -timeout 30m -tags keyward_static,keyward_cgocall -run 'Test[^V]|TestVer|TestVectors$' ./...
say "with a garbage collection at every turn"
# Built before, for the compiler reads GOGC, too.
go test -tags keyward_static -c -o "$work/static.test" .
GOGC=1 "$work/static.test" -test.run 'Test[^V]|TestVer|TestVectors$'
say "without cgo"
CGO_ENABLED=0 go test -count=1 -timeout 30m -run TestWithoutCgo -v . | tee "$work/nocgo.log"
grep -q '^--- PASS: TestWithoutCgo' "$work/nocgo.log" || fail "TestWithoutCgo was not run"
say "that there are no allocations, in a benchmark's words, whichever way the calls go"
go test -tags keyward_static,keyward_cgocall -c -o "$work/cgocall.test" .
for program in static cgocall; do
  "$work/$program.test" -test.run '^$' -test.bench 'Verify(Key|Browser|WithOptions)?$' -test.benchmem -test.benchtime 2000x | tee "$work/bench.log"
  if go version | grep -Eq 'go1\.(19|2[0-3])[. ]'; then
    say "this Go does not know #cgo noescape, so a call allocates its verdict"
  else
    [ "$(grep -c ' 0 allocs/op' "$work/bench.log")" = 4 ] || fail "a verify allocates"
  fi
done
case $(go env GOVERSION)/$(go env GOOS)/$(go env GOARCH) in
  go1.26*/linux/amd64) direct=true ;;
  *) direct=false ;;
esac
"$work/static.test" -test.run TestInterrupted -test.v | tee "$work/direct.log"
grep -q "asmcgocall: $direct" "$work/direct.log" || fail "direct.go is not where its build constraint says"
"$work/cgocall.test" -test.run TestInterrupted -test.v | tee "$work/direct.log"
grep -q "asmcgocall: false" "$work/direct.log" || fail "direct.go is in a program that is not to have it"

say "the program of the README"
mkdir "$work/readme"
awk '/^```go$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >"$work/readme/main.go"
printf 'module readme\n\ngo 1.19\n\nrequire github.com/keyward/keyward/bindings/go v0.0.0\n\nreplace github.com/keyward/keyward/bindings/go => %s\n' \
  "$PWD" >"$work/readme/go.mod"
(cd "$work/readme" && go vet . && go build -o server .)

say "the example's server"
cd "$root/examples/aver"
go test -count=1 -timeout 30m -tags keyward_static ./...

say "what is built here runs in a folder of its own, with nothing in the environment"
fresh=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" || true; rm -rf "$fresh"' EXIT
go build -tags keyward_static -o "$fresh/aver" .
go build -tags keyward_static,netgo,osusergo -ldflags '-linkmode external -extldflags "-static"' -o "$fresh/aver-static" . 2>"$work/static.log" \
  || { cat "$work/static.log" >&2; fail "a program that is wholly static"; }
! ldd "$fresh/aver" | grep -i keyward || fail "aver needs a keyward library"
! ldd "$fresh/aver-static" >/dev/null 2>&1 || fail "aver-static is not static"
"$KEYWARD_CLI" keyring new -o "$fresh/keyring.toml" >/dev/null
printf '[[token_key]]\nrealm = "aver"\nkid = "aver-1"\nalg = "HS256"\nsecret = "%s"\n' "$(openssl rand -base64 32)" >>"$fresh/keyring.toml"
"$KEYWARD_CLI" build --config "$root/profiles/aver/keyward.toml" --keyring "$fresh/keyring.toml" \
  --keys "$root/profiles/aver/keys.jsonl" -o "$fresh/keys.kwd" >/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost -keyout "$fresh/key.pem" -out "$fresh/certificate.pem" 2>/dev/null
for program in aver aver-static; do
  port=$((20000 + RANDOM % 10000))
  (cd "$fresh" && exec env -i "./$program" -listen "127.0.0.1:$port") 2>"$work/$program.log" &
  server=$!
  for _ in $(seq 100); do
    status=$(curl -s -o "$work/answer" -w '%{http_code}' --cacert "$fresh/certificate.pem" -X POST \
      "https://localhost:$port/api/auth" -u sample-aver-portal:sample-aver-portal-secret-0001) || true
    [ "$status" = 200 ] && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  [ "$status" = 200 ] || { cat "$work/$program.log" >&2; fail "$program answered $status"; }
  kill "$server"
  wait "$server" || fail "$program ended with $?"
  server=
done

say "all passed"
