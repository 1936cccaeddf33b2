"""New generations under load: `wrk` on all workers while a key is revoked with every generation, ten a second.

Good keys must be let in and others kept out all the while, and each worker must refuse a revoked key soon after it was
published. As a program it prints what was measured as JSON, and says what went wrong by its exit code:

    python bindings/nginx/tests/storm.py --keys 1000000 --seconds 60 --revocations 1000
"""

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import harness
from connections import Connection, one_to_each
from harness import CLI, MODULE, ROOT, free_port
from running import Nginx, temporary
from snapshots import Deltas, WholeFiles

PEPPER = bytes(range(32))
CONFIGURATION = ROOT / "benches/nginx/conf/keyward.toml"
WRK_SCRIPT = ROOT / "benches/nginx/wrk.lua"
# Keys that wrk sends, good ones and others; it keeps a request for each in memory.
SENT = 100_000
# One key in so many is revoked from the start.
REVOKED_SHARE = 50
# Files that a worker may have open for a moment while it takes a new generation.
PASSING_FILES = 3
# How soon a revoked key is refused by every worker, where nothing else is at work: only the measurement asks for it.
LATEST_MS = 250


@dataclass(frozen=True)
class Plan:
    keys: int
    seconds: int
    revocations: int
    workers: int = 4
    interval: float = 0.1
    connections: int = 32
    # Whether each generation is a whole file, and not a delta on the first one.
    whole: bool = False


@dataclass
class Report:
    faults: list[str] = field(default_factory=list)
    measured: dict = field(default_factory=dict)


class Field:
    """The keys, their snapshot, and the files that wrk reads."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        # Random in form only: the same keys in every run.
        generator = random.Random(plan.keys)
        text = [f"bk_live_{generator.getrandbits(128):032x}" for _ in range(plan.keys)]
        stride = max(1, plan.keys // SENT)
        with (folder / "keys.jsonl").open("w") as lines:
            for number, key in enumerate(text):
                status = ',"status":"revoked"' if number % REVOKED_SHARE == 0 else ""
                lines.write(f'{{"realm":"bench","id":"key_{number:08}","key":"{key}"{status}}}\n')
        lasting = [number for number in range(plan.keys) if number % REVOKED_SHARE]
        revoked = generator.sample(lasting, plan.revocations)
        self.victims, self.ids = [text[number] for number in revoked], [f"key_{number:08}" for number in revoked]
        victims = set(self.victims)
        good = [text[number] for number in lasting[::stride] if text[number] not in victims]
        self.good = good[0]
        bad = text[::REVOKED_SHARE] + [f"bk_live_{generator.getrandbits(128):032x}" for _ in range(1000)]
        generator.shuffle(bad)
        (folder / "good").write_text("".join(key + "\n" for key in good))
        (folder / "bad").write_text("".join(key + "\n" for key in bad))
        keyring = folder / "keyring.toml"
        keyring.write_text(f'[[pepper]]\nid = 1\nkey = "{PEPPER.hex()}"\n')
        keyring.chmod(0o600)
        subprocess.run([CLI, "build", "--config", CONFIGURATION, "--keyring", keyring, "--keys", folder / "keys.jsonl",
                        "-o", folder / "keys.kwd"], check=True, capture_output=True)
        (folder / "keys.jsonl").unlink()


def configuration(folder: Path, port: int, workers: int) -> str:
    return f"""\
load_module {MODULE};
daemon off;
{"user root;" if os.geteuid() == 0 else ""}
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log notice;

events {{ worker_connections 1024; }}

http {{
{temporary(folder)}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  keyward_snapshot {folder}/keys.kwd;
  keyward_keyring {folder}/keyring.toml;
  keyward_reload 50ms;

  server {{
    listen 127.0.0.1:{port};
    add_header X-Worker $pid always;
    location / {{
      keyward bench;
      empty_gif;
    }}
  }}
}}
"""


@contextmanager
def served(plan: Plan) -> Iterator[tuple[Field, Nginx, int]]:
    # In memory: how fast a disk takes 80 MB ten times a second is not the question.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="keyward-storm-", dir=memory) as name:
        folder = Path(name)
        folder.chmod(0o755)
        field, port = Field(folder, plan), free_port()
        with Nginx(configuration(folder, port, plan.workers), folder, plan.workers) as nginx:
            yield field, nginx, port


class Load:
    """wrk with good keys, and wrk with others, in the background: for `seconds`, or until they are stopped."""

    def __init__(self, field: Field, port: int, seconds: float, connections: int) -> None:
        def wrk(keys: str, connections: int) -> subprocess.Popen:
            command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "10s", "-s", str(WRK_SCRIPT),
                       f"http://127.0.0.1:{port}/", "--", str(field.folder / keys)]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        self.good, self.bad = wrk("good", connections), wrk("bad", max(1, connections // 4))
        self.connections = connections + max(1, connections // 4)

    def stop(self) -> None:
        """wrk tells what it counted so far."""
        for process in (self.good, self.bad):
            process.send_signal(signal.SIGINT)

    def wait_until_connected(self, before: dict[int, "Seen"]) -> None:
        """wrk reads its keys first, and then opens its connections."""
        expected = sum(seen.files for seen in before.values()) + self.connections
        harness.wait_until(lambda: sum(Seen.of(worker).files for worker in before) >= expected, 60)

    def result(self, faults: list[str]) -> dict:
        results = []
        for process in (self.good, self.bad):
            output, _ = process.communicate()
            results.append(json.loads(output.splitlines()[-1]))
        good, bad = results
        if good["refused"]:
            faults.append(f"{good['refused']} of {good['requests']} requests with a good key were refused")
        if bad["refused"] != bad["requests"]:
            faults.append(f"{bad['requests'] - bad['refused']} requests with a bad key were let in")
        if good["broken"] or bad["broken"]:
            faults.append(f"{good['broken'] + bad['broken']} requests broke off")
        return {"good": good, "bad": bad}


@dataclass
class Seen:
    """What a process of nginx had at one moment."""

    files: int
    generations: int

    @classmethod
    def of(cls, pid: int) -> "Seen":
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        mapped = {(line.split()[4], "keys.kwd.delta" in line) for line in maps if "keys.kwd" in line}
        deltas = sum(is_delta for _, is_delta in mapped)
        return cls(len(os.listdir(f"/proc/{pid}/fd")), max(deltas, len(mapped) - deltas))


class Watcher(threading.Thread):
    """Looks at files and mappings ten times a second."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(daemon=True)
        self.pids, self.over = pids, threading.Event()
        self.seen: dict[int, list[Seen]] = {pid: [] for pid in pids}

    def run(self) -> None:
        while not self.over.wait(0.1):
            for pid in self.pids:
                self.seen[pid].append(Seen.of(pid))

    def stop(self) -> None:
        self.over.set()
        self.join()


class Revocations:
    """One key is revoked every `interval`, and each worker is asked for it until it refuses."""

    def __init__(self, field: Field, plan: Plan, connections: dict[int, Connection]) -> None:
        self.field, self.plan, self.connections = field, plan, connections
        snapshot = field.folder / "keys.kwd"
        self.publisher = (WholeFiles(snapshot, PEPPER, "bench", "key") if plan.whole
                          else Deltas(snapshot, CONFIGURATION, field.folder / "keyring.toml", "bench"))
        self.published: list[float] = []
        self.refused: dict[int, list[float]] = {worker: [] for worker in connections}
        self.error: BaseException | None = None

    def publish(self, until: float) -> None:
        try:
            start = time.monotonic()
            for number, (id, key) in enumerate(zip(self.field.ids, self.field.victims)):
                time.sleep(max(0.0, start + number * self.plan.interval - time.monotonic()))
                self.publisher.revoke(id, key)
                self.published.append(self.publisher.publish())
            while time.monotonic() < until:
                # Nothing changes any more but the generation.
                time.sleep(self.plan.interval)
                self.publisher.publish()
        except BaseException as error:  # told by the thread that waits
            self.error = error

    def run(self, seconds: float, faults: list[str]) -> None:
        victims, total = self.field.victims, len(self.field.victims)
        for worker, connection in self.connections.items():
            if connection.ask(victims[0])[0] != 200:
                faults.append(f"worker {worker} refused a key before it was revoked")
        publishing = threading.Thread(target=self.publish, args=(time.monotonic() + seconds,), daemon=True)
        publishing.start()
        while any(len(times) < total for times in self.refused.values()) and self.error is None:
            published = len(self.published)
            # All workers are asked before any answer is waited for, and for all keys that are published and that
            # they have not refused yet: or the asking would be what is measured.
            asked = {worker: victims[len(times):published] for worker, times in self.refused.items()}
            for worker, keys in asked.items():
                self.connections[worker].send(keys)
            for worker, keys in asked.items():
                times = self.refused[worker]
                statuses = [(self.connections[worker].receive()[0], time.monotonic()) for _ in keys]
                times += [at for _, at in itertools.takewhile(lambda answer: answer[0] == 401, statuses)]
                if len(times) < published and time.monotonic() - self.published[len(times)] > 30:
                    faults.append(f"worker {worker} still lets in a key 30 s after it was revoked")
                    return
            time.sleep(0.002)
        publishing.join()
        if self.error is not None:
            raise self.error

    def delays(self) -> list[float]:
        """From each publication to the answer of the last worker that refused, in milliseconds."""
        return sorted(1000 * (max(times) - published)
                      for published, *times in zip(self.published, *self.refused.values()))


def run(plan: Plan) -> Report:
    report = Report()
    with served(plan) as (field, nginx, port):
        workers = nginx.workers()
        connections = one_to_each(port, workers, field.good)
        before = {worker: Seen.of(worker) for worker in workers}
        calm = Load(field, port, plan.seconds, plan.connections).result(report.faults)

        revocations = Revocations(field, plan, connections)
        lasts = max(plan.seconds, plan.revocations * plan.interval)
        load = Load(field, port, lasts + 120, plan.connections)
        load.wait_until_connected(before)
        watcher = Watcher(workers)
        watcher.start()
        started = time.monotonic()
        revocations.run(lasts, report.faults)
        took = time.monotonic() - started
        watcher.stop()
        load.stop()
        stormy = load.result(report.faults)
        settle(before)
        check_after(report, field, nginx, workers, connections, before, watcher)
        delays = revocations.delays()
        report.measured = {
            "keys": plan.keys, "workers": plan.workers, "whole": plan.whole, "newest_bytes": revocations.publisher.size(),
            "generations": revocations.publisher.generation - 1, "seconds": round(took, 1),
            "generations_per_second": round((revocations.publisher.generation - 1) / took, 2),
            "revocations": len(delays),
            "refused_by_all_ms": {"median": round(delays[len(delays) // 2], 1), "p99": round(delays[len(delays) * 99 // 100], 1),
                                  "max": round(delays[-1], 1)} if delays else None,
            "without_reloads": calm, "with_reloads": stormy,
            "p99_ratio": round(stormy["good"]["p99_us"] / calm["good"]["p99_us"], 2),
            "most_generations_mapped": max(seen.generations for all_seen in watcher.seen.values() for seen in all_seen),
            "most_files_more": max(max(seen.files for seen in all_seen) - min(seen.files for seen in all_seen)
                                   for all_seen in watcher.seen.values()),
        }
        for connection in connections.values():
            connection.close()
    return report


def settle(before: dict[int, Seen], seconds: float = 10) -> None:
    """Gives the workers time to notice that wrk is gone. Whether they have the same files open again is asked later."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(Seen.of(worker).files != seen.files for worker, seen in before.items()):
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """Processes that `pid` started and that have not ended."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def check_after(report: Report, field: Field, nginx: Nginx, workers: list[int], connections: dict[int, Connection],
                before: dict[int, Seen], watcher: Watcher) -> None:
    faults = report.faults
    if nginx.workers() != workers:
        faults.append("a worker died")
        return
    for worker, connection in connections.items():
        let_in = [key for key in field.victims if connection.ask(key)[0] != 401]
        if let_in:
            faults.append(f"worker {worker} lets in {len(let_in)} keys that are revoked")
        if connection.ask(field.good)[0] != 200:
            faults.append(f"worker {worker} refuses a good key")
        after, seen = Seen.of(worker), watcher.seen[worker]
        if after.files != before[worker].files:
            faults.append(f"worker {worker} has {after.files} files open, and had {before[worker].files}")
        if max(one.files for one in seen) - min(one.files for one in seen) > PASSING_FILES:
            faults.append(f"worker {worker} had between {min(one.files for one in seen)} and {max(one.files for one in seen)} files open")
        if max(one.generations for one in seen) > 2:
            faults.append(f"worker {worker} had {max(one.generations for one in seen)} generations mapped")
    checked = subprocess.run([CLI, "inspect", field.folder / "keys.kwd"], capture_output=True, text=True)
    if checked.returncode != 0:
        faults.append(f"the last generation is damaged: {checked.stderr}")
    faults += nginx.problems()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--revocations", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--whole", action="store_true", help="publish whole files, and no deltas on the first")
    parser.add_argument("--json", type=Path, help="write what was measured here")
    arguments = parser.parse_args()
    plan = Plan(arguments.keys, arguments.seconds, arguments.revocations, arguments.workers,
                connections=arguments.connections, whole=arguments.whole)
    report = run(plan)
    delays = report.measured["refused_by_all_ms"] if report.measured else None
    if delays and delays["max"] > LATEST_MS:
        report.faults.append(f"a worker refused a revoked key after {delays['max']} ms, and not within {LATEST_MS}")
    text = json.dumps(report.measured | {"faults": report.faults}, indent=1)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    print(text)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
