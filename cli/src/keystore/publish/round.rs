//! One round of publishing: what is in the keystore and not in place is written, noted, and put in its place.
//!
//! The order, which docs/OPERATIONS.md says more of: the locks; what was noted and never put in its place; one
//! consistent state of the keystore; a file, complete and synced; the note in the keystore, which is what gives the
//! generation away; the rename. A generation that was noted is never given to other bytes, whatever came of it.

use super::brake::{self, Consent, Doubt};
use super::gather::{self, Counts};
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
use std::fs::File;
use std::io::{Cursor, Write};
use std::num::NonZero;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long the right to publish is waited for: whoever asks for the status takes it for a moment.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(20);

/// A publisher at work. While it lives, nobody else publishes from the keystore or to the place; a crash releases both.
pub(crate) struct Publishing<'s> {
    store: Store,
    publisher: Publisher,
    settings: &'s Settings,
    /// The full snapshot in place, open.
    base: Option<Snapshot>,
    /// Whether every byte of what is in place was looked at, as it is once.
    checked: bool,
    actor: Actor,
}

/// What a round has to start from: one state of the keystore.
struct Ground {
    newest: i64,
    last: Option<Publication>,
    /// The publication of the full snapshot in place, if it is one.
    base: Option<Publication>,
    content: Content,
    counts: Counts,
}

/// What is to be written.
enum Content {
    Nothing,
    /// Lines of keys that have changed since the base.
    Changes(Vec<u8>),
    Full {
        collection: Box<Collection>,
        because: Option<String>,
    },
}

/// What a full snapshot is written for, where a delta would not do.
type Because = String;

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
    pub(crate) fn begin(place: &Place, settings: &'s Settings) -> Result<Self, Stop> {
        let mut store = Store::open(place)?;
        let end = Instant::now() + PATIENCE;
        while !store.lock_publisher()? {
            if Instant::now() >= end {
                return Err(Stop::Busy);
            }
            thread::sleep(PAUSE);
        }
        let publisher = Publisher::lock(&settings.snapshot)?;
        Ok(Self { store, publisher, settings, base: None, checked: false, actor: Actor::current(None) })
    }

    /// The keystore, to wait for a change with.
    pub(crate) fn store(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Publishes what is not published yet.
    pub(crate) fn round(&mut self, rules: &Rules, consent: Consent<'_>) -> Result<Outcome, Stop> {
        let started = Instant::now();
        self.publisher.look()?;
        self.finish()?;
        let hash = configuration_hash(rules)?;
        let mut full = self.settings.full.then(|| "--full".to_owned());
        if full.is_none() && !std::mem::replace(&mut self.checked, true) && self.is_damaged() {
            full = Some("the one in place is damaged".to_owned());
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
            self.note(&ground, &staged, hash)?;
            let replaced = self.publisher.newest();
            self.put(&staged)?;
            let header = staged.header();
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

    /// Puts in its place what a publisher had noted before it was killed, if it is still there.
    fn finish(&mut self) -> Result<(), Stop> {
        let Some(last) = self.store.read(|view| view.newest_publication())? else { return Ok(()) };
        if self.has_in_place(&last) {
            // What lies beside a full snapshot that is the newest is of an earlier one. Beside any other it may be
            // what keeps engines from taking that for whole, and stays until something newer is there.
            return Ok(self.publisher.clear_delta()?);
        }
        let form = if last.base.is_some() { Form::Delta } else { Form::Full };
        let staged = self.publisher.staged(form).filter(|staged| hex(staged.hash()) == last.hash);
        let Some(staged) = staged else { return Ok(()) };
        let follows = self.publisher.newest().is_none_or(|newest| newest < last.generation);
        let fits = match form {
            Form::Full => true,
            Form::Delta => self.publisher.full().is_some_and(|(_, hash)| staged.header().base_hash == *hash),
        };
        if follows && fits { self.put(&staged) } else { Ok(()) }
    }

    /// Whether what is in place is that publication.
    fn has_in_place(&self, publication: &Publication) -> bool {
        let hash = match publication.base {
            None if self.publisher.delta().is_some() => None,
            None => self.publisher.full().map(|(_, hash)| hash),
            Some(_) => self.publisher.delta_hash(),
        };
        hash.is_some_and(|hash| hex(hash) == publication.hash)
    }

    /// Reads what there is to publish. This is where it is decided whether that is a delta; one that turns out to be
    /// no smaller, or impossible, comes back as `full`.
    fn gather(&mut self, rules: &Rules, hash: &str, full: Option<Because>) -> Result<Ground, Stop> {
        let in_place = self.publisher.full().map(|(header, hash)| (header.generation, hex(hash)));
        let current = self.store.read(|view| view.newest_publication())?.filter(|last| self.is_current(last));
        let full = full
            .or_else(|| self.is_strangely_signed(rules).then(|| "the signing keys have changed".to_owned()));
        let threads = self.settings.threads;
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
                    match gather::changes(view, base.change, published)? {
                        Some((lines, counts)) => {
                            let content = Content::Changes(lines);
                            return Ok(Ground { newest, last, base: Some(base.clone()), content, counts });
                        }
                        None => Some("many keys have changed".to_owned()),
                    }
                }
            };
            let (collection, counts) = gather::everything(view, rules, threads, last.as_ref())?;
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
    fn is_strangely_signed(&self, rules: &Rules) -> bool {
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
    fn next_generation(&self, rules: &Rules, last: Option<&Publication>) -> Result<u64, Stop> {
        let newest = last.map(|last| last.generation).max(self.newest(rules)).unwrap_or(0);
        // What the keystore can count to.
        match newest.checked_add(1).filter(|next| i64::try_from(*next).is_ok()) {
            Some(next) => Ok(next),
            None => Err(Stop::NoNext { found: newest }),
        }
    }

    fn stamp(&self, generation: u64) -> Stamp {
        Stamp { generation, created: Timestamp::coarse_now().seconds(), max_age: self.settings.max_age }
    }

    /// Asks about what is doubtful.
    fn ask(&mut self, rules: &Rules, ground: &Ground, consent: Consent<'_>) -> Result<(), Stop> {
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

    /// Writes the delta, unless it must or had better be a full snapshot.
    fn stage_delta(
        &mut self,
        rules: &Rules,
        lines: &[u8],
        generation: u64,
    ) -> Result<Result<Staged, Because>, Stop> {
        let Some(base) = self.open_base() else {
            return Ok(Err("the one in place is damaged".to_owned()));
        };
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
        let header = changes.write(self.stamp(generation), &mut written, &|_| {})?;
        if header.file_length > half {
            return Ok(Err("a delta would be no smaller".to_owned()));
        }
        let staged = self.publisher.stage(Form::Delta, |file| {
            file.write_all(written.get_ref()).map_err(BuildError::Write)?;
            Ok(header)
        })?;
        Ok(Ok(staged))
    }

    /// The full snapshot in place; `None` where it cannot be opened.
    fn open_base(&mut self) -> Option<&Snapshot> {
        let (_, hash) = self.publisher.full()?;
        if self.base.as_ref().is_none_or(|base| base.hash() != hash || base.is_damaged()) {
            let file = File::open(&self.settings.snapshot).ok()?;
            let bytes = Bytes::open(&file, Mode::Map).ok()?;
            self.base = Snapshot::open(bytes, Check::Fast).ok().filter(|base| base.hash() == hash);
        }
        self.base.as_ref()
    }

    /// Notes in the keystore that this generation has these bytes. From here on no other ever will.
    fn note(&mut self, ground: &Ground, staged: &Staged, configuration: String) -> Result<(), Stop> {
        let header = staged.header();
        let known = ground.last.as_ref().map_or(0, |last| last.generation);
        let counts = ground.counts;
        self.store.change(&self.actor, |change| {
            let newest = change.newest_publication()?.map_or(0, |newest| newest.generation);
            if newest != known {
                return Err(Stop::Overtaken { generation: newest });
            }
            let publication = Publication {
                generation: header.generation,
                base: (header.base_generation != 0).then_some(header.base_generation),
                change: ground.newest,
                configuration,
                keys: header.keys(),
                hash: hex(staged.hash()),
                published_at: change.now(),
            };
            change.add_publication(&publication)?;
            Ok(change.log(&Entry::new("publish").details(json!({
                "generation": publication.generation,
                "base": publication.base,
                "change": publication.change,
                "keys": publication.keys,
                "added": counts.added,
                "changed": counts.changed,
                "revoked": counts.revoked,
                "removed": counts.removed,
            })))?)
        })
    }

    /// Puts a noted file in its place, and cleans up after what it replaces.
    fn put(&mut self, staged: &Staged) -> Result<(), Stop> {
        let Settings { snapshot, keep, .. } = self.settings;
        let full = !staged.header().is_delta();
        if full
            && *keep > 0
            && let Some((header, _)) = self.publisher.full()
        {
            kept::keep(snapshot, header.generation, self.publisher.delta().is_some());
        }
        self.publisher.put(staged)?;
        self.publisher.look()?;
        if full {
            self.base = None;
            self.publisher.clear_delta()?;
            self.publisher.look()?;
            // It is published all the same.
            if let Err(error) = kept::clean(snapshot, staged.header().generation, *keep) {
                let _ = writeln!(anstream::stderr(), "keyward: replaced snapshots were not removed: {error}");
            }
        }
        Ok(())
    }
}
