//! Tests of addresses: what parses, what does not, and that text and address agree.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn problem(text: &str) -> AddressProblem {
    text.parse::<Address>().expect_err(text).problem().clone()
}

#[test]
fn canonical_texts() {
    for (text, canonical) in [
        ("unix:run/api.sock", "unix:run/api.sock"),
        ("unix:/run/api.sock", "unix:///run/api.sock"),
        ("unix:///run/api.sock", "unix:///run/api.sock"),
        ("unix:////run", "unix:////run"),
        ("unix:with space: and colon", "unix:with space: and colon"),
        ("unix:100%20", "unix:100%20"),
        ("unix-abstract:name", "unix-abstract:name"),
        ("unix-abstract:/like/a/path", "unix-abstract:/like/a/path"),
        ("tcp:127.0.0.1:7000", "tcp:127.0.0.1:7000"),
        ("tcp:[::1]:7000", "tcp:[::1]:7000"),
        ("tcp:[0:0:0:0:0:0:0:1]:7000", "tcp:[::1]:7000"),
        ("tcp:[::ffff:127.0.0.1]:0", "tcp:[::ffff:127.0.0.1]:0"),
        ("tcp:LocalHost:7000", "tcp:localhost:7000"),
        ("memory:a name", "memory:a name"),
        ("vsock:3:7000", "vsock:3:7000"),
        ("fd:3", "fd:3"),
        ("other:", "other:"),
    ] {
        let address = parse(text);
        assert_eq!(address.to_string(), canonical);
        assert_eq!(parse(canonical), address, "{text}");
        assert_eq!(Address::from_os_str(&address.to_os_string()).unwrap(), address);
    }
}

#[test]
fn parts() {
    assert_eq!(parse("unix:/a").kind(), AddressKind::Unix(Path::new("/a")));
    assert_eq!(parse("unix-abstract:a").kind(), AddressKind::UnixAbstract(b"a"));
    assert_eq!(parse("tcp:[::1]:7").kind(), AddressKind::Tcp { host: "::1", port: 7 });
    assert_eq!(parse("memory:a").kind(), AddressKind::Memory("a"));
    assert_eq!(parse("vsock:3:7").kind(), AddressKind::Other { scheme: "vsock", rest: "3:7" });
    assert_eq!(parse("vsock:3:7").scheme(), "vsock");
    assert_eq!(Address::from("[::1]:7".parse::<SocketAddr>().unwrap()), parse("tcp:[::1]:7"));
    assert_eq!(Address::tcp("::1", 7), Address::tcp("[::1]", 7));
}

#[test]
fn what_is_wrong_is_said() {
    use AddressProblem as P;
    let host = |host: &str| P::InvalidHost { host: host.into() };
    let port = |port: &str| P::InvalidPort { port: port.into() };
    for (text, expected) in [
        ("", P::NoScheme),
        ("api.sock", P::NoScheme),
        ("/run/a:b", P::NoScheme),
        ("127.0.0.1:7000", P::NoScheme),
        ("[::1]:7000", P::NoScheme),
        ("Unix:a", P::InvalidScheme { scheme: "Unix".into() }),
        (":a", P::InvalidScheme { scheme: String::new() }),
        ("unix:", P::EmptyPath),
        ("unix:a\0b", P::NulInPath),
        ("unix://run/api.sock", P::UnixHost),
        ("unix://", P::UnixHost),
        ("unix-abstract:", P::EmptyName),
        ("memory:", P::EmptyName),
        ("tcp://127.0.0.1:7000", P::TcpSlashes),
        ("tcp:127.0.0.1", P::NoPort),
        ("tcp:[::1]", P::NoPort),
        ("tcp:localhost:", port("")),
        ("tcp:localhost:+1", port("+1")),
        ("tcp:localhost:65536", port("65536")),
        ("tcp::7000", host("")),
        ("tcp:::1:7000", host("::1")),
        ("tcp:[127.0.0.1]:7000", host("[127.0.0.1]")),
        ("tcp:[fe80::1%2]:7000", host("[fe80::1%2]")),
        ("tcp:a b:7000", host("a b")),
        ("tcp:127.1:7000", host("127.1")),
        ("tcp:0x7f000001:7000", host("0x7f000001")),
    ] {
        assert_eq!(problem(text), expected, "{text:?}");
    }
    assert!(matches!(Address::other("tcp", "x").unwrap_err().problem, P::ReservedScheme { .. }));
    assert_eq!(
        "tcp:localhost".parse::<Address>().unwrap_err().to_string(),
        "\"tcp:localhost\" is not an address: the port is missing; an address is one of \
         unix:relative/path, unix:///absolute/path, unix-abstract:name, tcp:127.0.0.1:7000, \
         tcp:[::1]:7000, memory:name"
    );
}

proptest! {
    #[test]
    fn any_text_that_parses_comes_back(text in ".*") {
        if let Ok(address) = text.parse::<Address>() {
            prop_assert_eq!(parse(&address.to_string()), address);
        }
    }

    #[test]
    fn any_scheme_and_rest(
        scheme in "(unix|unix-abstract|tcp|memory|[a-z][a-z0-9+.-]{0,8}):/{0,4}", rest in ".*"
    ) {
        if let Ok(address) = format!("{scheme}{rest}").parse::<Address>() {
            prop_assert_eq!(parse(&address.to_string()), address.clone());
            prop_assert_eq!(Address::from_os_str(&address.to_os_string()).unwrap(), address);
        }
    }

    #[test]
    fn any_bytes_make_a_path_or_a_name(bytes in prop::collection::vec(1u8.., 1..120)) {
        let path = Address::unix(OsStr::from_bytes(&bytes)).unwrap();
        prop_assert_eq!(Address::from_os_str(&path.to_os_string()).unwrap(), path);
        let name = Address::unix_abstract(&bytes).unwrap();
        prop_assert_eq!(Address::from_os_str(&name.to_os_string()).unwrap(), name);
    }
}
