//! Digests made ahead of a batch of lookups, so that their cache misses are waited for side by side.

use super::plan::{KindPlan, Plan};
use crate::digest::{Digest, sha256};
use crate::request::credential::Scratch;
use crate::request::{HeaderList, Request};
use std::hint::black_box;

/// The digest of a credential that a request presents.
pub(crate) struct Prepared {
    credential: u16,
    pub(super) digest: Digest,
}

impl Prepared {
    /// Whether this is the digest of that credential under the snapshot's pepper of that number.
    pub(super) const fn is_for(&self, credential: u16, pepper: usize) -> bool {
        self.credential == credential && pepper == 0
    }
}

/// Makes the digest of the first key that the realm's requests usually need, and sends for the record.
///
/// Taking a credential out of a request depends on nothing but its headers, so the digest is the one that
/// the gates would make, whichever route the request takes.
pub(crate) fn prepare<H: HeaderList + ?Sized>(plan: &Plan, request: &Request<'_, H>) -> Option<Prepared> {
    let (_, realm) = plan.realm(request.realm)?;
    let mut required = realm.default_require.iter().filter_map(|&number| realm.credential(number));
    let (credential, keys) = required.find_map(|credential| match &credential.kind {
        KindPlan::Key(keys) => Some((credential, keys)),
        KindPlan::Token(_) | KindPlan::Tenant => None,
    })?;
    let mut scratch = Scratch::new();
    let presented = credential.extractor.extract(request.headers, &mut scratch).ok()?;
    let whole = presented.bytes(&scratch);
    let key = keys.digest_keys.first()?;
    let digest = if keys.sha256 { key.digest(&sha256(whole)) } else { key.digest(whole) };
    black_box(plan.snapshot().touch(&digest));
    Some(Prepared { credential: credential.number, digest })
}
