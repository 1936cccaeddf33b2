"""Turns vector files (docs/DECISIONS.md section 9) into what conformance.c reads.

Each file's snapshot is built with `keyward build`, as an operator would. The cases go to one file of
netstrings (`LENGTH:BYTES,`), a name and a value each, an empty name behind each record: C needs no JSON
library for it, and a time keeps its fraction as it was written.

    vectors.py KEYWARD OUTPUT_FOLDER FILE_OR_FOLDER...
"""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path


def netstring(data):
    data = data if isinstance(data, bytes) else str(data).encode()
    return b"%d:%s," % (len(data), data)


def record(pairs):
    return b"".join(netstring(name) + netstring(value) for name, value in pairs) + netstring(b"")


def files_in(paths):
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        else:
            yield path


def build(keyward, folder, vectors):
    """The snapshot and the keyring, and the message where the snapshot is refused."""
    folder.mkdir(parents=True)
    names = {name: folder / name for name in ("config.toml", "keyring.toml", "keys.jsonl", "keys.kwd")}
    names["config.toml"].write_text(vectors["config"], encoding="utf-8")
    names["keyring.toml"].write_text(vectors["keyring"], encoding="utf-8")
    names["keyring.toml"].chmod(0o600)
    lines = (written(key) + "\n" for key in vectors.get("keys", []))
    names["keys.jsonl"].write_text("".join(lines), encoding="utf-8", errors="surrogatepass")
    command = [keyward, "build", "--config", names["config.toml"], "--keyring", names["keyring.toml"]]
    command += ["--keys", names["keys.jsonl"], "-o", names["keys.kwd"]]
    done = subprocess.run(command, capture_output=True, text=True)
    return names["keys.kwd"], names["keyring.toml"], done.stderr if done.returncode else None


class Object(dict):
    """An object that remembers its members as they were written, also where one is repeated."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.pairs = pairs


class Number(str):
    """A number as it was written."""


def written(value):
    """The JSON of a value, with nothing in it changed but its white space."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, Object):
        return "{" + ",".join(f"{written(name)}:{written(member)}" for name, member in value.pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def request_pairs(request):
    for name in ("realm", "method", "path", "host", "ip", "environment"):
        if request.get(name) is not None:
            yield name, request[name]
    if request.get("tls", True):
        yield "tls", ""
    for scope in request.get("scopes") or []:
        yield "scope", scope
    for name, value in request.get("headers") or []:
        yield "header", name.encode("latin-1")
        yield "value", value.encode("latin-1")


def time_pairs(now):
    if now is not None:
        seconds, fraction = divmod(Decimal(now), 1)
        yield "seconds", int(seconds)
        yield "nanoseconds", int(fraction * 10**9)


def records(keyward, folder, path):
    text = path.read_text(encoding="utf-8")
    vectors = json.loads(text, parse_float=Number, parse_int=Number, object_pairs_hook=Object)
    snapshot, keyring, message = build(keyward, folder, vectors)
    if "error" in vectors:
        pairs = [("kind", "refused"), ("name", path.name), ("expected", vectors["error"])]
        yield record(pairs + ([] if message is None else [("message", message)]))
        return
    if message is not None:
        yield record([("kind", "broken"), ("name", path.name), ("message", message)])
        return
    yield record([("kind", "open"), ("name", path.name), ("snapshot", snapshot), ("keyring", keyring)])
    for case in vectors["cases"]:
        pairs = [("kind", "case"), ("name", case["name"]), ("repeat", case.get("repeat", 1))]
        pairs += time_pairs(case.get("now"))
        pairs += request_pairs(case["request"])
        for field, value in case["expect"].items():
            pairs += [("null", field)] if value is None else [("expect", field), ("is", value)]
        yield record(pairs)


def main(keyward, folder, *paths):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "cases", "wb") as cases:
        for number, path in enumerate(files_in(paths)):
            cases.writelines(records(keyward, folder / str(number), path))


if __name__ == "__main__":
    main(*sys.argv[1:])
