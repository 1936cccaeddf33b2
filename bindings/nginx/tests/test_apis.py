"""The five documented APIs on nginx: every documented call and error by curl, and what stands behind nginx gets to see."""

import json
import tempfile
import unittest
from pathlib import Path

import apis
from application import Application
from running import Nginx

CREDENTIALS = {"authorization", "x-api-key", "secret_key", "businessid"}


class Documented(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="keyward-apis-")))
        application = cls.enterClassContext(Application(cls.folder))
        configuration, cls.served = apis.lay_out(cls.folder, application.port, apis.sample_keys(), workers=2)
        cls.nginx = cls.enterClassContext(Nginx(configuration, cls.folder, workers=2))
        cls.calls = apis.documented(cls.served)

    def test_every_call_and_error(self) -> None:
        for call in self.calls:
            with self.subTest(api=call.api, call=call.what):
                self.assertEqual([], call.faults(call.make(self.served)), call.curl(self.served))
        self.assertEqual([], self.nginx.problems())

    def test_every_status_that_a_page_names_is_called_for(self) -> None:
        asked = {name: {call.status for call in self.calls if call.api == name} for name in apis.NAMES}
        self.assertEqual({200, 400, 401, 403, 429}, asked["billoget"])
        self.assertEqual({200, 400, 401, 403, 429}, asked["onebalance"])
        self.assertEqual({200, 401, 403}, asked["built"])
        self.assertEqual({200, 401, 403}, asked["aver"])
        self.assertEqual({200, 400, 401, 403}, asked["interstellas"])

    def test_what_the_application_sees(self) -> None:
        """Who asks, and no credential; not what a client wrote under the same names."""
        for call in self.calls:
            if call.status != 200 or call.target == "POST /api/auth":
                continue
            with self.subTest(api=call.api, call=call.what):
                forged = call.with_headers(("X-Key-Id", "forged"), ("X-Tenant", "forged"), ("X-Scopes", "forged"))
                told = json.loads(forged.make(self.served).body)["headers"]
                self.assertFalse(CREDENTIALS & {name.replace("-", "_") for name, _ in told})
                self.assertFalse(CREDENTIALS & {name for name, _ in told})
                self.assertNotIn("forged", [value for _, value in told])
                is_public = call.target == "POST /auth/signin"
                self.assertEqual(not is_public, "x-key-id" in dict(told) or "x-subject" in dict(told))

    def test_nothing_of_a_credential_is_in_a_log(self) -> None:
        logs = "".join((self.folder / name).read_text() for name in ("access.log", "error.log"))
        self.assertIn(" 401 ", logs)
        for call in self.calls:
            for name, value in call.headers:
                if name.lower() in CREDENTIALS - {"businessid"}:
                    self.assertNotIn(value.split(" ")[-1], logs)


if __name__ == "__main__":
    unittest.main()
