//! The C ABI: `include/keyward.h`, which cbindgen makes from this module, and `docs/ABI.md`.
//!
//! Beside `snapshot::map` the one home of `unsafe`. Each function that C calls stands behind one boundary
//! ([`boundary`]) that turns a panic into a denial or an internal error, takes the size of every struct
//! with it ([`sized`]), and writes a denial into its outputs before it does anything else. `0` never lets
//! anybody in.

#![expect(unsafe_code, reason = "pointers from C; every use says why it is sound")]

mod answer;
mod bare_key;
mod boundary;
mod engine;
mod fault;
mod handle;
mod info;
mod input;
mod names;
mod numbers;
mod options;
mod realm;
mod request;
mod sized;
mod text;
mod token;
mod types;
mod verify;

pub use answer::keyward_answer;
#[cfg(keyward_force_panics)]
pub use boundary::force::keyward_test_force_panics;
pub use engine::{
    keyward_check_pages, keyward_open, keyward_open_bytes, keyward_release, keyward_reload,
    keyward_replace_bytes, keyward_retain,
};
pub use handle::keyward_engine;
pub use info::{keyward_counts, keyward_info};
pub use names::{keyward_abi_version, keyward_reason_name, keyward_status_name, keyward_version};
pub use numbers::*;
pub use options::{
    KEYWARD_CHECK_FAST, KEYWARD_CHECK_WHOLE, KEYWARD_GOING_BACK, KEYWARD_MODE_COPY, KEYWARD_MODE_MAP,
    KEYWARD_OPEN_LATER, KEYWARD_STATE_INHERITED, keyward_options,
};
pub use realm::{
    KEYWARD_HEADER_SECRET_USER, keyward_check_environment, keyward_check_realm, keyward_credential_header,
};
pub use token::{KEYWARD_TOKEN_SIZE, keyward_issue_token, keyward_token_options};
pub use types::*;
pub use verify::{keyward_verify, keyward_verify_key};
