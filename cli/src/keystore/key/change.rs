//! `keyward key suspend`, `resume`, `revoke` and `expire`.

use super::find::KeyArguments;
use crate::failure::Failure;
use crate::keystore::issuing::{self, Wanted};
use crate::keystore::maker::Maker;
use crate::keystore::place::realm;
use crate::keystore::times::{self, When};
use crate::output::{Output, visible};
use clap::Args;
use keyward::realm::Realm;
use keyward::record::Status;
use keyward_keystore::{Change, Entry, StoredKey};
use serde_json::{Value, json};
use std::io::Write;

/// Suspend a key: it authenticates, and is refused, until it is resumed
#[derive(Args)]
pub(super) struct SuspendArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Let a suspended or pending key work
#[derive(Args)]
pub(super) struct ResumeArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Revoke a key, for good
///
/// It no longer authenticates, and neither does any token that is bound to it. A revoked key does not come back. A
/// secret that was kept sealed is thrown away.
#[derive(Args)]
#[command(after_help = "\
Example:
  keyward key revoke key_0123456789abcdef --reason 'found in a public repository'

Exit codes: 0 it is revoked, now or before; 1 there is no such key, or it is not for the member to change;
2 the command line is wrong; 3 the keystore cannot be used.")]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Why, for the log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Set when a key ends
#[derive(Args)]
#[command(after_help = "\
Examples:
  keyward key expire key_0123456789abcdef +7d
  keyward key expire key_0123456789abcdef 2027-01-31T12:00:00Z
  keyward key expire key_0123456789abcdef never")]
pub(super) struct ExpireArguments {
    #[command(flatten)]
    key: KeyArguments,
    /// When: 2027-01-31, 2027-01-31T12:00:00Z, Unix seconds, +7d, now or never
    #[arg(value_name = "TIME", value_parser = times::when)]
    when: When,
}

/// Changes a key, if there is something to change, and says what it has become.
pub(super) fn alter(
    arguments: &KeyArguments,
    action: &'static str,
    alter: impl FnOnce(&mut Change<'_>, &mut StoredKey) -> Result<Option<Value>, Failure>,
) -> Result<Option<StoredKey>, Failure> {
    let actor = arguments.actor.actor();
    // Without the configuration: a slip in it keeps nobody from revoking a key.
    arguments.place.open()?.change(&actor, |change| {
        let mut key = arguments.find(change)?;
        issuing::check_member(change, &key.realm, key.tenant.as_deref(), &actor)?;
        let Some(details) = alter(change, &mut key)? else { return Ok(None) };
        change.update_key(&mut key)?;
        let entry = Entry::new(action).realm(&key.realm).tenant(key.tenant.as_deref()).key(&key.id);
        change.log(&entry.details(details))?;
        Ok(Some(key))
    })
}

fn say(arguments: &KeyArguments, said: &str) -> Result<bool, Failure> {
    writeln!(Output::new(), "{}: {said}", visible(&arguments.id))?;
    Ok(true)
}

fn status(
    arguments: &KeyArguments,
    action: &'static str,
    to: Status,
    reason: Option<&str>,
    check: impl FnOnce(&mut Change<'_>, &StoredKey) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let changed = alter(arguments, action, |change, key| {
        if key.status == to {
            return Ok(None);
        }
        if key.status == Status::Revoked {
            return Err(Failure::check(format_args!("key {:?} is revoked, and that is for good", key.id)));
        }
        check(change, key)?;
        let from = key.status.name();
        key.status = to;
        Ok(Some(json!({ "status": { "from": from, "to": to.name() }, "reason": reason })))
    })?;
    let name = to.name();
    say(arguments, &if changed.is_some() { name.to_owned() } else { format!("was {name} already") })
}

pub(super) fn suspend(arguments: &SuspendArguments) -> Result<bool, Failure> {
    let reason = arguments.reason.as_deref();
    status(&arguments.key, "key.suspend", Status::Suspended, reason, |_, _| Ok(()))
}

pub(super) fn resume(arguments: &ResumeArguments) -> Result<bool, Failure> {
    let configuration = arguments.key.place.configuration()?;
    status(&arguments.key, "key.resume", Status::Active, arguments.reason.as_deref(), |change, key| {
        let realm = realm(&configuration, Some(&key.realm))?;
        let (tenant, environment) = (key.tenant.as_deref(), key.environment.as_deref());
        match issuing::unapproved(change, realm, tenant, environment)? {
            Some(refusal) => Err(Failure::check(refusal)),
            None => Ok(()),
        }
    })
}

pub(super) fn revoke(arguments: &RevokeArguments) -> Result<bool, Failure> {
    let reason = arguments.reason.as_deref();
    status(&arguments.key, "key.revoke", Status::Revoked, reason, |change, key| {
        Ok(change.drop_sealed_secret(&key.realm, &key.id)?)
    })
}

/// That a key which is to go on for longer than until `before` is still one that its tenant may have.
fn check_longer(
    change: &mut Change<'_>,
    realm: &Realm,
    key: &StoredKey,
    before: Option<u64>,
) -> Result<(), Failure> {
    let longer = before.is_some_and(|before| key.expires_at.is_none_or(|end| end > before));
    if !longer || realm.issuing.keys_per_tenant.is_none() {
        return Ok(());
    }
    if let Some(successor) = change.successor(&key.realm, &key.id)? {
        return Err(Failure::check(format_args!(
            "key {:?} was replaced by {successor:?}, and goes on no longer than it was given",
            key.id
        )));
    }
    let wanted = Wanted {
        credential: &key.credential,
        tenant: key.tenant.as_deref(),
        environment: key.environment.as_deref(),
        replaces: Some(&key.id),
    };
    issuing::check_room(change, realm, &wanted)
}

pub(super) fn expire(arguments: &ExpireArguments) -> Result<bool, Failure> {
    let configuration = arguments.key.place.configuration()?;
    let keyring = arguments.key.place.keyring(&configuration)?;
    let maker = Maker::new(&configuration, &keyring)?;
    let end = arguments.when.from(times::now());
    alter(&arguments.key, "key.expire", |change, key| {
        if key.expires_at == end {
            return Ok(None);
        }
        if key.status == Status::Revoked {
            return Err(Failure::check(format_args!("key {:?} is revoked, and that is for good", key.id)));
        }
        let from = std::mem::replace(&mut key.expires_at, end);
        maker.check(key)?;
        check_longer(change, realm(&configuration, Some(&key.realm))?, key, from)?;
        Ok(Some(json!({ "expires_at": { "from": from, "to": end } })))
    })?;
    let said = match end {
        Some(end) if end <= times::now() => format!("expired at {}", times::shown(end)),
        Some(end) => format!("ends at {}", times::shown(end)),
        None => "never ends".to_owned(),
    };
    say(&arguments.key, &said)
}
