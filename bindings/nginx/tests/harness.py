"""Starts a real nginx with the module, in a folder and on ports of its own, and ends what it started.

    from harness import Nginx, Snapshot, Upstream, keys

    snapshot = Snapshot(folder, CONFIG, [{"realm": "api", "id": "k1", "key": "secret-1…"}])
    with Nginx(folder, http=snapshot.directives(), server="location / { keyward api; return 204; }") as nginx:
        nginx.get("/", headers=[("Authorization", "Bearer secret-1…")]).status

What it needs from the environment, each with a default for a checkout that `make test-nginx` has built:

    KEYWARD_NGINX          the nginx to start                 nginx
    KEYWARD_NGINX_MODULE   the module; empty: compiled in     target/nginx/ngx_http_keyward_module.so
    KEYWARD_CLI            the command keyward                target/release/keyward
"""

import http.client
import http.server
import io
import itertools
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
NGINX = os.environ.get("KEYWARD_NGINX") or shutil.which("nginx") or "/usr/sbin/nginx"
MODULE = os.environ.get("KEYWARD_NGINX_MODULE", str(TARGET / "nginx" / "ngx_http_keyward_module.so"))
CLI = os.environ.get("KEYWARD_CLI", str(TARGET / "release" / "keyward"))

PEPPER = "5c" * 32
KEYRING = f'[[pepper]]\nid = 1\nkey = "{PEPPER}"\n'


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds=60.0, step=0.005):
    """Waits until `condition()` is true, and returns what it gave; fails loudly where it never is."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"it did not happen within {seconds} seconds")
        time.sleep(step)


def is_there(pid):
    """Whether a process is there that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(pid, number=signal.SIGTERM):
    """Ends a process that is not a child of this one, and waits until it is gone."""
    if is_there(pid):
        os.kill(pid, number)
        wait_until(lambda: not is_there(pid), 30)


class Snapshot:
    """A configuration, a keyring and keys in a folder, and the snapshot that they make."""

    def __init__(self, folder, config, keys, keyring=KEYRING, name="keys"):
        self.folder = Path(folder)
        self.path = self.folder / f"{name}.kwd"
        self.config = self.folder / f"{name}.toml"
        self.keyring = self.folder / f"{name}.keyring.toml"
        self.config.write_text(config)
        self.keyring.touch(mode=0o600)
        self.keyring.write_text(keyring)
        self.generation = 0
        self.publish(keys)

    def publish(self, keys, *options):
        """Builds and publishes one more generation; `keys` are records, or a file of them."""
        lines = keys if isinstance(keys, (str, bytes)) else "".join(json.dumps(key) + "\n" for key in keys)
        result = subprocess.run(
            [CLI, "build", "--config", self.config, "--keyring", self.keyring, "--keys", "-", "-o", self.path, *options],
            input=lines.encode() if isinstance(lines, str) else lines, capture_output=True)
        if result.returncode != 0:
            raise AssertionError(f"keyward build: {result.stderr.decode()}")
        self.generation += 1
        return self.generation

    def put(self, content):
        """Puts other bytes in the snapshot's place, as publishing does: by renaming."""
        temporary = self.folder / ".other"
        temporary.write_bytes(content)
        temporary.chmod(0o444)
        temporary.rename(self.path)

    def directives(self, **more):
        lines = [f"keyward_snapshot {self.path};", f"keyward_keyring {self.keyring};"]
        return "\n".join(lines + [f"keyward_{name} {value};" for name, value in more.items()]) + "\n"


class Answer:
    """A response: `status`, `headers` as a list of pairs, `body`."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def __getitem__(self, name):
        values = self.all(name)
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body!r}"


class Reader(io.BufferedReader):
    """What a connection is read through, one response after the other: none of them ends it."""

    def makefile(self, *_):
        return self

    def close(self):
        pass


class Connection:
    """One connection that says exactly what it is told, and may be used again."""

    def __init__(self, port=None, host="127.0.0.1", unix=None, tls=False, source=None):
        if unix:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(20)
            self.socket.connect(str(unix))
        else:
            self.socket = socket.create_connection((host, port), timeout=20, source_address=source)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.reader = Reader(socket.SocketIO(self.socket, "r"))

    def send(self, method, target, headers=(), body=None, version="HTTP/1.1"):
        lines = [f"{method} {target} {version}".encode("latin-1")]
        if not any(name.lower() == "host" for name, _ in headers):
            lines.append(b"Host: localhost")
        lines += [name.encode("latin-1") + b": " + value.encode("latin-1") for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}".encode())
        self.socket.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))

    def receive(self, method="GET"):
        response = http.client.HTTPResponse(self.reader, method=method)
        response.begin()
        return Answer(response.status, response.getheaders(), response.read())

    def has_answer(self):
        """Whether something has come that was not received yet."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def ask(self, method, target, headers=(), body=None, version="HTTP/1.1"):
        self.send(method, target, headers, body, version)
        return self.receive(method)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Nginx:
    """An nginx with its files in `folder`. `main`, `http`, `server` are put where their names say."""

    def __init__(self, folder=None, http="", server="", main="", events="", workers=1, listen="", environment=None,
                 error_log="info", daemon=False, start=True):
        self.kept = None if folder else tempfile.TemporaryDirectory(prefix="keyward-nginx-")
        self.folder = Path(folder or self.kept.name)
        self.folder.chmod(0o755)
        self.port = free_port()
        self.environment = environment
        self.process = self.pid = None
        self.settings = {"http": http, "server": server, "main": main, "events": events, "workers": workers,
                         "listen": listen, "error_log": error_log, "daemon": daemon}
        self.configure()
        if start:
            self.start()

    # Configuration

    def configure(self, **settings):
        """Writes nginx.conf; what is not named stays as it was."""
        self.settings.update(settings)
        here = self.settings
        module = f"load_module {MODULE};" if MODULE else ""
        user = "user root;" if os.geteuid() == 0 else ""
        listen = here["listen"] or f"listen 127.0.0.1:{self.port} reuseport;"
        text = f"""
daemon {"on" if here["daemon"] else "off"};
{user}
{here["main"]}
{module}
pid {self.folder}/nginx.pid;
lock_file {self.folder}/nginx.lock;
error_log {self.folder}/error.log {here["error_log"]};
worker_processes {here["workers"]};
worker_shutdown_timeout 20s;
events {{ worker_connections 512; {here["events"]} }}
http {{
    access_log {self.folder}/access.log;
    keepalive_requests 1000000000;
    client_body_temp_path {self.folder}/tmp-body;
    proxy_temp_path {self.folder}/tmp-proxy;
    fastcgi_temp_path {self.folder}/tmp-fastcgi;
    uwsgi_temp_path {self.folder}/tmp-uwsgi;
    scgi_temp_path {self.folder}/tmp-scgi;
{here["http"]}
    server {{
        {listen}
{here["server"]}
    }}
}}
"""
        self.conf.write_text(text)

    @property
    def conf(self):
        return self.folder / "nginx.conf"

    def command(self, *arguments):
        return [NGINX, "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(self.conf), *arguments]

    def test(self):
        """`nginx -t`: the exit code, and what it said."""
        result = subprocess.run([NGINX, "-p", str(self.folder), "-c", str(self.conf), "-e", "stderr", "-t"],
                                capture_output=True, text=True, env=self.environment)
        return result.returncode, result.stderr

    # Life

    def start(self):
        with open(self.folder / "output.log", "ab") as output:
            process = subprocess.Popen(self.command(), stdout=output, stderr=output, env=self.environment)
        if self.settings["daemon"]:
            if process.wait(timeout=60) != 0:
                raise AssertionError(f"nginx did not start: {self.log()}")
            wait_until(lambda: self.read_pid() and self.read_pid() != self.pid)
            self.pid = self.read_pid()
        else:
            self.process, self.pid = process, process.pid
        wait_until(self.is_up, 60)

    def read_pid(self):
        try:
            return int((self.folder / "nginx.pid").read_text())
        except (OSError, ValueError):
            return None

    def is_up(self):
        if self.process and self.process.poll() is not None:
            raise AssertionError(f"nginx did not start: {self.log()}{(self.folder / 'output.log').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return "master_process off" in self.settings["main"] or len(self.workers()) == self.settings["workers"]

    def stop(self):
        """Ends it, and returns its exit code where that is known."""
        process, pid, self.process, self.pid = self.process, self.pid, None, None
        if process is None:
            if pid:
                end(pid)
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        if self.kept:
            self.kept.cleanup()

    def signal(self, number):
        os.kill(self.pid, number)

    def workers(self):
        """The ids of the worker processes that are there now. The system's list may lack some while others end, so it counts
        when it is the same twice."""
        before = None
        while before != (found := self._workers()):
            before = found
            time.sleep(0.002)
        return found

    def _workers(self):
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        found = []
        for child in map(int, children):
            try:
                title = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if title.startswith(b"nginx: worker process") and b"shutting down" not in title:
                found.append(child)
        return found

    def reload(self):
        """`nginx -s reload`, and waits until the old workers take no more requests."""
        before = set(self.workers())
        self.signal(signal.SIGHUP)
        wait_until(lambda: self.workers() and not before & set(self.workers()))

    # Requests

    def connect(self, **options):
        return Connection(self.port, **options)

    def ask(self, method, target, headers=(), body=None, version="HTTP/1.1", **options):
        with self.connect(**options) as connection:
            return connection.ask(method, target, [*headers, ("Connection", "close")], body, version)

    def get(self, target="/", headers=(), **options):
        return self.ask("GET", target, headers, **options)

    def curl(self, target, *arguments):
        """The status, headers and body that curl gets; `target` may be a whole URL."""
        url = target if "://" in target else f"http://127.0.0.1:{self.port}{target}"
        result = subprocess.run(["curl", "--silent", "--show-error", "--max-time", "20", "--include", "--path-as-is",
                                 *arguments, url], capture_output=True, check=True)
        head, _, body = result.stdout.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines[1:] if ": " in line]
        return Answer(int(lines[0].split()[1]), headers, body)

    # Logs

    def log(self, name="error.log"):
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def problems(self):
        """Lines of the error log that say that something is wrong."""
        levels = ("[emerg]", "[alert]", "[crit]", "[error]", "[warn]")
        return [line for line in self.log().splitlines() if any(level in line for level in levels)]


class Upstream:
    """A server behind nginx: answers with what it received, as JSON."""

    def __init__(self):
        received = self.received = []

        class Echo(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def echo(self):
                length = int(self.headers.get("Content-Length") or 0)
                request = {"method": self.command, "target": self.path, "headers": list(self.headers.items()),
                           "body": self.rfile.read(length).decode("latin-1")}
                received.append(request)
                body = json.dumps(request).encode()
                self.send_response(int(self.headers.get("X-Answer-With") or 200))
                for name, value in self.headers.items():
                    if name.lower() == "x-accel":
                        self.send_header("X-Accel-Redirect", value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_OPTIONS = echo

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                # nginx ends connections that it keeps to us with a reset when it is told to stop at once.
                try:
                    super().handle_one_request()
                except ConnectionResetError:
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Case(unittest.TestCase):
    """A test with a folder, and nginxes and upstreams that end with it.

    An nginx whose error log has a line of level warn or above that a test did not expect fails the test.
    """

    CONFIG = """
[realm.api]
title = "API"
[realm.api.credential.key]
kind = "key"
source = "bearer"
"""

    KEYS = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789", "tenant": "acme", "scopes": ["read", "write"]}]

    GOOD = [("Authorization", "Bearer secret-of-k1-0123456789")]
    BAD = [("Authorization", "Bearer secret-of-nobody-012345")]

    def setUp(self):
        kept = tempfile.TemporaryDirectory(prefix="keyward-nginx-")
        self.addCleanup(kept.cleanup)
        self.folder = Path(kept.name)
        self.folder.chmod(0o755)
        self.numbers = itertools.count()

    def snapshot(self, config=None, keys=None, **options):
        return Snapshot(self.folder, config or self.CONFIG, self.KEYS if keys is None else keys, **options)

    def nginx(self, server, http=None, snapshot=None, expect=(), keyward=None, **options):
        """A started nginx. `http` goes in before the snapshot's directives."""
        if snapshot is None:
            snapshot = self.snapshot()
        folder = self.folder / f"nginx-{next(self.numbers)}"
        folder.mkdir()
        nginx = Nginx(folder, http=(http or "") + snapshot.directives(**(keyward or {})), server=server, **options)
        nginx.snapshot = snapshot
        self.addCleanup(self.finish, nginx, expect)
        return nginx

    def finish(self, nginx, expect):
        nginx.stop()
        # What newer nginxes say of the way in which HTTP/2 is turned on here, which older ones need.
        expect = [*expect, '"listen ... http2" directive is deprecated']
        surprises = [line for line in nginx.problems() if not any(text in line for text in expect)]
        self.assertEqual(surprises, [], "the error log")

    def upstream(self):
        upstream = Upstream()
        self.addCleanup(upstream.close)
        return upstream
