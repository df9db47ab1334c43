//! What only the driver of a connection can keep: the order of writing and starting.

use bowline::{Channel, Server};
use bowline_protocol::Side;
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::raw;
use bowline_tests::script::{Script, numbered};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;
use bowline_tests::wait::Gauge;
use bowline_transport::Address;
use bowline_transport::memory::{MemoryConnector, MemoryListener};

/// Bytes that the narrow pipe holds.
const ROOM: usize = 40;

fn counted(gauge: &Gauge) -> Script {
    let count = gauge.clone();
    Script::new().chat(move |_, _| {
        drop(count.enter());
        async { Ok(()) }
    })
}

/// What a client writes at once: handshake and a call.
fn eager() -> Vec<u8> {
    [raw::opening(&raw::hello(Side::Connecting)), raw::request(1, raw::CHAT)].concat()
}

// [PRE-002]
async fn a_handler_starts_behind_the_handshake(net: Net) {
    let gauge = Gauge::new();
    net.serve(counted(&gauge)).await;
    let mut peer = net.raw().await;
    peer.send(eager()).await;
    gauge.entered(1).await;
    if net.keeps_written() {
        assert!(peer.read_now(1000) > 8 + 16, "preface and HELLO are there already");
    }
    peer.read_opening().await;
    assert_eq!(peer.outcome(1).await.0.code, 0);
}

// [PRE-002]
async fn no_handler_starts_while_the_handshake_does_not_fit(net: Net) {
    let gauge = Gauge::new();
    let address: Address = format!("{}-narrow", net.address()).parse().expect("an address");
    // Room for what the client says in two reads, and not for all that the server says.
    let listener = MemoryListener::bind_with_capacity(&address, ROOM).expect("the name is free");
    let builder = Server::builder().add_service(counted(&gauge).into_service());
    let server = builder.listen_on(listener).expect("the limits are good");
    let (handle, serving) = (server.handle(), tokio::spawn(server.serve()));
    let connector = MemoryConnector::new(&address).expect("a memory address");
    let mut peer = net.raw_over(&connector).await;
    peer.send(eager()).await;
    // Until so much has been read, the last byte cannot have been written.
    let length = raw::opening(&raw::hello(Side::Accepting)).len();
    assert!(length > ROOM && eager().len() <= 2 * ROOM);
    for read in 1..length - ROOM {
        assert!(peer.wait_for(read).await, "the server goes on");
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gauge.counts().entered, 0, "after {read} of {length} bytes");
    }
    peer.read_opening().await;
    gauge.entered(1).await;
    assert_eq!(peer.outcome(1).await.0.code, 0);
    drop(peer);
    handle.shutdown();
    serving.await.expect("no panic");
}

/// Everything works over sockets that take and give one byte at a time.
async fn a_narrow_pipe_is_only_slow(net: Net) {
    for capacity in [1, 7, 100] {
        let text = format!("{}-narrow-{capacity}", net.address());
        let address: Address = text.parse().expect("an address");
        let listener = MemoryListener::bind_with_capacity(&address, capacity);
        let listener = listener.expect("the name is free");
        let builder = Server::builder().add_service(Script::new().into_service());
        let server = builder.listen_on(listener).expect("the limits are good");
        let (handle, serving) = (server.handle(), tokio::spawn(server.serve()));
        let client = TestClient::new(Channel::connect(&text).await.expect("it listens"));
        let calls: Vec<_> = (0..20)
            .map(|number| {
                let client = client.clone();
                let note = Note { payload: vec![1; 500], ..numbered(number) };
                tokio::spawn(async move { client.unary(note).await })
            })
            .collect();
        for (number, call) in (0..).zip(calls) {
            let reply = call.await.expect("no panic").expect("OK").into_inner();
            assert_eq!((reply.number, reply.payload.len()), (number, 500));
        }
        drop(client);
        handle.shutdown();
        serving.await.expect("no panic");
    }
}

over_every_transport!(a_handler_starts_behind_the_handshake,);
// With a capacity of the test's choice.
over_every_transport!(no_handler_starts_while_the_handshake_does_not_fit: memory Memory One, memory_threads Memory Two);
over_every_transport!(a_narrow_pipe_is_only_slow: memory Memory One, memory_threads Memory Two);
