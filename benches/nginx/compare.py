"""What a check of a key costs nginx: keyward beside what else there is, in one run, as JSON and as a picture.

One worker on one core, `load` on another. The contenders take turns (A B C, C B A), and each turn's processor time is
divided by its requests, so that a slow minute of the machine does not decide. Figures are medians of the rounds.
Processor time is what counts; the rate is given beside it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from chart import draw
from contenders import MAKERS, Contender, Machine, write_keys
from served import Failed, processor_seconds

HERE = Path(__file__).parent


def compiled(folder: Path) -> Path:
    program = folder / "load"
    command = [os.environ.get("CC", "cc"), "-O2", "-Wall", "-Wextra", "-Werror", str(HERE / "load.c"), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"load.c: {done.stderr}")
    return program


class Load:
    """`load` with the keys of a file, from turn to turn: the next one goes on with the keys where the last one stopped."""

    def __init__(self, program: Path, keys: Path, arguments: argparse.Namespace) -> None:
        command = ["taskset", "-c", str(arguments.load_core), str(program), str(arguments.connections), str(keys)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def turn(self, port: int, seconds: float) -> dict[str, float]:
        self.process.stdin.write(f"{port} {seconds}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Failed(f"load ended with {self.process.wait()}, at port {port}")
        return json.loads(answer)

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def turn(contender: Contender, load: Load, seconds: float) -> dict[str, float]:
    before = processor_seconds(contender.pids())
    result = load.turn(contender.port, seconds)
    spent = processor_seconds(contender.pids()) - before
    if result["refused"]:
        raise Failed(f"{contender.name}: {result['refused']} good keys refused")
    return {
        "rate": result["requests"] / result["seconds"],
        "processor_us": spent / result["requests"] * 1e6,
        "p50_us": result["p50_us"],
        "p99_us": result["p99_us"],
        "busy": spent / result["seconds"],
    }


def measure(contenders: list[Contender], folder: Path, arguments: argparse.Namespace) -> dict:
    program = compiled(folder)
    rotations = {name: Load(program, folder / file, arguments) for name, file in (("hot", "hot"), ("all", "keys"))}
    turns = {(contender.name, rotation): [] for contender in contenders for rotation in rotations}
    try:
        for rotation, load in rotations.items():
            # The first turn of each finds nothing in memory.
            for contender in contenders:
                turn(contender, load, 1)
        for number in range(arguments.rounds):
            for rotation, load in rotations.items():
                for contender in contenders if number % 2 == 0 else reversed(contenders):
                    result = turn(contender, load, arguments.seconds)
                    turns[contender.name, rotation].append(result)
                    print(f"round {number + 1} {rotation:4} {contender.name:12} {result['processor_us']:7.3f} us "
                          f"{result['rate']:9.0f} /s", file=sys.stderr)
    finally:
        for load in rotations.values():
            load.stop()

    def median(name: str, rotation: str, field: str) -> float:
        return statistics.median(result[field] for result in turns[name, rotation])

    def quartiles(name: str, rotation: str) -> list[float]:
        """What a turn's processor time is in microseconds: a quarter of the rounds below the first, and so on."""
        spent = [turn["processor_us"] for turn in turns[name, rotation]]
        # A single round is all that is known of every quarter.
        cuts = statistics.quantiles(spent, n=4) if len(spent) > 1 else spent * 3
        return [round(cut, 3) for cut in cuts]

    def ratio(name: str, rotation: str, field: str) -> float:
        """Against plain nginx in the same round: what slows a whole round then falls out."""
        pairs = zip(turns[name, rotation], turns["plain", rotation])
        return statistics.median(mine[field] / plain[field] for mine, plain in pairs)

    return {
        contender.name: {
            "title": contender.title,
            "how": contender.how,
            **{rotation: {
                **{field: round(median(contender.name, rotation, field), 3) for field in turns[contender.name, rotation][0]},
                "processor_ratio": round(ratio(contender.name, rotation, "processor_us"), 4),
                "rate_ratio": round(ratio(contender.name, rotation, "rate"), 4),
                "processor_quartiles": quartiles(contender.name, rotation),
            } for rotation in rotations},
        } for contender in contenders
    }


def table(results: dict, arguments: argparse.Namespace) -> str:
    lines = [f"{'':20} {f'{arguments.hot:,} of {arguments.keys:,} keys':^36} {'all in rotation':^36}",
             f"{'':20} " + f"{'CPU us':>8} {'of plain':>9} {'req/s':>9} {'of plain':>7} " * 2]
    for result in results.values():
        line = f"{result['title']:20} "
        for rotation in ("hot", "all"):
            part = result[rotation]
            line += (f"{part['processor_us']:8.2f} {part['processor_ratio']:9.3f} "
                     f"{part['rate']:9.0f} {part['rate_ratio']:8.2f} ")
        lines.append(line)
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    parser.add_argument("--keyward", type=Path, default=target / "release/keyward", help="the command keyward")
    parser.add_argument("--module", type=Path, default=target / "nginx/ngx_http_keyward_module.so", help="the nginx module")
    parser.add_argument("--nginx", default="nginx")
    parser.add_argument("--prefix", type=Path, default=Path("/usr/share/nginx"), help="where its modules/ is")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--hot", type=int, default=2_000, help="keys in rotation where not all are")
    parser.add_argument("--rounds", type=int, default=101)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each turn")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--load-core", type=int, default=0)
    parser.add_argument("--server-core", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--picture", type=Path, help="draw it here, as SVG")
    return parser.parse_args()


def main() -> int:
    arguments = parsed()
    names = [name for name in MAKERS if name in {"plain", *arguments.only}]
    contenders: list[Contender] = []
    with tempfile.TemporaryDirectory(prefix="keyward-compare-") as name:
        machine = Machine(Path(name), arguments.nginx, arguments.prefix, arguments.keyward.resolve(),
                          arguments.module.resolve(), arguments.server_core, arguments.keys)
        # The workers run as another user where this runs as root, and read from the folder.
        machine.folder.chmod(0o755)
        write_keys(machine.folder, arguments.keys, arguments.hot)
        try:
            for name in names:
                contender = MAKERS[name](machine)
                contenders.append(contender)
                contender.start(machine)
                print(f"{name}: up", file=sys.stderr)
            results = measure(contenders, machine.folder, arguments)
        finally:
            for contender in contenders:
                contender.stop()
    report = {
        "keys": arguments.keys, "hot": arguments.hot, "rounds": arguments.rounds, "seconds": arguments.seconds,
        "connections": arguments.connections, "processors": os.cpu_count(), "contenders": results,
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    if arguments.picture:
        arguments.picture.write_text(draw(report))
    print(table(results, arguments))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"compare: {failure}")
