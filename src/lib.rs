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

pub mod gates;
pub mod reason;
pub mod realm;
pub mod request;
pub mod time;
