//! Snapshots. The first byte says how: `r` and the file as it is; `e` and edits of the fixture; `s` and edits
//! whose hashes are made right again. An edit is four bytes of a place and one that is XORed there. `R`, `E` and
//! `S` are the same for a delta on the fixture. `g` and edits whose hashes are made right again, of a fixture that is
//! signed: whoever asks for the signature takes nothing but what was signed.

use crate::ask::{ask_engine, ask_layers, ask_snapshot};
use crate::forge::Forge;
use crate::{CONFIGURATION, KEYRING, KEYS, build, delta, keyring, options, snapshot, stamp};
use keyward::engine::Engine;
use keyward::memory::Bytes;
use keyward::snapshot::{Check, Delta, Layers, Snapshot};
use std::sync::{Arc, LazyLock};

/// A signing key, as RFC 8410 section 10 has it.
const SIGNING_KEY: &str = r#"
[[signing_key]]
private_key = """
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
"#;

static GOOD: LazyLock<Forge> = LazyLock::new(|| Forge::new(snapshot()));
static SIGNED: LazyLock<Forge> =
    LazyLock::new(|| Forge::new(build(CONFIGURATION, &with_signing_key(), KEYS, stamp(1))));
static GOOD_DELTA: LazyLock<Forge> = LazyLock::new(|| Forge::new(delta()));
static BASE: LazyLock<Arc<Snapshot>> = LazyLock::new(|| {
    let base = Snapshot::open(Bytes::owned(GOOD.bytes.clone()), Check::Whole);
    Arc::new(base.expect("the fixture is good"))
});

fn with_signing_key() -> String {
    format!("{KEYRING}{SIGNING_KEY}")
}

/// Opens a snapshot or a delta and asks it everything.
pub fn run(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    let good = match how {
        b'g' => &*SIGNED,
        how if how.is_ascii_uppercase() => &*GOOD_DELTA,
        _ => &*GOOD,
    };
    let bytes = match how.to_ascii_lowercase() {
        b'r' => rest.to_vec(),
        b'e' | b's' | b'g' => {
            let mut forge = good.clone();
            for edit in rest.as_chunks::<5>().0 {
                let [a, b, c, d, flip] = *edit;
                let length = forge.bytes.len();
                forge.bytes[u32::from_le_bytes([a, b, c, d]) as usize % length] ^= flip;
            }
            if !how.eq_ignore_ascii_case(&b'e') {
                forge.seal();
            }
            forge.bytes
        }
        _ => return,
    };
    if how == b'g' {
        return run_signed(bytes);
    }
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

fn run_signed(bytes: Vec<u8>) {
    let changed = bytes != SIGNED.bytes;
    let opened = Engine::from_bytes(bytes, keyring(&with_signing_key()), options());
    assert_eq!(opened.is_err(), changed, "what was not signed is taken, or what was is not");
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
