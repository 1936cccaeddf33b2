//! Whether a token is good (docs/DECISIONS.md section 7, gate 4).

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

/// How many secrets are tried before the header is read to find the one.
const MOST_SECRETS_TRIED: usize = 4;

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
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// Header and payload with the dot between them (RFC 7515 section 5.2).
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn split(token: &'a [u8]) -> Option<Self> {
        // As text, because that is searched for dots many bytes at a time.
        let token = std::str::from_utf8(token).ok()?;
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        (!payload.contains('.')).then_some(Self { header, payload, signature, signed })
    }

    /// Whether the signature is that of the key that the header names, and the header can be followed.
    ///
    /// Strangers choose how much work comes before the signature is checked, so that is no more than
    /// finding the key takes. Only what a holder of a key wrote is worth a strict reading.
    fn is_signed(&self, keys: &[Key]) -> bool {
        let check = || {
            let signature = self.signature_of_a_length_in(keys)?;
            let signer = self.signer(keys, &signature)?;
            let header = decode(self.header)?;
            let header = Object::read(&header)?;
            // Extensions that must be understood (RFC 7515 section 4.1.11): none is.
            if header.has("crit") || !is_typed_well(&header) {
                return None;
            }
            let named = KeyName::of(&header)?.find(keys)?;
            // Another key that was tried may have the same secret.
            (std::ptr::eq(named, signer) || named.accepts(self.signed.as_bytes(), &signature)).then_some(())
        };
        check().is_some()
    }

    /// The signature, where a key makes such long ones.
    fn signature_of_a_length_in(&self, keys: &[Key]) -> Option<Vec<u8>> {
        let fits =
            |key: &Key| base64::encoded_len(key.signature_length(), false) == Some(self.signature.len());
        if keys.iter().any(fits) { decode(self.signature) } else { None }
    }

    /// A key that made the signature.
    fn signer<'k>(&self, keys: &'k [Key], signature: &[u8]) -> Option<&'k Key> {
        let mut fitting = keys.iter().filter(|key| key.signature_length() == signature.len());
        let accepts = |key: &&Key| key.accepts(self.signed.as_bytes(), signature);
        let count = fitting.clone().count();
        // To hash a token costs less than to find a name in the worst of headers.
        if count == 1 || (count <= MOST_SECRETS_TRIED && fitting.clone().all(Key::is_secret)) {
            fitting.find(accepts)
        } else {
            let header = decode(self.header)?;
            let named = KeyName::read(&header)?.find(keys)?;
            fitting.find(|key| std::ptr::eq(*key, named)).filter(accepts)
        }
    }
}

/// The members of a header that say which key signed it.
#[derive(Deserialize)]
struct KeyName<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow)]
    kid: Option<Text<'a>>,
}

impl<'a> KeyName<'a> {
    /// Reads them without a look at the other members. This lets pass what the strict reading refuses: a
    /// member twice among the others, `null` for no `kid`, a list.
    fn read(header: &'a [u8]) -> Option<Self> {
        serde_json::from_str(std::str::from_utf8(header).ok()?).ok()
    }

    fn of(header: &Object<'a>) -> Option<Self> {
        let kid = if header.has("kid") { Some(header.read_as("kid")?) } else { None };
        Some(Self { alg: header.read_as("alg")?, kid })
    }

    /// The key that `kid` names; without `kid`, the only one. The key says the algorithm, and `alg` has to
    /// agree (RFC 8725 section 3.1).
    fn find<'k>(&self, keys: &'k [Key]) -> Option<&'k Key> {
        let key = match (&self.kid, keys) {
            (Some(Text(kid)), _) => keys.iter().find(|key| key.kid() == kid)?,
            (None, [only]) => only,
            (None, _) => return None,
        };
        (Algorithm::from_name(&self.alg.0)? == key.algorithm()).then_some(key)
    }
}

/// base64url without padding, in its one canonical form: bits that no byte takes are zero.
fn decode(part: &str) -> Option<Vec<u8>> {
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
