//! Stub.
use serde::{Deserialize, Serialize};

/// Stub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// Stub.
    Bearer,
    /// Stub.
    Basic,
    /// Stub.
    Header(String),
}

/// Stub.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a source")]
pub struct SourceError(String);

impl Source {
    /// Stub.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "bearer" => Ok(Self::Bearer),
            "basic" => Ok(Self::Basic),
            _ => match text.strip_prefix("header:") {
                Some(name)
                    if !name.is_empty()
                        && name.bytes().all(|byte| {
                            byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
                        }) =>
                {
                    Ok(Self::Header(name.to_owned()))
                }
                _ => Err(SourceError(text.to_owned())),
            },
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
        match source {
            Source::Bearer => "bearer".to_owned(),
            Source::Basic => "basic".to_owned(),
            Source::Header(name) => format!("header:{name}"),
        }
    }
}
