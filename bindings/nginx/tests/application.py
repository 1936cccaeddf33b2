"""What stands behind nginx: an application that answers with what it was told of the caller, and issues Aver's tokens."""

import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from harness import CLI


class Application:
    """Listens on a free port of loopback for as long as the `with` block lasts."""

    def __init__(self, folder: Path) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler(folder))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def __enter__(self) -> "Application":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()


def handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            is_exchange = self.command == "POST" and self.path == "/api/auth"
            told = {"token": token(folder, self.headers["Authorization"])} if is_exchange else {
                "path": self.path,
                "headers": [[name.lower(), value] for name, value in self.headers.items()],
            }
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, form: str, *values: object) -> None:
            """Nothing: the log is nginx's."""

    return Handler


def token(folder: Path, authorization: str) -> str:
    """What Aver's authentication endpoint does. The pair goes by standard input: a command line is for all to see."""
    done = subprocess.run(
        [CLI, "token", "issue", folder / "keys.kwd", "--keyring", folder / "keyring.toml", "--realm", "aver",
         "-X", "POST", "--path", "/api/auth", "-H", "@-"],
        input=f"Authorization: {authorization}\n", capture_output=True, text=True, check=True)
    return done.stdout.strip()
