//! Client addresses, and the lists of them that configuration and keys have: docs/DECISIONS.md section 5.
//!
//! Only the strict textual forms are addresses (RFC 6943 section 3.1.1): an address that two programs
//! read differently lets a client choose which of them to satisfy.

use super::bytes::{last_position, trim};
use super::{HeaderList, Peer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use thiserror::Error;

/// The longest text of an address: an IPv4-mapped one with every group written out.
const LONGEST_ADDRESS: usize = 45;

/// Reads the strict text of an IP address. An IPv4-mapped IPv6 address comes out as the IPv4 address.
fn read_address(text: &[u8]) -> Option<IpAddr> {
    read_literal(text).map(|address| address.to_canonical())
}

/// As [`read_address`], but an IPv4-mapped address stays what it is.
fn read_literal(text: &[u8]) -> Option<IpAddr> {
    if let Some(address) = read_dotted_quad(text) {
        return Some(IpAddr::V4(address));
    }
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The strict text of an IPv4 address, as the standard library reads it, which takes only a `str`: to find out whether
/// bytes are one takes as long as this, and most requests come from such an address.
fn read_dotted_quad(text: &[u8]) -> Option<Ipv4Addr> {
    let digit = |byte: u8| u16::from(byte - b'0');
    let mut octets = [0; 4];
    let mut rest = text;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let (number, behind) = match rest {
            [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', behind @ ..] => {
                (100 * digit(*a) + 10 * digit(*b) + digit(*c), behind)
            }
            [a @ b'1'..=b'9', b @ b'0'..=b'9', behind @ ..] => (10 * digit(*a) + digit(*b), behind),
            [a @ b'0'..=b'9', behind @ ..] => (digit(*a), behind),
            _ => return None,
        };
        *octet = u8::try_from(number).ok()?;
        rest = behind;
    }
    rest.is_empty().then(|| Ipv4Addr::from(octets))
}

impl Peer {
    /// Reads what a caller hands in: `unix:`, an IP address, or something else, which is nobody known.
    pub fn parse(text: &[u8]) -> Self {
        if text == b"unix:" {
            return Self::Unix;
        }
        read_address(text).map_or(Self::Unknown, Self::Address)
    }
}

/// What is wrong with an entry of an address list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Neither an address nor a CIDR.
    #[error("`{entry}` is not an address: write an IPv4 or IPv6 address, or a CIDR such as 203.0.113.0/24")]
    NotAnAddress {
        /// The entry, as configured.
        entry: String,
    },
    /// The part after the slash is no prefix length of such an address.
    #[error("`{entry}` has no valid prefix length: write 0 to {longest}, without a leading zero")]
    Prefix {
        /// The entry, as configured.
        entry: String,
        /// The longest prefix of an address of that family.
        longest: u32,
    },
    /// The address has bits beyond the prefix, so that it may mean one address or a network.
    #[error(
        "`{entry}` has bits set beyond its prefix: write {network} for the network, or the address alone"
    )]
    HostBits {
        /// The entry, as configured.
        entry: String,
        /// The network that the entry is in.
        network: String,
    },
    /// A CIDR of IPv4-mapped addresses.
    #[error("`{entry}` is an IPv4-mapped CIDR: write the IPv4 CIDR, because such clients count as IPv4")]
    Mapped {
        /// The entry, as configured.
        entry: String,
    },
    /// `unix` where only clients' addresses belong.
    #[error("`{entry}` is for trusted_proxies: a client on a Unix socket has no address; remove the entry")]
    Unix {
        /// The entry, as configured.
        entry: String,
    },
}

/// Whether `value` is in one of `count` ranges: first and last value, both included; ascending and
/// disjoint.
///
/// `range` is called with indices below `count`, so that the ranges may be stored in any way. Where they
/// do not ascend, the answer is of no use, but there is one.
#[inline]
pub fn in_ranges<T: Ord>(count: usize, range: impl Fn(usize) -> (T, T), value: &T) -> bool {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        let (first, last) = range(middle);
        if *value < first {
            high = middle;
        } else if *value > last {
            low = middle + 1;
        } else {
            return true;
        }
    }
    false
}

/// A set of IP addresses: ranges that ascend, are disjoint and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl AddressSet {
    /// Reads a list of addresses and CIDRs.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, AddressError> {
        let mut set = Self::default();
        for entry in entries {
            set.add(entry.as_ref())?;
        }
        set.v4 = merged(set.v4, |last| last.checked_add(1));
        set.v6 = merged(set.v6, |last| last.checked_add(1));
        Ok(set)
    }

    /// Adds what one entry says, unmerged.
    fn add(&mut self, entry: &str) -> Result<(), AddressError> {
        let (text, prefix) = match entry.split_once('/') {
            Some((text, prefix)) => (text, Some(prefix)),
            None => (entry, None),
        };
        let address = match read_literal(text.as_bytes()) {
            Some(address) => address,
            None if entry == "unix" => return Err(AddressError::Unix { entry: entry.to_owned() }),
            None => return Err(AddressError::NotAnAddress { entry: entry.to_owned() }),
        };
        let Some(prefix) = prefix else {
            match address.to_canonical() {
                IpAddr::V4(address) => self.v4.push((address.to_bits(), address.to_bits())),
                IpAddr::V6(address) => self.v6.push((address.to_bits(), address.to_bits())),
            }
            return Ok(());
        };
        let host_bits = |network: IpAddr| AddressError::HostBits {
            entry: entry.to_owned(),
            network: format!("{network}/{prefix}"),
        };
        match address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(read_prefix(entry, prefix, 32)?).unwrap_or(0);
                let first = address.to_bits();
                if first & host != 0 {
                    return Err(host_bits(Ipv4Addr::from_bits(first & !host).into()));
                }
                self.v4.push((first, first | host));
            }
            IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
                return Err(AddressError::Mapped { entry: entry.to_owned() });
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(read_prefix(entry, prefix, 128)?).unwrap_or(0);
                let first = address.to_bits();
                if first & host != 0 {
                    return Err(host_bits(Ipv6Addr::from_bits(first & !host).into()));
                }
                self.v6.push((first, first | host));
            }
        }
        Ok(())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether `address` is in it; an IPv4-mapped IPv6 address is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => covers(&self.v4, &address.to_bits()),
            IpAddr::V6(address) => covers(&self.v6, &address.to_bits()),
        }
    }

    /// The IPv4 ranges: first and last address, both included.
    pub fn v4_ranges(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// The IPv6 ranges: first and last address, both included.
    pub fn v6_ranges(&self) -> &[(u128, u128)] {
        &self.v6
    }
}

/// [`in_ranges`] of a slice.
fn covers<T: Ord + Copy + Default>(ranges: &[(T, T)], value: &T) -> bool {
    in_ranges(ranges.len(), |index| ranges.get(index).copied().unwrap_or_default(), value)
}

/// Reads the prefix length of `entry`, which is at most `longest`.
fn read_prefix(entry: &str, text: &str, longest: u32) -> Result<u32, AddressError> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text == "0" || !text.starts_with('0');
    match text.parse() {
        Ok(prefix) if digits && plain && prefix <= longest => Ok(prefix),
        _ => Err(AddressError::Prefix { entry: entry.to_owned(), longest }),
    }
}

/// Sorts `ranges` and joins those that overlap or touch.
fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            // Nothing comes after the last address of all, so whatever follows it lies within.
            Some((_, end)) if next(*end).is_none_or(|next| first <= next) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The peers whose word about the client is taken: a realm's `trusted_proxies`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyList {
    addresses: AddressSet,
    unix: bool,
}

impl ProxyList {
    /// Reads a list of addresses, CIDRs and `unix`.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, AddressError> {
        let mut unix = false;
        let mut addresses = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.as_ref() {
                "unix" => unix = true,
                address => addresses.push(address),
            }
        }
        Ok(Self { addresses: AddressSet::parse(&addresses)?, unix })
    }

    /// Whether `peer` is one of them.
    pub fn trusts(&self, peer: Peer) -> bool {
        match peer {
            Peer::Unknown => false,
            Peer::Unix => self.unix,
            Peer::Address(address) => self.addresses.contains(address),
        }
    }
}

/// Who sent the request: the peer, or whom the proxies among the `proxies` say it came from.
///
/// `header_name` is compared in any case. The entries of all such headers are read from the right,
/// because everything left of the first address that is not a trusted proxy is the client's own writing.
/// [`Peer::Unknown`] where an entry on the way is not an address.
pub fn client<H: HeaderList + ?Sized>(
    peer: Peer,
    proxies: &ProxyList,
    header_name: &[u8],
    headers: &H,
) -> Peer {
    if !proxies.trusts(peer) {
        return peer;
    }
    let mut leftmost = peer;
    for index in (0..headers.count()).rev() {
        let (name, value) = headers.field(index);
        if !name.eq_ignore_ascii_case(header_name) {
            continue;
        }
        let mut rest = Some(value);
        while let Some(list) = rest {
            let comma = last_position(list, b',');
            let entry = list.get(comma.map_or(0, |comma| comma + 1)..).unwrap_or_default();
            let Some(address) = read_address(trim(entry)) else {
                return Peer::Unknown;
            };
            leftmost = Peer::Address(address);
            if !proxies.trusts(leftmost) {
                return leftmost;
            }
            rest = comma.and_then(|comma| list.get(..comma));
        }
    }
    leftmost
}

#[cfg(test)]
mod tests;
