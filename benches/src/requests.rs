//! Requests that present keys.

use crate::keys::{self, LENGTH, REALM};
use crate::random::Random;
use keyward::request::{Peer, Request};
use std::array;

/// Requests that are prepared together and then timed together: few enough to stay in the first cache.
pub const BATCH: usize = 16;

/// The name and the value of a header field.
pub type Field<'a> = (&'a [u8], &'a [u8]);

const SCHEME: &[u8; 7] = b"Bearer ";

/// A method, a path, and the bit of [`keys::WRITES`] that it needs, if it writes.
const TARGETS: [(&[u8], &[u8], Option<u32>); 8] = [
    (b"GET", b"/v1/invoices?page=2&per_page=50", None),
    (b"GET", b"/v1/invoices/inv_58213377", None),
    (b"GET", b"/v1/customers/cus_4821/invoices", None),
    (b"GET", b"/v1/products/catalogue/2026/spring", None),
    (b"POST", b"/v1/invoices", Some(0)),
    (b"PUT", b"/v1/customers/cus_4821", Some(1)),
    (b"POST", b"/v1/products", Some(2)),
    (b"POST", b"/v1/webhooks/test", Some(3)),
];

/// What a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A key that may do what it asks for, without a rate limit.
    Allowed,
    /// The same, with a rate limit that it does not reach.
    Limited,
    /// A well-formed key that nobody has.
    Unknown,
    /// A text that is no key of the realm's.
    Malformed,
}

/// What one request has of its own.
pub struct Sample {
    authorization: [u8; SCHEME.len() + LENGTH],
    /// Bytes of `authorization`.
    length: usize,
    number: u64,
    target: usize,
}

impl Sample {
    /// A request of that kind to a realm of so many keys.
    #[inline]
    pub fn new(kind: Kind, keys: u64, random: &mut Random) -> Self {
        let number = match kind {
            Kind::Allowed => keys::near(random.below(keys), false),
            Kind::Limited => keys::near(random.below(keys), true),
            Kind::Unknown | Kind::Malformed => random.below(keys) + (1 << 40),
        };
        let choice = random.next();
        let mut target = (choice % TARGETS.len() as u64) as usize;
        if let Some((_, _, Some(bit))) = TARGETS.get(target)
            && keys::writes(number) >> bit & 1 == 0
        {
            target -= TARGETS.len() / 2;
        }
        let mut sample = Self { authorization: [0; SCHEME.len() + LENGTH], length: 0, number, target };
        let text = keys::text(number);
        let all = SCHEME.iter().chain(&text);
        sample.authorization.iter_mut().zip(all).for_each(|(into, &byte)| *into = byte);
        sample.length = sample.authorization.len();
        if kind == Kind::Malformed {
            sample.spoil(choice >> 32);
        }
        sample
    }

    /// Makes the key one that the format does not fit, in one of four ways.
    fn spoil(&mut self, way: u64) {
        let (at, byte) = match way % 4 {
            // Another prefix.
            0 => (SCHEME.len(), b's'),
            // Another environment.
            1 => (SCHEME.len() + 4, b'x'),
            // A digit that is none, at the end of the secret.
            2 => (self.length - 1, b'g'),
            // A digit too few.
            _ => {
                self.length -= 1;
                return;
            }
        };
        if let Some(place) = self.authorization.get_mut(at) {
            *place = byte;
        }
    }

    /// The credential.
    pub fn credential(&self) -> &[u8] {
        self.authorization.get(SCHEME.len()..self.length).unwrap_or_default()
    }

    /// The header list.
    #[inline]
    pub fn headers(&self) -> [Field<'_>; 6] {
        [
            (b"Host", self.host()),
            (b"User-Agent", b"bench-client/3.1 (linux)"),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"gzip, br"),
            (b"X-Request-Id", b"6f1c2c1e-2a57-4a0c-9d55-0b1d6a8c4e11"),
            (b"Authorization", self.authorization.get(..self.length).unwrap_or_default()),
        ]
    }

    fn host(&self) -> &'static [u8] {
        if keys::is_test(self.number) { b"sandbox.bench.example" } else { b"api.bench.example" }
    }

    /// The request with that header list.
    #[inline]
    pub fn request<'a>(&'a self, headers: &'a [Field<'a>]) -> Request<'a> {
        let (method, path, _) = TARGETS.get(self.target).copied().unwrap_or((b"GET", b"/", None));
        Request {
            method: Some(method),
            path: Some(path),
            host: Some(self.host()),
            peer: Peer::Address(keys::address(self.number).into()),
            ..Request::new(REALM, headers)
        }
    }
}

/// A few requests.
pub struct Batch([Sample; BATCH]);

impl Batch {
    /// Requests of that kind to a realm of so many keys.
    #[inline]
    pub fn new(kind: Kind, keys: u64, random: &mut Random) -> Self {
        Self(array::from_fn(|_| Sample::new(kind, keys, random)))
    }

    /// What each has of its own.
    pub const fn samples(&self) -> &[Sample; BATCH] {
        &self.0
    }

    /// The header list of each.
    #[inline]
    pub fn headers(&self) -> [[Field<'_>; 6]; BATCH] {
        self.0.each_ref().map(Sample::headers)
    }

    /// The requests, with the header lists that [`Batch::headers`] gave.
    #[inline]
    pub fn requests<'a>(&'a self, headers: &'a [[Field<'a>; 6]; BATCH]) -> [Request<'a>; BATCH] {
        array::from_fn(|at| self.0[at].request(&headers[at]))
    }
}
