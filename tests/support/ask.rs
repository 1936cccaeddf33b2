//! Everything that can be asked of a snapshot and of an engine, for bytes of which nothing is known.

use crate::{BAD, GOOD, request};
use keyward::engine::Engine;
use keyward::request::Request;
use keyward::snapshot::{Layers, Snapshot};

/// Reads every record and all that belongs to it.
pub fn ask_snapshot(snapshot: &Snapshot) {
    for entry in snapshot.entries().flatten() {
        let _ = (
            snapshot.id(&entry),
            snapshot.tenant(&entry),
            snapshot.realm_of(&entry),
            snapshot.displacement(&entry),
        );
        for number in snapshot.scopes(&entry).into_iter().flat_map(|scopes| scopes.into_numbers()) {
            let _ = snapshot.scope_name(number);
        }
        for address in ["203.0.113.9", "2001:db8::1", "255.255.255.255", "::"] {
            let _ = snapshot.allows_address(&entry, address.parse().ok());
        }
    }
    for realm in 0..4 {
        for id in ["portal", "batch", "reader", ""] {
            let _ = snapshot.find_id(realm, id);
        }
    }
    let _ = (snapshot.check(), snapshot.sections().count(), snapshot.is_damaged());
}

/// The same of a snapshot with a delta over it, and of the delta by itself.
pub fn ask_layers(layers: &Layers) {
    for entry in layers.entries().flatten() {
        let _ =
            (layers.id(&entry), layers.tenant(&entry), layers.realm_of(&entry), layers.displacement(&entry));
        for number in layers.scopes(&entry).into_iter().flat_map(|scopes| scopes.into_numbers()) {
            let _ = layers.scope_name(&entry, number);
        }
        for address in ["203.0.113.9", "2001:db8::1", "255.255.255.255", "::"] {
            let _ = layers.allows_address(&entry, address.parse().ok());
        }
    }
    for realm in 0..4 {
        for id in ["portal", "batch", "reserve", "newest", ""] {
            let _ = layers.find_id(realm, id);
        }
    }
    if let Some(delta) = layers.delta() {
        ask_snapshot(delta.keys());
        let _ = (delta.live(), delta.removed());
    }
    let _ = (layers.check(), layers.is_damaged(), layers.length());
}

/// Decides good requests and bad ones. A key that does not exist is never allowed, whatever the bytes say.
pub fn ask_engine(engine: &Engine) {
    let scoped = [("Authorization", "Bearer sk_live_0000000000000001")];
    let scoped = Request { method: None, path: Some(b"/orders"), ..request("shop", &scoped) };
    for request in GOOD.iter().chain(&BAD).map(|(realm, headers)| request(realm, headers)).chain([scoped]) {
        let verdict = engine.verify(&request);
        let _ = (verdict.key_id(), verdict.tenant(), verdict.environment(), verdict.scopes().count());
        assert_eq!(verdict.answer().status == 200, verdict.is_allowed());
    }
    for (realm, headers) in [BAD[0], BAD[4], BAD[5], BAD[7]] {
        assert!(
            !engine.verify(&request(realm, headers)).is_allowed(),
            "a key that does not exist: {headers:?}"
        );
    }
    let _ = engine.info();
}
