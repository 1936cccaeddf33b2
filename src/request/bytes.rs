//! Looking at bytes from outside, many at once: a header value may be as long as a server lets it be, and
//! a bad one must not cost more than a good one.

/// How many bytes are looked at together. The compiler makes a few vector instructions of them.
const BLOCK: usize = 32;

/// Whether all of `bytes` are such as `belongs` says, which should be free of branches.
#[inline(always)]
fn all(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> bool {
    let all_of = |block: &[u8]| block.iter().fold(true, |all, &byte| all & belongs(byte));
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    blocks.iter().all(|block| all_of(block)) && all_of(tail)
}

/// Whether `bytes` are characters of a bearer token (RFC 6750 section 2.1), without the `=` at its end.
pub(super) fn are_token_characters(bytes: &[u8]) -> bool {
    all(bytes, |byte| {
        // `-`, `.`, `/` and the digits stand in a row.
        (byte.wrapping_sub(b'-') <= b'9' - b'-')
            | ((byte | 0x20).wrapping_sub(b'a') <= b'z' - b'a')
            | (byte == b'_')
            | (byte == b'~')
            | (byte == b'+')
    })
}

/// Whether `bytes` are visible ASCII, 0x21 to 0x7E.
pub(super) fn are_visible(bytes: &[u8]) -> bool {
    all(bytes, |byte| byte.wrapping_sub(0x21) <= 0x7E - 0x21)
}

/// Whether none of `bytes` is a control character of ASCII.
pub(super) fn have_no_control(bytes: &[u8]) -> bool {
    all(bytes, |byte| (byte >= 0x20) & (byte != 0x7F))
}

/// `bytes` without those at the front for which `skipped` holds.
#[inline(always)]
fn without_front(mut bytes: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    while let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>()
        && skipped(block[0])
        && all(block, &skipped)
    {
        bytes = rest;
    }
    while let [first, rest @ ..] = bytes
        && skipped(*first)
    {
        bytes = rest;
    }
    bytes
}

/// `bytes` without those at the back for which `skipped` holds.
#[inline(always)]
fn without_back(mut bytes: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    while let Some((rest, block)) = bytes.split_last_chunk::<BLOCK>()
        && skipped(block[BLOCK - 1])
        && all(block, &skipped)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && skipped(*last)
    {
        bytes = rest;
    }
    bytes
}

/// `value` without SP and HTAB at its ends (RFC 9110 section 5.5).
#[inline]
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte| (byte == b' ') | (byte == b'\t');
    without_back(without_front(value, blank), blank)
}

/// `bytes` without SP at the front.
#[inline]
pub(super) fn without_leading_spaces(bytes: &[u8]) -> &[u8] {
    without_front(bytes, |byte| byte == b' ')
}

/// `bytes` without `=` at the back.
#[inline]
pub(super) fn without_padding(bytes: &[u8]) -> &[u8] {
    without_back(bytes, |byte| byte == b'=')
}

/// Where `byte` first stands in `bytes`.
pub(super) fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let start = BLOCK * blocks.iter().take_while(|block| all(*block, |other| other != byte)).count();
    let found = bytes.get(start..)?.iter().position(|&other| other == byte)?;
    Some(start + found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lengths on both sides of a block, and bytes that come in runs.
    fn runs() -> impl Strategy<Value = Vec<u8>> {
        let run = (prop::sample::select(b" \t=a:\x00\x7f~\xff".to_vec()), 0..70_usize);
        prop::collection::vec(run, 0..4)
            .prop_map(|runs| runs.into_iter().flat_map(|(byte, count)| vec![byte; count]).collect())
    }

    #[test]
    fn every_byte_is_classed_as_the_standards_say() {
        for byte in 0..=u8::MAX {
            let token = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            for (length, at) in [(1, 0), (31, 30), (32, 0), (32, 31), (33, 32), (100, 50)] {
                let mut bytes = vec![b'x'; length];
                bytes[at] = byte;
                assert_eq!(are_token_characters(&bytes), token, "{byte:#x} of {length}");
                assert_eq!(are_visible(&bytes), byte.is_ascii_graphic(), "{byte:#x} of {length}");
                assert_eq!(have_no_control(&bytes), !byte.is_ascii_control(), "{byte:#x} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn ends_come_off_as_one_by_one(bytes in runs()) {
            let mut slow = &bytes[..];
            while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = slow {
                slow = rest;
            }
            prop_assert_eq!(trim(&bytes), slow);
            let spaces = bytes.iter().take_while(|&&byte| byte == b' ').count();
            prop_assert_eq!(without_leading_spaces(&bytes), &bytes[spaces..]);
            let padding = bytes.iter().rev().take_while(|&&byte| byte == b'=').count();
            prop_assert_eq!(without_padding(&bytes), &bytes[..bytes.len() - padding]);
            prop_assert_eq!(position(&bytes, b':'), bytes.iter().position(|&byte| byte == b':'));
        }
    }
}
