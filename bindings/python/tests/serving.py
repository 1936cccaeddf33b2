"""The applications that vectors are sent to over HTTP: `asgi` for uvicorn, `wsgi` for gunicorn.

What the connection of a test cannot be (its peer, TLS, its time) and what a configuration says (file, realm, environment,
scopes) stands as JSON in the header X-Test, which is taken out again before anybody else sees the request. Each
combination has a middleware of its own. The verdict is told in headers of the answer.

KEYWARD_SERVING names the folder: FILE.kwd and FILE.toml for each file.
"""

import json
import os
from functools import cache
from typing import Any

import keyward.asgi
import keyward.wsgi
from keyward import Engine, Request, Verdict

FOLDER = os.environ.get("KEYWARD_SERVING", ".")
TOLD = ("reason", "key_id", "tenant", "environment", "subject", "scope")


class Telling(Engine):
    """An engine that decides at the time it is given, and keeps its last verdict."""

    now_ns: int | None = None
    last: Verdict | None = None

    def verify(self, request: Request, /) -> Verdict:
        self.last = super().verify(request._replace(now_ns=self.now_ns))
        return self.last


@cache
def engine(file: str) -> Telling:
    return Telling.open(f"{FOLDER}/{file}.kwd", keyring=f"{FOLDER}/{file}.toml")


def told(file: str) -> list[tuple[str, str]]:
    """What was decided, each value as JSON."""
    verdict = engine(file).last
    return [("X-" + name.replace("_", "-"), json.dumps(getattr(verdict, name))) for name in TOLD]


def place(test: dict[str, Any]) -> tuple[str, str, str | None, tuple[str, ...]]:
    engine(test["file"]).now_ns = test["now_ns"]
    return test["file"], test["realm"], test["environment"], tuple(test["scopes"])


async def reached_asgi(scope: Any, receive: Any, send: Any) -> None:
    reached = [(b"x-reached", scope[keyward.asgi.KEY].decision.encode())]
    await send({"type": "http.response.start", "status": 200, "headers": reached})
    await send({"type": "http.response.body", "body": b""})


@cache
def asgi_place(file: str, realm: str, environment: str | None, scopes: tuple[str, ...]) -> Any:
    return keyward.asgi.KeywardMiddleware(reached_asgi, engine(file), realm, environment=environment, scopes=scopes)


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise RuntimeError(scope["type"])
    at = [name for name, _ in scope["headers"]].index(b"x-test")
    headers = list(scope["headers"])
    test = json.loads(headers.pop(at)[1])
    peer = test["peer"]
    scope = {**scope, "headers": headers, "scheme": "https" if test["tls"] else "http",
             "client": None if peer in (None, "unix:") else (peer, 1),
             "server": ("a socket", None) if peer == "unix:" else ("127.0.0.1", 1)}

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in told(test["file"])]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    await asgi_place(*place(test))(scope, receive, sending)


def reached_wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("X-Reached", environ[keyward.wsgi.KEY].decision)])
    return [b""]


@cache
def wsgi_place(file: str, realm: str, environment: str | None, scopes: tuple[str, ...]) -> Any:
    return keyward.wsgi.KeywardMiddleware(reached_wsgi, engine(file), realm, environment=environment, scopes=scopes)


def wsgi(environ: Any, start_response: Any) -> Any:
    test = json.loads(environ.pop("HTTP_X_TEST"))
    environ["wsgi.url_scheme"] = "https" if test["tls"] else "http"
    environ.pop("REMOTE_ADDR", None)
    if test["peer"] is not None:
        environ["REMOTE_ADDR"] = "" if test["peer"] == "unix:" else test["peer"]

    def starting(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        return start_response(status, [*headers, *told(test["file"])], *more)

    return wsgi_place(*place(test))(environ, starting)
