"""Rates and counts that workers share."""

import os
import signal
import subprocess
import threading

from harness import CLI, Case, Nginx, wait_until

CONFIG = """
[realm.api]
default_rate_limit = "twenty"
[realm.api.rate_limit.twenty]
requests = 1
period = 36000
burst = 20
[realm.api.credential.key]
kind = "key"
source = "bearer"
"""


class State(Case):
    SERVER = """
        location / { keyward api; root /; try_files /none =204; }
        location = /status { keyward_status json; }"""

    def start(self, **keyward):
        return self.nginx(self.SERVER, workers=4, keyward=keyward, snapshot=self.snapshot(CONFIG))

    def passed(self, nginx, tries=60):
        """How many of so many requests pass, from several clients at once, over all workers."""
        statuses = []

        def ask():
            for _ in range(tries // 4):
                statuses.append(nginx.get("/x", self.GOOD).status)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(statuses) - {204, 429}, set())
        return statuses.count(204)

    def counts(self, nginx):
        return nginx.get("/status").json()["snapshots"][0]["decisions"]

    def test_workers_share_rates_and_counts_without_a_file(self):
        nginx = self.start()
        self.assertEqual(self.passed(nginx), 20)
        self.assertEqual({(self.counts(nginx)["ok"], self.counts(nginx)["rate_limited"]) for _ in range(20)}, {(20, 40)})
        old = set(nginx.workers())
        os.kill(min(old), signal.SIGKILL)
        wait_until(lambda: len(nginx.workers()) == 4 and set(nginx.workers()) != old)
        self.assertEqual(self.passed(nginx), 0)

    def test_a_file_outlives_nginx(self):
        state = self.folder / "state"
        nginx = self.start(state=state)
        self.assertEqual(self.passed(nginx, 12), 12)
        nginx.reload()
        self.assertEqual(self.passed(nginx, 12), 8)
        nginx.stop()
        nginx.start()
        self.assertEqual(self.passed(nginx, 12), 0)
        self.assertEqual(self.counts(nginx)["ok"], 20)
        said = subprocess.run([CLI, "usage", state], capture_output=True, text=True, check=True).stdout
        self.assertIn("20", said)
        self.assertIn("k1", said)

    def test_a_worker_that_dies_leaves_nothing_stuck(self):
        nginx = self.start(state=self.folder / "state")
        self.assertEqual(self.passed(nginx, 12), 12)
        for _ in range(3):
            old = set(nginx.workers())
            for pid in old:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda old=old: len(nginx.workers()) == 4 and not old & set(nginx.workers()))
        self.assertEqual(self.passed(nginx, 12), 8)

    def test_a_file_that_is_none_is_found_by_t(self):
        snapshot = self.snapshot(CONFIG)
        for path, content in ((self.folder / "not" / "there", None), (self.folder, None), (self.folder / "rubbish", b"rubbish" * 999)):
            if content:
                path.write_bytes(content)
            folder = self.folder / "nginx"
            folder.mkdir(exist_ok=True)
            nginx = Nginx(folder, http=snapshot.directives() + f"keyward_state {path};\n", start=False)
            code, said = nginx.test()
            self.assertNotEqual(code, 0)
            number = next(number for number, line in enumerate(nginx.conf.read_text().splitlines(), 1) if "keyward_state" in line)
            self.assertIn(f"nginx.conf:{number}\n", said)

    def finish(self, nginx, expect):
        super().finish(nginx, [*expect, "exited on signal 9"])
