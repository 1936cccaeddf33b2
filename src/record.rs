//! One key of the keys file: docs/DECISIONS.md section 2.
//!
//! [`KeyRecord::parse`] takes a line apart, and [`RecordRules::resolve`] holds it against the
//! configuration. Files of many millions of lines come through here, so a sound line is parsed by derived
//! code that borrows from it; only a faulty one is looked at again to say what is wrong with it.
//!
//! No message holds a key, a secret or any other value of a member that could be one.

mod diagnosis;
mod resolve;

pub use resolve::{Material, RecordRules, ResolvedKey};

use crate::realm::{MAX_SECONDS, known_names};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use thiserror::Error;
use zeroize::Zeroize as _;

/// The longest id of a key, in bytes.
pub const MAX_ID: usize = 255;
/// The longest tenant, in bytes: what a tenant credential can be.
pub const MAX_TENANT: usize = 512;

/// What is wrong with a record, in one sentence. The caller knows the line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct RecordError(String);

impl RecordError {
    fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// `found`, with the nearest of the known names or all of them.
    fn among<N: AsRef<str>>(
        found: impl fmt::Display,
        name: &str,
        known: impl IntoIterator<Item = N>,
    ) -> Self {
        match known_names(name, known) {
            (Some(nearest), _) => Self(format!("{found}; did you mean {nearest:?}?")),
            (None, expected) => Self(format!("{found}; expected {expected}")),
        }
    }
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// It may.
    #[default]
    Active,
    /// Authenticates, and is refused.
    Suspended,
    /// No longer authenticates.
    Revoked,
    /// Not approved yet: authenticates, and is refused.
    Pending,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Active, Self::Suspended, Self::Revoked, Self::Pending];

    /// The name that records use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Revoked => "revoked",
            Self::Pending => "pending",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// Text of a record, borrowed from the line where the line has it without escapes.
///
/// Not `Cow` itself, whose own `Deserialize` always copies.
#[derive(Clone, PartialEq, Eq)]
pub struct Text<'a>(Cow<'a, str>);

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Text that nobody may see: never shown, and a copy of it is wiped when dropped.
pub struct SecretText<'a>(Text<'a>);

impl SecretText<'_> {
    /// The secret.
    pub fn expose(&self) -> &str {
        self.0.as_ref()
    }
}

impl Drop for SecretText<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.0.0 {
            text.zeroize();
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for SecretText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::deserialize(deserializer).map(Self)
    }
}

/// An id and its secret.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    secret: SecretText<'a>,
}

/// A digest of the whole presented credential.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenDigest<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow)]
    hex: Text<'a>,
    #[serde(default, deserialize_with = "present")]
    pepper: Option<u32>,
}

/// An object whose content is nobody's business here.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// A member that is there has a value: `null` is refused, where `Option` alone would take it as absent.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// From an object alone: derived code would take a list of the members' values as well.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct ObjectOnly<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }

    deserializer.deserialize_map(ObjectOnly(PhantomData))
}

fn present_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    object(deserializer).map(Some)
}

/// The members of a record as the line has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(borrow)]
    realm: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, default, deserialize_with = "present")]
    key: Option<SecretText<'a>>,
    #[serde(borrow, default, deserialize_with = "present_object")]
    basic: Option<Pair<'a>>,
    #[serde(borrow, default, deserialize_with = "present_object")]
    digest: Option<GivenDigest<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    credential: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    tenant: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    environment: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "present")]
    status: Option<Text<'a>>,
    #[serde(borrow, default)]
    scopes: Vec<Text<'a>>,
    #[serde(borrow, default)]
    allow_ips: Vec<Text<'a>>,
    #[serde(default, deserialize_with = "present")]
    not_before: Option<u64>,
    #[serde(default, deserialize_with = "present")]
    expires_at: Option<u64>,
    #[serde(borrow, default, deserialize_with = "present")]
    rate_limit: Option<Text<'a>>,
    #[serde(default, deserialize_with = "present", rename = "metadata")]
    _metadata: Option<Object>,
}

/// What a key is found by.
enum Secret<'a> {
    Key(SecretText<'a>),
    Pair(Pair<'a>),
    Sha256([u8; 32]),
    Stored(StoredDigest),
}

/// A digest as a snapshot has it: made by a keystore, which has not kept the key.
#[derive(Clone, Copy)]
pub struct StoredDigest {
    /// The id of the pepper that it was made with.
    pub pepper: u32,
    /// Whether it goes over the SHA-256 of what is presented.
    pub sha256: bool,
    /// The digest.
    pub digest: [u8; 32],
}

/// One key of the keys file, with all that can be checked without a configuration.
pub struct KeyRecord<'a> {
    realm: Text<'a>,
    id: Text<'a>,
    secret: Secret<'a>,
    credential: Option<Text<'a>>,
    tenant: Option<Text<'a>>,
    environment: Option<Text<'a>>,
    status: Status,
    removed: bool,
    scopes: Vec<Text<'a>>,
    allow_ips: Vec<Text<'a>>,
    not_before: Option<u64>,
    expires_at: Option<u64>,
    rate_limit: Option<Text<'a>>,
}

/// The status of a key that is gone, in a list of changes.
const REMOVED: &str = "removed";

impl<'a> KeyRecord<'a> {
    /// Reads one line of a keys file.
    pub fn parse(line: &'a [u8]) -> Result<Self, RecordError> {
        Self::parse_as(line, false)
    }

    /// Reads one line of a list of changes: a record as it is now, or with the status `removed` one of a key
    /// that is gone.
    pub fn parse_change(line: &'a [u8]) -> Result<Self, RecordError> {
        Self::parse_as(line, true)
    }

    fn parse_as(line: &'a [u8], change: bool) -> Result<Self, RecordError> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let members: Members<'a> = object(&mut deserializer)
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|error| diagnosis::of(line, &error))?;
        Self::check(members, change)
    }

    /// The id, for messages.
    pub fn id(&self) -> &str {
        self.id.as_ref()
    }

    /// The name of the realm.
    pub fn realm(&self) -> &str {
        self.realm.as_ref()
    }

    fn check(members: Members<'a>, change: bool) -> Result<Self, RecordError> {
        let Members {
            realm,
            id,
            key,
            basic,
            digest,
            credential,
            tenant,
            environment,
            status,
            scopes,
            allow_ips,
            not_before,
            expires_at,
            rate_limit,
            _metadata,
        } = members;
        name("`id`", id.as_ref(), MAX_ID)?;
        if let Some(tenant) = &tenant {
            name("`tenant`", tenant.as_ref(), MAX_TENANT)?;
        }
        let secret = match (key, basic, digest) {
            (Some(key), None, None) => Secret::Key(key),
            (None, Some(pair), None) => Secret::Pair(pair),
            (None, None, Some(digest)) => given(&digest)?,
            (None, None, None) => {
                return Err(RecordError::new("there is no `key`, `basic` or `digest`; give one of them"));
            }
            _ => {
                return Err(RecordError::new(
                    "there is more than one of `key`, `basic` and `digest`; give one of them",
                ));
            }
        };
        let removed = change && status.as_ref().is_some_and(|name| name.as_ref() == REMOVED);
        let status = match &status {
            None => Status::default(),
            // Whoever overlooks `removed` lets nobody in.
            Some(_) if removed => Status::Revoked,
            Some(name) => Status::from_name(name.as_ref()).ok_or_else(|| {
                let name = name.as_ref();
                RecordError::among(
                    format_args!("unknown `status` {}", Shown(name)),
                    name,
                    Status::ALL.map(Status::name).into_iter().chain(change.then_some(REMOVED)),
                )
            })?,
        };
        if let Some(scope) = scopes.iter().find(|scope| !is_scope(scope.as_ref())) {
            let scope = Shown(scope.as_ref());
            return Err(RecordError(format!(
                "{scope} in `scopes` is no scope; expected printable ASCII (0x20 to 0x7E), and not nothing"
            )));
        }
        for (name, time) in [("not_before", not_before), ("expires_at", expires_at)] {
            if let Some(time) = time
                && time > MAX_SECONDS
            {
                return Err(RecordError(format!(
                    "`{name}` is {time}, which looks like milliseconds; expected Unix seconds, at most \
                     {MAX_SECONDS}"
                )));
            }
        }
        if let (Some(from), Some(until)) = (not_before, expires_at)
            && until <= from
        {
            return Err(RecordError(format!(
                "`expires_at` ({until}) is not after `not_before` ({from}), so the key would never be valid"
            )));
        }
        Ok(Self {
            realm,
            id,
            secret,
            credential,
            tenant,
            environment,
            status,
            removed,
            scopes,
            allow_ips,
            not_before,
            expires_at,
            rate_limit,
        })
    }
}

/// A name from a record in a message: quoted, and cut where it is long.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(64) {
            None => write!(formatter, "{:?}", self.0),
            Some((end, _)) => write!(formatter, "{:?}...", self.0.get(..end).unwrap_or_default()),
        }
    }
}

fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn name(what: &str, name: &str, most: usize) -> Result<(), RecordError> {
    if name.is_empty() {
        return Err(RecordError(format!("{what} is empty")));
    }
    if name.len() > most {
        let length = name.len();
        return Err(RecordError(format!("{what} has {length} bytes; at most {most} are possible")));
    }
    if name.chars().any(char::is_control) {
        return Err(RecordError(format!("{what} has a control character in it")));
    }
    Ok(())
}

/// What `alg` of a digest may be, and whether a stored one goes over the SHA-256 of what is presented.
const STORED: [(&str, bool); 2] = [("blake3", false), ("blake3-sha256", true)];

fn given(digest: &GivenDigest<'_>) -> Result<Secret<'static>, RecordError> {
    let alg = digest.alg.as_ref();
    let stored = STORED.into_iter().find(|(name, _)| *name == alg);
    match (stored, digest.pepper) {
        (None, None) if alg == "sha256" => Ok(Secret::Sha256(hex(digest)?)),
        (None, Some(_)) if alg == "sha256" => {
            Err(RecordError::new("a `digest` of `alg` \"sha256\" has no `pepper`; leave it out"))
        }
        (None, _) => {
            let found = format_args!("unknown `alg` {} of the `digest`", Shown(alg));
            Err(RecordError::among(found, alg, ["sha256"].into_iter().chain(STORED.map(|(name, _)| name))))
        }
        (Some(_), None) => {
            Err(RecordError(format!("a `digest` of `alg` {alg:?} needs the id of its `pepper` beside it")))
        }
        (Some((_, sha256)), Some(pepper)) => {
            Ok(Secret::Stored(StoredDigest { pepper, sha256, digest: hex(digest)? }))
        }
    }
}

fn hex(digest: &GivenDigest<'_>) -> Result<[u8; 32], RecordError> {
    let hex = digest.hex.as_ref();
    let mut bytes = [0; 32];
    let digits = hex.bytes().map(|byte| char::from(byte).to_digit(16));
    if hex.len() != 64 || digits.clone().any(|digit| digit.is_none()) {
        return Err(RecordError::new("`hex` of the `digest` is not 64 hex digits"));
    }
    for (position, digit) in digits.flatten().enumerate() {
        if let (Some(byte), Ok(digit)) = (bytes.get_mut(position / 2), u8::try_from(digit)) {
            *byte = *byte << 4 | digit;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
