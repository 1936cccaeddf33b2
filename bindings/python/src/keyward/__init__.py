"""API keys verified inside the server's own process, from a mapped snapshot.

    from keyward import Engine, Request

    engine = Engine.open("keys.kwd", keyring="keyring.toml")
    engine.watch()                                     # takes over what is published
    verdict = engine.verify(Request("billoget", headers, "/v1/api/public/budgets", method="GET", tls=True))
    if verdict:
        print(verdict.key_id, verdict.tenant)
    else:
        answer = engine.answer(verdict)                # for the client; verdict.reason is for your logs

`keyward.asgi`, `keyward.wsgi` and `keyward.fastapi` do that for a whole application.
"""

from keyward._engine import Answer, CredentialHeader, Engine, Info
from keyward._errors import (
    AbiError,
    ArgumentError,
    ClosedError,
    Error,
    FileAccessError,
    FileMissingError,
    FileReadError,
    InternalError,
    KeyringError,
    NoFileError,
    NoSnapshotError,
    SnapshotError,
    StateError,
    TokenError,
)
from keyward._library import ffi as _ffi
from keyward._library import lib as _lib
from keyward._native import Verdict
from keyward._request import Header, Request
from keyward._watch import Watch

__all__ = [
    "AbiError",
    "Answer",
    "ArgumentError",
    "ClosedError",
    "CredentialHeader",
    "Engine",
    "Error",
    "FileAccessError",
    "FileMissingError",
    "FileReadError",
    "Header",
    "Info",
    "InternalError",
    "KeyringError",
    "NoFileError",
    "NoSnapshotError",
    "Request",
    "SnapshotError",
    "StateError",
    "TokenError",
    "Verdict",
    "Watch",
    "__version__",
]

__version__: str = str(_ffi.string(_lib.keyward_version()), "ascii")
