//! A record held against the configuration: names become indices, and what no request could present is
//! refused.

use super::{KeyRecord, RecordError, Secret, Shown, Status, StoredDigest, Text};
use crate::realm::key_format::{Fit, FormatError, Matcher};
use crate::realm::{Configuration, Credential, CredentialKind, MAX_KEY, MAX_PAIR};
use crate::request::address::AddressSet;
use crate::request::credential::Source;
use hashbrown::HashMap;

/// What a key is found by, checked.
pub enum Material<'r> {
    /// An opaque key.
    Key(&'r [u8]),
    /// An id and a secret.
    Pair {
        /// The id.
        id: &'r [u8],
        /// The secret.
        secret: &'r [u8],
    },
    /// The SHA-256 of the whole credential; of a pair, that of `id:secret`.
    Sha256(&'r [u8; 32]),
    /// A digest that a keystore has made.
    Stored(&'r StoredDigest),
}

/// A record whose names are resolved. The indices are those of the configuration.
pub struct ResolvedKey<'r> {
    /// Into [`Configuration::realms`].
    pub realm: usize,
    /// Into the credentials of the realm.
    pub credential: usize,
    /// The key's id.
    pub id: &'r str,
    /// What it is found by.
    pub material: Material<'r>,
    /// Its tenant.
    pub tenant: Option<&'r str>,
    /// Into the environments of the realm.
    pub environment: Option<usize>,
    /// Whether it may be used.
    pub status: Status,
    /// Whether it is gone, which only a list of changes can say.
    pub removed: bool,
    /// Its scopes, as listed.
    pub scopes: &'r [Text<'r>],
    /// Where it may be used from; `None`: anywhere.
    pub allow_ips: Option<AddressSet>,
    /// When it begins, in Unix seconds.
    pub not_before: Option<u64>,
    /// When it ends, in Unix seconds.
    pub expires_at: Option<u64>,
    /// Into the rate limits of the realm, the default applied; `None`: unlimited.
    pub rate_limit: Option<usize>,
}

/// A configuration made ready to resolve many records.
pub struct RecordRules<'c> {
    realms: Vec<RealmRules<'c>>,
    realm_by_name: HashMap<&'c str, usize>,
}

struct RealmRules<'c> {
    name: &'c str,
    environments: HashMap<&'c str, usize>,
    credentials: Vec<CredentialRules<'c>>,
    credential_by_name: HashMap<&'c str, usize>,
    rate_limits: HashMap<&'c str, usize>,
    default_rate_limit: Option<usize>,
    /// The only credential for each form, or why there is none.
    for_key: Only,
    for_pair: Only,
    for_digest: Only,
    for_stored: Only,
}

struct CredentialRules<'c> {
    credential: &'c Credential,
    matcher: Option<Matcher>,
}

/// How many credentials a form of record fits.
#[derive(Clone, Copy)]
enum Only {
    None,
    One(usize),
    Several,
}

/// The forms that a record gives its secret in.
#[derive(Clone, Copy)]
enum Form {
    Key,
    Pair,
    Digest,
    Stored,
}

impl Form {
    fn fits(self, kind: &CredentialKind) -> bool {
        match (self, kind) {
            (Self::Key, CredentialKind::Key(_)) | (Self::Pair, CredentialKind::Basic(_)) => true,
            (Self::Digest, CredentialKind::Key(rules) | CredentialKind::Basic(rules)) => rules.sha256,
            (Self::Stored, CredentialKind::Key(_) | CredentialKind::Basic(_)) => true,
            _ => false,
        }
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Key => "`key`",
            Self::Pair => "`basic`",
            Self::Digest | Self::Stored => "`digest`",
        }
    }

    const fn needs(self) -> &'static str {
        match self {
            Self::Key => "a credential of kind key",
            Self::Pair => "a credential of kind basic",
            Self::Digest => "a credential of kind key or basic with \"sha256\" in its `digests`",
            Self::Stored => "a credential of kind key or basic",
        }
    }
}

impl<'c> RecordRules<'c> {
    /// Prepares a configuration. Fails only where it has not been checked.
    pub fn new(configuration: &'c Configuration) -> Result<Self, FormatError> {
        let mut realms = Vec::with_capacity(configuration.realms.len());
        for realm in &configuration.realms {
            let mut credentials = Vec::with_capacity(realm.credentials.len());
            for credential in &realm.credentials {
                let matcher = match &credential.kind {
                    CredentialKind::Key(rules) | CredentialKind::Basic(rules) => {
                        rules.format.as_ref().map(|format| format.matcher(&realm.environments)).transpose()?
                    }
                    _ => None,
                };
                credentials.push(CredentialRules { credential, matcher });
            }
            let only = |form: Form| {
                let mut fitting = (0..)
                    .zip(&realm.credentials)
                    .filter(|(_, credential)| form.fits(&credential.kind))
                    .map(|(index, _)| index);
                match (fitting.next(), fitting.next()) {
                    (None, _) => Only::None,
                    (Some(index), None) => Only::One(index),
                    (Some(_), Some(_)) => Only::Several,
                }
            };
            let rate_limits = index(realm.rate_limits.iter().map(|rate_limit| rate_limit.name.as_str()));
            let default = realm.default_rate_limit.as_deref();
            realms.push(RealmRules {
                name: &realm.name,
                environments: index(realm.environments.iter().map(String::as_str)),
                credential_by_name: index(
                    realm.credentials.iter().map(|credential| credential.name.as_str()),
                ),
                default_rate_limit: default.and_then(|name| rate_limits.get(name).copied()),
                rate_limits,
                for_key: only(Form::Key),
                for_pair: only(Form::Pair),
                for_digest: only(Form::Digest),
                for_stored: only(Form::Stored),
                credentials,
            });
        }
        let realm_by_name = index(configuration.realms.iter().map(|realm| realm.name.as_str()));
        Ok(Self { realms, realm_by_name })
    }

    /// Holds one record against the configuration.
    pub fn resolve<'r>(&self, record: &'r KeyRecord<'_>) -> Result<ResolvedKey<'r>, RecordError> {
        let name = record.realm();
        let (index, realm) = self
            .realm_by_name
            .get(name)
            .and_then(|index| Some((*index, self.realms.get(*index)?)))
            .ok_or_else(|| unknown("realm", name, self.realms.iter().map(|realm| realm.name)))?;
        let (credential, rules) = realm.credential(record)?;
        let environment = record.environment.as_ref().map(|name| realm.environment(name)).transpose()?;
        let material = match &record.secret {
            Secret::Key(key) => {
                let key = key.expose().as_bytes();
                presentable(key, rules.credential)?;
                rules.check_format("`key`", key, environment, realm)?;
                Material::Key(key)
            }
            Secret::Pair(pair) => {
                let (id, secret) = (pair.id.as_ref().as_bytes(), pair.secret.expose().as_bytes());
                presentable_pair(id, secret)?;
                rules.check_format("`secret` of the `basic`", secret, environment, realm)?;
                Material::Pair { id, secret }
            }
            Secret::Sha256(digest) => Material::Sha256(digest),
            Secret::Stored(stored) => {
                rules.check_stored(stored)?;
                Material::Stored(stored)
            }
        };
        let rate_limit = match &record.rate_limit {
            None => realm.default_rate_limit,
            Some(name) => Some(realm.rate_limit(name.as_ref())?),
        };
        let allow_ips = match &record.allow_ips[..] {
            [] => None,
            entries => Some(
                AddressSet::parse(entries).map_err(|error| RecordError(format!("`allow_ips`: {error}")))?,
            ),
        };
        Ok(ResolvedKey {
            realm: index,
            credential,
            id: record.id.as_ref(),
            material,
            tenant: record.tenant.as_ref().map(Text::as_ref),
            environment,
            status: record.status,
            removed: record.removed,
            scopes: &record.scopes,
            allow_ips,
            not_before: record.not_before,
            expires_at: record.expires_at,
            rate_limit,
        })
    }
}

fn index<'c>(names: impl Iterator<Item = &'c str>) -> HashMap<&'c str, usize> {
    names.enumerate().map(|(index, name)| (name, index)).collect()
}

fn unknown<N: AsRef<str>>(what: &str, name: &str, known: impl Iterator<Item = N>) -> RecordError {
    RecordError::among(format_args!("unknown `{what}` {}", Shown(name)), name, known)
}

/// Names in their configured order, so that messages do not depend on a hash.
fn in_order<'m>(names: &'m HashMap<&str, usize>) -> impl Iterator<Item = &'m str> {
    let mut names: Vec<(usize, &str)> = names.iter().map(|(name, index)| (*index, *name)).collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name)
}

impl<'c> RealmRules<'c> {
    fn credential(&self, record: &KeyRecord<'_>) -> Result<(usize, &CredentialRules<'c>), RecordError> {
        let (form, only) = match &record.secret {
            Secret::Key(_) => (Form::Key, self.for_key),
            Secret::Pair(_) => (Form::Pair, self.for_pair),
            Secret::Sha256(_) => (Form::Digest, self.for_digest),
            Secret::Stored(_) => (Form::Stored, self.for_stored),
        };
        let index = match (&record.credential, only) {
            (Some(name), _) => {
                let name = name.as_ref();
                *self
                    .credential_by_name
                    .get(name)
                    .ok_or_else(|| unknown("credential", name, in_order(&self.credential_by_name)))?
            }
            (None, Only::One(index)) => index,
            (None, Only::None) => {
                let (realm, member, needs) = (self.name, form.member(), form.needs());
                return Err(RecordError(format!(
                    "{member} fits no credential of realm {realm:?}; it needs {needs}"
                )));
            }
            (None, Only::Several) => {
                let fitting = self.credentials.iter().map(|rules| rules.credential);
                let fitting: Vec<&str> = fitting
                    .filter(|credential| form.fits(&credential.kind))
                    .map(|credential| credential.name.as_str())
                    .collect();
                return Err(RecordError(format!(
                    "{} fits more than one credential of realm {:?}; add `credential`: one of {}",
                    form.member(),
                    self.name,
                    fitting.join(", ")
                )));
            }
        };
        match self.credentials.get(index) {
            Some(rules) if form.fits(&rules.credential.kind) => Ok((index, rules)),
            _ => Err(RecordError(format!(
                "{} does not fit the `credential` of the record; it needs {}",
                form.member(),
                form.needs()
            ))),
        }
    }

    fn environment(&self, name: &Text<'_>) -> Result<usize, RecordError> {
        let name = name.as_ref();
        self.environments
            .get(name)
            .copied()
            .ok_or_else(|| unknown("environment", name, in_order(&self.environments)))
    }

    fn rate_limit(&self, name: &str) -> Result<usize, RecordError> {
        self.rate_limits
            .get(name)
            .copied()
            .ok_or_else(|| unknown("rate_limit", name, in_order(&self.rate_limits)))
    }
}

impl CredentialRules<'_> {
    /// That requests come to the same digest as the keystore did.
    fn check_stored(&self, stored: &StoredDigest) -> Result<(), RecordError> {
        let (CredentialKind::Key(rules) | CredentialKind::Basic(rules)) = &self.credential.kind else {
            return Ok(());
        };
        if rules.sha256 == stored.sha256 {
            return Ok(());
        }
        let (made, name) = (if stored.sha256 { "with" } else { "without" }, &self.credential.name);
        Err(RecordError(format!(
            "the digest was made when credential {name:?} was {made} \"sha256\" in its `digests`, and no request \
             comes to it now; keep `digests` as it was, or issue the key anew"
        )))
    }

    fn check_format(
        &self,
        what: &str,
        secret: &[u8],
        environment: Option<usize>,
        realm: &RealmRules<'_>,
    ) -> Result<(), RecordError> {
        let Some(matcher) = &self.matcher else {
            return Ok(());
        };
        let named = match matcher.fit(secret) {
            Fit::Plain => return Ok(()),
            Fit::Environment(named) if Some(named) == environment => return Ok(()),
            Fit::Environment(named) => named,
            Fit::Not => {
                let credential = &self.credential.name;
                return Err(RecordError(format!(
                    "{what} is not of the format of credential {credential:?}, or its checksum is wrong"
                )));
            }
        };
        let named = in_order(&realm.environments).nth(named).unwrap_or_default();
        Err(RecordError(match environment {
            None => {
                format!("{what} is of environment {named:?}, and the record names none; add it")
            }
            Some(_) => format!("{what} is of environment {named:?}, and the record names another"),
        }))
    }
}

/// Whether a request could carry the key: section 3.
fn presentable(key: &[u8], credential: &Credential) -> Result<(), RecordError> {
    if key.is_empty() {
        return Err(RecordError::new("`key` is empty"));
    }
    if key.len() > MAX_KEY {
        let length = key.len();
        return Err(RecordError(format!("`key` has {length} bytes; requests can present at most {MAX_KEY}")));
    }
    if !key.iter().all(u8::is_ascii_graphic) {
        return Err(RecordError::new(
            "`key` has a byte that no request can present; expected visible ASCII (0x21 to 0x7E)",
        ));
    }
    let possible = credential.sources.iter().any(|source| match source {
        Source::Bearer => is_bearer(key),
        Source::Basic => !key.contains(&b':'),
        Source::Header(_) => true,
    });
    if !possible {
        let name = &credential.name;
        return Err(RecordError(format!(
            "`key` has a byte that no source of credential {name:?} can present: bearer takes letters, \
             digits, - . _ ~ + / and, at the end, =; basic takes no colon"
        )));
    }
    Ok(())
}

/// RFC 6750 section 2.1: b64token.
fn is_bearer(key: &[u8]) -> bool {
    let symbol = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let padding = key.iter().rev().take_while(|byte| **byte == b'=').count();
    let (text, _) = key.split_at_checked(key.len() - padding).unwrap_or_default();
    !text.is_empty() && text.iter().all(symbol)
}

/// Whether a request could carry the pair: section 3, RFC 7617 section 2.
fn presentable_pair(id: &[u8], secret: &[u8]) -> Result<(), RecordError> {
    for (half, text) in [("id", id), ("secret", secret)] {
        if text.is_empty() {
            return Err(RecordError(format!("`{half}` of the `basic` is empty")));
        }
        if text.iter().any(u8::is_ascii_control) {
            return Err(RecordError(format!(
                "`{half}` of the `basic` has a control character, which no request can present"
            )));
        }
    }
    if id.contains(&b':') {
        return Err(RecordError::new(
            "`id` of the `basic` has a `:`, which ends the id when a request presents it",
        ));
    }
    let length = id.len() + 1 + secret.len();
    if length > MAX_PAIR {
        return Err(RecordError(format!(
            "the `basic` has {length} bytes as `id:secret`; requests can present at most {MAX_PAIR}"
        )));
    }
    Ok(())
}
