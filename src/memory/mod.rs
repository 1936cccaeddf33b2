//! Bytes of files in memory: mapped, or copied. The one home of `mmap`.

mod map;

pub(crate) use map::open_file;
pub use map::{Bytes, Mode};
