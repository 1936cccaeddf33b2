//! A file of any length and content, piece by piece, so that whatever is found stands whole in one of them.

use std::io::{self, ErrorKind, Read};

/// Bytes that are read at a time.
const PIECE: usize = 4 << 20;
/// How far behind its start anything that is looked for can reach: a pair's base64, and what stands around it.
pub(super) const AFTER: usize = 16 << 10;
/// How far before its start something is looked at.
pub(super) const BEFORE: usize = 1 << 10;

/// Bytes of a file. What starts before `first` was looked at with the piece before, what starts at `last` or later
/// comes again with the next.
pub(super) struct Piece<'b> {
    pub(super) bytes: &'b [u8],
    pub(super) first: usize,
    pub(super) last: usize,
    /// The number of the line that `bytes` start in.
    line: u64,
}

impl Piece<'_> {
    /// The number of the line that a byte stands in, from 1.
    pub(super) fn line_of(&self, place: usize) -> u64 {
        self.line + feeds(self.bytes.get(..place).unwrap_or(self.bytes))
    }
}

fn feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Cuts what a reader gives into pieces.
pub(super) struct Pieces<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the next piece has something new.
    first: usize,
    /// What of the buffer is not wanted any more, and the number of the line that it starts in.
    spent: usize,
    line: u64,
    ended: bool,
}

impl<R: Read> Pieces<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new(), first: 0, spent: 0, line: 1, ended: false }
    }

    /// The next piece, until there is none.
    pub(super) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        if self.ended {
            return Ok(None);
        }
        self.line += feeds(self.buffer.get(..self.spent).unwrap_or_default());
        self.buffer.drain(..self.spent);
        self.first -= self.spent;
        self.spent = 0;
        let wanted = PIECE as u64;
        loop {
            match self.reader.by_ref().take(wanted).read_to_end(&mut self.buffer) {
                Ok(read) => {
                    self.ended = (read as u64) < wanted;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let length = self.buffer.len();
        let last = if self.ended { length } else { length.saturating_sub(AFTER) };
        let first = std::mem::replace(&mut self.first, last);
        self.spent = last.saturating_sub(BEFORE);
        Ok(Some(Piece { bytes: &self.buffer, first, last, line: self.line }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_once_with_its_line_and_what_stands_around_it() {
        let mut text = vec![b'.'; 3 * PIECE + 5];
        let marks = [0, 1, PIECE - AFTER - 1, PIECE - AFTER, PIECE - 1, PIECE, 2 * PIECE + 7, 3 * PIECE + 4];
        for mark in marks {
            text[mark] = b'X';
        }
        for feed in [10, PIECE - 2, 2 * PIECE] {
            text[feed] = b'\n';
        }
        let mut pieces = Pieces::new(text.as_slice());
        let mut found = Vec::new();
        let mut before = 0;
        while let Some(piece) = pieces.next().unwrap() {
            for place in piece.first..piece.last {
                if piece.bytes[place] == b'X' {
                    found.push(piece.line_of(place));
                    assert!(place >= BEFORE.min(before + place - piece.first));
                    assert!(piece.bytes.len() - place > AFTER || piece.last == piece.bytes.len());
                }
            }
            before += piece.last - piece.first;
        }
        assert_eq!(found, [1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(before, text.len());
    }
}
