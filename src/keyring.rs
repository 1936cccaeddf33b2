//! The keyring: the peppers, token keys, signing keys and sealing keys of a server, `keyring.toml`. It never enters a
//! snapshot, and nothing in it is ever put into a message.

mod write;

use crate::realm::document::{Document, Table};
use crate::realm::{ConfigError, Configuration, Fault, KeyPath};
use crate::signature::{self, Fingerprint, PublicKey, Signature, SignatureError, SigningKey};
use crate::token;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rustix::fs::OFlags;
use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use zeroize::Zeroizing;

/// Boxed, so that moving it leaves no copy behind.
type Secret = Box<Zeroizing<[u8; 32]>>;

/// A secret that every digest of a key depends on. Wiped when dropped.
pub struct Pepper {
    id: u32,
    key: Secret,
}

impl Pepper {
    /// The id that snapshots name it by.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The secret.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// A secret that a keystore seals keys under which their owners may read again. Servers need none. Wiped when dropped.
pub struct SealingKey {
    id: u32,
    key: Secret,
}

impl SealingKey {
    /// The id that the keystore names it by.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The secret.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// The token keys of one realm.
struct RealmKeys {
    /// The line of the first of them, for a realm that turns out to be unknown.
    line: usize,
    place: KeyPath,
    keys: Vec<token::Key>,
}

/// What a server knows and a snapshot does not.
pub struct Keyring {
    file: String,
    peppers: Vec<Pepper>,
    token_keys: BTreeMap<String, RealmKeys>,
    public_keys: Vec<PublicKey>,
    /// Shared with what is being built.
    signing_keys: Arc<[SigningKey]>,
    sealing_keys: Vec<SealingKey>,
}

/// The most private signing keys that a keyring may have: as many signatures as a snapshot has room for.
pub const SIGNING_KEY_LIMIT: usize = 10;

/// Why there is no keyring.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// It cannot be opened or read.
    #[error("the keyring {file} cannot be read: {source}; `keyward keyring new` writes a new one", file = file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a pipe or the like.
    #[error("the keyring {file} is not a regular file", file = file.display())]
    NotAFile {
        /// The file.
        file: PathBuf,
    },
    /// Others than its owner may read or write it.
    #[error(
        "the keyring {file} has mode {mode:04o}, so others than its owner can get at its secrets; run \
         `chmod 600 {file}`",
        file = file.display()
    )]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not text.
    #[error("the keyring {file} is not UTF-8 text", file = file.display())]
    NotText {
        /// The file.
        file: PathBuf,
    },
    /// What it says breaks a rule.
    #[error(transparent)]
    Content(#[from] ConfigError),
}

impl Keyring {
    /// Reads the file, which nobody but its owner may have access to.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let text = Self::load_text(path)?;
        Ok(Self::read(&text, &path.to_string_lossy())?)
    }

    /// The text of the file, which nobody but its owner may have access to.
    pub fn load_text(path: &Path) -> Result<Zeroizing<String>, KeyringError> {
        let unreadable = |source| KeyringError::Unreadable { file: path.to_owned(), source };
        // Opening a pipe would wait for somebody to write to it; it is refused below instead.
        let nonblocking = OFlags::NONBLOCK.bits() as i32;
        let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
        let mut file = file.map_err(unreadable)?;
        // Of the open file, not of the path: that may be another one by now.
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(KeyringError::NotAFile { file: path.to_owned() });
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyringError::Exposed { file: path.to_owned(), mode });
        }
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let room = usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        file.read_to_end(&mut bytes).map_err(unreadable)?;
        // The same memory: nothing is copied.
        let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            KeyringError::NotText { file: path.to_owned() }
        })?;
        Ok(Zeroizing::new(text))
    }

    /// Reads the text of a `keyring.toml`. `file` is what errors call it.
    pub fn read(text: &str, file: &str) -> Result<Self, ConfigError> {
        let mut document = Document::parse(text, file)?;
        let keyring = Self::walk(&document, file);
        let keyring = keyring.map_err(|fault| document.error(fault));
        document.wipe();
        keyring
    }

    fn walk(document: &Document<'_>, file: &str) -> Result<Self, Fault> {
        let root = document.root();
        root.only(&["pepper", "sealing_key", "signing_key", "token_key"], " of a keyring")?;
        let mut peppers = Vec::new();
        let mut ids = HashSet::new();
        for table in root.list_of_tables("pepper")? {
            let (id, key) = numbered_secret(&table, " of a pepper")?;
            let pepper = Pepper { id, key };
            if !ids.insert(pepper.id) {
                return Err(table
                    .fault("id", format!("a second pepper of id {}", pepper.id))
                    .expecting("an id for each; snapshots name the pepper that they need by it"));
            }
            peppers.push(pepper);
        }
        let mut sealing_keys = Vec::new();
        for table in root.list_of_tables("sealing_key")? {
            let (id, key) = numbered_secret(&table, " of a sealing key")?;
            if sealing_keys.iter().any(|other: &SealingKey| other.id == id) {
                return Err(table
                    .fault("id", format!("a second sealing key of id {id}"))
                    .expecting("an id for each; the keystore names the key that it needs by it"));
            }
            sealing_keys.push(SealingKey { id, key });
        }
        let mut token_keys: BTreeMap<String, RealmKeys> = BTreeMap::new();
        let mut kids = HashSet::new();
        for table in root.list_of_tables("token_key")? {
            let (realm, key) = token_key(&table)?;
            if !kids.insert((realm, key.kid().to_owned())) {
                let found = format!("a second key {:?} of realm {realm:?}", key.kid());
                return Err(table.fault("kid", found).expecting("a kid for each key of a realm"));
            }
            let of_realm = token_keys.entry(realm.to_owned()).or_insert_with(|| {
                let place = table.at("realm");
                let line = document.error(Fault::new(place.clone(), "")).line;
                RealmKeys { line, place, keys: Vec::new() }
            });
            of_realm.keys.push(key);
        }
        let (mut public_keys, mut signing_keys) = (Vec::new(), Vec::new());
        for table in root.list_of_tables("signing_key")? {
            let (public, private) = signing_key(&table)?;
            if public_keys.contains(&public) {
                let place = if table.has("public_key") { "public_key" } else { "private_key" };
                let found = format!("the key {} once more", public.fingerprint());
                return Err(table.fault(place, found).expecting("each signing key once"));
            }
            public_keys.push(public);
            signing_keys.extend(private);
            if signing_keys.len() > SIGNING_KEY_LIMIT {
                let found = format!("private signing key number {}", signing_keys.len());
                let expected = format!("at most {SIGNING_KEY_LIMIT}: a snapshot is signed with each of them");
                return Err(table.fault("private_key", found).expecting(expected));
            }
        }
        Ok(Self {
            file: file.to_owned(),
            peppers,
            token_keys,
            public_keys,
            signing_keys: signing_keys.into(),
            sealing_keys,
        })
    }

    /// The pepper of that id.
    pub fn pepper(&self, id: u32) -> Option<&Pepper> {
        self.peppers.iter().find(|pepper| pepper.id == id)
    }

    /// The pepper for new digests: the last one listed.
    pub fn newest_pepper(&self) -> Option<&Pepper> {
        self.peppers.last()
    }

    /// Every pepper, in the order listed. None where realms need no digests.
    pub fn peppers(&self) -> &[Pepper] {
        &self.peppers
    }

    /// The sealing key of that id.
    pub fn sealing_key(&self, id: u32) -> Option<&SealingKey> {
        self.sealing_keys.iter().find(|key| key.id == id)
    }

    /// The sealing key for new secrets: the last one listed.
    pub fn newest_sealing_key(&self) -> Option<&SealingKey> {
        self.sealing_keys.last()
    }

    /// The token keys of that realm, in the order listed.
    pub fn token_keys(&self, realm: &str) -> &[token::Key] {
        self.token_keys.get(realm).map_or(&[], |of_realm| &of_realm.keys)
    }

    /// The keys of which one must have signed a snapshot, in the order listed. Where there are none, signatures are
    /// not looked at.
    pub fn public_keys(&self) -> &[PublicKey] {
        &self.public_keys
    }

    /// The keys that snapshots are signed with, each with its own signature, in the order listed.
    pub fn signing_keys(&self) -> &Arc<[SigningKey]> {
        &self.signing_keys
    }

    /// Whether a snapshot whose header has that hash is signed by somebody who may publish, and by whom. `None`
    /// where the keyring has no public keys, and so takes everything.
    pub fn check_signatures(
        &self,
        hash: &[u8; 32],
        signatures: &[Signature],
    ) -> Result<Option<Fingerprint>, SignatureError> {
        signature::check(&self.public_keys, hash, signatures)
    }

    /// Who of those whose signature is asked for has signed what has these signatures, which were checked before.
    pub fn signer(&self, signatures: &[Signature]) -> Option<Fingerprint> {
        let known =
            |signature: &&Signature| self.public_keys.iter().any(|key| *key.as_bytes() == signature.key);
        signatures.iter().find(known).map(Signature::fingerprint)
    }

    /// Refuses token keys of realms that the configuration does not have.
    pub fn check_realms(&self, configuration: &Configuration) -> Result<(), ConfigError> {
        let unknown = |(name, of_realm): (&String, &RealmKeys)| {
            let names = || configuration.realms.iter().map(|realm| &realm.name);
            (!names().any(|known| known == name)).then(|| ConfigError {
                file: self.file.clone(),
                line: of_realm.line,
                fault: Box::new(
                    Fault::new(of_realm.place.clone(), format!("unknown realm {name:?}"))
                        .among(name, names()),
                ),
            })
        };
        self.token_keys.iter().find_map(unknown).map_or(Ok(()), Err)
    }
}

/// An id and 32 bytes, which peppers and sealing keys are; `of` says which.
fn numbered_secret(table: &Table<'_, '_>, of: &str) -> Result<(u32, Secret), Fault> {
    const EXPECTED: &str = "64 hex digits";
    table.only(&["id", "key"], of)?;
    let id = table.whole("id")?.ok_or_else(|| table.fault("id", "is missing").expecting("a number"))?;
    let id = u32::try_from(id)
        .map_err(|_| table.fault("id", format!("{id}")).expecting("a number up to 4294967295"))?;
    let digits = table.required_text("key", EXPECTED)?;
    let fault = |found: String| table.fault("key", found).expecting(EXPECTED);
    if digits.len() != 64 {
        return Err(fault(format!("a text of {} bytes", digits.len())));
    }
    let mut key = Box::new(Zeroizing::new([0; 32]));
    for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        for digit in pair {
            let value = char::from(*digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
                .ok_or_else(|| fault("a text that is not all hex digits".to_owned()))?;
            *byte = *byte << 4 | value;
        }
    }
    Ok((id, key))
}

fn signing_key(table: &Table<'_, '_>) -> Result<(PublicKey, Option<SigningKey>), Fault> {
    const PUBLIC: &str = "an Ed25519 key as PEM, PUBLIC KEY";
    const PRIVATE: &str = "an Ed25519 key as PEM, PRIVATE KEY (PKCS #8)";
    table.only(&["public_key", "private_key"], " of a signing key")?;
    let public = table.text("public_key")?.map(|text| {
        let fault = |error: signature::KeyError| table.fault("public_key", error.to_string());
        PublicKey::from_pem(text).map_err(|error| fault(error).expecting(PUBLIC))
    });
    let private = table.text("private_key")?.map(|text| {
        let fault = |error: signature::KeyError| table.fault("private_key", error.to_string());
        SigningKey::from_pem(text).map_err(|error| fault(error).expecting(PRIVATE))
    });
    match (public.transpose()?, private.transpose()?) {
        (Some(public), Some(private)) if public != private.public() => Err(table
            .fault("public_key", format!("the key {}", public.fingerprint()))
            .expecting(format!("that of `private_key`, which is {}", private.public().fingerprint()))),
        (_, Some(private)) => Ok((private.public(), Some(private))),
        (Some(public), None) => Ok((public, None)),
        (None, None) => Err(table.fault("public_key", "is missing").expecting(PUBLIC)),
    }
}

/// Padding may be left out: a shell's tools differ in that.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The names of a token key's entries.
const TOKEN_KEY_NAMES: [&str; 6] = ["realm", "kid", "alg", "secret", "public_key", "private_key"];

fn token_key<'d>(table: &Table<'d, '_>) -> Result<(&'d str, token::Key), Fault> {
    table.only(&TOKEN_KEY_NAMES, " of a token key")?;
    let realm = table.required_text("realm", "the name of the realm that takes its tokens")?;
    let kid = table.required_text("kid", "what the header of a token calls the key")?;
    if kid.is_empty() {
        return Err(table.fault("kid", "an empty kid"));
    }
    let named = |place: &str, found: &str| table.fault(place, format!("token key {kid:?}: {found}"));
    let alg = table
        .text("alg")?
        .ok_or_else(|| named("alg", "alg is missing").expecting(token::Algorithm::NAMES.join(", ")))?;
    let algorithm = token::Algorithm::from_name(alg).ok_or_else(|| {
        named("alg", &format!("unknown alg {alg:?}")).among(alg, token::Algorithm::NAMES.iter())
    })?;
    let symmetric = alg.starts_with("HS");
    let foreign: &[&str] = if symmetric { &["public_key", "private_key"] } else { &["secret"] };
    if let Some(name) = foreign.iter().find(|name| table.has(name)) {
        let expected = if symmetric { "`secret` alone" } else { "`public_key`, `private_key` or both" };
        return Err(named(name, &format!("not of a key for {alg}")).expecting(expected));
    }
    let key = if symmetric {
        let Some(secret) = table.text("secret")? else {
            return Err(named("secret", "is missing").expecting("the secret in base64"));
        };
        let secret = Zeroizing::new(BASE64.decode(secret).map_err(|_| {
            // What the decoder says would quote a byte of the secret.
            named("secret", "not base64").expecting("the standard alphabet: A-Z, a-z, 0-9, + and /")
        })?);
        token::Key::from_secret(kid.to_owned(), algorithm, &secret)
            .map_err(|error| named("secret", &error.to_string()))?
    } else {
        let (public, private) = (table.text("public_key")?, table.text("private_key")?);
        if public.is_none() && private.is_none() {
            return Err(named("public_key", "is missing").expecting("a PEM text"));
        }
        let place = if public.is_some() { "public_key" } else { "private_key" };
        token::Key::from_pem(kid.to_owned(), algorithm, public, private)
            .map_err(|error| named(place, &error.to_string()))?
    };
    Ok((realm, key))
}

#[cfg(test)]
mod tests;
