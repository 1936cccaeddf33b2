//! Stub.
use std::net::IpAddr;

/// Stub.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an address or CIDR")]
pub struct AddressListError(String);

/// Stub.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AddressSet(Vec<(IpAddr, u8)>);

fn entry(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address.parse::<IpAddr>().ok()?, Some(length)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => width,
        Some(digits) if digits.len() > 1 && digits.starts_with('0') => return None,
        Some(digits) => digits.parse::<u8>().ok()?,
    };
    if length > width {
        return None;
    }
    let host = match address {
        IpAddr::V4(v4) => u32::from(v4).checked_shl(u32::from(length)).unwrap_or(0) != 0,
        IpAddr::V6(v6) => {
            if v6.to_ipv4_mapped().is_some() && length < 128 {
                return None;
            }
            u128::from(v6).checked_shl(u32::from(length)).unwrap_or(0) != 0
        }
    };
    (!host).then_some((address, length))
}

impl AddressSet {
    /// Stub.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, AddressListError> {
        entries
            .iter()
            .map(|text| {
                entry(text.as_ref()).ok_or_else(|| AddressListError(text.as_ref().to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Stub.
#[derive(Clone, Debug)]
pub struct ProxyList;

impl ProxyList {
    /// Stub.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, AddressListError> {
        let addresses: Vec<&str> = entries
            .iter()
            .map(AsRef::as_ref)
            .filter(|text| *text != "unix")
            .collect();
        AddressSet::parse(&addresses).map(|_| Self)
    }
}
