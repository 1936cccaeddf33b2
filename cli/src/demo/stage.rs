//! What the demo plays on: a folder with a keyring and a snapshot, and an engine that maps it.

use super::keys::{CONFIGURATION, Keys};
use crate::failure::Failure;
use crate::progress::Progress;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use keyward::build::{Published, Publisher, Source, Stamp};
use keyward::engine::{Engine, Options};
use keyward::keyring::Keyring;
use keyward::realm::{Configuration, CredentialKind, TokenRules};
use keyward::time::Timestamp;
use keyward::token::{self, Grant};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Room for the rate-limit state of every key that the measurement asks for.
const LIMITER_SLOTS: usize = 1 << 20;
/// The id of the only token key of each realm.
const KID: &str = "demo-1";

pub(super) struct Stage {
    pub(super) snapshot: PathBuf,
    pub(super) configuration: Configuration,
    pub(super) keyring: Keyring,
    pub(super) keys: Keys,
}

impl Stage {
    /// Puts a new keyring into `folder`, and the configuration, so that both can be looked at.
    pub(super) fn new(folder: &Path, count: u64) -> Result<Self, Failure> {
        let path = folder.join("keyring.toml");
        let mut text = Keyring::generate()?;
        for realm in ["aver", "interstellas"] {
            let secret = Zeroizing::new(BASE64_STANDARD.encode(*random()?));
            text.push_str(&format!(
                "\n[[token_key]]\nrealm = \"{realm}\"\nkid = \"{KID}\"\nalg = \"HS256\"\nsecret = \"{}\"\n",
                *secret
            ));
        }
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| Failure::file(&path, error))?;
        let configuration_path = folder.join("keyward.toml");
        fs::write(&configuration_path, CONFIGURATION)
            .map_err(|error| Failure::file(&configuration_path, error))?;
        let keyring = Keyring::load(&path)?;
        let configuration = Configuration::read(CONFIGURATION, &configuration_path.to_string_lossy())?;
        keyring.check_realms(&configuration)?;
        Ok(Self { snapshot: folder.join("keys.kwd"), configuration, keyring, keys: Keys::new(count)? })
    }

    /// Builds every key anew and publishes the next generation, as `keyward build` does.
    pub(super) fn publish(&self, revoked: &[(&str, &str)]) -> Result<(Published, Duration), Failure> {
        let started = Instant::now();
        let progress = Progress::new();
        let report = |done| progress.show_build(done, None);
        let source = Source { name: "the demo's keys", threads: None, progress: &report };
        let collection = self.keys.collect(&self.configuration, &self.keyring, revoked, &source)?;
        let publisher = Publisher::lock(&self.snapshot)?;
        let stamp = Stamp { generation: publisher.next_generation()?, created: 0, max_age: 0 };
        let published =
            publisher.publish(stamp.generation, false, |file| collection.write(stamp, file, &report))?;
        Ok((published, started.elapsed()))
    }

    /// An engine that maps the snapshot.
    pub(super) fn engine(&self, folder: &Path) -> Result<Engine, Failure> {
        let keyring = Keyring::load(&folder.join("keyring.toml"))?;
        Ok(Engine::open(
            &self.snapshot,
            keyring,
            Options { limiter_slots: LIMITER_SLOTS, ..Options::default() },
        )?)
    }

    /// A token as Interstellas' sign-in would issue it, by the realm's rules.
    pub(super) fn sign_in(&self, business: &str, at: Timestamp) -> Result<String, Failure> {
        let missing = || Failure::data("the demo's keyring has no key for Interstellas");
        let key = self.keyring.token_keys("interstellas").first().ok_or_else(missing)?;
        self.sign(business, key, at)
    }

    /// The same with a key that is not the sign-in's.
    pub(super) fn forge(&self, business: &str, at: Timestamp) -> Result<String, Failure> {
        let algorithm = token::Algorithm::from_name("HS256").ok_or_else(|| Failure::data("no HS256"))?;
        let key = token::Key::from_secret(KID.to_owned(), algorithm, &*random()?).map_err(Failure::data)?;
        self.sign(business, &key, at)
    }

    fn sign(&self, business: &str, key: &token::Key, at: Timestamp) -> Result<String, Failure> {
        let grant = Grant {
            subject: "ada@example.com",
            tenant: Some(business),
            scopes: &["keys:read"],
            key_id: "north-production",
        };
        let rules = self.interstellas_rules().ok_or_else(|| Failure::data("Interstellas takes no tokens"))?;
        token::issue(rules, key, &grant, at).map_err(Failure::data)
    }

    fn interstellas_rules(&self) -> Option<&TokenRules> {
        let realm = self.configuration.realms.iter().find(|realm| realm.name == "interstellas")?;
        realm.credentials.iter().find_map(|credential| match &credential.kind {
            CredentialKind::Token(rules) => Some(rules),
            _ => None,
        })
    }
}

fn random() -> io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}
