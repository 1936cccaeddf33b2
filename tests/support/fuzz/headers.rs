//! Header lists, against docs/DECISIONS.md section 3 as slowly as it reads. A line is a header, `Name: value`.

use super::{cut, lines};
use base64::Engine as _;
use keyward::request::credential::{Extractor, Fault, Form, Scratch, Source};

const SOURCES: [(&[&str], Form); 9] = [
    (&["bearer"], Form::Key),
    (&["basic"], Form::Key),
    (&["basic"], Form::Pair),
    (&["bearer", "basic"], Form::Key),
    (&["header:X-Api-Key"], Form::Key),
    (&["header:X-Api-Key", "bearer", "basic"], Form::Key),
    (&["bearer", "header:x_token.2"], Form::Token),
    (&["header:X-Api-Key"], Form::Tenant),
    (&["header:Authorization"], Form::Token),
];

/// The credential and, of a pair, where its colon is; or what is wrong and the source that it is said of.
type Expected = Result<(Vec<u8>, Option<usize>, usize), (Fault, usize)>;

/// Takes every form of credential out of the headers.
pub fn run(data: &[u8]) {
    let headers: Vec<(&[u8], &[u8])> = lines(data).map(|line| cut(line, b':')).collect();
    for (sources, form) in SOURCES {
        let parsed: Vec<Source> =
            sources.iter().map(|source| Source::parse(source).expect("it is one")).collect();
        let extractor = Extractor::new(&parsed, form).expect("they go together");
        let mut scratch = Scratch::new();
        let taken = extractor.extract(&headers[..], &mut scratch);
        let found: Expected = match &taken {
            Ok(presented) => {
                let whole = presented.bytes(&scratch).to_vec();
                let colon = presented.pair(&scratch).map(|(id, secret)| {
                    assert_eq!([id, b":", secret].concat(), whole);
                    id.len()
                });
                Ok((whole, colon, presented.source()))
            }
            Err(failure) => Err((failure.fault, failure.source)),
        };
        assert_eq!(found, expected(&headers, sources, form), "{sources:?} {form:?}");
    }
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |end| end + 1);
    &value[start..end]
}

fn fold(name: &[u8]) -> Vec<u8> {
    name.iter()
        .map(|byte| if matches!(byte, b'_' | b'.') { b'-' } else { byte.to_ascii_lowercase() })
        .collect()
}

/// What one source has: nothing, something, or more than one thing.
fn look<'h>(headers: &[(&'h [u8], &'h [u8])], source: &str) -> Result<Option<&'h [u8]>, ()> {
    let name = source.strip_prefix("header:").unwrap_or("Authorization").as_bytes();
    let mut found = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let (first, second) = (found.next(), found.next());
    let is_header = source.starts_with("header:");
    let alias = |other: &[u8]| !other.eq_ignore_ascii_case(name) && fold(other) == fold(name);
    if second.is_some() || (is_header && headers.iter().any(|(other, _)| alias(other))) {
        return Err(());
    }
    let Some((_, value)) = first else { return Ok(None) };
    let value = trim(value);
    if is_header {
        return Ok(Some(value));
    }
    let space = value.iter().position(|&byte| byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = (&value[..space], &value[space..]);
    let credential = &rest[rest.iter().position(|&byte| byte != b' ').unwrap_or(rest.len())..];
    Ok(scheme.eq_ignore_ascii_case(source.as_bytes()).then_some(credential))
}

fn expected(headers: &[(&[u8], &[u8])], sources: &[&str], form: Form) -> Expected {
    let mut used: Option<(usize, &[u8])> = None;
    for (at, source) in sources.iter().enumerate() {
        match (look(headers, source), used) {
            (Ok(None), _) => {}
            (Ok(Some(value)), None) => used = Some((at, value)),
            (_, earlier) => return Err((Fault::Ambiguous, earlier.map_or(at, |(earlier, _)| earlier))),
        }
    }
    let (at, value) = used.ok_or((Fault::Missing, 0))?;
    let longest = if form == Form::Token { 8192 } else { 512 };
    let taken = match sources[at] {
        "basic" => basic(value, form),
        "bearer" => {
            let text = value.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
            let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
            (text > 0 && value[..text].iter().all(token) && value.len() <= longest)
                .then(|| (value.to_vec(), None))
        }
        _ => {
            let visible = value.iter().all(|byte| (0x21..=0x7E).contains(byte));
            (!value.is_empty() && visible && value.len() <= longest).then(|| (value.to_vec(), None))
        }
    };
    taken.map(|(whole, colon)| (whole, colon, at)).ok_or((Fault::Malformed, at))
}

fn basic(value: &[u8], form: Form) -> Option<(Vec<u8>, Option<usize>)> {
    if value.len() > 8192 {
        return None;
    }
    let decoded = base64::prelude::BASE64_STANDARD.decode(value).ok()?;
    if decoded.iter().any(|&byte| byte < 0x20 || byte == 0x7F) {
        return None;
    }
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let (id, secret) = (&decoded[..colon], &decoded[colon + 1..]);
    match form {
        Form::Pair => (!id.is_empty() && !secret.is_empty()).then(|| (decoded.clone(), Some(colon))),
        _ => (!id.is_empty() && id.len() <= 512 && secret.is_empty()).then(|| (id.to_vec(), None)),
    }
}
