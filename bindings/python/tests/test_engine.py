"""An engine: what it decides, and what is said where it cannot."""

import copy
import errno
import gc
import inspect
import os
import pickle
import stat
import threading
import time
import unittest
from pathlib import Path
from typing import Any

import keyward
from keyward import Engine, Request, Verdict
from keyward._errors import error_of
from shared import FIXTURE, OFFICE, READER, ROOT, SLOW, TURNING, Fixture, orders, script, wait_until


def mappings(path: Path) -> int:
    """How often a file is mapped into this process."""
    return sum(line.rstrip().endswith(str(path)) for line in Path("/proc/self/maps").read_text().splitlines())


class Deciding(Fixture):
    def test_a_request(self) -> None:
        engine = self.open()
        verdict = engine.verify(orders(READER, list_scopes=True))
        self.assertIs(bool(verdict), True)
        self.assertEqual(
            ("allow", "ok", "shop", "reader", "acme", "live", ("orders:read", "reports"), 1),
            (verdict.decision, verdict.reason, verdict.realm, verdict.key_id, verdict.tenant, verdict.environment,
             verdict.scopes, verdict.generation))
        self.assertEqual((None, None, None), (verdict.subject, verdict.scope, verdict.retry_after))
        self.assertEqual(200, engine.answer(verdict).status)
        self.assertIsNone(engine.verify(orders(READER)).scopes)

    def test_a_refusal_and_its_answer(self) -> None:
        engine = self.open()
        verdict = engine.verify(orders(READER, method="POST"))
        self.assertIs(bool(verdict), False)
        self.assertEqual(("deny", "insufficient_scope", "orders:write", "reader"),
                         (verdict.decision, verdict.reason, verdict.scope, verdict.key_id))
        challenge = ("WWW-Authenticate", 'Bearer realm="Shop", error="insufficient_scope", scope="orders:write"')
        self.assertEqual(keyward.Answer(403, (challenge,), "application/problem+json", b'{"missing":"orders:write"}'),
                         engine.answer(verdict)._replace(content_type="application/problem+json"))

    def test_a_key_by_itself(self) -> None:
        engine = self.open()
        for key in (READER, READER.encode()):
            self.assertTrue(engine.verify_key("shop", key))
        self.assertEqual("missing_credential", engine.verify_key("shop", "").reason)
        self.assertEqual("malformed_credential", engine.verify_key("shop", "sk_live_x").reason)
        self.assertEqual("unknown_key", engine.verify_key("shop", "sk_live_00000000000000ff").reason)
        self.assertEqual("wrong_environment", engine.verify_key("shop", READER, environment="test").reason)
        self.assertEqual("insufficient_scope", engine.verify_key("shop", READER, scopes=["reports", "orders:write"]).reason)
        self.assertEqual("insufficient_scope", engine.verify_key("shop", READER, path="/orders", method="POST").reason)
        self.assertEqual("ip_not_allowed", engine.verify_key("shop", OFFICE, peer="198.51.100.1").reason)
        self.assertTrue(engine.verify_key("shop", OFFICE, peer="2001:db8::1"))
        self.assertTrue(engine.verify_key("files", "a:key!with;everything{visible}"))
        self.assertEqual("zürich", engine.verify_key("files", "a:key!with;everything{visible}").tenant)
        tester = "sk_test_0000000000000005"
        self.assertEqual("not_yet_valid", engine.verify_key("shop", tester, now_ns=1699999999_999999999).reason)
        self.assertTrue(engine.verify_key("shop", tester, now_ns=1700000000_000000000))
        self.assertEqual("expired", engine.verify_key("shop", tester, now_ns=1893456000_000000000).reason)
        # A name that is made at run time is another object than the one in the C file.
        self.assertEqual("wrong_environment", engine.verify_key("shop", READER, **{"".join(["environ", "ment"]): "test"}).reason)

    def test_a_rate_limit(self) -> None:
        engine = self.open()
        self.assertTrue(engine.verify(orders(SLOW)))
        verdict = engine.verify(orders(SLOW))
        self.assertEqual(("rate_limited", 3600), (verdict.reason, verdict.retry_after))
        self.assertIn(("Retry-After", "3600"), engine.answer(verdict).headers)

    def test_no_path_is_not_an_empty_path(self) -> None:
        engine = self.open()
        self.assertEqual("ambiguous_path", engine.verify(orders(READER, path="")).reason)
        self.assertTrue(engine.verify(orders(READER, path=None)))
        self.assertEqual("insufficient_scope", engine.verify(orders(READER, path=None, scopes=("x",))).reason)

    def test_headers_of_every_kind(self) -> None:
        engine = self.open()
        value = f"Bearer {READER}"
        kinds: list[Any] = [
            [("Authorization", value)], (("authorization", value),), [["AUTHORIZATION", value.encode()]],
            [(b"x", b"y")] * 200 + [(b"Authorization", value.encode())], [("x-å", "\xff"), ("Authorization", value)],
        ]
        for headers in kinds:
            self.assertTrue(engine.verify(Request("shop", headers, "/orders")), headers)
        twice = [("Authorization", value)] * 2
        self.assertEqual("ambiguous_credential", engine.verify(Request("shop", twice, "/orders")).reason)
        many = Request("shop", [("Authorization", value)], "/orders", scopes=["reports"] * 100)
        self.assertTrue(engine.verify(many))

    def test_a_long_list_of_scopes(self) -> None:
        self.keys.append({"realm": "files", "id": "much", "key": "much", "scopes": [f"scope-{n}" for n in range(1000)]})
        self.keys.append({"realm": "files", "id": "more", "key": "more", "scopes": [f"scope-{n}" for n in range(2000)]})
        self.publish(2)
        engine = self.open()
        self.assertEqual(1000, len(engine.verify_key("files", "much", list_scopes=True).scopes or ()))
        more = engine.verify_key("files", "more", list_scopes=True, scopes=["scope-1999"])
        self.assertTrue(more)
        self.assertIsNone(more.scopes)

    def test_an_answer_that_is_longer_than_most(self) -> None:
        text = (FIXTURE / "keyward.toml").read_text()
        config = self.folder / "long.toml"
        config.write_text(text + "[realm.files.errors.missing_credential]\nbody = '" + "long " * 3000 + "'\n")
        self.publish(2, config)
        engine = self.open()
        answer = engine.answer(engine.verify(Request("files", (), None)))
        self.assertEqual(15000, len(answer.body or b""))

    def test_tokens(self) -> None:
        with self.keyring.open("a") as keyring:
            keyring.write('\n[[token_key]]\nrealm = "hub"\nkid = "python"\nalg = "HS256"\n'
                          'secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"\n')
        engine = self.open()
        login = Request("hub", [("Authorization", "Basic cm9ib3Q6YS1zZWNyZXQtb2YtYS1yb2JvdA==")], "/login", "POST")
        verdict, token = engine.issue_token(login, kid="python", subject="somebody")
        self.assertTrue(verdict)
        assert token is not None
        things = Request("hub", [("Authorization", f"Bearer {token}")], "/things")
        self.assertEqual("somebody", engine.verify(things).subject)
        verdict, token = engine.issue_token(login._replace(headers=()))
        self.assertEqual((False, None), (bool(verdict), token))
        with self.assertRaises(keyward.TokenError):
            engine.issue_token(login, kid="nobody")
        with self.assertRaises(TypeError):
            engine.issue_token(login, subject=b"bytes")  # type: ignore[arg-type]


class Objects(Fixture):
    def test_a_verdict_stays_as_it_is(self) -> None:
        verdict: Any = self.open().verify(orders("sk_live_00000000000000ff"))
        for change in (lambda: setattr(verdict, "allowed", True), lambda: setattr(verdict, "new", 1),
                       lambda: setattr(Verdict, "__bool__", lambda self: True), lambda: delattr(verdict, "reason")):
            with self.assertRaises((AttributeError, TypeError)):
                change()
        for make in (Verdict, lambda: Verdict.__new__(Verdict), lambda: pickle.dumps(verdict),
                     lambda: type("Other", (Verdict,), {})):
            with self.assertRaises(TypeError):
                make()
        self.assertIs(bool(verdict), False)

    def test_a_verdict_outlives_its_engine(self) -> None:
        engine = self.open()
        verdict = engine.verify(orders(READER))
        engine.close()
        del engine
        gc.collect()
        self.assertEqual(("reader", "shop"), (verdict.key_id, verdict.realm))

    def test_a_request_is_a_named_tuple(self) -> None:
        """Its constructor is native/asked.c's, and everything else as the NamedTuple has it that declares it."""
        ask: Any = Request
        declared: Any = Request.__mro__[1]
        headers = ((b"x-api-key", b"\xff"),)
        positions = ("shop", headers, b"/orders", "GET", None, "203.0.113.7", True, "live", ("a", "b"), 17, True)
        for number in range(3, len(positions) + 1):
            named = dict(zip(Request._fields[number:], positions[number:], strict=True))
            others = {"".join(name): value for name, value in named.items()}
            for made in (ask(*positions[:number], **named), ask(*positions[:number], **others)):
                self.assertEqual(positions, made)
                self.assertEqual(hash(positions), hash(made))
            self.assertEqual(declared(*positions[:number]), ask(*positions[:number]))
            self.assertIs(Request, type(ask(*positions[:number])))
        made = ask("shop", headers, None, tls=True)
        self.assertEqual(("shop", headers, None, None, None, None, True, None, (), None, False), made)
        told, meant = (inspect.signature(one).parameters.values() for one in (Request, declared))
        self.assertEqual([(one.name, one.default) for one in meant], [(one.name, one.default) for one in told])
        self.assertEqual(declared.__doc__.split(), (Request.__doc__ or "").split())
        for again in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made), made._replace(), Request._make(made),
                      Request(**made._asdict())):
            self.assertEqual((Request, made), (type(again), again))
        self.assertEqual("/", made._replace(path="/").path)

        class Own(Request):
            def __new__(cls, realm: str) -> "Own":
                return super().__new__(cls, realm, (), None)

        self.assertEqual((Own, "shop"), (type(Own("shop")), Own("shop").realm))
        for wrong in (
            lambda: ask(), lambda: ask("shop", ()), lambda: ask(*positions, 1), lambda: ask("shop", (), None, realm="shop"),
            lambda: ask("shop", (), None, paths=None), lambda: ask("shop", (), None, **{1: 2}), lambda: ask(headers=(), path=None),
            lambda: Request._make(()), lambda: Request._make([1] * 12), lambda: ask._make(3),
        ):
            with self.assertRaises(TypeError):
                wrong()
        with self.assertRaises((TypeError, ValueError)):  # as the Python in use has it
            ask._replace(made, paths=None)

    def test_nothing_secret_is_shown(self) -> None:
        engine = self.open()
        request = orders(READER)
        shown = [repr(request), str(request), repr(engine), repr(engine.verify(request)), repr(engine.info())]
        for headers in ([("Authorization", READER + "\ud800")], [("Authorization", READER + "\u0100")], [READER]):
            with self.assertRaises((TypeError, ValueError)) as raised:
                engine.verify(request._replace(headers=headers))
            shown.append(repr(raised.exception) + repr(raised.exception.__context__))
        for text in shown:
            self.assertNotIn(READER, text)

    def test_memory_comes_back(self) -> None:
        before = mappings(self.snapshot)
        engine = self.open(mode="map")
        engine.close()
        held = Engine.open(self.snapshot, keyring=self.keyring)
        mapped = mappings(self.snapshot)
        ring: Any = type("Ring", (), {})()
        ring.ring, ring.engine = ring, held
        del held, ring
        gc.collect()
        self.assertEqual(before, mappings(self.snapshot))
        self.assertGreater(mapped, before)

    def test_nothing_leaks(self) -> None:
        """Objects by the ten thousand, and no more memory than before."""
        engine = self.open()
        request = orders(READER, list_scopes=True, scopes=["reports"])

        def resident() -> int:
            return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

        def ask(times: int) -> None:
            for _ in range(times):
                verdict = engine.verify(request)
                verdict.scopes, verdict.key_id, engine.answer(engine.verify_key("shop", "x", scopes=["y"]))
                Request("shop", (), None), Request("shop", (), None, tls=True), Request._make(request)
                for wrong in (request._replace(headers=[("a", 1)]), request._replace(headers=[("\xe9", "\xe9"), 3]), None):
                    try:
                        engine.verify(wrong)  # type: ignore[arg-type]
                    except TypeError:
                        pass

        ask(2000)
        before = resident()
        ask(20000)
        self.assertLess(resident() - before, 2_000_000)


class Wrong(Fixture):
    def test_types(self) -> None:
        engine: Any = self.open()
        good = orders(READER)
        wrong: list[Any] = [
            lambda: engine.verify(), lambda: engine.verify(None), lambda: engine.verify(tuple(good)), lambda: engine.verify({}),
            lambda: engine.verify(good, good), lambda: engine.verify(good._replace(realm=b"shop")),
            lambda: engine.verify(good._replace(realm=None)), lambda: engine.verify(good._replace(headers=None)),
            lambda: engine.verify(good._replace(headers={"a": "b"})), lambda: engine.verify(good._replace(headers="ab")),
            lambda: engine.verify(good._replace(headers=["ab"])), lambda: engine.verify(good._replace(headers=[("a",)])),
            lambda: engine.verify(good._replace(headers=[("a", None)])), lambda: engine.verify(good._replace(headers=iter([]))),
            lambda: engine.verify(good._replace(path=3)), lambda: engine.verify(good._replace(method=["GET"])),
            lambda: engine.verify(good._replace(tls="off")), lambda: engine.verify(good._replace(tls=1)),
            lambda: engine.verify(good._replace(scopes="orders:read")), lambda: engine.verify(good._replace(scopes=[b"x"])),
            lambda: engine.verify(good._replace(now_ns=1.5)), lambda: engine.verify(good._replace(now_ns=True)),
            lambda: engine.verify_key("shop", READER, now_ns=False), lambda: engine.verify(good._replace(environment=b"live")),
            lambda: engine.verify(good._replace(list_scopes=None)), lambda: engine.verify(good._replace(peer=127)),
            lambda: engine.verify_key("shop"), lambda: engine.verify_key("shop", None), lambda: engine.verify_key(1, READER),
            lambda: engine.verify_key("shop", READER, headers=[]), lambda: engine.verify_key("shop", READER, True),
            lambda: engine.verify_key("shop", bytearray(b"x")), lambda: engine.answer(None), lambda: engine.answer(True),
            lambda: engine.watch("often"), lambda: engine.watch(True), lambda: engine.issue_token(None), lambda: Engine(),
            lambda: Engine.open(3, keyring=self.keyring), lambda: Engine.open(self.snapshot),
            lambda: Engine.open(self.snapshot, keyring=None), lambda: Engine.open(self.snapshot, keyring=self.keyring, later=1),
            lambda: Engine.open(self.snapshot, keyring=self.keyring, state=5), lambda: pickle.dumps(engine),
            lambda: Engine.open_bytes(str(self.snapshot), keyring=self.keyring), lambda: engine.replace_bytes("text"),
            lambda: engine.check_realm(5), lambda: engine.check_realm("shop", 5), lambda: engine.check_realm(b"shop"),
            lambda: engine.credential_headers(5),
            lambda: Engine.open(self.snapshot, keyring=self.keyring, limiter_slots=True),
            lambda: Engine.open(self.snapshot, keyring=self.keyring, state_slots=1.5),
            lambda: Engine.open_bytes(b"", keyring=self.keyring, limiter_slots="1024"),
        ]
        for number, call in enumerate(wrong):
            with self.subTest(number=number), self.assertRaises(TypeError):
                call()
        self.assertTrue(engine.verify(good))

    def test_values(self) -> None:
        engine: Any = self.open()
        good = orders(READER)
        for call in (
            lambda: engine.verify(good._replace(now_ns=-1)), lambda: engine.verify(good._replace(now_ns=1 << 80)),
            lambda: engine.verify(good._replace(path="/\ud800")), lambda: engine.watch(0), lambda: engine.watch(float("nan")),
            lambda: engine.watch(1e30), lambda: engine.watch(float("inf")), lambda: engine.watch(10**400),
            lambda: engine.check_realm("\ud800"), lambda: engine.check_realm("shop", "\ud800"),
            lambda: engine.credential_headers("\ud800"),
            lambda: Engine.open(self.snapshot, keyring=self.keyring, limiter_slots=-1),
            lambda: Engine.open(self.snapshot, keyring=self.keyring, state_slots=1 << 64),
            lambda: engine.check_realm("nowhere"), lambda: engine.check_realm("shop", "moon"),
            lambda: engine.credential_headers("nowhere"), lambda: engine.verify_key("hub", "a key"),
            lambda: Engine.open(self.snapshot, keyring=self.keyring, mode="borrow"),
            lambda: Engine.open("", keyring=self.keyring), lambda: Engine.open("a\0b", keyring=self.keyring),
        ):
            with self.assertRaises(ValueError):
                call()
        self.assertEqual("unavailable", engine.verify(good._replace(realm="nowhere")).decision)
        self.assertTrue(engine.verify(good))

    def test_a_closed_engine(self) -> None:
        engine = self.open()
        verdict = engine.verify(orders(READER))
        self.assertFalse(engine.closed)
        engine.close()
        engine.close()
        self.assertTrue(engine.closed)
        for call in (lambda: engine.verify(orders(READER)), lambda: engine.verify_key("shop", READER), engine.reload,
                     engine.info, engine.counts, engine.watch, engine.check_pages, lambda: engine.answer(verdict),
                     lambda: engine.check_realm("shop"), lambda: engine.credential_headers("shop"), engine.__enter__().reload,
                     lambda: engine.issue_token(orders(READER)), lambda: engine.replace_bytes(b"")):
            with self.assertRaises(keyward.ClosedError):
                call()
        # One that was never opened is closed.
        with self.assertRaises(keyward.ClosedError):
            Engine.__new__(Engine).verify(orders(READER))

    def test_files(self) -> None:
        def opening(error: type[Exception], status: str, snapshot: Path = self.snapshot, keyring: Path = self.keyring,
                    **options: Any) -> None:
            with self.assertRaises(error) as raised:
                Engine.open(snapshot, keyring=keyring, **options)
            assert isinstance(raised.exception, keyward.Error)
            self.assertEqual(status, raised.exception.status)
            self.assertNotEqual("", str(raised.exception))
            if isinstance(raised.exception, FileNotFoundError):
                self.assertEqual(errno.ENOENT, raised.exception.errno)

        content = bytearray(self.snapshot.read_bytes())
        damaged, truncated, foreign, exposed, other = (self.folder / name for name in "abcde")
        truncated.write_bytes(content[:8192])
        foreign.write_bytes(b"not a snapshot" * 1000)
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        exposed.write_bytes(self.keyring.read_bytes())
        exposed.chmod(0o644)
        other.touch(mode=0o600)
        other.write_text(self.keyring.read_text().replace("101112131415", "ff1112131415"))
        opening(FileNotFoundError, "not_found", self.folder / "missing")
        opening(keyward.FileMissingError, "not_found", keyring=self.folder / "missing")
        opening(OSError, "io", snapshot=self.folder)
        opening(keyward.SnapshotError, "not_a_snapshot", foreign)
        opening(keyward.SnapshotError, "truncated", truncated)
        opening(keyward.SnapshotError, "damaged", damaged)
        opening(keyward.KeyringError, "keyring_exposed", keyring=exposed)
        opening(keyward.KeyringError, "pepper", keyring=other)
        opening(keyward.StateError, "state", state=foreign)

    def test_every_status_has_an_exception(self) -> None:
        header = (ROOT / "include/keyward.h").read_text()
        numbers = {int(line.split()[2]) for line in header.splitlines() if line.startswith("#define KEYWARD_E_")}
        self.assertGreater(len(numbers), 25)
        for number in numbers:
            error = error_of(number, "name", None)
            self.assertEqual((number, "name"), (error.code, error.status))
            self.assertTrue(str(error))
            self.assertNotIn("Errno", str(error))
            if isinstance(error, OSError):
                self.assertEqual({201: errno.ENOENT, 202: errno.EACCES}.get(number), error.errno)
                self.assertEqual(error.errno, pickle.loads(pickle.dumps(error)).errno)
            # 403 is told as a verdict.
            if number < 500 and number != 403:
                self.assertNotIsInstance(error, keyward.InternalError, number)
        self.assertIsInstance(error_of(999, "unknown", None), keyward.InternalError)


class Fresh(Fixture):
    def test_reload(self) -> None:
        engine = self.open()
        self.assertTrue(engine.verify(orders(TURNING)))
        self.assertIs(engine.reload(), False)
        self.revoke("turning", 2)
        self.assertTrue(engine.verify(orders(TURNING)))
        self.assertIs(engine.reload(), True)
        self.assertEqual(("revoked", 2), (engine.verify(orders(TURNING)).reason, engine.info().generation))
        content = bytearray(self.snapshot.read_bytes())
        content[-1] ^= 1
        self.put(bytes(content))
        with self.assertRaises(keyward.SnapshotError):
            engine.reload()
        self.assertEqual("revoked", engine.verify(orders(TURNING)).reason)
        self.assertNotEqual("", engine.info().last_error)

    def put(self, content: bytes) -> None:
        other = self.folder / "other"
        other.write_bytes(content)
        other.chmod(stat.S_IRUSR)
        other.rename(self.snapshot)

    def test_watch(self) -> None:
        engine = self.open()
        watch = engine.watch(0.02)
        self.revoke("turning", 2)
        wait_until(lambda: engine.verify(orders(TURNING)).reason == "revoked")
        with self.assertLogs("keyward", "WARNING"):
            self.put(b"not a snapshot")
            wait_until(lambda: watch.error is not None)
        self.assertTrue(engine.verify(orders(READER)))
        self.publish(3)
        wait_until(lambda: watch.error is None and engine.info().generation == 3)
        watch.stop()
        self.publish(4)
        time.sleep(0.1)
        self.assertEqual(3, engine.info().generation)
        with engine.watch(0.02):
            wait_until(lambda: engine.info().generation == 4)

    def test_the_longest_interval(self) -> None:
        watch = self.open().watch(threading.TIMEOUT_MAX)
        thread = watch._thread
        assert thread is not None
        time.sleep(0.1)
        self.assertTrue(thread.is_alive())
        watch.stop()
        self.assertFalse(thread.is_alive())

    def test_a_watched_engine_is_collected(self) -> None:
        engine = Engine.open(self.snapshot, keyring=self.keyring)
        watch = engine.watch(0.02)
        thread = watch._thread
        assert thread is not None
        before = mappings(self.snapshot)
        del engine
        gc.collect()
        wait_until(lambda: not thread.is_alive())
        self.assertLess(mappings(self.snapshot), before)

    def test_later(self) -> None:
        content = self.snapshot.read_bytes()
        self.snapshot.unlink()
        engine = self.open(later=True)
        self.assertEqual("unavailable", engine.verify(orders(READER)).decision)
        self.assertEqual(503, engine.answer(engine.verify(orders(READER))).status)
        with self.assertRaises(keyward.NoSnapshotError):
            engine.check_realm("shop")
        with self.assertRaises(keyward.FileMissingError):
            engine.reload()
        self.put(content)
        self.assertTrue(engine.reload())
        self.assertTrue(engine.verify(orders(READER)))

    def test_from_memory(self) -> None:
        engine = Engine.open_bytes(self.snapshot.read_bytes(), keyring=self.keyring)
        self.addCleanup(engine.close)
        self.assertTrue(engine.verify(orders(TURNING)))
        with self.assertRaises(keyward.NoFileError):
            engine.reload()
        self.revoke("turning", 2)
        self.assertTrue(engine.replace_bytes(self.snapshot.read_bytes()))
        self.assertEqual("revoked", engine.verify(orders(TURNING)).reason)

    def test_counts_and_information(self) -> None:
        engine = self.open(mode="copy", check="whole", limiter_slots=1024)
        engine.verify(orders(READER))
        engine.verify(orders(None))
        counts = engine.counts()
        self.assertEqual((1, 1, 0), (counts["ok"], counts["missing_credential"], counts["revoked"]))
        self.assertEqual(23, len(counts))
        info = engine.info()
        self.assertEqual((True, False, True, 7, 3, 1, False),
                         (info.loaded, info.mapped, info.checked, info.keys, info.realms, info.generation, info.state_shared))
        engine.check_pages()
        self.assertEqual([("Authorization", True)], [tuple(header) for header in engine.credential_headers("shop")])
        self.assertEqual([("X-Api-Key", False)], [tuple(header) for header in engine.credential_headers("files")])


class Ending(Fixture):
    """Interpreters that end with an engine open."""

    def test_all_ways_to_end(self) -> None:
        start = ("import sys, atexit, keyward; engine = keyward.Engine.open(sys.argv[1], keyring=sys.argv[2]); "
                 "ask = lambda: engine.verify_key('shop', 'x').reason; ask(); ")
        for end in ("", "engine.watch(0.01)", "import threading, time; engine.watch(0.01)\n"
                    "[threading.Thread(target=lambda: [ask() for _ in iter(int, 1)], daemon=True).start() for _ in range(3)]\n"
                    "time.sleep(0.2)", "engine.watch(0.01); sys.exit(0)", "atexit.register(ask); engine.watch(0.01)",
                    "engine.self = engine; engine.watch(0.01)", "sys.modules['kept'] = engine",
                    "import os; engine.watch(0.01); os._exit(0)"):
            with self.subTest(end=end):
                done = script(start + end, self.snapshot, self.keyring)
                self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))


if __name__ == "__main__":
    unittest.main()
