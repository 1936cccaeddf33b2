"""`make demo-nginx`: the five APIs on nginx on loopback, their calls, and a key revoked under load."""

import json
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import apis
from answers import Answer, exchange
from application import Application
from harness import MODULE, NGINX
from running import Nginx

WORKERS = 4
# The key that is revoked, and who sends it meanwhile.
REVOKED = ("built", "acme-production-2")
HOST, TARGET, KEY = "web.builtaccounting.com", "/api/invoices", "sample-built-acme-production-0002"
OTHER = "sample-built-acme-production-0001"
# Keys besides the samples, so that the snapshot has some size.
MADE = 200_000


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="keyward-demo-") as name, Application(Path(name)) as application:
        folder = Path(name)
        keys = apis.sample_keys() + made_keys()
        configuration, served = apis.lay_out(folder, application.port, keys, WORKERS)
        # For the demo alone: which worker answered.
        configuration = configuration.replace("http {\n", "http {\n  add_header X-Worker $pid always;\n", 1)
        with Nginx(configuration, folder, WORKERS) as nginx:
            size = (folder / "keys.kwd").stat().st_size
            print(f"nginx {version()} with {Path(MODULE).name}, {WORKERS} workers, on 127.0.0.1: ports {served.port} and "
                  f"{served.tls_port} (TLS)\nOne snapshot for five APIs: {keys.count(chr(10)):,} keys, {size:,} bytes\n")
            wrong = show_calls(served)
            print(example(served))
            wrong += revoke(served, nginx, keys)
            show_status(served)
        print("\nnginx and the application behind it are stopped, and their folder is gone.")
    if wrong:
        print(f"{wrong} answers are not as they should be")
    return 1 if wrong else 0


def made_keys() -> str:
    return "".join(f'{{"realm":"onebalance","id":"made-{number}","key":"made-{number:032x}"}}\n' for number in range(MADE))


def version() -> str:
    return subprocess.run([NGINX, "-v"], capture_output=True, text=True).stderr.partition("/")[2].strip()


def show_calls(served: apis.Served) -> int:
    """A line for each documented call. How many were answered otherwise."""
    wrong, api = 0, None
    for call in apis.documented(served):
        if call.api != api:
            api = call.api
            print(f"{api}")
        answer = call.make(served)
        faults = call.faults(answer)
        wrong += bool(faults)
        times = f" ({call.times} times)" if call.times > 1 else ""
        what = textwrap.shorten(call.what + times, 44, placeholder="…")
        print(f"  {call.target:41} {what:44} {answer.status}  {body(answer)}")
        for fault in faults:
            print(f"  {'':86} WRONG: {fault}")
    return wrong


def body(answer: Answer) -> str:
    """The refusal's body on one line; for a request that went through, who the application was told it is."""
    try:
        told = json.loads(answer.body)
    except ValueError:
        return ""
    if "token" in told:
        return f"a token: {told['token'][:24]}…"
    if "headers" not in told:
        return json.dumps(told)
    headers = dict(told["headers"])
    names = [f"{name[2:]} {headers[name]}" for name in ("x-key-id", "x-tenant", "x-environment", "x-subject") if name in headers]
    return "the application sees: " + (", ".join(names) or "nobody, it is public")


def example(served: apis.Served) -> str:
    """One call as a command line, for whoever wants to try."""
    call = next(call for call in apis.billoget() if call.status == 403)
    answer = call.make(served)
    words = " ".join(f"'{word}'" if " " in word else word for word in call.curl(served)
                     if word not in ("--silent", "--show-error", "--http1.1", "--path-as-is", "--max-time", "20"))
    shown = "\n".join(f"  {name}: {value}" for name, value in answer.headers)
    return f"\n$ {words}\n  HTTP/1.1 {answer.status}\n{shown}\n\n  {answer.body.decode()}\n"


@dataclass(frozen=True)
class Sent:
    at: float
    answered: float
    worker: int
    status: int


class Sender(threading.Thread):
    """Sends the key over new connections, so that every worker gets some, and notes who refused it first when."""

    def __init__(self, served: apis.Served, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.served, self.over = served, over
        self.answers: list[Sent] = []

    def run(self) -> None:
        message = (f"GET {TARGET} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nAuthorization: Bearer {KEY}\r\n\r\n").encode()
        while not self.over.is_set():
            sent = time.monotonic()
            answer = exchange(("127.0.0.1", self.served.tls_port), b"", message, True)
            self.answers.append(Sent(sent, time.monotonic(), int(answer.header("X-Worker") or 0), answer.status))


def revoke(served: apis.Served, nginx: Nginx, keys: str) -> int:
    """Revokes the key while it is in use, and other keys are. How often it was let in once it should not have been."""
    wrk = subprocess.Popen(["wrk", "-t1", "-c16", "-d5s", "-H", f"Host: {HOST}", "-H", f"Authorization: Bearer {OTHER}",
                            f"https://127.0.0.1:{served.tls_port}{TARGET}"], stdout=subprocess.PIPE, text=True)
    over = threading.Event()
    senders = [Sender(served, over) for _ in range(4)]
    for sender in senders:
        sender.start()
    time.sleep(1)
    realm, key_id = REVOKED
    lines = [json.loads(line) for line in keys.splitlines()]
    for line in lines:
        if (line["realm"], line["id"]) == (realm, key_id):
            line["status"] = "revoked"
    changed = "".join(json.dumps(line) + "\n" for line in lines)
    before = time.monotonic()
    apis.publish(served.folder, changed)
    published = time.monotonic()
    time.sleep(1.5)
    over.set()
    for sender in senders:
        sender.join()
    answers = [answer for sender in senders for answer in sender.answers]
    let_in = sum(answer.status == 200 for answer in answers)
    print(f"{len(answers):,} requests with {realm}'s key {key_id}, each on a connection of its own; {let_in:,} were let in, then it "
          f"was revoked.\nMeanwhile wrk sent {wrk.communicate()[0].split(' requests in')[0].split()[-1]} requests with another key. "
          f"`keyward build` took {published - before:.2f} s. Since it was done:")
    late = 0
    for number, worker in enumerate(nginx.workers()):
        own = [answer for answer in answers if answer.worker == worker]
        refused = [answer.answered for answer in own if answer.status == 401]
        if not refused:
            raise RuntimeError(f"worker {worker} refused nothing")
        first = min(refused)
        late += sum(answer.status == 200 and answer.at > first for answer in own)
        print(f"  worker {number + 1} (process {worker}) refused it first after {max(0.0, 1000 * (first - published)):3.0f} ms, "
              f"and {len(refused):,} times in all")
    print(f"Let in after its worker had refused it once: {late}")
    return late


def show_status(served: apis.Served) -> None:
    done = subprocess.run(["curl", "--silent", "--max-time", "10", f"http://127.0.0.1:{served.status_port}/keyward"],
                          capture_output=True, text=True)
    print(f"\nkeyward_status:\n{textwrap.indent(done.stdout.strip()[:3000], '  ')}")


if __name__ == "__main__":
    sys.exit(main())
