"""A dependency for FastAPI, with the scopes that a path operation needs in its signature.

    guard = KeyGuard(engine, "billoget")
    guard.install(app)

    @app.get("/v1/budgets")
    def budgets(verdict: Annotated[Verdict, Security(guard, scopes=["READ_BUDGETS"])]) -> ...:

The realm's routes count as well. The OpenAPI document shows the realm as a security scheme, and what each operation
needs. Use it instead of the middleware: each is a decision of its own, and counts against the key's rate.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Response, WebSocket
from fastapi.exceptions import HTTPException
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.openapi.models import HTTPBase as HTTPScheme
from fastapi.openapi.models import SecurityBase as Scheme
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from keyward._engine import Answer, Engine
from keyward._errors import NoSnapshotError
from keyward._native import Verdict
from keyward._request import Request
from keyward._served import KEY, Served
from keyward.asgi import request_of

__all__ = ["KeyGuard", "Refused"]


class Refused(HTTPException):
    """A request that the realm refused. With `KeyGuard.install` it is answered in the realm's words; without, FastAPI
    sends the same status and challenge with a body of its own."""

    def __init__(self, verdict: Verdict, answer: Answer) -> None:
        headers = dict(answer.headers)
        super().__init__(status_code=answer.status, headers=headers)
        self.verdict = verdict
        self.answer = answer


class KeyGuard(SecurityBase):
    """A dependency that gives the verdict of an allowed request, and raises Refused otherwise.

    engine       an open engine
    realm        the realm of the requests; the snapshot has to have it
    environment  the environment that keys must be of; left out: the realm's `hosts` say
    scheme_name  the name of the security scheme in the OpenAPI document; left out: the realm's
    scheme       that scheme; left out: by what the realm takes its first credential from
    list_scopes  whether `verdict.scopes` is to be filled in
    """

    def __init__(
        self,
        engine: Engine,
        realm: str,
        *,
        environment: str | None = None,
        scheme_name: str | None = None,
        scheme: Scheme | None = None,
        list_scopes: bool = False,
    ) -> None:
        self.served = Served(engine, realm, environment, (), False, list_scopes)
        self.scheme_name = scheme_name or realm
        self.model = scheme or _scheme(engine, realm)

    async def __call__(self, connection: HTTPConnection, security_scopes: SecurityScopes) -> Verdict:
        served = self.served
        asked = request_of(
            connection.scope,
            served.realm,
            environment=served.environment,
            scopes=tuple(security_scopes.scopes),
            list_scopes=served.list_scopes,
        )
        verdict = served.engine.verify(asked)
        if not verdict:
            raise Refused(verdict, served.engine.answer(verdict))
        connection.scope[KEY] = verdict
        return verdict

    @staticmethod
    def install(app: FastAPI) -> None:
        """Has `app` answer what guards refuse in their realms' words."""
        app.add_exception_handler(Refused, _respond)


async def _respond(connection: Any, refused: Any) -> Any:
    answer: Answer = refused.answer
    body = answer.body or b""
    headers = [*answer.headers, ("content-length", str(len(body)))]
    if answer.content_type is not None:
        headers.append(("content-type", answer.content_type))
    is_head = connection.scope.get("method") == "HEAD"
    response = Response(None if is_head else body, answer.status)
    response.raw_headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    if isinstance(connection, WebSocket):
        # As the middleware does it, before the handshake is over.
        if "websocket.http.response" in connection.scope.get("extensions", {}):
            await connection.send_denial_response(response)
        else:
            await connection.close(1008)
        return None
    return response


def _scheme(engine: Engine, realm: str) -> Scheme:
    """By what the realm challenges a request for that presents nothing."""
    challenges = [
        value.partition(" ")[0].lower()
        for name, value in engine.answer(engine.verify(Request(realm, (), None, tls=True))).headers
        if name.lower() == "www-authenticate"
    ]
    if "bearer" in challenges:
        return HTTPBearer()
    if "basic" in challenges:
        return HTTPScheme(scheme="basic")
    try:
        names = [header.name for header in engine.credential_headers(realm)]
    except NoSnapshotError:
        names = []
    if names and names[0].lower() != "authorization":
        return APIKey.model_validate({"in": APIKeyIn.header, "name": names[0]})
    return HTTPBearer()
