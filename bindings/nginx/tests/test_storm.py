"""The storm in short, and a hundred reloads. No time is asserted here: `make soak-nginx` measures."""

import os
import time
import unittest
from pathlib import Path

import harness
import storm
from connections import one_to_each

# Set where nginx runs under a sanitizer, whose memory is not nginx's own.
IS_SANITIZED = "KEYWARD_NGINX_SANITIZED" in os.environ
RELOADS = 100


class Storm(unittest.TestCase):
    def test_deltas_under_load(self) -> None:
        self.weather(storm.Plan(keys=50_000, seconds=8, revocations=30) if IS_SANITIZED else storm.Plan(200_000, 10, 50))

    def test_whole_files_under_load(self) -> None:
        self.weather(storm.Plan(keys=50_000, seconds=5, revocations=20, whole=True))

    def weather(self, plan: storm.Plan) -> None:
        report = storm.run(plan)
        print(report.measured)
        self.assertEqual([], report.faults)
        self.assertEqual(plan.revocations, report.measured["revocations"])

    def test_a_hundred_reloads_leave_no_growth(self) -> None:
        with storm.served(storm.Plan(keys=2_000, seconds=1, revocations=1, workers=2)) as (field, nginx, port):
            master = nginx.process.pid

            def reload() -> None:
                nginx.reload()
                # The master has a socket to each worker that has not ended.
                harness.wait_until(lambda: len(storm.children(nginx.process.pid)) == 2, 60)
                for connection in one_to_each(port, nginx.workers(), field.good).values():
                    self.assertEqual(200, connection.ask(field.good)[0])
                    connection.close()

            for _ in range(10):
                reload()
            before, resident = storm.Seen.of(master), resident_kilobytes(master)
            for _ in range(RELOADS):
                reload()
            time.sleep(0.2)
            self.assertEqual(before, storm.Seen.of(master))
            if not IS_SANITIZED:
                grown = resident_kilobytes(master) - resident
                self.assertLess(grown, 512, f"the master grew by {grown} KiB in {RELOADS} reloads")
            self.assertEqual([], nginx.problems())


def resident_kilobytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError("no VmRSS")


if __name__ == "__main__":
    unittest.main()
