//! Taking credentials out of the header list: docs/DECISIONS.md section 3.
//!
//! First it is settled where a credential is present at all, well-formed or not, and only then is the one
//! that is present looked at: two of them are ambiguous whatever they say.

pub use super::basic::Scratch;
pub use super::source::{Source, SourceError};

use super::HeaderList;
use super::basic::LONGEST_ENCODED;
use super::bytes;
use crate::reason::Reason;

/// The longest key or tenant, in bytes.
pub const LONGEST_KEY: usize = 512;

/// The longest token, in bytes.
pub const LONGEST_TOKEN: usize = 8192;

/// The longest base64 that a key of [`LONGEST_KEY`] bytes and its colon can have.
const LONGEST_ENCODED_KEY: usize = (LONGEST_KEY + 1).div_ceil(3) * 4;

/// What a credential is, as far as taking it out goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An opaque text that a key is looked up by.
    Key,
    /// An id and a secret.
    Pair,
    /// A token.
    Token,
    /// The name of a tenant.
    Tenant,
}

impl Form {
    /// The name that configuration has for it.
    const fn kind(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Pair => "basic",
            Self::Token => "token",
            Self::Tenant => "tenant",
        }
    }

    /// The longest text of a bearer credential or a header's value.
    const fn longest(self) -> usize {
        match self {
            Self::Key | Self::Tenant => LONGEST_KEY,
            Self::Token => LONGEST_TOKEN,
            // Never asked: a pair comes from Basic alone.
            Self::Pair => 0,
        }
    }

    /// Refuses a source that gives no such credential (docs/DECISIONS.md section 1).
    fn check(self, source: &Source) -> Result<(), SourceError> {
        let (possible, expected) = match self {
            Self::Key => (true, "any"),
            Self::Pair => (*source == Source::Basic, "`basic`"),
            Self::Token | Self::Tenant => (*source != Source::Basic, "`bearer` or `header:NAME`"),
        };
        if possible {
            return Ok(());
        }
        Err(SourceError::Form { form: self.kind(), found: source.to_string(), expected })
    }
}

/// Why a credential could not be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No source gives it.
    Missing,
    /// What is there is not well-formed.
    Malformed,
    /// More than one thing is there that could be it.
    Ambiguous,
}

impl Fault {
    /// The reason that a verdict gives.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::MissingCredential,
            Self::Malformed => Reason::MalformedCredential,
            Self::Ambiguous => Reason::AmbiguousCredential,
        }
    }
}

/// A credential that could not be taken out, and whose challenge answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub fault: Fault,
    /// The index of the first listed source that the request used, or 0.
    pub source: usize,
}

/// A credential as it was presented. It borrows the header list, and the [`Scratch`] once it is read.
#[derive(Clone)]
pub struct Presented<'h> {
    place: Place<'h>,
    source: u16,
}

/// Where the bytes of a credential are.
#[derive(Clone)]
enum Place<'h> {
    /// In a header's value.
    Header(&'h [u8]),
    /// The first bytes of the scratch, with the place of the colon where it is a pair. The scratch has far fewer than
    /// 2^16 bytes.
    Scratch { length: u16, colon: Option<u16> },
}

impl<'h> Presented<'h> {
    /// The index of the source that gave it.
    #[inline]
    pub fn source(&self) -> usize {
        self.source.into()
    }

    /// The whole credential; of a pair, `id:secret`. `scratch` is the one that it was taken out with.
    #[inline]
    pub fn bytes<'s>(&self, scratch: &'s Scratch) -> &'s [u8]
    where
        'h: 's,
    {
        match &self.place {
            Place::Header(value) => value,
            Place::Scratch { length, .. } => {
                scratch.content().get(..usize::from(*length)).unwrap_or_default()
            }
        }
    }

    /// The whole credential, where a header's value has it as it is and nothing was decoded.
    #[inline]
    pub fn header_value(&self) -> Option<&'h [u8]> {
        match self.place {
            Place::Header(value) => Some(value),
            Place::Scratch { .. } => None,
        }
    }

    /// Id and secret, of a pair. `scratch` is the one that it was taken out with.
    #[inline]
    pub fn pair<'s>(&self, scratch: &'s Scratch) -> Option<(&'s [u8], &'s [u8])>
    where
        'h: 's,
    {
        let Place::Scratch { colon: Some(colon), .. } = self.place else {
            return None;
        };
        let (id, rest) = self.bytes(scratch).split_at_checked(colon.into())?;
        Some((id, rest.get(1..)?))
    }
}

/// A scheme of the `Authorization` header.
#[derive(Clone, Copy)]
enum Scheme {
    Bearer,
    Basic,
}

impl Scheme {
    /// What stands after the scheme and its spaces; `None` where the value has another scheme.
    #[inline]
    fn credential(self, value: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Bearer => after_scheme(b"bearer", value),
            Self::Basic => after_scheme(b"basic", value),
        }
    }
}

/// What stands after `scheme`, which is in lower-case letters, and the spaces behind it.
#[inline(always)]
fn after_scheme<'h, const LENGTH: usize>(scheme: &[u8; LENGTH], value: &'h [u8]) -> Option<&'h [u8]> {
    const { assert!(LENGTH <= 8, "a scheme is compared as one word") };
    let value = bytes::trim(value);
    // Of a letter, the bit is the case; nothing else becomes a letter by it.
    let differs = (bytes::word(value) | u64::from_le_bytes([0x20; 8])) ^ bytes::word(scheme);
    let rest = value.get(LENGTH..)?;
    let ends = matches!(rest, [] | [b' ', ..]);
    (ends && differs << (64 - 8 * LENGTH) == 0).then(|| bytes::without_leading_spaces(rest))
}

/// The name of a header, ready to be compared.
struct HeaderName {
    /// In lower case.
    name: Box<[u8]>,
    /// For each byte the bit that puts it in lower case: 0x20 of a letter, else none.
    case: Box<[u8]>,
    /// The first and the last eight bytes of both, where there are as many and not more than sixteen:
    /// the names that most credentials have.
    words: Option<[(u64, u64); 2]>,
}

/// The first and the last eight bytes of a text that they cover.
#[inline(always)]
fn ends(text: &[u8]) -> Option<[u64; 2]> {
    if text.len() > 16 {
        return None;
    }
    Some([u64::from_le_bytes(*text.first_chunk()?), u64::from_le_bytes(*text.last_chunk()?)])
}

/// The byte that a gateway may make of a name's.
#[inline]
fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        other => other.to_ascii_lowercase(),
    }
}

impl HeaderName {
    fn new(name: &str) -> Self {
        let name: Box<[u8]> = name.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
        let case: Box<[u8]> =
            name.iter().map(|byte| if byte.is_ascii_lowercase() { 0x20 } else { 0 }).collect();
        let words = ends(&name).zip(ends(&case));
        let words =
            words.map(|([first, last], [first_case, last_case])| [(first, first_case), (last, last_case)]);
        Self { name, case, words }
    }

    /// Whether it is `name`, which has its length, in any case.
    #[inline]
    fn is(&self, name: &[u8]) -> bool {
        match (ends(name), &self.words) {
            (Some([first, last]), Some([(own_first, first_case), (own_last, last_case)])) => {
                ((first | first_case) ^ own_first) | ((last | last_case) ^ own_last) == 0
            }
            _ => name
                .iter()
                .zip(&self.case)
                .zip(&self.name)
                .fold(true, |same, ((&byte, &case), &own)| same & (byte | case == own)),
        }
    }

    /// The header of that name, which no alias may stand beside where they count.
    #[inline]
    fn find<'h, H: HeaderList + ?Sized>(&self, headers: &'h H, aliases: bool) -> Presence<'h> {
        let mut found = Presence::Absent;
        for index in 0..headers.count() {
            let (name, value) = headers.field(index);
            // Folding keeps the length, which tells most names apart.
            if name.len() != self.name.len() {
                continue;
            }
            if self.is(name) {
                if !matches!(found, Presence::Absent) {
                    return Presence::Ambiguous;
                }
                found = Presence::Present(value);
            } else if aliases && self.is_alias(name) {
                // As good as a second one: a gateway behind may make it that.
                return Presence::Ambiguous;
            }
        }
        found
    }

    /// Whether `name`, which is another, becomes this one when a gateway folds both.
    #[inline]
    fn is_alias(&self, name: &[u8]) -> bool {
        name.iter().copied().map(fold).eq(self.name.iter().copied().map(fold))
    }
}

/// Whether something is there, well-formed or not.
#[derive(Clone, Copy)]
enum Presence<'h> {
    Absent,
    Present(&'h [u8]),
    Ambiguous,
}

/// A source, ready to be looked for.
enum Lookup {
    Scheme(Scheme),
    Header(HeaderName),
}

impl Lookup {
    /// Whether it is there. `authorization` looks for that header.
    #[inline(always)]
    fn presence<'h, H: HeaderList + ?Sized>(
        &self,
        authorization: impl FnOnce() -> Presence<'h>,
        headers: &'h H,
    ) -> Presence<'h> {
        match self {
            Self::Header(name) => name.find(headers, true),
            Self::Scheme(scheme) => match authorization() {
                Presence::Present(value) => {
                    scheme.credential(value).map_or(Presence::Absent, Presence::Present)
                }
                other => other,
            },
        }
    }
}

/// The sources of one credential, ready to take it out of requests.
pub struct Extractor {
    form: Form,
    authorization: HeaderName,
    lookups: Box<[Lookup]>,
}

impl Extractor {
    /// Prepares `sources`, in the order configured, for a credential of that form.
    ///
    /// Refused are sources that cannot give it, and two that are the same place: names that differ only
    /// where [aliases](self) do are, because every request would be ambiguous.
    pub fn new(sources: &[Source], form: Form) -> Result<Self, SourceError> {
        if sources.is_empty() {
            return Err(SourceError::None);
        }
        let mut places = Vec::with_capacity(sources.len());
        for source in sources {
            form.check(source)?;
            let place = source.to_string().bytes().map(fold).collect::<Vec<_>>();
            if let Some(earlier) = places.iter().position(|earlier| *earlier == place) {
                let first = sources.get(earlier).map(Source::to_string).unwrap_or_default();
                return Err(SourceError::Repeated { first, second: source.to_string() });
            }
            places.push(place);
        }
        let lookups = sources.iter().map(|source| match source {
            Source::Bearer => Lookup::Scheme(Scheme::Bearer),
            Source::Basic => Lookup::Scheme(Scheme::Basic),
            Source::Header(name) => Lookup::Header(HeaderName::new(name)),
        });
        Ok(Self { form, authorization: HeaderName::new("authorization"), lookups: lookups.collect() })
    }

    /// Takes the credential out of `headers`. What has to be decoded goes to `scratch`.
    ///
    /// One scratch does for all credentials of a request: each decodes the same header into it.
    pub fn extract<'h, H: HeaderList + ?Sized>(
        &self,
        headers: &'h H,
        scratch: &mut Scratch,
    ) -> Result<Presented<'h>, Failure> {
        self.extract_where(headers, scratch, true)
    }

    /// As [`Extractor::extract`], but leaves the characters of a value that is not decoded to whoever
    /// looks at it next, and must refuse all that extraction would have.
    #[inline]
    pub(crate) fn extract_unread<'h, H: HeaderList + ?Sized>(
        &self,
        headers: &'h H,
        scratch: &mut Scratch,
    ) -> Result<Presented<'h>, Failure> {
        self.extract_where(headers, scratch, false)
    }

    #[inline]
    fn extract_where<'h, H: HeaderList + ?Sized>(
        &self,
        headers: &'h H,
        scratch: &mut Scratch,
        read: bool,
    ) -> Result<Presented<'h>, Failure> {
        // Nearly every credential has one source.
        let (source, lookup, value) = match &*self.lookups {
            [lookup] => match lookup.presence(|| self.authorization.find(headers, false), headers) {
                Presence::Present(value) => (0, lookup, value),
                Presence::Absent => return Err(Failure { fault: Fault::Missing, source: 0 }),
                Presence::Ambiguous => return Err(Failure { fault: Fault::Ambiguous, source: 0 }),
            },
            several => self.choose(several, headers)?,
        };
        let place = match lookup {
            Lookup::Scheme(Scheme::Bearer) => self.bearer(value, read),
            Lookup::Scheme(Scheme::Basic) => self.basic(value, scratch),
            Lookup::Header(_) => self.header(bytes::trim(value), read),
        };
        let place = place.ok_or(Failure { fault: Fault::Malformed, source })?;
        Ok(Presented { place, source: u16::try_from(source).unwrap_or(u16::MAX) })
    }

    /// The one source that is present, with its index and what it says.
    fn choose<'s, 'h, H: HeaderList + ?Sized>(
        &self,
        lookups: &'s [Lookup],
        headers: &'h H,
    ) -> Result<(usize, &'s Lookup, &'h [u8]), Failure> {
        let mut authorization = None;
        let mut used: Option<(usize, &Lookup, &'h [u8])> = None;
        for (index, lookup) in lookups.iter().enumerate() {
            let authorization =
                || *authorization.get_or_insert_with(|| self.authorization.find(headers, false));
            match (lookup.presence(authorization, headers), &used) {
                (Presence::Absent, _) => {}
                (Presence::Present(value), None) => used = Some((index, lookup, value)),
                (Presence::Present(_) | Presence::Ambiguous, earlier) => {
                    let source = earlier.map_or(index, |(earlier, ..)| earlier);
                    return Err(Failure { fault: Fault::Ambiguous, source });
                }
            }
        }
        used.ok_or(Failure { fault: Fault::Missing, source: 0 })
    }

    /// A bearer credential, where it is well-formed.
    #[inline]
    fn bearer<'h>(&self, value: &'h [u8], read: bool) -> Option<Place<'h>> {
        // The length first: a long one is not even looked through.
        let fits = value.len() <= self.form.longest();
        let unpadded = if fits { bytes::without_padding(value) } else { &[] };
        let good = !unpadded.is_empty() && (!read || bytes::are_token_characters(unpadded));
        good.then_some(Place::Header(value))
    }

    /// A header's value, where it is well-formed.
    #[inline]
    fn header<'h>(&self, value: &'h [u8], read: bool) -> Option<Place<'h>> {
        let fits = !value.is_empty() && value.len() <= self.form.longest();
        (fits && (!read || bytes::are_visible(value))).then_some(Place::Header(value))
    }

    /// A key or a pair that comes as Basic, where it is well-formed.
    fn basic(&self, encoded: &[u8], scratch: &mut Scratch) -> Option<Place<'static>> {
        let pair = self.form == Form::Pair;
        if encoded.len() > if pair { LONGEST_ENCODED } else { LONGEST_ENCODED_KEY } {
            return None;
        }
        let colon = scratch.decode(encoded).filter(|&colon| colon > 0)?;
        let length = scratch.content().len();
        match (pair, colon + 1 < length) {
            (true, true) => Some(Place::Scratch { length: length as u16, colon: Some(colon as u16) }),
            (false, false) if colon <= LONGEST_KEY => {
                Some(Place::Scratch { length: colon as u16, colon: None })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
