"""Processes that a measurement starts, stops, and charges with the processor time that they took."""

import signal
import socket
import subprocess
import time
from pathlib import Path


class Failed(Exception):
    """A process did not do what it was started for."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children(pid: int) -> list[int]:
    """The processes that `pid` started, oldest first; empty where it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def processor_seconds(pids: list[int]) -> float:
    """Processor time of those processes so far, of threads that have ended as well: from the clock that each process
    has for it, clock_getcpuclockid(3), in nanoseconds. What /proc/PID/stat has comes in hundredths of a second."""
    scheduler = 2
    return sum(time.clock_gettime_ns(~pid << 3 | scheduler) for pid in pids) / 1e9


class Process:
    """One program in the foreground, and its children."""

    def __init__(self, command: list[str], output: Path) -> None:
        self.command, self.output = command, output
        with output.open("wb") as sink:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)

    def wait_for(self, address: tuple[str, int] | str, seconds: float = 60) -> None:
        """Until somebody listens at `address`, a port or the path of a socket."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.popen.poll() is not None:
                break
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            with socket.socket(family) as probe:
                try:
                    probe.connect(address)
                    return
                except OSError:
                    time.sleep(0.02)
        said = self.output.read_text(errors="replace")[-2000:]
        raise Failed(f"{' '.join(self.command)}: nothing listens at {address}\n{said}")

    def workers(self) -> list[int]:
        """The processes that serve: the children, or the program itself where it has none."""
        return children(self.popen.pid) or [self.popen.pid]

    def stop(self) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
