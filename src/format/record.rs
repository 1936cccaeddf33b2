//! The records of the index: a digest, and what the key with that digest may do.

use super::bytes_at;
use super::id_place::IdTag;
use crate::digest::{DIGEST_LENGTH, Digest};
use crate::record::Status;

/// Bytes in a record: one cache line, so that a lookup costs one miss.
pub const RECORD_LENGTH: usize = 64;
/// Bytes after the digest.
pub const ATTRIBUTES_LENGTH: usize = RECORD_LENGTH - DIGEST_LENGTH;
/// Bytes in an entry of the section *peppers*.
pub const PEPPER_LENGTH: usize = 40;

/// The `expires_at` of a key that never does.
pub const NEVER: u64 = (1 << 40) - 1;
/// The longest id, in bytes.
pub const ID_LIMIT: usize = u8::MAX as usize;
/// Scope sets and address sets that a snapshot can tell apart.
pub const SET_LIMIT: u32 = (1 << 24) - 2;

/// The status of a record that says that its key is gone; only deltas have it.
const REMOVED: u8 = 5;

#[inline]
const fn status_from_byte(byte: u8) -> Option<Status> {
    match byte {
        1 => Some(Status::Active),
        2 => Some(Status::Suspended),
        3 => Some(Status::Revoked),
        4 => Some(Status::Pending),
        _ => None,
    }
}

const fn status_byte(status: Status) -> u8 {
    match status {
        Status::Active => 1,
        Status::Suspended => 2,
        Status::Revoked => 3,
        Status::Pending => 4,
    }
}

/// What a record says of its key. Numbers of tables are as they stand: 0 is none, else one more than the
/// item's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What the key is counted under ([`IdTag::of`]).
    pub id_tag: IdTag,
    /// The tenant.
    pub tenant: u32,
    /// The set of scopes.
    pub scope_set: u32,
    /// The list of addresses.
    pub address_set: u32,
    /// Unix seconds from which the key is valid.
    pub not_before: u64,
    /// Unix seconds from which the key is not valid any more; [`NEVER`].
    pub expires_at: u64,
    /// The rate limit in the realm's list.
    pub rate_limit: u16,
    /// The number of the credential in the list of all credentials, from 0.
    pub credential: u16,
    /// The environment in the realm's list.
    pub environment: u8,
    /// The status.
    pub status: Status,
}

impl Attributes {
    /// The bytes after the digest. Numbers are cut to the width of their field; builders check them.
    pub fn write(&self) -> [u8; ATTRIBUTES_LENGTH] {
        let [i0, i1, i2, i3, i4, i5] = self.id_tag.to_bytes();
        let [t0, t1, t2, t3] = self.tenant.to_le_bytes();
        let [s0, s1, s2, _] = self.scope_set.to_le_bytes();
        let [a0, a1, a2, _] = self.address_set.to_le_bytes();
        let [n0, n1, n2, n3, n4, ..] = self.not_before.to_le_bytes();
        let [e0, e1, e2, e3, e4, ..] = self.expires_at.to_le_bytes();
        let [r0, r1] = self.rate_limit.to_le_bytes();
        let [c0, c1] = self.credential.to_le_bytes();
        [
            i0,
            i1,
            i2,
            i3,
            i4,
            i5,
            t0,
            t1,
            t2,
            t3,
            s0,
            s1,
            s2,
            a0,
            a1,
            a2,
            n0,
            n1,
            n2,
            n3,
            n4,
            e0,
            e1,
            e2,
            e3,
            e4,
            r0,
            r1,
            c0,
            c1,
            self.environment,
            status_byte(self.status),
        ]
    }
}

/// The bytes after a digest, with a status that exists, as four little-endian words.
///
/// They are a good deal quicker to hand on than what they say, of which a verify asks each thing once; and as words
/// they are handed on whole: bytes that are written in pieces of one size and read in pieces of another wait for the
/// processor's store buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed([u64; ATTRIBUTES_LENGTH / 8]);

impl Packed {
    /// These bytes; `None` for a free slot, a removed key or a status that does not exist.
    #[inline(always)]
    pub fn new(bytes: &[u8; ATTRIBUTES_LENGTH]) -> Option<Self> {
        let word = |at| bytes_at(bytes, at).map_or(0, u64::from_le_bytes);
        let packed = Self([word(0), word(8), word(16), word(24)]);
        status_from_byte(packed.status()).map(|_| packed)
    }

    /// The last byte.
    #[inline(always)]
    const fn status(&self) -> u8 {
        let [.., last] = self.0;
        (last >> 56) as u8
    }

    /// What they say.
    #[inline(always)]
    pub fn attributes(&self) -> Attributes {
        // docs/FORMAT.md section 2: 6 bytes of the tag, 4 of the tenant, 3 of each set, 5 of each time, 2 of the rate
        // limit and the credential, and a byte each of the environment and the status.
        let [a, b, c, d] = self.0;
        let bits = |word: u64, from: u32, count: u32| (word >> from) & (u64::MAX >> (64 - count));
        Attributes {
            id_tag: IdTag::from_number(a),
            tenant: (bits(a, 48, 16) | bits(b, 0, 16) << 16) as u32,
            scope_set: bits(b, 16, 24) as u32,
            address_set: bits(b, 40, 24) as u32,
            not_before: bits(c, 0, 40),
            expires_at: bits(c, 40, 24) | bits(d, 0, 16) << 24,
            rate_limit: bits(d, 16, 16) as u16,
            credential: bits(d, 32, 16) as u16,
            environment: bits(d, 48, 8) as u8,
            // `new` has seen to it that it is one; if it were none, nobody would get in.
            status: status_from_byte(self.status()).unwrap_or(Status::Revoked),
        }
    }
}

/// One slot of the index.
#[derive(Clone, Copy)]
pub struct Slot<'a>(&'a [u8; RECORD_LENGTH]);

impl<'a> Slot<'a> {
    /// The slot that these bytes are.
    #[inline]
    pub const fn new(bytes: &'a [u8; RECORD_LENGTH]) -> Self {
        Self(bytes)
    }

    /// The first eight bytes of the digest, as a big-endian number.
    #[inline]
    pub fn prefix(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = *self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether no record stands here.
    #[inline]
    pub const fn is_free(self) -> bool {
        let [.., status] = *self.0;
        status == 0
    }

    /// Whether the record says that the key with its digest is gone.
    #[inline]
    pub const fn is_removed(self) -> bool {
        let [.., status] = *self.0;
        status == REMOVED
    }

    /// Whether nothing stands behind the digest but that its key is gone.
    pub fn is_bare_removal(self) -> bool {
        self.0.last_chunk() == Some(&removal())
    }

    /// The digest.
    #[inline]
    pub fn digest(self) -> Option<Digest> {
        bytes_at(self.0, 0).map(Digest::from_bytes)
    }

    /// What the record says of its key; `None` for a free slot, a removed key or a status that does not exist.
    #[inline(always)]
    pub fn packed(self) -> Option<Packed> {
        Packed::new(self.0.last_chunk()?)
    }
}

/// The bytes after the digest of a key that is gone.
pub const fn removal() -> [u8; ATTRIBUTES_LENGTH] {
    let mut bytes = [0; ATTRIBUTES_LENGTH];
    bytes[ATTRIBUTES_LENGTH - 1] = REMOVED;
    bytes
}

/// The bytes of a record.
pub fn write(digest: &Digest, attributes: [u8; ATTRIBUTES_LENGTH]) -> [u8; RECORD_LENGTH] {
    let mut bytes = [0; RECORD_LENGTH];
    if let Some(head) = bytes.first_chunk_mut() {
        *head = *digest.as_bytes();
    }
    if let Some(tail) = bytes.last_chunk_mut() {
        *tail = attributes;
    }
    bytes
}
