//! Whether a token is good (decisions.md section 7, gate 4).

use super::algorithm::Algorithm;
use super::claims::{self, Claims};
use super::key::Key;
use super::numeric_date::Nanoseconds;
use super::strict_json::{Object, Text};
use crate::realm::TokenRules;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

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

    /// Whether the signature is that of the key that the header names, and the header can be followed.
    ///
    /// Strangers choose how much work comes before the signature is checked, so that is no more than
    /// finding the key takes. Only what a holder of the key wrote is worth a strict reading.
    fn is_signed(&self, keys: &[Key]) -> bool {
        let check = || {
            keys.iter().find(|key| self.has_signature_of_length_for(key))?;
            let header = decode(self.header)?;
            let signer = Signer::read(&header)?;
            let key = signer.key_of(keys)?;
            if !self.has_signature_of_length_for(key) || !key.accepts(self.signed, &decode(self.signature)?) {
                return None;
            }
            let header = Object::read(&header)?;
            // Extensions that must be understood (RFC 7515 section 4.1.11): none is.
            let followed = signer.is_in(&header) && !header.has("crit") && is_typed_well(&header);
            followed.then_some(())
        };
        check().is_some()
    }

    fn has_signature_of_length_for(&self, key: &Key) -> bool {
        base64::encoded_len(key.signature_length(), false) == Some(self.signature.len())
    }
}

/// The members of a header that say who signed it, read without a look at the others. The strict reading
/// refuses whatever this one lets pass: a member twice among the others, `null` for no `kid`, a list.
#[derive(Deserialize)]
struct Signer<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow)]
    kid: Option<Text<'a>>,
}

impl<'a> Signer<'a> {
    fn read(header: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(header).ok()?).ok()
    }

    /// The key that `kid` names; without `kid`, the only one. The key says the algorithm, and `alg` has to
    /// agree (RFC 8725 section 3.1).
    fn key_of<'k>(&self, keys: &'k [Key]) -> Option<&'k Key> {
        let key = match (&self.kid, keys) {
            (Some(Text(kid)), _) => keys.iter().find(|key| key.kid() == kid)?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        (Algorithm::from_name(&self.alg.0)? == key.algorithm()).then_some(key)
    }

    /// Whether the strict reading found the same.
    fn is_in(&self, header: &Object<'a>) -> bool {
        header.read_as("alg").as_ref() == Some(&self.alg)
            && header.has("kid") == self.kid.is_some()
            && header.read_as("kid") == self.kid
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
