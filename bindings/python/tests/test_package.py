"""What is built and installed: types, symbols, and a library of another version."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import keyward
from keyward._library import check_version
from shared import PACKAGE, ROOT

STUB = """
#include <stdint.h>
#include <stdlib.h>
uint32_t keyward_abi_version(void) { return (uint32_t)strtoul(getenv("ABI"), NULL, 0); }
"""


class Versions(unittest.TestCase):
    def test_what_fits(self) -> None:
        for library, header in ((1, 1), (2, 1), (0x10005, 0x10004)):
            check_version(library, header)
        for library, header in ((0, 1), (1, 2), (0x10001, 1), (1, 0x10001)):
            with self.assertRaises(keyward.AbiError):
                check_version(library, header)

    def test_a_library_of_another_version(self) -> None:
        """The package, built against a library that says so: it cannot be imported."""
        with tempfile.TemporaryDirectory(prefix="keyward-abi-") as name:
            folder = Path(name)
            functions = set(re.findall(r"\b(keyward_\w+)\(", (ROOT / "include/keyward.h").read_text()))
            stubs = "".join(f"int {function}(void) {{ abort(); }}\n" for function in functions - {"keyward_abi_version"})
            (folder / "stub.c").write_text(STUB + stubs)
            library = folder / "libkeyward.so"
            subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, folder / "stub.c"], check=True)
            environment = {**os.environ, "KEYWARD_LIBRARY": str(library), "LD_LIBRARY_PATH": name}
            subprocess.run([sys.executable, "setup.py", "--quiet", "build", "--build-base", name, "--build-lib", f"{name}/lib"],
                           cwd=PACKAGE, env=environment, check=True, capture_output=True)
            ask = ("import sys; sys.path.insert(0, sys.argv[1])\n"
                   "try: import keyward\nexcept ImportError as error: print(type(error).__name__, error)\n"
                   "else: print('imported', keyward.__file__)")
            for version, expected in (("0x10001", "AbiError libkeyward has version 1.1"), ("0", "AbiError libkeyward has version 0.0")):
                done = subprocess.run([sys.executable, "-c", ask, f"{name}/lib"], env={**environment, "ABI": version},
                                      capture_output=True, text=True)
                self.assertTrue(done.stdout.startswith(expected), done.stdout + done.stderr)


class Built(unittest.TestCase):
    def test_types(self) -> None:
        places = [PACKAGE / "src/keyward", *sorted((ROOT / "examples").glob("*/*.py"))]
        # Examples are programs of their own, several of the same name.
        for place in places:
            done = subprocess.run([sys.executable, "-m", "mypy", "--config-file", PACKAGE / "pyproject.toml", place],
                                  capture_output=True, text=True, cwd=PACKAGE)
            self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_the_stub_says_what_there_is(self) -> None:
        done = subprocess.run([sys.executable, "-m", "mypy.stubtest", "--ignore-missing-stub", "keyward._native"],
                              capture_output=True, text=True, cwd=PACKAGE, env={**os.environ, "MYPYPATH": str(PACKAGE / "src")})
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)

    def test_everything_public_says_what_it_is(self) -> None:
        for name in keyward.__all__:
            if name in ("Header", "__version__"):
                continue
            thing = getattr(keyward, name)
            self.assertTrue(thing.__doc__, name)
            for member, value in vars(thing).items():
                if callable(value) and not member.startswith("_"):
                    self.assertTrue(value.__doc__, f"{name}.{member}")

    def test_what_is_seen_of_the_extension(self) -> None:
        from keyward import _cffi

        self.assertTrue(_cffi.__file__.endswith(".abi3.so"), _cffi.__file__)
        done = subprocess.run(["nm", "--dynamic", "--defined-only", _cffi.__file__], capture_output=True, text=True, check=True)
        self.assertEqual(["PyInit__cffi"], [line.split()[-1] for line in done.stdout.splitlines()])
        needed = subprocess.run(["objdump", "-p", _cffi.__file__], capture_output=True, text=True, check=True).stdout
        libraries = re.findall(r"NEEDED +(\S+)", needed)
        self.assertEqual([], [library for library in libraries if not re.match(r"(lib(c|m|rt|dl|util|pthread|gcc_s)|ld-linux.*)\.", library)])


if __name__ == "__main__":
    unittest.main()
