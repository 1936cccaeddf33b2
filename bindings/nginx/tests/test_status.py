"""The location of keyward_status."""

import re

from harness import Case, wait_until


class Status(Case):
    SERVER = """
        location / { keyward api; keyward_hide_credentials on; root /; try_files /none =404; }
        location = /status { keyward_status; allow 127.0.0.1; deny all; }
        location = /json { keyward_status json; }
        location = /metrics { keyward_status prometheus; }"""

    def test_json(self):
        nginx = self.nginx(self.SERVER)
        for _ in range(3):
            self.assertEqual(nginx.get("/x", self.GOOD).status, 404)
        nginx.get("/x", self.BAD)
        nginx.get("/x")
        answer = nginx.get("/status")
        self.assertEqual((answer.status, answer["Content-Type"]), (200, "application/json"))
        said = answer.json()
        self.assertIn(said["pid"], nginx.workers())
        [one] = said["snapshots"]
        self.assertEqual(one["snapshot"], str(nginx.snapshot.path))
        self.assertEqual((one["usable"], one["generation"], one["keys"], one["realms"], one["error"], one["mapped"]), (True, 1, 1, 1, None, True))
        self.assertEqual(one["bytes"], nginx.snapshot.path.stat().st_size)
        self.assertTrue(0 <= one["age"] < 100, one)
        counts = one["decisions"]
        self.assertEqual((counts["ok"], counts["unknown_key"], counts["missing_credential"], counts["rate_limited"]), (3, 1, 1, 0))
        self.assertEqual(len(counts), 23)

    def test_prometheus(self):
        nginx = self.nginx(self.SERVER)
        nginx.get("/x", self.GOOD)
        answers = [nginx.get("/metrics"), nginx.get("/status?format=prometheus"), nginx.get("/status", [("Accept", "text/plain;version=0.0.4")]),
                   nginx.get("/status", [("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.3,*/*;q=0.1")])]
        for answer in answers:
            self.assertEqual(answer["Content-Type"], "text/plain; version=0.0.4")
        lines = answers[0].body.decode().splitlines()
        label = f'snapshot="{nginx.snapshot.path}"'
        self.assertIn(f"keyward_generation{{{label}}} 1", lines)
        self.assertIn(f"keyward_keys{{{label}}} 1", lines)
        self.assertIn(f"keyward_usable{{{label}}} 1", lines)
        self.assertIn(f'keyward_decisions_total{{{label},reason="ok"}} 1', lines)
        self.assertIn(f'keyward_decisions_total{{{label},reason="revoked"}} 0', lines)
        for line in lines:
            self.assertRegex(line, r'^(# (HELP|TYPE) keyward_\w+ .+|keyward_\w+\{snapshot="[^"]+"(,reason="\w+")?\} \d+)$')
        typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        self.assertEqual(len(typed), len(set(typed)))
        for other in ("/json", "/json?format=prometheus", "/status?format=json", "/status"):
            self.assertEqual(nginx.get(other, [("Accept", "text/plain")] if other.startswith("/json") else [])["Content-Type"], "application/json")
        self.assertEqual(nginx.get("/status", [("Accept", "application/json, text/plain")])["Content-Type"], "application/json")

    def test_methods(self):
        nginx = self.nginx(self.SERVER)
        head = nginx.ask("HEAD", "/status")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertGreater(int(head["Content-Length"]), 100)
        self.assertEqual(nginx.ask("POST", "/status", body=b"x").status, 405)
        with nginx.connect() as connection:
            self.assertEqual([connection.ask("GET", "/status").status for _ in range(3)], [200] * 3)

    def test_it_is_protected_like_any_location(self):
        nginx = self.nginx("location = /status { keyward api; keyward_status; }")
        self.assertEqual(nginx.get("/status").status, 401)
        self.assertEqual(nginx.get("/status", self.GOOD).status, 200)

    def test_a_bad_file_shows(self):
        nginx = self.nginx(self.SERVER, keyward={"reload": "20ms"}, expect=["going on with generation"])
        nginx.snapshot.put(b"rubbish")
        error = wait_until(lambda: nginx.get("/json").json()["snapshots"][0]["error"])
        self.assertEqual(error["status"], "truncated" if "truncated" in error["message"] else "not_a_snapshot")
        self.assertTrue(nginx.get("/json").json()["snapshots"][0]["usable"])
        self.assertRegex(nginx.get("/metrics").body.decode(), re.compile(r"^keyward_reload_failed\{.*\} 1$", re.M))

    def test_strange_paths_are_escaped(self):
        strange = self.folder / 'a "b" \\c'
        strange.mkdir()
        snapshot = self.snapshot()
        target = strange / "k.kwd"
        target.write_bytes(snapshot.path.read_bytes())
        quoted = str(target).replace("\\", "\\\\").replace('"', '\\"')
        nginx = self.nginx(f'keyward_snapshot "{quoted}"; keyward_keyring {snapshot.keyring};' + self.SERVER, snapshot=snapshot)
        paths = [one["snapshot"] for one in nginx.get("/json").json()["snapshots"]]
        self.assertIn(str(target), paths)
        self.assertIn(f'snapshot="{quoted}"', nginx.get("/metrics").body.decode())
