"""Nothing of a credential is written down, at any level."""

import base64
import socket
import subprocess

from harness import NGINX, Case, wait_until

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

    def test_a_request_that_ends_before_it_has_a_location(self):
        config = self.CONFIG.replace('source = "bearer"', 'source = "basic"')
        user = "Basic " + base64.b64encode(f"{SECRET}:".encode()).decode()
        authorization = f"Authorization: {user}\r\n"
        lost = {"twice": f"GET /twice HTTP/1.1\r\nHost: h\r\n{authorization * 2}\r\n",
                "large": f"GET /large HTTP/1.1\r\nHost: h\r\n{authorization}X-Large: {'x' * 40_000}\r\n\r\n",
                "nohost": f"GET /nohost HTTP/1.1\r\n{authorization}\r\n",
                "badhost": f"GET /badhost HTTP/1.1\r\n{authorization}Host: a/b\r\n\r\n",
                "length": f"GET /length HTTP/1.1\r\nHost: h\r\n{authorization}Content-Length: -1\r\n\r\n",
                "coding": f"GET /coding HTTP/1.1\r\nHost: h\r\n{authorization}Transfer-Encoding: foo\r\n\r\n",
                "trace": f"TRACE /trace HTTP/1.1\r\nHost: h\r\n{authorization}\r\n",
                "gone": f"GET /gone HTTP/1.1\r\nHost: h\r\n{authorization}"}
        proxy = f"proxy_pass {self.upstream().url};"
        page = f"error_page 400 405 494 501 /page; location = /page {{ root {self.folder}; }}"
        (self.folder / "page").write_text("page")
        headers_realm = config + '[realm.other]\n[realm.other.credential.key]\nkind = "key"\nsource = "header:X-Api-Key"\n'
        for server in (f"location / {{ keyward api; {proxy} }}", f"location / {{ keyward api; {proxy} }} {page}",
                       f"keyward other; location / {{ keyward api; {proxy} }}"):
            nginx = self.nginx(server, snapshot=self.snapshot(headers_realm))
            for request in lost.values():
                with nginx.connect() as connection:
                    connection.socket.sendall(request.encode())
                    if not request.endswith("\r\n\r\n"):
                        connection.socket.shutdown(socket.SHUT_WR)
                    while connection.socket.recv(65536):
                        pass
            wait_until(lambda nginx=nginx: nginx.log("access.log").count("\n") == len(lost))
            nginx.stop()
            log = nginx.log("access.log")
            for name in lost:
                self.assertIn(f" /{name} ", log)
            self.assertNotIn("secret", log)

    def test_a_user_of_a_server_without_keyward_is_still_logged(self):
        (self.folder / "users").write_text("staff:{PLAIN}password\n")
        (self.folder / "there").write_text("there")
        basic = f'auth_basic "x"; auth_basic_user_file {self.folder}/users; root {self.folder};'
        staff = [("Authorization", "Basic " + base64.b64encode(b"staff:password").decode())]
        for server in (basic, f"location / {{ {basic} }}"):
            nginx = self.nginx(server)
            self.assertEqual(nginx.get("/there", staff).status, 200)
            nginx.stop()
            self.assertIn(" - staff [", nginx.log("access.log"))
