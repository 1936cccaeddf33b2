"""The middleware for WSGI."""

import io
import unittest
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import keyward
from flask import Flask, Response, request
from keyward.wsgi import KEY, KeywardMiddleware, request_of
from shared import FIXTURE, READER, Fixture


def environ_of(**fields: Any) -> dict[str, Any]:
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": "/orders", "REMOTE_ADDR": "203.0.113.7", "wsgi.url_scheme": "https",
                               "HTTP_AUTHORIZATION": f"Bearer {READER}"}
    setup_testing_defaults(environ)
    environ.update(fields)
    return {name: value for name, value in environ.items() if value is not None}


def application(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ[KEY].key_id.encode() if environ[KEY].key_id else b"", *[b" " + n.encode() for n in environ if n.startswith("HTTP_")]]


def asked(app: Any, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    """What comes back, with the standard library watching that both sides keep to WSGI."""
    told: list[Any] = []

    def start_response(status: str, headers: Any, error: Any = None) -> Any:
        told[:] = status, dict(headers)
        return io.BytesIO().write

    result = validator(app)({"QUERY_STRING": "", **environ}, start_response)
    body = b"".join(result)
    result.close()
    return told[0], told[1], body


class Middleware(Fixture):
    def test_what_is_allowed(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop")
        self.assertEqual(("200 OK", b"reader HTTP_HOST HTTP_AUTHORIZATION"),
                         (asked(app, environ_of())[0], b" ".join(sorted(asked(app, environ_of())[2].split(), key=len))))

    def test_what_is_refused(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop")
        status, headers, body = asked(app, environ_of(HTTP_AUTHORIZATION=None))
        self.assertEqual(("401 Unauthorized", 'Bearer realm="Shop"', "application/problem+json", str(len(body))),
                         (status, headers["WWW-Authenticate"], headers["Content-Type"], headers["Content-Length"]))
        head = asked(app, environ_of(HTTP_AUTHORIZATION=None, REQUEST_METHOD="HEAD"))
        self.assertEqual((headers, b""), head[1:])

    def test_credentials_that_are_hidden(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop", hide_credentials=True)
        self.assertEqual(b"reader HTTP_HOST", asked(app, environ_of())[2])

    def test_what_an_environ_says(self) -> None:
        def seen(**fields: Any) -> keyward.Request:
            return request_of(environ_of(**fields), "shop")

        self.assertEqual((True, "203.0.113.7", b"/orders", "GET", b"127.0.0.1"),
                         (seen().tls, seen().peer, seen().path, seen().method, seen().host))
        self.assertFalse(seen(**{"wsgi.url_scheme": "http"}).tls)
        self.assertEqual((None, "unix:"), (seen(REMOTE_ADDR=None).peer, seen(REMOTE_ADDR="").peer))
        # Text that something before may have from X-Forwarded-For: only a connection is a Unix socket.
        self.assertIsNone(seen(REMOTE_ADDR="unix:").peer)
        self.assertEqual(b"/a%2Fb?c", seen(RAW_URI="/a%2Fb?c").path)
        self.assertEqual(b"/a%2Fb", seen(REQUEST_URI="/a%2Fb").path)
        # What a server decoded is escaped again: UTF-8 that came as Latin-1, and what would end the path.
        self.assertEqual(b"/x/%C3%A9%3F%23%25", seen(SCRIPT_NAME="/x", PATH_INFO="/\xc3\xa9?#%").path)
        self.assertIn(("X-API-KEY", "a"), seen(HTTP_X_API_KEY="a").headers)
        self.assertIn(("CONTENT-TYPE", "text/plain"), seen(CONTENT_TYPE="text/plain").headers)

    def test_headers_that_were_joined(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop")
        for joined in (f"Bearer {READER},Bearer {READER}", f"Bearer {READER},", f",Bearer {READER}", f"Digest x,Bearer {READER}"):
            self.assertEqual("400 Bad Request", asked(app, environ_of(HTTP_AUTHORIZATION=joined))[0], joined)

    def test_a_decoded_path_is_decided_about_as_the_application_sees_it(self) -> None:
        app = KeywardMiddleware(application, self.open(), "shop")
        for path in ("/orders/../health", "//health", "/health/.", "/a\\b", "/a\x00"):
            self.assertEqual("400 Bad Request", asked(app, environ_of(PATH_INFO=path))[0], path)

    def test_what_cannot_be_served(self) -> None:
        config = self.folder / "other.toml"
        config.write_text((FIXTURE / "keyward.toml").read_text() + '[realm.folded]\n[realm.folded.credential.key]\nkind = "key"\nsource = "header:SECRET_KEY"\n')
        self.publish(2, config)
        with self.assertRaisesRegex(keyward.ArgumentError, "SECRET_KEY"):
            KeywardMiddleware(application, self.open(), "folded")

    def test_what_is_misspelt(self) -> None:
        engine: Any = self.open()
        for what, options in (("scopes", {"scopes": "read"}), ("environment", {"environment": 5}),
                              ("hide_credentials", {"hide_credentials": "no"}), ("list_scopes", {"list_scopes": 0})):
            with self.assertRaisesRegex(TypeError, what + " has to be"):
                KeywardMiddleware(application, engine, "shop", **options)  # type: ignore[arg-type]

    def test_an_error_never_lets_in(self) -> None:
        called: list[str] = []

        def inner(environ: Any, start_response: Any) -> list[bytes]:
            called.append("in")
            return []

        engine = self.open()
        app = KeywardMiddleware(inner, engine, "shop")
        for broken in ({"HTTP_X": 3}, {"HTTP_X": "\u0100"}, {"REQUEST_METHOD": 5}):
            with self.assertRaises((TypeError, ValueError)):
                app(environ_of(**broken), lambda *given: None)
        engine.close()
        with self.assertRaises(keyward.ClosedError):
            app(environ_of(), lambda *given: None)
        self.assertEqual([], called)

    def test_flask(self) -> None:
        app = Flask("shop")
        app.wsgi_app = KeywardMiddleware(app.wsgi_app, self.open(), "shop")  # type: ignore[method-assign]

        @app.get("/orders")
        def orders() -> Response:
            return Response(request.environ[KEY].tenant)

        client = app.test_client()
        self.assertEqual(b"acme", client.get("/orders", headers={"Authorization": f"Bearer {READER}"}).data)
        refused = client.get("/orders")
        self.assertEqual((401, 'Bearer realm="Shop"'), (refused.status_code, refused.headers["WWW-Authenticate"]))
        self.assertEqual(400, client.get("/orders/%2e%2e/health").status_code)


if __name__ == "__main__":
    unittest.main()
