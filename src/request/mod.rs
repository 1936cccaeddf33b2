//! What a caller hands in, and what is read from it: credentials, the client's address, the path.

pub mod address;
mod basic;
pub(crate) mod bytes;
pub mod credential;
pub mod path;
pub mod source;

use crate::time::Timestamp;
use std::fmt;
use std::net::IpAddr;

/// A list of header fields as received: every name and value, in order, repeats included.
///
/// A trait, so that a server written in another language can hand over its own list without a copy.
pub trait HeaderList {
    /// How many fields there are.
    fn count(&self) -> usize;

    /// Name and value of the field at `index`, which is below [`HeaderList::count`].
    fn field(&self, index: usize) -> (&[u8], &[u8]);
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> HeaderList for [(N, V)] {
    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn field(&self, index: usize) -> (&[u8], &[u8]) {
        self.get(index).map_or((&[], &[]), |(name, value)| (name.as_ref(), value.as_ref()))
    }
}

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Peer {
    /// Not known, or not said: in no address list.
    #[default]
    Unknown,
    /// Somebody on a Unix socket (`unix:`).
    Unix,
    /// An Internet address. An IPv4-mapped IPv6 address counts as the IPv4 address in it.
    Address(IpAddr),
}

/// The address, `unix:` or `unknown`.
impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => formatter.write_str("unknown"),
            Self::Unix => formatter.write_str("unix:"),
            Self::Address(address) => address.fmt(formatter),
        }
    }
}

/// The header list of a request that has none.
pub const NO_HEADERS: &[(&[u8], &[u8])] = &[];

/// One request to verify. Everything is borrowed; nothing is copied.
///
/// `H` is the caller's own list of header fields.
#[derive(Debug)]
pub struct Request<'a, H: HeaderList + ?Sized = [(&'a [u8], &'a [u8])]> {
    /// The realm that the request is for.
    pub realm: &'a str,
    /// The method, as sent (case-sensitive); `None` counts as `GET`.
    pub method: Option<&'a [u8]>,
    /// The request target as sent; the path ends at the first `?`. `None` leaves routing out:
    /// `default_require` applies, with the scopes that the caller names. An empty path is not `None`.
    pub path: Option<&'a [u8]>,
    /// What the client asked for as host, with or without a port. A `Host` header in the list is not
    /// looked at.
    pub host: Option<&'a [u8]>,
    /// The other end of the connection.
    pub peer: Peer,
    /// Whether the request came over TLS.
    pub tls: bool,
    /// The environment that the caller expects keys of, if it does; it goes before that of the host.
    pub environment: Option<&'a str>,
    /// Scopes that the caller asks for, besides the route's.
    pub scopes: &'a [&'a str],
    /// The header fields as received.
    pub headers: &'a H,
    /// The time to decide at; `None` reads the coarse system clock.
    pub now: Option<Timestamp>,
}

impl<'a, H: HeaderList + ?Sized> Request<'a, H> {
    /// A request to `realm` over TLS that says nothing else.
    pub fn new(realm: &'a str, headers: &'a H) -> Self {
        Self {
            realm,
            method: None,
            path: None,
            host: None,
            peer: Peer::Unknown,
            tls: true,
            environment: None,
            scopes: &[],
            headers,
            now: None,
        }
    }
}
