//! What was published, for people and for programs.

use super::gather::Counts;
use indicatif::HumanCount;
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

/// One publication.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub(crate) generation: u64,
    /// The generation that a delta stands on.
    pub(crate) base: Option<u64>,
    /// The newest change that is in it.
    pub(crate) change: i64,
    /// What the one before had otherwise.
    pub(crate) counts: Counts,
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
    /// The generation that was in place before.
    pub(crate) replaced: Option<u64>,
    /// Why a full snapshot was written, be it under a delta.
    pub(crate) because: Option<String>,
    pub(crate) took: Duration,
}

/// What a round came to.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// What is in place has everything.
    Unchanged {
        generation: u64,
        change: i64,
    },
    Published(Summary),
}

impl Outcome {
    /// The newest change that is published.
    pub(crate) const fn change(&self) -> i64 {
        match self {
            Self::Unchanged { change, .. } => *change,
            Self::Published(summary) => summary.change,
        }
    }

    pub(crate) fn write(&self, output: &mut impl Write, path: &Path, as_json: bool) -> io::Result<()> {
        match self {
            Self::Unchanged { generation, change } if as_json => writeln!(
                output,
                "{}",
                json!({"path": path.to_string_lossy(), "published": false, "generation": generation, "change": change})
            ),
            Self::Unchanged { generation, change } => writeln!(
                output,
                "{}: generation {generation} has every change up to {change}; nothing to publish",
                path.display()
            ),
            Self::Published(summary) if as_json => writeln!(output, "{}", summary.json(path)),
            Self::Published(summary) => summary.write(output, path),
        }?;
        output.flush()
    }
}

impl Summary {
    fn json(&self, path: &Path) -> serde_json::Value {
        json!({
            "path": path.to_string_lossy(),
            "published": true,
            "generation": self.generation,
            "base": self.base,
            "change": self.change,
            "added": self.counts.added,
            "changed": self.counts.changed,
            "revoked": self.counts.revoked,
            "removed": self.counts.removed,
            "keys": self.keys,
            "bytes": self.bytes,
            "replaced": self.replaced,
            "because": self.because,
            "seconds": self.took.as_secs_f64(),
        })
    }

    fn write(&self, output: &mut impl Write, path: &Path) -> io::Result<()> {
        write!(output, "{}: generation {}", path.display(), self.generation)?;
        match (self.base, &self.because) {
            (Some(base), Some(because)) => write!(output, ", a delta on {base} ({because})")?,
            (Some(base), None) => write!(output, ", a delta on {base}")?,
            (None, Some(because)) => write!(output, ", full ({because})")?,
            (None, None) => write!(output, ", full")?,
        }
        let Counts { added, changed, revoked, removed } = self.counts;
        let parts = [(added, "added"), (changed, "changed"), (revoked, "revoked"), (removed, "removed")];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", HumanCount(count)))
            .collect();
        let parts = if parts.is_empty() { "no key is another".to_owned() } else { parts.join(", ") };
        writeln!(
            output,
            "; keys: {parts}, {} in all; {} bytes, {:.3} s",
            HumanCount(self.keys),
            HumanCount(self.bytes),
            self.took.as_secs_f64()
        )
    }
}
