//! keyward verifies API keys inside the server's own process.
//!
//! Configuration and keys are built into one immutable snapshot file; an engine maps it; a request and
//! the mapped snapshot go into the gates; a verdict comes out. The modules follow that flow from the
//! bottom up, and each imports only what stands before it (`docs/ARCHITECTURE.md` has the graph, and a
//! test keeps it true).
//!
//! The library starts no thread that it was not asked for, installs no signal handler or allocator,
//! reads no environment variable, opens no socket and logs nothing.

#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test may panic: that is how it fails"))]

#[cfg(feature = "build")]
pub mod build;
#[cfg(feature = "capi")]
pub mod capi;
pub mod digest;
pub mod engine;
pub mod format;
pub mod gates;
pub mod keyring;
pub mod limits;
pub mod memory;
pub mod realm;
pub mod reason;
pub mod record;
pub mod request;
pub mod signature;
pub mod snapshot;
pub mod time;
pub mod token;

/// The code in README.md, compiled with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
