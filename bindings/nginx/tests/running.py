"""An nginx on a whole configuration that is given, where harness.py's own is not enough; and what such ones need."""

import os
import subprocess
from pathlib import Path

import harness


class Nginx(harness.Nginx):
    """`configuration` says `daemon off`, and puts `nginx.pid` and `error.log` into `folder`."""

    def __init__(self, configuration: str, folder: Path, workers: int = 1, environment: dict[str, str] | None = None) -> None:
        self.configuration = configuration
        super().__init__(folder, workers=workers, environment=environment and os.environ | environment, start=False)

    def configure(self, **settings: object) -> None:
        self.settings.update(settings)
        self.conf.write_text(self.configuration)

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"nginx did not start: {self.log()}{self.log('output.log')}")
        return (self.folder / "nginx.pid").exists() and len(self.workers()) == self.settings["workers"]

    def __enter__(self) -> "Nginx":
        self.start()
        return self


def temporary(folder: Path) -> str:
    """Directives of `http` that keep what nginx puts aside in `folder`."""
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"  {name}_temp_path {folder}/temporary-{name};\n" for name in names)


def certificate(folder: Path, hosts: list[str] | None = None) -> None:
    """Puts certificate.pem and key.pem into `folder`, its own authority."""
    names = ",".join(f"DNS:{host}" for host in ["localhost", *(hosts or [])])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "3650", "-subj", "/CN=localhost", "-addext", f"subjectAltName={names},IP:127.0.0.1",
                    "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"], check=True, capture_output=True)


def quoted(text: str) -> str:
    """A word of nginx's configuration."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
