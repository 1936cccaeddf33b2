//! What the keys of each realm look like, as patterns to look for in bytes.

use super::pieces::{BEFORE, Piece};
use crate::failure::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward::realm::key_format::{Alphabet, Fit, KeyFormat, Matcher};
use keyward::realm::{CredentialKind, Realm};
use regex::bytes::{Regex, RegexBuilder};
use zeroize::Zeroizing;

/// The longest key, and the longest id of a pair that is looked for before a `:`.
const LONGEST: u32 = 512;
const LONGEST_ID: usize = 128;
/// The longest base64 that a credential may have.
const LONGEST_BASE64: usize = 8192;
/// Bytes of a secret that keyward makes where a realm has no format.
const MADE: u32 = 43;
/// `Basic`, and what may be the base64 of a pair.
const BASIC: &str = r"(?i-u)\bbasic[ \t]+([a-z0-9+/]+={0,2})";

/// What may be a key, or a pair.
pub(super) struct Candidate {
    pub(super) realm: String,
    pub(super) credential: String,
    /// Whether digests go over the SHA-256.
    pub(super) sha256: bool,
    /// Everything that may have been presented, the likeliest first.
    pub(super) presented: Vec<Zeroizing<Vec<u8>>>,
    /// Where it stands in the piece.
    pub(super) start: usize,
    /// Whether it looks like a key and like nothing else.
    pub(super) telling: bool,
}

/// One credential.
struct Pattern {
    realm: String,
    credential: String,
    sha256: bool,
    /// The key, or the secret of a pair.
    regex: Regex,
    matcher: Option<Matcher>,
    alphabet: Alphabet,
    /// Whether a key says by its first letters what it is.
    telling: bool,
    is_pair: bool,
}

/// Every credential whose keys can be found.
pub(super) struct Formats {
    patterns: Vec<Pattern>,
    basic: Regex,
}

fn class(alphabet: Alphabet) -> &'static str {
    match alphabet {
        Alphabet::Base62 => "[0-9A-Za-z]",
        Alphabet::Hex => "[0-9a-f]",
        Alphabet::Base64url => "[0-9A-Za-z_-]",
        Alphabet::Visible => r"[\x21-\x7E]",
    }
}

fn has(alphabet: Alphabet, byte: u8) -> bool {
    match alphabet {
        Alphabet::Base62 => byte.is_ascii_alphanumeric(),
        Alphabet::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        Alphabet::Base64url => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-',
        Alphabet::Visible => byte.is_ascii_graphic(),
    }
}

/// The template as a regular expression, and whether literal text stands before everything else.
fn expression(format: &KeyFormat, environments: &[String]) -> (String, bool) {
    let mut expression = String::from("(?-u)");
    let mut rest = format.template.as_str();
    let telling = rest.find('{').is_some_and(|place| place >= 2);
    let (least, most) = (format.min_length.min(LONGEST), format.max_length.min(LONGEST));
    while let Some((literal, name, tail)) = rest
        .split_once('{')
        .and_then(|(literal, tail)| Some((literal, tail.split_once('}')?.0, tail.split_once('}')?.1)))
    {
        expression.push_str(&regex::escape(literal));
        match name {
            "environment" => {
                let names: Vec<String> = environments.iter().map(|name| regex::escape(name)).collect();
                expression.push_str(&format!("(?:{})", names.join("|")));
            }
            "checksum" => expression.push_str("[0-9A-Za-z]{6}"),
            _ => expression.push_str(&format!("{}{{{least},{most}}}", class(format.alphabet))),
        }
        rest = tail;
    }
    expression.push_str(&regex::escape(rest));
    (expression, telling)
}

impl Formats {
    pub(super) fn new(realms: &[Realm]) -> Result<Self, Failure> {
        let compile = |expression: &str| {
            RegexBuilder::new(expression).unicode(false).size_limit(64 << 20).build().map_err(Failure::data)
        };
        let mut patterns = Vec::new();
        for realm in realms {
            for credential in &realm.credentials {
                let (rules, is_pair) = match &credential.kind {
                    CredentialKind::Key(rules) => (rules, false),
                    CredentialKind::Basic(rules) => (rules, true),
                    CredentialKind::Token(_) | CredentialKind::Tenant => continue,
                };
                let (expression, telling, matcher, alphabet) = match &rules.format {
                    Some(format) => {
                        let (expression, telling) = expression(format, &realm.environments);
                        let matcher = format.matcher(&realm.environments).map_err(Failure::data)?;
                        (expression, telling, Some(matcher), format.alphabet)
                    }
                    None => (format!("(?-u)[0-9A-Za-z_-]{{{MADE}}}"), false, None, Alphabet::Base64url),
                };
                patterns.push(Pattern {
                    realm: realm.name.clone(),
                    credential: credential.name.clone(),
                    sha256: rules.sha256,
                    regex: compile(&expression)?,
                    matcher,
                    alphabet,
                    telling,
                    is_pair,
                });
            }
        }
        Ok(Self { patterns, basic: compile(BASIC)? })
    }

    /// Everything in the piece that may be a key.
    pub(super) fn candidates(&self, piece: &Piece<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for pattern in &self.patterns {
            pattern.find(piece, &mut candidates);
        }
        for found in self.basic.captures_iter(piece.bytes) {
            let wanted = |found: &regex::bytes::Match<'_>| {
                (piece.first..piece.last).contains(&found.start()) && found.len() <= LONGEST_BASE64
            };
            let Some(encoded) = found.get(1).filter(wanted) else { continue };
            let Ok(decoded) = STANDARD.decode(encoded.as_bytes()).map(Zeroizing::new) else { continue };
            let Some(colon) = decoded.iter().position(|byte| *byte == b':') else { continue };
            for pattern in &self.patterns {
                let presented = match pattern.is_pair {
                    true => decoded.clone(),
                    false => Zeroizing::new(decoded.get(..colon).unwrap_or_default().to_vec()),
                };
                candidates.push(pattern.candidate(vec![presented], encoded.start(), false));
            }
        }
        candidates
    }
}

impl Pattern {
    fn candidate(&self, presented: Vec<Zeroizing<Vec<u8>>>, start: usize, telling: bool) -> Candidate {
        let (realm, credential) = (self.realm.clone(), self.credential.clone());
        Candidate { realm, credential, sha256: self.sha256, presented, start, telling }
    }

    fn fits(&self, text: &[u8]) -> bool {
        self.matcher.as_ref().is_none_or(|matcher| matcher.fit(text) != Fit::Not)
    }

    fn find(&self, piece: &Piece<'_>, candidates: &mut Vec<Candidate>) {
        let bytes = piece.bytes;
        let in_alphabet = |place: Option<usize>| {
            place.and_then(|place| bytes.get(place)).is_some_and(|byte| has(self.alphabet, *byte))
        };
        let mut at = piece.first;
        while let Some(found) = self.regex.find_at(bytes, at).filter(|found| found.start() < piece.last) {
            let (start, end) = (found.start(), found.end());
            // What begins with letters of its own may stand within other text; what does not is a word by itself.
            let alone = !in_alphabet(start.checked_sub(1)) && !in_alphabet(Some(end));
            at = if self.telling { start + 1 } else { end };
            if !(self.telling || alone) {
                continue;
            }
            let presented =
                if self.is_pair { self.pairs(bytes, start, end) } else { self.keys(bytes, start, end) };
            if !presented.is_empty() {
                candidates.push(self.candidate(presented, start, self.telling));
            }
        }
    }

    /// The key that stands there, the longest first: where letters that could belong to it follow, nobody knows
    /// which of them do.
    fn keys(&self, bytes: &[u8], start: usize, end: usize) -> Vec<Zeroizing<Vec<u8>>> {
        let ends = (start + 1..=end).rev().take(if self.telling { usize::MAX } else { 1 });
        let texts = ends.filter_map(|end| bytes.get(start..end)).filter(|text| self.fits(text));
        texts.map(|text| Zeroizing::new(text.to_vec())).collect()
    }

    /// `id:secret` with every id that may end before the colon.
    fn pairs(&self, bytes: &[u8], start: usize, end: usize) -> Vec<Zeroizing<Vec<u8>>> {
        let secret = bytes.get(start..end).filter(|secret| self.fits(secret));
        let colon = start.checked_sub(1).filter(|colon| bytes.get(*colon) == Some(&b':'));
        let (Some(_), Some(colon)) = (secret, colon) else { return Vec::new() };
        let before = bytes.get(colon.saturating_sub(LONGEST_ID.min(BEFORE))..colon).unwrap_or_default();
        let id = before.iter().rev().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
        let starts = (1..=id).rev().map(|length| colon - length);
        starts.filter_map(|start| bytes.get(start..end)).map(|text| Zeroizing::new(text.to_vec())).collect()
    }
}
