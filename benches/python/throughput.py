"""Requests a second of FastAPI on one uvicorn, and the processor time of each: without a check, with the middleware, with the
dependency."""

import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from contenders import Prepared

APPLICATIONS = ("plain", "middleware", "dependency")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    def __init__(self, folder: Path, name: str, port: int, prepared: Prepared) -> None:
        environment = {**os.environ, "KEYWARD_SNAPSHOT": str(prepared.snapshot), "KEYWARD_KEYRING": str(prepared.keyring)}
        self.url = f"http://127.0.0.1:{port}/v1/items/17"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", f"served:{name}", "--app-dir", str(Path(__file__).parent), "--port", str(port),
             "--http", "httptools", "--no-access-log", "--log-level", "error", "--forwarded-allow-ips", "127.0.0.1"],
            env=environment, cwd=folder)

    def processor_us(self) -> float:
        """What the server has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")

    def asked(self, key: str, seconds: float) -> tuple[float, float]:
        """Requests a second, and the processor time of one."""
        before = self.processor_us()
        done = subprocess.run(
            ["wrk", "-t1", "-c16", f"-d{max(1, round(seconds))}s", "-H", f"Authorization: Bearer {key}",
             "-H", "X-Forwarded-For: 203.0.113.7", self.url], capture_output=True, text=True, check=True).stdout
        rate, count = re.search(r"Requests/sec:\s+([\d.]+)", done), re.search(r"(\d+) requests in", done)
        if rate is None or count is None or "Non-2xx" in done or int(count[1]) == 0:
            raise RuntimeError(done)
        return float(rate[1]), (self.processor_us() - before) / int(count[1])

    def wait(self, key: str) -> None:
        for _ in range(200):
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.url}: uvicorn ended")
            if subprocess.run(["curl", "-s", "-o", os.devnull, self.url]).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.url}: nobody answers")

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def measure(folder: Path, prepared: Prepared, seconds: float, rounds: int) -> dict[str, float]:
    key = prepared.rotation[0]
    servers = {name: Server(folder, name, free_port(), prepared) for name in APPLICATIONS}
    try:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in APPLICATIONS}
        for server in servers.values():
            server.wait(key)
            server.asked(key, 1)
        for _ in range(rounds):
            for name, server in servers.items():
                found[name].append(server.asked(key, seconds))
    finally:
        for server in servers.values():
            server.end()
    result = {}
    for at, unit in ((0, ""), (1, "_processor_us")):
        for name in APPLICATIONS:
            result[name + unit] = round(statistics.median(turn[at] for turn in found[name]), 1)
            ratios = (turn[at] / plain[at] for turn, plain in zip(found[name], found["plain"], strict=True))
            result[f"{name}{unit}_ratio"] = round(statistics.median(ratios), 3)
    return result
