//! `keyward key list` and `keyward key show`.

use super::find::KeyArguments;
use crate::failure::Failure;
use crate::keystore::place::PlaceArguments;
use crate::keystore::times::{self, When};
use crate::output::{Output, visible};
use crate::table::Table;
use clap::Args;
use keyward::format::id_place::IdTag;
use keyward::limits::StateReader;
use keyward_keystore::{KeyFilter, KeyState, StoredKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Show keys as a table, or one JSON object a line
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward key list --tenant acme --environment live
  keyward key list --status active --expiring-before +30d
  keyward key list --state /run/keyward/state --unused-since 90d --json

Exit codes: 0 done; 2 the command line is wrong; 3 the keystore or the state file cannot be used.")]
pub(super) struct ListArguments {
    /// Only this realm
    #[arg(long, value_name = "NAME")]
    realm: Option<String>,
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only this environment
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// Only in this state: active, suspended, pending, revoked or expired
    #[arg(long, value_name = "STATE", value_parser = state)]
    status: Option<KeyState>,
    /// Only those that end before then and have not ended yet: a time, or +30d
    #[arg(long, value_name = "TIME", value_parser = times::when)]
    expiring_before: Option<When>,
    /// Only those that were not used since: a time, or how long ago, such as 90d
    #[arg(long, value_name = "TIME", value_parser = times::past, requires = "state")]
    unused_since: Option<u64>,
    /// The servers' state file, which knows when keys were used
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArguments,
}

fn state(text: &str) -> Result<KeyState, String> {
    KeyState::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = KeyState::ALL.into_iter().map(KeyState::name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Show all that is known of a key
#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    /// The servers' state file, which knows when keys were used
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// When keys were used last.
struct Uses {
    /// Since when the file counts.
    since: u64,
    last: HashMap<u64, u64>,
}

impl Uses {
    fn read(path: &Path) -> Result<Self, Failure> {
        let state = StateReader::open(path)?;
        let last = state.keys().map(|key| (key.tag.number(), key.last_use));
        Ok(Self { last: last.collect(), since: state.created() })
    }

    fn of(&self, key: &StoredKey) -> Option<u64> {
        self.last.get(&IdTag::of(&key.realm, &key.id).number()).copied()
    }
}

/// One key for programs.
fn to_json(key: &StoredKey, now: u64, uses: Option<&Uses>) -> Value {
    let mut value = json!({
        "realm": key.realm,
        "id": key.id,
        "credential": key.credential,
        "login": key.login,
        "tenant": key.tenant,
        "environment": key.environment,
        "state": key.state(now).name(),
        "status": key.status.name(),
        "scopes": key.scopes,
        "allow_ips": key.allow_ips,
        "rate_limit": key.rate_limit,
        "not_before": key.not_before,
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "replaces": key.replaces,
        "metadata": key.metadata,
        "pepper": key.pepper,
        "change": key.changed,
    });
    if let (Some(uses), Some(value)) = (uses, value.as_object_mut()) {
        value.insert("last_use".to_owned(), uses.of(key).into());
    }
    value
}

pub(super) fn list(arguments: &ListArguments) -> Result<bool, Failure> {
    let now = times::now();
    let uses = arguments.state.as_deref().map(Uses::read).transpose()?;
    let filter = KeyFilter {
        realm: arguments.realm.as_deref(),
        tenant: arguments.tenant.as_deref(),
        environment: arguments.environment.as_deref(),
        state: arguments.status.map(|state| (state, now)),
        expiring: arguments.expiring_before.and_then(|when| Some((when.from(now)?, now))),
        id: None,
    };
    if let (Some(uses), Some(since)) = (&uses, arguments.unused_since)
        && uses.since > since
    {
        writeln!(
            anstream::stderr(),
            "keyward: the state file knows of uses since {} alone; a key that it does not know may have been used before",
            times::shown(uses.since)
        )?;
    }
    let wanted = |key: &StoredKey| match (&uses, arguments.unused_since) {
        (Some(uses), Some(since)) => uses.of(key).is_none_or(|last| last < since),
        _ => true,
    };
    let mut output = Output::new();
    let mut table = Table::default();
    let mut heading =
        vec!["realm", "id", "tenant", "environment", "state", "ends", "scopes", "addresses", "limit"];
    heading.extend(uses.as_ref().map(|_| "last use"));
    table.row(heading);
    arguments.place.open()?.read(|view| {
        view.keys(&filter, |key| {
            if !wanted(&key) {
                return Ok(());
            }
            if arguments.json {
                return Ok(writeln!(output, "{}", to_json(&key, now, uses.as_ref()))?);
            }
            let mut row = vec![
                visible(&key.realm),
                visible(&key.id),
                visible(key.tenant.as_deref().unwrap_or("")),
                visible(key.environment.as_deref().unwrap_or("")),
                key.state(now).name().to_owned(),
                times::shown_or(key.expires_at, ""),
                visible(&key.scopes.join(" ")),
                visible(&key.allow_ips.join(" ")),
                visible(key.rate_limit.as_deref().unwrap_or("")),
            ];
            row.extend(uses.as_ref().map(|uses| times::shown_or(uses.of(&key), "")));
            table.row(row);
            Ok::<_, Failure>(())
        })
    })?;
    if !arguments.json {
        table.write(&mut output, "")?;
    }
    output.flush()?;
    Ok(true)
}

pub(super) fn show(arguments: &Arguments) -> Result<bool, Failure> {
    let now = times::now();
    let uses = arguments.state.as_deref().map(Uses::read).transpose()?;
    let (key, successor) = arguments.key.place.open()?.read(|view| {
        let key = arguments.key.find(view)?;
        // Who may look only may look, but at the keys of a tenant that he is a member of.
        if let Some(member) = arguments.key.actor.actor().member() {
            let role = match &key.tenant {
                Some(tenant) => view.role(&key.realm, tenant, member)?,
                None => None,
            };
            if role.is_none() {
                return Err(Failure::check(format_args!(
                    "{member:?} is no member of the tenant of key {:?}",
                    key.id
                )));
            }
        }
        let successor = view.successor(&key.realm, &key.id)?;
        Ok::<_, Failure>((key, successor))
    })?;
    let mut output = Output::new();
    if arguments.json {
        let mut value = to_json(&key, now, uses.as_ref());
        if let Some(members) = value.as_object_mut() {
            members.insert("replaced_by".to_owned(), successor.into());
        }
        writeln!(output, "{value}")?;
        return Ok(true);
    }
    let mut table = Table::default();
    let mut row = |name: &str, value: &str| table.row([name, &visible(value)]);
    let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
    row("key", &key.id);
    row("realm", &key.realm);
    row("credential", &key.credential);
    if let Some(login) = &key.login {
        row("login", login);
    }
    row("tenant", &or(&key.tenant, "none"));
    row("environment", &or(&key.environment, "none"));
    row("state", key.state(now).name());
    row("scopes", &if key.scopes.is_empty() { "none".to_owned() } else { key.scopes.join(" ") });
    row("addresses", &if key.allow_ips.is_empty() { "any".to_owned() } else { key.allow_ips.join(" ") });
    row("limit", &or(&key.rate_limit, "the realm's"));
    row("created", &times::shown(key.created_at));
    if let Some(begin) = key.not_before {
        row("begins", &times::shown(begin));
    }
    row("ends", &times::shown_or(key.expires_at, "never"));
    if let Some(replaced) = &key.replaces {
        row("replaces", replaced);
    }
    if let Some(successor) = &successor {
        row("replaced by", successor);
    }
    for (name, value) in &key.metadata {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        row(name, &value);
    }
    if let Some(uses) = &uses {
        row("last use", &times::shown_or(uses.of(&key), &format!("not since {}", times::shown(uses.since))));
    }
    row("pepper", &key.pepper.to_string());
    table.write(&mut output, "")?;
    Ok(true)
}
