"""The programs that people run and no other test does: the demo, and the comparison in its shortest form."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import demo
from harness import CLI, MODULE, NGINX, ROOT


class Programs(unittest.TestCase):
    def test_the_demo(self) -> None:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            self.assertEqual(0, demo.main(), shown.getvalue())
        self.assertEqual(demo.WORKERS, shown.getvalue().count("refused it first after"))
        self.assertIn("generation", shown.getvalue())

    def test_the_comparison(self) -> None:
        """With what `make test` has anyway: nginx's own `map` beside keyward."""
        with tempfile.TemporaryDirectory(prefix="keyward-compare-") as folder:
            result, picture = Path(folder) / "result.json", Path(folder) / "picture.svg"
            subprocess.run([sys.executable, ROOT / "benches/nginx/compare.py", "--keyward", CLI, "--module", MODULE,
                            "--nginx", NGINX, "--keys", "1000", "--hot", "10", "--rounds", "1", "--seconds", "1",
                            "--only", "keyward", "map", "--json", result, "--picture", picture],
                           check=True, capture_output=True)
            contenders = json.loads(result.read_text())["contenders"]
            self.assertEqual(["plain", "keyward", "map"], list(contenders))
            for contender in contenders.values():
                self.assertGreater(contender["all"]["rate"], 0)
            self.assertIn("keyward", picture.read_text())


if __name__ == "__main__":
    unittest.main()
