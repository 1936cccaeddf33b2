//! Who signed what is looked at, and what a keyring makes of it.

use keyward::format::header::Header;
use keyward::keyring::Keyring;
use keyward::signature::{Fingerprint, SignatureError};
use serde_json::{Value, json};

/// The files that are looked at, and a keyring where one was given.
pub(super) struct Signed<'a> {
    /// A snapshot, a delta, or a snapshot and the delta on it: the header of each, and its hash.
    pub(super) files: Vec<(&'a Header, &'a [u8; 32])>,
    pub(super) keyring: Option<&'a Keyring>,
}

/// One signature.
struct Signer {
    key: Fingerprint,
    /// Whether it is one of the file by that key.
    good: bool,
    /// Whether the keyring has that key.
    known: Option<bool>,
}

impl Signed<'_> {
    fn signers(&self, header: &Header, hash: &[u8; 32]) -> Vec<Signer> {
        let known = |key| {
            let keys = self.keyring?.public_keys();
            Some(keys.iter().any(|known| known.fingerprint() == key))
        };
        let signatures = header.signatures.iter().map(|signature| {
            let key = signature.fingerprint();
            Signer { key, good: signature.is_good(hash), known: known(key) }
        });
        signatures.collect()
    }

    /// Whether the keyring takes all of it, where there is one: then whose signature it was, if it asks for any.
    pub(super) fn verdict(&self) -> Option<Result<Option<Fingerprint>, SignatureError>> {
        let keyring = self.keyring?;
        let each = self.files.iter().map(|(header, hash)| keyring.check_signatures(hash, &header.signatures));
        Some(each.collect::<Result<Vec<_>, _>>().map(|signers| signers.into_iter().flatten().last()))
    }

    pub(super) fn is_taken(&self) -> bool {
        self.verdict().is_none_or(|verdict| verdict.is_ok())
    }

    pub(super) fn to_json(&self) -> Vec<Value> {
        let each = self.files.iter().flat_map(|(header, hash)| {
            let generation = header.generation;
            self.signers(header, hash).into_iter().map(move |signer| {
                let Signer { key, good, known } = signer;
                json!({ "generation": generation, "key": key.to_string(), "good": good, "accepted": known })
            })
        });
        each.collect()
    }

    /// The same on one line.
    pub(super) fn by(&self) -> String {
        let each = self.files.iter().map(|(header, hash)| {
            let signers = self.signers(header, hash).into_iter().map(|signer| {
                let known = match signer.known {
                    None => "",
                    Some(true) => ", which the keyring has",
                    Some(false) => ", which the keyring lacks",
                };
                format!("{}{}{known}", signer.key, if signer.good { "" } else { " (NOT GOOD)" })
            });
            let signers: Vec<_> = signers.collect();
            let all = if signers.is_empty() { "nobody".to_owned() } else { signers.join("; ") };
            if self.files.len() == 1 { all } else { format!("generation {}: {all}", header.generation) }
        });
        each.collect::<Vec<_>>().join("; ")
    }

    /// What the keyring makes of it, on one line.
    pub(super) fn told(&self) -> Option<String> {
        Some(match self.verdict()? {
            Ok(Some(key)) => format!("takes it: signed by {key}"),
            Ok(None) => "takes it: it has no signing key, and asks for nobody's signature".to_owned(),
            Err(error) => format!("REFUSES it: {error}"),
        })
    }
}
