"""What of a vector's case HTTP and nginx can carry, and the bytes that carry it.

A case is a call of `verify`: header list, method, path, host, address, TLS or not, clock. A request over a wire can
say most of it. What it cannot say is told here by rule, not by name, so that cases nobody has seen yet are sorted too.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address

# What nginx's own parsing takes a header's value, name or the request line for an error in (1.21.1 and later).
CONTROL = re.compile(r"[\x00-\x20\x7f]")
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
READ_BY_NGINX = {"host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"}
# Headers that nginx takes once.
UNIQUE = {"authorization", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range", "if-range"}


@dataclass(frozen=True)
class Place:
    """The server of the configuration that a request goes to: what only a configuration can say."""

    realm: str
    environment: str | None
    scopes: tuple[str, ...]


def place(case: dict) -> Place:
    request = case["request"]
    return Place(request["realm"], request.get("environment"), tuple(request.get("scopes", ())))


def not_carried(case: dict, realms: dict) -> str | None:
    """Why no request to nginx can say this; None where one can."""
    request = case["request"]
    realm = realms.get(request["realm"])
    if realm is None:
        return "`nginx -t` refuses a realm that the snapshot lacks, so no request meets one"
    if "path" not in request and ("route" in realm or realm.get("unmatched") == "deny"):
        return "a request of HTTP always has a path, and this realm's routes look at it"
    if "path" in request and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", request["path"]):
        return "nginx takes a whole URL apart, and hands on the path in it"
    if re.search(r"[\r\n]", request.get("path", "")):
        return "a line break ends the request line"
    if any(re.search(r"[\r\n]", name + value) for name, value in request.get("headers", ())):
        return "a line break ends the header"
    if any(not TOKEN.fullmatch(name) for name, _ in request.get("headers", ())):
        return "a header's name is a token"
    if any(name.lower() in READ_BY_NGINX for name, _ in request.get("headers", ())):
        return "the server reads this header itself, so that it cannot differ from what it says elsewhere"
    address = request.get("ip")
    if address not in (None, "unix:") and not is_address(address):
        return "the peer of a connection has an address that nginx reads from the kernel: none that is no address"
    return None


def refused_first(case: dict) -> str | None:
    """Why nginx itself answers 400, before any module is asked; None where it does not."""
    request = case["request"]
    if not re.fullmatch(r"[A-Z_-]+", request.get("method", "GET")):
        return "a method is in capitals"
    if request.get("method") in ("TRACE", "CONNECT"):
        return "a method that nginx does not serve"
    path = request.get("path", "/")
    if not path.startswith("/"):
        return "the target does not start with a slash"
    if CONTROL.search(path):
        return "white space or a control character in the target"
    before_query = re.split(r"[?#]", path)[0]
    if re.search(r"%(?![0-9a-fA-F]{2})", before_query):
        return "a broken percent escape"
    if "%00" in before_query:
        return "an escaped NUL"
    if climbs(before_query):
        return "the path climbs out of the root"
    names = [name.lower() for name, _ in request.get("headers", ())]
    if any(names.count(name) > 1 for name in UNIQUE):
        return "a header that there can be only one of, twice"
    if any("\0" in value for _, value in request.get("headers", ())):
        return "a NUL in a header"
    return None


def climbs(path: str) -> bool:
    depth = 0
    decoded = re.sub(r"%([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), path)
    for segment in filter(None, decoded.split("/")):
        depth += {".": 0, "..": -1}.get(segment, 1)
        if depth < 0:
            return True
    return False


def is_address(text: str) -> bool:
    """Whether it is an address in the form that the kernel and the PROXY protocol know: strict, without a zone."""
    try:
        return ip_address(text) is not None and "%" not in text
    except ValueError:
        return False


def preamble(case: dict) -> bytes:
    """The line of the PROXY protocol that gives the connection its peer. Where the case names no address, loopback's
    stands for it: it is in no list either, unless a list has every address."""
    address = case["request"].get("ip") or "127.0.0.1"
    if address == "unix:":
        return b"PROXY UNKNOWN\r\n"
    family = "TCP6" if ":" in address else "TCP4"
    other = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {other} 40000 443\r\n".encode()


def message(case: dict) -> bytes:
    """The request's bytes: nothing in it that the case does not say, so HTTP/1.0, which needs no Host."""
    request = case["request"]
    target = request.get("path", "/").encode()
    lines = [request.get("method", "GET").encode() + b" " + target + b" HTTP/1.0"]
    if request.get("host") is not None:
        lines.append(b"Host: " + request["host"].encode())
    lines += [name.encode("latin-1") + b": " + value.encode("latin-1") for name, value in request.get("headers", ())]
    return b"\r\n".join(lines) + b"\r\n\r\n"
