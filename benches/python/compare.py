"""What a check of a key costs a Python server: in pure Python, through this package, through ctypes, and the C call.

One run, the contenders taking turns. The ratios are what to compare between machines.

    compare.py --json comparison.json --picture comparison.svg [--rounds 61] [--keys 100000] [--seconds 3]
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import contenders
import throughput
from chart import draw
from contenders import ROOT, Prepared


class CProgram:
    """call.c, compiled against the same library."""

    def __init__(self, folder: Path, prepared: Prepared) -> None:
        program = folder / "call"
        compiler = [os.environ.get("CC", "cc"), "-O2", "-I", str(ROOT / "include"), str(Path(__file__).with_name("call.c"))]
        subprocess.run([*compiler, str(contenders.static_library()), "-lm", "-lpthread", "-ldl", "-lrt", "-o", program],
                       check=True)
        lines = folder / "lines"
        lines.write_text("".join(f"Bearer {key}\n" for key in prepared.rotation))
        self.process = subprocess.Popen([program, prepared.snapshot, prepared.keyring, lines], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def timed(self, word: str, calls: int) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{word} {calls}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"call ended with {self.process.returncode}")


def timed(check: Callable[[str], object], keys: list[str]) -> float:
    """Nanoseconds of the processor for a call, with the loop around it: what else runs on the machine takes none of them."""
    start = time.thread_time_ns()
    for key in keys:
        check(key)
    return (time.thread_time_ns() - start) / len(keys)


def measure(prepared: Prepared, program: CProgram, rounds: int, calls: int) -> dict[str, list[float]]:
    checks = contenders.all_of(prepared)
    keys = [prepared.rotation[at % len(prepared.rotation)] for at in range(calls)]
    for name, check in checks.items():
        if not all(check(key) for key in keys[:1000]):
            raise RuntimeError(f"{name} refused a good key")
    found: dict[str, list[float]] = {name: [] for name in ("c_verify_key", "c_verify", *checks)}
    for _ in range(rounds):
        # Everybody's turn comes anywhere in a round, so that nobody's neighbour is always the same.
        turns = list(found)
        random.shuffle(turns)
        for name in turns:
            if name in checks:
                found[name].append(timed(checks[name], keys))
            else:
                found[name].append(program.timed(name.removeprefix("c_"), calls))
    return found


def report(found: dict[str, list[float]]) -> dict[str, object]:
    """Medians, and the median of what was paired within each round."""
    def paired(what: Callable[[float, float], float], one: str, other: str) -> float:
        return statistics.median(map(what, found[one], found[other]))

    def besides(one: str, c: str) -> float:
        """What is over the C call, but for the loop and the function in it."""
        return statistics.median(map(lambda all, called, loop: all - called - loop, found[one], found[c], found["loop"]))

    return {
        "nanoseconds": {name: round(statistics.median(values), 1) for name, values in found.items()},
        "verify_key_over_c_ns": round(paired(lambda one, c: one - c, "verify_key", "c_verify_key"), 1),
        "verify_over_c_ns": round(paired(lambda one, c: one - c, "verify", "c_verify"), 1),
        "verify_key_over_c_and_loop_ns": round(besides("verify_key", "c_verify_key"), 1),
        "verify_over_c_and_loop_ns": round(besides("verify", "c_verify"), 1),
        "pure_over_verify_key": round(paired(lambda pure, one: pure / one, "pure", "verify_key"), 2),
        "hash_and_dict_over_verify_key": round(paired(lambda pure, one: pure / one, "hash_and_dict", "verify_key"), 2),
        "ctypes_over_verify_key": round(paired(lambda other, one: other / one, "ctypes", "verify_key"), 2),
        "verify_key_over_c": round(paired(lambda one, c: one / c, "verify_key", "c_verify_key"), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--rounds", type=int, default=61)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--rotation", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=3, help="of each turn of the throughput; 0 leaves it out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keyward-bench-") as name:
        prepared = contenders.prepare(Path(name), given.keys, given.rotation)
        program = CProgram(Path(name), prepared)
        found = measure(prepared, program, given.rounds, given.calls)
        program.end()
        result = {"keys": given.keys, "rotation": given.rotation, "rounds": given.rounds,
                  "python": platform.python_version(), "machine": platform.machine(), **report(found)}
        if given.seconds:
            result["throughput"] = throughput.measure(Path(name), prepared, given.seconds, min(given.rounds, 5))
    given.json.write_text(json.dumps(result, indent=2) + "\n")
    if given.picture:
        given.picture.write_text(draw(result))
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
