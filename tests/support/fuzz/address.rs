//! Addresses, against docs/DECISIONS.md section 5 as slowly as it reads. The first line is a list of addresses
//! and CIDRs with commas between them, the second the peer, each other one a header `X-Forwarded-For`.

use super::lines;
use keyward::request::Peer;
use keyward::request::address::{AddressSet, ProxyList, client};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Finds the client's address, and whether lists hold it.
pub fn run(data: &[u8]) {
    let mut lines = lines(data);
    let (list, peer) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(list) = str::from_utf8(list) else { return };
    let entries: Vec<&str> = list.split(',').filter(|entry| !entry.is_empty()).collect();
    let peer = Peer::parse(peer);
    let values: Vec<&[u8]> = lines.collect();
    let headers: Vec<(&[u8], &[u8])> = values.iter().map(|value| (&b"x-forwarded-FOR"[..], *value)).collect();

    let addresses: Vec<&str> = entries.iter().copied().filter(|entry| *entry != "unix").collect();
    let parsed: Option<Vec<(IpAddr, u32)>> = addresses.iter().map(|entry| network(entry)).collect();
    let set = AddressSet::parse(&addresses);
    assert_eq!(set.is_ok(), parsed.is_some(), "{addresses:?}");
    let (Ok(set), Some(networks), Ok(proxies)) = (set, parsed, ProxyList::parse(&entries)) else { return };
    assert!(set.v4_ranges().windows(2).all(|pair| pair[0].1 < u32::MAX && pair[0].1 + 1 < pair[1].0));
    assert!(set.v6_ranges().windows(2).all(|pair| pair[0].1 < u128::MAX && pair[0].1 + 1 < pair[1].0));

    let trusts = |peer: Peer| match peer {
        Peer::Unknown => false,
        Peer::Unix => entries.contains(&"unix"),
        Peer::Address(address) => networks.iter().any(|network| holds(*network, address)),
    };
    let found = client(peer, &proxies, b"X-Forwarded-For", &headers[..]);
    let text = values.iter().flat_map(|value| value.split(|&byte| byte == b','));
    let chain: Vec<Peer> = text.map(entry).collect();
    let mut expected = peer;
    for next in chain.into_iter().rev() {
        if !trusts(expected) {
            break;
        }
        expected = next;
    }
    assert_eq!(canonical(found), canonical(expected), "{list} {peer:?}");
    for peer in [found, peer, Peer::Unix, Peer::Unknown] {
        assert_eq!(proxies.trusts(peer), trusts(peer), "{peer:?}");
        if let Peer::Address(address) = peer {
            assert_eq!(set.contains(address), trusts(peer), "{address}");
        }
    }
}

fn canonical(peer: Peer) -> Peer {
    match peer {
        Peer::Address(address) => Peer::Address(address.to_canonical()),
        other => other,
    }
}

/// An entry of the header; `unix:` is none.
fn entry(text: &[u8]) -> Peer {
    let text = str::from_utf8(text).unwrap_or("no text").trim_matches([' ', '\t']);
    text.parse().map_or(Peer::Unknown, |address: IpAddr| Peer::Address(address.to_canonical()))
}

fn network(entry: &str) -> Option<(IpAddr, u32)> {
    let Some((address, prefix)) = entry.split_once('/') else {
        let address = entry.parse::<IpAddr>().ok()?.to_canonical();
        return Some((address, if address.is_ipv4() { 32 } else { 128 }));
    };
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = prefix.parse().ok()?;
    if prefix != length.to_string() || address.to_canonical() != address {
        return None;
    }
    let host_bits = match address {
        IpAddr::V4(v4) => length <= 32 && v4.to_bits() & u32::MAX.checked_shr(length).unwrap_or(0) == 0,
        IpAddr::V6(v6) => length <= 128 && v6.to_bits() & u128::MAX.checked_shr(length).unwrap_or(0) == 0,
    };
    // What an IPv4-mapped CIDR is depends on its length; all of them are refused.
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    (host_bits && !mapped).then_some((address, length))
}

fn holds((network, length): (IpAddr, u32), address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (4, u128::from(Ipv4Addr::to_bits(v4)), 32),
        IpAddr::V6(v6) => (6, Ipv6Addr::to_bits(v6), 128),
    };
    let ((version, first, width), (other, value, _)) = (bits(network), bits(address.to_canonical()));
    let shift = width - length;
    version == other && first.checked_shr(shift).unwrap_or(0) == value.checked_shr(shift).unwrap_or(0)
}
