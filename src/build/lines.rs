//! Keys as JSON Lines, read on several threads.
//!
//! One thread cuts the input into blocks of whole lines, workers parse and digest them, and the calling
//! thread puts the blocks together in their order, so that the first wrong line is the one that is told.

use super::digests::first_credentials;
use super::intern::Interner;
use super::{BuildError, Collection, Digests, IdSpan, Item, LineError, Progress, Source};
use crate::digest::pepper_check;
use crate::format::id_place::IdTag;
use crate::format::record::{Attributes, NEVER, Packed, removal};
use crate::keyring::{Keyring, Pepper};
use crate::realm::Configuration;
use crate::record::{KeyRecord, RecordRules, ResolvedKey};
use crate::request::address::AddressSet;
use memchr::{memchr_iter, memrchr};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use zeroize::Zeroize;

/// Bytes of lines that a worker gets at once.
const BLOCK: usize = 1 << 20;
/// The longest line.
const LINE_LIMIT: usize = 1 << 20;
/// Blocks that may wait between two threads, so that a fast reader does not fill the memory.
const WAITING: usize = 4;

/// What parts a name from the next in an interned list. No name of a scope contains it.
const SEPARATOR: u8 = 0;

/// Whole lines, and the number of the first.
struct Block {
    sequence: u64,
    first_line: u64,
    bytes: Vec<u8>,
}

/// The keys of a block, with numbers of names that are the block's own.
struct Parsed {
    items: Vec<Item>,
    ids: Vec<u8>,
    tenants: Interner,
    /// Each item is a list of names, sorted, with a [`SEPARATOR`] after each.
    scope_lists: Interner,
    address_sets: Interner,
    /// The peppers that digests were made with.
    peppers: BTreeSet<u32>,
    bytes: u64,
}

/// A wrong line and its number.
type WrongLine = (u64, LineError);

/// What every worker needs.
struct Rules<'c> {
    records: RecordRules<'c>,
    /// `None` where the keyring has no pepper.
    digests: Option<Digests<'c>>,
    /// The number of each realm's first credential in the list of all credentials.
    first_credentials: Vec<usize>,
    configuration: &'c Configuration,
    content: Content,
}

/// What lines say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Which keys there are.
    Keys,
    /// What has changed; keys may be gone.
    Changes,
}

pub(super) fn read(
    configuration: &Configuration,
    keyring: &Keyring,
    content: Content,
    input: impl Read + Send,
    source: &Source<'_>,
    threads: usize,
) -> Result<Collection, BuildError> {
    if keyring.signing_keys().is_empty() && !keyring.public_keys().is_empty() {
        return Err(BuildError::CannotSign);
    }
    let file = || source.name.to_owned();
    let read_error = |error| BuildError::Read { file: file(), error };
    let pepper = keyring.newest_pepper();
    let rules = Rules {
        records: RecordRules::new(configuration).map_err(|error| read_error(io::Error::other(error)))?,
        digests: pepper.map(|pepper| Digests::new(configuration, pepper)),
        first_credentials: first_credentials(configuration),
        configuration,
        content,
    };
    let mut collection = Collection {
        configuration: configuration.clone(),
        peppers: Vec::new(),
        items: Vec::new(),
        ids: Vec::new(),
        scope_names: Interner::new(),
        tenants: Interner::new(),
        scope_sets: Interner::new(),
        address_sets: Interner::new(),
        signing_keys: Arc::clone(keyring.signing_keys()),
    };
    let mut used_peppers = BTreeSet::new();
    let (block_sender, blocks) = sync_channel(WAITING);
    let (parsed_sender, parsed) = sync_channel(WAITING);
    let blocks = Mutex::new(blocks);
    thread::scope(|scope| {
        let reader = scope.spawn(move || cut(input, &block_sender));
        // The workers share the receiver by reference, and it must go when they do, so that the reader
        // stops where the collector gave up.
        let (blocks, rules) = (&blocks, &rules);
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                let parsed_sender = parsed_sender.clone();
                scope.spawn(move || work(rules, blocks, &parsed_sender))
            })
            .collect();
        drop(parsed_sender);
        let collected = collect(&parsed, &mut collection, &mut used_peppers, source);
        // Workers stop at their next block once nobody takes what they parse; the rest is drained here,
        // so that the reader, which may wait for room, stops as well.
        drop(parsed);
        for worker in workers {
            let _ = worker.join();
        }
        while blocks.lock().recv().is_ok() {}
        let cut = reader.join().unwrap_or_else(|_| Err(CutError::Io(io::Error::other("the reader stopped"))));
        collected.map_err(|error| match error {
            CollectError::Line(line, error) => BuildError::Line { file: file(), line, error },
            CollectError::TooMany(what) => BuildError::TooMany { what, limit: u64::from(u32::MAX) },
        })?;
        match cut {
            Ok(()) => Ok(()),
            Err(CutError::Io(error)) => Err(read_error(error)),
            Err(CutError::TooLong(line)) => {
                let error = LineError::TooLong { limit: LINE_LIMIT };
                Err(BuildError::Line { file: file(), line, error })
            }
        }
    })?;
    if pepper.is_none() && !collection.items.is_empty() {
        return Err(BuildError::NoPepper { file: file() });
    }
    if let Some(id) = used_peppers.iter().find(|id| keyring.pepper(**id).is_none()) {
        return Err(BuildError::PepperMissing { file: file(), id: *id });
    }
    // The newest first: most keys that are presented are of it. It is there without a key as well.
    if used_peppers.is_empty() {
        used_peppers.extend(pepper.map(Pepper::id));
    }
    let used = keyring.peppers().iter().rev().filter(|pepper| used_peppers.contains(&pepper.id()));
    collection.peppers = used.map(|pepper| (pepper.id(), pepper_check(pepper.key()))).collect();
    Ok(collection)
}

enum CutError {
    Io(io::Error),
    /// The number of the line.
    TooLong(u64),
}

/// Cuts the input into blocks of whole lines.
fn cut(mut input: impl Read, blocks: &SyncSender<Block>) -> Result<(), CutError> {
    let mut rest = Vec::new();
    let mut line = 1;
    for sequence in 0.. {
        let mut bytes = std::mem::take(&mut rest);
        bytes.reserve(BLOCK);
        let wanted = BLOCK as u64;
        let ended = input.by_ref().take(wanted).read_to_end(&mut bytes).map_err(CutError::Io)? < BLOCK;
        if !ended {
            let whole = memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1);
            rest.extend_from_slice(bytes.get(whole..).unwrap_or_default());
            bytes.truncate(whole);
        }
        if rest.len() > LINE_LIMIT {
            return Err(CutError::TooLong(line + memchr_iter(b'\n', &bytes).count() as u64));
        }
        let lines = memchr_iter(b'\n', &bytes).count() as u64;
        // Nobody takes it where another line was wrong already.
        if blocks.send(Block { sequence, first_line: line, bytes }).is_err() || ended {
            break;
        }
        line += lines;
    }
    Ok(())
}

/// Parses blocks until there are none, or nobody wants them.
fn work(
    rules: &Rules<'_>,
    blocks: &Mutex<Receiver<Block>>,
    parsed: &SyncSender<(u64, Result<Parsed, WrongLine>)>,
) {
    loop {
        let Ok(mut block) = blocks.lock().recv() else { return };
        let result = parse(rules, &block);
        block.bytes.zeroize();
        if parsed.send((block.sequence, result)).is_err() {
            return;
        }
    }
}

fn parse(rules: &Rules<'_>, block: &Block) -> Result<Parsed, WrongLine> {
    let mut parsed = Parsed {
        items: Vec::with_capacity(block.bytes.len() / 128),
        ids: Vec::new(),
        tenants: Interner::new(),
        scope_lists: Interner::new(),
        address_sets: Interner::new(),
        peppers: BTreeSet::new(),
        bytes: block.bytes.len() as u64,
    };
    let ends = memchr_iter(b'\n', &block.bytes).chain([block.bytes.len()]);
    let mut start = 0;
    for (end, number) in ends.zip(block.first_line..) {
        let line = block.bytes.get(start..end).unwrap_or_default();
        start = end + 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let wrong = |error: LineError| (number, error);
        if line.len() > LINE_LIMIT {
            return Err(wrong(LineError::TooLong { limit: LINE_LIMIT }));
        }
        let record = match rules.content {
            Content::Keys => KeyRecord::parse(line),
            Content::Changes => KeyRecord::parse_change(line),
        };
        let record = record.map_err(|error| wrong(error.into()))?;
        let key = rules.records.resolve(&record).map_err(|error| wrong(error.into()))?;
        // A line number past 2^32 cannot be told apart from others, and there is no room for so many keys.
        let line = u32::try_from(number).unwrap_or(u32::MAX);
        parsed.add(rules, &key, line).ok_or_else(|| wrong(LineError::TooMuch))?;
    }
    Ok(parsed)
}

impl Parsed {
    fn add(&mut self, rules: &Rules<'_>, key: &ResolvedKey<'_>, line: u32) -> Option<()> {
        let credential = rules.first_credentials.get(key.realm)? + key.credential;
        let digest = match &rules.digests {
            // Without a pepper there is no digest; the whole build is refused when all lines are read.
            None => [0; 32],
            Some(digests) => {
                let stored = digests.of(key)?;
                self.peppers.insert(stored.pepper);
                stored.digest
            }
        };
        if key.removed {
            let id = IdSpan::new(self.ids.len() as u64, 0)?;
            self.items.push(Item { digest, attributes: removal(), line, id });
            return Some(());
        }
        let number = |place: Option<u32>| place.map_or(0, |place| place + 1);
        let tenant = match key.tenant {
            Some(tenant) => Some(self.tenants.intern(tenant.as_bytes())?),
            None => None,
        };
        let scope_set =
            if key.scopes.is_empty() { None } else { Some(self.scope_lists.intern(&scope_list(key))?) };
        let address_set = match &key.allow_ips {
            Some(set) => Some(self.address_sets.intern(&address_bytes(set)?)?),
            None => None,
        };
        let attributes = Attributes {
            id_tag: IdTag::of(&rules.configuration.realms.get(key.realm)?.name, key.id),
            tenant: number(tenant),
            scope_set: number(scope_set),
            address_set: number(address_set),
            not_before: key.not_before.unwrap_or(0),
            expires_at: key.expires_at.unwrap_or(NEVER),
            rate_limit: key.rate_limit.map_or(Some(0), |place| u16::try_from(place + 1).ok())?,
            credential: u16::try_from(credential).ok()?,
            environment: key.environment.map_or(Some(0), |place| u8::try_from(place + 1).ok())?,
            status: key.status,
        };
        let id = IdSpan::new(self.ids.len() as u64, key.id.len())?;
        self.ids.extend_from_slice(key.id.as_bytes());
        self.items.push(Item { digest, attributes: attributes.write(), line, id });
        Some(())
    }
}

/// The names of a key's scopes, each once, sorted.
fn scope_list(key: &ResolvedKey<'_>) -> Vec<u8> {
    let mut names: Vec<&str> = key.scopes.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names.dedup();
    names.iter().flat_map(|name| name.bytes().chain([SEPARATOR])).collect()
}

/// A list of addresses as docs/FORMAT.md section 4 has it.
fn address_bytes(set: &AddressSet) -> Option<Vec<u8>> {
    let (v4, v6) = (set.v4_ranges(), set.v6_ranges());
    let mut bytes = Vec::with_capacity(8 + v4.len() * 8 + v6.len() * 32);
    bytes.extend_from_slice(&u32::try_from(v4.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(v6.len()).ok()?.to_le_bytes());
    for (first, last) in v4 {
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&last.to_le_bytes());
    }
    for (first, last) in v6 {
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&last.to_le_bytes());
    }
    Some(bytes)
}

enum CollectError {
    Line(u64, LineError),
    /// Of what.
    TooMany(&'static str),
}

/// Puts blocks together in their order.
fn collect(
    parsed: &Receiver<(u64, Result<Parsed, WrongLine>)>,
    collection: &mut Collection,
    peppers: &mut BTreeSet<u32>,
    source: &Source<'_>,
) -> Result<(), CollectError> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut bytes = 0;
    while let Ok((sequence, block)) = parsed.recv() {
        early.insert(sequence, block);
        while let Some(block) = early.remove(&next) {
            next += 1;
            let mut block = block.map_err(|(line, error)| CollectError::Line(line, error))?;
            peppers.append(&mut block.peppers);
            bytes += block.bytes;
            collection.add(block).ok_or(CollectError::TooMany("names of tenants, scopes or addresses"))?;
            (source.progress)(Progress::Reading { bytes, keys: collection.keys() });
        }
    }
    Ok(())
}

impl Collection {
    /// Adds a block, whose numbers of names become the collection's.
    fn add(&mut self, block: Parsed) -> Option<()> {
        let tenants: Vec<u32> =
            block.tenants.items().map(|name| self.tenants.intern(name)).collect::<Option<_>>()?;
        let address_sets: Vec<u32> =
            block.address_sets.items().map(|set| self.address_sets.intern(set)).collect::<Option<_>>()?;
        let mut scope_sets = Vec::with_capacity(block.scope_lists.len());
        for list in block.scope_lists.items() {
            let names = list.split(|&byte| byte == SEPARATOR).filter(|name| !name.is_empty());
            let mut numbers: Vec<u32> =
                names.map(|name| self.scope_names.intern(name)).collect::<Option<_>>()?;
            numbers.sort_unstable();
            let set: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
            scope_sets.push(self.scope_sets.intern(&set)?);
        }
        let renumber = |numbers: &[u32], own: u32| match own.checked_sub(1) {
            None => Some(0),
            Some(own) => numbers.get(own as usize).map(|number| number + 1),
        };
        let ids = self.ids.len() as u64;
        self.items.reserve(block.items.len());
        for mut item in block.items {
            item.id = IdSpan::new(item.id.start() + ids, item.id.length().into())?;
            // A key that is gone has no names.
            let Some(packed) = Packed::new(&item.attributes) else {
                self.items.push(item);
                continue;
            };
            let mut attributes = packed.attributes();
            attributes.tenant = renumber(&tenants, attributes.tenant)?;
            attributes.scope_set = renumber(&scope_sets, attributes.scope_set)?;
            attributes.address_set = renumber(&address_sets, attributes.address_set)?;
            item.attributes = attributes.write();
            self.items.push(item);
        }
        self.ids.extend_from_slice(&block.ids);
        Some(())
    }
}
