"""All vectors in process: as the files expect it, and field by field as Rust renders them."""

import tempfile
import unittest
from pathlib import Path

import cases
from keyward import Engine
from shared import CLI, c_vectors


class InProcess(unittest.TestCase):
    def test_every_case(self) -> None:
        count = 0
        for path in cases.files(cases.folders()):
            vectors = cases.read(path)
            with self.subTest(file=path.name), tempfile.TemporaryDirectory(prefix="keyward-cases-") as name:
                snapshot, keyring, message = c_vectors.build(CLI, Path(name) / "built", vectors)
                if "error" in vectors:
                    self.assertIn(vectors["error"], message or "")
                    continue
                self.assertIsNone(message)
                rust = cases.rendered(path, Path(name))
                with Engine.open(snapshot, keyring=keyring) as engine:
                    for (case, found), expected in zip(cases.decided(engine, vectors), rust, strict=True):
                        count += 1
                        with self.subTest(case=case["name"]):
                            self.assertEqual(expected, found)
                            for field, value in case["expect"].items():
                                self.assertEqual(cases.plain(value), found[field], field)
        self.assertGreater(count, 700)


if __name__ == "__main__":
    unittest.main()
