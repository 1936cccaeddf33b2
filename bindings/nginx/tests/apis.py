"""The five documented APIs on nginx: their configurations from profiles/, and each documented call and error.

`DOCUMENTED` quotes what an API's page says. Where a page gives no body, keyward's default is expected.
"""

import base64
import json
import re
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from answers import Answer, read
from harness import CLI, MODULE, ROOT, free_port
from running import certificate, temporary

PROFILES = ROOT / "profiles"
NAMES = ["aver", "billoget", "built", "interstellas", "onebalance"]
HOSTS = ["api.billoget.com", "web.builtaccounting.com", "fxweb.builtaccounting.com", "be.onebalance.io", "app.goaver.com",
         "api.interstellas.example"]

BILLOGET_401 = {"error": "unauthorized", "message": "Invalid or missing API key"}
BILLOGET_403 = {"error": "insufficient_scope", "message": "API key does not have required scope: WRITE_BUDGETS"}
BILLOGET_429 = {"error": "rate_limit_exceeded", "message": "Rate limit exceeded. Try again in 3600 seconds"}
ONEBALANCE_401 = {"error": "Unauthorized", "message": "Invalid or missing API key", "code": 401}
DEFAULT_401 = {"type": "about:blank", "title": "Unauthorized", "status": 401}
DEFAULT_403 = {"type": "about:blank", "title": "Forbidden", "status": 403}

READER = "bk_live_1234567890abcdef"
ALL_SCOPES = "bk_live_1234567890abcdef1234567890abcdef"
PUBLIC = "42bb629272001ee1163ca0dbbbc07bcbb0ef57a57baf16c4b1d4672db4562c11"
PAIR = "sample-aver-portal:sample-aver-portal-secret-0001"
NORTH = "sample-interstellas-north-production-0002"
SOUTH = "sample-interstellas-south-production-0001"
SANDBOX = "sample-interstellas-north-sandbox-0001"


@dataclass(frozen=True)
class Call:
    api: str
    host: str
    target: str
    what: str
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: dict | None = None
    """Headers of the answer; None for one that must not be there."""
    answered: dict[str, str | None] = field(default_factory=dict)
    tls: bool = True
    client: str | None = None
    times: int = 1

    def curl(self, served: "Served") -> list[str]:
        """The command, as a reader of the API's page would write it."""
        method, path = self.target.split(" ")
        port, scheme = (served.tls_port, "https") if self.tls else (served.port, "http")
        command = ["curl", "--silent", "--show-error", "--include", "--http1.1", "--path-as-is",
                   "--max-time", "20",
                   "--resolve", f"{self.host}:{port}:127.0.0.1", "--cacert", str(served.folder / "certificate.pem"),
                   *(["--head"] if method == "HEAD" else ["--request", method]), f"{scheme}://{self.host}:{port}{path}"]
        headers = self.headers + ((("X-Forwarded-For", self.client),) if self.client else ())
        for name, value in headers:
            command += ["--header", f"{name}: {value}"]
        return command

    def make(self, served: "Served") -> Answer:
        """The answer; the last one, where the call is made several times, by one curl over one connection."""
        command = self.curl(served)
        url = next(word for word in command if word.startswith("http") and "://" in word)
        done = subprocess.run(command + [url] * (self.times - 1), capture_output=True, check=True)
        return read(done.stdout[done.stdout.rindex(b"HTTP/1.1 "):])

    def faults(self, answer: Answer) -> list[str]:
        """What of the answer is not as documented."""
        found = [] if answer.status == self.status else [f"status {answer.status}, not {self.status}"]
        for name, value in self.answered.items():
            if answer.header(name) != value:
                found.append(f"{name}: {answer.header(name)!r}, not {value!r}")
        if self.body is not None:
            try:
                body = json.loads(answer.body)
            except ValueError:
                body = answer.body
            if body != self.body:
                found.append(f"body {body!r}, not {self.body!r}")
        return found

    def with_headers(self, *headers: tuple[str, str]) -> "Call":
        return replace(self, headers=self.headers + headers)

    def bearer(self, credential: str) -> "Call":
        return self.with_headers(("Authorization", f"Bearer {credential}"))


@dataclass(frozen=True)
class Served:
    """Where the five are to be found."""

    folder: Path
    port: int
    tls_port: int
    status_port: int


def basic(pair: str) -> tuple[str, str]:
    return "Authorization", "Basic " + base64.b64encode(pair.encode()).decode()


def challenge(text: str) -> dict[str, str | None]:
    return {"WWW-Authenticate": text, "Retry-After": None}


def documented(served: Served) -> list[Call]:
    return [*billoget(), *built(), *onebalance(), *aver(served), *interstellas(served.folder)]


def billoget() -> list[Call]:
    budgets = "/v1/api/public/budgets"
    bearer, invalid = challenge('Bearer realm="Billoget"'), challenge('Bearer realm="Billoget", error="invalid_token"')
    scope = challenge('Bearer realm="Billoget", error="insufficient_scope", scope="WRITE_BUDGETS"')

    def call(what: str, status: int, target: str = f"GET {budgets}", **expected: object) -> Call:
        kind = {} if status == 200 else {"Content-Type": "application/json"}
        answered = kind | expected.pop("answered", {})
        return Call("billoget", "api.billoget.com", target, what, status, answered=answered, **expected)

    refused = {"body": BILLOGET_401, "answered": invalid}
    return [
        call("the page's request", 200).bearer(READER).with_headers(("Content-Type", "application/json")),
        call("the page's test of a key", 200, f"GET {budgets}?limit=1").bearer(READER),
        *(call(scope, 200, target).bearer(ALL_SCOPES) for scope, target in (
            ("READ_BUDGETS", f"GET {budgets}"), ("WRITE_BUDGETS", f"POST {budgets}"), ("WRITE_BUDGETS", f"PUT {budgets}"),
            ("WRITE_BUDGETS", f"DELETE {budgets}"), ("READ_CUSTOMERS", "GET /v1/api/public/customers"),
            ("WRITE_CUSTOMERS", "POST /v1/api/public/customers"), ("READ_PRODUCTS", "GET /v1/api/public/products"),
            ("WRITE_PRODUCTS", "DELETE /v1/api/public/products"), ("WEBHOOKS", "POST /v1/api/public/webhooks/test"))),
        call("a key for development", 200).bearer("bk_test_1234567890abcdef"),
        call("Missing Authorization header", 401, body=BILLOGET_401, answered=bearer),
        call("Invalid API key format", 401, **refused).bearer("1234567890abcdef"),
        call("a key that does not exist", 401, **refused).bearer("bk_live_ffffffffffffffff"),
        call("Expired API key", 401, **refused).bearer("bk_live_00000000000000000000000000000005"),
        call("Revoked API key", 401, **refused).bearer("bk_live_00000000000000000000000000000004"),
        call("API key doesn't have required scope", 403, f"POST {budgets}", body=BILLOGET_403, answered=scope).bearer(READER),
        call("IP address whitelisted", 200, client="203.0.113.7").bearer("bk_live_0ff1ce000000000000000000000000ff"),
        call("IP address not whitelisted", 403, client="198.51.100.7", answered={"WWW-Authenticate": None})
        .bearer("bk_live_0ff1ce000000000000000000000000ff"),
        call("API key suspended", 403).bearer("bk_live_00000000000000000000000000000003"),
        call("Exceeded rate limit for the API key", 429, body=BILLOGET_429, answered={"Retry-After": "3600"}, times=2)
        .bearer("bk_live_00000000000000000000000000000006"),
        call("All API requests must use HTTPS", 403, tls=False).bearer(READER),
        call("an endpoint that is not in the table", 403, "GET /v1/api/public/invoices").bearer(ALL_SCOPES),
        call("a path that can be read in two ways", 400, "GET /v1/api/public/x/../budgets").bearer(READER),
    ]


def built() -> list[Call]:
    production, staging = "web.builtaccounting.com", "fxweb.builtaccounting.com"
    key, staging_key = "sample-built-acme-production-0001", "sample-built-acme-staging-0001"
    missing = challenge('Bearer realm="Built"') | {"Content-Type": "application/problem+json"}
    invalid = missing | {"WWW-Authenticate": 'Bearer realm="Built", error="invalid_token"'}

    def call(host: str, what: str, status: int, **expected: object) -> Call:
        return Call("built", host, "GET /api/invoices", what, status, **expected)

    refused = {"body": DEFAULT_401, "answered": invalid}
    return [
        call(production, "the page's request", 200).bearer(key),
        call(production, "another token of the business", 200).bearer("sample-built-acme-production-0002"),
        call(staging, "Testing or Staging", 200).bearer(staging_key),
        call(production, "without authentication: 401 Unauthorized", 401, body=DEFAULT_401, answered=missing),
        call(production, "a token that does not exist", 401, **refused).bearer("sample-built-nobody"),
        call(production, "a staging token in production", 401, **refused).bearer(staging_key),
        call(staging, "a production token in staging", 401, **refused).bearer(key),
        call(staging, "a token that has expired", 401, **refused).bearer("sample-built-acme-expired-0001"),
        call(production, "a token that was revoked", 401, **refused).bearer("sample-built-harbor-revoked-0001"),
        call(production, "production requires approval", 403, body=DEFAULT_403).bearer("sample-built-harbor-in-review-0001"),
        call(production, "must be made over HTTPS", 403, body=DEFAULT_403, tls=False).bearer(key),
    ]


def onebalance() -> list[Call]:
    def call(what: str, status: int, target: str = "GET /api/assets/list", key: str | None = None, **expected: object) -> Call:
        headers = (("x-api-key", key),) if key else ()
        return Call("onebalance", "be.onebalance.io", target, what, status, headers, **expected)

    execute = "POST /api/quotes/execute-quote"
    unauthorized = {"body": ONEBALANCE_401,
                    "answered": challenge('ApiKey realm="OneBalance"') | {"Content-Type": "application/json"}}
    return [
        call("the page's request, public testing key", 200, key=PUBLIC),
        call("a production key", 200, key="sample-onebalance-project-one-0001"),
        call("it works for all endpoints", 200, execute, PUBLIC),
        call("no x-api-key header", 401, **unauthorized),
        call("key is not correct", 401, key=PUBLIC.replace("42bb", "0000"), **unauthorized),
        call("key is expired", 401, key="sample-onebalance-project-one-expired-0001", **unauthorized),
        call("key was rotated", 401, key="sample-onebalance-project-one-rotated-0001", **unauthorized),
        call("HTTP requests will fail", 401, key=PUBLIC, tls=False, **unauthorized),
        call("may not have permission for this endpoint", 403, execute, "sample-onebalance-project-one-reader-0001",
             body={"error": "Forbidden", "message": "Your key may not have permission for this endpoint", "code": 403}),
        call("from an address of the project", 200, key="sample-onebalance-project-two-servers-0001", client="198.51.100.9"),
        call("from another address", 403, key="sample-onebalance-project-two-servers-0001", client="203.0.113.9"),
        call("exceeding your key's rate limits", 429, key=PUBLIC, times=100,
             body={"error": "Too Many Requests", "message": "You're exceeding your key's rate limits", "code": 429},
             answered={"Retry-After": "1"}),
        call("x_api_key beside x-api-key", 400, key="sample-onebalance-project-one-0001").with_headers(("x_api_key", "x")),
    ]


def aver(served: Served) -> list[Call]:
    def call(what: str, status: int, target: str = "GET /api/events", **expected: object) -> Call:
        return Call("aver", "app.goaver.com", target, what, status, **expected)

    login = call("key:secret for a token", 200, "POST /api/auth").with_headers(basic(PAIR))
    token = json.loads(login.make(served).body)["token"]
    signed, _, signature = token.rpartition(".")
    changed = f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    bearer, of_basic = challenge('Bearer realm="Aver"'), challenge('Basic realm="Aver", charset="UTF-8"')
    invalid = challenge('Bearer realm="Aver", error="invalid_token"')
    exchange = "POST /api/auth"
    return [
        login,
        call("the token, for all API resource calls", 200).bearer(token),
        call("no authorization header", 401, body=DEFAULT_401, answered=bearer),
        call("key:secret in place of a token", 401, answered=bearer).with_headers(basic(PAIR)),
        call("a token that was changed", 401, body=DEFAULT_401, answered=invalid).bearer(changed),
        call("no key:secret", 401, exchange, body=DEFAULT_401, answered=of_basic),
        call("a wrong secret", 401, exchange, body=DEFAULT_401, answered=of_basic).with_headers(basic("sample-aver-portal:wrong")),
        call("a revoked key", 401, exchange, answered=of_basic)
        .with_headers(basic("sample-aver-former:sample-aver-former-secret-0001")),
        call("a suspended key", 403, exchange, body=DEFAULT_403).with_headers(basic("sample-aver-held:sample-aver-held-secret-0001")),
        call("a token over plain HTTP", 403, tls=False).bearer(token),
    ]


def interstellas(folder: Path) -> list[Call]:
    now = int(time.time())
    north, south = (sign_in(folder, f"business-{name}", now) for name in ("north", "south"))
    old = sign_in(folder, "business-north", now - 7 * 86400)
    forged = north[:-8] + ("A" * 8 if north[-8:] != "A" * 8 else "B" * 8)
    bearer = challenge('Bearer realm="Interstellas"')
    invalid = challenge('Bearer realm="Interstellas", error="invalid_token"')
    in_header = challenge('ApiKey realm="Interstellas"')

    def call(what: str, status: int, target: str = "GET /wallets", **expected: object) -> Call:
        return Call("interstellas", "api.interstellas.example", target, what, status, **expected)

    def three(made: Call, token: str | None, key: str | None, business: str | None) -> Call:
        headers = [("Authorization", f"Bearer {token}")] if token else []
        headers += [("SECRET_KEY", key)] if key else []
        headers += [("businessId", business)] if business else []
        return made.with_headers(*headers)

    refused = {"body": DEFAULT_401, "answered": invalid}
    return [
        call("POST /auth/signin, before there is a token", 200, "POST /auth/signin"),
        three(call("all three headers", 200), north, NORTH, "business-north"),
        three(call("Missing Authorization", 401, body=DEFAULT_401, answered=bearer), None, NORTH, "business-north"),
        three(call("expired token", 401, **refused), old, NORTH, "business-north"),
        three(call("invalid token", 401, **refused), forged, NORTH, "business-north"),
        three(call("Missing SECRET_KEY", 401, body=DEFAULT_401, answered=in_header), north, None, "business-north"),
        three(call("invalid SECRET_KEY", 401, body=DEFAULT_401, answered=in_header), north, "nobody's", "business-north"),
        three(call("a SECRET_KEY of the sandbox", 401, body=DEFAULT_401), north, SANDBOX, "business-north"),
        three(call("a SECRET_KEY that was rotated", 401), north, "sample-interstellas-north-production-0001", "business-north"),
        three(call("no businessId", 401, body=DEFAULT_401, answered=in_header), north, NORTH, None),
        three(call("another business", 403, body=DEFAULT_403), north, NORTH, "business-south"),
        three(call("Get API keys, without SECRET_KEY", 200, "GET /settings/keys"), north, None, "business-north"),
        three(call("a permission that the key has", 200, "POST /transfers"), north, NORTH, "business-north"),
        three(call("lacks permission for the resource", 403, "POST /transfers", body=DEFAULT_403), south, SOUTH, "business-south"),
        three(call("Secret-Key beside SECRET_KEY", 400), north, NORTH, "business-north").with_headers(("Secret-Key", "x")),
    ]


def sign_in(folder: Path, business: str, now: int) -> str:
    """A token as Interstellas' sign-in would issue it: RS256, and only its public key is in the keyring."""
    def part(data: bytes) -> bytes:
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"iss": "https://signin.interstellas.example/", "aud": "interstellas", "sub": "ada@example.com",
              "businesses": [business], "scope": "keys:read", "iat": now, "exp": now + 3600}
    header = {"alg": "RS256", "typ": "JWT", "kid": "signin-1"}
    signed = b".".join(part(json.dumps(half).encode()) for half in (header, claims))
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", folder / "signin.pem"], input=signed,
                               capture_output=True, check=True).stdout
    return (signed + b"." + part(signature)).decode()


def keyring(folder: Path) -> None:
    """keyring.toml with a pepper, Aver's secret and the public key of Interstellas' sign-in."""
    def openssl(*arguments: str) -> str:
        return subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout

    path = folder / "keyring.toml"
    subprocess.run([CLI, "keyring", "new", "-o", path], check=True, capture_output=True)
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "signin.pem")
    public = openssl("pkey", "-in", "signin.pem", "-pubout")
    with path.open("a") as file:
        file.write(f'\n[[token_key]]\nrealm = "aver"\nkid = "aver-1"\nalg = "HS256"\nsecret = "{openssl("rand", "-base64", "32").strip()}"\n'
                   f'\n[[token_key]]\nrealm = "interstellas"\nkid = "signin-1"\nalg = "RS256"\npublic_key = """\n{public}"""\n')


def publish(folder: Path, keys: str) -> None:
    (folder / "keys.jsonl").write_text(keys)
    subprocess.run([CLI, "build", "--config", folder / "keyward.toml", "--keyring", folder / "keyring.toml",
                    "--keys", folder / "keys.jsonl", "-o", folder / "keys.kwd"], check=True, capture_output=True)


def sample_keys() -> str:
    return "".join((PROFILES / name / "keys.jsonl").read_text() for name in NAMES)


def lay_out(folder: Path, application: int, keys: str, workers: int) -> tuple[str, Served]:
    """Everything that the five need in `folder`, and profiles/nginx.conf with its places changed to that folder's."""
    folder.chmod(0o755)
    (folder / "keyward.toml").write_text("".join((PROFILES / name / "keyward.toml").read_text() for name in NAMES))
    keyring(folder)
    publish(folder, keys)
    certificate(folder, HOSTS)
    served = Served(folder, free_port(), free_port(), free_port())
    for name in NAMES:
        (folder / "profiles" / name).mkdir(parents=True)
        text = (PROFILES / name / "nginx.conf").read_text()
        (folder / "profiles" / name / "nginx.conf").write_text(placed(text, listening(served)))
    # The clients of the tests stand behind a proxy on loopback.
    proxies = "  set_real_ip_from 127.0.0.0/8;\n  real_ip_header X-Forwarded-For;\n"
    changes = {
        "modules/ngx_http_keyward_module.so": MODULE,
        "worker_processes auto;": f"worker_processes {workers};\ndaemon off;",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "/var/lib/keyward/keys.kwd": f"{folder}/keys.kwd",
        "/etc/keyward/keyring.toml": f"{folder}/keyring.toml",
        "/var/lib/keyward/keys.state": f"{folder}/keys.state",
        "/etc/nginx/certificate.pem": f"{folder}/certificate.pem",
        "/etc/nginx/key.pem": f"{folder}/key.pem",
        "/etc/keyward/profiles/": f"{folder}/profiles/",
        "127.0.0.1:8080": f"127.0.0.1:{application}",
        "127.0.0.1:8081": f"127.0.0.1:{served.status_port}",
        "http {\n": "http {\n" + proxies + temporary(folder),
        "listen 80 default_server;": f"listen 127.0.0.1:{served.port} default_server;",
        "listen 443 ssl default_server;": f"listen 127.0.0.1:{served.tls_port} ssl default_server;",
    }
    return placed((PROFILES / "nginx.conf").read_text(), changes), served


def listening(served: Served) -> dict[str, str]:
    return {"listen 80;": f"listen 127.0.0.1:{served.port};", "listen 443 ssl;": f"listen 127.0.0.1:{served.tls_port} ssl;"}


def placed(text: str, changes: dict[str, str]) -> str:
    """`text` with each of the `changes` made. One that finds nothing is a mistake: the file says something else by now."""
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"the configuration has no {old!r}")
        text = text.replace(old, new)
    leftover = re.search(r"^[^#\n]*(/etc/|/var/|/run/|listen (80|443))", text, re.MULTILINE)
    if leftover:
        raise ValueError(f"the configuration still has a system's path or port: {leftover[0]!r}")
    return text
