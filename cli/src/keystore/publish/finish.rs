//! What a publisher had noted and not put in its place when it was killed.

use super::round::{Publishing, hex};
use super::stop::Stop;
use keyward::build::{Form, Staged};
use keyward_keystore::Publication;

impl Publishing<'_> {
    /// Puts in its place what was noted last, if it is still there.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        let Some(last) = self.store.read(|view| view.newest_publication())? else { return Ok(()) };
        if self.has_in_place(&last) {
            // What lies beside a full snapshot that is the newest is of an earlier one. Beside any other it may be
            // what keeps engines from taking that for whole, and stays until something newer is there.
            return Ok(self.publisher.clear_delta()?);
        }
        match last.base {
            None => match self.staged(Form::Full, &last.hash) {
                Some(full) if self.follows(last.generation) => self.put(Some(&full), None),
                _ => Ok(()),
            },
            Some(base) => self.finish_delta(&last, base),
        }
    }

    /// The same where that is a delta. It may have been noted together with the full snapshot that it is one on, and
    /// its own place is the first that is taken.
    fn finish_delta(&mut self, last: &Publication, base: u64) -> Result<(), Stop> {
        let delta = self.staged(Form::Delta, &last.hash).filter(|_| self.follows(last.generation));
        if let Some(delta) = &delta
            && self.publisher.full().is_some_and(|(_, hash)| delta.header().base_hash == *hash)
        {
            return self.put(None, Some(delta));
        }
        let is_there = self.publisher.any_delta_hash().is_some_and(|hash| hex(hash) == last.hash);
        if delta.is_none() && !is_there {
            return Ok(());
        }
        let Some(noted) = self.store.read(|view| view.publication(base))? else { return Ok(()) };
        let in_place = self.publisher.full().map(|(header, _)| header.generation);
        let full = self.staged(Form::Full, &noted.hash);
        match full.filter(|_| in_place.is_none_or(|in_place| in_place < noted.generation)) {
            Some(full) => self.put(Some(&full), delta.as_ref()),
            None => Ok(()),
        }
    }

    /// What is staged, if it has that hash.
    fn staged(&self, form: Form, hash: &str) -> Option<Staged> {
        self.publisher.staged(form).filter(|staged| hex(staged.hash()) == hash)
    }

    /// Whether that generation is newer than what is in place.
    fn follows(&self, generation: u64) -> bool {
        self.publisher.newest().is_none_or(|newest| newest < generation)
    }

    /// Whether what is in place is that publication.
    pub(super) fn has_in_place(&self, publication: &Publication) -> bool {
        let hash = match publication.base {
            None if self.publisher.delta().is_some() => None,
            None => self.publisher.full().map(|(_, hash)| hash),
            Some(_) => self.publisher.delta_hash(),
        };
        hash.is_some_and(|hash| hex(hash) == publication.hash)
    }
}
