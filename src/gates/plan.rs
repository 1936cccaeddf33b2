//! A snapshot made ready to decide from: names resolved to numbers, formats and routes compiled, digest
//! keys derived.

use super::Clock;
use super::answer::Template;
use super::router::Router;
use crate::digest::{Digest, DigestKey, pepper_check, sha256};
use crate::keyring::Keyring;
use crate::limits::{Gcra, RealmRow, State};
use crate::memory::Bytes;
use crate::realm::key_format::{Fit, Matcher};
use crate::realm::{Credential, CredentialKind, KeyRules, Realm, TokenRules, Unmatched};
use crate::reason::Reason;
use crate::request::address::ProxyList;
use crate::request::bytes::same;
use crate::request::credential::{Extractor, Form, Presented, Scratch, Source};
use crate::request::path::NormalPath;
use crate::snapshot::{DeltaError, Layers, Snapshot};
use crate::time::Timestamp;
use arrayvec::ArrayVec;
use hashbrown::HashMap;
use std::sync::Arc;
use thiserror::Error;

/// Why a snapshot cannot be used with this keyring.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The keyring lacks a pepper that digests were made with.
    #[error(
        "the keyring has no pepper with id {id}, which the snapshot's digests were made with: add it, or build the snapshot with this keyring"
    )]
    PepperMissing {
        /// The id of the pepper.
        id: u32,
    },
    /// The keyring's pepper of that id is another one.
    #[error(
        "the keyring's pepper {id} is not the one that the snapshot's digests were made with: use the keyring that it was built with"
    )]
    PepperWrong {
        /// The id of the pepper.
        id: u32,
    },
    /// A rule that should have been checked before does not hold.
    #[error("realm \"{realm}\" cannot be used: {what}")]
    Realm {
        /// The name of the realm.
        realm: String,
        /// What does not hold.
        what: String,
    },
}

/// A snapshot made ready to decide from.
pub struct Plan {
    layers: Layers,
    keyring: Arc<Keyring>,
    /// What is made of the base. A delta has the same realms, so that the plans of all that are laid over it share
    /// this.
    realms: Arc<[RealmPlan]>,
    /// The names of the realms, in order.
    names: Arc<[Box<str>]>,
}

/// Up to how many realms are found by comparing their names one after the other.
const FEW_REALMS: usize = 16;

/// A realm made ready.
pub(super) struct RealmPlan {
    pub(super) name: Box<str>,
    /// Where its requests are counted.
    pub(super) row: RealmRow,
    pub(super) title: Box<str>,
    pub(super) environments: Vec<Box<str>>,
    hosts: Option<Hosts>,
    pub(super) require_tls: bool,
    /// Numbers of the realm's credentials.
    pub(super) default_require: Box<[u16]>,
    /// Whether every route requires one credential, and all of them the same as requests without a route.
    pub(super) is_uniform: bool,
    pub(super) unmatched: Unmatched,
    pub(super) proxies: ProxyList,
    /// In lower case.
    pub(super) client_ip_header: Option<Box<[u8]>>,
    pub(super) credentials: Vec<CredentialPlan>,
    routes: Vec<RoutePlan>,
    router: Router,
    pub(super) rates: Vec<Gcra>,
    templates: HashMap<&'static str, Template>,
    /// Whether there is a pepper for the digests that it needs, if it does.
    has_digests: bool,
}

/// A credential made ready.
pub(super) struct CredentialPlan {
    pub(super) name: Box<str>,
    pub(super) sources: Vec<Source>,
    pub(super) extractor: Extractor,
    pub(super) kind: KindPlan,
    /// Its number in the list of all credentials.
    pub(super) number: u16,
}

/// What a credential is, made ready.
pub(super) enum KindPlan {
    /// A key, or a pair.
    Key(KeyPlan),
    Token(TokenRules),
    Tenant,
}

/// How the keys of a credential are found.
pub(super) struct KeyPlan {
    pub(super) matcher: Option<Matcher>,
    pub(super) sha256: bool,
    /// One for each pepper of the snapshot.
    pub(super) digest_keys: Vec<DigestKey>,
}

/// A route made ready.
pub(super) struct RoutePlan {
    pub(super) path: Box<str>,
    pub(super) require: Box<[u16]>,
    pub(super) scopes: Box<[ScopePlan]>,
    pub(super) any_scopes: Box<[ScopePlan]>,
}

/// A scope that is required.
pub(super) struct ScopePlan {
    pub(super) name: Arc<str>,
    /// Its number in the full snapshot; `None`: no key there has it.
    pub(super) number: Option<u32>,
}

impl Plan {
    /// Makes `snapshot` ready with the secrets in `keyring`. Requests of each realm are counted in its place in
    /// `state`.
    pub(crate) fn new(snapshot: Snapshot, keyring: Arc<Keyring>, state: &State) -> Result<Self, PlanError> {
        let needs_digests = snapshot.realms().iter().any(Realm::needs_digests);
        let mut peppers = Vec::new();
        for entry in snapshot.peppers().iter().filter(|_| needs_digests) {
            let pepper = keyring.pepper(entry.id).ok_or(PlanError::PepperMissing { id: entry.id })?;
            if pepper_check(pepper.key()) != entry.check {
                return Err(PlanError::PepperWrong { id: entry.id });
            }
            peppers.push(pepper.key());
        }
        let mut realms: Vec<RealmPlan> = Vec::new();
        let mut first_credential = 0u16;
        for realm in snapshot.realms() {
            let plan = RealmPlan::new(realm, &snapshot, &peppers, first_credential);
            let mut plan = plan.map_err(|what| PlanError::Realm { realm: realm.name.clone(), what })?;
            plan.row = state.realm(&realm.name);
            realms.push(plan);
            first_credential = first_credential.saturating_add(realm.credentials.len() as u16);
        }
        let names = realms.iter().map(|realm| realm.name.clone()).collect();
        Ok(Self { layers: snapshot.into(), keyring, realms: realms.into(), names })
    }

    /// The same with the delta that `bytes` are over its full snapshot, or with none.
    pub(crate) fn with_delta(&self, bytes: Option<Bytes>) -> Result<Self, DeltaError> {
        let base = Arc::clone(self.layers.base());
        Ok(Self {
            layers: match bytes {
                Some(bytes) => Layers::with_delta(base, bytes)?,
                None => Layers::full(base),
            },
            keyring: Arc::clone(&self.keyring),
            realms: Arc::clone(&self.realms),
            names: Arc::clone(&self.names),
        })
    }

    /// The snapshot, and the delta over it.
    #[inline]
    pub fn layers(&self) -> &Layers {
        &self.layers
    }

    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    #[inline(always)]
    pub(super) fn realm(&self, name: &str) -> Option<(u16, &RealmPlan)> {
        // Few servers have many, and names of other lengths are passed over at once.
        let number = if self.names.len() <= FEW_REALMS {
            self.names.iter().position(|known| same(known.as_bytes(), name.as_bytes()))?
        } else {
            self.names.binary_search_by(|known| (**known).cmp(name)).ok()?
        };
        Some((number as u16, self.realms.get(number)?))
    }

    pub(super) fn realm_by_number(&self, number: u16) -> Option<&RealmPlan> {
        self.realms.get(usize::from(number))
    }

    /// Why nothing can be decided for `realm` at `now`, if so.
    #[inline]
    pub(super) fn unusable(&self, realm: &RealmPlan, clock: &Clock<'_>) -> Option<&'static str> {
        let header = self.layers.header();
        if self.layers.is_damaged() {
            return Some("the snapshot is damaged");
        }
        if header.max_age != 0
            && clock.now() > Timestamp::from_seconds(header.created.saturating_add(header.max_age))
        {
            return Some("the snapshot is past its max_age");
        }
        (!realm.has_digests).then_some("there is no pepper for the realm's digests")
    }
}

impl RealmPlan {
    fn new(
        realm: &Realm,
        snapshot: &Snapshot,
        peppers: &[&[u8; 32]],
        first_credential: u16,
    ) -> Result<Self, String> {
        let credential_number = |name: &String| {
            let number = realm.credentials.iter().position(|credential| credential.name == *name);
            number
                .and_then(|number| u16::try_from(number).ok())
                .ok_or_else(|| format!("no credential \"{name}\""))
        };
        let require =
            |names: &[String]| names.iter().map(credential_number).collect::<Result<Box<[u16]>, _>>();
        let environment = |name: &String| {
            let number = realm.environments.iter().position(|known| known == name);
            number
                .and_then(|number| u8::try_from(number).ok())
                .ok_or_else(|| format!("no environment \"{name}\""))
        };
        let hosts = realm.hosts.as_ref().map(|hosts| {
            let numbered = hosts.iter().map(|(host, name)| Ok((host.as_bytes().into(), environment(name)?)));
            numbered.collect::<Result<_, String>>().map(Hosts::new)
        });
        let scopes = |names: &[String]| {
            let plan =
                |name: &String| ScopePlan { name: name.as_str().into(), number: snapshot.scope_number(name) };
            names.iter().map(plan).collect::<Box<[_]>>()
        };
        let routes = realm.routes.iter().map(|route| {
            Ok(RoutePlan {
                path: route.path.as_str().into(),
                require: require(&route.require)?,
                scopes: scopes(&route.scopes),
                any_scopes: scopes(&route.any_scopes),
            })
        });
        let is_uniform = matches!(realm.default_require[..], [_])
            && realm.routes.iter().all(|route| route.require == realm.default_require);
        let paths = realm.routes.iter().map(|route| (route.path.as_str(), route.methods.as_deref()));
        let rates = realm.rate_limits.iter().map(|limit| {
            Gcra::new(limit.requests, limit.period, limit.burst)
                .ok_or_else(|| format!("rate limit \"{}\"", limit.name))
        });
        let credentials = realm
            .credentials
            .iter()
            .zip(first_credential..)
            .map(|(credential, number)| CredentialPlan::new(credential, realm, peppers, number));
        Ok(Self {
            name: realm.name.as_str().into(),
            row: RealmRow::default(),
            title: realm.title.as_str().into(),
            environments: realm.environments.iter().map(|name| name.as_str().into()).collect(),
            hosts: hosts.transpose()?,
            require_tls: realm.require_tls,
            default_require: require(&realm.default_require)?,
            is_uniform,
            unmatched: realm.unmatched,
            proxies: ProxyList::parse(&realm.trusted_proxies).map_err(|error| error.to_string())?,
            client_ip_header: (realm.client_ip_header.as_ref())
                .map(|name| name.to_ascii_lowercase().into_bytes().into()),
            credentials: credentials.collect::<Result<_, _>>()?,
            routes: routes.collect::<Result<_, String>>()?,
            router: Router::new(paths).map_err(|error| error.to_string())?,
            rates: rates.collect::<Result<_, _>>()?,
            templates: Template::all(&realm.errors),
            has_digests: !realm.needs_digests() || !peppers.is_empty(),
        })
    }

    #[inline(always)]
    pub(super) fn route(&self, path: NormalPath<'_>, method: &[u8]) -> Option<&RoutePlan> {
        if self.routes.is_empty() {
            return None;
        }
        self.routes.get(self.router.route(path, method)?)
    }

    #[inline]
    pub(super) fn credential(&self, number: u16) -> Option<&CredentialPlan> {
        self.credentials.get(usize::from(number))
    }

    pub(super) fn template(&self, reason: Reason) -> Option<&Template> {
        self.templates.get(reason.name())
    }

    /// The environment that a request for `host` expects.
    #[inline]
    pub(super) fn host_environment(&self, host: Option<&[u8]>) -> Expected {
        let Some(hosts) = &self.hosts else { return Expected::Any };
        let name = without_port(host.unwrap_or_default());
        hosts.environment(name).map_or(Expected::Nothing, Expected::Environment)
    }

    /// The environment of that name.
    #[inline]
    pub(super) fn named_environment(&self, name: &str) -> Expected {
        let number =
            self.environments.iter().zip(0..).find(|(known, _)| same(known.as_bytes(), name.as_bytes()));
        number.map_or(Expected::Nothing, |(_, number)| Expected::Environment(number))
    }
}

/// The environment that a request expects keys of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// Whichever.
    Any,
    /// The one with that number.
    Environment(u8),
    /// One that no key has.
    Nothing,
}

impl Expected {
    /// Whether a key with that environment, as a record has it, is what is expected.
    #[inline]
    pub(super) fn accepts(self, environment: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Environment(number) => environment.checked_sub(1) == Some(number),
            Self::Nothing => false,
        }
    }
}

/// Up to how many hosts are looked at one after the other.
const FEW_HOSTS: usize = 8;

/// The longest host name, in bytes (RFC 1035 section 2.3.4). What is longer is in no map.
const HOST_LIMIT: usize = 253;

/// Hosts in lower case and the numbers of their environments, by length: most names are told apart by it.
struct Hosts(Vec<(Box<[u8]>, u8)>);

impl Hosts {
    fn new(mut hosts: Vec<(Box<[u8]>, u8)>) -> Self {
        hosts.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        Self(hosts)
    }

    #[inline]
    fn environment(&self, name: &[u8]) -> Option<u8> {
        let place = |name: &[u8]| {
            if self.0.len() <= FEW_HOSTS {
                return self.0.iter().find(|(host, _)| same(host, name)).map(|&(_, environment)| environment);
            }
            let found = self.0.binary_search_by(|(host, _)| (host.len(), &**host).cmp(&(name.len(), name)));
            self.0.get(found.ok()?).map(|(_, environment)| *environment)
        };
        // Clients send lower case; whoever does not is looked up once more.
        place(name).or_else(|| {
            let mut lower = ArrayVec::<u8, HOST_LIMIT>::new_const();
            lower.try_extend_from_slice(name).ok()?;
            lower.make_ascii_lowercase();
            place(&lower)
        })
    }
}

/// A host without its port, which is a last `:` and digits.
#[inline]
fn without_port(host: &[u8]) -> &[u8] {
    if host.last().is_none_or(|last| !last.is_ascii_digit()) {
        return host;
    }
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    match host.split_at_checked(host.len() - digits) {
        Some(([name @ .., b':'], [_, ..])) => name,
        _ => host,
    }
}

impl KeyPlan {
    /// Whether what was presented has the credential's format.
    #[inline(always)]
    pub(super) fn is_well_formed(&self, presented: &Presented<'_>, scratch: &Scratch) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| {
            // The format of a pair is that of its secret.
            let formatted =
                presented.pair(scratch).map_or_else(|| presented.bytes(scratch), |(_, secret)| secret);
            matcher.fit(formatted) != Fit::Not
        })
    }

    /// The digest of what was presented, under the snapshot's pepper of that number.
    #[inline(always)]
    pub(super) fn digest(
        &self,
        pepper: usize,
        presented: &Presented<'_>,
        scratch: &Scratch,
    ) -> Option<Digest> {
        let key = self.digest_keys.get(pepper)?;
        let whole = presented.bytes(scratch);
        Some(if self.sha256 { key.digest(&sha256(whole)) } else { key.digest(whole) })
    }
}

impl CredentialPlan {
    fn new(
        credential: &Credential,
        realm: &Realm,
        peppers: &[&[u8; 32]],
        number: u16,
    ) -> Result<Self, String> {
        let keys = |rules: &KeyRules| -> Result<KindPlan, String> {
            let matcher = rules.format.as_ref().map(|format| format.matcher(&realm.environments));
            Ok(KindPlan::Key(KeyPlan {
                matcher: matcher.transpose().map_err(|error| error.to_string())?,
                sha256: rules.sha256,
                digest_keys: (peppers.iter())
                    .map(|pepper| DigestKey::derive(pepper, &realm.name, &credential.name))
                    .collect(),
            }))
        };
        let (form, kind) = match &credential.kind {
            CredentialKind::Key(rules) => (Form::Key, keys(rules)?),
            CredentialKind::Basic(rules) => (Form::Pair, keys(rules)?),
            CredentialKind::Token(rules) => (Form::Token, KindPlan::Token(rules.clone())),
            CredentialKind::Tenant => (Form::Tenant, KindPlan::Tenant),
        };
        Ok(Self {
            name: credential.name.as_str().into(),
            sources: credential.sources.clone(),
            extractor: Extractor::new(&credential.sources, form).map_err(|error| error.to_string())?,
            kind,
            number,
        })
    }
}
