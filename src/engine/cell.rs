//! The one place that the current plan stands in: read without a lock, replaced at once for everybody.
//! The only file that names `arc_swap`.

use crate::gates::Plan;
use arc_swap::{ArcSwapOption, Guard};
use std::ops::Deref;
use std::sync::Arc;

/// Holds the current plan.
pub(super) struct Cell(ArcSwapOption<Plan>);

impl Cell {
    /// One without a plan.
    pub(super) fn empty() -> Self {
        Self(ArcSwapOption::empty())
    }

    /// The plan of this moment. It stays whole for as long as it is held, whatever replaces it.
    #[inline]
    pub(super) fn load(&self) -> Option<Held> {
        let guard = self.0.load();
        guard.is_some().then_some(Held(guard))
    }

    /// Puts `plan` in the place of the current one, which is returned.
    pub(super) fn replace(&self, plan: Arc<Plan>) -> Option<Arc<Plan>> {
        self.0.swap(Some(plan))
    }
}

/// A plan that is being decided from.
pub struct Held(Guard<Option<Arc<Plan>>>);

impl Deref for Held {
    type Target = Plan;

    #[inline]
    fn deref(&self) -> &Plan {
        match &*self.0 {
            Some(plan) => plan,
            None => unreachable!("`Cell::load` makes no `Held` of nothing"),
        }
    }
}
