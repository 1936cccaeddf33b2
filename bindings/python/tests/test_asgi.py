"""The middleware for ASGI, and FastAPI's dependency."""

import asyncio
import json
import unittest
from typing import Annotated, Any

import httpx
import keyward
from fastapi import Depends, FastAPI, Request, Security, WebSocket
from fastapi.security import SecurityScopes
from keyward import Verdict
from keyward.asgi import KEY, KeywardMiddleware, request_of
from keyward.fastapi import KeyGuard, Refused
from shared import READER, SLOW, Fixture


def scope_of(**fields: Any) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/orders", "raw_path": b"/orders", "query_string": b"", "scheme": "https",
            "headers": [(b"authorization", b"Bearer " + READER.encode())], "client": ("203.0.113.7", 1), **fields}


async def application(scope: Any, receive: Any, send: Any) -> None:
    told = json.dumps({"key": scope[KEY].key_id, "headers": [name.decode() for name, _ in scope["headers"]]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": told})


def sent(app: Any, scope: dict[str, Any], received: tuple[Any, ...] = ()) -> list[Any]:
    """What an application sends."""
    messages: list[Any] = []
    waiting = list(received)

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(app(scope, receive, send))
    return messages


class Middleware(Fixture):
    def test_what_is_allowed(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop", list_scopes=True)
        start, body = sent(app, scope_of())
        self.assertEqual((200, {"key": "reader", "headers": ["authorization"]}), (start["status"], json.loads(body["body"])))

    def test_what_is_refused(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop")
        start, body = sent(app, scope_of(headers=[]))
        headers = dict(start["headers"])
        self.assertEqual(401, start["status"])
        self.assertEqual(b'Bearer realm="Shop"', headers[b"www-authenticate"])
        self.assertEqual(b"application/problem+json", headers[b"content-type"])
        self.assertEqual(str(len(body["body"])).encode(), headers[b"content-length"])
        head, nothing = sent(app, scope_of(method="HEAD", headers=[]))
        self.assertEqual((start["headers"], b""), (head["headers"], nothing["body"]))

    def test_what_is_configured(self) -> None:
        engine = self.open()
        for options, status in (({"scopes": ["reports"]}, 200), ({"scopes": ["x"]}, 403), ({"environment": "test"}, 401)):
            app = KeywardMiddleware(application, engine, "shop", **options)  # type: ignore[arg-type]
            self.assertEqual(status, sent(app, scope_of())[0]["status"], options)

    def test_credentials_that_are_hidden(self) -> None:
        engine = self.open()
        app = KeywardMiddleware(application, engine, "shop", hide_credentials=True)
        self.assertEqual([], json.loads(sent(app, scope_of())[1]["body"])["headers"])
        public = scope_of(raw_path=b"/health", headers=[(b"authorization", b"x"), (b"host", b"y"), (b"Authorization", b"z")])
        self.assertEqual(["host"], json.loads(sent(app, public)[1]["body"])["headers"])

    def test_what_a_scope_says(self) -> None:
        def asked(**fields: Any) -> keyward.Request:
            return request_of(scope_of(**fields), "shop")

        self.assertEqual((True, "203.0.113.7", b"/orders", "GET", None),
                         (asked().tls, asked().peer, asked().path, asked().method, asked().host))
        self.assertTrue(asked(scheme="wss").tls)
        for scheme in ("http", "ws", "", None):
            self.assertFalse(asked(scheme=scheme).tls)
        self.assertEqual(b"a", asked(headers=[(b"host", b"a")]).host)
        self.assertEqual(b"", asked(headers=[(b"host", b"a"), (b"host", b"a")]).host)
        self.assertIsNone(asked(client=None).peer)
        self.assertEqual("unix:", asked(client=None, server=("/run/app.sock", None)).peer)
        self.assertIsNone(asked(client=None, server=("127.0.0.1", 80)).peer)
        # Text that a server may have from X-Forwarded-For: only a connection is a Unix socket.
        for told in ("unix:", b"unix:"):
            self.assertIsNone(asked(client=(told, 0)).peer)
            self.assertIsNone(asked(client=(told, 0), server=("/run/app.sock", None)).peer)
        self.assertEqual([(b"a", b"b")], asked(headers=iter([(b"a", b"b")])).headers)
        with self.assertRaises(RuntimeError):
            asked(raw_path=None)

    def test_headers_that_can_be_read_once(self) -> None:
        for options, seen in (({}, ["authorization"]), ({"hide_credentials": True}, [])):
            app = KeywardMiddleware(application, self.open(), "shop", **options)  # type: ignore[arg-type]
            scope = scope_of(headers=iter(scope_of()["headers"]))
            self.assertEqual({"key": "reader", "headers": seen}, json.loads(sent(app, scope)[1]["body"]))

    def test_connections_of_other_kinds(self) -> None:
        called: list[str] = []

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            called.append(scope["type"])

        app = KeywardMiddleware(inner, self.open(), "shop")
        sent(app, {"type": "lifespan"})
        self.assertEqual(["lifespan"], called)
        with self.assertRaises(RuntimeError):
            sent(app, {"type": "telepathy", "headers": []})
        self.assertEqual(["lifespan"], called)

    def test_websockets(self) -> None:
        called: list[Any] = []

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            called.append(scope[KEY].key_id)

        app = KeywardMiddleware(inner, self.open(), "shop")
        connecting = ({"type": "websocket.connect"},)
        sent(app, scope_of(type="websocket", scheme="wss"), connecting)
        self.assertEqual(["reader"], called)
        refused = scope_of(type="websocket", scheme="wss", headers=[])
        self.assertEqual([{"type": "websocket.close", "code": 1008, "reason": ""}], sent(app, refused, connecting))
        start, body = sent(app, {**refused, "extensions": {"websocket.http.response": {}}}, connecting)
        self.assertEqual(("websocket.http.response.start", 401, "websocket.http.response.body"),
                         (start["type"], start["status"], body["type"]))
        self.assertEqual(["reader"], called)

    def test_an_error_never_lets_in(self) -> None:
        called: list[str] = []

        async def inner(scope: Any, receive: Any, send: Any) -> None:
            called.append("in")

        engine = self.open()
        app = KeywardMiddleware(inner, engine, "shop")
        for broken in (scope_of(headers=[(b"authorization", 3)]), scope_of(raw_path=7), scope_of(method=4)):
            with self.assertRaises(TypeError):
                sent(app, broken)
        engine.close()
        with self.assertRaises(keyward.ClosedError):
            sent(app, scope_of())
        self.assertEqual([], called)

    def test_what_is_misspelt(self) -> None:
        engine: Any = self.open()
        for error, options in ((keyward.ArgumentError, {"realm": "shopp"}), (keyward.ArgumentError, {"environment": "moon"}),
                               (TypeError, {"engine": "keys.kwd"}), (TypeError, {"scopes": [1]}), (TypeError, {"realm": None})):
            with self.assertRaises(error):
                KeywardMiddleware(application, **{"engine": engine, "realm": "shop", **options})  # type: ignore[arg-type]
        for what, options in (("scopes", {"scopes": "read"}), ("scopes", {"scopes": {"read"}}), ("environment", {"environment": 5}),
                              ("hide_credentials", {"hide_credentials": 1}), ("list_scopes", {"list_scopes": None})):
            with self.assertRaisesRegex(TypeError, what + " has to be"):
                KeywardMiddleware(application, engine, "shop", **options)  # type: ignore[arg-type]
        for misspelt in ({"realm": "\ud800"}, {"environment": "\ud800"}):
            with self.assertRaisesRegex(ValueError, "lone surrogate"):
                KeywardMiddleware(application, **{"engine": engine, "realm": "shop", **misspelt})
        for options in ({"environment": 5}, {"list_scopes": 1}):
            with self.assertRaises(TypeError):
                KeyGuard(engine, "shop", **options)  # type: ignore[arg-type]
        with self.assertRaisesRegex(keyward.ArgumentError, "shopp"):
            KeywardMiddleware(application, engine, "shopp")

    def test_a_realm_that_comes_later(self) -> None:
        content = self.snapshot.read_bytes()
        self.snapshot.unlink()
        engine = self.open(later=True)
        app = KeywardMiddleware(application, engine, "shop")
        self.assertEqual(503, sent(app, scope_of())[0]["status"])
        self.snapshot.write_bytes(content)
        engine.reload()
        self.assertEqual(200, sent(app, scope_of())[0]["status"])


class FastApi(Fixture):
    def setUp(self) -> None:
        super().setUp()
        self.engine = self.open()
        guard = KeyGuard(self.engine, "shop", list_scopes=True)
        self.app = FastAPI()
        guard.install(self.app)

        @self.app.get("/orders")
        def orders(verdict: Annotated[Verdict, Security(guard, scopes=["reports"])], request: Request) -> dict[str, Any]:
            return {"key": verdict.key_id, "scopes": verdict.scopes, "same": request.scope[KEY] is verdict}

        @self.app.get("/orders/refused")
        def refused(verdict: Annotated[Verdict, Security(guard, scopes=["reports", "gold"])]) -> None:
            raise AssertionError("nobody has that scope")

        @self.app.get("/health")
        def health(verdict: Annotated[Verdict, Depends(guard)]) -> dict[str, Any]:
            return {"key": verdict.key_id}

        def nested(scopes: SecurityScopes, verdict: Annotated[Verdict, Security(guard, scopes=["orders:read"])]) -> Verdict:
            return verdict

        @self.app.get("/nested")
        def inner(verdict: Annotated[Verdict, Security(nested, scopes=["gold"])]) -> None:
            raise AssertionError("nobody has that scope")

        @self.app.websocket("/orders")
        async def live(socket: WebSocket, verdict: Annotated[Verdict, Security(guard, scopes=["reports"])]) -> None:
            await socket.accept()
            await socket.close(reason=verdict.key_id)

    def get(self, path: str, key: str | None = READER) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("203.0.113.7", 1))
            async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
                return await client.get(path, headers={} if key is None else {"Authorization": f"Bearer {key}"})

        return asyncio.run(ask())

    def test_what_is_allowed(self) -> None:
        self.assertEqual({"key": "reader", "scopes": ["orders:read", "reports"], "same": True}, self.get("/orders").json())
        self.assertEqual({"key": None}, self.get("/health", None).json())

    def test_what_is_refused(self) -> None:
        answer = self.get("/orders", None)
        self.assertEqual((401, 'Bearer realm="Shop"', "application/problem+json"),
                         (answer.status_code, answer.headers["www-authenticate"], answer.headers["content-type"]))
        answer = self.get("/orders", SLOW)
        self.assertEqual((403, b'{"missing":"reports"}'), (answer.status_code, answer.content))
        # No route of the realm has this path, so the realm refuses it whatever the key has.
        self.assertEqual(403, self.get("/nested").status_code)
        self.assertEqual(403, self.get("/orders/refused").status_code)

    def test_websockets(self) -> None:
        connecting = ({"type": "websocket.connect"},)
        scope = scope_of(type="websocket", scheme="wss", method=None)
        messages = sent(self.app, scope, connecting)
        self.assertEqual(["websocket.accept", "websocket.close"], [message["type"] for message in messages])
        self.assertEqual("reader", messages[1]["reason"])
        refused = {**scope, "headers": []}
        self.assertEqual([("websocket.close", 1008)], [(m["type"], m.get("code")) for m in sent(self.app, refused, connecting)])
        start, _ = sent(self.app, {**refused, "extensions": {"websocket.http.response": {}}}, connecting)
        self.assertEqual(("websocket.http.response.start", 401), (start["type"], start["status"]))

    def test_without_installing(self) -> None:
        self.app.exception_handlers.pop(Refused)
        answer = self.get("/orders", None)
        self.assertEqual((401, 'Bearer realm="Shop"'), (answer.status_code, answer.headers["www-authenticate"]))

    def test_the_document(self) -> None:
        document = self.get("/openapi.json").json()
        self.assertEqual({"shop": {"type": "http", "scheme": "bearer"}}, document["components"]["securitySchemes"])
        self.assertEqual([{"shop": ["reports"]}], document["paths"]["/orders"]["get"]["security"])
        self.assertEqual([{"shop": []}], document["paths"]["/health"]["get"]["security"])

    def test_schemes(self) -> None:
        self.assertEqual({"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                         KeyGuard(self.engine, "files").model.model_dump(mode="json", by_alias=True, exclude_none=True))
        self.assertEqual("bearer", KeyGuard(self.engine, "hub").model.scheme)  # type: ignore[attr-defined]


if __name__ == "__main__":
    unittest.main()
