"""Vector files (docs/DECISIONS.md section 9) sent through nginx. As a program: the list of what is not sent, and why.

Each file has a snapshot, an nginx and a clock of its own. What a request cannot say (realm, environment, scopes) is
said by the configuration, so each combination has a server of its own, on Unix sockets: one with TLS and one
without. The PROXY protocol gives a connection its peer, and libfaketime gives nginx its clock.
"""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from answers import Answer, exchange
from carrying import Place, message, not_carried, place, preamble, refused_first
from clock import Clock
from harness import CLI, MODULE, ROOT
from running import Nginx, certificate, quoted, temporary

COMMITTED = ROOT / "testdata/vectors"
# The verdict's fields, and where the configuration below puts them. `scope` has no variable: it is in the body and
# the challenge, where an API shows it.
VARIABLES = {"reason": "X-Reason", "key_id": "X-Key-Id", "tenant": "X-Tenant", "environment": "X-Environment",
             "subject": "X-Subject"}


def folders() -> list[Path]:
    """The vectors of this repository, and others where somebody has put them beside the checkout."""
    beside = Path(os.environ.get("VECTORS", ROOT.parent / "shared/vectors"))
    return [COMMITTED] + [beside] * beside.is_dir()


def files(of: list[Path]) -> list[Path]:
    return [path for folder in of for path in sorted(folder.rglob("*.json"))]


def left_out(of: list[Path]) -> Iterator[tuple[Path, dict, str]]:
    for path in files(of):
        text = json.loads(path.read_text())
        realms = tomllib.loads(text["config"])["realm"] if "cases" in text else {}
        for case in text.get("cases", ()):
            if why := not_carried(case, realms):
                yield path, case, why


def listing(of: list[Path]) -> str:
    """What is not sent, what nginx answers before keyward is asked, and how many are left."""
    cases = [case for path in files(of) for case in json.loads(path.read_text()).get("cases", ())]
    refused = [path for path in files(of) if "error" in json.loads(path.read_text())]
    absent = list(left_out(of))
    missing = {id(case) for _, case, _ in absent}
    first = []
    for path in files(of):
        text = json.loads(path.read_text())
        realms = tomllib.loads(text["config"])["realm"] if "cases" in text else {}
        first += [(path, case, why) for case in text.get("cases", ())
                  if not not_carried(case, realms) and (why := refused_first(case))]
    lines = [
        "# Vectors that nginx cannot be asked", "",
        f"{len(cases)} cases: {len(cases) - len(absent) - len(first)} are decided by keyward in nginx, "
        f"{len(first)} are sent and refused by nginx itself, {len(absent)} cannot be sent.", "",
        f"The {len(refused)} files in `refused/` are refused when a snapshot is built: no server comes to see them.", "",
        "Of a verdict, `scope` is compared where the answer shows it: in its body and its challenge.", "",
        "## Cannot be sent", "", "| file | case | why |", "|---|---|---|",
        *(f"| {path.name} | {cell(case['name'])} | {why} |" for path, case, why in absent), "",
        "## Refused by nginx itself, with 400, before any module is asked", "",
        "| file | case | what nginx refuses |", "|---|---|---|",
        *(f"| {path.name} | {cell(case['name'])} | {why} |" for path, case, why in first), "",
    ]
    return "\n".join(lines)


def cell(text: str) -> str:
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text).replace("|", "\\|")


def configuration(folder: Path, places: list[Place], clock: Clock) -> str:
    servers = "".join(server(folder, number, place) for number, place in enumerate(places))
    headers = "".join(f"    add_header {header} ${{keyward_{name}}} always;\n" for name, header in VARIABLES.items())
    return f"""\
load_module {MODULE};
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
{clock.directives()}
events {{ }}

http {{
  access_log off;
  keyward_snapshot {folder}/keys.kwd;
  keyward_keyring {folder}/keyring.toml;
  keyward_state {folder}/state;
  keyward_reload off;
{temporary(folder)}  # Everything as received, as long as a credential may be, and longer.
  underscores_in_headers on;
  ignore_invalid_headers off;
  large_client_header_buffers 8 64k;
  set_real_ip_from unix:;
  real_ip_header proxy_protocol;
  ssl_certificate {folder}/certificate.pem;
  ssl_certificate_key {folder}/key.pem;
{headers}
  server {{
    listen unix:{folder}/reached.sock;
    location / {{ add_header X-Reached yes; return 200; }}
  }}
{servers}}}
"""


def server(folder: Path, number: int, place: Place) -> str:
    extra = f"    keyward_environment {quoted(place.environment)};\n" if place.environment is not None else ""
    if place.scopes:
        extra += f"    keyward_scopes {' '.join(map(quoted, place.scopes))};\n"
    return f"""\
  server {{
    listen unix:{folder}/{number}.tls ssl proxy_protocol;
    listen unix:{folder}/{number}.clear proxy_protocol;
    keyward {quoted(place.realm)};
{extra}    location / {{ proxy_pass http://unix:{folder}/reached.sock:/; }}
  }}
"""


def run(text: dict, folder: Path) -> Iterator[tuple[dict, list[str]]]:
    """Sends the file's cases in order, and yields each with what is wrong with its answer."""
    realms = tomllib.loads(text["config"])["realm"]
    cases = [case for case in text["cases"] if not not_carried(case, realms)]
    places = sorted({place(case) for case in cases}, key=repr)
    (folder / "keyward.toml").write_text(text["config"])
    (folder / "keyring.toml").write_text(text["keyring"])
    (folder / "keyring.toml").chmod(0o600)
    (folder / "keys.jsonl").write_text("".join(json.dumps(key) + "\n" for key in text.get("keys", ())))
    folder.chmod(0o755)
    subprocess.run([CLI, "build", "--config", folder / "keyward.toml", "--keyring", folder / "keyring.toml",
                    "--keys", folder / "keys.jsonl", "-o", folder / "keys.kwd"], check=True, capture_output=True)
    certificate(folder)
    clock = Clock(folder)
    latest = 0
    with Nginx(configuration(folder, places, clock), folder, environment=clock.environment()) as nginx:
        for case in cases:
            clock.set(case["now"])
            if case["now"] < latest:
                # No process goes back in time. What was counted stands in the state file.
                nginx.stop()
                nginx.start()
            latest = case["now"]
            tls = case["request"].get("tls", True)
            address = f"{folder}/{places.index(place(case))}.{'tls' if tls else 'clear'}"
            for _ in range(case.get("repeat", 1)):
                answer = exchange(address, preamble(case), message(case), tls)
            yield case, differences(case, answer)


def differences(case: dict, answer: Answer) -> list[str]:
    if refused_first(case):
        asked = answer.header(VARIABLES["reason"])
        return [] if answer.status == 400 and asked is None else [f"nginx should refuse it: {answer.status}, {asked}"]
    found = {field: text(answer.header(header)) for field, header in VARIABLES.items()}
    is_allowed = answer.header("X-Reached") == "yes"
    refusal = "unavailable" if found["reason"] == "unavailable" else "deny"
    found |= {"decision": "allow" if is_allowed else refusal, "status": answer.status,
              "www_authenticate": answer.header("WWW-Authenticate")}
    retry_after = answer.header("Retry-After")
    found["retry_after"] = int(retry_after) if retry_after is not None else None
    if is_allowed:
        # What is sent then is the upstream's.
        found |= {"content_type": None, "body": None}
    else:
        found["content_type"] = answer.header("Content-Type")
        found["body"] = answer.body.decode("utf-8", "replace")
    if case["request"].get("method") == "HEAD":
        del found["body"]
    return [f"{field}: expected {expected!r}, actual {found[field]!r}"
            for field, expected in case["expect"].items() if field in found and found[field] != expected]


def text(header: str | None) -> str | None:
    """A header's bytes, which are UTF-8 where they come out of a snapshot or a token."""
    return header and header.encode("latin-1").decode("utf-8", "replace")


if __name__ == "__main__":
    sys.stdout.write(listing([COMMITTED]))
