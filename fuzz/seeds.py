#!/usr/bin/env python3
"""Writes fuzz/seeds/TARGET/: small inputs out of the test vectors and the profiles. Run it from the root."""

import hashlib
import json
import shutil
import struct
import tomllib
from pathlib import Path

SEEDS = Path("fuzz/seeds")
VECTORS = [json.loads(path.read_text()) for path in sorted(Path("testdata/vectors").glob("*.json"))]
# So many of each target: the fuzzer finds the rest by itself.
MOST = 40


def write(target, seeds):
    folder = SEEDS / target
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unique = sorted(set(seeds), key=lambda seed: (len(seed), seed))
    step = max(1, len(unique) // MOST)
    for seed in unique[::step][:MOST]:
        (folder / hashlib.sha256(seed).hexdigest()[:12]).write_bytes(seed)


def requests():
    return [case["request"] for vectors in VECTORS for case in vectors["cases"]]


def header_lists():
    for request in requests():
        yield "\n".join(f"{name}: {value}" for name, value in request.get("headers", [])).encode("latin-1")[:9000]


def key_formats():
    for vectors in VECTORS:
        for realm in tomllib.loads(vectors["config"])["realm"].values():
            for credential in realm["credential"].values():
                if "format" not in credential:
                    continue
                lengths = credential.get("secret_length", [16, 256])
                lengths = lengths if isinstance(lengths, list) else [lengths] * 2
                lines = [credential["format"], ",".join(realm.get("environments", [])),
                         credential.get("secret_alphabet", "base62"), ",".join(map(str, lengths))]
                lines += [key["key"] for key in vectors["keys"] if "key" in key][:5]
                yield "\n".join(lines).encode()


def paths():
    for vectors in VECTORS:
        for name, realm in tomllib.loads(vectors["config"])["realm"].items():
            routes = [f"{','.join(r['methods'])} {r['path']}" if "methods" in r else r["path"]
                      for r in realm.get("route", [])][:10]
            for case in vectors["cases"]:
                request = case["request"]
                if request["realm"] == name and "path" in request and len(request["path"]) < 500:
                    yield "\n".join([request["path"], request.get("method", "GET"), *routes]).encode()


def addresses():
    for vectors in VECTORS:
        realms = tomllib.loads(vectors["config"])["realm"]
        for case in vectors["cases"]:
            request = case["request"]
            proxies = realms.get(request["realm"], {}).get("trusted_proxies", ["10.0.0.0/8"])
            values = [value for name, value in request.get("headers", []) if "forwarded" in name.lower()]
            if "ip" in request:
                yield "\n".join([",".join(proxies), request["ip"], *values]).encode("latin-1", "replace")


def configurations():
    for profile in sorted(Path("profiles").glob("*/keyward.toml")):
        text = "\n".join(line for line in profile.read_text().splitlines() if not line.strip().startswith("#"))
        keyring = '[[pepper]]\nid = 1\nkey = "' + "10" * 32 + '"\n'
        yield "\n---\n".join([text, keyring, profile.with_name("keys.jsonl").read_text()]).encode()
    for vectors in VECTORS:
        keys = "".join(json.dumps(key) + "\n" for key in vectors["keys"][:5])
        whole = "\n---\n".join([vectors["config"], vectors["keyring"], keys]).encode()
        if len(whole) < 8000:
            yield whole
    for path in sorted(Path("testdata/vectors/refused").glob("*.json")):
        refused = json.loads(path.read_text())
        keys = "".join(json.dumps(key) + "\n" for key in refused.get("keys", []))
        yield "\n---\n".join([refused["config"], refused.get("keyring", ""), keys]).encode()


def snapshots():
    yield b"r"
    yield b"rKEYWARD\0"
    page = 4096
    places = [0, 8, 24, 32, 40, 72, 80, 88, 112, 160, 168, 176, 184, 3040]
    places += [page * number + at for number in range(1, 11) for at in (0, 4, 32, 37, 60, 63)]
    for how in (b"e", b"s", b"E", b"S"):
        yield how
        # Of a delta also where its base is named, and more of its second half.
        for place in places + ([48, 120, 151, 152] if how.isupper() else []):
            yield how + struct.pack("<IB", place, 0x01) + struct.pack("<IB", place + 1, 0x80)


def tokens():
    header = '{"alg":"HS256","typ":"JWT","kid":"k-HS256"}'
    claims = {"iss": "https://issuer.example.com", "aud": "many", "exp": 1764000300, "iat": 1763999900, "sub": "a",
              "nbf": 1763999900, "tenants": ["t"], "scope": "a b", "client_id": "key_01"}
    more = [claims, {**claims, "aud": ["x", "many"]}, {**claims, "exp": 1764000300.5}, {**claims, "exp": "1764000300"},
            {**claims, "client_id": 7}, {name: claims[name] for name in ("iss", "aud", "exp")}]
    for number, alg in enumerate(("HS256", "HS384", "HS512")):
        own = header.replace("HS256", alg)
        for claim in more:
            yield b"s" + bytes([number]) + f"{own}\n{json.dumps(claim, separators=(',', ':'))}".encode()
    for request in requests():
        for name, value in request.get("headers", []):
            scheme, _, token = value.partition(" ")
            if scheme == "Bearer" and token.count(".") == 2 and len(token) < 1500:
                yield b"t" + token.encode("latin-1")


for target, seeds in {"headers": header_lists(), "key_format": key_formats(), "path": paths(), "address": addresses(),
                      "configuration": configurations(), "snapshot": snapshots(), "token": tokens()}.items():
    write(target, seeds)
