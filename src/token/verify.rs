//! Whether a token is good (decisions.md section 7, gate 4).

use super::algorithm::Algorithm;
use super::claims::{self, Claims};
use super::key::Key;
use super::numeric_date::Nanoseconds;
use super::strict_json::Object;
use crate::realm::TokenRules;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Why a token is refused. Where several would do, the first in this order is the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `invalid_token`: it is no token for this realm at all.
    Invalid,
    /// `token_expired`: it was one.
    Expired,
    /// `token_not_yet_valid`: it will be one.
    NotYetValid,
}

/// Verifies `token` by the rules of its credential and the keys of its realm, at `now`.
pub fn verify(token: &[u8], rules: &TokenRules, keys: &[Key], now: Timestamp) -> Result<Claims, Fault> {
    let parts = Parts::split(token).ok_or(Fault::Invalid)?;
    // The payload is read only once its signature is known to be good, so strangers cannot make that work.
    if !parts.is_signed(keys) {
        return Err(Fault::Invalid);
    }
    let payload = decode(parts.payload).ok_or(Fault::Invalid)?;
    let payload = Object::read(&payload).ok_or(Fault::Invalid)?;
    let validity = Validity::read(&payload).ok_or(Fault::Invalid)?;

    let for_us = payload.read_as::<String>("iss").is_some_and(|issuer| issuer == rules.issuer)
        && claims::is_for(&payload, &rules.audience);
    if !for_us {
        return Err(Fault::Invalid);
    }
    validity.check(rules, now)?;
    Ok(Claims::of(&payload, rules))
}

/// A token taken apart at its dots, still encoded.
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    /// Header and payload with the dot between them (RFC 7515 section 5.2).
    signed: &'a [u8],
}

impl<'a> Parts<'a> {
    fn split(token: &'a [u8]) -> Option<Self> {
        let mut parts = token.split(|&byte| byte == b'.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let signed = token.get(..header.len() + 1 + payload.len())?;
        Some(Self { header, payload, signature, signed })
    }

    /// Whether the header can be followed and the signature is that of the key that it names.
    fn is_signed(&self, keys: &[Key]) -> bool {
        let check = || {
            let signature = decode(self.signature)?;
            let header = decode(self.header)?;
            let header = Object::read(&header)?;
            // Extensions that must be understood (RFC 7515 section 4.1.11): none is.
            if header.has("crit") || !is_typed_well(&header) {
                return None;
            }
            let key = key_of(&header, keys)?;
            // RFC 8725 section 3.1: the key says the algorithm, and the header has to agree.
            let algorithm = Algorithm::from_name(&header.read_as::<String>("alg")?)?;
            (algorithm == key.algorithm() && key.accepts(self.signed, &signature)).then_some(())
        };
        check().is_some()
    }
}

/// base64url without padding, in its one canonical form: bits that no byte takes are zero.
fn decode(part: &[u8]) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

/// Whether `typ` is missing, or one of those that an access token or any JWT has (RFC 7519 section 5.1,
/// RFC 9068 section 4). Media types compare without regard to case.
fn is_typed_well(header: &Object<'_>) -> bool {
    !header.has("typ")
        || header.read_as::<String>("typ").is_some_and(|found| {
            ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| found.eq_ignore_ascii_case(known))
        })
}

/// The key that `kid` names; without `kid`, the only one.
fn key_of<'k>(header: &Object<'_>, keys: &'k [Key]) -> Option<&'k Key> {
    if header.has("kid") {
        let kid = header.read_as::<String>("kid")?;
        keys.iter().find(|key| key.kid() == kid)
    } else {
        match keys {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// When a token is good.
struct Validity {
    expires: Nanoseconds,
    not_before: Option<Nanoseconds>,
    issued: Option<Nanoseconds>,
}

impl Validity {
    /// `None` where `exp` is missing, or one of the three is not a number.
    fn read(payload: &Object<'_>) -> Option<Self> {
        let optional = |name| payload.text(name).map_or(Some(None), |text| Nanoseconds::read(text).map(Some));
        Some(Self { expires: optional("exp")??, not_before: optional("nbf")?, issued: optional("iat")? })
    }

    fn check(&self, rules: &TokenRules, now: Timestamp) -> Result<(), Fault> {
        let now = Nanoseconds::since_epoch(now);
        let leeway = Nanoseconds::from_seconds(rules.leeway);
        if self.issued.is_some_and(|issued| issued > now.plus(leeway)) {
            return Err(Fault::Invalid);
        }
        if let Some(longest) = rules.max_lifetime {
            let issued = self.issued.ok_or(Fault::Invalid)?;
            if self.expires.minus(issued) > Nanoseconds::from_seconds(longest) {
                return Err(Fault::Invalid);
            }
        }
        if now >= self.expires.plus(leeway) {
            return Err(Fault::Expired);
        }
        if self.not_before.is_some_and(|not_before| now < not_before.minus(leeway)) {
            return Err(Fault::NotYetValid);
        }
        Ok(())
    }
}
