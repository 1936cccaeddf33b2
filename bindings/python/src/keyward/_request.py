"""What is asked. The type that programs see is made of this one by native/asked.c, so that making one takes less time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Header", "Request"]

Header = Sequence[bytes] | Sequence[str] | tuple[bytes, bytes] | tuple[str, str]


class Request(NamedTuple):
    """One request to verify. What is left out counts as not known, and never lets more in.

    Text may be bytes as received, or `str`: of headers it is taken as Latin-1, which is how Python's servers write
    their bytes, of everything else as UTF-8.
    """

    realm: str
    """The realm that the request is for."""
    headers: Sequence[Header]
    """Every header field as received, in order, repeats included: a list or tuple of pairs, as ASGI has it."""
    path: bytes | str | None
    """The request target as sent, still escaped; it is read up to the first `?`. `None` says that the request is not
    to be routed: what the realm requires by default counts, and `scopes`."""
    method: bytes | str | None = None
    """The method, as sent; `None` counts as GET."""
    host: bytes | str | None = None
    """What the client asked for as host. A `Host` header in the list is not looked at."""
    peer: bytes | str | None = None
    """The other end of the connection: an IP address, or `unix:`. Anything else is nobody known."""
    tls: bool = False
    """Whether the request came over TLS, or from a proxy that says so and is believed."""
    environment: str | None = None
    """The environment that keys must be of; `None` leaves it to the host."""
    scopes: Sequence[str] = ()
    """Scopes that are needed besides those of the route: a list or tuple."""
    now_ns: int | None = None
    """The time to decide at, as `time.time_ns()` has it; `None` reads the system's clock."""
    list_scopes: bool = False
    """Whether the verdict is to have all scopes of the key."""

    def __repr__(self) -> str:
        """Without the headers, which hold credentials, and without the query."""
        return f"Request(realm={self.realm!r}, method={self.method!r}, {len(self.headers)} headers)"
