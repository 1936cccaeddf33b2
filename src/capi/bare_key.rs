//! A key that comes by itself, as the header that a realm would find it in.

use crate::realm::{Credential, CredentialKind, Realm};
use crate::request::credential::LONGEST_KEY;
use crate::request::source::Source;
use arrayvec::ArrayVec;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The value of a header that presents a key: `Basic`, and the base64 of what is longer than any key, is
/// the longest.
pub(super) type KeyHeader = ArrayVec<u8, 704>;

/// Writes the value of the header that presents `key` to `realm`, and returns its name.
pub(super) fn header_of_key<'r>(realm: &'r Realm, key: &[u8], value: &mut KeyHeader) -> Option<&'r [u8]> {
    let is_key = |credential: &&Credential| matches!(credential.kind, CredentialKind::Key(_));
    let mut keys = realm.credentials.iter().filter(is_key);
    let credential = match (keys.next(), keys.next()) {
        (Some(only), None) => only,
        (None, _) => return None,
        _ => realm.default_require.iter().filter_map(|name| realm.credential(name)).find(is_key)?,
    };
    // The first that every key can be presented in: a bearer token has fewer characters than a header.
    let rank = |source: &&Source| match source {
        Source::Header(_) => 0,
        Source::Basic => 1,
        Source::Bearer => 2,
    };
    let source = credential.sources.iter().min_by_key(rank)?;
    // One byte more than any key has says as much as all the rest; and around a header's value, spaces
    // would be trimmed, which are no part of any key.
    let key = key.get(..LONGEST_KEY + 1).unwrap_or(key);
    let is_graphic = key.iter().fold(true, |all, byte| all & byte.is_ascii_graphic());
    let key = if is_graphic { key } else { b"\x01" };
    let mut append = |bytes: &[u8]| value.try_extend_from_slice(bytes).ok();
    match source {
        Source::Header(name) => append(key).map(|()| name.as_bytes()),
        Source::Bearer => {
            append(b"Bearer ")?;
            append(key).map(|()| b"Authorization".as_slice())
        }
        Source::Basic => {
            let mut pair = ArrayVec::<u8, { LONGEST_KEY + 2 }>::new();
            pair.try_extend_from_slice(key).ok()?;
            pair.try_push(b':').ok()?;
            let mut encoded = [0; 696];
            let length = BASE64_STANDARD.encode_slice(&pair, &mut encoded).ok()?;
            append(b"Basic ")?;
            append(encoded.get(..length)?).map(|()| b"Authorization".as_slice())
        }
    }
}
