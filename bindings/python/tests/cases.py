"""Vector files (docs/DECISIONS.md section 9) for Python: a case as a request, a verdict as its fields, and what Rust says.

`rendered` has the Rust engine's own fields of every case, also of those that a case expects nothing of: the command's
conformance run is given the cases with expectations that nothing meets, and tells what there was instead.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from keyward import Engine, Request, Verdict
from shared import CLI, ROOT, c_vectors

COMMITTED = ROOT / "testdata/vectors"
FIELDS = ("decision", "reason", "status", "key_id", "tenant", "environment", "subject", "scope", "retry_after",
          "www_authenticate", "content_type", "body")
NOTHING_IS = {"no field": "is this"}


def folders() -> list[Path]:
    """The vectors of this repository, and others where somebody has put them beside the checkout."""
    beside = Path(os.environ.get("VECTORS") or ROOT.parent / "shared/vectors")
    return [COMMITTED] + [beside] * beside.is_dir()


def files(of: list[Path]) -> list[Path]:
    return [path for folder in of for path in sorted(folder.rglob("*.json"))]


def read(path: Path) -> Any:
    """The file, its numbers as they were written and its objects with the members that they repeat."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=c_vectors.Number, parse_int=c_vectors.Number,
                      object_pairs_hook=c_vectors.Object)


def rendered(path: Path, folder: Path) -> list[dict[str, Any]]:
    """What Rust renders of each case of a file."""
    vectors = read(path)
    for case in vectors["cases"]:
        # Cases that go wrong in several ways stand once in the output: in their order.
        case["expect"] = c_vectors.Object([(field, NOTHING_IS) for field in FIELDS])
        case.pairs = list(case.items())
    vectors.pairs = list(vectors.items())
    changed = folder / path.name
    changed.write_text(c_vectors.written(vectors), encoding="utf-8", errors="surrogatepass")
    done = subprocess.run([CLI, "conformance", "--json", changed], capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    found = [{failure["field"]: failure["actual"] for failure in line["failures"]} for line in lines]
    if len(found) != len(vectors["cases"]) or any(set(fields) != set(FIELDS) for fields in found):
        raise AssertionError(f"{path}: the command renders {found[:1]}, {done.stderr}")
    return found


def request_of(case: Any) -> Request:
    request = case["request"]
    now = case.get("now")
    return Request(
        request["realm"],
        [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.get("headers") or ()],
        request.get("path"),
        request.get("method"),
        request.get("host"),
        request.get("ip"),
        request.get("tls", True),
        request.get("environment"),
        request.get("scopes") or (),
        None if now is None else int(Decimal(now) * 10**9),
    )


def fields(engine: Engine, verdict: Verdict) -> dict[str, Any]:
    answer = engine.answer(verdict)
    headers = dict(answer.headers)
    return {
        "decision": verdict.decision, "reason": verdict.reason, "status": answer.status, "key_id": verdict.key_id,
        "tenant": verdict.tenant, "environment": verdict.environment, "subject": verdict.subject, "scope": verdict.scope,
        "retry_after": verdict.retry_after, "www_authenticate": utf8(headers.get("WWW-Authenticate")),
        "content_type": utf8(answer.content_type), "body": None if answer.body is None else answer.body.decode(),
    }


def utf8(header: str | None) -> str | None:
    return None if header is None else header.encode("latin-1").decode()


def plain(value: Any) -> Any:
    """The value of JSON, with numbers that are numbers."""
    return int(value) if isinstance(value, c_vectors.Number) else value


def decided(engine: Engine, vectors: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    for case in vectors["cases"]:
        request = request_of(case)
        for _ in range(int(case.get("repeat", 1))):
            verdict = engine.verify(request)
        yield case, fields(engine, verdict)
