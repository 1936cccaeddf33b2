//! `keyward key rotate`.

use super::create::{self, Secret};
use super::find::KeyArguments;
use super::print::Shown;
use crate::failure::Failure;
use crate::keystore::maker::{Made, Maker};
use crate::keystore::place::realm;
use crate::keystore::times::{self, When};
use crate::output::visible;
use crate::units;
use clap::Args;
use keyward::keyring::Keyring;
use keyward::realm::Configuration;
use keyward::record::Status;
use keyward_keystore::{Entry, KeyState, StoredKey};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal, Write};

/// Make a key that takes the place of another, and print it
///
/// The new key has the tenant, environment, scopes, addresses, limit and, of a pair, the id of the old one, and an id
/// of its own. The old one is revoked, or with --overlap goes on for that long. Where the old one had an end, the new
/// one lives as long as that one was meant to.
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward key rotate key_0123456789abcdef --overlap 24h
  keyward key rotate key_0123456789abcdef --overlap 24h --as ada@example.com | pbcopy

Exit codes: as of `keyward key create`.")]
pub(super) struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    /// How long the old key goes on: seconds, or with a unit: 90s, 15m, 24h, 7d [default: it is revoked at once]
    #[arg(long, value_name = "SPAN", value_parser = units::span)]
    overlap: Option<u64>,
    /// When the new key ends [default: after as long as the old one was meant to live]
    #[arg(long, value_name = "TIME", value_parser = times::when)]
    expires: Option<When>,
    /// The id of the new key [default: made up]
    #[arg(long = "new-id", value_name = "ID")]
    new_id: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let place = &arguments.key.place;
    let configuration = place.configuration()?;
    let keyring: Keyring = place.keyring(&configuration)?;
    let maker = Maker::new(&configuration, &keyring)?;
    let mut store = place.open()?;
    let (made, secret, old) = store.change(&arguments.key.actor.actor(), |change| {
        let mut old = arguments.key.find(change)?;
        if let Some(successor) = change.successor(&old.realm, &old.id)? {
            return Err(Failure::check(format_args!(
                "key {:?} was replaced already, by {successor:?}: rotate that one",
                old.id
            )));
        }
        let now = change.now();
        let (mut made, secret) = successor(arguments, &configuration, &maker, &old, now)?;
        create::add(change, &maker, &mut made, "key.rotate")?;
        // A key that ends sooner than the overlap goes on no longer than it would have.
        let until = arguments.overlap.map(|span| now.saturating_add(span));
        let details = match until {
            Some(until) => {
                let before = old.expires_at;
                let until = before.map_or(until, |end| end.min(until));
                old.expires_at = Some(until);
                // A key that no snapshot can have would hold back what is published of all others.
                maker.check(&old)?;
                json!({ "replaced_by": made.key.id, "expires_at": { "from": before, "to": until } })
            }
            None => {
                let before = old.status.name();
                old.status = Status::Revoked;
                change.drop_sealed_secret(&old.realm, &old.id)?;
                json!({ "replaced_by": made.key.id, "status": { "from": before, "to": old.status.name() } })
            }
        };
        change.update_key(&mut old)?;
        let entry = Entry::new("key.replace").realm(&old.realm).tenant(old.tenant.as_deref()).key(&old.id);
        change.log(&entry.details(details))?;
        Ok((made, secret, old))
    })?;
    let end = match old.status {
        Status::Revoked => format!("{} is revoked.", visible(&old.id)),
        _ => format!("{} goes on until {}.", visible(&old.id), times::shown_or(old.expires_at, "revoked")),
    };
    let once = if made.retrievable.is_some() { "" } else { "shown this once: copy it now; " };
    let note = format!("{once}{end}");
    let (realm, id) = (&made.key.realm, &made.key.id);
    let (secret, kept) = (secret.presented(), made.retrievable.is_some());
    Shown { realm, id, secret: &secret, note: &note, kept, json: arguments.json }.print()?;
    if arguments.json {
        return Ok(true);
    }
    // On a terminal it was said beside the key.
    if !io::stdout().is_terminal() {
        writeln!(anstream::stderr(), "{id}: {end}")?;
    }
    Ok(true)
}

/// The key that takes the place of the old one, and its secret.
fn successor<'c>(
    arguments: &Arguments,
    configuration: &'c Configuration,
    maker: &Maker<'c>,
    old: &StoredKey,
    now: u64,
) -> Result<(Made<'c>, Secret), Failure> {
    match old.state(now) {
        KeyState::Active => {}
        KeyState::Suspended | KeyState::Pending => {
            return Err(Failure::check(format_args!(
                "key {:?} is {}: `keyward key resume` it first, or make another",
                old.id,
                old.state(now).name()
            )));
        }
        KeyState::Revoked | KeyState::Expired => {
            return Err(Failure::check(format_args!(
                "key {:?} is {}, so nothing is to be handed over: make another with `keyward key create`",
                old.id,
                old.state(now).name()
            )));
        }
    }
    let realm = realm(configuration, Some(&old.realm))?;
    let secret = realm.new_key(&old.credential, old.environment.as_deref()).map_err(Failure::usage)?;
    let secret = Secret::new(old.login.clone(), secret);
    let lifetime = old.expires_at.map(|end| end.saturating_sub(old.created_at));
    let expires_at = match arguments.expires {
        Some(when) => when.from(now),
        None => lifetime.map(|span| now.saturating_add(span)),
    };
    let id = match &arguments.new_id {
        Some(id) => id.clone(),
        None => create::new_id()?,
    };
    let members = json!({
        "realm": old.realm,
        "id": id,
        "credential": old.credential,
        "tenant": old.tenant,
        "environment": old.environment,
        "scopes": old.scopes,
        "allow_ips": old.allow_ips,
        "rate_limit": old.rate_limit,
        "not_before": old.not_before.filter(|begin| *begin > now),
        "expires_at": expires_at,
        "metadata": old.metadata,
    });
    let members = if let Value::Object(members) = members { members } else { Map::new() };
    let mut made = maker.make(&create::line(members, &secret), now).map_err(Failure::usage)?;
    made.key.replaces = Some(old.id.clone());
    Ok((made, secret))
}
