//! Looking at bytes from outside, many at once: a header value may be as long as a server lets it be, and
//! a bad one must not cost more than a good one.

/// How many bytes are looked at together. The compiler makes a few vector instructions of them.
const BLOCK: usize = 16;

/// A block and the byte after it.
const PAIRS: usize = BLOCK + 1;

/// Whether `belongs`, which should be free of branches, holds for each byte. The last block overlaps the
/// one before it, so that no tail is left.
#[inline(always)]
fn all(bytes: &[u8], belongs: impl Fn(u8) -> bool + Copy) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().fold(true, |all, &byte| all & belongs(byte));
    };
    let mut strays = [0; BLOCK];
    add_strays(&mut strays, last, belongs);
    for block in bytes.as_chunks().0 {
        add_strays(&mut strays, block, belongs);
    }
    u128::from_ne_bytes(strays) == 0
}

/// Marks the bytes of a block that do not belong.
#[inline(always)]
fn add_strays(strays: &mut [u8; BLOCK], block: &[u8; BLOCK], belongs: impl Fn(u8) -> bool) {
    for (stray, &byte) in strays.iter_mut().zip(block) {
        *stray |= u8::from(!belongs(byte));
    }
}

/// As [`all`], for each byte but the last and the byte after it.
#[inline(always)]
pub(super) fn all_pairs(bytes: &[u8], belongs: impl Fn(u8, u8) -> bool) -> bool {
    let mut strays = [0_u8; BLOCK];
    let mut look_at = |block: &[u8; PAIRS]| {
        for (index, stray) in strays.iter_mut().enumerate() {
            *stray |= u8::from(!belongs(block[index], block[index + 1]));
        }
    };
    let Some(last) = bytes.last_chunk() else {
        return bytes.array_windows().fold(true, |all, &[first, second]| all & belongs(first, second));
    };
    let mut rest = bytes;
    while let (Some(block), Some((_, behind))) = (rest.first_chunk(), rest.split_first_chunk::<BLOCK>()) {
        look_at(block);
        rest = behind;
    }
    look_at(last);
    strays == [0; BLOCK]
}

/// Whether `byte` is in a block.
#[inline(always)]
fn has(block: &[u8; BLOCK], byte: u8) -> bool {
    block.iter().fold(false, |found, &other| found | (other == byte))
}

/// Where `byte` first stands in `bytes`.
#[inline]
pub(super) fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    let skipped = bytes.as_chunks().0.iter().take_while(|block| !has(block, byte)).count();
    let start = BLOCK * skipped;
    let found = bytes.get(start..)?.iter().position(|&other| other == byte)?;
    Some(start + found)
}

/// Where `byte` last stands in `bytes`.
#[inline]
pub(super) fn last_position(bytes: &[u8], byte: u8) -> Option<usize> {
    let skipped = bytes.as_rchunks().1.iter().rev().take_while(|block| !has(block, byte)).count();
    let end = bytes.len() - BLOCK * skipped;
    bytes.get(..end)?.iter().rposition(|&other| other == byte)
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
pub(crate) fn are_visible(bytes: &[u8]) -> bool {
    all(bytes, |byte| byte.wrapping_sub(0x21) <= 0x7E - 0x21)
}

/// Whether `bytes` are 0-9A-Za-z.
pub(crate) fn are_alphanumeric(bytes: &[u8]) -> bool {
    all(bytes, is_alphanumeric)
}

/// Whether `bytes` are 0-9A-Za-z, `-` and `_`.
pub(crate) fn are_base64url(bytes: &[u8]) -> bool {
    all(bytes, |byte| is_alphanumeric(byte) | (byte == b'-') | (byte == b'_'))
}

/// Whether `bytes` are 0-9a-f.
pub(crate) fn are_hex(bytes: &[u8]) -> bool {
    all(bytes, |byte| (byte.wrapping_sub(b'0') <= 9) | (byte.wrapping_sub(b'a') <= b'f' - b'a'))
}

#[inline(always)]
fn is_alphanumeric(byte: u8) -> bool {
    (byte.wrapping_sub(b'0') <= 9) | ((byte | 0x20).wrapping_sub(b'a') <= b'z' - b'a')
}

/// Whether none of `bytes` is a control character of ASCII.
pub(super) fn have_no_control(bytes: &[u8]) -> bool {
    all(bytes, |byte| (byte >= 0x20) & (byte != 0x7F))
}

/// `bytes` without those at the front for which `skipped` holds.
#[inline(always)]
fn without_front(mut bytes: &[u8], skipped: impl Fn(u8) -> bool + Copy) -> &[u8] {
    while let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>()
        && skipped(block[0])
        && skipped(block[BLOCK - 1])
        && all(block, skipped)
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
fn without_back(mut bytes: &[u8], skipped: impl Fn(u8) -> bool + Copy) -> &[u8] {
    while let Some((rest, block)) = bytes.split_last_chunk::<BLOCK>()
        && skipped(block[BLOCK - 1])
        && skipped(block[0])
        && all(block, skipped)
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
    match value {
        // Nothing to do, nearly always.
        [first, .., last] if !blank(*first) && !blank(*last) => value,
        _ => without_back(without_front(value, blank), blank),
    }
}

/// `bytes` without SP at the front.
#[inline]
pub(super) fn without_leading_spaces(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b' ', rest @ ..] if rest.first().is_some_and(|next| *next != b' ') => rest,
        _ => without_front(bytes, |byte| byte == b' '),
    }
}

/// `bytes` without `=` at the back.
#[inline]
pub(super) fn without_padding(bytes: &[u8]) -> &[u8] {
    match bytes {
        [.., last] if *last != b'=' => bytes,
        _ => without_back(bytes, |byte| byte == b'='),
    }
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
            for (length, at) in [(1, 0), (15, 14), (16, 0), (16, 15), (17, 16), (31, 20), (100, 50)] {
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
            for sought in [b':', b'~', b'='] {
                prop_assert_eq!(position(&bytes, sought), bytes.iter().position(|&byte| byte == sought));
                prop_assert_eq!(last_position(&bytes, sought), bytes.iter().rposition(|&byte| byte == sought));
            }
            let rises = |first, second| first <= second;
            prop_assert_eq!(all_pairs(&bytes, rises), bytes.is_sorted());
        }
    }
}
