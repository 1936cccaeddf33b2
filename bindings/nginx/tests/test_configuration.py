"""`nginx -t` finds what is wrong, with the reason and the line."""

from harness import Case, Nginx


class Test(Case):
    CONFIG = Case.CONFIG.replace('title = "API"', 'environments = ["live", "test"]')
    KEYS = []

    def check(self, http="", server=""):
        folder = self.folder / "nginx"
        folder.mkdir(exist_ok=True)
        nginx = Nginx(folder, http=http, server=server, start=False)
        self.lines = nginx.conf.read_text().splitlines()
        return nginx.test()

    def refuse(self, reason, line, http="", server=""):
        """The message has the reason, and names the line that has `line` in it."""
        code, said = self.check(http, server)
        self.assertNotEqual(code, 0, said)
        self.assertIn("[emerg]", said)
        self.assertIn(reason, said)
        number = next(number for number, text in enumerate(self.lines, 1) if line in text)
        self.assertIn(f"nginx.conf:{number}\n", said)

    def test_a_good_one_passes(self):
        snapshot = self.snapshot()
        code, said = self.check(snapshot.directives(reload="1s") + "keyward api;",
                                "keyward_environment live; keyward_scopes a b c; keyward_hide_credentials on; keyward_tls on;"
                                "location /s { keyward off; keyward_status; } location /p { keyward_status prometheus; }"
                                "location /v { keyward_environment $arg_e; }")
        self.assertEqual(code, 0, said)
        self.assertNotIn("warn", said)

    def test_paths(self):
        snapshot = self.snapshot()
        good = {"snapshot": snapshot.path, "keyring": snapshot.keyring}
        for name, other in (("snapshot", "keyring"), ("keyring", "snapshot")):
            rest = f"keyward_{other} {good[other]};\n"
            self.refuse("No such file", f"keyward_{name} /not", rest + f"keyward_{name} /not/there;\n")
            # also where nothing uses it, and relative to the configuration's folder
            self.refuse(f"{self.folder}/nginx/not/there", f"keyward_{name} not", rest, f"keyward_{name} not/there;\n")
            self.refuse("regular file", f"keyward_{name} {self.folder}", rest + f"keyward_{name} {self.folder};\n")

    def test_a_relative_path_starts_at_the_configuration(self):
        snapshot = self.snapshot()
        code, said = self.check("keyward_snapshot ../keys.kwd; keyward_keyring ../keys.keyring.toml; keyward api;")
        self.assertEqual(code, 0, said)
        self.assertTrue(snapshot.path.exists())

    def test_what_is_missing(self):
        snapshot = self.snapshot()
        self.refuse('"keyward api" needs "keyward_snapshot"', "keyward api;", "keyward api;\n")
        self.refuse('"keyward api" needs "keyward_keyring"', "keyward api;", f"keyward_snapshot {snapshot.path};\n", "keyward api;\n")

    def test_a_realm_and_an_environment(self):
        snapshot = self.snapshot()
        self.refuse('no realm "apo"', "keyward apo;", snapshot.directives(), "location / {\nkeyward apo;\n}")
        self.refuse('has no environment "dev"', "keyward_environment dev;", snapshot.directives() + "keyward api;\n",
                    "location / {\nkeyward_environment dev;\n}")

    def test_a_snapshot_that_is_none(self):
        snapshot = self.snapshot()
        whole = snapshot.path.read_bytes()
        damaged = bytearray(whole)
        damaged[-100] ^= 1
        for content, reason in ((b"", "empty"), (b"x" * 5000, "not a keyward snapshot"), (whole[:-1], "truncated"), (bytes(damaged), "damaged")):
            snapshot.put(content)
            self.refuse(reason, "keyward_snapshot", snapshot.directives())

    def test_a_keyring_that_is_none(self):
        snapshot = self.snapshot(keys=Case.KEYS)
        text = snapshot.keyring.read_text()
        for content, reason in (("nonsense", "keyring"), (text.replace("5c", "5d"), "pepper"), (text.replace("id = 1", "id = 2"), "pepper with id 1")):
            snapshot.keyring.write_text(content)
            code, said = self.check(snapshot.directives())
            self.assertNotEqual(code, 0)
            self.assertIn(reason, said)
            self.assertNotIn("5c5c", said)
            self.assertNotIn("5d5d", said)
        snapshot.keyring.write_text(text)
        snapshot.keyring.chmod(0o644)
        self.refuse("chmod 600", "keyward_keyring", snapshot.directives())

    def test_what_cannot_be_said(self):
        snapshot = self.snapshot()
        for text, reason in {
            "keyward api; keyward api;": '"keyward" directive is duplicate',
            'keyward "";': "needs the name of a realm",
            "keyward a b;": "invalid number of arguments",
            f"keyward_snapshot {snapshot.path};\nkeyward_snapshot {snapshot.path};": "is duplicate",
            'keyward_keyring "";': "needs a path",
            "keyward_state off; keyward_state off;": "is duplicate",
            'keyward_state "";': "needs a path",
            "keyward_state s keys=0;": "invalid number of keys",
            "keyward_state s 5;": "keys=NUMBER",
            "keyward_environment a; keyward_environment b;": "is duplicate",
            'keyward_environment "";': "needs the name of an environment",
            "keyward_scopes a; keyward_scopes b;": "is duplicate",
            'keyward_scopes a "";': "has an empty scope",
            'keyward_scopes "\u00e4";': "not printable ASCII",
            "keyward_tls on; keyward_tls on;": "is duplicate",
            "keyward_hide_credentials maybe;": "it must be \"on\" or \"off\"",
            "keyward_reload 1s;": "not allowed here",
            "keyward_status;": "not allowed here",
            "location / { keyward_status yaml; }": 'takes "json", "prometheus" or nothing',
            "location / { keyward_status; keyward_status; }": "is duplicate",
        }.items():
            with self.subTest(text):
                code, said = self.check("", text)
                self.assertNotEqual(code, 0)
                self.assertIn(reason, said)
        for text, reason in {"keyward_reload 1s; keyward_reload 1s;": "is duplicate", "keyward_reload soon;": "invalid value",
                             "keyward_reload 1ms;": "10ms or more"}.items():
            code, said = self.check(text)
            self.assertNotEqual(code, 0)
            self.assertIn(reason, said)
        self.assertEqual(self.check("keyward_reload off;")[0], 0)
