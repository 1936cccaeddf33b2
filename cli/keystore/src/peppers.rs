//! Which peppers digests were made with.

use crate::session::{query_first, values};
use crate::{Change, StoreError, View};
use keyward::digest::pepper_check;
use keyward::keyring::Pepper;
use thiserror::Error;

/// A keyring that does not go with the keystore.
#[derive(Debug, Error)]
pub enum PepperError {
    /// Another pepper has this id.
    #[error(
        "the keyring's pepper {id} is not the one that keys in the keystore were digested with: use the keyring that the keystore was made with, or give the pepper another id"
    )]
    Other {
        /// The id.
        id: u32,
    },
    /// The keystore refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl View<'_> {
    /// That no digest was made with others than these peppers of their ids. Those that nothing is known of may be new.
    pub fn check_peppers(&mut self, peppers: &[Pepper]) -> Result<(), PepperError> {
        peppers.iter().try_for_each(|pepper| self.knows_pepper(pepper).map(drop))
    }

    /// Whether the pepper is noted; an error where another of its id is.
    fn knows_pepper(&mut self, pepper: &Pepper) -> Result<bool, PepperError> {
        let sql = "SELECT proof FROM pepper WHERE id = $1";
        let known = query_first(self.session, sql, values![pepper.id()], |mut row| row.bytes())?;
        match known {
            Some(known) if known != pepper_check(pepper.key()) => Err(PepperError::Other { id: pepper.id() }),
            known => Ok(known.is_some()),
        }
    }
}

impl Change<'_> {
    /// Notes a pepper before the first digest of it is stored; an error where another of that id is known.
    pub fn use_pepper(&mut self, pepper: &Pepper) -> Result<(), PepperError> {
        if !self.knows_pepper(pepper)? {
            let sql = "INSERT INTO pepper (id, proof) VALUES ($1, $2)";
            let proof = pepper_check(pepper.key());
            self.writing().execute(sql, values![pepper.id(), &proof[..]])?;
        }
        Ok(())
    }
}
