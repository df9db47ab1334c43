//! Channels that connect again.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

use bowline::{Channel, Code, Limits, Reconnect, Request, Server};
use bowline_tests::net::Net;
use bowline_tests::over_every_transport;
use bowline_tests::script::{Script, echo, numbered};
use bowline_tests::test::Note;
use bowline_tests::test::test_client::TestClient;
use bowline_tests::wait::{Gate, Gauge};

const SOON: Duration = Duration::from_millis(60);

fn quick() -> Reconnect {
    let mut reconnect = Reconnect::default();
    reconnect.initial = Duration::from_millis(2);
    reconnect.max = Duration::from_millis(10);
    reconnect
}

async fn reconnecting(net: &Net) -> Channel {
    net.builder().reconnect(quick()).connect().await.expect("the server listens")
}

/// Counts and answers.
fn counted(gauge: &Gauge) -> Script {
    let count = gauge.clone();
    Script::new().unary(move |request| {
        drop(count.enter());
        echo(request)
    })
}

/// Counts and waits for ever.
fn stuck(gauge: &Gauge) -> Script {
    let count = gauge.clone();
    Script::new().unary(move |request| {
        let inside = count.enter();
        async move {
            std::future::pending::<()>().await;
            drop(inside);
            echo(request).await
        }
    })
}

async fn calls_in_flight_fail_and_say_whether_they_started(net: Net) {
    let gauge = Gauge::new();
    let limits = Limits { calls_max: 64, ..Limits::accepting() };
    let builder = Server::builder().limits(limits);
    let server = net.serve_with(builder, stuck(&gauge)).await;
    let client = TestClient::new(reconnecting(&net).await);
    let mut calls: Vec<_> =
        (0..80).map(|number| Box::pin(client.unary(numbered(number)))).collect();
    for call in &mut calls {
        // Polled once, it is open: one that began after the loss would wait for a connection.
        let first = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(first.is_pending(), "no handler answers");
    }
    gauge.live(64).await;
    server.kill().await;
    let mut not_started = 0;
    for call in calls {
        let status = call.await.expect_err("the server is gone");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        not_started += u32::from(status.not_started());
    }
    assert_eq!(not_started, 16, "those that waited for a slot");
    gauge.live(0).await;

    // Another server: none of them comes again.
    let again = Gauge::new();
    net.serve(counted(&again)).await;
    let reply = client.unary(numbered(7)).await.expect("connected again").into_inner();
    assert_eq!(reply, numbered(7));
    assert_eq!((gauge.counts().entered, again.counts().entered), (64, 1));
}

async fn calls_wait_for_the_server_to_come_back(net: Net) {
    let gauge = Gauge::new();
    let server = net.serve(counted(&gauge)).await;
    let client = TestClient::new(reconnecting(&net).await);
    client.unary(numbered(0)).await.expect("OK");
    server.stop().await;
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.unary(numbered(number)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    net.serve(counted(&gauge)).await;
    for (number, call) in (0..).zip(calls) {
        let reply = call.await.expect("no panic").expect("the server is back").into_inner();
        assert_eq!(reply, numbered(number));
    }
    assert_eq!(gauge.counts().entered, 21);
}

async fn calls_wait_until_their_deadline(net: Net) {
    let server = net.serve(Script::new()).await;
    let client = TestClient::new(reconnecting(&net).await);
    client.unary(Note::default()).await.expect("OK");
    server.stop().await;
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let client = client.clone();
            let request = Request::new(Note::default()).with_timeout(SOON);
            tokio::spawn(async move { client.unary(request).await })
        })
        .collect();
    for call in calls {
        let status = call.await.expect("no panic").expect_err("no server");
        assert_eq!((status.code(), status.not_started()), (Code::DeadlineExceeded, true));
        // All that waited are told why, not only the one that tried.
        assert!(status.message().contains("nobody listens"), "{status}");
    }
    let mut impatient = quick();
    impatient.patience = SOON;
    let channel = net.builder().reconnect(impatient).connect_lazily().expect("the limits are good");
    let status = TestClient::new(channel).unary(Note::default()).await.expect_err("no server");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert!(status.message().contains("nobody listens"), "{status}");
}

async fn a_lazy_channel_connects_with_its_first_call(net: Net) {
    let channel = net.builder().reconnect(quick()).connect_lazily().expect("the limits are good");
    let client = TestClient::new(channel.clone());
    let call = tokio::spawn(async move { client.unary(numbered(1)).await });
    tokio::task::yield_now().await;
    net.serve(Script::new()).await;
    assert_eq!(call.await.expect("no panic").expect("OK").into_inner(), numbered(1));
    channel.ping().await.expect("the server answers");
    channel.ready().await.expect("the server answers");
}

async fn without_reconnect_a_lost_connection_stays_lost(net: Net) {
    let server = net.serve(Script::new()).await;
    let client = net.client().await;
    client.unary(Note::default()).await.expect("OK");
    server.stop().await;
    net.serve(Script::new()).await;
    let start = Instant::now();
    let status = client.unary(Note::default()).await.expect_err("lost");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

async fn what_does_not_pass_by_itself_fails_at_once(net: Net) {
    std::fs::write(net.path(), "not a socket").expect("can be written");
    let error = net.builder().reconnect(quick()).connect().await.expect_err("a file");
    assert!(error.to_string().contains("not a socket"), "{error}");
    let channel = net.builder().reconnect(quick()).connect_lazily().expect("the limits are good");
    let status = TestClient::new(channel).unary(Note::default()).await.expect_err("a file");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert!(status.message().contains("not a socket"), "{status}");
}

async fn a_draining_server_gets_no_new_calls(net: Net) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let (held, count) = (gate.clone(), gauge.clone());
    let old = Script::new().unary(move |_| {
        let (held, inside) = (held.clone(), count.enter());
        async move {
            held.pass().await;
            drop(inside);
            Ok(numbered(1).into())
        }
    });
    let old = net.serve(old).await;
    let client = TestClient::new(reconnecting(&net).await);
    let caller = client.clone();
    let open = tokio::spawn(async move { caller.unary(Note::default()).await });
    gauge.live(1).await;
    old.handle().shutdown();
    let new = Script::new().unary(|_| async { Ok(numbered(2).into()) });
    while Channel::connect(&net.address()).await.is_ok() {
        // The old server has not begun to shut down.
        tokio::task::yield_now().await;
    }
    net.serve(new).await;
    // Until GOAWAY has been read, calls go to the old server: it answers them, or refuses them as
    // not started.
    loop {
        let request = Request::new(Note::default()).with_timeout(Duration::from_millis(5));
        match client.unary(request).await {
            Ok(reply) if reply.message().number == 2 => break,
            Ok(_) => {}
            Err(status) if status.not_started() => {}
            Err(status) => assert_eq!(status.code(), Code::DeadlineExceeded, "{status}"),
        }
    }
    assert!(!open.is_finished());
    gate.open();
    assert_eq!(open.await.expect("no panic").expect("OK").into_inner(), numbered(1));
    old.ended().await;
}

async fn a_connection_that_stood_begins_again_without_a_pause(net: Net) {
    let mut reconnect = Reconnect::default();
    reconnect.initial = Duration::from_millis(1);
    reconnect.max = Duration::from_secs(3600);
    reconnect.factor = 10_000.0;
    let mut server = net.serve(Script::new()).await;
    let channel = net.builder().reconnect(reconnect).connect().await.expect("the server listens");
    let client = TestClient::new(channel);
    for number in 0..5 {
        client.unary(numbered(number)).await.expect("connected again");
        server.stop().await;
        server = net.serve(Script::new()).await;
    }
}

async fn a_busy_server_is_tried_again(net: Net) {
    net.serve_with(Server::builder().connections_max(1), Script::new()).await;
    let first = net.client().await;
    first.unary(Note::default()).await.expect("OK");
    let client = TestClient::new(reconnecting(&net).await);
    let status = client.unary(Note::default()).await.expect_err("BUSY");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    drop(first);
    loop {
        match client.unary(Note::default()).await {
            Ok(_) => break,
            Err(status) => assert!(status.not_started(), "{status}"),
        }
    }
}

async fn a_closed_channel_stays_closed(net: Net) {
    let server = net.serve(Script::new()).await;
    let channel = reconnecting(&net).await;
    let client = TestClient::new(channel.clone());
    client.unary(Note::default()).await.expect("OK");
    channel.clone().close().await;
    let status = client.unary(Note::default()).await.expect_err("closed");
    assert_eq!((status.code(), status.not_started()), (Code::Unavailable, true), "{status}");
    assert!(channel.ping().await.is_err());
    channel.close().await;
    server.stop().await;
}

over_every_transport!(
    calls_in_flight_fail_and_say_whether_they_started,
    calls_wait_for_the_server_to_come_back,
    calls_wait_until_their_deadline,
    a_lazy_channel_connects_with_its_first_call,
    without_reconnect_a_lost_connection_stays_lost,
    a_draining_server_gets_no_new_calls,
    a_connection_that_stood_begins_again_without_a_pause,
    a_busy_server_is_tried_again,
    a_closed_channel_stays_closed,
);
// Only a file can be of the wrong kind.
over_every_transport!(
    what_does_not_pass_by_itself_fails_at_once: unix Unix One, unix_threads Unix Two,
);
