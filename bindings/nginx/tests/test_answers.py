"""What a client is told, and what the engine is told about the client."""

import base64
import socket
import struct
import subprocess

from harness import Case, wait_until

LIMITED = """
[realm.api]
title = "API"
default_rate_limit = "two"
[realm.api.rate_limit.two]
requests = 1
period = 3600
burst = 2
[realm.api.credential.key]
kind = "key"
source = "bearer"
"""

ROUTED = """
[realm.api]
title = "The \\"API\\""
require_tls = false
[realm.api.credential.key]
kind = "key"
source = "bearer"
[[realm.api.route]]
methods = ["GET", "POST"]
path = "/items/{id}"
scopes = ["read"]
[[realm.api.route]]
methods = ["DELETE"]
path = "/items/{id}"
scopes = ["drop"]
[[realm.api.route]]
path = "/open"
require = []
[realm.api.errors.unauthorized]
content_type = "application/json; charset=utf-8"
body = '{"error":"{reason}","realm":"{realm}"}'
[realm.api.errors.insufficient_scope]
status = 422
body = '{"needs":"{scope}"}'
"""

PLACES = """
[realm.api]
title = "API"
environments = ["live", "test"]
hosts = { "live.example.com" = "live", "test.example.com" = "test" }
[realm.api.credential.key]
kind = "key"
source = "header:X-Api-Key"
"""


class Answers(Case):
    SERVER = 'location / { keyward api; return 200 "come in"; }'

    def nginx_returning(self, config=None, keys=None, **options):
        """`return` works before the access phase, so content comes from elsewhere."""
        return self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url,
                          snapshot=self.snapshot(config, keys), **options)

    def test_a_key_lets_in_and_nothing_else_does(self):
        nginx = self.nginx_returning()
        self.assertEqual(nginx.get("/", self.GOOD).status, 200)
        for headers in ([], self.BAD, [("Authorization", "Bearer")], [("Authorization", "Basic Zm9v")],
                        [("X-Api-Key", "secret-of-k1-0123456789")]):
            self.assertEqual(nginx.get("/", headers).status, 401, headers)

    def test_the_default_answer_is_a_problem_with_a_challenge(self):
        nginx = self.nginx_returning()
        missing = nginx.get("/")
        self.assertEqual(missing.status, 401)
        self.assertEqual(missing["Content-Type"], "application/problem+json")
        self.assertEqual(missing.json(), {"type": "about:blank", "title": "Unauthorized", "status": 401})
        self.assertEqual(missing.all("WWW-Authenticate"), ['Bearer realm="API"'])
        unknown = nginx.get("/", self.BAD)
        self.assertEqual(unknown.body, missing.body, "nobody learns whether a key exists")
        self.assertEqual(unknown.all("WWW-Authenticate"), ['Bearer realm="API", error="invalid_token"'])
        self.assertEqual(int(unknown["Content-Length"]), len(unknown.body))

    def test_ambiguous_credentials(self):
        config = self.CONFIG.replace('"bearer"', '["bearer", "header:X-Api-Key"]')
        nginx = self.nginx_returning(config)
        answer = nginx.get("/", self.GOOD + [("X-Api-Key", "secret-of-k1-0123456789")])
        self.assertEqual((answer.status, answer["Content-Type"]), (400, "application/problem+json"))
        self.assertEqual(answer.all("WWW-Authenticate"), ['Bearer realm="API", error="invalid_request"'])
        answer = nginx.get("/", [("X-Api-Key", "a"), ("x-api-key", "b")])
        self.assertEqual((answer.status, answer["Content-Type"]), (400, "application/problem+json"))
        self.assertEqual(nginx.get("/", self.GOOD + self.GOOD).status, 400, "by nginx itself")

    def test_a_realms_own_status_type_and_body(self):
        nginx = self.nginx_returning(ROUTED)
        answer = nginx.get("/items/1")
        self.assertEqual((answer.status, answer["Content-Type"]), (401, "application/json; charset=utf-8"))
        self.assertEqual(answer.json(), {"error": "missing_credential", "realm": "api"})
        self.assertEqual(answer.all("WWW-Authenticate"), ['Bearer realm="The \\"API\\""'])
        answer = nginx.ask("DELETE", "/items/1", self.GOOD)
        self.assertEqual((answer.status, answer.json()), (422, {"needs": "drop"}))
        self.assertEqual(nginx.get("/items/1", self.GOOD).status, 200)
        self.assertEqual(nginx.get("/items/1/2", self.GOOD).status, 403)
        self.assertEqual(nginx.get("/open").status, 200)

    def test_statuses_that_nginx_has_other_plans_with(self):
        for status in (408, 418, 430, 444, 451, 494, 495, 496, 497, 499, 506, 511, 599):
            with self.subTest(status):
                config = self.CONFIG + f'[realm.api.errors.unauthorized]\nstatus = {status}\nbody = "no, {{status}}"\n'
                nginx = self.nginx_returning(config)
                answer = nginx.get("/")
                self.assertEqual((answer.status, answer.body), (status, f"no, {status}".encode()))
                self.assertEqual(nginx.get("/", self.GOOD).status, 200)
                wait_until(lambda: f'" {status} ' in nginx.log("access.log"))

    def test_an_empty_body(self):
        nginx = self.nginx_returning(self.CONFIG + '[realm.api.errors.unauthorized]\nbody = ""\ncontent_type = "text/plain"\n')
        with nginx.connect() as connection:
            for _ in range(2):
                answer = connection.ask("GET", "/")
                self.assertEqual((answer.status, answer.body, answer["Content-Length"]), (401, b"", "0"))

    def test_a_body_longer_than_any_buffer(self):
        body = "long " * 20000
        nginx = self.nginx_returning(self.CONFIG + f'[realm.api.errors.unauthorized]\nbody = "{body}"\n')
        self.assertEqual(nginx.get("/").body.decode(), body)

    def test_head_has_no_body(self):
        nginx = self.nginx_returning()
        with nginx.connect() as connection:
            for _ in range(3):
                answer = connection.ask("HEAD", "/")
                self.assertEqual((answer.status, answer.body), (401, b""))
                self.assertEqual(int(answer["Content-Length"]), len(nginx.get("/").body))
                self.assertEqual(answer.all("WWW-Authenticate"), ['Bearer realm="API"'])
            self.assertEqual(connection.ask("HEAD", "/", self.GOOD).status, 200)

    def test_keep_alive_goes_on_after_refusals(self):
        nginx = self.nginx_returning()
        with nginx.connect() as connection:
            for _ in range(20):
                self.assertEqual(connection.ask("GET", "/").status, 401)
                self.assertEqual(connection.ask("POST", "/", self.BAD, b"x" * 5000).status, 401)
                self.assertEqual(connection.ask("GET", "/", self.GOOD).status, 200)

    def test_pipelined_requests_each_have_their_own_decision(self):
        nginx = self.nginx_returning()
        with nginx.connect() as connection:
            one = b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n"
            connection.socket.sendall(b"".join(one % key for key in (b"secret-of-k1-0123456789", b"no", b"secret-of-k1-0123456789")))
            self.assertEqual([connection.receive().status for _ in range(3)], [200, 401, 200])

    def test_429_says_when_to_come_again(self):
        nginx = self.nginx_returning(LIMITED)
        self.assertEqual([nginx.get("/", self.GOOD).status for _ in range(4)], [200, 200, 429, 429])
        answer = nginx.get("/", self.GOOD)
        self.assertEqual(answer.json()["title"], "Too Many Requests")
        self.assertTrue(3500 < int(answer["Retry-After"]) <= 3600, answer)
        self.assertEqual(answer.all("WWW-Authenticate"), [])

    def test_no_snapshot_of_use_is_503(self):
        snapshot = self.snapshot()
        snapshot.publish(self.KEYS, "--created", "1000000000", "--max-age", "1h")
        nginx = self.nginx("location / { keyward api; root /; }", snapshot=snapshot, expect=["nothing can be decided"])
        answer = nginx.get("/", self.GOOD)
        self.assertEqual((answer.status, answer["Content-Type"]), (503, "application/problem+json"))
        self.assertEqual(answer.json()["title"], "Service Unavailable")

    def test_gzip_and_add_header_work_on_answers(self):
        config = self.CONFIG + '[realm.api.errors.unauthorized]\nstatus = 403\nbody = "%s"\ncontent_type = "text/x-no; charset=utf-8"\n' % ("z" * 3000)
        nginx = self.nginx_returning(config, http="gzip on; gzip_types text/x-no; add_header X-Always yes always;\n")
        answer = nginx.get("/", [("Accept-Encoding", "gzip")])
        self.assertEqual((answer.status, answer["Content-Encoding"], answer["X-Always"]), (403, "gzip", "yes"))
        self.assertLess(len(answer.body), 500)


class Requests(Case):
    """What the engine is told: method, path, host, address, TLS, headers."""

    def test_the_path_is_the_one_that_was_sent(self):
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(ROUTED))
        statuses = {"/items/1": 200, "/items/1?x=/../..": 200, "/items/%31": 200, "/items/%C3%A4": 200,
                    "//items/1": 400, "/items//1": 400, "/a/../items/1": 400, "/items/./1": 400, "/items/%2e%2e/x": 400,
                    "/items/a%2Fb": 400, "/items/a\\b": 400, "/items/1#x": 400, "/items/%FF": 400, "/items/%00": 400,
                    "/Items/1": 403, "/items/1/": 403, "/items/": 403}
        for target, status in statuses.items():
            self.assertEqual(nginx.get(target, self.GOOD).status, status, target)

    def test_an_absolute_target_has_a_path_and_a_host(self):
        keys = [{"realm": "api", "id": "live", "key": "live-0123456789012345", "environment": "live"},
                {"realm": "api", "id": "test", "key": "test-0123456789012345", "environment": "test"}]
        nginx = self.nginx("server_name _; location / { keyward api; proxy_pass %s; }" % self.upstream().url,
                           snapshot=self.snapshot(PLACES, keys))
        live = [("X-Api-Key", "live-0123456789012345")]
        self.assertEqual(nginx.get("/", live + [("Host", "live.example.com")]).status, 200)
        self.assertEqual(nginx.get("/", live + [("Host", "LIVE.example.com:8080")]).status, 200)
        self.assertEqual(nginx.get("/", live + [("Host", "test.example.com")]).status, 401)
        self.assertEqual(nginx.get("/", live + [("Host", "other")]).status, 401)
        # RFC 9112, section 3.2.2: the target's host, whatever the header says.
        self.assertEqual(nginx.get("http://live.example.com/x", live + [("Host", "test.example.com")]).status, 200)
        self.assertEqual(nginx.get("http://test.example.com/x", live + [("Host", "live.example.com")]).status, 401)
        self.assertEqual(nginx.get("http://live.example.com", live + [("Host", "live.example.com")]).status, 200)

    def test_the_method_counts_as_sent(self):
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(ROUTED))
        for method, status in {"GET": 200, "HEAD": 200, "POST": 200, "DELETE": 422, "PUT": 403}.items():
            self.assertEqual(nginx.ask(method, "/items/1", self.GOOD).status, status, method)

    def test_headers_with_underscores(self):
        config = '[realm.api]\n[realm.api.credential.key]\nkind = "key"\nsource = "header:SECRET_KEY"\n'
        headers = [("SECRET_KEY", "secret-of-k1-0123456789")]
        upstream = self.upstream().url
        off = self.nginx("location / { keyward api; proxy_pass %s; }" % upstream, snapshot=self.snapshot(config))
        self.assertEqual(off.get("/", headers).status, 401, "nginx drops such headers")
        on = self.nginx("underscores_in_headers on; location / { keyward api; proxy_pass %s; }" % upstream, snapshot=off.snapshot)
        self.assertEqual(on.get("/", headers).status, 200)
        self.assertEqual(on.get("/", headers + [("Secret-Key", "other")]).status, 400, "an alias")

    def test_more_headers_than_the_stack_has_room_for(self):
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url)
        many = [(f"X-{number}", "value") for number in range(90)]
        self.assertEqual(nginx.get("/", many + self.GOOD).status, 200)
        self.assertEqual(nginx.get("/", many + self.BAD).status, 401)
        self.assertEqual(nginx.get("/", self.GOOD + many + self.GOOD).status, 400)

    def test_http2(self):
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(ROUTED),
                           listen="")
        nginx.stop()
        nginx.configure(listen=f"listen 127.0.0.1:{nginx.port} http2;")
        nginx.start()
        h2 = ["--http2-prior-knowledge"]
        good = ["-H", "Authorization: Bearer secret-of-k1-0123456789"]
        self.assertEqual(nginx.curl("/items/1", *h2, *good).status, 200)
        refused = nginx.curl("/items/1", *h2)
        self.assertEqual((refused.status, refused.json()["error"]), (401, "missing_credential"))
        self.assertEqual(refused.all("www-authenticate"), ['Bearer realm="The \\"API\\""'])
        self.assertEqual(nginx.curl("/items/1", *h2, *good, "-X", "DELETE").status, 422)
        self.assertEqual(nginx.curl("/items/%2f", *h2, *good).status, 400)
        self.assertEqual(nginx.curl("/items/1", *h2, *good, *good).status, 400)
        head = nginx.curl("/items/1", *h2, "--head")
        self.assertEqual((head.status, head.body), (401, b""))

    def test_http2_authority_is_the_host(self):
        keys = [{"realm": "api", "id": "live", "key": "live-0123456789012345", "environment": "live"}]
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(PLACES, keys))
        nginx.stop()
        nginx.configure(listen=f"listen 127.0.0.1:{nginx.port} http2;")
        nginx.start()
        for host, status in {"live.example.com": 200, "test.example.com": 401}.items():
            answer = nginx.curl(f"http://{host}:{nginx.port}/", "--http2-prior-knowledge", "--resolve",
                                f"{host}:{nginx.port}:127.0.0.1", "-H", "X-Api-Key: live-0123456789012345")
            self.assertEqual(answer.status, status, host)

    def test_addresses(self):
        keys = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789", "allow_ips": ["127.0.0.2", "203.0.113.0/24", "2001:db8::/32"]}]
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(None, keys))
        self.assertEqual(nginx.get("/", self.GOOD).status, 403)
        self.assertEqual(nginx.get("/", self.GOOD, source=("127.0.0.2", 0)).status, 200)
        self.assertEqual(nginx.get("/", self.GOOD + [("X-Forwarded-For", "203.0.113.7")]).status, 403, "nobody is trusted")

    def test_realip(self):
        keys = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789", "allow_ips": ["203.0.113.0/24", "2001:db8::/32"]}]
        nginx = self.nginx("set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP; location / { keyward api; proxy_pass %s; }"
                           % self.upstream().url, snapshot=self.snapshot(None, keys))
        for address, status in {"203.0.113.7": 200, "2001:db8::7": 200, "198.51.100.7": 403, "nonsense": 403}.items():
            self.assertEqual(nginx.get("/", self.GOOD + [("X-Real-IP", address)]).status, status, address)
        self.assertEqual(nginx.get("/", self.GOOD + [("X-Real-IP", "203.0.113.7")], source=("127.0.0.2", 0)).status, 403)

    def test_a_unix_socket(self):
        config = self.CONFIG.replace('title = "API"', 'title = "API"\ntrusted_proxies = ["unix"]\nclient_ip_header = "X-Forwarded-For"')
        keys = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789", "allow_ips": ["203.0.113.7"]}]
        path = self.folder / "socket"
        nginx = self.nginx(f"listen unix:{path}; location / {{ keyward api; proxy_pass {self.upstream().url}; }}",
                           snapshot=self.snapshot(config, keys))
        came = self.GOOD + [("X-Forwarded-For", "203.0.113.7")]
        self.assertEqual(nginx.get("/", came, unix=path).status, 200)
        self.assertEqual(nginx.get("/", self.GOOD, unix=path).status, 403)
        self.assertEqual(nginx.get("/", came).status, 403, "an Internet address is not trusted")

    def test_tls(self):
        config = self.CONFIG.replace('title = "API"', 'title = "API"\nrequire_tls = true')
        self.certificate()
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(config))
        self.assertEqual(nginx.get("/", self.GOOD).status, 403)
        nginx.stop()
        nginx.configure(listen=f"listen 127.0.0.1:{nginx.port} ssl http2; ssl_certificate {self.folder}/c.pem; ssl_certificate_key {self.folder}/k.pem;")
        nginx.start()
        self.assertEqual(nginx.get("/", self.GOOD, tls=True).status, 200)
        h2 = ["curl", "-sSk", "--http2", "--parallel", "-H", "Authorization: Bearer secret-of-k1-0123456789", "-w", "%{http_version} %{http_code}\\n"]
        urls = [text for number in range(30) for text in ("-o", "/dev/null", f"https://127.0.0.1:{nginx.port}/{number}")]
        said = subprocess.run([*h2, *urls], capture_output=True, text=True, check=True).stdout
        self.assertEqual(said.splitlines(), ["2 200"] * 30)

    def test_tls_that_ends_before_nginx(self):
        config = self.CONFIG.replace('title = "API"', 'title = "API"\nrequire_tls = true')
        nginx = self.nginx("keyward_tls $came_with_tls; location / { keyward api; proxy_pass %s; }" % self.upstream().url,
                           http='map "$remote_addr $http_x_forwarded_proto" $came_with_tls { "127.0.0.2 https" on; default off; }\n',
                           snapshot=self.snapshot(config))
        proto = [("X-Forwarded-Proto", "https")]
        self.assertEqual(nginx.get("/", self.GOOD + proto).status, 403)
        self.assertEqual(nginx.get("/", self.GOOD, source=("127.0.0.2", 0)).status, 403)
        self.assertEqual(nginx.get("/", self.GOOD + proto, source=("127.0.0.2", 0)).status, 200)

    def certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-keyout", self.folder / "k.pem", "-out", self.folder / "c.pem"], check=True, capture_output=True)

    def test_a_client_that_goes_away(self):
        nginx = self.nginx("location / { auth_delay 300ms; keyward api; proxy_pass %s; }" % self.upstream().url)
        for _ in range(10):
            connection = nginx.connect()
            connection.send("GET", "/", self.BAD)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        self.assertEqual(nginx.get("/", self.GOOD).status, 200)

    def test_a_key_as_the_user_of_basic(self):
        config = '[realm.api]\n[realm.api.credential.key]\nkind = "key"\nsource = "basic"\n'
        nginx = self.nginx("location / { keyward api; proxy_pass %s; }" % self.upstream().url, snapshot=self.snapshot(config))
        basic = base64.b64encode(b"secret-of-k1-0123456789:").decode()
        self.assertEqual(nginx.get("/", [("Authorization", f"Basic {basic}")]).status, 200)
        answer = nginx.get("/", [("Authorization", "Basic !")])
        self.assertEqual((answer.status, answer["WWW-Authenticate"]), (401, 'Basic realm="api", charset="UTF-8"'))
