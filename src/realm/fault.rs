//! What is wrong with a configuration, and where: one shape of error for every rule, so that each one
//! names its place, what was found there, and what would do instead.

use std::fmt::{self, Display, Write as _};
use thiserror::Error;

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a table.
    Name(String),
    /// Into a list, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way from the top of a configuration to one of its values: `realm.shop.route[2].path`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath(pub(super) Vec<Step>);

impl KeyPath {
    /// The path one step further down.
    #[must_use]
    pub fn join(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// The steps from the top.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(formatter, "[{index}]")?,
                Step::Name(name) => {
                    if position > 0 {
                        formatter.write_char('.')?;
                    }
                    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                    if !name.is_empty() && name.bytes().all(bare) {
                        formatter.write_str(name)?;
                    } else {
                        write!(formatter, "{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A rule that a configuration breaks, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Fault {
    /// The place; empty for the document as a whole.
    pub path: KeyPath,
    /// What was found there.
    pub found: String,
    /// What is expected there, where the finding does not say it.
    pub expected: Option<String>,
    /// The known name that is nearest to the unknown one that was found.
    pub nearest: Option<String>,
}

impl Fault {
    pub(crate) fn new(path: KeyPath, found: impl Into<String>) -> Self {
        Self { path, found: found.into(), expected: None, nearest: None }
    }

    pub(crate) fn expecting(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Adds the nearest of the `known` names, and all of them as what is expected.
    pub(crate) fn among<N: AsRef<str>>(mut self, name: &str, known: impl IntoIterator<Item = N>) -> Self {
        let (nearest, expected) = known_names(name, known);
        self.nearest = nearest;
        self.expected = Some(expected);
        self
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.0.is_empty() {
            write!(formatter, "{}: ", self.path)?;
        }
        formatter.write_str(&self.found)?;
        match (&self.nearest, &self.expected) {
            (Some(nearest), _) => write!(formatter, "; did you mean {nearest:?}?"),
            (None, Some(expected)) => write!(formatter, "; expected {expected}"),
            (None, None) => Ok(()),
        }
    }
}

/// A configuration or keyring that cannot be used: the file, the line and the fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}: {fault}")]
pub struct ConfigError {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: Box<Fault>,
}

/// Names longer than this are not compared: the distance takes time and memory of length times length.
const COMPARED: usize = 64;
/// More names than this are not listed in a message.
const LISTED: usize = 20;

/// The name nearest to `name`, if one is near, and the sentence part that lists what is known.
pub(crate) fn known_names<N: AsRef<str>>(
    name: &str,
    known: impl IntoIterator<Item = N>,
) -> (Option<String>, String) {
    let mut nearest: Option<(usize, String)> = None;
    let mut listed = String::new();
    let mut count = 0_usize;
    for candidate in known {
        let candidate = candidate.as_ref();
        if count < LISTED {
            if count > 0 {
                listed.push_str(", ");
            }
            // Writing to a `String` cannot fail.
            let _ = write!(listed, "{candidate:?}");
        }
        count += 1;
        if name.len() <= COMPARED && candidate.len() <= COMPARED {
            let distance = if name.eq_ignore_ascii_case(candidate) {
                0
            } else {
                strsim::damerau_levenshtein(name, candidate)
            };
            // A third of the letters may differ; beyond that a guess misleads more than it helps.
            let near = distance <= (name.len().max(candidate.len()) / 3).max(1)
                && distance < candidate.chars().count();
            if near && nearest.as_ref().is_none_or(|(best, _)| distance < *best) {
                nearest = Some((distance, candidate.to_owned()));
            }
        }
    }
    let expected = match count {
        0 => "none: there is none to choose from".to_owned(),
        1 => listed,
        _ if count > LISTED => format!("one of {listed} and {} more", count - LISTED),
        _ => format!("one of {listed}"),
    };
    (nearest.map(|(_, candidate)| candidate), expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_forgives_a_slip_and_not_a_different_word() {
        let known = ["require_tls", "routes", "title"];
        assert_eq!(known_names("requier_tls", known).0.as_deref(), Some("require_tls"));
        assert_eq!(known_names("Title", known).0.as_deref(), Some("title"));
        let (nearest, expected) = known_names("colour", known);
        assert_eq!(nearest, None);
        assert_eq!(expected, r#"one of "require_tls", "routes", "title""#);
    }

    #[test]
    fn long_names_and_long_lists_stay_cheap() {
        let long = "a".repeat(1 << 20);
        let names: Vec<String> = (0..100).map(|n| format!("name-{n}")).collect();
        let (nearest, expected) = known_names(&long, &names);
        assert_eq!(nearest, None);
        assert!(expected.ends_with("and 80 more"), "{expected}");
    }

    #[test]
    fn paths_quote_what_is_not_bare() {
        let path = KeyPath::default().join("realm").join("a b").join("route").join(2).join("path");
        assert_eq!(path.to_string(), r#"realm."a b".route[2].path"#);
    }
}
