//! Where things stand in a state's words.
//!
//! ```text
//! page 0      header: what never changes, then counters, then room that is kept
//! realms      a row for each realm: its name
//! outcomes    shards × realms × reasons: what became of requests
//! hot         slots × 4 words: the table of limits, with what is counted for nearly every request beside it
//! cold        slots × 52 words: why requests were refused, and the name of the key
//! ```
//!
//! All of it is 64-bit words in the processor's own order, each an atomic of its own.

use crate::limits::counts::REASONS;
use crate::memory::{ReadWords, WORD};
use crate::reason::Reason;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// The first word of every state file.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"KEYWARD\x01");
/// The version that this code reads and writes. It changes with anything on this page.
pub(super) const VERSION: u64 = 2;

/// Words of the header's page. What is not named here is zero.
pub(super) const HEADER: usize = 512;
/// Words of the header that never change, and the last of them, which is a hash of those before it.
const FIXED: usize = 9;
/// Entries that were given up before their limit expired.
pub(super) const DISPLACED_LIMITS: usize = 16;
/// Entries that were given up, whose usage is lost.
pub(super) const DISPLACED_USAGE: usize = 17;

/// How often a mark was moved back.
pub(super) const MOVES_BACK: usize = 18;

/// Words of a name: the longest id, and the longest name of a realm, has 255 bytes.
pub(super) const NAME: usize = 32;

/// Words of a realm's row: its hash, the length of its name, and the name; then two places for marks, its own and
/// another realm's.
pub(super) const REALM_ROW: usize = 40;
/// Where a row's name ends, and its places for marks start.
pub(super) const MARKS: usize = 2 + NAME;
/// Words of a mark.
pub(super) const MARK: usize = 3;
const _: () = assert!(MARKS + 2 * MARK <= REALM_ROW, "the marks fit into the row");
/// Words of the outcomes of a realm in one shard: three cache lines.
pub(super) const OUTCOMES: usize = 24;
const _: () = assert!(REASONS <= OUTCOMES, "a reason has no place in the outcomes");

/// Words of a hot entry: half a cache line. The first two are the table's.
pub(super) const HOT: usize = 4;
/// Requests that were allowed.
pub(super) const ALLOWED: usize = 2;
/// When the last request came, in seconds.
pub(super) const LAST_USE: usize = 3;

/// Words of a cold entry.
pub(super) const COLD: usize = 52;
/// The number of the realm's row, and above it the length of the id.
pub(super) const KEY: usize = 0;
/// When the entry was taken, in seconds.
pub(super) const SINCE: usize = 1;
/// Where the counts of a cold entry start, and where its key's id does.
pub(super) const COLD_COUNTS: usize = 2;
/// Where the id starts.
pub(super) const ID: usize = COLD - NAME;
/// Reasons that are counted in the cold entry. Any other that a key can get is counted as the last word.
pub(super) const COLD_REASONS: [Reason; 17] = [
    Reason::RateLimited,
    Reason::InsufficientScope,
    Reason::Revoked,
    Reason::Expired,
    Reason::NotYetValid,
    Reason::WrongEnvironment,
    Reason::Suspended,
    Reason::Pending,
    Reason::TenantMismatch,
    Reason::IpNotAllowed,
    Reason::RouteNotAllowed,
    Reason::TokenRevoked,
    Reason::InvalidToken,
    Reason::TokenExpired,
    Reason::TokenNotYetValid,
    Reason::MalformedCredential,
    Reason::UnknownKey,
];
const _: () = assert!(COLD_COUNTS + COLD_REASONS.len() < ID && LAST_USE < HOT);

/// The most slots that a state can have: half a terabyte.
pub(super) const MOST_SLOTS: usize = 1 << 30;

/// How large the parts of a state are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Keys that it has room for.
    pub(super) slots: usize,
    /// Rows of realms, of which the first is for requests without one.
    pub(super) realms: usize,
    /// Rows of outcomes that are added up.
    pub(super) shards: usize,
}

impl Layout {
    pub(super) const fn outcomes_start(self) -> usize {
        HEADER + self.realms * REALM_ROW
    }

    pub(super) const fn hot_start(self) -> usize {
        self.outcomes_start() + self.shards * self.realms * OUTCOMES
    }

    pub(super) const fn cold_start(self) -> usize {
        self.hot_start() + self.slots * HOT
    }

    /// Words in all.
    pub(super) const fn words(self) -> usize {
        self.cold_start() + self.slots * COLD
    }

    pub(super) const fn bytes(self) -> u64 {
        (self.words() * WORD) as u64
    }

    pub(super) const fn realm_row(self, row: usize) -> Range<usize> {
        let start = HEADER + row * REALM_ROW;
        start..start + REALM_ROW
    }

    /// Where the mark of the realm of that row stands, and, in another page of memory, its copy.
    pub(super) const fn marks(self, row: usize) -> [usize; 2] {
        let rows = self.realms - 1;
        let other = if rows == 0 { row } else { 1 + (row + rows / 2) % rows };
        [self.realm_row(row).start + MARKS, self.realm_row(other).start + MARKS + MARK]
    }

    pub(super) const fn outcome(self, shard: usize, row: usize, reason: Reason) -> usize {
        self.outcomes_start() + (shard * self.realms + row) * OUTCOMES + reason as usize
    }

    pub(super) const fn hot(self, slot: usize) -> usize {
        self.hot_start() + slot * HOT
    }

    pub(super) const fn cold(self, slot: usize) -> usize {
        self.cold_start() + slot * COLD
    }

    /// The words that never change, for a state made at `created`.
    pub(super) fn header(self, created: u64) -> [u64; FIXED] {
        let mut words = [
            MAGIC,
            VERSION,
            self.bytes(),
            self.slots as u64,
            self.realms as u64,
            self.shards as u64,
            reasons_hash(),
            created,
            0,
        ];
        let hash = fixed_hash(&words);
        if let Some(last) = words.last_mut() {
            *last = hash;
        }
        words
    }

    /// Reads the header of a file of `length` bytes whose first word is [`MAGIC`], or says why it cannot be
    /// used.
    pub(super) fn read(words: &impl ReadWords, length: u64) -> Result<(Self, u64), &'static str> {
        let fixed: [u64; FIXED] = std::array::from_fn(|index| words.word(index));
        let [_, version, bytes, slots, realms, shards, reasons, created, hash] = fixed;
        if version != VERSION {
            return Err("it is of another version");
        }
        if fixed_hash(&fixed) != hash {
            return Err("its header is damaged");
        }
        if reasons != reasons_hash() {
            return Err("it counts other reasons");
        }
        let number = |word: u64, most: usize| usize::try_from(word).ok().filter(|&n| n > 0 && n <= most);
        let layout = (number(slots, MOST_SLOTS), number(realms, 1 << 16), number(shards, 1 << 10));
        let (Some(slots), Some(realms), Some(shards)) = layout else { return Err("its numbers cannot be") };
        let layout = Self { slots, realms, shards };
        if layout.bytes() != bytes || bytes != length {
            return Err("it has another length than it says");
        }
        Ok((layout, created))
    }
}

/// The names of the reasons as they are numbered here: a file of a program with others is not read.
fn reasons_hash() -> u64 {
    let names = Reason::ALL.map(Reason::name).join(" ");
    xxh3_64(names.as_bytes())
}

fn fixed_hash(fixed: &[u64; FIXED]) -> u64 {
    let bytes: Vec<u8> = fixed.iter().take(FIXED - 1).flat_map(|word| word.to_le_bytes()).collect();
    xxh3_64(&bytes)
}

/// A name as words, zero-padded.
pub(super) fn name_words(name: &str) -> [u64; NAME] {
    let mut bytes = name.bytes();
    std::array::from_fn(|_| u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0))))
}

/// The name of `length` bytes that starts at word `start`; `None` where it is not text.
pub(super) fn read_name(words: &impl ReadWords, start: usize, length: usize) -> Option<String> {
    let mut bytes: Vec<u8> = (start..start + NAME).flat_map(|word| words.word(word).to_le_bytes()).collect();
    if length > bytes.len() {
        return None;
    }
    bytes.truncate(length);
    String::from_utf8(bytes).ok()
}

/// What a realm's row starts with: a hash of its name, never 0.
pub(super) fn realm_hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes()) | 1
}
