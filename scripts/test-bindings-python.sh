#!/usr/bin/env bash
# The Python package: builds its wheel, runs its tests with what was installed from it, and uses it in fresh environments
# without Rust, of every Python from 3.10 on that is on this machine.
#
#   scripts/test-bindings-python.sh [TEST...]      only these tests, such as test_engine or test_wsgi.Middleware
set -euo pipefail
cd "$(dirname "$0")/.."

python=$(realpath -s "${KEYWARD_PYTHON:-target/tools/venv/bin/python}")
target=${CARGO_TARGET_DIR:-$PWD/target}
work=$target/python
VECTORS=$(realpath -m "${VECTORS:-../shared/vectors}")
export VECTORS

say() { printf 'test-bindings-python: %s\n' "$*"; }
fail() { printf 'test-bindings-python: FAILED: %s\n' "$*" >&2; exit 1; }
"$python" -c 'import cffi, fastapi, flask, setuptools' 2>/dev/null || fail "$python lacks packages: run scripts/setup.sh"

say "building the command and the wheel"
"${CARGO:-cargo}" build --quiet --locked --release --package keyward-cli
rm -rf "$work"
mkdir -p "$work"
"$python" -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir "$work" bindings/python
wheels=("$work"/keyward-*.whl)
[ "${#wheels[@]}" = 1 ] || fail "not one wheel: ${wheels[*]}"
[[ ${wheels[0]} == *-cp310-abi3-linux_*.whl ]] || fail "not an abi3 wheel: ${wheels[0]}"
"$python" -m pip install --quiet --force-reinstall --no-deps "${wheels[0]}"

# Folders of this checkout are not to be found: only what the wheel brings.
say "in fresh folders, without Rust and with an empty environment"
"$target/release/keyward" keyring new -o "$work/keyring.toml" >/dev/null 2>&1
"$target/release/keyward" build --config profiles/billoget/keyward.toml --keyring "$work/keyring.toml" \
  --keys profiles/billoget/keys.jsonl -o "$work/keys.kwd" >/dev/null 2>&1
tried=0
declare -A seen
# pyenv's commands run only the versions that are switched on; its folders have them all.
for candidate in "$python" python3.{10..20} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
  version=$("$candidate" -c 'import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
  [ "${version%.*}" = 3 ] && [ "${version#*.}" -ge 10 ] && [ -z "${seen[$version]:-}" ] || continue
  seen[$version]=yes
  fresh=$work/fresh-$version
  "$candidate" -m venv "$fresh"
  "$fresh/bin/python" -m pip install --quiet "${wheels[0]}" || fail "the wheel cannot be installed in Python $version"
  (
    cd "$fresh"
    env -i "$fresh/bin/python" -W error - "$work/keys.kwd" "$work/keyring.toml" <<'PYTHON' || fail "Python $version"
import sys
import keyward
assert keyward.__file__.startswith(sys.prefix), keyward.__file__
with keyward.Engine.open(sys.argv[1], keyring=sys.argv[2]) as engine:
    engine.watch()
    headers = [(b"authorization", b"Bearer bk_live_1234567890abcdef")]
    request = keyward.Request("billoget", headers, b"/v1/api/public/budgets", "GET", tls=True, list_scopes=True)
    verdict = engine.verify(request)
    assert verdict and verdict.tenant == "acme" and verdict.scopes == ("READ_BUDGETS",), verdict
    refused = engine.verify(request._replace(method="POST"))
    assert not refused and engine.answer(refused).status == 403, refused
    assert engine.verify_key("billoget", "bk_live_1234567890abcdef", environment="live")
    for wrong in (None, request._replace(headers=3), request._replace(tls=1)):
        try:
            engine.verify(wrong)
        except TypeError:
            continue
        raise AssertionError(wrong)
PYTHON
  )
  say "Python $version"
  tried=$((tried + 1))
done
[ "$tried" -gt 0 ] || fail "there is no Python to try it in"

cd bindings/python/tests
if [ $# -gt 0 ]; then
  exec "$python" -m unittest --verbose "$@"
fi
exec "$python" -m unittest discover --verbose
