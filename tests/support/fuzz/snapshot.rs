//! Snapshots. The first byte says how: `r` and the file as it is; `e` and edits of the fixture; `s` and edits
//! whose hashes are made right again. An edit is four bytes of a place and one that is XORed there. `R`, `E` and
//! `S` are the same for a delta on the fixture.

use crate::ask::{ask_engine, ask_layers, ask_snapshot};
use crate::forge::Forge;
use crate::{KEYRING, delta, keyring, options, snapshot};
use keyward::engine::Engine;
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Delta, Layers, Snapshot};
use std::sync::{Arc, LazyLock};

static GOOD: LazyLock<Forge> = LazyLock::new(|| Forge::new(snapshot()));
static GOOD_DELTA: LazyLock<Forge> = LazyLock::new(|| Forge::new(delta()));
static BASE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let base = Snapshot::open(Bytes::owned(GOOD.bytes.clone()), Check::Whole);
    Arc::new(base.expect("the fixture is good"))
});

/// Opens a snapshot or a delta and asks it everything.
pub fn run(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let good = if how.is_ascii_uppercase() { &*GOOD_DELTA } else { &*GOOD };
    let bytes = match how.to_ascii_lowercase() {
        b'r' => rest.to_vec(),
        b'e' | b's' => {
            let mut forge = good.clone();
            for edit in rest.as_chunks::<5>().0 {
                let [a, b, c, d, flip] = *edit;
                let length = forge.bytes.len();
                forge.bytes[u32::from_le_bytes([a, b, c, d]) as usize % length] ^= flip;
            }
            if how.eq_ignore_ascii_case(&b's') {
                forge.seal();
            }
            forge.bytes
        }
        _ => return,
    };
    let damaged = how.eq_ignore_ascii_case(&b'e') && bytes != good.bytes;
    if how.is_ascii_uppercase() {
        run_delta(bytes, damaged);
    } else {
        run_snapshot(bytes, damaged);
    }
}

fn run_snapshot(bytes: Vec<u8>, damaged: bool) {
    for check in [Check::Fast, Check::Whole] {
        if let Ok(snapshot) = Snapshot::open(Bytes::owned(bytes.clone()), check) {
            ask_snapshot(&snapshot);
        }
    }
    if let Ok(engine) = Engine::from_bytes(bytes, keyring(KEYRING), options()) {
        assert!(!damaged, "damage is not noticed");
        ask_engine(&engine);
    }
}

fn run_delta(bytes: Vec<u8>, damaged: bool) {
    if let Ok(delta) = Delta::open(Bytes::owned(bytes.clone())) {
        assert!(!damaged, "damage is not noticed");
        ask_snapshot(delta.keys());
    }
    if let Ok(layers) = Layers::with_delta(Arc::clone(&BASE), Bytes::owned(bytes.clone())) {
        ask_layers(&layers);
    }
    let engine = crate::engine(GOOD.bytes.clone());
    if engine.apply(bytes).is_ok() {
        assert!(!damaged, "damage is not noticed");
        ask_engine(&engine);
    }
}
