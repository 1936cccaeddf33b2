//! The key that a command is about.

use crate::failure::Failure;
use crate::keystore::place::{ActorArguments, PlaceArguments};
use clap::Args;
use keyward_keystore::{KeyFilter, StoredKey, View};

/// One key, and who asks.
#[derive(Args)]
pub(super) struct KeyArguments {
    /// The id of the key
    pub(super) id: String,
    /// Its realm [default: the only one that has a key of this id]
    #[arg(long, value_name = "NAME")]
    pub(super) realm: Option<String>,
    #[command(flatten)]
    pub(super) actor: ActorArguments,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

impl KeyArguments {
    pub(super) fn find(&self, view: &mut View<'_>) -> Result<StoredKey, Failure> {
        let (mut found, mut realms) = (None, Vec::new());
        let filter = KeyFilter { id: Some(&self.id), realm: self.realm.as_deref(), ..KeyFilter::default() };
        view.keys(&filter, |key| {
            realms.push(key.realm.clone());
            found = Some(key);
            Ok::<_, Failure>(())
        })?;
        match (found, &realms[..]) {
            (Some(key), [_]) => Ok(key),
            (Some(_), several) => Err(Failure::usage(format_args!(
                "several realms have a key {:?}: name one of {} with --realm",
                self.id,
                several.join(", ")
            ))),
            (None, _) => Err(Failure::check(format_args!("there is no key {:?}", self.id))),
        }
    }
}
