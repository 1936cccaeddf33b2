//! What a publisher does not do before somebody has said yes.

use std::fmt;

/// Fewer keys than this may always go: somebody means them.
pub(super) const ALWAYS: u64 = 20;

/// Asked before something doubtful is published.
pub(crate) type Consent<'c> = &'c mut dyn FnMut(&Doubt) -> bool;

/// What is doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Many keys would stop working.
    Loss { revoked: u64, removed: u64, of: u64 },
    /// What is in place is newer than everything that the keystore remembers.
    Restored { found: u64, newest: Option<u64> },
    /// What is in place was not published from this keystore.
    Foreign { found: u64 },
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss { revoked, removed, of } => {
                write!(formatter, "of {of} published keys {revoked} would be revoked and {removed} removed")
            }
            Self::Restored { found, newest: Some(newest) } => write!(
                formatter,
                "generation {found} is in place, and the keystore remembers no later one than {newest}: it was set \
                 back, as from a backup, and keys that were revoked since may come back"
            ),
            Self::Restored { found, newest: None } => write!(
                formatter,
                "generation {found} is in place, and nothing was published from this keystore yet: its keys would \
                 take the place of those"
            ),
            Self::Foreign { found } => write!(
                formatter,
                "the generation {found} in place is not the one of that number that was published from this keystore"
            ),
        }
    }
}

/// The loss of so many keys, where it is more than may go without a word.
pub(super) fn loss(revoked: u64, removed: u64, of: u64, percent: u8) -> Option<Doubt> {
    let lost = revoked.saturating_add(removed);
    let much = u128::from(lost) * 100 > u128::from(of) * u128::from(percent);
    (lost > ALWAYS && much).then_some(Doubt::Loss { revoked, removed, of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_asked_about() {
        assert_eq!(loss(20, 0, 20, 10), None);
        assert_eq!(loss(100, 0, 1000, 10), None);
        assert_eq!(loss(100, 1, 1000, 10), Some(Doubt::Loss { revoked: 100, removed: 1, of: 1000 }));
        assert_eq!(loss(0, 21, 1000, 0), Some(Doubt::Loss { revoked: 0, removed: 21, of: 1000 }));
        assert_eq!(loss(1000, 0, 1000, 100), None);
    }
}
