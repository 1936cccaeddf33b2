from collections.abc import Sequence
from typing import Literal, final

from typing_extensions import disjoint_base

from keyward._request import Request

@final
class Verdict:
    """What was decided about a request. It is true only where the request may go on."""

    @property
    def allowed(self) -> bool:
        """Whether the request may go on; the same as `bool(verdict)`."""
    @property
    def decision(self) -> Literal["allow", "deny", "unavailable"]: ...
    @property
    def reason(self) -> str:
        """Why, such as `unknown_key`: for logs and metrics, not for the client."""
    @property
    def realm(self) -> str:
        """The realm that was asked."""
    @property
    def generation(self) -> int:
        """The generation that decided; 0 where there was none."""
    @property
    def retry_after(self) -> int | None:
        """Seconds after which the key may come again, where it was `rate_limited`."""
    @property
    def key_id(self) -> str | None:
        """The id of the key, as soon as authentication passed: also with a 403 or a 429."""
    @property
    def tenant(self) -> str | None:
        """The key's tenant."""
    @property
    def environment(self) -> str | None:
        """The key's environment."""
    @property
    def subject(self) -> str | None:
        """The subject of the token, where one was required."""
    @property
    def scope(self) -> str | None:
        """The scope that is missing, where the reason is `insufficient_scope`."""
    @property
    def scopes(self) -> tuple[str, ...] | None:
        """All scopes of the key, where the request had `list_scopes=True`; `None` also where they have more than
        16,383 bytes together."""
    def __bool__(self) -> bool: ...

@disjoint_base
class Handle:
    @property
    def closed(self) -> bool:
        """Whether close() was called."""
    def verify(self, request: Request, /) -> Verdict:
        """Decides one request. It takes no lock and makes no system call; an event loop may call it."""
    def verify_key(
        self,
        realm: str,
        key: bytes | str,
        /,
        *,
        environment: str | None = None,
        scopes: Sequence[str] = (),
        path: bytes | str | None = None,
        method: bytes | str | None = None,
        host: bytes | str | None = None,
        peer: bytes | str | None = None,
        tls: bool = True,
        now_ns: int | None = None,
        list_scopes: bool = False,
    ) -> Verdict:
        """Decides about a key by itself, which was taken from a message, a connection or the like.

        It is decided as if the key stood where the realm takes its key from. Without a path the request is not
        routed: what the realm requires by default counts, and the scopes that are named here.
        """
    def _issue_token(
        self, request: Request, credential: str | None, kid: str | None, subject: str | None, /
    ) -> tuple[Verdict, str | None]: ...
    def _answer(
        self, verdict: Verdict, /
    ) -> tuple[int, tuple[tuple[str, str], ...], str | None, bytes | None]: ...
    def _adopt(self, address: int, /) -> None: ...
    def _retained(self) -> int: ...
    def _give_up(self) -> int: ...
