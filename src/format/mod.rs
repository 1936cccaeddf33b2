//! The snapshot's bytes: what `docs/FORMAT.md` says, and nothing that touches a file or a clock.
//!
//! Reading works on `&[u8]` with checked arithmetic, and answers `None` or an error where the bytes say
//! something that cannot be.

#![forbid(unsafe_code)]

pub mod header;
pub mod id_place;
pub mod record;
mod signatures;
pub mod table;

pub use signatures::SIGNATURE_LIMIT;

/// Bytes in a page: what sections are aligned to and what is hashed as one.
pub const PAGE: usize = 4096;

/// Bytes in a hash.
pub const HASH_LENGTH: usize = 32;

/// The furthest that a record may stand from its home. Random digests at a load of 0.85 stay below 200
/// with 100 million keys; a file that says more is refused, so that no lookup takes long.
pub const DISPLACEMENT_LIMIT: u64 = 4096;

/// `bytes` rounded up to whole pages.
pub const fn pages(bytes: u64) -> Option<u64> {
    match bytes.checked_add(PAGE as u64 - 1) {
        Some(sum) => Some(sum / PAGE as u64),
        None => None,
    }
}

/// The home of a hash with the first eight bytes `prefix` among `capacity` homes.
#[inline]
pub const fn home(prefix: u64, capacity: u64) -> u64 {
    ((prefix as u128 * capacity as u128) >> 64) as u64
}

/// How many homes an index of `count` entries gets: a load of 0.85.
///
/// The load is what the size and the speed of a snapshot are traded by: docs/ARCHITECTURE.md has the
/// measurements.
pub const fn capacity(count: u64) -> Option<u64> {
    match count.checked_mul(20) {
        Some(product) => Some(product.div_ceil(17)),
        None => None,
    }
}

/// The eight bytes that the home of a key's id is computed from (docs/FORMAT.md section 6).
pub fn id_prefix(realm: u32, id: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&realm.to_le_bytes());
    hasher.update(id.as_bytes());
    let hash = hasher.finalize();
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The `N` bytes at `offset`, if they are there.
#[inline]
pub(crate) fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[inline]
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_le_bytes)
}

#[inline]
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    bytes_at(bytes, offset).map(u64::from_le_bytes)
}
