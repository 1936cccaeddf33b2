//! Sealed secrets of keys that their owners may read again. What seals them is not known here.

use crate::session::{query_first, values};
use crate::{Change, StoreError, View};

/// A secret, sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The id of the keyring's key that it is sealed under.
    pub sealing_key: u32,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
}

impl View<'_> {
    /// The sealed secret of a key.
    pub fn sealed_secret(&mut self, realm: &str, id: &str) -> Result<Option<SealedSecret>, StoreError> {
        let sql = "SELECT sealing_key, sealed FROM sealed_secret WHERE realm = $1 AND id = $2";
        query_first(self.session, sql, values![realm, id], |mut row| {
            let sealing_key = u32::try_from(row.integer()?);
            let sealing_key =
                sealing_key.map_err(|_| StoreError::Unreadable("a sealing key has an id that is none"))?;
            Ok(SealedSecret { sealing_key, sealed: row.bytes()? })
        })
    }
}

impl Change<'_> {
    /// Keeps the sealed secret of a key.
    pub fn put_sealed_secret(
        &mut self,
        realm: &str,
        id: &str,
        secret: &SealedSecret,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO sealed_secret (realm, id, sealing_key, sealed) VALUES ($1, $2, $3, $4)";
        self.writing().execute(sql, values![realm, id, secret.sealing_key, &secret.sealed[..]])?;
        Ok(())
    }

    /// Throws the sealed secret of a key away, if there is one.
    pub fn drop_sealed_secret(&mut self, realm: &str, id: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM sealed_secret WHERE realm = $1 AND id = $2";
        self.writing().execute(sql, values![realm, id])?;
        Ok(())
    }
}
