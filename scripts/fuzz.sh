#!/usr/bin/env bash
# Runs each fuzz target, or those named, for FUZZ_SECONDS (30), on a stable toolchain: cargo-fuzz needs
# unstable flags of the compiler, which RUSTC_BOOTSTRAP allows.
#
#   scripts/fuzz.sh [TARGET...]
#
# fuzz/seeds/TARGET/ is read and never written to; what is found goes to fuzz/corpus/TARGET/, crashes to
# fuzz/artifacts/TARGET/. fuzz/keyward.dict is the dictionary of all.
set -euo pipefail
cd "$(dirname "$0")/.."
export RUSTC_BOOTSTRAP=1

seconds=${FUZZ_SECONDS:-30}
options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
# A build's threads may still be ending when the leak check looks, and what the C library keeps for them counts as lost.
options+=(-detect_leaks=0)
[ -f fuzz/keyward.dict ] && options+=(-dict=fuzz/keyward.dict)

if [ $# -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(cargo fuzz list); fi
if [ ${#targets[@]} -eq 0 ]; then
  echo "fuzz: cargo fuzz lists no target" >&2
  exit 1
fi

cargo fuzz build
for target in "${targets[@]}"; do
  echo "fuzz: $target for $seconds s"
  mkdir -p "fuzz/corpus/$target"
  folders=("fuzz/corpus/$target")
  [ -d "fuzz/seeds/$target" ] && folders+=("fuzz/seeds/$target")
  log=$(mktemp)
  if ! cargo fuzz run "$target" "${folders[@]}" -- "${options[@]}" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    echo "fuzz: $target FAILED" >&2
    exit 1
  fi
  grep -E '^stat::number_of_executed_units|^Done ' "$log"
  rm -f "$log"
done
