//! May this snapshot be served? Who published it, and whether it would be a way back.

use super::refusal::ReloadError;
use crate::format::HASH_LENGTH;
use crate::format::header::{FormatError, Header};
use crate::gates::Plan;
use crate::keyring::Keyring;
use crate::limits::{Mark, Passed, State};
use crate::realm::Realm;
use crate::snapshot::SnapshotError;
use std::collections::BTreeMap;

/// The hash of a header that somebody signed who may publish; `None` where the keyring asks for nobody's signature.
pub(super) struct Signed(Option<[u8; HASH_LENGTH]>);

/// Checks who signed the file in `bytes`, before anything else in it is believed.
pub(super) fn check_signed(bytes: &[u8], keyring: &Keyring) -> Result<Signed, ReloadError> {
    if keyring.public_keys().is_empty() {
        return Ok(Signed(None));
    }
    let header = Header::read(bytes, bytes.len() as u64)?;
    let hash = Header::hash(bytes).ok_or(FormatError::Empty)?;
    keyring.check_signatures(&hash, &header.signatures)?;
    Ok(Signed(Some(hash)))
}

impl Signed {
    /// Refuses a file that is not the one whose signature was checked: somebody changes it in place.
    pub(super) fn check(&self, opened: &[u8; HASH_LENGTH]) -> Result<(), ReloadError> {
        match &self.0 {
            Some(hash) if hash != opened => Err(FormatError::Hash { part: "header" }.into()),
            _ => Ok(()),
        }
    }
}

/// What an engine knows of the marks of its realms: how often each was moved back when its plan took over.
#[derive(Default)]
pub(super) struct Known(BTreeMap<Box<str>, u32>);

impl Known {
    /// Whether a mark of one of its realms was moved back since, on purpose, by any process: then it is the mark
    /// that says what may follow, and not what this engine serves.
    pub(super) fn was_moved_back(&self, state: &State) -> bool {
        self.0.iter().any(|(realm, known)| state.mark(realm).is_some_and(|mark| mark.moves_back > *known))
    }
}

/// The names of a snapshot's realms.
fn names(realms: &[Realm]) -> Vec<&str> {
    realms.iter().map(|realm| realm.name.as_str()).collect()
}

/// Whether `next` may follow on what is in use, by their own generations and realms.
pub(super) fn check_follows(current: &Plan, next: &Plan) -> Result<(), ReloadError> {
    let (current, next) = (current.layers(), next.layers());
    let (used, found) = (current.header().generation, next.header().generation);
    if found < used {
        return Err(ReloadError::Older { found, current: used });
    }
    if found == used && current.hashes() != next.hashes() {
        return Err(ReloadError::Conflict { generation: found });
    }
    let (used, found) = (names(current.base().realms()), names(next.base().realms()));
    // With nothing left that requests ask for it is another service's snapshot, whatever its generation.
    if !used.is_empty() && !found.iter().any(|realm| used.contains(realm)) {
        return Err(ReloadError::OtherRealms { found: found.join(", "), current: used.join(", ") });
    }
    Ok(())
}

/// Notes in the state file that `plan` is about to be served, after everything else about it was checked. Where it
/// has a delta, that is what was published last, and the generation is its own: the full snapshot alone would be a
/// way back.
pub(super) fn serve(plan: &Plan, state: &State, going_back: bool) -> Result<Known, ReloadError> {
    let layers = plan.layers();
    let realms = names(layers.base().realms());
    let found = layers.header().generation;
    let (full, delta) = layers.hashes();
    let refused = |Passed { realm, mark }| match mark.generation == found {
        true => ReloadError::ServedOther { generation: found, realm },
        false => ReloadError::Served { found, served: mark.generation, realm },
    };
    state.serve(&realms, Mark::new(found, delta.unwrap_or(full)), going_back).map_err(refused)?;
    let known = realms.iter().filter_map(|realm| Some(((*realm).into(), state.mark(realm)?.moves_back)));
    Ok(Known(known.collect()))
}

impl From<FormatError> for ReloadError {
    fn from(error: FormatError) -> Self {
        Self::Snapshot(SnapshotError::Format(error))
    }
}
