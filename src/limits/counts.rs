//! What became of requests, by realm and reason.

use crate::reason::Reason;

/// How many reasons there are.
pub const REASONS: usize = Reason::ALL.len();

/// What became of the requests of one realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmCounts {
    /// The realm's name; nothing for requests of realms that there are not, and of those for which there was
    /// no room.
    pub realm: String,
    /// Requests by reason, in the order of [`Reason::ALL`].
    pub by_reason: [u64; REASONS],
}

impl RealmCounts {
    /// How many requests were decided for that reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.by_reason.get(reason as usize).copied().unwrap_or(0)
    }
}

/// What became of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By realm, in the order of their names.
    pub realms: Vec<RealmCounts>,
}

impl Counts {
    /// How many requests of all realms were decided for that reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.realms.iter().fold(0, |sum, realm| sum.saturating_add(realm.of(reason)))
    }

    /// How many requests were decided.
    pub fn requests(&self) -> u64 {
        Reason::ALL.into_iter().fold(0, |sum, reason| sum.saturating_add(self.of(reason)))
    }

    /// Those of one realm.
    pub fn realm(&self, name: &str) -> Option<&RealmCounts> {
        self.realms.iter().find(|realm| realm.realm == name)
    }
}
