//! Where in a request a credential is looked for, as configuration names it.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Where in a request a credential is looked for: `bearer`, `basic` or `header:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// `Authorization: Bearer …` (RFC 6750 section 2.1).
    Bearer,
    /// `Authorization: Basic …` (RFC 7617).
    Basic,
    /// The header field of that name, as configured; names compare in any case.
    Header(String),
}

/// A source that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// No such source.
    #[error("`{found}` is not a source: write `bearer`, `basic` or `header:NAME`")]
    Unknown {
        /// The text.
        found: String,
    },
    /// Not the name of a header field.
    #[error("`{found}` does not name a header: a name is letters, digits and any of !#$%&'*+-.^_`|~")]
    HeaderName {
        /// The text.
        found: String,
    },
    /// A source that gives nothing of the credential's kind.
    #[error("a {form} cannot come from `{found}`: write {expected}")]
    Form {
        /// What the credential is.
        form: &'static str,
        /// The source.
        found: String,
        /// The sources that can give it.
        expected: &'static str,
    },
    /// The same place twice, so that whatever is there would be ambiguous.
    #[error("the sources `{first}` and `{second}` are the same place: leave one of them out")]
    Repeated {
        /// The one listed first.
        first: String,
        /// The one listed later.
        second: String,
    },
    /// No source at all.
    #[error("a credential needs a source: write `bearer`, `basic`, `header:NAME`, or a list of them")]
    None,
}

impl Source {
    /// Reads `bearer`, `basic` or `header:NAME`.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "bearer" => return Ok(Self::Bearer),
            "basic" => return Ok(Self::Basic),
            _ => {}
        }
        let Some(name) = text.strip_prefix("header:") else {
            return Err(SourceError::Unknown { found: text.to_owned() });
        };
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(SourceError::HeaderName { found: text.to_owned() });
        }
        Ok(Self::Header(name.to_owned()))
    }
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer => formatter.write_str("bearer"),
            Self::Basic => formatter.write_str("basic"),
            Self::Header(name) => write!(formatter, "header:{name}"),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        Self::parse(&text)
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_text_that_it_was_read_from() {
        for text in ["bearer", "basic", "header:X-Api-Key", "header:SECRET_KEY", "header:!#$%&'*+-.^_`|~"] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.to_string(), text);
            let json = serde_json::to_string(&source).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), source);
        }
    }

    #[test]
    fn what_is_no_source_is_named() {
        for text in ["", "Bearer", "digest", "header", "bearer:x", " basic"] {
            assert_eq!(Source::parse(text), Err(SourceError::Unknown { found: text.to_owned() }));
        }
        for text in ["header:", "header:X Y", "header:X:Y", "header:é", "header:x\n", "header:\"x\""] {
            assert_eq!(Source::parse(text), Err(SourceError::HeaderName { found: text.to_owned() }));
            let refused = serde_json::from_value::<Source>(text.into()).unwrap_err();
            assert!(refused.to_string().contains(text), "{refused}");
        }
    }
}
