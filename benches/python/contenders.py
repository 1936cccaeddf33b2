"""The ways to check a key that are compared. Each says whether it may pass."""

import ctypes
import hashlib
import ipaddress
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keyward

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CLI = os.environ.get("KEYWARD_CLI", str(TARGET / "release/keyward"))

CONFIG = """\
[realm.bench]
[realm.bench.credential.key]
kind = "key"
source = "bearer"
[[realm.bench.route]]
methods = ["GET"]
path = "/v1/items/{id}"
scopes = ["read"]
"""
PEER, SCOPE, NETWORK = "203.0.113.7", "read", "203.0.113.0/24"


@dataclass(frozen=True)
class Prepared:
    snapshot: Path
    keyring: Path
    keys: list[str]
    rotation: list[str]


def static_library() -> Path:
    return TARGET / "release/libkeyward.a"


def prepare(folder: Path, keys: int, rotation: int) -> Prepared:
    made = [secrets.token_hex(16) for _ in range(keys)]
    (folder / "keyward.toml").write_text(CONFIG)
    keyring = folder / "keyring.toml"
    keyring.touch(mode=0o600)
    keyring.write_text(f'[[pepper]]\nid = 1\nkey = "{secrets.token_hex(32)}"\n')
    lines = folder / "keys.jsonl"
    lines.write_text("".join(
        json.dumps({"realm": "bench", "id": f"key-{number}", "key": key, "tenant": f"tenant-{number % 100}",
                    "scopes": [SCOPE, "write"], "allow_ips": [NETWORK], "expires_at": 4102444800}) + "\n"
        for number, key in enumerate(made)))
    snapshot = folder / "keys.kwd"
    subprocess.run([CLI, "build", "--config", folder / "keyward.toml", "--keyring", keyring, "--keys", lines, "-o", snapshot],
                   check=True, stdout=subprocess.DEVNULL)
    return Prepared(snapshot, keyring, made, made[:rotation])


@dataclass(frozen=True, slots=True)
class Record:
    tenant: str
    expires_at: float
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    scopes: frozenset[str]


def pure(prepared: Prepared) -> Callable[[str], bool]:
    """What is written by hand: a digest, a dict, the time, the address, the scope."""
    records = {
        hashlib.sha256(key.encode()).digest(): Record(
            f"tenant-{number % 100}", 4102444800, (ipaddress.ip_network(NETWORK),), frozenset((SCOPE, "write")))
        for number, key in enumerate(prepared.keys)
    }

    def check(key: str) -> bool:
        record = records.get(hashlib.sha256(key.encode()).digest())
        if record is None or time.time() >= record.expires_at:
            return False
        address = ipaddress.ip_address(PEER)
        return any(address in network for network in record.networks) and SCOPE in record.scopes

    return check


def hash_and_dict(prepared: Prepared) -> Callable[[str], bool]:
    known = {hashlib.sha256(key.encode()).digest(): True for key in prepared.keys}
    return lambda key: known.get(hashlib.sha256(key.encode()).digest(), False)


def verify_key(prepared: Prepared) -> Callable[[str], keyward.Verdict]:
    ask, scopes = keyward.Engine.open(prepared.snapshot, keyring=prepared.keyring).verify_key, (SCOPE,)
    return lambda key: ask("bench", key, scopes=scopes, peer=PEER)


def verify(prepared: Prepared) -> Callable[[str], keyward.Verdict]:
    """A whole request, from a header list as a server has it."""
    ask, Request, scopes = keyward.Engine.open(prepared.snapshot, keyring=prepared.keyring).verify, keyward.Request, (SCOPE,)
    others = [
        (b"host", b"api.example.com"), (b"user-agent", b"python-httpx/0.28.1"), (b"accept", b"*/*"),
        (b"accept-encoding", b"gzip, deflate"), (b"connection", b"keep-alive"),
        (b"x-request-id", b"4bf92f3577b34da6a3ce929d0e0e4736"), (b"content-type", b"application/json"),
    ]
    lists = {key: [*others, (b"authorization", b"Bearer " + key.encode())] for key in prepared.rotation}
    return lambda key: ask(
        Request("bench", lists[key], b"/v1/items/17", "GET", b"api.example.com", PEER, True, None, scopes))


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class CRequest(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint32), ("peer_family", ctypes.c_uint32), ("realm", Bytes), ("method", Bytes),
        ("path", Bytes), ("host", Bytes), ("environment", Bytes), ("headers", ctypes.c_void_p),
        ("header_count", ctypes.c_size_t), ("scopes", ctypes.POINTER(Bytes)), ("scope_count", ctypes.c_size_t),
        ("peer", Bytes), ("peer_address", ctypes.c_uint8 * 16), ("now_seconds", ctypes.c_uint64),
        ("now_nanoseconds", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("scopes_buffer", ctypes.c_char_p),
        ("scopes_capacity", ctypes.c_size_t),
    ]


class CVerdict(ctypes.Structure):
    """The fields before the texts; the rest is room."""

    _fields_ = [("decision", ctypes.c_uint32), ("reason", ctypes.c_uint32), ("room", ctypes.c_uint8 * (64 + 8312 - 8))]


def through_ctypes(prepared: Prepared) -> Callable[[str], bool]:
    """The same library, as one would call it from ctypes: with everything that can be made before."""
    library = ctypes.CDLL(str(TARGET / "release/libkeyward.so"))
    where = [Bytes(str(path).encode(), len(str(path))) for path in (prepared.snapshot, prepared.keyring)]
    engine = ctypes.c_void_p()
    library.keyward_open.argtypes = [Bytes, Bytes, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    if library.keyward_open(*where, None, 0, ctypes.byref(engine), None, 0) != 0:
        raise RuntimeError("keyward_open")
    call = library.keyward_verify_key
    call.argtypes = [ctypes.c_void_p, Bytes, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t]
    scope = (Bytes * 1)(Bytes(SCOPE.encode(), len(SCOPE)))
    request, verdict, key_bytes = CRequest(), CVerdict(), Bytes()
    request.flags = 1 | 2  # KEYWARD_TLS, KEYWARD_NO_ROUTING
    request.realm, request.peer = Bytes(b"bench", 5), Bytes(PEER.encode(), len(PEER))
    request.scopes, request.scope_count = scope, 1
    pointers = ctypes.byref(request), ctypes.sizeof(request), ctypes.byref(verdict), ctypes.sizeof(verdict)

    def check(key: str) -> bool:
        key_bytes.data, key_bytes.len = key.encode(), len(key)
        call(engine, key_bytes, *pointers)
        return verdict.decision == 0x6B770001

    return check


def all_of(prepared: Prepared) -> dict[str, Callable[[str], object]]:
    return {"loop": lambda key: True, "pure": pure(prepared), "hash_and_dict": hash_and_dict(prepared), "verify_key": verify_key(prepared),
            "verify": verify(prepared), "ctypes": through_ctypes(prepared)}
