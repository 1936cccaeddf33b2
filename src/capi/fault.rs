//! What went wrong, as a number and a message.

use super::numbers::*;
use super::sized::{Output, Struct, zeroed};
use super::text::set_text;
use super::types::{KEYWARD_MESSAGE_SIZE, keyward_error};
use crate::engine::ReloadError;
use crate::format::header::FormatError;
use crate::gates::{IssueRefusal, PlanError};
use crate::keyring::KeyringError;
use crate::limits::StateError;
use crate::snapshot::{DeltaError, SnapshotError};
use std::io::ErrorKind;

// SAFETY: `repr(C)`: 4, 4 and 488 bytes, without padding; a value of integers once its first 8 bytes are
// written, because the message may be unwritten.
unsafe impl Struct for keyward_error {
    const SMALLEST: usize = 16;
    const HEAD: usize = 8;

    fn empty_texts(&mut self) {
        set_text(&mut self.message, "");
    }
}

/// A status, and what there is to say beyond its name.
pub(super) struct Fault {
    pub(super) status: i32,
    pub(super) message: String,
}

impl From<i32> for Fault {
    fn from(status: i32) -> Self {
        Self { status, message: default_message(status).to_owned() }
    }
}

/// What a caller's fault means, which only its number tells otherwise.
fn default_message(status: i32) -> &'static str {
    match status {
        KEYWARD_E_NULL => "a pointer is NULL that must not be",
        KEYWARD_E_STRUCT_SIZE => {
            "a struct has a size that no version of it had, or unknown bytes that are not zero: pass its sizeof"
        }
        KEYWARD_E_HANDLE => "the handle is not an engine, or one that was released",
        KEYWARD_E_ALIGNMENT => "a pointer is not aligned for what it points to",
        KEYWARD_E_LENGTH => "bytes or a list are NULL and have a length, or a length that no memory has",
        KEYWARD_E_UTF8 => "a text that has to be UTF-8 is not",
        KEYWARD_E_VALUE => "a flag or number is unknown to this library, or two exclude each other",
        KEYWARD_E_BUFFER => "the buffer is too small",
        KEYWARD_E_NOT_A_KEY => "the realm does not take one key by itself",
        KEYWARD_E_DENIED => "the request was refused, so no token is issued for it; the verdict says why",
        _ => "",
    }
}

fn io_status(error: &std::io::Error) -> i32 {
    match error.kind() {
        ErrorKind::NotFound => KEYWARD_E_NOT_FOUND,
        ErrorKind::PermissionDenied => KEYWARD_E_PERMISSION,
        _ => KEYWARD_E_IO,
    }
}

fn snapshot_status(error: &SnapshotError) -> i32 {
    match error {
        SnapshotError::Realms(_) => KEYWARD_E_MALFORMED,
        SnapshotError::Format(error) => match error {
            FormatError::Empty | FormatError::Magic | FormatError::IsDelta { .. } | FormatError::NotDelta => {
                KEYWARD_E_NOT_A_SNAPSHOT
            }
            FormatError::Version { .. } | FormatError::Features { .. } | FormatError::DigestSuite { .. } => {
                KEYWARD_E_VERSION
            }
            FormatError::Truncated { .. } | FormatError::TooLong { .. } => KEYWARD_E_TRUNCATED,
            FormatError::Hash { .. } => KEYWARD_E_DAMAGED,
            FormatError::Malformed { .. } => KEYWARD_E_MALFORMED,
        },
    }
}

impl From<KeyringError> for Fault {
    fn from(error: KeyringError) -> Self {
        let status = match &error {
            KeyringError::Unreadable { source, .. } => io_status(source),
            KeyringError::Exposed { .. } => KEYWARD_E_KEYRING_EXPOSED,
            _ => KEYWARD_E_KEYRING,
        };
        Self { status, message: error.to_string() }
    }
}

impl From<&ReloadError> for Fault {
    fn from(error: &ReloadError) -> Self {
        let status = match error {
            ReloadError::Io { error, .. } => io_status(error),
            ReloadError::Snapshot(error) | ReloadError::Delta(DeltaError::Snapshot(error)) => {
                snapshot_status(error)
            }
            ReloadError::Delta(
                DeltaError::OtherBase { .. } | DeltaError::Differs { .. } | DeltaError::Missing { .. },
            ) => KEYWARD_E_DELTA,
            ReloadError::Plan(PlanError::PepperMissing { .. } | PlanError::PepperWrong { .. }) => {
                KEYWARD_E_PEPPER
            }
            ReloadError::Plan(PlanError::Realm { .. }) => KEYWARD_E_MALFORMED,
            ReloadError::Signature(_) => KEYWARD_E_SIGNATURE,
            ReloadError::Older { .. } | ReloadError::Served { .. } => KEYWARD_E_OLDER,
            ReloadError::Conflict { .. } | ReloadError::ServedOther { .. } => KEYWARD_E_CONFLICT,
            ReloadError::OtherRealms { .. } => KEYWARD_E_REALMS,
            ReloadError::State(StateError::Io { error, .. }) => io_status(error),
            ReloadError::State(StateError::Slots { .. }) => KEYWARD_E_VALUE,
            ReloadError::State(_) => KEYWARD_E_STATE,
            ReloadError::NoBase => KEYWARD_E_NO_SNAPSHOT,
            ReloadError::NoFile => KEYWARD_E_NO_FILE,
        };
        Self { status, message: error.to_string() }
    }
}

impl From<ReloadError> for Fault {
    fn from(error: ReloadError) -> Self {
        Self::from(&error)
    }
}

impl From<IssueRefusal> for Fault {
    fn from(error: IssueRefusal) -> Self {
        let status = match error {
            IssueRefusal::NotAKey => KEYWARD_E_DENIED,
            _ => KEYWARD_E_TOKEN,
        };
        Self { status, message: error.to_string() }
    }
}

impl Output<keyward_error> {
    /// Tells a fault, if somebody wants to know, and returns its status.
    pub(super) fn tell(&mut self, fault: &Fault) -> i32 {
        let mut error: keyward_error = zeroed();
        error.code = fault.status;
        error.message_len = set_text(&mut error.message, cut(&fault.message, self.room())) as u32;
        // Where it cannot be written, nobody is told more than the number.
        let _ = self.write(&error);
        fault.status
    }

    /// The longest message that the caller's struct has room for.
    fn room(&self) -> usize {
        self.size().min(size_of::<keyward_error>()).saturating_sub(keyward_error::HEAD + 1)
    }

    /// NULL says that nobody wants to know; anything else has to be a good struct.
    pub(super) fn check_wanted(&self) -> Result<(), i32> {
        if self.is_wanted() { self.check() } else { Ok(()) }
    }
}

/// `text`, cut to at most `room` bytes between two characters.
pub(super) fn cut(text: &str, room: usize) -> &str {
    text.get(..text.floor_char_boundary(room)).unwrap_or_default()
}

/// A message, cut to what a message has room for.
pub(super) fn cut_message(text: &str) -> &str {
    cut(text, KEYWARD_MESSAGE_SIZE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SignatureError;

    #[test]
    fn what_is_refused_for_whom_it_is_of_has_its_own_status() {
        let told = |error: ReloadError| Fault::from(&error).status;
        let realm = || "r".to_owned();
        let unsigned = SignatureError::Unsigned { accepted: Vec::new() };
        assert_eq!(told(ReloadError::Signature(unsigned)), KEYWARD_E_SIGNATURE);
        assert_eq!(told(ReloadError::OtherRealms { found: realm(), current: realm() }), KEYWARD_E_REALMS);
        // A way back is one, whoever has gone ahead.
        assert_eq!(told(ReloadError::Older { found: 1, current: 2 }), KEYWARD_E_OLDER);
        assert_eq!(told(ReloadError::Served { found: 1, served: 2, realm: realm() }), KEYWARD_E_OLDER);
        assert_eq!(told(ReloadError::Conflict { generation: 1 }), KEYWARD_E_CONFLICT);
        assert_eq!(told(ReloadError::ServedOther { generation: 1, realm: realm() }), KEYWARD_E_CONFLICT);
    }
}
