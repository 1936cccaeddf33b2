#!/usr/bin/env bash
# The nginx module's own tests: builds the library, the command and the module, compiles the module as strict
# C99 as well, and runs bindings/nginx/tests, or what is named: scripts/test-nginx.sh test_status test_reload.Reload
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/nginx.sh

# What nginx's own flags do not ask for. Its headers are not ours to mend.
headers=$(mktemp -d)
trap 'rm -rf "$headers"' EXIT
cp -as /usr/share/nginx/src/. "$headers/"
(cd "$headers" && . ./conf_flags && ./configure "${NGX_CONF_FLAGS[@]}" >/dev/null)
for file in bindings/nginx/src/*.c; do
  cc -std=c99 -pedantic -Wall -Wextra -Werror -O2 -fsyntax-only -I include \
    -isystem "$headers/src/core" -isystem "$headers/src/event" -isystem "$headers/src/event/modules" \
    -isystem "$headers/src/os/unix" -isystem "$headers/src/http" -isystem "$headers/src/http/modules" \
    -isystem "$headers/src/http/v2" -isystem "$headers/objs" "$file"
done

cd bindings/nginx/tests
if [ $# -gt 0 ]; then
  exec "${KEYWARD_PYTHON:-python3}" -m unittest --verbose "$@"
fi
exec "${KEYWARD_PYTHON:-python3}" -m unittest discover --verbose
