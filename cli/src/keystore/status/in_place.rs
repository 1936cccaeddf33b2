//! The snapshot in its place, and the delta beside it.

use super::Fault;
use crate::beside::{Laid, lay_over};
use crate::keystore::publish::hex;
use keyward::digest::pepper_check;
use keyward::keyring::Keyring;
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Layers, Mode, Snapshot, delta_path};
use std::fmt::Display;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What engines find, all of it checked.
pub(super) struct InPlace {
    layers: Layers,
    hash: String,
}

const AGAIN: &str = "`keyward publish --full` writes it anew; servers go on with what they have until then";

fn bytes(path: &Path) -> io::Result<Bytes> {
    Bytes::open(&File::open(path)?, Mode::Map)
}

impl InPlace {
    /// Opens what is there; `None` where engines could not.
    pub(super) fn look(path: &Path, faults: &mut Vec<Fault>) -> Option<Self> {
        let fault = |path: &Path, error: &dyn Display, mend: &str| Fault {
            what: format!("{}: {error}", path.display()),
            mend: mend.to_owned(),
        };
        let full = bytes(path).map_err(|error| fault(path, &error, "`keyward publish`"));
        let full = full.and_then(|bytes| {
            Snapshot::open(bytes, Check::Whole).map_err(|error| fault(path, &error, AGAIN))
        });
        let base = match full {
            Ok(base) => Arc::new(base),
            Err(found) => {
                faults.push(found);
                return None;
            }
        };
        let over = delta_path(path);
        let mut layers = Layers::full(Arc::clone(&base));
        match lay_over(&base, &over) {
            Ok(None | Some(Laid::Stale(_))) => {}
            Ok(Some(Laid::On(both))) => layers = *both,
            Err(error) => faults.push(fault(&over, &error, AGAIN)),
        }
        let (full, delta) = layers.hashes();
        let hash = hex(delta.unwrap_or(full));
        Some(Self { layers, hash })
    }

    pub(super) const fn layers(&self) -> &Layers {
        &self.layers
    }

    pub(super) fn generation(&self) -> u64 {
        self.layers.header().generation
    }

    /// The hash of the newest of the two files.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// Whether engines still decide from it.
    pub(super) fn check_age(&self, now: u64, faults: &mut Vec<Fault>) {
        let header = self.layers.header();
        if header.max_age != 0 && header.created.saturating_add(header.max_age) < now {
            faults.push(Fault {
                what: format!(
                    "it is past its max_age of {} s, and engines refuse to decide from it",
                    header.max_age
                ),
                mend: "`keyward publish`; with `--watch` it is published anew before that".to_owned(),
            });
        }
    }

    /// Whether servers with this keyring can use it.
    pub(super) fn check_keyring(&self, keyring: &Keyring, faults: &mut Vec<Fault>) {
        let (full, delta) = self.layers.hashes();
        let delta = self.layers.delta().map(|delta| delta.keys().header()).zip(delta);
        for (header, hash) in [(self.layers.base().header(), full)].into_iter().chain(delta) {
            if let Err(error) = keyring.check_signatures(hash, &header.signatures) {
                faults.push(Fault {
                    what: format!("generation {}: {error}", header.generation),
                    mend: "find out who put it there; `keyward publish` with the publisher's keyring replaces it".to_owned(),
                });
            }
        }
        for entry in self.layers.base().peppers() {
            let known = keyring.pepper(entry.id);
            if known.is_none_or(|pepper| pepper_check(pepper.key()) != entry.check) {
                faults.push(Fault {
                    what: format!(
                        "the keyring lacks pepper {}, which keys in place were digested with",
                        entry.id
                    ),
                    mend:
                        "put it back into the keyring, of the servers too: without it their keys are unknown"
                            .to_owned(),
                });
            }
        }
    }
}
