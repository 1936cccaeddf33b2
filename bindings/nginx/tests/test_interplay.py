"""keyward beside what else nginx does with a request."""

import base64
import time
import unittest

from harness import Case, wait_until

LIMITED = """
[realm.api]
default_rate_limit = "three"
[realm.api.rate_limit.three]
requests = 1
period = 3600
burst = 3
[realm.api.credential.key]
kind = "key"
source = "bearer"
[realm.other]
[realm.other.credential.key]
kind = "key"
source = "bearer"
"""

BASIC = [("Authorization", "Basic " + base64.b64encode(b"user:password").decode())]


class Satisfy(Case):
    KEYED = '[realm.api]\ntitle = "API"\n[realm.api.credential.key]\nkind = "key"\nsource = "header:X-Api-Key"\n'
    GOOD = [("X-Api-Key", "secret-of-k1-0123456789")]
    BAD = [("X-Api-Key", "secret-of-nobody-012345")]
    TWICE = GOOD + GOOD

    def both(self, satisfy, access, config=None, **options):
        (self.folder / "users").write_text("user:{PLAIN}password\n")
        return self.nginx(f"""
            location / {{
                satisfy {satisfy};
                {access}
                keyward api;
                proxy_pass {self.upstream().url};
            }}""", snapshot=self.snapshot(config or self.KEYED), **options)

    def test_all_needs_both(self):
        nginx = self.both("all", "deny 127.0.0.2; allow all;")
        self.assertEqual(nginx.get("/", self.GOOD).status, 200)
        self.assertEqual(nginx.get("/", self.BAD).status, 401)
        nginx = self.both("all", "allow 127.0.0.2; deny all;", expect=["access forbidden by rule"])
        self.assertEqual(nginx.get("/", self.GOOD).status, 403)
        self.assertEqual(nginx.get("/", self.BAD).status, 401)

    def test_any_needs_one_of_them(self):
        inside = self.both("any", "allow 127.0.0.1; deny all;")
        self.assertEqual(inside.get("/").status, 200)
        self.assertEqual(inside.get("/", self.BAD).status, 200)
        self.assertEqual(inside.get("/", self.TWICE).status, 200, "any: also where keyward says 400")
        self.assertEqual(inside.get("/", self.GOOD).status, 200)
        outside = self.both("any", "allow 127.0.0.9; deny all;", expect=["access forbidden by rule"])
        self.assertEqual(outside.get("/", self.GOOD).status, 200)
        refused = outside.get("/")
        self.assertEqual((refused.status, refused["WWW-Authenticate"]), (401, 'ApiKey realm="API"'))
        self.assertEqual(refused["Content-Type"], "application/problem+json")
        twice = outside.get("/", self.TWICE)
        self.assertEqual((twice.status, twice.json()["title"]), (400, "Bad Request"))

    def test_any_leaves_no_trace_of_a_refusal_that_was_overruled(self):
        nginx = self.both("any", "allow 127.0.0.1; deny all;")
        for headers in ([], self.BAD, self.TWICE):
            answer = nginx.get("/", headers)
            self.assertEqual((answer.status, answer.all("WWW-Authenticate")), (200, []))
        self.assertEqual(nginx.get("/", [("X-Answer-With", "401")]).all("WWW-Authenticate"), [], "that is the upstream's")
        body = nginx.get("/", [("X-Answer-With", "401")]).json()
        self.assertEqual(body["target"], "/", "the upstream's body")

    def test_any_with_a_limit_and_without_a_snapshot(self):
        config = LIMITED.replace('"bearer"', '"header:X-Api-Key"')
        outside = self.both("any", "allow 127.0.0.9; deny all;", config)
        self.assertEqual([outside.get("/", self.GOOD).status for _ in range(4)], [200, 200, 200, 429])
        self.assertIsNotNone(outside.get("/", self.GOOD)["Retry-After"])
        inside = self.both("any", "allow 127.0.0.1; deny all;", config)
        self.assertEqual([inside.get("/", self.GOOD).status for _ in range(5)], [200] * 5)

    def test_auth_basic(self):
        access = f'auth_basic "Staff"; auth_basic_user_file {self.folder}/users;'
        nginx = self.both("any", access, expect=["user \"user\"", "password mismatch", "was not found"])
        self.assertEqual(nginx.get("/", BASIC).status, 200)
        self.assertEqual(nginx.get("/", self.GOOD).status, 200)
        refused = nginx.get("/")
        self.assertEqual(refused.status, 401)
        self.assertEqual(sorted(refused.all("WWW-Authenticate")), ['ApiKey realm="API"', 'Basic realm="Staff"'])
        self.assertEqual(nginx.get("/", BASIC + self.BAD).status, 200)
        nginx = self.both("all", access)
        self.assertEqual(nginx.get("/", BASIC + self.GOOD).status, 200)
        self.assertEqual(nginx.get("/", BASIC).status, 401)
        self.assertEqual(nginx.get("/", self.GOOD).status, 401)

    def test_auth_request(self):
        upstream = self.upstream()
        server = f"""
            location / {{ satisfy %s; auth_request /ask; keyward api; proxy_pass {upstream.url}; }}
            location = /ask {{ internal; proxy_pass {upstream.url}/asked; proxy_set_header X-Answer-With $http_x_say; }}
"""
        for satisfy, statuses in {"all": [200, 401, 403, 401], "any": [200, 200, 200, 401]}.items():
            nginx = self.nginx(server % satisfy, snapshot=self.snapshot(self.KEYED))
            yes, no = [("X-Say", "200")], [("X-Say", "403")]
            got = [nginx.get("/", self.GOOD + yes).status, nginx.get("/", self.BAD + yes).status,
                   nginx.get("/", self.GOOD + no).status, nginx.get("/", self.BAD + no).status]
            self.assertEqual(got, statuses, satisfy)

    def test_keyward_as_the_auth_request(self):
        """A subrequest is not checked by access modules, so keyward cannot be asked that way: nginx's rule."""
        nginx = self.nginx(f"""
            location / {{ auth_request /check; proxy_pass {self.upstream().url}; }}
            location = /check {{ keyward api; return 204; }}""", snapshot=self.snapshot(self.KEYED))
        self.assertEqual(nginx.get("/", self.BAD).status, 200)
        self.assertEqual(nginx.get("/check", self.BAD).status, 204, "return comes before the access phase")

    def test_auth_delay(self):
        """The good answer comes while the bad one, which was asked for before, is held back."""
        nginx = self.both("all", "auth_delay 3s;")
        with nginx.connect() as connection:
            start = time.monotonic()
            connection.send("GET", "/", self.BAD)
            self.assertEqual(nginx.get("/", self.GOOD).status, 200)
            self.assertFalse(connection.has_answer())
            answer = connection.receive()
            self.assertGreater(time.monotonic() - start, 2.9)
        self.assertEqual((answer.status, answer["Content-Type"]), (401, "application/problem+json"))


class ErrorPages(Case):
    def server(self, pages):
        return f"""
            location / {{ keyward api; proxy_pass {self.upstream().url}; }}
            {pages}"""

    def test_a_page_of_ones_own_keeps_status_and_challenge(self):
        (self.folder / "401.html").write_text("who are you?")
        nginx = self.nginx(self.server(f"error_page 401 /401.html; location = /401.html {{ internal; root {self.folder}; }}"))
        answer = nginx.get("/x", self.BAD)
        self.assertEqual((answer.status, answer.body), (401, b"who are you?"))
        self.assertEqual(answer["Content-Type"], "text/html")
        self.assertEqual(answer.all("WWW-Authenticate"), ['Bearer realm="API", error="invalid_token"'])

    def test_a_named_location(self):
        pages = 'error_page 401 @who; location @who { default_type application/json; return 401 \'{"reason":"$keyward_reason"}\'; }'
        answer = self.nginx(self.server(pages)).get("/x", self.BAD)
        self.assertEqual((answer.status, answer.json()), (401, {"reason": "unknown_key"}))
        self.assertEqual(answer.all("WWW-Authenticate"), ['Bearer realm="API", error="invalid_token"'])

    def test_the_challenge_goes_by_the_status_that_is_sent(self):
        pages = "error_page 401 =404 @hidden; location @hidden { return 404 'nothing here'; }"
        answer = self.nginx(self.server(pages)).get("/x", self.BAD)
        self.assertEqual((answer.status, answer.body, answer.all("WWW-Authenticate")), (404, b"nothing here", []))
        answer = self.nginx(self.server("error_page 401 =302 https://example.com/login;")).get("/x", self.BAD)
        self.assertEqual((answer.status, answer["Location"], answer.all("WWW-Authenticate")), (302, "https://example.com/login", []))
        upstream = self.upstream()
        pages = f"error_page 401 = @ask; location @ask {{ proxy_pass {upstream.url}; }}"
        answer = self.nginx(self.server(pages)).get("/x", self.BAD + [("X-Answer-With", "401")])
        self.assertEqual((answer.status, answer.all("WWW-Authenticate")), (401, ['Bearer realm="API", error="invalid_token"']))

    def test_a_page_that_is_protected_itself_ends_in_the_answer(self):
        (self.folder / "401.html").write_text("who are you?")
        nginx = self.nginx(f"keyward api; error_page 401 /401.html; root {self.folder};")
        answer = nginx.get("/x", self.BAD)
        self.assertEqual((answer.status, answer["Content-Type"]), (401, "application/problem+json"))
        self.assertEqual(len(answer.all("WWW-Authenticate")), 1)

    def test_off_opens_the_page_alone(self):
        (self.folder / "401.html").write_text("who are you?")
        nginx = self.nginx(f"keyward api; error_page 401 /401.html; root {self.folder}; location = /401.html {{ keyward off; }}")
        self.assertEqual(nginx.get("/x", self.BAD).body, b"who are you?")

    def test_retry_after_and_503(self):
        (self.folder / "later").write_text("later")
        pages = f"error_page 429 503 /later; location = /later {{ root {self.folder}; }}"
        nginx = self.nginx(self.server(pages), snapshot=self.snapshot(LIMITED))
        self.assertEqual([nginx.get("/", self.GOOD).status for _ in range(3)], [200] * 3)
        answer = nginx.get("/", self.GOOD)
        self.assertEqual((answer.status, answer.body), (429, b"later"))
        self.assertTrue(answer["Retry-After"])

    def test_recursive_pages(self):
        pages = "recursive_error_pages on; error_page 401 @a; location @a { error_page 404 @b; return 404; } location @b { return 410 'gone'; }"
        answer = self.nginx(self.server(pages)).get("/", self.BAD)
        self.assertEqual((answer.status, answer.body, answer.all("WWW-Authenticate")), (404, b"gone", []))

    def test_other_errors_are_left_alone(self):
        nginx = self.nginx(f"location / {{ keyward api; root {self.folder}; }}", expect=["No such file"])
        answer = nginx.get("/not-there", self.GOOD)
        self.assertEqual((answer.status, answer["Content-Type"]), (404, "text/html"))
        (self.folder / "closed").mkdir()
        answer = nginx.get("/closed/", self.GOOD)
        self.assertIn(answer.status, (403, 404))
        self.assertEqual((answer["Content-Type"], answer.all("WWW-Authenticate")), ("text/html", []))
        self.assertIn("is forbidden", nginx.log())

    def finish(self, nginx, expect):
        super().finish(nginx, [*expect, "is forbidden"])


class Redirects(Case):
    """A request counts once, and is decided by what the client sent."""

    def test_a_limit_counts_requests_and_not_redirects(self):
        (self.folder / "index.html").write_text("index")
        (self.folder / "fallback").write_text("fallback")
        nginx = self.nginx(f"keyward api; root {self.folder}; location /there {{ try_files $uri @fallback; }}"
                           " location @fallback { rewrite ^ /fallback last; }", snapshot=self.snapshot(LIMITED))
        self.assertEqual(nginx.get("/", self.GOOD).body, b"index")
        self.assertEqual(nginx.get("/there", self.GOOD).body, b"fallback")
        self.assertEqual(nginx.get("/index.html", self.GOOD).status, 200)
        self.assertEqual(nginx.get("/", self.GOOD).status, 429)

    ROUTES = """
[realm.api]
[realm.api.credential.key]
kind = "key"
source = "bearer"
[[realm.api.route]]
methods = ["GET"]
path = "/public"
require = []
[[realm.api.route]]
methods = ["GET"]
path = "/read"
scopes = ["read"]
[[realm.api.route]]
methods = ["POST"]
path = "/read"
scopes = ["never"]
[[realm.api.route]]
path = "/secret"
scopes = ["never"]
"""

    def test_a_rewrite_does_not_change_what_is_decided(self):
        (self.folder / "secret").write_text("secret")
        (self.folder / "read").write_text("read")
        nginx = self.nginx(f"keyward api; root {self.folder}; rewrite ^/read$ /secret; rewrite ^/secret$ /read;",
                           snapshot=self.snapshot(self.ROUTES))
        self.assertEqual(nginx.get("/read", self.GOOD).status, 200)
        self.assertEqual(nginx.get("/secret", self.GOOD).status, 403, "what the client asked for counts")
        self.assertEqual(nginx.get("/secret").status, 401)

    def test_error_page_does_not_turn_a_post_into_a_get(self):
        nginx = self.nginx(f"location / {{ error_page 418 = @real; return 418; }} location @real {{ keyward api; proxy_pass {self.upstream().url}; }}",
                           snapshot=self.snapshot(self.ROUTES))
        self.assertEqual(nginx.get("/read", self.GOOD).status, 200)
        self.assertEqual(nginx.ask("POST", "/read", self.GOOD).status, 403)
        nginx = self.nginx(f"location / {{ error_page 418 = /real; return 418; }} location = /real {{ keyward api; proxy_pass {self.upstream().url}; }}",
                           snapshot=self.snapshot(self.ROUTES))
        self.assertEqual(nginx.ask("POST", "/read", self.GOOD).status, 403)

    def test_a_second_location_may_ask_for_more(self):
        (self.folder / "inner").mkdir()
        (self.folder / "inner" / "index.html").write_text("inner")
        nginx = self.nginx(f"""
            root {self.folder};
            location / {{ keyward api; try_files /none /inner/index.html; }}
            location /inner/ {{ keyward api; keyward_scopes never; }}""")
        self.assertEqual(nginx.get("/x", self.GOOD).status, 403)
        self.assertEqual(nginx.get("/x").status, 401)
        nginx = self.nginx(f"""
            root {self.folder};
            location / {{ keyward api; keyward_hide_credentials on; try_files /none /inner/index.html; }}
            location /inner/ {{ keyward api; keyward_scopes read; }}""")
        self.assertEqual(nginx.get("/x", self.GOOD).body, b"inner", "hidden from upstreams, not from keyward")

    def test_x_accel_redirect(self):
        (self.folder / "file").write_text("file")
        nginx = self.nginx(f"""
            location / {{ keyward api; proxy_pass {self.upstream().url}; }}
            location /files/ {{ internal; keyward api; alias {self.folder}/; }}""", snapshot=self.snapshot(LIMITED))
        accel = [("X-Accel", "/files/file")]
        self.assertEqual([nginx.get("/x", self.GOOD + accel).body for _ in range(3)], [b"file"] * 3)
        self.assertEqual(nginx.get("/x", self.GOOD + accel).status, 429)
        self.assertEqual(nginx.get("/files/file", self.GOOD).status, 404)

    def test_subrequests_see_the_decision_of_their_request(self):
        upstream = self.upstream()
        nginx = self.nginx(f"""
            location / {{ keyward api; mirror /mirror; proxy_pass {upstream.url}; }}
            location = /mirror {{ internal; proxy_pass {upstream.url}/mirrored; proxy_set_header X-Key $keyward_key_id; }}""")
        self.assertEqual(nginx.get("/x", self.GOOD).status, 200)
        self.assertEqual(nginx.get("/x", self.BAD).status, 401)
        mirrored = wait_until(lambda: [request for request in upstream.received if request["target"] == "/mirrored"])
        self.assertEqual([dict(request["headers"]).get("X-Key") for request in mirrored], ["k1"])

    def test_limit_except(self):
        nginx = self.nginx(f"location / {{ proxy_pass {self.upstream().url}; limit_except GET {{ keyward api; }} }}")
        self.assertEqual(nginx.get("/").status, 200)
        self.assertEqual(nginx.ask("POST", "/").status, 401)
        self.assertEqual(nginx.ask("POST", "/", self.GOOD).status, 200)

    def test_a_body_that_nobody_reads(self):
        nginx = self.nginx(f"location / {{ keyward api; client_max_body_size 10m; client_body_buffer_size 4m; proxy_pass {self.upstream().url}; }}")
        with nginx.connect() as connection:
            self.assertEqual(connection.ask("POST", "/", self.BAD, b"x" * 2_000_000).status, 401)
            self.assertEqual(connection.ask("POST", "/", self.GOOD, b"x" * 2_000_000).status, 200)
        answer = nginx.ask("POST", "/", self.BAD + [("Expect", "100-continue")], b"x" * 100)
        self.assertEqual(answer.status, 401, "asked before the body is")


class Targets(Case):
    def test_an_absolute_target_without_a_path(self):
        nginx = self.nginx(f"location / {{ keyward api; proxy_pass {self.upstream().url}; }}")
        for target in ("http://localhost?x=1", "http://localhost", "http://localhost/?x=1"):
            self.assertEqual(nginx.get(target, self.GOOD).status, 200, target)
            self.assertEqual(nginx.get(target).status, 401, target)


class Merging(Case):
    TWO = """
[realm.api]
environments = ["live", "test"]
[realm.api.credential.key]
kind = "key"
source = "bearer"
[realm.other]
[realm.other.credential.key]
kind = "key"
source = "bearer"
"""
    KEYS = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789", "environment": "live", "scopes": ["read"]},
            {"realm": "other", "id": "o1", "key": "secret-of-o1-0123456789"}]
    OTHER = [("Authorization", "Bearer secret-of-o1-0123456789")]

    def test_what_is_inherited_and_what_is_not(self):
        proxy = f"proxy_pass {self.upstream().url};"
        nginx = self.nginx(f"""
            keyward_environment $want;
            location / {{ {proxy} }}
            location /other {{ keyward other; keyward_environment off; {proxy} }}
            location /off {{ keyward off; {proxy} location /off/on {{ keyward api; {proxy} }} }}
            location /scopes {{ keyward_scopes read write; {proxy}
                location /scopes/read {{ keyward_scopes read; {proxy} }}
                location /scopes/off {{ keyward_scopes off; {proxy} }} }}
            location /live {{ keyward_environment live; {proxy} }}""",
            http="map $http_x_want $want { default $http_x_want; none ''; }\nkeyward api;\n", snapshot=self.snapshot(self.TWO))
        live = [("X-Want", "live")]
        statuses = {
            "/": (self.GOOD + live, 200), "/x": (self.GOOD + [("X-Want", "test")], 401),
            "/y": (self.GOOD, 401), "/z": (self.GOOD + [("X-Want", "none")], 401), "/w": (self.GOOD + [("X-Want", "\xff\xfe")], 401),
            "/live": (self.GOOD, 200), "/other": (self.OTHER, 200), "/off": ([], 200), "/off/on": (live, 401),
            "/scopes": (self.GOOD + live, 403), "/scopes/read": (self.GOOD + live, 200), "/scopes/off": (self.GOOD + live, 200)}
        for target, (headers, status) in statuses.items():
            self.assertEqual(nginx.get(target, headers).status, status, target)
        self.assertEqual(nginx.get("/other", self.GOOD).status, 401)

    def test_two_snapshots_in_one_server(self):
        first = self.snapshot(self.TWO)
        second = self.snapshot(self.CONFIG, [{"realm": "api", "id": "x", "key": "secret-of-x-00123456789"}], name="second")
        proxy = f"proxy_pass {self.upstream().url};"
        nginx = self.nginx(f"keyward api; location / {{ {proxy} }} location /second {{ {second.directives()} {proxy} }}", snapshot=first)
        x = [("Authorization", "Bearer secret-of-x-00123456789")]
        self.assertEqual([nginx.get("/", self.GOOD).status, nginx.get("/", x).status], [200, 401])
        self.assertEqual([nginx.get("/second", self.GOOD).status, nginx.get("/second", x).status], [401, 200])


if __name__ == "__main__":
    unittest.main()
