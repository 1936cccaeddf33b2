"""The library's numbers and calls, as cffi gives them, and whether it is the right one."""

from __future__ import annotations

import os
from typing import Any

from keyward._cffi import ffi, lib
from keyward._errors import AbiError, error_of

__all__ = ["OPTIONAL_PATH", "bytes_of", "check", "check_version", "ffi", "lib", "name_of", "path_of", "text_of"]

OPTIONAL_PATH = str | bytes | os.PathLike[str] | os.PathLike[bytes] | None


def check_version(library: int, header: int) -> None:
    """Raises AbiError where a library with that version of the ABI cannot serve what was built for the other."""
    if library >> 16 != header >> 16 or library & 0xFFFF < header & 0xFFFF:
        raise AbiError(
            f"libkeyward has version {library >> 16}.{library & 0xFFFF} of the C interface, and this package was built "
            f"for {header >> 16}.{header & 0xFFFF}: build the package again, or install that library"
        )


check_version(lib.keyward_abi_version(), lib.KEYWARD_ABI_VERSION)


def path_of(path: OPTIONAL_PATH, what: str) -> bytes:
    """A path as the system has it."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"{what} has to be a path, not {type(path).__name__}")
    encoded = os.fsencode(path)
    if b"\0" in encoded or not encoded:
        raise ValueError(f"{what} is empty or has a NUL")
    return encoded


def text_of(text: str, what: str) -> bytes:
    """A name in UTF-8."""
    if not isinstance(text, str):
        raise TypeError(f"{what} has to be str, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} has a lone surrogate, which UTF-8 does not have") from None


def bytes_of(data: bytes) -> tuple[Any, Any]:
    """A `keyward_bytes`, and what has to live as long as it."""
    kept = ffi.from_buffer("uint8_t[]", data)
    return ffi.new("keyward_bytes *", {"data": kept, "len": len(kept)}), kept


def name_of(status: int) -> str:
    return str(ffi.string(lib.keyward_status_name(status)), "ascii")


def check(status: int, error: Any = None) -> None:
    """Raises what a status stands for."""
    if status != lib.KEYWARD_OK:
        message = str(ffi.buffer(error.message, error.message_len), "utf-8", "replace") if error is not None else None
        raise error_of(status, name_of(status), message)
