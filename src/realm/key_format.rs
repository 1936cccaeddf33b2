//! Key formats, docs/DECISIONS.md section 4: what a key looks like, so that a typing error or a stranger's
//! key is refused before anything is hashed.

use crate::request::bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The bytes that a secret consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// 0-9A-Za-z.
    #[default]
    Base62,
    /// 0-9a-f.
    Hex,
    /// 0-9A-Za-z, `-` and `_`.
    Base64url,
    /// 0x21 to 0x7E.
    Visible,
}

impl Alphabet {
    /// Every alphabet.
    pub const ALL: [Self; 4] = [Self::Base62, Self::Hex, Self::Base64url, Self::Visible];

    /// The name that `secret_alphabet` uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Base62 => "base62",
            Self::Hex => "hex",
            Self::Base64url => "base64url",
            Self::Visible => "visible",
        }
    }

    /// The alphabet of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alphabet| alphabet.name() == name)
    }

    /// How many symbols it has.
    pub const fn size(self) -> usize {
        match self {
            Self::Base62 => 62,
            Self::Hex => 16,
            Self::Base64url => 64,
            Self::Visible => 94,
        }
    }

    /// Whether all of `text` is in the alphabet.
    #[inline(always)]
    fn covers(self, text: &[u8]) -> bool {
        match self {
            Self::Base62 => bytes::are_alphanumeric(text),
            Self::Hex => bytes::are_hex(text),
            Self::Base64url => bytes::are_base64url(text),
            Self::Visible => bytes::are_visible(text),
        }
    }
}

/// The format of a credential's keys. Anyone may make one; [`KeyFormat::matcher`] checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFormat {
    /// Literal text and the placeholders `{environment}`, `{secret}` and `{checksum}`.
    pub template: String,
    /// What the secret consists of.
    pub alphabet: Alphabet,
    /// The shortest secret, in bytes; at least 1.
    pub min_length: u32,
    /// The longest secret, in bytes.
    pub max_length: u32,
}

/// Why a format cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// A `{` without its `}`, or the reverse.
    #[error("a brace in {template:?} has no counterpart")]
    Brace {
        /// The template.
        template: String,
    },
    /// A placeholder that there is not.
    #[error("unknown placeholder {{{name}}}: known are {{environment}}, {{secret}} and {{checksum}}")]
    Unknown {
        /// What stands between the braces.
        name: String,
    },
    /// A placeholder that stands twice.
    #[error("{{{name}}} stands more than once")]
    Twice {
        /// The placeholder's name.
        name: &'static str,
    },
    /// No `{secret}`.
    #[error("{{secret}} is missing: it must stand in {template:?} exactly once")]
    NoSecret {
        /// The template.
        template: String,
    },
    /// `{checksum}` before the end.
    #[error("{{checksum}} must be the last thing in {template:?}: it goes over all that stands before it")]
    ChecksumNotLast {
        /// The template.
        template: String,
    },
    /// Literal text outside letters, digits, `_`, `-` and `.`.
    #[error("{found:?} cannot be part of a format: use letters, digits, `_`, `-` and `.`")]
    Literal {
        /// The first character that cannot.
        found: char,
    },
    /// `{environment}` in a realm without environments.
    #[error("{{environment}} needs `environments`, and the realm has none")]
    NoEnvironments,
    /// A template longer than any credential.
    #[error("a template of {length} bytes: no credential is that long")]
    Long {
        /// The template's length.
        length: usize,
    },
    /// Lengths of which none is left.
    #[error("no secret has at least {min} and at most {max} bytes: give at least 1, and the least first")]
    Length {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
}

/// What [`Matcher::fit`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The credential is not of the format.
    Not,
    /// It is, and the format says nothing of the environment.
    Plain,
    /// It is, and it names the environment of that index in the realm's list.
    Environment(usize),
}

/// Bytes of a template. Every credential is shorter, and each environment gets a copy of it.
const LONGEST_TEMPLATE: usize = 8192;
/// Bytes of a checksum: 62^6 is above 2^32.
const CHECKSUM_LENGTH: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// CRC-32 (IEEE) of `text` in base62, zero-padded.
fn checksum(text: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(text);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// A template, taken apart: what stands before, between and after secret and environment.
struct Template<'t> {
    before: &'t str,
    order: Order<'t>,
    after: &'t str,
    checksum: bool,
}

#[derive(Clone, Copy)]
enum Order<'t> {
    SecretOnly,
    EnvironmentFirst { between: &'t str },
    SecretFirst { between: &'t str },
}

impl<'t> Template<'t> {
    fn parse(template: &'t str) -> Result<Self, FormatError> {
        if template.len() > LONGEST_TEMPLATE {
            return Err(FormatError::Long { length: template.len() });
        }
        let mut literals = vec![];
        let mut names: Vec<&str> = vec![];
        let brace = || FormatError::Brace { template: template.to_owned() };
        let mut rest = template;
        while let Some((literal, tail)) = rest.split_once('{') {
            let (name, tail) = tail.split_once('}').ok_or_else(brace)?;
            literals.push(literal);
            names.push(name);
            rest = tail;
        }
        literals.push(rest);
        if literals.iter().any(|literal| literal.contains('}')) {
            return Err(brace());
        }
        for name in &names {
            let known = match *name {
                "secret" => "secret",
                "environment" => "environment",
                "checksum" => "checksum",
                other => {
                    return Err(FormatError::Unknown { name: other.to_owned() });
                }
            };
            if names.iter().filter(|other| *other == name).count() > 1 {
                return Err(FormatError::Twice { name: known });
            }
        }
        let part = |character: &char| !character.is_ascii_alphanumeric() && !"_-.".contains(*character);
        if let Some(found) = literals.iter().flat_map(|literal| literal.chars()).find(part) {
            return Err(FormatError::Literal { found });
        }
        let checksum = names.contains(&"checksum");
        if checksum && (names.pop() != Some("checksum") || literals.pop() != Some("")) {
            return Err(FormatError::ChecksumNotLast { template: template.to_owned() });
        }
        let (before, order, after) = match (&names[..], &literals[..]) {
            (["secret"], [before, after]) => (before, Order::SecretOnly, after),
            (["environment", "secret"], [before, between, after]) => {
                (before, Order::EnvironmentFirst { between }, after)
            }
            (["secret", "environment"], [before, between, after]) => {
                (before, Order::SecretFirst { between }, after)
            }
            _ => {
                return Err(FormatError::NoSecret { template: template.to_owned() });
            }
        };
        Ok(Self { before, order, after, checksum })
    }
}

impl KeyFormat {
    /// Whether keys of this format say which environment they are of.
    pub fn names_environment(&self) -> bool {
        self.template.contains("{environment}")
    }

    /// Checks the format, and prepares matching against it. The indices that matching gives are those
    /// of `environments`.
    pub fn matcher(&self, environments: &[String]) -> Result<Matcher, FormatError> {
        let Template { before, order, after, checksum } = Template::parse(&self.template)?;
        if self.min_length == 0 || self.min_length > self.max_length {
            return Err(FormatError::Length { min: self.min_length, max: self.max_length });
        }
        let whole = |index: usize, text: String| Affix { environment: index, text: text.into_bytes() };
        let (fixed, environment) = match order {
            Order::SecretOnly => (before, None),
            Order::EnvironmentFirst { between } => {
                let affix =
                    |(index, name): (usize, &String)| whole(index, format!("{before}{name}{between}"));
                (before, Some((Side::Prefix, environments.iter().enumerate().map(affix).collect())))
            }
            Order::SecretFirst { between } => {
                let affix = |(index, name): (usize, &String)| whole(index, format!("{between}{name}{after}"));
                (before, Some((Side::Suffix, environments.iter().enumerate().map(affix).collect())))
            }
        };
        let environment = match environment {
            Some((_, affixes)) if Vec::is_empty(&affixes) => {
                return Err(FormatError::NoEnvironments);
            }
            Some((side, mut affixes)) => {
                affixes.sort_by_key(|affix: &Affix| std::cmp::Reverse(affix.text.len()));
                Some((side, affixes.into_boxed_slice()))
            }
            None => None,
        };
        Ok(Matcher {
            before: fixed.as_bytes().into(),
            after: after.as_bytes().into(),
            environment,
            alphabet: self.alphabet,
            min_length: self.min_length as usize,
            max_length: self.max_length as usize,
            checksum,
        })
    }

    /// The credential of this format with that secret, in that environment. `None` where the format
    /// cannot be used, or where it names an environment and none is given.
    pub fn compose(&self, environment: Option<&str>, secret: &str) -> Option<String> {
        let template = Template::parse(&self.template).ok()?;
        // All its room at once: a secret that is moved leaves a copy behind.
        let room = self.template.len() + environment.map_or(0, str::len) + secret.len() + CHECKSUM_LENGTH;
        let mut credential = String::with_capacity(room);
        credential.push_str(template.before);
        match template.order {
            Order::SecretOnly => credential.push_str(secret),
            Order::EnvironmentFirst { between } => {
                credential.extend([environment?, between, secret]);
            }
            Order::SecretFirst { between } => credential.extend([secret, between, environment?]),
        }
        credential.push_str(template.after);
        if template.checksum {
            credential.extend(checksum(credential.as_bytes()).map(char::from));
        }
        Some(credential)
    }
}

/// One environment with the literal text around it.
#[derive(Clone, Debug)]
struct Affix {
    environment: usize,
    text: Vec<u8>,
}

/// Where the environment stands, seen from the secret.
#[derive(Clone, Copy, Debug)]
enum Side {
    Prefix,
    Suffix,
}

/// A [`KeyFormat`] made ready to look at credentials: no allocation, and the secret's alphabet is
/// checked at most once, so that the cost is bounded by the credential's length and the number of
/// environments.
#[derive(Clone, Debug)]
pub struct Matcher {
    before: Box<[u8]>,
    after: Box<[u8]>,
    /// Every environment with the literals next to it, longest first.
    environment: Option<(Side, Box<[Affix]>)>,
    alphabet: Alphabet,
    min_length: usize,
    max_length: usize,
    checksum: bool,
}

impl Matcher {
    /// Whether the credential is of the format, and which environment it names.
    ///
    /// Where more than one environment makes it fit, the longest name counts.
    #[inline]
    pub fn fit(&self, credential: &[u8]) -> Fit {
        let body = if self.checksum {
            match credential.split_last_chunk::<CHECKSUM_LENGTH>() {
                Some((body, sum)) if checksum(body) == *sum => body,
                _ => return Fit::Not,
            }
        } else {
            credential
        };
        let Some((side, affixes)) = &self.environment else {
            let secret =
                bytes::without_prefix(body, &self.before).and_then(|rest| rest.strip_suffix(&*self.after));
            return match secret {
                Some(secret) if self.accepts_secret(secret) => Fit::Plain,
                _ => Fit::Not,
            };
        };
        // The side without the environment is the same for all of them.
        let rest = match side {
            // Mostly there is nothing after it, which is quicker told than compared.
            Side::Prefix if self.after.is_empty() => Some(body),
            Side::Prefix => body.strip_suffix(&*self.after),
            Side::Suffix => body.strip_prefix(&*self.before),
        };
        let Some(rest) = rest else { return Fit::Not };
        for affix in affixes {
            let secret = match side {
                Side::Prefix => bytes::without_prefix(rest, &affix.text),
                Side::Suffix => rest.strip_suffix(&*affix.text),
            };
            // One end of the secret is fixed, and a shorter name only makes it longer: so too short
            // goes on to the next name, while too long or a wrong byte stays wrong with every other.
            match secret {
                Some(secret) if secret.len() >= self.min_length => {
                    return if self.accepts_secret(secret) {
                        Fit::Environment(affix.environment)
                    } else {
                        Fit::Not
                    };
                }
                _ => {}
            }
        }
        Fit::Not
    }

    #[inline(always)]
    fn accepts_secret(&self, secret: &[u8]) -> bool {
        (self.min_length..=self.max_length).contains(&secret.len()) && self.alphabet.covers(secret)
    }

    /// Whether every credential that fits consists of characters that a bearer token may have without
    /// padding: literals do, and so do all alphabets but one.
    pub(crate) const fn implies_token_characters(&self) -> bool {
        !matches!(self.alphabet, Alphabet::Visible)
    }

    /// The length of the shortest credential that fits.
    pub(super) fn shortest(&self) -> usize {
        let fixed = match &self.environment {
            None => self.before.len() + self.after.len(),
            Some((side, affixes)) => {
                let other = match side {
                    Side::Prefix => self.after.len(),
                    Side::Suffix => self.before.len(),
                };
                other + affixes.last().map_or(0, |affix| affix.text.len())
            }
        };
        fixed + self.min_length + if self.checksum { CHECKSUM_LENGTH } else { 0 }
    }
}

#[cfg(test)]
mod tests;
