"""What a middleware asks of an engine, checked once before the first request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from keyward._engine import Engine
from keyward._errors import ArgumentError, NoSnapshotError

__all__ = ["KEY", "Served", "folded"]

KEY = "keyward.verdict"
"""Where the verdict is in an ASGI scope and a WSGI environ."""


def folded(name: str) -> str:
    """A header's name as programs may read it: what is equal so is taken for the same header."""
    return name.lower().replace("_", "-").replace(".", "-")


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
