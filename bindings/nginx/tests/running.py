"""An nginx in the foreground of a test: started, asked who its workers are, stopped."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[3]
KEYWARD = os.environ.get("KEYWARD_COMMAND", str(ROOT / "target/release/keyward"))
MODULE = os.environ.get("KEYWARD_NGINX_MODULE", str(ROOT / "target/nginx/ngx_http_keyward_module.so"))
NGINX = os.environ.get("KEYWARD_NGINX", "nginx")


class Nginx:
    """`folder` holds everything that it writes. Its configuration says `daemon off` and logs to `error.log` there."""

    def __init__(self, configuration: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder, self.log = folder, folder / "error.log"
        self.configuration = folder / "nginx.conf"
        self.configuration.write_text(configuration)
        self.environment = os.environ | (environment or {})

    def __enter__(self) -> "Nginx":
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(self.command(), env=self.environment, stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=subprocess.STDOUT)
        self.wait_until(lambda: self.workers() and (self.folder / "nginx.pid").exists())
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def command(self, *arguments: str) -> list[str]:
        return [NGINX, "-p", "/usr/share/nginx", "-c", str(self.configuration), "-e", str(self.log), *arguments]

    def said(self) -> str:
        output = (self.folder / "output").read_text(errors="replace")
        return output + (self.log.read_text(errors="replace") if self.log.exists() else "")

    def wait_until(self, holds, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"nginx does not come up:\n{self.said()[-3000:]}")
            time.sleep(0.01)

    def workers(self) -> list[int]:
        return children(self.process.pid)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder: Path, hosts: list[str] | None = None) -> None:
    """Puts certificate.pem and key.pem into `folder`, its own authority."""
    names = ",".join(f"DNS:{host}" for host in ["localhost", *(hosts or [])])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "3650", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names},IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"], check=True, capture_output=True)


def quoted(text: str) -> str:
    """A word of nginx's configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
