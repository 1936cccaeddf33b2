//! Looking at bytes from outside, many at once: a header value may be as long as a server lets it be, and
//! a bad one must not cost more than a good one.

/// How many bytes are looked at together. The compiler makes a few vector instructions of them.
const BLOCK: usize = 16;

/// A block and the byte after it.
const PAIRS: usize = BLOCK + 1;

/// Whether `belongs`, which should be free of branches, holds for each byte. Where the blocks leave a tail, one more
/// block ends with it and overlaps the one before.
#[inline(always)]
fn all(bytes: &[u8], belongs: impl Fn(u8) -> bool + Copy) -> bool {
    let (blocks, tail) = bytes.as_chunks();
    let mut strays = [0; BLOCK];
    for block in blocks {
        add_strays(&mut strays, block, belongs);
    }
    if !tail.is_empty() {
        match bytes.last_chunk() {
            Some(last) => add_strays(&mut strays, last, belongs),
            None => return tail.iter().fold(true, |all, &byte| all & belongs(byte)),
        }
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

/// Where `end` first stands in `bytes`, or their length; and whether `belongs`, which should be free of
/// branches, holds for each byte before that place together with the one before it.
#[inline(always)]
pub(super) fn pairs_until(bytes: &[u8], end: u8, belongs: impl Fn(u8, u8) -> bool + Copy) -> (usize, bool) {
    if bytes.first().is_none_or(|&first| first == end) {
        return (0, true);
    }
    let until = |first: u32| (1_u128 << first) - 1;
    if bytes.len() < PAIRS {
        let mut block = [0; PAIRS];
        let words = [word(bytes), bytes.get(8..).map_or(0, word)];
        block
            .iter_mut()
            .zip(words.map(u64::to_le_bytes).as_flattened())
            .for_each(|(place, &byte)| *place = byte);
        let (strays, ends) = look_at_pairs(&block, end, belongs);
        let first = (ends | 1 << (8 * (bytes.len() - 1))).trailing_zeros();
        return (1 + first as usize / 8, strays & until(first) == 0);
    }
    let (mut at, mut strays) = (0, 0);
    loop {
        // The last block overlaps the one before it, in which `end` was not found.
        let start = at.min(bytes.len() - PAIRS);
        let Some(block) = bytes.get(start..).and_then(<[u8]>::first_chunk) else {
            return (bytes.len(), false);
        };
        let (found, ends) = look_at_pairs(block, end, belongs);
        if ends != 0 {
            let first = ends.trailing_zeros();
            return (start + 1 + first as usize / 8, (strays | (found & until(first))) == 0);
        }
        strays |= found;
        if start + PAIRS == bytes.len() {
            return (bytes.len(), strays == 0);
        }
        at += BLOCK;
    }
}

/// For each byte of a block but the first, a byte of ones where it does not belong behind the one before
/// it, and one where it is `end`.
#[inline(always)]
fn look_at_pairs(block: &[u8; PAIRS], end: u8, belongs: impl Fn(u8, u8) -> bool) -> (u128, u128) {
    let (mut strays, mut ends) = ([0; BLOCK], [0; BLOCK]);
    for index in 0..BLOCK {
        let (before, byte) = (block[index], block[index + 1]);
        strays[index] = if belongs(before, byte) { 0 } else { u8::MAX };
        ends[index] = if byte == end { u8::MAX } else { 0 };
    }
    (u128::from_le_bytes(strays), u128::from_le_bytes(ends))
}

/// Whether two texts are the same: [`PartialEq`] without a call for short ones, as names mostly are.
#[inline(always)]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(a), Some(b)) = (ends_of::<8>(one), ends_of::<8>(other)) {
        return if one.len() <= 16 { a == b } else { one == other };
    }
    if let (Some(a), Some(b)) = (ends_of::<4>(one), ends_of::<4>(other)) {
        return a == b;
    }
    one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// What stands behind `prefix`: [`slice::strip_prefix`] without a call for short ones, as prefixes mostly are.
#[inline(always)]
pub(crate) fn without_prefix<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (front, rest) = text.split_at_checked(prefix.len())?;
    same(front, prefix).then_some(rest)
}

/// The first and the last `N` bytes, which may overlap.
#[inline(always)]
fn ends_of<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((text.first_chunk()?, text.last_chunk()?))
}

/// The first eight bytes of a text as a little-endian number, filled up with zeros.
#[inline(always)]
pub(crate) fn word(text: &[u8]) -> u64 {
    if let Some(word) = text.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    if let Some((first, last)) = ends_of::<4>(text) {
        // What both ends cover is the same in both.
        let beyond = 8 * (text.len() - 4);
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << beyond;
    }
    match *text {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c, ..] => u64::from(u32::from_le_bytes([a, b, c, 0])),
    }
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
#[inline(always)]
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
            for end in [b':', b'~', b'='] {
                let rises = |first, second| first <= second;
                let place = bytes.iter().position(|&byte| byte == end).unwrap_or(bytes.len());
                let sorted = bytes[..place].is_sorted();
                prop_assert_eq!(pairs_until(&bytes, end, rises), (place, sorted));
            }
            prop_assert_eq!(word(&bytes).to_le_bytes().to_vec(), {
                let mut first: Vec<u8> = bytes.iter().copied().take(8).collect();
                first.resize(8, 0);
                first
            });
        }

        #[test]
        fn texts_are_the_same_where_they_are_equal(mut bytes in runs(), at in any::<prop::sample::Index>()) {
            prop_assert!(same(&bytes, &bytes.clone()));
            prop_assert!(!same(&bytes, &[&bytes[..], b"x"].concat()));
            for end in 0..bytes.len() {
                prop_assert_eq!(without_prefix(&bytes, &bytes[..end]), Some(&bytes[end..]));
                prop_assert_eq!(without_prefix(&bytes[..end], &bytes), None);
            }
            let as_they_were = bytes.clone();
            if let Some(byte) = (!bytes.is_empty()).then(|| at.get_mut(&mut bytes)) {
                *byte ^= 4;
                prop_assert!(!same(&bytes, &as_they_were));
                prop_assert_eq!(without_prefix(&bytes, &as_they_were), None);
            }
        }
    }
}
