//! `keyward key reveal`.

use super::find::KeyArguments;
use super::print::Shown;
use crate::failure::Failure;
use crate::keystore::place::realm;
use crate::keystore::{issuing, seal};
use clap::Args;
use keyward::realm::CredentialKind;
use keyward::record::Status;
use keyward_keystore::Entry;

/// Print a key again, where its credential is `retrievable`; the log says who asked
///
/// Such keys are kept sealed under a key of the keyring, and no snapshot has them. Those of other credentials cannot
/// be printed again by anybody: only their digests are kept.
#[derive(Args)]
#[command(after_help = "\
Example:
  keyward key reveal key_0123456789abcdef --as ada@example.com

Exit codes: 0 printed; 1 it is not kept, or not for the member to see; 2 the command line is wrong; 3 the keyring
or the keystore cannot be used.")]
pub(super) struct Arguments {
    #[command(flatten)]
    key: KeyArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let place = &arguments.key.place;
    let configuration = place.configuration()?;
    let keyring = place.keyring(&configuration)?;
    let actor = arguments.key.actor.actor();
    let (key, secret) = place.open()?.change(&actor, |change| {
        let key = arguments.key.find(change)?;
        let realm = realm(&configuration, Some(&key.realm))?;
        issuing::check_member(change, &realm.name, key.tenant.as_deref(), &actor)?;
        let retrievable =
            realm.credential(&key.credential).is_some_and(|credential| match &credential.kind {
                CredentialKind::Key(rules) | CredentialKind::Basic(rules) => rules.retrievable,
                CredentialKind::Token(_) | CredentialKind::Tenant => false,
            });
        let refused =
            |why: &str| Failure::check(format_args!("key {:?} cannot be printed again: {why}", key.id));
        if key.status == Status::Revoked {
            return Err(refused("it is revoked, and what was kept of it was thrown away"));
        }
        let sealed = change.sealed_secret(&key.realm, &key.id)?;
        let sealed = match sealed.filter(|_| retrievable) {
            Some(sealed) => sealed,
            None if retrievable => return Err(refused("it was stored as a digest alone")),
            None => return Err(refused("its credential is not `retrievable`, so only its digest counts")),
        };
        let secret = seal::open(&keyring, &key.realm, &key.id, &sealed)?;
        // Logged before it is seen: the other way round, a reader who is quick with a signal leaves no trace.
        change.log(&Entry::new("key.reveal").realm(&key.realm).tenant(key.tenant.as_deref()).key(&key.id))?;
        Ok((key, secret))
    })?;
    let note = "and the log says that it was shown.";
    Shown { realm: &key.realm, id: &key.id, secret: &secret, note, kept: true, json: arguments.json }
        .print()?;
    Ok(true)
}
