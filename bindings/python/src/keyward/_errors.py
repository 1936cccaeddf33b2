"""What is not a verdict."""

from __future__ import annotations

import errno

__all__ = [
    "AbiError", "ArgumentError", "ClosedError", "Error", "FileAccessError", "FileMissingError", "FileReadError",
    "InternalError", "KeyringError", "NoFileError", "NoSnapshotError", "SnapshotError", "StateError", "TokenError",
]


class Error(Exception):
    """Something went wrong, and nothing was decided. No message holds a secret."""

    code: int = 0
    """The number of it in keyward.h (`KEYWARD_E_...`); 0 where the library was not asked."""
    status: str = ""
    """The name of that number, such as `not_found`."""


class ClosedError(Error, ValueError):
    """The engine was closed."""


class AbiError(Error, ImportError):
    """The library is not of the version that this package was built for."""


class ArgumentError(Error, ValueError):
    """The library was asked something that it does not know, such as a realm that the snapshot lacks."""


class FileReadError(Error, OSError):
    """A file cannot be read or written."""


class FileMissingError(FileReadError, FileNotFoundError):
    """A file is not there."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.errno = errno.ENOENT


class FileAccessError(FileReadError, PermissionError):
    """A file may not be read or written."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        self.errno = errno.EACCES


class SnapshotError(Error):
    """The file is not a snapshot that can be used: `status` says why (`damaged`, `truncated`, `older`, …)."""


class KeyringError(Error):
    """The keyring breaks a rule, others may read it, or it lacks a pepper of the snapshot."""


class TokenError(Error):
    """A token cannot be issued by the realm's rules, or with the keyring's keys."""


class StateError(Error):
    """What is there is not a state file, or one that others may write to."""


class NoSnapshotError(Error):
    """No snapshot has been good yet."""


class NoFileError(Error):
    """The engine has its snapshot from memory, and no file to look at."""


class InternalError(Error):
    """The library is at fault, or answered with a number that this package does not know."""


_CLASSES: dict[int, type[Error]] = {
    103: ClosedError,
    201: FileMissingError,
    202: FileAccessError,
    203: FileReadError,
    311: KeyringError,
    312: KeyringError,
    313: KeyringError,
    314: TokenError,
    315: StateError,
    401: NoSnapshotError,
    402: NoFileError,
}
_GROUPS: dict[int, type[Error]] = {1: ArgumentError, 2: FileReadError, 3: SnapshotError}


def error_of(code: int, name: str, message: str | None) -> Error:
    """The exception that a status stands for."""
    made = _CLASSES.get(code) or _GROUPS.get(code // 100, InternalError)
    error = made(message or _WORDS.get(code) or f"the library answered {name} ({code})")
    error.code, error.status = code, name
    return error


_WORDS = {
    110: "the snapshot has no such realm",
    111: "the realm has no such environment",
    114: "the realm does not take one key by itself: it requires none, or one of another kind",
    501: "the library panicked; the request was not let in",
}


def closed() -> ClosedError:
    return ClosedError("the engine is closed")
