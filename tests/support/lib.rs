//! What the tests of the whole engine start from: one small configuration with everything in it, its
//! keyring, its keys, and the snapshot that they make.

pub mod ask;
pub mod databases;
pub mod forge;
pub mod fuzz;
pub mod parts;
pub mod postgres;
pub mod program;

use keyward::build::{BuildError, Changes, Collection, Source, Stamp};
use keyward::digest::Digest;
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::realm::Configuration;
use keyward::request::{Peer, Request};
use keyward::snapshot::{Check, Snapshot};
use keyward::time::Timestamp;
use std::io::Cursor;
use std::num::NonZero;

/// When the fixture's requests come.
pub const NOW: u64 = 1_764_000_000;

/// Three realms with every kind of credential and rule.
pub const CONFIGURATION: &str = r#"
[realm.files]
default_require = ["key", "tenant"]
[realm.files.credential.key]
kind = "key"
source = "header:X-Key"
digests = ["blake3", "sha256"]
[realm.files.credential.tenant]
kind = "tenant"
source = "header:X-Tenant"

[realm.hub]
default_require = ["token"]
[realm.hub.credential.login]
kind = "basic"
source = "basic"
[realm.hub.credential.token]
kind = "token"
source = "bearer"
issuer = "hub"
audience = "hub"
[[realm.hub.route]]
methods = ["POST"]
path = "/login"
require = ["login"]
[[realm.hub.route]]
path = "/things/{name}"
scopes = ["read"]

[realm.shop]
title = "The \"Shop\""
environments = ["live", "test"]
hosts = { "api.example.com" = "live", "test.example.com" = "test" }
require_tls = true
trusted_proxies = ["10.0.0.0/8", "unix"]
client_ip_header = "X-Forwarded-For"
default_rate_limit = "wide"
[realm.shop.credential.key]
kind = "key"
source = ["bearer", "basic"]
format = "sk_{environment}_{secret}"
secret_alphabet = "hex"
secret_length = [16, 64]
[[realm.shop.route]]
path = "/health"
require = []
[[realm.shop.route]]
methods = ["GET"]
path = "/orders"
scopes = ["orders:read"]
[[realm.shop.route]]
methods = ["POST"]
path = "/orders/{id}"
any_scopes = ["orders:write", "admin"]
[realm.shop.rate_limit.narrow]
requests = 1
period = 3600
[realm.shop.rate_limit.wide]
requests = 1000000
period = 1
[realm.shop.errors.insufficient_scope]
body = '{"missing":"{scope}"}'
"#;

/// The fixture's secrets.
pub const KEYRING: &str = r#"
[[pepper]]
id = 1
key = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
[[token_key]]
realm = "hub"
kid = "hub-1"
alg = "HS256"
secret = "YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE="
"#;

/// A keyring with another pepper of the same id.
pub const OTHER_KEYRING: &str = r#"
[[pepper]]
id = 1
key = "ff1112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
[[token_key]]
realm = "hub"
kid = "hub-1"
alg = "HS256"
secret = "YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE="
"#;

/// The fixture's keys, a JSON object a line.
pub const KEYS: &str = r#"
{"realm":"shop","id":"reader","key":"sk_live_0000000000000001","tenant":"acme","environment":"live","scopes":["orders:read"]}
{"realm":"shop","id":"writer","key":"sk_test_0000000000000002","tenant":"acme","environment":"test","scopes":["orders:read","orders:write","admin"],"not_before":1700000000,"expires_at":1893456000}
{"realm":"shop","id":"office","key":"sk_live_0000000000000003","tenant":"harbor","environment":"live","allow_ips":["203.0.113.0/24","198.51.100.7","2001:db8::/32"],"scopes":["orders:read"]}
{"realm":"shop","id":"slow","key":"sk_live_0000000000000004","environment":"live","rate_limit":"narrow","scopes":["orders:read"]}
{"realm":"shop","id":"gone","key":"sk_live_0000000000000005","environment":"live","status":"revoked"}
{"realm":"shop","id":"held","key":"sk_live_0000000000000006","environment":"live","status":"suspended"}
{"realm":"shop","id":"past","key":"sk_live_0000000000000007","environment":"live","expires_at":1700000000}
{"realm":"files","id":"imported","digest":{"alg":"sha256","hex":"07d0273e20fde2b2f7eb254e6d173a3df878134d68ffbfe37c9cedd51acc0694"},"tenant":"zürich"}
{"realm":"files","id":"plain","key":"plain-file-key-0123456789","tenant":"lake"}
{"realm":"hub","id":"portal","basic":{"id":"portal","secret":"s3cr3t:with:colons"},"tenant":"acme","scopes":["read"]}
{"realm":"hub","id":"batch","basic":{"id":"batch","secret":"p\u00e4ss"},"tenant":"harbor"}
"#;

/// Keys of the fixture that are good at [`NOW`], each as a realm and a list of headers.
pub const GOOD: [(&str, &[(&str, &str)]); 6] = [
    ("shop", &[("Authorization", "Bearer sk_live_0000000000000001")]),
    ("shop", &[("Authorization", "Bearer sk_test_0000000000000002")]),
    ("shop", &[("Authorization", "Basic c2tfbGl2ZV8wMDAwMDAwMDAwMDAwMDAxOg==")]),
    (
        "shop",
        &[
            ("X-Forwarded-For", "192.0.2.1, 203.0.113.9"),
            ("Authorization", "Bearer sk_live_0000000000000003"),
        ],
    ),
    ("files", &[("X-Key", "plain-file-key-0123456789"), ("X-Tenant", "lake")]),
    ("hub", &[("Authorization", "Basic cG9ydGFsOnMzY3IzdDp3aXRoOmNvbG9ucw==")]),
];

/// Requests that nothing but a forged snapshot lets pass.
pub const BAD: [(&str, &[(&str, &str)]); 8] = [
    ("shop", &[("Authorization", "Bearer sk_live_0000000000000009")]),
    ("shop", &[("Authorization", "Bearer sk_live_0000000000000005")]),
    ("shop", &[("Authorization", "Bearer sk_live_0000000000000006")]),
    ("shop", &[("Authorization", "Bearer sk_live_0000000000000007")]),
    ("shop", &[("Authorization", "Bearer sk_live_x")]),
    ("shop", &[]),
    ("files", &[("X-Key", "plain-file-key-0123456789"), ("X-Tenant", "acme")]),
    ("nowhere", &[("X-Key", "plain-file-key-0123456789")]),
];

/// Reads a keyring.
pub fn keyring(text: &str) -> Keyring {
    Keyring::read(text, "keyring.toml").expect("the keyring is sound")
}

/// A snapshot of these keys, a JSON object a line, as generation `generation`.
pub fn build(configuration: &str, keyring_text: &str, keys: &str, stamp: Stamp) -> Vec<u8> {
    let configuration =
        Configuration::read(configuration, "keyward.toml").expect("the configuration is sound");
    let keys: String = keys.lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    let source = Source { name: "keys.jsonl", threads: NonZero::new(1), progress: &|_| {} };
    let collection = Collection::read(&configuration, &keyring(keyring_text), keys.as_bytes(), &source);
    let mut output = Cursor::new(Vec::new());
    collection
        .expect("the keys are sound")
        .write(stamp, &mut output, &|_| {})
        .expect("a vector takes everything");
    output.into_inner()
}

/// A delta on the snapshot `base` with these changes, a JSON object a line.
pub fn build_delta(
    base: &[u8],
    configuration: &str,
    keyring_text: &str,
    changes: &str,
    removed: impl IntoIterator<Item = Digest>,
    stamp: Stamp,
) -> Result<Vec<u8>, BuildError> {
    let configuration =
        Configuration::read(configuration, "keyward.toml").expect("the configuration is sound");
    let base = Snapshot::open(Bytes::owned(base.to_vec()), Check::Whole).expect("the base is good");
    let source = Source { name: "changes.jsonl", threads: NonZero::new(1), progress: &|_| {} };
    let keyring = keyring(keyring_text);
    let changes = Changes::read(&base, &configuration, &keyring, changes.as_bytes(), removed, &source)?;
    let mut output = Cursor::new(Vec::new());
    changes.write(stamp, &mut output, &|_| {})?;
    Ok(output.into_inner())
}

/// What a snapshot of that generation says of itself.
pub const fn stamp(generation: u64) -> Stamp {
    Stamp { generation, created: 0, max_age: 0 }
}

/// The fixture's snapshot.
pub fn snapshot() -> Vec<u8> {
    build(CONFIGURATION, KEYRING, KEYS, stamp(1))
}

/// What has changed in the fixture's keys: one is revoked, one gets another secret, one is gone, two are new, in one
/// of which everything is new.
pub const CHANGES: &str = r#"
{"realm":"shop","id":"reader","key":"sk_live_0000000000000001","tenant":"acme","environment":"live","scopes":["orders:read"],"status":"revoked"}
{"realm":"shop","id":"slow","key":"sk_live_0000000000000004","environment":"live","status":"removed"}
{"realm":"shop","id":"slow","key":"sk_live_0000000000000014","environment":"live","rate_limit":"wide","scopes":["orders:read"]}
{"realm":"shop","id":"past","key":"sk_live_0000000000000007","environment":"live","status":"removed"}
{"realm":"shop","id":"newest","key":"sk_test_0000000000000015","tenant":"quay","environment":"test","scopes":["admin","parcels:read"],"allow_ips":["203.0.113.0/24","2001:db8:1::/48"]}
{"realm":"hub","id":"reserve","basic":{"id":"reserve","secret":"another"},"tenant":"acme","scopes":["read"]}
{"realm":"hub","id":"batch","basic":{"id":"batch","secret":"p\u00e4ss"},"status":"removed"}
"#;

/// The fixture's delta, on [`snapshot`].
pub fn delta() -> Vec<u8> {
    build_delta(&snapshot(), CONFIGURATION, KEYRING, CHANGES.trim_start(), [], stamp(2)).expect("it is sound")
}

/// How the tests open: a table of limits that is quickly made.
pub fn options() -> Options {
    Options { limiter_slots: 64, ..Options::default() }
}

/// An engine over these bytes with the fixture's keyring.
pub fn engine(bytes: Vec<u8>) -> Engine {
    Engine::from_bytes(bytes, keyring(KEYRING), options()).expect("the snapshot is good")
}

/// A request with these headers, at [`NOW`], from a proxy that the fixture trusts, to the host of the key's
/// environment. Of the realm `hub` it asks for `/login`, since that takes tokens elsewhere.
pub fn request<'a>(realm: &'a str, headers: &'a [(&'a str, &'a str)]) -> Request<'a, [(&'a str, &'a str)]> {
    let test = headers.iter().any(|(_, value)| value.contains("sk_test"));
    Request {
        method: Some(b"POST"),
        path: (realm == "hub").then_some(b"/login"),
        host: Some(if test { b"test.example.com" } else { b"API.example.com:443" }),
        peer: Peer::Address([10, 1, 2, 3].into()),
        now: Some(Timestamp::from_seconds(NOW)),
        ..Request::new(realm, headers)
    }
}

/// The key whose SHA-256 the fixture's key `imported` is given as.
pub const IMPORTED: &str = "imported-key-0123456789";
