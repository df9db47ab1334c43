//! From an address to the socket addresses that it means, and whether they may be used.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use bowline_transport::{Address, AddressKind, Fault};

/// The host and port of an address that this crate speaks.
pub(crate) fn parts(address: &Address) -> Result<(&str, u16), Fault> {
    match address.kind() {
        AddressKind::Tcp { host, port } => Ok((host, port)),
        _ => Err(Fault::unsupported(address)),
    }
}

/// Looks up an address, in this thread.
pub(crate) fn resolve(
    address: &Address,
    allow_non_loopback: bool,
) -> Result<Vec<SocketAddr>, Fault> {
    let (host, port) = parts(address)?;
    let found = (host, port).to_socket_addrs().map(Iterator::collect);
    checked(host, found, allow_non_loopback)
}

/// What a look-up has found, if it may be used. One address beyond loopback spoils the name: whoever
/// answers the look-up must not choose.
pub(crate) fn checked(
    host: &str,
    found: io::Result<Vec<SocketAddr>>,
    allow_non_loopback: bool,
) -> Result<Vec<SocketAddr>, Fault> {
    let unresolved = |error| Fault::Resolve { host: host.to_owned(), error };
    let found = found.map_err(unresolved)?;
    if found.is_empty() {
        let error = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        return Err(unresolved(error));
    }
    match found.iter().map(SocketAddr::ip).find(|addr| !is_loopback(*addr)) {
        Some(addr) if !allow_non_loopback => Err(Fault::NotLoopback { addr }),
        _ => Ok(found),
    }
}

/// Includes IPv4 loopback addresses in IPv6's clothes, `::ffff:127.0.0.1`.
fn is_loopback(addr: IpAddr) -> bool {
    addr.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], allow: bool) -> Result<usize, Fault> {
        let found = addresses.iter().map(|text| text.parse().unwrap()).collect();
        checked("name", Ok(found), allow).map(|found| found.len())
    }

    #[test]
    fn loopback_alone_unless_allowed() {
        assert_eq!(check(&["127.0.0.1:1", "[::1]:1"], false).unwrap(), 2);
        assert_eq!(check(&["127.8.9.10:1", "[::ffff:127.0.0.1]:1"], false).unwrap(), 2);
        for beyond in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", "[fe80::1]:1"]
        {
            let fault = check(&[beyond], false).unwrap_err();
            let expected = beyond.parse::<SocketAddr>().unwrap().ip();
            assert!(matches!(fault, Fault::NotLoopback { addr } if addr == expected), "{beyond}");
            assert_eq!(check(&[beyond], true).unwrap(), 1);
        }
    }

    #[test]
    fn one_address_beyond_loopback_spoils_the_name() {
        let fault = check(&["127.0.0.1:1", "192.0.2.1:1"], false).unwrap_err();
        assert!(matches!(fault, Fault::NotLoopback { .. }));
        assert!(matches!(check(&[], true).unwrap_err(), Fault::Resolve { .. }));
    }
}
