"""The variables, what upstreams see of them, and what they see of credentials."""

import base64
import hashlib
import hmac
import json
import time

from harness import KEYRING, Case, wait_until

CONFIG = """
[realm.api]
environments = ["live", "test"]
default_require = ["key"]
[realm.api.credential.key]
kind = "key"
source = ["header:X-Api-Key", "bearer"]
[realm.api.credential.business]
kind = "tenant"
source = "header:businessId"
[[realm.api.route]]
path = "/open"
require = []
[[realm.api.route]]
path = "/tenant"
require = ["key", "business"]
[[realm.api.route]]
path = "/{*rest}"
require = ["key"]
"""

KEYS = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789", "tenant": "acme", "environment": "live", "scopes": ["write", "read", "x:y"]},
        {"realm": "api", "id": "plain", "key": "secret-of-plain-0123456"},
        {"realm": "api", "id": "gone", "key": "secret-of-gone-01234567", "tenant": "acme", "status": "revoked"},
        {"realm": "api", "id": "held", "key": "secret-of-held-01234567", "tenant": "acme", "status": "suspended"},
        {"realm": "api", "id": "wide", "key": "secret-of-wide-01234567", "scopes": [f"scope-{n:04}" for n in range(1000)]}]

NAMES = ("reason", "key_id", "tenant", "environment", "subject", "scopes", "generation")
PASSED = "".join(f"proxy_set_header X-{name.replace('_', '-')} $keyward_{name};" for name in NAMES)


def key(name):
    return [("X-Api-Key", next(record["key"] for record in KEYS if record["id"] == name))]


class Variables(Case):
    def start(self, extra="", http="", **options):
        self.behind = self.upstream()
        return self.nginx(f"location / {{ keyward api; {PASSED} {extra} proxy_pass {self.behind.url}; }}",
                          http="log_format seen '$uri reason=$keyward_reason key=$keyward_key_id tenant=$keyward_tenant "
                               "env=$keyward_environment scopes=$keyward_scopes generation=$keyward_generation';\n" + http,
                          snapshot=self.snapshot(CONFIG, KEYS), **options)

    def seen(self, nginx, target, headers):
        """What the upstream got, by lower-case name."""
        answer = nginx.get(target, headers)
        self.assertEqual(answer.status, 200, answer)
        return {name.lower(): value for name, value in answer.json()["headers"]}

    def test_upstreams_see_who_it_is(self):
        nginx = self.start()
        seen = self.seen(nginx, "/x", key("k1"))
        self.assertEqual({name: seen.get("x-" + name.replace("_", "-")) for name in NAMES},
                         {"reason": "ok", "key_id": "k1", "tenant": "acme", "environment": "live", "subject": None,
                          "scopes": "read write x:y", "generation": "1"})
        seen = self.seen(nginx, "/x", key("plain"))
        self.assertEqual([seen.get(f"x-{name}") for name in ("key-id", "tenant", "environment", "scopes")], ["plain", None, None, None])
        seen = self.seen(nginx, "/open", [])
        self.assertEqual([seen.get(f"x-{name}") for name in ("reason", "key-id", "tenant")], ["ok", None, None])

    def test_a_client_cannot_say_who_it_is(self):
        nginx = self.start()
        lies = [("X-Tenant", "root"), ("x-key-id", "root"), ("X-SCOPES", "all"), ("X-Generation", "99"), ("X_Tenant", "root"), ("X.Tenant", "root")]
        for target, headers in (("/x", key("plain")), ("/open", []), ("/x", key("k1"))):
            answer = nginx.get(target, headers + lies)
            sent = [(name, value) for name, value in answer.json()["headers"]]
            self.assertFalse([pair for pair in sent if pair[1] in ("root", "all", "99")], sent)

    def test_a_list_of_scopes_that_is_too_long_is_none(self):
        seen = self.seen(self.start(), "/x", key("wide"))
        self.assertIsNone(seen.get("x-scopes"))
        self.assertEqual(seen["x-key-id"], "wide")

    def test_the_access_log(self):
        nginx = self.start(extra=f"access_log {self.folder}/seen.log seen;")
        for target, headers in (("/1", key("k1")), ("/2", []), ("/3", [("X-Api-Key", "nobody")]), ("/4", key("gone")), ("/5", key("held")), ("/open", [])):
            nginx.get(target, headers)
        nginx.get("/6", key("held") + [("businessId", "acme")])
        nginx.stop()
        lines = (self.folder / "seen.log").read_text().splitlines()
        self.assertEqual(lines, [
            "/1 reason=ok key=k1 tenant=acme env=live scopes=read write x:y generation=1",
            "/2 reason=missing_credential key=- tenant=- env=- scopes=- generation=1",
            "/3 reason=unknown_key key=- tenant=- env=- scopes=- generation=1",
            "/4 reason=revoked key=- tenant=- env=- scopes=- generation=1",
            "/5 reason=suspended key=held tenant=acme env=- scopes=- generation=1",
            "/open reason=ok key=- tenant=- env=- scopes=- generation=1",
            "/6 reason=suspended key=held tenant=acme env=- scopes=- generation=1"])

    def test_nothing_uses_them(self):
        nginx = self.nginx(f"location / {{ keyward api; proxy_pass {self.upstream().url}; }}", snapshot=self.snapshot(CONFIG, KEYS))
        self.assertEqual(nginx.get("/x", key("k1")).status, 200)
        self.assertEqual(nginx.get("/tenant", key("k1") + [("businessId", "acme")]).status, 200)
        self.assertEqual(nginx.get("/tenant", key("k1") + [("businessId", "other")]).status, 403)

    def test_only_scopes_are_used(self):
        behind = self.upstream()
        nginx = self.nginx(f"location / {{ keyward api; proxy_set_header X-S $keyward_scopes; proxy_pass {behind.url}; }}",
                           snapshot=self.snapshot(CONFIG, KEYS))
        self.assertEqual(dict(nginx.get("/x", key("k1")).json()["headers"])["X-S"], "read write x:y")

    def test_where_keyward_was_not_asked_there_is_nothing(self):
        behind = self.upstream()
        nginx = self.nginx(f"""
            location / {{ keyward off; {PASSED} proxy_pass {behind.url}; }}
            location /early {{ keyward api; set $early "<$keyward_key_id>"; proxy_set_header X-Early $early;
                proxy_set_header X-Late $keyward_key_id; proxy_pass {behind.url}; }}""", snapshot=self.snapshot(CONFIG, KEYS))
        seen = {name.lower() for name, _ in nginx.get("/", key("k1") + [("X-Tenant", "root")]).json()["headers"]}
        self.assertFalse(seen & {"x-" + name.replace("_", "-") for name in NAMES}, seen)
        early = dict(nginx.get("/early", key("k1")).json()["headers"])
        self.assertEqual((early["X-Early"], early["X-Late"]), ("<>", "k1"), "set runs before the access phase")

    def test_a_refusal_that_was_overruled_names_nobody(self):
        behind = self.upstream()
        nginx = self.nginx(f"location / {{ satisfy any; allow all; keyward api; {PASSED} proxy_pass {behind.url}; }}",
                           snapshot=self.snapshot(CONFIG, KEYS))
        seen = {name.lower(): value for name, value in nginx.get("/x", key("held")).json()["headers"]}
        self.assertEqual([seen.get(f"x-{name}") for name in ("reason", "key-id", "tenant")], ["suspended", None, None])

    def test_the_subject_of_a_token(self):
        config = """
[realm.api]
[realm.api.credential.token]
kind = "token"
source = "bearer"
issuer = "https://issuer"
audience = "api"
"""
        keyring = KEYRING + '[[token_key]]\nrealm = "api"\nkid = "k"\nalg = "HS256"\nsecret = "%s"\n' % base64.b64encode(b"s" * 32).decode()
        def part(value):
            return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")

        claims = {"iss": "https://issuer", "aud": "api", "sub": "alice", "exp": int(time.time()) + 300, "iat": int(time.time())}
        signed = part({"alg": "HS256", "kid": "k"}) + b"." + part(claims)
        token = signed + b"." + part(hmac.digest(b"s" * 32, signed, hashlib.sha256))
        behind = self.upstream()
        nginx = self.nginx(f"location / {{ keyward api; {PASSED} proxy_pass {behind.url}; }}", snapshot=self.snapshot(config, [], keyring=keyring))
        answer = nginx.get("/x", [("Authorization", f"Bearer {token.decode()}")])
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(dict(answer.json()["headers"]).get("X-subject"), "alice")
        self.assertEqual(nginx.get("/x", [("Authorization", f"Bearer {token.decode()}x")]).status, 401)


class Hiding(Case):
    def start(self, hide, extra="", config=CONFIG, keys=KEYS, http=""):
        self.behind = self.upstream()
        return self.nginx(f"location / {{ keyward api; {extra} proxy_pass {self.behind.url}; }}", http=http,
                          keyward={"hide_credentials": hide}, snapshot=self.snapshot(config, keys))

    def names(self, nginx, headers, target="/x", **options):
        answer = nginx.get(target, headers, **options)
        self.assertEqual(answer.status, 200, answer)
        # nginx's own, in some versions.
        return sorted(name.lower() for name, _ in answer.json()["headers"] if name.lower() != "connection")

    def test_off_is_the_default_and_passes_all_on(self):
        nginx = self.start("off")
        self.assertIn("x-api-key", self.names(nginx, key("k1")))

    def test_every_credential_and_alias_goes(self):
        nginx = self.start("on", http="underscores_in_headers on; ignore_invalid_headers off;\n")
        rest = [("X-Other", "1"), ("Accept", "*/*"), ("X-Api-Key-2", "stays")]
        self.assertEqual(self.names(nginx, key("k1") + [("businessId", "acme")] + rest),
                         ["accept", "host", "x-api-key-2", "x-other"])
        # on a public route nothing is looked at, and everything hidden
        self.assertEqual(self.names(nginx, [("x-api-key", "a"), ("X_API_KEY", "b"), ("X.Api.Key", "c"), ("BUSINESSID", "d"),
                                            ("Authorization", "Bearer e")] + rest, "/open"),
                         ["accept", "host", "x-api-key-2", "x-other"])

    def test_authorization_and_remote_user(self):
        config = '[realm.api]\n[realm.api.credential.key]\nkind = "key"\nsource = "basic"\n'
        keys = [{"realm": "api", "id": "k1", "key": "secret-of-k1-0123456789"}]
        nginx = self.start("on", 'proxy_set_header X-User "<$remote_user>"; proxy_set_header X-Auth "<$http_authorization>";', config, keys)
        basic = base64.b64encode(b"secret-of-k1-0123456789:").decode()
        headers = dict(nginx.get("/x", [("Authorization", f"Basic {basic}")]).json()["headers"])
        self.assertEqual((headers["X-User"], headers["X-Auth"]), ("<>", "<>"))
        self.assertNotIn("Authorization", headers)

    def test_many_headers(self):
        nginx = self.start("on")
        many = [(f"X-{number}", "v") for number in range(70)]
        names = self.names(nginx, many[:35] + key("k1") + many[35:] + [("Authorization", "Basic Zg=="), ("Cookie", "a=b")])
        self.assertEqual(names, sorted([f"x-{number}" for number in range(70)] + ["cookie", "host"]))

    def test_http2_and_bodies(self):
        nginx = self.start("on")
        nginx.stop()
        nginx.configure(listen=f"listen 127.0.0.1:{nginx.port} http2;")
        nginx.start()
        answer = nginx.curl("/x", "--http2-prior-knowledge", "-H", f"X-Api-Key: {key('k1')[0][1]}", "-H", "X-Other: 1", "-d", "body")
        self.assertEqual(answer.status, 200)
        self.assertNotIn("x-api-key", {name.lower() for name, _ in answer.json()["headers"]})
        self.assertEqual(answer.json()["body"], "body")

    def test_subrequests_hide_as_their_location_says(self):
        behind = self.upstream()
        nginx = self.nginx(f"""
            location / {{ keyward api; keyward_hide_credentials on; mirror /mirror; auth_request /ask; proxy_pass {behind.url}; }}
            location = /mirror {{ internal; proxy_pass {behind.url}/mirrored; }}
            location = /ask {{ internal; keyward api; keyward_hide_credentials on; proxy_pass {behind.url}/asked; }}""",
            snapshot=self.snapshot(CONFIG, KEYS))
        self.assertEqual(nginx.get("/x", key("k1")).status, 200)
        wait_until(lambda: len(behind.received) == 3)
        self.assertEqual(sorted(request["target"] for request in behind.received), ["/asked", "/mirrored", "/x"])
        for request in behind.received:
            self.assertNotIn("x-api-key", {name.lower() for name, _ in request["headers"]}, request["target"])

    def test_what_hides_goes_with_the_request_into_locations_without_a_realm(self):
        behind = self.upstream()
        nginx = self.nginx(f"""
            error_page 403 = @app;
            location /held {{ keyward api; error_page 403 = @off; proxy_pass {behind.url}; }}
            location / {{ keyward api; auth_request /ask; proxy_pass {behind.url}; }}
            location @app {{ keyward off; proxy_pass {behind.url}; }}
            location @off {{ keyward off; keyward_hide_credentials off; proxy_pass {behind.url}; }}
            location = /ask {{ internal; proxy_pass {behind.url}/asked; }}
            location = /plain {{ proxy_pass {behind.url}; }}""",
            keyward={"hide_credentials": "on"}, snapshot=self.snapshot(CONFIG, KEYS))

        def ask(target, name):
            behind.received.clear()
            self.assertEqual(nginx.get(target, key(name)).status, 200)
            return [(request["target"], "x-api-key" in {header.lower() for header, _ in request["headers"]}) for request in behind.received]

        self.assertEqual(ask("/x", "k1"), [("/asked", False), ("/x", False)])
        self.assertEqual(ask("/x", "held"), [("/x", False)], "refused, and let in by error_page")
        self.assertEqual(ask("/held", "held"), [("/held", True)], "off says what it says")
        self.assertEqual(ask("/plain", "k1"), [("/plain", True)], "no realm was asked")

    def test_values_that_were_used_before(self):
        nginx = self.start("on", """
            limit_req zone=z; if ($http_x_api_key = "none") { return 400; } set $http_mine "mine";
            proxy_set_header X-Key "<$http_x_api_key>"; proxy_set_header X-User "<$remote_user>"; proxy_set_header X-Mine $http_mine;""",
            http="limit_req_zone $http_x_api_key$remote_user zone=z:1m rate=1000r/s;\n")
        user = [("Authorization", "Basic " + base64.b64encode(b"user:x").decode())]
        seen = dict(nginx.get("/x", key("k1")).json()["headers"])
        self.assertEqual((seen["X-Key"], seen["X-User"], seen["X-Mine"]), ("<>", "<>", "mine"))
        seen = dict(nginx.get("/open", user).json()["headers"])
        self.assertEqual((seen["X-Key"], seen["X-User"]), ("<>", "<>"))

    def test_headers_that_nginx_keeps_pointers_to(self):
        sources = {"Cookie": "http_cookie", "User-Agent": "http_user_agent", "Referer": "http_referer", "Via": "http_via",
                   "X-Forwarded-For": "http_x_forwarded_for"}
        for header, variable in sources.items():
            config = f'[realm.api]\n[realm.api.credential.key]\nkind = "key"\nsource = "header:{header}"\n'
            nginx = self.start("on", f'set $early ${variable}; proxy_set_header X-Seen "<${variable}>";', config, [KEYS[1]])
            seen = nginx.get("/x", [(header, KEYS[1]["key"])])
            self.assertEqual(seen.status, 200, header)
            seen = dict(seen.json()["headers"])
            self.assertEqual(seen["X-Seen"], "<>", header)
            self.assertNotIn(header, seen)
