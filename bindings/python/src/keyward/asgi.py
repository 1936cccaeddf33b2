"""Middleware for ASGI: Starlette, FastAPI, Quart, Django's ASGI handler.

    app.add_middleware(KeywardMiddleware, engine=engine, realm="billoget")      # Starlette, FastAPI
    app = KeywardMiddleware(app, engine=engine, realm="billoget")               # any other

What is allowed goes on with the verdict in `scope["keyward.verdict"]`; what is refused is answered as the realm says.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any

from keyward._engine import Answer, Engine
from keyward._native import Verdict
from keyward._request import Request
from keyward._served import KEY, Served, listed, peer_at

__all__ = ["KEY", "KeywardMiddleware", "request_of"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def request_of(
    scope: Scope, realm: str, *, environment: str | None = None, scopes: Sequence[str] = (), list_scopes: bool = False
) -> Request:
    """The request that an ASGI scope is about.

    The path is `raw_path`, which is what the client sent; servers need not give it, and without it there is no
    telling what was asked for.
    """
    headers: Iterable[Any] = scope["headers"]
    if not isinstance(headers, list | tuple):
        headers = list(headers)
    path = scope.get("raw_path")
    if path is None:
        raise RuntimeError("the server gives no raw_path, so that nobody knows what path was asked for: use another server")
    host, hosts = None, 0
    for name, value in headers:
        if name == b"host":
            host = value
            hosts += 1
    # Two hosts are a host that no realm knows.
    if hosts > 1:
        host = b""
    client = scope.get("client")
    if client:
        peer = peer_at(client[0])
    else:
        # A server on a Unix socket names its path, and no port.
        server = scope.get("server")
        peer = "unix:" if server and server[1] is None else None
    return Request(
        realm,
        headers,
        path,
        scope.get("method"),
        host,
        peer,
        scope.get("scheme") in ("https", "wss"),
        environment,
        scopes,
        None,
        list_scopes,
    )


class KeywardMiddleware:
    """Lets a request go on to `app` only if the realm allows it.

    engine            an open engine
    realm             the realm of all requests; the snapshot has to have it
    environment       the environment that keys must be of; left out: the realm's `hosts` say
    scopes            scopes that are needed besides those of the realm's route
    hide_credentials  whether the application sees no header that the realm takes credentials from
    list_scopes       whether `verdict.scopes` is to be filled in
    """

    def __init__(
        self,
        app: App,
        engine: Engine,
        realm: str,
        *,
        environment: str | None = None,
        scopes: Sequence[str] = (),
        hide_credentials: bool = False,
        list_scopes: bool = False,
    ) -> None:
        self.app = app
        self.served = Served(engine, realm, environment, listed(scopes), hide_credentials, list_scopes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if kind not in ("http", "websocket"):
            raise RuntimeError(f"keyward does not know what to ask about a connection of type {kind!r}")
        if not isinstance(scope["headers"], list | tuple):
            # It may be read only once, and the application wants them, too.
            scope = {**scope, "headers": list(scope["headers"])}
        served = self.served
        request = request_of(
            scope, served.realm, environment=served.environment, scopes=served.scopes, list_scopes=served.list_scopes
        )
        verdict = served.engine.verify(request)
        if verdict:
            await self.app(self._allowed(scope, verdict), receive, send)
        elif kind == "http":
            await _respond(served.engine.answer(verdict), scope["method"] == "HEAD", "http.response", send)
        else:
            await _refuse_websocket(served.engine.answer(verdict), scope, receive, send)

    def _allowed(self, scope: Scope, verdict: Verdict) -> Scope:
        scope = {**scope, KEY: verdict}
        if self.served.hide_credentials:
            hidden = self.served.hidden()
            scope["headers"] = [
                (name, value) for name, value in scope["headers"] if not hidden(name.decode("latin-1"))
            ]
        return scope


async def _refuse_websocket(answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """With the realm's answer where the server can send one before the handshake is over; else with a 403, which is
    what servers make of a close at that time."""
    message = await receive()
    if message["type"] != "websocket.connect":
        return
    if "websocket.http.response" in (scope.get("extensions") or {}):
        await _respond(answer, False, "websocket.http.response", send)
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": ""})


async def _respond(answer: Answer, only_head: bool, prefix: str, send: Send) -> None:
    body = answer.body or b""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": f"{prefix}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": b"" if only_head else body})
