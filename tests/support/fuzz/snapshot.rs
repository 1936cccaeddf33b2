//! Snapshots. The first byte says how: `r` and the file as it is; `e` and edits of the fixture; `s` and edits
//! whose hashes are made right again. An edit is four bytes of a place and one that is XORed there.

use crate::ask::{ask_engine, ask_snapshot};
use crate::forge::Forge;
use crate::{KEYRING, keyring, options, snapshot};
use keyward::engine::Engine;
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Snapshot};
use std::sync::OnceLock;

static GOOD: OnceLock<Forge> = OnceLock::new();

/// Opens a snapshot and asks it everything.
pub fn run(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let good = GOOD.get_or_init(|| Forge::new(snapshot()));
    let bytes = match how {
        b'r' => rest.to_vec(),
        b'e' | b's' => {
            let mut forge = good.clone();
            for edit in rest.as_chunks::<5>().0 {
                let [a, b, c, d, flip] = *edit;
                let length = forge.bytes.len();
                forge.bytes[u32::from_le_bytes([a, b, c, d]) as usize % length] ^= flip;
            }
            if how == b's' {
                forge.seal();
            }
            forge.bytes
        }
        _ => return,
    };
    let changed = bytes != good.bytes;
    for check in [Check::Fast, Check::Whole] {
        if let Ok(snapshot) = Snapshot::open(Bytes::owned(bytes.clone()), check) {
            ask_snapshot(&snapshot);
        }
    }
    if let Ok(engine) = Engine::from_bytes(bytes, keyring(KEYRING), options()) {
        assert!(how != b'e' || !changed, "damage is not noticed");
        ask_engine(&engine);
    }
}
