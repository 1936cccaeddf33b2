//! The content of a Basic credential (RFC 7617): base64 of `id:secret`.

use super::bytes;
use arrayvec::ArrayVec;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroize;

/// The longest base64 of a Basic credential.
pub(super) const LONGEST_ENCODED: usize = 8192;

/// The longest content: three bytes for every four of base64.
const LONGEST: usize = LONGEST_ENCODED / 4 * 3;

/// What is written over before anything is decoded into it.
static ZEROS: [u8; LONGEST] = [0; LONGEST];

/// Room for what a request's Basic credential decodes to. Making one costs nothing; what was used of it is
/// wiped when it goes.
///
/// One does for any number of credentials of the same request, because they all decode the same header.
#[derive(Default)]
pub struct Scratch {
    decoded: ArrayVec<u8, LONGEST>,
}

impl Scratch {
    /// An empty one.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// The content that was decoded last.
    #[inline]
    pub(super) fn content(&self) -> &[u8] {
        &self.decoded
    }

    /// Decodes `encoded`, and returns where the first colon of the content stands. `None` where it is not
    /// canonical base64 (RFC 4648 section 4), or the content has a control character or no colon.
    pub(super) fn decode(&mut self, encoded: &[u8]) -> Option<usize> {
        self.wipe();
        // Every four characters are three bytes, padding or not.
        if !encoded.len().is_multiple_of(4) {
            return None;
        }
        self.decoded.try_extend_from_slice(ZEROS.get(..encoded.len() / 4 * 3)?).ok()?;
        let length = STANDARD.decode_slice(encoded, &mut self.decoded).ok()?;
        self.decoded.truncate(length);
        if !bytes::have_no_control(&self.decoded) {
            return None;
        }
        bytes::position(&self.decoded, b':')
    }

    /// Forgets what was decoded.
    #[inline]
    fn wipe(&mut self) {
        if !self.decoded.is_empty() {
            self.decoded.as_mut_slice().zeroize();
            self.decoded.clear();
        }
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_decoded_is_wiped_before_the_next() {
        let mut scratch = Scratch::new();
        assert_eq!(scratch.decode(b"bWV0ZXI6dGljayB0b2Nr"), Some(5));
        assert_eq!(scratch.content(), b"meter:tick tock");
        assert_eq!(scratch.decode(b"!"), None);
        assert_eq!(scratch.content(), b"");
    }

    #[test]
    fn only_canonical_base64_is_read() {
        for (encoded, colon) in [
            ("Og==", Some(0)),
            ("YTpi", Some(1)),
            ("Z2F1Z2U6OmE6Yjo=", Some(5)),
            ("azo/Pj8+", Some(1)),
            // Beyond ASCII anything goes: RFC 7617 section 2.1 leaves the encoding to the server.
            ("YTr/", Some(1)),
            ("azo_Pj8-", None),
            ("Z2F1Z2U6OmE6Yjo", None),
            ("Z2F1Z2U6OmE6Yjp=", None),
            ("YTpi=", None),
            ("YTpi====", None),
            ("Og==YTpi", None),
            ("YT pi", None),
            ("", None),
            ("YWI=", None),
            ("YToK", None),
            ("YTp/", None),
            ("YToA", None),
        ] {
            assert_eq!(Scratch::new().decode(encoded.as_bytes()), colon, "{encoded}");
        }
    }

    #[test]
    fn the_longest_fits_and_a_longer_one_is_refused() {
        let longest = STANDARD.encode([b"u:".as_slice(), &[b'p'; LONGEST - 2]].concat());
        assert_eq!(longest.len(), LONGEST_ENCODED);
        assert_eq!(Scratch::new().decode(longest.as_bytes()), Some(1));
        assert_eq!(Scratch::new().decode(format!("YTpi{longest}").as_bytes()), None);
    }
}
