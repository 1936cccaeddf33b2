//! Bytes of files in memory, and words that processes share. The one home of `mmap`.

mod hint;
mod map;
mod share;
mod words;

pub(crate) use hint::{prefetch, prefetch_to_write};
pub(crate) use map::open_file;
pub use map::{Bytes, Mode};
pub use words::{ReadWords, WORD, WordReader, Words};
