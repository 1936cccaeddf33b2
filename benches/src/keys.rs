//! The realm and its keys. Key number `n` is the same in every run, and is never stored.

use crate::random::mix;
use std::io::{self, Read};
use std::net::Ipv4Addr;

/// The realm: two environments told apart by the host, eight routes with scopes, a format, and a rate
/// limit that nobody reaches.
pub const CONFIGURATION: &str = include_str!("bench.toml");

/// A keyring of one pepper, which protects nothing.
pub const KEYRING: &str =
    "[[pepper]]\nid = 1\nkey = \"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\"\n";

/// The pepper in [`KEYRING`].
pub const PEPPER: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
    29, 30, 31,
];

/// The name of the realm.
pub const REALM: &str = "bench";
/// The name of its credential.
pub const CREDENTIAL: &str = "key";

/// Bytes in a key.
pub const LENGTH: usize = 40;

/// The most keys: ids have eight digits.
pub const MOST: u64 = 99_999_999;

/// One key in so many has a rate limit; the measures choose between them.
pub const LIMITED: u64 = 16;
/// Keys of one tenant.
const PER_TENANT: u64 = 10;
/// Lists of addresses that keys share.
const ADDRESS_LISTS: u64 = 64;
/// Bits of a set of scopes: the ones that write. Every set has those that read.
pub const WRITES: [&str; 4] = ["write_invoices", "write_customers", "write_products", "webhooks"];

/// The text of key `number`, also of one that no snapshot has.
#[inline]
pub fn text(number: u64) -> [u8; LENGTH] {
    let mut text = *b"bk_live_................................";
    if is_test(number) {
        text[3..7].clone_from_slice(b"test");
    }
    let halves = [mix(number), mix(!number)];
    for (digits, half) in text[8..].as_chunks_mut::<16>().0.iter_mut().zip(halves) {
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(half.to_le_bytes()) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
    }
    text
}

const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + (value - 10) }
}

/// Whether key `number` is of the environment `test`.
#[inline]
pub const fn is_test(number: u64) -> bool {
    mix(number ^ 0x7465_7374) >> 61 == 0
}

/// Whether key `number` has a rate limit.
#[inline]
pub const fn is_limited(number: u64) -> bool {
    number % LIMITED == LIMITED - 1
}

/// How many of the first `keys` keys have a rate limit.
pub const fn limited_among(keys: u64) -> u64 {
    keys / LIMITED
}

/// The number of a key with a rate limit, or of one without, near `number` and not above it.
#[inline]
pub const fn near(number: u64, limited: bool) -> u64 {
    match (is_limited(number), limited) {
        (true, true) | (false, false) => number,
        (true, false) => number - 1,
        (false, true) => (number - number % LIMITED).saturating_sub(1),
    }
}

/// Which of [`WRITES`] key `number` may do: a bit for each.
#[inline]
pub const fn writes(number: u64) -> u64 {
    mix(number ^ 0x7363_6F70) % (1 << WRITES.len())
}

/// An address that key `number` may be used from.
#[inline]
pub fn address(number: u64) -> Ipv4Addr {
    let [a, b, ..] = mix(number ^ 0x6164_6472).to_le_bytes();
    Ipv4Addr::new(10, (number % ADDRESS_LISTS) as u8, a, b)
}

/// JSON Lines of the keys from 0 on.
pub struct Lines {
    next: u64,
    end: u64,
    scopes: Vec<String>,
    addresses: Vec<String>,
    buffer: Vec<u8>,
    taken: usize,
}

impl Lines {
    /// Those of so many keys, at most [`MOST`].
    pub fn new(keys: u64) -> Self {
        let scopes = (0..1u64 << WRITES.len()).map(|bits| {
            let writes = (0..).zip(WRITES).filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| name);
            let names = ["read_invoices", "read_customers", "read_products"].into_iter().chain(writes);
            names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",")
        });
        let addresses = (0..ADDRESS_LISTS).map(|list| {
            format!(
                "\"10.{list}.0.0/16\",\"203.0.113.{list}\",\"198.51.100.0/24\",\"2001:db8:{list:x}::/48\""
            )
        });
        Self {
            next: 0,
            end: keys.min(MOST),
            scopes: scopes.collect(),
            addresses: addresses.collect(),
            buffer: Vec::with_capacity(1 << 17),
            taken: 0,
        }
    }

    fn line(&mut self, number: u64) {
        let environment: &[u8] = if is_test(number) { b"test" } else { b"live" };
        let scopes = self.scopes.get(writes(number) as usize).map_or("", String::as_str);
        let addresses = self.addresses.get((number % ADDRESS_LISTS) as usize).map_or("", String::as_str);
        let limit: &[u8] = if is_limited(number) { b",\"rate_limit\":\"standard\"" } else { b"" };
        for part in [
            b"{\"realm\":\"bench\",\"id\":\"key_",
            &decimal(number)[..],
            b"\",\"key\":\"",
            &text(number),
            b"\",\"tenant\":\"tenant_",
            &decimal(number / PER_TENANT),
            b"\",\"environment\":\"",
            environment,
            b"\",\"scopes\":[",
            scopes.as_bytes(),
            b"],\"allow_ips\":[",
            addresses.as_bytes(),
            b"],\"not_before\":1600000000,\"expires_at\":4102444800",
            limit,
            b"}\n",
        ] {
            self.buffer.extend_from_slice(part);
        }
    }
}

/// A number below 10^8 in eight digits.
const fn decimal(number: u64) -> [u8; 8] {
    let (mut digits, mut rest, mut at) = ([b'0'; 8], number, 8);
    while at > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.buffer.len() {
            (self.taken, self.next) = (0, {
                self.buffer.clear();
                let end = self.end.min(self.next + 256);
                for number in self.next..end {
                    self.line(number);
                }
                end
            });
        }
        let length = self.buffer.get(self.taken..).unwrap_or_default().read(into)?;
        self.taken += length;
        Ok(length)
    }
}
