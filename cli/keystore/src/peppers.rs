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
    /// That no digest was made with another pepper of this one's id. One that nothing is known of may be new.
    pub fn check_pepper(&mut self, pepper: &Pepper) -> Result<(), PepperError> {
        let known = self.pepper_proof(pepper.id())?;
        match known {
            Some(known) if known != pepper_check(pepper.key()) => Err(PepperError::Other { id: pepper.id() }),
            _ => Ok(()),
        }
    }

    fn pepper_proof(&mut self, id: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT proof FROM pepper WHERE id = $1";
        query_first(self.session, sql, values![id], |mut row| row.bytes())
    }
}

impl Change<'_> {
    /// Notes a pepper before the first digest of it is stored; an error where another of that id is known.
    pub fn use_pepper(&mut self, pepper: &Pepper) -> Result<(), PepperError> {
        self.check_pepper(pepper)?;
        if self.pepper_proof(pepper.id())?.is_none() {
            let sql = "INSERT INTO pepper (id, proof) VALUES ($1, $2)";
            let proof = pepper_check(pepper.key());
            self.writing().execute(sql, values![pepper.id(), &proof[..]])?;
        }
        Ok(())
    }
}
