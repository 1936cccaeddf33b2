"""What a middleware asks of an engine, checked once before the first request."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keyward._engine import Engine
from keyward._errors import ArgumentError, NoSnapshotError

__all__ = ["KEY", "Served", "folded", "listed", "peer_at"]

KEY = "keyward.verdict"
"""Where the verdict is in an ASGI scope and a WSGI environ."""


def folded(name: str) -> str:
    """A header's name as programs may read it: what is equal so is taken for the same header."""
    return name.lower().replace("_", "-").replace(".", "-")


def listed(scopes: Sequence[str]) -> tuple[str, ...]:
    """Scopes as verify() takes them: a str would be a scope for each of its letters."""
    if not isinstance(scopes, list | tuple):
        raise TypeError(f"scopes has to be a list or tuple of str, not {type(scopes).__name__}")
    return tuple(scopes)


def peer_at(address: Any) -> Any:
    """The peer at an address that a server tells. Servers may have it from a header, and so from the client: it never
    says that the peer is on a Unix socket, which realms trust."""
    text = address.decode("latin-1") if isinstance(address, bytes) else address
    return None if text == "unix:" else address


@dataclass(frozen=True, slots=True)
class Served:
    """An engine, and what is required of every request to it."""

    engine: Engine
    realm: str
    environment: str | None
    scopes: tuple[str, ...]
    hide_credentials: bool
    list_scopes: bool

    def __post_init__(self) -> None:
        """Finds what is misspelt now, where whoever starts the server sees it, and not with the first request."""
        if not isinstance(self.engine, Engine):
            raise TypeError(f"engine has to be a keyward.Engine, not {type(self.engine).__name__}")
        if not isinstance(self.realm, str):
            raise TypeError(f"realm has to be str, not {type(self.realm).__name__}")
        for scope in self.scopes:
            if not isinstance(scope, str):
                raise TypeError(f"a scope has to be str, not {type(scope).__name__}")
        if self.environment is not None and not isinstance(self.environment, str):
            raise TypeError(f"environment has to be str or None, not {type(self.environment).__name__}")
        for what, flag in (("hide_credentials", self.hide_credentials), ("list_scopes", self.list_scopes)):
            if not isinstance(flag, bool):
                raise TypeError(f"{what} has to be bool, not {type(flag).__name__}")
        try:
            self.engine.check_realm(self.realm, self.environment)
        except NoSnapshotError:
            return  # opened with later=True: every request is unavailable until there is one
        except ArgumentError as error:
            error.args = (f"{error.args[0]}: {self.realm!r}, {self.environment!r}",)
            raise

    def hidden(self) -> Callable[[str], bool]:
        """Whether a header carries credentials, by the generation that is current now."""
        return _hidden(tuple(sorted(folded(header.name) for header in self.engine.credential_headers(self.realm))))


@functools.lru_cache(maxsize=64)
def _hidden(names: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda name: folded(name) in names
