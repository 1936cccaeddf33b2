//! The signatures in a header's page: docs/FORMAT.md section 1.5.

use super::header::{FormatError, SIGNATURES_OFFSET, malformed};
use super::{PAGE, bytes_at, u32_at};
use crate::signature::{PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, Signature};

/// The most signatures that a snapshot can have.
pub const SIGNATURE_LIMIT: usize = 10;

const FIRST: usize = SIGNATURES_OFFSET + 8;
const LENGTH: usize = PUBLIC_KEY_LENGTH + SIGNATURE_LENGTH;
const _: () = assert!(FIRST + SIGNATURE_LIMIT * LENGTH <= PAGE, "the signatures fit into the page");
const _: () = assert!(SIGNATURE_LIMIT == crate::keyring::SIGNING_KEY_LIMIT, "each key has its place");

/// The signatures of the header in `page`, which says whether it is `signed`.
pub(super) fn read(page: &[u8; PAGE], signed: bool) -> Result<Vec<Signature>, FormatError> {
    let count = u32_at(page, SIGNATURES_OFFSET).and_then(|count| usize::try_from(count).ok());
    let count = count
        .filter(|&count| count <= SIGNATURE_LIMIT)
        .ok_or(malformed("it has more signatures than there is room for"))?;
    if signed != (count > 0) {
        return Err(malformed("it is signed and has no signature, or the other way round"));
    }
    let end = FIRST + count * LENGTH;
    let zero = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
    if !zero(page.get(SIGNATURES_OFFSET + 4..FIRST)) || !zero(page.get(end..)) {
        return Err(malformed("reserved bytes of the header are not zero"));
    }
    let entries = page.get(FIRST..end).unwrap_or_default().chunks_exact(LENGTH);
    let signatures: Option<Vec<_>> = entries
        .map(|entry| Some(Signature { key: bytes_at(entry, 0)?, bytes: bytes_at(entry, PUBLIC_KEY_LENGTH)? }))
        .collect();
    signatures
        .filter(|signatures| signatures.is_sorted_by(|a, b| a.key < b.key))
        .ok_or(malformed("its signatures are not in the order of their keys"))
}

/// Writes the signatures, of which there are no more than there is room for.
pub(super) fn write(signatures: &[Signature], page: &mut [u8; PAGE]) {
    let count = u32::try_from(signatures.len().min(SIGNATURE_LIMIT)).unwrap_or_default();
    let entries = signatures.iter().take(SIGNATURE_LIMIT);
    let bytes = count
        .to_le_bytes()
        .into_iter()
        .chain([0; 4])
        .chain(entries.flat_map(|signature| signature.key.into_iter().chain(signature.bytes)));
    for (target, byte) in page.iter_mut().skip(SIGNATURES_OFFSET).zip(bytes) {
        *target = byte;
    }
}
