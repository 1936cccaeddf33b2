"""Nothing of a credential is written down, at any level."""

import base64
import subprocess

from harness import NGINX, Case

SECRET = "secret-of-k1-0123456789"
OTHER = "secret-of-nobody-012345"


class Logs(Case):
    def everything(self, nginx):
        return {path.name: path.read_bytes().decode("latin-1") for path in nginx.folder.glob("*.log")}

    def ask(self, nginx, secret):
        bearer = f"Bearer {secret}"
        user = "Basic " + base64.b64encode(f"{secret}:".encode()).decode()
        pair = "Basic " + base64.b64encode(f"user:{secret}".encode()).decode()
        swapped = "Basic " + base64.b64encode(f"{secret}:x".encode()).decode()
        for headers in ([("Authorization", bearer)], [("Authorization", user)], [("Authorization", pair)], [("Authorization", swapped)],
                        [("Authorization", bearer), ("Authorization", bearer)], [("Authorization", "Bearer " + secret + " ")],
                        [("Authorization", "Bearer \x01" + secret)], [("X-Api-Key", secret)], [("X-Api-Key", secret)] * 2,
                        [("X.Api.Key", secret)], [("Authorization", "basic  " + user[6:])]):
            nginx.get("/x", headers)
            nginx.ask("POST", "/limited", headers)
            nginx.get("/returned", headers)
            nginx.get("/page", headers)
            nginx.get("/any", headers)

    @staticmethod
    def is_of_nginx(line):
        """What nginx itself says at this level of a request that it does not let any module see."""
        return "[info]" in line and ("client sent duplicate header line" in line or "client sent invalid header line" in line)

    def clean(self, nginx, but=lambda line: False):
        forms = {form for secret in (SECRET, OTHER) for form in
                 (secret, secret[4:-4], base64.b64encode(f"{secret}:".encode()).decode()[:-4], base64.b64encode(f"user:{secret}".encode()).decode()[:-4],
                  base64.b64encode(f"{secret}:x".encode()).decode()[:-4])}
        for name, text in self.everything(nginx).items():
            for line in text.splitlines():
                if but(line):
                    continue
                self.assertFalse([form for form in forms if form in line], f"{name}: {line}")

    def start(self, level, source):
        config = self.CONFIG.replace('source = "bearer"', f"source = {source}")
        behind = self.upstream()
        return self.nginx(f"""
            location / {{ keyward api; proxy_pass {behind.url}; }}
            location /limited {{ keyward api; limit_req zone=z; proxy_pass {behind.url}; }}
            location /returned {{ keyward api; return 200 ok; }}
            location /page {{ keyward api; error_page 401 400 /page.html; proxy_pass {behind.url}; }}
            location = /page.html {{ return 401 'no'; }}
            location /any {{ keyward api; satisfy any; allow 127.0.0.9; deny all; proxy_pass {behind.url}; }}""",
            http="limit_req_zone $server_name zone=z:1m rate=1r/m;\n"
                 "log_format more '$remote_user $keyward_reason $keyward_key_id $keyward_tenant $keyward_subject $keyward_scopes';\n"
                 f"access_log {self.folder}/more.log more;\n",
            snapshot=self.snapshot(config), error_log=level, expect=["limiting requests", "access forbidden by rule"])

    def test_error_and_access_logs_at_info(self):
        for source in ('"bearer"', '"basic"', '["header:X-Api-Key", "basic", "bearer"]'):
            nginx = self.start("info", source)
            self.ask(nginx, SECRET)
            self.ask(nginx, OTHER)
            nginx.reload()
            nginx.stop()
            log = nginx.log()
            self.assertIn("keyward: ", log)
            self.assertIn("keyward: missing_credential" if source == '"basic"' else "keyward: malformed_credential", log)
            self.clean(nginx, but=self.is_of_nginx)
            more = (self.folder / "more.log").read_text()
            self.assertIn("ok k1 acme", more)
            self.assertNotIn("secret", more)

    def test_debug(self):
        """nginx itself writes headers at this level; of keyward's lines none does."""
        built = subprocess.run([NGINX, "-V"], capture_output=True, text=True).stderr
        self.assertIn("--with-debug", built)
        nginx = self.start("debug", '["header:X-Api-Key", "basic", "bearer"]')
        self.ask(nginx, SECRET)
        nginx.stop()
        ours = [line for line in nginx.log().splitlines() if "keyward" in line]
        self.assertGreater(len(ours), 20)
        for line in ours:
            self.assertNotIn("secret", line)

    def test_the_user_of_another_module_is_still_logged(self):
        (self.folder / "users").write_text("staff:{PLAIN}password\n")
        nginx = self.nginx(f'location / {{ satisfy any; auth_basic "x"; auth_basic_user_file {self.folder}/users; keyward api; proxy_pass {self.upstream().url}; }}',
                           expect=["was not found", "mismatch"])
        staff = "Basic " + base64.b64encode(b"staff:password").decode()
        self.assertEqual(nginx.get("/", [("Authorization", staff)]).status, 200)
        nginx.stop()
        self.assertIn(" - staff [", nginx.log("access.log"))
