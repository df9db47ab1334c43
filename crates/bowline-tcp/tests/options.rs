//! What TCP refuses unless told otherwise, and what becomes of a connection.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream as StdStream};
use std::os::fd::AsFd;
use std::time::Duration;

use bowline_tcp::{BindOptions, ConnectOptions, TcpConnector, TcpListener};
use bowline_transport::{Address, AddressKind, Connector, Fault, Listener};
use bytes::BytesMut;
use rustix::net::sockopt::{set_socket_linger, tcp_nodelay};

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn port(address: &Address) -> u16 {
    match address.kind() {
        AddressKind::Tcp { port, .. } => port,
        other => panic!("{other:?}"),
    }
}

const ANY_PORT: &str = "tcp:127.0.0.1:0";

#[test]
fn nothing_beyond_loopback_unless_allowed() {
    for text in ["tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:192.0.2.1:7000", "tcp:[2001:db8::1]:7000"] {
        let refused = [
            BindOptions::new().bind(&address(text)).unwrap_err(),
            ConnectOptions::new().connect(&address(text)).unwrap_err(),
        ];
        for error in refused {
            assert!(matches!(error.fault(), Fault::NotLoopback { .. }), "{error}");
            assert!(!error.is_retryable());
        }
    }
    let options = BindOptions::new().allow_non_loopback(true);
    let listener = options.bind(&address("tcp:0.0.0.0:0")).unwrap();
    let there = format!("tcp:127.0.0.1:{}", port(listener.address()));
    ConnectOptions::new().connect(&address(&there)).unwrap();
    listener.accept().unwrap();
}

#[tokio::test]
async fn nor_on_a_runtime() {
    let beyond = address("tcp:192.0.2.1:7000");
    let error = TcpListener::bind(&beyond).await.unwrap_err();
    assert!(matches!(error.fault(), Fault::NotLoopback { .. }), "{error}");
    let error = TcpConnector::new(&beyond).unwrap().connect().await.unwrap_err();
    assert!(matches!(error.fault(), Fault::NotLoopback { .. }), "{error}");
}

#[tokio::test]
async fn names_are_looked_up() {
    let listener = TcpListener::bind(&address("tcp:localhost:0")).await.unwrap();
    let there = address(&format!("tcp:localhost:{}", port(listener.address())));
    TcpConnector::new(&there).unwrap().connect().await.unwrap();
    ConnectOptions::new().connect(&there).unwrap();
}

#[test]
fn a_port_is_taken_once_and_free_at_once() {
    let listener = BindOptions::new().bind(&address(ANY_PORT)).unwrap();
    let there = listener.address().clone();
    let error = BindOptions::new().bind(&there).unwrap_err();
    assert!(matches!(error.fault(), Fault::AddressInUse), "{error}");
    // The server closes first, so that its side of the connection lingers.
    let client = ConnectOptions::new().connect(&there).unwrap();
    drop(listener.accept().unwrap());
    drop(listener);
    drop(client);
    BindOptions::new().bind(&there).unwrap();
}

#[test]
fn nobody_listens() {
    let listener = BindOptions::new().bind(&address(ANY_PORT)).unwrap();
    let there = listener.address().clone();
    drop(listener);
    let error = ConnectOptions::new().connect(&there).unwrap_err();
    assert!(matches!(error.fault(), Fault::NobodyListening { stale: false }), "{error}");
    assert!(error.is_retryable());
}

#[test]
fn no_delay_and_buffers_at_both_ends() {
    use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
    let options = BindOptions::new().send_buffer(10_000).recv_buffer(20_000);
    let listener = options.bind(&address(ANY_PORT)).unwrap();
    let options = ConnectOptions::new().send_buffer(30_000).recv_buffer(40_000);
    let client = options.connect(listener.address()).unwrap();
    let server = listener.accept().unwrap();
    for (socket, send, recv) in [(&server, 20_000, 40_000), (&client, 60_000, 80_000)] {
        assert!(tcp_nodelay(socket).unwrap());
        // Linux doubles what it is asked for.
        assert_eq!(socket_send_buffer_size(socket).unwrap(), send);
        assert_eq!(socket_recv_buffer_size(socket).unwrap(), recv);
    }
    assert_eq!(client.peer().socket_addr().map(Address::from).as_ref(), Some(listener.address()));
    assert_eq!(server.peer().socket_addr(), client.stream().local_addr().ok());
    assert_eq!((server.peer().kind(), server.peer().uid()), ("tcp", None));
}

#[test]
fn without_a_runtime_bytes_go_both_ways() {
    let listener = BindOptions::new().bind(&address(ANY_PORT)).unwrap();
    let client = ConnectOptions::new().connect(listener.address()).unwrap();
    let server = listener.accept().unwrap();
    assert_eq!(client.send(&[IoSlice::new(b"ah"), IoSlice::new(b"oy")]).unwrap(), 4);
    client.shutdown().unwrap();
    let mut text = String::new();
    server.stream().read_to_string(&mut text).unwrap();
    assert_eq!(text, "ahoy");
    let error = TcpListener::from_bound(listener).unwrap_err();
    assert!(matches!(error.fault(), Fault::Io { .. }), "no runtime is no panic: {error}");
}

#[tokio::test]
async fn a_reset_ends_both_directions_with_an_error() {
    let listener = TcpListener::bind(&address(ANY_PORT)).await.unwrap();
    let addr: SocketAddr = (Ipv4Addr::LOCALHOST, port(listener.address())).into();
    let client = StdStream::connect(addr).unwrap();
    let server = listener.accept().await.unwrap();
    set_socket_linger(client.as_fd(), Some(Duration::ZERO)).unwrap();
    drop(client);
    let mut buf = BytesMut::with_capacity(64);
    let received = poll_fn(|cx| server.poll_recv(cx, &mut buf, &mut Vec::new())).await;
    assert_eq!(received.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let sent = poll_fn(|cx| server.poll_send(cx, &[IoSlice::new(b"x")], &[])).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn receiving_into_a_full_buffer_is_not_the_end() {
    let listener = TcpListener::bind(&address(ANY_PORT)).await.unwrap();
    let client = TcpConnector::new(listener.address()).unwrap().connect().await.unwrap();
    let mut full = BytesMut::new();
    let error = client.try_recv(&mut full, &mut Vec::new()).unwrap_err();
    assert_eq!((error.kind(), full.capacity()), (ErrorKind::InvalidInput, 0));
}
