"""Builds the extension: keyward's static library, the C in native/ and what cffi makes of the header, in one file.

It asks cargo for the library, unless KEYWARD_LIBRARY names a libkeyward.a, or a libkeyward.so to load at run time.
"""

import os
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def library() -> Path:
    named = os.environ.get("KEYWARD_LIBRARY")
    if named:
        return Path(named).resolve()
    if not (ROOT / "scripts/capi.sh").exists():
        sys.exit("keyward: this is not a checkout of keyward; KEYWARD_LIBRARY has to name a libkeyward.a")
    try:
        subprocess.run([ROOT / "scripts/capi.sh"], check=True)
    except subprocess.CalledProcessError:
        sys.exit("keyward: scripts/capi.sh failed; it needs Rust (cargo on the PATH) and a C compiler")
    # cargo, too, takes a relative folder to be that of the checkout, where scripts/capi.sh runs it.
    return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release/libkeyward.a"


class Build(build_ext):
    def build_extensions(self) -> None:
        linked = library()
        for extension in self.extensions:
            extension.extra_objects.append(str(linked))
            # setuptools looks for changes in these, and does not know the library.
            extension.depends += [str(linked), *map(str, (HERE / "native").iterdir())]
        super().build_extensions()


setup(
    cffi_modules=["build_cffi.py:builder"],
    cmdclass={"build_ext": Build},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
