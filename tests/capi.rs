//! What a verify through the C ABI asks of the process: no memory. The C tests are in `bindings/c/`.

#![expect(unsafe_code, reason = "it calls what C calls")]

use allocation_counter::measure;
use keyward::capi::*;
use keyward_testkit::{BAD, GOOD, KEYRING, NOW, snapshot};
use std::ffi::c_char;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::ptr::{null, null_mut};

fn bytes(text: &[u8]) -> keyward_bytes {
    keyward_bytes { data: text.as_ptr(), len: text.len() }
}

fn open() -> *mut keyward_engine {
    let keyring = Path::new(env!("CARGO_TARGET_TMPDIR")).join("capi-keyring.toml");
    fs::write(&keyring, KEYRING).expect("the folder of tests can be written to");
    fs::set_permissions(&keyring, Permissions::from_mode(0o600)).expect("it is ours");
    let (snapshot, keyring) = (snapshot(), keyring.as_os_str().as_encoded_bytes().to_vec());
    let mut engine = null_mut();
    // SAFETY: the bytes live through the call, and the engine is written to a variable of ours.
    let status = unsafe {
        keyward_open_bytes(bytes(&snapshot), bytes(&keyring), null(), 0, &mut engine, null_mut(), 0)
    };
    assert_eq!(status, KEYWARD_OK);
    engine
}

#[test]
fn a_key_is_decided_without_an_allocation() {
    let engine = open();
    let mut scopes: [c_char; 64] = [0; 64];
    // SAFETY: any bytes are a verdict.
    let mut verdict: Box<keyward_verdict> = unsafe { Box::new_zeroed().assume_init() };
    let (mut allowed, mut refused) = (0, 0);
    for (realm, headers) in GOOD.into_iter().chain(BAD) {
        let list: Vec<_> = headers
            .iter()
            .map(|(name, value)| keyward_header {
                name: bytes(name.as_bytes()),
                value: bytes(value.as_bytes()),
            })
            .collect();
        // SAFETY: any bytes are a request.
        let mut request: keyward_request = unsafe { std::mem::zeroed() };
        let known = keyward_testkit::request(realm, headers);
        request.flags = KEYWARD_TLS | KEYWARD_HAS_NOW;
        request.flags |= if known.path.is_none() { KEYWARD_NO_ROUTING } else { 0 };
        request.realm = bytes(realm.as_bytes());
        request.method = bytes(known.method.unwrap_or_default());
        request.path = bytes(known.path.unwrap_or_default());
        request.host = bytes(known.host.unwrap_or_default());
        request.peer = bytes(b"10.1.2.3");
        (request.headers, request.header_count) = (list.as_ptr(), list.len());
        request.now_seconds = NOW;
        (request.scopes_buffer, request.scopes_capacity) = (scopes.as_mut_ptr(), scopes.len());
        let sizes = (size_of::<keyward_request>(), size_of::<keyward_verdict>());
        // Then as a server hands it in, which is looked at in another way.
        let mut plain = request;
        (plain.scopes_buffer, plain.scopes_capacity) = (null_mut(), 0);
        (plain.peer_family, plain.peer_address) = (KEYWARD_PEER_IPV4, [0; 16]);
        plain.peer_address = [10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        // The first verify of a thread makes its place in the list of readers, so nothing is measured then.
        for (measured, request) in [(false, &plain), (true, &plain), (false, &request), (true, &request)] {
            let counted = measure(|| {
                // SAFETY: the request and its texts live through the call, and the outputs are ours.
                let status = unsafe { keyward_verify(engine, request, sizes.0, &mut *verdict, sizes.1) };
                assert_eq!(status, KEYWARD_OK);
            });
            assert!(!measured || counted.count_total == 0, "{realm} {headers:?}");
        }
        if verdict.decision == KEYWARD_ALLOW {
            allowed += 1;
            assert!(verdict.key_id_len > 0);
        } else {
            refused += 1;
            assert_ne!(verdict.reason, KEYWARD_REASON_NONE);
        }
    }
    assert_eq!((allowed, refused), (GOOD.len(), BAD.len()));
    // SAFETY: it was opened here and is not used any more.
    assert_eq!(unsafe { keyward_release(engine) }, KEYWARD_OK);
}
