"""examples/: each README runs as written, and each server answers every call that its API's page documents."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from shared import CLI, ROOT, free_port, wait_until

# Every documented call of the five APIs, as the tests of the nginx module have them: made with curl.
import apis  # isort: skip
from running import certificate  # isort: skip

NAMES = ("billoget", "onebalance", "built", "interstellas")
# What this interpreter's folder has: uvicorn, gunicorn and python; and the command.
PATH = os.pathsep.join([str(Path(sys.executable).parent), str(Path(CLI).parent), os.environ["PATH"]])


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PATH": PATH, "PYTHONPATH": os.pathsep.join(filter(None, sys.path[1:])), **more}


class Server:
    """A program of a shell, and all that it starts."""

    def __init__(self, command: str, folder: Path, port: int, **more: str) -> None:
        self.log = (folder / f"log-{port}").open("w+")
        self.process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=environment(**more), stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        self.port = port

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError(self.log.read())
        try:
            return httpx.get(f"https://127.0.0.1:{self.port}/", verify=False, timeout=5).status_code > 0
        except httpx.TransportError:
            try:
                return httpx.get(f"http://127.0.0.1:{self.port}/", timeout=5).status_code > 0
            except httpx.TransportError:
                return False

    def __enter__(self) -> "Server":
        wait_until(self.is_up, 60)
        return self

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


@dataclass(frozen=True)
class Read:
    """What a README says to run, and what it says that comes of it."""

    preparations: str
    serve: str
    asked: list[tuple[str, str]]


def read(readme: Path) -> Read:
    text = readme.read_text()
    run = text.split("\n## Run\n")[1].split("```sh\n")[1].split("```")[0].replace("\\\n", "").strip().splitlines()
    asked: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            asked.append((command, output))
    return Read("\n".join(run[:-1]), run[-1], asked)


class Readmes(unittest.TestCase):
    def test_each_runs_as_written(self) -> None:
        for name in NAMES:
            with self.subTest(example=name), tempfile.TemporaryDirectory(prefix="keyward-readme-") as root:
                # As in a checkout: the example in examples/NAME, and what it names two folders up.
                folder = Path(root) / "examples" / name
                ignored = shutil.ignore_patterns("__pycache__", "*.pem", "*.kwd", "keyring.toml", "state", "venv", "users.db")
                shutil.copytree(ROOT / "examples" / name, folder, ignore=ignored)
                (Path(root) / "profiles").symlink_to(ROOT / "profiles")
                readme = read(folder / "README.md")
                self.assertGreater(len(readme.asked), 4)
                port = free_port()
                subprocess.run(["bash", "-euc", readme.preparations], cwd=folder, env=environment(), check=True, capture_output=True)
                with Server(readme.serve.replace("8443", str(port)), folder, port):
                    # One shell, as whoever types them has one: a variable stays.
                    mark = "-----"
                    lines = "".join(f"{command}\necho '{mark}'\n" for command, _ in readme.asked).replace("8443", str(port))
                    done = subprocess.run(["bash", "-c", lines], cwd=folder, env=environment(), capture_output=True, text=True)
                    answers = done.stdout.split(mark)
                    for (command, expected), found in zip(readme.asked, answers, strict=False):
                        # Some answers end without a line's end; the page shows one.
                        self.assertEqual(expected.strip(), found.strip(), f"{command}\n{done.stderr}")
                    self.assertEqual(len(readme.asked) + 1, len(answers))

    def test_what_they_install(self) -> None:
        for name in NAMES:
            install = (ROOT / "examples" / name / "README.md").read_text().split("\n## Install\n")[1].split("```sh\n")[1].split("```")[0]
            self.assertEqual(["cargo install --locked --path ../../cli", "python3 -m venv venv && . venv/bin/activate",
                              "pip install ../../bindings/python -r requirements.txt"], install.splitlines())

    def test_the_overview_starts_them_in_the_same_way(self) -> None:
        text = (ROOT / "examples/README.md").read_text()
        rows = {name: row for name, row in re.findall(r"^\| \[.*?\]\((.*?)/README\.md\)(.*)$", text, re.MULTILINE)}
        self.assertEqual(sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md")), sorted(rows))
        for name, row in rows.items():
            self.assertIn(f"| `{read(ROOT / 'examples' / name / 'README.md').serve}` |", row)


class Documented(unittest.TestCase):
    """Every call of an API's page against its server, with curl, over TLS and without."""

    folder: Path

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="keyward-examples-")))
        (cls.folder / "keyward.toml").write_text("".join((apis.PROFILES / name / "keyward.toml").read_text() for name in apis.NAMES))
        apis.keyring(cls.folder)
        apis.publish(cls.folder, apis.sample_keys())
        certificate(cls.folder, apis.HOSTS)
        subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import prepare; from pathlib import Path; "
                        "prepare.make_database(Path('users.db'), Path(sys.argv[2]))", ROOT / "examples/interstellas",
                        ROOT / "profiles/interstellas/keys.jsonl"], cwd=cls.folder, check=True)

    def serve(self, name: str) -> apis.Served:
        """The server twice: with TLS, and without, where everybody has to be refused."""
        served = apis.Served(self.folder, free_port(), free_port(), 0)
        for port, tls in ((served.port, False), (served.tls_port, True)):
            if name == "built":
                certificate_options = "--keyfile key.pem --certfile certificate.pem" if tls else ""
                # gunicorn has no proxy to believe for the address; the realm's calls need none.
                command = f"gunicorn --preload --no-control-socket --workers 2 --bind 127.0.0.1:{port} {certificate_options} app:app"
            else:
                certificate_options = "--ssl-keyfile key.pem --ssl-certfile certificate.pem" if tls else ""
                command = f"uvicorn app:app --port {port} --forwarded-allow-ips 127.0.0.1 {certificate_options}"
            app = ROOT / "examples" / name
            server = Server(command, self.folder, port, PYTHONPATH=os.pathsep.join([str(app), *filter(None, sys.path[1:])]))
            self.enterContext(server)
        return served

    def check(self, name: str, calls: list[Any], served: apis.Served) -> None:
        self.assertTrue({200, 401, 403} <= {call.status for call in calls})
        for call in calls:
            with self.subTest(api=name, call=call.what):
                self.assertEqual([], call.faults(call.make(served)), " ".join(call.curl(served)))

    def test_billoget(self) -> None:
        # The scopes stand in the operations, so where there is no operation, it is FastAPI that answers.
        absent = {"an endpoint that is not in the table", "a path that can be read in two ways"}
        calls = [replace(call, status=404, answered={}) if call.what in absent else call for call in apis.billoget()]
        self.check("billoget", calls, self.serve("billoget"))

    def test_onebalance(self) -> None:
        self.check("onebalance", apis.onebalance(), self.serve("onebalance"))

    def test_built(self) -> None:
        self.check("built", apis.built(), self.serve("built"))

    def test_interstellas(self) -> None:
        # The page's sign-in has a body: below.
        calls = [call for call in apis.interstellas(self.folder) if call.target != "POST /auth/signin"]
        served = self.serve("interstellas")
        self.check("interstellas", calls, served)
        with httpx.Client(base_url=f"https://127.0.0.1:{served.tls_port}", verify=False) as client:
            for email, password in (("ada@example.com", "wrong"), ("nobody@example.com", "correct horse battery staple")):
                self.assertEqual(401, client.post("/auth/signin", json={"email": email, "password": password}).status_code)
            session = client.post("/auth/signin", json={"email": "Ada@example.com", "password": "correct horse battery staple"}).json()
            self.assertEqual(["business-north", "business-south"], [business["id"] for business in session["businesses"]])
            headers = {"Authorization": f"Bearer {session['accessToken']}", "SECRET_KEY": apis.NORTH, "businessId": "business-north"}
            self.assertEqual("business-north", client.post("/transfers", headers=headers).json()["business"])
            for name in headers:
                without = {other: value for other, value in headers.items() if other != name}
                self.assertEqual(401, client.post("/transfers", headers=without).status_code, name)
            self.assertEqual(403, client.get("/wallets", headers={**headers, "businessId": "business-south"}).status_code)
            password = (self.folder / "users.db").read_bytes()
            self.assertIn(b"$argon2id$", password)
            self.assertNotIn(b"correct horse", password)

    def test_the_operations_show_their_scopes(self) -> None:
        served = self.serve("billoget")
        document = httpx.get(f"https://127.0.0.1:{served.tls_port}/openapi.json", verify=False).json()
        self.assertEqual({"API key": {"type": "http", "scheme": "bearer"}}, document["components"]["securitySchemes"])
        needed = {(method.upper(), path): operation["security"] for path, methods in document["paths"].items()
                  for method, operation in methods.items()}
        self.assertEqual([{"API key": ["WRITE_PRODUCTS"]}], needed["DELETE", "/v1/api/public/products"])
        self.assertEqual(13, len(needed))


if __name__ == "__main__":
    unittest.main()
