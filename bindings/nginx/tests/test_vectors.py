"""Every vector that HTTP can carry, through a real nginx with the vectors' clock and addresses."""

import json
import tempfile
import tomllib
import unittest
from pathlib import Path

import vectors
from carrying import not_carried, refused_first

HERE = Path(__file__).parent
LIST = HERE / "not-carried.md"
FOLDERS = vectors.folders()


class Carried(unittest.TestCase):
    def test_the_answers(self):
        """Also that nothing is lost: what was sent and what the list names are all cases there are."""
        sent = 0
        for path in vectors.files(FOLDERS):
            text = json.loads(path.read_text())
            if "error" in text:
                continue
            with self.subTest(file=path.name), tempfile.TemporaryDirectory(prefix="keyward-vectors-") as folder:
                for case, differences in vectors.run(text, Path(folder)):
                    sent += 1
                    with self.subTest(case=case["name"]):
                        self.assertEqual([], differences)
        everything = [case for path in vectors.files(FOLDERS) for case in json.loads(path.read_text()).get("cases", ())]
        left_out = [case for _, case, _ in vectors.left_out(FOLDERS)]
        self.assertEqual(len(everything), sent + len(left_out))
        self.assertGreater(sent, 600)

    def test_the_list_of_what_is_not_carried(self):
        self.assertEqual(LIST.read_text(), vectors.listing([vectors.COMMITTED]),
                         f"{LIST.name} is out of date: python bindings/nginx/tests/vectors.py > {LIST}")


class Sorting(unittest.TestCase):
    """The rules that sort cases, tried on requests of their own."""

    def why(self, **request):
        case = {"name": "", "now": 1764000000, "request": {"realm": "r", **request}}
        return not_carried(case, {"r": {}}), refused_first(case)

    def test_what_goes_through(self):
        for request in ({}, {"path": "/a/%2e%2e/b"}, {"path": "/a\\b#c"}, {"headers": [["X_a.b", "\t x\x01\xff"]]},
                        {"ip": "unix:"}, {"ip": "::ffff:203.0.113.7"}, {"path": "/a?%"}, {"path": "//"}):
            self.assertEqual((None, None), self.why(**request), request)

    def test_what_does_not(self):
        for request in ({"headers": [["A", "x\ny"]]}, {"headers": [["A b", "x"]]}, {"headers": [["Host", "x"]]},
                        {"ip": "203.0.113.07"}, {"ip": "2001:db8::1%eth0"}, {"path": "https://a.example/"}):
            self.assertIsNotNone(self.why(**request)[0], request)
        for request in ({"method": "get"}, {"path": "*"}, {"path": ""}, {"path": "/%"}, {"path": "/%00"},
                        {"path": "/.."}, {"path": "/a/%2e%2E/../b"}, {"path": "/a b"}, {"headers": [["A", "x\0"]]}, {"headers": [["Authorization", "a"], ["authorization", "b"]]}):
            self.assertIsNotNone(self.why(**request)[1], request)

    def test_a_realm_with_routes_needs_a_path(self):
        case = {"name": "", "request": {"realm": "r"}}
        self.assertIsNotNone(not_carried(case, tomllib.loads('[r]\nunmatched = "deny"')))
        self.assertIsNotNone(not_carried(case, {}))


if __name__ == "__main__":
    unittest.main()
