"""What cffi makes the module keyward._cffi of: the committed header, and the C in native/."""

import re
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
SOURCES = ("asked", "request", "verdict", "engine", "module")


def declarations(header: str) -> str:
    """The header as cffi reads it: no comments and no preprocessor, but for the numbers."""
    plain = re.sub(r"/\*.*?\*/|//[^\n]*", "", header, flags=re.DOTALL)
    plain = re.sub(r'extern "C" \{|^\}\s*$', "", plain, flags=re.MULTILINE)
    lines = [line for line in plain.splitlines() if not line.startswith("#") or re.match(r"#define \w+ \d+\s*$", line)]
    return "\n".join(lines)


builder = FFI()
builder.cdef(declarations((INCLUDE / "keyward.h").read_text(encoding="utf-8")))
builder.cdef("int keyward_python_add_types(void);")
builder.set_source(
    "keyward._cffi",
    "#include <keyward.h>\nint keyward_python_add_types(void);",
    sources=[f"native/{name}.c" for name in SOURCES],
    include_dirs=[str(INCLUDE), "native"],
    define_macros=[("Py_LIMITED_API", "0x030a0000")],
    py_limited_api=True,
    extra_compile_args=["-std=gnu11", "-O2", "-fvisibility=hidden", "-fno-plt", "-Wall", "-Wextra", "-Wno-unused-parameter"],
    # Of the library, nothing is to be seen outside, and nothing is kept that is not called.
    extra_link_args=["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--strip-all",
                     "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"],
)
