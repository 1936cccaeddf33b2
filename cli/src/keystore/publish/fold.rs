//! A full snapshot that takes in a delta which has grown, made beside the publisher while it goes on with deltas.
//!
//! It is read from one state of the keystore and written by a thread of its own, which with many keys takes long. Once
//! it is there it gets the next generation, and what has changed since goes into a delta on it, with the generation
//! after that. Both are noted in one transaction, and both are put in their places, the delta first.

use super::brake::Consent;
use super::gather::{self, MOST_WHILE_FOLDING};
use super::round::{Because, Content, Ground, Publishing, hex};
use super::stop::Stop;
use super::summary::Summary;
use super::{Rules, Settings};
use keyward::build::{Draft, Stamp};
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Mode, Snapshot};
use keyward::time::Timestamp;
use keyward_keystore::{Place, Store};
use std::io::{self, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long is waited before another is begun after one that failed.
const PAUSE: Duration = Duration::from_secs(60);

/// What a fold came to.
pub(super) enum Folding {
    /// There is none, or it is not done yet, or of no use any more.
    None,
    /// It was published.
    Published(Summary),
    /// A full snapshot is needed, whatever else has to wait.
    Impossible(Because),
}

/// One that is under way. Dropped, it ends.
pub(super) struct Fold {
    /// The hash of the full snapshot that was in place, and of the configuration.
    base: String,
    configuration: String,
    cancelled: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Folded, Stop>>>,
}

/// A full snapshot without a generation.
struct Folded {
    draft: Draft,
    /// The newest change that is in it.
    change: i64,
    /// Keys that were published and are not in the keystore any more, which no delta could say.
    removed: u64,
}

impl Fold {
    fn start(place: &Place, rules: &Arc<Rules>, path: PathBuf, base: String, configuration: String) -> Self {
        let cancelled = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (place, rules, cancelled) = (place.clone(), Arc::clone(rules), Arc::clone(&cancelled));
            move || fold(&place, &rules, path, &cancelled)
        });
        Self { base, configuration, cancelled, thread: Some(thread) }
    }

    fn is_done(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn end(mut self) -> Result<Folded, Stop> {
        let stopped = || Stop::Io(io::Error::other("the thread that folds stopped"));
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_else(|| Err(stopped()))
    }
}

impl Drop for Fold {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it made is removed with it.
            let _ = thread.join();
        }
    }
}

fn fold(place: &Place, rules: &Rules, path: PathBuf, cancelled: &AtomicBool) -> Result<Folded, Stop> {
    // One thread, for the publisher has others to serve.
    let threads = Some(NonZero::<usize>::MIN);
    let mut store = Store::open(place)?;
    let (collection, change, removed) = store.read(|view| {
        view.check_peppers(rules.keyring.peppers())?;
        let (newest, last) = (view.newest_change()?, view.newest_publication()?);
        let (collection, counts) = gather::everything(view, rules, threads, last.as_ref(), cancelled)?;
        Ok::<_, Stop>((collection, newest, counts.removed))
    })?;
    drop(store);
    let stamp = Stamp { generation: 1, created: Timestamp::coarse_now().seconds(), max_age: 0 };
    let draft = Draft::write(&path, |file| {
        collection.write(stamp, &mut Cancelled { output: file, cancelled }, &|_| {})
    })?;
    Ok(Folded { draft, change, removed })
}

/// Fails once `cancelled` is set.
struct Cancelled<'c, W> {
    output: &'c mut W,
    cancelled: &'c AtomicBool,
}

impl<W: Write> Write for Cancelled<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other("it is not wanted any more"));
        }
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: Seek> Seek for Cancelled<'_, W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.output.seek(to)
    }
}

impl Publishing<'_> {
    /// Begins to fold where the delta that was just published has too many keys.
    pub(super) fn fold_when_due(&mut self, rules: &Arc<Rules>, configuration: String, keys: u64) {
        let Settings { fold: Some(most), .. } = self.settings else { return };
        let waits = self.no_fold_before.is_some_and(|time| Instant::now() < time);
        if keys <= *most || self.fold.is_some() || waits {
            return;
        }
        if let Some((_, hash)) = self.publisher.full() {
            let path = self.publisher.draft_path().to_owned();
            self.fold = Some(Fold::start(self.place, rules, path, hex(hash), configuration));
        }
    }

    /// Publishes what was folded, and what has changed since it was read.
    pub(super) fn fold_in(
        &mut self,
        rules: &Rules,
        configuration: &str,
        consent: Consent<'_>,
    ) -> Result<Folding, Stop> {
        let Some(fold) = self.fold.take_if(|fold| fold.is_done()) else { return Ok(Folding::None) };
        let is_of_this = fold.configuration == configuration
            && self.publisher.full().is_some_and(|(_, hash)| hex(hash) == fold.base)
            && !self.is_strangely_signed(rules);
        let folded = match fold.end() {
            Ok(folded) if is_of_this => folded,
            Ok(_) => return Ok(Folding::None),
            Err(stop) => {
                let _ = writeln!(anstream::stderr(), "keyward: the delta was not folded: {stop}");
                self.no_fold_before = Some(Instant::now() + PAUSE);
                return Ok(Folding::None);
            }
        };
        if folded.removed > 0 {
            return Ok(Folding::Impossible("keys are gone from the keystore".to_owned()));
        }
        let Some((ground, lines)) = self.since(rules, &folded)? else { return Ok(Folding::None) };
        self.ask(rules, &ground, consent)?;
        self.publish_folded(rules, configuration, folded, &ground, &lines)
    }

    /// What has changed since it was read; `None` where what is in place is not what was published from the keystore.
    fn since(&mut self, rules: &Rules, folded: &Folded) -> Result<Option<(Ground, Vec<u8>)>, Stop> {
        let in_place = self.publisher.full().map(|(header, _)| header.generation);
        let read = self.store.read(|view| {
            view.check_peppers(rules.keyring.peppers())?;
            let newest = view.newest_change()?;
            let (Some(last), Some(in_place)) = (view.newest_publication()?, in_place) else {
                return Ok(None);
            };
            let base = view.publication(in_place)?;
            if folded.change > newest || last.change > newest || base.is_none() {
                return Ok(None);
            }
            let changes = gather::changes(view, folded.change, last.change, MOST_WHILE_FOLDING)?;
            Ok::<_, Stop>(changes.map(|(lines, counts)| {
                (Ground { newest, last: Some(last), base, content: Content::Nothing, counts }, lines)
            }))
        })?;
        Ok(read.filter(|(ground, _)| ground.last.as_ref().is_some_and(|last| self.has_in_place(last))))
    }

    fn publish_folded(
        &mut self,
        rules: &Rules,
        configuration: &str,
        folded: Folded,
        ground: &Ground,
        lines: &[u8],
    ) -> Result<Folding, Stop> {
        let generation = self.next_generation(rules, ground.last.as_ref())?;
        let after = generation + 1;
        if i64::try_from(after).is_err() {
            return Err(Stop::NoNext { found: generation });
        }
        let replaced = self.publisher.newest();
        let stamp = self.stamp(generation);
        let (needs_delta, keys) = (!lines.is_empty(), rules.keyring.signing_keys());
        let full = self.publisher.stage_draft(folded.draft, stamp, needs_delta, keys)?;
        let delta = if lines.is_empty() {
            self.note(ground, &[(&full, ground.newest)], configuration)?;
            None
        } else {
            let bytes = Bytes::open(&self.publisher.open_staged(&full)?, Mode::Map)?;
            let base = Snapshot::open(bytes, Check::Fast)?;
            let delta = match self.stage_delta_on(&base, rules, lines, self.stamp(after))? {
                Ok(delta) => delta,
                Err(because) => return Ok(Folding::Impossible(because)),
            };
            self.note(ground, &[(&full, folded.change), (&delta, ground.newest)], configuration)?;
            Some(delta)
        };
        self.put(Some(&full), delta.as_ref())?;
        let newest = delta.as_ref().unwrap_or(&full).header();
        Ok(Folding::Published(Summary {
            generation: newest.generation,
            base: delta.is_some().then_some(generation),
            change: ground.newest,
            counts: ground.counts,
            keys: newest.keys(),
            bytes: newest.file_length,
            replaced,
            because: Some("the delta was folded into a full one".to_owned()),
            took: Duration::ZERO,
        }))
    }
}
