"""What the tests have in common, much of it with the tests of the other bindings: where the one home of it is."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from types import ModuleType

from keyward import Engine, Request

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent
ROOT = PACKAGE.parent.parent
FIXTURE = ROOT / "bindings/c/tests/fixture"

# The programs that send vectors over HTTP to nginx: a raw exchange, the clock, what a request can say.
sys.path.append(str(ROOT / "bindings/nginx/tests"))

from harness import CLI, TARGET, free_port, wait_until  # noqa: E402

__all__ = ["CLI", "FIXTURE", "HERE", "PACKAGE", "ROOT", "TARGET", "Fixture", "c_vectors", "free_port", "script", "wait_until"]


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# bindings/c/tests/vectors.py: reading vector files so that a repeated member or a fraction stays as it was written.
c_vectors = _load("c_vectors", ROOT / "bindings/c/tests/vectors.py")

READER = "sk_live_0000000000000001"
TURNING = "sk_live_0000000000000002"
SLOW = "sk_live_0000000000000003"
OFFICE = "sk_live_0000000000000004"


class Fixture(unittest.TestCase):
    """A folder with the snapshot of bindings/c/tests/fixture, which each test may publish anew."""

    def setUp(self) -> None:
        kept = tempfile.TemporaryDirectory(prefix="keyward-python-")
        self.addCleanup(kept.cleanup)
        self.folder = Path(kept.name)
        self.snapshot = self.folder / "keys.kwd"
        self.keyring = self.folder / "keyring.toml"
        self.keyring.touch(mode=0o600)
        self.keyring.write_bytes((FIXTURE / "keyring.toml").read_bytes())
        self.keys = [json.loads(line) for line in (FIXTURE / "keys.jsonl").read_text().splitlines()]
        self.publish(1)

    def publish(self, generation: int, config: Path = FIXTURE / "keyward.toml") -> None:
        lines = "".join(json.dumps(key) + "\n" for key in self.keys)
        subprocess.run(
            [CLI, "build", "--config", config, "--keyring", self.keyring, "--keys", "-", "--generation",
             str(generation), "-o", self.snapshot],
            input=lines.encode(), check=True, capture_output=True)

    def revoke(self, key_id: str, generation: int) -> None:
        for key in self.keys:
            if key["id"] == key_id:
                key["status"] = "revoked"
        self.publish(generation)

    def open(self, **options: object) -> Engine:
        engine = Engine.open(self.snapshot, keyring=self.keyring, **options)  # type: ignore[arg-type]
        self.addCleanup(engine.close)
        return engine


def orders(key: str | None, **fields: object) -> Request:
    headers = [] if key is None else [(b"Authorization", b"Bearer " + key.encode())]
    return Request("shop", headers, b"/orders")._replace(**fields)


def script(text: str, *arguments: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own, as this interpreter would."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONWARNINGS": "error"}
    return subprocess.run([sys.executable, "-c", text, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, env=environment)
