//! The path of a request, in the one form that routes are compared with: docs/DECISIONS.md section 6.
//!
//! A path that two programs could read as different resources is refused instead of guessed at: what
//! routes it here must be what serves it behind (RFC 3986 section 6.2.2, RFC 9110 section 4.2.3).

use super::bytes;
use arrayvec::ArrayVec;
use thiserror::Error;

/// The path can be read in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the path can be read in more than one way")]
pub struct AmbiguousPath;

/// How long a path with escapes can be without an allocation.
const INLINE: usize = 2048;

/// Room for a path whose escapes have to be decoded. Making one costs nothing.
///
/// A path without escapes never comes here, and one of up to 2048 bytes stays within; a longer one with
/// escapes is the only thing that allocates.
#[derive(Default)]
pub struct PathBuffer {
    normal: Room,
    decoded: Room,
}

impl PathBuffer {
    /// An empty buffer.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }
}

/// A place for bytes of any number.
#[derive(Default)]
struct Room {
    inline: ArrayVec<u8, INLINE>,
    long: Vec<u8>,
}

impl Room {
    /// A copy of `bytes`, to be written over.
    fn filled_with(&mut self, bytes: &[u8]) -> &mut [u8] {
        self.inline.clear();
        if self.inline.try_extend_from_slice(bytes).is_ok() {
            return &mut self.inline;
        }
        self.long.clear();
        self.long.extend_from_slice(bytes);
        &mut self.long
    }
}

/// A path in normal form: ASCII, one `/` before each segment, no segment empty but perhaps the last, none
/// `.` or `..`, nothing escaped that need not be, and escapes in upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormalPath<'a>(&'a [u8]);

impl<'a> NormalPath<'a> {
    /// The text, which is ASCII.
    #[inline]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// What a byte is to a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Part of a segment.
    Ordinary,
    /// The start of a segment.
    Slash,
    /// The start of an escape.
    Percent,
    /// Ambiguous wherever it stands.
    Refused,
}

/// The class of every byte.
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Refused; 256];
    let mut byte = 0x21;
    while byte <= 0x7E {
        classes[byte] = match byte as u8 {
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            b'\\' | b'#' | b'?' => Class::Refused,
            _ => Class::Ordinary,
        };
        byte += 1;
    }
    classes
};

/// The normal form of the path of a request target, which ends at the first `?`.
pub fn normalize<'a>(target: &'a [u8], buffer: &'a mut PathBuffer) -> Result<NormalPath<'a>, AmbiguousPath> {
    match plain(target)? {
        Plain::Whole(path) => Ok(path),
        Plain::Doubtful(path) => closer_look(path, buffer),
    }
}

/// What one look at a path says.
pub(crate) enum Plain<'a> {
    /// It is in normal form.
    Whole(NormalPath<'a>),
    /// Something in it needs a closer look, which [`normalize`] takes.
    Doubtful(&'a [u8]),
}

/// Looks at the path of a request target once.
#[inline(always)]
pub(crate) fn plain(target: &[u8]) -> Result<Plain<'_>, AmbiguousPath> {
    // Most paths are plain, and one look at many bytes together says so.
    let (end, plain) = bytes::pairs_until(target, b'?', |before, byte| {
        let visible = byte.wrapping_sub(0x21) <= 0x7E - 0x21;
        let special = (byte == b'%') | (byte == b'#') | (byte == b'\\');
        let doubtful = (before == b'/') & ((byte == b'/') | (byte == b'.'));
        visible & !special & !doubtful
    });
    let path = target.get(..end).unwrap_or_default();
    if path.first() != Some(&b'/') {
        return Err(AmbiguousPath);
    }
    Ok(if plain { Plain::Whole(NormalPath(path)) } else { Plain::Doubtful(path) })
}

/// The normal form of a path with something in it that needs a closer look.
fn closer_look<'a>(path: &'a [u8], buffer: &'a mut PathBuffer) -> Result<NormalPath<'a>, AmbiguousPath> {
    for (at, &byte) in path.iter().enumerate() {
        match CLASSES[usize::from(byte)] {
            Class::Ordinary => {}
            Class::Slash => check_segment(path, at)?,
            Class::Percent => return unescape(path, buffer),
            Class::Refused => return Err(AmbiguousPath),
        }
    }
    Ok(NormalPath(path))
}

/// Refuses an empty segment that is not the last, `.` and `..`, after the slash at `slash`.
#[inline]
fn check_segment(path: &[u8], slash: usize) -> Result<(), AmbiguousPath> {
    let ends = |byte: Option<&u8>| matches!(byte, None | Some(b'/'));
    let mut after = path.iter().skip(slash + 1);
    let ambiguous = match after.next() {
        Some(b'/') => true,
        Some(b'.') => match after.next() {
            Some(b'.') => ends(after.next()),
            next => ends(next),
        },
        _ => false,
    };
    if ambiguous { Err(AmbiguousPath) } else { Ok(()) }
}

/// The normal form of a path that has escapes.
fn unescape<'a>(path: &[u8], buffer: &'a mut PathBuffer) -> Result<NormalPath<'a>, AmbiguousPath> {
    // Neither is ever longer than the path.
    let mut normal = Writer { room: buffer.normal.filled_with(path), length: 0 };
    let mut decoded = Writer { room: buffer.decoded.filled_with(path), length: 0 };
    let mut rest = path;
    while let [byte, behind @ ..] = rest {
        rest = match CLASSES[usize::from(*byte)] {
            Class::Ordinary | Class::Slash => {
                normal.put(*byte);
                decoded.put(*byte);
                behind
            }
            Class::Percent => {
                let [high, low, behind @ ..] = behind else {
                    return Err(AmbiguousPath);
                };
                let byte = escaped(*high, *low).ok_or(AmbiguousPath)?;
                match byte {
                    b'/' | b'\\' | 0..0x20 | 0x7F => return Err(AmbiguousPath),
                    b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => normal.put(byte),
                    _ => {
                        normal.put(b'%');
                        normal.put(high.to_ascii_uppercase());
                        normal.put(low.to_ascii_uppercase());
                    }
                }
                decoded.put(byte);
                behind
            }
            Class::Refused => return Err(AmbiguousPath),
        };
    }
    // What is not escaped is ASCII, so this is UTF-8 where every run of escapes is (RFC 3629 section 3).
    std::str::from_utf8(decoded.written()).map_err(|_| AmbiguousPath)?;
    let normal = normal.written();
    for (at, _) in normal.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
        check_segment(normal, at)?;
    }
    Ok(NormalPath(normal))
}

/// Writes bytes over what is in a room.
struct Writer<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    #[inline]
    fn put(&mut self, byte: u8) {
        if let Some(place) = self.room.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn written(self) -> &'a [u8] {
        self.room.get(..self.length).unwrap_or_default()
    }
}

/// The byte that an escape with these digits stands for.
#[inline]
fn escaped(high: u8, low: u8) -> Option<u8> {
    let (high, low) = (DIGITS[usize::from(high)], DIGITS[usize::from(low)]);
    (high | low < 0x10).then_some(high << 4 | low)
}

/// The value of every byte as a hexadecimal digit; 0xFF is none.
static DIGITS: [u8; 256] = {
    let mut digits = [0xFF; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};

/// Whether a literal segment of a configured path is in the form that a request's is compared in; another
/// would never match. The empty segment is one, but only the last of a path may be empty.
pub fn is_canonical_segment(segment: &str) -> bool {
    let path = format!("/{segment}");
    !segment.contains('/')
        && normalize(path.as_bytes(), &mut PathBuffer::new())
            .is_ok_and(|normal| normal.as_bytes() == path.as_bytes())
}

#[cfg(test)]
mod tests;
