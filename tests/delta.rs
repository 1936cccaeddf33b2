//! A full snapshot with a delta over it answers as if its keys had been built into one file: over random histories,
//! against exactly that file.

use keyward::build::BuildError;
use keyward::digest::{Digest, DigestKey, sha256};
use keyward::engine::{Engine, Reload};
use keyward::format::header::Header;
use keyward::keyring::Keyring;
use keyward::realm::{Configuration, CredentialKind};
use keyward::request::{Peer, Request};
use keyward::time::Timestamp;
use keyward::token::{Grant, issue};
use keyward_testkit::{NOW, build, build_delta, keyring, options, stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::num::NonZero;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many histories there are, where nobody asks for more.
const HISTORIES: u64 = 10_000;
/// How many deltas each has, one after the other on the same base.
const DELTAS: u64 = 2;

/// One realm whose keys tokens can be bound to, and one without tokens whose keys are hashed first.
const CONFIGURATION: &str = r#"
[realm.bound]
environments = ["live", "test"]
default_require = ["key"]
default_rate_limit = "wide"
unmatched = "authenticated"
[realm.bound.credential.key]
kind = "key"
source = "header:X-Key"
[realm.bound.credential.pair]
kind = "basic"
source = "basic"
[realm.bound.credential.token]
kind = "token"
source = "bearer"
issuer = "bound"
audience = "bound"
[[realm.bound.route]]
path = "/token"
require = ["token"]
[[realm.bound.route]]
path = "/pair"
require = ["pair"]
scopes = ["read"]
[[realm.bound.route]]
path = "/both"
require = ["key", "token"]
[[realm.bound.route]]
path = "/read"
scopes = ["read"]
[[realm.bound.route]]
path = "/any"
any_scopes = ["write", "admin"]
[realm.bound.rate_limit.narrow]
requests = 2
period = 60
[realm.bound.rate_limit.wide]
requests = 1000000
period = 1

[realm.free]
[realm.free.credential.key]
kind = "key"
source = "header:X-Key"
digests = ["blake3", "sha256"]
"#;

const KEYRING: &str = r#"
[[pepper]]
id = 1
key = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
[[token_key]]
realm = "bound"
kid = "1"
alg = "HS256"
secret = "YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE="
"#;

/// How many ids each realm can have, and how many secrets each credential.
const IDS: u64 = 7;
const SECRETS: u64 = 9;
/// The credentials that have keys: the realm, the name, and whether it takes pairs.
const CREDENTIALS: [(&str, &str, bool); 3] =
    [("bound", "key", false), ("bound", "pair", true), ("free", "key", false)];

const SCOPES: [&str; 5] = ["admin", "ghost", "read", "write", "zeal"];
const TENANTS: [&str; 4] = ["acme", "harbor", "quay", "zürich"];
const ADDRESSES: [&str; 3] =
    [r#""203.0.113.0/24""#, r#""192.0.2.1","2001:db8::/32""#, r#""203.0.113.9","198.51.100.0/24""#];
const STATUSES: [&str; 6] = ["active", "active", "active", "suspended", "revoked", "pending"];

/// SplitMix64: numbers that look random, from a seed that a failure can name.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

fn secret(credential: usize, number: u64) -> String {
    let (realm, name, pair) = CREDENTIALS[credential];
    if pair { format!("id-{number}:secret-{number}") } else { format!("{realm}-{name}-{number}") }
}

/// What a key is found by: the number of its credential, and of its secret.
type Presented = (usize, u64);

/// A key: what it is found by, and everything else that its line says.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    presented: Presented,
    rest: String,
}

/// The keys that there are, by realm and id.
#[derive(Clone, Default)]
struct Keys(BTreeMap<(&'static str, u64), Key>);

impl Keys {
    fn has(&self, presented: Presented) -> bool {
        self.0.values().any(|key| key.presented == presented)
    }

    /// Changes something: adds a key, removes one, gives one another secret, another id or other attributes.
    fn change(&mut self, random: &mut Random) {
        let credential = random.below(CREDENTIALS.len() as u64) as usize;
        let realm = CREDENTIALS[credential].0;
        let (id, number) = (random.below(IDS), random.below(SECRETS));
        match random.below(8) {
            0 | 1 => {
                self.0.remove(&(realm, id));
            }
            // The same secret goes by another id.
            2 => {
                if let Some(key) = self.0.remove(&(realm, id)) {
                    self.0.insert((realm, random.below(IDS)), key);
                }
            }
            // Two change places.
            3 => {
                let other = random.below(IDS);
                if let (Some(one), Some(two)) = (self.0.remove(&(realm, id)), self.0.remove(&(realm, other)))
                {
                    self.0.extend([((realm, id), two), ((realm, other), one)]);
                }
            }
            4 => {
                if let Some(key) = self.0.get_mut(&(realm, id)) {
                    key.rest = attributes(realm, random);
                }
            }
            _ => {
                if !self.has((credential, number)) {
                    let rest = attributes(realm, random);
                    self.0.insert((realm, id), Key { presented: (credential, number), rest });
                }
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.iter().map(|((realm, id), key)| line(realm, *id, key)).collect()
    }
}

fn attributes(realm: &str, random: &mut Random) -> String {
    let mut text = String::new();
    if random.one_in(2) {
        let _ = write!(text, r#","tenant":"{}""#, TENANTS[random.below(4) as usize]);
    }
    if realm == "bound" {
        if random.one_in(3) {
            let _ = write!(text, r#","environment":"{}""#, ["live", "test"][random.below(2) as usize]);
        }
        if random.one_in(4) {
            text.push_str(r#","rate_limit":"narrow""#);
        }
    }
    if random.one_in(4) {
        let _ = write!(text, r#","allow_ips":[{}]"#, ADDRESSES[random.below(3) as usize]);
    }
    let scopes: Vec<String> =
        SCOPES.iter().filter(|_| random.one_in(3)).map(|scope| format!("\"{scope}\"")).collect();
    let _ = write!(text, r#","scopes":[{}]"#, scopes.join(","));
    match random.below(6) {
        0 => text.push_str(r#","expires_at":1700000000"#),
        1 => text.push_str(r#","expires_at":1893456000"#),
        2 => text.push_str(r#","not_before":1893456000"#),
        _ => {}
    }
    let _ = write!(text, r#","status":"{}""#, STATUSES[random.below(6) as usize]);
    text
}

fn line(realm: &str, id: u64, key: &Key) -> String {
    let (credential, number) = key.presented;
    let (_, name, pair) = CREDENTIALS[credential];
    let secret = match pair {
        true => format!(r#""basic":{{"id":"id-{number}","secret":"secret-{number}"}}"#),
        false => format!(r#""key":"{}""#, secret(credential, number)),
    };
    format!(r#"{{"realm":"{realm}","id":"key-{id}","credential":"{name}",{secret}{}}}"#, key.rest)
}

/// The line that says that the key that is found by this is gone.
fn removal((credential, number): Presented, random: &mut Random) -> String {
    let key = Key { presented: (credential, number), rest: r#","status":"removed""#.to_owned() };
    // By which id it went does not matter.
    line(CREDENTIALS[credential].0, random.below(IDS), &key)
}

/// The digest of what is presented, as snapshots have it.
fn digest((credential, number): Presented) -> Digest {
    static KEYS: LazyLock<Vec<(DigestKey, bool)>> = LazyLock::new(|| {
        let keyring = keyring(KEYRING);
        let pepper = keyring.newest_pepper().expect("it has one").key();
        let keys = CREDENTIALS
            .iter()
            .map(|(realm, name, _)| (DigestKey::derive(pepper, realm, name), *realm == "free"));
        keys.collect()
    });
    let (key, hashed) = &KEYS[credential];
    let text = secret(credential, number);
    if *hashed { key.digest(&sha256(text.as_bytes())) } else { key.digest(text.as_bytes()) }
}

/// What a delta is made of: lines, and digests of keys that are gone.
struct Delta {
    lines: Vec<String>,
    removed: Vec<Digest>,
}

/// What has changed from `base` to `now`, with a little that has not.
fn difference(base: &Keys, now: &Keys, random: &mut Random) -> Delta {
    let changed = now.0.iter().filter(|(name, key)| base.0.get(name) != Some(key) || random.one_in(8));
    let mut lines: Vec<String> = changed.map(|((realm, id), key)| line(realm, *id, key)).collect();
    let mut removed = Vec::new();
    let all =
        (0..CREDENTIALS.len()).flat_map(|credential| (0..SECRETS).map(move |number| (credential, number)));
    for presented in all.filter(|presented| !now.has(*presented)) {
        // Sometimes what is gone was never there, and sometimes it is said twice.
        if !base.has(presented) && !random.one_in(16) {
            continue;
        }
        match random.below(5) {
            0 | 1 => lines.push(removal(presented, random)),
            2 | 3 => removed.push(digest(presented)),
            _ => {
                lines.push(removal(presented, random));
                removed.push(digest(presented));
            }
        }
    }
    for at in (1..lines.len()).rev() {
        lines.swap(at, random.below(at as u64 + 1) as usize);
    }
    Delta { lines, removed }
}

impl Delta {
    fn build(&self, base: &[u8], generation: u64) -> Result<Vec<u8>, BuildError> {
        let (lines, removed) = (self.lines.join("\n"), self.removed.iter().copied());
        build_delta(base, CONFIGURATION, KEYRING, &lines, removed, stamp(generation))
    }
}

/// Tokens that are bound to each id, also of ids that no key ever has.
fn tokens() -> &'static [String] {
    static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let configuration = Configuration::read(CONFIGURATION, "keyward.toml").expect("it is sound");
        let realm = configuration.realms.iter().find(|realm| realm.has_tokens()).expect("one has");
        let rules = realm.credentials.iter().find_map(|credential| match &credential.kind {
            CredentialKind::Token(rules) => Some(rules),
            _ => None,
        });
        let keyring: Keyring = keyring(KEYRING);
        let token = |id: u64| {
            let id = format!("key-{id}");
            let grant = Grant { subject: &id, tenant: None, scopes: &["read"], key_id: &id };
            let now = Timestamp::from_seconds(NOW);
            issue(rules.expect("it has"), &keyring.token_keys("bound")[0], &grant, now).expect("it can sign")
        };
        (0..=IDS).map(|id| format!("Bearer {}", token(id))).collect()
    });
    &TOKENS
}

/// Everything that a verdict says.
fn ask(engine: &Engine, request: &Request<'_, [(&str, &str)]>, heard: &mut String) {
    let verdict = engine.verify(request);
    let scopes: Vec<_> = verdict.scopes().collect();
    let who = (verdict.key_id(), verdict.tenant(), verdict.environment(), scopes, verdict.subject());
    let said = (verdict.reason().name(), verdict.scope(), verdict.retry_after(), verdict.answer());
    let _ = writeln!(heard, "{} {:?} {:?}: {who:?} {said:?}", request.realm, request.path, request.headers);
}

/// The path, the address, the environment and the scopes that a request comes with.
type Way<'a> = (Option<&'a [u8]>, [u8; 4], Option<&'a str>, &'a [&'a str]);

/// Asks about every key that there is, was or could be, in several ways.
fn ask_all(engine: &Engine) -> String {
    let mut heard = String::new();
    let ways: [Way<'_>; 4] = [
        (Some(b"/read"), [203, 0, 113, 9], None, &[]),
        (Some(b"/any"), [192, 0, 2, 1], Some("live"), &[]),
        (None, [198, 51, 100, 7], None, &["read", "zeal", "unheard"]),
        (None, [203, 0, 113, 200], None, &["ghost"]),
    ];
    let mut all = |realm: &str, path, address: [u8; 4], environment, scopes, headers: &[(&str, &str)]| {
        let peer = Peer::Address(address.into());
        let now = Some(Timestamp::from_seconds(NOW));
        let request =
            Request { method: None, path, peer, environment, scopes, now, ..Request::new(realm, headers) };
        ask(engine, &request, &mut heard);
    };
    for (credential, (realm, _, pair)) in CREDENTIALS.into_iter().enumerate() {
        for number in 0..SECRETS {
            let text = secret(credential, number);
            if pair {
                use base64::prelude::{BASE64_STANDARD, Engine as _};
                let basic = format!("Basic {}", BASE64_STANDARD.encode(&text));
                all(realm, Some(b"/pair"), [203, 0, 113, 9], None, &[], &[("Authorization", &basic)]);
                continue;
            }
            for (path, address, environment, scopes) in ways {
                let environment = environment.filter(|_| realm == "bound");
                all(realm, path, address, environment, scopes, &[("X-Key", &text)]);
            }
        }
    }
    for (id, token) in tokens().iter().enumerate() {
        let bearer = ("Authorization", token.as_str());
        all("bound", Some(b"/token"), [203, 0, 113, 9], None, &[], &[bearer]);
        let other = secret(0, id as u64);
        all("bound", Some(b"/both"), [203, 0, 113, 9], None, &[], &[bearer, ("X-Key", &other)]);
    }
    heard
}

/// What is known of all keys without asking about any: how many there are, and what their records say.
fn census(engine: &Engine) -> (u64, usize, BTreeSet<String>) {
    let info = engine.info().loaded.expect("it is loaded");
    let pinned = engine.pin();
    let layers = pinned.plan().expect("it is loaded").layers();
    let keys = layers.entries().map(|entry| {
        let entry = entry.expect("it is good");
        let said = entry.attributes();
        let numbers = layers.scopes(&entry).expect("it is good").into_numbers();
        let scopes: Vec<_> = numbers.map(|number| layers.scope_name(&entry, number)).collect();
        let names = (layers.realm_of(&entry), layers.id(&entry), layers.tenant(&entry), scopes);
        let times = (said.not_before, said.expires_at);
        let rest = (said.id_tag, said.rate_limit, said.credential, said.environment, said.status);
        let addresses = ["203.0.113.9", "192.0.2.1", "2001:db8::7", "198.51.100.7"]
            .map(|address| layers.allows_address(&entry, address.parse().ok()));
        format!("{names:?} {times:?} {rest:?} {addresses:?}")
    });
    (info.keys, info.realms, keys.collect())
}

fn history(seed: u64) {
    let random = &mut Random(seed);
    let mut base = Keys::default();
    for _ in 0..random.below(40) {
        base.change(random);
    }
    let full = build(CONFIGURATION, KEYRING, &base.lines().join("\n"), stamp(1));
    let open = || Engine::from_bytes(full.clone(), keyring(KEYRING), options()).expect("it is good");
    let (layered, rebuilt) = (open(), open());
    let mut now = base.clone();
    for generation in 2..2 + DELTAS {
        for _ in 0..1 + random.below(10) {
            now.change(random);
        }
        let delta = difference(&base, &now, random);
        let bytes = delta.build(&full, generation).expect("it is sound");
        let header = Header::read(&bytes, bytes.len() as u64).expect("it is good");
        assert_eq!((header.base_generation, header.keys_in_all), (1, now.0.len() as u64), "seed {seed}");
        if random.one_in(16) {
            let mut reversed = Delta { lines: delta.lines.clone(), removed: delta.removed.clone() };
            reversed.lines.reverse();
            reversed.removed.reverse();
            assert!(reversed.build(&full, generation).is_ok_and(|other| other == bytes), "seed {seed}");
        }
        let loaded = Reload::Loaded { generation, replaced: Some(generation - 1) };
        assert_eq!(layered.apply(bytes).ok(), Some(loaded), "seed {seed}");
        let whole = build(CONFIGURATION, KEYRING, &now.lines().join("\n"), stamp(generation));
        assert_eq!(rebuilt.replace(whole).ok(), Some(loaded), "seed {seed}");
        assert_eq!(census(&layered), census(&rebuilt), "seed {seed}, generation {generation}");
        let (heard, expected) = (ask_all(&layered), ask_all(&rebuilt));
        let differ = heard.lines().zip(expected.lines()).find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {seed}, generation {generation}");
        assert_eq!(layered.counts(), rebuilt.counts(), "seed {seed}");
    }
}

#[test]
fn base_and_delta_equal_full() {
    let asked = std::env::var("KEYWARD_HISTORIES").ok().and_then(|count| count.parse().ok());
    let (next, last) = (AtomicU64::new(0), asked.unwrap_or(HISTORIES));
    // Threads of their own: building has a pool for itself, and one of rayon's that waits for it takes up another history.
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, NonZero::get) {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < last)
                {
                    history(seed);
                }
            });
        }
    });
}
