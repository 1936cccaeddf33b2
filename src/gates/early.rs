//! What can be done before it is known which route a request takes: for the first key that requests of
//! the realm usually need, its digest is made and the record sent for. The cache miss then passes while
//! the path is looked at, and the misses of a batch pass side by side.

use super::plan::{KindPlan, Plan, RealmPlan};
use crate::digest::Digest;
use crate::request::credential::{Failure, Presented, Scratch};
use crate::request::{HeaderList, Request};

/// A key taken out of a request ahead of time. Taking it out depends on the header list alone, so this is
/// what the gates would find, whichever route asks for it.
pub(super) struct Early<'h> {
    /// The number of the credential in its realm.
    pub(super) credential: u16,
    /// What was taken out, for routes that require this credential and no other: where its format says
    /// more, its characters were not looked at by themselves.
    pub(super) taken: Result<Presented<'h>, Failure>,
    pub(super) form: KeyForm,
}

/// What was found of a key's form.
pub(super) enum KeyForm {
    /// There is no key.
    Absent,
    /// It does not have the credential's format.
    Malformed,
    /// It does, and this is its digest under the snapshot's first pepper.
    Digest(Digest),
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
        let taken = match &keys.matcher {
            Some(matcher) if matcher.implies_token_characters() => {
                credential.extractor.extract_unread(request.headers, scratch)
            }
            _ => credential.extractor.extract(request.headers, scratch),
        };
        let form = match (&taken, prepared) {
            (Err(_), _) => KeyForm::Absent,
            (Ok(_), Some(prepared)) => KeyForm::Digest(prepared.0),
            (Ok(presented), None) if keys.is_well_formed(presented, scratch) => {
                let digest = keys.digest(0, presented, scratch)?;
                plan.layers().prefetch(&digest);
                KeyForm::Digest(digest)
            }
            (Ok(_), None) => KeyForm::Malformed,
        };
        Some(Self { credential: number, taken, form })
    }

    /// Whether it is clear that no route that requires this credential and no other takes the request.
    #[inline]
    pub(super) fn is_refused(&self) -> bool {
        !matches!(self.form, KeyForm::Digest(_))
    }
}

/// The digest of a request of a batch, made while the other requests' records are on their way.
pub(crate) struct Prepared(Digest);

impl Prepared {
    /// Makes the digest of the key that [`Early`] will find, if it is well-formed.
    pub(crate) fn of<H: HeaderList + ?Sized>(plan: &Plan, request: &Request<'_, H>) -> Option<Self> {
        let (_, realm) = plan.realm(request.realm)?;
        match Early::of(plan, realm, request, &mut Scratch::new(), None)?.form {
            KeyForm::Digest(digest) => Some(Self(digest)),
            KeyForm::Absent | KeyForm::Malformed => None,
        }
    }
}
