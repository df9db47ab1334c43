//! Beginnings and ends of servers and channels.

use std::time::{Duration, Instant};

use bowline::{Channel, Code, Origin, Server, Status};
use bowline_tests::net::{Net, Transport};
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, collect, echo, numbered};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;
use bowline_tests::wait::{Gate, Gauge};

/// Longer than a drain takes that waits for nothing, shorter than one that waits for a second.
const AT_ONCE: Duration = Duration::from_millis(900);

/// Unary waits for the gate; the gauge counts who is inside.
fn gated(gate: &Gate, gauge: &Gauge) -> Script {
    let (gate, gauge) = (gate.clone(), gauge.clone());
    Script::new().unary(move |request| {
        let (gate, inside) = (gate.clone(), gauge.enter());
        async move {
            gate.pass().await;
            drop(inside);
            echo(request).await
        }
    })
}

/// Calls until the connection takes no more; what fails before it has started says so.
async fn refused(client: &TestClient) -> Status {
    loop {
        let mut stream = match client.download(numbered(0)).await {
            Ok(stream) => stream,
            Err(status) => return status,
        };
        if let Err(status) = collect(&mut stream).await {
            return status;
        }
    }
}

// [GOA-002] [GOA-003]
async fn a_shutdown_lets_open_calls_finish(net: Net) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let server = net.serve(gated(&gate, &gauge)).await;
    let client = net.client().await;
    let caller = client.clone();
    let open = tokio::spawn(async move { caller.unary(numbered(1)).await });
    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    gauge.live(1).await;
    server.handle().shutdown();
    let status = refused(&client).await;
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert!(status.message().contains("shutting down"), "{status}");
    let error = Channel::connect(&net.address()).await.expect_err("nobody listens");
    assert!(error.to_string().contains("nobody listens"), "{error}");
    // Streams go on, too.
    sender.send(numbered(2)).await.expect("is taken");
    assert_eq!(replies.message().await.expect("OK"), Some(numbered(2)));
    assert!(!server.is_ended());
    gate.open();
    assert_eq!(open.await.expect("no panic").expect("OK").into_inner(), numbered(1));
    assert!(!server.is_ended(), "a stream is open");
    sender.finish();
    assert_eq!(replies.message().await.expect("OK"), None);
    server.ended().await;
}

// [CLS-001] [CLS-002]
async fn an_idle_server_stops_at_once(net: Net) {
    let server = net.serve(Script::new()).await;
    let mut channels = Vec::new();
    for _ in 0..5 {
        let client = net.client().await;
        client.unary(Note::default()).await.expect("OK");
        channels.push(client);
    }
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < AT_ONCE, "after {:?}", start.elapsed());
    for client in channels {
        let status = client.unary(Note::default()).await.expect_err("the server has gone");
        assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    }
}

async fn an_unused_server_stops_at_once(net: Net) {
    let server = net.serve(Script::new()).await;
    let other = server.handle().clone();
    let start = Instant::now();
    other.shutdown();
    other.shutdown();
    server.stop().await;
    assert!(start.elapsed() < AT_ONCE, "after {:?}", start.elapsed());
    other.shutdown();
}

async fn a_shutdown_before_serving_counts(net: Net) {
    let server = Server::builder().listen(&net.address()).await.expect("the address is free");
    server.handle().shutdown();
    server.serve().await;
    let server = Server::builder().listen(&net.address()).await.expect("the address is free");
    server.serve_until(std::future::ready(())).await;
}

async fn a_drain_that_takes_too_long_ends_the_calls(net: Net) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let builder = Server::builder().drain_timeout(Duration::from_millis(30));
    let server = net.serve_with(builder, gated(&gate, &gauge)).await;
    let client = net.client().await;
    let open = tokio::spawn(async move { client.unary(numbered(1)).await });
    gauge.live(1).await;
    server.stop().await;
    let status = open.await.expect("no panic").expect_err("cut off");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false), "{status}");
    assert!(status.message().contains("SHUTDOWN"), "{status}");
    gauge.live(0).await;
}

async fn a_server_that_is_dropped_ends_everything(net: Net) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let server = net.serve(gated(&gate, &gauge)).await;
    let client = net.client().await;
    let caller = client.clone();
    let open = tokio::spawn(async move { caller.unary(numbered(1)).await });
    gauge.live(1).await;
    server.kill().await;
    let status = open.await.expect("no panic").expect_err("cut off");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, false), "{status}");
    gauge.live(0).await;
    let status = client.unary(Note::default()).await.expect_err("the server has gone");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    net.serve(Script::new()).await;
    net.client().await.unary(Note::default()).await.expect("the address is free at once");
}

async fn the_address_is_free_after_a_shutdown(net: Net) {
    for number in 0..5 {
        let server = net.serve(Script::new()).await;
        if net.transport() == Transport::Unix {
            assert!(net.path().exists());
        }
        let client = net.client().await;
        client.unary(numbered(number)).await.expect("OK");
        let taken = Server::builder().listen(&net.address()).await.expect_err("in use");
        assert!(taken.to_string().contains("cannot listen at"), "{taken}");
        server.stop().await;
        if net.transport() == Transport::Unix {
            assert!(!net.path().exists(), "the socket file is removed");
        }
        Channel::connect(&net.address()).await.expect_err("nobody listens");
    }
}

async fn a_server_listens_at_more_than_one_address(net: Net) {
    let second = format!("unix:{}", net.path().with_extension("second").display());
    let server = Server::builder().add_service(Script::new().into_service());
    let server = server.listen(&net.address()).await.expect("the address is free");
    let server = server.also_listen(&second).await.expect("the address is free");
    assert_eq!(server.addresses().len(), 2);
    let handle = server.handle();
    let serving = tokio::spawn(server.serve());
    for address in [net.address(), second] {
        let client = TestClient::new(Channel::connect(&address).await.expect("it listens"));
        client.unary(Note::default()).await.expect("OK");
    }
    handle.shutdown();
    serving.await.expect("no panic");
}

async fn close_waits_for_the_calls_that_are_open(net: Net) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    net.serve(gated(&gate, &gauge)).await;
    let channel = net.channel().await;
    let client = TestClient::new(channel.clone());
    let caller = client.clone();
    let open = tokio::spawn(async move { caller.unary(numbered(1)).await });
    gauge.live(1).await;
    let closing = tokio::spawn(channel.clone().close());
    let status = refused(&client).await;
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert_eq!((status.origin(), status.not_started()), (Origin::Local, true), "{status}");
    assert!(!closing.is_finished());
    gate.open();
    open.await.expect("no panic").expect("it was open");
    closing.await.expect("no panic");
    channel.close().await;
}

async fn a_call_outlives_its_channel(net: Net) {
    net.serve(Script::new()).await;
    let client = net.client().await;
    let (mut sender, mut replies) = client.chat(()).await.expect("opens");
    drop(client);
    for number in 0..10 {
        sender.send(numbered(number)).await.expect("is taken");
        assert_eq!(replies.message().await.expect("OK"), Some(numbered(number)));
    }
    sender.finish();
    assert_eq!(replies.message().await.expect("OK"), None);
}

async fn a_channel_that_is_dropped_unused_is_closed(net: Net) {
    let server = net.serve(Script::new()).await;
    drop(net.channel().await);
    let channel = net.channel().await;
    channel.ready().await.expect("the server answers");
    drop(channel);
    let start = Instant::now();
    server.stop().await;
    assert!(start.elapsed() < AT_ONCE, "after {:?}", start.elapsed());
}

// [CLS-003]
async fn a_client_that_vanishes_takes_its_handlers_along(net: Net) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    net.serve(gated(&gate, &gauge)).await;
    let mut peer = net.raw().await;
    peer.greet().await;
    for call in [1, 3, 5] {
        peer.send(bowline_tests::raw::unary(call, bowline_tests::raw::UNARY, &numbered(1))).await;
    }
    gauge.live(3).await;
    drop(peer);
    gauge.live(0).await;
}

over_every_transport!(
    a_shutdown_lets_open_calls_finish,
    an_idle_server_stops_at_once,
    an_unused_server_stops_at_once,
    a_shutdown_before_serving_counts,
    a_drain_that_takes_too_long_ends_the_calls,
    a_server_that_is_dropped_ends_everything,
    the_address_is_free_after_a_shutdown,
    a_server_listens_at_more_than_one_address,
    close_waits_for_the_calls_that_are_open,
    a_call_outlives_its_channel,
    a_channel_that_is_dropped_unused_is_closed,
    a_client_that_vanishes_takes_its_handlers_along,
);
