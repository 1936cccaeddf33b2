"""New generations, and everything that can happen to a file, a worker or nginx meanwhile."""

import os
import signal
import threading
import time
from pathlib import Path

from clock import Clock
from harness import Case, end, wait_until

A = {"realm": "api", "id": "a", "key": "secret-of-a-00123456789"}
B = {"realm": "api", "id": "b", "key": "secret-of-b-00123456789"}
KEY_A = [("Authorization", "Bearer secret-of-a-00123456789")]
KEY_B = [("Authorization", "Bearer secret-of-b-00123456789")]


class Reload(Case):
    KEYS = [A, B]
    SERVER = """
        location / { keyward api; root /; try_files /none =204; }
        location = /status { keyward_status json; }"""

    def start(self, workers=1, reload="50ms", **options):
        return self.nginx(self.SERVER, workers=workers, keyward={"reload": reload}, **options)

    def status(self, nginx, headers=KEY_A):
        return nginx.get("/x", headers).status

    def per_worker(self, nginx, ask, tries=400):
        """What `ask(connection)` gives in each worker, by its id."""
        workers, found = set(nginx.workers()), {}
        self.assertTrue(workers, "there are no workers")
        for _ in range(tries):
            with nginx.connect() as connection:
                pid = connection.ask("GET", "/status").json()["pid"]
                found[pid] = ask(connection)
            if workers <= set(found):
                return {pid: found[pid] for pid in workers}
        raise AssertionError(f"no answer from all of {workers}: {found}")

    def generations(self, nginx):
        return set(self.per_worker(nginx, lambda connection: connection.ask("GET", "/status").json()["snapshots"][0]["generation"]).values())

    def test_a_revoked_key_is_refused_by_every_worker(self):
        """How soon is measured by `make soak-nginx`; here no worker forgets it again."""
        nginx = self.start(workers=4, reload="100ms")
        self.assertEqual(set(self.per_worker(nginx, lambda connection: connection.ask("GET", "/x", KEY_A).status).values()), {204})
        connections = [nginx.connect() for _ in range(60)]
        pids = {connection.ask("GET", "/status").json()["pid"] for connection in connections}
        self.assertEqual(pids, set(nginx.workers()))
        nginx.snapshot.publish([{**A, "status": "revoked"}, B])

        def statuses():
            return {connection.ask("GET", "/x", KEY_A).status for connection in connections}

        wait_until(lambda: statuses() == {401})
        self.assertEqual(statuses(), {401})
        for connection in connections:
            connection.close()
        self.assertEqual(self.status(nginx, KEY_B), 204)

    def test_no_request_is_lost_while_generations_come(self):
        nginx = self.start(workers=2, reload="20ms")
        stop, wrong, asked = threading.Event(), [], [0]

        def ask():
            with nginx.connect() as connection:
                while not stop.is_set():
                    statuses = (connection.ask("GET", "/x", KEY_B).status, connection.ask("GET", "/x", self.BAD).status)
                    asked[0] += 1
                    if statuses != (204, 401):
                        wrong.append(statuses)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(30):
            nginx.snapshot.publish([A, B] if number % 2 else [B])
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(asked[0], 100)
        wait_until(lambda: self.generations(nginx) == {31})
        wait_until(lambda: self.per_worker(nginx, lambda c: c.ask("GET", "/status").json()["snapshots"][0]["retired"]).values() or True)
        for pid in nginx.workers():
            maps = wait_until(lambda pid=pid: len(self.inodes(pid, nginx)))
            self.assertLessEqual(maps, 2, "generations mapped")

    def inodes(self, pid, nginx):
        """Those of the generations that a process has mapped."""
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return {int(line.split()[4]) for line in lines if str(nginx.snapshot.path) in line}

    def has_taken(self, pid, nginx):
        return nginx.snapshot.path.stat().st_ino in self.inodes(pid, nginx)

    def test_a_file_that_is_bad_or_gone_changes_nothing(self):
        nginx = self.start(workers=2, expect=["going on with generation"])
        whole = nginx.snapshot.path.read_bytes()
        damaged = bytearray(whole)
        damaged[-1] ^= 1
        for content in (b"", b"rubbish" * 1000, whole[:5000], bytes(damaged)):
            nginx.snapshot.put(content)
            time.sleep(0.15)
            self.assertEqual({self.status(nginx) for _ in range(10)}, {204})
        nginx.snapshot.path.unlink()
        time.sleep(0.15)
        self.assertEqual({self.status(nginx) for _ in range(10)}, {204})
        self.assertIn("No such file", nginx.log())
        nginx.snapshot.put(whole)
        wait_until(lambda: "is good again" in nginx.log())
        nginx.snapshot.publish([B])
        wait_until(lambda: self.generations(nginx) == {2})
        self.assertEqual(self.status(nginx), 401)

    def test_an_error_is_logged_once_and_not_by_the_tick(self):
        nginx = self.start(reload="10ms", expect=["going on with generation"])
        nginx.snapshot.put(b"rubbish")
        wait_until(lambda: "going on with generation" in nginx.log())
        time.sleep(0.4)
        self.assertEqual(nginx.log().count("going on with generation"), 1)

    def test_an_older_generation_is_refused(self):
        nginx = self.start(expect=["going on with generation", "go back"])
        old = nginx.snapshot.path.read_bytes()
        nginx.snapshot.publish([B])
        wait_until(lambda: self.generations(nginx) == {2})
        nginx.snapshot.put(old)
        wait_until(lambda: "it would go back" in nginx.log())
        self.assertEqual(self.status(nginx), 401)

    def test_the_keyring_is_read_once(self):
        nginx = self.start(workers=2)
        nginx.snapshot.keyring.rename(self.folder / "elsewhere")
        (self.folder / "elsewhere").chmod(0)
        old = set(nginx.workers())
        os.kill(min(old), signal.SIGKILL)
        wait_until(lambda: len(nginx.workers()) == 2 and set(nginx.workers()) != old)
        (self.folder / "elsewhere").chmod(0o600)
        (self.folder / "elsewhere").rename(nginx.snapshot.keyring)
        nginx.snapshot.publish([B])
        wait_until(lambda: self.generations(nginx) == {2})
        self.assertEqual((self.status(nginx), self.status(nginx, KEY_B)), (401, 204))

    def finish(self, nginx, expect):
        super().finish(nginx, [*expect, "exited on signal 9"])

    def test_off_follows_nothing_but_a_reload_of_nginx(self):
        nginx = self.start(reload="off")
        nginx.snapshot.publish([B])
        time.sleep(0.3)
        self.assertEqual(self.status(nginx), 204)
        nginx.reload()
        self.assertEqual(self.status(nginx), 401)

    def test_nginx_reload_while_the_file_is_bad(self):
        nginx = self.start(workers=2, expect=["keyward: ", "going on"])
        good = nginx.snapshot.path.read_bytes()
        before = set(nginx.workers())
        nginx.snapshot.put(b"rubbish")
        nginx.signal(signal.SIGHUP)
        wait_until(lambda: "[emerg]" in nginx.log())
        self.assertEqual(set(nginx.workers()), before, "the old configuration goes on")
        self.assertEqual({self.status(nginx) for _ in range(10)}, {204})
        nginx.snapshot.put(good)
        nginx.reload()
        self.assertEqual(self.status(nginx), 204)
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)

    def test_nginx_reload_does_not_go_back(self):
        nginx = self.start(expect=["generation"])
        old = nginx.snapshot.path.read_bytes()
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)
        nginx.snapshot.put(old)
        before = set(nginx.workers())
        nginx.signal(signal.SIGHUP)
        wait_until(lambda: "restart nginx to go back" in nginx.log())
        self.assertEqual(set(nginx.workers()), before)
        self.assertEqual(self.status(nginx), 401)
        nginx.stop()
        nginx.start()
        self.assertEqual(self.status(nginx), 204, "a restart may")

    def test_nginx_reload_does_not_take_other_bytes_of_the_same_generation(self):
        """A rebuild with --generation, or a second builder: the number does not say which of the two is the newer."""
        nginx = self.start(expect=["generation"])
        nginx.snapshot.publish([{**A, "status": "revoked"}, B])
        wait_until(lambda: self.status(nginx) == 401)
        wait_until(lambda: self.has_taken(nginx.pid, nginx))  # only the master is asked
        used = nginx.snapshot.path.read_bytes()
        nginx.snapshot.path.unlink()
        nginx.snapshot.publish([A, B], "--generation", "2")
        self.assertNotEqual(nginx.snapshot.path.read_bytes(), used)
        before = set(nginx.workers())
        nginx.signal(signal.SIGHUP)
        wait_until(lambda: "with other bytes than workers decide from" in nginx.log())
        self.assertEqual(set(nginx.workers()), before)
        self.assertEqual((self.status(nginx), self.status(nginx, KEY_B)), (401, 204))
        nginx.snapshot.put(used)
        nginx.reload()
        self.assertEqual((self.status(nginx), self.status(nginx, KEY_B)), (401, 204))
        nginx.snapshot.publish([A])
        nginx.reload()
        self.assertEqual((self.status(nginx), self.status(nginx, KEY_B)), (204, 401))

    def test_reopen(self):
        nginx = self.start()
        (nginx.folder / "access.log").rename(nginx.folder / "old.log")
        nginx.signal(signal.SIGUSR1)
        wait_until(lambda: (nginx.folder / "access.log").exists())
        self.assertEqual(self.status(nginx), 204)
        wait_until(lambda: '"GET /x' in nginx.log("access.log"))
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)

    def test_reloads_do_not_grow(self):
        nginx = self.start(workers=1)
        for _ in range(5):
            nginx.reload()

        def children():
            return Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children").read_text().split()

        def weight():
            wait_until(lambda: len(children()) == 1, 30)
            pid = nginx.pid
            files = len(os.listdir(f"/proc/{pid}/fd"))
            return files, len(self.inodes(pid, nginx)), int(Path(f"/proc/{pid}/statm").read_text().split()[1])

        first = weight()
        for _ in range(20):
            nginx.reload()
            self.assertEqual(self.status(nginx), 204)
        last = weight()
        self.assertEqual(last[:2], first[:2])
        # One engine left behind each time would be 500 pages of rate limits each time.
        self.assertLess(last[2] - first[2], 1500, "pages of the master")

    def test_an_old_worker_that_still_serves_follows_too(self):
        nginx = self.start()
        with nginx.connect() as connection:
            self.assertEqual(connection.ask("GET", "/x", KEY_A).status, 204)
            connection.socket.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\n")
            old = nginx.workers()
            nginx.signal(signal.SIGHUP)
            wait_until(lambda: nginx.workers() and nginx.workers() != old)
            nginx.snapshot.publish([B])
            wait_until(lambda: self.status(nginx) == 401 and all(self.has_taken(pid, nginx) for pid in old))
            connection.socket.sendall(b"Authorization: Bearer secret-of-a-00123456789\r\n\r\n")
            self.assertEqual(connection.receive().status, 401)

    def test_a_worker_in_place_of_one_that_died_is_at_the_newest_generation(self):
        nginx = self.start(workers=2, reload="10s")
        nginx.snapshot.publish([B])
        old = set(nginx.workers())
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(nginx.workers()) == 2 and not old & set(nginx.workers()))
        self.assertEqual(self.generations(nginx), {2})
        self.assertEqual(self.status(nginx), 401)

    def test_it_goes_on_with_the_last_good_generation(self):
        """The file is bad when it starts; the generation of the master's start would let a revoked key in."""
        nginx = self.start(workers=2, expect=["going on with generation"])
        nginx.snapshot.publish([B])
        wait_until(lambda: self.generations(nginx) == {2} and self.has_taken(nginx.pid, nginx))
        nginx.snapshot.put(b"rubbish")
        for _ in range(3):
            old = set(nginx.workers())
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda old=old: len(nginx.workers()) == 2 and not old & set(nginx.workers()))
            statuses = {(self.status(nginx), self.status(nginx, KEY_B)) for _ in range(20)}
            self.assertEqual(statuses, {(401, 204)})

    def test_it_does_not_go_back_behind_the_others(self):
        """As before, but the master has not seen what the workers have: then nothing is better than too much."""
        nginx = self.start(workers=2, expect=["going on with generation", "nothing can be decided"])
        nginx.signal(signal.SIGSTOP)
        nginx.snapshot.publish([B])
        wait_until(lambda: self.generations(nginx) == {2})
        nginx.snapshot.put(b"rubbish")
        old = set(nginx.workers())
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        nginx.signal(signal.SIGCONT)
        wait_until(lambda: len(nginx.workers()) == 2 and not old & set(nginx.workers()))
        statuses = {(self.status(nginx), self.status(nginx, KEY_B)) for _ in range(20)}
        self.assertEqual(statuses, {(503, 503)}, "what was revoked stays out")
        usable = self.per_worker(nginx, lambda connection: connection.ask("GET", "/status").json()["snapshots"][0]["usable"])
        self.assertEqual(set(usable.values()), {False})
        nginx.snapshot.path.unlink()
        nginx.snapshot.publish([B], "--generation", "3")
        wait_until(lambda: self.generations(nginx) == {3})
        self.assertEqual({(self.status(nginx), self.status(nginx, KEY_B)) for _ in range(20)}, {(401, 204)})

    def test_a_killed_worker_and_a_bad_file_with_nothing_newer(self):
        nginx = self.start(workers=2, expect=["going on with generation"])
        nginx.snapshot.put(b"rubbish")
        old = set(nginx.workers())
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(nginx.workers()) == 2 and not old & set(nginx.workers()))
        self.assertEqual({self.status(nginx) for _ in range(20)}, {204})

    def test_binary_upgrade(self):
        nginx = self.start(daemon=True)
        old = nginx.pid
        nginx.signal(signal.SIGUSR2)
        new = wait_until(lambda: nginx.read_pid() not in (None, old) and nginx.read_pid())
        self.addCleanup(end, new)
        self.assertEqual({self.status(nginx) for _ in range(20)}, {204})
        nginx.signal(signal.SIGWINCH)
        wait_until(lambda: not nginx.workers())
        self.assertEqual({self.status(nginx) for _ in range(10)}, {204})
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)
        end(old, signal.SIGQUIT)
        nginx.pid = new
        wait_until(lambda: len(nginx.workers()) == 1)
        self.assertEqual((self.status(nginx), self.status(nginx, KEY_B)), (401, 204))

    def test_one_process(self):
        nginx = self.start(main="master_process off;")
        self.assertEqual(self.status(nginx), 204)
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)

    def test_as_a_daemon(self):
        nginx = self.start(daemon=True)
        self.assertEqual(self.status(nginx), 204)
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)

    def test_graceful_end_waits_for_no_tick(self):
        nginx = self.start(reload="3600s")
        nginx.signal(signal.SIGQUIT)
        self.assertEqual(nginx.process.wait(timeout=60), 0)

    def test_caches_helpers_do_not_follow(self):
        nginx = self.nginx(self.SERVER, http=f"proxy_cache_path {self.folder}/cache keys_zone=c:1m;\n", keyward={"reload": "20ms"})
        self.assertEqual(self.status(nginx), 204)

        def threads():
            children = Path(f"/proc/{nginx.pid}/task/{nginx.pid}/children").read_text().split()
            return {Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].strip(): len(os.listdir(f"/proc/{child}/task")) for child in children}

        wait_until(lambda: b"nginx: cache manager process" in threads())
        looks = [threads() for _ in range(200)]
        self.assertEqual({look[b"nginx: cache manager process"] for look in looks}, {1})
        # A worker's thread is there while it looks at the file: a second one makes every request dearer.
        alone = sum(look[b"nginx: worker process"] == 1 for look in looks)
        self.assertGreater(alone, 100)
        nginx.snapshot.publish([B])
        wait_until(lambda: self.status(nginx) == 401)

    def test_a_large_generation_does_not_stop_requests(self):
        """Another thread reads it, which takes longer than any request may wait."""
        big = "".join(f'{{"realm":"api","id":"n{n}","key":"filler-key-{n:09}"}}\n' for n in range(300_000))
        keys = '{"realm":"api","id":"b","key":"secret-of-b-00123456789"}\n' + big
        snapshot = self.snapshot(keys=keys)
        nginx = self.nginx(self.SERVER, snapshot=snapshot, keyward={"reload": "20ms"})
        statuses, stop = set(), threading.Event()
        (worker,) = nginx.workers()

        def ask():
            with nginx.connect() as connection:
                while not stop.is_set():
                    statuses.add(connection.ask("GET", "/x", KEY_B).status)

        def faults():
            """How often the thread that answers requests, and all threads, met a page that was not there."""
            stats = (f"/proc/{worker}/task/{worker}/stat", f"/proc/{worker}/stat")
            return [int(Path(stat).read_text().rpartition(")")[2].split()[7]) for stat in stats]

        snapshot.publish(keys)
        wait_until(lambda: self.generations(nginx) == {2})
        copies = [snapshot.path.read_bytes()]
        snapshot.publish(keys)
        copies.append(snapshot.path.read_bytes())
        wait_until(lambda: self.generations(nginx) == {3})
        thread = threading.Thread(target=ask)
        thread.start()
        before = faults()
        for number in range(4, 8):
            snapshot.publish(keys)
            wait_until(lambda number=number: self.generations(nginx) == {number})
        stop.set()
        thread.join()
        self.assertEqual(statuses, {204})
        answering, whole = (after - was for after, was in zip(faults(), before, strict=True))
        self.assertLess(2 * answering, whole, "the thread that answers requests reads the file")


class Clocks(Case):
    KEYS = [{**A, "expires_at": 1_800_000_000}, B]

    def test_what_has_expired_stays_so_when_the_clock_is_set_back(self):
        clock = Clock(self.folder)
        nginx = self.nginx(Reload.SERVER, environment=os.environ | clock.environment(), main=clock.directives(), keyward={"reload": "off"})
        for now, status in ((1_799_999_999, 204), (1_800_000_000, 401), (1_799_999_999, 401), (1_700_000_000, 401)):
            clock.set(now)
            self.assertEqual([nginx.get("/x", key).status for key in (KEY_A, KEY_B)], [status, 204], now)
        nginx.reload()
        self.assertEqual(nginx.get("/x", KEY_A).status, 204, "set right, and reloaded")


class Workers(Case):
    def test_workers_need_not_read_the_keyring(self):
        """With another user where the tests run as root; else the file is simply not there any more."""
        if os.geteuid() != 0:
            return
        snapshot = self.snapshot()
        nginx = self.nginx("location / { keyward api; root /; try_files /none =204; }", snapshot=snapshot, keyward={"reload": "20ms"})
        nginx.stop()
        nginx.conf.write_text(nginx.conf.read_text().replace("user root;", "user nobody nogroup;"))
        nginx.start()
        self.assertEqual(nginx.get("/x", self.GOOD).status, 204)
        [worker] = nginx.workers()
        self.assertNotEqual(int(Path(f"/proc/{worker}/status").read_text().split("Uid:")[1].split()[0]), 0)
        self.assertEqual(snapshot.keyring.stat().st_mode & 0o777, 0o600)
        snapshot.publish([])
        wait_until(lambda: nginx.get("/x", self.GOOD).status == 401)

