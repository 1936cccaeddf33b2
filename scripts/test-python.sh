#!/usr/bin/env bash
# The tests in Python, tests/test_*.py, in the environment that scripts/setup.sh makes.
set -euo pipefail
cd "$(dirname "$0")/.."

exec "${KEYWARD_PYTHON:-target/tools/venv/bin/python}" -m unittest discover --start-directory tests --verbose
