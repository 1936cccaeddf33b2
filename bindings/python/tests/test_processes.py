"""Threads, forks, and gunicorn's workers."""

import gc
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import warnings
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection

import keyward
from keyward import Engine
from shared import READER, SLOW, TURNING, Fixture, free_port, orders, wait_until


class Threads(Fixture):
    def test_from_many_while_generations_come(self) -> None:
        engine = self.open()
        over = threading.Event()
        seen: set[tuple[int, str]] = set()
        wrong: list[object] = []

        def ask() -> None:
            try:
                while not over.is_set():
                    verdict = engine.verify(orders(READER))
                    if not verdict or verdict.tenant != "acme":
                        wrong.append(verdict)
                    seen.add((threading.get_ident(), engine.verify(orders(TURNING)).reason))
                    engine.answer(engine.verify_key("shop", "x"))
                    engine.counts()
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: seen == {(thread.ident, "ok") for thread in threads} or wrong)
        engine.watch(0.01)
        for generation in range(2, 8):
            self.publish(generation)
            engine.reload()
            engine.info()
        self.revoke("turning", 8)
        wait_until(lambda: engine.info().generation == 8)
        wait_until(lambda: seen == {(thread.ident, reason) for thread in threads for reason in ("ok", "revoked")} or wrong)
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual([], wrong)

    def test_closing_under_load(self) -> None:
        for _ in range(10):
            engine = Engine.open(self.snapshot, keyring=self.keyring)
            ended: list[type[BaseException]] = []

            def ask(engine: Engine = engine, ended: list[type[BaseException]] = ended) -> None:
                calls: list[Callable[[], object]] = [
                    lambda: engine.verify(orders(READER)), engine.reload, engine.info, engine.counts,
                    lambda: engine.credential_headers("shop"), engine.check_pages]
                try:
                    while True:
                        for call in calls:
                            call()
                except BaseException as error:
                    ended.append(type(error))

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            time.sleep(0.02)
            engine.close()
            for thread in threads:
                thread.join(20)
            self.assertEqual([keyward.ClosedError] * 4, ended)


def child(work: Callable[[], bool]) -> int:
    """Forks, works in the child, and gives its pid."""
    with warnings.catch_warnings():
        # Python warns where threads are at work: that is what is tried.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return pid


class Forks(Fixture):
    def ended(self, pid: int, seconds: float = 30) -> int:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise AssertionError("the child hangs")

    def test_both_go_on(self) -> None:
        engine = self.open()
        engine.watch(0.02)

        def work() -> bool:
            wait_until(lambda: engine.verify(orders(TURNING)).reason == "revoked")
            engine.close()
            return engine.closed

        pids = [child(work) for _ in range(3)]
        self.assertTrue(engine.verify(orders(TURNING)))
        self.revoke("turning", 2)
        self.assertEqual([0, 0, 0], [self.ended(pid) for pid in pids])
        wait_until(lambda: engine.verify(orders(TURNING)).reason == "revoked")

    def test_forking_while_threads_reload(self) -> None:
        """No lock stays taken in a child, whatever the threads were at."""
        engine = self.open()
        engine.watch(0.01)
        over = threading.Event()

        def reload() -> None:
            while not over.is_set():
                engine.reload()
                engine.info()

        threads = [threading.Thread(target=reload) for _ in range(3)]
        for thread in threads:
            thread.start()

        def work() -> bool:
            engine.reload()
            gc.collect()
            return bool(engine.info().loaded and engine.verify(orders(READER)))

        try:
            for generation in range(2, 32):
                if generation % 5 == 0:
                    self.publish(generation)
                self.assertEqual(0, self.ended(child(work)))
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def test_limits_are_counted_together(self) -> None:
        for options in ({"state": self.folder / "state"}, {"inherited": True}):
            engine = self.open(**options)
            pids = [child(lambda engine=engine: bool(engine.verify(orders(SLOW)))) for _ in range(4)]  # type: ignore[misc]
            codes = sorted(self.ended(pid) for pid in pids)
            self.assertEqual([0, 2, 2, 2], codes, options)
            self.assertEqual((1, 3), (engine.counts()["ok"], engine.counts()["rate_limited"]))
            self.assertTrue(engine.info().state_shared)
            engine.close()

    def test_a_fork_without_warnings(self) -> None:
        """The threads of watches rest while a process forks, so that Python does not warn of them."""
        engine = self.open()
        engine.watch(0.01)
        time.sleep(0.05)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            pid = os.fork()
            if pid == 0:
                os._exit(0)
        self.assertEqual(0, self.ended(pid))
        self.assertTrue(engine.verify(orders(READER)))


APPLICATION = """
import os, keyward
from keyward.wsgi import KeywardMiddleware

engine = keyward.Engine.open(os.environ["SNAPSHOT"], keyring=os.environ["KEYRING"], state=os.environ["STATE"] or None,
                             inherited=not os.environ["STATE"])
engine.watch(0.02)

def told(environ, start_response):
    start_response("200 OK", [("X-Worker", str(os.getpid()))])
    return [environ["keyward.verdict"].key_id.encode()]

def worker(environ, start_response):
    start_response("200 OK", [("X-Worker", str(os.getpid()))])
    return [b""]

guarded = KeywardMiddleware(told, engine, "shop")
application = lambda environ, start: (worker if environ["PATH_INFO"] == "/worker" else guarded)(environ, start)
"""


class Gunicorn(Fixture):
    """Four workers that were forked from one process with the engine open (`--preload`)."""

    def serve(self, state: str) -> int:
        (self.folder / "application.py").write_text(APPLICATION)
        port = free_port()
        environment = {**os.environ, "SNAPSHOT": str(self.snapshot), "KEYRING": str(self.keyring), "STATE": state,
                       "PYTHONPATH": os.pathsep.join([str(self.folder), *filter(None, sys.path)])}
        log = (self.folder / "log").open("wb")
        self.addCleanup(log.close)
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--preload", "--workers", "4", "--log-level", "warning", "--no-control-socket",
             "--bind", f"127.0.0.1:{port}", "application"], env=environment, stdout=log, stderr=log, cwd=self.folder)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)
        wait_until(lambda: self.answers(port), 60)
        return port

    def answers(self, port: int) -> bool:
        try:
            return self.get(port, "/worker")[0] == 200
        except OSError:
            return False

    def get(self, port: int, path: str, key: str | None = None) -> tuple[int, str, bytes]:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers={} if key is None else {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.getheader("X-Worker") or "", body

    def test_prefork(self) -> None:
        generations = itertools.count(2)
        for state in (str(self.folder / "state"), ""):
            with self.subTest(state=state):
                port = self.serve(state)
                workers = set()
                wait_until(lambda: workers.add(self.get(port, "/worker")[1]) or len(workers) == 4, 60)  # type: ignore[func-returns-value]
                # One request an hour, whichever worker gets it.
                statuses = Counter(self.get(port, "/orders", SLOW)[0] for _ in range(40))
                self.assertEqual({200: 1, 429: 39}, statuses)
                self.assertEqual((200, b"turning"), self.get(port, "/orders", TURNING)[::2])
                self.revoke("turning", next(generations))
                # Each worker follows for itself.
                wait_until(lambda: {self.get(port, "/orders", TURNING)[0] for _ in range(40)} == {401}, 60)
                for key in self.keys:
                    key.pop("status", None)
                self.publish(next(generations))


if __name__ == "__main__":
    unittest.main()
