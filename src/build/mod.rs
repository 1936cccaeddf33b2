//! Configuration and keys in, a published snapshot out.
//!
//! [`Collection::read`] takes keys as JSON Lines, on as many threads as it is given, and keeps 76 bytes
//! and the id of each; [`Collection::write`] lays them out and streams the file. What comes out depends
//! on what went in and on nothing else: not on the order of the lines, the number of threads, or a clock.
//!
//! [`Changes`] does the same with what has changed since a full snapshot, which makes a delta.

mod changes;
mod digests;
mod draft;
mod intern;
mod layout;
mod lines;
mod publish;
mod write;

pub use changes::Changes;
pub use digests::Digests;
pub use draft::Draft;
pub use publish::{Form, PublishError, Published, Publisher, Staged};

use crate::digest::DIGEST_LENGTH;
use crate::format::record::{ATTRIBUTES_LENGTH, ID_LIMIT};
use crate::keyring::Keyring;
use crate::realm::Configuration;
use crate::record::RecordError;
use crate::signature::SigningKey;
use crate::snapshot::Damaged;
use intern::Interner;
use lines::Content;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use thiserror::Error;

/// Why a snapshot was not built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A line of the keys is wrong.
    #[error("{file}:{line}: {error}")]
    Line {
        /// The name that the caller gave the keys.
        file: String,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        error: LineError,
    },
    /// The keyring cannot make digests, and there are keys to make digests of.
    #[error(
        "the keyring has no pepper, and {file} has keys: add a [[pepper]] to the keyring (`keyward keyring new` makes one)"
    )]
    NoPepper {
        /// The name that the caller gave the keys.
        file: String,
    },
    /// The keyring lacks a pepper that keys were digested with, and which a keystore has not kept the keys of.
    #[error(
        "{file} has digests that were made with pepper {id}, which the keyring lacks: use the keyring that they were made with"
    )]
    PepperMissing {
        /// The name that the caller gave the keys.
        file: String,
        /// The id of the pepper.
        id: u32,
    },
    /// More of something than the format can count.
    #[error("there are too many {what}: a snapshot holds at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
    },
    /// What was to be a delta cannot be one.
    #[error(
        "the {what} are not those of the snapshot that the delta is to be laid over: build a full snapshot"
    )]
    Differs {
        /// What differs.
        what: &'static str,
    },
    /// The snapshot that a delta is to be laid over is damaged.
    #[error("the snapshot that the delta is to be laid over: {0}; build a full snapshot")]
    Base(#[from] Damaged),
    /// A delta is newer than its base.
    #[error("a delta on generation {base} cannot be generation {asked}: it must be newer")]
    NotNewer {
        /// The generation of the base.
        base: u64,
        /// The generation that was asked for.
        asked: u64,
    },
    /// A snapshot with `max_age` must say when it was made.
    #[error("max_age is set without `created`: an age is counted from a point in time")]
    NoCreated,
    /// The keys could not be read.
    #[error("{file}: {error}")]
    Read {
        /// The name that the caller gave the keys.
        file: String,
        /// What went wrong.
        error: io::Error,
    },
    /// Engines with this keyring would refuse what is built with it.
    #[error(
        "the keyring has public signing keys and no private one, so that engines with it would refuse what is built: build with the publisher's keyring"
    )]
    CannotSign,
    /// The snapshot could not be signed.
    #[error("the snapshot could not be signed: the cryptographic library gave no signature")]
    NotSigned,
    /// The snapshot could not be written.
    #[error("the snapshot could not be written: {0}")]
    Write(#[source] io::Error),
}

/// What is wrong with a line.
#[derive(Debug, Error)]
pub enum LineError {
    /// It is not a key's record, or one that the configuration does not allow.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// It is longer than any record.
    #[error("the line is longer than {limit} bytes; one key is one JSON object on a line of its own")]
    TooLong {
        /// The longest that is read.
        limit: usize,
    },
    /// It has more of something than a record can count.
    #[error(
        "the record has more than a snapshot can hold: more than 65,535 credentials or rate limits, or too many names in the file"
    )]
    TooMuch,
    /// Its id stands in the realm already.
    #[error(
        "key \"{id}\": the id \"{other}\" is already in the realm \"{realm}\" (line {other_line}); ids are unique in a realm"
    )]
    DuplicateId {
        /// The id.
        id: String,
        /// The id of the other line, which is the same.
        other: String,
        /// The realm.
        realm: String,
        /// The other line.
        other_line: u64,
    },
    /// Its key, or its pair, is that of another record.
    #[error(
        "key \"{id}\" presents the same secret as key \"{other}\" (line {other_line}); each key is for one record"
    )]
    DuplicateSecret {
        /// The id of this line's key.
        id: String,
        /// The id of the other.
        other: String,
        /// The other line.
        other_line: u64,
    },
    /// Its key is said to be gone as well.
    #[error("key \"{id}\" is said to be removed as well{}: it is there or it is not", by_line(*other_line))]
    RemovedToo {
        /// The id of this line's key.
        id: String,
        /// The line that says so; `None`: it is in the list of removed keys.
        other_line: Option<u64>,
    },
    /// The base has its id for another key.
    #[error(
        "key \"{id}\": realm \"{realm}\" has another key with this id, which is neither removed nor changed; ids are \
         unique in a realm: say that it is removed, with a record of its own"
    )]
    IdInBase {
        /// The id.
        id: String,
        /// The realm.
        realm: String,
    },
}

fn by_line(line: Option<u64>) -> String {
    line.map(|line| format!(" (line {line})")).unwrap_or_default()
}

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Keys are being read: so many bytes and keys so far.
    Reading {
        /// Bytes read.
        bytes: u64,
        /// Keys read.
        keys: u64,
    },
    /// Keys are being sorted and compared.
    Sorting,
    /// The file is being written: so many of its bytes.
    Writing {
        /// Bytes written.
        bytes: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// What a snapshot says of itself besides its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The generation, at least 1.
    pub generation: u64,
    /// When it was made, Unix seconds; 0: not stated, so that the same input gives the same bytes.
    pub created: u64,
    /// Seconds after `created` past which it is no longer used; 0: none.
    pub max_age: u64,
}

/// Where keys come from, and how the work is done.
pub struct Source<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// Threads to work with; `None`: one for each processor.
    pub threads: Option<NonZero<usize>>,
    /// Told how far the work is, now and then, from the calling thread.
    pub progress: &'a dyn Fn(Progress),
}

impl Source<'_> {
    fn threads(&self) -> usize {
        self.threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get)
    }
}

/// One key, before it is laid out: a record whose numbers of tables are those of interning. One that is gone
/// has an id without length, and [`crate::format::record::removal`].
#[derive(Clone, Copy)]
pub(crate) struct Item {
    digest: [u8; DIGEST_LENGTH],
    attributes: [u8; ATTRIBUTES_LENGTH],
    line: u32,
    id: IdSpan,
}

/// Where an id stands in [`Collection::ids`]: five bytes of its start, and its length. Every byte of an item
/// counts ten million times.
#[derive(Clone, Copy)]
struct IdSpan([u8; 6]);

impl IdSpan {
    /// `None` where there are more than 2^40 bytes of ids, or an id is longer than any.
    fn new(start: u64, length: usize) -> Option<Self> {
        let [a, b, c, d, e, 0, 0, 0] = start.to_le_bytes() else { return None };
        Some(Self([a, b, c, d, e, u8::try_from(length).ok()?]))
    }

    const fn start(self) -> u64 {
        let [a, b, c, d, e, _] = self.0;
        u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
    }

    const fn length(self) -> u8 {
        let [.., length] = self.0;
        length
    }
}

/// Keys and configuration, ready to be written.
pub struct Collection {
    configuration: Configuration,
    /// The peppers that digests were made with: their ids, and what tells a wrong one from the right one.
    peppers: Vec<(u32, [u8; 32])>,
    /// In the order of their digests.
    items: Vec<Item>,
    ids: Vec<u8>,
    scope_names: Interner,
    tenants: Interner,
    /// Each item is the little-endian numbers of its scopes, ascending.
    scope_sets: Interner,
    address_sets: Interner,
    /// What it is signed with.
    signing_keys: Arc<[SigningKey]>,
}

impl Collection {
    /// Reads keys from `input`, a JSON object a line, and refuses the lot where one of them is wrong. What is written
    /// of them will be signed with the private signing keys of `keyring`.
    pub fn read(
        configuration: &Configuration,
        keyring: &Keyring,
        input: impl io::Read + Send,
        source: &Source<'_>,
    ) -> Result<Self, BuildError> {
        let threads = source.threads();
        let mut collection = lines::read(configuration, keyring, Content::Keys, input, source, threads)?;
        (source.progress)(Progress::Sorting);
        collection.sort(source, threads)?;
        Ok(collection)
    }

    /// How many keys there are.
    pub fn keys(&self) -> u64 {
        self.items.len() as u64
    }

    fn id(&self, item: &Item) -> &str {
        let start = item.id.start() as usize;
        self.ids
            .get(start..start + usize::from(item.id.length()))
            .and_then(|id| str::from_utf8(id).ok())
            .unwrap_or_default()
    }
}

const _: () = assert!(ID_LIMIT == u8::MAX as usize, "IdSpan has one byte for the length of an id");
