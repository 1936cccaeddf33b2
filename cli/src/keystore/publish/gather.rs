//! What the keystore holds that is not published yet, read in one consistent state.

use super::Rules;
use super::stop::Stop;
use keyward::build::{BuildError, Collection, Source};
use keyward_keystore::{Publication, StoreError, StoredKey, View};
use std::io::{self, BufWriter, Write};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A delta of more keys than this is folded into a full snapshot: it is written whole at each change.
pub(super) const MOST_CHANGES: usize = 20_000;
/// The same where it is folded beside the publisher, and deltas go on until that is done.
pub(super) const MOST_WHILE_FOLDING: usize = 100_000;
/// Bytes that are collected before they go through the pipe.
const PIPE: usize = 1 << 16;

/// How many keys are other than in the publication before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) revoked: u64,
    pub(crate) removed: u64,
}

impl Counts {
    /// Counts a key that was published before up to the change `last`.
    fn count(&mut self, key: &StoredKey, last: i64) {
        if key.added > last {
            self.added += 1;
        } else if key.revoked.is_some_and(|revoked| revoked > last) {
            self.revoked += 1;
        } else if key.changed > last {
            self.changed += 1;
        }
    }
}

/// A transaction or the work on what it reads went wrong.
enum Broken {
    Stop(Stop),
    /// There are more changes than a delta should have.
    TooMany,
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Stop(error.into())
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Stop(error.into())
    }
}

/// The lines of the keys that changed after `base`, of which those after `last` are counted; `None` where there are
/// more than `most`.
pub(super) fn changes(
    view: &mut View<'_>,
    base: i64,
    last: i64,
    most: usize,
) -> Result<Option<(Vec<u8>, Counts)>, Stop> {
    let (mut lines, mut counts, mut keys) = (Vec::new(), Counts::default(), 0);
    let read = view.keys_changed_since(base, |key| {
        keys += 1;
        if keys > most {
            return Err(Broken::TooMany);
        }
        counts.count(&key, last);
        key.write_record(&mut lines)?;
        lines.push(b'\n');
        Ok(())
    });
    match read {
        Ok(()) => Ok(Some((lines, counts))),
        Err(Broken::TooMany) => Ok(None),
        Err(Broken::Stop(stop)) => Err(stop),
    }
}

/// Every key, unless `cancelled` comes before the last.
pub(super) fn everything(
    view: &mut View<'_>,
    rules: &Rules,
    threads: Option<NonZero<usize>>,
    last: Option<&Publication>,
    cancelled: &AtomicBool,
) -> Result<(Collection, Counts), Stop> {
    let (reader, writer) = io::pipe()?;
    let change = last.map_or(0, |last| last.change);
    let mut counts = Counts::default();
    let collection = thread::scope(|scope| {
        let build = scope.spawn(|| {
            let source = Source { name: "the keystore", threads, progress: &|_| {} };
            Collection::read(&rules.configuration, &rules.keyring, reader, &source)
        });
        let mut writer = BufWriter::with_capacity(PIPE, writer);
        let sent = view
            .keys_changed_since(0, |key| {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(Stop::Io(io::ErrorKind::Interrupted.into()));
                }
                counts.count(&key, change);
                key.write_record(&mut writer).and_then(|()| writer.write_all(b"\n")).map_err(Stop::Io)
            })
            .and_then(|()| writer.flush().map_err(Stop::Io));
        drop(writer);
        let built = build.join().map_err(|_| Stop::Io(io::Error::other("a thread that builds stopped")))?;
        match (built, sent) {
            // Nobody takes lines any more once one of them was wrong.
            (Err(error), _) => Err(named(error, view)),
            (Ok(_), Err(stop)) => Err(stop),
            (Ok(collection), Ok(())) => Ok(collection),
        }
    })?;
    let published = last.map_or(0, |last| last.keys);
    counts.removed = published.saturating_sub(collection.keys().saturating_sub(counts.added));
    Ok((collection, counts))
}

/// The same, with the key in place of the line that it was sent as, in the order of [`View::keys_changed_since`].
fn named(error: BuildError, view: &mut View<'_>) -> Stop {
    let (number, error) = match error {
        BuildError::Line { line, error, .. } => (line, error),
        other => return other.into(),
    };
    let (mut line, mut found) = (0, None);
    let read = view.keys_changed_since(0, |key| {
        line += 1;
        if line < number {
            return Ok(());
        }
        found = Some((key.realm, key.id));
        Err(Broken::TooMany)
    });
    match (read, found) {
        (_, Some((realm, id))) => Stop::Key { realm, id, error: Box::new(error) },
        (Err(Broken::Stop(stop)), None) => stop,
        (_, None) => BuildError::Line { file: "the keystore".to_owned(), line: number, error }.into(),
    }
}
