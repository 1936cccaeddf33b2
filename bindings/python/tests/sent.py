"""Vectors over HTTP: which can be sent to a Python server, and what comes back. As a program: the list of the others."""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cases
from shared import CLI, HERE, c_vectors, wait_until

# From the tests of the nginx module, beside `shared`.
from answers import Answer, exchange  # isort: skip
from carrying import TOKEN, message  # isort: skip

# What every server reads itself.
READ_BY_SERVERS = {"host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"}
# What h11, httptools and gunicorn refuse, with 400 or by closing, before an application is asked.
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


# What is sent all the same: it may be refused with another reason, and must not be let in where Rust does not.
JOINED = "CGI joins headers that are repeated, with a comma"


@dataclass(frozen=True)
class Server:
    name: str
    command: tuple[str, ...]
    is_wsgi: bool = False


SERVERS = (
    Server("uvicorn with h11", ("uvicorn", "serving:asgi", "--http", "h11", "--no-proxy-headers", "--log-level", "warning", "--uds")),
    Server("uvicorn with httptools",
           ("uvicorn", "serving:asgi", "--http", "httptools", "--no-proxy-headers", "--log-level", "warning", "--uds")),
    Server("gunicorn", ("gunicorn", "serving:wsgi", "--log-level", "warning", "--limit-request-field_size", "65536",
                        "--limit-request-line", "16384", "--no-control-socket", "--bind"), True),
)


def not_carried(case: Any, realms: Any, server: Server) -> str | None:
    """Why no request to this server can say this; None where one can. By rule, so that new cases are sorted, too."""
    request = case["request"]
    headers = request.get("headers") or ()
    names = [name.lower() for name, _ in headers]
    realm = realms.get(request["realm"])
    path = request.get("path", "/")
    if realm is None:
        return "the middleware is not made for a realm that the snapshot lacks"
    if request.get("environment") is not None and request["environment"] not in realm.get("environments", ()):
        return "the middleware is not made for an environment that the realm lacks"
    if "path" not in request and ("route" in realm or realm.get("unmatched") == "deny"):
        return "a request of HTTP always has a path, and this realm's routes look at it"
    if not path.startswith("/"):
        return "servers take a target apart that does not start with a slash"
    if re.search(r"[\x00-\x20\x7f-\U0010ffff]", path):
        return "servers refuse a target with white space, control characters or others than ASCII"
    if "#" in path:
        return "servers cut a target at a `#`, or refuse it"
    if not re.fullmatch(r"[A-Z][A-Z-]*", request.get("method", "GET")) or request.get("method") == "CONNECT":
        return "servers know methods in capitals, and CONNECT is not for them"
    if any(not TOKEN.fullmatch(name) for name in names):
        return "a header's name is a token"
    if any(CONTROL.search(value) for _, value in headers):
        return "servers refuse control characters in a header"
    if any(name in READ_BY_SERVERS for name in names):
        return "the server reads this header itself"
    if request.get("host") is not None and not re.fullmatch(r"[!-~]*", request["host"]):
        return "servers refuse such a Host"
    if server.is_wsgi:
        return not_carried_by_wsgi(headers, realm)
    return None


def not_carried_by_wsgi(headers: Any, realm: Any) -> str | None:
    names = [name.lower() for name, _ in headers]
    sources = [source for credential in realm.get("credential", {}).values()
               for source in ([credential["source"]] if isinstance(credential["source"], str) else credential["source"])]
    if any("_" in source or "." in source for source in sources if source.startswith("header:")):
        return "WSGI cannot tell the `_` or `.` of such a header's name: the middleware is not made for this realm"
    if any("_" in name or "." in name for name in names):
        return "gunicorn drops headers with `_` or `.` in their names"
    # Of Authorization the middleware knows it, as long as there is no comma in what was joined.
    others = [name for name in names if name != "authorization"]
    commas = any(name.lower() == "authorization" and "," in value for name, value in headers)
    if len(set(others)) < len(others) or commas:
        return JOINED
    return None


def exchanged(address: str, file: str, case: Any) -> Answer:
    request = dict(case["request"])
    told = {"file": file, "realm": request["realm"], "environment": request.get("environment"),
            "scopes": list(request.get("scopes") or ()), "peer": request.get("ip"), "tls": request.get("tls", True),
            "now_ns": cases.request_of(case).now_ns}
    request["headers"] = [["X-Test", json.dumps(told)], *(request.get("headers") or ())]
    return exchange(address, b"", message({"request": request}), False)


def found(answer: Answer) -> dict[str, Any]:
    """The verdict's fields; empty where the application was not asked."""
    told = {name: answer.header("X-" + name.replace("_", "-"))
            for name in ("reason", "key_id", "tenant", "environment", "subject", "scope")}
    if told["reason"] is None:
        return {}
    fields = {name: json.loads(value or "null") for name, value in told.items()}
    allowed = answer.header("X-Reached") == "allow"
    retry_after = answer.header("Retry-After")
    fields |= {
        "decision": "allow" if allowed else "unavailable" if fields["reason"] == "unavailable" else "deny",
        "status": answer.status, "retry_after": None if retry_after is None else int(retry_after),
        "www_authenticate": cases.utf8(answer.header("WWW-Authenticate")),
        "content_type": cases.utf8(answer.header("Content-Type")), "body": answer.body.decode(),
    }
    if allowed:
        # What is sent then is the application's.
        fields |= {"content_type": None, "body": None}
    return fields


class Running:
    """A server with all files' engines, on a Unix socket."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.address = str(folder / "socket")

    def __enter__(self) -> "Running":
        where = f"unix:{self.address}" if self.server.is_wsgi else self.address
        environment = {**os.environ, "KEYWARD_SERVING": str(self.folder),
                       "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([sys.executable, "-m", *self.server.command, where], env=environment,
                                        stdout=self.log, stderr=self.log, cwd=self.folder)
        wait_until(lambda: os.path.exists(self.address) or self.process.poll() is not None, 60)
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def run(server: Server, of: list[Path]) -> Iterator[tuple[Path, Any, str | None, dict[str, Any], dict[str, Any]]]:
    """Each case with why it is not sent, or with what came back, and what Rust renders."""
    with tempfile.TemporaryDirectory(prefix="keyward-sent-") as name:
        folder = Path(name)
        files = [path for path in cases.files(of) if "error" not in cases.read(path)]
        for number, path in enumerate(files):
            snapshot, keyring, error = c_vectors.build(CLI, folder / str(number), cases.read(path))
            if error is not None:
                raise AssertionError(f"{path}: {error}")
            snapshot.rename(folder / f"{number}.kwd")
            keyring.rename(folder / f"{number}.toml")
        with Running(server, folder) as running:
            for number, path in enumerate(files):
                vectors = cases.read(path)
                realms = tomllib.loads(vectors["config"])["realm"]
                for case, rust in zip(vectors["cases"], cases.rendered(path, folder), strict=True):
                    why = not_carried(case, realms, server)
                    if why not in (None, JOINED):
                        yield path, case, why, {}, rust
                        continue
                    for _ in range(int(case.get("repeat", 1))):
                        answer = exchanged(running.address, str(number), case)
                    yield path, case, why, found(answer), rust


def listing() -> str:
    """What is not sent to which server, and why."""
    lines = ["# Vectors that Python's servers cannot be asked", ""]
    paths = [path for path in cases.files([cases.COMMITTED]) if "error" not in cases.read(path)]
    everything = [(path, case, tomllib.loads(cases.read(path)["config"])["realm"])
                  for path in paths for case in cases.read(path)["cases"]]
    for title, server in (("uvicorn", SERVERS[0]), ("gunicorn", SERVERS[2])):
        absent = [(path, case, why) for path, case, realms in everything if (why := not_carried(case, realms, server))]
        lines += [f"## {title}", "", f"{len(everything)} cases: {len(everything) - len(absent)} are sent, {len(absent)} cannot be.",
                  "", "| file | case | why |", "|---|---|---|"]
        lines += [f"| {path.name} | {cell(case['name'])} | {why} |" for path, case, why in absent] + [""]
    return "\n".join(lines)


def cell(text: str) -> str:
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(listing())
