//! What can be done before it is known which route a request takes: for the first key that requests of
//! the realm usually need, its digest is made and the record sent for. The cache miss then passes while
//! the path is looked at, and the misses of a batch pass side by side.

use super::plan::{KindPlan, Plan, RealmPlan};
use crate::digest::Digest;
use crate::request::credential::{Failure, Presented, Scratch};
use crate::request::{HeaderList, Request};
use std::hint::black_box;

/// A key taken out of a request ahead of time. Taking it out depends on the header list alone, so this is
/// what the gates would find, whichever route asks for it.
pub(super) struct Early<'h> {
    /// The number of the credential in its realm.
    pub(super) credential: u16,
    pub(super) taken: Result<Presented<'h>, Failure>,
    /// The digest under the snapshot's first pepper, where the key is well-formed.
    pub(super) digest: Option<Digest>,
}

impl<'h> Early<'h> {
    /// Takes the key out of `request`, with what a batch has prepared of it.
    #[inline]
    pub(super) fn of<H: HeaderList + ?Sized>(
        plan: &Plan,
        realm: &RealmPlan,
        request: &Request<'h, H>,
        scratch: &mut Scratch,
        prepared: Option<&Prepared>,
    ) -> Option<Self> {
        let &number = realm.default_require.first()?;
        let credential = realm.credential(number)?;
        let KindPlan::Key(keys) = &credential.kind else { return None };
        let taken = credential.extractor.extract(request.headers, scratch);
        let digest = match (&taken, prepared) {
            (_, Some(prepared)) => Some(prepared.0),
            (Ok(presented), None) if keys.is_well_formed(presented, scratch) => {
                let digest = keys.digest(0, presented, scratch);
                if let Some(digest) = &digest {
                    black_box(plan.snapshot().touch(digest));
                }
                digest
            }
            _ => None,
        };
        Some(Self { credential: number, taken, digest })
    }
}

/// The digest of a request of a batch, made while the other requests' records are on their way.
pub(crate) struct Prepared(Digest);

impl Prepared {
    /// Makes the digest of the key that [`Early`] will find, if it is well-formed.
    pub(crate) fn of<H: HeaderList + ?Sized>(plan: &Plan, request: &Request<'_, H>) -> Option<Self> {
        let (_, realm) = plan.realm(request.realm)?;
        Early::of(plan, realm, request, &mut Scratch::new(), None)?.digest.map(Self)
    }
}
