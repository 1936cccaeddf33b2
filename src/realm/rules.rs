//! What a realm's values may be: docs/DECISIONS.md sections 1, 4 and 10. One implementation for
//! configurations and for snapshots, whose bytes may say anything.

use super::fault::{Fault, KeyPath, Step};
use super::key_format::{FormatError, KeyFormat};
use super::{AnswerOverride, Configuration, Credential, CredentialKind, RateLimit, Realm, TokenRules};
use crate::reason::{Group, Reason};
use crate::request::address::ProxyList;
use crate::request::credential::Source;
use std::collections::HashSet;

/// The most environments of a realm.
pub const MAX_ENVIRONMENTS: usize = 255;
/// The most rate limits of a realm.
pub const MAX_RATE_LIMITS: usize = 65_535;
/// The most realms, and the most credentials of all realms together.
pub const MAX_CREDENTIALS: usize = 65_535;
/// The longest name of a realm, credential, environment or rate limit, in bytes.
pub const MAX_NAME: usize = 255;
/// The longest credential of kind key, in bytes (section 3).
pub(crate) const MAX_KEY: usize = 512;
/// The longest `id:secret` of which the base64 has no more than 8192 bytes (section 3).
pub(crate) const MAX_PAIR: usize = 8192 / 4 * 3;
/// The latest point and the longest time in seconds: below 2^40 with room for "never".
pub(crate) const MAX_SECONDS: u64 = (1 << 40) - 2;

impl Configuration {
    /// Checks every rule, as [`Configuration::read`] does.
    pub fn check(&self) -> Result<(), Fault> {
        let path = KeyPath::default().join("realm");
        if self.realms.is_empty() {
            return Err(Fault::new(path, "there is no realm").expecting("at least one [realm.NAME]"));
        }
        ascending(&path, self.realms.iter().map(|realm| realm.name.as_str()), MAX_CREDENTIALS, "realms")?;
        let credentials: usize = self.realms.iter().map(|realm| realm.credentials.len()).sum();
        if credentials > MAX_CREDENTIALS {
            let found = format!("{credentials} credentials in all realms together");
            return Err(Fault::new(path, found).expecting(format!("at most {MAX_CREDENTIALS}")));
        }
        self.realms.iter().try_for_each(Realm::check)
    }
}

impl Realm {
    /// Checks every rule that one realm can keep or break, wherever it was read from.
    pub fn check(&self) -> Result<(), Fault> {
        let path = KeyPath::default().join("realm").join(self.name.as_str());
        name(&path, &self.name)?;
        printable(&path.join("title"), "a title", &self.title)?;
        self.check_environments(&path)?;
        let credentials = self.credentials.iter().map(|credential| credential.name.as_str());
        ascending(&path.join("credential"), credentials, MAX_CREDENTIALS, "credentials")?;
        for credential in &self.credentials {
            let path = path.join("credential").join(credential.name.as_str());
            credential.check(&path, &self.environments)?;
        }
        self.check_require(&path.join("default_require"), &self.default_require)?;
        self.check_client_address(&path)?;
        let limits = self.rate_limits.iter().map(|limit| limit.name.as_str());
        ascending(&path.join("rate_limit"), limits, MAX_RATE_LIMITS, "rate limits")?;
        for limit in &self.rate_limits {
            limit.check(&path.join("rate_limit").join(limit.name.as_str()))?;
        }
        if let Some(default) = &self.default_rate_limit
            && !self.rate_limits.iter().any(|limit| limit.name == *default)
        {
            let found = format!("{default:?} is no rate limit of the realm");
            let names = self.rate_limits.iter().map(|limit| &limit.name);
            return Err(Fault::new(path.join("default_rate_limit"), found).among(default, names));
        }
        self.check_routes(&path.join("route"))?;
        self.issuing.check(&path.join("issuing"), self)?;
        for (name, answer) in &self.errors {
            check_answer(&path.join("errors").join(name.as_str()), name, answer)?;
        }
        Ok(())
    }

    fn check_environments(&self, path: &KeyPath) -> Result<(), Fault> {
        let list = path.join("environments");
        if self.environments.len() > MAX_ENVIRONMENTS {
            let found = format!("{} environments", self.environments.len());
            return Err(Fault::new(list, found).expecting(format!("at most {MAX_ENVIRONMENTS}")));
        }
        distinct(&list, &self.environments)?;
        for (index, environment) in self.environments.iter().enumerate() {
            name(&list.join(index), environment)?;
        }
        let Some(hosts) = &self.hosts else {
            return Ok(());
        };
        if hosts.is_empty() {
            return Err(Fault::new(path.join("hosts"), "an empty table")
                .expecting("hosts with their environments, or no `hosts` at all"));
        }
        for (host, environment) in hosts {
            let path = path.join("hosts").join(host.as_str());
            check_host(&path, host)?;
            if !self.environments.contains(environment) {
                return Err(Fault::new(path, format!("{environment:?} is no environment of the realm"))
                    .among(environment, &self.environments));
            }
        }
        Ok(())
    }

    /// Names of credentials that a request needs.
    pub(super) fn check_require(&self, path: &KeyPath, require: &[String]) -> Result<(), Fault> {
        distinct(path, require)?;
        for (index, required) in require.iter().enumerate() {
            if self.credential(required).is_none() {
                let found = format!("{required:?} is no credential of the realm");
                let names = self.credentials.iter().map(|credential| &credential.name);
                return Err(Fault::new(path.join(index), found).among(required, names));
            }
        }
        Ok(())
    }

    fn check_client_address(&self, path: &KeyPath) -> Result<(), Fault> {
        for (index, entry) in self.trusted_proxies.iter().enumerate() {
            ProxyList::parse(std::slice::from_ref(entry))
                .map_err(|error| Fault::new(path.join("trusted_proxies").join(index), error.to_string()))?;
        }
        match &self.client_ip_header {
            Some(header) if !is_token(header) => {
                Err(Fault::new(path.join("client_ip_header"), format!("{header:?} is no header name"))
                    .expecting(r#"a name such as "X-Forwarded-For""#))
            }
            None if !self.trusted_proxies.is_empty() => {
                Err(Fault::new(path.join("client_ip_header"), "is missing beside `trusted_proxies`")
                    .expecting("the header that those proxies name the client in"))
            }
            _ => Ok(()),
        }
    }

    /// The credential of that name.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        let found = self.credentials.binary_search_by(|credential| credential.name.as_str().cmp(name));
        found.ok().and_then(|index| self.credentials.get(index))
    }
}

impl Credential {
    fn check(&self, path: &KeyPath, environments: &[String]) -> Result<(), Fault> {
        self.check_sources(&path.join("source"))?;
        match &self.kind {
            CredentialKind::Key(rules) => match &rules.format {
                Some(format) => check_format(path, format, environments, MAX_KEY),
                None => Ok(()),
            },
            CredentialKind::Basic(rules) => match &rules.format {
                // One byte of id and the colon stand before the secret.
                Some(format) => check_format(path, format, environments, MAX_PAIR - 2),
                None => Ok(()),
            },
            CredentialKind::Token(rules) => rules.check(path),
            CredentialKind::Tenant => Ok(()),
        }
    }

    fn check_sources(&self, path: &KeyPath) -> Result<(), Fault> {
        if self.sources.is_empty() {
            return Err(Fault::new(path.clone(), "an empty list").expecting("at least one source"));
        }
        let mut seen = HashSet::new();
        for (index, source) in self.sources.iter().enumerate() {
            let path = path.join(index);
            let name = match source {
                Source::Bearer => "bearer".to_owned(),
                Source::Basic => "basic".to_owned(),
                Source::Header(name) if is_token(name) => format!("header:{}", folded(name)),
                Source::Header(name) => {
                    return Err(Fault::new(path, format!("{name:?} is no header name"))
                        .expecting(r#"a name such as in "header:X-Api-Key""#));
                }
            };
            let (fits, kind, expected) = match self.kind {
                CredentialKind::Key(_) => (true, "key", ""),
                CredentialKind::Basic(_) => (*source == Source::Basic, "basic", r#""basic""#),
                CredentialKind::Token(_) => {
                    (*source != Source::Basic, "token", r#""bearer" or "header:NAME""#)
                }
                CredentialKind::Tenant => {
                    (*source != Source::Basic, "tenant", r#""bearer" or "header:NAME""#)
                }
            };
            if !fits {
                let found = format!("a credential of kind {kind} cannot come from this source");
                return Err(Fault::new(path, found).expecting(expected));
            }
            // A header that is an alias of another source would make each use of either ambiguous.
            if !seen.insert(name) {
                let found = "this source stands here twice (of header names, case and the choice of \
                             `-`, `_` and `.` tell none apart)";
                return Err(Fault::new(path, found));
            }
        }
        Ok(())
    }
}

fn check_format(
    path: &KeyPath,
    format: &KeyFormat,
    environments: &[String],
    longest: usize,
) -> Result<(), Fault> {
    let matcher = format.matcher(environments).map_err(|error| {
        let place = match error {
            FormatError::Length { .. } => "secret_length",
            _ => "format",
        };
        Fault::new(path.join(place), error.to_string())
    })?;
    if matcher.shortest() > longest {
        let found = format!("the shortest that fits has {} bytes", matcher.shortest());
        return Err(Fault::new(path.join("format"), found).expecting(format!("at most {longest}")));
    }
    Ok(())
}

impl TokenRules {
    fn check(&self, path: &KeyPath) -> Result<(), Fault> {
        let texts = [
            ("issuer", &self.issuer),
            ("audience", &self.audience),
            ("subject_claim", &self.subject_claim),
            ("tenants_claim", &self.tenants_claim),
            ("scope_claim", &self.scope_claim),
            ("key_claim", &self.key_claim),
        ];
        if let Some((name, _)) = texts.into_iter().find(|(_, text)| text.is_empty()) {
            return Err(Fault::new(path.join(name), "is empty"));
        }
        let times = [
            ("leeway", Some(self.leeway), 0),
            ("lifetime", Some(self.lifetime), 1),
            ("max_lifetime", self.max_lifetime, 1),
        ];
        for (name, seconds, least) in times {
            if let Some(seconds) = seconds
                && !(least..=MAX_SECONDS).contains(&seconds)
            {
                return Err(Fault::new(path.join(name), format!("{seconds} seconds"))
                    .expecting(format!("{least} to {MAX_SECONDS} seconds")));
            }
        }
        Ok(())
    }
}

impl RateLimit {
    fn check(&self, path: &KeyPath) -> Result<(), Fault> {
        let numbers = [("requests", self.requests), ("period", self.period), ("burst", self.burst)];
        if let Some((name, number)) = numbers.into_iter().find(|(_, number)| *number < 1) {
            return Err(Fault::new(path.join(name), format!("{number}")).expecting("at least 1"));
        }
        // Section 7.1 counts in nanoseconds: T = floor(period / requests), and burst * T at the most.
        let period = u128::from(self.period) * 1_000_000_000;
        let interval = period / u128::from(self.requests);
        if interval == 0 {
            return Err(Fault::new(path.join("requests"), "more than one request in each nanosecond")
                .expecting("fewer requests, or no rate limit"));
        }
        let longest = i64::MAX.unsigned_abs().into();
        if interval > longest || interval * u128::from(self.burst) > longest {
            let found = "a burst at this rate takes more than 292 years (2^63 nanoseconds) to come back";
            let place = if interval > longest { "period" } else { "burst" };
            return Err(Fault::new(path.join(place), found)
                .expecting("a `burst` of which `burst * period / requests` is shorter"));
        }
        Ok(())
    }
}

fn check_answer(path: &KeyPath, name: &str, answer: &AnswerOverride) -> Result<(), Fault> {
    // `ok` is not answered: the request goes on.
    let reasons = Reason::ALL.into_iter().filter(|reason| *reason != Reason::Ok).map(Reason::name);
    let mut known = reasons.chain(Group::ALL.map(Group::name));
    if !known.clone().any(|known| known == name) {
        let found = format!("{name:?} is neither a reason nor a group of reasons");
        return Err(Fault::new(path.clone(), found).among(name, known.by_ref()));
    }
    if let Some(status) = answer.status
        && !(400..=599).contains(&status)
    {
        let found = format!("{status} is no status of an error");
        return Err(Fault::new(path.join("status"), found).expecting("400 to 599"));
    }
    if let Some(content_type) = &answer.content_type {
        let path = path.join("content_type");
        // RFC 9110 section 5.5: a field value neither begins nor ends with white space.
        if content_type.is_empty() || content_type.trim_matches([' ', '\t']) != content_type {
            return Err(Fault::new(path, "a header cannot carry this").expecting("a media type"));
        }
        printable(&path, "a media type", content_type)?;
    }
    Ok(())
}

fn check_host(path: &KeyPath, host: &str) -> Result<(), Fault> {
    name(path, host)?;
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Fault::new(path.clone(), "a host that is not in lower case"));
    }
    if let Some((_, port)) = host.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Fault::new(path.clone(), "a host with a port, which no request's host has left")
            .expecting("the host alone: the port of a request's is dropped"));
    }
    Ok(())
}

/// A name that configuration chooses: not empty, not long, no control characters.
fn name(path: &KeyPath, name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::new(path.clone(), "an empty name"));
    }
    if name.len() > MAX_NAME {
        let found = format!("a name of {} bytes", name.len());
        return Err(Fault::new(path.clone(), found).expecting(format!("at most {MAX_NAME}")));
    }
    if name.chars().any(char::is_control) {
        return Err(Fault::new(path.clone(), "a name with a control character"));
    }
    Ok(())
}

/// 0x20 to 0x7E: what a quoted string in a challenge can carry.
pub(super) fn printable(path: &KeyPath, what: &str, text: &str) -> Result<(), Fault> {
    match text.chars().find(|character| !matches!(character, ' '..='~')) {
        None => Ok(()),
        Some(found) => Err(Fault::new(path.clone(), format!("{found:?} cannot be part of {what}"))
            .expecting("printable ASCII, because headers carry it")),
    }
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let symbol = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(symbol)
}

/// Header names that gateways may take for one another become equal (section 3).
fn folded(header: &str) -> String {
    header.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Names in their order, without repeats: what lookups by name rely on.
fn ascending<'n>(
    path: &KeyPath,
    names: impl ExactSizeIterator<Item = &'n str>,
    most: usize,
    what: &str,
) -> Result<(), Fault> {
    if names.len() > most {
        let found = format!("{} {what}", names.len());
        return Err(Fault::new(path.clone(), found).expecting(format!("at most {most}")));
    }
    let mut last: Option<&str> = None;
    for current in names {
        let path = || KeyPath([path.steps(), &[Step::from(current)]].concat());
        if last.is_some_and(|last| last >= current) {
            return Err(Fault::new(path(), format!("these {what} are out of order or repeated")));
        }
        name(&path(), current)?;
        last = Some(current);
    }
    Ok(())
}

/// A list in which nothing stands twice.
pub(super) fn distinct(path: &KeyPath, list: &[String]) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    match list.iter().enumerate().find(|(_, item)| !seen.insert(item.as_str())) {
        None => Ok(()),
        Some((index, item)) => Err(Fault::new(path.join(index), format!("{item:?} stands here twice"))),
    }
}
