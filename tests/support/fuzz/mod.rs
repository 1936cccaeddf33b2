//! What the fuzz targets do with their input: here, so that `cargo test` can replay what they once found.
//!
//! Input is text wherever it can be: lines and separators are easier to mutate than lengths.

pub mod address;
pub mod configuration;
pub mod headers;
pub mod key_format;
pub mod path;
pub mod snapshot;
pub mod token;

/// A target's name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("address", address::run),
    ("configuration", configuration::run),
    ("headers", headers::run),
    ("key_format", key_format::run),
    ("path", path::run),
    ("snapshot", snapshot::run),
    ("token", token::run),
];

/// The lines of the input.
fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|&byte| byte == b'\n')
}

/// What stands before the first `separator`, and what after it; everything and nothing without one.
fn cut(data: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let at = data.iter().position(|&byte| byte == separator);
    at.map_or((data, &[]), |at| (&data[..at], &data[at + 1..]))
}
