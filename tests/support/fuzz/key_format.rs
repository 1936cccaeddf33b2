//! Key formats, against docs/DECISIONS.md section 4 as slowly as it reads. The lines are the template, the
//! environments with commas between them, the alphabet, the lengths `least,most`, and credentials.

use super::lines;
use keyward::realm::key_format::{Alphabet, Fit, KeyFormat};

/// Fits credentials to a format, and composes one that must fit.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = lines(text.as_bytes()).map(|line| str::from_utf8(line).unwrap_or_default());
    let (Some(template), Some(environments), Some(alphabet), Some(lengths)) =
        (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let environments: Vec<String> =
        environments.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let names = environments
        .iter()
        .all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    // A realm's environments are distinct.
    let distinct = environments.iter().enumerate().all(|(at, name)| !environments[..at].contains(name));
    let (least, most) = lengths.split_once(',').unwrap_or((lengths, lengths));
    let (Some(alphabet), Ok(min_length), Ok(max_length), true) = (
        Alphabet::from_name(alphabet),
        least.parse(),
        most.parse(),
        names && distinct && environments.len() < 50,
    ) else {
        return;
    };
    let format = KeyFormat { template: template.to_owned(), alphabet, min_length, max_length };
    let Ok(matcher) = format.matcher(&environments) else { return };
    let mut credentials: Vec<String> = lines.map(str::to_owned).collect();
    if min_length > 600 {
        return;
    }
    let secret: String = "0123456789abcdef".chars().cycle().take(min_length as usize).collect();
    for environment in environments.iter().map(|name| Some(name.as_str())).chain([None]) {
        if let Some(composed) = format.compose(environment, &secret) {
            assert_ne!(matcher.fit(composed.as_bytes()), Fit::Not, "{composed}");
            credentials.extend([
                composed.clone() + "0",
                composed[1..].to_owned(),
                composed.to_uppercase(),
                composed,
            ]);
        }
    }
    for credential in &credentials {
        assert_eq!(
            matcher.fit(credential.as_bytes()),
            expected(&format, &environments, credential),
            "{credential:?}"
        );
    }
}

fn expected(format: &KeyFormat, environments: &[String], credential: &str) -> Fit {
    if !format.names_environment() {
        return if fits(format, "", credential) { Fit::Plain } else { Fit::Not };
    }
    let named = environments.iter().enumerate().filter(|(_, name)| fits(format, name, credential));
    // Of the longest there is one: two of a length stand at the same place, and differ.
    named.max_by_key(|(_, name)| name.len()).map_or(Fit::Not, |(number, _)| Fit::Environment(number))
}

fn fits(format: &KeyFormat, environment: &str, credential: &str) -> bool {
    let template = format.template.replace("{environment}", environment);
    let (body, rest) = match template.strip_suffix("{checksum}") {
        None => (credential, template.as_str()),
        Some(rest) => {
            let Some(at) = credential.len().checked_sub(6).filter(|at| credential.is_char_boundary(*at))
            else {
                return false;
            };
            let (body, sum) = credential.split_at_checked(at).unwrap_or_default();
            if sum.as_bytes() != checksum(body.as_bytes()) {
                return false;
            }
            (body, rest)
        }
    };
    let (before, after) = rest.split_once("{secret}").expect("a format has a secret");
    let Some(secret) = body.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else {
        return false;
    };
    let of_alphabet = |byte: u8| match format.alphabet {
        Alphabet::Base62 => byte.is_ascii_alphanumeric(),
        Alphabet::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        Alphabet::Base64url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
        Alphabet::Visible => byte.is_ascii_graphic(),
    };
    let lengths = format.min_length as usize..=format.max_length as usize;
    lengths.contains(&secret.len()) && secret.bytes().all(of_alphabet)
}

/// CRC-32 (IEEE), a bit at a time, as six characters of base62.
fn checksum(bytes: &[u8]) -> [u8; 6] {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
        }
    }
    let mut rest = !sum;
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}
