//! One round of publishing: what is in the keystore and not in place is written, noted, and put in its place.
//!
//! The order, which docs/OPERATIONS.md says more of: the locks; what was noted and never put in its place; one
//! consistent state of the keystore; a file, complete and synced; the note in the keystore, which is what gives the
//! generation away; the rename. A generation that was noted is never given to other bytes, whatever came of it.

use super::brake::{self, Consent, Doubt};
use super::fold::{Fold, Folding};
use super::gather::{self, Counts, MOST_CHANGES, MOST_WHILE_FOLDING};
use super::kept;
use super::stop::Stop;
use super::summary::{Outcome, Summary};
use super::{Rules, Settings};
use keyward::build::{BuildError, Changes, Collection, Form, Publisher, Source, Staged, Stamp};
use keyward::format::header::FormatError;
use keyward::memory::Bytes;
use keyward::signature::SigningKey;
use keyward::snapshot::{Check, Delta, Mode, Snapshot, delta_path};
use keyward::time::Timestamp;
use keyward_keystore::{Actor, Entry, Place, Publication, Store};
use serde_json::json;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

/// How long the right to publish is waited for: whoever asks for the status takes it for a moment.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// A publisher at work. While it lives, nobody else publishes from the keystore or to the place; a crash releases both.
pub(crate) struct Publishing<'s> {
    /// Ends before the locks are given back.
    pub(super) fold: Option<Fold>,
    /// No fold is begun before, since the last one failed.
    pub(super) no_fold_before: Option<Instant>,
    pub(super) store: Store,
    pub(super) publisher: Publisher,
    pub(super) place: &'s Place,
    pub(super) settings: &'s Settings,
    /// The full snapshot in place, open.
    base: Option<Snapshot>,
    /// Whether every byte of what is in place was looked at, as it is once.
    checked: bool,
    actor: Actor,
}

/// What a round has to start from: one state of the keystore.
pub(super) struct Ground {
    pub(super) newest: i64,
    pub(super) last: Option<Publication>,
    /// The publication of the full snapshot in place, if it is one.
    pub(super) base: Option<Publication>,
    pub(super) content: Content,
    pub(super) counts: Counts,
}

/// What is to be written.
pub(super) enum Content {
    Nothing,
    /// Lines of keys that have changed since the base.
    Changes(Vec<u8>),
    Full {
        collection: Box<Collection>,
        because: Option<String>,
    },
}

/// What a full snapshot is written for, where a delta would not do.
pub(super) type Because = String;

/// The text of a hash.
pub(crate) fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What tells one configuration from another.
pub(crate) fn configuration_hash(rules: &Rules) -> Result<String, Stop> {
    let text = serde_json::to_vec(&rules.configuration).map_err(std::io::Error::other)?;
    Ok(hex(blake3::hash(&text).as_bytes()))
}

impl<'s> Publishing<'s> {
    /// Takes the locks.
    pub(crate) fn begin(place: &'s Place, settings: &'s Settings) -> Result<Self, Stop> {
        let mut store = Store::open(place)?;
        let end = Instant::now() + PATIENCE;
        while !store.lock_publisher()? {
            if Instant::now() >= end {
                return Err(Stop::Busy);
            }
            thread::sleep(PAUSE);
        }
        let publisher = Publisher::lock(&settings.snapshot)?;
        // What somebody who was killed had begun to fold. Nobody else has it while the lock is held.
        let _ = fs::remove_file(publisher.draft_path());
        Ok(Self {
            fold: None,
            no_fold_before: None,
            store,
            publisher,
            place,
            settings,
            base: None,
            checked: false,
            actor: Actor::current(None),
        })
    }

    /// The keystore, to wait for a change with.
    pub(crate) fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Publishes what is not published yet.
    pub(crate) fn round(&mut self, rules: &Arc<Rules>, consent: Consent<'_>) -> Result<Outcome, Stop> {
        let started = Instant::now();
        self.publisher.look()?;
        self.finish()?;
        let hash = configuration_hash(rules)?;
        let mut full = self.settings.full.then(|| "--full".to_owned());
        if full.is_none() && !std::mem::replace(&mut self.checked, true) && self.is_damaged() {
            full = Some("the one in place is damaged".to_owned());
        }
        if full.is_none() {
            match self.fold_in(rules, &hash, consent)? {
                Folding::None => {}
                Folding::Impossible(because) => full = Some(because),
                Folding::Published(summary) => {
                    return Ok(Outcome::Published(Summary { took: started.elapsed(), ..summary }));
                }
            }
        }
        loop {
            let ground = self.gather(rules, &hash, full.take())?;
            let generation = self.next_generation(rules, ground.last.as_ref())?;
            let staged = match &ground.content {
                Content::Nothing => {
                    let generation = ground.last.as_ref().map_or(0, |last| last.generation);
                    return Ok(Outcome::Unchanged { generation, change: ground.newest });
                }
                Content::Full { collection, .. } => {
                    self.ask(rules, &ground, consent)?;
                    let stamp = self.stamp(generation);
                    self.publisher.stage(Form::Full, |file| collection.write(stamp, file, &|_| {}))?
                }
                Content::Changes(lines) => {
                    self.ask(rules, &ground, consent)?;
                    match self.stage_delta(rules, lines, generation)? {
                        Ok(staged) => staged,
                        Err(because) => {
                            full = Some(because);
                            continue;
                        }
                    }
                }
            };
            self.note(&ground, &[(&staged, ground.newest)], &hash)?;
            let replaced = self.publisher.newest();
            let header = staged.header();
            if header.is_delta() {
                self.put(None, Some(&staged))?;
                self.fold_when_due(rules, hash, header.records);
            } else {
                self.put(Some(&staged), None)?;
            }
            let because = match ground.content {
                Content::Full { because, .. } => because,
                _ => None,
            };
            return Ok(Outcome::Published(Summary {
                generation,
                base: (header.base_generation != 0).then_some(header.base_generation),
                change: ground.newest,
                counts: ground.counts,
                keys: header.keys(),
                bytes: header.file_length,
                replaced,
                because,
                took: started.elapsed(),
            }));
        }
    }

    /// Reads what there is to publish. This is where it is decided whether that is a delta; one that turns out to be
    /// no smaller, or impossible, comes back as `full`.
    fn gather(&mut self, rules: &Rules, hash: &str, full: Option<Because>) -> Result<Ground, Stop> {
        let in_place = self.publisher.full().map(|(header, hash)| (header.generation, hex(hash)));
        let current = self.store.read(|view| view.newest_publication())?.filter(|last| self.is_current(last));
        let full = full
            .or_else(|| self.is_strangely_signed(rules).then(|| "the signing keys have changed".to_owned()));
        let threads = self.settings.threads;
        let most = if self.settings.fold.is_some() { MOST_WHILE_FOLDING } else { MOST_CHANGES };
        self.store.read(|view| {
            view.check_peppers(rules.keyring.peppers())?;
            let newest = view.newest_change()?;
            let last = view.newest_publication()?;
            let base = match &in_place {
                Some((generation, hash)) => view.publication(*generation)?.filter(|base| base.hash == *hash),
                None => None,
            };
            let because = match &base {
                _ if full.is_some() => full,
                None => last.as_ref().map(|_| "what is in place is not from this keystore".to_owned()),
                Some(base) if base.configuration != hash => Some("the configuration has changed".to_owned()),
                Some(base) if base.change > newest => Some("the keystore was set back".to_owned()),
                Some(base) => {
                    if current.is_some()
                        && current == last
                        && last.as_ref().is_some_and(|last| last.change == newest)
                    {
                        return Ok(Ground {
                            newest,
                            last,
                            base: None,
                            content: Content::Nothing,
                            counts: Counts::default(),
                        });
                    }
                    let published = last.as_ref().map_or(0, |last| last.change);
                    match gather::changes(view, base.change, published, most)? {
                        Some((lines, counts)) => {
                            let content = Content::Changes(lines);
                            return Ok(Ground { newest, last, base: Some(base.clone()), content, counts });
                        }
                        None => Some("many keys have changed".to_owned()),
                    }
                }
            };
            let (collection, counts) =
                gather::everything(view, rules, threads, last.as_ref(), &AtomicBool::new(false))?;
            Ok(Ground {
                newest,
                last,
                base,
                content: Content::Full { collection: Box::new(collection), because },
                counts,
            })
        })
    }

    /// Whether an engine with this keyring would not take what is in place, or one with any of its signing keys alone.
    pub(super) fn is_strangely_signed(&self, rules: &Rules) -> bool {
        let full = self.publisher.full();
        let delta = self.publisher.delta().zip(self.publisher.delta_hash());
        full.into_iter().chain(delta).any(|(header, hash)| {
            let signs =
                |key: &SigningKey| header.signatures.iter().any(|made| made.key == *key.public().as_bytes());
            rules.keyring.check_signatures(hash, &header.signatures).is_err()
                || !rules.keyring.signing_keys().iter().all(signs)
        })
    }

    /// Whether an engine would find that the bytes in place are not those that their hashes are of.
    fn is_damaged(&self) -> bool {
        let bytes = |path: &Path| Bytes::open(&File::open(path).ok()?, Mode::Map).ok();
        let full = self.publisher.full().is_some()
            && bytes(&self.settings.snapshot)
                .is_none_or(|bytes| Snapshot::open(bytes, Check::Whole).is_err());
        let delta = self.publisher.delta().is_some()
            && bytes(&delta_path(&self.settings.snapshot)).is_none_or(|bytes| Delta::open(bytes).is_err());
        full || delta
    }

    /// Whether that publication is in place, and needs no other in its place because of its age.
    fn is_current(&self, publication: &Publication) -> bool {
        let header = self.publisher.delta().or_else(|| self.publisher.full().map(|(header, _)| header));
        let max_age = self.settings.max_age;
        let end = publication.published_at.saturating_add(max_age / 2);
        self.has_in_place(publication)
            && header.is_some_and(|header| header.max_age == max_age)
            && (max_age == 0 || Timestamp::coarse_now().seconds() < end)
    }

    /// The newest generation in place that an engine with this keyring would take. Whoever can write to the folder can
    /// put any number there.
    fn newest(&self, rules: &Rules) -> Option<u64> {
        let full = self.publisher.full();
        let delta = self.publisher.delta().zip(self.publisher.delta_hash());
        let both = full.into_iter().chain(delta);
        both.filter(|(header, hash)| rules.keyring.check_signatures(hash, &header.signatures).is_ok())
            .map(|(header, _)| header.generation)
            .max()
    }

    /// Greater than every generation that was noted or that is in place.
    pub(super) fn next_generation(&self, rules: &Rules, last: Option<&Publication>) -> Result<u64, Stop> {
        let newest = last.map(|last| last.generation).max(self.newest(rules)).unwrap_or(0);
        // What the keystore can count to.
        match newest.checked_add(1).filter(|next| i64::try_from(*next).is_ok()) {
            Some(next) => Ok(next),
            None => Err(Stop::NoNext { found: newest }),
        }
    }

    pub(super) fn stamp(&self, generation: u64) -> Stamp {
        Stamp { generation, created: Timestamp::coarse_now().seconds(), max_age: self.settings.max_age }
    }

    /// Asks about what is doubtful.
    pub(super) fn ask(&mut self, rules: &Rules, ground: &Ground, consent: Consent<'_>) -> Result<(), Stop> {
        let newest = ground.last.as_ref().map(|last| last.generation);
        let strange = |error: &FormatError| {
            matches!(
                error,
                FormatError::Magic
                    | FormatError::Version { .. }
                    | FormatError::Features { .. }
                    | FormatError::DigestSuite { .. }
            )
        };
        if newest.is_none() || self.publisher.faults().any(|(_, error)| strange(error)) {
            // Nobody knows what it is that stands there, and it was hardly meant to be replaced. What is damaged is.
            self.publisher.next_generation()?;
        }
        let stranger = match (self.newest(rules), self.publisher.newest()) {
            (Some(found), _) if newest.is_none_or(|newest| found > newest) => {
                Some(Doubt::Restored { found, newest })
            }
            (_, Some(found)) if ground.base.is_none() && self.publisher.full().is_some() => {
                Some(Doubt::Foreign { found })
            }
            _ => None,
        };
        let lost = ground.counts.revoked.saturating_add(ground.counts.removed);
        let mut of = ground.last.as_ref().map_or(0, |last| last.keys);
        if lost > brake::ALWAYS {
            // Keys that were revoked before are no part of what is at stake.
            let (_, usable) = self.store.read::<_, Stop>(|view| Ok(view.count_keys()?))?;
            of = of.min(usable.saturating_add(lost).saturating_sub(ground.counts.added));
        }
        let loss = brake::loss(ground.counts.revoked, ground.counts.removed, of, self.settings.brake);
        for doubt in stranger.into_iter().chain(loss) {
            if !consent(&doubt) {
                return Err(Stop::Held(doubt));
            }
        }
        Ok(())
    }

    /// Writes a delta on the full snapshot in place, unless it must or had better be a full one.
    fn stage_delta(
        &mut self,
        rules: &Rules,
        lines: &[u8],
        generation: u64,
    ) -> Result<Result<Staged, Because>, Stop> {
        let stamp = self.stamp(generation);
        self.open_base();
        match &self.base {
            Some(base) => self.stage_delta_on(base, rules, lines, stamp),
            None => Ok(Err("the one in place is damaged".to_owned())),
        }
    }

    /// The same on any.
    pub(super) fn stage_delta_on(
        &self,
        base: &Snapshot,
        rules: &Rules,
        lines: &[u8],
        stamp: Stamp,
    ) -> Result<Result<Staged, Because>, Stop> {
        let source = Source { name: "the keystore", threads: Some(NonZero::<usize>::MIN), progress: &|_| {} };
        let Rules { configuration, keyring } = rules;
        let changes = match Changes::read(base, configuration, keyring, lines, [], &source) {
            Ok(changes) => changes,
            Err(BuildError::Differs { what }) => return Ok(Err(format!("the {what} have changed"))),
            Err(BuildError::Base(_)) => return Ok(Err("the one in place is damaged".to_owned())),
            Err(error) => return Err(error.into()),
        };
        let half = base.header().file_length / 2;
        let mut written = Cursor::new(Vec::new());
        let header = changes.write(stamp, &mut written, &|_| {})?;
        if header.file_length > half {
            return Ok(Err("a delta would be no smaller".to_owned()));
        }
        let staged = self.publisher.stage(Form::Delta, |file| {
            file.write_all(written.get_ref()).map_err(BuildError::Write)?;
            Ok(header)
        })?;
        Ok(Ok(staged))
    }

    /// Opens the full snapshot in place, unless it is; `None` stays where it cannot be.
    fn open_base(&mut self) {
        let Some((_, hash)) = self.publisher.full() else {
            self.base = None;
            return;
        };
        if self.base.as_ref().is_none_or(|base| base.hash() != hash || base.is_damaged()) {
            let bytes =
                File::open(&self.settings.snapshot).and_then(|file| Bytes::open(&file, Mode::Map)).ok();
            let opened = bytes.and_then(|bytes| Snapshot::open(bytes, Check::Fast).ok());
            self.base = opened.filter(|base| base.hash() == hash);
        }
    }

    /// Notes in the keystore that these generations have these bytes, and the newest change in each of them. From here
    /// on no others ever will. What is otherwise than before is told of the last.
    pub(super) fn note(
        &mut self,
        ground: &Ground,
        staged: &[(&Staged, i64)],
        configuration: &str,
    ) -> Result<(), Stop> {
        let known = ground.last.as_ref().map_or(0, |last| last.generation);
        self.store.change(&self.actor, |change| {
            let newest = change.newest_publication()?.map_or(0, |newest| newest.generation);
            if newest != known {
                return Err(Stop::Overtaken { generation: newest });
            }
            let mut left = staged.len();
            for (staged, newest) in staged {
                left -= 1;
                let header = staged.header();
                let counts = if left == 0 { ground.counts } else { Counts::default() };
                let publication = Publication {
                    generation: header.generation,
                    base: (header.base_generation != 0).then_some(header.base_generation),
                    change: *newest,
                    configuration: configuration.to_owned(),
                    keys: header.keys(),
                    hash: hex(staged.hash()),
                    published_at: change.now(),
                };
                change.add_publication(&publication)?;
                change.log(&Entry::new("publish").details(json!({
                    "generation": publication.generation,
                    "base": publication.base,
                    "change": publication.change,
                    "keys": publication.keys,
                    "added": counts.added,
                    "changed": counts.changed,
                    "revoked": counts.revoked,
                    "removed": counts.removed,
                })))?;
            }
            Ok(())
        })
    }

    /// Puts what was noted in its place, a full snapshot, a delta, or a full one with the delta on it, and cleans up
    /// after what it replaces.
    pub(super) fn put(&mut self, full: Option<&Staged>, delta: Option<&Staged>) -> Result<(), Stop> {
        let Settings { snapshot, keep, .. } = self.settings;
        if full.is_some()
            && *keep > 0
            && let Some((header, _)) = self.publisher.full()
        {
            kept::keep(snapshot, header.generation, self.publisher.delta().is_some());
        }
        match (full, delta) {
            (Some(full), Some(delta)) => self.publisher.put_both(full, delta)?,
            (Some(staged), None) | (None, Some(staged)) => self.publisher.put(staged)?,
            (None, None) => {}
        }
        self.publisher.look()?;
        if let Some(full) = full {
            self.base = None;
            self.publisher.clear_delta()?;
            self.publisher.look()?;
            // It is published all the same.
            if let Err(error) = kept::clean(snapshot, full.header().generation, *keep) {
                let _ = writeln!(anstream::stderr(), "keyward: replaced snapshots were not removed: {error}");
            }
        }
        Ok(())
    }
}
