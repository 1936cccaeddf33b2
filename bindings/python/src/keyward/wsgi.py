"""Middleware for WSGI: Flask, Django, Pyramid.

    app.wsgi_app = KeywardMiddleware(app.wsgi_app, engine=engine, realm="built")      # Flask
    application = KeywardMiddleware(application, engine=engine, realm="built")        # any other

What is allowed goes on with the verdict in `environ["keyward.verdict"]`; what is refused is answered as the realm says.

WSGI does not hand over the request as it was received, but what CGI (RFC 3875) made of it. What is lost:

- `-` and `_` in a header's name. Servers drop names with `_`, so that nobody can take one for another, and a realm
  that takes credentials from such a header (`SECRET_KEY`) cannot be served: the middleware says so when it is made.
- how often a header came. Servers join repeated headers with commas. An `Authorization` with a comma is therefore taken
  for several, which no credential in it has; another header twice is a key that nobody has, and refused with 401 instead
  of 400.
- the path before it was decoded, unless the server has it in `RAW_URI` or `REQUEST_URI`, as gunicorn, uWSGI, mod_wsgi,
  waitress and Werkzeug do. Of others, the decoded path is escaped again: it is what the application sees, too.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from keyward._engine import Answer, Engine
from keyward._errors import ArgumentError, NoSnapshotError
from keyward._request import Request
from keyward._served import KEY, Served, folded, listed, peer_at

__all__ = ["KEY", "KeywardMiddleware", "request_of"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

# What stays as it is when a path is escaped again: RFC 3986 section 3.3, but for the slash, which parts segments.
_SAFE = "/:@!$&'()*+,;=~"


def request_of(
    environ: Environ,
    realm: str,
    *,
    environment: str | None = None,
    scopes: Sequence[str] = (),
    list_scopes: bool = False,
) -> Request:
    """The request that a WSGI environ is about, as far as WSGI tells."""
    headers = [(_header(name), value) for name, value in environ.items() if name.startswith("HTTP_")]
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers.append((_header("HTTP_" + name), environ[name]))
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    if "," in authorization:
        headers = [(name, value) for name, value in headers if name != "AUTHORIZATION"]
        headers += [("AUTHORIZATION", value) for value in authorization.split(",")]
    host = environ.get("HTTP_HOST")
    address = environ.get("REMOTE_ADDR")
    # Servers on a Unix socket have no address to tell.
    peer = "unix:" if address == "" else peer_at(address)
    return Request(
        realm,
        headers,
        _path(environ),
        environ["REQUEST_METHOD"],
        None if host is None else host.encode("latin-1"),
        peer,
        environ["wsgi.url_scheme"] == "https",
        environment,
        scopes,
        None,
        list_scopes,
    )


def _header(name: str) -> str:
    return name[5:].replace("_", "-")


def _path(environ: Environ) -> bytes:
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target is not None:
        return bytes(target, "latin-1") if isinstance(target, str) else bytes(target)
    decoded = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote(decoded.encode("latin-1"), safe=_SAFE).encode()


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
        try:
            names = [header.name for header in engine.credential_headers(realm)]
        except NoSnapshotError:
            names = []
        for name in names:
            if "_" in name or "." in name:
                raise ArgumentError(
                    f"realm {realm!r} takes credentials from the header {name!r}, which WSGI cannot tell from "
                    f"{folded(name)!r}: serve it over ASGI, or behind nginx with keyward"
                )

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        served = self.served
        request = request_of(
            environ, served.realm, environment=served.environment, scopes=served.scopes, list_scopes=served.list_scopes
        )
        verdict = served.engine.verify(request)
        if not verdict:
            return _respond(served.engine.answer(verdict), environ["REQUEST_METHOD"] == "HEAD", start_response)
        environ[KEY] = verdict
        if served.hide_credentials:
            hidden = served.hidden()
            for name in [name for name in environ if name.startswith("HTTP_") and hidden(name[5:])]:
                del environ[name]
        return self.app(environ, start_response)


def _respond(answer: Answer, only_head: bool, start_response: StartResponse) -> Iterable[bytes]:
    body = answer.body or b""
    headers = list(answer.headers)
    if answer.content_type is not None:
        headers.append(("Content-Type", answer.content_type))
    headers.append(("Content-Length", str(len(body))))
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Refused"
    start_response(f"{answer.status} {phrase}", headers)
    return [b"" if only_head else body]
