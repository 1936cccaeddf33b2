//! May this snapshot be served? Who published it, and whether it would be a way back.

use super::reload::ReloadError;
use crate::format::header::{FormatError, Header};
use crate::gates::Plan;
use crate::keyring::Keyring;
use crate::limits::{Mark, Passed, State};
use crate::realm::Realm;
use crate::signature::Fingerprint;
use crate::snapshot::{Snapshot, SnapshotError};
use std::collections::BTreeMap;

/// The header of a file, checked to be what somebody signed who may publish.
pub(super) struct Signed {
    hash: [u8; 32],
    /// Whose signature it was.
    pub(super) by: Fingerprint,
}

/// Checks who signed the file in `bytes`, before anything else in it is believed. `None` where the keyring asks for
/// nobody's signature.
pub(super) fn check_signed(bytes: &[u8], keyring: &Keyring) -> Result<Option<Signed>, ReloadError> {
    if keyring.public_keys().is_empty() {
        return Ok(None);
    }
    let header = Header::read(bytes, bytes.len() as u64)?;
    let hash = Header::hash(bytes).ok_or(FormatError::Empty)?;
    let by = keyring.check_signatures(&hash, &header.signatures)?;
    Ok(by.map(|by| Signed { hash, by }))
}

impl Signed {
    /// Refuses a snapshot that is not the one whose signature was checked: somebody changes it in place.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<(), ReloadError> {
        if self.hash == *snapshot.hash() { Ok(()) } else { Err(FormatError::Hash { part: "header" }.into()) }
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
pub(super) fn check_follows(current: &Plan, next: &Snapshot) -> Result<(), ReloadError> {
    let (current, found) = (current.snapshot(), next.header().generation);
    let used = current.header().generation;
    if found < used {
        return Err(ReloadError::Older { found, current: used });
    }
    if found == used && current.hash() != next.hash() {
        return Err(ReloadError::Conflict { generation: found });
    }
    let used = names(current.realms());
    // With nothing left that requests ask for it is another service's snapshot, whatever its generation.
    if !used.is_empty() && !next.realms().iter().any(|realm| used.contains(&realm.name.as_str())) {
        let list = |names: Vec<&str>| names.join(", ");
        return Err(ReloadError::OtherRealms { found: list(names(next.realms())), current: list(used) });
    }
    Ok(())
}

/// Notes in the state file that `plan` is about to be served, after everything else about it was checked.
pub(super) fn serve(plan: &Plan, state: &State, going_back: bool) -> Result<Known, ReloadError> {
    let snapshot = plan.snapshot();
    let realms = names(snapshot.realms());
    let found = snapshot.header().generation;
    let refused = |Passed { realm, mark }| match mark.generation == found {
        true => ReloadError::ServedOther { generation: found, realm },
        false => ReloadError::Served { found, served: mark.generation, realm },
    };
    state.serve(&realms, Mark::new(found, snapshot.hash()), going_back).map_err(refused)?;
    let known = realms.iter().filter_map(|realm| Some(((*realm).into(), state.mark(realm)?.moves_back)));
    Ok(Known(known.collect()))
}

impl From<FormatError> for ReloadError {
    fn from(error: FormatError) -> Self {
        Self::Snapshot(SnapshotError::Format(error))
    }
}
