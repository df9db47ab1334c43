//! Connecting, closing and shutting down.

use std::thread;
use std::time::{Duration, Instant};

use bowline::blocking::{Channel, Server};
use bowline::{Code, Error, Response};
use bowline_tests::blocking::{Gate, Gauge, Place, Script, until};
use bowline_tests::net::Transport;
use bowline_tests::over_each_socket;
use bowline_tests::script::{numbered, said};
use bowline_tests::test::Note;

fn gated(gate: &Gate, gauge: &Gauge) -> Script {
    let (passed, counted) = (gate.clone(), gauge.clone());
    let (streaming, stream_counted) = (gate.clone(), gauge.clone());
    Script::new()
        .unary(move |request| {
            let _inside = counted.enter();
            passed.pass();
            Ok(Response::new(request.into_inner()))
        })
        .download(move |request, mut replies| {
            let _inside = stream_counted.enter();
            for number in 0..request.message().number {
                replies.send(numbered(number))?;
            }
            streaming.pass();
            replies.send(said("the last"))
        })
}

// [GOA-001] [GOA-003] [CLS-001]
fn a_shutdown_lets_open_calls_end(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let server = place.serve(gated(&gate, &gauge));
    let client = place.client();
    let idle = place.client();
    idle.download(numbered(0)).expect("opens");
    thread::scope(|scope| {
        let unary = scope.spawn(|| client.unary(said("open")));
        let mut stream = client.download(numbered(5)).expect("opens");
        for number in 0..5 {
            assert_eq!(stream.message().expect("OK"), Some(numbered(number)));
        }
        gauge.entered(2);
        server.shutdown();
        until("no new call is taken", || {
            let refused = client.chat(()).err();
            refused.is_some_and(|status| status.code() == Code::Unavailable && status.not_started())
        });
        gate.open();
        assert_eq!(unary.join().expect("no panic").expect("OK").into_inner(), said("open"));
        assert_eq!(stream.message().expect("OK"), Some(said("the last")));
        assert_eq!(stream.message().expect("OK"), None);
    });
    place.shut_down();
    Channel::connect(&place.address()).expect_err("nobody listens");
    if place.transport() == Transport::Unix {
        assert!(!place.path().exists(), "the socket file is gone");
    }
    // The address is free.
    place.serve(Script::new());
    place.client().unary(said("again")).expect("OK");
}

fn a_shutdown_ends_calls_that_take_too_long(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    let builder = Server::builder().drain_timeout(Duration::from_millis(50));
    let server = place.serve_with(builder, gated(&gate, &gauge));
    let client = place.client();
    thread::scope(|scope| {
        let open = scope.spawn(|| client.unary(said("open")));
        gauge.live(1);
        let start = Instant::now();
        server.shutdown();
        let status = open.join().expect("no panic").expect_err("it was ended");
        assert_eq!(status.code(), Code::Unavailable);
        assert!(!status.not_started());
        place.shut_down();
        assert!(start.elapsed() < Duration::from_secs(10), "not by the client's own doing");
        assert_eq!(gauge.counts().live, 1, "the handler cannot be stopped");
        gate.open();
    });
    gauge.live(0);
}

/// Nobody calls, nobody reads: the shutdown waits for none of them for long.
fn a_shutdown_does_not_wait_for_idle_clients(place: &Place) {
    let server = place.serve(Script::new());
    let idle: Vec<_> = (0..20).map(|_| place.client()).collect();
    idle.iter().for_each(|client| drop(client.unary(said("once")).expect("OK")));
    let silent = place.channel();
    let start = Instant::now();
    server.shutdown();
    place.shut_down();
    // They do not read, so that the server closes by itself: a second, and some for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(35), "{:?}", start.elapsed());
    let status = idle[0].unary(said("more")).expect_err("the server is gone");
    assert_eq!(status.code(), Code::Unavailable);
    silent.ping().expect_err("the server is gone");
}

// [CLS-001] [CLS-002]
fn closing_a_channel_waits_for_its_calls(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    place.serve(gated(&gate, &gauge));
    let channel = place.channel();
    let client = bowline_tests::test::test_blocking_client::TestClient::new(channel.clone());
    thread::scope(|scope| {
        let open = scope.spawn(|| client.unary(said("open")));
        gauge.live(1);
        let closing = scope.spawn(|| channel.close());
        until("no further call is opened", || {
            let refused = client.download(numbered(0)).err();
            refused.is_some_and(|status| status.code() == Code::Unavailable && status.not_started())
        });
        assert!(!closing.is_finished(), "it waits for the call");
        gate.open();
        open.join().expect("no panic").expect("OK");
        closing.join().expect("no panic");
    });
}

fn calls_outlive_the_last_channel(place: &Place) {
    let (gate, gauge) = (Gate::new(), Gauge::new());
    place.serve(gated(&gate, &gauge));
    let mut stream = {
        let client = place.client();
        client.download(numbered(1)).expect("opens")
    };
    assert_eq!(stream.message().expect("OK"), Some(numbered(0)));
    gate.open();
    assert_eq!(stream.message().expect("OK"), Some(said("the last")));
    assert_eq!(stream.message().expect("OK"), None);
}

fn many_connections_come_and_go(place: &Place) {
    place.serve(Script::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..50 {
                    let client = place.client();
                    assert_eq!(
                        client.unary(numbered(number)).expect("OK").into_inner().number,
                        number
                    );
                }
            });
        }
    });
}

fn errors_say_what_is_wrong(place: &Place) {
    let error = Channel::connect(&place.address()).expect_err("nobody listens");
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(error.to_string().contains("nobody listens"), "{error}");
    let error = Channel::connect("memory:x").expect_err("no blocking half");
    assert!(error.to_string().contains("memory"), "{error}");
    let error = Server::builder().listen("memory:x").expect_err("no blocking half");
    assert!(error.to_string().contains("memory"), "{error}");
    assert!(matches!(Channel::connect("x"), Err(Error::Address(_))));
    let mut limits = bowline::Limits::accepting();
    limits.calls_max = 1;
    let error = Server::builder().limits(limits).listen(&place.address()).expect_err("too few");
    assert!(matches!(error, Error::Limits(_)), "{error:?}");
    let _: Note = Note::default();
}

over_each_socket!(
    a_shutdown_lets_open_calls_end,
    a_shutdown_ends_calls_that_take_too_long,
    a_shutdown_does_not_wait_for_idle_clients,
    closing_a_channel_waits_for_its_calls,
    calls_outlive_the_last_channel,
    many_connections_come_and_go,
    errors_say_what_is_wrong,
);
