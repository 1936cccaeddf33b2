//! The path of a request, in the one form that routes are compared with: decisions.md section 6.
//!
//! A path that two programs could read as different resources is refused instead of guessed at: what
//! routes it here must be what serves it behind (RFC 3986 section 6.2.2, RFC 9110 section 4.2.3).

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
    inline: ArrayVec<u8, INLINE>,
    long: Vec<u8>,
}

impl PathBuffer {
    /// An empty buffer.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes of `path`, to be changed.
    fn filled_with(&mut self, path: &[u8]) -> &mut [u8] {
        self.inline.clear();
        if self.inline.try_extend_from_slice(path).is_ok() {
            return &mut self.inline;
        }
        self.long.clear();
        self.long.extend_from_slice(path);
        &mut self.long
    }
}

/// A path in normal form: ASCII, one `/` before each segment, no segment empty but perhaps the last, none
/// `.` or `..`, nothing escaped that need not be, and escapes in upper case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormalPath<'a>(&'a str);

impl<'a> NormalPath<'a> {
    /// The text.
    #[inline]
    pub fn as_str(self) -> &'a str {
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
    /// The end of the path.
    Query,
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
            b'?' => Class::Query,
            b'\\' | b'#' => Class::Refused,
            _ => Class::Ordinary,
        };
        byte += 1;
    }
    classes
};

/// The normal form of the path of a request target, which ends at the first `?`.
#[inline]
pub fn normalize<'a>(target: &'a [u8], buffer: &'a mut PathBuffer) -> Result<NormalPath<'a>, AmbiguousPath> {
    if target.first() != Some(&b'/') {
        return Err(AmbiguousPath);
    }
    let mut end = target.len();
    for (at, &byte) in target.iter().enumerate() {
        match CLASSES[usize::from(byte)] {
            Class::Ordinary => {}
            Class::Slash => check_segment(target, at)?,
            Class::Percent => return unescape(target, buffer),
            Class::Query => {
                end = at;
                break;
            }
            Class::Refused => return Err(AmbiguousPath),
        }
    }
    as_normal(target.get(..end))
}

/// What has been found to be ASCII, as text.
#[inline]
fn as_normal(path: Option<&[u8]>) -> Result<NormalPath<'_>, AmbiguousPath> {
    let text = std::str::from_utf8(path.unwrap_or_default()).map_err(|_| AmbiguousPath)?;
    Ok(NormalPath(text))
}

/// Refuses an empty segment that is not the last, `.` and `..`, after the slash at `slash`.
#[inline]
fn check_segment(target: &[u8], slash: usize) -> Result<(), AmbiguousPath> {
    let ends = |byte: Option<&u8>| matches!(byte, None | Some(b'/' | b'?'));
    let mut after = target.iter().skip(slash + 1);
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
#[cold]
fn unescape<'a>(target: &[u8], buffer: &'a mut PathBuffer) -> Result<NormalPath<'a>, AmbiguousPath> {
    let end = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let path = buffer.filled_with(target.get(..end).unwrap_or_default());
    // The normal form is never longer than the path, so it is written over it: `write <= read`.
    let (mut read, mut write) = (0, 0);
    while let Some(&byte) = path.get(read) {
        match CLASSES[usize::from(byte)] {
            Class::Ordinary | Class::Slash => {
                put(path, &mut write, &[byte]);
                read += 1;
            }
            Class::Percent => read = unescape_one(path, read, &mut write)?,
            Class::Query | Class::Refused => return Err(AmbiguousPath),
        }
    }
    let path = path.get(..write).unwrap_or_default();
    for (at, _) in path.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
        check_segment(path, at)?;
    }
    as_normal(Some(path))
}

/// Writes `bytes` at `write`, which moves behind them.
fn put(path: &mut [u8], write: &mut usize, bytes: &[u8]) {
    for &byte in bytes {
        if let Some(place) = path.get_mut(*write) {
            *place = byte;
        }
        *write += 1;
    }
}

/// Writes the normal form of the escape at `read`, together with the escapes that make up one character
/// with it, and returns where they end.
fn unescape_one(path: &mut [u8], read: usize, write: &mut usize) -> Result<usize, AmbiguousPath> {
    let first = escaped(path, read)?;
    match first {
        b'/' | b'\\' | 0..0x20 | 0x7F => return Err(AmbiguousPath),
        b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
            put(path, write, &[first]);
            return Ok(read + 3);
        }
        _ => {}
    }
    let length = match first {
        ..0x80 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
        0x80..0xC0 => return Err(AmbiguousPath),
    };
    let mut character = ArrayVec::<u8, 4>::new();
    for index in 0..length {
        character.push(escaped(path, read + 3 * index)?);
    }
    // Overlong forms, surrogates and what lies beyond U+10FFFF are not UTF-8 (RFC 3629 section 3).
    std::str::from_utf8(&character).map_err(|_| AmbiguousPath)?;
    for byte in character {
        put(path, write, &[b'%', hex_digit(byte >> 4), hex_digit(byte & 0x0F)]);
    }
    Ok(read + 3 * length)
}

/// The byte that the escape at `at` stands for.
fn escaped(path: &[u8], at: usize) -> Result<u8, AmbiguousPath> {
    let digit = |at: usize| {
        let digit = char::from(*path.get(at)?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    match (path.get(at), digit(at + 1), digit(at + 2)) {
        (Some(b'%'), Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(AmbiguousPath),
    }
}

/// The upper-case digit of a value below 16.
fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'A' + (value - 10) }
}

/// Whether a literal segment of a configured path is in the form that a request's is compared in; another
/// would never match. The empty segment is one, but only the last of a path may be empty.
pub fn is_canonical_segment(segment: &str) -> bool {
    let path = format!("/{segment}");
    !segment.contains('/')
        && normalize(path.as_bytes(), &mut PathBuffer::new()).is_ok_and(|normal| normal.as_str() == path)
}

#[cfg(test)]
mod tests;
