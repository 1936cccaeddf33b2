use super::*;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn only_strict_text_is_an_address() {
    for (text, address) in [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("0000:0000:0000:0000:0000:ffff:203.000.113.7", ""),
        ("0000:0000:0000:0000:0000:ffff:203.100.113.117", "203.100.113.117"),
        ("::203.0.113.7", "::203.0.113.7"),
        ("2001:0DB8:0020:0:0:0:0:1", "2001:db8:20::1"),
        ("203.0.113.07", ""),
        ("203.0.28935", ""),
        ("0xcb.0.113.7", ""),
        ("3405803783", ""),
        ("203.0.113.256", ""),
        ("203.0.113.7:443", ""),
        ("203.0.113.7 ", ""),
        ("203.0.113.7/32", ""),
        ("2001:db8::1%eth0", ""),
        ("[2001:db8::1]", ""),
        ("2001:db8::00001", ""),
        ("1::2::3", ""),
        ("1:2:3:4:5:6:7", ""),
        ("::ffff:203.0.113.07", ""),
        ("", ""),
        ("unix", ""),
        ("unknown", ""),
    ] {
        let expected = if address.is_empty() { Peer::Unknown } else { Peer::Address(ip(address)) };
        assert_eq!(Peer::parse(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(Peer::parse(b"unix:"), Peer::Unix);
    assert_eq!(Peer::parse(b"unix:/run/x"), Peer::Unknown);
    assert_eq!(Peer::parse(b"203.0.113.7\xff"), Peer::Unknown);
}

proptest! {
    #[test]
    fn dotted_quads_are_those_of_the_standard_library(
        numbers in prop::collection::vec((0..400_u32, prop::sample::select(vec![0, 0, 0, 0, 2, 3])), 3..=5),
        stray in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(b"0123456789.:+- \x00\xff".to_vec()))),
    ) {
        let number = |(number, width): (u32, usize)| format!("{number:0width$}");
        let mut text = numbers.into_iter().map(number).collect::<Vec<_>>().join(".").into_bytes();
        if let Some((at, byte)) = stray {
            *at.get_mut(&mut text) = byte;
        }
        let expected = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        prop_assert_eq!(read_dotted_quad(&text), expected);
        for end in 0..text.len() {
            let expected = std::str::from_utf8(&text[..end]).ok().and_then(|text| text.parse().ok());
            prop_assert_eq!(read_dotted_quad(&text[..end]), expected);
        }
    }
}

#[test]
fn a_list_is_kept_as_ranges_that_ascend_and_do_not_touch() {
    let set = AddressSet::parse(&[
        "203.0.113.128/25",
        "10.0.0.0/8",
        "203.0.113.0/25",
        "10.1.0.0/16",
        "::ffff:198.51.100.1",
        "255.255.255.255",
        "255.255.255.254/31",
        "2001:db8::/32",
        "2001:db8:1::1",
    ])
    .unwrap();
    let v4 = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
    assert_eq!(
        set.v4_ranges(),
        [
            (v4("10.0.0.0"), v4("10.255.255.255")),
            (v4("198.51.100.1"), v4("198.51.100.1")),
            (v4("203.0.113.0"), v4("203.0.113.255")),
            (v4("255.255.255.254"), v4("255.255.255.255")),
        ]
    );
    assert_eq!(set.v6_ranges().len(), 1);
    let every = AddressSet::parse(&["0.0.0.0/0", "::/0", "255.255.255.255"]).unwrap();
    assert_eq!((every.v4_ranges(), every.v6_ranges()), (&[(0, u32::MAX)][..], &[(0, u128::MAX)][..]));
    assert!(AddressSet::parse::<&str>(&[]).unwrap().is_empty());
}

#[test]
fn a_mapped_address_is_an_ipv4_address_on_both_sides() {
    let v4 = AddressSet::parse(&["0.0.0.0/0"]).unwrap();
    let v6 = AddressSet::parse(&["::/0"]).unwrap();
    assert!(v4.contains(ip("::ffff:198.51.100.200")));
    assert!(!v6.contains(ip("::ffff:198.51.100.200")));
    assert!(!v4.contains(ip("2001:db8::1")));
    assert!(v6.contains(ip("::198.51.100.200")));
    assert!(AddressSet::parse(&["::ffff:192.0.2.1"]).unwrap().contains(ip("192.0.2.1")));
}

#[test]
fn an_entry_that_cannot_be_is_named_in_full() {
    let not = |entry: &str| AddressError::NotAnAddress { entry: entry.to_owned() };
    let prefix = |entry: &str, longest| AddressError::Prefix { entry: entry.to_owned(), longest };
    let mapped = |entry: &str| AddressError::Mapped { entry: entry.to_owned() };
    let host = |entry: &str, network: &str| AddressError::HostBits {
        entry: entry.to_owned(),
        network: network.to_owned(),
    };
    for (entry, error) in [
        ("2001:db8::1/64", host("2001:db8::1/64", "2001:db8::/64")),
        ("192.0.2.1/24", host("192.0.2.1/24", "192.0.2.0/24")),
        ("0.0.0.1/0", host("0.0.0.1/0", "0.0.0.0/0")),
        ("::1/0", host("::1/0", "::/0")),
        ("10.0.0.0/08", prefix("10.0.0.0/08", 32)),
        ("10.0.0.0/00", prefix("10.0.0.0/00", 32)),
        ("10.0.0.0/+8", prefix("10.0.0.0/+8", 32)),
        ("10.0.0.0/", prefix("10.0.0.0/", 32)),
        ("10.0.0.0/8/8", prefix("10.0.0.0/8/8", 32)),
        ("10.0.0.0/255.0.0.0", prefix("10.0.0.0/255.0.0.0", 32)),
        ("203.0.113.0/33", prefix("203.0.113.0/33", 32)),
        ("2001:db8::/129", prefix("2001:db8::/129", 128)),
        ("2001:db8::/4294967297", prefix("2001:db8::/4294967297", 128)),
        ("::ffff:0:0/96", mapped("::ffff:0:0/96")),
        ("::ffff:0.0.0.0/8", mapped("::ffff:0.0.0.0/8")),
        ("::ffff:192.0.2.0/120", mapped("::ffff:192.0.2.0/120")),
        ("::ffff:192.0.2.1/128", mapped("::ffff:192.0.2.1/128")),
        ("unix", AddressError::Unix { entry: "unix".to_owned() }),
        ("unix:", not("unix:")),
        ("", not("")),
        ("10.0.0/8", not("10.0.0/8")),
        ("example.com", not("example.com")),
        (" 10.0.0.1", not(" 10.0.0.1")),
        ("fe80::1%eth0", not("fe80::1%eth0")),
    ] {
        assert!(error.to_string().contains(entry), "{error}");
        assert_eq!(AddressSet::parse(&["192.0.2.0/24", entry]), Err(error.clone()), "{entry}");
        if entry != "unix" {
            assert_eq!(ProxyList::parse(&["unix", entry]), Err(error), "{entry}");
        }
    }
}

#[test]
fn ranges_can_be_searched_wherever_they_are_stored() {
    let set = AddressSet::parse(&["10.0.0.0/8", "192.0.2.1", "203.0.113.0/24"]).unwrap();
    let stored: Vec<[u8; 8]> = set
        .v4_ranges()
        .iter()
        .map(|(first, last)| (u64::from(*first) | u64::from(*last) << 32).to_le_bytes())
        .collect();
    let range = |index: usize| {
        let both = stored.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        (both as u32, (both >> 32) as u32)
    };
    for text in
        ["9.255.255.255", "10.0.0.0", "10.255.255.255", "192.0.2.0", "192.0.2.1", "203.0.113.9", "204.0.0.0"]
    {
        let address: Ipv4Addr = text.parse().unwrap();
        assert_eq!(
            in_ranges(stored.len(), range, &address.to_bits()),
            set.contains(address.into()),
            "{text}"
        );
    }
}

fn field(value: &str) -> (&str, &str) {
    ("X-Forwarded-For", value)
}

fn read(peer: &str, headers: &[(&str, &str)]) -> Peer {
    let proxies = ProxyList::parse(&["unix", "192.0.2.0/28", "2001:db8:ffff::/64"]).unwrap();
    client(Peer::parse(peer.as_bytes()), &proxies, b"x-forwarded-for", headers)
}

#[test]
fn the_client_is_the_rightmost_entry_that_is_no_proxy() {
    let client = Peer::Address(ip("203.0.113.7"));
    for values in [
        &["203.0.113.7"][..],
        &["198.51.100.9, 203.0.113.7, 192.0.2.3"],
        &["nonsense,,\t 203.0.113.7 \t,192.0.2.3"],
        &["198.51.100.9", " 203.0.113.7 ,192.0.2.1\t", "192.0.2.2"],
        &["::ffff:203.0.113.7, ::ffff:192.0.2.1"],
    ] {
        let headers: Vec<_> = values.iter().map(|value| field(value)).collect();
        for peer in ["192.0.2.5", "2001:db8:ffff::2", "::ffff:192.0.2.5", "unix:"] {
            assert_eq!(read(peer, &headers), client, "{values:?} from {peer}");
        }
        for peer in ["192.0.2.16", "", "unix"] {
            assert_eq!(read(peer, &headers), Peer::parse(peer.as_bytes()), "{values:?} from {peer}");
        }
    }
}

#[test]
fn where_all_are_proxies_the_leftmost_is_the_client() {
    assert_eq!(read("192.0.2.5", &[field("192.0.2.1, 192.0.2.2")]), Peer::Address(ip("192.0.2.1")));
    assert_eq!(read("unix:", &[field("192.0.2.1"), field("192.0.2.2")]), Peer::Address(ip("192.0.2.1")));
}

#[test]
fn without_the_header_the_client_is_the_peer() {
    let other = [("X_Forwarded_For", "203.0.113.7"), ("X-Forwarded-Fo", "203.0.113.7")];
    assert_eq!(read("192.0.2.5", &other), Peer::Address(ip("192.0.2.5")));
    assert_eq!(read("unix:", &[]), Peer::Unix);
}

#[test]
fn an_entry_that_is_no_address_makes_the_client_unknown() {
    for value in [
        "",
        " \t",
        ",",
        "203.0.113.7,",
        "203.0.113.7:52100",
        "203.0.113.7, _hidden, 192.0.2.3",
        "unknown",
        "unix:",
    ] {
        assert_eq!(read("192.0.2.5", &[field(value)]), Peer::Unknown, "{value}");
    }
    assert_eq!(read("192.0.2.5", &[field("203.0.113.7"), field("")]), Peer::Unknown);
}

/// Entries, most of them of proxies.
fn any_entry() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0..16_u8).prop_map(|host| format!(" 192.0.2.{host}")),
        2 => (0..255_u8).prop_map(|host| format!("203.0.113.{host}\t")),
        1 => prop::sample::select(vec!["", "x", "2001:db8:ffff::7", "::ffff:192.0.2.3", "1.2.3"]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn it_says_what_the_list_read_as_a_whole_says(
        lists in prop::collection::vec(prop::collection::vec(any_entry(), 1..5), 0..4),
    ) {
        let values: Vec<String> = lists.iter().map(|entries| entries.join(",")).collect();
        let headers: Vec<_> = values.iter().map(|value| ("x-ForWarded-For", value.as_str())).collect();
        let proxies = AddressSet::parse(&["192.0.2.0/28", "2001:db8:ffff::/64"]).unwrap();
        let mut expected = Peer::parse(b"192.0.2.5");
        for entry in lists.concat().iter().rev() {
            expected = Peer::parse(entry.trim_matches([' ', '\t']).as_bytes());
            match expected {
                Peer::Address(address) if proxies.contains(address) => {}
                _ => break,
            }
        }
        prop_assert_eq!(read("192.0.2.5", &headers), expected);
    }

    #[test]
    fn a_set_contains_what_its_entries_contain(
        entries in prop::collection::vec((any::<u8>(), 20..=32_u32), 0..12),
        probes in prop::collection::vec(any::<u16>(), 64),
    ) {
        let networks: Vec<(u32, u32)> = entries
            .iter()
            .map(|&(seed, prefix)| (0x0A00_0000 | (u32::from(seed) << 5) & !(u32::MAX.checked_shr(prefix).unwrap_or(0)), prefix))
            .collect();
        let texts: Vec<String> =
            networks.iter().map(|&(first, prefix)| format!("{}/{prefix}", Ipv4Addr::from_bits(first))).collect();
        let set = AddressSet::parse(&texts).unwrap();
        for pair in set.v4_ranges().windows(2) {
            prop_assert!(u64::from(pair[0].1) + 1 < u64::from(pair[1].0));
        }
        for probe in probes {
            let probe = 0x0A00_0000 | u32::from(probe) & 0x3FFF;
            let slow = networks.iter().any(|&(first, prefix)| {
                let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
                probe & !host == first
            });
            prop_assert_eq!(set.contains(Ipv4Addr::from_bits(probe).into()), slow);
        }
    }
}
