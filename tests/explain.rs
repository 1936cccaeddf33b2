//! What is explained is what is decided: `verify` may leave out what changes nothing, `explain` looks at every gate.

use keyward::engine::{Engine, Verdict};
use keyward::gates::{Finding, Gate, Observer};
use keyward::request::Request;
use keyward_testkit::{KEYRING, build, keyring, options, stamp};
use std::collections::BTreeSet;

/// Three realms: every route asks for the same key; one is public; one asks for a tenant as well.
const CONFIGURATION: &str = r#"
[realm.uniform]
environments = ["live"]
require_tls = true

[realm.uniform.credential.key]
kind = "key"
source = ["bearer", "header:X-Key"]
format = "k_{environment}_{secret}"
secret_alphabet = "hex"
secret_length = 16

[[realm.uniform.route]]
methods = ["GET"]
path = "/things/{id}"

[[realm.uniform.route]]
methods = ["POST"]
path = "/things"
scopes = ["write"]

[realm.public]
default_require = ["key"]

[realm.public.credential.key]
kind = "key"
source = "bearer"
format = "p_{secret}"

[[realm.public.route]]
path = "/health"
require = []

[[realm.public.route]]
path = "/things"

[realm.tenant]
default_require = ["key"]

[realm.tenant.credential.key]
kind = "key"
source = "bearer"
format = "t_{secret}"

[realm.tenant.credential.tenant]
kind = "tenant"
source = "header:X-Tenant"

[[realm.tenant.route]]
path = "/things"
require = ["tenant", "key"]
"#;

const KEYS: &str = concat!(
    r#"{"realm":"uniform","id":"u1","key":"k_live_0123456789abcdef","environment":"live"}"#,
    "\n",
    r#"{"realm":"public","id":"p1","key":"p_0123456789abcdef"}"#,
    "\n",
    r#"{"realm":"tenant","id":"t1","key":"t_0123456789abcdef","tenant":"acme"}"#,
    "\n",
);

const KEYS_OF_CLIENTS: [&str; 9] = [
    "k_live_0123456789abcdef",
    "p_0123456789abcdef",
    "t_0123456789abcdef",
    "k_live_fedcba9876543210",
    "k_test_0123456789abcdef",
    "k_live_0123456789abcdeF",
    "p_",
    "",
    "a b",
];

const TARGETS: [Option<&str>; 9] = [
    None,
    Some("/things/7"),
    Some("/things"),
    Some("/health"),
    Some("/nowhere"),
    Some("/%74hings/7"),
    Some("/things/../health"),
    Some(""),
    Some("//"),
];

/// Notes which gates looked.
#[derive(Default)]
struct Gates(Vec<Gate>);

impl Observer for Gates {
    fn saw(&mut self, gate: Gate, _: Finding<'_>) {
        self.0.push(gate);
    }
}

/// Everything that a verdict says.
fn said(verdict: &Verdict<'_>) -> String {
    let answer = verdict.answer();
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {:?}",
        verdict.reason().name(),
        verdict.key_id(),
        verdict.tenant(),
        verdict.scope(),
        verdict.retry_after(),
        verdict.generation(),
        (answer.status, answer.www_authenticate, answer.retry_after, answer.body),
    )
}

#[test]
fn verify_and_explain_say_the_same() {
    let bytes = build(CONFIGURATION, KEYRING, KEYS, stamp(1));
    let engine = Engine::from_bytes(bytes, keyring(KEYRING), options()).expect("it is good");
    let mut reasons = BTreeSet::new();
    for realm in ["uniform", "public", "tenant", "none"] {
        for key in KEYS_OF_CLIENTS {
            let bearer = format!("Bearer {key}");
            let lists: [&[(&[u8], &[u8])]; 6] = [
                &[],
                &[(b"Authorization", bearer.as_bytes())],
                &[(b"X-Key", key.as_bytes())],
                &[(b"Authorization", bearer.as_bytes()), (b"X-Key", key.as_bytes())],
                &[(b"Authorization", bearer.as_bytes()), (b"X-Tenant", b"acme")],
                &[(b"Authorization", bearer.as_bytes()), (b"X-Tenant", b"other")],
            ];
            for headers in lists {
                for target in TARGETS {
                    for (method, tls) in [("GET", true), ("POST", true), ("GET", false)] {
                        let path = target.map(str::as_bytes);
                        let request = Request {
                            path,
                            method: Some(method.as_bytes()),
                            tls,
                            ..Request::new(realm, headers)
                        };
                        let mut gates = Gates::default();
                        let verdict = engine.verify(&request);
                        let explained = engine.explain(&request, &mut gates);
                        let told = format!("{realm} {method} {target:?} {key:?} tls {tls}");
                        assert_eq!(said(&verdict), said(&explained), "{told}");
                        // Whoever asks for an explanation hears of the route, whatever becomes of the key.
                        let extracted = gates.0.contains(&Gate::Extraction);
                        assert!(!extracted || gates.0.contains(&Gate::Path), "{told}");
                        reasons.insert(verdict.reason().name());
                    }
                }
            }
        }
    }
    for reason in [
        "ok",
        "unavailable",
        "ambiguous_path",
        "tls_required",
        "missing_credential",
        "malformed_credential",
        "ambiguous_credential",
        "unknown_key",
        "route_not_allowed",
        "insufficient_scope",
        "tenant_mismatch",
    ] {
        assert!(reasons.contains(reason), "no request of this test came to {reason}");
    }
}
