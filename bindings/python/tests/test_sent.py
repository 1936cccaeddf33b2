"""Every vector that HTTP can carry, through uvicorn with the ASGI middleware and gunicorn with the WSGI one."""

import unittest

import cases
import sent
from shared import HERE

LIST = HERE / "not-carried.md"


class OverHttp(unittest.TestCase):
    def check(self, server: sent.Server, least: int) -> None:
        count = 0
        for path, case, why, found, rust in sent.run(server, cases.folders()):
            if why == sent.JOINED and rust["decision"] != "allow":
                with self.subTest(server=server.name, file=path.name, case=case["name"]):
                    self.assertEqual("deny", found["decision"])
            if why is not None:
                continue
            count += 1
            if case["request"].get("method") == "HEAD":
                self.assertEqual("", found.pop("body") or "")
                rust = {name: value for name, value in rust.items() if name != "body"}
            with self.subTest(server=server.name, file=path.name, case=case["name"]):
                self.assertEqual(rust, found)
        self.assertGreater(count, least)

    def test_uvicorn_with_h11(self) -> None:
        self.check(sent.SERVERS[0], 600)

    def test_uvicorn_with_httptools(self) -> None:
        self.check(sent.SERVERS[1], 600)

    def test_gunicorn(self) -> None:
        self.check(sent.SERVERS[2], 400)

    def test_the_list_of_what_is_not_carried(self) -> None:
        self.assertEqual(LIST.read_text(), sent.listing(),
                         f"{LIST.name} is out of date: python bindings/python/tests/sent.py > {LIST}")


if __name__ == "__main__":
    unittest.main()
