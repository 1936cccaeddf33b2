//! A folder with a configuration, a keyring and a keystore, and what is looked for after each fault.

use keyward::digest::DigestKey;
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::reason::Reason;
use keyward::record::Status;
use keyward::request::Request;
use keyward::snapshot::{Check, Layers, Snapshot, delta_path};
use keyward_keystore::{Actor, Entry, Place, Store, StoreError, StoredKey, file_in};
use keyward_testkit::postgres::Server;
pub(crate) use keyward_testkit::program::{assert_code, assert_refused, json, stderr, stdout};
pub(crate) use keyward_testkit::{databases::Kind, on_both};
use serde_json::Map;
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

const CONFIGURATION: &str = r#"
[realm.shop]
default_require = ["key"]
unmatched = "authenticated"
[realm.shop.credential.key]
kind = "key"
source = "header:X-Key"
format = "sk_{secret}"
secret_alphabet = "hex"
secret_length = 32
[realm.shop.credential.pair]
kind = "basic"
source = "basic"
"#;

const KEYRING: &str =
    "[[pepper]]\nid = 1\nkey = \"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\"\n";

/// Keys of which a delta is smaller than half of a full snapshot.
pub(crate) const MANY: u32 = 2_000;

/// SplitMix64: numbers that look random, the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

pub(crate) fn key_text(number: u32) -> String {
    format!("sk_{:032x}", u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835) ^ 0xA5A5)
}

pub(crate) struct House {
    folder: TempDir,
    pub(crate) place: Place,
    pub(crate) url: Option<String>,
}

impl House {
    /// One with so many keys, of which nothing is published.
    pub(crate) fn new(kind: Kind, keys: u32) -> Self {
        let url = (kind == Kind::Postgres).then(|| Server::shared().database());
        Self::at(url, keys)
    }

    /// One whose keystore is at that URL, or in a file.
    pub(crate) fn at(url: Option<String>, keys: u32) -> Self {
        let folder = TempDir::new().unwrap();
        let place = match &url {
            None => Place::Sqlite(file_in(folder.path())),
            Some(url) => url.parse().unwrap(),
        };
        let house = Self { folder, place, url };
        fs::write(house.path("keyward.toml"), CONFIGURATION).unwrap();
        fs::write(house.path("keyring.toml"), KEYRING).unwrap();
        fs::set_permissions(house.path("keyring.toml"), Permissions::from_mode(0o600)).unwrap();
        let (mut store, _) = Store::create(&house.place).unwrap();
        store
            .change::<_, StoreError>(&actor(), |change| {
                change.use_pepper(house.keyring().newest_pepper().unwrap()).unwrap();
                change.add_tenant("shop", "acme", None, true)?;
                change.log(&Entry::new("tenant.add"))
            })
            .unwrap();
        if keys > 0 {
            house.add(&mut store, 0..keys);
        }
        house
    }

    /// One whose keys are published.
    pub(crate) fn published(kind: Kind, keys: u32) -> Self {
        let house = Self::new(kind, keys);
        assert_code(&house.publish([]), 0);
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn keyring(&self) -> Keyring {
        Keyring::read(KEYRING, "keyring.toml").unwrap()
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(&self.place).unwrap()
    }

    /// A key that is presented like that.
    fn stored(&self, id: String, credential: &str, presented: &str) -> StoredKey {
        let keyring = self.keyring();
        let digests = DigestKey::derive(keyring.newest_pepper().unwrap().key(), "shop", credential);
        StoredKey {
            realm: "shop".to_owned(),
            id,
            credential: credential.to_owned(),
            digest: *digests.digest(presented.as_bytes()).as_bytes(),
            pepper: 1,
            sha256: false,
            login: None,
            tenant: Some("acme".to_owned()),
            environment: None,
            status: Status::Active,
            scopes: vec!["read".to_owned()],
            allow_ips: Vec::new(),
            rate_limit: None,
            not_before: None,
            expires_at: None,
            metadata: Map::new(),
            replaces: None,
            created_at: 1,
            added: 0,
            changed: 0,
            revoked: None,
        }
    }

    fn put(store: &mut Store, mut keys: Vec<StoredKey>) {
        store
            .change::<_, StoreError>(&actor(), |change| {
                change.add_keys(&mut keys)?;
                change.log(&Entry::new("key.create"))
            })
            .unwrap();
    }

    /// Adds keys in one change.
    pub(crate) fn add(&self, store: &mut Store, numbers: Range<u32>) {
        let key = |number| self.stored(format!("key_{number}"), "key", &key_text(number));
        Self::put(store, numbers.map(key).collect());
    }

    /// Adds a pair, presented as `id:secret`.
    pub(crate) fn add_pair(&self, store: &mut Store, id: &str, presented: &str) {
        Self::put(store, vec![self.stored(id.to_owned(), "pair", presented)]);
    }

    /// Revokes keys in one change.
    pub(crate) fn revoke(&self, store: &mut Store, numbers: Range<u32>) -> Result<(), StoreError> {
        store.change(&actor(), |change| {
            for number in numbers {
                let mut key = change.key("shop", &format!("key_{number}"))?.unwrap();
                key.status = Status::Revoked;
                change.update_key(&mut key)?;
            }
            change.log(&Entry::new("key.revoke"))
        })
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).arg("--dir").arg(self.folder.path());
        command.env_remove("KEYWARD_STORE").env_remove("KEYWARD_DIR").current_dir("/");
        if let Some(url) = &self.url {
            command.env("KEYWARD_STORE", url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn publish<const N: usize>(&self, more: [&str; N]) -> Output {
        self.run(&[&["publish"], &more[..]].concat())
    }

    pub(crate) fn snapshot(&self) -> PathBuf {
        self.path("keys.kwd")
    }

    /// What is in place, every hash of it checked.
    pub(crate) fn layers(&self) -> Layers {
        open(&self.snapshot())
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::open(&self.snapshot(), self.keyring(), Options::default()).unwrap()
    }
}

/// The snapshot at `path` with the delta beside it.
pub(crate) fn open(path: &Path) -> Layers {
    let bytes = |path: &Path| fs::read(path).map(Bytes::owned);
    let base = Arc::new(Snapshot::open(bytes(path).unwrap(), Check::Whole).unwrap());
    match bytes(&delta_path(path)) {
        // One that an earlier snapshot had is passed over, as by an engine.
        Ok(delta) => Layers::with_delta(Arc::clone(&base), delta).unwrap_or_else(|_| Layers::full(base)),
        Err(_) => Layers::full(base),
    }
}

pub(crate) fn decide(engine: &Engine, number: u32) -> Reason {
    let text = key_text(number);
    let headers: [(&[u8], &[u8]); 1] = [(b"X-Key", text.as_bytes())];
    engine.verify(&Request::new("shop", &headers[..])).reason()
}

pub(crate) fn actor() -> Actor {
    Actor::current(None)
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which bytes each generation had, wherever it was seen.
#[derive(Default)]
pub(crate) struct History(BTreeMap<u64, String>);

impl History {
    fn see(&mut self, generation: u64, hash: String) {
        let known = self.0.entry(generation).or_insert_with(|| hash.clone());
        assert_eq!(*known, hash, "generation {generation} has two contents");
    }

    /// The newest generation that was seen.
    pub(crate) fn newest(&self) -> u64 {
        self.0.keys().next_back().copied().unwrap_or(0)
    }

    /// That what is in place is whole, is what the keystore has noted under its generation, and says of every key
    /// what the keystore said of it at the change that it was published with.
    pub(crate) fn check(&mut self, house: &House) -> u64 {
        // As a server that starts now.
        let engine = house.engine();
        let layers = house.layers();
        let generation = layers.header().generation;
        assert_eq!(engine.info().loaded.unwrap().generation, generation);
        let (full, delta) = layers.hashes();
        let hash = hex(delta.unwrap_or(full));
        self.see(generation, hash.clone());
        let mut store = house.store();
        store
            .read::<_, StoreError>(|view| {
                let published = view.publication(generation)?.expect("what is in place was noted");
                assert_eq!(published.hash, hash);
                let newest = view.newest_publication()?.unwrap();
                self.see(newest.generation, newest.hash.clone());
                // A full snapshot and the delta on it are noted together.
                let together = u64::from(newest.base == Some(generation + 1));
                assert!(
                    newest.generation <= generation + 1 + together,
                    "{} was noted, {generation} is in place",
                    newest.generation
                );
                view.keys_changed_since(0, |key| {
                    let number = key.id.strip_prefix("key_").unwrap().parse().unwrap();
                    let expected = match key.revoked {
                        _ if key.added > published.change => Reason::UnknownKey,
                        Some(revoked) if revoked <= published.change => Reason::Revoked,
                        _ => Reason::Ok,
                    };
                    assert_eq!(decide(&engine, number), expected, "{} in generation {generation}", key.id);
                    Ok::<_, StoreError>(())
                })
            })
            .unwrap();
        generation
    }
}

/// Cuts a file short.
pub(crate) fn cut(path: &Path, by: u64) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    fs::set_permissions(path, Permissions::from_mode(mode | 0o200)).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - by).unwrap();
}
