//! The delta beside a snapshot, as servers take it.

use keyward::format::header::Header;
use keyward::memory::Bytes;
use keyward::snapshot::{Delta, Layers, Mode, Snapshot};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A delta and the snapshot beside it.
pub(crate) enum Laid {
    /// The one lies over the other.
    On(Box<Layers>),
    /// It is one of an earlier snapshot, of this generation, and is passed over.
    Stale(u64),
}

/// What stands at `beside`, laid over `base`; an error where servers refuse it, or `base` without it.
pub(crate) fn lay_over(base: &Arc<Snapshot>, beside: &Path) -> Result<Option<Laid>, String> {
    let laid = read(base, beside)?;
    if !matches!(laid, Some(Laid::On(_))) {
        Layers::full(Arc::clone(base)).check_whole().map_err(|error| error.to_string())?;
    }
    Ok(laid)
}

fn read(base: &Arc<Snapshot>, beside: &Path) -> Result<Option<Laid>, String> {
    let told = |error: std::io::Error| error.to_string();
    let file = match File::open(beside) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(told)?,
    };
    let bytes = Bytes::open(&file, Mode::Map).map_err(told)?;
    match Header::read(&bytes, bytes.len() as u64) {
        Ok(header) if Delta::is_stale(&header, base) => Ok(Some(Laid::Stale(header.generation))),
        _ => match Layers::with_delta(Arc::clone(base), bytes) {
            Ok(layers) => Ok(Some(Laid::On(Box::new(layers)))),
            Err(error) => Err(error.to_string()),
        },
    }
}
