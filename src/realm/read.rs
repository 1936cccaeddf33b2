//! From the text of `keyward.toml` to realms: names, types and defaults. What the values may be is in
//! [`super::rules`], which snapshots go through as well.

use super::document::{Document, Table};
use super::fault::{ConfigError, Fault};
use super::key_format::{Alphabet, KeyFormat};
use super::{
    AnswerOverride, Configuration, Credential, CredentialKind, Issuing, KeyRules, RateLimit, Realm, Route,
    TokenRules, Unmatched,
};
use crate::request::credential::Source;
use std::collections::BTreeMap;

const REALM: &[&str] = &[
    "title",
    "environments",
    "hosts",
    "require_tls",
    "default_require",
    "unmatched",
    "trusted_proxies",
    "client_ip_header",
    "default_rate_limit",
    "credential",
    "route",
    "rate_limit",
    "errors",
    "issuing",
];
const KEY: &[&str] =
    &["kind", "source", "format", "secret_alphabet", "secret_length", "digests", "retrievable"];
const TOKEN: &[&str] = &[
    "kind",
    "source",
    "issuer",
    "audience",
    "leeway",
    "lifetime",
    "max_lifetime",
    "subject_claim",
    "tenants_claim",
    "scope_claim",
    "key_claim",
];
const TENANT: &[&str] = &["kind", "source"];
const KINDS: [&str; 4] = ["key", "basic", "token", "tenant"];
const ROUTE: &[&str] = &["methods", "path", "require", "scopes", "any_scopes"];
const RATE_LIMIT: &[&str] = &["requests", "period", "burst"];
const ANSWER: &[&str] = &["status", "content_type", "body"];

impl Configuration {
    /// Reads the text of a `keyward.toml` and checks every rule. `file` is what errors call it.
    pub fn read(text: &str, file: &str) -> Result<Self, ConfigError> {
        let document = Document::parse(text, file)?;
        configuration(&document.root()).map_err(|fault| document.error(fault))
    }
}

fn configuration(root: &Table<'_, '_>) -> Result<Configuration, Fault> {
    root.only(&["realm"], " of a configuration")?;
    let realms = root
        .tables_by_name("realm")?
        .into_iter()
        .map(|(name, table)| realm(name, &table))
        .collect::<Result<_, _>>()?;
    let configuration = Configuration { realms };
    configuration.check()?;
    Ok(configuration)
}

fn realm(name: &str, table: &Table<'_, '_>) -> Result<Realm, Fault> {
    table.only(REALM, " of a realm")?;
    let credentials = collect_named(table, "credential", credential)?;
    let default_require = default_require(table, &credentials)?;
    let routes = table
        .list_of_tables("route")?
        .iter()
        .map(|table| route(table, &default_require))
        .collect::<Result<Vec<_>, _>>()?;
    let unmatched = match table.text("unmatched")? {
        None if routes.is_empty() => Unmatched::Authenticated,
        None | Some("deny") => Unmatched::Deny,
        Some("authenticated") => Unmatched::Authenticated,
        Some(other) => {
            return Err(table
                .fault("unmatched", format!("unknown choice {other:?}"))
                .among(other, ["deny", "authenticated"]));
        }
    };
    Ok(Realm {
        name: name.to_owned(),
        title: table.text("title")?.unwrap_or(name).to_owned(),
        environments: table.texts("environments")?.unwrap_or_default(),
        hosts: hosts(table)?,
        require_tls: table.boolean("require_tls")?.unwrap_or(false),
        default_require,
        unmatched,
        trusted_proxies: table.texts("trusted_proxies")?.unwrap_or_default(),
        client_ip_header: table.text("client_ip_header")?.map(str::to_owned),
        default_rate_limit: table.text("default_rate_limit")?.map(str::to_owned),
        credentials,
        routes,
        rate_limits: collect_named(table, "rate_limit", rate_limit)?,
        errors: collect_named(table, "errors", answer)?.into_iter().collect(),
        issuing: Issuing::read(table)?,
    })
}

fn collect_named<T>(
    table: &Table<'_, '_>,
    name: &str,
    read: impl Fn(&str, &Table<'_, '_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    table.tables_by_name(name)?.iter().map(|(name, table)| read(name, table)).collect()
}

fn default_require(table: &Table<'_, '_>, credentials: &[Credential]) -> Result<Vec<String>, Fault> {
    if let Some(names) = table.texts("default_require")? {
        return Ok(names);
    }
    match credentials {
        [only] => Ok(vec![only.name.clone()]),
        [] => Err(table.fault("default_require", "is missing, and the realm has no credential").expecting(
            "a [realm.NAME.credential.NAME], or `default_require = []` where every request is public",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|credential| credential.name.as_str()).collect();
            let found = format!("is missing, and the realm has {} credentials", several.len());
            Err(table
                .fault("default_require", found)
                .expecting(format!("a list of those that a request needs, out of {}", names.join(", "))))
        }
    }
}

fn hosts(table: &Table<'_, '_>) -> Result<Option<BTreeMap<String, String>>, Fault> {
    let Some(table) = table.table("hosts")? else {
        return Ok(None);
    };
    let mut hosts = BTreeMap::new();
    for name in table.names() {
        if let Some(environment) = table.text(name)? {
            let host = name.to_ascii_lowercase();
            if hosts.insert(host.clone(), environment.to_owned()).is_some() {
                let found = format!("the host {host:?} stands here twice: case does not tell hosts apart");
                return Err(table.fault(name, found));
            }
        }
    }
    Ok(Some(hosts))
}

fn credential(name: &str, table: &Table<'_, '_>) -> Result<Credential, Fault> {
    let kind = match table.text("kind")? {
        Some(kind) if KINDS.contains(&kind) => kind,
        Some(other) => {
            return Err(table.fault("kind", format!("unknown kind {other:?}")).among(other, KINDS));
        }
        None => {
            let all: Vec<&str> = KEY.iter().chain(TOKEN).copied().collect();
            table.only(&all, " of a credential")?;
            return Err(table
                .fault("kind", "is missing")
                .expecting(r#"one of "key", "basic", "token", "tenant""#));
        }
    };
    let known = match kind {
        "token" => TOKEN,
        "tenant" => TENANT,
        _ => KEY,
    };
    table.only(known, &format!(" of a credential of kind {kind}"))?;
    let kind = match kind {
        "key" => CredentialKind::Key(key_rules(table)?),
        "basic" => CredentialKind::Basic(key_rules(table)?),
        "token" => CredentialKind::Token(token_rules(table)?),
        _ => CredentialKind::Tenant,
    };
    Ok(Credential { name: name.to_owned(), sources: sources(table)?, kind })
}

fn sources(table: &Table<'_, '_>) -> Result<Vec<Source>, Fault> {
    const EXPECTED: &str = r#""bearer", "basic" or "header:NAME", or a list of them"#;
    let Some(texts) = table.text_or_texts("source")? else {
        return Err(table.fault("source", "is missing").expecting(EXPECTED));
    };
    let source = |(index, text): (usize, &String)| {
        Source::parse(text).map_err(|error| {
            Fault::new(table.at("source").join(index), error.to_string()).expecting(EXPECTED)
        })
    };
    texts.iter().enumerate().map(source).collect()
}

fn key_rules(table: &Table<'_, '_>) -> Result<KeyRules, Fault> {
    let alphabet = match table.text("secret_alphabet")? {
        None => Alphabet::default(),
        Some(name) => Alphabet::from_name(name).ok_or_else(|| {
            table
                .fault("secret_alphabet", format!("unknown alphabet {name:?}"))
                .among(name, Alphabet::ALL.map(Alphabet::name))
        })?,
    };
    let (least, most) = table.whole_or_range("secret_length")?.unwrap_or((16, 256));
    let bounded = |length: u64| {
        u32::try_from(length).map_err(|_| {
            table.fault("secret_length", format!("{length} bytes are more than any request may carry"))
        })
    };
    let (min_length, max_length) = (bounded(least)?, bounded(most)?);
    let format = table.text("format")?.map(|template| KeyFormat {
        template: template.to_owned(),
        alphabet,
        min_length,
        max_length,
    });
    // Without a format the two say nothing; they must make sense all the same, for the day there is one.
    if min_length == 0 || min_length > max_length {
        return Err(table
            .fault("secret_length", format!("no secret has at least {least} and at most {most} bytes"))
            .expecting("at least 1, and the least before the most"));
    }
    let retrievable = table.boolean("retrievable")?.unwrap_or(false);
    Ok(KeyRules { format, sha256: takes_sha256(table)?, retrievable })
}

fn takes_sha256(table: &Table<'_, '_>) -> Result<bool, Fault> {
    const KNOWN: [&str; 2] = ["blake3", "sha256"];
    let Some(digests) = table.texts("digests")? else {
        return Ok(false);
    };
    if digests.is_empty() {
        return Err(table
            .fault("digests", "an empty list")
            .expecting(r#"["blake3"] or ["blake3", "sha256"]"#));
    }
    for (index, digest) in digests.iter().enumerate() {
        let place = || table.at("digests").join(index);
        if !KNOWN.contains(&digest.as_str()) {
            return Err(Fault::new(place(), format!("unknown digest {digest:?}")).among(digest, KNOWN));
        }
        if digests.iter().take(index).any(|earlier| earlier == digest) {
            return Err(Fault::new(place(), format!("{digest:?} stands here twice")));
        }
    }
    Ok(digests.iter().any(|digest| digest == "sha256"))
}

fn token_rules(table: &Table<'_, '_>) -> Result<TokenRules, Fault> {
    let claim = |name: &str, default: &str| table.text(name).map(|claim| claim.unwrap_or(default).to_owned());
    Ok(TokenRules {
        issuer: table.required_text("issuer", "what the `iss` of its tokens is")?.to_owned(),
        audience: table.required_text("audience", "what the `aud` of its tokens is or contains")?.to_owned(),
        leeway: table.whole("leeway")?.unwrap_or(0),
        lifetime: table.whole("lifetime")?.unwrap_or(3600),
        max_lifetime: table.whole("max_lifetime")?,
        subject_claim: claim("subject_claim", "sub")?,
        tenants_claim: claim("tenants_claim", "tenants")?,
        scope_claim: claim("scope_claim", "scope")?,
        key_claim: claim("key_claim", "client_id")?,
    })
}

fn route(table: &Table<'_, '_>, default_require: &[String]) -> Result<Route, Fault> {
    table.only(ROUTE, " of a route")?;
    Ok(Route {
        methods: table.texts("methods")?,
        path: table.required_text("path", r#"a path such as "/v1/items/{id}""#)?.to_owned(),
        require: table.texts("require")?.unwrap_or_else(|| default_require.to_vec()),
        scopes: table.texts("scopes")?.unwrap_or_default(),
        any_scopes: table.texts("any_scopes")?.unwrap_or_default(),
    })
}

fn rate_limit(name: &str, table: &Table<'_, '_>) -> Result<RateLimit, Fault> {
    table.only(RATE_LIMIT, " of a rate limit")?;
    let required = |name: &str, what: &str| {
        table.whole(name)?.ok_or_else(|| table.fault(name, "is missing").expecting(what))
    };
    let requests = required("requests", "how many requests a key may make in a period")?;
    Ok(RateLimit {
        name: name.to_owned(),
        requests,
        period: required("period", "the seconds that the requests are counted over")?,
        burst: table.whole("burst")?.unwrap_or(requests),
    })
}

fn answer(name: &str, table: &Table<'_, '_>) -> Result<(String, AnswerOverride), Fault> {
    table.only(ANSWER, " of an answer")?;
    let status = match table.whole("status")? {
        None => None,
        Some(status) => Some(u16::try_from(status).map_err(|_| {
            table.fault("status", format!("{status} is no status of an error")).expecting("400 to 599")
        })?),
    };
    let answer = AnswerOverride {
        status,
        content_type: table.text("content_type")?.map(str::to_owned),
        body: table.text("body")?.map(str::to_owned),
    };
    Ok((name.to_owned(), answer))
}
