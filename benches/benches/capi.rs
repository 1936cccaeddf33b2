//! What the C ABI adds to a verify: the same requests through `keyward_verify` and through the Rust call,
//! in turns in one run, as a difference.
//!
//! Twice: the decision alone (`KEYWARD_NO_IDENTITY`), and with the key's id, tenant and environment, which
//! the Rust side reads and copies as well. At a thousand keys, where nothing waits for memory and the
//! difference shows best, and at a million; `KEYWARD_BENCH_KEYS=1000,1000000` says otherwise.

#![expect(unsafe_code, reason = "it calls what C calls")]

use keyward::capi::*;
use keyward::engine::Engine;
use keyward::request::{Peer, Request};
use keyward::snapshot::Mode;
use keyward_benches::keys::KEYRING;
use keyward_benches::random::Random;
use keyward_benches::requests::{BATCH, Batch, Kind};
use keyward_benches::store;
use std::env;
use std::fs::{self, Permissions};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

/// Batches of each side.
const ROUNDS: usize = 20_000;

type Verify = unsafe extern "C" fn(
    *const keyward_engine,
    *const keyward_request,
    usize,
    *mut keyward_verdict,
    usize,
) -> i32;

fn bytes(text: &[u8]) -> keyward_bytes {
    keyward_bytes { data: text.as_ptr(), len: text.len() }
}

/// The same request as C hands it in.
fn in_c(request: &Request<'_>, headers: &[keyward_header], flags: u32) -> keyward_request {
    let nothing = keyward_bytes { data: std::ptr::null(), len: 0 };
    let mut peer_address = [0; 16];
    if let Peer::Address(std::net::IpAddr::V4(address)) = request.peer {
        peer_address[..4].clone_from_slice(&address.octets());
    }
    keyward_request {
        flags: flags | KEYWARD_TLS,
        peer_family: KEYWARD_PEER_IPV4,
        realm: bytes(request.realm.as_bytes()),
        method: request.method.map_or(nothing, bytes),
        path: request.path.map_or(nothing, bytes),
        host: request.host.map_or(nothing, bytes),
        environment: nothing,
        headers: headers.as_ptr(),
        header_count: headers.len(),
        scopes: std::ptr::null(),
        scope_count: 0,
        peer: nothing,
        peer_address,
        now_seconds: 0,
        now_nanoseconds: 0,
        reserved: 0,
        scopes_buffer: std::ptr::null_mut(),
        scopes_capacity: 0,
    }
}

/// What the Rust side keeps of a verdict: the same texts as C gets.
#[derive(Default)]
struct Identity {
    texts: [Vec<u8>; 3],
}

impl Identity {
    fn read(&mut self, verdict: &keyward::engine::Verdict<'_>) {
        let texts = [verdict.key_id(), verdict.tenant(), verdict.environment()];
        for (into, text) in self.texts.iter_mut().zip(texts) {
            into.clear();
            into.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    }
}

struct Handle(*mut keyward_engine);

impl Handle {
    fn open(snapshot: &Path, keyring: &Path) -> Self {
        let path = |path: &Path| bytes(path.as_os_str().as_encoded_bytes());
        let mut handle = std::ptr::null_mut();
        let (nothing, no_error) = (std::ptr::null(), std::ptr::null_mut());
        // SAFETY: the paths live through the call, and the handle is written to a variable of ours.
        let status =
            unsafe { keyward_open(path(snapshot), path(keyring), nothing, 0, &mut handle, no_error, 0) };
        assert_eq!(status, KEYWARD_OK, "the snapshot is good");
        // SAFETY: it was opened just now.
        let status = unsafe { keyward_check_pages(handle, no_error, 0) };
        assert_eq!(status, KEYWARD_OK, "the snapshot is good");
        Self(handle)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is held once, here.
        unsafe { keyward_release(self.0) };
    }
}

/// Nanoseconds of each verify, one number a batch, through Rust and through C.
fn measure(engine: &Engine, handle: &Handle, keys: u64, kind: Kind, identity: bool) -> [Vec<f64>; 2] {
    // The address of the function is hidden, so that nothing of it is drawn into the loop.
    let verify: Verify = black_box(keyward_verify);
    let flags = if identity { 0 } else { KEYWARD_NO_IDENTITY };
    let mut random = Random::new(keys);
    let mut verdict = MaybeUninit::<keyward_verdict>::zeroed();
    let (mut known, mut times) = (Identity::default(), [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS * 2 {
        let batch = Batch::new(kind, keys, &mut random);
        let headers = batch.headers();
        let requests = batch.requests(&headers);
        let lists = headers.each_ref().map(|fields| {
            fields.map(|(name, value)| keyward_header { name: bytes(name), value: bytes(value) })
        });
        let c_requests: [keyward_request; BATCH] =
            std::array::from_fn(|at| in_c(&requests[at], &lists[at], flags));
        let start = Instant::now();
        if round % 2 == 0 {
            for request in &requests {
                let verdict = engine.verify(request);
                if identity {
                    known.read(&verdict);
                }
                black_box(verdict.is_allowed());
            }
        } else {
            for request in &c_requests {
                let sizes = (size_of::<keyward_request>(), size_of::<keyward_verdict>());
                // SAFETY: the request and its texts live through the call, and the verdict is ours.
                black_box(unsafe { verify(handle.0, request, sizes.0, verdict.as_mut_ptr(), sizes.1) });
                // SAFETY: it was zeroed, and written to by the library.
                black_box(unsafe { verdict.assume_init_ref() }.decision == KEYWARD_ALLOW);
            }
        }
        times[round % 2].push(start.elapsed().as_nanos() as f64 / BATCH as f64);
    }
    times
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[expect(clippy::print_stdout, reason = "it is what a bench is for")]
fn main() {
    let list = env::var("KEYWARD_BENCH_KEYS").unwrap_or_else(|_| "1000,1000000".to_owned());
    println!("| keys | request | with identity | Rust, ns | C, ns | C adds, ns | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for keys in list.split(',') {
        let keys: u64 = keys.trim().parse().expect("KEYWARD_BENCH_KEYS is numbers, separated by commas");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (path, keyring) = (folder.path().join("bench.kwd"), folder.path().join("keyring.toml"));
        let collection = store::collect(keys, None, &|_| {}).expect("the keys are good");
        store::publish(&collection, &path, &|_| {}).expect("the folder takes a snapshot");
        fs::write(&keyring, KEYRING).expect("the folder takes a keyring");
        fs::set_permissions(&keyring, Permissions::from_mode(0o600)).expect("it is ours");
        let engine = store::open(&path, Mode::Map, keys).expect("the snapshot is good");
        engine.check().expect("the snapshot is good");
        let handle = Handle::open(&path, &keyring);
        for (name, kind) in [("allowed", Kind::Allowed), ("unknown", Kind::Unknown)] {
            for identity in [false, true] {
                let mut times = measure(&engine, &handle, keys, kind, identity);
                let [rust, c] = [0, 1].map(|side: usize| median(&mut times[side]));
                let identity = if identity { "yes" } else { "no" };
                println!(
                    "| {keys} | {name} | {identity} | {rust:.1} | {c:.1} | {:+.1} | {:.3} |",
                    c - rust,
                    c / rust
                );
            }
        }
    }
}
