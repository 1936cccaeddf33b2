"""`make demo-python`: Billoget's server on FastAPI with two workers; requests that are verified, refused and limited, and a
key that is revoked while it is in use."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import httpx
from shared import CLI, ROOT, free_port, wait_until

from running import certificate  # isort: skip

PROFILE = ROOT / "profiles/billoget"
BUDGETS = "/v1/api/public/budgets"
READER, HOURLY = "bk_live_1234567890abcdef", "bk_live_00000000000000000000000000000006"
CALLS = (
    ("a key that may read", "GET", READER),
    ("the same key writes", "POST", READER),
    ("a key that may do everything", "POST", READER + "1234567890abcdef"),
    ("no key", "GET", None),
    ("a key that nobody has", "GET", "bk_live_ffffffffffffffff"),
    ("a key that was revoked", "GET", "bk_live_00000000000000000000000000000004"),
    ("a key for once an hour", "GET", HOURLY),
    ("once more", "GET", HOURLY),
)


def publish(folder: Path, revoked: str | None = None) -> None:
    keys = [json.loads(line) for line in (PROFILE / "keys.jsonl").read_text().splitlines()]
    for key in keys:
        if key["id"] == revoked:
            key["status"] = "revoked"
    subprocess.run([CLI, "build", "--config", PROFILE / "keyward.toml", "--keyring", folder / "keyring.toml", "--keys", "-",
                    "-o", folder / "keys.kwd"], input="".join(json.dumps(key) + "\n" for key in keys), text=True, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def show(client: httpx.Client) -> None:
    for what, method, key in CALLS:
        answer = client.request(method, BUDGETS, headers=bearer(key))
        retry = answer.headers.get("retry-after")
        print(f"  {what:29} {method:4} {answer.status_code}  {answer.text}" + (f"  Retry-After: {retry}" if retry else ""))


def revoke(client: httpx.Client, folder: Path) -> int:
    """How many requests were let in after one had been refused by every worker."""
    def ask() -> int:
        return client.get(BUDGETS, headers={**bearer(READER), "Connection": "close"}).status_code

    before = Counter(ask() for _ in range(50))
    publish(folder, "live-reader")
    published = time.monotonic()
    statuses = []
    while time.monotonic() < published + 1.5:
        statuses.append((ask(), time.monotonic() - published))
    late = [at for status, at in statuses if status == 200]
    print(f"\nThe key that may read, {before[200]} times: {before[200]} let in. Then it is revoked: a new snapshot is published.\n"
          f"Of {len(statuses)} requests since, {len(late)} were let in, the last {1000 * max(late, default=0):.0f} ms after it; "
          f"{len(statuses) - len(late)} were refused.")
    return sum(at > 1 for at in late)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="keyward-demo-") as name:
        folder = Path(name)
        subprocess.run([CLI, "keyring", "new", "-o", folder / "keyring.toml"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        publish(folder)
        certificate(folder)
        port = free_port()
        environment = {**os.environ, "KEYWARD_STATE": str(folder / "state")}
        command = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", ROOT / "examples/billoget", "--port", str(port),
                   "--workers", "2", "--ssl-keyfile", "key.pem", "--ssl-certfile", "certificate.pem", "--log-level", "error"]
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, start_new_session=True)
        try:
            with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=str(folder / "certificate.pem")) as client:
                wait_until(lambda: is_up(client), 60)
                print(f"examples/billoget on uvicorn, two workers, https://127.0.0.1:{port}{BUDGETS}\n")
                show(client)
                late = revoke(client, folder)
                print("\nCounted by both workers together, in the state file:")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
        usage = subprocess.run([CLI, "usage", folder / "state"], capture_output=True, text=True)
        print("".join(f"  {line}\n" for line in (usage.stdout or usage.stderr).splitlines()))
    return 1 if late else 0


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/openapi.json").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    sys.exit(main())
