//! Peers that die, keep silent or speak nonsense, and connections beyond the limit.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use bowline::blocking::Server;
use bowline::{Code, Limits, Reconnect, Request};
use bowline_protocol::PREFACE;
use bowline_tests::blocking::{Gauge, Place, Script, until};
use bowline_tests::net::Transport;
use bowline_tests::over_each_socket;
use bowline_tests::script::{numbered, said, sized};
use bowline_tests::test::Note;
use bowline_tests::test::test_blocking_client::TestClient;

/// Bytes both ways.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn connect(place: &Place) -> Box<dyn Stream> {
    match place.transport() {
        Transport::Unix => Box::new(UnixStream::connect(place.path()).expect("connects")),
        _ => Box::new(TcpStream::connect(&place.address()["tcp:".len()..]).expect("connects")),
    }
}

/// Takes one connection and does this with it.
fn accept_one(
    place: &Place,
    act: impl FnOnce(&mut dyn Stream) + Send + 'static,
) -> thread::JoinHandle<()> {
    match place.transport() {
        Transport::Unix => {
            let listener = UnixListener::bind(place.path()).expect("the path is free");
            thread::spawn(move || act(&mut listener.accept().expect("somebody connects").0))
        }
        _ => {
            let address = &place.address()["tcp:".len()..];
            let listener = TcpListener::bind(address).expect("the port is free");
            thread::spawn(move || act(&mut listener.accept().expect("somebody connects").0))
        }
    }
}

/// Reads until the peer closes, or resets.
fn drain(stream: &mut dyn Stream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    all
}

fn a_server_that_dies_ends_all_calls(place: &Place) {
    let dying = accept_one(place, |stream| {
        let mut bytes = [0; 4096];
        let mut read = 0;
        // HELLO, and some of the calls.
        while read < 300 {
            read += stream.read(&mut bytes).expect("reads");
        }
    });
    let client = place.client();
    thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let client = &client;
                    move || client.unary(numbered(n))
                })
            })
            .collect();
        for call in calls {
            let status = call.join().expect("no panic").expect_err("the server died");
            assert_eq!(status.code(), Code::Unavailable, "{status}");
        }
    });
    dying.join().expect("no panic");
    let status = client.unary(numbered(0)).expect_err("the server is dead");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.not_started());
}

fn a_server_that_speaks_something_else_is_left(place: &Place) {
    let other = accept_one(place, |stream| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").expect("writes");
        drain(stream);
    });
    let status = place.client().unary(numbered(0)).expect_err("no server of ours");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    assert!(status.not_started());
    other.join().expect("no panic");
}

fn a_server_that_keeps_silent_is_left_in_time(place: &Place) {
    let silent = accept_one(place, |stream| drop(drain(stream)));
    let mut limits = Limits::connecting();
    limits.handshake_timeout = Duration::from_millis(100);
    let channel = place.builder().limits(limits).connect().expect("connects");
    let status = TestClient::new(channel).unary(numbered(0)).expect_err("nobody answers");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    silent.join().expect("no panic");
}

fn a_client_that_dies_cancels_its_handlers(place: &Place) {
    let gauge = Gauge::new();
    let counted = gauge.clone();
    let script = Script::new().chat(move |request, _| {
        let _inside = counted.enter();
        let _ = request.into_inner().last();
        Ok(())
    });
    place.serve(script);
    for _ in 0..3 {
        let client = place.client();
        let (sender, replies) = client.chat(()).expect("opens");
        let mut held = (sender, replies);
        held.0.send(Note::default()).expect("is taken");
        gauge.live(1);
        drop(held);
        gauge.live(0);
    }
}

/// A client that says nothing, nonsense, or half of something holds up nobody and nothing.
fn a_client_that_makes_no_sense_is_closed(place: &Place) {
    let mut limits = Limits::accepting();
    limits.handshake_timeout = Duration::from_millis(200);
    limits.frame_timeout = Duration::from_millis(200);
    place.serve_with(Server::builder().limits(limits), Script::new());
    let bystander = place.client();
    let silent = connect(place);
    let mut nonsense = connect(place);
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("writes");
    assert_eq!(drain(&mut *nonsense), b"", "closed without a byte");
    let mut future = connect(place);
    future.write_all(b"BOWLINE\x09").expect("writes");
    assert_eq!(drain(&mut *future), PREFACE, "the version that it speaks");
    let mut half = connect(place);
    half.write_all(&PREFACE).and_then(|()| half.write_all(&[9, 0, 0])).expect("writes");
    let answer = drain(&mut *half);
    assert!(answer.starts_with(&PREFACE), "{answer:?}");
    let mut silent = silent;
    assert_eq!(drain(&mut *silent), b"", "closed without a byte");
    bystander.unary(said("beside them")).expect("it is not held up");
}

fn connections_beyond_the_limit_are_told_so(place: &Place) {
    place.serve_with(Server::builder().connections_max(2), Script::new());
    let first = place.client();
    first.unary(numbered(1)).expect("OK");
    let second = place.client();
    second.unary(numbered(2)).expect("OK");
    let status = place.client().unary(numbered(3)).expect_err("there are two");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.not_started(), "{status}");
    assert!(status.message().contains("as many connections"), "{status}");
    drop(second);
    until("there is room again", || place.client().unary(numbered(4)).is_ok());
    first.unary(numbered(5)).expect("OK");
}

// [HEL-007]
fn a_token_is_asked_for(place: &Place) {
    place.serve_with(Server::builder().token("open sesame"), Script::new());
    let with = |token: &'static str| {
        TestClient::new(place.builder().token(token).connect().expect("connects"))
    };
    with("open sesame").unary(numbered(1)).expect("OK");
    with("open barley").unary(numbered(1)).expect_err("it is another");
    place.client().unary(numbered(1)).expect_err("there is none");
}

// [PNG-001]
fn keepalive_finds_a_peer_that_has_stopped(place: &Place) {
    let mut limits = Limits::accepting();
    limits.keepalive = Some(Duration::from_millis(200));
    let gauge = Gauge::new();
    let counted = gauge.clone();
    let script = Script::new().upload(move |request| {
        let _inside = counted.enter();
        let error = request.into_inner().find_map(Result::err);
        Err(error.unwrap_or_default_status())
    });
    place.serve_with(Server::builder().limits(limits), script);
    let client = place.client();
    // A thread that waits answers PING.
    let (sender, reply) = client.upload(()).expect("opens");
    gauge.live(1);
    let waiting = thread::spawn(|| reply.wait());
    thread::sleep(Duration::from_millis(900));
    assert!(!waiting.is_finished(), "the client lives");
    sender.finish();
    waiting.join().expect("no panic").expect_err("it says so");
    // One that does not is taken for dead.
    let (_sender, reply) = client.upload(()).expect("opens");
    gauge.entered(2);
    gauge.live(0);
    assert_eq!(reply.wait().expect_err("the connection was ended").code(), Code::Unavailable);
}

/// A status of its own where the stream ended without one.
trait OrStatus {
    fn unwrap_or_default_status(self) -> bowline::Status;
}

impl OrStatus for Option<bowline::Status> {
    fn unwrap_or_default_status(self) -> bowline::Status {
        self.unwrap_or_else(|| bowline::Status::aborted("the stream ended"))
    }
}

fn a_channel_connects_again(place: &Place) {
    place.serve(Script::new());
    let channel = place.builder().reconnect(Reconnect::default()).connect().expect("connects");
    let client = TestClient::new(channel);
    client.unary(numbered(1)).expect("OK");
    for _ in 0..2 {
        place.shut_down();
        thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        let request = Request::new(numbered(2)).with_timeout(Duration::from_millis(100));
        let status = client.unary(request).expect_err("nobody listens");
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        assert!(status.not_started() && start.elapsed() < Duration::from_secs(10));
        assert!(status.message().contains("nobody listens"), "{status}");
        thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..4).map(|_| scope.spawn(|| client.unary(sized(1000)))).collect();
            place.serve(Script::new());
            for call in waiting {
                call.join().expect("no panic").expect("OK");
            }
        });
    }
    let lazy = place.builder().connect_lazily().expect("the limits are good");
    assert!(lazy.peer().is_none());
    TestClient::new(lazy.clone()).unary(numbered(1)).expect("OK");
    assert!(lazy.peer().is_some());
    lazy.clone().close();
    let status = TestClient::new(lazy).unary(numbered(1)).expect_err("it was closed");
    assert!(status.not_started());
}

over_each_socket!(
    a_server_that_dies_ends_all_calls,
    a_server_that_speaks_something_else_is_left,
    a_server_that_keeps_silent_is_left_in_time,
    a_client_that_dies_cancels_its_handlers,
    a_client_that_makes_no_sense_is_closed,
    connections_beyond_the_limit_are_told_so,
    a_token_is_asked_for,
    keepalive_finds_a_peer_that_has_stopped,
    a_channel_connects_again,
);
